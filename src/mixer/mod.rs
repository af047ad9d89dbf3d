//! Voices → frames: sums the voices of each track, sums the tracks of each stream, cuts edges without a click, limits the sum.
//!
//! [`Mixer::mix`] is the only code that runs on every tick. It takes no lock, logs nothing and drops nothing large. Once its scratch
//! has grown it allocates for two things: a stream's first sample over full scale, and a clip whose samples can't be handed over as they
//! are. The voices belong to the session and are passed to the mixer.

mod continuation;
mod crossfade;
mod declick;
mod duck;
mod event;
mod levels;
mod limiter;
mod ramp;
mod scratch;
mod seam;
mod sum;
mod track;
mod voice;

use crate::audio::{FRAME, LOOK_AHEAD, Samples};
use crate::ids::PlaybackId;

pub use continuation::Continuation;
use duck::Ducking;
pub use duck::{Duck, Role};
pub use event::{MixerEvent, MixerEventKind};
pub use limiter::Limiter;
pub use ramp::{Curve, Ramp};
use scratch::{Content, MixBuffers};
pub use scratch::{Frame, Part, Scratch, Stem};
use sum::Sum;
use track::Tracks;
pub use track::{TrackCounts, TrackFade, TrackSettings, TrackVolume};
use voice::Boundary;
pub use voice::{End, Voice, Written};

/// The mapping of tracks to streams of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// One stream holds everything: a file, a callback.
    Mixdown,
    /// Each track is a stream of its own: a room.
    PerTrack,
}

/// The state of a stream between frames.
struct Stream {
    id: u32,
    limiter: Limiter,
    /// A voice was mixed into the current frame, or the limiter still recovers.
    sounding: bool,
}

/// The mixer, which sums voices into streams: without threads, locks or clocks.
pub struct Mixer {
    channels: usize,
    routing: Routing,
    streams: Vec<Stream>,
    /// The tracks that ever had a voice, in the order in which they are summed.
    order: Vec<u32>,
    tracks: Tracks,
    /// The parts that are kept for taps, each with the tap's id.
    tapped: Vec<(u32, Stem)>,
    /// The session's time: samples mixed or skipped so far.
    now: Samples,
    /// The mixed samples of the current frame, and its length.
    filled: usize,
    frames: usize,
    underruns: u64,
    ducking: Ducking,
}

impl Mixer {
    /// Makes a mixer of `channels` interleaved channels; without `duck` no role gives way to another.
    pub fn new(channels: usize, routing: Routing, duck: Option<Duck>) -> Self {
        Self {
            channels,
            routing,
            streams: Vec::new(),
            order: Vec::new(),
            tracks: Tracks::default(),
            tapped: Vec::new(),
            now: 0,
            filled: 0,
            frames: 0,
            underruns: 0,
            ducking: Ducking::new(duck),
        }
    }

    /// Returns the session's time of the next sample.
    pub fn now(&self) -> Samples {
        self.now
    }

    /// Returns how often a source was not ready in time.
    pub fn underruns(&self) -> u64 {
        self.underruns
    }

    /// Returns true if no voice sounds and no limiter recovers: time may then be skipped.
    pub fn is_idle<V: AsMut<Voice>>(&self, voices: &mut [V]) -> bool {
        Self::is_silent(voices) && self.streams.iter().all(|stream| stream.limiter.is_at_rest())
    }

    /// Returns true if every voice is paused or dormant.
    pub fn is_silent<V: AsMut<Voice>>(voices: &mut [V]) -> bool {
        voices.iter_mut().map(V::as_mut).all(|voice| voice.is_frozen() || voice.is_dormant())
    }

    /// Returns true if the next `frames` samples of every voice are decoded.
    pub fn is_fed<V: AsMut<Voice>>(voices: &mut [V], frames: usize) -> bool {
        voices.iter_mut().map(V::as_mut).all(|voice| voice.is_frozen() || voice.is_fed(frames))
    }

