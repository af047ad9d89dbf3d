use std::f64::consts::{FRAC_PI_4, PI, TAU};

use super::*;

const SECOND: usize = SAMPLE_RATE as usize;

/// The input of a limiter as a mixer gives it: in frames, with the future known as `sounds` has it at that time.
struct Timeline {
    channels: usize,
    /// The sample from which on each future is the known one: interleaved signals over the whole time.
    sounds: Vec<(usize, Vec<f32>)>,
}

impl Timeline {
    fn of(channels: usize, signal: Vec<f32>) -> Self {
        Self { channels, sounds: vec![(0, signal)] }
    }

    fn then(mut self, at: usize, signal: Vec<f32>) -> Self {
        self.sounds.push((at, signal));
        self
    }

    /// Limits it, cut where the future changes, and into frames of lengths that `frame` gives.
    fn limit(&self, mut frame: impl FnMut() -> usize) -> (Vec<f32>, Limiter) {
        let (mut limiter, mut output) = (Limiter::new(self.channels), Vec::new());
        let total = self.sounds[0].1.len() / self.channels;
        let mut at = 0;
        while at < total {
            let sound = self.sounds.iter().rev().find(|(from, _)| *from <= at).map(|(_, signal)| signal).unwrap();
            let change = self.sounds.iter().map(|(from, _)| *from).find(|from| *from > at).unwrap_or(total);
            let frames = frame().min(change - at);
            let mut window = vec![0.0; (frames + LOOK_AHEAD) * self.channels];
            let coming = &sound[at * self.channels..];
            let known = coming.len().min(window.len());
            window[..known].copy_from_slice(&coming[..known]);
            limiter.process(&mut window, frames);
            output.extend_from_slice(&window[..frames * self.channels]);
            at += frames;
        }
        (output, limiter)
    }
}

fn limit(signal: &[f32]) -> Vec<f32> {
    Timeline::of(1, signal.to_vec()).limit(|| 960).0
}

/// Generates random numbers from -1 to 1.
fn noise(seed: u32) -> impl Iterator<Item = f32> {
    let mut state = u64::from(seed) + 1;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// Noise whose level falls by 3 dB an octave, that swells and dies away: as dense as music. Its highest sample is `peak`.
fn music(seed: u32, peak: f32, frames: usize) -> Vec<f32> {
    let mut poles = [0.0; 3];
    let pink = noise(seed).map(|white| {
        for (pole, (keep, weight)) in
            poles.iter_mut().zip([(0.99765, 0.0990460), (0.96300, 0.2965164), (0.57000, 1.0526913)])
        {
            *pole = *pole * keep + white * weight;
        }
        poles.iter().sum::<f32>() + white * 0.1848
    });
    let swell = |n: usize| 0.55 + 0.45 * (TAU * n as f64 / 14_400.0).sin() as f32;
    let signal: Vec<f32> = pink.take(frames).enumerate().map(|(n, sample)| sample * swell(n)).collect();
    let scale = peak / highest(&signal);
    signal.iter().map(|sample| sample * scale).collect()
}

fn sine(frequency: f64, phase: f64, amplitude: f32, frames: usize) -> Vec<f32> {
    let angle = |n: usize| TAU * frequency * n as f64 / f64::from(SAMPLE_RATE) + phase;
    (0..frames).map(|n| angle(n).sin() as f32 * amplitude).collect()
}

fn square(period: usize, amplitude: f32, frames: usize) -> Vec<f32> {
    (0..frames).map(|n| if n % period < period / 2 { amplitude } else { -amplitude }).collect()
}

/// The signal on the left and a steady tone of nothing but a known level on the right, which shows the gain.
fn with_pilot(signal: &[f32]) -> Vec<f32> {
    signal.iter().flat_map(|sample| [*sample, PILOT]).collect()
}

const PILOT: f32 = 1.0 / 1_024.0;

fn gains(output: &[f32]) -> Vec<f32> {
    output.chunks(2).map(|frame| frame[1] / PILOT).collect()
}

fn steepest(gains: &[f32]) -> f32 {
    gains.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold((gains[0] - 1.0).abs(), f32::max)
}

fn highest(signal: &[f32]) -> f32 {
    signal.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()))
}

