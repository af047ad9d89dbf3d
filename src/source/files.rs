//! The files in a body, one after the other: what starts where, what lies between them, and how much of the body was not audio.
//!
//! A text-to-speech service sends a file per sentence, a radio station joins what it likes, a download has tags before, after and within.
//! So the rest of a body after one file is searched for another file, until the body ends; and a body of which much was discarded is not
//! played to its end in silence, but fails.

use symphonia::core::audio::AudioSpec;

use super::adts::{self, Adts};
use super::amr::{Amr, Band};
use super::body::{Body, SharedBody};
use super::container::Window;
use super::decode::{Block, Decode, Details, FileDecoder, FileDetails, FormatHint, Step, check, damaged, unsupported};
use super::flac::Flac;
use super::latm::{self, Latm};
use super::matroska::{self, Matroska};
use super::mpeg::{self, Mpeg};
use super::mpeg_ts::{self, Framing};
use super::riff::Riff;
use super::tags::{self, Tags};
use super::{au, caf, fetch, frames, mp4, ogg};
use crate::error::{Code, Result, SpeakerError};

/// The most bytes before a file, or between two frames, that are neither audio nor a tag: 1 MiB, as far as Symphonia's probe looks.
pub const MAX_JUNK: u64 = 1 << 20;

/// The share of a body that may be discarded, and the number of bytes that always may: one part in twenty, and a kilobyte. Zero bytes are
/// padding and do not count.
const DISCARDED_SHARE: u64 = 20;
const DISCARDED_BYTES: u64 = 1 << 10;

/// The most unplayable files in a body: each may be read for a while before that is known.
const MAX_UNPLAYABLE: usize = 100;

/// The number of bytes that identify a container.
const HEAD: usize = 12;

/// A kind of file, or stream of frames, that starts at some position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Riff(Riff),
    Au,
    Caf,
    Flac,
    Ogg,
    Mp4,
    Matroska,
    Amr(Band),
    Mpeg,
    Adts,
    Latm,
    Transport(Framing),
}

impl Kind {
    /// Returns the name of the container, as reported to callers.
    fn name(self) -> &'static str {
        match self {
            Self::Riff(Riff::Wav) => "wav",
            Self::Riff(Riff::W64) => "w64",
            Self::Riff(Riff::Aiff) => "aiff",
            Self::Au => "au",
            Self::Caf => "caf",
            Self::Amr(_) => "amr",
            Self::Flac => "flac",
            Self::Ogg => "ogg",
            Self::Mp4 => "mp4",
            Self::Matroska => "matroska",
            Self::Mpeg => "mpeg",
            Self::Adts => "adts",
            Self::Latm => "loas",
            Self::Transport(_) => "mpegts",
        }
    }
}

/// Returns true if `head` begins a file with a magic number; a stream of frames has none.
pub fn detect(head: &[u8]) -> bool {
    container(head).is_some()
}

fn container(head: &[u8]) -> Option<Kind> {
    match head {
        _ if Flac::detect(head) => Some(Kind::Flac),
        [b'O', b'g', b'g', b'S', 0, ..] => Some(Kind::Ogg),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Kind::Mp4),
        _ if head.starts_with(&matroska::MAGIC) => Some(Kind::Matroska),
        _ if au::detect(head) => Some(Kind::Au),
        _ if caf::detect(head) => Some(Kind::Caf),
        _ => Riff::detect(head).map(Kind::Riff).or_else(|| Band::detect(head).map(Kind::Amr)),
    }
}

/// Returns the distance to the next byte with which a file, a tag or a frame may begin; an MP4 begins four bytes before its own.
pub fn find_start(bytes: &[u8]) -> Option<usize> {
    const FIRST: [bool; 256] = {
        let (mut table, bytes) = ([false; 256], b"\xffRFfOIATLG\x1a.#crV");
        let mut index = 0;
        while index < bytes.len() {
            table[bytes[index] as usize] = true;
            index += 1;
        }
        table
    };
    bytes.iter().position(|byte| FIRST[usize::from(*byte)])
}

