//! UDP sockets that are read in rounds. A thousand of them would wake a thread for each report that a server sends; so while nothing
//! is urgent, datagrams wait in the kernel for the next round of the wheel (`wheel.rs`) that their socket belongs to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use mio::net::UdpSocket as Socket;
use mio::{Events, Interest, Registry, Token};
use parking_lot::Mutex;

use super::WHEELS;

/// The token of [`Sockets::wake`], which belongs to no socket.
const WAKE: Token = Token(usize::MAX);

/// The number of events taken per poll; there may be more.
const MAX_EVENTS: usize = 256;

thread_local! {
    /// The sockets of this thread's wheel.
    static HERE: RefCell<Option<Arc<Sockets>>> = const { RefCell::new(None) };
}

/// The readiness of a socket, and the waker of its reader.
#[derive(Default)]
struct Readiness {
    is_readable: AtomicBool,
    waker: AtomicWaker,
}

/// The sockets of one wheel, as other threads reach them.
pub struct Sockets {
    /// Registers those that wake the wheel.
    prompt: Registry,
    /// Polls those that wait for its next round; never slept in.
    deferred: Mutex<mio::Poll>,
    waker: mio::Waker,
    next: AtomicUsize,
    open: Mutex<HashMap<Token, Arc<Readiness>>>,
    /// The number of sockets that wait for the next round and have a reader to wake.
    waiting: AtomicUsize,
}

impl Sockets {
    /// Returns the sockets of this thread's wheel, or, on other threads, of the first one.
    fn here() -> Arc<Self> {
        HERE.with_borrow(Clone::clone).unwrap_or_else(|| WHEELS.sockets())
    }

    /// Wakes the wheel.
    pub fn wake(&self) {
        // Fails only if the counter of wake-ups is full, and then one is under way.
        let _ = self.waker.wake();
    }

    /// Returns true if any socket waits for the next round.
    pub fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// The poll that a wheel sleeps in.
pub struct Reactor {
    prompt: mio::Poll,
    events: Events,
    sockets: Arc<Sockets>,
}

impl Reactor {
    pub fn new() -> io::Result<Self> {
        let prompt = mio::Poll::new()?;
        let sockets = Sockets {
            prompt: prompt.registry().try_clone()?,
            deferred: Mutex::new(mio::Poll::new()?),
            waker: mio::Waker::new(prompt.registry(), WAKE)?,
            next: AtomicUsize::new(0),
            open: Mutex::default(),
            waiting: AtomicUsize::new(0),
        };
        Ok(Self { prompt, events: Events::with_capacity(MAX_EVENTS), sockets: Arc::new(sockets) })
    }

    pub fn sockets(&self) -> &Arc<Sockets> {
        &self.sockets
    }

    /// Makes sockets that this thread opens from now on belong to this reactor.
    pub fn enter(&self) {
        HERE.set(Some(self.sockets.clone()));
    }

    /// Sleeps until a prompt socket is readable or the wheel is woken, for `limit` at most. Call [`wake_readers`](Self::wake_readers)
    /// afterwards.
    pub fn wait(&mut self, limit: Option<Duration>) {
        // Fails when a signal interrupts it: the wheel checks the time and comes back.
        let _ = self.prompt.poll(&mut self.events, limit);
    }

    /// Wakes the readers of sockets that became readable.
    pub fn wake_readers(&self) {
        for event in self.events.iter().filter(|event| event.token() != WAKE) {
            let readiness = self.sockets.open.lock().get(&event.token()).cloned();
            if let Some(readiness) = readiness {
                readiness.is_readable.store(true, Ordering::Release);
                readiness.waker.wake();
            }
        }
    }

    /// Wakes the readers of deferred sockets that are readable.
    pub fn poll_deferred(&mut self) {
        let polled = self.sockets.deferred.lock().poll(&mut self.events, Some(Duration::ZERO));
        if polled.is_ok() {
            self.wake_readers();
        }
    }
}

/// A UDP socket that one task reads. A datagram wakes the reader at once, or in the next round if it is
/// [deferred](Self::set_deferred). While the reader [polls](Self::set_polled) by itself, nothing wakes it.
pub struct UdpSocket {
    socket: Socket,
    token: Token,
    readiness: Arc<Readiness>,
    sockets: Arc<Sockets>,
    is_deferred: bool,
    is_polled: bool,
}

impl UdpSocket {
    /// Opens a socket on this address. It belongs to this thread's wheel.
    pub fn bind(local: SocketAddr) -> io::Result<Self> {
        let (mut socket, sockets) = (Socket::bind(local)?, Sockets::here());
        let token = Token(sockets.next.fetch_add(1, Ordering::Relaxed));
        let readiness = Arc::<Readiness>::default();
        sockets.open.lock().insert(token, readiness.clone());
        let registered = sockets.prompt.register(&mut socket, token, Interest::READABLE);
        // From here on dropping it removes it again.
        let socket = Self { socket, token, readiness, sockets, is_deferred: false, is_polled: false };
        registered.map(|()| socket)
    }