/// True peak in dBFS, oversampled 4 times by a sinc of 96 samples: another and longer filter than the limiter's own.
fn true_peak(signal: &[f32]) -> f64 {
    const HALF: usize = 48;
    let gap = |n: usize, place: f64| {
        let tap = |k: usize| {
            let distance = k as f64 - (HALF - 1) as f64 - place;
            let hann = (PI * distance / (2 * HALF) as f64).cos().powi(2);
            f64::from(signal[n + k]) * (PI * distance).sin() / (PI * distance) * hann
        };
        (0..2 * HALF).map(tap).sum::<f64>().abs()
    };
    let gaps = 0..signal.len() - 2 * HALF;
    let between = gaps.flat_map(|n| [0.25, 0.5, 0.75].map(|place| gap(n, place))).fold(0.0, f64::max);
    20.0 * between.max(f64::from(highest(signal))).log10()
}

/// All harmonics of `frequency` up to 20 kHz over it, in dB; `signal` holds whole periods.
fn distortion(signal: &[f32], frequency: f64) -> f64 {
    let power = |frequency: f64| {
        let angle = |n: usize| TAU * frequency * n as f64 / f64::from(SAMPLE_RATE);
        let part = |wave: fn(f64) -> f64| -> f64 {
            signal.iter().enumerate().map(|(n, sample)| f64::from(*sample) * wave(angle(n))).sum()
        };
        part(f64::sin).powi(2) + part(f64::cos).powi(2)
    };
    let harmonics = (2..).map(|order| f64::from(order) * frequency).take_while(|harmonic| *harmonic < 20_000.0);
    10.0 * (harmonics.map(power).sum::<f64>() / power(frequency)).log10()
}

/// Returns the length of the next frame.
type Cut = Box<dyn FnMut() -> usize>;

/// Ways to cut time into frames.
fn cuts() -> Vec<(&'static str, Cut)> {
    let mut random = noise(99);
    let mut cuts: Vec<(&str, Cut)> =
        vec![("random", Box::new(move || ((random.next().unwrap() + 1.0) * 480.0) as usize + 1))];
    for (name, frames) in [("1", 1), ("7", 7), ("48", 48), ("240", 240), ("960", 960)] {
        cuts.push((name, Box::new(move || frames)));
    }
    cuts
}

/// Bursts over full scale, with time to come to rest between them.
fn bursts(seed: u32, frames: usize) -> Vec<f32> {
    let loudness = |n: usize| [0.5, 2.3, 0.5, 0.9, 0.9, 0.9, 1.1, 4.0, 0.2, 0.2][n / 5_003 % 10];
    noise(seed).take(frames).enumerate().map(|(n, sample)| sample * loudness(n)).collect()
}

#[test]
fn output_does_not_depend_on_frames() {
    for channels in [1, 2] {
        let timeline = Timeline::of(channels, bursts(1, 100_001 * channels));
        let (expected, _) = timeline.limit(|| 960);
        for (name, cut) in cuts() {
            assert!(timeline.limit(cut).0 == expected, "{channels} channels, frames of {name}");
        }
    }
}

#[test]
fn changed_futures_do_not_depend_on_frames() {
    let timeline = (1..60).fold(Timeline::of(1, bursts(1, 90_000)), |timeline, change| {
        timeline.then(change as usize * 1_499, bursts(change, 90_000))
    });
    let (expected, _) = timeline.limit(|| 960);
    assert!(highest(&expected) <= 1.0);
    for (name, cut) in cuts() {
        assert!(timeline.limit(cut).0 == expected, "frames of {name}");
    }
}

#[test]
fn passes_full_scale_bit_for_bit() {
    let section: Vec<f32> = noise(5).take(48_000).map(|sample| (sample * 32_768.0).round() / 32_768.0).collect();
    assert_eq!(limit(&section), section);
    let hidden = sine(12_000.0, FRAC_PI_4, 1.41, 9_600); // true peaks of +3 dB, samples of 0.997
    assert_eq!(limit(&hidden), hidden);
    assert_eq!(limit(&square(48, 1.0, 9_600)), square(48, 1.0, 9_600));
}

