//! The mixer: voices of one track, each of which plays the music from another place on, into frames.

use divan::{Bencher, black_box};
use speaker_session::internals::audio::{FRAME, SAMPLE_RATE};
use speaker_session::internals::mixer::{Duck, Mixer, Role, Routing, Scratch, Voice};
use speaker_session::internals::runtime::DECODERS;
use speaker_session::internals::source::{FetchLimits, Opening, Origin, Section, Source, open};

use crate::music::MUSIC;
use crate::{FRAMES, measure};

/// The length of a second, in samples.
const SECOND: u64 = SAMPLE_RATE as u64;

/// The numbers of voices that are mixed.
const VOICES: [usize; 3] = [1, 8, 64];

struct Desk {
    mixer: Mixer,
    voices: Vec<Voice>,
    scratch: Scratch,
}

impl Desk {
    /// Makes a mixer in which so many voices play for ever. Together they stay within full scale, so the limiter rests.
    fn new(voices: usize, duck: Option<Duck>) -> Self {
        let mut desk =
            Self { mixer: Mixer::new(1, Routing::Mixdown, duck), voices: Vec::new(), scratch: Scratch::default() };
        for index in 0..voices as u64 {
            let section = Section { from: index * SECOND / 8, passes: u64::MAX, ..Section::default() };
            let opening = Opening::Source(Source::new(Origin::Clip(MUSIC.clone()), None, section));
            let reader = open(&DECODERS, opening, 1, 0, FetchLimits::default(), Default::default());
            let mut voice = Voice::new(index.into(), 0, reader);
            voice.gain = 0.5 / voices as f32;
            desk.mixer.start(&mut voice, &mut desk.voices);
            desk.voices.push(voice);
        }
        desk
    }

    fn second(&mut self) {
        let mut events = Vec::new();
        for _ in 0..FRAMES {
            self.mixer.begin(FRAME, &mut self.scratch);
            while self.mixer.mix(&mut self.voices, &mut self.scratch, &mut events) {
                events.clear();
            }
            assert_eq!(self.mixer.finish(&mut self.scratch), FRAME);
            self.scratch.frames().for_each(|frame| _ = black_box(frame.samples));
        }
    }
}

/// Voices at a constant volume.
#[divan::bench(args = VOICES)]
fn steady(bencher: Bencher, voices: usize) {
    let mut desk = Desk::new(voices, None);
    measure(bencher, 1, || desk.second());
}

/// Voices whose volume fades all the time, and all but the first of which are being ducked.
#[divan::bench(args = VOICES)]
fn fading_and_ducked(bencher: Bencher, voices: usize) {
    // It takes an hour, so that it goes on throughout.
    let duck = Duck { level: 0.25, attack: 3_600 * SECOND, release: SECOND };
    let mut desk = Desk::new(voices, Some(duck));
    desk.voices[0].role = Role::Voice;
    let mut volumes = [0.5, 1.0].into_iter().cycle();
    measure(bencher, 1, || {
        let volume = volumes.next().expect("it has no end");
        desk.voices.iter_mut().for_each(|voice| voice.set_volume(volume, SECOND));
        desk.second();
    });
}
