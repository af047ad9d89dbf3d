//! The settings and counts of a track, which outlast its playbacks. Volume, mute and pan are pure functions of the session's time,
//! as ducking is.

use std::collections::BTreeMap;

use super::ramp::Ramp;
use super::sum::GAINS;
use crate::audio::{EDGE_FADE, Samples};

/// A change of a track's volume: missing values stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TrackVolume {
    /// Linear.
    pub volume: Option<f32>,
    /// Linear, on top of it.
    pub gain: Option<f32>,
    /// The time from the present level to the new one.
    pub fade: Samples,
}

/// The counts of a track since the session began, and its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackCounts {
    /// Frames that had sound on it.
    pub frames: u64,
    /// The number of times that a source on it was not ready in time.
    pub underruns: u64,
    /// Linear; the target of a fade.
    pub volume: f32,
    /// Linear, on top of it.
    pub gain: f32,
    /// It is muted in the mix.
    pub is_muted: bool,
}

/// The settings of a track, with the fades under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackSettings {
    /// Its number.
    pub id: u32,
    /// Linear; the target of a fade.
    pub volume: f32,
    /// Linear, on top of it.
    pub gain: f32,
    /// From -1, left, to 1, right; the target of a fade.
    pub pan: f32,
    /// It is muted in the mix.
    pub is_muted: bool,
    /// The fade of volume and gain.
    pub level_fade: Option<TrackFade>,
    /// The fade of the pan.
    pub pan_fade: Option<TrackFade>,
}

impl TrackSettings {
    /// Returns the settings of a track that nobody has changed.
    pub fn new(id: u32) -> Self {
        Self { id, volume: 1.0, gain: 1.0, pan: 0.0, is_muted: false, level_fade: None, pan_fade: None }
    }
}

/// The rest of a fade of a track: from these levels to those that are set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrackFade {
    /// Of volume and gain in one.
    Level(f32, Samples),
    /// Of the left and the right channel.
    Sides([f32; 2], Samples),
}

struct Track {
    counts: TrackCounts,
    /// Volume and gain in one.
    level: Ramp,
    mute: Ramp,
    /// The levels of the left and the right channel.
    sides: [Ramp; 2],
    /// The time up to which it was mixed: a change at another time is not heard and needs no fade.
    mixed_until: Samples,
    /// The start of the frame that was counted last.
    counted: Option<Samples>,
}

impl Default for Track {
    fn default() -> Self {
        let counts = TrackCounts { frames: 0, underruns: 0, volume: 1.0, gain: 1.0, is_muted: false };
        let open = Ramp::flat(1.0);
        Self { counts, level: open, mute: open, sides: [open; 2], mixed_until: 0, counted: None }
    }
}

impl Track {
    /// Returns a ramp from the present level of `ramp` to `level`: without a fade if nothing sounds.
    fn toward(&self, ramp: Ramp, level: f32, now: Samples, length: Samples) -> Ramp {
        if now > 0 && self.mixed_until == now { ramp.toward(level, now, length) } else { Ramp::flat(level) }
    }
}

/// The tracks that were used or set. They live as long as the session, whatever becomes of its output.
#[derive(Default)]
pub struct Tracks(BTreeMap<u32, Box<Track>>);

impl Tracks {
    fn of(&mut self, id: u32) -> &mut Track {
        self.0.entry(id).or_default()
    }

    /// Sets the volume of a track from `now` on.
    pub fn set_volume(&mut self, id: u32, change: TrackVolume, now: Samples) {
        let track = self.of(id);
        let counts = &mut track.counts;
        (counts.volume, counts.gain) = (change.volume.unwrap_or(counts.volume), change.gain.unwrap_or(counts.gain));
        let level = counts.volume * counts.gain;
        track.level = track.toward(track.level, level, now, change.fade);
    }

    /// Mutes or unmutes a track from `now` on. Returns false if nothing changes.
    pub fn set_muted(&mut self, id: u32, muted: bool, now: Samples) -> bool {
        if muted == self.is_muted(id) {
            return false;
        }
        let track = self.of(id);
        track.counts.is_muted = muted;
        track.mute = track.toward(track.mute, if muted { 0.0 } else { 1.0 }, now, EDGE_FADE as Samples);
        true
    }

