//! The output that writes a WAV file: its bytes, and when they are written. Where they go is `output_file.rs`'s affair.

use std::sync::Arc;

use super::output_file::OutputFile;
use super::{Closing, Output, SampleFormat, closed};
use crate::audio::{SAMPLE_RATE, Samples, to_s16};
use crate::dither::Dither;
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Frame;
use crate::reserved::ReservedPath;

/// How much sound is held back at most, so that a process that is killed leaves a file that plays: half a second.
const WRITE_EVERY: u64 = SAMPLE_RATE as u64 / 2;

/// RIFF counts bytes in 32 bits; the rest is for the header.
const MAX_BYTES: u64 = u32::MAX as u64 - 1_024;

/// What a device is given at once of a silence that it can't leave out.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// The bytes of a frame of `channels` samples.
fn frame_bytes(channels: usize, format: SampleFormat) -> u64 {
    (format.bytes() * channels) as u64
}

/// How many samples per channel a file holds.
pub fn capacity(channels: usize, format: SampleFormat) -> Samples {
    MAX_BYTES / frame_bytes(channels, format)
}

pub struct Wav {
    /// Gone once it is closed.
    file: Option<OutputFile>,
    format: SampleFormat,
    dither: Option<Dither>,
    channels: usize,
    keeps_unheard: bool,
    /// Something was mixed into it.
    is_heard: bool,
    /// The bytes of samples so far, silence and what is held back included.
    length: u64,
    /// The last of them, not written yet.
    held: Vec<u8>,
    /// `length` when the header was written last, and with it all before.
    written: u64,
    /// Why nothing more is written: after a gap the rest would not be where it belongs.
    failure: Option<SpeakerError>,
}

impl Wav {
    /// Creates the file; its header is valid from the start. A file in which nothing sounded is thrown away, unless
    /// `keeps_unheard`.
    pub fn create(path: Arc<ReservedPath>, channels: usize, format: SampleFormat, keeps_unheard: bool) -> Result<Self> {
        let file = OutputFile::create(path)?;
        let mut wav = Self {
            file: Some(file),
            format,
            dither: format.dither(0),
            channels,
            keeps_unheard,
            is_heard: false,
            length: 0,
            held: Vec::new(),
            written: 0,
            failure: None,
        };
        if let Err(error) = wav.write_out() {
            // It is empty.
            let _ = wav.file.take().map(OutputFile::discard);
            return Err(error);
        }
        Ok(wav)
    }

    /// The header of a file that holds `length` bytes of samples.
    fn header(&self, length: u64) -> Vec<u8> {
        let (tag, extra): (u16, &[&[u8]]) = match self.format {
            SampleFormat::S16 { .. } => (1, &[]),
            // What is not PCM has an extension, which is empty, and says how many samples there are.
            SampleFormat::F32 => (3, &[&[0, 0], b"fact", &[4, 0, 0, 0], &[0; 4]]),
        };
        let frame = frame_bytes(self.channels, self.format);
        let mut header = Vec::with_capacity(64);
        header.extend(b"RIFF\0\0\0\0WAVEfmt ");
        header.extend(if extra.is_empty() { 16_u32 } else { 18 }.to_le_bytes());
        header.extend(tag.to_le_bytes());
        header.extend((self.channels as u16).to_le_bytes());
        header.extend(SAMPLE_RATE.to_le_bytes());
        header.extend((SAMPLE_RATE * frame as u32).to_le_bytes());
        header.extend((frame as u16).to_le_bytes());
        header.extend((self.format.bytes() as u16 * 8).to_le_bytes());
        extra.iter().for_each(|bytes| header.extend(*bytes));
        if !extra.is_empty() {
            let fact = header.len() - 4;
            header[fact..].copy_from_slice(&((length / frame) as u32).to_le_bytes());
        }
        header.extend(b"data");
        header.extend((length as u32).to_le_bytes());
        let riff = header.len() as u64 - 8 + length;
        header[4..8].copy_from_slice(&(riff as u32).to_le_bytes());
        header
    }

    /// Does something that may fail, once: then the file takes nothing more.
    fn attempt(&mut self, what: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let result = what(self);
        if let Err(failure) = &result {
            self.failure = Some(failure.clone());
            self.save();
        }
        result
    }

