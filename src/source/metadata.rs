//! The metadata of tags: title, artist and so on, and the loudness. Read only on request, and not for plain playback.
//!
//! Each kind of tag is read from a slice of at most [`MAX_TAG`] bytes, without recursion, and nothing is allocated by a length that it
//! claims.

use symphonia::core::meta::{MetadataRevision, RawValue, StandardTag, Tag as ContainerTag};

use super::mp4;

/// The most that is read of a tag: one with pictures usually begins with its texts.
pub const MAX_TAG: usize = 1 << 20;

/// The most that is kept of a text, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// The reference loudness of ReplayGain 2.0, in LUFS.
const REPLAY_GAIN_LUFS: f64 = -18.0;

/// The reference loudness of Opus tags (RFC 7845 §5.2.1), in LUFS, and their steps per dB.
const R128_LUFS: f64 = -23.0;
const R128_STEPS: f64 = 256.0;

/// The plausible loudness in tags. Anything else is wrong: nothing is measured below −70 LUFS (ITU-R BS.1770-5), and a mistaken sign does
/// not reach that far.
const LUFS: std::ops::RangeInclusive<f64> = -70.0..=20.0;

/// The names of texts, and their keys in the kinds of tags, in lower case.
const NAMES: [(&str, &[&str]); 8] = [
    ("title", &["title", "tit2", "tt2", "inam", "name", "©nam"]),
    ("artist", &["artist", "tpe1", "tp1", "iart", "auth", "©art"]),
    ("album", &["album", "talb", "tal", "iprd", "©alb"]),
    ("albumArtist", &["albumartist", "album artist", "album_artist", "tpe2", "tp2", "aart"]),
    ("track", &["track", "tracknumber", "part_number", "trck", "trk", "itrk", "iprt", "trkn"]),
    ("date", &["date", "year", "date_released", "date_recorded", "tdrc", "tyer", "tye", "icrd", "©day"]),
    ("genre", &["genre", "tcon", "tco", "ignr", "©gen"]),
    ("comment", &["comment", "description", "comm", "com", "icmt", "anno", "©cmt"]),
];

/// The kinds of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Id3v1,
    Id3v2,
    /// APEv1 and APEv2, with a header or with a footer only.
    Ape,
    /// A Vorbis comment.
    Vorbis,
    /// A `LIST` chunk of a WAV.
    RiffList,
    /// The item list (`ilst`) in the tag of an MP4.
    Mp4,
    /// A text chunk, by its name.
    Chunk([u8; 4]),
}

impl Tag {
    /// Returns the kind of tag in a chunk of a WAV or an AIFF.
    pub fn of_chunk(name: [u8; 4]) -> Option<Self> {
        match &name {
            b"LIST" => Some(Self::RiffList),
            b"id3 " | b"ID3 " => Some(Self::Id3v2),
            b"NAME" | b"AUTH" | b"ANNO" => Some(Self::Chunk(name)),
            _ => None,
        }
    }
}

/// The metadata that was read. If two tags have the same field, the first counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    texts: Vec<(&'static str, String)>,
    track: Gain,
    album: Gain,
}

/// The gain of a track or an album, as tags state it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Gain {
    /// The gain in dB, to −18 LUFS.
    replay_gain: Option<f64>,
    /// The gain in steps, to −23 LUFS.
    r128: Option<f64>,
}

impl Gain {
    fn lufs(&self) -> Option<f64> {
        let r128 = self.r128.map(|gain| R128_LUFS - gain / R128_STEPS);
        let lufs = r128.or(self.replay_gain.map(|gain| REPLAY_GAIN_LUFS - gain));
        lufs.filter(|lufs| LUFS.contains(lufs))
    }

    fn add(&mut self, other: &Self) {
        self.replay_gain = self.replay_gain.or(other.replay_gain);
        self.r128 = self.r128.or(other.r128);
    }
}

