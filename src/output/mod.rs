//! The outputs, to which mixed frames are written. The mixer knows none of them, and each gets the same samples.

mod backlog;
mod data;
mod encoded;
mod libopus;
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
use crate::ids::Ticket;
use crate::mixer::{Frame, Routing};
use crate::reserved::ReservedPath;
use crate::source::DriverNotifier;

pub use backlog::Backlog;
pub use data::{DataInterest, IncomingContent, IncomingData, OutgoingContent, OutgoingData, Payload, Rpc, Text};
pub use encoded::{AudioReader, Broadcast, Codec, EncodedFormat, EncodedOptions, Read};
pub use listening::{ListenFailure, ListenRequest, Listening};
pub use livekit::{
    Encoder, Encoding, IceTransport, LiveKitOptions, StartWhen, Tokens, TrackOptions, TrackSource, fuzz,
};
pub use memory::Recording;
pub use participant::{Description, Participant, ParticipantTrack, Presence};
pub use pcm::{PcmFormat, PcmFrame, PcmSink};
pub use tap::{TapRequest, TapTarget, Taps};

/// JavaScript's answer to a question: a text, or the reason why there is none.
pub type Answer = std::result::Result<String, String>;

/// A question to JavaScript: for an access token, or to start a server.
pub type Question = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// The encoding of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// Signed integers of 16 bits.
    S16 {
        /// Adds noise before rounding.
        dither: bool,
    },
    /// Floats of 32 bits.
    F32,
    /// One byte each, as on telephone lines (G.711).
    G711(Law),
}

impl SampleFormat {
    /// Returns the number of bytes per sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::S16 { .. } => 2,
            Self::F32 => 4,
            Self::G711(_) => 1,
        }
    }

    /// Appends encoded samples, little-endian, with dither if there is any.
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

    /// Returns the format's dither, if it has any.
    fn dither(self, seed: u64) -> Option<Dither> {
        (self == Self::S16 { dither: true }).then(|| Dither::new(seed))
    }
}

/// Appends each converted sample. The vector is resized once, so that the compiler can vectorize the loop.
fn append<const BYTES: usize>(samples: &[f32], bytes: &mut Vec<u8>, mut convert: impl FnMut(f32) -> [u8; BYTES]) {
    let begin = bytes.len();
    bytes.resize(begin + samples.len() * BYTES, 0);
    let (written, _) = bytes[begin..].as_chunks_mut();
    written.iter_mut().zip(samples).for_each(|(bytes, sample)| *bytes = convert(*sample));
}

/// The output of a session, opened by `connect`.
#[derive(Clone)]
pub enum OutputOptions {
    /// A WAV file at 48 kHz.
    Wav {
        /// An existing file is replaced when the output is closed.
        path: Arc<ReservedPath>,
        /// The encoding of samples.
        format: SampleFormat,
        /// Keeps the file even if nothing sounded.
        keeps_unheard: bool,
    },
    /// Frames handed to a callback.
    Pcm {
        /// The format of the frames.
        format: PcmFormat,
        /// Emits frames in silence too.
        is_continuous: bool,
        /// The callback.
        sink: PcmSink,
    },
    /// A recording in memory.
    Memory {
        /// The recording.
        recording: Arc<Mutex<Recording>>,
    },
    /// An encoded stream for any number of listeners.
    Encoded(EncodedOptions),
    /// No output: samples are discarded.
    None,
    /// A LiveKit room; each track is a stream of its own.
    LiveKit(LiveKitOptions),
}

