//! The mixer, sample by sample: hand-made feeds in, frames and notices out. No thread, no clock.

use std::sync::Arc;

use rtrb::{Producer, RingBuffer};
use speaker_session::audio::{EDGE_FADE, FRAME, PREROLL, RING};
use speaker_session::mixer::{Mixer, Notice, Ramp, Routing, Voice, What};
use speaker_session::source::{Clip, Feed, Shared};

/// A source the test fills by hand.
struct Hand {
    ring: Producer<f32>,
    shared: Arc<Shared>,
}

impl Hand {
    fn push(&mut self, samples: &[f32]) {
        self.ring.push_entire_slice(samples).expect("the test fits the ring");
    }

    fn end(&self) {
        self.shared.outcome.set(Ok(())).expect("it ends once");
    }
}

fn source(channels: usize) -> (Hand, Feed) {
    let (producer, consumer) = RingBuffer::new(RING * channels);
    let shared = Arc::new(Shared::default());
    (Hand { ring: producer, shared: shared.clone() }, Feed::new(consumer, channels, shared, Clip::default(), None))
}

/// A whole clip.
fn clip(samples: &[f32]) -> Feed {
    let (mut hand, feed) = source(1);
    hand.push(samples);
    hand.end();
    feed
}

fn noise(length: usize, amplitude: f32) -> Vec<f32> {
    let mut state = 12_345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next() * amplitude).collect()
}

struct Desk {
    mixer: Mixer,
    output: Vec<f32>,
    /// "id what@sample".
    told: Vec<String>,
}

impl Desk {
    fn new() -> Self {
        Self { mixer: Mixer::new(1, Routing::Mixdown, None), output: Vec::new(), told: Vec::new() }
    }

    fn start(&mut self, id: u64, feed: Feed) {
        self.mixer.start(Voice::new(id, 0, feed));
    }

    /// Mixes one frame; `follow` may start what follows a voice that ended.
    fn frame_with(&mut self, frames: usize, mut follow: impl FnMut(&mut Mixer, u64)) {
        let mut notices = Vec::new();
        self.mixer.begin(frames);
        while self.mixer.mix(&mut notices) {
            for notice in notices.drain(..) {
                let word = match notice.what {
                    What::Started => "started".to_owned(),
                    What::Near => "near".to_owned(),
                    What::Paused(place) => format!("paused {place}"),
                    What::Resumed(place) => format!("resumed {place}"),
                    What::Progress(place) => format!("at {place}"),
                    What::Stalled(place) => format!("stalled {place}"),
                    What::Swapped { sought, .. } => {
                        sought.map_or("swapped".to_owned(), |place| format!("sought {place}"))
                    }
                    What::Ended { why, played, .. } => {
                        follow(&mut self.mixer, notice.id);
                        format!("{why:?} {played}")
                    }
                };
                self.told.push(format!("{} {word}@{}", notice.id, notice.at));
            }
        }
        assert!(notices.is_empty(), "told after the frame was said to be full");
        let before = self.output.len();
        self.mixer.streams().for_each(|frame| self.output.extend_from_slice(frame.samples));
        self.output.resize(before + frames, 0.0);
    }

    fn frames(&mut self, count: usize) {
        (0..count).for_each(|_| self.frame_with(FRAME, |_, _| {}));
    }
}

