//! The ways to the server: which sockets there are, and when.
//!
//! The ways form a ladder: UDP, then TCP to each of the server's TCP candidates, then each TURN server in the order in which
//! the server named them. UDP is open from the start, and stays. While ICE finds no path, one more rung is opened every
//! [`PATIENCE`]; once packets flow, the rungs that they do not use are closed. A healthy session so holds one socket.
//!
//! Nobody has to be told of a late candidate of ours: the server learns it from the first ICE check that comes from it.

mod ladder;
mod link;
mod server;
mod tcp;
mod turn;
mod udp;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use str0m::Candidate;
use str0m::net::{Protocol, Transmit};

use ladder::Ladder;
pub use server::IceServer;
use server::TurnServer;
pub use tcp::framed;
use udp::Udp;
pub use wire::Io;

use super::timer::Timer;
use crate::error::Result;

/// The largest datagram that crosses an Ethernet, with room to spare.
pub const DATAGRAM: usize = 2_000;

/// How long a rung may be the last one before the next is opened too: some round trips around the world.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which network routes may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IceTransport {
    /// UDP, then TCP to the server, then its TURN servers.
    All,
    /// Only TCP to the server.
    Tcp,
    /// Only the TURN servers.
    Relay,
}

/// What a socket brings.
pub enum Arrival {
    /// A datagram, in the buffer that was lent.
    Datagram { proto: Protocol, source: SocketAddr, destination: SocketAddr, length: usize },
    /// A way is open.
    Opened(Candidate),
    /// A way is closed.
    Closed(Candidate),
}

pub struct Transport {
    ways: IceTransport,
    /// The address that this machine has on the way to the server.
    local: IpAddr,
    udp: Option<Udp>,
    ladder: Ladder,
    /// Candidates of rungs that were closed, of which nobody was told yet.
    closed: Vec<Candidate>,
    /// Runs while there is no path: when the next rung is opened.
    patience: Option<Timer>,
    /// The last path was none of UDP's, so the next one will not be either.
    hurry: bool,
}

impl Transport {
    /// What `ways` allows, from the address `local`, to a server that names these TURN servers.
    pub fn new(ways: IceTransport, local: IpAddr, servers: &[IceServer]) -> Result<Self> {
        let udp = (ways == IceTransport::All).then(|| Udp::bind(local)).transpose()?;
        let ladder = Ladder::default();
        let mut transport = Self { ways, local, udp, ladder, closed: Vec::new(), patience: None, hurry: false };
        transport.set_servers(servers);
        Ok(transport)
    }

    pub fn local(&self) -> IpAddr {
        self.local
    }

    /// Another one of the same kind.
    pub fn another(&self) -> Result<Self> {
        let mut another = Self::new(self.ways, self.local, &[])?;
        another.ladder.set_servers(self.ladder.servers());
        Ok(another)
    }

    /// The candidates that there are by now.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.udp.iter().map(Udp::candidate).chain(self.ladder.candidates())
    }

    /// A candidate of the server: perhaps another way to it.
    pub fn add_remote(&mut self, candidate: &Candidate, now: Instant) {
        if candidate.proto() != Protocol::Tcp || self.ways == IceTransport::Relay {
            return;
        }
        self.ladder.add_tcp(candidate.addr());
        // The first rung of a ladder without UDP.
        if self.udp.is_none() && !self.ladder.is_in_use() {
            self.patience = self.patience.take().map(|_| Timer::at(now));
        }
    }

    /// ICE has no path.
    pub fn seek(&mut self, now: Instant) {
        let at_once = self.hurry || self.udp.is_none();
        let wait = if at_once { Duration::ZERO } else { PATIENCE };
        self.patience.get_or_insert_with(|| Timer::at(now + wait));
    }

    /// ICE has a path.
    pub fn found(&mut self) {
        (self.patience, self.hurry) = (None, false);
        self.ladder.rewind();
    }

    /// Goes with an ICE restart, which fails over a connection that was there before: all sockets are made anew, from an
    /// address that may have changed. `servers` take the place of those named before.
    pub fn restart(&mut self, local: IpAddr, servers: &[IceServer]) -> Result<()> {
        self.local = local;
        if let Some(udp) = &mut self.udp {
            let old = std::mem::replace(udp, Udp::bind(local)?);
            self.closed.push(old.candidate().clone());
        }
        (self.patience, self.hurry) = (None, self.ladder.is_in_use());
        self.closed.extend(self.ladder.close_all_but(None));
        self.set_servers(servers);
        self.ladder.rewind();
        Ok(())
    }

    fn set_servers(&mut self, servers: &[IceServer]) {
        let may_relay = self.ways != IceTransport::Tcp;
        self.ladder.set_servers(servers.iter().filter(|_| may_relay).filter_map(TurnServer::new));
    }

    /// What was tried, in words.
    pub fn tried(&self) -> String {
        let udp = self.udp.as_ref().map(|udp| format!("UDP from {}", udp.candidate().addr().ip()));
        let tried: Vec<_> = udp.into_iter().chain(self.ladder.tried()).collect();
        match tried.is_empty() {
            true => "the server offers none that iceTransport allows".to_owned(),
            false => format!("tried {}", tried.join(", ")),
        }
    }

    /// Sends by the way of the datagram's source. A full buffer loses it, as the network may.
    pub fn send(&mut self, transmit: &Transmit, now: Instant) {
        match &mut self.udp {
            Some(udp) if is_of(udp.candidate(), transmit) => udp.send(transmit),
            _ => self.ladder.send(transmit, now),
        }
        // RFC 7983: all but STUN goes where ICE has settled.
        let settled = transmit.contents.first().is_some_and(|first| *first > 3);
        if settled && self.patience.is_none() && self.ladder.is_in_use() {
            self.closed.extend(self.ladder.close_all_but(Some(transmit)));
        }
    }

    pub fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Poll<Arrival> {
        if let Some(candidate) = self.closed.pop() {
            return Poll::Ready(Arrival::Closed(candidate));
        }
        while let Some(patience) = &mut self.patience
            && let Poll::Ready(now) = patience.poll(context, now)
        {
            patience.set(now + PATIENCE);
            self.ladder.climb();
        }
        if let Some(udp) = &mut self.udp
            && let Poll::Ready(arrival) = udp.poll(context, buffer)
        {
            return Poll::Ready(arrival);
        }
        self.ladder.poll(context, buffer, now)
    }
}

/// Whether a datagram goes out by a candidate.
fn is_of(candidate: &Candidate, transmit: &Transmit) -> bool {
    (candidate.addr(), candidate.proto()) == (transmit.source, transmit.proto)
}
