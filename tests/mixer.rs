//! The mixer, sample by sample: hand-made readers in, frames and events out. No thread, no clock.

mod hand;

use hand::Hand;
use speaker_session::internals::audio::{EDGE_FADE, FRAME, PREROLL};
use speaker_session::internals::mixer::{
    Mixer, MixerEvent, MixerEventKind, Ramp, Routing, Scratch, Stem, TrackVolume, Voice,
};
use speaker_session::internals::runtime::DECODERS;
use speaker_session::internals::source::{
    FetchLimits, MemoryFile, Opening, Origin, PcmReader, Section, Source, make_clip, open,
};

/// Makes a mono reader and its writing end.
fn source() -> (Hand, PcmReader) {
    Hand::reader(1, 0, Section::default(), None)
}

/// A whole clip.
fn clip(samples: &[f32]) -> PcmReader {
    clip_from(0, samples)
}

/// A whole clip that was opened at a place.
fn clip_from(from: u64, samples: &[f32]) -> PcmReader {
    let (mut hand, reader) = Hand::reader(1, 0, Section { from, ..Section::default() }, None);
    hand.push(samples);
    hand.end(Ok(()));
    reader
}

fn voice(id: u64, track: u32, reader: PcmReader) -> Voice {
    Voice::new(id.into(), track, reader)
}

fn noise(length: usize, amplitude: f32) -> Vec<f32> {
    let mut state = 12_345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next() * amplitude).collect()
}

/// A mixer with its voices, as a session holds them.
struct Desk {
    mixer: Mixer,
    voices: Vec<Voice>,
    scratch: Scratch,
    output: Vec<f32>,
    /// The events, as "id event@sample".
    reported: Vec<String>,
    /// The part of a clip that each frame of track 0 is: the place, and the gain.
    parts: Vec<Option<(u64, f32)>>,
}

impl Desk {
    fn new() -> Self {
        Self::with(Routing::Mixdown)
    }

    fn with(routing: Routing) -> Self {
        let (mixer, scratch) = (Mixer::new(1, routing, None), Scratch::default());
        Self { mixer, voices: Vec::new(), scratch, output: Vec::new(), reported: Vec::new(), parts: Vec::new() }
    }

    /// Starts a reader on track 0.
    fn start(&mut self, id: u64, reader: PcmReader) {
        self.start_voice(voice(id, 0, reader));
    }

    fn start_voice(&mut self, mut voice: Voice) {
        self.mixer.start(&mut voice, &mut self.voices);
        self.voices.push(voice);
    }

    fn voice(&mut self, id: u64) -> &mut Voice {
        self.voices.iter_mut().find(|voice| voice.id == id.into()).expect("it sounds")
    }

    /// Mixes one frame. `follow` returns the voice that starts where another ends.
    fn frame_with(&mut self, frames: usize, mut follow: impl FnMut(u64) -> Option<Voice>) {
        let mut events = Vec::new();
        self.mixer.begin(frames, &mut self.scratch);
        while self.mixer.mix(&mut self.voices, &mut self.scratch, &mut events) {
            for event in events.drain(..) {
                self.tell(&event);
                if matches!(event.kind, MixerEventKind::Ended(_)) {
                    self.voices.retain(|voice| voice.id != event.id);
                    follow(event.id.into()).into_iter().for_each(|voice| self.start_voice(voice));
                }
            }
        }
        assert!(events.is_empty(), "reported after the frame was full");
        assert_eq!(self.mixer.finish(&mut self.scratch), frames);
        let before = self.output.len();
        self.scratch.frames().for_each(|frame| self.output.extend_from_slice(frame.samples));
        self.output.resize(before + frames, 0.0);
        let frames = self.scratch.frames().filter(|frame| frame.stream == 0);
        self.parts.extend(frames.map(|frame| frame.part.map(|part| (part.place, part.gain))));
    }

    fn tell(&mut self, event: &MixerEvent) {
        let word = match &event.kind {
            MixerEventKind::Started => "started".to_owned(),
            MixerEventKind::EndApproaching => "end approaches".to_owned(),
            MixerEventKind::Paused(place) => format!("paused {place}"),
            MixerEventKind::Resumed(place) => format!("resumed {place}"),
            MixerEventKind::Progress(place) => format!("at {place}"),
            MixerEventKind::Stalled(place) => format!("stalled {place}"),
            MixerEventKind::Swapped { sought: Some(place), .. } => format!("sought {place}"),
            MixerEventKind::Marked(number) => format!("mark {number}"),
            MixerEventKind::Swapped { sought: None, .. } => "swapped".to_owned(),
            MixerEventKind::Ended(why) => format!("{why:?} {}", self.voice(event.id.into()).played()),
        };
        self.reported.push(format!("{} {word}@{}", event.id, event.at));
    }

    fn frames(&mut self, count: usize) {
        (0..count).for_each(|_| self.frame_with(FRAME, |_| None));
    }

