//! What the rungs above UDP have in common.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use str0m::Candidate;
use str0m::net::Transmit;

/// An open connection that is a candidate of ours. Dropping it closes it.
pub trait Link: Send {
    fn candidate(&self) -> &Candidate;

    /// Takes a datagram of its candidate's, or loses it if there is no room. `poll` sends it.
    fn send(&mut self, transmit: &Transmit, now: Instant);

    /// Receives a datagram into the buffer: says from where, and its length. After an error it is closed.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        now: Instant,
    ) -> Poll<io::Result<(SocketAddr, usize)>>;
}

/// One on the way.
pub trait Opening: Send {
    /// Not called again once it is ready.
    fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<io::Result<Box<dyn Link>>>;
}

/// Needs no time, only sockets.
pub type Connecting<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Opening for Connecting<Box<dyn Link>> {
    fn poll(&mut self, context: &mut Context<'_>, _now: Instant) -> Poll<io::Result<Box<dyn Link>>> {
        self.as_mut().poll(context)
    }
}
