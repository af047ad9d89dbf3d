//! A source that its user writes, piece by piece: what the bytes are, and how a decode task opens them.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use symphonia::core::audio::AudioSpec;
use symphonia::core::io::ReadOnlySource;

use super::body::Body;
use super::decode::{Decode, Label, bounded, empty};
use super::file::Files;
use super::pipe::{Outlet, Pipe, PipeReader};
use super::prebuffer::Prebuffer;
use super::raw::{self, Raw, RawDecoder};
use super::ring::Reading;
use super::spool::{Spool, SpoolReader};
use super::spool_budget::SPOOLS;
use super::{caf, mp4};
use crate::audio::{FRAME, SAMPLE_RATE, Samples};
use crate::error::{Code, Result, SpeakerError};

/// How many bytes of a stream in a file format wait at most: a minute of speech, some seconds of music.
const ENCODED_BYTES: usize = 256 << 10;

/// What the bytes of a stream are.
#[derive(Debug, Clone)]
pub enum Encoding {
    /// Interleaved samples; one channel or two.
    Raw {
        /// How they are written.
        format: Raw,
        /// In Hz.
        rate: u32,
        /// 1 or 2.
        channels: usize,
    },
    /// A file format, called by its extension if it is known. The bytes themselves decide.
    File(Option<String>),
}

impl Encoding {
    /// Where so many bytes end in the source, if that can be told: within a sample, where that begins.
    pub fn place(&self, bytes: u64) -> Option<Samples> {
        match self {
            Self::Raw { format, rate, channels } => {
                let samples = bytes / (format.bytes() * channels) as u64 * format.samples() as u64;
                Some(samples * Samples::from(SAMPLE_RATE) / Samples::from(*rate))
            }
            Self::File(_) => None,
        }
    }

    /// How many bytes may wait: a second of raw samples.
    fn capacity(&self) -> usize {
        match self {
            Self::Raw { format, rate, channels } => format.bytes() * *rate as usize * channels / format.samples(),
            Self::File(_) => ENCODED_BYTES,
        }
    }
}

/// What a playback reads from.
#[derive(Debug, Clone)]
pub struct Stream {
    /// What is written to it.
    pub encoding: Encoding,
    /// The end that is read from.
    pub outlet: Arc<Outlet>,
    /// How much is gathered before it is played.
    pub prebuffer: Prebuffer,
}

impl Stream {
    /// A stream and its writer's end. `more` is true if the writer has something at hand already.
    pub fn new(encoding: Encoding, more: bool) -> (Arc<Pipe>, Self) {
        let (pipe, outlet) = Pipe::new(encoding.capacity(), more);
        (pipe, Self { encoding, outlet, prebuffer: Prebuffer::default() })
    }

    /// Opens what is written after the last flush, on the decode pool: in a file format that is a new file.
    pub fn open(&self, task: &Reading, label: Label, detailed: bool) -> Result<Box<dyn Decode>> {
        let mut reader = PipeReader::new(self.outlet.clone(), task.clone());
        if !reader.wait_for_bytes().map_err(|error| broken(&error))? {
            return match self.outlet.is_untouched() {
                true => Err(empty("the stream")),
                false => Ok(Box::new(Nothing)),
            };
        }
        task.has_bytes();
        Ok(match &self.encoding {
            Encoding::Raw { format, rate, channels } => Box::new(RawStream::new(reader, *format, *rate, *channels)),
            Encoding::File(extension) => {
                let label = Label { extension: extension.clone(), ..label };
                let mut body = Body::new(Box::new(ReadOnlySource::new(reader)), task);
                if mp4::index_comes_behind(&mut body) || caf_table_comes_behind(&mut body) {
                    body = held(body, task)?;
                }
                if detailed {
                    body.read_tags();
                }
                Box::new(Files::open(body, &label)?)
            }
        })
    }
}

fn caf_table_comes_behind(body: &mut Body) -> bool {
    let answer = caf::table_comes_last(|place, into| {
        let place = place as usize;
        let bytes = body.peek(place + into.len()).get(place..).unwrap_or_default();
        let bytes = bytes.get(..into.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(bytes);
        Ok(())
    });
    answer.unwrap_or(false)
}

/// Waits for the end of a body that can't be played before. Any place of what is returned can be read.
fn held(mut body: Body, task: &Reading) -> Result<Body> {
    let spool = Spool::new(&SPOOLS, Duration::ZERO);
    let mut buffer = vec![0; 8 << 10];
    while let read @ 1.. = body.read(&mut buffer) {
        spool.hold(&buffer[..read])?;
    }
    if let Some(error) = body.failure() {
        return Err(broken(error));
    }
    spool.finish(Ok(()));
    let mut reader = SpoolReader::new(spool, task);
    reader.wait_until_complete().map_err(|error| broken(&error))?;
    Ok(Body::new(Box::new(reader), task))
}

/// Decodes nothing: a stream that was flushed and then ended.
struct Nothing;

impl Decode for Nothing {
    fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>> {
        Ok(None)
    }
}

/// Raw samples. Without a demuxer between: what was written is heard to the last sample, however it was cut.
struct RawStream<R> {
    input: R,
    decoder: RawDecoder,
    spec: AudioSpec,
    /// Bytes of a sample for each channel.
    frame: usize,
    bytes: Vec<u8>,
    /// How many of `bytes` are read and not decoded, for they end within a sample.
    held: usize,
    samples: Vec<f32>,
}

impl<R: Read> RawStream<R> {
    fn new(input: R, format: Raw, rate: u32, channels: usize) -> Self {
        let frame = format.bytes() * channels;
        // One frame of the session's, at the stream's own rate.
        let samples = (FRAME * rate as usize).div_ceil(SAMPLE_RATE as usize);
        let bytes = vec![0; frame * samples.div_ceil(format.samples())];
        let decoder = RawDecoder::new(format);
        Self { input, decoder, spec: raw::spec(rate, channels), frame, bytes, held: 0, samples: Vec::new() }
    }
}

impl<R: Read> Decode for RawStream<R> {
    fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>> {
        while self.held < self.frame {
            match self.input.read(&mut self.bytes[self.held..]).map_err(|error| broken(&error))? {
                0 => return Ok(None), // a part of a sample is none
                read => self.held += read,
            }
        }
        let whole = self.held - self.held % self.frame;
        self.decoder.decode(&self.bytes[..whole], &mut self.samples);
        self.samples.iter_mut().for_each(|sample| *sample = bounded(*sample));
        self.bytes.copy_within(whole..self.held, 0);
        self.held -= whole;
        Ok(Some((&self.spec, &self.samples)))
    }
}

fn broken(error: &std::io::Error) -> SpeakerError {
    SpeakerError::new(Code::Stream, error.to_string())
}