/// Returns the kind of what starts here; with `only_frames`, for the inside of another file, only frames and FLAC.
fn kind(body: &mut Body, only_frames: bool) -> Option<Kind> {
    let frames = |body: &mut Body| match () {
        () if frames::detect::<mpeg::Header>(body) => Some(Kind::Mpeg),
        () if frames::detect::<adts::Header>(body) => Some(Kind::Adts),
        () if frames::detect::<latm::Header>(body) => Some(Kind::Latm),
        () => None,
    };
    if only_frames {
        return if Flac::detect(body.peek(HEAD)) { Some(Kind::Flac) } else { frames(body) };
    }
    let found = container(body.peek(HEAD)).or_else(|| frames(body));
    found.or_else(|| Framing::find(body).map(Kind::Transport))
}

/// All files in a body.
pub struct Files {
    body: SharedBody,
    tags: Tags,
    /// The current or the last file: a damaged stream of frames continues with its own decoder.
    current: Option<(Kind, Box<dyn FileDecoder>)>,
    is_playing: bool,
    /// The number of files started.
    files_started: u32,
    block: Block,
    has_sounded: bool,
    /// Bytes that no decoder could use, and those of them since the last sound.
    discarded: u64,
    discarded_run: u64,
    /// The number of files that could not be opened.
    unplayable: usize,
    /// True inside another file, which carries frames and no files.
    only_frames: bool,
}

impl Files {
    /// Finds the first file. The hint is for error messages only: the bytes decide what a source is, whatever it is called.
    pub fn open(mut body: Body, hint: &FormatHint) -> Result<Self> {
        if fetch::detect_playlist(body.peek(HEAD)).is_some() {
            return Err(unsupported("a playlist, which is played from its own http(s) URL"));
        }
        tags::read_behind(&mut body);
        let mut files = Self::new(body, false);
        match files.find() {
            Some(kind) => files.start(kind).map_err(|error| files.failure().unwrap_or(error))?,
            None => {
                let only_tags = files.discarded_run == 0 && files.body.get().is_at_end();
                let received = if only_tags { "nothing but tags".to_owned() } else { hint.describe() };
                return Err(files.failure().unwrap_or_else(|| unsupported(received)));
            }
        }
        Ok(files)
    }

    /// Finds the first frame inside another file; `name` describes the content in the error if there is none.
    pub fn of_frames(body: Body, name: &str) -> Result<Self> {
        let mut files = Self::new(body, true);
        let kind = files.find().ok_or_else(|| unsupported(name))?;
        files.start(kind)?;
        Ok(files)
    }

    fn new(body: Body, only_frames: bool) -> Self {
        Self {
            body: SharedBody::new(body),
            tags: Tags::default(),
            current: None,
            is_playing: false,
            files_started: 0,
            block: Block::default(),
            has_sounded: false,
            discarded: 0,
            discarded_run: 0,
            unplayable: 0,
            only_frames,
        }
    }

    /// Moves to the next position where something starts.
    fn find(&mut self) -> Option<Kind> {
        let mut body = self.body.get();
        loop {
            // The items of an APE tag without a header were counted as junk.
            let items = self.tags.skip(&mut body).min(self.discarded_run);
            self.discarded = self.discarded.saturating_sub(items);
            let found = kind(&mut body, self.only_frames);
            let ahead = body.buffered();
            if found.is_some() || ahead.is_empty() || self.discarded_run > MAX_JUNK {
                return found;
            }
            let junk = match find_start(&ahead[1..]) {
                Some(step) if ahead[1 + step] == b'f' && step >= 4 => step - 3,
                Some(step) => 1 + step,
                // The size of an MP4 may be all that was read of it.
                None => ahead.len().saturating_sub(4).max(1),
            };
            self.discarded_run += junk as u64;
            self.discarded += body.discard(junk);
            body.yield_if_due();
        }
    }

