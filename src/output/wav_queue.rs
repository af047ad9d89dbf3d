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
use crate::runtime::DISK_SECONDS;

/// How much sound may wait for the disk, in seconds: more than comes until a disk that hangs is known to, so that this is told of slow
/// ones alone. In 16 bits that is 1.5 MB for each channel, so that a thousand sessions on such a disk cost no more than a process has.
pub const MOST_BEHIND: u32 = 15;

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
            let which = format!("whose disk is {MOST_BEHIND} s behind");
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
        let SpeakerError { code, message, .. } = self.late();
        SpeakerError::new(code, message + &rest)
    }

    /// The error of a disk that does not answer.
    pub fn late(&self) -> SpeakerError {
        refusal(&format!("a disk that answers within {DISK_SECONDS} s"), &self.path, "whose disk does not")
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
    /// Is ready when the disk owes something and has not moved for [`DISK_SECONDS`]. Needs tokio's context.
    pub fn poll_end(&mut self, queue: &Queue, context: &mut Context<'_>) -> Poll<()> {
        let Some(moves) = queue.moves() else {
            self.timer = None;
            return Poll::Pending;
        };
        if self.timer.is_none() || moves != self.moves {
            (self.moves, self.left, self.timer) = (moves, DISK_SECONDS, Some(Box::pin(sleep(SECOND))));
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

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::{advance, pause};

    fn queue(most: usize) -> Arc<Queue> {
        Arc::new(Queue::new(Arc::new(ReservedPath::new("mix.wav".into())), most))
    }

    fn put(queue: &Queue, at: u64, bytes: &[u8]) -> Result<()> {
        queue.put(at, bytes.len(), |held| held.extend(bytes))
    }

    #[test]
    fn what_has_no_room_is_left_out_and_the_rest_keeps_its_place() {
        let queue = queue(4);
        put(&queue, 0, &[1, 2]).unwrap();
        put(&queue, 2, &[3]).unwrap();
        let error = put(&queue, 3, &[4, 5]).unwrap_err();
        let expected = "Expected a disk that takes sound as fast as it is made for output.path but received mix.wav, \
                        whose disk is 15 s behind";
        assert_eq!((error.code, &*error.message), (Code::Output, expected));
        put(&queue, 5, &[6]).unwrap();
        queue.put_silence(9).unwrap();
        let Waiting { pieces, length } = queue.take();
        let pieces: Vec<_> = pieces.into_iter().map(|piece| (piece.at, piece.bytes)).collect();
        assert_eq!((pieces, length), (vec![(0, vec![1, 2, 3]), (5, vec![6])], 9));
        put(&queue, 9, &[7; 4]).expect("there is room again");
    }

    #[test]
    fn one_call_waits_at_a_time_and_takes_all_that_comes_until_it_begins() {
        let queue = queue(4);
        assert_eq!([queue.ask(), queue.ask()], [true, false]);
        queue.take();
        assert!(queue.ask());
    }

    #[test]
    fn a_call_that_is_never_made_fails_the_file() {
        let queue = queue(4);
        drop(queue.owe());
        let failure = queue.failure().expect("it is known");
        assert_eq!((put(&queue, 0, &[1]).unwrap_err(), queue.is_open().unwrap_err()), (failure.clone(), failure));
        assert!(queue.is_even(), "nobody waits for it");
    }

    #[tokio::test]
    async fn a_disk_is_late_when_it_has_not_moved_for_its_time_and_no_more_once_it_moves() {
        pause();
        let (queue, mut patience) = (queue(4), Patience::default());
        let mut is_late = |queue: &Arc<Queue>| {
            let mut context = Context::from_waker(Waker::noop());
            patience.poll_end(queue, &mut context).is_ready()
        };
        assert!(!is_late(&queue));
        advance(SECOND * 2 * DISK_SECONDS).await;
        assert!(!is_late(&queue), "nothing is asked of it");
        let owed = queue.owe();
        for _ in 1..DISK_SECONDS {
            assert!(!is_late(&queue));
            advance(SECOND + Duration::from_millis(1)).await;
        }
        queue.moved();
        for _ in 0..DISK_SECONDS {
            assert!(!is_late(&queue));
            advance(SECOND + Duration::from_millis(1)).await;
        }
        assert!(is_late(&queue));
        assert!(!is_late(&queue), "it is told once");
        assert_eq!((put(&queue, 0, &[1]), queue.put_silence(2)), (Err(queue.late()), Err(queue.late())));
        queue.moved();
        put(&queue, 2, &[1]).expect("it moves again");
        assert!(!queue.is_even(), "what it owes is still waited for");
        owed.make(|| ());
        assert!(queue.is_even());
    }

    #[tokio::test]
    async fn a_halt_of_the_process_is_not_the_disk_s() {
        pause();
        let (queue, mut patience) = (queue(4), Patience::default());
        let _owed = queue.owe();
        let mut is_late = async || {
            let end = poll_fn(|context| patience.poll_end(&queue, context));
            tokio::time::timeout(Duration::from_millis(1), end).await.is_ok()
        };
        assert!(!is_late().await);
        advance(SECOND * 3 * DISK_SECONDS).await;
        assert!(!is_late().await, "it was one second too many, not thirty");
    }

    #[test]
    fn what_is_given_up_takes_no_place_any_more() {
        let given_up = queue(4);
        given_up.opened(Some("mix.wav.part".into()));
        let expected = "Expected a disk that answers within 10 s for output.path but received mix.wav, whose disk does not; what was \
                        written is in mix.wav.part";
        assert_eq!(given_up.give_up().message, expected);
        assert!(!given_up.begin_placing());
        let placed = queue(4);
        placed.opened(Some("mix.wav.part".into()));
        assert!(placed.begin_placing());
        assert_eq!(placed.give_up().message, format!("{expected}, or at its place by now"));
    }
}
