//! The mixer's end of a playback's samples: the ring that a decode task fills, a clip, or a voice.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::Consumer;

use super::clip::Clip;
use super::clip_cursor::ClipCursor;
use super::driver_notifier::DriverNotifier;
use super::levelling::PriorLoudness;
use super::media::Media;
use super::prebuffer::{Prebuffer, PrebufferTarget};
use super::ring::SourceState;
use super::section::Section;
use super::speech::SpeechReader;
use super::stream::Stream;
use super::{NowPlaying, Opening};
use crate::audio::{PREROLL, SAMPLE_RATE, Samples};
use crate::error::{Code, Result, SpeakerError};
use crate::runtime::Waker;

/// The samples of one playback, ready for the mixer. Dropping it ends the decode task, and dropping the last reader of a download ends the
/// download.
pub struct PcmReader {
    pcm: Pcm,
    /// The number of samples per channel ahead of the end at which the end is known, at least.
    ahead: usize,
    channels: usize,
    shared: Arc<SourceState>,
    section: Section,
    /// The samples per channel taken so far.
    taken: Samples,
    /// The position of the first sample after a flush; 0 for the source's own first sample.
    origin: Samples,
    supply: Option<Supply>,
    /// The prebuffer target of a stream.
    target: PrebufferTarget,
    /// The loudness measured before this reader began.
    prior_loudness: Option<PriorLoudness>,
}

/// The store of samples that wait.
enum Pcm {
    Ring(Consumer<f32>),
    /// All samples, from the start.
    Clip(Box<ClipCursor>),
    /// As many samples as are asked for: silence while nothing is said.
    Speech(Box<SpeechReader>),
}

/// The length of a voice that has not ended, in samples per channel: two hours, of which only a little is taken at a time.
const ENDLESS: usize = 7_200 * SAMPLE_RATE as usize;

/// The decode task's side of a reader.
pub struct Supply {
    /// The waker of the decode task.
    pub waker: Waker,
    /// The media that the decode task reads.
    pub media: Arc<Media>,
    /// The notification of the session's driver.
    pub notifier: Arc<DriverNotifier>,
}

impl Supply {
    /// For tests: a supply without a decode task, whose reader the test fills itself. `waits_for_sources` as in
    /// [`DriverNotifier::waits_for_sources`].
    pub fn for_tests(media: Arc<Media>, waits_for_sources: bool) -> Self {
        let waker = Waker::idle();
        media.attach(&waker);
        Self { waker, media, notifier: Arc::new(DriverNotifier::new(waits_for_sources)) }
    }
}

impl PcmReader {
    /// Makes the mixer's end of `ring`, which holds the samples of `section`. `ahead` samples per channel of its capacity are there to know
    /// the end that long before it comes.
    pub fn new(
        ring: Consumer<f32>,
        ahead: usize,
        channels: usize,
        shared: Arc<SourceState>,
        section: Section,
        supply: Option<Supply>,
    ) -> Self {
        let pcm = Pcm::Ring(ring);
        let mut reader = Self {
            pcm,
            ahead,
            channels,
            shared,
            section,
            taken: 0,
            origin: 0,
            supply,
            target: PrebufferTarget::default(),
            prior_loudness: None,
        };
        if let Some(bounds) = reader.prebuffer() {
            reader.target = PrebufferTarget::new(bounds);
            reader.shared.prebuffer_target.store(bounds.least, Ordering::Relaxed);
        }
        reader
    }

    /// Adds the loudness that was measured on the same source before.
    pub(super) fn with_prior_loudness(mut self, prior_loudness: Option<PriorLoudness>) -> Self {
        self.prior_loudness = prior_loudness;
        self
    }

    /// Returns the loudness of the source, as far as it was measured.
    fn prior_loudness(&self) -> Option<PriorLoudness> {
        let end = self.shared.end.get().copied();
        let is_again = self.taken > 0 && end.is_some_and(|end| self.section.from + self.taken >= end);
        let position = if is_again { end.unwrap_or_default() } else { self.position_since_flush() };
        self.shared.measured.up_to(position, self.prior_loudness).or(self.prior_loudness)
    }

