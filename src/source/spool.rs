//! The bytes between a download and its decoder: appended as they arrive, readable at any position that has arrived.
//!
//! The first bytes stay in memory, for readers that begin again. The others go through memory to a temporary file, on the threads of its
//! disk, and are read back as a file is. If there is no such file, or its disk is late, they stay in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use symphonia::core::io::MediaSource;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::fetch::{NowPlaying, RangeFetcher};
use super::read_ahead::{FileChunk, LaneFile, ReadAhead, seek_target, wait};
use super::ring::DecodeContext;
use super::spool_budget::SpoolBudget;
use crate::error::{Code, Result, SpeakerError};
use crate::runtime::{DISKS, Disk, Lane, Waker};

/// The most bytes of one source: five minutes of 48 kHz stereo in 32 bits are 115 MB.
const MAX_BYTES: u64 = 256 << 20;

/// The most bytes of a stream that can only be played once it is whole: an hour of AAC (128 kbit/s).
const MAX_HELD: u64 = 64 << 20;

/// The most bytes that a download may be ahead of the furthest reader: eight minutes of MP3 (128 kbit/s), most of a minute of a WAV (48
/// kHz, stereo). Most clips are shorter and are downloaded whole.
const AHEAD: u64 = 8 << 20;

/// The distance to the end of the received bytes below which a reader counts as waiting: a second or more.
const NEAR: u64 = 256 << 10;

/// The size of the head, which stays in memory.
const HEAD: u64 = 512 << 10;

/// The number of further bytes that are collected in memory and then written to the temporary file in one go.
const TAIL: u64 = 512 << 10;

/// The most bytes that a body without an end may be ahead, all of it in memory: half a minute of MP3 (256 kbit/s). It is sent at the speed
/// of playback, except for a few seconds at its start.
const AHEAD_LIVE: u64 = 1 << 20;

/// The most titles of a station that wait to be reported.
const MAX_TITLES: usize = 16;

/// The size of a block: all bytes behind the head are kept in blocks.
const BLOCK: usize = 64 << 10;

/// The size of a read from the temporary file, at first: reads wait behind writes.
const READ_BYTES: usize = 128 << 10;

/// The length of a body, as far as its server states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// Exactly this many bytes.
    Known(u64),
    /// A body that may have no end: once it exceeds the limit of a source, only the bytes still to be read are kept.
    Unknown,
    /// At most the limit of a source.
    Bounded,
    /// A body without an end: only the bytes still to be read are kept.
    Live,
}

impl BodyLength {
    /// Refuses more than the limit of a source.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Known(length) if length > MAX_BYTES => Err(too_large(length)),
            _ => Ok(()),
        }
    }
}

/// A growing body.
pub struct Spool {
    state: Mutex<State>,
    /// True if the body has an end, so that any position of it will arrive. Outside the lock, because sessions read it under theirs.
    is_seekable: AtomicBool,
    /// The number of bytes that the server announced.
    announced: OnceLock<u64>,
    /// The means to request any part of the body.
    ranges: OnceLock<RangeFetcher>,
    budget: &'static SpoolBudget,
    /// The longest wait for room while a reader waits for bytes.
    room_timeout: Duration,
    /// Notifies the download that there may be room.
    room_changed: Notify,
    /// For the threads of the disk, which must not keep a spool alive.
    weak_self: Weak<Self>,
}

struct State {
    head: Vec<u8>,
    disk: OnDisk,
    /// The blocks in memory, behind the head and the part on the disk.
    tail: VecDeque<Arc<Vec<u8>>>,
    /// The position of the tail's first byte.
    tail_from: u64,
    /// True if its length is unknown, so that it may become endless.
    may_be_endless: bool,
    /// True if bytes that were read are dropped, and nothing more is written to the disk.
    is_endless: bool,
    received: u64,
    /// Titles, each with the position where it begins.
    titles: VecDeque<(u64, NowPlaying)>,
    /// The furthest position that was read or asked for.
    furthest: u64,
    /// The number of decode tasks that wait for bytes.
    waiting_readers: usize,
    /// The number of decode tasks that read a separate range.
    range_readers: usize,
    /// True if all of it is needed before any of it can be played.
    is_wanted_whole: bool,
    /// The outcome, once no more comes: an error if the body is incomplete.
    end: Option<Result<()>>,
    content_type: Option<String>,
    /// The decode tasks that read it.
    tasks: Vec<Waker>,
}

/// The temporary file, and how much of the body it holds, behind the head.
#[derive(Default)]
struct OnDisk {
    /// Made with the first block that goes there.
    lane: Option<Arc<Lane<LaneFile>>>,
    length: u64,
    is_writing: bool,
    /// True after a failed write: nothing more goes there.
    has_failed: bool,
}

/// The distance ahead of the received bytes up to which a reader waits instead of requesting the position separately: less than a second,
/// at the speed of a download for which a separate request pays off.
const WAIT_DISTANCE: u64 = 512 << 10;

/// The most ranges of a body that one reader requests: a file that needs more leads around in circles, and its reader waits instead.
const MAX_RANGES: u32 = 32;

