//! The invariants of a session between any two calls; for tests.

use std::collections::{HashMap, HashSet};

use super::Session;
use super::playbacks::Request;

impl Session {
    /// Asserts that every playback is on one shelf; that names are those of the live playbacks that are not stopping; that the lines and
    /// the outbox are consistent; that playbacks stand still where their stream pauses; and that no mark waits for an ended playback.
    pub fn check_invariants(&self) {
        let mut ids = HashSet::new();
        let mut names = HashMap::new();
        let mut note = |request: &Request, has_name: bool| {
            assert!(ids.insert(request.id), "{} is on two shelves", request.name);
            if has_name {
                assert_eq!(names.insert(request.name.clone(), request.id), None, "two are named {}", request.name);
            }
        };
        for (track, line) in &self.playbacks.lines {
            assert!(!line.is_empty(), "an empty line is kept");
            for request in line.check_invariants() {
                assert_eq!(request.track, *track);
                note(request, true);
            }
            assert!(self.playbacks.is_active(*track), "track {track} is free and somebody waits for it");
        }
        self.playbacks.loading.iter().for_each(|loading| note(&loading.request, true));
        self.playbacks.sounding.iter().for_each(|sounding| note(&sounding.request, sounding.stopping.is_none()));
        for sounding in self.playbacks.sounding.iter().filter(|sounding| sounding.stopping.is_none()) {
            let Request { name, track, .. } = &sounding.request;
            let is_held = self.output.pauses(self.mixer.stream_of(*track));
            assert_eq!(sounding.paused_by_track, is_held, "{name} does not follow its track");
        }
        self.playbacks.check_names(&names);
        assert!(self.marks.iter().all(|mark| mark.awaits_some_of(&ids)), "a mark waits for what is over");
        self.outbox.check_invariants();
        assert!(self.mixer_events.is_empty(), "an event of the mixer was not handled");
    }
}
