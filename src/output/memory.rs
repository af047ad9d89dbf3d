//! The output that records in memory, for test suites.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::{Closing, Output, closed};
use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Frame;

/// The most samples of a recording, silence included: 4 GiB of samples, the most that fits into a Float32Array everywhere.
const MAX_SAMPLES: u64 = 1 << 30;

/// The most samples of a piece, 256 KiB: the most that is moved at once when a piece is reallocated.
const PIECE: usize = 1 << 16;

/// Returns the most samples per channel that a recording holds.
pub fn capacity(channels: usize) -> Samples {
    MAX_SAMPLES / channels as u64
}

/// A recording of everything that was written, interleaved. Only sound takes memory; silence is counted.
#[derive(Debug, Default)]
pub struct Recording {
    length: u64,
    /// The pieces in order, with silence between them.
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    at: u64,
    samples: Vec<f32>,
}

impl Recording {
    /// Returns the number of samples so far, of all channels.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Copies the first samples into `samples`, as many as fit, which must hold zeros: silence is not written.
    pub fn copy_to(&self, samples: &mut [f32]) {
        for piece in &self.pieces {
            let Some(there) = samples.get_mut(piece.at as usize..) else { return };
            let length = there.len().min(piece.samples.len());
            there[..length].copy_from_slice(&piece.samples[..length]);
        }
    }

    /// Returns all samples. Unlike [`copy_to`](Self::copy_to) it allocates the silence too, and aborts the process if memory is short.
    pub fn to_vec(&self) -> Vec<f32> {
        let mut samples = vec![0.0; self.length as usize];
        self.copy_to(&mut samples);
        samples
    }

    fn add(&mut self, mut samples: &[f32]) -> Result<()> {
        let end = self.end_after(samples.len() as u64)?;
        // Bits are compared, because the sign of a zero is kept.
        if samples.iter().all(|sample| sample.to_bits() == 0) {
            self.length = end;
            return Ok(());
        }
        while !samples.is_empty() {
            let at = self.length;
            let piece = match self.pieces.last_mut() {
                Some(last) if last.at + last.samples.len() as u64 == at && last.samples.len() < PIECE => last,
                _ => self.begin(at)?,
            };
            let (now, rest) = samples.split_at(samples.len().min(PIECE - piece.samples.len()));
            piece.samples.try_reserve(now.len()).map_err(|_| refusal("free memory", "none"))?;
            piece.samples.extend_from_slice(now);
            self.length += now.len() as u64;
            samples = rest;
        }
        Ok(())
    }

    fn begin(&mut self, at: u64) -> Result<&mut Piece> {
        self.pieces.try_reserve(1).map_err(|_| refusal("free memory", "none"))?;
        Ok(self.pieces.push_mut(Piece { at, samples: Vec::new() }))
    }

    fn add_silence(&mut self, samples: u64) -> Result<()> {
        self.length = self.end_after(samples)?;
        Ok(())
    }

    fn end_after(&self, samples: u64) -> Result<u64> {
        let end = self.length.saturating_add(samples);
        if end > MAX_SAMPLES { Err(refusal("at most 4 GiB of samples", "more")) } else { Ok(end) }
    }
}

fn refusal(expected: &str, received: &str) -> SpeakerError {
    SpeakerError::new(Code::Output, format!("Expected {expected} for a recording in memory but received {received}"))
}

pub struct Memory {
    channels: usize,
    recording: Arc<Mutex<Recording>>,
}

impl Memory {
    pub fn new(channels: usize, recording: Arc<Mutex<Recording>>) -> Self {
        Self { channels, recording }
    }
}

impl Output for Memory {
    fn write(&mut self, frame: &Frame, _now: Instant) -> Result<bool> {
        self.recording.lock().add(frame.samples).map(|()| true)
    }

    fn skip(&mut self, samples: Samples) -> Result<()> {
        self.recording.lock().add_silence(samples.saturating_mul(self.channels as u64))
    }

    fn close(&mut self, _now: Instant) -> Closing {
        closed(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_samples_bit_for_bit() {
        let mut recording = Recording::default();
        let mut expected = Vec::new();
        for length in [1, PIECE - 1, 0, 960, 3 * PIECE + 7, 2] {
            let sound: Vec<f32> = (0..length).map(|n| n as f32 + 0.5).collect();
            let silence = length / 2;
            recording.add(&sound).unwrap();
            recording.add_silence(silence as u64).unwrap();
            recording.add(&[0.0; 3]).unwrap();
            recording.add(&[-0.0; 2]).unwrap();
            expected.extend(sound);
            expected.extend(vec![0.0; silence + 3]);
            expected.extend([-0.0; 2]);
        }
        assert_eq!(recording.length(), expected.len() as u64);
        let bits = |samples: &[f32]| samples.iter().map(|sample| sample.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&recording.to_vec()), bits(&expected));
        for length in [0, 1, PIECE, PIECE + 500] {
            let mut first = vec![0.0; length];
            recording.copy_to(&mut first);
            assert_eq!(bits(&first), bits(&expected[..length]));
        }
    }

    #[test]
    fn short_sounds_take_little_memory() {
        let mut recording = Recording::default();
        for _ in 0..1_000 {
            recording.add(&[0.5; 960]).unwrap();
            recording.add_silence(960).unwrap();
        }
        let taken: usize = recording.pieces.iter().map(|piece| piece.samples.capacity()).sum();
        assert!(taken <= 2 * 960 * 1_000, "{taken} samples");
    }

    #[test]
    fn silence_takes_no_memory() {
        let mut recording = Recording::default();
        recording.add_silence(MAX_SAMPLES - 960).unwrap();
        recording.add(&[0.0; 480]).unwrap();
        assert!(recording.pieces.is_empty());
        recording.add(&[0.5; 480]).unwrap();
        let error = recording.add(&[0.5]).unwrap_err();
        assert_eq!(error.code, Code::Output);
        assert_eq!(recording.add_silence(1).unwrap_err(), error);
        recording.add_silence(u64::MAX).unwrap_err();
        assert_eq!(recording.length(), MAX_SAMPLES);
    }
}
