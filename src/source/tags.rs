//! Skips the tags around the audio by the sizes that they give, so that no demuxer sees them.
//!
//! Symphonia would parse them, and recurses for every ID3v2 chapter in a chapter: a tag of 32 kB overflows a decode task's
//! stack. Nothing here recurses, and no tag is kept in memory.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// How many tags may stand before the audio, and how many behind it: no real file has more.
const MAX_TAGS: usize = 100;

/// As much as has to be seen of what may be a tag, or of a container.
const HEAD: usize = 32;

/// What is read at a time of a tag in a body that can't be sought.
const SKIP_BYTES: usize = 4096;

const ID3V1: usize = 128;
const ID3V1_EXTENDED: usize = 227;
const ID3V2_HEADER: usize = 10;
const APE_HEADER: usize = 32;
/// `LYRICSBEGIN`, 5,100 bytes of text, `LYRICSEND`.
const LYRICS3V1: usize = 5_120;
const LYRICS3V2_END: usize = 15;

/// `FORM`, a length, `AIFF`; and of each chunk a name and a length.
const AIFF_HEADER: u64 = 12;
const CHUNK_HEADER: usize = 8;

/// A body without the tags that stand before its audio and, where it can be sought, behind it.
pub struct Untagged {
    inner: Box<dyn MediaSource>,
    /// Where the audio is in `inner`.
    start: u64,
    end: Option<u64>,
    /// The place of the next byte, counted from `start`.
    position: u64,
    /// What was looked at and is still to be read.
    head: Vec<u8>,
    /// Where the header of the next chunk is, if the body is an AIFF.
    chunk: Option<u64>,
}

impl Untagged {
    /// Skips the tags. May suspend the decode task as reading does. A tag that is longer than the body leaves nothing of it.
    pub fn new(inner: Box<dyn MediaSource>) -> io::Result<Self> {
        let mut body = Self { inner, start: 0, end: None, position: 0, head: Vec::new(), chunk: None };
        body.look(HEAD)?;
        for _ in 0..MAX_TAGS {
            let Some(length) = leading(&body.head) else { break };
            body.skip(length)?;
            body.look(HEAD)?;
        }
        body.chunk = is_aiff(&body.head).then_some(AIFF_HEADER);
        body.end = body.inner.byte_len();
        if body.inner.is_seekable() && !is_container(&body.head) {
            body.find_end()?;
        }
        Ok(body)
    }

    /// Returns true if there is nothing but tags.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Returns true if it is an AIFF, whose own tags are hidden.
    pub fn is_aiff(&self) -> bool {
        self.chunk.is_some()
    }

    /// Reads ahead until `head` holds `length` bytes, or all that are left.
    fn look(&mut self, length: usize) -> io::Result<()> {
        let before = self.head.len();
        self.head.resize(length.max(before), 0);
        let read = read_full(&mut self.inner, &mut self.head[before..])?;
        self.head.truncate(before + read);
        Ok(())
    }

    /// Moves the start of the audio.
    fn skip(&mut self, length: u64) -> io::Result<()> {
        self.start += length;
        let known = length.min(self.head.len() as u64) as usize;
        self.head.drain(..known);
        if known as u64 == length {
            return Ok(());
        }
        if self.inner.is_seekable() {
            self.inner.seek(SeekFrom::Start(self.start))?;
            return Ok(());
        }
        let mut left = length - known as u64;
        let mut scrap = [0; SKIP_BYTES];
        while left > 0 {
            let wanted = left.min(SKIP_BYTES as u64) as usize;
            match read_full(&mut self.inner, &mut scrap[..wanted])? {
                0 => break,
                read => left -= read as u64,
            }
        }
        Ok(())
    }

    /// Finds the tags behind the audio, from the last one to the first, and goes back to the audio.
    fn find_end(&mut self) -> io::Result<()> {
        let Some(mut end) = self.end else { return Ok(()) };
        for _ in 0..MAX_TAGS {
            match self.trailing(end)? {
                Some(length) if length <= end.saturating_sub(self.start) => end -= length,
                _ => break,
            }
        }
        self.end = Some(end);
        self.inner.seek(SeekFrom::Start(self.start + self.head.len() as u64))?;
        Ok(())
    }