/// The bytes at a position in the body.
enum Lookup {
    /// This many bytes were copied.
    Bytes(usize),
    /// They are in the temporary file, which holds the body up to this position.
    OnDisk(Arc<Lane<LaneFile>>, u64),
    /// They have not arrived yet.
    Pending,
    End(Result<()>),
}

impl Default for State {
    fn default() -> Self {
        Self {
            head: Vec::new(),
            disk: OnDisk::default(),
            tail: VecDeque::new(),
            tail_from: HEAD,
            may_be_endless: false,
            is_endless: false,
            received: 0,
            titles: VecDeque::new(),
            furthest: 0,
            waiting_readers: 0,
            range_readers: 0,
            is_wanted_whole: false,
            end: None,
            content_type: None,
            tasks: Vec::new(),
        }
    }
}

impl State {
    /// Returns the position before which everything was dropped: the head and the part on the disk at once, and then block by block.
    fn kept_from(&self) -> u64 {
        let is_gone = self.is_endless && self.head.is_empty() && self.disk.lane.is_none();
        if is_gone { self.tail_from } else { 0 }
    }

    /// Drops bytes that were read. Returns their number.
    fn drop_read(&mut self) -> u64 {
        let before = self.kept_from();
        if !self.is_endless || self.disk.is_writing {
            return 0;
        }
        let Some(read) = self.furthest.checked_sub(BLOCK as u64) else { return 0 };
        if read < self.tail_from {
            return 0;
        }
        (self.head, self.disk.lane) = (Vec::new(), None);
        while self.tail.front().is_some_and(|block| block.len() == BLOCK) && read >= self.tail_from + BLOCK as u64 {
            self.tail.pop_front();
            self.tail_from += BLOCK as u64;
        }
        self.kept_from() - before
    }

    fn find(&self, position: u64, buffer: &mut [u8]) -> Lookup {
        let bytes = match position {
            _ if position >= self.received => return self.end.clone().map_or(Lookup::Pending, Lookup::End),
            _ if position < self.kept_from() => return Lookup::End(Err(no_longer_kept())),
            _ if position < self.head.len() as u64 => &self.head[position as usize..],
            _ => match position.checked_sub(self.tail_from) {
                Some(behind) => &self.tail[behind as usize / BLOCK][behind as usize % BLOCK..],
                None => {
                    let lane = self.disk.lane.clone().expect("something is there");
                    return Lookup::OnDisk(lane, self.tail_from);
                }
            },
        };
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Lookup::Bytes(length)
    }

    /// Returns true if a reader is waiting, or will be soon.
    fn is_waited_for(&self) -> bool {
        self.is_wanted_whole || self.received.saturating_sub(self.furthest) < NEAR
    }

    /// Returns the number of bytes that may arrive now, the budget aside. Unless a reader waits, the download goes no further ahead and
    /// waits for the disk.
    fn room(&self) -> u64 {
        // Every reader reads a separate range.
        if self.range_readers > 0 && self.range_readers >= self.tasks.len() && !self.is_wanted_whole {
            return 0;
        }
        if self.is_waited_for() {
            return u64::MAX;
        }
        if self.is_endless {
            return AHEAD_LIVE.saturating_sub(self.received - self.furthest);
        }
        let in_memory = self.received.saturating_sub(self.tail_from);
        let of_disk = if self.disk.is_writing { (2 * TAIL).saturating_sub(in_memory) } else { u64::MAX };
        AHEAD.saturating_sub(self.received - self.furthest).min(of_disk)
    }

    fn append(&mut self, mut chunk: &[u8]) {
        self.received += chunk.len() as u64;
        let has_head = self.kept_from() == 0 && self.tail_from >= HEAD;
        let room = if has_head { HEAD as usize - self.head.len() } else { 0 };
        let to_head = chunk.len().min(room);
        self.head.extend_from_slice(&chunk[..to_head]);
        chunk = &chunk[to_head..];
        while !chunk.is_empty() {
            if self.tail.back().is_none_or(|block| block.len() == BLOCK) {
                self.tail.push_back(Arc::new(Vec::with_capacity(BLOCK)));
            }
            let block = self.tail.back_mut().and_then(Arc::get_mut).expect("only full ones are being written");
            let length = chunk.len().min(BLOCK - block.len());
            block.extend_from_slice(&chunk[..length]);
            chunk = &chunk[length..];
        }
    }

    /// Returns the full blocks.
    fn full(&self) -> Vec<Arc<Vec<u8>>> {
        self.tail.iter().filter(|block| block.len() == BLOCK).cloned().collect()
    }
}

impl Spool {
    /// Makes an empty spool. Its bytes count against `budget`; while a reader waits, the download waits `room_timeout` for room there.
    pub fn new(budget: &'static SpoolBudget, room_timeout: Duration) -> Arc<Self> {
        Arc::new_cyclic(|weak_self| Self {
            state: Mutex::default(),
            is_seekable: AtomicBool::new(true),
            announced: OnceLock::new(),
            ranges: OnceLock::new(),
            budget,
            room_timeout,
            room_changed: Notify::new(),
            weak_self: weak_self.clone(),
        })
    }

