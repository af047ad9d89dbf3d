//! MPEG transport streams (ISO/IEC 13818-1), as sent by broadcasters and HLS: the first stream of AAC or MPEG audio is played.
//!
//! The payload of that stream is a body of frames of its own, which is played like any other (`files.rs`), with all changes inside it.

use std::io::{self, Read};
use std::sync::Arc;

use parking_lot::Mutex;
use symphonia::core::io::ReadOnlySource;

use super::body::{Body, SharedBody};
use super::decode::{Block, Decode, FileDecoder, FileDetails, Step};
use super::files::{self, Files, MAX_JUNK};
use crate::error::Result;

/// The length of a packet, and of one with a timestamp of four bytes before it, as recorders write it (BDAV, .m2ts).
const PACKET: usize = 188;
const TIMED_PACKET: usize = 192;

/// The sync byte that begins a packet (§2.4.3.3).
const SYNC: u8 = 0x47;

/// The number of consecutive packets that identify a transport stream, and the fewest that suffice: two tables and a part of a stream.
const IN_A_ROW: usize = 5;
const FEWEST: usize = 3;

/// The stream types in a program map that are played (table 2-34): MPEG-1 and MPEG-2 audio, and AAC in ADTS and in LATM.
const PLAYED: [u8; 4] = [0x03, 0x04, 0x0f, 0x11];

/// The packet identifiers of the program association table (§2.4.4.3) and of null packets.
const PAT_PID: u16 = 0;
const NULL_PID: u16 = 0x1fff;

/// The table IDs of the program association table and of program maps (table 2-31).
const PAT: u8 = 0;
const PMT: u8 = 2;

/// The most packets before the program maps: some seconds of a film.
const MAX_BEFORE: u64 = 64 << 10;

/// The packet layout of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// The number of bytes before each packet.
    before: usize,
}

impl Framing {
    /// Detects the packet layout here, if there is one.
    pub fn find(body: &mut Body) -> Option<Self> {
        // One byte rules out most bodies.
        if !matches!(body.peek(5), [SYNC, ..] | [_, _, _, _, SYNC]) {
            return None;
        }
        [0, TIMED_PACKET - PACKET].into_iter().map(|before| Self { before }).find(|framing| framing.fits(body))
    }

    fn length(self) -> usize {
        self.before + PACKET
    }

    /// Returns true if packets follow each other, up to the end of a short body.
    fn fits(self, body: &mut Body) -> bool {
        let seen = body.peek(IN_A_ROW * self.length());
        let mut packets = seen.chunks_exact(self.length());
        packets.len() >= FEWEST && packets.all(|packet| packet[self.before] == SYNC)
    }
}

/// Opens the stream that starts here.
pub fn open(shared: &SharedBody, framing: Framing) -> Result<Box<dyn FileDecoder>> {
    let state = Arc::new(Mutex::new(State::default()));
    let packets = Packets { body: shared.clone(), framing, state: state.clone(), carried: Vec::new(), at: 0 };
    let inside = shared.get().nested(Box::new(ReadOnlySource::new(packets)));
    let files = Files::of_frames(inside, "a transport stream without AAC or MPEG audio")?;
    Ok(Box::new(Transport { files, state }))
}

/// A transport stream being played.
struct Transport {
    files: Files,
    state: Arc<Mutex<State>>,
}

impl FileDecoder for Transport {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        Ok(match self.files.next()? {
            Some((spec, samples)) => {
                block.spec.clone_from(spec);
                block.samples.clear();
                block.samples.extend_from_slice(samples);
                Step::Block
            }
            // Reported once.
            None => match std::mem::take(&mut self.state.lock().discarded) {
                0 => Step::End,
                discarded => Step::Discarded(discarded),
            },
        })
    }

    fn details(&mut self) -> FileDetails {
        self.files.details().file
    }

    fn missing(&self) -> Option<(u64, u64)> {
        self.state.lock().missing
    }
}

/// The state of the demultiplexer.
#[derive(Debug, Default)]
struct State {
    /// The PIDs of the program maps, and of the played stream.
    maps: Vec<u16>,
    played: Option<u16>,
    /// The payload of its last packet, with the continuity counter (§2.4.3.3): a packet may be sent twice.
    last: Vec<u8>,
    /// The number of bytes left of its current PES packet, whose start was seen; [`UNKNOWN`] if the packet states no length.
    inside: u64,
    /// The number of packets so far.
    packets: u64,
    /// Bytes of damaged packets.
    discarded: u64,
    /// The number of bytes that came and that should have come, if the end cut a packet.
    missing: Option<(u64, u64)>,
}

