//! A body in memory that grows while any number of readers read it, each at its own pace.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::bytes::Bytes;

use super::cache::Cache;
use super::decoded_body::DecodedBody;
use crate::error::{Code, Result, SpeakerError};

/// The size of a block. Nothing is allocated by a length that a server claims.
const BLOCK: usize = 64 << 10;

/// The readers' side of a body. Its share of the cache's room is given back when the last reader is gone.
pub struct CachedBody {
    cache: &'static Cache,
    blocks: Mutex<Blocks>,
    progress: watch::Receiver<Progress>,
    /// The rest of a body that became too long to be shared, for the first reader that gets there.
    rest: Mutex<Option<DecodedBody>>,
}

#[derive(Default)]
struct Blocks {
    full: Vec<Bytes>,
    last: Vec<u8>,
    /// The capacity of the last block.
    size: usize,
    /// The room that all blocks take.
    taken: u64,
}

#[derive(Clone, Default)]
struct Progress {
    length: u64,
    end: Option<End>,
}

#[derive(Clone)]
enum End {
    Whole,
    Failed(SpeakerError),
    /// The body became too long to be shared.
    Unshared,
}

/// The bytes at a position of a body.
pub enum CachedRead {
    Bytes(Bytes),
    End,
    /// The body is not shared from here on.
    Unshared,
}

/// The writer's side of a body. If it is dropped before the end, the readers get an error.
pub struct CachedBodyWriter {
    body: Arc<CachedBody>,
    progress: watch::Sender<Progress>,
    /// The expected length, if it is known.
    expected: Option<u64>,
    /// The greatest length.
    limit: u64,
}

impl CachedBody {
    /// Takes room for data kept beside it, as long as the body exists. Returns false if there is none.
    pub fn take_room(&self, bytes: u64) -> bool {
        let is_taken = self.cache.take_room(bytes);
        self.blocks.lock().taken += if is_taken { bytes } else { 0 };
        is_taken
    }

    /// Waits for the bytes at a position, which have arrived, or are the next that will.
    pub async fn read(&self, position: u64) -> Result<CachedRead> {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.length > position || progress.end.is_some()).await;
        let Progress { length, end } = reached.map(|progress| progress.clone()).map_err(|_| abandoned())?;
        match end {
            _ if length > position => Ok(CachedRead::Bytes(self.at(position))),
            None | Some(End::Whole) => Ok(CachedRead::End),
            Some(End::Failed(error)) => Err(error),
            Some(End::Unshared) => Ok(CachedRead::Unshared),
        }
    }

    /// Takes the rest, once.
    pub fn take_rest(&self) -> Option<DecodedBody> {
        self.rest.lock().take()
    }

    /// Returns the received bytes of a block from a position on.
    fn at(&self, position: u64) -> Bytes {
        let (block, offset) = ((position / BLOCK as u64) as usize, (position % BLOCK as u64) as usize);
        let blocks = self.blocks.lock();
        match blocks.full.get(block) {
            Some(full) => full.slice(offset..),
            None => Bytes::copy_from_slice(&blocks.last[offset..]),
        }
    }
}

impl Drop for CachedBody {
    fn drop(&mut self) {
        self.cache.give_back(self.blocks.get_mut().taken);
    }
}

impl CachedBodyWriter {
    /// Makes an empty body.
    pub fn new(cache: &'static Cache, expected: Option<u64>, limit: u64) -> Self {
        let (sender, progress) = watch::channel(Progress::default());
        let body = CachedBody { cache, blocks: Mutex::default(), progress, rest: Mutex::default() };
        Self { body: Arc::new(body), progress: sender, expected, limit }
    }

    pub fn body(&self) -> &Arc<CachedBody> {
        &self.body
    }

