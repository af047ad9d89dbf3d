//! Playlists in place of audio: addresses of one source, as station directories give them (M3U, PLS), of which the first that answers is
//! played; or the segments of one (HLS, see `hls`).
//!
//! Neither M3U nor PLS has a specification. M3U: an address a line, comments begin with `#`. PLS: an INI file with `File1=` and so on.

use reqwest::Url;

use super::decoded_body::DecodedBody;
use super::icy::Chunk;
use crate::error::{Code, Result, SpeakerError};

/// The longest playlist: a day of HLS segments of six seconds.
const MAX_BYTES: usize = 1 << 20;

/// The number of bytes that are looked at.
const LOOK: usize = 16;

/// The kinds of playlists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    M3u,
    Pls,
}

/// Returns the kind of playlist that a body is, if any. Its first bytes decide, or, where they are inconclusive and are text, the media
/// type or the name.
pub async fn kind(body: &mut DecodedBody) -> Result<Option<Kind>> {
    let begun = body.peek(LOOK).await?;
    let media_type = body.content_type.as_deref().unwrap_or_default();
    Ok(kind_of(&begun, media_type, body.url.path()))
}

/// Returns the kind of playlist that the bytes begin, if they are conclusive.
pub fn detect(bytes: &[u8]) -> Option<Kind> {
    let text = start(bytes);
    let begins_with = |word: &[u8]| text.get(..word.len()).is_some_and(|begun| begun.eq_ignore_ascii_case(word));
    match () {
        () if begins_with(b"#EXTM3U") => Some(Kind::M3u),
        () if begins_with(b"[playlist]") => Some(Kind::Pls),
        () => None,
    }
}

/// Strips a byte order mark and blanks.
fn start(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start()
}

fn kind_of(begun: &[u8], media_type: &str, path: &str) -> Option<Kind> {
    if let Some(kind) = detect(begun) {
        return Some(kind);
    }
    let text = start(begun);
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_text = !text.is_empty() && text.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
    let is_one = matches!(
        media_type.as_str(),
        "audio/mpegurl"
            | "audio/x-mpegurl"
            | "application/mpegurl"
            | "application/x-mpegurl"
            | "application/vnd.apple.mpegurl"
    );
    let has_name = [".m3u", ".m3u8"].iter().any(|name| path.to_ascii_lowercase().ends_with(name));
    (is_text && (is_one || has_name)).then_some(Kind::M3u)
}

/// Returns the whole text of a playlist.
pub async fn text(body: &mut DecodedBody) -> Result<String> {
    let mut text = Vec::new();
    while let Some(piece) = body.next().await? {
        let Chunk::Bytes(bytes) = piece else { continue };
        if text.len() + bytes.len() > MAX_BYTES {
            let message = format!("Expected a playlist of at most {MAX_BYTES} bytes for audioUrl but received more");
            return Err(SpeakerError::new(Code::SourceTooLarge, message));
        }
        text.extend_from_slice(&bytes);
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Returns the addresses in the playlist at `at`; those that are not http(s) are left out.
pub fn addresses(text: &str, kind: Kind, at: &Url) -> Vec<Url> {
    let lines = text.lines().map(str::trim);
    let resolve = |address: &str| at.join(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match kind {
        Kind::M3u => lines.filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(resolve).collect(),
        Kind::Pls => {
            let mut files: Vec<(u32, Url)> = lines
                .filter_map(|line| {
                    let (name, address) = line.split_once('=')?;
                    let name = name.trim().to_ascii_lowercase();
                    Some((name.strip_prefix("file")?.parse().ok()?, resolve(address.trim())?))
                })
                .collect();
            files.sort_by_key(|(number, _)| *number);
            files.into_iter().map(|(_, url)| url).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_playlists_by_bytes_and_name() {
        let m3u = "audio/x-mpegurl; charset=utf-8";
        for (begun, media_type, path, expected) in [
            (&b"#EXTM3U\n#EXTINF"[..], "", "/", Some(Kind::M3u)),
            (b"\xEF\xBB\xBF\r\n#extm3u", "audio/mpeg", "/x.mp3", Some(Kind::M3u)),
            (b"[Playlist]\nFile1", "", "/", Some(Kind::Pls)),
            (b"http://a/b.mp3\n", m3u, "/", Some(Kind::M3u)),
            (b"http://a/b.mp3\n", "text/plain", "/List.M3U", Some(Kind::M3u)),
            (b"http://a/b.mp3\n", "text/plain", "/list", None),
            (b"ID3\x04\x00\x00", m3u, "/list.m3u", None),
            (b"", m3u, "/list.m3u", None),
            (b"RIFF....WAVEfmt ", "audio/wav", "/a.wav", None),
        ] {
            assert_eq!(kind_of(begun, media_type, path), expected, "{}", begun.escape_ascii());
        }
    }

    #[test]
    fn resolves_only_http_addresses() {
        let at = Url::parse("http://radio.example/lists/a.m3u").unwrap();
        let of = |text, kind| addresses(text, kind, &at).iter().map(Url::to_string).collect::<Vec<_>>();
        let text =
            "#EXTM3U\r\n#EXTINF:-1,One, of two\r\nb.mp3\r\n\r\n  /c \nhttps://other.example/d\nfile:///etc/passwd\n";
        let expected = ["http://radio.example/lists/b.mp3", "http://radio.example/c", "https://other.example/d"];
        assert_eq!(of(text, Kind::M3u), expected);
        let text = "[playlist]\nNumberOfEntries=2\nFile2=/two?a=b\nFile1 = http://one.example/\nTitle1=One\nFileX=/x\nFile3=file:///x\n";
        assert_eq!(of(text, Kind::Pls), ["http://one.example/", "http://radio.example/two?a=b"]);
    }
}
