//! The bytes of a source, read once from start to end, with look-ahead.
//!
//! After a failed read the body looks ended, so that a demuxer still delivers everything that had arrived; the error is reported after
//! that. A cancelled task reaches the end at its next read, and one that has read for long yields to the other tasks of its thread.

use std::io::{Read, SeekFrom};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use symphonia::core::io::MediaSource;

use super::metadata::{MAX_TAG, Metadata, Tag};
use super::ring::DecodeContext;

/// The size of one read.
const READ_BYTES: usize = 8 << 10;

/// The memory that is kept of a larger look-ahead.
const KEPT_BYTES: usize = 64 << 10;

/// The longest distance back to the mark. Going back further would mean looking through the same bytes again and again.
const REWIND_BYTES: u64 = 64 << 10;

/// Skipping more than this seeks, where that is possible.
const SEEK_BYTES: u64 = 256 << 10;

/// In a body that a server sends, positions further ahead than this count as far: a download is that far ahead of its reader.
const FAR: u64 = 8 << 20;

/// The bytes of a source from the current position on.
pub struct Body {
    input: Box<dyn MediaSource>,
    task: DecodeContext,
    /// The bytes that were read and not yet consumed: `buffer[start..]`. Before them are those consumed last, at least back to the mark.
    buffer: Vec<u8>,
    start: usize,
    /// The position of the next byte.
    position: u64,
    /// True once there is nothing more to be read.
    ended: bool,
    failure: Option<std::io::Error>,
    /// The position that `rewind` returns to.
    mark: Option<u64>,
    /// The metadata of its tags, if it was asked for.
    metadata: Option<Metadata>,
    /// True if the rest comes from a server.
    is_remote: bool,
}

impl Body {
    /// Makes a body of `input`, to be read by `task`.
    pub fn new(input: Box<dyn MediaSource>, task: &DecodeContext) -> Self {
        let (buffer, task) = (Vec::new(), task.clone());
        let (failure, mark, metadata) = (None, None, None);
        Self { input, task, buffer, start: 0, position: 0, ended: false, failure, mark, metadata, is_remote: false }
    }

    /// Marks the rest of this body as still on a server.
    pub fn remote(self) -> Self {
        Self { is_remote: true, ..self }
    }

    /// Makes a body inside this one, read by the same task.
    pub fn nested(&self, input: Box<dyn MediaSource>) -> Self {
        Self::new(input, &self.task)
    }

    /// Returns the position of the next byte, from the start of the source.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the bytes that were read and not yet consumed.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads further ahead. Returns false at the end.
    pub fn fill(&mut self) -> bool {
        if self.mark.is_none() && self.start > 0 && self.start >= self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let held = self.buffer.len();
        self.buffer.resize(held + READ_BYTES, 0);
        let mut into = std::mem::take(&mut self.buffer);
        let read = self.read_input(&mut into[held..]);
        into.truncate(held + read);
        self.buffer = into;
        read > 0
    }

    /// Returns the next `length` bytes without consuming them; fewer only at the end.
    pub fn peek(&mut self, length: usize) -> &[u8] {
        while self.buffered().len() < length && self.fill() {}
        let ahead = self.buffered();
        &ahead[..length.min(ahead.len())]
    }

    /// Turns on the reading of tags, which are skipped otherwise.
    pub fn read_tags(&mut self) {
        self.metadata.get_or_insert_default();
    }

    /// Returns the metadata of its tags, as far as they were read, if it was asked for.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// Reads the tag of `length` bytes that starts `ahead` bytes from here, if metadata was asked for. Consumes nothing.
    pub fn note_tag(&mut self, tag: Tag, ahead: usize, length: u64) {
        let Some(mut metadata) = self.metadata.take() else { return };
        let length = length.min(MAX_TAG as u64) as usize;
        metadata.read(tag, self.peek(ahead + length).get(ahead..).unwrap_or_default());
        self.metadata = Some(metadata);
    }

    /// Reads a tag whose bytes are at hand, if metadata was asked for.
    pub fn note(&mut self, tag: Tag, bytes: &[u8]) {
        if let Some(metadata) = &mut self.metadata {
            metadata.read(tag, &bytes[..bytes.len().min(MAX_TAG)]);
        }
    }

    /// Returns true if no byte is left.
    pub fn is_at_end(&mut self) -> bool {
        self.peek(1).is_empty()
    }

    /// Consumes `length` bytes, at most those that were read ahead.
    pub fn consume(&mut self, length: usize) {
        let length = length.min(self.buffered().len());
        self.start += length;
        self.move_to(self.position + length as u64);
        if self.mark.is_none() && self.start == self.buffer.len() {
            self.buffer.clear();
            // A look-ahead of megabytes is no longer needed.
            self.buffer.shrink_to(KEPT_BYTES);
            self.start = 0;
        }
    }