fn largest_step(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn one_playback_alone_passes_bit_for_bit_and_two_are_summed() {
    let (a, b) = (noise(2_000, 1.0), noise(3_000, 0.4));
    let mut desk = Desk::new();
    desk.start(1, clip(&a));
    desk.frames(3);
    assert_eq!(desk.output[..2_000], a);
    assert!(desk.output[2_000..].iter().all(|sample| *sample == 0.0));
    assert_eq!(desk.told, ["1 started@0", "1 Source 2000@2000"]);

    let quiet: Vec<f32> = a.iter().map(|sample| sample * 0.5).collect();
    let mut desk = Desk::new();
    desk.start(1, clip(&quiet));
    desk.start(2, clip(&b));
    desk.frames(4);
    let sum = |n: usize| quiet.get(n).unwrap_or(&0.0) + b.get(n).unwrap_or(&0.0);
    assert!((0..3_000).all(|n| desk.output[n] == sum(n)));
}

#[test]
fn what_follows_a_voice_starts_at_the_very_next_sample_however_short_the_clips_are() {
    let clips: Vec<Vec<f32>> = [1_000, 3, 0, 1, 500].iter().map(|length| noise(*length, 0.5)).collect();
    let mut desk = Desk::new();
    desk.start(0, clip(&clips[0]));
    for _ in 0..3 {
        desk.frame_with(FRAME, |mixer, id| {
            if let Some(next) = clips.get(id as usize + 1) {
                mixer.start(Voice::new(id + 1, 0, clip(next)));
            }
        });
    }
    assert_eq!(desk.output[..1_504], clips.concat());
    let starts = ["0 started@0", "1 started@1000", "2 started@1003", "3 started@1003", "4 started@1004"];
    assert!(starts.iter().all(|start| desk.told.iter().any(|told| told == start)), "{:?}", desk.told);
    assert_eq!(desk.told.last().unwrap(), "4 Source 500@1504");
}

#[test]
fn a_stop_fades_within_five_milliseconds_and_the_position_tells_it() {
    let mut desk = Desk::new();
    desk.start(1, clip(&vec![0.8; 9_600]));
    desk.frames(1);
    desk.mixer.stop(1, EDGE_FADE as u64);
    desk.frames(2);
    assert_eq!(desk.told, ["1 started@0", "1 Stop 1200@1200"]);
    assert!(desk.output[1_200..].iter().all(|sample| *sample == 0.0));
    assert!(largest_step(&desk.output[900..]) < 0.8 / 200.0, "a click");
}

#[test]
fn a_later_shorter_stop_wins_without_a_step_and_a_longer_one_is_ignored() {
    let mut desk = Desk::new();
    desk.start(1, clip(&vec![0.8; 9_600]));
    desk.mixer.stop(1, 4_800);
    desk.frames(2);
    desk.mixer.stop(1, 48_000);
    desk.mixer.stop(1, EDGE_FADE as u64);
    desk.frames(2);
    assert_eq!(desk.told, ["1 started@0", "1 Stop 2160@2160"]);
    assert!(largest_step(&desk.output) < 0.8 / 200.0, "a click");
}

#[test]
fn a_stop_at_the_end_of_a_clip_fades_what_is_left() {
    let mut desk = Desk::new();
    desk.start(1, clip(&vec![0.8; FRAME + 100]));
    desk.frames(1);
    desk.mixer.stop(1, EDGE_FADE as u64);
    desk.frames(1);
    assert_eq!(desk.told[1], "1 Stop 1060@1060");
    assert!(largest_step(&desk.output[900..1_100]) <= 0.8 / 100.0 + 1e-6, "a click");
}

#[test]
fn volume_zero_is_silence_that_takes_its_time() {
    let mut desk = Desk::new();
    let mut voice = Voice::new(1, 0, clip(&noise(1_500, 1.0)));
    voice.volume = Ramp::flat(0.0);
    desk.mixer.start(voice);
    desk.frames(2);
    assert!(desk.output.iter().all(|sample| *sample == 0.0));
    assert_eq!(desk.told, ["1 started@0", "1 Source 1500@1500"]);
}

#[test]
fn the_limit_ends_a_playback_at_its_sample_without_a_click() {
    let mut desk = Desk::new();
    let mut voice = Voice::new(1, 0, clip(&vec![0.8; 9_600]));
    voice.limit = 2_400;
    desk.mixer.start(voice);
    desk.frames(4);
    assert_eq!(desk.told, ["1 started@0", "1 Limit 2400@2400"]);
    assert_eq!(desk.output[2_159], 0.8);
    assert!(largest_step(&desk.output[1..]) < 0.8 / 200.0, "a click");
}

#[test]
fn an_underrun_is_counted_silence_that_shifts_nobody_and_clicks_nowhere() {
    let steady = noise(9_000, 0.25);
    let (mut hand, feed) = source(1);
    hand.push(&vec![0.5; 1_500]);
    let mut desk = Desk::new();
    desk.start(1, feed);
    desk.start(2, clip(&steady));
    desk.frames(3);
    assert_eq!(desk.mixer.underruns(), 1);
    hand.push(&vec![0.5; PREROLL - 1]);
    desk.frames(1);
    let heard = |desk: &Desk, range: std::ops::Range<usize>| -> Vec<f32> {
        range.map(|n| desk.output[n] - steady[n]).collect()
    };
    assert!(heard(&desk, 1_500..3_840).iter().all(|sample| sample.abs() < 1e-6), "not ready again yet");
    hand.push(&[0.5; 1_000]);
    hand.end();
    desk.frames(5);
    let first = heard(&desk, 0..8_640);
    assert!(largest_step(&first[..3_840 + PREROLL]) < 0.5 / 200.0, "a click");
    assert!((first[4_200] - 0.5).abs() < 1e-6, "not heard again");
    let total = 1_500 + PREROLL - 1 + 1_000;
    assert!(desk.told.contains(&format!("1 Source {total}@{}", 3_840 + total - 1_500)), "{:?}", desk.told);
    assert_eq!(desk.mixer.underruns(), 1);
}

#[test]
fn a_starved_playback_can_be_stopped() {
    let (mut hand, feed) = source(1);
    hand.push(&[0.5; 100]);
    let mut desk = Desk::new();
    desk.start(1, feed);
    desk.frames(2);
    hand.push(&[0.5; 100]); // too little to go on
    desk.mixer.stop(1, EDGE_FADE as u64);
    desk.frames(1);
    assert_eq!(desk.told, ["1 started@0", "1 Stop 100@1920"]);
}

#[test]
fn ten_full_scale_playbacks_stay_within_full_scale() {
    let mut desk = Desk::new();
    (0..10).for_each(|id| desk.start(id, clip(&noise(9_600, 1.0))));
    desk.frames(10);
    let peak = desk.output.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
    assert!((0.9..=1.0).contains(&peak), "{peak}");
}

#[test]
fn an_empty_clip_starts_and_ends_at_the_same_sample() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[]));
    desk.frames(1);
    assert_eq!(desk.told, ["1 started@0", "1 Source 0@0"]);
    assert!(desk.mixer.is_idle());
}

