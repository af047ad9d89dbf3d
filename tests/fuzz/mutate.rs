//! Makes hostile files from valid ones.

use super::random::Random;
use super::tree::{self, Kind, Node};

/// The longest input; longer ones are cut. A hundred thousand bytes and more are enough for 16,000 nested boxes.
pub const MAX_INPUT: usize = 192 << 10;

/// The usual limit, which lets more inputs run in the same time.
const USUAL_INPUT: usize = 12 << 10;

#[rustfmt::skip]
const NUMBERS: &[u64] = &[
    0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 4096, 32_767, 32_768, 65_535, 65_536,
    0x00ff_ffff, 0x0100_0000, 0x1fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff,
    0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0xffff_ffff_ffff_fff0, 0xffff_ffff_ffff_ffff,
];

/// Names of chunks and boxes, magic numbers and marks.
#[rustfmt::skip]
const WORDS: &[&[u8]] = &[
    b"RIFF", b"RF64", b"WAVE", b"fmt ", b"data", b"fact", b"LIST", b"INFO", b"ds64", b"id3 ", b"INAM", b"bext", b"FORM", b"AIFF",
    b"AIFC", b"COMM", b"SSND", b"FVER", b"ID3 ", b"NONE", b"sowt", b"fl32", b"fl64", b"alaw", b"ulaw", b"ima4", b"in24", b"OggS",
    b"\x01vorbis", b"\x03vorbis", b"\x05vorbis", b"BCV", b"OpusHead", b"OpusTags", b"\x7fFLAC", b"fLaC", b"\xff\xf8",
    b"METADATA_BLOCK_PICTURE=", b"ftyp", b"M4A ", b"isom", b"qt  ", b"moov", b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia",
    b"mdhd", b"hdlr", b"soun", b"vide", b"minf", b"smhd", b"dinf", b"dref", b"stbl", b"stsd", b"stts", b"stsc", b"stsz", b"stz2",
    b"stco", b"co64", b"stss", b"mp4a", b"alac", b"esds", b"wave", b"frma", b"chan", b"udta", b"meta", b"ilst", b"mean", b"name",
    b"data", b"----", b"covr", b"\xa9nam", b"mvex", b"mehd", b"trex", b"moof", b"mfhd", b"traf", b"tfhd", b"tfdt", b"trun", b"sidx",
    b"mdat", b"free", b"skip", b"uuid", b"Opus", b"dOps", b"fLaC", b"dfLa", b"lpcm", b"ipcm", b"pcmC", b".mp3", b"ac-3", b"ID3\x04",
    b"TAG", b"APETAGEX", b"NAME", b"AUTH", b"ANNO", b"(c) ", b"COMT", b"MARK", b"INST", b"APPL", b"cue ", b"smpl", b"adtl", b"labl",
    b"PEAK", b"JUNK", b"axml", b"dac3", b"dec3", b"dvcC", b"avcC", b"hvcC", b"ID32", b"colr", b"pasp", b"ctts", b"sbgp", b"sgpd", b"senc", b"saiz", b"saio", b"Xing", b"Info", b"VBRI", b"LAME", b"\xff\xfb", b"\xff\xf1",
];

/// Makes a hostile input from one of `seeds`.
pub fn mutate<S: AsRef<[u8]>>(seeds: &[S], random: &mut Random) -> Vec<u8> {
    let seed = random.pick(seeds).as_ref();
    let mut bytes = Vec::new();
    let most = if random.once_in(32) { MAX_INPUT } else { USUAL_INPUT.max(seed.len()).min(MAX_INPUT) };
    if random.once_in(4) {
        bytes.extend(seed);
    } else {
        let mut root = tree::read(seed);
        for _ in 0..1 + random.skewed(4) {
            edit_tree(&mut root, seeds, most, random);
        }
        root.write(&mut bytes);
    }
    if bytes.as_slice() == seed || random.once_in(6) {
        for _ in 0..1 + random.skewed(3) {
            edit_bytes(&mut bytes, seeds, most, random);
        }
    }
    bytes.truncate(most);
    bytes
}

fn edit_tree<S: AsRef<[u8]>>(root: &mut Node, seeds: &[S], most: usize, random: &mut Random) {
    let count = root.count();
    if count == 0 {
        return;
    }
    let mut number = random.below(count);
    let (siblings, at) = find(root, &mut number).expect("there are so many nodes");
    match random.below(16) {
        0 => drop(siblings.remove(at)),
        1 => {
            let copy = siblings[at].clone();
            let to = random.below(siblings.len() + 1);
            siblings.insert(to, copy);
        }
        2 => {
            let other = random.below(siblings.len());
            siblings.swap(at, other);
        }
        3 => repeat(siblings, at, most, random),
        4 => nest(&mut siblings[at], most, random),
        5 => {
            let other = tree::read(random.pick(seeds).as_ref());
            let mut number = random.below(other.count());
            let node = pick(&other, &mut number).cloned();
            let to = random.below(siblings.len() + 1);
            node.into_iter().for_each(|node| siblings.insert(to, node));
        }
        6 | 7 if siblings[at].kind != Kind::Raw => {
            let mut length = Vec::new();
            siblings[at].write(&mut length);
            let true_length = length.len() as u64;
            siblings[at].length = Some(match random.below(4) {
                0 => true_length.wrapping_add_signed(random.below(33) as i64 - 16),
                1 => random.skewed(4096) as u64,
                _ => *random.pick(NUMBERS),
            });
        }
        8 if !siblings[at].head.is_empty() => {
            let head = &mut siblings[at].head;
            let word = random.pick(WORDS);
            match head.len() {
                4 if word.len() >= 4 => head.copy_from_slice(&word[..4]),
                _ => edit_fields(head, random),
            }
        }
        _ => {
            let node = &mut siblings[at];
            if node.bytes.is_empty() {
                edit_fields(&mut node.head, random);
            } else if random.once_in(4) {
                edit_bytes(&mut node.bytes, seeds, most, random);
            } else {
                edit_fields(&mut node.bytes, random);
            }
        }
    }
}

