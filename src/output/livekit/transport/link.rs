//! What the rungs above UDP have in common.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use str0m::Candidate;
use str0m::net::Transmit;

/// An open connection that is a candidate of ours. Dropping it closes it.
pub trait Link: Send {
    fn candidate(&self) -> &Candidate;

    /// Takes a datagram of its candidate's, or loses it if there is no room. `poll` sends it.
    fn send(&mut self, transmit: &Transmit);

    /// Receives a datagram into the buffer: says from where, and its length. After an error it is closed.
    fn poll(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(SocketAddr, usize)>>;
}

/// One on the way.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Link>>> + Send>>;
