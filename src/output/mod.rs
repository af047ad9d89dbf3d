//! One frame → the world. The mixer knows none of these; each takes the same samples.

mod backlog;
mod data;
mod listening;
mod livekit;
mod memory;
mod none;
mod output_file;
mod participant;
mod pcm;
mod tap;
mod wav;
mod wav_file;
mod wav_queue;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::audio::{Samples, to_s16};
use crate::dither::Dither;
use crate::error::{Code, Result, SpeakerError};
use crate::g711::Law;
use crate::mixer::{Frame, Routing};
use crate::reserved::ReservedPath;
use crate::source::Progress;

pub use backlog::Backlog;
pub use data::{Hears, IncomingData, IncomingWhat, OutgoingData, OutgoingWhat, Payload, Rpc, Text};
pub use listening::{ListenFailure, ListenRequest, Listening};
#[doc(hidden)]
pub use livekit::fuzz;
pub use livekit::{
    Encoding, IceTransport, LiveKitOptions, StartWhen, TokenAnswer, TokenSource, Tokens, TrackSource, TrackTerms,
};
pub use memory::Recording;
pub use participant::{Description, Participant, ParticipantTrack, Presence};
pub use pcm::{PcmFormat, PcmFrame, PcmSink};
pub use tap::{TapRequest, Tapped, Taps};

/// How samples are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// Signed integers of 16 bits.
    S16 {
        /// Adds noise before rounding.
        dither: bool,
    },
    /// Floats of 32 bits.
    F32,
    /// A byte each, as telephone lines code them.
    G711(Law),
}

impl SampleFormat {
    /// The bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::S16 { .. } => 2,
            Self::F32 => 4,
            Self::G711(_) => 1,
        }
    }

    /// Appends samples as they are written down, little-endian, with noise where there is some to add.
    fn write(self, samples: &[f32], dither: Option<&mut Dither>, bytes: &mut Vec<u8>) {
        match (self, dither) {
            (Self::F32, _) => append(samples, bytes, f32::to_le_bytes),
            (Self::G711(law), _) => append(samples, bytes, |sample| [law.encode(to_s16(sample))]),
            (Self::S16 { .. }, None) => append(samples, bytes, |sample| to_s16(sample).to_le_bytes()),
            (Self::S16 { .. }, Some(dither)) => {
                append(samples, bytes, |sample| to_s16(dither.add(sample)).to_le_bytes());
            }
        }
    }

    /// Its dither, if it has any.
    fn dither(self, seed: u64) -> Option<Dither> {
        (self == Self::S16 { dither: true }).then(|| Dither::new(seed))
    }
}

/// Appends what each sample is converted to. The room is made once, so that a processor may convert several samples at once.
fn append<const BYTES: usize>(samples: &[f32], bytes: &mut Vec<u8>, mut convert: impl FnMut(f32) -> [u8; BYTES]) {
    let begin = bytes.len();
    bytes.resize(begin + samples.len() * BYTES, 0);
    let (written, _) = bytes[begin..].as_chunks_mut();
    written.iter_mut().zip(samples).for_each(|(bytes, sample)| *bytes = convert(*sample));
}

/// Where a session's sound goes; opened by `connect`.
#[derive(Clone)]
pub enum OutputOptions {
    /// A WAV file at 48 kHz.
    Wav {
        /// What is there is replaced when the output is closed.
        path: Arc<ReservedPath>,
        /// How samples are written.
        format: SampleFormat,
        /// A file in which nothing sounded is kept, and not thrown away.
        keeps_unheard: bool,
    },
    /// Frames handed to a callback.
    Pcm {
        /// What the frames are like.
        format: PcmFormat,
        /// Silence is frames too.
        is_continuous: bool,
        /// Takes them.
        sink: PcmSink,
    },
    /// Everything, kept.
    Memory {
        /// Where it is kept.
        recording: Arc<Mutex<Recording>>,
    },
    /// Nowhere.
    None,
    /// A room: each track a stream of its own.
    LiveKit(LiveKitOptions),
}

