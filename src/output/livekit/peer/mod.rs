//! The media side of a room: what knows str0m, with `transport/`, its sockets.
//!
//! str0m reads no clock and no socket; this file does both for it. After every mutation its output is drained.

mod negotiate;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use str0m::change::SdpPendingOffer;
use str0m::media::{Frequency, MediaTime};
pub use str0m::media::{Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Event, IceConnectionState, Input, Output, Rtc, RtcConfig};
use tokio::time::Sleep;

use super::encoder::Encoding;
use super::transport::{Arrival, DATAGRAM, Transport};
use crate::audio::{SAMPLE_RATE, Samples};
use crate::error::{Code, Result, SpeakerError};
use crate::output::Report;

/// While sound is sent the server reports at least every second: one that was silent for longer may not hear it.
const HEARD_WITHIN: Duration = Duration::from_millis(1_500);

/// A server that is silent for that long while sound is sent does not hear it: ICE by itself would take a quarter of a minute.
const UNHEARD_AFTER: Duration = Duration::from_secs(4);

/// How often a path is checked once there is one (RFC 7675 §5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// How often reports of the receiver are summed up.
const STATS_INTERVAL: Duration = Duration::from_secs(10);

/// What changed.
pub enum Change {
    /// Media can flow.
    Connected,
    /// ICE has no path to the server any more.
    NoPath,
    /// The receiver's report on one media line.
    Report(Report),
    /// It is broken for good.
    Broken(SpeakerError),
}

pub struct Peer {
    rtc: Rtc,
    transport: Transport,
    /// When str0m wants to be told the time, and what wakes us then or before.
    due: Instant,
    timer: Pin<Box<Sleep>>,
    /// The offer that waits for its answer.
    pending: Option<SdpPendingOffer>,
    changes: VecDeque<Change>,
    /// When the server was last heard.
    heard: Option<Instant>,
    /// Since when sound is sent without a pause.
    sending: Option<Instant>,
}

impl Peer {
    pub fn new(transport: Transport, encoding: Encoding) -> Result<Self> {
        let mut config = RtcConfig::new().clear_codecs().enable_opus(true, encoding.red);
        config.set_max_stun_rto(CONSENT_INTERVAL);
        let mut rtc = config.set_stats_interval(Some(STATS_INTERVAL)).build(Instant::now());
        for candidate in transport.candidates() {
            rtc.add_local_candidate(candidate.clone());
        }
        let mut peer = Self {
            rtc,
            transport,
            due: Instant::now(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            pending: None,
            changes: VecDeque::new(),
            heard: None,
            sending: None,
        };
        // Until it is told a time, str0m begins no check of its own: it would wait for a server that can reach us.
        peer.input(Input::Timeout(Instant::now()))?;
        Ok(peer)
    }

    /// A second one, on the same kind of ways.
    pub fn sibling(&self, encoding: Encoding) -> Result<Self> {
        Self::new(self.transport.another()?, encoding)
    }

    pub fn is_connected(&self) -> bool {
        self.rtc.is_connected()
    }

    /// Whether what is sent now reaches the server, as far as one can know.
    pub fn is_heard(&self) -> bool {
        self.is_connected() && self.heard.is_some_and(|heard| heard.elapsed() < HEARD_WITHIN)
    }

    /// Whether sound is sent, and nothing was heard of the server for too long.
    pub fn is_unheard(&self) -> bool {
        self.sending.max(self.heard).is_some_and(|since| since.elapsed() > UNHEARD_AFTER)
    }

    /// By what ways a path was sought, in words.
    pub fn tried(&self) -> String {
        self.transport.tried()
    }

    pub fn awaits_answer(&self) -> bool {
        self.pending.is_some()
    }

    /// Sends one packet. `level` is its loudness in dBFS (RFC 6464), `first` that silence came before it.
    pub fn send(&mut self, line: (Mid, Pt), time: Samples, packet: &[u8], level: i8, first: bool) -> Result<()> {
        let (mid, pt) = line;
        let Some(writer) = self.rtc.writer(mid) else { return Ok(()) };
        let time = MediaTime::new(time, Frequency::FORTY_EIGHT_KHZ);
        let audible = level > -127;
        if first {
            self.sending = Some(Instant::now());
        }
        writer
            .audio_level(level, audible)
            .start_of_talkspurt(first)
            .write(pt, Instant::now(), time, packet.to_vec())
            .map_err(|error| broken("a packet can't be sent", error))?;
        self.drain()
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Change> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return Poll::Ready(change);
            }
            let step = match self.timer.as_mut().poll(context) {
                Poll::Ready(()) => self.wake(),
                Poll::Pending => ready!(self.receive(context)),
            };
            if let Err(error) = step {
                return Poll::Ready(Change::Broken(error));
            }
        }
    }

    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut buffer = [0; DATAGRAM];
        Poll::Ready(match ready!(self.transport.poll(context, &mut buffer)) {
            Arrival::Datagram { proto, source, destination, length } => {
                self.take(proto, source, destination, &buffer[..length])
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

    /// Takes a datagram that came.
    pub fn take(&mut self, proto: Protocol, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) -> Result<()> {
        match Receive::new(proto, source, destination, bytes) {
            Ok(receive) => {
                let now = Instant::now();
                self.heard = Some(now);
                self.input(Input::Receive(now, receive))
            }
            Err(_) => Ok(()), // not WebRTC
        }
    }

    fn input(&mut self, input: Input) -> Result<()> {
        self.rtc.handle_input(input).map_err(|error| broken("the peer connection failed", error))?;
        self.drain()
    }

    /// The timer has run out, which may have been set for an earlier time than is wanted by now.
    fn wake(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.due > now {
            self.timer.as_mut().reset(self.due.into());
            return Ok(());
        }
        self.input(Input::Timeout(now))
    }

    fn drain(&mut self) -> Result<()> {
        let mut told = false;
        loop {
            match self.rtc.poll_output().map_err(|error| broken("the peer connection failed", error))? {
                Output::Timeout(at) => {
                    // A packet is made only when str0m is told the time: at once, or it would wait for another wake-up.
                    let now = Instant::now();
                    if at <= now && !std::mem::replace(&mut told, true) {
                        let input = self.rtc.handle_input(Input::Timeout(now));
                        input.map_err(|error| broken("the peer connection failed", error))?;
                        continue;
                    }
                    self.due = at;
                    // To set a timer costs more than to be woken by one that was set too early.
                    if self.timer.is_elapsed() || at < self.timer.deadline().into_std() {
                        self.timer.as_mut().reset(at.into());
                    }
                    return Ok(());
                }
                Output::Transmit(transmit) => self.transport.send(&transmit),
                Output::Event(event) => {
                    let change = self.notice(event);
                    self.changes.extend(change);
                }
            }
        }
    }

    fn notice(&mut self, event: Event) -> Option<Change> {
        match event {
            Event::Connected => Some(Change::Connected),
            Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed) => {
                self.transport.found();
                Some(Change::Connected)
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.transport.seek();
                Some(Change::NoPath)
            }
            // Without a report since the last one there is nothing to tell.
            Event::MediaEgressStats(stats) => Some(Change::Report(Report {
                loss: stats.loss?,
                jitter: Duration::from_secs_f64(f64::from(stats.remote?.jitter) / f64::from(SAMPLE_RATE)),
                round_trip: stats.rtt,
            })),
            _ => None,
        }
    }
}

fn broken(what: &str, error: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::Disconnected, format!("{what}: {error}"))
}
