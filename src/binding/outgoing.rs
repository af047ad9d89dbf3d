//! What goes to JavaScript, as JavaScript sees it.

use napi::bindgen_prelude::*;

use crate::event::Message;
use crate::output::PcmFrame;

pub enum Outgoing {
    Message(Message),
    Frame(PcmFrame),
    /// The room is about to be joined: `giveToken` answers this question.
    TokenWanted(u32),
}

impl TypeName for Outgoing {
    fn type_name() -> &'static str {
        "object"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ToNapiValue for Outgoing {
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let env = Env::from_raw(env);
        match value {
            Self::Message(message) => env.to_js_value(&message).map(|value| value.raw()),
            Self::Frame(mut frame) => {
                let mut object = Object::new(&env)?;
                object.set("tap", frame.tap)?;
                object.set("atMs", frame.at_ms)?;
                object.set("frame", Buffer::from(std::mem::take(&mut frame.data)))?;
                Ok(object.raw())
            }
            Self::TokenWanted(number) => {
                let mut object = Object::new(&env)?;
                object.set("tokenWanted", number)?;
                Ok(object.raw())
            }
        }
    }
}