impl Metadata {
    /// Returns those that are known of title, artist, album, albumArtist, track, date, genre and comment, in this order.
    pub fn texts(&self) -> Vec<(&'static str, String)> {
        let text = |(name, _): &(&'static str, _)| self.texts.iter().find(|(known, _)| known == name).cloned();
        NAMES.iter().filter_map(text).collect()
    }

    /// Returns the loudness in LUFS, if a tag states it for the track or else for its album, as ReplayGain 2.0 has it.
    pub fn lufs(&self) -> Option<f64> {
        self.track.lufs().or(self.album.lufs())
    }

    /// Adds the fields of `other` that are missing here.
    pub fn add(&mut self, other: &Self) {
        other.texts.iter().for_each(|(name, text)| self.put(name, text));
        self.track.add(&other.track);
        self.album.add(&other.album);
    }

    /// Reads a tag, or as much of it as is here.
    pub fn read(&mut self, tag: Tag, bytes: &[u8]) {
        match tag {
            Tag::Id3v1 => self.id3v1(bytes),
            Tag::Id3v2 => self.id3v2(bytes),
            Tag::Ape => self.ape(bytes),
            Tag::Vorbis => self.vorbis(bytes),
            Tag::RiffList => self.riff_list(bytes),
            Tag::Mp4 => self.mp4(bytes),
            Tag::Chunk(name) => self.put(&latin1(&name), &text(bytes)),
        }
    }

    /// Takes the tags that a demuxer has read from its container.
    pub fn take(&mut self, revision: &MetadataRevision) {
        let tracks = revision.per_track.iter().flat_map(|track| &track.metadata.tags);
        for ContainerTag { raw, std } in revision.media.tags.iter().chain(tracks) {
            let text = match &raw.value {
                RawValue::String(text) => text.to_string(),
                RawValue::StringList(list) => list.join("; "),
                RawValue::UnsignedInt(number) => number.to_string(),
                RawValue::SignedInt(number) => number.to_string(),
                _ => continue,
            };
            let name = match std {
                Some(StandardTag::TrackTitle(_)) => "title",
                Some(StandardTag::Artist(_)) => "artist",
                Some(StandardTag::Album(_)) => "album",
                Some(StandardTag::AlbumArtist(_)) => "albumartist",
                Some(StandardTag::TrackNumber(_)) => "track",
                Some(StandardTag::ReleaseDate(_) | StandardTag::RecordingDate(_)) => "date",
                Some(StandardTag::Genre(_)) => "genre",
                Some(StandardTag::Comment(_) | StandardTag::Description(_)) => "comment",
                // Keys of iTunes have a prefix: "com.apple.iTunes:replaygain_track_gain".
                _ => raw.key.rsplit(':').next().unwrap_or_default(),
            };
            self.put(name, &text);
        }
    }

    /// Takes a text, if it is one of those that are kept.
    pub fn put(&mut self, key: &str, text: &str) {
        let key = key.to_ascii_lowercase();
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        match key.as_str() {
            _ if text.is_empty() => {}
            "replaygain_track_gain" => self.track.add(&Gain { replay_gain: decibels(text), r128: None }),
            "replaygain_album_gain" => self.album.add(&Gain { replay_gain: decibels(text), r128: None }),
            "r128_track_gain" => self.track.add(&Gain { replay_gain: None, r128: steps(text) }),
            "r128_album_gain" => self.album.add(&Gain { replay_gain: None, r128: steps(text) }),
            _ => {
                let name = NAMES.iter().find(|(name, keys)| *name == key || keys.contains(&key.as_str()));
                let Some((name, _)) = name else { return };
                if self.texts.iter().all(|(known, _)| known != name) {
                    self.texts.push((name, text[..text.floor_char_boundary(MAX_TEXT)].to_owned()));
                }
            }
        }
    }

    /// Reads ID3v1.1: fields of fixed lengths.
    fn id3v1(&mut self, bytes: &[u8]) {
        let field = |from: usize, to: usize| {
            let field = bytes.get(from..to).unwrap_or_default();
            latin1(field.split(|byte| *byte == 0).next().unwrap_or_default())
        };
        for (key, from, to) in
            [("title", 3, 33), ("artist", 33, 63), ("album", 63, 93), ("year", 93, 97), ("comment", 97, 127)]
        {
            self.put(key, &field(from, to));
        }
        if let Some([0, track]) = bytes.get(125..127)
            && *track > 0
        {
            self.put("track", &track.to_string());
        }
    }

    /// Reads the text frames of ID3v2.2, 2.3 and 2.4. Chapters are frames too, and are skipped with everything inside.
    fn id3v2(&mut self, bytes: &[u8]) {
        let [b'I', b'D', b'3', major @ 2..=4, _, flags, _, _, _, _, body @ ..] = bytes else { return };
        let major = *major;
        let whole = if flags & 0x80 != 0 && major < 4 { without_unsync(body) } else { body.to_vec() };
        let mut rest = &whole[..];
        if flags & 0x40 != 0 && major > 2 {
            let size = rest.get(..4).map_or(0, |size| if major == 3 { be(size) + 4 } else { syncsafe(size) });
            rest = rest.get(size..).unwrap_or_default();
        }
        let header = if major == 2 { 6 } else { 10 };
        while let Some((head, behind)) = rest.split_at_checked(header) {
            let (id, size, flags) = match major {
                2 => (&head[..3], be(&head[3..6]), 0),
                3 => (&head[..4], be(&head[4..8]), u16::from(head[9])),
                _ => (&head[..4], syncsafe(&head[4..8]), u16::from(head[9])),
            };
            if !id.iter().all(u8::is_ascii_alphanumeric) {
                break;
            }
            let (frame, next) = behind.split_at(size.min(behind.len()));
            rest = next;
            let (is_unreadable, is_grouped, has_length, is_unsync) = match major {
                4 => (flags & 0x0c != 0, flags & 0x40 != 0, flags & 0x01 != 0, flags & 0x02 != 0),
                _ => (flags & 0xc0 != 0, flags & 0x20 != 0, false, false),
            };
            let before = usize::from(is_grouped) + if has_length { 4 } else { 0 };
            let Some(frame) = frame.get(before..).filter(|_| !is_unreadable && matches!(id[0], b'T' | b'C')) else {
                continue;
            };
            let frame = if is_unsync { without_unsync(frame) } else { frame.to_vec() };
            self.id3v2_frame(&latin1(id), &frame);
        }
    }

    fn id3v2_frame(&mut self, id: &str, frame: &[u8]) {
        let Some((encoding, text)) = frame.split_first() else { return };
        match id {
            "TXXX" | "TXX" => {
                let (key, value) = split_text(*encoding, text);
                self.put(&decoded(*encoding, key), &decoded(*encoding, value));
            }
            // A language and a description precede the text: programs store their own data in described comments.
            "COMM" | "COM" => {
                let (about, value) = split_text(*encoding, text.get(3..).unwrap_or_default());
                if decoded(*encoding, about).is_empty() {
                    self.put("comment", &decoded(*encoding, value));
                }
            }
            _ if id.starts_with('T') => {
                let text = decoded(*encoding, text);
                let values: Vec<_> = text.split('\0').filter(|value| !value.is_empty()).collect();
                self.put(id, &values.join("; "));
            }
            _ => {}
        }
    }

    /// Reads APEv1 and APEv2: after a header, or before a footer, items of a length, flags, a key and a text.
    fn ape(&mut self, bytes: &[u8]) {
        let mut rest = if bytes.starts_with(b"APETAGEX") { bytes.get(32..).unwrap_or_default() } else { bytes };
        while let Some((head, item)) = rest.split_at_checked(8) {
            if head == b"APETAGEX" {
                break;
            }
            let length = le(&head[..4]);
            let Some(end) = item.iter().take(256).position(|byte| *byte == 0) else { break };
            let Some(value) = item.get(end + 1..).and_then(|value| value.get(..length)) else { break };
            // Bits 1 and 2: 0 means text.
            if head[4] >> 1 & 3 == 0 {
                self.put(&latin1(&item[..end]), &String::from_utf8_lossy(value).replace('\0', "; "));
            }
            rest = &item[end + 1 + length..];
        }
    }

    /// Reads a Vorbis comment: `NAME=text`, each with its length.
    fn vorbis(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if counted(&mut rest).is_none() {
            return;
        }
        // Their number is not needed: they end where the tag ends.
        if let Some((_, behind)) = rest.split_at_checked(4) {
            rest = behind;
        }
        while let Some(comment) = counted(&mut rest) {
            let comment = String::from_utf8_lossy(comment);
            if let Some((key, text)) = comment.split_once('=') {
                self.put(key, text);
            }
        }
    }

    /// Reads the `ilst` of an MP4: items by their names, or `----` with a name inside; each holds `data` of a type, a language and a value.
    fn mp4(&mut self, bytes: &[u8]) {
        const TEXT: usize = 1;
        for (kind, item) in mp4::children(bytes) {
            let part = |name: &[u8; 4]| mp4::children(item).find(|(kind, _)| kind == name).map(|(_, part)| part);
            let Some((kind_of_data, value)) = part(b"data").and_then(|data| data.split_at_checked(8)) else { continue };
            let name = match &kind {
                b"----" => part(b"name").and_then(|name| name.get(4..)).map_or_else(String::new, text),
                _ => latin1(&kind),
            };
            match (&kind, value) {
                (b"trkn", [_, _, high, low, ..]) => self.put(&name, &be(&[*high, *low]).to_string()),
                _ if be(&kind_of_data[..4]) == TEXT => self.put(&name, &text(value)),
                _ => {}
            }
        }
    }

    /// Reads a `LIST` chunk of a WAV, if it is an `INFO`: text chunks.
    fn riff_list(&mut self, bytes: &[u8]) {
        let Some(mut rest) = bytes.strip_prefix(b"INFO") else { return };
        while let Some((head, behind)) = rest.split_at_checked(8) {
            let length = le(&head[4..]);
            self.put(&latin1(&head[..4]), &text(&behind[..length.min(behind.len())]));
            rest = behind.get(length.saturating_add(length % 2)..).unwrap_or_default();
        }
    }
}

/// Parses a gain in dB, such as "-7.03 dB".
fn decibels(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace());
    number.parse().ok().filter(|gain: &f64| gain.is_finite())
}