    /// Sets the media type that the server gave; called before the first byte.
    pub fn set_content_type(&self, content_type: Option<String>) {
        self.state.lock().content_type = content_type;
    }

    pub fn content_type(&self) -> Option<String> {
        self.state.lock().content_type.clone()
    }

    /// Sets the length of the body, or refuses it; a body without a length may have no end. Called before the first byte.
    pub fn announce(&self, body_length: BodyLength) -> Result<()> {
        self.is_seekable.store(matches!(body_length, BodyLength::Known(_)), Ordering::Release);
        if let BodyLength::Known(length) = body_length {
            let _ = self.announced.set(length);
        }
        let mut state = self.state.lock();
        state.may_be_endless = body_length == BodyLength::Unknown;
        if body_length == BodyLength::Live {
            (state.is_endless, state.tail_from) = (true, 0);
        }
        body_length.check()
    }

    /// Sets the means to request any part of the body. Called before the first byte.
    pub fn set_range_fetcher(&self, ranges: RangeFetcher) {
        let _ = self.ranges.set(ranges);
    }

    /// Adds metadata that applies to the bytes that follow.
    pub fn push_metadata(&self, metadata: NowPlaying) {
        let mut state = self.state.lock();
        if state.titles.len() == MAX_TITLES {
            state.titles.pop_front();
        }
        let position = state.received;
        state.titles.push_back((position, metadata));
    }

    /// Takes the next metadata, if it applies at or before a position.
    pub fn take_metadata(&self, position: u64) -> Option<NowPlaying> {
        let mut state = self.state.lock();
        match state.titles.front() {
            Some((begins, _)) if *begins <= position => state.titles.pop_front().map(|(_, metadata)| metadata),
            _ => None,
        }
    }

    /// Returns true if it has an end, so that any position of it will arrive.
    pub fn is_seekable(&self) -> bool {
        self.is_seekable.load(Ordering::Acquire)
    }

    /// Returns the number of bytes that the server announced, if it did.
    pub fn announced(&self) -> Option<u64> {
        self.announced.get().copied()
    }

    /// Appends received bytes, as soon as there is room for them.
    pub async fn append(&self, mut chunk: &[u8]) -> Result<()> {
        while !chunk.is_empty() {
            let (piece, rest) = chunk.split_at(self.take_room(chunk.len()).await?);
            let mut state = self.state.lock();
            state.append(piece);
            state.tasks.iter().for_each(Waker::wake);
            drop(state);
            self.write_out();
            chunk = rest;
        }
        Ok(())
    }

    /// Appends bytes of a body that can only be read once it is whole, if there is room for them at once.
    pub fn append_at_once(&self, chunk: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        let length = chunk.len() as u64;
        if state.received + length > MAX_HELD {
            let message = format!(
                "Expected at most {MAX_HELD} bytes before the index of an MP4 that is written to a stream but received more"
            );
            return Err(SpeakerError::new(Code::SourceTooLarge, message));
        }
        let taken = self.budget.take(length, state.received < AHEAD);
        if taken < length {
            self.budget.give_back(taken);
            return Err(self.full());
        }
        state.is_wanted_whole = true;
        state.append(chunk);
        drop(state);
        self.write_out();
        Ok(())
    }

