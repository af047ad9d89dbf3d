//! The WAV file as written by its disk's threads: drains the queue, keeps the header valid, and moves the file to its final path.

use std::ops::Range;
use std::sync::Arc;

use super::SampleFormat;
use super::output_file::OutputFile;
use super::wav_queue::{Piece, Waiting, WavQueue};
use crate::audio::{SAMPLE_RATE, Samples};
use crate::error::Result;
use crate::g711::{self, Law};
use crate::reserved::ReservedPath;

/// The most bytes of samples: RIFF sizes have 32 bits, less some room for the header.
pub const MAX_BYTES: u64 = u32::MAX as u64 - 1_024;

/// The chunk in which silence is written that can't be left out.
const SILENCE_CHUNK: usize = 1 << 16;

/// The chunk in which samples are written; after each one the disk counts as making progress.
const CHUNK: usize = 1 << 20;

/// The sample format and channels of a file.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub channels: usize,
    pub format: SampleFormat,
}

impl Layout {
    /// Returns the bytes of one sample of all channels.
    pub fn frame_bytes(self) -> u64 {
        (self.format.bytes() * self.channels) as u64
    }

    /// Returns the sample rate in Hz.
    pub fn rate(self) -> u32 {
        match self.format {
            SampleFormat::G711(_) => g711::RATE,
            SampleFormat::S16 { .. } | SampleFormat::F32 => SAMPLE_RATE,
        }
    }

    /// Returns the most samples per channel, at the session's rate.
    pub fn capacity(self) -> Samples {
        self.max_frames() * u64::from(SAMPLE_RATE / self.rate())
    }

    fn max_frames(self) -> u64 {
        MAX_BYTES / self.frame_bytes()
    }

    /// Returns the byte of silence. Where it is 0, a sparse file may leave silence out.
    fn silence(self) -> u8 {
        match self.format {
            SampleFormat::G711(law) => law.silence(),
            SampleFormat::S16 { .. } | SampleFormat::F32 => 0,
        }
    }

    fn header_bytes(self) -> u64 {
        if matches!(self.format, SampleFormat::S16 { .. }) { 44 } else { 58 }
    }

    /// Returns the header of a file with `length` bytes of samples.
    fn header(self, length: u64) -> Vec<u8> {
        let riff = self.header_bytes() - 8 + length + padding(length);
        self.header_of_sizes(riff as u32, length as u32)
    }

    /// Returns the header of a stream without an end: its sizes are those that ffmpeg writes into a pipe.
    pub fn endless_header(self) -> Vec<u8> {
        self.header_of_sizes(u32::MAX, u32::MAX)
    }

    /// Returns a header with the sizes of its chunks `RIFF` and `data`.
    fn header_of_sizes(self, riff: u32, data: u32) -> Vec<u8> {
        let tag: u16 = match self.format {
            SampleFormat::S16 { .. } => 1,
            SampleFormat::F32 => 3,
            SampleFormat::G711(Law::A) => 6,
            SampleFormat::G711(Law::Mu) => 7,
        };
        let (frame, rate) = (self.frame_bytes() as u32, self.rate());
        // Formats other than PCM have an empty extension and a `fact` chunk with the number of samples.
        let frames = (data / frame).to_le_bytes();
        let extra: &[&[u8]] = if tag == 1 { &[] } else { &[&[0, 0], b"fact", &[4, 0, 0, 0], &frames] };
        let mut header = Vec::with_capacity(64);
        header.extend(b"RIFF");
        header.extend(riff.to_le_bytes());
        header.extend(b"WAVEfmt ");
        header.extend(if extra.is_empty() { 16_u32 } else { 18 }.to_le_bytes());
        header.extend(tag.to_le_bytes());
        header.extend((self.channels as u16).to_le_bytes());
        header.extend(rate.to_le_bytes());
        header.extend((rate * frame).to_le_bytes());
        header.extend((frame as u16).to_le_bytes());
        header.extend((self.format.bytes() as u16 * 8).to_le_bytes());
        extra.iter().for_each(|bytes| header.extend(*bytes));
        header.extend(b"data");
        header.extend(data.to_le_bytes());
        header
    }
}

/// Returns the padding of a chunk: one byte after an odd length.
fn padding(length: u64) -> u64 {
    length % 2
}

pub struct WavFile {
    layout: Layout,
    keeps_unheard: bool,
    queue: Arc<WavQueue>,
    /// None before it is opened and after it is finished.
    file: Option<OutputFile>,
    /// The bytes of samples in it, omitted silence included.
    length: u64,
    /// A write has failed.
    is_broken: bool,
}

