//! The way to a server, for sources and rooms alike: its name, its certificate, the proxy before it, and connections to it.

mod guard;
pub mod http;
mod proxy;
mod resolve;
mod servers;
pub mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

use tokio::sync::oneshot;

pub use guard::{Blocked, Network, Rule};
pub use resolve::resolve;

use crate::runtime::{DISKS, Disk};

/// Runs `read`, which reads a file of the system, on the threads of its disk.
async fn on_disk<T: Send + 'static>(path: &Path, read: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, answer) = oneshot::channel();
    let lane = DISKS.lane(Disk::of(path), ());
    lane.call(move |()| drop(sender.send(read())));
    answer.await.map_err(|_| io::Error::other("the file could not be read"))
}

/// Returns a UDP socket connected to the first of these addresses that has a route. Sends nothing: this only consults the routing
/// table.
pub fn connected(addresses: &[SocketAddr]) -> io::Result<UdpSocket> {
    let connect = |address: &SocketAddr| {
        let any: IpAddr = if address.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(address).map(|()| socket)
    };
    let mut result = Err(io::ErrorKind::NotFound.into());
    for address in addresses {
        result = connect(address);
        if result.is_ok() {
            break;
        }
    }
    result
}