    /// Waits for room for at least some of the `wanted` bytes.
    async fn take_room(&self, wanted: usize) -> Result<usize> {
        let mut until = None;
        loop {
            let (room_changed, freed) = (self.room_changed.notified(), self.budget.freed());
            tokio::pin!(freed);
            // Notifications count from here on.
            freed.as_mut().enable();
            let is_starving = {
                let mut state = self.state.lock();
                if let Some(Err(error)) = &state.end {
                    return Err(error.clone());
                }
                state.is_endless |= state.may_be_endless && state.received + wanted as u64 > MAX_BYTES;
                // A body without an end can't be waited for.
                let is_kept = !state.is_endless || state.is_wanted_whole;
                if is_kept && (state.is_endless || state.received + wanted as u64 > MAX_BYTES) {
                    return Err(too_large("more"));
                }
                let is_small = state.is_waited_for() && state.received - state.kept_from() < AHEAD;
                match self.budget.take(state.room().min(wanted as u64), is_small) {
                    0 => state.waiting_readers > 0,
                    taken => return Ok(taken as usize),
                }
            };
            until = is_starving.then(|| until.unwrap_or_else(|| Instant::now() + self.room_timeout));
            let late = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = room_changed => {}
                () = freed => {}
                () = late => return Err(self.full()),
            }
        }
    }

    fn full(&self) -> SpeakerError {
        let (max, waited) = (self.budget.max(), self.room_timeout.as_millis());
        let message = format!(
            "Expected room for audio within the {max} bytes of all downloads (maxSpoolBytes) but received none for {waited} ms"
        );
        SpeakerError::new(Code::SpoolFull, message)
    }

    /// Starts to write the full blocks to the temporary file, if they are enough for a call and none is under way.
    fn write_out(&self) {
        let mut state = self.state.lock();
        let OnDisk { is_writing, has_failed, .. } = state.disk;
        if is_writing || has_failed || state.is_endless || state.received.saturating_sub(state.tail_from) < TAIL {
            return;
        }
        state.disk.is_writing = true;
        let lane = state.disk.lane.clone();
        drop(state);
        let lane = lane.unwrap_or_else(|| Arc::new(DISKS.lane(Disk::of(&std::env::temp_dir()), None)));
        self.state.lock().disk.lane.get_or_insert_with(|| lane.clone());
        let this = self.weak_self.clone();
        lane.call(move |file| {
            // The spool is held only during this look: a hanging disk keeps nothing alive but the blocks that it writes.
            let look = |spool: Arc<Self>| {
                let state = spool.state.lock();
                (state.disk.length, state.full())
            };
            let Some((length, blocks)) = this.upgrade().map(look) else { return };
            let result = write(file, length, &blocks);
            if let Some(spool) = this.upgrade() {
                spool.written(blocks.len(), &result);
            }
        });
    }

    /// Notes the result of a write: this many blocks are in the temporary file, or none because of an error.
    fn written(&self, blocks: usize, result: &io::Result<()>) {
        let mut state = self.state.lock();
        state.disk.is_writing = false;
        match result {
            Ok(()) => {
                state.tail.drain(..blocks);
                state.disk.length += (blocks * BLOCK) as u64;
                state.tail_from += (blocks * BLOCK) as u64;
            }
            Err(error) => {
                tracing::warn!(%error, "no temporary file for a download: it stays in memory");
                state.disk.has_failed = true;
            }
        }
        drop(state);
        self.write_out();
        self.room_changed.notify_one();
    }

    /// Ends the body; the first call counts.
    pub fn finish(&self, result: Result<()>) {
        let mut state = self.state.lock();
        if result.is_ok() && !state.is_endless {
            self.is_seekable.store(true, Ordering::Release);
        }
        state.end.get_or_insert(result);
        state.tasks.iter().for_each(Waker::wake);
    }

    /// Adds a decode task, to be woken at every piece and at the end.
    pub fn attach(&self, task: &Waker) {
        self.state.lock().tasks.push(task.clone());
    }

    pub fn detach(&self, task: &Waker) {
        self.state.lock().tasks.retain(|other| other != task);
    }

    /// Returns the reason why the body is incomplete, if it is.
    pub fn failure(&self) -> Option<SpeakerError> {
        self.state.lock().end.clone()?.err()
    }

    /// Returns true if the whole body has arrived.
    pub fn is_complete(&self) -> bool {
        matches!(self.state.lock().end, Some(Ok(())))
    }

    /// Notes that a decode task has reached a position.
    fn note_reached(&self, position: u64) {
        let mut state = self.state.lock();
        if position > state.furthest {
            state.furthest = position;
            let freed = state.drop_read();
            drop(state);
            if freed > 0 {
                self.budget.give_back(freed);
            }
            self.room_changed.notify_one();
        }
    }

    /// Fails a body without an end that gave no sound within the limit of a source: it would be downloaded for ever.
    fn check_sound(&self, position: u64, task: &DecodeContext) -> io::Result<()> {
        if position <= MAX_BYTES || task.shared.has_sounded.load(Ordering::Relaxed) {
            return Ok(());
        }
        let message = format!("Expected sound within the first {MAX_BYTES} bytes of audioUrl but received none");
        let error = SpeakerError::new(Code::SourceTooLarge, message);
        let mut state = self.state.lock();
        // The bytes so far may be all of it: it is refused as it would be with an announced length.
        if !matches!(state.end, Some(Err(_))) {
            state.end = Some(Err(error.clone()));
        }
        drop(state);
        self.room_changed.notify_one();
        Err(io::Error::other(error))
    }

    /// Waits for more bytes, and notifies the download of the wait.
    fn wait_for_more(&self, task: &DecodeContext) -> io::Result<()> {
        let count = |change: fn(&mut usize)| {
            change(&mut self.state.lock().waiting_readers);
            self.room_changed.notify_one();
        };
        count(|waiting_readers| *waiting_readers += 1);
        let result = wait(task);
        count(|waiting_readers| *waiting_readers -= 1);
        result
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        self.budget.give_back(state.received - state.kept_from());
    }
}

fn no_longer_kept() -> SpeakerError {
    let message = "Expected audioUrl to be played on but received another place, and of what has no end none is kept";
    SpeakerError::new(Code::NotSeekable, message)
}

fn too_large(received: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(
        Code::SourceTooLarge,
        format!("Expected at most {MAX_BYTES} bytes for audioUrl but received {received}"),
    )
}

