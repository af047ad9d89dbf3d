//! The fallback routes beside UDP: TCP candidates and TURN servers, and which of them are open.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use str0m::Candidate;
use str0m::net::Transmit;

use super::link::{Link, Opening};
use super::server::TurnServer;
use super::{TransportEvent, is_of, tcp, turn};

#[derive(Default)]
pub struct Fallbacks {
    routes: Vec<Route>,
    /// The route to open next.
    next: usize,
}

struct Route {
    to: Target,
    state: State,
    /// The error with which it last ended.
    error: Option<io::Error>,
}

enum Target {
    /// A TCP candidate of the server.
    Tcp(SocketAddr),
    Turn(TurnServer),
}

enum State {
    Untried,
    Opening(Box<dyn Opening>),
    Open(Box<dyn Link>),
    Closed,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(remote) => write!(f, "TCP to {remote}"),
            Self::Turn(server) => server.fmt(f),
        }
    }
}

impl Fallbacks {
    /// Adds a TCP candidate of the server, once.
    pub fn add_tcp(&mut self, remote: SocketAddr) {
        let known = self.routes.iter().any(|route| matches!(route.to, Target::Tcp(known) if known == remote));
        if !known {
            let place = self.routes.partition_point(Route::is_tcp);
            self.routes.insert(place, Route::new(Target::Tcp(remote)));
        }
    }

    /// Replaces the TURN servers.
    pub fn set_servers(&mut self, servers: impl Iterator<Item = TurnServer>) {
        self.routes.retain(Route::is_tcp);
        self.routes.extend(servers.map(|server| Route::new(Target::Turn(server))));
    }

    pub fn servers(&self) -> impl Iterator<Item = TurnServer> {
        self.routes.iter().filter_map(|route| match &route.to {
            Target::Tcp(_) => None,
            Target::Turn(server) => Some(server.clone()),
        })
    }

    pub fn is_in_use(&self) -> bool {
        self.routes.iter().any(Route::is_in_use)
    }

    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.routes.iter().filter_map(|route| match &route.state {
            State::Open(link) => Some(link.candidate()),
            _ => None,
        })
    }

    /// Starts over with the first route.
    pub fn rewind(&mut self) {
        self.next = 0;
    }

    /// Opens the next route that is not open; after the last one the first follows.
    pub fn open_next(&mut self) {
        let count = self.routes.len();
        let mut order = (0..count).map(|n| (self.next + n) % count);
        let Some(index) = order.find(|index| !self.routes[*index].is_in_use()) else { return };
        self.next = index + 1;
        let Route { to, state, .. } = &mut self.routes[index];
        tracing::debug!(%to, "no path yet: opening another route");
        *state = State::Opening(match to {
            Target::Tcp(remote) => Box::new(tcp::open(*remote)),
            Target::Turn(server) => Box::new(turn::open(server.clone())),
        });
    }

    /// Closes all routes except the one that sends this datagram. Returns their candidates.
    pub fn close_all_but(&mut self, transmit: Option<&Transmit>) -> Vec<Candidate> {
        let spare = |route: &&mut Route| route.is_in_use() && !transmit.is_some_and(|transmit| route.takes(transmit));
        self.routes.iter_mut().filter(spare).filter_map(Route::close).collect()
    }

    /// Describes the routes that were tried, with their errors.
    pub fn tried(&self) -> impl Iterator<Item = String> {
        let tried = self.routes.iter().filter(|route| !matches!(route.state, State::Untried));
        tried.map(|Route { to, error, .. }| match error {
            Some(error) => format!("{to} ({error})"),
            None => to.to_string(),
        })
    }

    pub fn send(&mut self, transmit: &Transmit, now: Instant) {
        let route = self.routes.iter_mut().find(|route| route.takes(transmit));
        if let Some(Route { state: State::Open(link), .. }) = route {
            link.send(transmit, now);
        }
    }

    pub fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Poll<TransportEvent> {
        for route in &mut self.routes {
            if let Poll::Ready(result) = route.poll(context, buffer, now) {
                match result {
                    Ok(event) => return Poll::Ready(event),
                    Err(error) => {
                        tracing::debug!(to = %route.to, %error, "a route is closed");
                        route.error = Some(error);
                        if let Some(candidate) = route.close() {
                            return Poll::Ready(TransportEvent::Closed(candidate));
                        }
                    }
                }
            }
        }
        Poll::Pending
    }
}

impl Route {
    fn new(to: Target) -> Self {
        Self { to, state: State::Untried, error: None }
    }

    fn is_tcp(&self) -> bool {
        matches!(self.to, Target::Tcp(_))
    }

    fn is_in_use(&self) -> bool {
        matches!(self.state, State::Opening(_) | State::Open(_))
    }

    fn takes(&self, transmit: &Transmit) -> bool {
        matches!(&self.state, State::Open(link) if is_of(link.candidate(), transmit))
    }

    fn close(&mut self) -> Option<Candidate> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(link) => Some(link.candidate().clone()),
            _ => None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Poll<io::Result<TransportEvent>> {
        match &mut self.state {
            State::Untried | State::Closed => Poll::Pending,
            State::Opening(opening) => {
                let link = ready!(opening.poll(context, now))?;
                let candidate = link.candidate().clone();
                self.state = State::Open(link);
                Poll::Ready(Ok(TransportEvent::Opened(candidate)))
            }
            State::Open(link) => {
                let (source, length) = ready!(link.poll(context, buffer, now))?;
                let (proto, destination) = (link.candidate().proto(), link.candidate().addr());
                Poll::Ready(Ok(TransportEvent::Datagram { proto, source, destination, length }))
            }
        }
    }
}