/// An event that an output reports to its session.
pub enum OutputEvent {
    /// The output is open.
    Connected,
    /// The stream accepts samples from now on.
    Opened(u32),
    /// The connection is lost and being restored; the reason in one word.
    Reconnecting(String),
    /// Media no longer arrives, and nothing can be written until it does.
    MediaLost(UnheardPolicy),
    /// Media arrives again, though the connection is not fully restored yet.
    MediaRestored,
    /// The connection is restored.
    Reconnected,
    /// The stream's track was muted, so nobody hears it.
    Muted {
        /// The stream.
        stream: u32,
        /// The policy for what plays on it.
        policy: UnheardPolicy,
    },
    /// The stream's track was unmuted.
    Unmuted(u32),
    /// Whether anybody listens to the output, from now on.
    Audience(bool),
    /// Somebody subscribed to the stream's track for the first time.
    Subscribed {
        /// The stream.
        stream: u32,
        /// The subscriber, if known.
        identity: Option<String>,
    },
    /// The stream can't be published. What waits for it fails; another request may succeed.
    Refused {
        /// The stream.
        stream: u32,
        /// The reason.
        error: SpeakerError,
    },
    /// The server unpublished the stream's track.
    Unpublished {
        /// The stream.
        stream: u32,
        /// The policy for what plays on it.
        policy: UnheardPolicy,
        /// The reason.
        error: SpeakerError,
    },
    /// The stream's track is published again and accepts samples.
    Republished(u32),
    /// The connection's quality changed.
    ConnectionStats(ConnectionStats),
    /// A change of who is in the room.
    Presence(Presence),
    /// [`Output::describe`] is done, or has failed.
    Described {
        /// The call's ticket.
        ticket: Ticket,
        /// The failure, if it failed.
        error: Option<SpeakerError>,
    },
    /// [`Output::unpublish`] is done, or has failed.
    UnpublishDone {
        /// The call's ticket.
        ticket: Ticket,
        /// The failure, if it failed.
        error: Option<SpeakerError>,
    },
    /// Somebody in the room has sent data.
    Data(IncomingData),
    /// The data of [`Output::send_data`] was sent, or could not be.
    Sent {
        /// The call's ticket.
        ticket: Ticket,
        /// The failure, if it failed.
        error: Option<SpeakerError>,
    },
    /// The output is lost, and everything that plays into it fails.
    Lost {
        /// The error.
        error: SpeakerError,
        /// The reason in one word.
        reason: String,
    },
    /// A frame could not be written; later ones may be.
    Failed(SpeakerError),
}

/// The policy for playbacks that nobody can hear, because the room can't be reached or the track is muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnheardPolicy {
    /// Playbacks stand still, and go on from where they were.
    Pause,
    /// Playbacks go on unheard.
    Continue,
    /// Playbacks fail.
    Drop,
}

/// The server's rating of the connection.
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

/// A receiver report (RFC 3550 §6.4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// The fraction of packets lost since the last report, 0–1.
    pub loss: f32,
    /// The interarrival jitter.
    pub jitter: Duration,
    /// The round-trip time to the server, once known.
    pub round_trip: Option<Duration>,
}

/// The quality of the connection, as last reported.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConnectionStats {
    /// The last rating.
    pub quality: Option<Quality>,
    /// The last report.
    pub report: Option<Report>,
}

/// The closing of an output, which may take a while.
pub type Closing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// An output that was opened. Only its session's driver calls it, and no call blocks: files are opened by their disk's threads, and
/// joining a room or publishing a stream completes later.
pub trait Output: Send {
    /// Returns true if the output is open.
    fn is_connected(&self) -> bool {
        true
    }

    /// Publishes `stream` if it is not published yet. Returns true if it accepts samples already; otherwise [`OutputEvent::Opened`]
    /// follows.
    fn prepare(&mut self, _stream: u32, _now: Instant) -> Result<bool> {
        Ok(true)
    }

    /// Unpublishes a stream's track once its last sound was heard, until it is [prepared](Self::prepare) again.
    /// [`OutputEvent::UnpublishDone`] answers `ticket`, if there is one.
    fn unpublish(&mut self, _stream: u32, _ticket: Option<Ticket>, _now: Instant) {}

    /// Mutes or unmutes a stream's track, whether or not it is published yet and whoever muted it.
    fn set_muted(&mut self, _stream: u32, _muted: bool) {}

    /// Sets this participant's name, metadata and attributes, in every room that is joined. [`OutputEvent::Described`] answers `ticket`,
    /// if there is one.
    fn describe(&mut self, _description: Description, _ticket: Option<Ticket>, _now: Instant) {}

    /// Sends data to others in the room as soon as it can be reached. [`OutputEvent::Sent`] answers `ticket`.
    fn send_data(&mut self, _data: OutgoingData, _ticket: Ticket) {}

    /// Sets which of others' data is reported from now on, in every room that is joined.
    fn set_data_interest(&mut self, _interest: DataInterest) {}

    /// Listens to somebody in every room that is joined, until [`unlisten`](Self::unlisten). The session's time began at `epoch`.
    fn listen(&mut self, _listening: Arc<Listening>, _epoch: Instant) {}