impl WavFile {
    /// Creates a file, not opened yet. If nothing sounded it is discarded at the end, unless `keeps_unheard`.
    pub fn new(layout: Layout, keeps_unheard: bool, queue: Arc<WavQueue>) -> Self {
        Self { layout, keeps_unheard, queue, file: None, length: 0, is_broken: false }
    }

    /// Creates the file with a valid header, unless it was given up meanwhile.
    pub fn open(&mut self, path: Arc<ReservedPath>) {
        if self.queue.is_given_up() {
            return;
        }
        match self.create(path) {
            Ok(()) => self.queue.opened(self.file.as_ref().and_then(OutputFile::part).map(Into::into)),
            Err(error) => self.queue.fail(error),
        }
    }

    fn create(&mut self, path: Arc<ReservedPath>) -> Result<()> {
        let mut file = OutputFile::create(path)?;
        // A device can't seek back, so its header announces the maximum.
        let length = if file.is_sparse() { 0 } else { self.layout.max_frames() * self.layout.frame_bytes() };
        if let Err(error) = file.write_at(0, &self.layout.header(length)) {
            // It is empty.
            let _ = file.discard();
            return Err(error);
        }
        self.file = Some(file);
        Ok(())
    }

    /// Writes what is queued. After the first error, which is reported, nothing more is written.
    pub fn write(&mut self) {
        let waiting = self.queue.take();
        let length = waiting.length;
        if self.is_broken {
            return;
        }
        if let Err(error) = self.write_all(waiting) {
            self.is_broken = true;
            self.save(length);
            self.queue.fail(error);
        }
    }

    /// Writes the pieces, and the header last, so that it never claims more than the file holds.
    fn write_all(&mut self, Waiting { pieces, length }: Waiting) -> Result<()> {
        let Self { layout, queue, file: Some(file), length: written, .. } = self else { return Ok(()) };
        if length == *written {
            return Ok(());
        }
        for Piece { at, bytes } in pieces {
            pass_silence(file, *layout, *written..at, queue)?;
            for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
                file.write_at(layout.header_bytes() + at + (index * CHUNK) as u64, chunk)?;
                queue.moved();
            }
            *written = at + bytes.len() as u64;
        }
        let ends_in_silence = length > *written;
        pass_silence(file, *layout, *written..length, queue)?;
        if file.is_sparse() {
            if padding(length) > 0 {
                file.write_at(layout.header_bytes() + length, &[0])?;
            } else if ends_in_silence {
                file.set_len(layout.header_bytes() + length)?;
                queue.moved();
            }
            file.write_at(0, &layout.header(length))?;
        }
        *written = length;
        Ok(())
    }

    /// Rewrites the header for what reached the file before it failed.
    fn save(&mut self, length: u64) {
        let Some(file) = self.file.as_mut().filter(|file| file.is_sparse()) else { return };
        let there = file.length().saturating_sub(self.layout.header_bytes()).min(length);
        let header = self.layout.header(there - there % self.layout.frame_bytes());
        // This overwrites allocated bytes. If it fails all the same, the previous header is still valid.
        let _ = file.write_at(0, &header);
    }

    /// Finishes the file: a complete one is moved to its path.
    pub fn finish(&mut self, is_heard: bool) -> Result<()> {
        self.write();
        let file = self.file.take();
        // An incomplete file stays where it was written.
        self.queue.failure().map_or(Ok(()), Err)?;
        let Some(file) = file else { return Ok(()) };
        let would_replace_source = file.would_replace_source();
        if !is_heard && (!self.keeps_unheard || would_replace_source || self.queue.is_given_up()) {
            file.discard()
        } else if would_replace_source {
            Err(file.leave())
        } else {
            self.place(file)
        }
    }

    fn place(&self, file: OutputFile) -> Result<()> {
        file.secure()?;
        self.queue.moved();
        if self.queue.begin_placing() {
            file.keep()
        } else {
            // `close` has reported that the file stays where it was written.
            Ok(())
        }
    }

    /// Discards the file, which nobody wants and in which nothing was written.
    pub fn discard(&mut self) -> Result<()> {
        self.file.take().map_or(Ok(()), OutputFile::discard)
    }
}

/// Writes silence at `places`, byte offsets among the samples, or skips it in a sparse file if it is zeros.
fn pass_silence(file: &mut OutputFile, layout: Layout, mut places: Range<u64>, queue: &WavQueue) -> Result<()> {
    let silence = layout.silence();
    if places.is_empty() || silence == 0 && file.is_sparse() {
        return Ok(());
    }
    let chunk = vec![silence; SILENCE_CHUNK];
    while !places.is_empty() {
        let piece = (places.end - places.start).min(chunk.len() as u64);
        file.write_at(layout.header_bytes() + places.start, &chunk[..piece as usize])?;
        queue.moved();
        places.start += piece;
    }
    Ok(())
}