    /// Returns the gain that brings a clip to the wanted loudness; 1 for other sources, whose samples are levelled one by one.
    pub fn gain(&self) -> f32 {
        let target = self.supply.as_ref().and_then(|supply| supply.media.loudness_target());
        match (&self.pcm, target) {
            (Pcm::Clip(cursor), Some((target, _))) => target.linear(cursor.clip().lufs(self.channels)),
            _ => 1.0,
        }
    }

    /// Makes a reader of `clip`; `supply` opens its other positions. All of it is in memory, so its end is known from the start.
    pub(super) fn of_clip(clip: Arc<Clip>, channels: usize, section: Section, ahead: usize, supply: Supply) -> Self {
        let cursor = Box::new(ClipCursor::new(clip, channels, section));
        let outcome = if cursor.is_empty_loop() {
            Err(SpeakerError::new(Code::EmptySource, "Expected audio to loop but received 0 samples"))
        } else {
            Ok(())
        };
        let known = SourceState::default();
        known.outcome.get_or_init(|| outcome);
        known.end.get_or_init(|| cursor.end());
        if let Some(ring) = cursor.pre_ring() {
            known.pre_ring.get_or_init(|| ring);
        }
        if let Some(ring) = cursor.post_ring() {
            known.post_ring.get_or_init(|| ring);
        }
        let (pcm, shared) = (Pcm::Clip(cursor), Arc::new(known));
        let (supply, target) = (Some(supply), PrebufferTarget::default());
        Self { pcm, ahead, channels, shared, section, taken: 0, origin: 0, supply, target, prior_loudness: None }
    }

    /// Makes a reader of a voice; `shared` tells its end.
    pub(super) fn of_speech(
        voice: SpeechReader,
        channels: usize,
        shared: Arc<SourceState>,
        section: Section,
        supply: Supply,
    ) -> Self {
        let pcm = Pcm::Speech(Box::new(voice));
        let (supply, target) = (Some(supply), PrebufferTarget::default());
        Self { pcm, ahead: 0, channels, shared, section, taken: 0, origin: 0, supply, target, prior_loudness: None }
    }

    /// Returns the clip that it reads, if any, and the position of the next sample in it. That clip may be mono though the session is
    /// stereo.
    pub fn clip(&self) -> Option<(&Arc<Clip>, Samples)> {
        match &self.pcm {
            Pcm::Ring(_) | Pcm::Speech(_) => None,
            Pcm::Clip(cursor) => {
                Some((cursor.clip(), self.section.position(self.taken, self.shared.end.get().copied())))
            }
        }
    }

    /// Returns the number of samples from the next one on that are those of its clip, unchanged and in sequence: up to a seam of its loop,
    /// or a fade-out at its end. No limit if clip and reader end together, with silence behind both; 0 if it reads no clip.
    pub fn unaltered(&self) -> Samples {
        match &self.pcm {
            Pcm::Ring(_) | Pcm::Speech(_) => 0,
            Pcm::Clip(cursor) => cursor.unaltered(self.taken),
        }
    }

    /// Returns the samples per channel that wait. If it `has_ended`, no more will come.
    fn available(&self, has_ended: bool) -> usize {
        match &self.pcm {
            Pcm::Speech(voice) if has_ended => voice.remaining(),
            Pcm::Speech(_) => ENDLESS,
            Pcm::Ring(ring) => ring.slots() / self.channels,
            Pcm::Clip(cursor) => usize::try_from(cursor.total() - self.taken).unwrap_or(usize::MAX),
        }
    }

    /// Returns when the first byte of its source arrived, by the session's [`DriverNotifier::wall_time`]; `None` before that, and for a
    /// clip or a voice.
    pub fn first_byte(&self) -> Option<Samples> {
        self.shared.first_byte.get().copied()
    }

    /// Returns the position where it was asked to begin. That may be beyond the end, which is known only later.
    pub fn from(&self) -> Samples {
        self.section.from
    }

    /// Returns the position of the next sample in the source.
    pub fn position(&self) -> Samples {
        self.position_back(0)
    }

    /// Returns the position in the source of the sample that was taken `back` samples ago.
    pub fn position_back(&self, back: Samples) -> Samples {
        self.origin + self.section.position(self.taken - back, self.shared.end.get().copied())
    }

    /// Returns the position of the next sample since the last flush: as [`position`](Self::position), without the part before the flush.
    pub fn position_since_flush(&self) -> Samples {
        self.position() - self.origin
    }