    /// Prepares `voice` to start at the next sample, beside `others`: those of its track that it follows or replaces cross
    /// over to it.
    pub fn start<V: AsMut<Voice>>(&mut self, voice: &mut Voice, others: &mut [V]) {
        let track = voice.track;
        others.iter_mut().map(V::as_mut).filter(|other| other.track == track).for_each(|other| other.cross_over(voice));
        if !self.order.contains(&track) {
            self.order.push(track);
        }
        let id = self.stream_of(track);
        if !self.streams.iter().any(|stream| stream.id == id) {
            self.streams.push(Stream { id, limiter: Limiter::new(self.channels), sounding: false });
        }
    }

    /// Advances the session's time without mixing; the voices go on from where they are.
    pub fn skip<V: AsMut<Voice>>(&mut self, voices: &mut [V], samples: Samples) {
        self.update_ducking(voices);
        self.now += samples;
    }

    /// Drops the limiters with what they still recover from: after a cut nothing is left to be heard.
    pub fn reset(&mut self) {
        self.streams.clear();
        self.order.clear();
    }

    /// Changes the volume of a track from the next sample on, for all that plays and will play on it; without a fade if
    /// the track was silent in the sample before.
    pub fn set_volume(&mut self, track: u32, change: TrackVolume) {
        self.tracks.set_volume(track, change, self.now);
    }

    /// Mutes or unmutes a track within 5 ms; its volume stays. Returns false if nothing changes.
    pub fn set_muted(&mut self, track: u32, muted: bool) -> bool {
        self.tracks.set_muted(track, muted, self.now)
    }

    /// Pans a track of two channels from the next sample on: -1 is left, 1 right, 0 leaves it as it is. Fades as
    /// [`set_volume`](Self::set_volume) does.
    pub fn set_pan(&mut self, track: u32, pan: f32, fade: Samples) {
        self.tracks.set_pan(track, pan, fade, self.now);
    }

    /// Returns the settings of all tracks that were used or set, with what is left of their fades after `after` more samples.
    pub fn track_settings(&self, after: Samples) -> Vec<TrackSettings> {
        self.tracks.settings(self.now + after)
    }

    /// Goes on with a fade of a track's volume or pan that began in another session.
    pub fn go_on_fading(&mut self, track: u32, fade: TrackFade) {
        self.tracks.go_on_fading(track, fade, self.now);
    }

    /// Returns true if a track is muted in the mix.
    pub fn is_muted(&self, track: u32) -> bool {
        self.tracks.is_muted(track)
    }

    /// Returns a track's counts and settings.
    pub fn track_counts(&self, track: u32) -> TrackCounts {
        self.tracks.counts(track)
    }

    /// Keeps a part of the mix from now on, for the tap with this id. A track that is a stream of its own needs no tap: its frames are
    /// the part.
    pub fn tap(&mut self, id: u32, stem: Stem) {
        self.tapped.push((id, stem));
    }

    /// Ends the taps of a playback that is over, and returns their ids.
    pub fn untap_playback(&mut self, id: PlaybackId) -> impl Iterator<Item = u32> {
        self.tapped.extract_if(.., move |(_, stem)| *stem == Stem::Playback(id)).map(|(tap, _)| tap)
    }

    /// Ends the tap with this id.
    pub fn untap(&mut self, id: u32) {
        self.tapped.retain(|(tap, _)| *tap != id);
    }

    /// Returns true if each track is a stream of its own.
    pub fn is_per_track(&self) -> bool {
        self.routing == Routing::PerTrack
    }

    /// Returns true if the frame is mixed to its end.
    pub fn is_full(&self) -> bool {
        self.filled == self.frames
    }

    /// Begins a frame of `frames` samples (at most [`FRAME`]) in `scratch`.
    pub fn begin(&mut self, frames: usize, scratch: &mut Scratch) {
        assert!(frames <= FRAME, "a frame has at most {FRAME} samples");
        (self.filled, self.frames) = (0, frames);
        scratch.begin(self.channels, self.now);
        self.streams.iter_mut().for_each(|stream| stream.sounding = !stream.limiter.is_at_rest());
    }