    /// Mixes this many samples, in frames whose lengths repeat.
    fn cut(&mut self, samples: usize, lengths: &[usize]) {
        let mut left = samples;
        for length in lengths.iter().cycle() {
            let frames = left.min(*length);
            self.frame_with(frames, |_| None);
            left -= frames;
            if left == 0 {
                return;
            }
        }
    }
}

fn largest_step(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn one_voice_passes_two_are_summed() {
    let (a, b) = (noise(2_000, 1.0), noise(3_000, 0.4));
    let mut desk = Desk::new();
    desk.start(1, clip(&a));
    desk.frames(3);
    assert_eq!(desk.output[..2_000], a);
    assert!(desk.output[2_000..].iter().all(|sample| *sample == 0.0));
    assert_eq!(desk.reported, ["1 started@0", "1 Source 2000@2000"]);

    let quiet: Vec<f32> = a.iter().map(|sample| sample * 0.5).collect();
    let mut desk = Desk::new();
    desk.start(1, clip(&quiet));
    desk.start(2, clip(&b));
    desk.frames(4);
    let sum = |n: usize| quiet.get(n).unwrap_or(&0.0) + b.get(n).unwrap_or(&0.0);
    assert!((0..3_000).all(|n| desk.output[n] == sum(n)));
}

#[test]
fn next_voice_starts_at_the_next_sample() {
    let clips: Vec<Vec<f32>> = [1_000, 3, 0, 1, 500].iter().map(|length| noise(*length, 0.5)).collect();
    let mut desk = Desk::new();
    desk.start(0, clip(&clips[0]));
    for _ in 0..3 {
        desk.frame_with(FRAME, |id| Some(voice(id + 1, 0, clip(clips.get(id as usize + 1)?))));
    }
    assert_eq!(desk.output[..1_504], clips.concat());
    let starts = ["0 started@0", "1 started@1000", "2 started@1003", "3 started@1003", "4 started@1004"];
    assert!(starts.iter().all(|start| desk.reported.iter().any(|reported| reported == start)), "{:?}", desk.reported);
    assert_eq!(desk.reported.last().unwrap(), "4 Source 500@1504");
}

#[test]
fn stop_fades_within_5_ms() {
    let mut desk = Desk::new();
    desk.start(1, clip(&vec![0.8; 9_600]));
    desk.frames(1);
    desk.voice(1).stop(EDGE_FADE as u64);
    desk.frames(2);
    assert_eq!(desk.reported, ["1 started@0", "1 Stop 1200@1200"]);
    assert!(desk.output[1_200..].iter().all(|sample| *sample == 0.0));
    assert!(largest_step(&desk.output[900..]) < 0.8 / 200.0, "a click");
}

#[test]
fn shorter_of_two_stops_wins() {
    let mut desk = Desk::new();
    desk.start(1, clip(&vec![0.8; 9_600]));
    desk.voice(1).stop(4_800);
    desk.frames(2);
    desk.voice(1).stop(48_000);
    desk.voice(1).stop(EDGE_FADE as u64);
    desk.frames(2);
    assert_eq!(desk.reported, ["1 started@0", "1 Stop 2160@2160"]);
    assert!(largest_step(&desk.output) < 0.8 / 200.0, "a click");
}

#[test]
fn fall_may_begin_later() {
    // The delay, the fade, the time of a second stop that is to begin later, and its effect.
    let cases = [
        (1_000, 500, None, "1 Stop 2460@2460"),
        (1_000, 0, None, "1 Stop 1960@1960"),
        (0, 2_000, Some((100, 240)), "1 Stop 2960@2960"),
        (3_000, 2_000, Some((100, 240)), "1 Stop 1300@1300"),
        (3_000, 240, Some((4_000, 240)), "1 Stop 4200@4200"),
        // Nothing fades before its source's own end.
        (8_640, 240, None, "1 Source 9600@9600"),
        (8_639, 240, None, "1 Stop 9600@9600"),
        (u64::MAX, u64::MAX, None, "1 Source 9600@9600"),
    ];
    for (after, fade, second, end) in cases {
        let mut desk = Desk::new();
        desk.start(1, clip(&vec![0.8; 9_600]));
        desk.frames(1);
        desk.voice(1).stop_after(after, fade);
        if let Some((after, fade)) = second {
            desk.voice(1).stop_after(after, fade);
        }
        desk.frames(11);
        assert_eq!(desk.reported, ["1 started@0", end], "{after}, {fade}");
        if second.is_none() && fade > 0 {
            let begin = (960 + after.min(9_000)) as usize;
            assert!(desk.output[..begin.min(9_360)].iter().all(|sample| *sample == 0.8), "{after}, {fade}");
        }
    }
}

#[test]
fn stop_near_the_end_fades_the_rest() {
    let mut desk = Desk::new();
    desk.start(1, clip(&vec![0.8; FRAME + 100]));
    desk.frames(1);
    desk.voice(1).stop(EDGE_FADE as u64);
    desk.frames(1);
    assert_eq!(desk.reported[1], "1 Stop 1060@1060");
    assert!(largest_step(&desk.output[900..1_100]) <= 0.8 / 100.0 + 1e-6, "a click");
}

#[test]
fn volume_zero_plays_silence() {
    let mut desk = Desk::new();
    let mut voice = voice(1, 0, clip(&noise(1_500, 1.0)));
    voice.volume = Ramp::flat(0.0);
    desk.start_voice(voice);
    desk.frames(2);
    assert!(desk.output.iter().all(|sample| *sample == 0.0));
    assert_eq!(desk.reported, ["1 started@0", "1 Source 1500@1500"]);
}

#[test]
fn limit_ends_a_voice_at_its_sample() {
    let mut desk = Desk::new();
    let mut voice = voice(1, 0, clip(&vec![0.8; 9_600]));
    voice.limit = 2_400;
    desk.start_voice(voice);
    desk.frames(4);
    assert_eq!(desk.reported, ["1 started@0", "1 Limit 2400@2400"]);
    assert_eq!(desk.output[2_159], 0.8);
    assert!(largest_step(&desk.output[1..]) < 0.8 / 200.0, "a click");
}

#[test]
fn underrun_is_counted_and_faded() {
    let steady = noise(9_000, 0.25);
    let (mut hand, reader) = source();
    hand.push(&vec![0.5; 1_500]);
    let mut desk = Desk::new();
    desk.start(1, reader);
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
    hand.end(Ok(()));
    desk.frames(5);
    let first = heard(&desk, 0..8_640);
    assert!(largest_step(&first[..3_840 + PREROLL]) < 0.5 / 200.0, "a click");
    assert!((first[4_200] - 0.5).abs() < 1e-6, "not heard again");
    let total = 1_500 + PREROLL - 1 + 1_000;
    assert!(desk.reported.contains(&format!("1 Source {total}@{}", 3_840 + total - 1_500)), "{:?}", desk.reported);
    assert_eq!(desk.mixer.underruns(), 1);
}

#[test]
fn starved_voice_can_be_stopped() {
    let (mut hand, reader) = source();
    hand.push(&[0.5; 100]);
    let mut desk = Desk::new();
    desk.start(1, reader);
    desk.frames(2);
    hand.push(&[0.5; 100]); // too little to go on
    desk.voice(1).stop(EDGE_FADE as u64);
    desk.frames(1);
    assert_eq!(desk.reported, ["1 started@0", "1 Stop 100@1920"]);
}

#[test]
fn ten_loud_voices_stay_within_full_scale() {
    let mut desk = Desk::new();
    (0..10).for_each(|id| desk.start(id, clip(&noise(9_600, 1.0))));
    desk.frames(10);
    let peak = desk.output.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
    assert!((0.9..=1.0).contains(&peak), "{peak}");
}

#[test]
fn empty_clip_starts_and_ends_at_once() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[]));
    desk.frames(1);
    assert_eq!(desk.reported, ["1 started@0", "1 Source 0@0"]);
    assert!(desk.mixer.is_idle(&mut desk.voices));
}