/// What an output tells its session.
pub enum OutputEvent {
    /// It is open.
    Connected,
    /// This stream takes samples from now on.
    Opened(u32),
    /// The connection is lost and being restored; why, in one word.
    Reconnecting(String),
    /// Nothing can be written until it is restored.
    Cut(Meanwhile),
    /// What is written arrives again, though the connection is not restored yet.
    Arrives,
    /// The connection is restored.
    Reconnected,
    /// Nothing of this stream is heard any more, because its track is muted; what becomes of what plays on it.
    Muted(u32, Meanwhile),
    /// The stream's track is not muted any more.
    Unmuted(u32),
    /// Somebody listens to this stream's track for the first time; who, if that is known.
    Subscribed(u32, Option<String>),
    /// The output can't publish this stream, and may do so when it is asked again: what was to play on it fails.
    Refused(u32, SpeakerError),
    /// The server took this stream's track out of the room; what becomes of what plays on it, and why.
    Unpublished(u32, Meanwhile, SpeakerError),
    /// The stream's track is in the room again, and takes samples.
    Republished(u32),
    /// How it is received.
    Link(Link),
    /// Who is in the room.
    Presence(Presence),
    /// What was asked for by [`Output::describe`] is done, or why not.
    Described(u32, Option<SpeakerError>),
    /// What was asked for by [`Output::unpublish`] is done, or why not.
    TakenOut(u32, Option<SpeakerError>),
    /// Somebody in the room has sent something besides sound.
    Data(IncomingData),
    /// What was handed over by [`Output::send_data`] is on its way, or why not.
    Sent(u32, Option<SpeakerError>),
    /// It is gone, with everything that plays into it, and why in a word.
    Lost(SpeakerError, String),
    /// It took no frame, and may do so later.
    Failed(SpeakerError),
}

/// What becomes of what is mixed while nobody can hear it: the room can't be reached, or a track is muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// Time stands still; what plays goes on where it was.
    Pause,
    /// Time goes on; what is mixed is heard by nobody.
    Continue,
    /// What plays fails.
    Drop,
}

/// The server's rating of how well others hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// The best.
    Excellent,
    /// Some loss.
    Good,
    /// Much loss, or no packets for some seconds.
    Poor,
    /// Nothing arrives.
    Lost,
}

/// What a receiver reports (RFC 3550 §6.4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// The fraction of packets that were lost since the last report, 0–1.
    pub loss: f32,
    /// How unevenly packets arrived.
    pub jitter: Duration,
    /// The time to the server and back, once known.
    pub round_trip: Option<Duration>,
}

/// How an output is received, as far as anybody told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Link {
    /// The last rating.
    pub quality: Option<Quality>,
    /// The last report.
    pub report: Option<Report>,
}

/// The end of an output, which may take its time.
pub type Closing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// An output, from its opening on. Its session's driver alone calls it, and no call waits for anything: a file is opened by its disk's
/// threads, a room has to be joined, and its streams have to be published.
pub trait Output: Send {
    /// Returns true if it is open.
    fn is_connected(&self) -> bool {
        true
    }

    /// Publishes `stream`, if it is not yet. Returns true if it takes samples already; if not, [`OutputEvent::Opened`] tells
    /// when it does.
    fn prepare(&mut self, _stream: u32, _now: Instant) -> Result<bool> {
        Ok(true)
    }

    /// Takes a stream's track out of the room once its last sound is heard, until it is [prepared](Self::prepare) again.
    /// [`OutputEvent::TakenOut`] answers under `ticket`, if there is one.
    fn unpublish(&mut self, _stream: u32, _ticket: Option<u32>, _now: Instant) {}

    /// Mutes a stream's track in the room, whether it is published yet or not, or lifts its mute, whoever muted it.
    fn set_muted(&mut self, _stream: u32, _muted: bool) {}

    /// Tells the room what to list of this participant, in every room that is joined. [`OutputEvent::Described`] answers under `ticket`,
    /// if there is one.
    fn describe(&mut self, _description: Description, _ticket: Option<u32>, _now: Instant) {}

    /// Sends data to others in the room, as soon as that is reached. [`OutputEvent::Sent`] answers under `ticket`.
    fn send_data(&mut self, _data: OutgoingData, _ticket: u32) {}

    /// Says what of others' data is told from now on, in every room that is joined.
    fn hear_data(&mut self, _hears: Hears) {}

