//! A voice as a source: a remote participant's audio, passed on live to its playbacks.
//!
//! Live all the way: nothing waits for a reader that is late or paused, and while nobody speaks there is silence and no underrun.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rtrb::{Consumer, Producer, RingBuffer};

use super::ring::SourceState;
use crate::audio::{EDGE_FADE, FRAME};

/// The samples that have to arrive before a sound is read: writer and reader advance by one frame each, in any order.
const BEGIN: usize = 2 * FRAME;

/// The most samples that may wait. If there are more, the reader stood still, and skips to the latest ones.
const MOST: usize = 6 * FRAME;

/// The capacity of a reader's ring.
const RING: usize = 10 * FRAME;

/// Distributes a voice to all of its playbacks.
pub struct Speech {
    /// The channels of the voice: 1 or 2.
    channels: usize,
    feeds: Mutex<Feeds>,
    /// The number of underruns: a playback had nothing to read in the middle of a sound.
    underruns: Arc<AtomicU64>,
}

#[derive(Default)]
struct Feeds {
    all: Vec<Feed>,
    has_ended: bool,
}

/// The writer's end of one playback.
struct Feed {
    ring: Producer<f32>,
    channels: usize,
    shared: Arc<SourceState>,
    is_speaking: Arc<AtomicBool>,
}

impl Speech {
    /// Makes a voice with this many channels.
    pub fn new(channels: usize) -> Arc<Self> {
        Arc::new(Self { channels, feeds: Mutex::default(), underruns: Arc::default() })
    }

    /// Adds interleaved samples. Playbacks without room for them miss them.
    pub fn push(&self, samples: &[f32]) {
        let feeds = &mut *self.feeds.lock();
        feeds.all.retain(|feed| !feed.shared.cancelled.load(Ordering::Acquire));
        for feed in &mut feeds.all {
            let frames = (feed.ring.slots() / feed.channels).min(samples.len() / self.channels);
            feed.is_speaking.store(true, Ordering::Release);
            let Ok(room) = feed.ring.write_chunk_uninit(frames * feed.channels) else { continue };
            let samples = &samples[..frames * self.channels];
            match (self.channels, feed.channels) {
                (1, 2) => room.fill_from_iter(samples.iter().flat_map(|sample| [*sample; 2])),
                // As everywhere: mono is the mean of left and right.
                (2, 1) => room.fill_from_iter(samples.chunks_exact(2).map(|pair| (pair[0] + pair[1]) / 2.0)),
                _ => room.fill_from_iter(samples.iter().copied()),
            };
        }
    }

    /// Marks the start of a silence.
    pub fn fall_silent(&self) {
        self.feeds.lock().all.iter().for_each(|feed| feed.is_speaking.store(false, Ordering::Release));
    }

    /// Ends the voice: its playbacks complete.
    pub fn end(&self) {
        let mut feeds = self.feeds.lock();
        feeds.has_ended = true;
        for feed in feeds.all.drain(..) {
            feed.is_speaking.store(false, Ordering::Release);
            feed.shared.outcome.get_or_init(|| Ok(()));
        }
    }

    /// Returns the number of underruns: a playback had nothing to read in the middle of a sound.
    pub fn underruns(&self) -> u64 {
        self.underruns.load(Ordering::Relaxed)
    }

    /// Returns a reader of the voice from now on, for a session of `channels`. Its end is told by `shared`.
    pub(super) fn reader(&self, channels: usize, shared: &Arc<SourceState>) -> SpeechReader {
        let (producer, ring) = RingBuffer::new(RING * channels);
        let is_speaking = Arc::new(AtomicBool::new(false));
        let mut feeds = self.feeds.lock();
        if feeds.has_ended {
            _ = shared.outcome.get_or_init(|| Ok(()))
        } else {
            feeds.all.push(Feed { ring: producer, channels, shared: shared.clone(), is_speaking: is_speaking.clone() })
        }
        let underruns = self.underruns.clone();
        let next = VecDeque::new();
        SpeechReader { ring, channels, is_speaking, underruns, is_flowing: false, rise: 0, last: [0.0; 2], next }
    }
}

impl fmt::Debug for Speech {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Speech").finish_non_exhaustive()
    }
}

/// The reader's end of one playback.
pub struct SpeechReader {
    ring: Consumer<f32>,
    channels: usize,
    is_speaking: Arc<AtomicBool>,
    underruns: Arc<AtomicU64>,
    /// True if the last sample came from the ring.
    is_flowing: bool,
    /// The rest of the fade-in after an underrun, in samples per channel: sound does not begin at once.
    rise: usize,
    /// The last sample of each channel.
    last: [f32; 2],
    /// The samples that were looked at and not taken.
    next: VecDeque<f32>,
}

