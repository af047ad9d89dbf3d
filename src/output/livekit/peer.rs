//! The media side of a room, one UDP socket: the one place that knows str0m.
//!
//! str0m reads no clock and no socket; this file does both for it. After every mutation its output is drained.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime};
pub use str0m::media::{Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::Sleep;

use crate::audio::Samples;
use crate::error::{Code, Result, SpeakerError};

/// The largest datagram that crosses an Ethernet, with room to spare.
const DATAGRAM: usize = 2_000;

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
    socket: UdpSocket,
    local: SocketAddr,
    timeout: Pin<Box<Sleep>>,
    /// The offer that waits for its answer.
    pending: Option<SdpPendingOffer>,
    connected: bool,
    changed: bool,
    without_path_since: Option<Instant>,
    buffer: Vec<u8>,
}

impl Peer {
    /// A peer that sends from `local`, the address this machine has on the way to the server.
    pub async fn new(local: IpAddr) -> Result<Self> {
        let bind = async {
            let socket = UdpSocket::bind((local, 0)).await?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        let (socket, local) = bind.await.map_err(|error: std::io::Error| broken("no UDP socket", error))?;
        let now = Instant::now();
        let mut rtc = RtcConfig::new().clear_codecs().enable_opus(true, false).build(now);
        let candidate = Candidate::host(local, "udp").map_err(|error| broken("no local candidate", error))?;
        rtc.add_local_candidate(candidate);
        let mut peer = Self {
            rtc,
            socket,
            local,
            timeout: Box::pin(tokio::time::sleep(Duration::ZERO)),
            pending: None,
            connected: false,
            changed: false,
            without_path_since: None,
            buffer: vec![0; DATAGRAM],
        };
        // Until it is told a time, str0m begins no check of its own: it would wait for a server that can reach us.
        peer.input(None)?;
        Ok(peer)
    }

    pub fn is_connected(&self) -> bool {
        self.connected
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
        self.drain()
    }

    /// Candidates that can't be used here (TCP, IPv6 without a route) are none of ours.
    pub fn add_candidate(&mut self, candidate: &str) -> Result<()> {
        if let Ok(candidate) = Candidate::from_sdp_string(candidate) {
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
                Poll::Ready(()) => self.input(None),
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
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut read = ReadBuf::new(&mut buffer);
        let received = self.socket.poll_recv_from(context, &mut read);
        let length = read.filled().len();
        let step = match received {
            Poll::Ready(Ok(source)) => Poll::Ready(self.input(Some((source, &buffer[..length])))),
            // An ICMP answer to something sent before: ICE finds out by itself.
            Poll::Ready(Err(_)) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        };
        self.buffer = buffer;
        step
    }

    fn input(&mut self, datagram: Option<(SocketAddr, &[u8])>) -> Result<()> {
        let now = Instant::now();
        let input = match datagram {
            None => Input::Timeout(now),
            Some((source, contents)) => match contents.try_into() {
                Ok(contents) => {
                    Input::Receive(now, Receive { proto: Protocol::Udp, source, destination: self.local, contents })
                }
                Err(_) => return Ok(()), // not WebRTC
            },
        };
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
                // A full socket buffer loses a packet, as the network may.
                Output::Transmit(transmit) => drop(self.socket.try_send_to(&transmit.contents, transmit.destination)),
                Output::Event(Event::Connected) => {
                    self.connected = true;
                    self.changed = true;
                }
                Output::Event(Event::IceConnectionStateChange(state)) => {
                    let lost = state == IceConnectionState::Disconnected;
                    self.without_path_since = lost.then(Instant::now);
                }
                Output::Event(_) => {}
            }
        }
    }
}

fn broken(what: &str, error: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::Disconnected, format!("{what}: {error}"))
}
