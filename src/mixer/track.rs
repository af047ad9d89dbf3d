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
    /// Up to where something of it was mixed: elsewhere a change is not heard and needs no fade.
    mixed_until: Samples,
    /// Where the frame begins that was counted last.
    counted: Option<Samples>,
}

impl Default for Track {
    fn default() -> Self {
        let counts = TrackCounts { frames: 0, underruns: 0, volume: 1.0, gain: 1.0, is_muted: false };
        let open = Ramp::flat(1.0);
        Self { counts, level: open, mute: open, mixed_until: 0, counted: None }
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