#[test]
fn never_exceeds_full_scale() {
    for (name, mut cut) in cuts() {
        for amplitude in [1.01, 2.0, 10.0, 1e9, 1e30, f32::MAX] {
            let loud = sine(535.0, 0.0, amplitude, 3_000);
            let signal = [sine(535.0, 0.0, 0.5, 1_000), loud, sine(535.0, 0.0, 0.5, 1_000)].concat();
            let (output, _) = Timeline::of(1, signal).limit(&mut cut);
            let peak = highest(&output);
            assert!((0.9..=1.0).contains(&peak), "frames of {name}, amplitude {amplitude}: {peak}");
        }
    }
    let wild: Vec<f32> =
        noise(7).take(20_000).map(|sample| sample.signum() * 10_f32.powf(sample.abs() * 38.0)).collect();
    let output = Timeline::of(2, wild.clone()).then(3_001, wild.iter().map(|sample| -sample).collect()).limit(|| 47).0;
    assert!(output.iter().all(|sample| sample.abs() <= 1.0), "over full scale, or NaN");
}

#[test]
fn gain_is_down_before_the_peak() {
    let mut signal = vec![0.25; 9_600];
    signal[4_800..5_000].fill(2.0);
    let output = limit(&signal);
    assert_eq!(output[..4_800 - LOOK_AHEAD], signal[..4_800 - LOOK_AHEAD], "touched before the peak was seen");
    assert!(output[4_799] < 0.126, "not down yet at the peak: {}", output[4_799]);
    let gains: Vec<f32> = output.iter().zip(&signal).map(|(output, input)| output / input).collect();
    assert!(steepest(&gains) <= GENTLE * 1.001, "a step of {}", steepest(&gains));
}

#[test]
fn gain_moves_gently_for_foreseen_peaks() {
    for signal in [bursts(3, SECOND), music(3, 8.0, SECOND), square(4_801, 3.0, SECOND)] {
        let signal = [vec![0.0; LOOK_AHEAD], signal].concat();
        let (output, _) = Timeline::of(2, with_pilot(&signal)).limit(|| 960);
        let step = steepest(&gains(&output));
        assert!(step <= GENTLE * 1.001, "a step of {step}");
    }
}

#[test]
fn gain_never_steps_at_sudden_changes() {
    let (quiet, loud, louder) = (sine(441.0, 0.3, 0.5, SECOND), sine(441.0, 1.0, 2.0, SECOND), square(50, 9.0, SECOND));
    for at in [1, 4_801, 9_733, 12_000] {
        let timeline = Timeline::of(2, with_pilot(&quiet))
            .then(at, with_pilot(&loud))
            .then(at + 101, with_pilot(&quiet))
            .then(at + 5_003, with_pilot(&louder))
            .then(at + 5_110, with_pilot(&loud))
            .then(at + 9_001, with_pilot(&quiet));
        let (output, _) = timeline.limit(|| 960);
        let gains = gains(&output);
        assert!(steepest(&gains) <= STEEPEST * 1.001, "a step of {}", steepest(&gains));
        assert!(gains[at + 100] < 0.51 && gains[at + 5_060] < 0.112, "not down after a millisecond");
        assert!(highest(&output) <= 1.0);
    }
}

#[test]
fn sudden_start_with_later_peak_is_gentle() {
    let mut late = vec![0.0; 9_600];
    late[5_000..].fill(2.0);
    let (output, _) = Timeline::of(2, with_pilot(&[0.0; 9_600])).then(4_900, with_pilot(&late)).limit(|| 960);
    let gains = gains(&output);
    assert!(steepest(&gains) < 0.6 / 100.0, "a step of {}", steepest(&gains));
    assert!(gains[5_000] <= 0.5 && output[10_000] > 0.85);
}

