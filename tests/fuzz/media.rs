//! Plays bytes as a session would: `source::open`, a decode task on a coroutine's stack, a ring. The decode task runs on this thread, so
//! that an execution hands nothing over and its memory and time are its own.

use std::sync::Arc;
use std::time::Instant;

use speaker_session::internals::audio::SAMPLE_RATE;
use speaker_session::internals::error::{Code, Result};
use speaker_session::internals::g711::Law;
use speaker_session::internals::runtime::{Pool, Worker};
use speaker_session::internals::source::{
    DriverNotifier, Encoding, FetchLimits, MemoryFile, Opening, Origin, PcmReader, PipeWriter, Probed, Raw, Section,
    Source, Stream, open, probe,
};

use super::random::Random;
use super::run::{Failure, Seen};

/// The seconds of sound after which the reader is dropped: a small file may hold hours of silence.
const MAX_SECONDS: usize = 3;

/// The largest sample in a ring: a source gives at most 60 dB over full scale, and a filter rings over it by less than 18 dB.
pub const MAX_SAMPLE: f32 = 8_000.0;

/// The longest text of a tag, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// The longest message: messages are shown to people.
const MAX_MESSAGE: usize = 400;

/// The way in which an input is fed and played.
#[derive(Clone)]
pub struct Plan {
    /// The sizes of the pieces that are written, in turn; whole and seekable if empty.
    pieces: Vec<usize>,
    raw: Option<(Raw, u32, usize)>,
    channels: usize,
    section: Section,
    content_type: Option<String>,
    eager: bool,
}

impl Plan {
    fn new(pieces: Vec<usize>) -> Self {
        Self { pieces, raw: None, channels: 1, section: Section::default(), content_type: None, eager: false }
    }

    fn random(random: &mut Random) -> Self {
        let pieces = match random.below(4) {
            0 => (0..1 + random.below(4)).map(|_| 1 + random.skewed(5_000)).collect(),
            _ => Vec::new(),
        };
        let mut plan = Self { channels: 1 + random.below(2), eager: random.once_in(4), ..Self::new(pieces) };
        if random.once_in(8) {
            let types =
                ["audio/mpeg", "audio/mp4; codecs=mp4a", "audio/ogg", "audio/flac", "audio/aac", "text/html", "", ";"];
            plan.content_type = Some((*random.pick(&types)).to_owned());
        }
        if random.once_in(12) {
            // Far from the start, the samples before are skipped.
            let far = if random.once_in(3) { 250_000 } else { 0 };
            let from = far + random.skewed(10_000) as u64;
            let start = random.skewed(2_000) as u64;
            let end = if random.once_in(2) { u64::MAX } else { start.max(from) + 1 + random.skewed(3_000) as u64 };
            let passes = if plan.pieces.is_empty() { 1 + random.skewed(4) as u64 } else { 1 };
            plan.section = Section { from, start, end, passes, fade_out: random.skewed(1_000) as u64 };
        }
        plan
    }
}

/// Plays a file of a stated format: the same plan for the same bytes.
pub fn file(input: &[u8], plan: u64, bench: &mut Bench, seen: &mut Seen) -> std::result::Result<(), Failure> {
    let mut random = Random::new(plan);
    let plan = Plan::random(&mut random);
    let played = bench.play(&plan, input, seen)?;
    // The boundaries of the pieces must not be audible.
    if !plan.pieces.is_empty() && random.once_in(4) {
        let other = bench.play(&Plan { pieces: vec![1 + random.skewed(50_000)], ..plan }, input, seen)?;
        let ended = played.outcome.is_some() && other.outcome.is_some();
        if ended && (played.heard, played.sound, &played.outcome) != (other.heard, other.sound, &other.outcome) {
            let told = |played: &Played| format!("{} samples, {:?}", played.heard, played.outcome);
            return Err(Failure::new(
                "pieces",
                format!("{} in some pieces, {} in others", told(&played), told(&other)),
            ));
        }
    }
    Ok(())
}