    /// Listens to somebody from now on, in every room that is joined, until [`unlisten`](Self::unlisten). Time began at `epoch`.
    fn listen(&mut self, _listening: Arc<Listening>, _epoch: Instant) {}

    /// Stops listening.
    fn unlisten(&mut self, _id: u32) {}

    /// What happened to it by itself. Needs tokio's context.
    fn poll(&mut self, _context: &mut Context<'_>, _now: Instant) -> Poll<OutputEvent> {
        Poll::Pending
    }

    /// Hands over the next samples of a stream. Returns false if they are not sent: the room is cut off, or the track muted.
    fn write(&mut self, frame: &Frame, now: Instant) -> Result<bool>;

    /// Hands over `samples` of silence in which nothing was mixed.
    fn skip(&mut self, samples: Samples) -> Result<()>;

    /// So much time was lost, in which nobody got anything: it is silence that is late.
    fn lose(&mut self, samples: Samples) -> Result<()> {
        self.skip(samples)
    }

    /// Returns true if nothing more needs to be written after the last sound.
    fn may_rest(&self) -> bool {
        true
    }

    /// Nothing sounds for a while: hands over what is held back.
    fn rest(&mut self) -> Result<()> {
        Ok(())
    }

    /// Returns true if it can take more at once; if not, a manual clock waits.
    fn has_room(&self) -> bool {
        true
    }

    /// Frames that were lost because nobody took them.
    fn dropped(&self) -> u64 {
        0
    }

    /// Packets that were sent as they were encoded for another session, or for this one before.
    fn shared(&self) -> u64 {
        0
    }

    /// The last call if nobody wants it any more, before it took anything: leaves nothing behind.
    fn give_up(&mut self, now: Instant) -> Closing {
        self.close(now)
    }

    /// The last call: begins to write what is left and to end the connection, whether or not what is returned is awaited. That ends in a
    /// bounded time, and needs tokio's context.
    fn close(&mut self, now: Instant) -> Closing;
}

/// For what closes at once.
pub fn closed(result: Result<()>) -> Closing {
    Box::pin(std::future::ready(result))
}

impl OutputOptions {
    /// How tracks become streams of it.
    pub fn routing(&self) -> Routing {
        match self {
            Self::LiveKit(_) => Routing::PerTrack,
            _ => Routing::Mixdown,
        }
    }

    /// Returns true if it takes silence as it takes sound, and so is never at rest.
    pub fn is_continuous(&self) -> bool {
        matches!(self, Self::Pcm { is_continuous: true, .. })
    }

    /// How much time its recording holds, silence included, if it has an end.
    pub fn capacity(&self, channels: usize) -> Option<Samples> {
        match self {
            Self::Wav { format, .. } => Some(wav::capacity(channels, *format)),
            Self::Memory { .. } => Some(memory::capacity(channels)),
            Self::Pcm { .. } | Self::None | Self::LiveKit(_) => None,
        }
    }

    /// The path that it writes, if it does: no source may be there.
    pub fn reserved_path(&self) -> Option<&Arc<ReservedPath>> {
        match self {
            Self::Wav { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Opens it for `channels` channels, or begins to: then [`OutputEvent::Connected`] or [`OutputEvent::Lost`] tells what comes of it.
    pub fn open(&self, channels: usize, progress: &Arc<Progress>, now: Instant) -> Box<dyn Output> {
        match self {
            Self::Wav { path, format, keeps_unheard } => {
                Box::new(wav::Wav::create(path.clone(), channels, *format, *keeps_unheard))
            }
            Self::Pcm { format, is_continuous, sink } => {
                let backlog = Arc::new(Backlog::new(progress.clone()));
                let pcm = pcm::Pcm::new(*format, None, 0, sink.clone(), backlog);
                if *is_continuous { Box::new(pcm::Continuous::new(pcm)) } else { Box::new(pcm) }
            }
            Self::Memory { recording } => Box::new(memory::Memory::new(channels, recording.clone())),
            Self::None => Box::new(none::Nothing),
            Self::LiveKit(options) => Box::new(livekit::LiveKit::new(options.clone(), channels, now)),
        }
    }
}

fn failed(what: &str, error: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::Output, format!("{what}: {error}"))
}
