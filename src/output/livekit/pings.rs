//! The pings of the signalling. livekit-signaling has a timer for every room and wakes three tasks for each ping and a session for each
//! answer; here all rooms of the process are pinged together, and nobody is woken. `socket.rs` shows this file what comes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use prost::Message;
use proto::{signal_request, signal_response};
use tokio::sync::Notify;
use tokio::time::{Instant, interval_at};

use super::proto;

/// How often it is looked who is to be pinged.
const BEAT: Duration = Duration::from_secs(1);

/// What livekit-signaling is told instead of the server's terms, in seconds.
const NEVER: i32 = 365 * 24 * 60 * 60;

/// An attempt to connect that was given up has left its socket open, to be read for ever.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// All sockets of the process.
pub static PINGS: Pings = Pings::new();

tokio::task_local! {
    /// That of the room that connects.
    pub static PULSE: Arc<Pulse>;
}

/// What outlives a room's sockets: the room keeps it, and they end without it.
#[derive(Default)]
pub struct Pulse {
    /// From the server's first message; servers may want no pings.
    terms: Mutex<Option<Terms>>,
    /// How long the last answer took, in milliseconds; the server is told.
    round_trip: AtomicI64,
}

#[derive(Clone, Copy)]
struct Terms {
    every: Duration,
    /// How long a server may say nothing.
    timeout: Duration,
}

impl Terms {
    fn of(join: &proto::JoinResponse) -> Option<Self> {
        let seconds = |count: i32| u64::try_from(count).ok().filter(|count| *count > 0).map(Duration::from_secs);
        Some(Self { every: seconds(join.ping_interval)?, timeout: seconds(join.ping_timeout)? })
    }
}

/// What can be pinged.
pub trait Pinged: Send + Sync {
    fn life(&self) -> &Life;

    /// Sends a message, if it can be sent at once.
    fn send_at_once(&self, message: Vec<u8>);
}

/// What is known of a socket's other side.
pub struct Life {
    pulse: Weak<Pulse>,
    state: Mutex<State>,
    end: Notify,
}

struct State {
    /// When the server said something last.
    heard: Instant,
    pinged: Instant,
    /// The time of the last ping, as the server will repeat it.
    timestamp: i64,
    /// When it was last a room's.
    owned: Instant,
}

impl Life {
    /// That of a socket that is opened now, in [`PULSE`]'s scope.
    pub fn begin() -> Self {
        let now = Instant::now();
        let pulse = PULSE.try_with(Arc::downgrade).unwrap_or_default();
        let state = State { heard: now, pinged: now, timestamp: 0, owned: now };
        Self { pulse, state: Mutex::new(state), end: Notify::new() }
    }

    /// Waits until the server has said nothing for too long, or nobody has the socket any more.
    pub async fn ended(&self) {
        self.end.notified().await;
    }

    /// Takes a message of the server's. Returns what others are to know of it.
    pub fn hear(&self, message: &[u8]) -> Option<Vec<u8>> {
        let timestamp = {
            let state = &mut *self.state.lock();
            state.heard = Instant::now();
            state.timestamp
        };
        let unchanged = || Some(message.to_vec());
        let Ok(proto::SignalResponse { message: Some(said) }) = proto::SignalResponse::decode(message) else {
            return unchanged();
        };
        match said {
            signal_response::Message::PongResp(pong) => {
                if let Some(pulse) = self.pulse.upgrade().filter(|_| pong.last_ping_timestamp == timestamp) {
                    pulse.round_trip.store(unix_ms() - timestamp, Ordering::Relaxed);
                }
                None
            }
            signal_response::Message::Join(mut join) => {
                if let Some(pulse) = self.pulse.upgrade() {
                    *pulse.terms.lock() = Terms::of(&join);
                }
                (join.ping_interval, join.ping_timeout) = (NEVER, NEVER);
                let message = Some(signal_response::Message::Join(join));
                Some(proto::SignalResponse { message }.encode_to_vec())
            }
            _ => unchanged(),
        }
    }

    /// Looks what is due. Returns a ping that is to be sent. `is_late`: the process was halted, and may have heard something meanwhile.
    fn beat(&self, now: Instant, is_late: bool) -> Option<Vec<u8>> {
        let state = &mut *self.state.lock();
        let Some(pulse) = self.pulse.upgrade() else {
            if now - state.owned >= ABANDONED_AFTER {
                self.end.notify_one();
            }
            return None;
        };
        state.owned = now;
        let Terms { every, timeout } = (*pulse.terms.lock())?;
        if now - state.heard >= timeout && !is_late {
            self.end.notify_one();
            return None;
        }
        // A beat is never quite on time.
        if now + BEAT / 2 < state.pinged + every {
            return None;
        }
        (state.pinged, state.timestamp) = (now, unix_ms());
        let ping = proto::Ping { timestamp: state.timestamp, rtt: pulse.round_trip.load(Ordering::Relaxed) };
        Some(proto::SignalRequest { message: Some(signal_request::Message::PingReq(ping)) }.encode_to_vec())
    }
}

/// Sockets that are pinged together.
pub struct Pings {
    sockets: Mutex<Vec<Weak<dyn Pinged>>>,
}

impl Pings {
    const fn new() -> Self {
        Self { sockets: Mutex::new(Vec::new()) }
    }

    /// Pings a socket for as long as there is one.
    pub fn add(&'static self, socket: &Arc<impl Pinged + 'static>) {
        let socket: Weak<dyn Pinged> = Arc::downgrade(&(socket.clone() as Arc<dyn Pinged>));
        let is_first = {
            let sockets = &mut *self.sockets.lock();
            sockets.push(socket);
            sockets.len() == 1
        };
        if is_first {
            tokio::spawn(self.go_on());
        }
    }

    async fn go_on(&self) {
        let mut last = Instant::now();
        let mut beats = interval_at(last + BEAT, BEAT);
        loop {
            let now = beats.tick().await.max(Instant::now());
            let is_late = now - last > 2 * BEAT;
            last = now;
            let sockets: Vec<_> = {
                let sockets = &mut *self.sockets.lock();
                sockets.retain(|socket| socket.strong_count() > 0);
                if sockets.is_empty() {
                    return;
                }
                sockets.iter().filter_map(Weak::upgrade).collect()
            };
            for socket in sockets {
                if let Some(ping) = socket.life().beat(now, is_late) {
                    socket.send_at_once(ping);
                }
            }
        }
    }
}

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}