#[test]
fn fades_in_and_reports_progress() {
    let mut desk = Desk::new();
    let mut voice = voice(1, 0, clip(&vec![0.8; 2_500]));
    voice.rise = Ramp::rise(0, 960);
    voice.report_every = 1_000;
    desk.start_voice(voice);
    desk.frames(3);
    assert_eq!((desk.output[0], desk.output[480], desk.output[960]), (0.0, 0.4, 0.8));
    assert_eq!(desk.reported, ["1 started@0", "1 at 1000@1000", "1 at 2000@2000", "1 Source 2500@2500"]);
}

#[test]
fn each_track_can_be_a_stream() {
    let mut desk = Desk { mixer: Mixer::new(1, Routing::PerTrack, None), ..Desk::new() };
    desk.start_voice(voice(1, 0, clip(&[0.25; 2 * FRAME])));
    desk.start_voice(voice(2, 2, clip(&[0.5; 2 * FRAME])));
    desk.mixer.begin(FRAME, &mut desk.scratch);
    while desk.mixer.mix(&mut desk.voices, &mut desk.scratch, &mut Vec::new()) {}
    desk.mixer.finish(&mut desk.scratch);
    let streams: Vec<(u32, f32)> = desk.scratch.frames().map(|frame| (frame.stream, frame.samples[0])).collect();
    assert_eq!(streams, [(0, 0.25), (2, 0.5)]);
}