    /// The length of the tag that ends at `end`, if one does.
    fn trailing(&mut self, end: u64) -> io::Result<Option<u64>> {
        let tail = self.before(end, ID3V1)?;
        if tail.len() == ID3V1 && tail.starts_with(b"TAG") {
            let extended = self.before(end - ID3V1 as u64, ID3V1_EXTENDED)?.starts_with(b"TAG+");
            return Ok(Some((ID3V1 + if extended { ID3V1_EXTENDED } else { 0 }) as u64));
        }
        if let Some(length) = tail.last_chunk::<APE_HEADER>().and_then(|footer| ape(footer, false)) {
            return Ok(Some(length));
        }
        if let Some(length) = tail.last_chunk::<ID3V2_HEADER>().and_then(|footer| id3v2(footer, b"3DI")) {
            let is_whole = self.at(end.saturating_sub(length), 3)? == b"ID3";
            return Ok(is_whole.then_some(length));
        }
        if let Some(size) = tail.last_chunk::<LYRICS3V2_END>().and_then(lyrics3v2) {
            let is_whole = self.at(end.saturating_sub(size), 11)? == b"LYRICSBEGIN";
            return Ok(is_whole.then_some(size));
        }
        if tail.ends_with(b"LYRICSEND") {
            let text = self.before(end, LYRICS3V1)?;
            let begin = text.windows(11).rposition(|window| window == b"LYRICSBEGIN");
            return Ok(begin.map(|begin| (text.len() - begin) as u64));
        }
        Ok(None)
    }

    /// Up to `length` bytes of the audio before `end`.
    fn before(&mut self, end: u64, length: usize) -> io::Result<Vec<u8>> {
        let length = (length as u64).min(end.saturating_sub(self.start));
        self.at(end - length, length as usize)
    }

    fn at(&mut self, place: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.inner.seek(SeekFrom::Start(place))?;
        let read = read_full(&mut self.inner, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Hides the tag of an AIFF, which may lie anywhere among its chunks: the chunk gets a name that no demuxer knows.
    fn read_chunk_header(&mut self) -> io::Result<()> {
        self.look(CHUNK_HEADER)?;
        self.chunk = match self.head.first_chunk_mut::<CHUNK_HEADER>() {
            Some([name @ .., a, b, c, d]) => {
                if name == b"ID3 " {
                    *name = *b"    ";
                }
                let length = u64::from(u32::from_be_bytes([*a, *b, *c, *d]));
                Some(self.position + CHUNK_HEADER as u64 + length.next_multiple_of(2))
            }
            None => Some(u64::MAX),
        };
        Ok(())
    }

    fn go_to(&mut self, position: u64) -> io::Result<()> {
        let place = self.start.checked_add(position).ok_or(io::ErrorKind::InvalidInput)?;
        self.inner.seek(SeekFrom::Start(place))?;
        self.head.clear();
        self.position = position;
        Ok(())
    }
}

impl Read for Untagged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk == Some(self.position) {
            self.read_chunk_header()?;
        }
        let end = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.start));
        let left = end.min(self.chunk.unwrap_or(u64::MAX)).saturating_sub(self.position);
        let wanted = (buffer.len() as u64).min(left) as usize;
        let buffer = &mut buffer[..wanted];
        let read = if self.head.is_empty() { self.inner.read(buffer)? } else { self.head.as_slice().read(buffer)? };
        self.head.drain(..read.min(self.head.len()));
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Untagged {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => self.byte_len().and_then(|length| length.checked_add_signed(delta)),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        if target < self.position {
            self.chunk = self.chunk.map(|_| AIFF_HEADER);
        }
        while let Some(chunk) = self.chunk.filter(|chunk| *chunk < target) {
            self.go_to(chunk)?;
            self.read_chunk_header()?;
        }
        self.go_to(target)?;
        Ok(target)
    }
}

impl MediaSource for Untagged {
    fn is_seekable(&self) -> bool {
        self.inner.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.start))
    }
}

/// The length of the tag that `head` begins with, if it does.
fn leading(head: &[u8]) -> Option<u64> {
    let tag = head.first_chunk::<ID3V2_HEADER>().and_then(|header| id3v2(header, b"ID3"));
    tag.or_else(|| head.first_chunk::<APE_HEADER>().and_then(|header| ape(header, true)))
}

