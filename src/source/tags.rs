//! Skips the tags around and between the audio by their stated sizes, so that no demuxer sees them.
//!
//! Symphonia would parse them, and recurses for every ID3v2 chapter in a chapter: a tag of 32 kB overflows a decode task's stack. Nothing
//! here recurses, and no tag is kept in memory.

use super::body::Body;
use super::metadata::Tag as Kind;

/// The number of bytes needed to recognize a tag.
pub const HEAD: usize = 32;

const ID3V1: u64 = 128;
const ID3V1_EXTENDED: u64 = 227;
const ID3V2_HEADER: usize = 10;
const APE_HEADER: usize = 32;

/// `LYRICSBEGIN`, and the two ends of version 1 and version 2.
const LYRICS_BEGIN: &[u8] = b"LYRICSBEGIN";
const LYRICS_ENDS: [&[u8]; 2] = [b"LYRICSEND", b"LYRICS200"];

/// The longest text that is searched for the end of a Lyrics3 tag: version 2 can state no larger size.
const MAX_LYRICS: usize = 1_000_000;

/// The tags of a body.
#[derive(Default)]
pub struct Tags {
    /// The position up to which the end of a Lyrics3 tag was searched for in vain, so that a text full of beginnings is searched once.
    without_end: u64,
}

impl Tags {
    /// Skips every tag that begins at the body's position. Returns the number of bytes before the first of them that belong to it too: an
    /// APE tag may have a footer only.
    pub fn skip(&mut self, body: &mut Body) -> u64 {
        let mut before = 0;
        while let Some(tag) = self.tag(body) {
            if let Some(kind) = tag.kind {
                body.note_tag(kind, 0, tag.length);
            }
            body.skip(tag.length);
            before = before.max(tag.before);
        }
        before
    }

    fn tag(&mut self, body: &mut Body) -> Option<Tag> {
        let head = body.peek(HEAD);
        if head.starts_with(LYRICS_BEGIN) {
            return self.lyrics(body).map(|length| Tag { kind: None, length, before: 0 });
        }
        length(head)
    }

    /// Returns the length of a Lyrics3 tag, which is stated at its end or nowhere.
    fn lyrics(&mut self, body: &mut Body) -> Option<u64> {
        let mut from = self.without_end.saturating_sub(body.position()) as usize;
        loop {
            let text = body.buffered();
            let end =
                text.get(from..).and_then(|text| text.windows(9).position(|window| LYRICS_ENDS.contains(&window)));
            if let Some(end) = end {
                return Some((from + end + 9) as u64);
            }
            from = from.max(text.len().saturating_sub(8));
            if from > MAX_LYRICS || !body.fill() {
                self.without_end = body.position() + from as u64;
                return None;
            }
        }
    }
}

/// Reads the tags at the end of a seekable body, if tags are wanted: an ID3v1 tag is the last of all, and an APE tag before it or the last.
/// Leaves the body at its start.
pub fn read_behind(body: &mut Body) {
    let Some(mut end) = body.length().filter(|_| body.metadata().is_some()) else { return };
    if let Some(tag) = end.checked_sub(ID3V1) {
        body.seek(tag);
        if body.peek(3) == b"TAG" {
            body.note_tag(Kind::Id3v1, 0, ID3V1);
            end = tag;
        }
    }
    if let Some(footer) = end.checked_sub(APE_HEADER as u64) {
        body.seek(footer);
        let tag = body.peek(APE_HEADER).first_chunk().and_then(ape);
        if let Some(items) = tag.filter(|tag| tag.kind.is_none()).and_then(|tag| footer.checked_sub(tag.before)) {
            body.seek(items);
            body.note_tag(Kind::Ape, 0, footer - items);
        }
    }
    body.seek(0);
}

/// Returns true if `head` begins a tag.
pub fn detect(head: &[u8]) -> bool {
    head.starts_with(LYRICS_BEGIN) || length(head).is_some()
}

struct Tag {
    /// The kind of a tag that can be read.
    kind: Option<Kind>,
    /// The length from here on.
    length: u64,
    before: u64,
}

/// Returns the length of the tag at the start of `head`, if there is one and it states its length.
fn length(head: &[u8]) -> Option<Tag> {
    let whole = |kind, length| Tag { kind, length, before: 0 };
    if head.starts_with(b"TAG+") {
        return Some(whole(None, ID3V1_EXTENDED));
    }
    if head.starts_with(b"TAG") {
        return Some(whole(Some(Kind::Id3v1), ID3V1));
    }
    if let Some(length) = head.first_chunk().and_then(id3v2) {
        return Some(whole(Some(Kind::Id3v2), length));
    }
    head.first_chunk().and_then(ape)
}

/// Returns the length of an ID3v2 tag by its header (ID3v2.4 §3.1): seven bits of it in a byte.
fn id3v2(header: &[u8; ID3V2_HEADER]) -> Option<u64> {
    let [b'I', b'D', b'3', major, minor, flags, size @ ..] = header else { return None };
    if *major == 0xff || *minor == 0xff || size.iter().any(|byte| *byte >= 0x80) {
        return None;
    }
    let has_footer = *major >= 4 && flags & 0x10 != 0;
    let around = if has_footer { 2 * ID3V2_HEADER } else { ID3V2_HEADER } as u64;
    Some(around + size.iter().fold(0, |size, byte| size << 7 | u64::from(*byte)))
}