#[test]
fn a_fade_in_rises_from_silence_and_progress_is_told_at_its_sample() {
    let mut desk = Desk::new();
    let mut voice = Voice::new(1, 0, clip(&vec![0.8; 2_500]));
    voice.rise = Ramp::rise(0, 960);
    voice.report_every = 1_000;
    desk.mixer.start(voice);
    desk.frames(3);
    assert_eq!((desk.output[0], desk.output[480], desk.output[960]), (0.0, 0.4, 0.8));
    assert_eq!(desk.told, ["1 started@0", "1 at 1000@1000", "1 at 2000@2000", "1 Source 2500@2500"]);
}

#[test]
fn tracks_are_streams_of_their_own_where_the_output_wants_them() {
    let (mut mixer, mut notices) = (Mixer::new(1, Routing::PerTrack, None), Vec::new());
    mixer.start(Voice::new(1, 0, clip(&[0.25; FRAME])));
    mixer.start(Voice::new(2, 2, clip(&[0.5; FRAME])));
    mixer.begin(FRAME);
    while mixer.mix(&mut notices) {}
    let streams: Vec<(u32, f32)> = mixer.streams().map(|frame| (frame.stream, frame.samples[0])).collect();
    assert_eq!(streams, [(0, 0.25), (2, 0.5)]);
}

#[test]
fn stereo_keeps_its_sides_through_fades() {
    let (mut hand, feed) = source(2);
    let frames: Vec<f32> = (0..4_000).flat_map(|_| [0.8, -0.4]).collect();
    hand.push(&frames);
    hand.end();
    let (mut mixer, mut notices) = (Mixer::new(2, Routing::Mixdown, None), Vec::new());
    mixer.start(Voice::new(1, 0, feed));
    mixer.stop(1, EDGE_FADE as u64);
    mixer.begin(FRAME);
    while mixer.mix(&mut notices) {}
    let samples = mixer.streams().next().unwrap().samples;
    assert!(samples.chunks(2).all(|frame| (frame[0] + 2.0 * frame[1]).abs() < 1e-6));
    assert!(samples[2 * EDGE_FADE..].iter().all(|sample| *sample == 0.0));
}

#[test]
fn a_paused_voice_stands_still_and_goes_on_where_it_was() {
    let samples = noise(9_600, 0.8);
    let mut desk = Desk::new();
    desk.start(1, clip(&samples));
    desk.frames(1);
    desk.mixer.pause(1);
    desk.frames(2);
    assert!(desk.mixer.is_idle(), "it costs nothing");
    desk.mixer.skip(40);
    desk.mixer.resume(1);
    desk.frames(10);
    assert_eq!(desk.told, ["1 started@0", "1 paused 1200@1200", "1 resumed 1200@2920", "1 Source 9600@11320"]);
    assert!(desk.output[1_200..2_880].iter().all(|sample| *sample == 0.0));
    assert_eq!(desk.output[2_880 + 240..2_880 + 8_400], samples[1_440..], "after its rise");
}