#[test]
fn stereo_keeps_its_sides_through_fades() {
    let (mut hand, reader) = Hand::reader(2, 0, Section::default(), None);
    let frames: Vec<f32> = (0..4_000).flat_map(|_| [0.8, -0.4]).collect();
    hand.push(&frames);
    hand.end(Ok(()));
    let mut desk = Desk { mixer: Mixer::new(2, Routing::Mixdown, None), ..Desk::new() };
    desk.start(1, reader);
    desk.voice(1).stop(EDGE_FADE as u64);
    desk.mixer.begin(FRAME, &mut desk.scratch);
    while desk.mixer.mix(&mut desk.voices, &mut desk.scratch, &mut Vec::new()) {
        desk.voices.retain(|voice| voice.played() < EDGE_FADE as u64);
    }
    desk.mixer.finish(&mut desk.scratch);
    let samples = desk.scratch.frames().next().expect("it sounds").samples;
    assert!(samples.chunks(2).all(|frame| (frame[0] + 2.0 * frame[1]).abs() < 1e-6));
    assert!(samples[2 * EDGE_FADE..].iter().all(|sample| *sample == 0.0));
}

#[test]
fn paused_voice_goes_on_where_it_was() {
    let samples = noise(9_600, 0.8);
    let mut desk = Desk::new();
    desk.start(1, clip(&samples));
    desk.frames(1);
    desk.voice(1).pause();
    desk.frames(2);
    assert!(desk.mixer.is_idle(&mut desk.voices), "it costs something");
    desk.mixer.skip(&mut desk.voices, 40);
    desk.voice(1).resume();
    desk.frames(10);
    assert_eq!(desk.reported, ["1 started@0", "1 paused 1200@1200", "1 resumed 1200@2920", "1 Source 9600@11320"]);
    assert!(desk.output[1_200..2_880].iter().all(|sample| *sample == 0.0));
    assert_eq!(desk.output[2_880 + 240..2_880 + 8_400], samples[1_440..], "after its rise");
}

#[test]
fn starved_voice_can_be_paused_and_resumed() {
    let (mut hand, reader) = source();
    hand.push(&[0.5; 1_000]);
    let mut desk = Desk::new();
    desk.start(1, reader);
    desk.frames(2);
    desk.voice(1).pause();
    desk.frames(1);
    assert_eq!(desk.reported, ["1 started@0", "1 paused 1000@1920"]);
    desk.voice(1).resume();
    desk.frames(1);
    hand.push(&[0.5; 2_000]);
    hand.end(Ok(()));
    desk.frames(4);
    assert_eq!(desk.reported[2..], ["1 resumed 1000@2880", "1 Source 3000@5840"]);
    assert!(largest_step(&desk.output[..5_840]) < 0.5 / 200.0, "a click");
}

#[test]
fn underrun_shortens_the_fall_of_a_pause() {
    let (mut hand, reader) = source();
    hand.push(&[0.5; FRAME + 300]);
    let mut desk = Desk::new();
    desk.start(1, reader);
    desk.frames(1);
    desk.voice(1).pause();
    desk.frames(1);
    assert_eq!(desk.reported.last().unwrap(), "1 paused 1200@1200");
    let mut desk = Desk::new();
    let (mut hand, reader) = source();
    hand.push(&[0.5; FRAME + 100]);
    desk.start(1, reader);
    desk.frames(1);
    desk.voice(1).pause();
    desk.frames(2);
    assert_eq!(desk.reported.last().unwrap(), "1 paused 1060@1060");
    assert!(largest_step(&desk.output[1..]) <= 0.5 / 100.0 + 1e-6, "a click");
}

#[test]
fn volume_changes_linearly() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.frames(1);
    desk.voice(1).set_volume(0.0, 960);
    desk.frame_with(480, |_| None);
    desk.voice(1).set_volume(1.0, 960);
    desk.frames(2);
    let expected = [(959, 0.5), (960, 0.5), (1_200, 0.375), (1_440, 0.25), (1_920, 0.375), (2_400, 0.5), (3_000, 0.5)];
    assert!(expected.iter().all(|(n, level)| (desk.output[*n] - level).abs() < 1e-6));
}

#[test]
fn volume_and_stop_multiply() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.voice(1).stop(960);
    desk.voice(1).set_volume(0.5, 960);
    desk.frames(2);
    assert!((desk.output[480] - 0.5 * 0.5 * 0.75).abs() < 1e-6);
    assert_eq!(desk.reported, ["1 started@0", "1 Stop 960@960"]);
}

#[test]
fn seek_swaps_readers_between_two_edges() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.frames(1);
    let swapped = desk.voice(1).seek_to(clip_from(40_000, &[-0.5; 2_000]));
    assert!(matches!(swapped, Ok(None)), "it does not fall first");
    desk.frames(4);
    assert_eq!(desk.reported, ["1 started@0", "1 sought 40000@1200", "1 Source 3200@3200"]);
    assert!(largest_step(&desk.output[1..3_200]) <= 0.5 / 240.0 + 1e-6, "a click");
    assert_eq!(desk.output[1_200 + 240], -0.5);
}

#[test]
fn seek_outlives_the_end_of_its_source() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 1_000]));
    assert!(desk.voice(1).seek_to(clip_from(0, &[0.5; 500])).is_ok());
    desk.frames(1);
    assert_eq!(desk.reported, ["1 started@0", "1 sought 0@240", "1 Source 740@740"]);
}

