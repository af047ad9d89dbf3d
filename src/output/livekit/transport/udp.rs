//! The direct route: UDP, from each local address with a route to one of the server's candidates. The address of the server's signalling
//! tells nothing about that, because it may be a proxy's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use str0m::Candidate;
use str0m::net::{Protocol, Transmit};

use super::{TransportEvent, is_of};
use crate::net::connected;
use crate::runtime::UdpSocket;

/// The most remembered addresses of the server, more than any has.
const MAX_REMOTES: usize = 64;

/// Addresses that nobody has (RFC 5737, RFC 3849). The route to them is the default route, over which a server that can't be reached may
/// reach us.
const ANYWHERE: [&str; 2] = ["203.0.113.1:9", "[2001:db8::1]:9"];

pub struct Udp {
    sockets: Vec<Socket>,
    /// The addresses of the server.
    remotes: Vec<SocketAddr>,
    /// The last error of opening a socket, for the description of the routes that were tried.
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

    /// Adds an address of the server. Returns true if it is new.
    pub fn add_remote(&mut self, remote: SocketAddr) -> bool {
        let is_new = !self.remotes.contains(&remote) && self.remotes.len() < MAX_REMOTES;
        self.remotes.extend(is_new.then_some(remote));
        is_new
    }

    /// Opens missing sockets to the server's addresses. Returns the new candidates.
    pub fn reach(&mut self) -> Vec<Candidate> {
        let before = self.sockets.len();
        for remote in self.remotes.clone() {
            self.bind_towards(&[remote]);
        }
        self.candidates().skip(before).cloned().collect()
    }

    /// Recreates all sockets, because addresses may have changed. Returns the old candidates.
    pub fn reopen(&mut self) -> Vec<Candidate> {
        let old = std::mem::take(&mut self.sockets);
        self.error = None;
        self.reach_anywhere();
        self.reach();
        old.into_iter().map(|socket| socket.candidate).collect()
    }

    /// Closes all sockets except the one that sends this datagram, if one does. Returns the candidates of the closed ones.
    pub fn close_all_but(&mut self, transmit: &Transmit) -> Vec<Candidate> {
        if self.sockets.len() == 1 || !self.candidates().any(|candidate| is_of(candidate, transmit)) {
            return Vec::new();
        }
        let spare = self.sockets.extract_if(.., |socket| !is_of(&socket.candidate, transmit));
        spare.map(|socket| socket.candidate).collect()
    }

    /// Sets whether received packets may wait.
    pub fn wait(&mut self, waits: bool) {
        self.sockets.iter_mut().for_each(|socket| socket.socket.set_deferred(waits));
    }

    /// Sets whether received packets wake nothing.
    pub fn rest(&mut self, rests: bool) {
        self.sockets.iter_mut().for_each(|socket| socket.socket.set_polled(rests));
    }

    /// Describes the addresses that were tried.
    pub fn tried(&self) -> Option<String> {
        let from: Vec<_> = self.candidates().map(|candidate| candidate.addr().ip().to_string()).collect();
        match (from.is_empty(), &self.error) {
            (false, _) => Some(format!("UDP from {}", from.join(" and "))),
            (true, Some(error)) => Some(format!("UDP ({error})")),
            (true, None) => None,
        }
    }

    /// Sends a datagram if its source is one of the candidates. Returns false if it is not.
    pub fn send(&self, transmit: &Transmit) -> bool {
        let socket = self.sockets.iter().find(|socket| is_of(&socket.candidate, transmit));
        // A full buffer drops it, as the network may.
        socket.map(|socket| socket.socket.send_to(&transmit.contents, transmit.destination)).is_some()
    }

    pub fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<TransportEvent> {
        for Socket { socket, candidate } in &mut self.sockets {
            loop {
                match socket.poll_recv_from(context, buffer) {
                    Poll::Ready(Ok((length, source))) => {
                        let destination = candidate.addr();
                        return Poll::Ready(TransportEvent::Datagram {
                            proto: Protocol::Udp,
                            source,
                            destination,
                            length,
                        });
                    }
                    // An ICMP error for an earlier datagram: ICE finds out by itself.
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

    /// Opens a socket at the local address of the route to the first reachable of `remotes`, if there is none yet.
    fn bind_towards(&mut self, remotes: &[SocketAddr]) {
        let local = connected(remotes).and_then(|socket| socket.local_addr()).map(|local| local.ip());
        let is_open = |local| self.candidates().any(|candidate| candidate.addr().ip() == local);
        match local {
            Ok(local) if is_open(local) => {}
            // Without a route there is no socket: the server has addresses for others, too.
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
    async fn opens_one_socket_for_each_local_address() {
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
    async fn closes_unused_sockets() {
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
    async fn bounds_addresses_of_server() {
        let mut udp = Udp::open();
        assert_eq!((0..10_000).filter(|port| udp.add_remote(([127, 0, 0, 1], *port).into())).count(), MAX_REMOTES);
        assert_eq!(udp.remotes.len(), MAX_REMOTES);
        assert_eq!(udp.reach().len(), 1);
    }
}