impl State {
    /// Processes a packet, and returns the part of it that belongs to the played stream.
    fn take<'a>(&mut self, packet: &'a [u8]) -> &'a [u8] {
        self.packets += 1;
        let [_, flags, low, control, rest @ ..] = packet else { return &[] };
        let (is_damaged, starts) = (flags & 0x80 != 0, flags & 0x40 != 0);
        let pid = u16::from(flags & 0x1f) << 8 | u16::from(*low);
        let (is_scrambled, has_field, has_payload) = (control & 0xc0 != 0, control & 0x20 != 0, control & 0x10 != 0);
        if is_damaged {
            self.discarded += packet.len() as u64;
            return &[];
        }
        let field = if has_field { 1 + usize::from(*rest.first().unwrap_or(&0)) } else { 0 };
        let payload = rest.get(field..).unwrap_or_default();
        if pid == NULL_PID || is_scrambled || !has_payload {
            return &[];
        }
        match self.played {
            Some(played) if played == pid => self.carried(payload, starts, control & 0x0f),
            Some(_) => &[],
            None if pid == PAT_PID && starts => {
                if let Some(section) = section(payload, PAT) {
                    self.programs(section);
                }
                &[]
            }
            None => {
                if starts && self.maps.contains(&pid) {
                    self.played = section(payload, PMT).and_then(stream);
                }
                &[]
            }
        }
    }

    /// Reads the program association table: a number and the PID of the map for each program (§2.4.4.3).
    fn programs(&mut self, section: &[u8]) {
        self.maps.clear();
        let programs = section.get(5..).unwrap_or_default().as_chunks().0;
        self.maps.extend(
            programs
                .iter()
                .filter(|[high, low, _, _]| (*high, *low) != (0, 0))
                .map(|[_, _, high, low]| pid(*high, *low)),
        );
    }

    /// Returns the payload of the stream in a packet, without the header of its PES packet (§2.4.3.6).
    fn carried<'a>(&mut self, payload: &'a [u8], starts: bool, counter: u8) -> &'a [u8] {
        const START: [u8; 3] = [0, 0, 1];
        if self.last.split_last() == Some((&counter, payload)) {
            return &[];
        }
        self.last.clear();
        self.last.extend_from_slice(payload);
        self.last.push(counter);
        let mut carried = payload;
        if starts {
            self.inside = 0;
            let [a, b, c, _, high, low, _, _, header, rest @ ..] = payload else { return &[] };
            if [*a, *b, *c] != START {
                return &[];
            }
            carried = rest.get(usize::from(*header)..).unwrap_or_default();
            self.inside = match u64::from(u16::from_be_bytes([*high, *low])) {
                0 => UNKNOWN,
                length => length.saturating_sub(3 + u64::from(*header)),
            };
        }
        let length = self.inside.min(carried.len() as u64);
        if self.inside < UNKNOWN {
            self.inside -= length;
        }
        &carried[..length as usize]
    }
}

/// The value for a PES packet that states no length.
const UNKNOWN: u64 = u64::MAX;

fn pid(high: u8, low: u8) -> u16 {
    u16::from(high & 0x1f) << 8 | u16::from(low)
}

/// Returns the content of the table section that starts in this payload, without its header and its checksum (§2.4.4.1).
fn section(payload: &[u8], table: u8) -> Option<&[u8]> {
    let section = payload.get(1 + usize::from(*payload.first()?)..)?;
    let [id, high, low, ..] = section else { return None };
    let end = 3 + (usize::from(high & 0x0f) << 8 | usize::from(*low)).checked_sub(4)?;
    // A section that continues in the next packet is read as far as it is here.
    section.get(3..end.min(section.len())).filter(|_| *id == table)
}

/// Returns the PID of the first playable stream in a program map (§2.4.4.8).
fn stream(section: &[u8]) -> Option<u16> {
    let descriptors = usize::from(section.get(7)? & 0x0f) << 8 | usize::from(*section.get(8)?);
    let mut streams = section.get(9 + descriptors..)?;
    while let [kind, high, low, length_high, length_low, rest @ ..] = streams {
        if PLAYED.contains(kind) {
            return Some(pid(*high, *low));
        }
        streams = rest.get(usize::from(length_high & 0x0f) << 8 | usize::from(*length_low)..)?;
    }
    None
}

/// A reader of the payload of the played stream.
struct Packets {
    body: SharedBody,
    framing: Framing,
    state: Arc<Mutex<State>>,
    carried: Vec<u8>,
    at: usize,
}

