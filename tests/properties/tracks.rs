//! A model of the level of each track over the session's time, from the calls.

use std::collections::HashMap;

use speaker_session::internals::audio::Samples;
use speaker_session::internals::event::EventKind;

use crate::calls::Call;
use crate::harness::Answer;
use crate::run::{Reported, Run, duration};
use crate::voice::Line;

/// The changes of a track in order, and the level before them.
#[derive(Default)]
struct Track {
    lines: Vec<Line>,
    volume: Option<f32>,
    gain: Option<f32>,
}

#[derive(Default)]
pub struct Tracks(HashMap<u32, Track>);

impl Tracks {
    pub fn of(run: &Run) -> Self {
        let (mut tracks, sounding) = (Self::default(), sounding(run));
        for step in &run.steps {
            let Call::SetTrackVolume { track: id, volume, gain, fade } = step.call else { continue };
            if step.answer != Answer::Names(Vec::new()) {
                continue; // refused: the session is closed
            }
            let (at, from) = (step.at, tracks.level(id, step.at));
            let track = tracks.0.entry(id).or_default();
            (track.volume, track.gain) = (volume.or(track.volume), gain.or(track.gain));
            let to = track.volume.unwrap_or(1.0) * track.gain.unwrap_or(1.0);
            // If it was silent up to here, a step is inaudible.
            let is_heard =
                sounding.get(&id).is_some_and(|spans| spans.iter().any(|(from, to)| *from < at && at <= *to));
            track.lines.push(Line { at, length: if is_heard { fade } else { 0 }, from, to });
        }
        tracks
    }

    /// Returns the level of a track at a sample.
    pub fn level(&self, id: u32, at: Samples) -> f32 {
        let line = self.0.get(&id).and_then(|track| track.lines.iter().rfind(|line| line.at <= at));
        line.map_or(1.0, |line| line.level(at))
    }
}

/// Returns the time spans in which something sounded on each track, by the events.
fn sounding(run: &Run) -> HashMap<u32, Vec<(Samples, Samples)>> {
    let mut spans = HashMap::<u32, Vec<_>>::new();
    for story in run.stories().values() {
        let (mut from, mut has_begun) = (None, false);
        for Reported { at, event, .. } in story {
            let spans = spans.entry(event.track_id.expect("it is about a playback")).or_default();
            match event.kind {
                EventKind::Started { .. } => (from, has_begun) = (Some(*at), true),
                // A playback that was paused before it began resumes without a sound.
                EventKind::Resumed { .. } if has_begun => from = Some(*at),
                EventKind::Paused { .. } => spans.extend(from.take().map(|from| (from, *at))),
                _ if duration(&event.kind).is_some() => spans.extend(from.take().map(|from| (from, *at))),
                _ => {}
            }
        }
    }
    spans
}
