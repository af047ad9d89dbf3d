//! What goes to JavaScript, as JavaScript sees it.

use napi::bindgen_prelude::*;

use crate::event::Message;
use crate::output::{Participant, PcmFrame};

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
        }
        Ok(object.raw())
    }
}

/// What crosses by its serde form, as JavaScript's own objects.
macro_rules! as_serialized {
    ($(#[doc = $doc:literal] $name:ident($type:ty);)+) => {
        $(
            #[doc = $doc]
            pub struct $name(pub $type);

            impl TypeName for $name {
                fn type_name() -> &'static str {
                    "object"
                }

                fn value_type() -> ValueType {
                    ValueType::Object
                }
            }

            impl ToNapiValue for $name {
                unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
                    Env::from_raw(env).to_js_value(&value.0).map(|value| value.raw())
                }
            }
        )+
    };
}

as_serialized! {
    /// A message.
    NativeMessage(Message);
    /// This participant, or null.
    NativeLocalParticipant(Option<Participant>);
    /// The others in a room.
    NativeParticipants(Vec<Participant>);
}