impl SpeechReader {
    /// Returns the samples per channel that are left, if nothing more is said.
    pub fn remaining(&self) -> usize {
        (self.next.len() + self.ring.slots()) / self.channels
    }

    /// Makes `frames` samples per channel available to [`look`](Self::look).
    pub fn prepare(&mut self, frames: usize) {
        let length = frames * self.channels;
        while self.next.len() < length {
            self.read(length - self.next.len());
        }
    }

    /// Returns the next `frames` samples per channel, interleaved, in the two slices of a ring: silence while nothing is said.
    pub fn peek(&self, frames: usize) -> (&[f32], &[f32]) {
        let length = frames * self.channels;
        let (first, second) = self.next.as_slices();
        let split = length.min(first.len());
        (&first[..split], &second[..length - split])
    }

    /// Takes the first `frames` samples per channel that were looked at.
    pub fn take(&mut self, frames: usize) {
        self.next.drain(..frames * self.channels);
    }

    /// Appends some samples, `wanted` if that many are there.
    fn read(&mut self, wanted: usize) {
        // Read before the ring is: samples put into it before a silence are then seen.
        let is_speaking = self.is_speaking.load(Ordering::Acquire);
        let waiting = self.ring.slots();
        let begins = if is_speaking { BEGIN * self.channels } else { self.channels };
        self.is_flowing = self.is_flowing && waiting > 0 || waiting >= begins;
        if self.is_flowing && waiting > MOST * self.channels {
            self.catch_up(waiting);
        } else if self.is_flowing {
            let samples = self.pop(waiting.min(wanted));
            self.append(samples);
        } else {
            self.fall(wanted, is_speaking);
        }
    }

    fn append(&mut self, samples: Vec<f32>) {
        for frame in samples.chunks_exact(self.channels) {
            let level = 1.0 - self.rise as f32 / EDGE_FADE as f32;
            self.rise = self.rise.saturating_sub(1);
            self.last[..self.channels].copy_from_slice(frame);
            self.next.extend(frame.iter().map(|sample| sample * level));
        }
    }

    /// Handles an empty ring. Unless the speaker is silent, the last sample fades out instead of breaking off, and the samples that follow
    /// fade in.
    fn fall(&mut self, wanted: usize, is_speaking: bool) {
        let last = std::mem::take(&mut self.last);
        if last == [0.0; 2] || !is_speaking {
            self.next.extend(std::iter::repeat_n(0.0, wanted));
            return;
        }
        self.underruns.fetch_add(1, Ordering::Relaxed);
        self.rise = EDGE_FADE;
        for left in (0..EDGE_FADE).rev() {
            self.next.extend(last[..self.channels].iter().map(|sample| sample * left as f32 / EDGE_FADE as f32));
        }
    }

    /// Skips to the latest samples, over a short fade.
    fn catch_up(&mut self, waiting: usize) {
        let fade = EDGE_FADE * self.channels;
        let old = self.pop(fade);
        self.pop(waiting - fade - BEGIN * self.channels);
        let new = self.pop(fade);
        let level = |index: usize| (index / self.channels) as f32 / EDGE_FADE as f32;
        let faded = old.iter().zip(&new).enumerate().map(|(index, (old, new))| old + (new - old) * level(index));
        let faded = faded.collect();
        self.append(faded);
    }

