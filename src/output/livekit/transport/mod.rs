//! The transport to the server: its sockets, and when they are opened and closed.
//!
//! Routes are tried in order: UDP, then TCP to each of the server's TCP candidates, then each TURN server in the server's order. UDP is
//! opened as soon as the server's addresses are known, and stays open. While ICE finds no path, one more route is opened every
//! [`NEXT_ROUTE_AFTER`]; once packets flow, the routes and sockets that they do not use are closed. So a healthy session holds one socket.
//!
//! Late local candidates need no signalling: the server learns them from the first ICE check that comes from them.

mod datagram_stream;
mod fallbacks;
mod link;
mod server;
mod tcp;
mod turn;
mod udp;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use str0m::Candidate;
use str0m::net::{Protocol, Transmit};

pub use datagram_stream::Io;
use fallbacks::Fallbacks;
pub use server::IceServer;
use server::TurnServer;
pub use tcp::framed;
use udp::Udp;

use super::timer::Timer;

/// The largest datagram that fits into an Ethernet frame, with room to spare.
pub const DATAGRAM: usize = 2_000;

/// The delay before the next route is opened while there is no path: some round trips around the world.
const NEXT_ROUTE_AFTER: Duration = Duration::from_secs(1);

/// The network routes that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IceTransport {
    /// UDP, then TCP to the server, then its TURN servers.
    All,
    /// Only TCP to the server.
    Tcp,
    /// Only the TURN servers.
    Relay,
}

/// An event of the sockets.
pub enum TransportEvent {
    /// A datagram arrived, in the caller's buffer.
    Datagram { proto: Protocol, source: SocketAddr, destination: SocketAddr, length: usize },
    /// A route was opened, with this candidate.
    Opened(Candidate),
    /// A route was closed.
    Closed(Candidate),
}

pub struct Transport {
    allowed: IceTransport,
    udp: Option<Udp>,
    fallbacks: Fallbacks,
    /// Opened and closed routes that are still to be reported.
    events: VecDeque<TransportEvent>,
    /// ICE has found a path, so no others are needed.
    has_path: bool,
    /// The timer for opening the next route, while there is no path.
    next_route: Option<Timer>,
    /// The last path did not use UDP, so the next one will not either.
    is_udp_blocked: bool,
}

impl Transport {
    /// Creates the transport to a server that names these TURN servers, restricted to the `allowed` routes.
    pub fn new(allowed: IceTransport, servers: &[IceServer]) -> Self {
        let udp = (allowed == IceTransport::All).then(Udp::open);
        let fallbacks = Fallbacks::default();
        let mut transport = Self {
            allowed,
            udp,
            fallbacks,
            events: VecDeque::new(),
            has_path: false,
            next_route: None,
            is_udp_blocked: false,
        };
        transport.set_servers(servers);
        transport
    }

    /// Creates another transport of the same kind.
    pub fn another(&self) -> Self {
        let mut another = Self::new(self.allowed, &[]);
        another.fallbacks.set_servers(self.fallbacks.servers());
        another
    }

