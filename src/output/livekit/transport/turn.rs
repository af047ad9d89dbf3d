//! TURN (RFC 8656): a server that relays datagrams from an address of its own. Only this file uses turn-client-proto.
//!
//! Datagrams go in Send indications, not through channels, which would save 32 bytes each: turn-client-proto 0.7 does not pad them over
//! TCP, as RFC 8656 §12.5 demands.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use str0m::Candidate;
use str0m::net::Transmit;
use tokio::io::ReadBuf;
use tokio::net::{TcpStream, UdpSocket};
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::BytesCodec;
use turn_client_proto::api::{TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::client::TurnClient;
use turn_client_proto::prelude::*;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::{Instant as Time, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::DATAGRAM;
use super::datagram_stream::{DatagramStream, Io};
use super::link::{Connecting, Link, Opening};
use super::server::{Over, TurnServer};
use crate::net::{connected, resolve, tls};
use crate::runtime::wake_at;

/// The overhead of TURN around a datagram, with room to spare.
const ENVELOPE: usize = 100;

/// The shortest wait for turn-client-proto, which may want to continue at once again and again, at the expense of other sessions.
const MIN_WAIT: Duration = Duration::from_millis(1);

struct Turn {
    client: Client,
    candidate: Candidate,
}

struct Client {
    proto: TurnClient,
    socket: Socket,
    /// The start of turn-client-proto's time.
    epoch: Instant,
    /// The latest time that it was given.
    now: Instant,
}

enum Socket {
    Udp(UdpSocket),
    Stream(DatagramStream<BytesCodec>),
}

enum Received {
    Allocated(SocketAddr),
    Datagram(SocketAddr, Bytes),
}

/// An allocation that is being requested from a TURN server.
pub struct Asking {
    connecting: Connecting<(TurnClient, Socket)>,
    client: Option<Client>,
}

/// Requests an allocation from a TURN server.
pub fn open(server: TurnServer) -> Asking {
    Asking { connecting: Box::pin(async move { connect(&server).await }), client: None }
}

impl Opening for Asking {
    fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<io::Result<Box<dyn Link>>> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::new(ready!(self.connecting.as_mut().poll(context))?, now),
        };
        loop {
            match client.poll(context, now)? {
                Poll::Ready(Received::Allocated(relayed)) => {
                    let candidate = Candidate::relayed(relayed, client.proto.local_addr(), "udp");
                    let candidate = candidate.map_err(io::Error::other)?;
                    return Poll::Ready(Ok(Box::new(Turn { client, candidate })));
                }
                Poll::Ready(Received::Datagram(..)) => {}
                Poll::Pending => {
                    self.client = Some(client);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Link for Turn {
    fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    fn send(&mut self, transmit: &Transmit, now: Instant) {
        self.client.send(transmit.destination, &transmit.contents, now);
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        now: Instant,
    ) -> Poll<io::Result<(SocketAddr, usize)>> {
        loop {
            if self.client.proto.relayed_addresses().next().is_none() {
                return Poll::Ready(Err(io::Error::other("the allocation has expired")));
            }
            if let Received::Datagram(source, datagram) = ready!(self.client.poll(context, now))?
                && let Some(room) = buffer.get_mut(..datagram.len())
            {
                room.copy_from_slice(&datagram);
                return Poll::Ready(Ok((source, datagram.len())));
            }
        }
    }
}

/// Connects a socket to the server. Returns it with the client that speaks over it.
async fn connect(server: &TurnServer) -> io::Result<(TurnClient, Socket)> {
    let addresses: Vec<_> =
        resolve(&server.host).await?.into_iter().map(|ip| SocketAddr::new(ip, server.port)).collect();
    let config = TurnConfig::new(TurnCredentials::new(&server.username, &server.credential));
    if server.over == Over::Udp {
        let socket = UdpSocket::from_std(connected(&addresses)?)?;
        // Or the first message would be lost.
        socket.writable().await?;
        let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
        return Ok((TurnClientUdp::allocate(local, remote, config).into(), Socket::Udp(socket)));
    }
    let stream = TcpStream::connect(&addresses[..]).await?;
    stream.set_nodelay(true)?;
    let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
    let stream: Box<dyn Io> = match server.over {
        Over::Tls => Box::new(tls::connect(&server.host, stream).await?),
        _ => Box::new(stream),
    };
    let socket = Socket::Stream(DatagramStream::new(stream, BytesCodec::new()));
    Ok((TurnClientTcp::allocate(local, remote, config).into(), socket))
}

impl Client {
    fn new((proto, socket): (TurnClient, Socket), now: Instant) -> Self {
        Self { proto, socket, epoch: now, now }
    }

    /// Converts to turn-client-proto's time, which never goes back.
    fn time(&mut self, now: Instant) -> Time {
        self.now = self.now.max(now);
        Time::ZERO + (self.now - self.epoch)
    }

    /// Sends a datagram. The first one to a host is lost: it only requests the permission to send there.
    fn send(&mut self, to: SocketAddr, datagram: &[u8], now: Instant) {
        let now = self.time(now);
        match self.proto.send_to(TransportType::Udp, to, datagram, now) {
            Ok(Some(message)) => self.socket.send(message.build().data.into()),
            // An error means that the permission was requested already.
            _ => drop(self.proto.create_permission(TransportType::Udp, to.ip(), now)),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<io::Result<Received>> {
        loop {
            let time = self.time(now);
            self.flush(time);
            match self.proto.poll_event() {
                Some(TurnEvent::AllocationCreated(_, relayed)) => return Poll::Ready(Ok(Received::Allocated(relayed))),
                Some(TurnEvent::AllocationCreateFailed(_)) => return Poll::Ready(Err(refused())),
                Some(_) => continue,
                None => {}
            }
            if let Some(data) = self.proto.poll_recv(time) {
                return Poll::Ready(Ok(Received::Datagram(data.peer, Bytes::copy_from_slice(data.data()))));
            }
            let TurnPollRet::WaitUntil(at) = self.proto.poll(time) else { return Poll::Ready(Err(refused())) };
            wake_at(self.now + at.saturating_duration_since(time).max(MIN_WAIT));
            let bytes = ready!(self.socket.poll(context))?;
            let (transport, from, to) = (self.proto.transport(), self.proto.remote_addr(), self.proto.local_addr());
            let message = turn_client_proto::api::Transmit::new(bytes, transport, from, to);
            if let TurnRecvRet::PeerData(data) = self.proto.recv(message, time) {
                return Poll::Ready(Ok(Received::Datagram(data.peer, Bytes::copy_from_slice(data.data()))));
            }
        }
    }

    fn flush(&mut self, now: Time) {
        while let Some(message) = self.proto.poll_transmit(now) {
            self.socket.send(Bytes::copy_from_slice(&message.data));
        }
    }
}

impl Drop for Client {
    /// Releases the allocation. Over TCP the end of the connection does.
    fn drop(&mut self) {
        let time = self.time(self.now);
        if self.proto.delete(time).is_ok() {
            self.flush(time);
        }
    }
}

impl Socket {
    fn send(&mut self, message: Bytes) {
        match self {
            Self::Udp(socket) => drop(socket.try_send(&message)),
            Self::Stream(stream) => stream.send(message),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
        match self {
            Self::Udp(socket) => {
                let mut buffer = [0; DATAGRAM + ENVELOPE];
                let mut read = ReadBuf::new(&mut buffer);
                ready!(socket.poll_recv(context, &mut read))?;
                Poll::Ready(Ok(read.filled().into()))
            }
            Self::Stream(stream) => stream.poll(context),
        }
    }
}

fn refused() -> io::Error {
    io::Error::other("it gives no address")
}