    /// Pans a track of two channels from `now` on: -1 is the left one alone, 1 the right one.
    pub fn set_pan(&mut self, id: u32, pan: f32, fade: Samples, now: Samples) {
        let track = self.of(id);
        let levels = [1.0 - pan, 1.0 + pan].map(|level| level.min(1.0));
        track.sides = [0, 1].map(|side| track.toward(track.sides[side], levels[side], now, fade));
    }

    /// Returns the settings of all tracks, in order, with what is left of their fades at `now`.
    pub fn settings(&self, now: Samples) -> Vec<TrackSettings> {
        let each = |id: u32, track: &Track| {
            let Track { counts, level, sides, .. } = track;
            let rest = |ramp: &Ramp| ramp.end().saturating_sub(now);
            let side_rest = rest(&sides[0]).max(rest(&sides[1]));
            TrackSettings {
                id,
                volume: counts.volume,
                gain: counts.gain,
                pan: sides[1].to - sides[0].to,
                is_muted: counts.is_muted,
                level_fade: (rest(level) > 0).then(|| TrackFade::Level(level.level(now), rest(level))),
                pan_fade: (side_rest > 0)
                    .then(|| TrackFade::Sides([0, 1].map(|side| sides[side].level(now)), side_rest)),
            }
        };
        self.0.iter().map(|(id, track)| each(*id, track)).collect()
    }

    /// Goes on at `now` with the rest of a fade that began in another session.
    pub fn go_on_fading(&mut self, id: u32, fade: TrackFade, now: Samples) {
        let track = self.of(id);
        let rest = |from: f32, to: f32, length| Ramp { at: now, length, from, ..Ramp::flat(to) };
        match fade {
            TrackFade::Level(from, length) => track.level = rest(from, track.level.to, length),
            TrackFade::Sides(from, length) => {
                track.sides = [0, 1].map(|side| rest(from[side], track.sides[side].to, length));
            }
        }
    }

    /// Returns the levels of the left and the right channel of a track from `now` on; `None` if both are 1.
    pub fn sides(&self, id: u32, now: Samples) -> Option<[Ramp; 2]> {
        let sides = self.0.get(&id)?.sides;
        let is_plain = |side: &Ramp| side.to == 1.0 && side.level(now) == 1.0;
        (!sides.iter().all(is_plain)).then_some(sides)
    }

    pub fn is_muted(&self, id: u32) -> bool {
        self.0.get(&id).is_some_and(|track| track.counts.is_muted)
    }

    pub fn counts(&self, id: u32) -> TrackCounts {
        self.0.get(&id).map_or_else(|| Track::default().counts, |track| track.counts)
    }

    /// Returns the levels of a track, volume and mute, over the session's time.
    pub fn levels(&self, id: u32) -> [Ramp; 2] {
        self.0.get(&id).map_or([Ramp::flat(1.0); 2], |track| [track.level, track.mute])
    }

    /// Notes that a track was mixed from `now` on for `samples`, in the frame that begins at `frame`.
    pub fn mixed(&mut self, id: u32, frame: Samples, now: Samples, samples: usize) {
        let track = self.of(id);
        track.mixed_until = now + samples as Samples;
        track.counts.frames += u64::from(track.counted.replace(frame) != Some(frame));
    }

    /// Counts underruns of sources on a track.
    pub fn count_underruns(&mut self, id: u32, count: u64) {
        if count > 0 {
            self.of(id).counts.underruns += count;
        }
    }
}

