//! A file as a tree of its parts: chunks, boxes, pages, packets, frames. So an edit hits a field, and the lengths and checksums around it
//! can be corrected: otherwise nothing behind the first check would ever be reached.

/// The kind of a part, which decides how its length and checksum are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    Raw,
    /// Name, length in little-endian, contents, a pad byte.
    Riff,
    /// Name, length in big-endian, contents, a pad byte.
    Iff,
    /// Length with itself, name, contents (ISO/IEC 14496-12).
    Box,
    /// Type, 24 bits of length, contents (RFC 9639 §8).
    FlacBlock,
    /// Ends with a CRC-16; its head with a CRC-8 (RFC 9639 §9).
    FlacFrame,
    /// A page whose parts are packets (RFC 3533 §6).
    OggPage,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub kind: Kind,
    /// Name or head, without length and checksum.
    pub head: Vec<u8>,
    /// The contents before the parts, or all of the contents.
    pub bytes: Vec<u8>,
    pub parts: Vec<Node>,
    /// A length to write in place of the true one.
    pub length: Option<u64>,
    /// True if the last packet of a page goes on in the next one.
    pub goes_on: bool,
}

impl Node {
    pub fn raw(bytes: &[u8]) -> Self {
        Self {
            kind: Kind::Raw,
            head: Vec::new(),
            bytes: bytes.to_vec(),
            parts: Vec::new(),
            length: None,
            goes_on: false,
        }
    }

    fn new(kind: Kind, head: &[u8], bytes: &[u8], parts: Vec<Self>) -> Self {
        Self { kind, head: head.to_vec(), parts, ..Self::raw(bytes) }
    }

    /// Returns the number of nodes below it.
    pub fn count(&self) -> usize {
        self.parts.iter().map(|part| 1 + part.count()).sum()
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let contents = |out: &mut Vec<u8>| {
            out.extend(&self.bytes);
            self.parts.iter().for_each(|part| part.write(out));
        };
        match self.kind {
            Kind::Raw => contents(out),
            Kind::Riff | Kind::Iff => {
                out.extend(&self.head);
                out.extend([0; 4]);
                contents(out);
                let length = self.length.unwrap_or((out.len() - start - 8) as u64) as u32;
                let length = if self.kind == Kind::Riff { length.to_le_bytes() } else { length.to_be_bytes() };
                out[start + 4..start + 8].copy_from_slice(&length);
                if (out.len() - start) % 2 == 1 {
                    out.push(0);
                }
            }
            Kind::Box => {
                out.extend([0; 4]);
                out.extend(&self.head);
                contents(out);
                let length = self.length.unwrap_or((out.len() - start) as u64) as u32;
                out[start..start + 4].copy_from_slice(&length.to_be_bytes());
            }
            Kind::FlacBlock => {
                out.extend(&self.head);
                out.extend([0; 3]);
                contents(out);
                let length = self.length.unwrap_or((out.len() - start - 4) as u64) as u32;
                out[start + 1..start + 4].copy_from_slice(&length.to_be_bytes()[1..]);
            }
            Kind::FlacFrame => {
                contents(out);
                if let Some(head) = flac_head(&out[start..]) {
                    out[start + head] = crc8(&out[start..start + head]);
                }
                let crc = crc16(&out[start..]);
                out.extend(crc.to_be_bytes());
            }
            Kind::OggPage => self.write_page(out),
        }
    }