#[test]
fn does_not_distort_low_tones() {
    for (frequency, periods) in [(20.0, 10), (50.0, 20), (60.0, 20), (160.0, 40), (1_000.0, 200)] {
        let signal = sine(frequency, 0.0, 2.0, 2 * SECOND);
        let steady = SECOND..SECOND + (f64::from(SAMPLE_RATE) / frequency) as usize * periods;
        let distortion = distortion(&limit(&signal)[steady], frequency);
        println!("{frequency} Hz: distortion {distortion:.1} dB");
        assert!(distortion < -60.0, "{frequency} Hz: {distortion} dB");
    }
}

#[test]
fn true_peaks_stay_within_full_scale() {
    let frames = SECOND / 2;
    let signals = [
        ("fs/4 at 45°", sine(12_000.0, FRAC_PI_4, 2.0, frames)),
        ("near fs/4", sine(11_990.0, FRAC_PI_4, 2.0, frames)),
        ("fs/6", sine(8_000.0, PI / 6.0, 2.0, frames)),
        ("fs/3", sine(16_000.0, 0.4, 2.0, frames)),
        ("997 Hz", sine(997.0, 0.0, 2.0, frames)),
        ("a square of 1 kHz", square(48, 2.0, frames)),
        ("a square of 441 Hz", square(109, 2.0, frames)),
        ("music", music(11, 2.0, frames)),
        ("loud music", music(12, 8.0, frames)),
        ("music, just over", music(13, 1.2, frames)),
        ("clipped music", music(14, 8.0, frames).iter().map(|sample| sample.clamp(-1.5, 1.5)).collect()),
    ];
    for (name, signal) in signals {
        let output = limit(&[vec![0.0; LOOK_AHEAD], signal].concat());
        let peak = true_peak(&output);
        println!("{name}: true peak {peak:+.2} dBFS");
        assert!((-1.0..0.2).contains(&peak), "{name}: {peak} dBFS");
    }
}

#[test]
fn channels_share_one_gain() {
    let (left, right) = (music(21, 3.0, 20_000), music(22, 0.8, 20_000));
    let stereo: Vec<f32> = left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]).collect();
    let (output, _) = Timeline::of(2, stereo.clone()).limit(|| 960);
    for (output, input) in output.chunks(2).zip(stereo.chunks(2)).skip(LOOK_AHEAD) {
        assert!((output[0] * input[1] - output[1] * input[0]).abs() < 1e-5, "{output:?} of {input:?}");
    }
}

#[test]
fn comes_to_rest_and_is_transparent() {
    let hot = square(48, 1.0, 2 * SECOND); // its true peaks are over full scale
    let signal = [sine(535.0, 0.0, 4.0, 2_000), hot].concat();
    let (output, limiter) = Timeline::of(1, signal.clone()).limit(|| 960);
    assert!(limiter.is_at_rest());
    assert_eq!(output[SECOND * 3 / 2..], signal[SECOND * 3 / 2..]);
    assert!(Limiter::new(1).is_at_rest());
}

#[test]
fn does_not_rest_during_hold() {
    let mut signal = vec![0.0; 1_300];
    signal[1_250] = 3.0;
    for frames in 0..1_300 {
        let (_, limiter) = Timeline::of(1, signal.clone()).limit(|| frames + 1);
        assert!(!limiter.is_at_rest(), "after frames of {frames}");
    }
}

/// `cargo test --release limiter -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn costs() {
    for (name, level) in [("at rest", 0.9), ("at work", 2.0)] {
        for channels in [1, 2] {
            let signal: Vec<f32> =
                noise(1).map(|sample| sample * level).take((SECOND + LOOK_AHEAD) * channels).collect();
            let (mut limiter, mut times) = (Limiter::new(channels), Vec::new());
            for start in (0..SECOND).step_by(960).cycle().take(2_000) {
                let mut window = signal[start * channels..][..(960 + LOOK_AHEAD) * channels].to_vec();
                let begin = std::time::Instant::now();
                limiter.process(&mut window, 960);
                times.push(begin.elapsed().as_secs_f64() * 1e6);
                std::hint::black_box(&window);
            }
            times.sort_by(f64::total_cmp);
            println!("{name}, {channels} channels: {:.2} µs a frame (median), {:.2} at best", times[1_000], times[0]);
        }
    }
}