/// Parses a gain in 256ths of a dB.
fn steps(text: &str) -> Option<f64> {
    text.parse::<i16>().ok().map(f64::from)
}

/// Decodes a text of unknown encoding.
fn text(bytes: &[u8]) -> String {
    str::from_utf8(bytes).map_or_else(|_| latin1(bytes), str::to_owned)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn be(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn le(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Splits length-prefixed bytes off.
fn counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_at_checked(4)?;
    let (bytes, behind) = behind.split_at_checked(le(length))?;
    *rest = behind;
    Some(bytes)
}

/// Decodes a number with seven bits per byte.
fn syncsafe(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f))
}

/// Removes the zeros that were inserted after 0xff (ID3v2.4 §6.1).
fn without_unsync(bytes: &[u8]) -> Vec<u8> {
    let follows = std::iter::once(&0).chain(bytes);
    follows.zip(bytes).filter(|(before, byte)| (**before, **byte) != (0xff, 0)).map(|(_, byte)| *byte).collect()
}

/// Splits a text of ID3v2 at its first terminator.
fn split_text(encoding: u8, text: &[u8]) -> (&[u8], &[u8]) {
    let width = if matches!(encoding, 1 | 2) { 2 } else { 1 };
    let end = text.chunks(width).position(|unit| unit.iter().all(|byte| *byte == 0));
    let end = end.map_or(text.len(), |end| end * width);
    (&text[..end], text.get(end + width..).unwrap_or_default())
}