/// Plays raw samples: the first bytes choose the format.
pub fn raw(input: &[u8], plan: u64, bench: &mut Bench, seen: &mut Seen) -> std::result::Result<(), Failure> {
    let mut random = Random::new(plan);
    let format = *random.pick(&[Raw::Pcm16, Raw::F32, Raw::G711(Law::Mu), Raw::G711(Law::A), Raw::G722]);
    let rate = *random.pick(&[8_000, 16_000, 24_000, 44_100, 48_000, 96_000, 192_000]);
    let channels = if format == Raw::G722 { 1 } else { 1 + random.below(2) };
    let mut plan = Plan::random(&mut random);
    if plan.pieces.is_empty() {
        plan.pieces = vec![1 + random.skewed(5_000)];
    }
    plan.section = Section::default();
    plan.raw = Some((format, rate, channels));
    bench.play(&plan, input, seen)?;
    Ok(())
}

/// Probes a file, by its tags and by all of its sound.
pub fn probed(input: &[u8], plan: u64, bench: &mut Bench, seen: &mut Seen) -> std::result::Result<(), Failure> {
    let is_measured = Random::new(plan).once_in(4);
    let Probed { metadata, rate, channels, duration_ms, tagged_lufs, .. } =
        match bench.probe(input, is_measured, seen)? {
            Ok(probed) => probed,
            Err(error) => return check_outcome(Err(error), seen).map(|_| ()),
        };
    seen.outcome("probed", &metadata.iter().map(|(name, _)| *name).collect::<String>());
    seen.trait_of(metadata.len());
    let is_shown = metadata.iter().all(|(_, text)| !text.is_empty() && text.len() <= MAX_TEXT);
    let is_possible = duration_ms.is_none_or(|ms| ms.is_finite() && ms >= 0.0)
        && tagged_lufs.is_none_or(|lufs| (-70.0..=20.0).contains(&lufs))
        && (rate == 0) == (channels == 0);
    if is_shown && is_possible {
        Ok(())
    } else {
        Err(Failure::new(
            "outcome",
            format!("{rate} Hz, {channels} channels, {duration_ms:?} ms, {tagged_lufs:?} LUFS"),
        ))
    }
}

/// The result of playing an input.
#[derive(Debug)]
struct Played {
    /// The number of samples, of all channels.
    heard: usize,
    /// A hash of the samples.
    sound: u64,
    /// The outcome; `None` if its reader was dropped before.
    outcome: Option<std::result::Result<(), (Code, String)>>,
}

/// A pool without threads.
pub struct Bench {
    pool: Pool,
    worker: Worker,
}

impl Bench {
    pub fn new() -> Self {
        let (pool, worker) = Pool::by_hand();
        Self { pool, worker }
    }

    /// Opens something on this pool.
    pub fn open(&self, opening: Opening, channels: usize, eager: bool) -> PcmReader {
        open(&self.pool, opening, channels, 0, FetchLimits::default(), Arc::new(DriverNotifier::new(eager)))
    }

    /// Starts a decode task of the caller's own.
    pub fn start(&self, task: impl FnOnce() + Send + 'static) {
        self.pool.start(|_| task);
    }

    /// Runs decode tasks until all wait or have ended, and records how long one kept the thread. Returns true if any ran.
    pub fn run(&mut self, seen: &mut Seen) -> bool {
        let (mut ran, mut begun) = (false, Instant::now());
        while self.worker.run_next() {
            let now = Instant::now();
            seen.kept(now - begun);
            (ran, begun) = (true, now);
        }
        ran
    }

    /// Checks that every decode task has ended.
    pub fn is_clear(&self) -> std::result::Result<(), Failure> {
        match self.worker.suspended() {
            0 => Ok(()),
            _ => Err(Failure::new("overstays", "a decode task goes on without a reader".to_owned())),
        }
    }

    /// Probes a file in memory.
    fn probe(&mut self, input: &[u8], measured: bool, seen: &mut Seen) -> std::result::Result<Result<Probed>, Failure> {
        let source = Source::new(Origin::Bytes(MemoryFile::of(input)), None, Section::default());
        let (told, answer) = std::sync::mpsc::channel();
        let making = probe(&self.pool, source, measured, FetchLimits::default(), move |probed| _ = told.send(probed));
        while self.run(seen) {}
        drop(making);
        self.run(seen);
        self.is_clear()?;
        answer.try_recv().map_err(|_| Failure::new("stuck", "a probe is without an answer".to_owned()))
    }

