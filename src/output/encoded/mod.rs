//! The output that encodes the mix for any number of listeners: an endless Ogg Opus, MP3 or WAV.
//!
//! ```text
//! frame → blocks of 20 ms → encoder.rs → broadcast.rs (the last pieces) → reader.rs (one per listener) → JavaScript
//! ```
//!
//! The driver encodes, as for a room: each piece once for all listeners, and nothing while there is none. Each listener reads at its own place
//! and wraps what it finds (`container.rs`), so none can delay the mix or another one.

mod broadcast;
mod container;
mod encoder;
mod mp3;
mod reader;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Closing, Output, OutputEvent, Question, SampleFormat, closed};
use crate::audio::{FRAME, PER_MS, Samples};
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Frame;
use encoder::Encoder;

pub use broadcast::Broadcast;
pub use reader::{AudioReader, Read};

/// The most blocks that are encoded in one turn: the sound before a first listener's arrival is encoded over several, or other sessions of the
/// thread would wait for it.
const BLOCKS_A_TURN: usize = 8;

/// The samples of [`Codec::Wav`].
const WAV: SampleFormat = SampleFormat::S16 { dither: false };

/// The encoding of the mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Opus in Ogg (RFC 7845).
    Opus,
    /// MPEG-1 Audio Layer III at a constant bitrate.
    Mp3,
    /// Samples of 16 bits in a WAV without an end.
    Wav,
}

impl Codec {
    /// Returns the sound that a decoder needs before it is in step with the encoder. RFC 7845 §4.2: 80 ms for Opus.
    const fn preroll(self) -> Samples {
        match self {
            Self::Opus => 80 * PER_MS,
            Self::Mp3 | Self::Wav => 0,
        }
    }
}

/// The format of an encoded stream.
#[derive(Debug, Clone, Copy)]
pub struct EncodedFormat {
    /// The codec.
    pub codec: Codec,
    /// 1 or 2.
    pub channels: usize,
    /// In bit/s; not for WAV.
    pub bitrate: u32,
    /// The sound before its arrival that a listener gets at once.
    pub burst: Samples,
    /// The sound in a piece, a multiple of a frame.
    pub piece: Samples,
}

impl EncodedFormat {
    /// Returns the number of pieces before its arrival that a listener gets.
    fn pieces(&self) -> u64 {
        (self.burst + self.codec.preroll()).div_ceil(self.piece)
    }

    /// Returns the number of blocks that are kept for a first listener: those pieces, and the block in which it arrives.
    fn history(&self) -> usize {
        (self.pieces() * self.piece) as usize / FRAME + 1
    }
}

/// The options of an encoded output.
#[derive(Clone)]
pub struct EncodedOptions {
    /// The format.
    pub format: EncodedFormat,
    /// The log that its listeners read; it outlasts the output.
    pub broadcast: Arc<Broadcast>,
    /// Starts the server, if it is served.
    pub serve: Option<Question>,
}

/// An encoder at work.
struct Encoding {
    encoder: Encoder,
    /// The number of the next block.
    next: u64,
}

pub struct Encoded {
    options: EncodedOptions,
    /// The last blocks of 20 ms, interleaved; an empty one is silence.
    history: VecDeque<Vec<f32>>,
    /// The number of blocks so far.
    blocks: u64,
    /// The block that is not complete.
    partial: Vec<f32>,
    /// Present while somebody listens.
    encoding: Option<Encoding>,
    /// True if somebody listens, as last reported.
    reported: Option<bool>,
    is_connected: bool,
    /// The server that is being started.
    serving: Option<Pin<Box<dyn Future<Output = super::Answer> + Send>>>,
    /// It was never open: its listeners wait for the next one.
    is_given_up: bool,
}

impl Encoded {
    pub fn open(options: EncodedOptions) -> Self {
        options.broadcast.begin();
        // The sound before the first is silence.
        let history: VecDeque<_> = (0..options.format.history()).map(|_| Vec::new()).collect();
        Self {
            blocks: history.len() as u64,
            history,
            partial: Vec::new(),
            encoding: None,
            reported: None,
            is_connected: false,
            serving: options.serve.as_ref().map(|serve| serve()),
            is_given_up: false,
            options,
        }
    }

    /// Returns the samples of a block, of all channels.
    fn block(&self) -> usize {
        FRAME * self.options.format.channels
    }

    /// Appends samples, and encodes each block that they complete.
    fn add(&mut self, mut samples: &[f32]) -> Result<()> {
        while !samples.is_empty() {
            let (now, rest) = samples.split_at(samples.len().min(self.block() - self.partial.len()));
            self.partial.extend_from_slice(now);
            samples = rest;
            if self.partial.len() == self.block() {
                self.complete();
                self.encode(BLOCKS_A_TURN)?;
            }
        }
        Ok(())
    }