/// Writes blocks behind the first `length` bytes of the temporary file, which is made if there is none.
fn write(file: &mut LaneFile, length: u64, blocks: &[Arc<Vec<u8>>]) -> io::Result<()> {
    let mut file: &File = match file {
        Some(file) => file,
        // The file has no name, so that nothing is left of it, however the process ends.
        None => file.insert(Arc::new(tempfile::tempfile()?)),
    };
    file.seek(SeekFrom::Start(length))?;
    // One call for all, if the disk takes it.
    let mut all: Vec<IoSlice<'_>> = blocks.iter().map(|block| IoSlice::new(block)).collect();
    let mut rest = all.as_mut_slice();
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A reader of a [`Spool`] on the decode pool, which suspends the decode task until the bytes arrive.
pub struct SpoolReader {
    spool: Arc<Spool>,
    position: u64,
    task: DecodeContext,
    /// The reader of the temporary file.
    file: Option<ReadAhead>,
    /// Set once, before the demuxer opens: it must not meet a source that becomes seekable under it, or the same body would be read in two
    /// ways, depending on the speed of the download.
    seekable: bool,
    /// The range that was last requested, if any, and the number of further ones allowed.
    range: Option<RangeReader>,
    ranges_left: u32,
}

/// A reader of a body from a position on, which is requested separately.
struct RangeReader {
    from: u64,
    reader: Box<SpoolReader>,
    download: AbortHandle,
    /// True while the reader reads from it, and not from the main download.
    is_read: bool,
}

impl RangeReader {
    fn open(ranges: &RangeFetcher, from: u64, whole: &Spool, task: &DecodeContext) -> Self {
        let spool = Spool::new(whole.budget, whole.room_timeout);
        spool.attach(&task.waker);
        let download = ranges.start(from, spool.clone());
        Self { from, reader: Box::new(SpoolReader::new(spool, task)), download, is_read: false }
    }

    /// Returns true if a position of the body is in it, or will arrive soon.
    fn has(&self, position: u64) -> bool {
        let received = self.reader.spool.state.lock().received;
        (self.from..=self.from + received + WAIT_DISTANCE).contains(&position)
    }
}

impl Drop for RangeReader {
    fn drop(&mut self) {
        self.download.abort();
        self.reader.spool.detach(&self.reader.task.waker);
    }
}

impl Drop for SpoolReader {
    fn drop(&mut self) {
        self.use_range(false);
    }
}

impl SpoolReader {
    pub fn new(spool: Arc<Spool>, task: &DecodeContext) -> Self {
        let (file, range) = (None, None);
        Self { spool, position: 0, task: task.clone(), file, seekable: false, range, ranges_left: MAX_RANGES }
    }

    /// Makes any position of it readable: late ones are requested separately. Returns false if the server does not support that.
    pub fn enable_ranges(&mut self) -> bool {
        self.seekable = self.spool.ranges.get().is_some();
        self.seekable
    }

    /// Switches to the range, or back.
    fn use_range(&mut self, is_read: bool) {
        if let Some(range) = self.range.as_mut().filter(|range| range.is_read != is_read) {
            range.is_read = is_read;
            let mut state = self.spool.state.lock();
            state.range_readers = if is_read { state.range_readers + 1 } else { state.range_readers - 1 };
            drop(state);
            self.spool.room_changed.notify_one();
        }
    }

    /// Reads from a separate range at a position that the main download has not reached and will not reach soon; `None` where the reader
    /// waits for the main download instead.
    fn read_range(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let spool = self.spool.clone();
        let ranges = spool.ranges.get().filter(|_| self.seekable)?;
        if self.position >= ranges.total {
            return Some(Ok(0));
        }
        if self.range.as_ref().is_none_or(|range| !range.has(self.position)) {
            let received = spool.state.lock().received;
            if self.position < received.saturating_add(WAIT_DISTANCE) {
                return None;
            }
            self.ranges_left = self.ranges_left.checked_sub(1)?;
            self.use_range(false);
            tracing::debug!(position = self.position, "asked for a part of audioUrl");
            self.range = Some(RangeReader::open(ranges, self.position, &spool, &self.task));
        }
        self.use_range(true);
        let range = self.range.as_mut()?;
        range.reader.position = self.position - range.from;
        match range.reader.read(buffer) {
            Err(error) if range.reader.spool.state.lock().received == 0 && self.task.check().is_ok() => {
                // The main download will bring it too.
                tracing::debug!(%error, "no part of audioUrl");
                self.use_range(false);
                (self.range, self.ranges_left) = (None, 0);
                None
            }
            read => Some(read),
        }
    }

    /// Waits for the first byte; returns false if the body has none.
    pub fn wait_for_bytes(&mut self) -> io::Result<bool> {
        let mut first = [0];
        let read = self.read(&mut first)?;
        self.position = 0;
        Ok(read > 0)
    }

    /// Waits for the whole body; from then on any position of it can be read.
    pub fn wait_until_complete(&mut self) -> io::Result<()> {
        self.spool.state.lock().is_wanted_whole = true;
        while !self.spool.is_complete() {
            if let Some(error) = self.spool.failure() {
                return Err(io::Error::other(error));
            }
            self.spool.wait_for_more(&self.task)?;
        }
        self.seekable = true;
        Ok(())
    }

    /// Reads from the temporary file.
    fn read_back(&mut self, lane: Arc<Lane<LaneFile>>, end: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let position = self.position - HEAD;
        match self.file(lane).read(position, end - HEAD, buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// Starts to read the bytes behind the head, if they are in the temporary file, before the head is played to its end.
    fn look_ahead(&mut self) {
        if !(HEAD / 2..HEAD).contains(&self.position) {
            return;
        }
        let behind = self.spool.state.lock().find(HEAD, &mut []);
        if let Lookup::OnDisk(lane, end) = behind {
            self.file(lane).start_read(0, end - HEAD);
        }
    }

    /// Returns its length, as far as that is known.
    fn length(&self) -> u64 {
        self.spool.announced().unwrap_or_else(|| self.spool.state.lock().received)
    }

    fn file(&mut self, lane: Arc<Lane<LaneFile>>) -> &mut ReadAhead {
        self.file.get_or_insert_with(|| ReadAhead::new(lane, &self.task, FileChunk::default(), READ_BYTES))
    }
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            let found = self.spool.state.lock().find(self.position, buffer);
            match found {
                Lookup::Bytes(read) => break read,
                Lookup::OnDisk(lane, end) => break self.read_back(lane, end, buffer)?,
                Lookup::Pending => match self.read_range(buffer) {
                    Some(read) => {
                        let read = read?;
                        self.position += read as u64;
                        return Ok(read);
                    }
                    None => {
                        self.use_range(false);
                        self.spool.note_reached(self.position);
                        self.spool.wait_for_more(&self.task)?;
                    }
                },
                Lookup::End(result) => break result.map(|()| 0).map_err(io::Error::other)?,
            }
        };
        self.position += read as u64;
        self.use_range(false);
        self.spool.note_reached(self.position);
        self.spool.check_sound(self.position, &self.task)?;
        self.look_ahead();
        Ok(read)
    }
}

impl Seek for SpoolReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = seek_target(to, self.position, || self.length())?;
        Ok(self.position)
    }
}

