//! The pings of the signalling. livekit-signaling has a timer for each room and wakes three tasks for each ping and a session for each
//! answer; here all rooms of the process are pinged together, and nothing is woken. `socket.rs` passes received messages to this file.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use prost::Message;
use proto::{signal_request, signal_response};
use tokio::sync::Notify;
use tokio::time::{Instant, interval_at};

use super::proto;

/// The interval of checks which sockets are due for a ping.
const PING_TICK: Duration = Duration::from_secs(1);

/// The ping interval and timeout given to livekit-signaling instead of the server's, in seconds.
const NEVER: i32 = 365 * 24 * 60 * 60;

/// How long a socket without a room stays open: an attempt to connect that was given up leaves its socket to be read for ever.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// All sockets of the process.
pub static PINGS: Pings = Pings::new();

tokio::task_local! {
    /// The heartbeat of the room that is connecting.
    pub static HEARTBEAT: Arc<Heartbeat>;
}

/// The ping state of a room, which outlives its sockets. The room keeps it, and its sockets end without it.
#[derive(Default)]
pub struct Heartbeat {
    /// The ping times from the server's first message; None if the server wants no pings.
    times: Mutex<Option<PingTimes>>,
    /// The last round-trip time in milliseconds, which is sent to the server.
    round_trip: AtomicI64,
    /// Ends the latest socket when it is notified.
    end: Mutex<Weak<Notify>>,
}

impl Heartbeat {
    /// Ends the latest socket, as if its server had been silent for too long.
    pub fn hang_up(&self) {
        if let Some(end) = self.end.lock().upgrade() {
            end.notify_one();
        }
    }
}

#[derive(Clone, Copy)]
struct PingTimes {
    every: Duration,
    /// How long a server may be silent.
    timeout: Duration,
}

impl PingTimes {
    fn of(join: &proto::JoinResponse) -> Option<Self> {
        let seconds = |count: i32| u64::try_from(count).ok().filter(|count| *count > 0).map(Duration::from_secs);
        Some(Self { every: seconds(join.ping_interval)?, timeout: seconds(join.ping_timeout)? })
    }
}

/// A socket that can be pinged.
pub trait PingTarget: Send + Sync {
    fn liveness(&self) -> &Liveness;

    /// Sends a message, if that is possible at once.
    fn send_at_once(&self, message: Vec<u8>);
}

/// The liveness of a socket's peer.
pub struct Liveness {
    heartbeat: Weak<Heartbeat>,
    state: Mutex<State>,
    end: Arc<Notify>,
}

struct State {
    /// The time of the server's last message.
    heard: Instant,
    last_ping: Instant,
    /// The timestamp of the last ping, which the server repeats.
    timestamp: i64,
    /// The time at which a room last owned the socket.
    owned: Instant,
}

impl Liveness {
    /// Creates the liveness of a socket that is opened now, in [`HEARTBEAT`]'s scope.
    pub fn begin() -> Self {
        let now = Instant::now();
        let end = Arc::new(Notify::new());
        let adopt = |heartbeat: &Arc<Heartbeat>| {
            *heartbeat.end.lock() = Arc::downgrade(&end);
            Arc::downgrade(heartbeat)
        };
        let heartbeat = HEARTBEAT.try_with(adopt).unwrap_or_default();
        let state = State { heard: now, last_ping: now, timestamp: 0, owned: now };
        Self { heartbeat, state: Mutex::new(state), end }
    }

    /// Waits until the server was silent for too long, the room hangs up, or no room owns the socket any more.
    pub async fn ended(&self) {
        self.end.notified().await;
    }

    /// Receives a message of the server. Returns what to pass on to livekit-signaling, if anything.
    pub fn receive(&self, message: &[u8]) -> Option<Vec<u8>> {
        let timestamp = {
            let state = &mut *self.state.lock();
            state.heard = Instant::now();
            state.timestamp
        };
        let unchanged = || Some(message.to_vec());
        let Ok(proto::SignalResponse { message: Some(message) }) = proto::SignalResponse::decode(message) else {
            return unchanged();
        };
        match message {
            signal_response::Message::PongResp(pong) => {
                if let Some(heartbeat) = self.heartbeat.upgrade().filter(|_| pong.last_ping_timestamp == timestamp) {
                    heartbeat.round_trip.store(unix_ms() - timestamp, Ordering::Relaxed);
                }
                None
            }
            signal_response::Message::Join(mut join) => {
                if let Some(heartbeat) = self.heartbeat.upgrade() {
                    *heartbeat.times.lock() = PingTimes::of(&join);
                }
                (join.ping_interval, join.ping_timeout) = (NEVER, NEVER);
                let message = Some(signal_response::Message::Join(join));
                Some(proto::SignalResponse { message }.encode_to_vec())
            }
            _ => unchanged(),
        }
    }