    /// Puts the block that is complete into the history.
    fn complete(&mut self) {
        let oldest = self.history.pop_front().unwrap_or_default();
        let is_silent = self.partial.iter().all(|sample| *sample == 0.0);
        let block = if is_silent { Vec::new() } else { std::mem::replace(&mut self.partial, oldest) };
        self.history.push_back(block);
        self.partial.clear();
        self.blocks += 1;
    }

    /// Encodes up to `most` blocks, if somebody listens.
    fn encode(&mut self, most: usize) -> Result<()> {
        let EncodedOptions { format, broadcast, .. } = &self.options;
        if !broadcast.is_heard() {
            self.encoding = None;
            return Ok(());
        }
        let first = self.blocks - self.history.len() as u64;
        let encoding = match &mut self.encoding {
            Some(encoding) => encoding,
            none => none.insert(Encoding { encoder: Encoder::new(*format)?, next: first }),
        };
        for _ in 0..most {
            let Some(block) = self.history.get((encoding.next - first) as usize) else { break };
            encoding.next += 1;
            if let Some(piece) = encoding.encoder.push(block)? {
                broadcast.push(piece);
            }
        }
        Ok(())
    }

    /// Advances over silence that is not encoded: nobody listens, or it is over already.
    fn pass(&mut self, samples: Samples) {
        let whole = self.block();
        let channels = self.options.format.channels;
        let samples = samples as usize;
        let begun = (whole - self.partial.len()) / channels;
        if samples < begun {
            self.partial.resize(self.partial.len() + samples * channels, 0.0);
            return;
        }
        self.partial.resize(whole, 0.0);
        self.complete();
        let (blocks, rest) = ((samples - begun) / FRAME, (samples - begun) % FRAME);
        for _ in 0..blocks.min(self.history.len()) {
            self.partial.resize(whole, 0.0);
            self.complete();
        }
        self.partial.resize(rest * channels, 0.0);
        if let Some(encoding) = &mut self.encoding {
            encoding.next = self.blocks;
        }
    }

    /// Encodes what is left, and ends every stream.
    fn end(&mut self) -> Result<()> {
        self.encode(usize::MAX)?;
        let last = self.encoding.take().map(|mut encoding| encoding.encoder.finish(&self.partial)).transpose()?;
        self.options.broadcast.end(last);
        Ok(())
    }
}

impl Output for Encoded {
    fn is_connected(&self) -> bool {
        self.is_connected
    }

    fn poll(&mut self, context: &mut Context<'_>, _now: Instant) -> Poll<OutputEvent> {
        let has_audience = self.options.broadcast.is_heard();
        if !has_audience {
            self.encoding = None;
        }
        if self.reported.replace(has_audience) != Some(has_audience) {
            return Poll::Ready(OutputEvent::Audience(has_audience));
        }
        if self.is_connected || self.is_given_up {
            return Poll::Pending;
        }
        if let Some(serving) = &mut self.serving {
            match serving.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(_)) => self.serving = None,
                Poll::Ready(Err(reason)) => {
                    (self.serving, self.is_given_up) = (None, true);
                    let error = SpeakerError::new(Code::Output, reason);
                    return Poll::Ready(OutputEvent::Lost { error, reason: "serverFailed".to_owned() });
                }
            }
        }
        self.is_connected = true;
        Poll::Ready(OutputEvent::Connected)
    }

    fn write(&mut self, frame: &Frame, _now: Instant) -> Result<bool> {
        self.add(frame.samples).map(|()| true)
    }

    /// A frame of silence is one like others; more was not mixed, because nobody listened.
    fn skip(&mut self, samples: Samples) -> Result<()> {
        if samples <= FRAME as Samples {
            return self.add(&[0.0; 2 * FRAME][..samples as usize * self.options.format.channels]);
        }
        self.pass(samples);
        Ok(())
    }

    /// Lost time is not encoded: it would all come late.
    fn lose(&mut self, samples: Samples) -> Result<()> {
        self.pass(samples);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.options.broadcast.has_room()
    }

    fn dropped(&self) -> u64 {
        self.options.broadcast.dropped()
    }

    fn give_up(&mut self, now: Instant) -> Closing {
        self.is_given_up = true;
        self.close(now)
    }

    fn close(&mut self, _now: Instant) -> Closing {
        closed(if self.is_given_up { Ok(()) } else { self.end() })
    }
}