    /// Stops listening.
    fn unlisten(&mut self, _id: u32) {}

    /// Polls for the output's own events. Needs tokio's context.
    fn poll(&mut self, _context: &mut Context<'_>, _now: Instant) -> Poll<OutputEvent> {
        Poll::Pending
    }

    /// Writes the next samples of a stream. Returns false if they are not sent, because the room can't be reached or the track is muted.
    fn write(&mut self, frame: &Frame, now: Instant) -> Result<bool>;

    /// Advances by `samples` of silence in which nothing was mixed.
    fn skip(&mut self, samples: Samples) -> Result<()>;

    /// Advances by `samples` that were lost to a halt of the process and are over by now.
    fn lose(&mut self, samples: Samples) -> Result<()> {
        self.skip(samples)
    }

    /// Returns true if nothing more has to be written after the last sound.
    fn may_rest(&self) -> bool {
        true
    }

    /// Flushes what is buffered, because nothing sounds for a while.
    fn rest(&mut self) -> Result<()> {
        Ok(())
    }

    /// Returns true if more can be written now; if not, a manual clock waits.
    fn has_room(&self) -> bool {
        true
    }

    /// Returns the number of frames that were dropped because nobody took them.
    fn dropped(&self) -> u64 {
        0
    }

    /// Returns the number of packets that were sent from the shared cache of encoded clips.
    fn shared(&self) -> u64 {
        0
    }

    /// Closes an output that is not wanted any more before anything was written, and leaves nothing behind. The last call.
    fn give_up(&mut self, now: Instant) -> Closing {
        self.close(now)
    }

    /// Starts to write what is left and to end the connection, whether or not the result is awaited. The last call; it ends in bounded
    /// time and needs tokio's context.
    fn close(&mut self, now: Instant) -> Closing;
}

/// Returns the closing of an output that closes at once.
pub fn closed(result: Result<()>) -> Closing {
    Box::pin(std::future::ready(result))
}

impl OutputOptions {
    /// Returns how tracks map to the output's streams.
    pub fn routing(&self) -> Routing {
        match self {
            Self::LiveKit(_) => Routing::PerTrack,
            _ => Routing::Mixdown,
        }
    }

    /// Returns true if silence is written like sound, so that the output never rests.
    pub fn is_continuous(&self) -> bool {
        matches!(self, Self::Pcm { is_continuous: true, .. })
    }

    /// Returns the longest recording, silence included, if it is limited.
    pub fn capacity(&self, channels: usize) -> Option<Samples> {
        match self {
            Self::Wav { format, .. } => Some(wav::capacity(channels, *format)),
            Self::Memory { .. } => Some(memory::capacity(channels)),
            Self::Pcm { .. } | Self::Encoded(_) | Self::None | Self::LiveKit(_) => None,
        }
    }

    /// Returns the path that is written, if any: no source may read from it.
    pub fn reserved_path(&self) -> Option<&Arc<ReservedPath>> {
        match self {
            Self::Wav { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Notes that the session is over, whether or not the output was ever opened: its listeners' streams end.
    pub fn end(&self) {
        if let Self::Encoded(options) = self {
            options.broadcast.end(None);
        }
    }

    /// Opens the output for `channels` channels, or starts to: [`OutputEvent::Connected`] or [`OutputEvent::Lost`] follows.
    pub fn open(&self, channels: usize, notifier: &Arc<DriverNotifier>, now: Instant) -> Box<dyn Output> {
        match self {
            Self::Wav { path, format, keeps_unheard } => {
                Box::new(wav::Wav::create(path.clone(), channels, *format, *keeps_unheard))
            }
            Self::Pcm { format, is_continuous, sink } => {
                let backlog = Arc::new(Backlog::new(notifier.clone()));
                let pcm = pcm::Pcm::new(*format, None, 0, sink.clone(), backlog);
                if *is_continuous { Box::new(pcm::Continuous::new(pcm)) } else { Box::new(pcm) }
            }
            Self::Memory { recording } => Box::new(memory::Memory::new(channels, recording.clone())),
            Self::Encoded(options) => Box::new(encoded::Encoded::open(options.clone())),
            Self::None => Box::new(none::NoOutput),
            Self::LiveKit(options) => Box::new(livekit::LiveKit::new(options.clone(), channels, now)),
        }
    }
}

fn failed(what: &str, error: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::Output, format!("{what}: {error}"))
}
