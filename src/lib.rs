//! `speaker-session`: plays audio into a room, a file or a callback, and reports truthfully what was heard.
//!
//! # The two paths
//!
//! Sound flows one way, samples at 48 kHz from the ring on:
//!
//! ```text
//! request → source (fetch → decode → downmix → resample → ring) → mixer (bus → limiter) → output (livekit, wav, …)
//! ```
//!
//! Control flows one way, and events come back one way:
//!
//! ```text
//! binding → engine::Handle → Session (policy, shelves) → mixer and sources
//! binding ←─ events, in one order ─ outbox ─┘
//! ```
//!
//! # Who may use it
//!
//! The crate is a Node.js addon: its users call it from JavaScript, through `binding`, and `index.d.ts` is its contract. In Rust it promises
//! nothing, so every module is private, and `pub` within them means that other modules use it. Only the tests, the benchmarks and the fuzzer link
//! the crate: what they reach is listed in [`internals`], must be documented, and may change at any time.
//! `cargo doc --document-private-items` makes pages of all of it.
//!
//! # Layout
//!
//! - [`audio`]: sample rate, frame, time; every size is derived there.
//! - [`source`], [`mixer`], [`output`]: the sound path, in this order.
//! - `listen`: the RTP packets of a participant's voice in, frames out; pure logic, to which a room gives its packets.
//! - [`session`]: one user's speaker, a plain state machine; [`engine`]: the threads and clocks that drive it.
//! - [`metrics`]: counts and histograms over all sessions of the process.
//! - `dither`: noise for outputs of 16 bits; [`g711`]: the codec of telephone lines.
//! - [`ids`]: the numbers by which playbacks, calls and marks are known.
//! - [`event`], [`error`]: messages and errors to the user; [`redact`], [`secrets`]: how values and foreign text are shown in them.
//! - [`reserved`]: the path that an output writes, which no source of its session may read.
//! - `environment`: variables that the user sets.
//! - [`scope`]: the session and request that a thread works for, for the log.
//! - [`runtime`]: the process-wide threads; `sync`: the locks and atomics that they share.
//! - `binding`: the only code that knows Node.

#![allow(rustdoc::private_intra_doc_links, reason = "there are no other modules to link to")]

mod audio;
mod binding;
mod dither;
mod engine;
mod environment;
mod error;
mod event;
mod g711;
mod ids;
mod listen;
mod metrics;
mod mixer;
mod net;
mod output;
mod redact;
mod resample;
mod reserved;
mod runtime;
mod scope;
mod secrets;
mod session;
mod source;
mod sync;

/// The items that `tests/` and `bench/` use, by module. No interface: it changes with the code.
#[doc(hidden)]
pub mod internals {
    pub mod audio {
        pub use crate::audio::{EDGE_FADE, FRAME, LOOK_AHEAD, PREROLL, RING, SAMPLE_RATE, Samples, from_ms, to_ms};
    }
    pub mod engine {
        pub use crate::engine::{EngineOptions, Handle, broken_sessions};
    }
    pub mod error {
        pub use crate::error::{Code, Result, SpeakerError};
    }
    pub mod event {
        pub use crate::event::{Event, EventKind, Message};
    }
    pub mod g711 {
        pub use crate::g711::Law;
    }
    pub mod ids {
        pub use crate::ids::{MarkId, PlaybackId, Ticket};
    }
    pub mod listen {
        pub use crate::listen::{Format, FrameKind, JitterBuffer, Packet};
    }
    pub mod metrics {
        pub use crate::metrics::METRICS;
    }
    pub mod mixer {
        pub use crate::mixer::{
            Duck, Frame, Limiter, Mixer, MixerEvent, MixerEventKind, Ramp, Role, Routing, Scratch, Stem, TrackVolume,
            Voice, Written,
        };
    }
    pub mod output {
        pub use crate::output::{
            Backlog, Closing, ConnectionStats, DataInterest, Encoder, Encoding, IncomingContent, IncomingData,
            ListenRequest, Listening, OutgoingContent, OutgoingData, Output, OutputEvent, OutputOptions, Payload,
            PcmFormat, PcmFrame, Recording, Rpc, SampleFormat, TapRequest, TapTarget, Text, UnheardPolicy, fuzz,
        };
    }
    pub mod redact {
        pub use crate::redact::redact;
    }
    pub mod resample {
        pub use crate::resample::Resampler;
    }
    pub mod reserved {
        pub use crate::reserved::ReservedPath;
    }
    pub mod runtime {
        pub use crate::runtime::{DECODERS, Pool, RUNTIME, Worker, suspend};
    }
    pub mod session {
        pub use crate::session::{
            Clock, ConnectionState, DriverCounts, OnDuplicate, Open, Options, OutputRequest, Overlap, Pace, Phase,
            PlayRequest, PlaybackInfo, Policy, RequestId, Session, Stats, Step, StopRequest, TapOf, Target, WallTime,
            Work,
        };
    }
    pub mod source {
        pub use crate::source::{
            Clips, DriverNotifier, Encoding, Fetch, FetchLimits, Media, MemoryFile, Opening, Origin, PcmReader,
            PipeWriter, Probed, Raw, Section, Source, SourceState, Stream, Supply, divided, make_clip, open, probe,
        };
    }
}