    /// Checks deadlines. Returns a ping to send, if one is due. `is_late` is true after a halt of the process, when unread messages may
    /// wait.
    fn tick(&self, now: Instant, is_late: bool) -> Option<Vec<u8>> {
        let state = &mut *self.state.lock();
        let Some(heartbeat) = self.heartbeat.upgrade() else {
            if now - state.owned >= ABANDONED_AFTER {
                self.end.notify_one();
            }
            return None;
        };
        state.owned = now;
        let PingTimes { every, timeout } = (*heartbeat.times.lock())?;
        if now - state.heard >= timeout && !is_late {
            self.end.notify_one();
            return None;
        }
        // Ticks are never quite on time.
        if now + PING_TICK / 2 < state.last_ping + every {
            return None;
        }
        (state.last_ping, state.timestamp) = (now, unix_ms());
        let ping = proto::Ping { timestamp: state.timestamp, rtt: heartbeat.round_trip.load(Ordering::Relaxed) };
        Some(proto::SignalRequest { message: Some(signal_request::Message::PingReq(ping)) }.encode_to_vec())
    }
}

/// Sockets that are pinged together.
pub struct Pings {
    sockets: Mutex<Vec<Weak<dyn PingTarget>>>,
}

impl Pings {
    pub const fn new() -> Self {
        Self { sockets: Mutex::new(Vec::new()) }
    }

