//! PCM → one frame: sums the playbacks of each bus, cuts edges without a click, limits the sum.
//!
//! [`Mixer::mix`] is the only code that runs on every tick. It takes no lock, allocates nothing, logs nothing and drops
//! nothing large: what ends is handed out in its notice.

mod bus;
mod control;
mod crossfade;
mod duck;
mod envelope;
mod gate;
mod hold;
mod limiter;
mod notice;
mod state;
mod voice;

use crate::audio::{FRAME, LOOK_AHEAD, Samples};

use bus::Bus;
use duck::Ducking;
pub use duck::{Duck, Role};
pub use envelope::Ramp;
pub use notice::{Notice, What};
use voice::Border;
pub use voice::{End, PlaybackId, Voice};

/// How playbacks become streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// One stream holds everything: a file, a callback.
    Mixdown,
    /// Each track is a stream of its own: a room.
    PerTrack,
}

/// The mixed samples of one stream.
pub struct Frame<'a> {
    pub stream: u32,
    /// The session's time of the first sample.
    pub at: Samples,
    /// Interleaved.
    pub samples: &'a [f32],
    /// Whether anything plays in it.
    pub sounding: bool,
}

pub struct Mixer {
    channels: usize,
    routing: Routing,
    voices: Vec<Voice>,
    buses: Vec<Bus>,
    /// The session's time: samples handed on so far.
    now: Samples,
    /// Samples of the current frame that are mixed, and how many it will have.
    filled: usize,
    frames: usize,
    underruns: u64,
    ducking: Ducking,
}

impl Mixer {
    pub fn new(channels: usize, routing: Routing, duck: Option<Duck>) -> Self {
        let (voices, buses, ducking) = (Vec::new(), Vec::new(), Ducking::new(duck));
        Self { channels, routing, voices, buses, now: 0, filled: 0, frames: 0, underruns: 0, ducking }
    }

    pub fn now(&self) -> Samples {
        self.now
    }

    /// How often a source was not there in time.
    pub fn underruns(&self) -> u64 {
        self.underruns
    }

    /// Whether nothing sounds or is about to: time may then be skipped.
    pub fn is_idle(&self) -> bool {
        self.is_silent() && self.buses.iter().all(Bus::is_at_rest)
    }

    /// Whether no voice sounds, though the limiter may still recover.
    pub fn is_silent(&self) -> bool {
        self.voices.iter().all(|voice| voice.is_held() || voice.is_dormant())
    }

    /// Whether the next `frames` samples of every voice are there.
    pub fn is_fed(&self, frames: usize) -> bool {
        self.voices.iter().all(|voice| voice.is_held() || voice.is_fed(frames))
    }

    /// Starts a voice at the next sample; what it follows or replaces crosses over to it.
    pub fn start(&mut self, mut voice: Voice) {
        let track = voice.track;
        self.voices.iter_mut().filter(|other| other.track == track).for_each(|other| other.cross_over(&mut voice));
        let stream = self.stream_of(voice.track);
        if !self.buses.iter().any(|bus| bus.stream == stream) {
            self.buses.push(Bus::new(stream, self.channels));
        }
        self.voices.push(voice);
    }

    /// Lets time pass in which nothing is mixed; voices go on after it where they are.
    pub fn skip(&mut self, samples: Samples) {
        self.heed_roles();
        self.now += samples;
    }

    /// Begins a frame of `frames` samples (at most [`FRAME`]).
    pub fn begin(&mut self, frames: usize) {
        assert!(frames <= FRAME, "a frame has at most {FRAME} samples");
        (self.filled, self.frames) = (0, frames);
        self.buses.iter_mut().for_each(|bus| bus.sounding = !bus.is_at_rest());
    }