    /// Returns true if at least `bytes` bytes were written to it since its last flush, and every sample of them was taken.
    pub fn has_delivered(&self, bytes: u64) -> bool {
        self.stream().is_some_and(|stream| stream.pipe.is_starved() && stream.pipe.written() >= bytes)
            && self.buffered().0 == 0
    }

    /// Returns an opening for the data written to a stream after a flush; `None` if it is no stream.
    pub fn flushed_opening(&self) -> Option<Opening> {
        let Supply { media, .. } = self.supply.as_ref().filter(|supply| supply.media.stream().is_some())?;
        let prior_loudness = self.prior_loudness().map(PriorLoudness::after_flush);
        Some(Opening::Reopen { media: media.clone(), section: Section::default(), prior_loudness })
    }

    /// Returns true if the same source can be read from another position.
    pub fn is_seekable(&self) -> bool {
        self.supply.as_ref().is_some_and(|supply| supply.media.is_seekable())
    }

    /// Continues after a flush: counts its positions from the position of `other`, and prebuffers as much as that would have.
    pub fn continue_after(&mut self, other: &Self) {
        self.origin = other.position();
        self.shared.prebuffer_target.fetch_max(other.prebuffer_target(), Ordering::Relaxed);
    }

    fn prebuffer(&self) -> Option<Prebuffer> {
        self.stream().map(|stream| stream.prebuffer)
    }

    /// Returns the number of samples per channel that have to wait before it is played.
    pub fn prebuffer_target(&self) -> usize {
        PREROLL.max(self.shared.prebuffer_target.load(Ordering::Relaxed))
    }

    /// Notes an underrun: its writer is late.
    pub fn note_underrun(&mut self) {
        if let Some(bounds) = self.prebuffer() {
            self.target.note_underrun(bounds, self.prebuffer_target(), self.taken);
        }
    }

    /// Returns true while its silence is measured, to adapt the prebuffer.
    pub fn may_adapt(&self) -> bool {
        self.prebuffer()
            .is_some_and(|bounds| bounds.most > bounds.least && self.target.may_adapt(self.prebuffer_target()))
    }

    /// Adapts the prebuffer to a silence of this length, caused by a late writer.
    pub fn adapt_to_silence(&self, silent: Samples) {
        if let Some(bounds) = self.prebuffer().filter(|_| self.buffered().0 == 0) {
            self.shared.prebuffer_target.store(self.target.adapted(bounds, silent), Ordering::Relaxed);
        }
    }

    fn stream(&self) -> Option<&Stream> {
        self.supply.as_ref()?.media.stream()
    }

    /// Returns true if it is a stream whose writer is behind.
    pub fn is_starved(&self) -> bool {
        self.stream().is_some_and(|stream| stream.pipe.is_starved())
    }

    /// Returns true if more will come without the user's doing, so that a manual clock waits for it. Call it before
    /// [`level`](Self::level): if it returned false, what waits then is all there is.
    pub fn is_filling(&self) -> bool {
        let written_out = self.stream().is_some_and(|stream| stream.pipe.is_starved() && !stream.pipe.has_more());
        !written_out && self.shared.outcome.get().is_none()
    }

    /// Returns an opening of the same source at another position, for a reader of which nothing was played: of two seeks the second counts,
    /// and the first ends no pass.
    pub fn unplayed_opening(&self, position: Samples) -> Option<Opening> {
        let Supply { media, .. } = self.supply.as_ref()?;
        let (media, section) = (media.clone(), Section { from: position, ..self.section });
        Some(Opening::Reopen { media, section, prior_loudness: self.prior_loudness })
    }

    /// Returns an opening of the same source at another position.
    pub fn sought_opening(&self, position: Samples) -> Option<Opening> {
        let Supply { media, .. } = self.supply.as_ref()?;
        let section = self.section.sought(position, self.taken, self.shared.end.get().copied());
        Some(Opening::Reopen { media: media.clone(), section, prior_loudness: self.prior_loudness() })
    }

    /// Returns the position where its last pass ends, if that is known.
    pub fn end(&self) -> Option<Samples> {
        self.shared.end.get().copied().or(Some(self.section.end).filter(|end| *end < Samples::MAX))
    }

