//! Lines that wait for a thread of JavaScript: for the loggers of its sessions, or for whoever listens to all lines there.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use parking_lot::{Mutex, RwLock};
use serde_json::Value as Json;

use super::line::Line;
use super::{start, takers_changed};
use crate::binding::outgoing::Serialized;

/// How much waits for a thread, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// How many lines are taken at once: other work of the thread has its turn behind them.
const BATCH: usize = 64;

/// Those of all threads of JavaScript.
pub static SINKS: RwLock<Sinks> = RwLock::new(Sinks(Vec::new()));

pub struct Sinks(Vec<Arc<Sink>>);

impl Sinks {
    /// Hands a line to the logger of its session, or else to all who listen. Gives it back if there is nobody.
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
    /// Tells the thread that lines wait.
    ring: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Wants {
    /// Lines of nobody in particular, and of sessions that have no logger.
    all: bool,
    /// Sessions that have a logger.
    sessions: HashSet<u32>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Lines for which there was no room.
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

    /// The next lines. Rings again if there are more.
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

/// The lines of the log that a thread of JavaScript takes.
#[napi]
pub struct NativeLog {
    sink: Arc<Sink>,
}

#[napi]
impl NativeLog {
    /// Calls `ring` when lines can be taken. It takes none before it is told which.
    #[napi(constructor, ts_args_type = "ring: () => void")]
    pub fn new(ring: Function<(), ()>) -> Result<Self> {
        start();
        let ring = ring.build_threadsafe_function::<()>().weak::<true>().callee_handled::<false>().build()?;
        let ring = Box::new(move || _ = ring.call((), ThreadsafeFunctionCallMode::NonBlocking));
        let sink = Arc::new(Sink { wants: RwLock::default(), state: Mutex::default(), ring });
        SINKS.write().0.push(sink.clone());
        Ok(Self { sink })
    }

    /// Takes lines that belong to no session with a logger, or none any more.
    #[napi]
    pub fn take_all(&self, all: bool) {
        self.sink.wants.write().all = all;
        count_takers();
    }

    /// Takes the lines of this session.
    #[napi]
    pub fn add(&self, session: u32) {
        self.sink.wants.write().sessions.insert(session);
        count_takers();
    }

    /// Takes the lines of this session no longer.
    #[napi]
    pub fn remove(&self, session: u32) {
        self.sink.wants.write().sessions.remove(&session);
        count_takers();
    }

    /// The next lines, in their order.
    #[napi(ts_return_type = "any[]")]
    pub fn take(&self) -> Serialized<Vec<Json>> {
        Serialized(self.sink.take().into_iter().map(Line::into_json).collect())
    }
}

impl Drop for NativeLog {
    fn drop(&mut self) {
        SINKS.write().0.retain(|sink| !Arc::ptr_eq(sink, &self.sink));
        count_takers();
    }
}

fn count_takers() {
    // One after the other, so that the last one counts.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let wants = |sink: &Arc<Sink>| {
        let wants = sink.wants.read();
        wants.all || !wants.sessions.is_empty()
    };
    let are_there = SINKS.read().0.iter().any(wants);
    takers_changed(are_there);
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
    fn a_line_goes_to_the_logger_of_its_session_or_to_all_who_listen() {
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
    fn what_has_no_room_is_counted_and_each_batch_is_rung_for() {
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