/// The length of an ID3v2 tag by its header or its footer (ID3v2.4 §3.1): seven bits of it in a byte.
fn id3v2(header: &[u8; ID3V2_HEADER], marker: &[u8; 3]) -> Option<u64> {
    let [a, b, c, major, minor, flags, size @ ..] = header;
    if [*a, *b, *c] != *marker || *major == 0xff || *minor == 0xff || size.iter().any(|byte| *byte >= 0x80) {
        return None;
    }
    let has_footer = *major >= 4 && flags & 0x10 != 0;
    let around = if has_footer { 2 * ID3V2_HEADER } else { ID3V2_HEADER } as u64;
    Some(around + size.iter().fold(0, |size, byte| size << 7 | u64::from(*byte)))
}

/// The length of an APE tag by its header or its footer. The size that it gives is that of the items and the footer.
fn ape(header: &[u8; APE_HEADER], is_header: bool) -> Option<u64> {
    const HAS_HEADER: u32 = 1 << 31;
    const IS_HEADER: u32 = 1 << 29;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (version, size, flags) = (word(8), word(12), word(20));
    // Version 1 has no header, and no meaning for its flags.
    let flags = if version < 2_000 { 0 } else { flags };
    if !header.starts_with(b"APETAGEX") || (flags & IS_HEADER != 0) != is_header {
        return None;
    }
    let around = if is_header || flags & HAS_HEADER != 0 { APE_HEADER } else { 0 };
    Some(u64::from(size) + around as u64)
}

/// The length of a Lyrics3v2 tag by its end: six digits and a marker.
fn lyrics3v2(end: &[u8; LYRICS3V2_END]) -> Option<u64> {
    let digits = end.strip_suffix(b"LYRICS200")?;
    let size: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(size + LYRICS3V2_END as u64)
}

/// Returns true if `head` begins a container, which states its own length: what looks like a tag at its end may be samples.
fn is_container(head: &[u8]) -> bool {
    [b"RIFF", b"RF64", b"FORM", b"OggS"].iter().any(|magic| head.starts_with(*magic))
        || head.get(4..8).is_some_and(|kind| kind == b"ftyp")
}

fn is_aiff(head: &[u8]) -> bool {
    head.starts_with(b"FORM") && head.get(8..12).is_some_and(|form| form == b"AIFF" || form == b"AIFC")
}

