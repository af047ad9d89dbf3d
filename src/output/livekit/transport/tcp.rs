//! ICE-TCP (RFC 6544): a connection to a TCP candidate of the server, with each datagram prefixed by its length (RFC 4571).

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use str0m::Candidate;
use str0m::net::{TcpType, Transmit};
use tokio::net::TcpStream;
use tokio_util::bytes::Bytes;
use tokio_util::codec::LengthDelimitedCodec;

use super::datagram_stream::{DatagramStream, Io};
use super::link::{Connecting, Link};

pub struct Tcp {
    stream: DatagramStream<LengthDelimitedCodec>,
    remote: SocketAddr,
    candidate: Candidate,
}

/// Connects to a TCP candidate of the server.
pub fn open(remote: SocketAddr) -> Connecting<Box<dyn Link>> {
    Box::pin(async move {
        let stream = TcpStream::connect(remote).await?;
        stream.set_nodelay(true)?;
        let candidate = Candidate::builder().tcp().host(stream.local_addr()?).tcptype(TcpType::Active).build();
        let candidate = candidate.map_err(io::Error::other)?;
        Ok(Box::new(Tcp { stream: DatagramStream::new(stream, rfc4571()), remote, candidate }) as Box<dyn Link>)
    })
}

/// Returns an open connection, for the fuzzer.
pub fn framed(io: impl Io + 'static) -> Box<dyn Link> {
    let local = SocketAddr::from(([127, 0, 0, 1], 1));
    let candidate = Candidate::host(local, "tcp").expect("it is a host's address");
    Box::new(Tcp { stream: DatagramStream::new(io, rfc4571()), remote: local, candidate })
}

impl Link for Tcp {
    fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    fn send(&mut self, transmit: &Transmit, _now: Instant) {
        // ICE pairs each local TCP candidate with each of the server's.
        if transmit.destination == self.remote {
            self.stream.send(Bytes::copy_from_slice(&transmit.contents));
        }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        _now: Instant,
    ) -> Poll<io::Result<(SocketAddr, usize)>> {
        loop {
            let datagram = ready!(self.stream.poll(context))?;
            // A longer datagram would not have arrived by any other route either.
            if let Some(room) = buffer.get_mut(..datagram.len()) {
                room.copy_from_slice(&datagram);
                return Poll::Ready(Ok((self.remote, datagram.len())));
            }
        }
    }
}

fn rfc4571() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().length_field_length(2).new_codec()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use str0m::net::Protocol;

    use super::super::DATAGRAM;
    use super::*;

    /// Returns a link and the server's end of it.
    async fn connected() -> (Box<dyn Link>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = open(listener.local_addr().unwrap()).await.unwrap();
        (link, listener.accept().unwrap().0)
    }

    /// Returns a datagram that contains its number and has a varying length.
    fn datagram(number: usize) -> Vec<u8> {
        let length = [4, 60, 172, 1_200, DATAGRAM, DATAGRAM + 1, 65_535][number * number % 7] + number % 3;
        let mut datagram = vec![number as u8; length.min(65_535)];
        datagram[..4].copy_from_slice(&(number as u32).to_be_bytes());
        datagram
    }

    #[tokio::test]
    async fn reassembles_datagrams_from_any_pieces() {
        const COUNT: usize = 2_000;
        let (mut link, mut server) = connected().await;
        let writer = thread::spawn(move || {
            let framed = |datagram: Vec<u8>| [&(datagram.len() as u16).to_be_bytes()[..], &datagram].concat();
            let stream: Vec<u8> = (0..COUNT).map(datagram).flat_map(framed).collect();
            let (mut rest, mut random) = (&stream[..], 1_u32);
            while !rest.is_empty() {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Mostly within a length field or just after it, sometimes many datagrams at once.
                let most = if random & 7 == 0 { 200_000 } else { 2_500 };
                let (piece, after) = rest.split_at((1 + (random >> 8) as usize % most).min(rest.len()));
                server.write_all(piece).unwrap();
                rest = after;
            }
        });
        let mut buffer = [0; DATAGRAM];
        for number in (0..COUNT).filter(|number| datagram(*number).len() <= DATAGRAM) {
            let (_, length) = poll_fn(|context| link.poll(context, &mut buffer, Instant::now())).await.unwrap();
            assert_eq!(buffer[..length], datagram(number), "datagram {number}");
        }
        writer.join().unwrap();
    }

    #[tokio::test]
    async fn drops_whole_datagrams_when_slow() {
        const COUNT: usize = 20_000;
        let (mut link, mut server) = connected().await;
        let (source, destination) = (link.candidate().addr(), server.local_addr().unwrap());
        let mut buffer = [0; DATAGRAM];
        for number in 0..COUNT {
            let contents = vec![number.to_be_bytes(); 125].concat().into();
            link.send(&Transmit { proto: Protocol::Tcp, source, destination, contents }, Instant::now());
            assert!(poll_fn(|context| Poll::Ready(link.poll(context, &mut buffer, Instant::now()).is_pending())).await);
        }
        drop(link); // which may cut the last one
        let mut stream = Vec::new();
        server.read_to_end(&mut stream).unwrap();
        let numbers: Vec<_> = stream
            .chunks_exact(1_002)
            .map(|frame| {
                let (length, contents) = frame.split_at(2);
                assert_eq!(length, 1_000_u16.to_be_bytes());
                let (first, _) = contents.split_first_chunk().unwrap();
                assert!(contents.len() == 1_000 && contents.chunks(8).all(|chunk| chunk == first));
                usize::from_be_bytes(*first)
            })
            .collect();
        assert!(numbers.is_sorted_by(|one, next| one < next));
        assert!(numbers.len() > 16 && numbers.len() < COUNT, "{} of {COUNT}", numbers.len());
    }

    #[tokio::test]
    async fn ended_connection_is_closed() {
        let (mut link, server) = connected().await;
        drop(server);
        assert!(poll_fn(|context| link.poll(context, &mut [0; DATAGRAM], Instant::now())).await.is_err());
    }
}
