//! The files in a body, one behind the other: what begins where, what is between them, and how much of the body was not audio.
//!
//! A text-to-speech service sends a file a sentence, a radio station joins what it likes, a download has tags before, behind
//! and within. So what one file leaves of its body is looked at again as a new file, until the body ends; and a body of which
//! much was left out is not played to its end in silence, but fails.

use symphonia::core::audio::AudioSpec;

use super::adts::{self, Adts};
use super::body::{Body, SharedBody};
use super::decode::{Block, Decode, Details, Label, Piece, Step, check, damaged, unsupported};
use super::flac::Flac;
use super::matroska::{self, Matroska};
use super::mpeg::{self, Mpeg};
use super::mpeg_ts::{self, Framing};
use super::riff::Riff;
use super::tags::{self, Tags};
use super::{frames, mp4, ogg};
use crate::error::{Code, Result, SpeakerError};

/// The most bytes before a file, or between two frames, that are neither audio nor a tag: 1 MiB, as far as Symphonia's probe looks.
pub const MAX_JUNK: u64 = 1 << 20;

/// The share of a body that may be left out, and the number of bytes that always may: one part in twenty, and a kilobyte. Bytes
/// of zero, which pad, are not counted.
const SHARE_LEFT_OUT: u64 = 20;
const BYTES_LEFT_OUT: u64 = 1 << 10;

/// How many files that can't be played may stand in a body: each may be read for a while before that is known.
const MAX_UNPLAYED: usize = 100;

/// As much as has to be seen of a container.
const HEAD: usize = 12;

/// What begins at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Riff(Riff),
    Flac,
    Ogg,
    Mp4,
    Matroska,
    Mpeg,
    Adts,
    Transport(Framing),
}

impl Kind {
    /// What the container is called where somebody asks for it.
    fn name(self) -> &'static str {
        match self {
            Self::Riff(Riff::Wav) => "wav",
            Self::Riff(Riff::Aiff) => "aiff",
            Self::Flac => "flac",
            Self::Ogg => "ogg",
            Self::Mp4 => "mp4",
            Self::Matroska => "matroska",
            Self::Mpeg => "mpeg",
            Self::Adts => "adts",
            Self::Transport(_) => "mpegts",
        }
    }
}

/// Returns true if `head` begins a file that says what it is; a stream of frames does not.
pub fn begins(head: &[u8]) -> bool {
    container(head).is_some()
}

fn container(head: &[u8]) -> Option<Kind> {
    match head {
        _ if Flac::begins(head) => Some(Kind::Flac),
        [b'O', b'g', b'g', b'S', 0, ..] => Some(Kind::Ogg),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Kind::Mp4),
        _ if head.starts_with(&matroska::MAGIC) => Some(Kind::Matroska),
        _ => Riff::begins(head).map(Kind::Riff),
    }
}

/// How far it is to a byte with which a file, a tag or a frame may begin; an MP4 begins four bytes before its own.
pub fn to_a_beginning(bytes: &[u8]) -> Option<usize> {
    const FIRST: [bool; 256] = {
        let (mut table, bytes) = ([false; 256], b"\xffRFfOIATLG\x1a");
        let mut index = 0;
        while index < bytes.len() {
            table[bytes[index] as usize] = true;
            index += 1;
        }
        table
    };
    bytes.iter().position(|byte| FIRST[usize::from(*byte)])
}

fn kind(body: &mut Body, only_frames: bool) -> Option<Kind> {
    let frames = |body: &mut Body| match () {
        () if frames::begin::<mpeg::Header>(body) => Some(Kind::Mpeg),
        () if frames::begin::<adts::Header>(body) => Some(Kind::Adts),
        () => None,
    };
    if only_frames {
        return frames(body);
    }
    let found = container(body.peek(HEAD)).or_else(|| frames(body));
    found.or_else(|| Framing::find(body).map(Kind::Transport))
}

/// Every file in a body.
pub struct Files {
    body: SharedBody,
    tags: Tags,
    /// The file that is played, or was last: a damaged stream of frames goes on with its own decoder.
    piece: Option<(Kind, Box<dyn Piece>)>,
    is_playing: bool,
    block: Block,
    heard: bool,
    /// Bytes that no decoder could use, and those of them since the last sound.
    left_out: u64,
    run: u64,
    /// Files that could not be opened.
    unplayed: usize,
    /// It is carried by another file, and holds frames and no files.
    only_frames: bool,
}

impl Files {
    /// Finds the first file. The label is for error messages only: the bytes say what a source is, whatever it is called.
    pub fn open(mut body: Body, label: &Label) -> Result<Self> {
        tags::read_behind(&mut body);
        let mut files = Self::new(body, false);
        match files.find() {
            Some(kind) => files.start(kind).map_err(|error| files.failure().unwrap_or(error))?,
            None => {
                let only_tags = files.run == 0 && files.body.get().is_at_end();
                let received = if only_tags { "nothing but tags".to_owned() } else { label.describe() };
                return Err(files.failure().unwrap_or_else(|| unsupported(received)));
            }
        }
        Ok(files)
    }

