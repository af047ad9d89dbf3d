//! The rungs above UDP: where they lead, and which of them are open.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use str0m::Candidate;
use str0m::net::Transmit;

use super::link::{Link, Opening};
use super::server::TurnServer;
use super::{Arrival, is_of, tcp, turn};

#[derive(Default)]
pub struct Ladder {
    rungs: Vec<Rung>,
    /// The one to be opened next.
    next: usize,
}

struct Rung {
    to: Target,
    state: State,
    /// How it ended the last time.
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

impl Ladder {
    /// Adds a TCP candidate of the server, once.
    pub fn add_tcp(&mut self, remote: SocketAddr) {
        let known = self.rungs.iter().any(|rung| matches!(rung.to, Target::Tcp(known) if known == remote));
        if !known {
            let place = self.rungs.partition_point(Rung::is_tcp);
            self.rungs.insert(place, Rung::new(Target::Tcp(remote)));
        }
    }

    /// These TURN servers, and no others.
    pub fn set_servers(&mut self, servers: impl Iterator<Item = TurnServer>) {
        self.rungs.retain(Rung::is_tcp);
        self.rungs.extend(servers.map(|server| Rung::new(Target::Turn(server))));
    }

    pub fn servers(&self) -> impl Iterator<Item = TurnServer> {
        self.rungs.iter().filter_map(|rung| match &rung.to {
            Target::Tcp(_) => None,
            Target::Turn(server) => Some(server.clone()),
        })
    }

    pub fn is_in_use(&self) -> bool {
        self.rungs.iter().any(Rung::is_in_use)
    }

    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.rungs.iter().filter_map(|rung| match &rung.state {
            State::Open(link) => Some(link.candidate()),
            _ => None,
        })
    }

    /// Begins at its foot again.
    pub fn rewind(&mut self) {
        self.next = 0;
    }

    /// Opens the next rung that is not open; after the last one comes the first.
    pub fn climb(&mut self) {
        let count = self.rungs.len();
        let mut order = (0..count).map(|n| (self.next + n) % count);
        let Some(index) = order.find(|index| !self.rungs[*index].is_in_use()) else { return };
        self.next = index + 1;
        let Rung { to, state, .. } = &mut self.rungs[index];
        tracing::debug!(%to, "no path yet: opening another way");
        *state = State::Opening(match to {
            Target::Tcp(remote) => Box::new(tcp::open(*remote)),
            Target::Turn(server) => Box::new(turn::open(server.clone())),
        });
    }

    /// Closes all rungs but the one that this goes out by; gives the candidates that they had.
    pub fn close_all_but(&mut self, transmit: Option<&Transmit>) -> Vec<Candidate> {
        let spare = |rung: &&mut Rung| rung.is_in_use() && !transmit.is_some_and(|transmit| rung.takes(transmit));
        self.rungs.iter_mut().filter(spare).filter_map(Rung::close).collect()
    }

    /// What was tried, and how it went.
    pub fn tried(&self) -> impl Iterator<Item = String> {
        let tried = self.rungs.iter().filter(|rung| !matches!(rung.state, State::Untried));
        tried.map(|Rung { to, error, .. }| match error {
            Some(error) => format!("{to} ({error})"),
            None => to.to_string(),
        })
    }

    pub fn send(&mut self, transmit: &Transmit, now: Instant) {
        let rung = self.rungs.iter_mut().find(|rung| rung.takes(transmit));
        if let Some(Rung { state: State::Open(link), .. }) = rung {
            link.send(transmit, now);
        }
    }

    pub fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Poll<Arrival> {
        for rung in &mut self.rungs {
            if let Poll::Ready(result) = rung.poll(context, buffer, now) {
                match result {
                    Ok(arrival) => return Poll::Ready(arrival),
                    Err(error) => {
                        tracing::debug!(to = %rung.to, %error, "a way is closed");
                        rung.error = Some(error);
                        if let Some(candidate) = rung.close() {
                            return Poll::Ready(Arrival::Closed(candidate));
                        }
                    }
                }
            }
        }
        Poll::Pending
    }
}

impl Rung {
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

    fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Poll<io::Result<Arrival>> {
        match &mut self.state {
            State::Untried | State::Closed => Poll::Pending,
            State::Opening(opening) => {
                let link = ready!(opening.poll(context, now))?;
                let candidate = link.candidate().clone();
                self.state = State::Open(link);
                Poll::Ready(Ok(Arrival::Opened(candidate)))
            }
            State::Open(link) => {
                let (source, length) = ready!(link.poll(context, buffer, now))?;
                let (proto, destination) = (link.candidate().proto(), link.candidate().addr());
                Poll::Ready(Ok(Arrival::Datagram { proto, source, destination, length }))
            }
        }
    }
}