/// Reads until `buffer` is full or the end is reached.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A body that can't be sought and gives a few bytes at a time, as a download does.
    struct Trickle(Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let wanted = buffer.len().min(7);
            self.0.read(&mut buffer[..wanted])
        }
    }

    impl Seek for Trickle {
        fn seek(&mut self, _to: SeekFrom) -> io::Result<u64> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    impl MediaSource for Trickle {
        fn is_seekable(&self) -> bool {
            false
        }

        fn byte_len(&self) -> Option<u64> {
            None
        }
    }

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

    /// What is left of a body that can be sought, and of one that can't.
    fn untagged(body: &[u8]) -> [Vec<u8>; 2] {
        let inners: [Box<dyn MediaSource>; 2] =
            [Box::new(Cursor::new(body.to_vec())), Box::new(Trickle(Cursor::new(body.to_vec())))];
        inners.map(|inner| {
            let (mut left, mut reader) = (Vec::new(), Untagged::new(inner).unwrap());
            assert_eq!(reader.is_empty(), reader.head.is_empty());
            reader.read_to_end(&mut left).unwrap();
            assert!(reader.byte_len().is_none_or(|length| length == left.len() as u64));
            left
        })
    }

    const AUDIO: &[u8] = b"\xff\xfb and so on, for more than a head's length of bytes";

    #[test]
    fn tags_before_the_audio_are_skipped_however_it_is_read() {
        for tags in [
            vec![],
            vec![id3(0, 0)],
            vec![id3(0, 100_000)],
            vec![id3(0x80, 77), id3(0, 3), footer(id3(0x10, 500))],
            vec![ape_tag(40), id3(0, 5)],
            (0..MAX_TAGS).map(|_| id3(0, 9)).collect(),
        ] {
            let body = [&tags.concat(), AUDIO].concat();
            assert_eq!(untagged(&body), [AUDIO, AUDIO], "{} tags", tags.len());
            let body = [&tags.concat(), &AUDIO[..5]].concat();
            assert_eq!(untagged(&body), [&AUDIO[..5], &AUDIO[..5]], "{} tags and little audio", tags.len());
        }
    }

    #[test]
    fn tags_behind_the_audio_are_cut_where_the_end_is_known() {
        let lyrics2 = |text: &str| format!("LYRICSBEGIN{text}{:06}LYRICS200", text.len() + 11).into_bytes();
        let lyrics1 = |text: &str| format!("LYRICSBEGIN{text}LYRICSEND").into_bytes();
        for tags in [
            vec![id3v1()],
            vec![[&b"TAG+"[..], &[0; 223]].concat(), id3v1()],
            vec![ape_tag(1_000), id3v1()],
            vec![[vec![1; 10], ape_part(10, 0)].concat()],
            vec![lyrics2("IND0000210"), id3v1()],
            vec![lyrics1("la la la"), id3v1()],
            vec![footer(id3(0x10, 300)), ape_tag(0), lyrics2(&"la".repeat(9_000)), id3v1()],
        ] {
            let body = [id3(0, 20), AUDIO.to_vec(), tags.concat()].concat();
            let [sought, streamed] = untagged(&body);
            assert_eq!(sought, AUDIO);
            assert_eq!(streamed, [AUDIO, &tags.concat()].concat());
        }
    }

    #[test]
    fn what_only_looks_like_a_tag_stays() {
        let wave = [b"RIFF....WAVE", &[0; 200][..], &id3v1()].concat();
        let long = [AUDIO, &ape_part(1 << 30, 0)].concat();
        let lyrics = [AUDIO, b"000900LYRICS200"].concat();
        let version = [b"ID3\xff\x00\x00\x00\x00\x00\x00", AUDIO].concat();
        let size = [b"ID3\x03\x00\x00\x80\x00\x00\x00", AUDIO].concat();
        for body in [wave, long, lyrics, version, size, b"ID3".to_vec(), AUDIO[..1].to_vec()] {
            assert_eq!(untagged(&body), [body.clone(), body]);
        }
    }

    #[test]
    fn a_tag_that_is_longer_than_the_body_leaves_nothing() {
        let body = [&id3(0, 2_000)[..1_000], b""].concat();
        assert_eq!(untagged(&body), [b"", b""]);
    }

    #[test]
    fn places_are_counted_from_the_audio() {
        let body = [id3(0, 20), AUDIO.to_vec(), id3v1()].concat();
        let mut reader = Untagged::new(Box::new(Cursor::new(body))).unwrap();
        let mut read = |to| {
            let (at, mut four) = (reader.seek(to).unwrap(), [0; 4]);
            reader.read_exact(&mut four).unwrap();
            assert_eq!(four, AUDIO[at as usize..at as usize + 4]);
            at
        };
        assert_eq!(read(SeekFrom::Start(0)), 0);
        assert_eq!(read(SeekFrom::Current(3)), 7);
        assert_eq!(read(SeekFrom::End(-4)), AUDIO.len() as u64 - 4);
        assert_eq!(read(SeekFrom::Start(2)), 2);
    }

    #[test]
    fn the_tag_of_an_aiff_is_hidden_wherever_it_is() {
        let chunk = |name: &[u8; 4], body: &[u8]| {
            let mut chunk = [name, &(body.len() as u32).to_be_bytes()[..], body].concat();
            chunk.resize(chunk.len().next_multiple_of(2), 0);
            chunk
        };
        let aiff = |name: &[u8; 4]| {
            let chunks =
                [chunk(b"COMM", &[1; 18]), chunk(name, b"ID3 x"), chunk(b"SSND", b"ID3 ID3 "), chunk(name, b"")];
            [b"FORM....AIFF", &chunks.concat()[..]].concat()
        };
        let (body, hidden) = (aiff(b"ID3 "), aiff(b"    "));
        assert_eq!(untagged(&body), [hidden.clone(), hidden.clone()]);
        let mut reader = Untagged::new(Box::new(Cursor::new(body))).unwrap();
        for at in [60, 12, 38, 0, 52, 68] {
            let mut left = Vec::new();
            reader.seek(SeekFrom::Start(at)).unwrap();
            reader.read_to_end(&mut left).unwrap();
            assert_eq!(left, hidden[at as usize..], "from {at}");
        }
    }
}