#[test]
fn a_starved_playback_can_be_paused_and_comes_back_without_a_click() {
    let (mut hand, feed) = source(1);
    hand.push(&[0.5; 1_000]);
    let mut desk = Desk::new();
    desk.start(1, feed);
    desk.frames(2);
    desk.mixer.pause(1);
    desk.frames(1);
    assert_eq!(desk.told, ["1 started@0", "1 paused 1000@1920"]);
    desk.mixer.resume(1);
    desk.frames(1);
    hand.push(&[0.5; 2_000]);
    hand.end();
    desk.frames(4);
    assert_eq!(desk.told[2..], ["1 resumed 1000@2880", "1 Source 3000@5840"]);
    assert!(largest_step(&desk.output[..5_840]) < 0.5 / 200.0, "a click");
}

#[test]
fn a_source_that_runs_dry_while_it_falls_is_paused_where_it_is() {
    let (mut hand, feed) = source(1);
    hand.push(&[0.5; FRAME + 300]);
    let mut desk = Desk::new();
    desk.start(1, feed);
    desk.frames(1);
    desk.mixer.pause(1);
    desk.frames(1);
    assert_eq!(desk.told.last().unwrap(), "1 paused 1200@1200");
    let mut desk = Desk::new();
    let (mut hand, feed) = source(1);
    hand.push(&[0.5; FRAME + 100]);
    desk.start(1, feed);
    desk.frames(1);
    desk.mixer.pause(1);
    desk.frames(2);
    assert_eq!(desk.told.last().unwrap(), "1 paused 1060@1060");
    assert!(largest_step(&desk.output[1..]) <= 0.5 / 100.0 + 1e-6, "a click");
}

#[test]
fn a_stop_of_what_stands_still_ends_it_at_once() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.mixer.pause(1);
    desk.frames(1);
    let notice = desk.mixer.stop(1, 48_000).expect("it is told at once");
    assert!(matches!(notice, Notice { id: 1, at: 960, what: What::Ended { played: 240, .. } }));
    assert!(desk.mixer.is_silent());
}

#[test]
fn a_volume_changes_in_a_straight_line_from_wherever_it_is() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.frames(1);
    desk.mixer.set_volume(1, 0.0, 960);
    desk.frame_with(480, |_, _| {});
    desk.mixer.set_volume(1, 1.0, 960);
    desk.frames(2);
    let expected = [(959, 0.5), (960, 0.5), (1_200, 0.375), (1_440, 0.25), (1_920, 0.375), (2_400, 0.5), (3_000, 0.5)];
    assert!(expected.iter().all(|(n, level)| (desk.output[*n] - level).abs() < 1e-6));
}

#[test]
fn a_volume_and_a_stop_multiply() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.mixer.stop(1, 960);
    desk.mixer.set_volume(1, 0.5, 960);
    desk.frames(2);
    assert!((desk.output[480] - 0.5 * 0.5 * 0.75).abs() < 1e-6);
    assert_eq!(desk.told, ["1 started@0", "1 Stop 960@960"]);
}

/// A whole clip that says it was opened at `from`.
fn clip_from(from: u64, samples: &[f32]) -> Feed {
    let (mut producer, consumer) = RingBuffer::new(RING);
    producer.push_entire_slice(samples).expect("the test fits the ring");
    let shared = Arc::new(Shared::default());
    shared.outcome.set(Ok(())).expect("it ends once");
    Feed::new(consumer, 1, shared, Clip { from, ..Clip::default() }, None)
}

#[test]
fn another_place_is_swapped_in_between_two_edges() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.frames(1);
    assert!(desk.mixer.go_to(1, clip_from(40_000, &[-0.5; 2_000])).is_none(), "it falls first");
    desk.frames(4);
    assert_eq!(desk.told, ["1 started@0", "1 sought 40000@1200", "1 Source 3200@3200"]);
    assert!(largest_step(&desk.output[1..3_200]) <= 0.5 / 240.0 + 1e-6, "a click");
    assert_eq!(desk.output[1_200 + 240], -0.5);
}

#[test]
fn a_place_that_comes_once_its_source_is_over_is_swapped_in_all_the_same() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 1_000]));
    desk.mixer.go_to(1, clip_from(0, &[0.5; 500]));
    desk.frames(1);
    assert_eq!(desk.told, ["1 started@0", "1 sought 0@240", "1 Source 740@740"]);
}

#[test]
fn how_much_waits_does_not_shorten_a_stop() {
    let (mut hand, feed) = source(1);
    hand.push(&[0.5; 1_300]);
    let mut desk = Desk::new();
    desk.start(1, feed);
    desk.frames(1);
    desk.mixer.stop(1, 4_800);
    hand.push(&[0.5; 9_600]);
    desk.frames(6);
    assert_eq!(desk.told, ["1 started@0", "1 Stop 5760@5760"]);
}