    fn pop(&mut self, length: usize) -> Vec<f32> {
        self.ring.read_chunk(length).map(|chunk| chunk.into_iter().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(hub: &Speech, channels: usize) -> (SpeechReader, Arc<SourceState>) {
        let shared = Arc::<SourceState>::default();
        (hub.reader(channels, &shared), shared)
    }

    fn take(reader: &mut SpeechReader, frames: usize) -> Vec<f32> {
        reader.prepare(frames);
        let (first, second) = reader.peek(frames);
        let taken = [first, second].concat();
        reader.take(frames);
        taken
    }

    /// Returns a frame of samples that rise by one each.
    fn frame(number: usize) -> Vec<f32> {
        (number * FRAME..(number + 1) * FRAME).map(|n| n as f32).collect()
    }

    #[test]
    fn reads_speech_after_two_frames() {
        let hub = Speech::new(1);
        let (mut reader, _) = reader(&hub, 1);
        assert_eq!(take(&mut reader, FRAME), [0.0; FRAME]);
        hub.push(&frame(1));
        assert_eq!(
            take(&mut reader, FRAME),
            [0.0; FRAME],
            "it does not begin at one frame, or the next one would be late"
        );
        hub.push(&frame(2));
        for number in 1..50 {
            assert_eq!(take(&mut reader, FRAME), frame(number));
            hub.push(&frame(number + 2));
        }
        assert_eq!(hub.underruns(), 0);
    }

    #[test]
    fn peeked_samples_stay_until_taken() {
        let hub = Speech::new(1);
        let (mut reader, _) = reader(&hub, 1);
        [1, 2].iter().for_each(|number| hub.push(&frame(*number)));
        reader.prepare(700);
        assert_eq!(take(&mut reader, 300), frame(1)[..300]);
        assert_eq!(take(&mut reader, 660), frame(1)[300..]);
    }

    #[test]
    fn reads_short_sounds_and_silence_without_underrun() {
        let hub = Speech::new(1);
        let (mut reader, _) = reader(&hub, 1);
        hub.push(&frame(1));
        hub.fall_silent();
        assert_eq!(take(&mut reader, FRAME), frame(1));
        assert_eq!(take(&mut reader, FRAME), [0.0; FRAME]);
        assert_eq!(hub.underruns(), 0);
    }

    #[test]
    fn underruns_are_faded_and_counted() {
        let hub = Speech::new(1);
        let (mut reader, _) = reader(&hub, 1);
        let loud = vec![0.5; FRAME];
        [1, 2].iter().for_each(|_| hub.push(&loud));
        let mut heard = Vec::new();
        (0..4).for_each(|_| heard.extend(take(&mut reader, FRAME)));
        [1, 2].iter().for_each(|_| hub.push(&loud));
        (0..2).for_each(|_| heard.extend(take(&mut reader, FRAME)));
        let step = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step <= 0.5 / EDGE_FADE as f32 + 1e-6, "a click of {step}");
        assert_eq!((hub.underruns(), heard[3 * FRAME], heard.last()), (1, 0.0, Some(&0.5)));
    }

    #[test]
    fn late_reader_skips_to_the_latest_samples() {
        let hub = Speech::new(1);
        let (mut reader, _) = reader(&hub, 1);
        let slow = |n: usize| (n as f32 * 0.001).sin();
        let frame = |number: usize| (number * FRAME..(number + 1) * FRAME).map(slow).collect::<Vec<_>>();
        (0..8).for_each(|number| hub.push(&frame(number)));
        let heard = take(&mut reader, FRAME);
        // Two frames are left behind the fade: it is at the sixth one.
        assert!((heard[EDGE_FADE] - slow(6 * FRAME + EDGE_FADE)).abs() < 1e-6);
        assert!(heard.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.02));
    }

    #[test]
    fn idle_readers_hold_a_fifth_of_a_second() {
        let hub = Speech::new(1);
        let (reader, shared) = reader(&hub, 1);
        (0..100).for_each(|number| hub.push(&frame(number)));
        assert_eq!(reader.remaining(), RING);
        shared.cancelled.store(true, Ordering::Release);
        hub.push(&frame(1));
        assert!(hub.feeds.lock().all.is_empty());
    }

    #[test]
    fn converts_channels_for_the_session() {
        let (left_and_right, mono) = (Speech::new(2), Speech::new(1));
        let (mut narrow, _) = reader(&left_and_right, 1);
        let (mut wide, _) = reader(&mono, 2);
        let stereo: Vec<_> = (0..FRAME).flat_map(|_| [0.25, 0.75]).collect();
        [1, 2].iter().for_each(|_| left_and_right.push(&stereo));
        [1, 2].iter().for_each(|_| mono.push(&[0.25; FRAME]));
        assert_eq!(take(&mut narrow, FRAME), [0.5; FRAME]);
        assert_eq!(take(&mut wide, FRAME), [0.25; 2 * FRAME]);
    }

    #[test]
    fn end_follows_the_last_sample() {
        let hub = Speech::new(1);
        let (mut first, shared) = reader(&hub, 1);
        hub.push(&frame(1));
        hub.end();
        assert!(shared.outcome.get().is_some_and(Result::is_ok));
        assert_eq!((first.remaining(), take(&mut first, FRAME)), (FRAME, frame(1)));
        assert!(reader(&hub, 1).1.outcome.get().is_some());
    }
}
