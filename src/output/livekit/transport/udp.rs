//! The direct way: UDP, from each address of this machine from which a route leads to one of the server's. Where the server's
//! signalling is says nothing of that: it may be behind a proxy.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use str0m::Candidate;
use str0m::net::{Protocol, Transmit};

use super::{Arrival, is_of};
use crate::net::connected;
use crate::runtime::UdpSocket;

/// The server's addresses that are remembered: more than any has.
const MOST: usize = 64;

/// Addresses that nobody has (RFC 5737, RFC 3849). The route to them is the one to everywhere, from where a server that can't be
/// reached may reach us.
const ANYWHERE: [&str; 2] = ["203.0.113.1:9", "[2001:db8::1]:9"];

pub struct Udp {
    sockets: Vec<Socket>,
    /// Where the server may be.
    remotes: Vec<SocketAddr>,
    /// Why there is one socket less than there might be: what is tried without any says it.
    error: Option<io::Error>,
}

struct Socket {
    socket: UdpSocket,
    candidate: Candidate,
}

impl Udp {
    pub fn open() -> Self {
        let mut udp = Self { sockets: Vec::new(), remotes: Vec::new(), error: None };
        udp.reach_anywhere();
        udp
    }

    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.sockets.iter().map(|socket| &socket.candidate)
    }

    /// Remembers an address of the server's. Returns true if it is news.
    pub fn add_remote(&mut self, remote: SocketAddr) -> bool {
        let is_new = !self.remotes.contains(&remote) && self.remotes.len() < MOST;
        self.remotes.extend(is_new.then_some(remote));
        is_new
    }

    /// Opens what is missing to reach the server's addresses; says what is new.
    pub fn reach(&mut self) -> Vec<Candidate> {
        let before = self.sockets.len();
        for remote in self.remotes.clone() {
            self.bind_towards(&[remote]);
        }
        self.candidates().skip(before).cloned().collect()
    }

    /// Makes all sockets anew, for addresses may have changed; says which candidates are gone.
    pub fn reopen(&mut self) -> Vec<Candidate> {
        let old = std::mem::take(&mut self.sockets);
        self.error = None;
        self.reach_anywhere();
        self.reach();
        old.into_iter().map(|socket| socket.candidate).collect()
    }

    /// Closes all but the one that this goes out by, if it goes out by one; says which candidates are gone.
    pub fn close_all_but(&mut self, transmit: &Transmit) -> Vec<Candidate> {
        if self.sockets.len() == 1 || !self.candidates().any(|candidate| is_of(candidate, transmit)) {
            return Vec::new();
        }
        let spare = self.sockets.extract_if(.., |socket| !is_of(&socket.candidate, transmit));
        spare.map(|socket| socket.candidate).collect()
    }

    /// Nothing that comes is urgent any more, or it is again.
    pub fn wait(&mut self, waits: bool) {
        self.sockets.iter_mut().for_each(|socket| socket.socket.set_deferred(waits));
    }

    /// What comes wakes nobody, or does again.
    pub fn rest(&mut self, rests: bool) {
        self.sockets.iter_mut().for_each(|socket| socket.socket.set_polled(rests));
    }

    /// What was tried, in words.
    pub fn tried(&self) -> Option<String> {
        let from: Vec<_> = self.candidates().map(|candidate| candidate.addr().ip().to_string()).collect();
        match (from.is_empty(), &self.error) {
            (false, _) => Some(format!("UDP from {}", from.join(" and "))),
            (true, Some(error)) => Some(format!("UDP ({error})")),
            (true, None) => None,
        }
    }

    /// Sends a datagram of one of its candidates. Returns false if it is none of them.
    pub fn send(&self, transmit: &Transmit) -> bool {
        let socket = self.sockets.iter().find(|socket| is_of(&socket.candidate, transmit));
        // A full buffer loses it, as the network may.
        socket.map(|socket| socket.socket.send_to(&transmit.contents, transmit.destination)).is_some()
    }

    pub fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Arrival> {
        for Socket { socket, candidate } in &mut self.sockets {
            loop {
                match socket.poll_recv_from(context, buffer) {
                    Poll::Ready(Ok((length, source))) => {
                        let destination = candidate.addr();
                        return Poll::Ready(Arrival::Datagram { proto: Protocol::Udp, source, destination, length });
                    }
                    // It is an ICMP answer to something sent before: ICE finds out by itself.
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }

    fn reach_anywhere(&mut self) {
        self.bind_towards(&ANYWHERE.map(|address| address.parse().expect("it is an address")));
    }

    /// Opens a socket where the way to the first of these that there is a way to begins, if there is none yet.
    fn bind_towards(&mut self, remotes: &[SocketAddr]) {
        let local = connected(remotes).and_then(|socket| socket.local_addr()).map(|local| local.ip());
        let is_open = |local| self.candidates().any(|candidate| candidate.addr().ip() == local);
        match local {
            Ok(local) if is_open(local) => {}
            // Without a route there is none: the server has addresses for others, too.
            local => match local.and_then(Socket::bind) {
                Ok(socket) => self.sockets.push(socket),
                Err(error) => self.error = Some(error),
            },
        }
    }
}

impl Socket {
    fn bind(local: IpAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((local, 0).into())?;
        let candidate = Candidate::host(socket.local_addr()?, "udp").map_err(io::Error::other)?;
        Ok(Self { socket, candidate })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn locals(udp: &Udp) -> HashSet<IpAddr> {
        udp.candidates().map(|candidate| candidate.addr().ip()).collect()
    }

    #[tokio::test]
    async fn there_is_one_socket_for_each_address_that_leads_to_the_server() {
        let mut udp = Udp::open();
        let at_first = locals(&udp);
        let loopback: IpAddr = [127, 0, 0, 1].into();
        assert!(at_first.len() <= 1 && !at_first.contains(&loopback), "{at_first:?}");
        for remote in ["127.0.0.1:5000", "127.0.0.1:5001", "127.0.0.1:5000"] {
            udp.add_remote(remote.parse().unwrap());
        }
        let opened = udp.reach();
        assert_eq!(opened.iter().map(|candidate| candidate.addr().ip()).collect::<Vec<_>>(), [loopback]);
        assert!(udp.reach().is_empty(), "once");
        let gone = udp.reopen();
        assert_eq!(gone.len(), at_first.len() + 1);
        assert!(locals(&udp).contains(&loopback), "what is known of the server is not forgotten");
        assert!(udp.candidates().all(|candidate| !gone.contains(candidate)));
    }

    #[tokio::test]
    async fn the_sockets_that_are_not_used_are_closed() {
        let mut udp = Udp::open();
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        udp.add_remote(server.local_addr().unwrap());
        let used = udp.reach().remove(0);
        let transmit = |source| Transmit {
            proto: Protocol::Udp,
            source,
            destination: server.local_addr().unwrap(),
            contents: vec![128, 1, 2].into(),
        };
        let elsewhere = transmit("127.0.0.1:9".parse().unwrap());
        assert!(!udp.send(&elsewhere) && udp.close_all_but(&elsewhere).is_empty());
        udp.close_all_but(&transmit(used.addr()));
        assert!(udp.candidates().eq([&used]));
        assert!(udp.send(&transmit(used.addr())));
        let mut buffer = [0; 10];
        assert_eq!(server.recv_from(&mut buffer).unwrap(), (3, used.addr()));
    }

    #[tokio::test]
    async fn a_server_with_addresses_without_end_is_not_followed() {
        let mut udp = Udp::open();
        assert_eq!((0..10_000).filter(|port| udp.add_remote(([127, 0, 0, 1], *port).into())).count(), MOST);
        assert_eq!(udp.remotes.len(), MOST);
        assert_eq!(udp.reach().len(), 1);
    }
}