#[test]
fn buffer_level_does_not_shorten_a_stop() {
    let (mut hand, reader) = source();
    hand.push(&[0.5; 1_300]);
    let mut desk = Desk::new();
    desk.start(1, reader);
    desk.frames(1);
    desk.voice(1).stop(4_800);
    hand.push(&[0.5; 9_600]);
    desk.frames(6);
    assert_eq!(desk.reported, ["1 started@0", "1 Stop 5760@5760"]);
}

/// Changes at given samples while four voices sound, loud enough for the limiter to work.
fn busy(lengths: &[usize]) -> Desk {
    let mut desk = Desk::new();
    for id in 1..=4 {
        let mut voice = voice(id, (id % 2) as u32, clip(&noise(9_000 + 111 * id as usize, 0.6)));
        (voice.report_every, voice.gain) = (240, 0.9);
        voice.rise = Ramp::rise(0, 1_000 * (id - 1));
        desk.start_voice(voice);
        desk.cut(101, lengths);
    }
    desk.voice(1).pause();
    desk.voice(2).set_volume(0.3, 777);
    desk.cut(1_500, lengths);
    desk.voice(1).resume();
    desk.voice(3).limit = 5_000;
    desk.cut(1_001, lengths);
    desk.voice(2).stop(1_234);
    assert!(desk.voice(4).seek_to(clip_from(500, &noise(6_000, 0.8))).is_ok());
    desk.cut(9_000, lengths);
    desk
}

#[test]
fn samples_do_not_depend_on_frame_lengths() {
    let whole = busy(&[FRAME]);
    assert!(
        whole.reported.iter().any(|reported| reported.contains("Limit")) && whole.voices.is_empty(),
        "{:?}",
        whole.reported
    );
    for lengths in [&[1][..], &[7, 333, 960, 64], &[959, 1], &[241]] {
        let cut = busy(lengths);
        assert!(cut.output == whole.output, "frames of {lengths:?} sound different");
        assert_eq!(cut.reported, whole.reported, "frames of {lengths:?}");
    }
}

#[test]
fn progress_events_are_in_time_order() {
    let mut desk = Desk::new();
    for id in 1..=3 {
        let mut voice = voice(id, 0, clip(&noise(6_000, 0.2)));
        voice.report_every = 240;
        desk.start_voice(voice);
        desk.cut(77, &[FRAME]);
    }
    desk.frames(7);
    let times: Vec<u64> =
        desk.reported.iter().map(|reported| reported.split_once('@').unwrap().1.parse().unwrap()).collect();
    assert!(times.is_sorted(), "{:?}", desk.reported);
    for id in 1..=3 {
        for place in (240..=6_000).step_by(240) {
            let expected = format!("{id} at {place}@{}", (id - 1) * 77 + place);
            assert_eq!(desk.reported.iter().filter(|reported| **reported == expected).count(), 1, "{expected}");
        }
    }
}

#[test]
fn resume_during_a_seek_plays_nothing_old() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.frames(1);
    desk.voice(1).pause();
    desk.frames(1);
    desk.voice(1).seek();
    desk.voice(1).resume();
    desk.frames(2);
    assert!(desk.output[1_200..].iter().all(|sample| *sample == 0.0), "the old place sounds");
    let Ok(Some(kind)) = desk.voice(1).seek_to(clip_from(40_000, &[-0.5; 2_000])) else { panic!("it is silent") };
    desk.tell(&MixerEvent { id: 1.into(), at: desk.mixer.now(), kind });
    desk.frames(4);
    let end = 3_840 + 2_000;
    let expected =
        ["1 started@0", "1 paused 1200@1200", "1 sought 40000@3840", "1 resumed 40000@3840"].map(str::to_owned);
    assert_eq!(desk.reported[..4], expected);
    assert_eq!(desk.reported[4..], [format!("1 Source 3200@{end}")]);
    assert!(desk.output[1_200..].iter().all(|sample| *sample <= 0.0));
    assert_eq!([desk.output[3_840], desk.output[3_840 + 120], desk.output[3_840 + 240]], [0.0, -0.25, -0.5]);
}

#[test]
fn tiny_successor_still_leaves_an_edge() {
    for length in [1, 24] {
        let mut desk = Desk::new();
        desk.start(1, clip(&[0.8; 9_600]));
        desk.frames(1);
        desk.voice(1).cross_out(48_000);
        desk.start(2, clip(&vec![0.0; length]));
        desk.frames(1);
        assert!(desk.reported.contains(&"1 Stop 1200@1200".to_owned()), "{:?}", desk.reported);
        // The steepest part of an equal-power fade-out.
        assert!(largest_step(&desk.output) < 0.8 * 1.6 / 240.0, "a click");
    }
}

