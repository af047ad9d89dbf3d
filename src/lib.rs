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

#![warn(missing_docs)]

pub mod audio;
mod binding;
mod dither;
pub mod engine;
mod environment;
pub mod error;
pub mod event;
pub mod g711;
pub mod ids;
#[doc(hidden)]
pub mod listen;
pub mod metrics;
pub mod mixer;
mod net;
pub mod output;
pub mod redact;
pub mod resample;
pub mod reserved;
pub mod runtime;
pub mod scope;
pub mod secrets;
pub mod session;
pub mod source;
mod sync;
