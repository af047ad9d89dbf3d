//! The direct way: one UDP socket.

use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll, ready};

use str0m::Candidate;
use str0m::net::{Protocol, Transmit};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::Arrival;
use crate::error::{Code, Result, SpeakerError};

pub struct Udp {
    socket: UdpSocket,
    candidate: Candidate,
}

impl Udp {
    pub fn bind(local: IpAddr) -> Result<Self> {
        let bind = || {
            let socket = std::net::UdpSocket::bind((local, 0))?;
            socket.set_nonblocking(true)?;
            let socket = UdpSocket::from_std(socket)?;
            let candidate = Candidate::host(socket.local_addr()?, "udp").map_err(io::Error::other)?;
            Ok(Self { socket, candidate })
        };
        bind().map_err(|error: io::Error| SpeakerError::new(Code::JoinFailed, format!("no UDP socket: {error}")))
    }

    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    pub fn send(&self, transmit: &Transmit) {
        let _ = self.socket.try_send_to(&transmit.contents, transmit.destination);
    }

    pub fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Arrival> {
        loop {
            let mut read = ReadBuf::new(buffer);
            // An error is an ICMP answer to something sent before: ICE finds out by itself.
            if let Ok(source) = ready!(self.socket.poll_recv_from(context, &mut read)) {
                let (destination, length) = (self.candidate.addr(), read.filled().len());
                return Poll::Ready(Arrival::Datagram { proto: Protocol::Udp, source, destination, length });
            }
        }
    }
}