    /// Takes one step. Reports every voice that is over at this sample, or so near its end that the next one may start here. If there is
    /// none, mixes up to the end of the frame, or to the first sample where a voice ends, nears its end or pauses. Returns false
    /// once the frame is full and everything that ended with it is reported. A voice whose end is reported must be removed
    /// from `voices` before the next step.
    ///
    /// Order in a step: look ahead in each voice → ducking → for each stream: sum of a track → sum of the tracks → limiter.
    pub fn mix<V: AsMut<Voice>>(
        &mut self,
        voices: &mut [V],
        scratch: &mut Scratch,
        events: &mut Vec<MixerEvent>,
    ) -> bool {
        let (step, has_boundary) = self.look_ahead(voices, events);
        self.update_ducking(voices);
        if has_boundary || step == 0 {
            return has_boundary;
        }
        let first = events.len();
        for index in 0..self.streams.len() {
            self.mix_stream(index, voices, step, scratch, events);
        }
        // In order of time, also between voices.
        events[first..].sort_by_key(|event| event.at);
        self.filled += step;
        self.now += step as Samples;
        true
    }

    /// Looks ahead in each voice, and reports its boundary if that is at this sample. Returns the number of samples up to the next
    /// boundary or the end of the frame, and true if a boundary was reported.
    fn look_ahead<V: AsMut<Voice>>(&mut self, voices: &mut [V], events: &mut Vec<MixerEvent>) -> (usize, bool) {
        let mut step = self.frames - self.filled;
        let mut has_boundary = false;
        for voice in voices.iter_mut().map(V::as_mut).filter(|voice| !voice.is_frozen()) {
            let (id, at) = (voice.id, self.now);
            let mut late = 0;
            let boundary = voice.prepare(step + LOOK_AHEAD, &mut late);
            self.underruns += late;
            self.tracks.count_underruns(voice.track, late);
            // At the border of a frame only boundaries are reported: a first sample belongs to the frame that carries it.
            let begins = step > 0 || matches!(boundary, Some((0, _)));
            if let Some(kind) = begins.then(|| voice.on_first_sample()).flatten() {
                events.push(MixerEvent { id, at, kind });
            }
            match voice.end_approaches_in().filter(|_| step > 0) {
                Some(0) => {
                    voice.state.end_reported = true;
                    events.push(MixerEvent { id, at, kind: MixerEventKind::EndApproaching });
                    has_boundary = true;
                }
                Some(left) => step = step.min(usize::try_from(left).unwrap_or(step)),
                None => {}
            }
            match boundary {
                Some((0, Boundary::Silent)) => {
                    let reported = [voice.swap_reader(), voice.freeze_or_rise()].into_iter().flatten();
                    events.extend(reported.map(|kind| MixerEvent { id, at, kind }));
                    has_boundary = true;
                }
                Some((0, Boundary::End(why))) => {
                    events.push(MixerEvent { id, at, kind: MixerEventKind::Ended(why) });
                    has_boundary = true;
                }
                Some((left, _)) => step = step.min(left),
                None => {}
            }
        }
        (step, has_boundary)
    }

