//! The queue between a WAV output and its disk: encoded samples that wait to be written, and how far the disk is behind.
//!
//! The driver puts samples in and never waits; a thread of the disk takes out whatever is there. Both hold the lock for no longer
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

/// The most sound that may wait for the disk, in seconds. It exceeds [`DISK_SECONDS`], so that a hung disk is reported as hung and this
/// limit concerns slow disks only. In 16 bits that is 1.5 MB per channel, which a process can afford for a thousand sessions.
pub const MAX_BEHIND: u32 = 15;

const SECOND: Duration = Duration::from_secs(1);

/// A run of bytes and its offset among all bytes of samples.
pub struct Piece {
    pub at: u64,
    pub bytes: Vec<u8>,
}

/// The bytes to be written next.
pub struct Waiting {
    pub pieces: Vec<Piece>,
    /// The bytes of samples so far, including the silence between and after the pieces.
    pub length: u64,
}

#[derive(Default)]
struct State {
    pieces: Vec<Piece>,
    /// The bytes in all pieces.
    bytes: usize,
    length: u64,
    /// A call that writes the queue was requested and has not begun.
    is_asked: bool,
    /// Calls that were requested and are not done.
    pending_calls: usize,
    /// The number of times the disk has made progress.
    moves: u64,
    /// The disk has calls pending and has made no progress for so long that nothing is queued until it does.
    is_late: bool,
    is_open: bool,
    /// The error after which nothing more is written, because the rest would follow a gap.
    failure: Option<SpeakerError>,
    /// The path of the unfinished file, while it is not at its final path.
    part: Option<PathBuf>,
    placing: Placing,
    waker: Option<Waker>,
}

/// The progress of moving the file to its final path.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Placing {
    #[default]
    NotYet,
    Begun,
    /// `close` has reported that it was not.
    GivenUp,
}

/// The queue of encoded samples on their way to a disk.
pub struct WavQueue {
    path: Arc<ReservedPath>,
    /// The most bytes that may wait.
    capacity: usize,
    state: Mutex<State>,
}

impl WavQueue {
    pub fn new(path: Arc<ReservedPath>, capacity: usize) -> Self {
        Self { path, capacity, state: Mutex::default() }
    }

    /// Queues `count` bytes for the offset `at`, which `write` appends. Fails if the disk is late or too far behind; that part stays
    /// silent.
    pub fn put(&self, at: u64, count: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut state = self.state.lock();
        state.length = at + count as u64;
        self.check(&state)?;
        if state.bytes + count > self.capacity {
            let which = format!("whose disk is {MAX_BEHIND} s behind");
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

    /// Extends the queue to `length` bytes of samples with silence.
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

    /// Takes everything that waits.
    pub fn take(&self) -> Waiting {
        let mut state = self.state.lock();
        state.is_asked = false;
        state.bytes = 0;
        Waiting { pieces: std::mem::take(&mut state.pieces), length: state.length }
    }

    /// Returns true if a call that writes the queue has to be requested.
    pub fn ask(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().is_asked, true)
    }

    /// Registers a call to the disk, which is pending until the result is dropped.
    pub fn begin_call(self: &Arc<Self>) -> PendingCall {
        self.state.lock().pending_calls += 1;
        PendingCall { queue: self.clone(), is_made: false }
    }

    /// Notes that the disk has made progress.
    pub fn moved(&self) {
        let mut state = self.state.lock();
        state.moves += 1;
        state.is_late = false;
    }

    /// Returns the progress count if calls are pending and the disk is not known to be late.
    fn moves(&self) -> Option<u64> {
        let state = self.state.lock();
        (state.pending_calls > 0 && !state.is_late).then_some(state.moves)
    }

    /// Returns true if nothing is pending or worth waiting for, because the disk is late or the file has failed.
    pub fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.pending_calls == 0 || state.is_late || state.failure.is_some()
    }

    /// Marks the file as open; `part` is its path while it is unfinished.
    pub fn opened(&self, part: Option<PathBuf>) {
        let mut state = self.state.lock();
        (state.is_open, state.part) = (true, part);
    }

    /// Returns true if the file is open, or the error if it failed.
    pub fn is_open(&self) -> Result<bool> {
        let state = self.state.lock();
        state.failure.clone().map_or(Ok(state.is_open), Err)
    }

    /// Marks the file as failed; the first error stays.
    pub fn fail(&self, failure: SpeakerError) {
        self.state.lock().failure.get_or_insert(failure);
    }

    /// Returns the error, if the file has failed.
    pub fn failure(&self) -> Option<SpeakerError> {
        self.state.lock().failure.clone()
    }

    /// Returns true if the complete file may be moved to its final path.
    pub fn begin_placing(&self) -> bool {
        let mut state = self.state.lock();
        let may = state.placing == Placing::NotYet;
        if may {
            state.placing = Placing::Begun;
        }
        may
    }

