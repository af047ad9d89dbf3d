//! What holds for a track whatever plays on it: its volume and its mute, which are pure functions of the session's time as ducking
//! is, and what is counted.

use std::collections::BTreeMap;

use super::ramp::Ramp;
use crate::audio::{EDGE_FADE, Samples};

/// A change of a track's volume: what is missing stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TrackVolume {
    /// Linear.
    pub volume: Option<f32>,
    /// Linear, on top of it.
    pub gain: Option<f32>,
    /// How long it takes from the present level to the new one.
    pub fade: Samples,
}

/// What was counted of a track since the session began, and how it is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackCounts {
    /// Frames that had sound of it.
    pub frames: u64,
    /// How often a source on it was not there in time.
    pub underruns: u64,
    /// Linear; where a fade goes to.
    pub volume: f32,
    /// Linear, on top of it.
    pub gain: f32,
    /// True if it is muted in the mix.
    pub is_muted: bool,
}

struct Track {
    counts: TrackCounts,
    /// Volume and gain in one.
    level: Ramp,
    mute: Ramp,
    /// What the left and the right channel are turned to.
    sides: [Ramp; 2],
    /// Up to where something of it was mixed: elsewhere a change is not heard and needs no fade.
    mixed_until: Samples,
    /// Where the frame begins that was counted last.
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
    /// From where a ramp is now to a level: at once where nothing sounds.
    fn toward(&self, ramp: Ramp, level: f32, now: Samples, length: Samples) -> Ramp {
        match now > 0 && self.mixed_until == now {
            true => ramp.toward(level, now, length),
            false => Ramp::flat(level),
        }
    }
}

/// The tracks of which something is known. They are as long as the session, whatever becomes of its output.
#[derive(Default)]
pub struct Tracks(BTreeMap<u32, Box<Track>>);

impl Tracks {
    fn of(&mut self, id: u32) -> &mut Track {
        self.0.entry(id).or_default()
    }

    /// From `now` on a track has this volume.
    pub fn set_volume(&mut self, id: u32, change: TrackVolume, now: Samples) {
        let track = self.of(id);
        let counts = &mut track.counts;
        (counts.volume, counts.gain) = (change.volume.unwrap_or(counts.volume), change.gain.unwrap_or(counts.gain));
        let level = counts.volume * counts.gain;
        track.level = track.toward(track.level, level, now, change.fade);
    }

    /// From `now` on a track is silent, or is not any more. Returns false if it was so already.
    pub fn set_muted(&mut self, id: u32, muted: bool, now: Samples) -> bool {
        if muted == self.is_muted(id) {
            return false;
        }
        let track = self.of(id);
        track.counts.is_muted = muted;
        track.mute = track.toward(track.mute, if muted { 0.0 } else { 1.0 }, now, EDGE_FADE as Samples);
        true
    }

    /// From `now` on a track is so far left or right, of two channels: -1 is the left one alone, 1 the right one.
    pub fn set_pan(&mut self, id: u32, pan: f32, fade: Samples, now: Samples) {
        let track = self.of(id);
        let levels = [1.0 - pan, 1.0 + pan].map(|level| level.min(1.0));
        track.sides = [0, 1].map(|side| track.toward(track.sides[side], levels[side], now, fade));
    }

    /// What the left and the right channel of a track are turned to from `now` on; `None` if both stay as they are.
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

    /// What the voices of a track are turned to, over the session's time.
    pub fn levels(&self, id: u32) -> [Ramp; 2] {
        self.0.get(&id).map_or([Ramp::flat(1.0); 2], |track| [track.level, track.mute])
    }

    /// Something of a track is mixed from `now` on for so many samples, in the frame that begins at `frame`.
    pub fn mixed(&mut self, id: u32, frame: Samples, now: Samples, samples: usize) {
        let track = self.of(id);
        track.mixed_until = now + samples as Samples;
        track.counts.frames += u64::from(track.counted.replace(frame) != Some(frame));
    }

    /// Sources on a track were not there in time.
    pub fn ran_out(&mut self, id: u32, count: u64) {
        if count > 0 {
            self.of(id).counts.underruns += count;
        }
    }
}

/// Turns the left and the right channel of interleaved samples, of which the first is at `now`.
pub fn turn(samples: &mut [f32], sides: &[Ramp; 2], now: Samples) {
    let is_flat = sides.iter().all(|side| side.is_flat(now, now + (samples.len() / 2) as Samples));
    let [left, right] = sides.map(|side| side.level(now));
    for (at, frame) in (now..).zip(samples.chunks_exact_mut(2)) {
        let levels = if is_flat { [left, right] } else { sides.map(|side| side.level(at)) };
        frame.iter_mut().zip(levels).for_each(|(sample, level)| *sample *= level);
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
    fn a_silent_track_changes_at_once_and_a_sounding_one_in_a_line() {
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
    fn volume_and_gain_multiply_and_stay_where_they_are_not_named() {
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
    fn a_mute_is_kept_apart_from_the_volume() {
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
    fn a_pan_turns_the_other_side_down() {
        let mut tracks = Tracks::default();
        assert!(tracks.sides(1, 0).is_none());
        tracks.mixed(1, 0, 0, 960);
        tracks.set_pan(1, 0.5, 100, 960);
        let turned = |tracks: &Tracks, now| {
            let mut samples = [1.0; 4];
            tracks.sides(1, now).iter().for_each(|sides| turn(&mut samples, sides, now));
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
    fn a_frame_is_counted_once_however_it_is_cut() {
        let mut tracks = Tracks::default();
        tracks.mixed(1, 0, 0, 100);
        tracks.mixed(1, 0, 100, 860);
        tracks.mixed(1, 960, 960, 960);
        tracks.ran_out(1, 2);
        tracks.ran_out(2, 0);
        let TrackCounts { frames, underruns, .. } = tracks.counts(1);
        assert_eq!((frames, underruns), (2, 2));
        assert_eq!(tracks.counts(2).frames, 0);
    }
}
