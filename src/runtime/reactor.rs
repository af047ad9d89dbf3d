//! UDP sockets that are read in rounds. A thousand of them would wake a thread for each report that a server sends; so while nothing
//! is urgent, what came waits in the kernel for the next round of the wheel (`wheel.rs`) that its socket belongs to.

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

/// What tells a sleeping wheel to look, and no socket.
const BELL: Token = Token(usize::MAX);

/// Readiness that is taken at once; there may be more.
const EVENTS: usize = 256;

thread_local! {
    /// The sockets of the wheel that this thread is.
    static HERE: RefCell<Option<Arc<Sockets>>> = const { RefCell::new(None) };
}

/// Whether a socket may have something to read, and who waits for that.
#[derive(Default)]
struct Readiness {
    is_readable: AtomicBool,
    waker: AtomicWaker,
}

/// The sockets of one wheel, as other threads reach them.
pub struct Sockets {
    /// For those that wake the wheel.
    prompt: Registry,
    /// For those that wait for its next round; asked at times, and never slept in.
    patient: Mutex<mio::Poll>,
    bell: mio::Waker,
    next: AtomicUsize,
    open: Mutex<HashMap<Token, Arc<Readiness>>>,
    /// How many of them wait for the next round, and have a reader who is to be woken.
    waiting: AtomicUsize,
}

impl Sockets {
    /// Those of the wheel that runs on this thread, or, elsewhere, of the first one.
    fn here() -> Arc<Self> {
        HERE.with_borrow(Clone::clone).unwrap_or_else(|| WHEELS.sockets())
    }

    /// Wakes the wheel.
    pub fn wake(&self) {
        // It fails only if the counter of wake-ups is full, and then one is under way.
        let _ = self.bell.wake();
    }

    /// Whether any of them waits for the next round.
    pub fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// What a wheel sleeps in.
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
            patient: Mutex::new(mio::Poll::new()?),
            bell: mio::Waker::new(prompt.registry(), BELL)?,
            next: AtomicUsize::new(0),
            open: Mutex::default(),
            waiting: AtomicUsize::new(0),
        };
        Ok(Self { prompt, events: Events::with_capacity(EVENTS), sockets: Arc::new(sockets) })
    }

    pub fn sockets(&self) -> &Arc<Sockets> {
        &self.sockets
    }

    /// Sockets that are opened on this thread from now on are this one's.
    pub fn enter(&self) {
        HERE.set(Some(self.sockets.clone()));
    }

    /// Sleeps until a prompt socket is readable, or the wheel is woken; for `limit` at most. [`tell`](Self::tell) belongs behind it.
    pub fn wait(&mut self, limit: Option<Duration>) {
        // It fails where a signal interrupts it: the wheel looks at the time and comes back.
        let _ = self.prompt.poll(&mut self.events, limit);
    }

    /// Wakes whoever reads what became readable.
    pub fn tell(&self) {
        for event in self.events.iter().filter(|event| event.token() != BELL) {
            let readiness = self.sockets.open.lock().get(&event.token()).cloned();
            if let Some(readiness) = readiness {
                readiness.is_readable.store(true, Ordering::Release);
                readiness.waker.wake();
            }
        }
    }

    /// Wakes whoever reads the patient sockets that are readable.
    pub fn look(&mut self) {
        let looked = self.sockets.patient.lock().poll(&mut self.events, Some(Duration::ZERO));
        if looked.is_ok() {
            self.tell();
        }
    }
}

/// A UDP socket that one task reads. What comes wakes its reader at once, unless it is to [wait](Self::wait): then within a round.
/// While it [rests](Self::rest) nobody is woken.
pub struct UdpSocket {
    socket: Socket,
    token: Token,
    readiness: Arc<Readiness>,
    sockets: Arc<Sockets>,
    waits: bool,
    rests: bool,
}

