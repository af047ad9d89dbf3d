//! The extensions of radio stations to HTTP (SHOUTcast, Icecast): a status line of their own, and titles between the audio bytes.
//!
//! They have no specification; this follows what Icecast sends (its `format_mp3.c`) and ffmpeg reads (`libavformat/http.c`). A client
//! requests `Icy-MetaData: 1`; the answer states `icy-metaint: N`. After each N bytes of audio comes a byte with a length in units of 16
//! bytes, and that much text: `StreamTitle='Artist - Title';StreamUrl='http://…';`, padded with zeros, or nothing where it has not changed.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio_util::bytes::Bytes;

/// The most audio bytes between two titles: Icecast has 16,000. An answer that claims more is read as one without titles.
const MAX_INTERVAL: usize = 16 << 20;

/// The unit of a block's length.
const UNIT: usize = 16;

/// The longest head of an answer.
pub const MAX_HEAD: usize = 64 << 10;

/// A station's metadata on what it plays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NowPlaying {
    /// The current title, mostly `Artist - Title`.
    pub title: Option<String>,
    /// The URL of a page or a picture that belongs to it.
    pub url: Option<String>,
    /// The station's own name.
    pub station: Option<String>,
}

/// A chunk of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    Bytes(Bytes),
    /// Metadata that applies to the bytes that follow.
    Metadata(NowPlaying),
}

/// Separates a station's audio from its titles.
#[derive(Debug)]
pub struct Icy {
    interval: usize,
    station: Option<String>,
    /// The number of audio bytes before the next block.
    sound: usize,
    /// The length of the block that is being read, and its bytes so far.
    block: Option<usize>,
    text: Vec<u8>,
}

impl Icy {
    /// Makes a separator for an answer with titles in its body; `None` for others.
    pub fn new(headers: &HeaderMap) -> Option<Self> {
        let interval = headers.get("icy-metaint")?.to_str().ok()?.trim().parse().ok()?;
        let station = station(headers);
        let icy = Self { interval, station, sound: interval, block: None, text: Vec::new() };
        (1..=MAX_INTERVAL).contains(&interval).then_some(icy)
    }

    /// Takes the next chunk of `bytes`; `None` once all of them are taken.
    pub fn next(&mut self, bytes: &mut Bytes) -> Option<Chunk> {
        while !bytes.is_empty() {
            if self.sound > 0 {
                let sound = bytes.split_to(self.sound.min(bytes.len()));
                self.sound -= sound.len();
                return Some(Chunk::Bytes(sound));
            }
            let length = *self.block.get_or_insert_with(|| usize::from(bytes.split_to(1)[0]) * UNIT);
            let more = bytes.split_to((length - self.text.len()).min(bytes.len()));
            self.text.extend_from_slice(&more);
            if self.text.len() == length {
                (self.sound, self.block) = (self.interval, None);
                let text = std::mem::take(&mut self.text);
                if let Some(metadata) = parse(&text) {
                    return Some(Chunk::Metadata(NowPlaying { station: self.station.clone(), ..metadata }));
                }
            }
        }
        None
    }
}

/// Returns the station's own name.
pub fn station(headers: &HeaderMap) -> Option<String> {
    headers.get("icy-name").map(|name| decoded(name.as_bytes())).filter(|name| !name.is_empty())
}

/// Returns true if the headers are those of a station.
pub fn is_station(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("icy-"))
}

/// Returns the metadata in a block; `None` if it holds none.
fn parse(text: &[u8]) -> Option<NowPlaying> {
    let text = decoded(text);
    let field = |name: &str| {
        let at = text.find(name)? + name.len();
        let value = text[at..].strip_prefix('\'')?;
        // A quotation mark may be in a title too: the closing one is followed by a semicolon, or by nothing.
        let end = value.find("';").or_else(|| value.strip_suffix('\'').map(str::len)).unwrap_or(value.len());
        Some(value[..end].trim().to_owned()).filter(|value| !value.is_empty())
    };
    let is_said = text.contains("StreamTitle=") || text.contains("StreamUrl=");
    is_said.then(|| NowPlaying { title: field("StreamTitle="), url: field("StreamUrl="), station: None })
}

/// Decodes UTF-8, or else Latin-1, which older stations send, and drops padding and control characters.
fn decoded(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes[..end].iter().copied().map(char::from).collect(),
    };
    text.trim().replace(char::is_control, "")
}

/// Reads the head of an answer that begins with `ICY 200 OK`. Returns its status, its headers and its length; `None` if it is no such head.
pub fn head(bytes: &[u8]) -> Option<(u16, HeaderMap, usize)> {
    let (end, gap) = match (find(bytes, b"\r\n\r\n"), find(bytes, b"\n\n")) {
        (Some(end), other) if other.is_none_or(|other| end < other) => (end, 4),
        (_, Some(end)) => (end, 2),
        (Some(end), None) => (end, 4),
        (None, None) => return None,
    };
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let status = std::str::from_utf8(lines.next()?.strip_prefix(b"ICY ")?).ok()?;
    let status = status.split_whitespace().next()?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.take(1_000) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    Some((status, headers, end + gap))
}

