//! Conversion of values for JavaScript.

use napi::bindgen_prelude::*;
use serde::Serialize;

use crate::error::SpeakerError;
use crate::output::PcmFrame;

/// One ring of an environment's bell, for a session.
pub struct Outgoing {
    pub session: u32,
    pub kind: OutgoingKind,
}

pub enum OutgoingKind {
    /// One more message can be taken from the session.
    Message,
    Frame(PcmFrame),
    /// The session asks for a token to join the room, or for its server: `answer` answers this number.
    Question(u32),
    /// There is something to read in the session's encoded streams.
    Readable,
    /// The voice with this id can't be heard.
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
        let Self { session, kind } = value;
        if matches!(kind, OutgoingKind::Message) {
            // SAFETY: `env` is the one that this call was given.
            return unsafe { u32::to_napi_value(env, session) };
        }
        let env = Env::from_raw(env);
        let mut object = Object::new(&env)?;
        object.set("session", session)?;
        match kind {
            OutgoingKind::Message => {}
            OutgoingKind::Frame(mut frame) => {
                object.set("tap", frame.tap)?;
                object.set("atMs", frame.at_ms)?;
                object.set("frame", Buffer::from(std::mem::take(&mut frame.data)))?;
            }
            OutgoingKind::Question(number) => object.set("question", number)?,
            OutgoingKind::Readable => object.set("readable", true)?,
            OutgoingKind::Unheard(id, error) => {
                object.set("unheard", id)?;
                object.set("code", error.code.as_str())?;
                object.set("message", error.message)?;
            }
        }
        Ok(object.raw())
    }
}

/// A value that becomes a JavaScript object through serde.
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
