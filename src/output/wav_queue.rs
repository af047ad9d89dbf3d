//! What lies between a WAV output and its disk: samples that wait to be written, and how far the disk is behind.
//!
//! Whoever ticks puts samples in and never waits; a thread of the disk takes out whatever is there. Both hold the lock for no longer
//! than a copy takes.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep};

use super::output_file::refusal;
use crate::error::{Code, Result, SpeakerError};
use crate::reserved::ReservedPath;

/// How long a disk may take for one thing that it is asked for (to open a file, to take a megabyte, to rename), in seconds. Longer than
/// a disk that wakes up, or a share whose server starts anew within reason; short enough for who waits for `connect` or `close`.
pub const PATIENCE: u32 = 10;

const SECOND: Duration = Duration::from_secs(1);

/// Bytes that follow each other, and where they belong among all bytes of samples.
pub struct Piece {
    pub at: u64,
    pub bytes: Vec<u8>,
}

/// What is to be written next.
pub struct Waiting {
    pub pieces: Vec<Piece>,
    /// How many bytes of samples there are so far, the silence between and behind the pieces included.
    pub length: u64,
}

#[derive(Default)]
struct State {
    pieces: Vec<Piece>,
    /// In all pieces.
    bytes: usize,
    length: u64,
    /// A call that writes what waits was asked for, and has not begun.
    is_asked: bool,
    /// Calls that were asked for and are not done.
    owed: usize,
    /// How often the disk has moved.
    moves: u64,
    /// It owes something and has not moved for so long that nothing more is put in until it does.
    is_late: bool,
    is_open: bool,
    /// Why nothing more is written: after a gap the rest would not be where it belongs.
    failure: Option<SpeakerError>,
    /// Where the file lies while it is not at its place.
    part: Option<PathBuf>,
    placing: Placing,
    waker: Option<Waker>,
}

/// Whether the file still may take its place.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Placing {
    #[default]
    NotYet,
    Begun,
    /// `close` has told that it did not.
    GivenUp,
}

/// Samples on their way to a disk.
pub struct Queue {
    path: Arc<ReservedPath>,
    /// How many bytes may wait.
    most: usize,
    state: Mutex<State>,
}

impl Queue {
    pub fn new(path: Arc<ReservedPath>, most: usize) -> Self {
        Self { path, most, state: Mutex::default() }
    }

    /// Lets `write` append bytes that belong at `at`. A disk that is late or too far behind takes none: then the place stays silent.
    pub fn put(&self, at: u64, count: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut state = self.state.lock();
        state.length = at + count as u64;
        self.check(&state)?;
        if state.bytes + count > self.most {
            let which = format!("whose disk is {PATIENCE} s behind");
            return Err(refusal("a disk that takes sound as fast as it is made", &self.path, &which));
        }
        state.bytes += count;
        match state.pieces.last_mut() {
            Some(last) if last.at + last.bytes.len() as u64 == at => write(&mut last.bytes),
            _ => {
                let mut bytes = Vec::with_capacity(count);
                write(&mut bytes);
                state.pieces.push(Piece { at, bytes });
            }
        }
        Ok(())
    }

    /// There are so many bytes of samples so far: what is not put in is silence.
    pub fn put_silence(&self, length: u64) -> Result<()> {
        let mut state = self.state.lock();
        state.length = length;
        self.check(&state)
    }

