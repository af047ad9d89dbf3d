//! What is agreed with the server: offers, answers, candidates.

use std::time::Instant;

use str0m::Candidate;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Direction, MediaKind, Mid, Pt};

use super::{OpusTypes, Peer, broken};
use crate::error::Result;
use crate::output::livekit::transport::IceServer;

/// What is to be agreed about those who are listened to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ears {
    /// How many new lines are needed.
    pub new: usize,
    /// Lines that the server may use again.
    pub again: Vec<Mid>,
}

/// An offer to the server.
pub struct Offer {
    /// The new lines of tracks, in their order.
    pub lines: Vec<Mid>,
    /// The new lines of those who are listened to.
    pub receiving: Vec<Mid>,
    pub sdp: String,
}

impl Peer {
    /// Adds a media line for each track, and the data channels that are missing, and lets go of lines that are `idle`. Returns the
    /// offer, if there is anything to agree about.
    pub fn offer(&mut self, cids: &[String], idle: &[Mid], ears: Option<Ears>, now: Instant) -> Result<Option<Offer>> {
        let lacks_channels = self.lacks_channels();
        let mut change = self.rtc.sdp_api();
        idle.iter().for_each(|mid| change.set_direction(*mid, Direction::Inactive));
        self.lines.retain(|line| !idle.contains(&line.mid));
        let line = |cid: &String| {
            let stream = Some("speaker".to_owned());
            change.add_media(MediaKind::Audio, Direction::SendOnly, stream, Some(cid.clone()), None)
        };
        let lines = cids.iter().map(line).collect();
        let mut receiving = Vec::new();
        if let Some(Ears { new, again }) = ears {
            // str0m offers what is as it was only if it was another way in between.
            for direction in [Direction::Inactive, Direction::RecvOnly] {
                again.iter().for_each(|mid| change.set_direction(*mid, direction));
            }
            let line = |_| change.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
            receiving = (0..new).map(line).collect();
        }
        if lacks_channels {
            self.channels.add(&mut change);
        }
        let Some((offer, pending)) = change.apply() else {
            if lacks_channels {
                // The server has agreed to others before.
                self.channels.agreed();
                self.drain(now)?;
            }
            return Ok(None);
        };
        self.pending = Some(pending);
        self.drain(now)?;
        Ok(Some(Offer { lines, receiving, sdp: offer.to_sdp_string() }))
    }

    /// Looks for a path anew, from addresses that may have changed: the offer that asks the server for it. An offer that was
    /// out is void.
    pub fn restart_ice(&mut self, servers: &[IceServer], now: Instant) -> Result<String> {
        self.transport.restart(servers);
        self.add_local_candidates();
        let mut change = self.rtc.sdp_api();
        change.ice_restart(false);
        self.channels.withdrawn();
        let (offer, pending) = change.apply().expect("a restart needs an offer");
        self.pending = Some(pending);
        self.drain(now)?;
        Ok(offer.to_sdp_string())
    }

    /// Forgets the offer that is out: it was lost.
    pub fn withdraw(&mut self) {
        self.pending = None;
        self.channels.withdrawn();
    }

    /// Takes the server's own offer: the answer to it.
    pub fn accept(&mut self, sdp: &str, now: Instant) -> Result<String> {
        let offer = SdpOffer::from_sdp_string(sdp).map_err(|error| broken("the offer can't be read", error))?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|error| broken("the offer does not fit", error))?;
        self.learn_ways(sdp, now);
        self.seek(now)?;
        Ok(answer.to_sdp_string())
    }

    pub fn answer(&mut self, sdp: &str, now: Instant) -> Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|error| broken("the answer can't be read", error))?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|error| broken("the answer does not fit", error))?;
        self.channels.agreed();
        self.learn_ways(sdp, now);
        // A restart of ICE forgets them; otherwise they are there already.
        self.add_local_candidates();
        self.seek(now)
    }

    fn add_local_candidates(&mut self) {
        for candidate in self.transport.candidates() {
            self.rtc.add_local_candidate(candidate.clone());
        }
    }

    /// What a description says of where the server is: str0m has read it already, the sockets have not.
    fn learn_ways(&mut self, sdp: &str, now: Instant) {
        let lines =
            sdp.lines().filter_map(|line| line.strip_prefix("a=")).filter(|line| line.starts_with("candidate:"));
        for candidate in lines.filter_map(|line| Candidate::from_sdp_string(line).ok()) {
            self.transport.add_remote(&candidate, now);
        }
    }

    fn seek(&mut self, now: Instant) -> Result<()> {
        if !self.is_connected() {
            self.transport.seek(now);
        }
        self.drain(now)
    }

    /// Candidates that can't be used here (IPv6 without a route) are none of ours.
    pub fn add_candidate(&mut self, candidate: &str, now: Instant) -> Result<()> {
        if let Ok(candidate) = Candidate::from_sdp_string(candidate) {
            self.transport.add_remote(&candidate, now);
            self.rtc.add_remote_candidate(candidate);
            self.drain(now)?;
        }
        Ok(())
    }

    /// The number under which Opus goes on this line.
    pub fn payload_type(&self, mid: Mid) -> Option<Pt> {
        let agreed = self.rtc.media(mid)?.remote_pts();
        self.opus().map(PayloadParams::pt).filter(|pt| agreed.contains(pt))
    }

    /// The numbers under which sound comes, once that is agreed.
    pub fn opus_types(&self) -> Option<OpusTypes> {
        let opus = self.opus()?;
        Some(OpusTypes { opus: *opus.pt(), red: opus.red().map(|red| *red) })
    }

    /// The number under which redundant audio goes, if it was asked for and agreed.
    pub(super) fn redundant_type(&self) -> Option<Pt> {
        self.opus().and_then(PayloadParams::red)
    }

    fn opus(&self) -> Option<&PayloadParams> {
        self.rtc.codec_config().params().iter().find(|params| params.spec().codec == Codec::Opus)
    }
}