    /// Consumes `length` bytes of the look-ahead that are no audio. Returns how many of them are not zero, since zeros are padding.
    pub fn discard(&mut self, length: usize) -> u64 {
        let ahead = self.buffered();
        let discarded = ahead[..length.min(ahead.len())].iter().filter(|byte| **byte != 0).count() as u64;
        self.consume(length);
        discarded
    }

    /// Skips `length` bytes, or to the end. Returns how many were skipped.
    pub fn skip(&mut self, length: u64) -> u64 {
        let from = self.position;
        let end = from.saturating_add(length);
        if length > SEEK_BYTES && self.is_seekable() {
            self.seek(end.min(self.input.byte_len().unwrap_or(u64::MAX)));
        }
        while self.position < end && !self.is_at_end() {
            let step = (end - self.position).min(self.buffered().len() as u64);
            self.consume(step as usize);
        }
        self.position - from
    }

    /// Reads the next bytes, at most as many as `buffer` holds; returns 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.buffered().is_empty() && self.mark.is_none() {
            let read = self.read_input(buffer);
            self.position += read as u64;
            return read;
        }
        if self.buffered().is_empty() {
            self.fill();
        }
        let length = self.buffered().len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.buffered()[..length]);
        self.consume(length);
        length
    }

    /// Marks this position, so that `rewind` can return to it from a little further on.
    pub fn mark(&mut self) {
        self.mark = Some(self.position);
    }

    /// Drops the mark.
    pub fn clear_mark(&mut self) {
        self.mark = None;
    }

    /// Moves back to the mark. Returns false if too much was consumed since.
    pub fn rewind(&mut self) -> bool {
        let Some(mark) = self.mark.take() else { return false };
        let back = self.position.checked_sub(mark);
        match back.and_then(|back| self.start.checked_sub(back as usize)) {
            Some(start) => (self.start, self.position) = (start, mark),
            // There was a seek in between.
            None => self.seek(mark),
        }
        true
    }

    /// Returns true if it can be read from any position.
    pub fn is_seekable(&self) -> bool {
        self.input.is_seekable()
    }

    /// Returns true if a position is so far ahead that seeking there saves a download.
    pub fn is_worth_seeking(&self, position: u64) -> bool {
        self.is_remote && position > self.position.saturating_add(FAR)
    }

    /// Returns its length, if it is seekable.
    pub fn length(&self) -> Option<u64> {
        self.input.byte_len().filter(|_| self.is_seekable())
    }

    /// Seeks to a position; only for seekable bodies.
    pub fn seek(&mut self, position: u64) {
        let ahead = self.position..=self.position + self.buffered().len() as u64;
        if ahead.contains(&position) {
            self.consume((position - self.position) as usize);
            return;
        }
        self.buffer.clear();
        self.start = 0;
        self.move_to(position);
        // A failed read ended it for good.
        self.ended = self.failure.is_some();
        if let Err(error) = self.input.seek(SeekFrom::Start(position)) {
            self.fail(error);
        }
    }

    /// Reports that a sample of it was decoded.
    pub fn note_sound(&self) {
        self.task.note_sound();
    }

    /// Returns the error that ended it early, if there was one.
    pub fn failure(&self) -> Option<&std::io::Error> {
        self.failure.as_ref()
    }

    /// Yields to the other decode tasks of its thread if this one has run for long. Returns false once the task is cancelled; the
    /// look-ahead is empty then. Reads do this by themselves.
    pub fn yield_if_due(&mut self) -> bool {
        let Err(error) = self.task.yield_if_due() else { return true };
        self.buffer.clear();
        self.start = 0;
        self.fail(std::io::Error::other(error));
        false
    }

    /// Moves to `position`, and drops a mark that is too far back.
    fn move_to(&mut self, position: u64) {
        self.position = position;
        self.mark = self.mark.filter(|mark| position.saturating_sub(*mark) <= REWIND_BYTES);
    }

    fn fail(&mut self, error: std::io::Error) {
        self.ended = true;
        self.failure.get_or_insert(error);
    }

    fn read_input(&mut self, buffer: &mut [u8]) -> usize {
        while !self.ended && !buffer.is_empty() {
            if let Err(error) = self.task.yield_if_due() {
                self.fail(std::io::Error::other(error));
                break;
            }
            match self.input.read(buffer) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    self.task.note_first_byte();
                    return read;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => self.fail(error),
            }
        }
        0
    }
}

/// A body that a demuxer and its window share. Both belong to one decode task, so the lock is never contended.
#[derive(Clone)]
pub struct SharedBody(Arc<Mutex<Body>>);

impl SharedBody {
    pub fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Locks the body.
    pub fn get(&self) -> MutexGuard<'_, Body> {
        self.0.lock()
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::ring::SourceState;
    use super::*;
    use crate::runtime::{Pool, Waker};
    use std::io::{self, Cursor};
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::channel;
    use std::time::Duration;
    use symphonia::core::io::ReadOnlySource;

