//! Clips that are encoded once for all tracks that play them alone.
//!
//! libopus gives the same packets for the same samples, if it begins in the same state. Behind silence every track begins in the same
//! ([`Encoder::after_silence`]), so what plays a whole clip from there, as it is or at the same gain, would make the packets that another
//! has made already, byte for byte, and sends those. Where something else comes in, an encoder has to be in the state that it
//! would have come to by itself: how the encoder stood is kept every few frames, and what lies between is encoded again.
//!
//! The first who comes to a frame encodes it, and the next one too, so that it is there when all come to it at once. Nobody waits for
//! another thread's encoding: whoever finds that another is just at it encodes by itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::encoder::{Encoder, Encoding, Progress};
use super::track::level;
use crate::audio::{FRAME, Samples};
use crate::error::Result;
use crate::mixer::{Frame, Part};
use crate::source::Clip;

/// The frames after which it is kept how the encoder stands: where something else comes in, half as many are encoded again, on
/// average; and it takes half as much memory as the samples.
const BLOCK: usize = 5;

/// The most that all of it may take in a process, in bytes: ten minutes of mono clips. What is beyond is encoded by each track.
const MOST: usize = 64 << 20;

/// How long the list of all clips may be waited for, which is held for less than a microsecond.
const SHORTLY: Duration = Duration::from_micros(200);

/// The packets of all clips of the process.
pub static CLIP_PACKETS: ClipPackets = ClipPackets::new(MOST);

/// The packets of clips, as far as they were needed so far.
pub struct ClipPackets {
    known: LazyLock<RwLock<HashMap<Key, Arc<Packets>>>>,
    /// The most that they may take, in bytes.
    most: usize,
    /// What they take.
    bytes: AtomicUsize,
    /// Counts who begins, so that it is known what was not used for longest.
    begun: AtomicU64,
}

impl ClipPackets {
    const fn new(most: usize) -> Self {
        let known = LazyLock::new(RwLock::default as fn() -> _);
        Self { known, most, bytes: AtomicUsize::new(0), begun: AtomicU64::new(0) }
    }

    /// Begins to read a clip with this frame, behind silence: none if that is not what the frame is, or if there is no room. `tail` are
    /// the silent frames behind a sound that are encoded.
    pub fn begin(
        &'static self,
        frame: &Frame,
        channels: usize,
        encoding: Encoding,
        tail: usize,
    ) -> Result<Option<Reading>> {
        let Some(Part { clip, place: 0, gain }) = frame.part else { return Ok(None) };
        if clip.channels() > channels {
            return Ok(None);
        }
        let key = Key { clip: clip.id(), encoding, channels, gain: gain.to_bits() };
        let Some(packets) = self.of(key, clip, tail)? else { return Ok(None) };
        packets.begun.store(self.begun.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let is_there = packets.prepare(clip, 0)?;
        Ok(is_there.then(|| Reading { clip: clip.clone(), packets, next: 0 }))
    }

    fn of(&'static self, key: Key, clip: &Clip, tail: usize) -> Result<Option<Arc<Packets>>> {
        let Some(known) = self.known.try_read_for(SHORTLY).map(|known| known.get(&key).cloned()) else {
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
        Ok(self.known.try_write_for(SHORTLY).map(|mut known| known.entry(key).or_insert(packets).clone()))
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.most
    }

    /// If there is no room left, forgets what nobody plays, until there is room for half as much: the longest unused first.
    fn make_room(&self) {
        if !self.is_full() {
            return;
        }
        let Some(mut known) = self.known.try_write_for(SHORTLY) else { return };
        let idle = known.values().filter(|packets| Arc::strong_count(packets) == 1);
        let mut idle: Vec<_> = idle.map(|packets| (packets.begun.load(Ordering::Relaxed), packets.key)).collect();
        idle.sort_unstable_by_key(|(begun, _)| *begun);
        let (mut left, mut spent) = (self.bytes.load(Ordering::Relaxed), Vec::new());
        for (_, key) in idle {
            if left <= self.most / 2 {
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

/// What packets depend on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    clip: u64,
    encoding: Encoding,
    channels: usize,
    /// The bits of it.
    gain: u32,
}

/// Dropped with its clip: then nobody can play it any more.
struct Guard(&'static ClipPackets, u64);

impl Drop for Guard {
    fn drop(&mut self) {
        let Self(all, clip) = self;
        let spent: Vec<_> = all.known.write().extract_if(|key, _| key.clip == *clip).collect();
        drop(spent); // not under the lock
    }
}

/// A clip's packets: of the sound and the first silent frames behind it.
struct Packets {
    all: &'static ClipPackets,
    key: Key,
    /// Frames that have sound, and all.
    sounding: usize,
    frames: usize,
    /// The encoder as it is before the first frame.
    start: Encoder,
    blocks: Box<[OnceLock<Box<Block>>]>,
    front: Mutex<Front>,
    /// What it takes, in bytes.
    bytes: AtomicUsize,
    /// When somebody began it last, by the count of all.
    begun: AtomicU64,
}

struct Block {
    /// How the encoder stands before the first of these packets.
    progress: Progress,
    packets: [OnceLock<Coded>; BLOCK],
}

/// The encoder that makes them, and what it comes to next.
struct Front {
    encoder: Encoder,
    next: usize,
}

/// An encoded frame.
struct Coded {
    /// None if it need not be sent.
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
        let (bytes, begun) = (AtomicUsize::new(0), AtomicU64::new(0));
        let packets = Self { all, key, sounding, frames, start, blocks, front, bytes, begun };
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
        let progress = encoder.progress(&self.start);
        let bytes = size_of::<Block>() + progress.bytes();
        if self.blocks[block].set(Box::new(Block { progress, packets })).is_ok() {
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
        // One side is both. Added to 0, as in a mixer's sum.
        let times = self.key.channels / clip.channels();
        let sides = rest.iter().flat_map(|sample| std::iter::repeat_n(sample, times));
        samples.iter_mut().zip(sides).for_each(|(sample, of_clip)| *sample += of_clip * gain);
        let data = encoder.encode(samples)?.map(Arc::from);
        Ok(Coded { data, level: level(samples) })
    }

    /// Sees to it that a frame's packet is there. Returns false if there is no room for it.
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

    /// Encodes on up to a frame, or as far as there is room.
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

    /// The encoder as it is before a frame whose predecessors are all there.
    fn encoder_at(&self, clip: &Clip, frame: usize) -> Result<Encoder> {
        let begun = (0..=frame / BLOCK).rev().find_map(|block| Some((block, self.blocks.get(block)?.get()?)));
        let (first, mut encoder) = match begun {
            Some((block, begun)) => (block * BLOCK, self.start.after(&begun.progress)),
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

/// A track's way through the packets of a clip.
pub struct Reading {
    clip: Arc<Clip>,
    packets: Arc<Packets>,
    next: usize,
}

impl Reading {
    /// Whether the frame is the next of the clip, or of the silence behind it, and its packet is there.
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

    /// The next packet, if it is to be sent, and its loudness in dBFS.
    pub fn next(&mut self) -> (Option<Arc<[u8]>>, i8) {
        self.next += 1;
        let coded = self.packets.get(self.next - 1);
        coded.map_or((None, super::track::SILENT), |coded| (coded.data.clone(), coded.level))
    }

    /// What has encoded all this.
    pub fn into_encoder(self) -> Result<Encoder> {
        self.packets.encoder_at(&self.clip, self.next)
    }
}

#[cfg(test)]
mod tests;