    /// One step: tells what is over at this sample, or so near its end that what follows may start here; or, where nothing
    /// is, mixes on to the end of the frame or the first sample where a voice ends, nears its end or pauses. `false` once the
    /// frame is full and everything that ended with it is told.
    ///
    /// Order in a step: sum → limit → notices.
    pub fn mix(&mut self, notices: &mut Vec<Notice>) -> bool {
        let mut step = self.frames - self.filled;
        let (mut over, mut index) = (false, 0);
        while index < self.voices.len() {
            let voice = &mut self.voices[index];
            if voice.is_held() {
                index += 1;
                continue;
            }
            let border = voice.prepare(step + LOOK_AHEAD, &mut self.underruns);
            // At the border of a frame only what is over is told: a first sample belongs to the frame that carries it.
            let begins = step > 0 || matches!(border, Some((0, _)));
            if let Some(what) = begins.then(|| voice.enter()).flatten() {
                notices.push(Notice { id: voice.id, at: self.now, what });
            }
            match voice.approach().filter(|_| step > 0) {
                Some(0) => {
                    voice.state.is_near = true;
                    notices.push(Notice { id: voice.id, at: self.now, what: What::Near });
                    over = true;
                }
                Some(left) => step = step.min(usize::try_from(left).unwrap_or(step)),
                None => {}
            }
            match border {
                Some((0, Border::Shut)) => {
                    let (id, at) = (voice.id, self.now);
                    let told = [voice.exchange(), voice.hold_or_rise()].into_iter().flatten();
                    notices.extend(told.map(|what| Notice { id, at, what }));
                    over = true;
                }
                Some((0, Border::End(why))) => {
                    let voice = self.voices.remove(index);
                    notices.push(Notice::ended(voice, self.now, why));
                    over = true;
                }
                Some((left, _)) => {
                    step = step.min(left);
                    index += 1;
                }
                None => index += 1,
            }
        }
        self.heed_roles();
        if over || step == 0 {
            return over;
        }
        self.buses.iter_mut().for_each(|bus| bus.clear(step));
        let before = self.now;
        for voice in self.voices.iter_mut().filter(|voice| !voice.is_held()) {
            let stream = stream(self.routing, voice.track);
            let bus = self.buses.iter_mut().find(|bus| bus.stream == stream).expect("start() made its bus");
            let played = voice.state.played;
            bus.sounding |= !voice.is_dormant();
            voice.render(bus.window(step), self.channels, step, self.ducking.level(voice.role), self.now);
            if let Some(silent) = voice.stall() {
                let at = self.now + (step as Samples).saturating_sub(silent);
                notices.push(Notice { id: voice.id, at, what: What::Stalled(voice.feed.place()) });
            }
            let every = voice.report_every;
            if every > 0 && voice.state.played / every > played / every {
                let reached = voice.state.played / every * every;
                let place = voice.feed.place_back(voice.state.played - reached);
                notices.push(Notice { id: voice.id, at: before + reached - played, what: What::Progress(place) });
            }
        }
        self.buses.iter_mut().for_each(|bus| bus.limit(self.filled, step));
        self.filled += step;
        self.now += step as Samples;
        true
    }

    /// Whoever plays and is not paused ducks, however quiet it is or late its source: the others must not go up and down
    /// with it.
    fn heed_roles(&mut self) {
        let highest = self.voices.iter().filter(|voice| !voice.is_held()).map(|voice| voice.role).max();
        self.ducking.heed(highest, self.now);
    }

    /// Ends the frame where it is mixed up to; says how many samples it has.
    pub fn finish(&mut self) -> usize {
        self.frames = self.filled;
        self.frames
    }

    /// The mixed frame of each stream.
    pub fn streams(&self) -> impl Iterator<Item = Frame<'_>> {
        let at = self.now - self.frames as Samples;
        self.buses.iter().map(move |bus| Frame {
            stream: bus.stream,
            at,
            samples: bus.frame(self.frames),
            sounding: bus.sounding,
        })
    }

    /// Which stream a track goes to.
    pub fn stream_of(&self, track: u32) -> u32 {
        stream(self.routing, track)
    }

    /// Wakes the feeders whose rings have a quarter left.
    pub fn refill(&self) {
        self.voices.iter().for_each(|voice| voice.feed.refill());
    }
}

fn stream(routing: Routing, track: u32) -> u32 {
    match routing {
        Routing::Mixdown => 0,
        Routing::PerTrack => track,
    }
}