    /// A body that is not seekable and yields a few bytes at a time, as a download does; it fails at its end or not.
    struct Trickle(Cursor<Vec<u8>>, Option<&'static str>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let wanted = buffer.len().min(7);
            match (self.0.read(&mut buffer[..wanted])?, self.1) {
                (0, Some(error)) => Err(io::Error::other(error)),
                (read, _) => Ok(read),
            }
        }
    }

    fn context() -> DecodeContext {
        DecodeContext { waker: Waker::idle(), shared: Arc::<SourceState>::default(), notifier: Arc::default() }
    }

    /// The same bytes in a seekable body and in one that is not.
    pub fn bodies(bytes: &[u8]) -> [Body; 2] {
        let inputs: [Box<dyn MediaSource>; 2] = [
            Box::new(Cursor::new(bytes.to_vec())),
            Box::new(ReadOnlySource::new(Trickle(Cursor::new(bytes.to_vec()), None))),
        ];
        inputs.map(|input| Body::new(input, &context()))
    }

    #[test]
    fn counts_positions_for_every_access() {
        let bytes: Vec<u8> = (0..1_000_000).map(|n| (n % 251) as u8).collect();
        for mut body in bodies(&bytes) {
            let mut four = [0; 4];
            assert_eq!(body.peek(10), &bytes[..10]);
            body.consume(3);
            assert_eq!((body.read(&mut four[..2]), body.position()), (2, 5));
            assert_eq!((body.skip(700_000), body.position()), (700_000, 700_005));
            assert_eq!(body.peek(40_000), &bytes[700_005..740_005]);
            assert_eq!((body.skip(299_000), body.read(&mut four)), (299_000, 4));
            assert_eq!(four, bytes[999_005..999_009]);
            assert_eq!((body.skip(u64::MAX), body.position()), (991, 1_000_000));
            assert!(body.is_at_end() && body.peek(1).is_empty() && body.read(&mut four) == 0 && !body.fill());
        }
        let [mut body, _] = bodies(&bytes);
        for position in [7, 3, 999_999, 1_000_000, 0, 16_000] {
            body.seek(position);
            let expected = &bytes[position as usize..(position as usize + 2).min(1_000_000)];
            assert_eq!(body.peek(2), expected);
            assert_eq!(body.position(), position);
        }
    }

    #[test]
    fn endless_reads_yield_and_can_be_cancelled() {
        let (pool, shared) = (Pool::new(1).unwrap(), Arc::<SourceState>::default());
        let ((sender, receiver), cancel) = (channel(), shared.clone());
        pool.start(|waker| {
            let task = DecodeContext { waker, shared, notifier: Arc::default() };
            move || sender.send(Body::new(Box::new(ReadOnlySource::new(io::repeat(0))), &task).skip(u64::MAX)).unwrap()
        });
        pool.start(|_| move || cancel.cancelled.store(true, Ordering::Release));
        assert!(receiver.recv_timeout(Duration::from_secs(60)).expect("it leaves") > 0);
    }

    #[test]
    fn long_searches_yield_and_see_cancellation() {
        let (task, input) = (context(), Box::new(Cursor::new(vec![1; 100_000])));
        let mut body = Body::new(input, &task);
        body.peek(50_000);
        assert!(body.yield_if_due() && body.buffered().len() >= 50_000);
        task.shared.cancelled.store(true, Ordering::Release);
        assert!(!body.yield_if_due());
        assert!(body.buffered().is_empty() && body.is_at_end() && body.failure().is_some());
    }

    #[test]
    fn rewinds_to_a_near_mark() {
        let bytes: Vec<u8> = (0..300_000).map(|n| (n % 251) as u8).collect();
        for mut body in bodies(&bytes) {
            let mut seven = [0; 7];
            body.skip(100);
            body.peek(50);
            body.mark();
            body.consume(20);
            body.read(&mut seven);
            body.skip(60_000);
            assert!(body.rewind() && body.position() == 100);
            assert_eq!(body.peek(70_000), &bytes[100..70_100]);
            assert!(!body.rewind(), "once");
            body.mark();
            body.skip(70_000);
            assert!(!body.rewind(), "too far");
            body.mark();
            body.clear_mark();
            assert!(!body.rewind());
        }
    }

    #[test]
    fn failed_reads_and_cancellation_look_like_the_end() {
        let input = Box::new(ReadOnlySource::new(Trickle(Cursor::new(vec![1; 10]), Some("gone"))));
        let mut body = Body::new(input, &context());
        assert_eq!(body.peek(100), [1; 10]);
        body.consume(10);
        assert!(body.is_at_end());
        assert_eq!(body.failure().unwrap().to_string(), "gone");

        let (task, input) = (context(), Box::new(Cursor::new(vec![1; 100_000])));
        let mut body = Body::new(input, &task);
        assert_eq!(body.peek(10), [1; 10]);
        task.shared.cancelled.store(true, Ordering::Release);
        let held = body.buffered().len();
        assert_eq!((body.skip(100_000), body.failure().is_some()), (held as u64, true));
    }
}
