//! The output that writes a WAV file: the one place that knows hound.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use hound::{SampleFormat as Kind, WavSpec, WavWriter};

use super::{Closing, Output, SampleFormat, closed, failed};
use crate::audio::{SAMPLE_RATE, Samples, to_s16};
use crate::dither::Dither;
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Frame;

/// How often the header is brought up to date, so that a process that is killed leaves a file that plays.
const HEADER_EVERY: usize = SAMPLE_RATE as usize / 2;

/// RIFF counts bytes in 32 bits; the rest is for the header.
const MAX_BYTES: u64 = u32::MAX as u64 - 1_024;

pub struct Wav {
    writer: Option<WavWriter<BufWriter<File>>>,
    format: SampleFormat,
    dither: Option<Dither>,
    channels: usize,
    samples: u64,
    since_header: usize,
}

impl Wav {
    /// Creates the file, or empties the one that is there; its header is valid from the start.
    pub fn create(path: &Path, channels: usize, format: SampleFormat) -> Result<Self> {
        let (bits_per_sample, sample_format) = match format {
            SampleFormat::S16 { .. } => (16, Kind::Int),
            SampleFormat::F32 => (32, Kind::Float),
        };
        let spec = WavSpec { channels: channels as u16, sample_rate: SAMPLE_RATE, bits_per_sample, sample_format };
        let create = || {
            let mut writer = WavWriter::create(path, spec)?;
            writer.flush()?;
            Ok(writer)
        };
        let writer =
            create().map_err(|error: hound::Error| failed(&format!("{} can't be written", path.display()), error))?;
        let dither = format.dither(0);
        Ok(Self { writer: Some(writer), format, dither, channels, samples: 0, since_header: 0 })
    }

    /// Dither belongs to what was mixed; silence that was skipped stays silent.
    fn put(&mut self, samples: impl ExactSizeIterator<Item = f32>, mixed: bool) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let count = samples.len();
        self.samples += count as u64;
        if self.samples * self.format.bytes() as u64 > MAX_BYTES {
            return Err(SpeakerError::new(Code::Output, "a WAV file holds at most 4 GiB"));
        }
        let mut dither = self.dither.as_mut().filter(|_| mixed);
        let mut round = |sample| to_s16(dither.as_mut().map_or(sample, |dither| dither.add(sample)));
        let write = || {
            match self.format {
                SampleFormat::S16 { .. } => samples.into_iter().try_for_each(|s| writer.write_sample(round(s)))?,
                SampleFormat::F32 => samples.into_iter().try_for_each(|s| writer.write_sample(s))?,
            }
            self.since_header += count;
            if self.since_header >= HEADER_EVERY * self.channels {
                self.since_header = 0;
                writer.flush()?;
            }
            Ok(())
        };
        write().map_err(|error: hound::Error| failed("the WAV file can't be written", error))
    }
}

impl Output for Wav {
    fn write(&mut self, frame: &Frame) -> Result<bool> {
        self.put(frame.samples.iter().copied(), true).map(|()| true)
    }

    fn skip(&mut self, samples: Samples) -> Result<()> {
        let count = samples as usize * self.channels;
        self.put((0..count).map(|_| 0.0), false)
    }

    fn rest(&mut self) -> Result<()> {
        match &mut self.writer {
            Some(writer) => writer.flush().map_err(|error| failed("the WAV file can't be written", error)),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Closing {
        let finalized = self.writer.take().map_or(Ok(()), WavWriter::finalize);
        closed(finalized.map_err(|error| failed("the WAV file can't be closed", error)))
    }
}