    /// Returns the address that it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sets whether datagrams may wait for the next round.
    pub fn set_deferred(&mut self, is_deferred: bool) {
        if self.is_deferred == is_deferred {
            return;
        }
        self.update(|socket| socket.is_deferred = is_deferred);
        let Self { socket, token, sockets, .. } = self;
        let deferred = sockets.deferred.lock();
        let (from, to) =
            if is_deferred { (&sockets.prompt, deferred.registry()) } else { (deferred.registry(), &sockets.prompt) };
        let moved = from.deregister(socket).and_then(|()| to.register(socket, *token, Interest::READABLE));
        if let Err(error) = moved {
            tracing::warn!(%error, "a socket can't be read any more");
        }
    }

    /// Sets whether the reader polls by itself, so that datagrams do not wake it.
    pub fn set_polled(&mut self, is_polled: bool) {
        if self.is_polled != is_polled {
            self.update(|socket| socket.is_polled = is_polled);
        }
    }

    /// Changes the socket, and keeps the number of those that wait.
    fn update(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.is_waiting();
        change(self);
        match (before, self.is_waiting()) {
            (false, true) => drop(self.sockets.waiting.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.sockets.waiting.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn is_waiting(&self) -> bool {
        self.is_deferred && !self.is_polled
    }

    /// Sends a datagram, or fails at once.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.send_to(bytes, to)
    }

    /// Reads a datagram. Returns its length and its sender.
    pub fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        loop {
            if !self.is_polled {
                ready!(self.poll_readable(context));
            }
            match self.socket.recv_from(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.is_polled => return Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    // There may be more.
                    self.readiness.is_readable.store(true, Ordering::Release);
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Waits until it is readable, and clears that: if there is still something to read, another event follows.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let is_readable = || self.readiness.is_readable.swap(false, Ordering::AcqRel);
        if is_readable() {
            return Poll::Ready(());
        }
        self.readiness.waker.register(context.waker());
        // An event may have come meanwhile.
        if is_readable() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.sockets.open.lock().remove(&self.token);
        self.update(|socket| socket.is_deferred = false);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_polled_socket_wakes_nobody() {
        let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.set_deferred(true);
        let (to, mut buffer) = (socket.local_addr().unwrap(), [0; 10]);
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let context = &mut Context::from_waker(std::task::Waker::noop());
        for round in 0..20_u8 {
            socket.set_polled(true);
            assert!(socket.poll_recv_from(context, &mut buffer).is_pending());
            for n in 0..3 {
                other.send_to(&[round, n], to).unwrap();
            }
            for n in 0..2 {
                let Poll::Ready(Ok((length, _))) = socket.poll_recv_from(context, &mut buffer) else { panic!("{n}") };
                assert_eq!(buffer[..length], [round, n]);
            }
            // The last one wakes the reader again.
            socket.set_polled(false);
            let read = poll_fn(|context| socket.poll_recv_from(context, &mut buffer));
            let (length, _) = timeout(Duration::from_secs(20), read).await.expect("it comes").unwrap();
            assert_eq!(buffer[..length], [round, 2]);
        }
    }

    #[tokio::test]
    async fn datagrams_are_read_in_order() {
        let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = socket.local_addr().unwrap();
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for round in 0..20_u8 {
            if round % 5 == 0 {
                socket.set_deferred(round % 10 == 5);
            }
            for n in 0..3 {
                other.send_to(&[round, n], to).unwrap();
            }
            for n in 0..3 {
                let mut buffer = [0; 10];
                let read = poll_fn(|context| socket.poll_recv_from(context, &mut buffer));
                let (length, from) = timeout(Duration::from_secs(20), read).await.expect("it comes").unwrap();
                assert_eq!((&buffer[..length], from), (&[round, n][..], other.local_addr().unwrap()));
            }
        }
    }
}