/// Decodes a text of ID3v2 (§4).
fn decoded(encoding: u8, text: &[u8]) -> String {
    let wide = |is_big: bool, text: &[u8]| {
        let unit = if is_big { u16::from_be_bytes } else { u16::from_le_bytes };
        let units: Vec<u16> = text.as_chunks().0.iter().map(|bytes| unit(*bytes)).collect();
        String::from_utf16_lossy(&units)
    };
    match (encoding, text) {
        (1, [0xfe, 0xff, text @ ..]) => wide(true, text),
        (1, [0xff, 0xfe, text @ ..]) => wide(false, text),
        (1, text) => wide(false, text),
        (2, text) => wide(true, text),
        (3, text) => String::from_utf8_lossy(text).into_owned(),
        (_, text) => latin1(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id3v2(major: u8, flags: u8, frames: &[u8]) -> Vec<u8> {
        let size = [21, 14, 7, 0].map(|shift| (frames.len() >> shift & 0x7f) as u8);
        [b"ID3", &[major, 0, flags][..], &size, frames].concat()
    }

    fn frame(id: &[u8], flags: u8, value: &[u8]) -> Vec<u8> {
        let size = value.len() as u32;
        match id.len() {
            3 => [id, &size.to_be_bytes()[1..], value].concat(),
            _ => [id, &size.to_be_bytes(), &[0, flags], value].concat(),
        }
    }

    fn vorbis(comments: &[&str]) -> Vec<u8> {
        let text = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let count = (comments.len() as u32).to_le_bytes().to_vec();
        [vec![text("vendor"), count], comments.iter().map(|comment| text(comment)).collect()].concat().concat()
    }

    fn ape(items: &[(&str, &str)]) -> Vec<u8> {
        let item = |(key, text): &(&str, &str)| {
            [&(text.len() as u32).to_le_bytes()[..], &[0; 4], key.as_bytes(), &[0], text.as_bytes()].concat()
        };
        [vec![[&b"APETAGEX"[..], &[0; 24]].concat()], items.iter().map(item).collect()].concat().concat()
    }

    fn utf16(text: &str) -> Vec<u8> {
        [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
    }

    fn read(tag: Tag, bytes: &[u8]) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.read(tag, bytes);
        metadata
    }

    /// A tag of each kind, all with the same content.
    fn alike() -> Vec<(Tag, Vec<u8>)> {
        let id3v1 = [&b"TAG"[..], b"A song", &[0; 24], b"A singer", &[b' '; 22], &[0; 65]].concat();
        let latin = |id: &[u8], text: &str| frame(id, 0, &[&[0], text.as_bytes()].concat());
        let gain = [&[0][..], b"REPLAYGAIN_TRACK_GAIN\0-7.50 dB"].concat();
        let v22 = [latin(b"TT2", "A song"), latin(b"TP1", "A singer"), frame(b"TXX", 0, &gain)].concat();
        let wide = |id: &[u8], text: &str| frame(id, 0, &[&[1][..], &utf16(text)].concat());
        let wide_gain = [&[1][..], &utf16("replaygain_track_gain\0"), &utf16("-7.50 dB")].concat();
        let v23 = [wide(b"TIT2", "A song"), wide(b"TPE1", "A singer\0"), frame(b"TXXX", 0, &wide_gain)].concat();
        let picture = frame(b"APIC", 0, &[0xff; 100]);
        let v24 =
            [picture, latin(b"TIT2", "A song"), frame(b"TPE1", 0x40, b"\x07\x03A singer"), frame(b"TXXX", 0, &gain)];
        let atom =
            |kind: &[u8; 4], content: &[u8]| [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat();
        let data = |value: &[u8]| atom(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], value].concat());
        let item = |kind: &[u8; 4], value: &[u8]| atom(kind, &data(value));
        let name = atom(b"name", b"\0\0\0\0replaygain_track_gain");
        let own = atom(b"----", &[atom(b"mean", b"\0\0\0\0com.apple.iTunes"), name, data(b"-7.50 dB")].concat());
        let list = b"INFOINAM\x07\0\0\0A song\0\0IART\x08\0\0\0A singerIGNR\xff\xff\xff\xff";
        vec![
            (Tag::Id3v1, id3v1),
            (Tag::Id3v2, id3v2(2, 0, &v22)),
            (Tag::Id3v2, id3v2(3, 0, &v23)),
            (Tag::Id3v2, id3v2(4, 0, &v24.concat())),
            (Tag::Ape, ape(&[("Title", "A song"), ("ARTIST", "A singer"), ("replaygain_track_gain", "-7.50 dB")])),
            (Tag::Vorbis, vorbis(&["TITLE=A song", "artist=A singer", "title=other", "REPLAYGAIN_TRACK_GAIN=-7.5"])),
            (Tag::RiffList, list.to_vec()),
            (Tag::Mp4, [item(b"\xa9nam", b"A song"), item(b"\xa9ART", b"A singer"), own].concat()),
        ]
    }

    #[test]
    fn all_kinds_of_tags_agree() {
        let expected = vec![("title", "A song".to_owned()), ("artist", "A singer".to_owned())];
        for (tag, bytes) in alike() {
            let metadata = read(tag, &bytes);
            assert_eq!(metadata.texts()[..2], expected, "{tag:?}");
            let has_gain = !matches!(tag, Tag::Id3v1 | Tag::RiffList);
            assert_eq!(metadata.lufs(), has_gain.then_some(-10.5), "{tag:?}");
        }
    }

    #[test]
    fn survives_hostile_tags() {
        for (tag, bytes) in alike() {
            for length in 0..bytes.len() {
                read(tag, &bytes[..length]);
                for byte in [0, 0x7f, 0x80, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[length] = byte;
                    read(tag, &damaged);
                }
            }
            // Read as any kind of tag.
            for (other, _) in alike() {
                read(other, &bytes);
            }
        }
        let deep = (0..10_000).fold(Vec::new(), |inner, _| frame(b"CHAP", 0, &[b"x\0", &inner[..]].concat()));
        assert_eq!(read(Tag::Id3v2, &id3v2(3, 0, &deep)), Metadata::default());
        let long = "ä".repeat(MAX_TEXT);
        assert_eq!(read(Tag::Vorbis, &vorbis(&[&format!("title={long}")])).texts()[0].1.len(), MAX_TEXT);
    }

    #[test]
    fn prefers_r128_gain_and_ignores_nonsense() {
        for (comments, lufs) in [
            (&["R128_TRACK_GAIN=-1280"][..], Some(-18.0)),
            (&["REPLAYGAIN_TRACK_GAIN=+3 dB", "R128_TRACK_GAIN=256"], Some(-24.0)),
            (&["REPLAYGAIN_TRACK_GAIN=+3 dB", "R128_TRACK_GAIN=70000"], Some(-21.0)),
            (&["REPLAYGAIN_TRACK_GAIN=64 dB"], None),
            (&["REPLAYGAIN_TRACK_GAIN=-64 dB"], None),
            (&["REPLAYGAIN_TRACK_GAIN=nan dB"], None),
            (&["REPLAYGAIN_TRACK_GAIN=inf"], None),
            (&["REPLAYGAIN_TRACK_GAIN="], None),
            // The loudness of the album, where that of the track is missing or nonsense.
            (&["REPLAYGAIN_ALBUM_GAIN=-3 dB"], Some(-15.0)),
            (&["R128_ALBUM_GAIN=256", "REPLAYGAIN_ALBUM_GAIN=-3 dB"], Some(-24.0)),
            (&["R128_ALBUM_GAIN=256", "REPLAYGAIN_TRACK_GAIN=+3 dB"], Some(-21.0)),
            (&["R128_ALBUM_GAIN=256", "REPLAYGAIN_TRACK_GAIN=64 dB"], Some(-24.0)),
            (&["REPLAYGAIN_ALBUM_GAIN=-64 dB"], None),
        ] {
            assert_eq!(read(Tag::Vorbis, &vorbis(comments)).lufs(), lufs, "{comments:?}");
        }
    }

    #[test]
    fn removes_unsynchronisation() {
        assert_eq!(without_unsync(&[0xff, 0, 0xe0, 0xff, 0, 0, 1, 0xff]), [0xff, 0xe0, 0xff, 0, 1, 0xff]);
        let frame = frame(b"TIT2", 2, b"\x01\xff\0\xfea\0b\0");
        assert_eq!(read(Tag::Id3v2, &id3v2(4, 0, &frame)).texts()[0].1, "ab");
    }
}
