//! Whole files in memory. JavaScript may change its buffer at any time, so each is copied; but equal bytes share one copy, since ten
//! thousand requests of one buffer would take ten thousand copies.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Weak};

use once_cell::sync::Lazy;
use parking_lot::Mutex;

/// The number of bytes of a file that its hash covers; the rest is compared where the hashes are equal.
const LOOKED_AT: usize = 64;

/// The latest copy for each hash.
static COPIES: Lazy<Mutex<HashMap<u64, Weak<Copied>>>> = Lazy::new(Mutex::default);

/// A file in memory, shared by all that have the same bytes.
#[derive(Clone)]
pub struct MemoryFile(Arc<Copied>);

struct Copied {
    key: u64,
    bytes: Box<[u8]>,
}

impl MemoryFile {
    /// Returns the existing copy of `bytes`, or a new one.
    pub fn of(bytes: &[u8]) -> Self {
        let key = key(bytes);
        // Compared, and dropped, outside of the lock.
        let known = COPIES.lock().get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| *known.bytes == *bytes) {
            return Self(known);
        }
        let copied = Arc::new(Copied { key, bytes: bytes.into() });
        COPIES.lock().insert(key, Arc::downgrade(&copied));
        Self(copied)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let mut copies = COPIES.lock();
        // Another one with this hash may have come meanwhile.
        if copies.get(&self.key).is_some_and(|copied| copied.strong_count() == 0) {
            copies.remove(&self.key);
        }
    }
}

fn key(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_usize(bytes.len());
    let apart = bytes.len().div_ceil(LOOKED_AT).max(1);
    bytes.iter().step_by(apart).for_each(|byte| hasher.write_u8(*byte));
    hasher.finish()
}

impl AsRef<[u8]> for MemoryFile {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl std::fmt::Debug for MemoryFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} bytes", self.0.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_one(one: &MemoryFile, other: &MemoryFile) -> bool {
        Arc::ptr_eq(&one.0, &other.0)
    }

    #[test]
    fn equal_bytes_share_one_copy() {
        let mut bytes: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        let first = MemoryFile::of(&bytes);
        assert!(is_one(&first, &MemoryFile::of(&bytes)));
        // A byte that the hash does not cover.
        bytes[1] ^= 1;
        let other = MemoryFile::of(&bytes);
        assert_eq!(first.0.key, other.0.key);
        assert!(!is_one(&first, &other) && other.as_ref() == bytes && first.as_ref() != bytes);
        assert!(is_one(&other, &MemoryFile::of(&bytes)), "the latest of a key is known");
        let key = first.0.key;
        drop(first);
        assert!(is_one(&other, &MemoryFile::of(&bytes)), "the end of one is not that of the other");
        drop(other);
        assert!(!COPIES.lock().contains_key(&key));
    }

    #[test]
    fn short_files_are_distinguished() {
        let files = [&[][..], &[1], &[2], &[1, 2]];
        let copies = files.map(MemoryFile::of);
        assert!(copies.iter().zip(files).all(|(copy, file)| copy.as_ref() == file));
    }
}