    fn start(&mut self, kind: Kind) -> Result<()> {
        let continues = self.current.as_ref().is_some_and(|(last, decoder)| *last == kind && decoder.continues());
        if !continues {
            let body = &self.body;
            let decoder: Box<dyn FileDecoder> = match kind {
                Kind::Riff(riff) => riff.open(body)?,
                Kind::Au => au::open(body)?,
                Kind::Caf => caf::open(body)?,
                Kind::Amr(band) => Box::new(Amr::open(band, body)?),
                Kind::Flac => Box::new(Flac::open(body)?),
                Kind::Ogg => ogg::open(body)?,
                Kind::Mp4 => mp4::open(body)?,
                Kind::Matroska => Box::new(Matroska::open(body)?),
                Kind::Mpeg => Box::new(Mpeg::new(body)),
                Kind::Adts => Box::new(Adts::new(body)),
                Kind::Latm => Box::new(Latm::new(body)),
                Kind::Transport(framing) => mpeg_ts::open(body, framing)?,
            };
            self.current = Some((kind, decoder));
        }
        self.is_playing = true;
        self.files_started = self.files_started.saturating_add(1);
        Ok(())
    }

    /// Decodes the next samples. Returns false at the end of the body.
    fn step(&mut self) -> Result<bool> {
        loop {
            if self.discarded_run > MAX_JUNK {
                return Err(damaged(&format!("more than {MAX_JUNK} bytes in a row that are no audio")));
            }
            if let Some((_, decoder)) = self.current.as_mut().filter(|_| self.is_playing) {
                match decoder.next(&mut self.block)? {
                    Step::Block => {
                        self.discarded_run = 0;
                        // A decoder may need more input before it knows even the format of its samples.
                        if self.block.samples.is_empty() {
                            self.body.get().yield_if_due();
                            continue;
                        }
                        return Ok(true);
                    }
                    Step::Discarded(bytes) => {
                        self.discarded += bytes;
                        // Packets may be empty, and there may be billions of them.
                        self.discarded_run += bytes.max(1);
                        self.body.get().yield_if_due();
                    }
                    Step::End => self.is_playing = false,
                }
                continue;
            }
            let Some(kind) = self.find() else {
                if self.discarded_run > MAX_JUNK {
                    continue;
                }
                return Ok(false);
            };
            let from = self.body.get().position();
            self.body.get().mark();
            let is_started = self.start(kind).is_ok();
            let mut body = self.body.get();
            if is_started {
                body.clear_mark();
                continue;
            }
            // An unplayable file does not count as one: the search goes on after its first byte. How far its demuxer has read ahead is
            // arbitrary, so if that can't be undone, all of it was discarded.
            let discarded = if body.rewind() { body.discard(1) } else { body.position() - from };
            self.discarded += discarded;
            self.discarded_run += discarded.max(1);
            self.unplayable += 1;
            if self.unplayable > MAX_UNPLAYABLE {
                return Err(damaged("too many files in it that can't be played"));
            }
        }
    }

    /// Returns the read error, if there was one: the cause of whatever went wrong after it.
    fn failure(&self) -> Option<SpeakerError> {
        let body = self.body.get();
        body.failure().map(|failure| SpeakerError::new(Code::File, format!("the audio can't be read: {failure}")))
    }

    /// Checks, at the end, that all of the body was played.
    fn end(&self) -> Result<()> {
        let body = self.body.get();
        if let Some((received, stated)) = self.current.as_ref().and_then(|(_, decoder)| decoder.missing()) {
            let percent = received * 100 / stated.max(1);
            let message = format!("Expected the whole length that audio announces but received {percent} % of it");
            return Err(SpeakerError::new(Code::Truncated, message));
        }
        let (discarded, all) = (self.discarded, body.position());
        if discarded > 0 && !self.has_sounded {
            return Err(damaged("no frame of it can be decoded"));
        }
        if discarded > DISCARDED_BYTES && discarded * DISCARDED_SHARE > all {
            return Err(damaged(&format!("more than one byte in {DISCARDED_SHARE} is no audio")));
        }
        Ok(())
    }
}