    fn play(&mut self, plan: &Plan, input: &[u8], seen: &mut Seen) -> std::result::Result<Played, Failure> {
        let (origin, mut writer) = match &plan.pieces[..] {
            [] => (Origin::Bytes(MemoryFile::of(input)), None),
            pieces => {
                let encoding = match plan.raw {
                    Some((format, rate, channels)) => Encoding::Raw { format, rate, channels },
                    None => Encoding::File(None),
                };
                let (pipe, stream) = Stream::new(encoding, true);
                (Origin::Stream(stream), Some(Writer { pipe, rest: input, pieces: pieces.iter().cycle() }))
            }
        };
        let source = Source::new(origin, plan.content_type.clone(), plan.section);
        let mut reader = self.open(Opening::Source(source), plan.channels, plan.eager);
        let mut heard = Heard::default();
        let outcome = loop {
            let wrote = writer.as_mut().is_some_and(Writer::write);
            let ran = self.run(seen);
            let (took, ended) = heard.take(&mut reader)?;
            if ended {
                break Some(reader.outcome().expect("it has ended").clone());
            }
            if heard.samples > MAX_SECONDS * SAMPLE_RATE as usize * plan.channels {
                break None;
            }
            if !wrote && !ran && took == 0 {
                return Err(Failure::new("stuck", "a decode task waits for nothing".to_owned()));
            }
        };
        drop((reader, writer));
        self.run(seen);
        self.is_clear()?;
        seen.sound(heard.samples);
        let outcome = outcome.map(|outcome| check_outcome(outcome, seen)).transpose()?;
        Ok(Played { heard: heard.samples, sound: heard.hash, outcome })
    }
}

type Outcome = std::result::Result<(), (Code, String)>;

fn check_outcome(outcome: Result<()>, seen: &mut Seen) -> std::result::Result<Outcome, Failure> {
    let Err(error) = outcome else {
        seen.outcome("completed", "");
        return Ok(Ok(()));
    };
    seen.outcome(&format!("{:?}", error.code), &error.message);
    let expected = matches!(
        error.code,
        Code::Decode | Code::UnsupportedFormat | Code::EmptySource | Code::Truncated | Code::Stream
    );
    let shown = error.message.len() <= MAX_MESSAGE && !error.message.contains(char::is_control);
    if expected && shown {
        Ok(Err((error.code, error.message)))
    } else {
        Err(Failure::new("outcome", format!("{:?}: {:.400}", error.code, error.message)))
    }
}

/// Checks that samples are finite and bounded.
pub fn check_samples(samples: &[f32]) -> std::result::Result<(), Failure> {
    match samples.iter().find(|sample| sample.is_nan() || sample.abs() > MAX_SAMPLE) {
        Some(sample) => Err(Failure::new("sample", format!("a sample is {sample}"))),
        None => Ok(()),
    }
}

/// The samples that a reader gave.
#[derive(Default)]
pub struct Heard {
    pub samples: usize,
    hash: u64,
    /// The samples themselves, if they are needed.
    pub kept: Option<Vec<f32>>,
}

impl Heard {
    /// Makes one that keeps the samples.
    pub fn keeping() -> Self {
        Self { kept: Some(Vec::new()), ..Self::default() }
    }

    /// Takes all samples that wait. Returns their number, and true at the end.
    pub fn take(&mut self, reader: &mut PcmReader) -> std::result::Result<(usize, bool), Failure> {
        let (waiting, ended) = reader.buffered();
        let peek = reader.peek(waiting);
        for slice in [peek.slices().0, peek.slices().1] {
            check_samples(slice)?;
            self.samples += slice.len();
            self.hash = slice
                .iter()
                .fold(self.hash, |hash, sample| (hash ^ u64::from(sample.to_bits())).wrapping_mul(0x100_0000_01b3));
            self.kept.iter_mut().for_each(|kept| kept.extend(slice));
        }
        peek.take(waiting);
        if let Some(waker) = reader.refill() {
            waker.wake();
        }
        Ok((waiting, ended))
    }
}

/// Writes an input to a pipe, a piece at a time.
struct Writer<'a> {
    pipe: Arc<PipeWriter>,
    rest: &'a [u8],
    pieces: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Writer<'_> {
    /// Writes the next piece, or the end. Returns false once there is nothing to write, or no room for it.
    fn write(&mut self) -> bool {
        let piece = *self.pieces.next().expect("there is a size at least");
        let piece = &self.rest[..piece.min(self.rest.len())];
        let Some(taken) = self.pipe.write(piece, true) else { return false };
        self.rest = &self.rest[taken..];
        if self.rest.is_empty() {
            self.pipe.end(Ok(()));
        }
        taken > 0
    }
}