    /// Finds the first frame of what another file carries; `name` is what that is if there is none.
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
            piece: None,
            is_playing: false,
            block: Block::default(),
            heard: false,
            left_out: 0,
            run: 0,
            unplayed: 0,
            only_frames,
        }
    }

    /// Goes to the next place where something begins.
    fn find(&mut self) -> Option<Kind> {
        let mut body = self.body.get();
        loop {
            // Of an APE tag without a header, the items were taken for junk.
            let items = self.tags.skip(&mut body).min(self.run);
            self.left_out = self.left_out.saturating_sub(items);
            let found = kind(&mut body, self.only_frames);
            let ahead = body.ahead();
            if found.is_some() || ahead.is_empty() || self.run > MAX_JUNK {
                return found;
            }
            let junk = match to_a_beginning(&ahead[1..]) {
                Some(step) if ahead[1 + step] == b'f' && step >= 4 => step - 3,
                Some(step) => 1 + step,
                // Of an MP4, its size may be all that was read.
                None => ahead.len().saturating_sub(4).max(1),
            };
            self.run += junk as u64;
            self.left_out += body.leave_out(junk);
            body.take_turns();
        }
    }

    fn start(&mut self, kind: Kind) -> Result<()> {
        let goes_on = self.piece.as_ref().is_some_and(|(last, piece)| *last == kind && piece.goes_on());
        if !goes_on {
            let body = &self.body;
            let piece: Box<dyn Piece> = match kind {
                Kind::Riff(riff) => riff.open(body)?,
                Kind::Flac => Box::new(Flac::open(body)?),
                Kind::Ogg => ogg::open(body)?,
                Kind::Mp4 => mp4::open(body)?,
                Kind::Matroska => Box::new(Matroska::open(body)?),
                Kind::Mpeg => Box::new(Mpeg::new(body)),
                Kind::Adts => Box::new(Adts::new(body)),
                Kind::Transport(framing) => mpeg_ts::open(body, framing)?,
            };
            self.piece = Some((kind, piece));
        }
        self.is_playing = true;
        Ok(())
    }

    /// Plays on. Returns false at the end of the body.
    fn step(&mut self) -> Result<bool> {
        loop {
            if self.run > MAX_JUNK {
                return Err(damaged(&format!("more than {MAX_JUNK} bytes in a row that are no audio")));
            }
            if let Some((_, piece)) = self.piece.as_mut().filter(|_| self.is_playing) {
                match piece.next(&mut self.block)? {
                    Step::Block => {
                        self.run = 0;
                        return Ok(true);
                    }
                    Step::LeftOut(bytes) => {
                        self.left_out += bytes;
                        // Packets may be empty, and there may be billions of them.
                        self.run += bytes.max(1);
                        self.body.get().take_turns();
                    }
                    Step::End => self.is_playing = false,
                }
                continue;
            }
            let Some(kind) = self.find() else {
                match self.run > MAX_JUNK {
                    true => continue,
                    false => return Ok(false),
                }
            };
            let from = self.body.get().place();
            self.body.get().mark();
            let is_started = self.start(kind).is_ok();
            let mut body = self.body.get();
            if is_started {
                body.forget();
                continue;
            }
            // A file that can't be played was none: what is there is looked at again behind its first byte. How far its demuxer has
            // read ahead is chance, so where it can't be taken back, all of that was left out.
            let left_out = if body.rewind() { body.leave_out(1) } else { body.place() - from };
            self.left_out += left_out;
            self.run += left_out.max(1);
            self.unplayed += 1;
            if self.unplayed > MAX_UNPLAYED {
                return Err(damaged("too many files in it that can't be played"));
            }
        }
    }

    /// The read that failed, if one did: the cause of whatever went wrong behind it.
    fn failure(&self) -> Option<SpeakerError> {
        let body = self.body.get();
        body.failure().map(|failure| SpeakerError::new(Code::File, format!("the audio can't be read: {failure}")))
    }

    /// Whether what was played was all of it.
    fn end(&self) -> Result<()> {
        let body = self.body.get();
        if let Some((came, stated)) = self.piece.as_ref().and_then(|(_, piece)| piece.missing()) {
            let percent = came * 100 / stated.max(1);
            let message = format!("Expected the whole length that audio announces but received {percent} % of it");
            return Err(SpeakerError::new(Code::Truncated, message));
        }
        let (left_out, all) = (self.left_out, body.place());
        if left_out > 0 && !self.heard {
            return Err(damaged("no frame of it can be decoded"));
        }
        if left_out > BYTES_LEFT_OUT && left_out * SHARE_LEFT_OUT > all {
            return Err(damaged(&format!("more than one byte in {SHARE_LEFT_OUT} is no audio")));
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
        self.heard = true;
        check(&mut self.block)?;
        Ok(Some((&self.block.spec, &self.block.samples)))
    }

    fn details(&mut self) -> Details {
        let (container, mut about) = match &mut self.piece {
            Some((kind, piece)) => (kind.name(), piece.about()),
            None => Default::default(),
        };
        let body = self.body.get();
        if let Some(tags) = body.metadata() {
            let container = std::mem::replace(&mut about.metadata, tags.clone());
            about.metadata.add(&container);
        }
        Details { container, about, place: body.place(), bytes: body.length() }
    }

    fn place(&self) -> Option<u64> {
        Some(self.body.get().place())
    }
}
