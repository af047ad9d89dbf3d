//! A stream that carries datagrams: whole ones, and no more than fit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder, Framed};

/// How much may wait for a slow stream, in bytes: some seconds of a track. What comes later than that is of no use.
const BACKLOG: usize = 16 * 1024;

/// What is under it: TCP, or TLS over it.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub struct Wire<C> {
    framed: Framed<Box<dyn Io>, C>,
}

impl<C> Wire<C>
where
    C: Encoder<Bytes, Error = io::Error> + Decoder<Item = BytesMut, Error = io::Error> + Unpin,
{
    pub fn new(io: impl Io + 'static, codec: C) -> Self {
        Self { framed: Framed::new(Box::new(io), codec) }
    }

    /// Takes it whole or not at all; the next `poll` sends it.
    pub fn send(&mut self, datagram: Bytes) {
        if self.framed.write_buffer().len() + datagram.len() <= BACKLOG {
            // It only copies; what it refuses is too long to be framed.
            let _ = Pin::new(&mut self.framed).start_send(datagram);
        }
    }

    /// Sends what waits, and reads.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
        let mut framed = Pin::new(&mut self.framed);
        if let Poll::Ready(Err(error)) = framed.as_mut().poll_flush(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(ready!(framed.poll_next(context)).unwrap_or(Err(io::ErrorKind::UnexpectedEof.into())))
    }
}
