//! The ways to the server: which sockets there are, and when.
//!
//! The ways form a ladder: UDP, then TCP to each of the server's TCP candidates, then each TURN server in the order in which
//! the server named them. UDP is open as soon as the server says where it is, and stays. While ICE finds no path, one more rung is opened every
//! [`PATIENCE`]; once packets flow, the rungs and sockets that they do not use are closed. A healthy session so holds one socket.
//!
//! Nobody has to be told of a late candidate of ours: the server learns it from the first ICE check that comes from it.

mod ladder;
mod link;
mod server;
mod tcp;
mod turn;
mod udp;
mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
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
    udp: Option<Udp>,
    ladder: Ladder,
    /// Ways that were opened or closed, of which nobody was told yet.
    news: VecDeque<Arrival>,
    /// ICE has found its way: others are not needed.
    has_path: bool,
    /// Runs while there is no path: when the next rung is opened.
    patience: Option<Timer>,
    /// The last path was none of UDP's, so the next one will not be either.
    hurry: bool,
}

impl Transport {
    /// What `ways` allows, to a server that names these TURN servers.
    pub fn new(ways: IceTransport, servers: &[IceServer]) -> Self {
        let udp = (ways == IceTransport::All).then(Udp::open);
        let ladder = Ladder::default();
        let mut transport =
            Self { ways, udp, ladder, news: VecDeque::new(), has_path: false, patience: None, hurry: false };
        transport.set_servers(servers);
        transport
    }

    /// Another one of the same kind.
    pub fn another(&self) -> Self {
        let mut another = Self::new(self.ways, &[]);
        another.ladder.set_servers(self.ladder.servers());
        another
    }

    /// The candidates that there are by now.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.udp.iter().flat_map(Udp::candidates).chain(self.ladder.candidates())
    }

    /// A candidate of the server: perhaps another way to it.
    pub fn add_remote(&mut self, candidate: &Candidate, now: Instant) {
        if let (Protocol::Udp, Some(udp)) = (candidate.proto(), &mut self.udp)
            && udp.add_remote(candidate.addr())
        {
            self.reach();
        }
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
        self.has_path = false;
        self.reach();
        let at_once = self.hurry || self.udp.is_none();
        let wait = if at_once { Duration::ZERO } else { PATIENCE };
        self.patience.get_or_insert_with(|| Timer::at(now + wait));
    }

    /// ICE has a path.
    pub fn found(&mut self) {
        (self.patience, self.hurry, self.has_path) = (None, false, true);
        self.ladder.rewind();
    }

    /// Media flows: nothing that comes is urgent any more, or it is again.
    pub fn wait(&mut self, waits: bool) {
        self.udp.iter_mut().for_each(|udp| udp.wait(waits));
    }

    /// What comes by UDP wakes nobody, or does again: whoever polls this does so by itself.
    pub fn rest(&mut self, rests: bool) {
        self.udp.iter_mut().for_each(|udp| udp.rest(rests));
    }

    /// Goes with an ICE restart, which fails over a connection that was there before: all sockets are made anew, from
    /// addresses that may have changed. `servers` take the place of those named before.
    pub fn restart(&mut self, servers: &[IceServer]) {
        let mut closed = self.udp.as_mut().map(Udp::reopen).unwrap_or_default();
        (self.patience, self.hurry, self.has_path) = (None, self.ladder.is_in_use(), false);
        closed.extend(self.ladder.close_all_but(None));
        self.news.extend(closed.into_iter().map(Arrival::Closed));
        self.set_servers(servers);
        self.ladder.rewind();
    }

    /// Opens what is missing to reach the server by UDP, if it is to be reached.
    fn reach(&mut self) {
        let opened = self.udp.as_mut().filter(|_| !self.has_path).map(Udp::reach).unwrap_or_default();
        self.news.extend(opened.into_iter().map(Arrival::Opened));
    }

    fn set_servers(&mut self, servers: &[IceServer]) {
        let may_relay = self.ways != IceTransport::Tcp;
        self.ladder.set_servers(servers.iter().filter(|_| may_relay).filter_map(TurnServer::new));
    }

    /// What was tried, in words.
    pub fn tried(&self) -> String {
        let udp = self.udp.as_ref().and_then(Udp::tried);
        let tried: Vec<_> = udp.into_iter().chain(self.ladder.tried()).collect();
        match tried.is_empty() {
            true => "the server offers none that iceTransport allows".to_owned(),
            false => format!("tried {}", tried.join(", ")),
        }
    }

    /// Sends by the way of the datagram's source.
    pub fn send(&mut self, transmit: &Transmit, now: Instant) {
        if !self.udp.as_ref().is_some_and(|udp| udp.send(transmit)) {
            self.ladder.send(transmit, now);
        }
        // RFC 7983: all but STUN goes where ICE has settled.
        let settled = transmit.contents.first().is_some_and(|first| *first > 3);
        if settled && self.patience.is_none() {
            let mut closed = self.udp.as_mut().map(|udp| udp.close_all_but(transmit)).unwrap_or_default();
            closed.extend(self.ladder.close_all_but(Some(transmit)));
            self.news.extend(closed.into_iter().map(Arrival::Closed));
        }
    }

    pub fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Poll<Arrival> {
        while let Some(patience) = &mut self.patience
            && patience.poll(now).is_ready()
        {
            patience.set(now + PATIENCE);
            self.ladder.climb();
            // This machine may have come by another address.
            self.reach();
        }
        if let Some(news) = self.news.pop_front() {
            return Poll::Ready(news);
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
