//! Time stretching (WSOLA): shortens and lengthens sound by one of its own periods, which sounds unchanged.

use crate::audio::{EDGE_FADE, PER_MS};

/// The range of periods: 2.5 to 15 ms, voices from 66 to 400 Hz.
const SHORTEST: usize = 5 * PER_MS as usize / 2;
const LONGEST: usize = 15 * PER_MS as usize;

/// The length that is compared and cross-faded.
const WINDOW: usize = EDGE_FADE;

/// The length that has to be available, in samples per channel.
pub const NEEDED: usize = LONGEST + WINDOW;

/// The decimation of the first, coarse search.
const COARSE: usize = 4;

/// The mean square of inaudible sound: -60 dB.
const QUIET: f32 = 1e-6;

/// Removes a period from the start of interleaved `sound`, if the next one is at least as similar as `alike`, from -1 to 1. Returns its
/// length in samples per channel; 0 if nothing was done.
pub fn shorten(sound: &mut Vec<f32>, channels: usize, alike: f32) -> usize {
    let Some(period) = period(sound, channels, alike) else { return 0 };
    let length = sound.len();
    cross(sound, channels, period, |share| share);
    sound.copy_within((period + WINDOW) * channels.., WINDOW * channels);
    sound.truncate(length - period * channels);
    period
}

/// Repeats the period at the start of `sound`, under the same condition. Returns its length.
pub fn lengthen(sound: &mut Vec<f32>, channels: usize, alike: f32) -> usize {
    let Some(period) = period(sound, channels, alike) else { return 0 };
    let (length, shift) = (sound.len(), period * channels);
    sound.resize(length + shift, 0.0);
    sound.copy_within(..length, shift);
    // The sound after the first period fades into the start of the second.
    cross(&mut sound[shift..], channels, period, |share| 1.0 - share);
    period
}

/// Cross-fades the window at the start with the sound `period` later; `of_later` returns the share of the latter, from 0 to 1.
fn cross(sound: &mut [f32], channels: usize, period: usize, of_later: impl Fn(f32) -> f32) {
    for index in 0..WINDOW * channels {
        let share = of_later((index / channels) as f32 / WINDOW as f32);
        sound[index] += (sound[index + period * channels] - sound[index]) * share;
    }
}

/// Returns the period after which `sound` is most similar to its start, if it is at least as similar as `alike`.
fn period(sound: &[f32], channels: usize, alike: f32) -> Option<usize> {
    let mut mono = [0.0; NEEDED];
    let frames = sound.get(..NEEDED * channels)?.chunks_exact(channels);
    mono.iter_mut().zip(frames).for_each(|(mono, frame)| *mono = frame.iter().sum());
    if energy(&mono) / (NEEDED as f32) < QUIET {
        return Some(LONGEST);
    }
    let mut coarse = [0.0; NEEDED / COARSE];
    coarse.iter_mut().zip(mono.chunks_exact(COARSE)).for_each(|(coarse, chunk)| *coarse = chunk.iter().sum());
    let (near, _) = best(&coarse, SHORTEST / COARSE..=LONGEST / COARSE, WINDOW / COARSE);
    let lags = (near * COARSE).saturating_sub(COARSE).max(SHORTEST)..=(near * COARSE + COARSE).min(LONGEST);
    let (period, likeness) = best(&mono, lags, WINDOW);
    (likeness >= alike).then_some(period)
}

/// Returns the lag at which `sound` is most similar to its first `window` samples, and the similarity: 1 is equal except for the volume.
fn best(sound: &[f32], lags: std::ops::RangeInclusive<usize>, window: usize) -> (usize, f32) {
    let start = &sound[..window];
    let power = energy(start);
    let likeness = |lag: usize| {
        let other = &sound[lag..lag + window];
        let product: f32 = start.iter().zip(other).map(|(one, other)| one * other).sum();
        product / (power * energy(other)).sqrt().max(f32::MIN_POSITIVE)
    };
    lags.map(|lag| (lag, likeness(lag))).max_by(|one, other| one.1.total_cmp(&other.1)).unwrap_or((SHORTEST, -1.0))
}

fn energy(sound: &[f32]) -> f32 {
    sound.iter().map(|sample| sample * sample).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a voice of 150 Hz; a second channel is half as loud.
    fn voice(channels: usize, length: usize) -> Vec<f32> {
        let sample = |n: usize| (1..6).map(|k| 0.15 * (k as f32 * n as f32 * 0.019_635).sin()).sum::<f32>();
        (0..length).flat_map(|n| (0..channels).map(move |channel| sample(n) / (1 + channel) as f32)).collect()
    }

    /// Returns the largest step between consecutive samples of a channel.
    fn steepest(sound: &[f32], channels: usize) -> f32 {
        (channels..sound.len()).map(|index| (sound[index] - sound[index - channels]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn stretches_voice_by_its_period() {
        for channels in [1, 2] {
            let whole = voice(channels, 2_000);
            let (mut shorter, mut longer) = (whole.clone(), whole.clone());
            for period in [shorten(&mut shorter, channels, 0.9), lengthen(&mut longer, channels, 0.9)] {
                assert!([320, 640].contains(&period), "{period}");
            }
            assert!(shorter.len() < whole.len() && longer.len() > whole.len());
            for sound in [&shorter, &longer] {
                assert!(steepest(sound, channels) < 1.1 * steepest(&whole, channels));
                assert_eq!(sound[..channels], whole[..channels]);
                assert_eq!(sound[sound.len() - 900 * channels..], whole[whole.len() - 900 * channels..]);
            }
        }
    }

    #[test]
    fn cuts_noise_only_when_forced() {
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as f32 / u32::MAX as f32 - 0.5
        });
        let whole: Vec<_> = noise.take(2_000).collect();
        let mut sound = whole.clone();
        assert_eq!((shorten(&mut sound, 1, 0.9), lengthen(&mut sound, 1, 0.9)), (0, 0));
        assert_eq!(sound, whole);
        assert!(shorten(&mut sound, 1, -1.0) > 0);
        // Too short to find a period in.
        assert_eq!(shorten(&mut whole[..NEEDED - 1].to_vec(), 1, -1.0), 0);
    }

    #[test]
    fn crossfades_dissimilar_sound() {
        // A tone whose period is longer than the search range.
        let whole: Vec<_> = (0..2_000).map(|n| 0.5 * (n as f32 * 0.006_5).sin()).collect();
        let (mut shorter, mut longer) = (whole.clone(), whole.clone());
        assert!(shorten(&mut shorter, 1, -1.0) > 0 && lengthen(&mut longer, 1, -1.0) > 0);
        for sound in [&shorter, &longer] {
            assert!(steepest(sound, 1) < 3.0 * steepest(&whole, 1), "{}", steepest(sound, 1));
        }
    }

    #[test]
    fn cuts_silence_by_longest_period() {
        let mut silence = vec![0.0; 2_000];
        assert_eq!(shorten(&mut silence, 1, 1.0), LONGEST);
        assert_eq!(lengthen(&mut silence, 1, 1.0), LONGEST);
        assert_eq!(silence, [0.0; 2_000]);
    }
}
