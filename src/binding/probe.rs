//! The native side of probing a source; `lib/probe.js` is the public one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use parking_lot::Mutex;

use super::NativeBell;
use super::clip::NativeClipSource;
use super::convert::NativeRefusal;
use super::outgoing::{Outgoing, OutgoingKind, Serialized};
use crate::error::SpeakerError;
use crate::event::Message;
use crate::ids::Ticket;
use crate::runtime::{self, DECODERS};
use crate::source::{DecodeJob, Probed, probe};

#[napi(object)]
pub struct NativeProbed {
    pub container: String,
    pub codec: String,
    pub sample_rate: u32,
    pub channels: u32,
    pub duration_ms: Option<f64>,
    pub exact: bool,
    /// Names and texts.
    pub tags: Vec<Vec<String>>,
    pub integrated_lufs: Option<f64>,
    pub true_peak_db: Option<f64>,
    pub tagged_lufs: Option<f64>,
}

impl From<Probed> for NativeProbed {
    fn from(probed: Probed) -> Self {
        Self {
            container: probed.container.to_owned(),
            codec: probed.codec.to_owned(),
            sample_rate: probed.rate,
            channels: probed.channels as u32,
            duration_ms: probed.duration_ms,
            exact: probed.is_exact,
            tags: probed.metadata.into_iter().map(|(name, text)| vec![name.to_owned(), text]).collect(),
            integrated_lufs: probed.loudness.and_then(|loudness| loudness.lufs),
            true_peak_db: probed.loudness.and_then(|loudness| loudness.true_peak),
            tagged_lufs: probed.tagged_lufs,
        }
    }
}

/// A probe of a source, running or done.
#[napi]
pub struct NativeProbe {
    /// The number by which the bell names it.
    number: u32,
    found: Arc<Mutex<Option<std::result::Result<Probed, SpeakerError>>>>,
    /// Present until it is done or cancelled.
    making: Option<DecodeJob>,
    probed: Option<Probed>,
}

#[napi]
impl NativeProbe {
    /// Begins to probe a source, or returns the error; measures its loudness if `measured`. The bell rings once when it is done.
    #[napi]
    pub fn begin(
        source: NativeClipSource,
        measured: bool,
        bell: &NativeBell,
    ) -> Result<Either<NativeProbe, NativeRefusal>> {
        if let Err(error) = runtime::start() {
            return Ok(Either::B(error.into()));
        }
        let (source, limits) = match source.into_core()? {
            Ok(source) => source,
            Err(error) => return Ok(Either::B(error.into())),
        };
        let number = bell.last.fetch_add(1, Ordering::Relaxed);
        let found = Arc::<Mutex<_>>::default();
        let (answer, ring) = (found.clone(), bell.ring.clone());
        let making = probe(&DECODERS, source, measured, limits, move |result| {
            *answer.lock() = Some(result);
            ring(Outgoing { session: number, kind: OutgoingKind::Message });
        });
        Ok(Either::A(Self { number, found, making: Some(making), probed: None }))
    }

    /// Returns the number by which the bell names it.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the answer once it is there, and nothing before that or after `cancel`.
    #[napi(ts_return_type = "any")]
    pub fn take(&mut self) -> Option<Serialized<Message>> {
        let result = self.found.lock().take()?;
        self.making.take()?;
        let error = match result {
            Ok(probed) => {
                self.probed = Some(probed);
                None
            }
            Err(error) => Some(error),
        };
        Some(Serialized(Message::Settled { ticket: Ticket::default(), error }))
    }

    /// Returns what was found, once.
    #[napi]
    pub fn probed(&mut self) -> Option<NativeProbed> {
        self.probed.take().map(Into::into)
    }

    /// Stops it.
    #[napi]
    pub fn cancel(&mut self) {
        self.making = None;
    }
}