    /// Sums and limits the next `step` samples of one stream.
    fn mix_stream<V: AsMut<Voice>>(
        &mut self,
        index: usize,
        voices: &mut [V],
        step: usize,
        scratch: &mut Scratch,
        events: &mut Vec<MixerEvent>,
    ) {
        let Self { channels, routing, streams, order, tracks, tapped, now, ducking, filled, frames, .. } = self;
        let stream = &mut streams[index];
        let id = stream.id;
        let is_its = |voice: &&mut Voice| stream_of(*routing, voice.track) == id && !voice.is_frozen();
        let is_sole = voices.iter_mut().map(V::as_mut).filter(is_its).count() == 1;
        let MixBuffers { frame, track: track_buffer, playback, stems } = scratch.open(id, *filled, step);
        let (mut sum, mut track_sum) = (Sum::new(frame, *channels), Sum::new(track_buffer, *channels));
        let mut own_sum = Sum::new(playback, *channels);
        sum.may_lend = is_sole && step == *frames && tapped.is_empty() && stream.limiter.is_at_rest();
        let mut content = Content::Silence;
        for track in order.iter().filter(|track| stream_of(*routing, **track) == id) {
            let is_kept = |stem: Stem| tapped.iter().any(|(_, kept)| *kept == stem);
            let is_tapped = is_kept(Stem::Track(*track));
            // The first track needs no sum of its own.
            let sides = tracks.sides(*track, *now);
            let is_first = sum.is_empty() && !is_tapped && sides.is_none();
            let levels = tracks.levels(*track);
            let mut sounds = false;
            for voice in voices.iter_mut().map(V::as_mut).filter(|voice| voice.track == *track && !voice.is_frozen()) {
                sounds |= !voice.is_dormant();
                let played = voice.state.played;
                let into = if is_first { &mut sum } else { &mut track_sum };
                let [level, mute] = levels;
                let over_time = [ducking.level(voice.role), level, mute];
                let own_stem = Stem::Playback(voice.id);
                let own = if is_kept(own_stem) {
                    let own = voice.render(&mut own_sum, step, over_time, *now);
                    if !own_sum.is_empty() {
                        let kept = stems.keep(own_stem, *filled, &own_sum.samples()[..step * *channels]);
                        if let Some(sides) = &sides {
                            track::apply_sides(kept, sides, *now);
                        }
                    }
                    into.join(&mut own_sum);
                    own
                } else {
                    voice.render(into, step, over_time, *now)
                };
                content = match content {
                    // A dormant voice adds nothing.
                    content if voice.is_dormant() => content,
                    Content::Silence => own,
                    _ => Content::Other,
                };
                voice.report(played, *now, step, events);
            }
            if sounds {
                stream.sounding = true;
                tracks.mixed(*track, *now - *filled as Samples, *now, step);
            }
            if let Some(sides) = sides.filter(|_| !track_sum.is_empty()) {
                track::apply_sides(track_sum.samples(), &sides, *now);
                content = Content::Other;
            }
            if is_tapped && !track_sum.is_empty() {
                stems.keep(Stem::Track(*track), *filled, &track_sum.samples()[..step * *channels]);
            }
            sum.join(&mut track_sum);
        }
        let lent = if sum.is_empty() { content.samples(step) } else { None };
        let is_lent = lent.is_some();
        let passes = match lent {
            Some(samples) => {
                stream.limiter.pass(samples);
                true
            }
            None => stream.limiter.process(sum.samples(), step),
        };
        let content = if passes { content } else { Content::Other };
        scratch.keep(id, *filled, stream.sounding, content, is_lent);
    }

    /// Ducks at once as for these voices, which all go on from another session.
    pub fn settle_ducking<V: AsMut<Voice>>(&mut self, voices: &mut [V]) {
        self.ducking.settle(voices.iter_mut().map(|voice| voice.as_mut().role).max());
    }

    /// Updates ducking. Every playback that is not paused ducks the lower roles, even while it is quiet or its source is late, so that
    /// their level does not follow it up and down.
    fn update_ducking<V: AsMut<Voice>>(&mut self, voices: &mut [V]) {
        let sounding = voices.iter_mut().map(V::as_mut).filter(|voice| !voice.is_frozen());
        let highest = sounding.map(|voice| voice.role).max();
        self.ducking.update(highest, self.now);
    }

    /// Ends the frame at the sample it is mixed up to; returns its length.
    pub fn finish(&mut self, scratch: &mut Scratch) -> usize {
        self.frames = self.filled;
        scratch.finish(self.frames * self.channels);
        self.frames
    }

    /// Returns the stream that a track is mixed into.
    pub fn stream_of(&self, track: u32) -> u32 {
        stream_of(self.routing, track)
    }
}

fn stream_of(routing: Routing, track: u32) -> u32 {
    match routing {
        Routing::Mixdown => 0,
        Routing::PerTrack => track,
    }
}
