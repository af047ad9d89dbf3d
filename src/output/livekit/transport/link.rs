//! The common interface of the fallback routes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use str0m::Candidate;
use str0m::net::Transmit;

/// An open connection that is a local candidate. Dropping it closes it.
pub trait Link: Send {
    fn candidate(&self) -> &Candidate;

    /// Queues a datagram of its candidate, or drops it if there is no room. `poll` sends it.
    fn send(&mut self, transmit: &Transmit, now: Instant);

    /// Receives a datagram into the buffer. Returns its source and length. After an error the connection is closed.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        now: Instant,
    ) -> Poll<io::Result<(SocketAddr, usize)>>;
}

/// A connection that is being opened.
pub trait Opening: Send {
    /// Polls the opening. Not called again once it is ready.
    fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<io::Result<Box<dyn Link>>>;
}

/// An opening that needs no time, only sockets.
pub type Connecting<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Opening for Connecting<Box<dyn Link>> {
    fn poll(&mut self, context: &mut Context<'_>, _now: Instant) -> Poll<io::Result<Box<dyn Link>>> {
        self.as_mut().poll(context)
    }
}
