//! Which tracks are muted in the room. Whoever sets it last wins: this session, or a moderator by way of the server.

use crate::output::{Meanwhile, OutputEvent};

#[derive(Debug, Default)]
pub struct Mutes {
    /// One for each stream that was ever muted.
    streams: Vec<Mute>,
}

#[derive(Debug)]
struct Mute {
    stream: u32,
    /// Set by this session, and so kept when the room is joined anew: a moderator's mute is gone with whom it was for.
    is_ours: bool,
    is_muted: bool,
    told: bool,
    /// What the server lists may be older than what it was sent last.
    is_unconfirmed: bool,
}

impl Mutes {
    pub fn is_muted(&self, stream: u32) -> bool {
        self.streams.iter().any(|mute| mute.stream == stream && mute.is_muted)
    }

    /// This session mutes a stream, or lifts its mute.
    pub fn set_ours(&mut self, stream: u32, muted: bool) {
        let mute = self.of(stream);
        mute.is_ours = muted;
        mute.set(muted);
    }

    /// The server mutes a stream's track, or lifts its mute.
    pub fn set_theirs(&mut self, stream: u32, muted: bool) {
        let mute = self.of(stream);
        mute.is_ours &= muted;
        mute.set(muted);
    }

    /// The server lists a stream's track.
    pub fn listed(&mut self, stream: u32, muted: bool) {
        let mute = self.of(stream);
        if mute.is_muted == muted {
            mute.is_unconfirmed = false;
        } else if !mute.is_unconfirmed {
            mute.is_ours &= muted;
            mute.is_muted = muted;
        }
    }

    /// The server has taken what it was told of a stream.
    pub fn confirmed(&mut self, stream: u32) {
        self.streams.iter_mut().filter(|mute| mute.stream == stream).for_each(|mute| mute.is_unconfirmed = false);
    }

    /// The streams whose mute the server may not have been told.
    pub fn unconfirmed(&self) -> impl Iterator<Item = u32> {
        self.streams.iter().filter(|mute| mute.is_unconfirmed).map(|mute| mute.stream)
    }

    /// The room is to be joined anew, as somebody whom no moderator has muted.
    pub fn reset(&mut self) {
        self.streams.iter_mut().for_each(|mute| (mute.is_muted, mute.is_unconfirmed) = (mute.is_ours, false));
    }

    /// What the session has not been told yet.
    pub fn news(&mut self, on_mute: Meanwhile) -> Option<OutputEvent> {
        let mute = self.streams.iter_mut().find(|mute| mute.is_muted != mute.told)?;
        mute.told = mute.is_muted;
        Some(match mute.told {
            true => OutputEvent::Muted(mute.stream, on_mute),
            false => OutputEvent::Unmuted(mute.stream),
        })
    }

    fn of(&mut self, stream: u32) -> &mut Mute {
        let known = self.streams.iter().position(|mute| mute.stream == stream);
        let index = known.unwrap_or_else(|| {
            self.streams.push(Mute { stream, is_ours: false, is_muted: false, told: false, is_unconfirmed: false });
            self.streams.len() - 1
        });
        &mut self.streams[index]
    }
}

impl Mute {
    fn set(&mut self, muted: bool) {
        self.is_unconfirmed |= self.is_muted != muted;
        self.is_muted = muted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told until nothing is left to be.
    fn told(mutes: &mut Mutes) -> Vec<(u32, bool)> {
        let news = std::iter::from_fn(|| mutes.news(Meanwhile::Continue));
        news.map(|event| match event {
            OutputEvent::Muted(stream, _) => (stream, true),
            OutputEvent::Unmuted(stream) => (stream, false),
            _ => unreachable!("only mutes are told"),
        })
        .collect()
    }

    #[test]
    fn the_last_to_set_it_wins() {
        let mut mutes = Mutes::default();
        mutes.set_theirs(0, true);
        assert_eq!(told(&mut mutes), [(0, true)]);
        mutes.set_ours(0, false);
        assert_eq!(told(&mut mutes), [(0, false)]);
        mutes.set_ours(0, true);
        mutes.set_theirs(0, false);
        assert_eq!(told(&mut mutes), []);
        mutes.reset();
        assert!(!mutes.is_muted(0), "a moderator has lifted it");
    }

    #[test]
    fn only_our_own_outlives_the_participant() {
        let mut mutes = Mutes::default();
        mutes.set_theirs(0, true);
        mutes.set_ours(1, true);
        assert_eq!(told(&mut mutes), [(0, true), (1, true)]);
        mutes.reset();
        assert_eq!(told(&mut mutes), [(0, false)]);
        assert!(mutes.is_muted(1));
    }

    #[test]
    fn a_list_tells_what_was_missed_and_not_what_is_older() {
        let mut mutes = Mutes::default();
        mutes.listed(0, true);
        assert_eq!(told(&mut mutes), [(0, true)], "muted while the signalling was down");
        mutes.set_ours(0, false);
        mutes.listed(0, true);
        assert!(!mutes.is_muted(0), "the list is older");
        mutes.listed(0, false);
        mutes.listed(0, true);
        assert!(mutes.is_muted(0), "the list is newer");
    }
}