    /// Returns the current local candidates.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.udp.iter().flat_map(Udp::candidates).chain(self.fallbacks.candidates())
    }

    /// Adds a candidate of the server, which may open another route.
    pub fn add_remote(&mut self, candidate: &Candidate, now: Instant) {
        if let (Protocol::Udp, Some(udp)) = (candidate.proto(), &mut self.udp)
            && udp.add_remote(candidate.addr())
        {
            self.reach();
        }
        if candidate.proto() != Protocol::Tcp || self.allowed == IceTransport::Relay {
            return;
        }
        self.fallbacks.add_tcp(candidate.addr());
        // The first route where UDP is not allowed.
        if self.udp.is_none() && !self.fallbacks.is_in_use() {
            self.next_route = self.next_route.take().map(|_| Timer::at(now));
        }
    }

    /// Handles that ICE has no path.
    pub fn seek(&mut self, now: Instant) {
        self.has_path = false;
        self.reach();
        let at_once = self.is_udp_blocked || self.udp.is_none();
        let wait = if at_once { Duration::ZERO } else { NEXT_ROUTE_AFTER };
        self.next_route.get_or_insert_with(|| Timer::at(now + wait));
    }

    /// Handles that ICE has found a path.
    pub fn found(&mut self) {
        (self.next_route, self.is_udp_blocked, self.has_path) = (None, false, true);
        self.fallbacks.rewind();
    }

    /// Sets whether received packets may wait, as they may once media flows.
    pub fn wait(&mut self, waits: bool) {
        if let Some(udp) = &mut self.udp {
            udp.wait(waits);
        }
    }

    /// Sets whether UDP packets wake nothing, because the caller polls by itself.
    pub fn rest(&mut self, rests: bool) {
        if let Some(udp) = &mut self.udp {
            udp.rest(rests);
        }
    }

    /// Prepares an ICE restart, which would fail over an existing connection: all sockets are recreated, from addresses that may have
    /// changed. `servers` replace the TURN servers named before.
    pub fn restart(&mut self, servers: &[IceServer]) {
        let mut closed = self.udp.as_mut().map(Udp::reopen).unwrap_or_default();
        (self.next_route, self.is_udp_blocked, self.has_path) = (None, self.fallbacks.is_in_use(), false);
        closed.extend(self.fallbacks.close_all_but(None));
        self.events.extend(closed.into_iter().map(TransportEvent::Closed));
        self.set_servers(servers);
        self.fallbacks.rewind();
    }

    /// Opens missing UDP sockets to the server, unless there is a path.
    fn reach(&mut self) {
        let opened = self.udp.as_mut().filter(|_| !self.has_path).map(Udp::reach).unwrap_or_default();
        self.events.extend(opened.into_iter().map(TransportEvent::Opened));
    }

    fn set_servers(&mut self, servers: &[IceServer]) {
        let may_relay = self.allowed != IceTransport::Tcp;
        self.fallbacks.set_servers(servers.iter().filter(|_| may_relay).filter_map(TurnServer::new));
    }

    /// Describes the routes that were tried.
    pub fn tried(&self) -> String {
        let udp = self.udp.as_ref().and_then(Udp::tried);
        let tried: Vec<_> = udp.into_iter().chain(self.fallbacks.tried()).collect();
        if tried.is_empty() {
            "the server offers none that iceTransport allows".to_owned()
        } else {
            format!("tried {}", tried.join(", "))
        }
    }

    /// Sends a datagram by the route of its source.
    pub fn send(&mut self, transmit: &Transmit, now: Instant) {
        if !self.udp.as_ref().is_some_and(|udp| udp.send(transmit)) {
            self.fallbacks.send(transmit, now);
        }
        // RFC 7983: anything but STUN is sent where ICE has settled.
        let settled = transmit.contents.first().is_some_and(|first| *first > 3);
        if settled && self.next_route.is_none() {
            let mut closed = self.udp.as_mut().map(|udp| udp.close_all_but(transmit)).unwrap_or_default();
            closed.extend(self.fallbacks.close_all_but(Some(transmit)));
            self.events.extend(closed.into_iter().map(TransportEvent::Closed));
        }
    }

    pub fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Poll<TransportEvent> {
        while let Some(next_route) = &mut self.next_route
            && next_route.poll(now).is_ready()
        {
            next_route.set(now + NEXT_ROUTE_AFTER);
            self.fallbacks.open_next();
            // This machine may have got another address.
            self.reach();
        }
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        if let Some(udp) = &mut self.udp
            && let Poll::Ready(event) = udp.poll(context, buffer)
        {
            return Poll::Ready(event);
        }
        self.fallbacks.poll(context, buffer, now)
    }
}

/// Returns true if a datagram is sent from this candidate.
fn is_of(candidate: &Candidate, transmit: &Transmit) -> bool {
    (candidate.addr(), candidate.proto()) == (transmit.source, transmit.proto)
}