impl Decode for Files {
    fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>> {
        let step = self.step();
        if let (Ok(false) | Err(_), Some(failure)) = (&step, self.failure()) {
            return Err(failure);
        }
        if !step? {
            return self.end().map(|()| None);
        }
        if !std::mem::replace(&mut self.has_sounded, true) {
            self.body.get().note_sound();
        }
        check(&mut self.block)?;
        Ok(Some((&self.block.spec, &self.block.samples)))
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        // The lengths of files that are over are unknown here.
        let is_first = self.files_started == 1 && self.is_playing && self.discarded == 0;
        self.current.as_mut().filter(|_| is_first).and_then(|(_, decoder)| decoder.skip(to))
    }

    fn details(&mut self) -> Details {
        let (container, mut file) = match &mut self.current {
            Some((kind, decoder)) => (kind.name(), decoder.details()),
            None => Default::default(),
        };
        let body = self.body.get();
        if let Some(tags) = body.metadata() {
            let container = std::mem::replace(&mut file.metadata, tags.clone());
            file.metadata.add(&container);
        }
        Details { container, file, position: body.position(), bytes: body.length() }
    }

    fn position(&self) -> Option<u64> {
        Some(self.body.get().position())
    }
}

/// A part of a file that holds a stream of frames, such as MP3 in WAV: frames are found in it as in a body.
pub struct EmbeddedFrames {
    window: Window,
    files: Files,
    is_over: bool,
}

impl EmbeddedFrames {
    pub fn open(body: &SharedBody, window: Window) -> Result<Self> {
        let window = window.without_limit();
        let inside = body.get().nested(Box::new(window.clone()));
        Ok(Self { window, files: Files::of_frames(inside, "a file without frames")?, is_over: false })
    }
}