#[test]
fn halt_fades_edges_and_loses_nothing() {
    let mut desk = Desk::new();
    desk.start(1, clip(&[0.5; 9_600]));
    desk.frames(1);
    desk.voice(1).fade_out_for_halt();
    desk.frames(1);
    assert_eq!([desk.output[960], desk.output[1_080]], [0.5, 0.25]);
    assert!(desk.output[1_200..].iter().all(|sample| *sample == 0.0));
    desk.mixer.skip(&mut desk.voices, 48_000);
    desk.voice(1).fade_in_after_halt();
    desk.frames(10);
    assert_eq!([desk.output[1_920], desk.output[1_920 + 120], desk.output[1_920 + 240]], [0.0, 0.25, 0.5]);
    assert_eq!(desk.reported, ["1 started@0", &format!("1 Source 9600@{}", 1_920 + 48_000 + 8_400)]);
}

/// A reader of a shared clip, whole.
fn shared(samples: &[f32]) -> PcmReader {
    shared_at(48_000, samples, Section::default())
}

/// A reader of a section of a shared clip, made of samples at a rate.
fn shared_at(sample_rate: u32, samples: &[f32], section: Section) -> PcmReader {
    let spec =
        hound::WavSpec { channels: 1, sample_rate, bits_per_sample: 32, sample_format: hound::SampleFormat::Float };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("memory takes it");
    samples.iter().for_each(|sample| writer.write_sample(*sample).expect("memory takes it"));
    writer.finalize().expect("memory takes it");
    let (sender, made) = std::sync::mpsc::channel();
    let source = Source::new(Origin::Bytes(MemoryFile::of(bytes.get_ref())), None, Section::default());
    let _making = make_clip(&DECODERS, source, 0, FetchLimits::default(), move |made| sender.send(made).unwrap());
    let origin = Origin::Clip(made.recv().unwrap().unwrap().into());
    let opening = Opening::Source(Source::new(origin, None, section));
    open(&DECODERS, opening, 1, 0, FetchLimits::default(), Default::default())
}

#[test]
fn detects_frames_of_one_clip() {
    let samples = noise(2_500, 0.5);
    let parts = |routing, change: &dyn Fn(&mut Desk)| {
        let mut desk = Desk::with(routing);
        desk.start(1, shared(&samples));
        desk.frames(1);
        change(&mut desk);
        desk.frames(3);
        desk.parts
    };
    let other = |track| move |desk: &mut Desk| desk.start_voice(voice(2, track, clip(&noise(1_300, 0.4))));
    let [first, second, third] = [0, 960, 1_920].map(|place| Some((place, 1.0)));
    let alone = [first, second, third, None];
    let tracks = Routing::PerTrack;
    assert_eq!(parts(tracks, &|_| ()), alone);
    assert_eq!(parts(tracks, &other(1)), alone, "another track does not touch it");
    assert_eq!(parts(tracks, &other(0)), [first, None, None, None]);
    assert_eq!(parts(Routing::Mixdown, &other(1)), [first, None, None, None]);
    assert_eq!(parts(tracks, &|desk| desk.voice(1).stop(480)), [first, None, None, None]);
    assert_eq!(parts(tracks, &|desk| desk.voice(1).pause()), [first, None, None, None]);
    let halved = [first, None, Some((1_920, 0.5)), None];
    assert_eq!(parts(tracks, &|desk| desk.voice(1).set_volume(0.5, 480)), halved);
    let turned = |volume, fade| move |desk: &mut Desk| desk.mixer.set_volume(0, level(volume, fade));
    assert_eq!(parts(tracks, &turned(0.5, 480)), halved, "its track is turned down");
    assert_eq!(parts(tracks, &|desk| desk.mixer.set_pan(0, 0.5, 0)), [first, None, None, None], "its sides differ");
    assert_eq!(parts(tracks, &|desk| desk.mixer.set_pan(0, 0.0, 0)), alone);
    let at_once = [first, Some((960, 0.5)), Some((1_920, 0.5)), None];
    assert_eq!(parts(tracks, &turned(0.5, 0)), at_once);
    let louder = [first, None, None, None];
    assert_eq!(parts(tracks, &|desk| desk.voice(1).set_volume(2.1, 0)), louder, "limited");
    let mut from_a_ring = Desk::with(tracks);
    from_a_ring.start(1, clip(&samples));
    from_a_ring.frames(3);
    assert_eq!(from_a_ring.parts, [None; 3]);
}

/// Returns a track's volume.
fn level(volume: f32, fade: u64) -> TrackVolume {
    TrackVolume { volume: Some(volume), gain: None, fade }
}