impl MediaSource for SpoolReader {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.seekable.then(|| self.length())
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_ahead::tests::{SOON, bytes, decode};
    use super::*;
    use crate::runtime::FETCHES;
    use std::fs::OpenOptions;
    use std::path::Path;
    use std::sync::mpsc::{Receiver, channel};

    const LONG: usize = 20 << 20;
    /// The time after which a download counts as stopped.
    const QUIET: Duration = Duration::from_millis(200);

    fn spool(max: u64) -> Arc<Spool> {
        Spool::new(Box::leak(Box::new(SpoolBudget::new(max))), QUIET)
    }

    /// Downloads a body in pieces. Returns a receiver of the outcome.
    fn fill(spool: &Arc<Spool>, body: Vec<u8>) -> Receiver<Result<()>> {
        let (sender, end) = channel();
        let spool = spool.clone();
        FETCHES.spawn(async move {
            let mut result = Ok(());
            for chunk in body.chunks(100_000) {
                result = spool.append(chunk).await;
                if result.is_err() {
                    break;
                }
            }
            spool.finish(result.clone());
            let _ = sender.send(result);
        });
        end
    }

    /// Reads `length` bytes from the start on, or all. Returns them, and the error that ended them, if any.
    fn read(spool: &Arc<Spool>, length: u64) -> Receiver<(Vec<u8>, Option<String>)> {
        let spool = spool.clone();
        let (_, read) = decode(move |task| {
            spool.attach(&task.waker);
            let mut bytes = Vec::new();
            let result = SpoolReader::new(spool.clone(), task).take(length).read_to_end(&mut bytes);
            spool.detach(&task.waker);
            (bytes, result.err().map(|error| error.to_string()))
        });
        read
    }

    fn received(spool: &Spool) -> u64 {
        spool.state.lock().received
    }

    /// Waits until the download stops. Returns the number of bytes received.
    fn settled(spool: &Spool) -> u64 {
        loop {
            let before = received(spool);
            std::thread::sleep(QUIET);
            if before > 0 && received(spool) == before {
                return before;
            }
        }
    }

    #[test]
    fn limits_how_far_downloads_run_ahead() {
        let (spool, body) = (spool(1 << 30), bytes(LONG));
        let end = fill(&spool, body.clone());
        assert_eq!(settled(&spool), AHEAD, "nobody reads it yet");
        assert_eq!(read(&spool, 1 << 20).recv_timeout(SOON).unwrap().0.len(), 1 << 20);
        assert_eq!(settled(&spool), AHEAD + (1 << 20));
        let state = spool.state.lock();
        let in_memory = state.head.len() + state.tail.iter().map(|block| block.capacity()).sum::<usize>();
        assert!(state.disk.length > 7 << 20 && in_memory <= 1 << 20, "{in_memory} bytes are in memory");
        drop(state);
        let readers: Vec<_> = (0..3).map(|_| read(&spool, u64::MAX)).collect();
        for reader in readers {
            assert!(reader.recv_timeout(SOON).unwrap() == (body.clone(), None), "the body came back changed");
        }
        end.recv_timeout(SOON).unwrap().unwrap();
        assert_eq!(spool.budget.used(), LONG as u64);
        let budget = spool.budget;
        drop(spool);
        let late = Instant::now() + SOON;
        while budget.used() > 0 {
            assert!(Instant::now() < late, "it is not given back");
            std::thread::yield_now();
        }
    }