    fn write_page(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut lacing = Vec::new();
        for (number, packet) in self.parts.iter().enumerate() {
            let mut bytes = Vec::new();
            packet.write(&mut bytes);
            lacing.extend(std::iter::repeat_n(255, bytes.len() / 255));
            let goes_on = self.goes_on && number + 1 == self.parts.len() && bytes.len().is_multiple_of(255);
            if !goes_on {
                lacing.push((bytes.len() % 255) as u8);
            }
        }
        lacing.truncate(255);
        out.extend(&self.head[..22]);
        out.extend([0; 4]);
        out.push(self.length.map_or(lacing.len() as u8, |length| length as u8));
        out.extend(&lacing);
        let mut contents = Vec::new();
        self.parts.iter().for_each(|part| part.write(&mut contents));
        let whole: usize = lacing.iter().map(|lace| usize::from(*lace)).sum();
        contents.truncate(whole);
        out.extend(&contents);
        let crc = ogg_crc(&out[start..]);
        out[start + 22..start + 26].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Parses `bytes` into parts. Anything that is not understood stays as it is.
pub fn read(bytes: &[u8]) -> Node {
    let parts = match bytes {
        [b'R', b'I', b'F', b'F', ..] | [b'R', b'F', b'6', b'4', ..] => chunks(bytes, Kind::Riff),
        [b'F', b'O', b'R', b'M', ..] => chunks(bytes, Kind::Iff),
        [b'O', b'g', b'g', b'S', ..] => pages(bytes),
        [b'f', b'L', b'a', b'C', ..] => flac(bytes),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => boxes(bytes, 0),
        [0xff, second, ..] if second & 0xe0 == 0xe0 => frames(bytes),
        [b'I', b'D', b'3', ..] => frames(bytes),
        _ => vec![Node::raw(bytes)],
    };
    Node { parts, ..Node::raw(&[]) }
}

fn chunks(bytes: &[u8], kind: Kind) -> Vec<Node> {
    let (mut rest, mut nodes) = (bytes, Vec::new());
    while let Some((head, contents)) = rest.split_at_checked(8) {
        let length = [head[4], head[5], head[6], head[7]];
        let length = if kind == Kind::Riff { u32::from_le_bytes(length) } else { u32::from_be_bytes(length) } as usize;
        let known = length.min(contents.len());
        let (inside, behind) = contents.split_at(known);
        let mut node = match (&head[..4], inside.split_at_checked(4)) {
            (b"RIFF" | b"RF64" | b"FORM" | b"LIST", Some((form, inside))) => {
                Node::new(kind, &head[..4], form, chunks(inside, kind))
            }
            _ => Node::new(kind, &head[..4], inside, Vec::new()),
        };
        node.length = (known < length).then_some(length as u64);
        nodes.push(node);
        rest = &behind[(known % 2).min(behind.len())..];
    }
    if !rest.is_empty() {
        nodes.push(Node::raw(rest));
    }
    nodes
}

/// Boxes that contain boxes, and the number of bytes before the first of them.
const CONTAINERS: &[(&[u8; 4], usize)] = &[
    (b"moov", 0),
    (b"trak", 0),
    (b"mdia", 0),
    (b"minf", 0),
    (b"stbl", 0),
    (b"edts", 0),
    (b"dinf", 0),
    (b"udta", 0),
    (b"mvex", 0),
    (b"moof", 0),
    (b"traf", 0),
    (b"ilst", 0),
    (b"wave", 0),
    (b"meta", 4),
    (b"dref", 8),
    (b"stsd", 8),
    (b"mp4a", 28),
    (b"alac", 28),
];

fn boxes(bytes: &[u8], depth: usize) -> Vec<Node> {
    let (mut rest, mut nodes) = (bytes, Vec::new());
    while let Some((head, contents)) = rest.split_at_checked(8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let known = length.saturating_sub(8).min(contents.len());
        let (inside, behind) = contents.split_at(known);
        let container = CONTAINERS.iter().find(|(name, _)| **name == head[4..8] && depth < 12);
        let mut node = match container.and_then(|(_, before)| inside.split_at_checked(*before)) {
            Some((before, inside)) => Node::new(Kind::Box, &head[4..8], before, boxes(inside, depth + 1)),
            None => Node::new(Kind::Box, &head[4..8], inside, Vec::new()),
        };
        node.length = (known + 8 != length).then_some(length as u64);
        nodes.push(node);
        rest = behind;
    }
    if !rest.is_empty() {
        nodes.push(Node::raw(rest));
    }
    nodes
}

fn pages(bytes: &[u8]) -> Vec<Node> {
    let (mut rest, mut nodes) = (bytes, Vec::new());
    while rest.starts_with(b"OggS") && rest.len() >= 27 {
        let segments = usize::from(rest[26]);
        let Some(lacing) = rest.get(27..27 + segments) else { break };
        let mut contents = &rest[27 + segments..];
        let (mut packets, mut length) = (Vec::new(), 0);
        for (number, lace) in lacing.iter().enumerate() {
            length += usize::from(*lace);
            if *lace < 255 || number + 1 == segments {
                let (packet, behind) = contents.split_at(length.min(contents.len()));
                packets.push(Node::raw(packet));
                (contents, length) = (behind, 0);
            }
        }
        let mut page = Node::new(Kind::OggPage, &rest[..22], &[], packets);
        page.goes_on = lacing.last() == Some(&255);
        nodes.push(page);
        rest = contents;
    }
    if !rest.is_empty() {
        nodes.push(Node::raw(rest));
    }
    nodes
}

fn flac(bytes: &[u8]) -> Vec<Node> {
    let mut nodes = vec![Node::raw(&bytes[..4])];
    let mut rest = &bytes[4..];
    while let Some((head, contents)) = rest.split_at_checked(4) {
        let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        if head[0] & 0x7f > 6 && length > contents.len() {
            break;
        }
        let (inside, behind) = contents.split_at(length.min(contents.len()));
        nodes.push(Node::new(Kind::FlacBlock, &head[..1], inside, Vec::new()));
        rest = behind;
        if head[0] & 0x80 != 0 {
            break;
        }
    }
    let mut starts: Vec<usize> = (0..rest.len())
        .filter(|at| rest[*at] == 0xff && flac_head(&rest[*at..]).is_some_and(|head| is_flac_head(&rest[*at..], head)))
        .collect();
    starts.push(rest.len());
    nodes.push(Node::raw(&rest[..starts[0]]));
    for pair in starts.windows(2) {
        let frame = &rest[pair[0]..pair[1]];
        nodes.push(Node::new(Kind::FlacFrame, &[], &frame[..frame.len().saturating_sub(2)], Vec::new()));
    }
    nodes
}

fn is_flac_head(frame: &[u8], head: usize) -> bool {
    frame.get(head).is_some_and(|crc| *crc == crc8(&frame[..head]))
}

/// Returns the length of a frame's head before its CRC, if it looks like one.
fn flac_head(frame: &[u8]) -> Option<usize> {
    let [0xff, 0xf8 | 0xf9, sizes, _, number, ..] = frame else { return None };
    let number = match number.leading_ones() {
        0 => 1,
        ones @ 2..=7 => ones as usize,
        _ => return None,
    };
    let block = match sizes >> 4 {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let rate = match sizes & 15 {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let length = 4 + number + block + rate;
    (length < frame.len()).then_some(length)
}

/// Divides MPEG audio and ADTS before each sync word. Some of these cuts are wrong, which does no harm.
fn frames(bytes: &[u8]) -> Vec<Node> {
    let is_sync = |at: &usize| bytes[*at] == 0xff && bytes.get(at + 1).is_some_and(|next| next & 0xe0 == 0xe0);
    let mut starts: Vec<usize> = (1..bytes.len()).filter(is_sync).collect();
    starts.insert(0, 0);
    starts.push(bytes.len());
    starts.windows(2).map(|pair| Node::raw(&bytes[pair[0]..pair[1]])).collect()
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 })
    })
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc: u16, _| {
                if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 }
            },
        )
    })
}

fn ogg_crc(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut number = 0;
        while number < 256 {
            let (mut crc, mut bit) = ((number as u32) << 24, 0);
            while bit < 8 {
                crc = if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
                bit += 1;
            }
            table[number] = crc;
            number += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, byte| crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)])
}
