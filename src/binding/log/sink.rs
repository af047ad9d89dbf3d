//! Lines that wait for a JavaScript thread: for the loggers of its sessions, or for its listeners for all lines.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use parking_lot::{Mutex, RwLock};
use serde_json::Value as Json;

use super::line::Line;
use super::{set_has_listeners, start};
use crate::binding::outgoing::Serialized;

/// The size of the queue of a thread, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The number of lines taken at once, before other work of the thread has its turn.
const BATCH: usize = 64;

/// The sinks of all JavaScript threads.
pub static SINKS: RwLock<Sinks> = RwLock::new(Sinks(Vec::new()));

pub struct Sinks(Vec<Arc<Sink>>);

impl Sinks {
    /// Hands a line to the logger of its session, or else to all listeners. Returns it if there are none.
    pub fn take(&self, line: Line) -> std::result::Result<(), Line> {
        let owner =
            line.session.and_then(|session| self.0.iter().find(|sink| sink.wants.read().sessions.contains(&session)));
        if let Some(owner) = owner {
            owner.push(line);
            return Ok(());
        }
        let mut listening = self.0.iter().filter(|sink| sink.wants.read().all);
        let Some(first) = listening.next() else { return Err(line) };
        listening.for_each(|sink| sink.push(line.clone()));
        first.push(line);
        Ok(())
    }
}

pub struct Sink {
    wants: RwLock<Wants>,
    state: Mutex<State>,
    /// Notifies the thread that lines wait.
    ring: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Wants {
    /// Lines without a session, and of sessions without a logger.
    all: bool,
    /// Sessions that have a logger.
    sessions: HashSet<u32>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    bytes: usize,
    /// The number of lines for which there was no room.
    lost: u64,
}

impl Sink {
    fn push(&self, line: Line) {
        let cost = line.cost();
        let mut state = self.state.lock();
        if state.bytes + cost > MAX_BYTES {
            state.lost += 1;
            return;
        }
        state.bytes += cost;
        state.lines.push_back(line);
        let is_first = state.lines.len() == 1;
        drop(state);
        if is_first {
            (self.ring)();
        }
    }

    /// Takes the next lines. Rings again if there are more.
    fn take(&self) -> Vec<Line> {
        let mut state = self.state.lock();
        let count = state.lines.len().min(BATCH);
        let mut lines: Vec<_> = state.lines.drain(..count).collect();
        state.bytes -= lines.iter().map(Line::cost).sum::<usize>();
        let has_more = !state.lines.is_empty();
        if !has_more && state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            lines.push(Line::about_the_log(format!("{lost} lines of the log were lost here")));
        }
        drop(state);
        if has_more {
            (self.ring)();
        }
        lines
    }
}

/// The log of a JavaScript thread.
#[napi]
pub struct NativeLog {
    sink: Arc<Sink>,
}

#[napi]
impl NativeLog {
    /// Calls `ring` when lines can be taken. There are none before `takeAll` or `add`.
    #[napi(constructor, ts_args_type = "ring: () => void")]
    pub fn new(ring: Function<(), ()>) -> Result<Self> {
        start();
        let ring = ring.build_threadsafe_function::<()>().weak::<true>().callee_handled::<false>().build()?;
        let ring = Box::new(move || _ = ring.call((), ThreadsafeFunctionCallMode::NonBlocking));
        let sink = Arc::new(Sink { wants: RwLock::default(), state: Mutex::default(), ring });
        SINKS.write().0.push(sink.clone());
        Ok(Self { sink })
    }

    /// Sets whether it takes lines that belong to no session with a logger.
    #[napi]
    pub fn take_all(&self, all: bool) {
        self.sink.wants.write().all = all;
        update_listeners();
    }

    /// Starts to take the lines of this session.
    #[napi]
    pub fn add(&self, session: u32) {
        self.sink.wants.write().sessions.insert(session);
        update_listeners();
    }

    /// Stops taking the lines of this session.
    #[napi]
    pub fn remove(&self, session: u32) {
        self.sink.wants.write().sessions.remove(&session);
        update_listeners();
    }

    /// Returns the next lines, in order.
    #[napi(ts_return_type = "any[]")]
    pub fn take(&self) -> Serialized<Vec<Json>> {
        Serialized(self.sink.take().into_iter().map(Line::into_json).collect())
    }
}

impl Drop for NativeLog {
    fn drop(&mut self) {
        SINKS.write().0.retain(|sink| !Arc::ptr_eq(sink, &self.sink));
        update_listeners();
    }
}

fn update_listeners() {
    // One after the other, so that the last result counts.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let wants = |sink: &Arc<Sink>| {
        let wants = sink.wants.read();
        wants.all || !wants.sessions.is_empty()
    };
    let has_listeners = SINKS.read().0.iter().any(wants);
    set_has_listeners(has_listeners);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn sink(all: bool, sessions: &[u32]) -> (Arc<Sink>, Arc<AtomicUsize>) {
        let rings = Arc::<AtomicUsize>::default();
        let counted = rings.clone();
        let wants = Wants { all, sessions: sessions.iter().copied().collect() };
        let ring = Box::new(move || _ = counted.fetch_add(1, Ordering::Relaxed));
        (Arc::new(Sink { wants: RwLock::new(wants), state: Mutex::default(), ring }), rings)
    }

    fn line(session: Option<u32>, message: &str) -> Line {
        let mut line = Line::about_the_log(message.to_owned());
        line.session = session;
        line
    }

    #[test]
    fn the_sessions_logger_comes_before_listeners() {
        let (owner, other, listener) = (sink(true, &[1]).0, sink(true, &[2]).0, sink(false, &[3]).0);
        let sinks = Sinks(vec![owner.clone(), other.clone(), listener.clone()]);
        let taken = || [&owner, &other, &listener].map(|sink| sink.take().len());
        assert!(sinks.take(line(Some(1), "a")).is_ok());
        assert_eq!(taken(), [1, 0, 0]);
        assert!(sinks.take(line(Some(4), "b")).is_ok() && sinks.take(line(None, "c")).is_ok());
        assert_eq!(taken(), [2, 2, 0]);
        assert!(Sinks(vec![listener]).take(line(None, "d")).is_err_and(|line| line.session.is_none()));
    }

    #[test]
    fn counts_lost_lines_and_rings_per_batch() {
        let (sink, rings) = sink(true, &[]);
        let text = "x".repeat(1_000);
        (0..5_000).for_each(|_| sink.push(line(None, &text)));
        assert_eq!(rings.load(Ordering::Relaxed), 1);
        let (waiting, bytes, lost) = {
            let state = sink.state.lock();
            (state.lines.len(), state.bytes, state.lost)
        };
        assert_eq!(waiting as u64 + lost, 5_000);
        assert!(bytes <= MAX_BYTES && lost > 3_000, "{bytes} bytes, {lost} lost");
        let mut taken = Vec::new();
        while taken.len() <= waiting {
            taken.extend(sink.take());
        }
        assert_eq!(rings.load(Ordering::Relaxed), waiting.div_ceil(BATCH));
        assert!(taken.pop().unwrap().to_string().contains(&format!("{lost} lines of the log were lost here")));
        assert_eq!(sink.state.lock().bytes, 0);
        assert!(sink.take().is_empty());
    }
}
