//! Entry points for the fuzzer: the code that a server's bytes reach, without a server and without a socket.

use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use str0m::net::Protocol;

use super::data::Data;
use super::encoder::Encoding;
use super::peer::{Mid, Offer, Peer, ReceiveLines};
use super::proto::signal_response::Message;
use super::signal_event::{LocalIdentity, SignalEvent};
use super::track::Packet;
use super::transport::{DATAGRAM, IceTransport, Io, Transport, framed};
use crate::error::Result;
use crate::output::{DataInterest, IncomingContent, IncomingData, OutputEvent};

/// The media side of a room, with an offered track and an offered receive line.
pub struct Offered {
    peer: Peer,
    mid: Mid,
    heard: Mid,
}

impl Offered {
    /// Creates it. Needs tokio's timers.
    pub fn new() -> Result<Self> {
        let encoding = Encoding { bitrate: 64_000, complexity: 5, dtx: false, red: true };
        let transport = Transport::new(IceTransport::Tcp, &[]);
        let mut peer = Peer::new(transport, encoding, Instant::now())?;
        peer.set_listening(true);
        let receive_lines = Some(ReceiveLines { new: 1, again: Vec::new() });
        let offer = peer.offer(&["fuzz".to_owned()], &[], receive_lines, Instant::now())?;
        let Offer { lines, receiving, .. } = offer.expect("a line was added");
        Ok(Self { peer, mid: lines[0], heard: receiving[0] })
    }

    /// Returns the names of its media lines: the track's and the receive line's.
    pub fn mids(&self) -> [String; 2] {
        [self.mid, self.heard].map(|mid| mid.to_string())
    }

    /// Handles a signalling message of the server.
    pub fn hear(&mut self, response: Message) -> Result<()> {
        let local = LocalIdentity { sid: "sid".to_owned(), identity: "identity".to_owned(), joined_at: 0 };
        let now = Instant::now();
        SignalEvent::read(response, &local).into_iter().try_for_each(|event| match event {
            SignalEvent::Answer(agreed) => self.peer.answer(&agreed.sdp, now),
            SignalEvent::Offer(agreed) => self.peer.accept(&agreed.sdp, now).map(drop),
            SignalEvent::Candidate(candidate, _) => self.peer.add_candidate(&candidate, now),
            _ => Ok(()),
        })
    }

    /// Handles a datagram of the server.
    pub fn receive(&mut self, datagram: &[u8]) -> Result<()> {
        let (source, destination) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
        self.peer.take(Protocol::Udp, source, destination, datagram, Instant::now())?;
        self.peer.take_sounds().iter().for_each(|heard| _ = heard.packet());
        Ok(())
    }

    /// Returns true if the server has agreed and keys are exchanged.
    pub fn is_connected(&self) -> bool {
        self.peer.is_connected()
    }

    /// Sends a packet, so that reports have something to report on.
    pub fn send(&mut self, time: u64) -> Result<()> {
        let Some(pt) = self.peer.payload_type(self.mid) else { return Ok(()) };
        let packet = Packet { data: [0xfc, 0xff, 0xfe].into(), level: -30, first: false };
        self.peer.send((self.mid, pt), time, &packet, Instant::now())
    }
}

/// Reads data packets. Returns the number of bytes that would be reported to the session.
pub fn data<'a>(packets: impl Iterator<Item = &'a [u8]>) -> usize {
    let mut data = Data::default();
    data.set_interest(DataInterest { data: true, text: true, rpc: true });
    packets.for_each(|packet| data.take(packet, true));
    let reported = std::iter::from_fn(|| data.next_event()).map(|event| match event {
        OutputEvent::Data(IncomingData { content: IncomingContent::Data { payload, .. }, .. }) => payload.0.len(),
        OutputEvent::Data(IncomingData { content: IncomingContent::Text { text, .. }, .. }) => text.0.len(),
        _ => 0,
    });
    reported.sum()
}

/// Returns the datagrams in a connection's bytes (RFC 4571), until it ends, fails or has nothing more available.
pub fn datagrams(io: impl Io + 'static) -> Vec<Vec<u8>> {
    let (mut link, mut buffer) = (framed(io), [0; DATAGRAM]);
    let (mut context, mut datagrams) = (Context::from_waker(Waker::noop()), Vec::new());
    while let Poll::Ready(Ok((_, length))) = link.poll(&mut context, &mut buffer, Instant::now()) {
        datagrams.push(buffer[..length].to_vec());
    }
    datagrams
}