    /// Pings a socket for as long as it exists.
    pub fn add(&'static self, socket: &Arc<impl PingTarget + 'static>) {
        let socket: Weak<dyn PingTarget> = Arc::downgrade(&(socket.clone() as Arc<dyn PingTarget>));
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
        let mut ticks = interval_at(last + PING_TICK, PING_TICK);
        loop {
            let now = ticks.tick().await.max(Instant::now());
            let is_late = now - last > 2 * PING_TICK;
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
                if let Some(ping) = socket.liveness().tick(now, is_late) {
                    socket.send_at_once(ping);
                }
            }
        }
    }
}

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::FutureExt;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// A socket to a server that answers or stays silent.
    struct Tested {
        liveness: Liveness,
        answers: bool,
        pinged: Mutex<Vec<Instant>>,
    }

    impl PingTarget for Tested {
        fn liveness(&self) -> &Liveness {
            &self.liveness
        }

        fn send_at_once(&self, message: Vec<u8>) {
            self.pinged.lock().push(Instant::now());
            let request = proto::SignalRequest::decode(&message[..]).unwrap().message;
            let Some(signal_request::Message::PingReq(ping)) = request else { panic!("{request:?}") };
            if self.answers {
                assert_eq!(self.liveness.receive(&pong(ping.timestamp)), None, "it wakes nobody");
            }
        }
    }

    fn encoded(message: signal_response::Message) -> Vec<u8> {
        proto::SignalResponse { message: Some(message) }.encode_to_vec()
    }

    fn pong(last_ping_timestamp: i64) -> Vec<u8> {
        encoded(signal_response::Message::PongResp(proto::Pong { last_ping_timestamp, timestamp: 0 }))
    }

    fn joined(ping_interval: i32, ping_timeout: i32) -> Vec<u8> {
        let join = proto::JoinResponse { ping_interval, ping_timeout, ..Default::default() };
        encoded(signal_response::Message::Join(join))
    }

    fn open(pings: &'static Pings, heartbeat: &Arc<Heartbeat>, answers: bool) -> Arc<Tested> {
        let liveness = HEARTBEAT.sync_scope(heartbeat.clone(), Liveness::begin);
        let socket = Arc::new(Tested { liveness, answers, pinged: Mutex::default() });
        pings.add(&socket);
        socket
    }

    #[tokio::test(start_paused = true)]
    async fn pings_all_rooms_together() {
        static PINGS: Pings = Pings::new();
        let mut rooms = Vec::new();
        for _ in 0..20 {
            sleep(Duration::from_millis(270)).await;
            let heartbeat = Arc::<Heartbeat>::default();
            let socket = open(&PINGS, &heartbeat, true);
            socket.liveness.receive(&joined(5, 15)).unwrap();
            rooms.push((heartbeat, socket));
        }
        sleep(Duration::from_secs(60)).await;
        let mut moments = BTreeSet::new();
        for (_, socket) in &rooms {
            assert!(socket.liveness.ended().now_or_never().is_none());
            let pinged = socket.pinged.lock();
            assert!((12..=14).contains(&pinged.len()), "{}", pinged.len());
            moments.extend(pinged.iter().copied());
        }
        assert!(moments.len() <= 67, "{} moments", moments.len());
    }

    #[tokio::test(start_paused = true)]
    async fn silent_server_ends_each_socket() {
        static PINGS: Pings = Pings::new();
        let heartbeat = Arc::<Heartbeat>::default();
        let first = open(&PINGS, &heartbeat, false);
        first.liveness.receive(&joined(5, 15)).unwrap();
        for _ in 0..2 {
            let begun = Instant::now();
            let socket = open(&PINGS, &heartbeat, false);
            timeout(Duration::from_secs(60), socket.liveness.ended()).await.expect("it ends");
            let lived = begun.elapsed();
            assert!(lived >= Duration::from_secs(14) && lived <= Duration::from_secs(17), "{lived:?}");
            assert!((2..=3).contains(&socket.pinged.lock().len()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_up_ends_latest_socket() {
        let heartbeat = Arc::<Heartbeat>::default();
        let [first, second] = [(); 2].map(|()| HEARTBEAT.sync_scope(heartbeat.clone(), Liveness::begin));
        heartbeat.hang_up();
        assert!(first.ended().now_or_never().is_none() && second.ended().now_or_never().is_some());
        drop(second);
        heartbeat.hang_up();
        assert!(first.ended().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn reads_before_timeout_after_halt() {
        let heartbeat = Arc::<Heartbeat>::default();
        let liveness = HEARTBEAT.sync_scope(heartbeat.clone(), Liveness::begin);
        liveness.receive(&joined(5, 15)).unwrap();
        sleep(Duration::from_secs(20)).await;
        assert!(liveness.tick(Instant::now(), true).is_some());
        assert!(liveness.ended().now_or_never().is_none());
        liveness.tick(Instant::now(), false);
        assert!(liveness.ended().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn socket_without_room_ends() {
        static PINGS: Pings = Pings::new();
        let begun = Instant::now();
        let socket = open(&PINGS, &Arc::default(), true);
        socket.liveness.receive(&joined(5, 15)).unwrap();
        let talking = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                socket.liveness.receive(&pong(0));
            }
        };
        tokio::select! { () = talking => {}, () = socket.liveness.ended() => {} }
        let lived = begun.elapsed();
        assert!(lived >= ABANDONED_AFTER && lived <= ABANDONED_AFTER + 2 * PING_TICK, "{lived:?}");
        assert!(socket.pinged.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn pings_only_if_server_wants() {
        static PINGS: Pings = Pings::new();
        let heartbeat = Arc::<Heartbeat>::default();
        let socket = open(&PINGS, &heartbeat, false);
        let reported =
            proto::SignalResponse::decode(&socket.liveness.receive(&joined(0, 0)).unwrap()[..]).unwrap().message;
        let Some(signal_response::Message::Join(join)) = reported else { panic!("{reported:?}") };
        assert_eq!((join.ping_interval, join.ping_timeout), (NEVER, NEVER));
        sleep(Duration::from_secs(60)).await;
        assert!(socket.pinged.lock().is_empty() && socket.liveness.ended().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn reports_round_trip_time() {
        static PINGS: Pings = Pings::new();
        let heartbeat = Arc::<Heartbeat>::default();
        let socket = open(&PINGS, &heartbeat, true);
        heartbeat.round_trip.store(7, Ordering::Relaxed);
        socket.liveness.receive(&pong(1));
        assert_eq!(heartbeat.round_trip.load(Ordering::Relaxed), 7, "to no ping of this socket");
        socket.liveness.receive(&joined(1, 15)).unwrap();
        sleep(Duration::from_secs(3)).await;
        assert_ne!(heartbeat.round_trip.load(Ordering::Relaxed), 7);
    }
}
