//! A cache of encoded clips: a clip that plays alone is encoded once for all tracks.
//!
//! libopus produces the same packets for the same samples from the same state. After silence every track starts in the same state
//! ([`Encoder::after_silence`]), so tracks that play a whole clip from there at the same gain would produce identical packets, and share
//! them instead. When another sound joins in, a track needs an encoder in the state that it would have reached by itself: the encoder's
//! state is kept every few frames, and the frames in between are encoded again.
//!
//! The first track to reach a frame encodes it and the next one, so that the next is ready when all tracks reach it at once. No thread
//! waits for another's encoding: while one is encoding, others encode by themselves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::encoder::{Encoder, EncoderDelta, Encoding};
use super::track::level;
use crate::audio::{FRAME, Samples};
use crate::error::Result;
use crate::mixer::{Frame, Part};
use crate::source::Clip;

/// The number of frames after which the encoder's state is kept. When another sound joins in, half as many are encoded again on average;
/// the states take half as much memory as the samples.
const BLOCK: usize = 5;

/// The most memory for all packets of the process, in bytes: ten minutes of mono clips. Further clips are encoded by each track.
const MAX_BYTES: usize = 64 << 20;

/// The timeout for the lock of all clips, which is held for less than a microsecond.
const LOCK_TIMEOUT: Duration = Duration::from_micros(200);

/// The packets of all clips of the process.
pub static CLIP_PACKETS: ClipPackets = ClipPackets::new(MAX_BYTES);

/// The packets of clips, as far as they were needed.
pub struct ClipPackets {
    known: LazyLock<RwLock<HashMap<Key, Arc<Packets>>>>,
    /// The most memory that they may take, in bytes.
    max_bytes: usize,
    /// The memory that they take, in bytes.
    bytes: AtomicUsize,
    /// A counter of starts, by which the least recently used clip is found.
    begun: AtomicU64,
}

impl ClipPackets {
    const fn new(max_bytes: usize) -> Self {
        let known = LazyLock::new(RwLock::default as fn() -> _);
        Self { known, max_bytes, bytes: AtomicUsize::new(0), begun: AtomicU64::new(0) }
    }

    /// Starts to read a clip with this frame, after silence. Returns None if the frame does not start a clip, or if there is no room.
    /// `tail` is the number of encoded silent frames after a sound.
    pub fn begin(
        &'static self,
        frame: &Frame,
        channels: usize,
        encoding: Encoding,
        tail: usize,
    ) -> Result<Option<ClipReader>> {
        let Some(Part { clip, place: 0, gain }) = frame.part else { return Ok(None) };
        if clip.channels() > channels {
            return Ok(None);
        }
        let key = Key { clip: clip.id(), encoding, channels, gain: gain.to_bits() };
        let Some(packets) = self.of(key, clip, tail)? else { return Ok(None) };
        packets.begun.store(self.begun.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let is_there = packets.prepare(clip, 0)?;
        Ok(is_there.then(|| ClipReader { clip: clip.clone(), packets, next: 0 }))
    }

    fn of(&'static self, key: Key, clip: &Clip, tail: usize) -> Result<Option<Arc<Packets>>> {
        let Some(known) = self.known.try_read_for(LOCK_TIMEOUT).map(|known| known.get(&key).cloned()) else {
            return Ok(None);
        };
        if known.is_some() {
            return Ok(known);
        }
        self.make_room();
        if self.is_full() {
            return Ok(None);
        }
        clip.keep(|| Guard(self, key.clip));
        let packets = Arc::new(Packets::new(self, key, clip, tail)?);
        Ok(self.known.try_write_for(LOCK_TIMEOUT).map(|mut known| known.entry(key).or_insert(packets).clone()))
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.max_bytes
    }

    /// Evicts unused clips when there is no room, least recently used first, until half of the memory is free.
    fn make_room(&self) {
        if !self.is_full() {
            return;
        }
        let Some(mut known) = self.known.try_write_for(LOCK_TIMEOUT) else { return };
        let idle = known.values().filter(|packets| Arc::strong_count(packets) == 1);
        let mut idle: Vec<_> = idle.map(|packets| (packets.begun.load(Ordering::Relaxed), packets.key)).collect();
        idle.sort_unstable_by_key(|(begun, _)| *begun);
        let (mut left, mut spent) = (self.bytes.load(Ordering::Relaxed), Vec::new());
        for (_, key) in idle {
            if left <= self.max_bytes / 2 {
                break;
            }
            let packets = known.remove(&key);
            left = left.saturating_sub(packets.as_ref().map_or(0, |packets| packets.bytes.load(Ordering::Relaxed)));
            spent.push(packets);
        }
        drop(known);
        drop(spent); // not under the lock
    }
}

/// The parameters on which packets depend.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    clip: u64,
    encoding: Encoding,
    channels: usize,
    /// The bits of the gain.
    gain: u32,
}

