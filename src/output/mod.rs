//! One frame → the world. The mixer knows none of these; each takes the same samples.

mod memory;
mod pacer;
mod pcm;
mod wav;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};
use crate::source::Progress;

pub use pacer::Pacer;
pub use pcm::{PcmFrame, PcmSink};

/// How samples are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    S16,
    F32,
}

impl SampleFormat {
    pub fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Where a session's sound goes; opened by `connect`.
#[derive(Clone)]
pub enum OutputOptions {
    /// A WAV file at 48 kHz.
    Wav { path: PathBuf, format: SampleFormat },
    /// Frames of `frame_ms` handed to a callback.
    Pcm { sample_rate: u32, format: SampleFormat, frame_ms: u32, sink: PcmSink },
    /// Everything, kept.
    Memory { store: Arc<Mutex<Vec<f32>>> },
}

/// An open output. Its session's actor alone calls it.
pub trait Output: Send {
    /// Hands over the next samples of a stream, interleaved.
    fn write(&mut self, stream: u32, samples: &[f32]) -> Result<()>;

    /// So many samples of silence pass in which nothing is mixed.
    fn skip(&mut self, samples: Samples) -> Result<()>;

    /// Nothing sounds from here on for a while: what is held back goes out.
    fn rest(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether it can take more at once; where not, a clock that can wait should.
    fn has_room(&self) -> bool {
        true
    }

    /// Frames that were lost because nobody took them.
    fn dropped(&self) -> u64 {
        0
    }

    /// The last call: everything is written.
    fn close(&mut self) -> Result<()>;
}

impl OutputOptions {
    /// Opens it for `channels` channels. `realtime` says that it must not make the clock wait.
    pub fn open(&self, channels: usize, realtime: bool, progress: &Arc<Progress>) -> Result<Box<dyn Output>> {
        Ok(match self {
            Self::Wav { path, format } => Box::new(wav::Wav::create(path, channels, *format)?),
            Self::Pcm { sample_rate, format, frame_ms, sink } => {
                let frame = (*sample_rate as usize * *frame_ms as usize) / 1_000;
                Box::new(pcm::Pcm::new(
                    *sample_rate,
                    channels,
                    *format,
                    frame,
                    realtime,
                    sink.clone(),
                    progress.clone(),
                ))
            }
            Self::Memory { store } => Box::new(memory::Memory::new(channels, store.clone())),
        })
    }
}

fn failed(what: &str, error: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::Output, format!("{what}: {error}"))
}