impl FileDecoder for EmbeddedFrames {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        if self.is_over {
            return Ok(Step::End);
        }
        if let Some((spec, samples)) = self.files.next()? {
            block.spec.clone_from(spec);
            block.samples.clear();
            block.samples.extend_from_slice(samples);
            return Ok(Step::Block);
        }
        self.is_over = true;
        Ok(Step::Discarded(self.window.finish()))
    }

    fn details(&mut self) -> FileDetails {
        self.files.details().file
    }

    fn missing(&self) -> Option<(u64, u64)> {
        self.window.missing()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::body::tests::bodies;
    use super::*;

    /// Files of docs/formats.md whose containers are read here, and whose tables do not come last.
    const CONTAINERS: [&str; 7] = ["wav-", "rf64-", "w64-", "aiff-", "au-", "caf-", "amr-"];
    const TABLES_LAST: [&str; 3] = ["caf-aac", "caf-alac", "caf-opus"];

    fn fixtures() -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("__test__/fixtures/formats");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
        let named = files.map(|file| (file.file_name().into_string().unwrap(), file.path()));
        let chosen = named.filter(|(name, _)| CONTAINERS.iter().any(|container| name.starts_with(container)));
        chosen.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
    }

    /// Returns the samples of a body, and its outcome.
    fn played(body: Body) -> (Vec<f32>, Option<Code>) {
        let mut heard = Vec::new();
        let mut files = match Files::open(body, &FormatHint::default()) {
            Ok(files) => files,
            Err(error) => return (heard, Some(error.code)),
        };
        loop {
            match files.next() {
                Ok(Some((_, samples))) => heard.extend_from_slice(samples),
                Ok(None) => return (heard, None),
                Err(error) => return (heard, Some(error.code)),
            }
        }
    }

    /// Plays `bytes` as a file and as a stream of small pieces, which have to sound the same.
    fn played_both_ways(name: &str, bytes: &[u8]) -> (Vec<f32>, Option<Code>) {
        let [file, stream] = bodies(bytes).map(played);
        let is_last = TABLES_LAST.iter().any(|last| name.starts_with(last));
        let head = bytes[..bytes.len().min(160)].escape_ascii();
        assert!(is_last || file == stream, "{name}, {} bytes: {:?} and {:?}, {head}", bytes.len(), file.1, stream.1);
        file
    }

    #[test]
    fn cut_files_play_up_to_the_cut() {
        for (name, bytes) in fixtures() {
            let (whole, end) = played_both_ways(&name, &bytes);
            if end == Some(Code::UnsupportedFormat) {
                continue;
            }
            assert!(end.is_none() && !whole.is_empty(), "{name}: {end:?}");
            let heads = 0..bytes.len().min(200);
            for length in heads.chain((200..bytes.len()).step_by(331)).chain([bytes.len() - 1]) {
                let (part, end) = played_both_ways(&name, &bytes[..length]);
                // The result of a decoder for its last packet depends on what follows, so it is not compared.
                let same = part.len().saturating_sub(4_096).min(whole.len());
                assert!(part[..same] == whole[..same], "{name}, {length} bytes: another sound");
                let is_short = whole.len() - part.len().min(whole.len()) > 4_096;
                assert!(!is_short || end.is_some() || name.starts_with("amr-"), "{name}, {length} bytes: completed");
            }
        }
    }

    #[test]
    fn flipped_bits_decode_alike_for_every_access() {
        let mut random = 1_u64;
        for (name, bytes) in fixtures() {
            for round in 0..60 {
                let mut bytes = bytes.clone();
                for _ in 0..=round % 4 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    // Mostly in the header.
                    let range = if round % 3 == 0 { bytes.len() } else { bytes.len().min(100) };
                    bytes[(random >> 33) as usize % range] ^= 1 << (random >> 60 & 7);
                }
                played_both_ways(&name, &bytes);
            }
        }
    }

    /// Plays on from about a sample. Returns the number of that sample, and what came from there on.
    fn skipped(body: Body, to: u64) -> Option<(u64, Vec<f32>)> {
        let mut files = Files::open(body, &FormatHint::default()).ok()?;
        files.next().ok()??;
        let from = files.skip(to)?;
        let mut heard = Vec::new();
        while let Ok(Some((_, samples))) = files.next() {
            heard.extend_from_slice(samples);
        }
        Some((from, heard))
    }

    #[test]
    fn skipping_matches_decoding_from_the_start() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("__test__/fixtures/long");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut entered = Vec::new();
        for path in files.filter(|path| path.extension().is_some_and(|extension| extension != "sh")) {
            let (name, bytes) = (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap());
            for (whole, way) in bodies(&bytes).map(played).into_iter().zip(0..) {
                // A stream can't wait for a table that comes last.
                if way == 1 && whole.1 == Some(Code::UnsupportedFormat) {
                    continue;
                }
                assert!(whole.1.is_none(), "{name}: {:?}", whole.1);
                let whole = whole.0;
                for part in [10, 3, 2] {
                    let to = whole.len() * (part - 1) / part + 17;
                    let body = bodies(&bytes).into_iter().nth(way).unwrap();
                    let Some((from, heard)) = skipped(body, to as u64) else { continue };
                    let lead_in = to - from as usize;
                    assert!(from as usize <= to, "{name}: {from} of {to}");
                    assert_eq!(from as usize + heard.len(), whole.len(), "{name}, {way}, from {from} for {to}");
                    // Opus depends on what it decoded before, for seconds; others on some frames.
                    let (run_up, most) = if name.starts_with("opus") { (24_000, 0.05) } else { (0, 1e-6) };
                    let difference = |position: usize| (heard[lead_in + position] - whole[to + position]).abs();
                    let worst = (run_up..whole.len() - to).map(difference).fold(0.0, f32::max);
                    assert!(worst <= most, "{name}, {way}: {worst} off from {to} on");
                    entered.push((name.clone(), way));
                }
            }
        }
        // A file can be entered anywhere; a body that comes bit by bit, only in formats whose frames can be skipped.
        let count = |name: &str, way: usize| entered.iter().filter(|entry| entry.0 == name && entry.1 == way).count();
        for (names, seekable, coming) in [
            (&["pcm.wav", "mulaw.au", "adts.aac", "vbr.mp3", "vbr-untold.mp3"][..], 3, 3),
            (&["cbr.mp3", "cbr-padded.mp3", "cbr-untold.mp3"], 3, 3),
            (&["table.flac", "frames.flac", "first.m4a", "last.m4a", "alac.m4a", "mp3.mp4", "opus.mp4"], 3, 0),
        ] {
            for name in names {
                assert_eq!((count(name, 0), count(name, 1)), (seekable, coming), "{name}");
            }
        }
    }
}