/// For the fuzzer: reads the head of an answer, and separates its body, which comes in pieces of these sizes, in turn. Returns the audio
/// and the metadata.
pub fn divided(answer: &[u8], sizes: &[usize]) -> Option<(Vec<u8>, Vec<NowPlaying>)> {
    let (_, headers, length) = head(answer)?;
    let mut icy = Icy::new(&headers)?;
    let (mut sound, mut found, mut rest) = (Vec::new(), Vec::new(), &answer[length..]);
    for size in sizes.iter().cycle() {
        let (piece, behind) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
        rest = behind;
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(part) = icy.next(&mut piece) {
            match part {
                Chunk::Bytes(bytes) => sound.extend_from_slice(&bytes),
                Chunk::Metadata(metadata) => found.push(metadata),
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    Some((sound, found))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Returns true if an answer may still turn out to begin with an ICY status line.
pub fn may_begin(bytes: &[u8]) -> bool {
    let start = b"ICY ";
    let length = bytes.len().min(start.len());
    bytes[..length] == start[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &[u8])]) -> HeaderMap {
        let all =
            all.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()));
        HeaderMap::from_iter(all)
    }

    fn block(text: &[u8]) -> Vec<u8> {
        let units = text.len().div_ceil(UNIT);
        let mut block = vec![units as u8];
        block.extend(text);
        block.resize(1 + units * UNIT, 0);
        block
    }

    #[test]
    fn separates_audio_and_titles_for_any_chunks() {
        let mut body = b"12345".to_vec();
        body.extend(block(b"StreamTitle='One';"));
        body.extend(b"67890");
        body.extend(block(b""));
        body.extend(b"abcde");
        body.extend(block(&[b"StreamTitle='", &[0xe4; 100][..], b"';StreamUrl='http://a/';"].concat()));
        body.extend(b"fgh");
        for size in 1..=body.len() {
            let mut icy = Icy::new(&headers(&[("icy-metaint", b"5"), ("icy-name", b"\xc3\xa4")])).unwrap();
            let (mut sound, mut found) = (Vec::new(), Vec::new());
            for chunk in body.chunks(size) {
                let mut chunk = Bytes::copy_from_slice(chunk);
                while let Some(part) = icy.next(&mut chunk) {
                    match part {
                        Chunk::Bytes(bytes) => sound.extend(bytes),
                        Chunk::Metadata(metadata) => found.push((sound.len(), metadata)),
                    }
                }
            }
            assert_eq!(sound, b"1234567890abcdefgh", "{size}");
            let found: Vec<_> = found.iter().map(|(at, it)| (*at, it.title.as_deref(), it.url.as_deref())).collect();
            assert_eq!(found, [(5, Some("One"), None), (15, Some(&*"ä".repeat(100)), Some("http://a/"))], "{size}");
        }
    }

    #[test]
    fn reads_titles_between_quotation_marks() {
        for (text, title) in [
            (&b"StreamTitle='a';"[..], Some(Some("a"))),
            (b"StreamTitle='It's 'x'; really';StreamUrl='';", Some(Some("It's 'x"))),
            (b"StreamTitle='rock'n'roll';", Some(Some("rock'n'roll"))),
            (b"StreamTitle='cut", Some(Some("cut"))),
            (b"StreamTitle='end'", Some(Some("end"))),
            (b"StreamTitle='';", Some(None)),
            (b"StreamTitle=' \x01 ';", Some(None)),
            (b"StreamTitle=", Some(None)),
            (b"StreamUrl='http://a';", Some(None)),
            ("StreamTitle='日本語';".as_bytes(), Some(Some("日本語"))),
            (b"StreamTitle='caf\xe9';", Some(Some("café"))),
            (b"nonsense", None),
            (b"", None),
        ] {
            assert_eq!(parse(text).map(|it| it.title), title.map(|title| title.map(str::to_owned)), "{text:?}");
        }
    }

    #[test]
    fn bounds_intervals() {
        for interval in [&b"0"[..], b"-1", b"x", b"", b"16777217", b"99999999999999999999999"] {
            assert!(Icy::new(&headers(&[("icy-metaint", interval)])).is_none());
        }
        assert!(Icy::new(&headers(&[])).is_none());
    }

    #[test]
    fn reads_icy_heads() {
        let (status, all, length) =
            head(b"ICY 200 OK\r\nicy-name : x\r\nodd\r\nContent-Type:audio/mpeg\r\n\r\nbody").unwrap();
        assert_eq!((status, length), (200, 58));
        assert_eq!((all["icy-name"].as_bytes(), all["content-type"].as_bytes()), (&b"x"[..], &b"audio/mpeg"[..]));
        assert_eq!(head(b"ICY 401\n\nbody\r\n\r\n").map(|(status, _, length)| (status, length)), Some((401, 9)));
        for none in
            [&b"ICY 200 OK\r\nmore: x\r\n"[..], b"HTTP/1.1 200 OK\r\n\r\n", b"ICY \r\n\r\n", b"ICY x\r\n\r\n", b""]
        {
            assert!(head(none).is_none());
        }
        assert!(may_begin(b"") && may_begin(b"IC") && may_begin(b"ICY 2") && !may_begin(b"<") && !may_begin(b"ICX"));
    }
}