#[test]
fn track_volume_outlasts_its_playbacks() {
    let (a, b) = (noise(4_000, 0.3), noise(4_000, 0.4));
    for routing in [Routing::Mixdown, Routing::PerTrack] {
        let mut desk = Desk::with(routing);
        // Set before anything plays there.
        desk.mixer.set_volume(1, level(0.5, 10_000));
        desk.start_voice(voice(1, 1, clip(&a)));
        desk.frames(1);
        assert!(desk.output[..960].iter().zip(&a).all(|(sample, source)| *sample == source * 0.5), "{routing:?}");
        desk.mixer.set_volume(1, level(1.0, 480));
        desk.frames(1);
        for n in 0..960 {
            let expected = a[960 + n] * (0.5 + 0.5 * (n as f32 / 480.0).min(1.0));
            assert!((desk.output[960 + n] - expected).abs() < 1e-6, "{routing:?} {n}");
        }
        // A later playback has it too, from its first sample on.
        desk.mixer.set_volume(1, TrackVolume { volume: Some(0.25), gain: Some(2.0), fade: 0 });
        desk.start_voice(voice(2, 1, clip(&b)));
        desk.frames(1);
        for n in 0..960 {
            let expected = (a[1_920 + n] + b[n]) * 0.5;
            assert!((desk.output[1_920 + n] - expected).abs() < 1e-6, "{routing:?} {n}");
        }
    }
}

#[test]
fn track_changes_do_not_click() {
    let steady = vec![0.8; 11_000];
    let heard = |lengths: &[usize]| {
        let mut desk = Desk::new();
        desk.start(1, clip(&steady));
        desk.cut(960, lengths);
        desk.mixer.set_volume(0, level(0.1, 240));
        desk.cut(960, lengths);
        assert!(desk.mixer.set_muted(0, true));
        desk.cut(960, lengths);
        assert!(desk.mixer.set_muted(0, false));
        desk.mixer.set_volume(0, level(1.0, 2_000));
        desk.cut(2_880, lengths);
        desk.output
    };
    let whole = heard(&[FRAME]);
    assert!(largest_step(&whole) < 0.8 / 200.0, "{}", largest_step(&whole));
    assert!(whole[2_160..2_880].iter().all(|sample| *sample == 0.0), "muted");
    assert_eq!(whole[5_000], 0.8);
    assert!(heard(&[7, 480, 100]) == whole);
}

#[test]
fn playback_is_kept_for_its_tap() {
    let [a, b] = [noise(2_000, 0.3), noise(1_500, 0.4)];
    let mix = |routing, is_tapped: bool| {
        let mut desk = Desk::with(routing);
        if is_tapped {
            desk.mixer.tap(7, Stem::Playback(2.into()));
        }
        desk.mixer.set_volume(0, level(0.5, 0));
        for (id, samples) in [(1, &a), (2, &b)] {
            desk.start_voice(voice(id, 0, clip(samples)));
        }
        let mut stems = Vec::new();
        for _ in 0..3 {
            desk.frames(1);
            desk.scratch.stems().for_each(|(stem, samples)| {
                assert_eq!(stem, Stem::Playback(2.into()));
                stems.extend_from_slice(samples);
            });
        }
        assert_eq!(desk.mixer.untap_playback(1.into()).count(), 0);
        assert_eq!(desk.mixer.untap_playback(2.into()).collect::<Vec<_>>(), if is_tapped { vec![7] } else { vec![] });
        (desk.output, stems)
    };
    for routing in [Routing::Mixdown, Routing::PerTrack] {
        let (output, stems) = mix(routing, true);
        assert!(output == mix(routing, false).0, "a tap changes nothing");
        let halved: Vec<_> = b.iter().map(|sample| sample * 0.5).collect();
        assert_eq!(stems.len(), 1_920, "it has no frame of which it is no part");
        assert!(stems[..1_500] == halved && stems[1_500..].iter().all(|sample| *sample == 0.0));
    }
}

#[test]
fn track_sum_is_kept_for_its_tap() {
    let [a, b, c] = [noise(2_000, 0.3), noise(2_500, 0.3), noise(1_300, 0.4)];
    let mix = |is_tapped: bool, lengths: &[usize]| {
        let mut desk = Desk::new();
        if is_tapped {
            desk.mixer.tap(7, Stem::Track(1));
        }
        desk.mixer.set_volume(1, level(0.5, 0));
        let voices = [(1, 0, &a), (2, 1, &b), (3, 1, &c)];
        voices.iter().for_each(|(id, track, samples)| desk.start_voice(voice(*id, *track, clip(samples))));
        let mut sums = Vec::new();
        for length in lengths.iter().cycle().take(3 * lengths.len()) {
            desk.cut(*length, &[*length]);
            let of_track: Vec<_> = desk.scratch.stems().collect();
            assert!(of_track.iter().all(|(stem, _)| *stem == Stem::Track(1)));
            let silence = vec![0.0; *length];
            sums.extend_from_slice(of_track.first().map_or(&silence[..], |(_, samples)| samples));
        }
        (desk.output, sums)
    };
    let (untouched, none) = mix(false, &[FRAME]);
    assert!(none.iter().all(|sample| *sample == 0.0));
    let (output, sums) = mix(true, &[FRAME]);
    assert!(output == untouched, "a tap changes nothing");
    assert_eq!(sums.len(), 2_880);
    for n in 0..2_880 {
        let at = |samples: &[f32]| samples.get(n).copied().unwrap_or(0.0);
        let expected = (at(&b) + at(&c)) * 0.5;
        assert!((sums[n] - expected).abs() < 1e-6, "{n}");
        assert!((output[n] - (at(&a) + expected)).abs() < 1e-6, "{n}");
    }
    let (_, cut) = mix(true, &[500, 460]);
    assert!(cut == sums);
}