    /// Returns the part of its source that is left when `after` more samples are taken.
    pub fn section_after(&self, after: Samples) -> Section {
        let (taken, end) = (self.taken + after, self.shared.end.get().copied());
        self.section.sought(self.section.position(taken, end), taken, end)
    }

    /// Returns the number of samples per channel that wait, and true if no more will come: then every sample that was pushed is among them.
    pub fn buffered(&self) -> (usize, bool) {
        let ended = self.shared.outcome.get().is_some();
        (self.available(ended), ended)
    }

    /// Returns true if its first sound has arrived: as much as ends an underrun.
    pub fn has_begun(&self) -> bool {
        let (waiting, ended) = self.buffered();
        waiting >= PREROLL || ended
    }

    /// Ends the source with an error, if it has not ended; the samples that came are played. Returns the waker of the decode task, to be
    /// woken.
    pub fn fail(&self, error: SpeakerError) -> Option<Waker> {
        self.shared.outcome.set(Err(error)).ok()?;
        self.shared.cancelled.store(true, Ordering::Release);
        self.supply.as_ref().map(|supply| supply.waker.clone())
    }

    /// Returns true if enough waits for a playback to start or go on without an underrun.
    pub fn is_ready(&self) -> bool {
        let (waiting, ended) = self.buffered();
        // A clock that waits for sources also waits for the look-ahead that tells the end.
        let known = if self.supply.as_ref().is_some_and(|supply| supply.notifier.waits_for_sources) {
            self.lookahead()
        } else {
            0
        };
        waiting >= self.prebuffer_target().max(known) || ended
    }

    /// Returns the number of samples per channel ahead of the end at which the end is known, at least.
    pub fn lookahead(&self) -> usize {
        self.ahead
    }

    /// Returns the samples per channel to its end, if all of it has arrived.
    pub fn remaining(&self) -> Option<Samples> {
        let (waiting, ended) = self.buffered();
        ended.then_some(waiting as Samples)
    }

    /// Takes the source's metadata for the samples taken so far, the next one included.
    pub fn take_metadata(&self) -> Option<NowPlaying> {
        if self.taken > 0 { self.shared.take_metadata(self.taken) } else { None }
    }

    /// Returns the outcome of the source, once it has ended.
    pub fn outcome(&self) -> Option<&Result<()>> {
        self.shared.outcome.get()
    }

    /// Returns the ringing of the filter before its first sample, interleaved. It is added to the end of the reader before it, so that the
    /// seam does not click. Known as soon as a sample waits; `None` if that is not the source's own first.
    pub fn pre_ring(&self) -> Option<&[f32]> {
        self.shared.pre_ring.get().map(Vec::as_slice)
    }

    /// Returns the ringing of the filter behind its last sample. It is added to the start of the reader that follows. Known as soon as the
    /// end is; `None` if that is not the source's own end.
    pub fn post_ring(&self) -> Option<&[f32]> {
        self.shared.post_ring.get().map(Vec::as_slice)
    }

    /// Returns the next `frames` samples per channel (at most those that wait), interleaved, in the two slices of a ring. They stay in it
    /// until `Peek::take`.
    pub fn peek(&mut self, frames: usize) -> Peek<'_> {
        let (waiting, _) = self.buffered();
        let frames = frames.min(waiting);
        let pieces = match &mut self.pcm {
            Pcm::Speech(voice) => {
                voice.prepare(frames);
                Pieces::Speech(voice)
            }
            Pcm::Clip(cursor) => Pieces::Clip(cursor.read(self.taken, frames)),
            Pcm::Ring(ring) => {
                Pieces::Ring(ring.read_chunk(frames * self.channels).expect("no more than what waits is asked for"))
            }
        };
        Peek { pieces, frames, channels: self.channels, taken: &mut self.taken }
    }

    /// Returns the waker of the decode task if it waits for room and three quarters of the ring are free. Not sooner, because each time a
    /// thread wakes.
    pub fn refill(&self) -> Option<Waker> {
        let Pcm::Ring(ring) = &self.pcm else { return None };
        let ahead = self.ahead * self.channels;
        let enough = ahead + (ring.buffer().capacity() - ahead) / 4;
        let is_due = ring.slots() <= enough && self.shared.is_waiting();
        self.supply.as_ref().filter(|_| is_due).map(|supply| supply.waker.clone())
    }

    fn wake(&self) {
        if let Some(supply) = &self.supply {
            supply.waker.wake();
        }
    }
}