    #[test]
    fn reads_any_position_of_a_whole_body() {
        let (spool, body) = (spool(1 << 30), bytes(LONG));
        let end = fill(&spool, body.clone());
        let (waited, expected) = (spool.clone(), body);
        let (_, read) = decode(move |task| {
            waited.attach(&task.waker);
            let mut reader = SpoolReader::new(waited, task);
            reader.wait_until_complete().unwrap();
            assert!(reader.is_seekable() && reader.byte_len() == Some(LONG as u64));
            let mut some = [0; 1_000];
            let positions = [LONG - 1_000, 0, HEAD as usize - 500, LONG / 2, HEAD as usize, LONG / 2 - 1_500];
            for position in positions {
                reader.seek(SeekFrom::Start(position as u64)).unwrap();
                reader.read_exact(&mut some).unwrap();
                assert!(some == expected[position..][..1_000], "from {position}");
            }
        });
        read.recv_timeout(SOON).expect("it is read");
        end.recv_timeout(SOON).unwrap().unwrap();
    }

    #[test]
    fn keeps_the_body_in_memory_without_a_disk() {
        let (spool, body) = (spool(1 << 30), bytes(LONG));
        // The answer of a full disk.
        if let Ok(full) = OpenOptions::new().write(true).open("/dev/full") {
            let lane = DISKS.lane(Disk::of(Path::new("/dev")), Some(Arc::new(full)));
            spool.state.lock().disk.lane = Some(Arc::new(lane));
        }
        let end = fill(&spool, body.clone());
        assert!(read(&spool, u64::MAX).recv_timeout(SOON).unwrap() == (body, None), "the body came back changed");
        end.recv_timeout(SOON).unwrap().unwrap();
    }

    #[test]
    fn hanging_disk_pauses_only_unawaited_downloads() {
        let (spool, body, (hold, held)) = (spool(1 << 30), bytes(LONG), channel::<()>());
        let lane = DISKS.lane(Disk::of(Path::new("/")), None);
        lane.call(move |_| _ = held.recv());
        spool.state.lock().disk.lane = Some(Arc::new(lane));
        let end = fill(&spool, body.clone());
        assert_eq!(settled(&spool), HEAD + 2 * TAIL);
        assert!(read(&spool, u64::MAX).recv_timeout(SOON).unwrap() == (body, None), "the body came back changed");
        end.recv_timeout(SOON).unwrap().unwrap();
        drop(hold);
    }

    #[test]
    fn starving_reader_fails_without_budget() {
        let first = spool(4 << 20);
        let budget = first.budget;
        let _end = fill(&first, bytes(LONG));
        assert_eq!(settled(&first), 3 << 20, "the last fourth is kept");
        let second = Spool::new(budget, QUIET);
        let (end, body) = (fill(&second, bytes(LONG)), bytes(LONG));
        let (heard, error) = read(&second, u64::MAX).recv_timeout(SOON).unwrap();
        assert!(heard == body[..1 << 20], "{} bytes came", heard.len());
        assert!(error.unwrap().contains("4194304 bytes of all downloads (maxSpoolBytes)"));
        assert_eq!(end.recv_timeout(SOON).unwrap().unwrap_err().code, Code::SpoolFull);
        assert_eq!(settled(&first), 3 << 20, "it was not touched");
        drop(second);
        budget.set_max(1 << 30);
        assert!(settled(&first) >= AHEAD);
    }

    #[test]
    fn large_downloads_leave_room_for_small_ones() {
        let large = spool(16 << 20);
        let (end, heard) = (fill(&large, bytes(13 << 20)), read(&large, u64::MAX));
        assert_eq!(end.recv_timeout(SOON).unwrap().unwrap_err().code, Code::SpoolFull);
        assert_eq!(heard.recv_timeout(SOON).unwrap().0.len(), 12 << 20);
        let small = Spool::new(large.budget, SOON);
        let (end, heard) = (fill(&small, bytes(5 << 20)), read(&small, u64::MAX));
        assert_eq!(settled(&small), 4 << 20);
        drop(large);
        assert!(heard.recv_timeout(SOON).unwrap() == (bytes(5 << 20), None));
        end.recv_timeout(SOON).unwrap().unwrap();
    }

    #[test]
    fn limits_bodies_that_are_needed_whole() {
        let (spool, body) = (spool(1 << 30), bytes(3 << 20));
        body.chunks(10_000).for_each(|chunk| spool.append_at_once(chunk).unwrap());
        spool.finish(Ok(()));
        assert!(read(&spool, u64::MAX).recv_timeout(SOON).unwrap() == (body, None));
        let more = vec![0; MAX_HELD as usize - (3 << 20) + 1];
        assert_eq!(spool.append_at_once(&more).unwrap_err().code, Code::SourceTooLarge);
        let small = Spool::new(spool.budget, QUIET);
        small.budget.set_max(3 << 20);
        assert_eq!(small.append_at_once(&more[..1_000]).unwrap_err().code, Code::SpoolFull);
        assert_eq!(small.state.lock().received, 0);
    }