/// A guard that removes a clip's packets. It is dropped with its clip, which nobody can play any more.
struct Guard(&'static ClipPackets, u64);

impl Drop for Guard {
    fn drop(&mut self) {
        let Self(all, clip) = self;
        let spent: Vec<_> = all.known.write().extract_if(|key, _| key.clip == *clip).collect();
        drop(spent); // not under the lock
    }
}

/// The packets of a clip's sound and of the first silent frames after it.
struct Packets {
    all: &'static ClipPackets,
    key: Key,
    /// The number of frames with sound, and of all frames.
    sounding: usize,
    frames: usize,
    /// The encoder before the first frame.
    start: Encoder,
    blocks: Box<[OnceLock<Box<Block>>]>,
    front: Mutex<Front>,
    /// The memory that it takes, in bytes.
    bytes: AtomicUsize,
    /// The last start, by the counter of all clips.
    begun: AtomicU64,
}

struct Block {
    /// The encoder's state before the first of these packets.
    delta: EncoderDelta,
    packets: [OnceLock<Coded>; BLOCK],
}

/// The encoder that produces the packets, and its next frame.
struct Front {
    encoder: Encoder,
    next: usize,
}

/// An encoded frame.
struct Coded {
    /// None if the frame need not be sent.
    data: Option<Arc<[u8]>>,
    level: i8,
}

impl Packets {
    fn new(all: &'static ClipPackets, key: Key, clip: &Clip, tail: usize) -> Result<Self> {
        let start = Encoder::after_silence(key.channels, key.encoding)?;
        let sounding = (clip.length() as usize).div_ceil(FRAME);
        let frames = sounding + tail;
        let blocks: Box<[_]> = (0..frames.div_ceil(BLOCK)).map(|_| OnceLock::new()).collect();
        let held = size_of_val(&*blocks) + 2 * start.bytes();
        let front = Mutex::new(Front { encoder: start.clone(), next: 0 });
        let packets = Self {
            all,
            key,
            sounding,
            frames,
            start,
            blocks,
            front,
            bytes: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
        };
        packets.hold(held);
        packets.begin_block(0, &packets.start);
        Ok(packets)
    }

    fn hold(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn begin_block(&self, block: usize, encoder: &Encoder) {
        let packets = std::array::from_fn(|_| OnceLock::new());
        let delta = encoder.delta_from(&self.start);
        let bytes = size_of::<Block>() + delta.bytes();
        if self.blocks[block].set(Box::new(Block { delta, packets })).is_ok() {
            self.hold(bytes);
        }
    }

    fn slot(&self, frame: usize) -> Option<&OnceLock<Coded>> {
        Some(&self.blocks.get(frame / BLOCK)?.get()?.packets[frame % BLOCK])
    }

    fn get(&self, frame: usize) -> Option<&Coded> {
        self.slot(frame)?.get()
    }

    /// Encodes a frame of the clip.
    fn encode(&self, clip: &Clip, frame: usize, encoder: &mut Encoder) -> Result<Coded> {
        let mut samples = [0.0; 2 * FRAME];
        let samples = &mut samples[..self.key.channels * FRAME];
        let gain = f32::from_bits(self.key.gain);
        let rest = clip.samples().get(frame * FRAME * clip.channels()..).unwrap_or_default();
        // A mono sample goes to both channels. It is added to 0, as in the mixer's sum.
        let times = self.key.channels / clip.channels();
        let sides = rest.iter().flat_map(|sample| std::iter::repeat_n(sample, times));
        samples.iter_mut().zip(sides).for_each(|(sample, of_clip)| *sample += of_clip * gain);
        let data = encoder.encode(samples)?.map(Arc::from);
        Ok(Coded { data, level: level(samples) })
    }

    /// Makes sure that a frame's packet exists. Returns false if there is no room for it.
    fn prepare(&self, clip: &Clip, frame: usize) -> Result<bool> {
        let ahead = (frame + 1).min(self.frames - 1);
        if self.get(ahead).is_some() {
            return Ok(true);
        }
        match self.front.try_lock() {
            Some(mut front) => self.go_on(clip, &mut front, ahead)?,
            None if self.get(frame).is_some() => {}
            None => {
                let Some(slot) = self.slot(frame) else { return Ok(false) };
                let mut encoder = self.encoder_at(clip, frame)?;
                let coded = self.encode(clip, frame, &mut encoder)?;
                self.put(slot, coded);
            }
        }
        Ok(self.get(frame).is_some())
    }

    /// Encodes up to a frame, or as far as there is room.
    fn go_on(&self, clip: &Clip, front: &mut Front, last: usize) -> Result<()> {
        while front.next <= last {
            if front.next.is_multiple_of(BLOCK) && front.next > 0 {
                if self.all.is_full() {
                    return Ok(());
                }
                self.begin_block(front.next / BLOCK, &front.encoder);
            }
            let coded = self.encode(clip, front.next, &mut front.encoder)?;
            if let Some(slot) = self.slot(front.next) {
                self.put(slot, coded);
            }
            front.next += 1;
        }
        Ok(())
    }

    fn put(&self, slot: &OnceLock<Coded>, coded: Coded) {
        let bytes = coded.data.as_ref().map_or(0, |data| data.len());
        if slot.set(coded).is_ok() {
            self.hold(bytes);
        }
    }

    /// Returns the encoder before a frame whose predecessors are all encoded.
    fn encoder_at(&self, clip: &Clip, frame: usize) -> Result<Encoder> {
        let begun = (0..=frame / BLOCK).rev().find_map(|block| Some((block, self.blocks.get(block)?.get()?)));
        let (first, mut encoder) = match begun {
            Some((block, begun)) => (block * BLOCK, self.start.after(&begun.delta)),
            None => (0, self.start.clone()),
        };
        for past in first..frame {
            self.encode(clip, past, &mut encoder)?;
        }
        Ok(encoder)
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        self.all.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// A track's reader of a clip's packets.
pub struct ClipReader {
    clip: Arc<Clip>,
    packets: Arc<Packets>,
    next: usize,
}

impl ClipReader {
    /// Returns true if the frame is the next one of the clip or of its tail, and its packet exists.
    pub fn goes_on(&self, frame: &Frame) -> Result<bool> {
        let Key { clip, gain, .. } = self.packets.key;
        let is_next = match frame.part {
            Some(part) => {
                part.place == (self.next * FRAME) as Samples && part.clip.id() == clip && part.gain.to_bits() == gain
            }
            None => !frame.sounding && (self.packets.sounding..self.packets.frames).contains(&self.next),
        };
        Ok(is_next && self.packets.prepare(&self.clip, self.next)?)
    }

    /// Returns the next packet, if it is to be sent, and its loudness in dBFS.
    pub fn next(&mut self) -> (Option<Arc<[u8]>>, i8) {
        self.next += 1;
        let coded = self.packets.get(self.next - 1);
        coded.map_or((None, super::track::SILENT), |coded| (coded.data.clone(), coded.level))
    }

    /// Returns an encoder in the state after the last packet that was read.
    pub fn into_encoder(self) -> Result<Encoder> {
        self.packets.encoder_at(&self.clip, self.next)
    }
}

#[cfg(test)]
mod tests;