impl Packets {
    /// Reads the next packet with a payload of the stream. Returns false at the end.
    fn fill(&mut self) -> bool {
        let (mut body, mut state) = (self.body.get(), self.state.lock());
        let mut run = 0;
        self.at = 0;
        self.carried.clear();
        while self.carried.is_empty() {
            if state.played.is_none() && state.packets > MAX_BEFORE {
                return false;
            }
            let length = self.framing.length();
            let packet = body.peek(length);
            if packet.len() < length {
                let (received, is_cut) = (packet.len(), packet.get(self.framing.before) == Some(&SYNC));
                let position = body.position() + received as u64;
                let inside = if state.inside < UNKNOWN { state.inside } else { 0 };
                let lost = if is_cut { (length - received) as u64 } else { 0 }.max(inside);
                state.missing = (lost > 0).then_some((position, position + lost));
                body.consume(received);
                return false;
            }
            if packet[self.framing.before] == SYNC {
                run = 0;
                self.carried.extend_from_slice(state.take(&packet[self.framing.before..]));
                body.consume(length);
                continue;
            }
            // Another file, or damage.
            if files::detect(packet) || run > MAX_JUNK {
                return false;
            }
            let step = packet[1..].iter().position(|byte| *byte == SYNC).map_or(packet.len(), |step| step + 1);
            let discarded = body.discard(step);
            state.discarded += discarded;
            run += step as u64;
            if !body.yield_if_due() {
                return false;
            }
        }
        true
    }
}

impl Read for Packets {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.carried.len() && !self.fill() {
            return Ok(0);
        }
        let rest = &self.carried[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a packet with a payload, filled up by an adaptation field.
    fn packet(pid: u16, starts: bool, counter: u8, payload: &[u8]) -> Vec<u8> {
        let fill = PACKET - 4 - payload.len();
        let field = if fill > 0 { [&[fill as u8 - 1], &vec![0xff; fill - 1][..]].concat() } else { Vec::new() };
        let flags = (pid >> 8) as u8 | u8::from(starts) << 6;
        let control = 0x10 | counter | u8::from(fill > 0) << 5;
        [&[SYNC, flags, pid as u8, control], &field[..], payload].concat()
    }

    fn table(id: u8, content: &[u8]) -> Vec<u8> {
        [&[0, id, 0xb0, content.len() as u8 + 4], content, &[0; 4]].concat()
    }

    #[test]
    fn tables_select_the_first_playable_stream() {
        let mut state = State::default();
        // A network table is skipped, and so are video and AC-3.
        let programs = table(0, &[0, 1, 0xc1, 0, 0, 0, 0, 0xe0, 0x10, 0, 1, 0xe1, 0x00]);
        let map = table(
            2,
            &[
                0, 1, 0xc1, 0, 0, 0xe1, 1, 0xf0, 2, 9, 9, 0x1b, 0xe1, 1, 0xf0, 0, 0x81, 0xe1, 2, 0xf0, 1, 7, 0x0f,
                0xe1, 3, 0xf0, 0,
            ],
        );
        assert!(state.take(&packet(0x103, true, 0, b"early")).is_empty());
        assert!(state.take(&packet(0, true, 0, &programs)).is_empty());
        assert_eq!(state.maps, [0x100]);
        assert!(state.take(&packet(0x100, true, 0, &map)).is_empty());
        assert_eq!(state.played, Some(0x103));
    }

    #[test]
    fn extracts_payloads_once_and_bounded() {
        let mut state = State { played: Some(0x103), ..State::default() };
        let mut take = |starts, counter, payload: &[u8]| state.take(&packet(0x103, starts, counter, payload)).to_vec();
        assert_eq!(take(false, 0, b"within"), b"");
        let start = [&[0, 0, 1, 0xc0, 0, 13, 0x80, 0x80, 5, 1, 2, 3, 4, 5][..], b"abc"].concat();
        assert_eq!(take(true, 1, &start), b"abc");
        assert_eq!(take(true, 1, &start), b"", "it was sent twice");
        assert_eq!(take(false, 2, b"defg"), b"de", "the rest fills");
        assert_eq!(take(true, 3, &[0, 0, 1, 0xc0, 0, 0, 0x80, 0, 0, 7]), [7]);
        assert_eq!(take(false, 4, &[8; 184]), [8; 184]);
        assert_eq!(take(true, 5, b"none"), b"");
    }

    #[test]
    fn finds_packets_with_and_without_timestamps() {
        for before in [0, 4] {
            let packet = [&vec![9; before][..], &packet(1, true, 0, b"")].concat();
            for (count, found) in [(5, true), (3, true), (2, false)] {
                for mut body in super::super::body::tests::bodies(&packet.repeat(count)) {
                    assert_eq!(Framing::find(&mut body), found.then_some(Framing { before }));
                }
            }
        }
    }
}