#[test]
fn limits_a_track_after_its_gain() {
    let mut desk = Desk::new();
    desk.mixer.set_volume(0, TrackVolume { volume: None, gain: Some(4.0), fade: 0 });
    desk.start(1, clip(&noise(9_000, 0.5)));
    desk.frames(9);
    assert!(desk.output.iter().all(|sample| sample.abs() <= 1.0));
    let power: f32 = desk.output[..8_640].iter().map(|sample| sample * sample).sum::<f32>() / 8_640.0;
    assert!(power > 0.1, "{power}, and 0.083 without the gain");
}

#[test]
fn counts_frames_and_underruns_of_tracks() {
    let mut desk = Desk::new();
    desk.start_voice(voice(1, 3, clip(&noise(1_500, 0.5))));
    let (mut hand, reader) = source();
    hand.push(&noise(2_400, 0.5));
    desk.start_voice(voice(2, 4, reader));
    desk.frames(5);
    let counts = [3, 4, 5].map(|track| desk.mixer.track_counts(track)).map(|counts| (counts.frames, counts.underruns));
    assert_eq!(counts[0], (2, 0));
    assert_eq!(counts[1].1, 1);
    assert_eq!(counts[2], (0, 0));
    // A reset of the output does not change it.
    desk.mixer.reset();
    assert_eq!(desk.mixer.track_counts(3).frames, 2);
}

#[test]
fn clip_sounds_like_a_ring() {
    let hush = |desk: &mut Desk| desk.voice(1).stop(480);
    let hold = |desk: &mut Desk| desk.voice(1).pause();
    let turn_down = |desk: &mut Desk| desk.voice(1).set_volume(0.3, 700);
    let join = |desk: &mut Desk| desk.start_voice(voice(2, 0, clip(&noise(1_300, 0.8))));
    let turn_track = |desk: &mut Desk| desk.mixer.set_volume(0, level(0.3, 700));
    let changes: [&dyn Fn(&mut Desk); 6] = [&|_| (), &hush, &hold, &turn_down, &turn_track, &join];
    // Within full scale, at it, and over it in places.
    for amplitude in [0.5, 1.0, 1.05] {
        let mut samples = noise(6_000, amplitude);
        samples[17] = -0.0;
        for (change, lengths) in changes.iter().zip([&[FRAME][..], &[FRAME, 100, 7]].iter().cycle()) {
            let [bits, same] = [clip, shared].map(|reader| {
                let mut desk = Desk::new();
                desk.start(1, reader(&samples));
                desk.cut(1_920, lengths);
                change(&mut desk);
                desk.cut(5_000, lengths);
                desk.output.iter().map(|sample| sample.to_bits()).collect::<Vec<_>>()
            });
            assert!(bits == same, "{amplitude} {lengths:?}");
        }
    }
}

#[test]
fn limiter_foresees_a_loud_loop_seam() {
    // At the seam it jumps, and any filter overshoots; inside it comes back slowly. The limiter sees the seam from a frame that is the
    // clip's alone.
    let samples: Vec<f32> = (0..1_948).map(|n| 0.88 - 1.76 * n as f32 / 1_947.0).collect();
    let section = Section { passes: 3, ..Section::default() };
    let [lent, summed] = [false, true].map(|has_other| {
        let mut desk = Desk::new();
        desk.start(1, shared_at(44_100, &samples, section));
        if has_other {
            desk.start(2, clip(&[0.0; 9_000]));
        }
        desk.frames(7);
        let begun = desk.scratch.frames().count();
        assert_eq!(begun, 1);
        (desk.output, desk.parts)
    });
    assert!(lent.0 == summed.0);
    let loudest = |samples: &[f32]| samples.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(loudest(&summed.0) > 0.9);
    assert!(summed.1.iter().all(Option::is_none) && lent.1[0].is_some());
}

#[test]
fn lone_clip_frame_is_not_copied() {
    let is_copied = |amplitude, volume| {
        let mut desk = Desk::new();
        desk.start(1, shared(&noise(3_000, amplitude)));
        desk.voice(1).set_volume(volume, 0);
        desk.frames(1);
        let frame = desk.scratch.frames().next().expect("it sounds");
        let lent = frame.part.map(|part| part.clip.samples().as_ptr_range());
        !lent.is_some_and(|lent| lent.contains(&frame.samples.as_ptr()))
    };
    assert!(!is_copied(0.5, 1.0));
    assert!(is_copied(0.5, 0.7), "turned down");
    assert!(is_copied(1.5, 1.0), "limited");
}