impl Drop for PcmReader {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Release);
        self.wake();
    }
}

/// Samples that were looked at and not taken yet.
pub struct Peek<'a> {
    pieces: Pieces<'a>,
    frames: usize,
    channels: usize,
    taken: &'a mut Samples,
}

enum Pieces<'a> {
    Ring(rtrb::chunks::ReadChunk<'a, f32>),
    Clip(&'a [f32]),
    Speech(&'a mut SpeechReader),
}

impl Peek<'_> {
    pub fn frames(&self) -> usize {
        self.frames
    }

    pub fn slices(&self) -> (&[f32], &[f32]) {
        match &self.pieces {
            Pieces::Ring(chunk) => chunk.as_slices(),
            Pieces::Clip(samples) => (samples, &[]),
            Pieces::Speech(voice) => voice.peek(self.frames),
        }
    }

    /// Takes the first `frames` samples per channel.
    pub fn take(self, frames: usize) {
        *self.taken += frames as Samples;
        match self.pieces {
            Pieces::Ring(chunk) => chunk.commit(frames * self.channels),
            Pieces::Speech(voice) => voice.take(frames),
            Pieces::Clip(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clips, FetchLimits, MemoryFile, Origin, Source, make_clip};
    use super::*;
    use crate::audio::OFFLINE_RING;
    use crate::runtime::DECODERS;
    use std::time::{Duration, Instant};

    fn wav(rate: u32, samples: &[i16]) -> Arc<[u8]> {
        let length = samples.len() as u32 * 2;
        let mut file = Vec::new();
        file.extend(b"RIFF");
        file.extend((36 + length).to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        file.extend([rate, 2 * rate].map(u32::to_le_bytes).concat());
        file.extend(b"\x02\0\x10\0data");
        file.extend(length.to_le_bytes());
        file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        file.into()
    }

    #[test]
    fn waiting_clock_is_notified_a_second_ahead() {
        let (sender, told) = std::sync::mpsc::channel();
        let notifier = Arc::new(DriverNotifier::new(true));
        notifier.on_notify(move || _ = sender.send(()));
        let samples = noise(5 * 48_000 + 7);
        let source = Source::new(Origin::Bytes(MemoryFile::of(&wav(48_000, &samples))), None, Section::default());
        let (opening, limits) = (Opening::Source(source), FetchLimits::default());
        let mut reader = super::super::open(&DECODERS, opening, 1, 0, limits, notifier);
        let wait = || told.recv_timeout(Duration::from_secs(20)).expect("it is told");
        while reader.buffered().0 < OFFLINE_RING {
            wait();
        }
        // From here on changes are found by notifications only.
        let mut heard = 0;
        loop {
            let (waiting, ended) = reader.buffered();
            reader.peek(waiting).take(waiting);
            heard += waiting;
            if ended {
                break;
            }
            if let Some(waker) = reader.refill() {
                waker.wake();
            }
            wait();
        }
        assert_eq!(heard, samples.len());
    }

    /// Plays to the end.
    fn play(rate: u32, samples: &[i16], section: Section) -> (PcmReader, Vec<f32>) {
        let source = Source::new(Origin::Bytes(MemoryFile::of(&wav(rate, samples))), None, section);
        let (opening, limits) = (Opening::Source(source), FetchLimits::default());
        let mut reader = super::super::open(&DECODERS, opening, 1, 0, limits, Arc::default());
        let mut heard = Vec::new();
        let late = Instant::now() + Duration::from_secs(20);
        loop {
            let (waiting, ended) = reader.buffered();
            assert!(
                waiting == 0 || reader.pre_ring().is_some() || section.from > 0,
                "it is known before the first sample"
            );
            let peek = reader.peek(waiting);
            heard.extend([peek.slices().0, peek.slices().1].concat());
            peek.take(waiting);
            if let Some(waker) = reader.refill() {
                waker.wake();
            }
            if ended {
                reader.outcome().unwrap().as_ref().unwrap();
                return (reader, heard);
            }
            assert!(Instant::now() < late, "it does not end");
            std::thread::yield_now();
        }
    }

    /// Returns a stereo WAV of noise with different sides.
    fn stereo(rate: u32, length: i32) -> Arc<[u8]> {
        let mut file = wav(rate, &noise(2 * length)).to_vec();
        file[22] = 2;
        file[28..32].copy_from_slice(&(4 * rate).to_le_bytes());
        file[32] = 4;
        file.into()
    }

    fn clip(file: Arc<[u8]>) -> Arc<Clips> {
        let (sender, made) = std::sync::mpsc::channel();
        let source = Source::new(Origin::Bytes(MemoryFile::of(&file)), None, Section::default());
        let _making = make_clip(&DECODERS, source, 0, FetchLimits::default(), move |made| sender.send(made).unwrap());
        Arc::new(made.recv_timeout(Duration::from_secs(20)).unwrap().unwrap())
    }

    /// Takes all samples of a reader, in pieces of `piece`.
    fn take(mut reader: PcmReader, piece: usize, most: usize) -> Heard {
        let mut heard = Heard::default();
        let late = Instant::now() + Duration::from_secs(20);
        let heard = loop {
            let (waiting, ended) = reader.buffered();
            // A ring that holds less than a piece has a known end, or more is coming.
            if waiting >= piece || ended {
                let peek = reader.peek(piece);
                let taken = peek.frames();
                heard.samples.extend([peek.slices().0, peek.slices().1].concat());
                peek.take(taken);
                heard.positions.push(reader.position());
                if waiting == 0 || heard.samples.len() >= most {
                    break heard;
                }
            }
            if let Some(waker) = reader.refill() {
                waker.wake();
            }
            assert!(Instant::now() < late, "it does not end");
            std::thread::yield_now();
        };
        let code = |outcome: &Result<()>| outcome.as_ref().err().map(|error| error.code);
        Heard {
            pre: reader.pre_ring().map(<[f32]>::to_vec),
            post: reader.post_ring().map(<[f32]>::to_vec),
            code: reader.outcome().and_then(code),
            ..heard
        }
    }

    #[derive(Debug, Default, PartialEq)]
    struct Heard {
        samples: Vec<f32>,
        positions: Vec<Samples>,
        pre: Option<Vec<f32>>,
        post: Option<Vec<f32>>,
        code: Option<Code>,
    }

    #[test]
    fn clip_matches_its_source() {
        let whole = Section::default();
        let sections = [
            whole,
            Section { passes: 3, ..whole },
            Section { from: 700, start: 0, passes: 3, ..whole },
            Section { from: 1_000, start: 1_000, end: 3_000, ..whole },
            Section { from: 1_000, start: 1_000, end: 3_000, passes: 4, ..whole },
            Section { end: 2_000, passes: 2, fade_out: 3_000, ..whole },
            Section { passes: 2, fade_out: 500, ..whole },
            Section { from: 90, start: 90, passes: 3, fade_out: 9_000_000, ..whole },
            Section { end: 100, passes: 50, ..whole },
            Section { from: 9_000_000, ..whole },
            Section { from: 9_000_000, start: 0, passes: 2, ..whole },
            Section { from: 9_000_000, start: 9_000_000, passes: 2, ..whole },
            Section { end: 1, passes: 3, ..whole },
        ];
        // At 1,000 Hz of 8,000 and the like, a file is shorter than the ringing of its filter.
        for (rate, length) in [(8_000, 30), (8_000, 4_000), (44_100, 20_000), (48_000, 9_600), (48_000, 20_000)] {
            for file in [wav(rate, &noise(length)), stereo(rate, length)] {
                let clips = clip(file.clone());
                for channels in [1, 2] {
                    for section in sections {
                        let [direct, shared] =
                            [Origin::Bytes(MemoryFile::of(&file)), Origin::Clip(clips.clone())].map(|origin| {
                                let opening = Opening::Source(Source::new(origin, None, section));
                                let limits = FetchLimits::default();
                                let reader =
                                    super::super::open(&DECODERS, opening, channels, 0, limits, Arc::default());
                                take(reader, 961, 400_000)
                            });
                        let about = format!("{rate} Hz, {length}, {channels} channels, {section:?}");
                        let same = direct.samples.iter().zip(&shared.samples).position(|(one, other)| one != other);
                        assert_eq!((direct.samples.len(), None), (shared.samples.len(), same), "{about}");
                        assert!(direct == shared, "{about}: {:?} {:?}", direct.positions, shared.positions);
                    }
                }
            }
        }
    }

    #[test]
    fn unaltered_samples_are_the_clips_own() {
        let clips = clip(wav(8_000, &noise(4_000)));
        let whole = Section::default();
        let sections = [
            whole,
            Section { passes: 3, ..whole },
            Section { from: 1_000, start: 1_000, end: 3_000, passes: 2, ..whole },
            Section { passes: 2, fade_out: 500, ..whole },
        ];
        for section in sections {
            let opening = Opening::Source(Source::new(Origin::Clip(clips.clone()), None, section));
            let mut reader = super::super::open(&DECODERS, opening, 1, 0, FetchLimits::default(), Arc::default());
            let mut plainly = 0;
            while reader.buffered().0 > 0 {
                let plain = reader.unaltered().min(reader.buffered().0 as Samples) as usize;
                let (clip, position) = reader.clip().map(|(clip, position)| (clip.clone(), position as usize)).unwrap();
                let peek = reader.peek(plain.max(1));
                if plain > 0 {
                    assert_eq!(peek.slices().0, &clip.samples()[position..][..plain], "{section:?} at {position}");
                    plainly += plain;
                }
                let frames = peek.frames();
                peek.take(frames);
            }
            assert!(plainly > 1_000, "{section:?}: {plainly}");
            let is_open = section == whole || section.passes == 3;
            assert!(!is_open || reader.unaltered() == 0, "behind the end");
        }
        let opening = Opening::Source(Source::new(Origin::Clip(clips), None, whole));
        let reader = super::super::open(&DECODERS, opening, 1, 0, FetchLimits::default(), Arc::default());
        assert_eq!(reader.unaltered(), Samples::MAX, "silence follows both");
    }

    fn noise(length: i32) -> Vec<i16> {
        (0..length).map(|n| (n * 7_919 % 20_011 - 10_000) as i16).collect()
    }

    #[test]
    fn rings_join_two_readers_seamlessly() {
        for rate in [8_000, 24_000, 44_100, 48_000] {
            let samples = noise(29_400);
            let (_, whole) = play(rate, &samples, Section::default());
            let (first, mut joined) = play(rate, &samples[..14_700], Section::default());
            let (second, behind) = play(rate, &samples[14_700..], Section::default());
            let (pre, post) = (second.pre_ring().unwrap(), first.post_ring().unwrap());
            assert_eq!((pre.is_empty(), post.is_empty()), (rate == 48_000, rate == 48_000));
            let seam = joined.len();
            joined.extend(behind);
            joined[seam - pre.len()..].iter_mut().zip(pre).for_each(|(sample, ring)| *sample += ring);
            joined[seam..].iter_mut().zip(post).for_each(|(sample, ring)| *sample += ring);
            assert_eq!(joined.len(), whole.len());
            let worst = joined.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{rate} Hz: off by {worst}");
        }
    }

    #[test]
    fn cut_ends_have_no_ring() {
        let rings = |section| {
            let (reader, _) = play(8_000, &noise(8_000), section);
            (reader.pre_ring().is_some(), reader.post_ring().is_some())
        };
        let whole = Section::default();
        assert_eq!(rings(whole), (true, true));
        assert_eq!(rings(Section { passes: 3, ..whole }), (true, true));
        assert_eq!(rings(Section { end: 48_000, ..whole }), (true, true));
        assert_eq!(rings(Section { end: 47_999, ..whole }), (true, false));
        assert_eq!(rings(Section { fade_out: 10, ..whole }), (true, false));
        assert_eq!(rings(Section { from: 1, start: 1, ..whole }), (false, true));
        assert_eq!(rings(Section { from: 1, passes: 2, ..whole }), (false, true));
    }

    #[test]
    fn short_loop_matches_the_repeated_source() {
        for (rate, length) in [(8_000, 800), (44_100, 4_410), (44_100, 44_100)] {
            let samples = noise(length);
            let (_, looped) = play(rate, &samples, Section { passes: 4, ..Section::default() });
            let (_, written) = play(rate, &samples.repeat(4), Section::default());
            assert_eq!(looped.len(), written.len());
            let worst = looped.iter().zip(&written).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{rate} Hz, {length} samples: off by {worst}");
        }
    }
}
