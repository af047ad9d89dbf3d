//! A source that its user writes, piece by piece: the format of its bytes, and how a decode task opens them.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use symphonia::core::audio::AudioSpec;
use symphonia::core::io::ReadOnlySource;

use super::body::Body;
use super::decode::{Decode, FormatHint, bounded, empty};
use super::files::Files;
use super::pipe::{PipeReader, PipeWriter, SuspendingPipeReader};
use super::prebuffer::Prebuffer;
use super::raw::{self, Raw, RawDecoder};
use super::ring::DecodeContext;
use super::spool::{Spool, SpoolReader};
use super::spool_budget::SPOOL_BUDGET;
use super::{caf, mp4};
use crate::audio::{FRAME, SAMPLE_RATE, Samples};
use crate::error::{Code, Result, SpeakerError};

/// The most bytes of a stream in a file format that wait: a minute of speech, some seconds of music.
const ENCODED_BYTES: usize = 256 << 10;

/// The format of a stream's bytes.
#[derive(Debug, Clone)]
pub enum Encoding {
    /// Interleaved samples; one channel or two.
    Raw {
        /// The sample format.
        format: Raw,
        /// The sample rate, in Hz.
        rate: u32,
        /// The number of channels: 1 or 2.
        channels: usize,
    },
    /// A file format, named by its extension if it is known. The bytes themselves decide.
    File(Option<String>),
}

impl Encoding {
    /// Returns the position in the source where this many bytes end, if it can be told: within a sample, the position where that begins.
    pub fn position(&self, bytes: u64) -> Option<Samples> {
        match self {
            Self::Raw { format, rate, channels } => {
                let samples = bytes / (format.bytes() * channels) as u64 * format.samples() as u64;
                Some(samples * Samples::from(SAMPLE_RATE) / Samples::from(*rate))
            }
            Self::File(_) => None,
        }
    }

    /// Returns the number of bytes that may wait: a second of raw samples.
    fn capacity(&self) -> usize {
        match self {
            Self::Raw { format, rate, channels } => format.bytes() * *rate as usize * channels / format.samples(),
            Self::File(_) => ENCODED_BYTES,
        }
    }
}

/// The source of a playback, written by its user.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The format of the bytes.
    pub encoding: Encoding,
    /// The reader's end of the pipe.
    pub pipe: Arc<PipeReader>,
    /// The bounds of the prebuffer.
    pub prebuffer: Prebuffer,
}

impl Stream {
    /// Makes a stream and its writer's end. `more` is true if the writer has something at hand already.
    pub fn new(encoding: Encoding, more: bool) -> (Arc<PipeWriter>, Self) {
        let (writer, pipe) = PipeWriter::new(encoding.capacity(), more);
        (writer, Self { encoding, pipe, prebuffer: Prebuffer::default() })
    }

    /// Opens the data written after the last flush, on the decode pool: in a file format that is a new file.
    pub fn open(&self, task: &DecodeContext, hint: FormatHint, detailed: bool) -> Result<Box<dyn Decode>> {
        let mut reader = SuspendingPipeReader::new(self.pipe.clone(), task.clone());
        if !reader.wait_for_bytes().map_err(|error| broken(&error))? {
            return if self.pipe.is_untouched() { Err(empty("the stream")) } else { Ok(Box::new(EmptyStream)) };
        }
        task.note_first_byte();
        Ok(match &self.encoding {
            Encoding::Raw { format, rate, channels } => Box::new(RawStream::new(reader, *format, *rate, *channels)),
            Encoding::File(extension) => {
                let hint = FormatHint { extension: extension.clone(), ..hint };
                let mut body = Body::new(Box::new(ReadOnlySource::new(reader)), task);
                if mp4::index_comes_behind(&mut body) || caf_table_comes_behind(&mut body) {
                    body = read_whole(body, task)?;
                }
                if detailed {
                    body.read_tags();
                }
                Box::new(Files::open(body, &hint)?)
            }
        })
    }
}

fn caf_table_comes_behind(body: &mut Body) -> bool {
    let answer = caf::table_comes_last(|position, into| {
        let position = position as usize;
        let bytes = body.peek(position + into.len()).get(position..).unwrap_or_default();
        let bytes = bytes.get(..into.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(bytes);
        Ok(())
    });
    answer.unwrap_or(false)
}

/// Waits for the end of a body that can't be played before. Any position of the returned one can be read.
fn read_whole(mut body: Body, task: &DecodeContext) -> Result<Body> {
    let spool = Spool::new(&SPOOL_BUDGET, Duration::ZERO);
    let mut buffer = vec![0; 8 << 10];
    while let read @ 1.. = body.read(&mut buffer) {
        spool.append_at_once(&buffer[..read])?;
    }
    if let Some(error) = body.failure() {
        return Err(broken(error));
    }
    spool.finish(Ok(()));
    let mut reader = SpoolReader::new(spool, task);
    reader.wait_until_complete().map_err(|error| broken(&error))?;
    Ok(Body::new(Box::new(reader), task))
}

/// A decoder without a sample: a stream that was flushed and then ended.
struct EmptyStream;

impl Decode for EmptyStream {
    fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>> {
        Ok(None)
    }
}

/// A decoder of raw samples. No demuxer lies between: everything written is played to the last sample, however it was cut.
struct RawStream<R> {
    input: R,
    decoder: RawDecoder,
    spec: AudioSpec,
    /// The bytes of one sample of every channel.
    frame: usize,
    bytes: Vec<u8>,
    /// The number of bytes in `bytes` that were read and not decoded, because they end within a sample.
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
                0 => return Ok(None), // a partial sample is dropped
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