    /// Returns true if the file was given up.
    pub fn is_given_up(&self) -> bool {
        self.state.lock().placing == Placing::GivenUp
    }

    /// Gives the file up. Returns the error, which says where the unfinished file is.
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

    /// Returns the error for a disk that does not answer.
    pub fn late(&self) -> SpeakerError {
        refusal(&format!("a disk that answers within {DISK_SECONDS} s"), &self.path, "whose disk does not")
    }

    /// Returns the error for a call that panicked or followed one that did.
    pub fn broken(&self) -> SpeakerError {
        let path = self.path.given().display();
        SpeakerError::new(Code::Output, format!("writing {path} broke by a fault of this package: please report it"))
    }

    /// Sets the waker for when a call is done.
    pub fn wakes(&self, waker: &Waker) {
        let mut state = self.state.lock();
        match &mut state.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn wake(&self) {
        let waker = self.state.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Marks the disk as late if calls are pending and it has made no progress since `moves`. Returns true if it is.
    fn set_late(&self, moves: u64) -> bool {
        let mut state = self.state.lock();
        state.is_late = state.pending_calls > 0 && state.moves == moves;
        state.is_late
    }

    /// Marks the disk as in time again, so that it is waited for.
    pub fn set_in_time(&self) {
        self.state.lock().is_late = false;
    }
}

/// A pending call to the disk. Dropping it means that the call is done or never will be.
pub struct PendingCall {
    queue: Arc<WavQueue>,
    is_made: bool,
}

impl PendingCall {
    /// Makes the call.
    pub fn make(mut self, call: impl FnOnce()) {
        call();
        self.is_made = true;
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if !self.is_made {
            self.queue.fail(self.queue.broken());
        }
        self.queue.moved();
        self.queue.state.lock().pending_calls -= 1;
        self.queue.wake();
    }
}

/// A timeout for a disk that makes no progress. Seconds are counted one by one, so that a halt of the process does not count.
#[derive(Default)]
pub struct StallTimeout {
    timer: Option<Pin<Box<Sleep>>>,
    left: u32,
    moves: u64,
}

impl StallTimeout {
    /// Completes when calls are pending and the disk has made no progress for [`DISK_SECONDS`]. Needs tokio's context.
    pub fn poll_end(&mut self, queue: &WavQueue, context: &mut Context<'_>) -> Poll<()> {
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

    fn queue(capacity: usize) -> Arc<WavQueue> {
        Arc::new(WavQueue::new(Arc::new(ReservedPath::new("mix.wav".into())), capacity))
    }

    fn put(queue: &WavQueue, at: u64, bytes: &[u8]) -> Result<()> {
        queue.put(at, bytes.len(), |held| held.extend(bytes))
    }

    #[test]
    fn omits_pieces_without_room() {
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
    fn queues_one_write_call_at_a_time() {
        let queue = queue(4);
        assert_eq!([queue.ask(), queue.ask()], [true, false]);
        queue.take();
        assert!(queue.ask());
    }

    #[test]
    fn dropped_call_fails_the_file() {
        let queue = queue(4);
        drop(queue.begin_call());
        let failure = queue.failure().expect("it is known");
        assert_eq!((put(&queue, 0, &[1]).unwrap_err(), queue.is_open().unwrap_err()), (failure.clone(), failure));
        assert!(queue.is_idle(), "nobody waits for it");
    }

    #[tokio::test]
    async fn disk_is_late_until_it_makes_progress() {
        pause();
        let (queue, mut stall_timeout) = (queue(4), StallTimeout::default());
        let mut is_late = |queue: &Arc<WavQueue>| {
            let mut context = Context::from_waker(Waker::noop());
            stall_timeout.poll_end(queue, &mut context).is_ready()
        };
        assert!(!is_late(&queue));
        advance(SECOND * 2 * DISK_SECONDS).await;
        assert!(!is_late(&queue), "nothing is asked of it");
        let pending_calls = queue.begin_call();
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
        assert!(!queue.is_idle(), "what it owes is still waited for");
        pending_calls.make(|| ());
        assert!(queue.is_idle());
    }

    #[tokio::test]
    async fn ignores_halts_of_the_process() {
        pause();
        let (queue, mut stall_timeout) = (queue(4), StallTimeout::default());
        let _owed = queue.begin_call();
        let mut is_late = async || {
            let end = poll_fn(|context| stall_timeout.poll_end(&queue, context));
            tokio::time::timeout(Duration::from_millis(1), end).await.is_ok()
        };
        assert!(!is_late().await);
        advance(SECOND * 3 * DISK_SECONDS).await;
        assert!(!is_late().await, "it was one second too many, not thirty");
    }

    #[test]
    fn given_up_file_is_not_placed() {
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
