//! Loudness measurement by EBU R 128 and ITU-R BS.1770-5: the only module that uses the crate ebur128.

use ebur128::{Channel, EbuR128, Mode};
use symphonia::core::audio::{AudioSpec, Channels, Position};

use super::decode::damaged;
use crate::audio::SAMPLE_RATE;
use crate::error::Result;

/// The most combinations of rate and layout in one source; each is measured by a filter of its own.
const MAX_SPECS: usize = 16;

/// The most channels that are measured; others count as silent.
const MAX_CHANNELS: usize = 64;

/// The length of a gating block in ms (BS.1770-5 Annex 1): shorter audio has no loudness of its own.
const BLOCK_MS: u32 = 400;

/// The measured loudness of audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// Integrated loudness in LUFS; `None` for silence, and for audio below −70 LUFS throughout.
    pub lufs: Option<f64>,
    /// The highest true peak, in dB over full scale; `None` for silence.
    pub true_peak: Option<f64>,
}

/// A meter for a whole source, whatever its rates and layouts.
#[derive(Default)]
pub struct Meter {
    parts: Vec<(AudioSpec, EbuR128)>,
    /// Samples per channel so far, for the measurement of audio that is shorter than a block.
    taken: u64,
}

impl Meter {
    /// Measures the next samples, interleaved.
    pub fn take(&mut self, spec: &AudioSpec, samples: &[f32]) -> Result<()> {
        let position = match self.parts.iter().position(|(known, _)| known == spec) {
            Some(position) => position,
            None if self.parts.len() == MAX_SPECS => {
                return Err(damaged(&format!("more than {MAX_SPECS} rates and layouts in it")));
            }
            None => {
                self.parts.push((spec.clone(), measured(spec)?));
                self.parts.len() - 1
            }
        };
        self.taken += (samples.len() / spec.channels().count().max(1)) as u64;
        self.parts[position].1.add_frames_f32(samples).map_err(failed)
    }

    /// Returns the loudness of the whole source.
    pub fn finish(mut self) -> Result<Loudness> {
        // Audio shorter than a block is measured over its own length.
        let mut longer = 0.0;
        if let [(spec, part)] = &mut *self.parts {
            let block = u64::from(spec.rate() * BLOCK_MS / 1_000) + 1;
            if (1..block).contains(&self.taken) {
                let silence = vec![0.0_f32; (block - self.taken) as usize * spec.channels().count()];
                part.add_frames_f32(&silence).map_err(failed)?;
                longer = 10.0 * (block as f64 / self.taken as f64).log10();
            }
        }
        let lufs = EbuR128::loudness_global_multiple(self.parts.iter().map(|(_, part)| part)).map_err(failed)?;
        let peaks = self.parts.iter().flat_map(|(_, part)| (0..part.channels()).map(|channel| part.true_peak(channel)));
        let peak = peaks.map(|peak| peak.unwrap_or_default()).fold(0.0, f64::max);
        Ok(Loudness {
            lufs: lufs.is_finite().then_some(lufs + longer),
            true_peak: (peak > 0.0).then(|| 20.0 * peak.log10()),
        })
    }
}

/// A meter for the samples of a session, while they are processed.
pub struct RunningMeter {
    channels: usize,
    meter: Option<EbuR128>,
    taken: usize,
    /// The correction in dB for audio that is shorter than a block, relative to that block.
    longer: f64,
}

impl RunningMeter {
    /// Makes a meter for `channels` at the session's rate.
    pub fn new(channels: usize) -> Self {
        let mode = Mode::I | Mode::HISTOGRAM;
        Self { channels, meter: EbuR128::new(channels as u32, SAMPLE_RATE, mode).ok(), taken: 0, longer: 0.0 }
    }

    /// Measures the next samples, interleaved.
    pub fn take(&mut self, samples: &[f32]) {
        self.taken += samples.len() / self.channels;
        if let Some(meter) = &mut self.meter {
            let _ = meter.add_frames_f32(samples);
        }
    }

    /// Ends the measurement: audio shorter than a block is measured over its own length.
    pub fn finish(&mut self) {
        let block = (SAMPLE_RATE * BLOCK_MS / 1_000) as usize;
        if let Some(meter) = self.meter.as_mut().filter(|_| (1..block).contains(&self.taken)) {
            let silence = vec![0.0_f32; (block - self.taken) * self.channels];
            self.longer = 10.0 * (block as f64 / self.taken as f64).log10();
            _ = meter.add_frames_f32(&silence);
        }
    }

    /// Returns the loudness so far, in LUFS; `None` for silence.
    pub fn lufs(&self) -> Option<f64> {
        let lufs = self.meter.as_ref()?.loudness_global().ok()?;
        lufs.is_finite().then_some(lufs + self.longer)
    }
}

fn measured(spec: &AudioSpec) -> Result<EbuR128> {
    let count = spec.channels().count().clamp(1, MAX_CHANNELS);
    let mode = Mode::I | Mode::TRUE_PEAK | Mode::HISTOGRAM;
    let mut part = EbuR128::new(count as u32, spec.rate(), mode).map_err(failed)?;
    let channels: Vec<Channel> = match spec.channels() {
        Channels::Positioned(positions) if count > 1 => positions.iter().map(channel).collect(),
        // A single channel counts as one, and channels without positions count as front.
        _ => vec![Channel::Left; count],
    };
    part.set_channel_map(&channels[..count]).map_err(failed)?;
    Ok(part)
}

/// Returns a channel's weight class: surrounds count for more, low-frequency effects not at all (BS.1770-5 Annex 1, table 4).
fn channel(position: Position) -> Channel {
    let left = Position::REAR_LEFT | Position::SIDE_LEFT;
    let right = Position::REAR_RIGHT | Position::SIDE_RIGHT;
    match position {
        p if (Position::LFE1 | Position::LFE2).contains(p) => Channel::Unused,
        p if left.contains(p) => Channel::LeftSurround,
        p if right.contains(p) => Channel::RightSurround,
        Position::FRONT_CENTER => Channel::Center,
        Position::FRONT_RIGHT => Channel::Right,
        _ => Channel::Left,
    }
}

fn failed(error: ebur128::Error) -> crate::error::SpeakerError {
    damaged(&format!("its loudness can't be measured: {error}"))
}
