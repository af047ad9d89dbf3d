//! The two data channels of a peer connection: a reliable one and a lossy one.

use str0m::change::SdpApi;
use str0m::channel::{ChannelConfig, ChannelId, Reliability};

/// The labels that LiveKit's servers know.
const RELIABLE: &str = "_reliable";
const LOSSY: &str = "_lossy";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no channel.
    #[default]
    None,
    /// It is part of the pending offer.
    Offered,
    /// The server has agreed to it.
    Agreed,
    Open(ChannelId),
}

#[derive(Default)]
pub struct Channels {
    is_wanted: bool,
    reliable: State,
    lossy: State,
}

impl Channels {
    /// Requests the channels from now on.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Returns true if a wanted channel is still to be offered.
    pub fn are_missing(&self) -> bool {
        self.is_wanted && [self.reliable, self.lossy].contains(&State::None)
    }

    /// Returns true if channels are wanted and at least one exists or was offered. Older servers open theirs unasked.
    pub fn are_used(&self) -> bool {
        self.is_wanted && [self.reliable, self.lossy] != [State::None; 2]
    }

    /// Adds the missing channels to an offer.
    pub fn add(&mut self, change: &mut SdpApi<'_>) {
        if !self.is_wanted {
            return;
        }
        let unreliable = Reliability::MaxRetransmits { retransmits: 0 };
        let both =
            [(&mut self.reliable, RELIABLE, true, Reliability::Reliable), (&mut self.lossy, LOSSY, false, unreliable)];
        for (state, label, ordered, reliability) in both {
            if *state == State::None {
                let label = label.to_owned();
                change.add_channel_with_config(ChannelConfig { label, ordered, reliability, ..Default::default() });
                *state = State::Offered;
            }
        }
    }

    /// Handles that the offer was answered, or that none was needed.
    pub fn agreed(&mut self) {
        self.replace(State::Offered, State::Agreed);
    }

    /// Handles that the offer is void.
    pub fn withdrawn(&mut self) {
        self.replace(State::Offered, State::None);
    }

    fn replace(&mut self, from: State, to: State) {
        [&mut self.reliable, &mut self.lossy].into_iter().filter(|state| **state == from).for_each(|state| *state = to);
    }

    /// Handles that a channel of ours or of the server is open. Returns false if it is neither of the two.
    pub fn opened(&mut self, id: ChannelId, label: &str) -> bool {
        match label {
            RELIABLE => self.reliable = State::Open(id),
            LOSSY => self.lossy = State::Open(id),
            _ => return false,
        }
        true
    }

    /// Handles that a channel is closed. Returns false if it was neither of the two.
    pub fn closed(&mut self, id: ChannelId) -> bool {
        let is_known = self.is_reliable(id).is_some();
        self.replace(State::Open(id), State::None);
        is_known
    }

    /// Returns true for the reliable channel, false for the lossy one, and None for others.
    pub fn is_reliable(&self, id: ChannelId) -> Option<bool> {
        [(self.reliable, true), (self.lossy, false)]
            .into_iter()
            .find(|(state, _)| *state == State::Open(id))
            .map(|(_, is)| is)
    }

    /// Returns the reliable or the lossy channel, if it is open.
    pub fn open(&self, is_reliable: bool) -> Option<ChannelId> {
        match if is_reliable { self.reliable } else { self.lossy } {
            State::Open(id) => Some(id),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use str0m::Rtc;

    use super::*;

    /// Adds missing channels to an offer, which is dropped. Returns true if there were any.
    fn add(channels: &mut Channels) -> bool {
        let mut rtc = Rtc::builder().build(Instant::now());
        let mut change = rtc.sdp_api();
        channels.add(&mut change);
        change.apply().is_some_and(|(offer, _)| offer.to_sdp_string().contains("m=application"))
    }

    /// Returns two ids, which only str0m creates.
    fn ids() -> [ChannelId; 2] {
        let mut rtc = Rtc::builder().build(Instant::now());
        [(); 2].map(|()| rtc.direct_api().create_data_channel(ChannelConfig::default()))
    }

    #[test]
    fn offers_wanted_channels_once() {
        let mut channels = Channels::default();
        assert!(!channels.are_missing() && !add(&mut channels));
        channels.want();
        assert!(channels.are_missing() && !channels.are_used());
        assert!(add(&mut channels) && !channels.are_missing() && !add(&mut channels));
        channels.withdrawn();
        assert!(channels.are_missing() && add(&mut channels));
        channels.agreed();
        channels.withdrawn();
        assert!(!channels.are_missing() && channels.are_used(), "what is agreed stays");
    }

    #[test]
    fn reoffers_closed_channels() {
        let (mut channels, [one, other]) = (Channels::default(), ids());
        channels.want();
        add(&mut channels);
        channels.agreed();
        assert_eq!((channels.open(true), channels.open(false)), (None, None));
        assert!(!channels.opened(one, "something else"));
        assert!(channels.opened(one, RELIABLE) && channels.opened(other, LOSSY));
        assert_eq!((channels.open(true), channels.open(false)), (Some(one), Some(other)));
        assert_eq!((channels.is_reliable(one), channels.is_reliable(other)), (Some(true), Some(false)));
        assert!(channels.closed(one) && !channels.closed(one));
        assert_eq!((channels.open(true), channels.is_reliable(one), channels.are_missing()), (None, None, true));
    }

    #[test]
    fn unasked_channels_count_once_wanted() {
        let (mut channels, [one, _]) = (Channels::default(), ids());
        assert!(channels.opened(one, RELIABLE));
        assert!(!channels.are_used() && channels.is_reliable(one) == Some(true));
        channels.want();
        assert!(channels.are_used());
    }
}