/// Applies the levels of the left and the right channel to interleaved samples, of which the first is at `now`.
pub fn apply_sides(samples: &mut [f32], sides: &[Ramp; 2], now: Samples) {
    for (index, part) in samples.chunks_mut(2 * GAINS).enumerate() {
        let mut levels = [[0.0; GAINS]; 2];
        for (levels, side) in levels.iter_mut().zip(sides) {
            side.levels(now + (index * GAINS) as Samples, levels);
        }
        let [left, right] = levels;
        for ((frame, left), right) in part.chunks_exact_mut(2).zip(left).zip(right) {
            frame[0] *= left;
            frame[1] *= right;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(tracks: &Tracks, now: Samples) -> f32 {
        tracks.levels(1).iter().map(|ramp| ramp.level(now)).product()
    }

    fn to(volume: f32, fade: Samples) -> TrackVolume {
        TrackVolume { volume: Some(volume), gain: None, fade }
    }

    #[test]
    fn fades_only_while_sounding() {
        let mut tracks = Tracks::default();
        assert_eq!(level(&tracks, 0), 1.0);
        tracks.set_volume(1, to(0.5, 100), 0);
        assert_eq!([0, 50].map(|now| level(&tracks, now)), [0.5, 0.5]);
        tracks.mixed(1, 0, 0, 960);
        tracks.set_volume(1, to(0.0, 100), 960);
        assert_eq!([960, 1_010, 1_060].map(|now| level(&tracks, now)), [0.5, 0.25, 0.0]);
        // A sample passed without it.
        tracks.set_volume(1, to(1.0, 100), 961);
        assert_eq!(level(&tracks, 961), 1.0);
        tracks.set_volume(2, to(0.25, 0), 961);
        assert_eq!(level(&tracks, 961), 1.0);
    }

    #[test]
    fn volume_and_gain_multiply() {
        let mut tracks = Tracks::default();
        tracks.set_volume(1, to(0.5, 0), 0);
        tracks.set_volume(1, TrackVolume { gain: Some(4.0), ..TrackVolume::default() }, 0);
        assert_eq!(level(&tracks, 0), 2.0);
        tracks.set_volume(1, to(0.25, 0), 0);
        assert_eq!(level(&tracks, 0), 1.0);
        let TrackCounts { volume, gain, .. } = tracks.counts(1);
        assert_eq!((volume, gain), (0.25, 4.0));
    }

    #[test]
    fn mute_is_independent_of_volume() {
        let mut tracks = Tracks::default();
        tracks.mixed(1, 0, 0, 960);
        assert!(tracks.set_muted(1, true, 960));
        assert!(!tracks.set_muted(1, true, 960));
        assert_eq!([960, 1_080, 1_200].map(|now| level(&tracks, now)), [1.0, 0.5, 0.0]);
        tracks.set_volume(1, to(0.5, 0), 2_000);
        assert_eq!(level(&tracks, 2_000), 0.0);
        assert!(tracks.set_muted(1, false, 2_000));
        assert_eq!(level(&tracks, 2_000), 0.5);
        assert!(!tracks.set_muted(2, false, 0));
    }

    #[test]
    fn pan_lowers_the_other_side() {
        let mut tracks = Tracks::default();
        assert!(tracks.sides(1, 0).is_none());
        tracks.mixed(1, 0, 0, 960);
        tracks.set_pan(1, 0.5, 100, 960);
        let turned = |tracks: &Tracks, now| {
            let mut samples = [1.0; 4];
            tracks.sides(1, now).iter().for_each(|sides| apply_sides(&mut samples, sides, now));
            samples
        };
        assert_eq!(turned(&tracks, 960), [1.0, 1.0, 0.995, 1.0]);
        assert_eq!(turned(&tracks, 1_060), [0.5, 1.0, 0.5, 1.0]);
        tracks.set_pan(1, -1.0, 0, 2_000);
        assert_eq!(turned(&tracks, 2_000), [1.0, 0.0, 1.0, 0.0]);
        tracks.mixed(1, 2_000, 2_000, 10);
        tracks.set_pan(1, 0.0, 100, 2_010);
        assert!(tracks.sides(1, 2_109).is_some(), "it is on its way to the middle");
        assert!(tracks.sides(1, 2_110).is_none());
    }

    #[test]
    fn counts_each_frame_once() {
        let mut tracks = Tracks::default();
        tracks.mixed(1, 0, 0, 100);
        tracks.mixed(1, 0, 100, 860);
        tracks.mixed(1, 960, 960, 960);
        tracks.count_underruns(1, 2);
        tracks.count_underruns(2, 0);
        let TrackCounts { frames, underruns, .. } = tracks.counts(1);
        assert_eq!((frames, underruns), (2, 2));
        assert_eq!(tracks.counts(2).frames, 0);
    }
}
