//! `speaker-session`: plays audio into a room, a file or a callback, and tells the truth about what was heard.
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
//! - `listen`: a voice's RTP packets in, frames out; pure logic, to which a room gives its packets.
//! - [`session`]: one user's speaker, a plain state machine; [`engine`]: the threads and clocks that move it.
//! - `dither`: noise for outputs of 16 bits; [`g711`]: the code of telephone lines.
//! - [`event`], [`error`]: what the user sees of both; [`redact`], [`secrets`]: what is shown there of a value or of foreign text.
//! - [`reserved`]: the path that an output writes, and no source of its session may be.
//! - [`runtime`]: the process-wide threads; `sync`: what they meet in.
//! - `binding`: the only code that knows Node.

#![warn(missing_docs)]

pub mod audio;
mod binding;
mod dither;
pub mod engine;
pub mod error;
pub mod event;
pub mod g711;
#[doc(hidden)]
pub mod listen;
pub mod mixer;
mod net;
pub mod output;
pub mod redact;
pub mod resample;
pub mod reserved;
pub mod runtime;
pub mod secrets;
pub mod session;
pub mod source;
mod sync;