    fn check(&self, state: &State) -> Result<()> {
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None if state.is_late => Err(self.late()),
            None => Ok(()),
        }
    }

    /// Takes what waits.
    pub fn take(&self) -> Waiting {
        let mut state = self.state.lock();
        state.is_asked = false;
        state.bytes = 0;
        Waiting { pieces: std::mem::take(&mut state.pieces), length: state.length }
    }

    /// Returns true if a call that writes what waits has to be asked for.
    pub fn ask(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().is_asked, true)
    }

    /// Something is asked of the disk: it is owed until what is returned is dropped.
    pub fn owe(self: &Arc<Self>) -> Owed {
        self.state.lock().owed += 1;
        Owed { queue: self.clone(), is_made: false }
    }

    /// The disk has done something.
    pub fn moved(&self) {
        let mut state = self.state.lock();
        state.moves += 1;
        state.is_late = false;
    }

    /// How often the disk has moved, if it owes something and is not known to be late.
    fn moves(&self) -> Option<u64> {
        let state = self.state.lock();
        (state.owed > 0 && !state.is_late).then_some(state.moves)
    }

    /// Returns true if nothing is owed, or nothing is waited for: the disk is late, or the file takes nothing more.
    pub fn is_even(&self) -> bool {
        let state = self.state.lock();
        state.owed == 0 || state.is_late || state.failure.is_some()
    }

    /// The file is open; while it is not at its place it lies at `part`.
    pub fn opened(&self, part: Option<PathBuf>) {
        let mut state = self.state.lock();
        (state.is_open, state.part) = (true, part);
    }

    /// Returns true if the file is open, `None` if that is not known yet.
    pub fn is_open(&self) -> Result<bool> {
        let state = self.state.lock();
        state.failure.clone().map_or(Ok(state.is_open), Err)
    }

    /// Nothing more is put in: the first reason stays.
    pub fn fail(&self, failure: SpeakerError) {
        self.state.lock().failure.get_or_insert(failure);
    }

    /// Why nothing more is put in, if it isn't.
    pub fn failure(&self) -> Option<SpeakerError> {
        self.state.lock().failure.clone()
    }

    /// The file is whole. Returns true if it may take its place.
    pub fn begin_placing(&self) -> bool {
        let mut state = self.state.lock();
        let may = state.placing == Placing::NotYet;
        if may {
            state.placing = Placing::Begun;
        }
        may
    }

    /// Returns true if nobody waits for the file any more.
    pub fn is_given_up(&self) -> bool {
        self.state.lock().placing == Placing::GivenUp
    }

    /// Nobody waits for the file to take its place any more. Says why, and where what was written is.
    pub fn give_up(&self) -> SpeakerError {
        let mut state = self.state.lock();
        let rest = match (&state.part, state.placing) {
            (Some(part), Placing::Begun) => {
                format!("; what was written is in {}, or at its place by now", part.display())
            }
            (Some(part), _) => format!("; what was written is in {}", part.display()),
            (None, _) => String::new(),
        };
        if state.placing == Placing::NotYet {
            state.placing = Placing::GivenUp;
        }
        let SpeakerError { code, message } = self.late();
        SpeakerError::new(code, message + &rest)
    }

    /// The error of a disk that does not answer.
    pub fn late(&self) -> SpeakerError {
        refusal(&format!("a disk that answers within {PATIENCE} s"), &self.path, "whose disk does not")
    }

    /// The error of a call that panicked, or came behind one that did.
    pub fn broken(&self) -> SpeakerError {
        let path = self.path.given().display();
        SpeakerError::new(Code::Output, format!("writing {path} broke by a fault of this package: please report it"))
    }

    /// Whom to wake when something is done.
    pub fn wakes(&self, waker: &Waker) {
        let mut state = self.state.lock();
        match &mut state.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn wake(&self) {
        let waker = self.state.lock().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Returns true if the disk owes something and has not moved since: then it is late.
    fn set_late(&self, moves: u64) -> bool {
        let mut state = self.state.lock();
        state.is_late = state.owed > 0 && state.moves == moves;
        state.is_late
    }

    /// Waits anew for a disk that was late.
    pub fn set_in_time(&self) {
        self.state.lock().is_late = false;
    }
}

/// A call to the disk. Dropping it tells that it is done, or that it never will be.
pub struct Owed {
    queue: Arc<Queue>,
    is_made: bool,
}

impl Owed {
    /// Makes the call.
    pub fn make(mut self, call: impl FnOnce()) {
        call();
        self.is_made = true;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.is_made {
            self.queue.fail(self.queue.broken());
        }
        self.queue.moved();
        self.queue.state.lock().owed -= 1;
        self.queue.wake();
    }
}

/// Waits for a disk, as long as it moves. Seconds are counted one by one: those in which the process was halted are not the disk's.
#[derive(Default)]
pub struct Patience {
    timer: Option<Pin<Box<Sleep>>>,
    left: u32,
    moves: u64,
}

impl Patience {
    /// Is ready when the disk owes something and has not moved for [`PATIENCE`]. Needs tokio's context.
    pub fn poll_end(&mut self, queue: &Queue, context: &mut Context<'_>) -> Poll<()> {
        let Some(moves) = queue.moves() else {
            self.timer = None;
            return Poll::Pending;
        };
        if self.timer.is_none() || moves != self.moves {
            (self.moves, self.left, self.timer) = (moves, PATIENCE, Some(Box::pin(sleep(SECOND))));
        }
        while let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
            self.left -= 1;
            timer.as_mut().reset(Instant::now() + SECOND);
            if self.left == 0 {
                self.timer = None;
            }
        }
        if queue.set_late(moves) { Poll::Ready(()) } else { self.poll_end(queue, context) }
    }
}
