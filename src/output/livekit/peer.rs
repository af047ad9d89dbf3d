//! The media side of a room: what knows str0m, with `transport/`, its sockets.
//!
//! str0m reads no clock and no socket; this file does both for it. After every mutation its output is drained.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime};
pub use str0m::media::{Mid, Pt};
use str0m::net::Receive;
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};
use tokio::time::Sleep;

use super::transport::{Arrival, DATAGRAM, Transport};
use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};

/// How long ICE may be without a path before the room counts as lost: what LiveKit's own clients wait.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// What changed.
pub enum Change {
    /// Media can flow.
    Connected,
    /// It can't any more.
    Lost(SpeakerError),
}

pub struct Peer {
    rtc: Rtc,
    transport: Transport,
    timeout: Pin<Box<Sleep>>,
    /// The offer that waits for its answer.
    pending: Option<SdpPendingOffer>,
    connected: bool,
    changed: bool,
    /// Since there was one for the first time.
    without_path_since: Option<Instant>,
}

impl Peer {
    pub fn new(transport: Transport) -> Result<Self> {
        let mut rtc = RtcConfig::new().clear_codecs().enable_opus(true, false).build(Instant::now());
        for candidate in transport.candidates() {
            rtc.add_local_candidate(candidate.clone());
        }
        let mut peer = Self {
            rtc,
            transport,
            timeout: Box::pin(tokio::time::sleep(Duration::ZERO)),
            pending: None,
            connected: false,
            changed: false,
            without_path_since: None,
        };
        // Until it is told a time, str0m begins no check of its own: it would wait for a server that can reach us.
        peer.input(Input::Timeout(Instant::now()))?;
        Ok(peer)
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// By what ways a path was sought, in words.
    pub fn tried(&self) -> String {
        self.transport.tried()
    }

    pub fn awaits_answer(&self) -> bool {
        self.pending.is_some()
    }

    /// Adds a media line for a track; says the line's name and the offer.
    pub fn offer(&mut self, cid: &str) -> Result<(Mid, String)> {
        let mut change = self.rtc.sdp_api();
        let stream = Some("speaker".to_owned());
        let mid = change.add_media(MediaKind::Audio, Direction::SendOnly, stream, Some(cid.to_owned()), None);
        let (offer, pending) = change.apply().expect("a line was added");
        self.pending = Some(pending);
        self.drain()?;
        Ok((mid, offer.to_sdp_string()))
    }

    pub fn answer(&mut self, sdp: &str) -> Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|error| broken("the answer can't be read", error))?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|error| broken("the answer does not fit", error))?;
        if !self.connected {
            self.transport.seek();
        }
        self.drain()
    }

    /// Candidates that can't be used here (IPv6 without a route) are none of ours.
    pub fn add_candidate(&mut self, candidate: &str) -> Result<()> {
        if let Ok(candidate) = Candidate::from_sdp_string(candidate) {
            self.transport.add_remote(&candidate);
            self.rtc.add_remote_candidate(candidate);
            self.drain()?;
        }
        Ok(())
    }

    /// The number under which Opus goes on this line.
    pub fn payload_type(&mut self, mid: Mid) -> Option<Pt> {
        let writer = self.rtc.writer(mid)?;
        writer.payload_params().find(|params| params.spec().codec == Codec::Opus).map(|params| params.pt())
    }

    /// Sends one packet. `level` is its loudness in dBFS (RFC 6464), `first` that silence came before it.
    pub fn send(&mut self, line: (Mid, Pt), time: Samples, packet: &[u8], level: i8, first: bool) -> Result<()> {
        let (mid, pt) = line;
        let Some(writer) = self.rtc.writer(mid) else { return Ok(()) };
        let time = MediaTime::new(time, Frequency::FORTY_EIGHT_KHZ);
        let audible = level > -127;
        writer
            .audio_level(level, audible)
            .start_of_talkspurt(first)
            .write(pt, Instant::now(), time, packet.to_vec())
            .map_err(|error| broken("a packet can't be sent", error))?;
        self.drain()
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Change> {
        loop {
            if std::mem::take(&mut self.changed) {
                return Poll::Ready(Change::Connected);
            }
            let step = match self.timeout.as_mut().poll(context) {
                Poll::Ready(()) => self.input(Input::Timeout(Instant::now())),
                Poll::Pending => ready!(self.receive(context)),
            };
            let lost = self.without_path_since.is_some_and(|since| since.elapsed() > LOST_AFTER);
            let step = if lost { Err(broken("no path to the server", "ICE found none for 15 s")) } else { step };
            if let Err(error) = step {
                return Poll::Ready(Change::Lost(error));
            }
        }
    }

    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut buffer = [0; DATAGRAM];
        Poll::Ready(match ready!(self.transport.poll(context, &mut buffer)) {
            Arrival::Datagram { proto, source, destination, length } => {
                match Receive::new(proto, source, destination, &buffer[..length]) {
                    Ok(receive) => self.input(Input::Receive(Instant::now(), receive)),
                    Err(_) => Ok(()), // not WebRTC
                }
            }
            Arrival::Opened(candidate) => {
                self.rtc.add_local_candidate(candidate);
                self.drain()
            }
            Arrival::Closed(candidate) => {
                self.rtc.direct_api().invalidate_candidate(&candidate);
                self.drain()
            }
        })
    }

    fn input(&mut self, input: Input) -> Result<()> {
        self.rtc.handle_input(input).map_err(|error| broken("the peer connection failed", error))?;
        self.drain()
    }

    fn drain(&mut self) -> Result<()> {
        loop {
            match self.rtc.poll_output().map_err(|error| broken("the peer connection failed", error))? {
                Output::Timeout(at) => {
                    self.timeout.as_mut().reset(at.into());
                    return Ok(());
                }
                Output::Transmit(transmit) => self.transport.send(&transmit),
                Output::Event(Event::Connected) => {
                    self.connected = true;
                    self.changed = true;
                }
                Output::Event(Event::IceConnectionStateChange(state)) => {
                    self.found_path(matches!(state, IceConnectionState::Connected | IceConnectionState::Completed));
                }
                Output::Event(_) => {}
            }
        }
    }

    fn found_path(&mut self, found: bool) {
        if found {
            self.without_path_since = None;
            self.transport.found();
        } else if self.connected {
            // Another way that opens is hope, and no path yet.
            self.without_path_since.get_or_insert_with(Instant::now);
            self.transport.seek();
        }
    }
}

fn broken(what: &str, error: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::Disconnected, format!("{what}: {error}"))
}
