//! A stream that carries datagrams, whole ones and no more than fit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder, Framed};

/// The most bytes that may wait for a slow stream: some seconds of a track. Later packets would be useless.
const MAX_BACKLOG: usize = 16 * 1024;

/// The underlying stream: TCP, or TLS over it.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub struct DatagramStream<C> {
    framed: Framed<Box<dyn Io>, C>,
}

impl<C> DatagramStream<C>
where
    C: Encoder<Bytes, Error = io::Error> + Decoder<Item = BytesMut, Error = io::Error> + Unpin,
{
    pub fn new(io: impl Io + 'static, codec: C) -> Self {
        Self { framed: Framed::new(Box::new(io), codec) }
    }

    /// Queues a datagram whole or drops it; the next `poll` sends it.
    pub fn send(&mut self, datagram: Bytes) {
        if self.framed.write_buffer().len() + datagram.len() <= MAX_BACKLOG {
            // This only copies; a refused datagram is too long to be framed.
            let _ = Pin::new(&mut self.framed).start_send(datagram);
        }
    }

    /// Sends what is queued, and reads.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
        let mut framed = Pin::new(&mut self.framed);
        if let Poll::Ready(Err(error)) = framed.as_mut().poll_flush(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(ready!(framed.poll_next(context)).unwrap_or(Err(io::ErrorKind::UnexpectedEof.into())))
    }
}