fn find<'a>(node: &'a mut Node, number: &mut usize) -> Option<(&'a mut Vec<Node>, usize)> {
    if *number < node.parts.len() {
        return Some((&mut node.parts, *number));
    }
    *number -= node.parts.len();
    node.parts.iter_mut().find_map(|part| find(part, number))
}

fn pick<'a>(node: &'a Node, number: &mut usize) -> Option<&'a Node> {
    if *number < node.parts.len() {
        return Some(&node.parts[*number]);
    }
    *number -= node.parts.len();
    node.parts.iter().find_map(|part| pick(part, number))
}

fn size(node: &Node) -> usize {
    let mut bytes = Vec::new();
    node.write(&mut bytes);
    bytes.len().max(1)
}

fn repeat(siblings: &mut Vec<Node>, at: usize, most: usize, random: &mut Random) {
    let most = most / size(&siblings[at]);
    let copies = vec![siblings[at].clone(); random.skewed(most.min(20_000))];
    siblings.splice(at..at, copies);
}

/// Nests a part in itself, again and again.
fn nest(node: &mut Node, most: usize, random: &mut Random) {
    if !matches!(node.kind, Kind::Box | Kind::Riff | Kind::Iff) {
        return;
    }
    let around = Node { parts: Vec::new(), length: None, ..node.clone() };
    let around = match random.below(3) {
        0 if node.parts.is_empty() => Node { bytes: Vec::new(), ..around },
        _ => around,
    };
    let most = most / (8 + around.bytes.len());
    // It is written by recursion: no deeper than the stack of this thread allows.
    let depth = random.skewed(most.min(12_000));
    for _ in 0..depth {
        let inner = std::mem::replace(node, around.clone());
        node.parts.push(inner);
    }
}

/// Edits one field, most often one near the start, where lengths and counts are. The size stays.
fn edit_fields(bytes: &mut [u8], random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    for _ in 0..1 + random.skewed(3) {
        let near = if random.once_in(3) { bytes.len() } else { bytes.len().min(64) };
        let at = random.below(near);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at] = bytes[at].wrapping_add_signed(random.below(9) as i8 - 4),
            3 => set_bits(bytes, at * 8 + random.below(8), 1 + random.below(32), random),
            _ => {
                let width = *random.pick(&[1, 2, 3, 4, 4, 4, 8]);
                let number = match random.below(4) {
                    0 => random.next() >> random.below(64),
                    1 => bytes.len() as u64,
                    _ => *random.pick(NUMBERS),
                };
                let number = number.wrapping_add_signed(random.below(3) as i64 - 1);
                let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
                let written = if random.once_in(2) { &little[..width] } else { &big[8 - width..] };
                let end = bytes.len().min(at + width);
                bytes[at..end].copy_from_slice(&written[..end - at]);
            }
        }
    }
}

fn set_bits(bytes: &mut [u8], from: usize, count: usize, random: &mut Random) {
    let value = *random.pick(&[0, u64::MAX, random.0 ^ 0x5555_aaaa]);
    for bit in from..(from + count).min(bytes.len() * 8) {
        let mask = 1 << (bit % 8);
        match value >> (bit - from) & 1 {
            0 => bytes[bit / 8] &= !mask,
            _ => bytes[bit / 8] |= mask,
        }
    }
}

/// Edits bytes regardless of their meaning.
fn edit_bytes<S: AsRef<[u8]>>(bytes: &mut Vec<u8>, seeds: &[S], most: usize, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let length = random.skewed(bytes.len() - at);
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..at + length)),
        2 => {
            let copy = bytes[at..at + length].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        3 => {
            let other = random.pick(seeds).as_ref();
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend(&other[from..]);
        }
        4 => {
            let word = *random.pick(WORDS);
            let end = if random.once_in(2) { at } else { bytes.len().min(at + word.len()) };
            bytes.splice(at..end, word.iter().copied());
        }
        5 => {
            let copies = random.skewed(1 + most / (length + 1));
            let copies = bytes[at..at + length].repeat(copies);
            bytes.splice(at..at, copies);
        }
        6 => {
            let fill = *random.pick(&[0, 0xff, random.0 as u8]);
            bytes[at..at + length].fill(fill);
        }
        _ => edit_fields(bytes, random),
    }
}
