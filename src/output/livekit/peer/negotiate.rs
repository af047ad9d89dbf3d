//! Negotiation with the server: offers, answers, candidates.

use std::time::Instant;

use str0m::Candidate;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Direction, MediaKind, Mid, Pt};

use super::{OpusTypes, Peer, broken};
use crate::error::Result;
use crate::output::livekit::transport::IceServer;

/// The receive lines to negotiate.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReceiveLines {
    /// The number of new lines.
    pub new: usize,
    /// The lines that the server may use again.
    pub again: Vec<Mid>,
}

/// An offer to the server.
pub struct Offer {
    /// The new lines of tracks, in order.
    pub lines: Vec<Mid>,
    /// The new receive lines.
    pub receiving: Vec<Mid>,
    pub sdp: String,
}

impl Peer {
    /// Adds a media line for each track and the missing data channels, and releases the lines in `idle`. Returns the offer, or None if
    /// there is nothing to negotiate.
    pub fn offer(
        &mut self,
        cids: &[String],
        idle: &[Mid],
        receive_lines: Option<ReceiveLines>,
        now: Instant,
    ) -> Result<Option<Offer>> {
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
        if let Some(ReceiveLines { new, again }) = receive_lines {
            // str0m offers an unchanged direction only if it was changed in between.
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
                // The server has agreed to channels before.
                self.channels.agreed();
                self.drain(now)?;
            }
            return Ok(None);
        };
        self.pending = Some(pending);
        self.drain(now)?;
        Ok(Some(Offer { lines, receiving, sdp: offer.to_sdp_string() }))
    }

    /// Restarts ICE, from addresses that may have changed. Returns the offer; a pending one is void.
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

    /// Drops the pending offer, which was lost.
    pub fn withdraw(&mut self) {
        self.pending = None;
        self.channels.withdrawn();
    }

    /// Accepts the server's own offer. Returns the answer.
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
        // A restart of ICE drops them; otherwise they are known already.
        self.add_local_candidates();
        self.seek(now)
    }

    fn add_local_candidates(&mut self) {
        for candidate in self.transport.candidates() {
            self.rtc.add_local_candidate(candidate.clone());
        }
    }

    /// Adds the candidates of a description to the sockets; str0m has read them already.
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

    /// Adds a candidate of the server. One that can't be used here (IPv6 without a route) is ignored.
    pub fn add_candidate(&mut self, candidate: &str, now: Instant) -> Result<()> {
        if let Ok(candidate) = Candidate::from_sdp_string(candidate) {
            self.transport.add_remote(&candidate, now);
            self.rtc.add_remote_candidate(candidate);
            self.drain(now)?;
        }
        Ok(())
    }

    /// Returns the payload type of Opus on a line.
    pub fn payload_type(&self, mid: Mid) -> Option<Pt> {
        let agreed = self.rtc.media(mid)?.remote_pts();
        self.opus().map(PayloadParams::pt).filter(|pt| agreed.contains(pt))
    }

    /// Returns the payload types of received audio, once negotiated.
    pub fn opus_types(&self) -> Option<OpusTypes> {
        let opus = self.opus()?;
        Some(OpusTypes { opus: *opus.pt(), red: opus.red().map(|red| *red) })
    }

    /// Returns the payload type of redundant audio, if it was offered and agreed.
    pub(super) fn redundant_type(&self) -> Option<Pt> {
        self.opus().and_then(PayloadParams::red)
    }

    fn opus(&self) -> Option<&PayloadParams> {
        self.rtc.codec_config().params().iter().find(|params| params.spec().codec == Codec::Opus)
    }
}
