//! TURN (RFC 8656): a server that passes datagrams on, from an address of its own: the one place that knows
//! turn-client-proto.
//!
//! Datagrams go in Send indications, not through channels: these would save 32 bytes each, but turn-client-proto 0.7 does
//! not pad them over TCP, as RFC 8656 §12.5 demands.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use str0m::Candidate;
use str0m::net::Transmit;
use tokio::io::ReadBuf;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Sleep, sleep};
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::BytesCodec;
use turn_client_proto::api::{TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::client::TurnClient;
use turn_client_proto::prelude::*;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::{Instant as Time, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::DATAGRAM;
use super::link::{Link, Opening};
use super::server::{Over, TurnServer};
use super::wire::{Io, Wire};
use crate::net::{connected, resolve, tls};

/// What TURN puts around a datagram, with room to spare.
const ENVELOPE: usize = 100;

/// turn-client-proto may want to go on at once, again and again; others have things to do too.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

struct Turn {
    client: Client,
    candidate: Candidate,
}

struct Client {
    proto: TurnClient,
    socket: Socket,
    /// When turn-client-proto's time began.
    epoch: Instant,
    timeout: Pin<Box<Sleep>>,
}

enum Socket {
    Udp(UdpSocket),
    Stream(Wire<BytesCodec>),
}

enum Heard {
    Allocated(SocketAddr),
    Datagram(SocketAddr, Bytes),
}

/// Asks a TURN server for an address.
pub fn open(server: TurnServer) -> Opening {
    Box::pin(async move {
        let mut client = Client::connect(&server).await?;
        let relayed = loop {
            if let Heard::Allocated(relayed) = poll_fn(|context| client.poll(context)).await? {
                break relayed;
            }
        };
        let candidate = Candidate::relayed(relayed, client.proto.local_addr(), "udp").map_err(io::Error::other)?;
        Ok(Box::new(Turn { client, candidate }) as Box<dyn Link>)
    })
}

impl Link for Turn {
    fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    fn send(&mut self, transmit: &Transmit) {
        self.client.send(transmit.destination, &transmit.contents);
    }

    fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(SocketAddr, usize)>> {
        loop {
            if self.client.proto.relayed_addresses().next().is_none() {
                return Poll::Ready(Err(io::Error::other("the allocation has expired")));
            }
            if let Heard::Datagram(source, datagram) = ready!(self.client.poll(context))?
                && let Some(room) = buffer.get_mut(..datagram.len())
            {
                room.copy_from_slice(&datagram);
                return Poll::Ready(Ok((source, datagram.len())));
            }
        }
    }
}

impl Client {
    async fn connect(server: &TurnServer) -> io::Result<Self> {
        let addresses: Vec<_> =
            resolve(&server.host).await?.into_iter().map(|ip| SocketAddr::new(ip, server.port)).collect();
        let config = TurnConfig::new(TurnCredentials::new(&server.username, &server.credential));
        let (proto, socket) = if server.over == Over::Udp {
            let socket = UdpSocket::from_std(connected(&addresses)?)?;
            // Or the first message would be lost.
            socket.writable().await?;
            let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
            (TurnClientUdp::allocate(local, remote, config).into(), Socket::Udp(socket))
        } else {
            let stream = TcpStream::connect(&addresses[..]).await?;
            stream.set_nodelay(true)?;
            let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
            let stream: Box<dyn Io> = match server.over {
                Over::Tls => Box::new(tls::connect(&server.host, stream).await?),
                _ => Box::new(stream),
            };
            let socket = Socket::Stream(Wire::new(stream, BytesCodec::new()));
            (TurnClientTcp::allocate(local, remote, config).into(), socket)
        };
        Ok(Self { proto, socket, epoch: Instant::now(), timeout: Box::pin(sleep(Duration::ZERO)) })
    }

    fn now(&self) -> Time {
        Time::from_std(self.epoch)
    }

    /// The first one to a host is lost: it only asks for the permission to send there.
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        let now = self.now();
        match self.proto.send_to(TransportType::Udp, to, datagram, now) {
            Ok(Some(message)) => self.socket.send(message.build().data.into()),
            // Refused where it was asked for already.
            _ => drop(self.proto.create_permission(TransportType::Udp, to.ip(), now)),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Heard>> {
        loop {
            let now = self.now();
            self.flush(now);
            match self.proto.poll_event() {
                Some(TurnEvent::AllocationCreated(_, relayed)) => return Poll::Ready(Ok(Heard::Allocated(relayed))),
                Some(TurnEvent::AllocationCreateFailed(_)) => return Poll::Ready(Err(refused())),
                Some(_) => continue,
                None => {}
            }
            if let Some(data) = self.proto.poll_recv(now) {
                return Poll::Ready(Ok(Heard::Datagram(data.peer, Bytes::copy_from_slice(data.data()))));
            }
            let TurnPollRet::WaitUntil(at) = self.proto.poll(now) else { return Poll::Ready(Err(refused())) };
            let wait = at.saturating_duration_since(now).max(SHORTEST_WAIT);
            self.timeout.as_mut().reset(tokio::time::Instant::now() + wait);
            if self.timeout.as_mut().poll(context).is_ready() {
                continue;
            }
            let bytes = ready!(self.socket.poll(context))?;
            let (transport, from, to) = (self.proto.transport(), self.proto.remote_addr(), self.proto.local_addr());
            let message = turn_client_proto::api::Transmit::new(bytes, transport, from, to);
            if let TurnRecvRet::PeerData(data) = self.proto.recv(message, now) {
                return Poll::Ready(Ok(Heard::Datagram(data.peer, Bytes::copy_from_slice(data.data()))));
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
    /// Gives the address back. Over TCP the end of the connection does.
    fn drop(&mut self) {
        let now = self.now();
        if self.proto.delete(now).is_ok() {
            self.flush(now);
        }
    }
}

impl Socket {
    fn send(&mut self, message: Bytes) {
        match self {
            Self::Udp(socket) => drop(socket.try_send(&message)),
            Self::Stream(wire) => wire.send(message),
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
            Self::Stream(wire) => wire.poll(context),
        }
    }
}

fn refused() -> io::Error {
    io::Error::other("it gives no address")
}