    #[test]
    fn keeps_only_unread_bytes_of_endless_bodies() {
        let (spool, body) = (spool(1 << 30), bytes(LONG));
        spool.announce(BodyLength::Live).unwrap();
        let end = fill(&spool, body.clone());
        assert_eq!(settled(&spool), AHEAD_LIVE, "nobody reads it yet");
        assert!(read(&spool, u64::MAX).recv_timeout(SOON).unwrap() == (body, None));
        end.recv_timeout(SOON).unwrap().unwrap();
        let state = spool.state.lock();
        assert!(state.disk.lane.is_none() && state.head.is_empty() && state.tail.len() <= 3);
        drop(state);
        assert!(spool.budget.used() <= 3 * BLOCK as u64);
        assert!(!spool.is_seekable());
        let (heard, error) = read(&spool, u64::MAX).recv_timeout(SOON).unwrap();
        assert!(heard.is_empty() && error.unwrap().contains("of what has no end none is kept"));
        let budget = spool.budget;
        drop(spool);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn refuses_endless_bodies_without_sound() {
        for sounds in [false, true] {
            let (spool, body) = (spool(1 << 30), bytes(LONG));
            spool.announce(BodyLength::Live).unwrap();
            // As if this much had arrived before.
            let before = MAX_BYTES - (LONG as u64) / 2;
            let mut state = spool.state.lock();
            (state.received, state.tail_from, state.furthest) = (before, before, before);
            drop(state);
            let end = fill(&spool, body.clone());
            let reader = spool.clone();
            let (_, read) = decode(move |task| {
                reader.attach(&task.waker);
                if sounds {
                    task.note_sound();
                }
                let mut bytes = Vec::new();
                let mut reader = SpoolReader::new(reader.clone(), task);
                reader.position = before;
                (reader.read_to_end(&mut bytes).err().map(|error| error.to_string()), bytes)
            });
            let (error, heard) = read.recv_timeout(SOON).unwrap();
            let end = end.recv_timeout(SOON).unwrap();
            spool.state.lock().received -= before;
            if sounds {
                assert!(error.is_none() && end.is_ok() && heard == body);
            } else {
                assert!(error.unwrap().contains("sound within the first 268435456 bytes"));
                assert_eq!(end.unwrap_err().code, Code::SourceTooLarge, "the download ended");
                assert!(heard.len() <= LONG / 2 + 1 && spool.failure().is_some());
            }
        }
    }

    #[test]
    fn refuses_to_wait_for_endless_bodies() {
        let spool = spool(1 << 30);
        spool.announce(BodyLength::Live).unwrap();
        let end = fill(&spool, bytes(LONG));
        let waiting = spool.clone();
        let (_, waited) = decode(move |task| {
            waiting.attach(&task.waker);
            SpoolReader::new(waiting.clone(), task).wait_until_complete().is_err()
        });
        assert!(waited.recv_timeout(SOON).unwrap());
        assert_eq!(end.recv_timeout(SOON).unwrap().unwrap_err().code, Code::SourceTooLarge);
    }

    #[test]
    fn returns_metadata_at_its_position() {
        let spool = spool(1 << 30);
        let said = |n: usize| NowPlaying { title: Some(n.to_string()), ..NowPlaying::default() };
        spool.push_metadata(said(0));
        FETCHES.block_on(spool.append(b"abc")).unwrap();
        spool.push_metadata(said(1));
        assert_eq!(spool.take_metadata(2), Some(said(0)));
        assert_eq!(spool.take_metadata(2), None);
        assert_eq!(spool.take_metadata(3), Some(said(1)));
        (0..100).for_each(|n| spool.push_metadata(said(n)));
        assert_eq!(spool.take_metadata(3), Some(said(100 - MAX_TITLES)), "the latest are kept");
    }

    #[test]
    fn delivers_received_bytes_before_the_failure() {
        let spool = spool(1 << 30);
        FETCHES.block_on(spool.append(b"abc")).unwrap();
        spool.finish(Err(SpeakerError::new(Code::Truncated, "cut")));
        assert_eq!(read(&spool, u64::MAX).recv_timeout(SOON).unwrap(), (b"abc".to_vec(), Some("cut".to_owned())));
        assert_eq!(spool.failure().unwrap().code, Code::Truncated);
    }

    #[test]
    fn refuses_bodies_beyond_the_limit() {
        let spool = spool(1 << 30);
        assert_eq!(spool.announce(BodyLength::Known(MAX_BYTES + 1)).unwrap_err().code, Code::SourceTooLarge);
        spool.announce(BodyLength::Bounded).unwrap();
        assert!(!spool.is_seekable());
        spool.announce(BodyLength::Known(MAX_BYTES)).unwrap();
        spool.state.lock().received = MAX_BYTES;
        assert_eq!(FETCHES.block_on(spool.append(b"x")).unwrap_err().code, Code::SourceTooLarge);
        spool.state.lock().received = 0;
    }
}
