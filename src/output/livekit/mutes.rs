//! The mute states of tracks. The last one to set it wins: this session, or a moderator through the server.

use crate::output::{OutputEvent, UnheardPolicy};

#[derive(Debug, Default)]
pub struct Mutes {
    /// One entry for each stream that was ever muted.
    streams: Vec<Mute>,
}

#[derive(Debug)]
struct Mute {
    stream: u32,
    /// Set by this session, and so kept over a rejoin: a moderator's mute ends with the participant that it was for.
    is_ours: bool,
    is_muted: bool,
    reported: bool,
    /// The server's list may be older than the state that it was last sent.
    is_unconfirmed: bool,
}

impl Mutes {
    pub fn is_muted(&self, stream: u32) -> bool {
        self.streams.iter().any(|mute| mute.stream == stream && mute.is_muted)
    }

    /// Mutes or unmutes a stream for this session.
    pub fn set_ours(&mut self, stream: u32, muted: bool) {
        let mute = self.of(stream);
        mute.is_ours = muted;
        mute.set(muted);
    }

    /// Mutes or unmutes a stream for the server.
    pub fn set_theirs(&mut self, stream: u32, muted: bool) {
        let mute = self.of(stream);
        mute.is_ours &= muted;
        mute.set(muted);
    }

    /// Applies the server's list of a stream's track.
    pub fn listed(&mut self, stream: u32, muted: bool) {
        let mute = self.of(stream);
        if mute.is_muted == muted {
            mute.is_unconfirmed = false;
        } else if !mute.is_unconfirmed {
            mute.is_ours &= muted;
            mute.is_muted = muted;
        }
    }

    /// Notes that the server has confirmed a stream's state.
    pub fn confirmed(&mut self, stream: u32) {
        self.streams.iter_mut().filter(|mute| mute.stream == stream).for_each(|mute| mute.is_unconfirmed = false);
    }

    /// Returns the streams whose state the server may not have received.
    pub fn unconfirmed(&self) -> impl Iterator<Item = u32> {
        self.streams.iter().filter(|mute| mute.is_unconfirmed).map(|mute| mute.stream)
    }

    /// Resets for a rejoin, as a participant whom no moderator has muted.
    pub fn reset(&mut self) {
        self.streams.iter_mut().for_each(|mute| (mute.is_muted, mute.is_unconfirmed) = (mute.is_ours, false));
    }

    /// Returns the next event to report.
    pub fn next_event(&mut self, on_mute: UnheardPolicy) -> Option<OutputEvent> {
        let mute = self.streams.iter_mut().find(|mute| mute.is_muted != mute.reported)?;
        mute.reported = mute.is_muted;
        Some(if mute.reported {
            OutputEvent::Muted { stream: mute.stream, policy: on_mute }
        } else {
            OutputEvent::Unmuted(mute.stream)
        })
    }

    fn of(&mut self, stream: u32) -> &mut Mute {
        let known = self.streams.iter().position(|mute| mute.stream == stream);
        let index = known.unwrap_or_else(|| {
            self.streams.push(Mute { stream, is_ours: false, is_muted: false, reported: false, is_unconfirmed: false });
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

    /// Returns all events that are to be reported.
    fn reported(mutes: &mut Mutes) -> Vec<(u32, bool)> {
        let events = std::iter::from_fn(|| mutes.next_event(UnheardPolicy::Continue));
        events
            .map(|event| match event {
                OutputEvent::Muted { stream, .. } => (stream, true),
                OutputEvent::Unmuted(stream) => (stream, false),
                _ => unreachable!("only mutes are reported"),
            })
            .collect()
    }

    #[test]
    fn last_to_set_wins() {
        let mut mutes = Mutes::default();
        mutes.set_theirs(0, true);
        assert_eq!(reported(&mut mutes), [(0, true)]);
        mutes.set_ours(0, false);
        assert_eq!(reported(&mut mutes), [(0, false)]);
        mutes.set_ours(0, true);
        mutes.set_theirs(0, false);
        assert_eq!(reported(&mut mutes), []);
        mutes.reset();
        assert!(!mutes.is_muted(0), "a moderator has lifted it");
    }

    #[test]
    fn only_own_mute_survives_rejoin() {
        let mut mutes = Mutes::default();
        mutes.set_theirs(0, true);
        mutes.set_ours(1, true);
        assert_eq!(reported(&mut mutes), [(0, true), (1, true)]);
        mutes.reset();
        assert_eq!(reported(&mut mutes), [(0, false)]);
        assert!(mutes.is_muted(1));
    }

    #[test]
    fn list_corrects_missed_mutes() {
        let mut mutes = Mutes::default();
        mutes.listed(0, true);
        assert_eq!(reported(&mut mutes), [(0, true)], "muted while the signalling was down");
        mutes.set_ours(0, false);
        mutes.listed(0, true);
        assert!(!mutes.is_muted(0), "the list is older");
        mutes.listed(0, false);
        mutes.listed(0, true);
        assert!(mutes.is_muted(0), "the list is newer");
    }
}
