//! The heard time of each group, including playbacks that are over.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Session;
use super::playbacks::PlaybackInfo;
use crate::audio::Samples;

/// The number of groups that are remembered: those whose playbacks ended last.
const MAX_GROUPS: usize = 64;

/// The heard time of ended playbacks, by group; the one that changed last at the end.
#[derive(Debug, Default)]
pub struct Groups(VecDeque<(Arc<str>, Samples)>);

impl Groups {
    /// Adds a playback of a group that ended after so much of it was heard.
    pub fn add(&mut self, group: &Arc<str>, heard: Samples) {
        let before = self.0.iter().position(|(name, _)| name == group).and_then(|index| self.0.remove(index));
        self.0.push_back((group.clone(), before.map_or(0, |(_, before)| before) + heard));
        if self.0.len() > MAX_GROUPS {
            self.0.pop_front();
        }
    }

    fn heard(&self, group: &str) -> Samples {
        self.0.iter().find(|(name, _)| **name == *group).map_or(0, |(_, heard)| *heard)
    }
}

impl Session {
    /// Returns how much was heard until now of each group of these playbacks: of all its playbacks, including ended ones.
    pub fn heard_of_groups(&self, playbacks: &[PlaybackInfo]) -> Vec<(Arc<str>, Samples)> {
        let mut groups: Vec<(Arc<str>, Samples)> = Vec::new();
        for group in playbacks.iter().filter_map(|info| info.group.as_ref()) {
            if groups.iter().any(|(name, _)| name == group) {
                continue;
            }
            let members = self.playbacks.sounding.iter().filter(|each| each.request.group.as_ref() == Some(group));
            let live: Samples = members.map(|each| each.voice.played() - each.unheard.total(each.voice.played())).sum();
            groups.push((group.clone(), self.groups.heard(group) + live));
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_groups_that_changed_last() {
        let mut groups = Groups::default();
        groups.add(&"first".into(), 10);
        (0..MAX_GROUPS - 1).for_each(|n| groups.add(&format!("{n}").into(), 1));
        groups.add(&"first".into(), 5);
        groups.add(&"last".into(), 1);
        assert_eq!(["first", "0", "1", "last", "none"].map(|name| groups.heard(name)), [15, 0, 1, 1, 0]);
    }
}