impl UdpSocket {
    /// Opens one on this address. It belongs to the wheel that runs on this thread.
    pub fn bind(local: SocketAddr) -> io::Result<Self> {
        let (mut socket, sockets) = (Socket::bind(local)?, Sockets::here());
        let token = Token(sockets.next.fetch_add(1, Ordering::Relaxed));
        let readiness = Arc::<Readiness>::default();
        sockets.open.lock().insert(token, readiness.clone());
        let registered = sockets.prompt.register(&mut socket, token, Interest::READABLE);
        // From here on dropping it takes it out again.
        let socket = Self { socket, token, readiness, sockets, waits: false, rests: false };
        registered.map(|()| socket)
    }

    /// The address that it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Nothing that comes is urgent from now on, or it is again.
    pub fn wait(&mut self, waits: bool) {
        if self.waits == waits {
            return;
        }
        self.count(|socket| socket.waits = waits);
        let Self { socket, token, sockets, .. } = self;
        let patient = sockets.patient.lock();
        let (from, to) = match waits {
            true => (&sockets.prompt, patient.registry()),
            false => (patient.registry(), &sockets.prompt),
        };
        let moved = from.deregister(socket).and_then(|()| to.register(socket, *token, Interest::READABLE));
        if let Err(error) = moved {
            tracing::warn!(%error, "a socket can't be read any more");
        }
    }

    /// Has what comes wake nobody, or do so again: its reader looks by itself.
    pub fn rest(&mut self, rests: bool) {
        if self.rests != rests {
            self.count(|socket| socket.rests = rests);
        }
    }

    /// Changes it, and counts it as one that waits if it does then.
    fn count(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.is_waiting();
        change(self);
        match (before, self.is_waiting()) {
            (false, true) => drop(self.sockets.waiting.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.sockets.waiting.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn is_waiting(&self) -> bool {
        self.waits && !self.rests
    }

    /// Sends a datagram, or fails at once.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.send_to(bytes, to)
    }

    /// Reads a datagram. Returns its length and where it came from.
    pub fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        loop {
            if !self.rests {
                ready!(self.poll_readable(context));
            }
            match self.socket.recv_from(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.rests => return Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    // There may be more.
                    self.readiness.is_readable.store(true, Ordering::Release);
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Takes back that it is readable: if it still is when nothing is read, an event says so again.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let is_readable = || self.readiness.is_readable.swap(false, Ordering::AcqRel);
        if is_readable() {
            return Poll::Ready(());
        }
        self.readiness.waker.register(context.waker());
        // It may have come meanwhile.
        if is_readable() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.sockets.open.lock().remove(&self.token);
        self.count(|socket| socket.waits = false);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn while_a_socket_rests_what_comes_wakes_nobody_and_is_read_when_somebody_looks() {
        let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.wait(true);
        let (to, mut buffer) = (socket.local_addr().unwrap(), [0; 10]);
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let context = &mut Context::from_waker(std::task::Waker::noop());
        for round in 0..20_u8 {
            socket.rest(true);
            assert!(socket.poll_recv_from(context, &mut buffer).is_pending());
            for n in 0..3 {
                other.send_to(&[round, n], to).unwrap();
            }
            for n in 0..2 {
                let Poll::Ready(Ok((length, _))) = socket.poll_recv_from(context, &mut buffer) else { panic!("{n}") };
                assert_eq!(buffer[..length], [round, n]);
            }
            // What is left comes to whoever waits again.
            socket.rest(false);
            let read = poll_fn(|context| socket.poll_recv_from(context, &mut buffer));
            let (length, _) = timeout(Duration::from_secs(20), read).await.expect("it comes").unwrap();
            assert_eq!(buffer[..length], [round, 2]);
        }
    }

    #[tokio::test]
    async fn what_comes_is_read_at_once_or_within_a_round() {
        let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = socket.local_addr().unwrap();
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for round in 0..20_u8 {
            if round % 5 == 0 {
                socket.wait(round % 10 == 5);
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
