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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::FutureExt;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// A socket to a server that answers, or says nothing.
    struct Tested {
        life: Life,
        answers: bool,
        pinged: Mutex<Vec<Instant>>,
    }

    impl Pinged for Tested {
        fn life(&self) -> &Life {
            &self.life
        }

        fn send_at_once(&self, message: Vec<u8>) {
            self.pinged.lock().push(Instant::now());
            let request = proto::SignalRequest::decode(&message[..]).unwrap().message;
            let Some(signal_request::Message::PingReq(ping)) = request else { panic!("{request:?}") };
            if self.answers {
                assert_eq!(self.life.hear(&pong(ping.timestamp)), None, "it wakes nobody");
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

    fn open(pings: &'static Pings, pulse: &Arc<Pulse>, answers: bool) -> Arc<Tested> {
        let life = PULSE.sync_scope(pulse.clone(), Life::begin);
        let socket = Arc::new(Tested { life, answers, pinged: Mutex::default() });
        pings.add(&socket);
        socket
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_pinged_together_as_often_as_the_server_wants() {
        static PINGS: Pings = Pings::new();
        let mut rooms = Vec::new();
        for _ in 0..20 {
            sleep(Duration::from_millis(270)).await;
            let pulse = Arc::<Pulse>::default();
            let socket = open(&PINGS, &pulse, true);
            socket.life.hear(&joined(5, 15)).unwrap();
            rooms.push((pulse, socket));
        }
        sleep(Duration::from_secs(60)).await;
        let mut moments = BTreeSet::new();
        for (_, socket) in &rooms {
            assert!(socket.life.ended().now_or_never().is_none());
            let pinged = socket.pinged.lock();
            assert!((12..=14).contains(&pinged.len()), "{}", pinged.len());
            moments.extend(pinged.iter().copied());
        }
        assert!(moments.len() <= 67, "{} moments", moments.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_gone_and_the_room_pings_its_next_socket_as_before() {
        static PINGS: Pings = Pings::new();
        let pulse = Arc::<Pulse>::default();
        let first = open(&PINGS, &pulse, false);
        first.life.hear(&joined(5, 15)).unwrap();
        for _ in 0..2 {
            let begun = Instant::now();
            let socket = open(&PINGS, &pulse, false);
            timeout(Duration::from_secs(60), socket.life.ended()).await.expect("it ends");
            let lived = begun.elapsed();
            assert!(lived >= Duration::from_secs(14) && lived <= Duration::from_secs(17), "{lived:?}");
            assert!((2..=3).contains(&socket.pinged.lock().len()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_halt_of_the_process_the_server_is_heard_first() {
        let pulse = Arc::<Pulse>::default();
        let life = PULSE.sync_scope(pulse.clone(), Life::begin);
        life.hear(&joined(5, 15)).unwrap();
        sleep(Duration::from_secs(20)).await;
        assert!(life.beat(Instant::now(), true).is_some());
        assert!(life.ended().now_or_never().is_none());
        life.beat(Instant::now(), false);
        assert!(life.ended().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_room_has_any_more_is_not_pinged_and_ends() {
        static PINGS: Pings = Pings::new();
        let begun = Instant::now();
        let socket = open(&PINGS, &Arc::default(), true);
        socket.life.hear(&joined(5, 15)).unwrap();
        let talking = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                socket.life.hear(&pong(0));
            }
        };
        tokio::select! { () = talking => {}, () = socket.life.ended() => {} }
        let lived = begun.elapsed();
        assert!(lived >= ABANDONED_AFTER && lived <= ABANDONED_AFTER + 2 * BEAT, "{lived:?}");
        assert!(socket.pinged.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn livekit_s_own_pings_rest_and_a_server_that_wants_none_has_none() {
        static PINGS: Pings = Pings::new();
        let pulse = Arc::<Pulse>::default();
        let socket = open(&PINGS, &pulse, false);
        let told = proto::SignalResponse::decode(&socket.life.hear(&joined(0, 0)).unwrap()[..]).unwrap().message;
        let Some(signal_response::Message::Join(join)) = told else { panic!("{told:?}") };
        assert_eq!((join.ping_interval, join.ping_timeout), (NEVER, NEVER));
        sleep(Duration::from_secs(60)).await;
        assert!(socket.pinged.lock().is_empty() && socket.life.ended().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_told_of_a_ping_of_ours_how_long_its_answer_took() {
        static PINGS: Pings = Pings::new();
        let pulse = Arc::<Pulse>::default();
        let socket = open(&PINGS, &pulse, true);
        pulse.round_trip.store(7, Ordering::Relaxed);
        socket.life.hear(&pong(1));
        assert_eq!(pulse.round_trip.load(Ordering::Relaxed), 7, "to no ping of this socket");
        socket.life.hear(&joined(1, 15)).unwrap();
        sleep(Duration::from_secs(3)).await;
        assert_ne!(pulse.round_trip.load(Ordering::Relaxed), 7);
    }
}
