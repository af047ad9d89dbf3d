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
//! binding → session::Handle → Registry (policy) → Actor → mixer and sources
//! binding ←──────────────── events, in one order ───┘
//! ```
//!
//! # Layout
//!
//! - [`audio`]: sample rate, frame, time; every size is derived there.
//! - [`source`], [`mixer`], [`output`]: the sound path, in this order.
//! - [`session`]: the control path.
//! - [`event`], [`error`]: what the user sees of both; [`redact`]: what of foreign text is shown there.
//! - [`runtime`]: the process-wide threads.
//! - `binding`: the only code that knows Node.

pub mod audio;
mod binding;
pub mod error;
pub mod event;
pub mod mixer;
pub mod output;
pub mod redact;
pub mod resample;
pub mod runtime;
pub mod session;
pub mod source;
