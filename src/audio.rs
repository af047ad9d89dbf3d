//! Sample rate, frame and time: every size in the crate is derived here.
//!
//! Inside, audio is interleaved `f32` at 48 kHz, where ±1.0 is full scale. Time is a count of samples per channel
//! ([`Samples`]); milliseconds exist only at the edges, as `f64`, so that no position is ever rounded.

use std::time::Duration;

/// The internal sample rate: that of Opus and WebRTC (RFC 7587 §4.1), so that the wire needs no second resampling.
pub const SAMPLE_RATE: u32 = 48_000;

/// A count of samples per channel at [`SAMPLE_RATE`]: a duration or a position in time.
pub type Samples = u64;

/// Samples per millisecond.
pub const PER_MS: Samples = SAMPLE_RATE as Samples / 1_000;

/// One frame, the step of a realtime clock: 20 ms, the Opus frame that LiveKit publishes.
pub const FRAME: usize = 20 * PER_MS as usize;

/// The duration of a frame.
pub const FRAME_TIME: Duration = Duration::from_millis(FRAME as u64 / PER_MS);

/// The fade at every edge that the mixer makes: 5 ms, short enough to be "now", long enough not to click.
pub const EDGE_FADE: usize = 5 * PER_MS as usize;

/// The look-ahead of the limiter, and the length of its gain ramps: one edge fade.
pub const LOOK_AHEAD: usize = EDGE_FADE;

/// The longest ringing of a resampler beyond either end of its input, at the session's rate: 16 ms, from 8 kHz.
pub const RINGING: usize = 16 * PER_MS as usize;

/// The size of a playback's ring: twelve frames, so that a decode task runs some five times a second and not at every tick.
pub const RING: usize = 12 * FRAME;

/// The size of a ring on the manual clock: a second, so that decode tasks run far ahead and the job that waits for them is seldom woken.
pub const OFFLINE_RING: usize = 50 * FRAME;

/// The fill of the ring at which a playback starts or goes on after an underrun: two frames.
pub const PREROLL: usize = 2 * FRAME;

/// The supported sample rates of sources (telephony to studio), in Hz.
pub const SOURCE_RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// The loudest sample that leaves a source, 60 dB over full scale: a float file may hold any value, and the sum of all playbacks
/// has to stay finite.
pub const LOUDEST: f32 = 1_000.0;

/// Converts samples to milliseconds, without loss.
pub fn to_ms(samples: Samples) -> f64 {
    samples as f64 / PER_MS as f64
}

/// Converts a time to samples, rounded down.
pub fn samples(time: Duration) -> Samples {
    let rate = u64::from(SAMPLE_RATE);
    // Both parts are exact, and no number is wider than a register.
    time.as_secs() * rate + u64::from(time.subsec_nanos()) * rate / 1_000_000_000
}

/// Converts milliseconds to the nearest sample; negative times are 0.
pub fn from_ms(ms: f64) -> Samples {
    (ms * PER_MS as f64).round() as Samples
}

/// Converts a sample to 16-bit PCM: the inverse of how decoders read it, so that unchanged audio comes out bit for bit.
pub fn to_s16(sample: f32) -> i16 {
    // Rounds as `round` does, which is a function call where a processor has no instruction for it: adds the largest number below a half,
    // since a half would round up the number just below a half.
    let scaled = (sample * 32_768.0).clamp(-32_768.0, 32_767.0);
    (scaled + 0.5_f32.next_down().copysign(scaled)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_milliseconds_without_loss() {
        for samples in [0, 1, 47, 48, 959, 960, 44_101, 48_000 * 3_600 * 24] {
            assert_eq!(from_ms(to_ms(samples)), samples);
        }
        assert_eq!(from_ms(-3.0), 0);
    }

    #[test]
    fn s16_survives_f32() {
        assert!((i16::MIN..=i16::MAX).all(|sample| to_s16(f32::from(sample) / 32_768.0) == sample));
        // Halves, and what is next to them, are rounded as `round` rounds them.
        for half in (-32_768..32_768).map(|sample| (sample as f32 + 0.5) / 32_768.0) {
            for near in [half.next_down(), half, half.next_up()] {
                let rounded = (near * 32_768.0).round().clamp(-32_768.0, 32_767.0);
                assert_eq!(to_s16(near), rounded as i16, "{near}");
            }
        }
        assert_eq!((to_s16(1.0), to_s16(7.0), to_s16(-7.0), to_s16(f32::NAN)), (32_767, 32_767, -32_768, 0));
    }
}
