//! What goes to JavaScript, as JavaScript sees it.

use napi::bindgen_prelude::*;
use serde::Serialize;

use crate::error::SpeakerError;
use crate::output::PcmFrame;

/// One ring of an environment's bell, and the session that it is for.
pub struct Outgoing {
    pub session: u32,
    pub what: What,
}

pub enum What {
    /// One more message can be taken: the session holds it.
    Message,
    Frame(PcmFrame),
    /// The room is about to be joined: `giveToken` answers this question.
    TokenWanted(u32),
    /// The voice of this id can't be heard.
    Unheard(u32, SpeakerError),
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
        let Self { session, what } = value;
        if matches!(what, What::Message) {
            // SAFETY: `env` is the one that this call was given.
            return unsafe { u32::to_napi_value(env, session) };
        }
        let env = Env::from_raw(env);
        let mut object = Object::new(&env)?;
        object.set("session", session)?;
        match what {
            What::Message => {}
            What::Frame(mut frame) => {
                object.set("tap", frame.tap)?;
                object.set("atMs", frame.at_ms)?;
                object.set("frame", Buffer::from(std::mem::take(&mut frame.data)))?;
            }
            What::TokenWanted(number) => object.set("tokenWanted", number)?,
            What::Unheard(id, error) => {
                object.set("unheard", id)?;
                object.set("code", error.code.as_str())?;
                object.set("message", error.message)?;
            }
        }
        Ok(object.raw())
    }
}

/// A value that becomes a JavaScript object by its serde form.
pub struct Serialized<T>(pub T);

impl<T> TypeName for Serialized<T> {
    fn type_name() -> &'static str {
        "object"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T: Serialize> ToNapiValue for Serialized<T> {
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        Env::from_raw(env).to_js_value(&value.0).map(|value| value.raw())
    }
}