    /// The header tells of what reached the file before it failed.
    fn save(&mut self) {
        let Some(file) = self.file.as_ref().filter(|file| file.is_sparse()) else { return };
        let frame = frame_bytes(self.channels, self.format);
        let there = file.length().saturating_sub(self.header_bytes()).min(self.length);
        let header = self.header(there - there % frame);
        if let Some(file) = &mut self.file {
            // It overwrites bytes that have their room. If it fails all the same, the one before is still true.
            let _ = file.write_at(0, &header);
        }
    }

    /// Makes room for so many bytes of samples more.
    fn grow(&mut self, bytes: u64) -> Result<()> {
        if self.length + bytes > MAX_BYTES {
            let message = "Expected at most 4 GiB for a WAV file but received more";
            return Err(SpeakerError::new(Code::Output, message));
        }
        self.length += bytes;
        Ok(())
    }

    fn put(&mut self, samples: &[f32]) -> Result<()> {
        self.grow((samples.len() * self.format.bytes()) as u64)?;
        let Self { held, dither, format, .. } = self;
        match format {
            SampleFormat::S16 { .. } => held.extend(samples.iter().flat_map(|sample| {
                to_s16(dither.as_mut().map_or(*sample, |dither| dither.add(*sample))).to_le_bytes()
            })),
            SampleFormat::F32 => held.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
        }
        self.write_at_times()
    }

    /// Dither belongs to what was mixed: silence that was skipped stays silent, and is left out of a file.
    fn put_silence(&mut self, samples: Samples) -> Result<()> {
        let bytes = samples.saturating_mul(frame_bytes(self.channels, self.format));
        self.write_held()?;
        self.grow(bytes)?;
        let Some(file) = self.file.as_mut().filter(|file| !file.is_sparse()) else { return self.write_at_times() };
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(ZEROS.len() as u64);
            file.write_at(0, &ZEROS[..piece as usize])?;
            left -= piece;
        }
        Ok(())
    }

    fn write_at_times(&mut self) -> Result<()> {
        let due = self.written + WRITE_EVERY * frame_bytes(self.channels, self.format);
        if self.length >= due { self.write_out() } else { Ok(()) }
    }

    /// Writes what is held back, behind silence that was left out.
    fn write_held(&mut self) -> Result<()> {
        let at = self.header_bytes() + self.length - self.held.len() as u64;
        if let Some(file) = self.file.as_mut().filter(|_| !self.held.is_empty()) {
            file.write_at(at, &self.held)?;
            self.held.clear();
        }
        Ok(())
    }

    /// Brings the file up to date; the header last, so that it never says more than there is.
    fn write_out(&mut self) -> Result<()> {
        let ends_in_silence = self.held.is_empty() && self.length > self.written;
        self.write_held()?;
        let (length, is_sparse) = (self.length, self.file.as_ref().is_some_and(OutputFile::is_sparse));
        let most = capacity(self.channels, self.format) * frame_bytes(self.channels, self.format);
        let header = self.header(if is_sparse { length } else { most });
        let Some(file) = &mut self.file else { return Ok(()) };
        if is_sparse && ends_in_silence {
            file.set_len(header.len() as u64 + length)?;
        }
        // A device is told at its start the most that may come: nobody can tell it later.
        if is_sparse || length == 0 {
            file.write_at(0, &header)?;
        }
        self.written = self.length;
        Ok(())
    }

    fn header_bytes(&self) -> u64 {
        if self.format == SampleFormat::F32 { 58 } else { 44 }
    }

    fn finish(&mut self) -> Result<()> {
        let result = self.attempt(Self::write_out);
        let Some(file) = self.file.take() else { return Ok(()) };
        // What failed stays where it is: it is not whole.
        result?;
        match self.is_heard {
            false if !self.keeps_unheard || file.would_replace_source() => file.discard(),
            _ if file.would_replace_source() => Err(file.leave()),
            _ => file.keep(),
        }
    }
}

impl Output for Wav {
    fn write(&mut self, frame: &Frame) -> Result<bool> {
        self.is_heard = true;
        self.attempt(|wav| wav.put(frame.samples)).map(|()| true)
    }

    fn skip(&mut self, samples: Samples) -> Result<()> {
        self.attempt(|wav| wav.put_silence(samples))
    }

    fn rest(&mut self) -> Result<()> {
        self.attempt(Self::write_out)
    }

    fn give_up(&mut self) -> Closing {
        closed(self.file.take().map_or(Ok(()), OutputFile::discard))
    }

    fn close(&mut self) -> Closing {
        closed(self.finish())
    }
}

impl Drop for Wav {
    /// Its driver broke before it was closed: what is held back is written, and all else is left as it is.
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = self.attempt(Self::write_out);
        }
    }
}