/// Returns the length of an APE tag by its header or its footer. The stated size is that of the items and the footer.
fn ape(header: &[u8; APE_HEADER]) -> Option<Tag> {
    const IS_HEADER: u32 = 1 << 29;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (version, size, flags) = (word(8), word(12), word(20));
    if !header.starts_with(b"APETAGEX") {
        return None;
    }
    // Version 1 has no header, and no meaning for its flags.
    Some(if version >= 2_000 && flags & IS_HEADER != 0 {
        Tag { kind: Some(Kind::Ape), length: u64::from(size) + APE_HEADER as u64, before: 0 }
    } else {
        // The items before it were passed already.
        let before = u64::from(size).saturating_sub(APE_HEADER as u64);
        Tag { kind: None, length: APE_HEADER as u64, before }
    })
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::bodies;
    use super::*;

    fn id3(flags: u8, size: usize) -> Vec<u8> {
        let sizes = [21, 14, 7, 0].map(|shift| (size >> shift & 0x7f) as u8);
        [b"ID3\x04\x00", &[flags][..], &sizes, &vec![0xff; size]].concat()
    }

    fn footer(mut tag: Vec<u8>) -> Vec<u8> {
        let end = tag[..10].to_vec();
        tag.extend(b"3DI");
        tag.extend(&end[3..]);
        tag
    }

    fn ape_part(size: usize, flags: u32) -> Vec<u8> {
        let size = (size as u32 + 32).to_le_bytes();
        [b"APETAGEX\xd0\x07\x00\x00", &size[..], b"\x01\x00\x00\x00", &flags.to_le_bytes(), &[0; 8]].concat()
    }

    fn ape_tag(size: usize) -> Vec<u8> {
        [ape_part(size, 0xa000_0000), vec![0xff; size], ape_part(size, 0x8000_0000)].concat()
    }

    fn id3v1() -> Vec<u8> {
        [&b"TAG"[..], &[b' '; 125]].concat()
    }

    const AUDIO: &[u8] = b"\xff\xfb and so on, for more than a head's length of bytes";

    #[test]
    fn skips_tags_for_every_access() {
        let lyrics2 = |text: &str| format!("LYRICSBEGIN{text}{:06}LYRICS200", text.len() + 11).into_bytes();
        let lyrics1 = |text: &str| format!("LYRICSBEGIN{text}LYRICSEND").into_bytes();
        for tags in [
            vec![],
            vec![id3(0, 0)],
            vec![id3(0, 100_000)],
            vec![id3(0, 1_000_000)],
            vec![id3(0x80, 77), id3(0, 3), footer(id3(0x10, 500))],
            vec![ape_tag(40), id3(0, 5)],
            (0..200).map(|_| id3(0, 9)).collect(),
            vec![id3v1()],
            vec![[&b"TAG+"[..], &[0; 223]].concat(), id3v1()],
            vec![lyrics2("IND0000210"), id3v1()],
            vec![lyrics1("la la la"), id3v1()],
            vec![lyrics2(&"la".repeat(90_000)), ape_tag(0), id3v1()],
        ] {
            for audio in [AUDIO, &AUDIO[..5], b""] {
                for mut body in bodies(&[&tags.concat(), audio].concat()) {
                    assert_eq!((Tags::default().skip(&mut body), body.peek(1_000)), (0, audio), "{} tags", tags.len());
                }
            }
        }
    }

    #[test]
    fn footer_without_header_counts_its_items() {
        for mut body in bodies(&[ape_part(10, 0), id3v1(), AUDIO.to_vec()].concat()) {
            assert_eq!((Tags::default().skip(&mut body), body.peek(1_000)), (10, AUDIO));
        }
    }

    #[test]
    fn keeps_what_only_resembles_a_tag() {
        let lyrics = [LYRICS_BEGIN, AUDIO].concat();
        let version = [b"ID3\xff\x00\x00\x00\x00\x00\x00", AUDIO].concat();
        let size = [b"ID3\x03\x00\x00\x80\x00\x00\x00", AUDIO].concat();
        for bytes in [lyrics, version, size, b"ID3".to_vec(), AUDIO[..1].to_vec()] {
            for mut body in bodies(&bytes) {
                assert_eq!((Tags::default().skip(&mut body), body.peek(1_000)), (0, &bytes[..]));
            }
        }
    }

    #[test]
    fn searches_lyrics_once() {
        let text = LYRICS_BEGIN.repeat(300_000);
        let end = [&b"la"[..], LYRICS_ENDS[0], AUDIO].concat();
        for mut body in bodies(&[text.clone(), end].concat()) {
            let (mut tags, mut looked) = (Tags::default(), 0);
            while body.position() < text.len() as u64 / 2 {
                assert_eq!(tags.skip(&mut body), 0);
                looked = looked.max(tags.without_end);
                assert_eq!(tags.without_end, looked, "nothing is looked through again");
                assert!(body.position().abs_diff(looked) <= MAX_LYRICS as u64 + (32 << 10));
                body.consume(LYRICS_BEGIN.len());
            }
            // An end that is near enough is found all the same.
            while body.position() < text.len() as u64 {
                tags.skip(&mut body);
                body.consume(if body.position() < text.len() as u64 { LYRICS_BEGIN.len() } else { 0 });
            }
            assert_eq!(body.peek(1_000), AUDIO);
        }
    }

    #[test]
    fn tag_longer_than_the_body_leaves_nothing() {
        for mut body in bodies(&id3(0, 2_000)[..1_000]) {
            assert_eq!((Tags::default().skip(&mut body), body.peek(1_000)), (0, &b""[..]));
        }
    }
}