    /// Appends bytes. Returns the number for which there was room.
    pub fn add(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut blocks = self.body.blocks.lock();
            let room = blocks.size - blocks.last.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            blocks.last.extend_from_slice(now);
            drop(blocks);
            rest = later;
            if room == 0 && !self.make_block(bytes.len() - rest.len()) {
                break;
            }
        }
        let added = bytes.len() - rest.len();
        self.progress.send_modify(|progress| progress.length += added as u64);
        added
    }

    /// Makes a block, or enlarges the last one, behind `added` bytes that readers do not know of yet. Returns false if there is no room.
    fn make_block(&mut self, added: usize) -> bool {
        let length = self.progress.borrow().length + added as u64;
        let left = self.limit.saturating_sub(length);
        let expected = self.expected.map_or(0, |expected| expected.saturating_sub(length));
        let begun = (length % BLOCK as u64) as usize;
        let all = (BLOCK - begun) as u64;
        let more = if expected > 0 { expected.min(all) } else { all }.min(left);
        // It may evict other entries: not under the lock.
        if more == 0 || !self.body.cache.take_room(more) {
            return false;
        }
        let mut blocks = self.body.blocks.lock();
        if begun == 0 && length > 0 {
            let full = std::mem::take(&mut blocks.last);
            blocks.full.push(full.into());
        }
        blocks.last.reserve_exact(more as usize);
        blocks.size = begun + more as usize;
        blocks.taken += more;
        true
    }

    /// Gives back surplus room, once everything has arrived. Returns the length.
    pub fn shrink(&mut self) -> u64 {
        let mut blocks = self.body.blocks.lock();
        let surplus = blocks.size - blocks.last.len();
        blocks.last.shrink_to_fit();
        blocks.size -= surplus;
        blocks.taken -= surplus as u64;
        self.body.cache.give_back(surplus as u64);
        self.progress.borrow().length
    }

    /// Ends the body: everything has arrived.
    pub fn finish(self) {
        self.end(End::Whole);
    }

    /// Fails the body.
    pub fn fail(self, error: SpeakerError) {
        self.end(End::Failed(error));
    }

    /// Ends the sharing: the reader that gets here takes the rest.
    pub fn end_sharing(self, rest: DecodedBody) {
        *self.body.rest.lock() = Some(rest);
        self.end(End::Unshared);
    }

    fn end(self, end: End) {
        self.progress.send_modify(|progress| progress.end = Some(end));
    }
}

fn abandoned() -> SpeakerError {
    SpeakerError::new(Code::Internal, "the download that several playbacks share ended without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with this much room, for as long as the test runs.
    fn cache(max: u64) -> &'static Cache {
        let cache = Box::leak(Box::<Cache>::default());
        cache.set_max(max);
        cache
    }

    /// Reads all of a body that is there without waiting for more.
    async fn read(body: &CachedBody, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            let CachedRead::Bytes(bytes) = body.read(all.len() as u64).await.unwrap() else {
                panic!("bytes are there")
            };
            all.extend_from_slice(&bytes);
        }
        all
    }

    #[tokio::test]
    async fn reads_what_was_added_and_counts_it() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 77).map(|n| (n * 31 % 251) as u8).collect();
        for expected in [None, Some(bytes.len() as u64), Some(0), Some(BLOCK as u64 / 3)] {
            for size in [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, bytes.len()] {
                let cache = cache(u64::MAX / 2);
                let mut writer = CachedBodyWriter::new(cache, expected, u64::MAX);
                let body = writer.body().clone();
                let mut received = 0;
                for piece in bytes.chunks(size) {
                    assert_eq!(writer.add(piece), piece.len());
                    received += piece.len();
                    if size > 1 || received % 4_099 == 0 {
                        assert_eq!(read(&body, received).await, bytes[..received], "{expected:?}, {size}");
                    }
                    assert!(cache.usage().bytes >= received as u64);
                    assert!(cache.usage().bytes <= (received + BLOCK) as u64, "{expected:?}, {size}, {received}");
                }
                assert_eq!((writer.shrink(), cache.usage().bytes), (received as u64, received as u64));
                writer.finish();
                assert!(matches!(body.read(received as u64).await, Ok(CachedRead::End)));
                assert_eq!(read(&body, received).await, bytes);
                drop(body);
                assert_eq!(cache.usage().bytes, 0);
            }
        }
    }

    #[tokio::test]
    async fn stops_at_the_limit() {
        for (max, limit, expected) in [(1_000, 5_000, 1_000), (5_000, 1_000, 1_000), (100_000, 5_000, 5_000)] {
            let cache = cache(max);
            let mut writer = CachedBodyWriter::new(cache, None, limit);
            let added = writer.add(&[7; 50_000]);
            assert!(added <= expected && (added == expected || max < limit), "{max}, {limit}: {added}");
            assert!(cache.usage().bytes <= max);
        }
    }

    #[tokio::test]
    async fn readers_see_how_it_ended() {
        let cache = cache(1 << 20);
        let begin = || {
            let mut writer = CachedBodyWriter::new(cache, Some(10), 1_000);
            assert_eq!(writer.add(b"abc"), 3);
            let body = writer.body().clone();
            (writer, body)
        };
        let (writer, body) = begin();
        writer.fail(SpeakerError::new(Code::Truncated, "it broke"));
        assert!(matches!(body.read(0).await, Ok(CachedRead::Bytes(bytes)) if bytes == "abc"));
        assert!(matches!(body.read(3).await, Err(error) if error.code == Code::Truncated));
        let (writer, body) = begin();
        drop(writer);
        assert!(matches!(body.read(3).await, Err(error) if error.code == Code::Internal));
    }
}
