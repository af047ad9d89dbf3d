//! Parses HTTP Live Streaming playlists (RFC 8216): the variants of a stream, or the segments of one.
//!
//! The parser is our own: `m3u8-rs` 6.0 takes a title with a comma for an address, panics where a tag is not UTF-8, and drops
//! `METHOD=NONE`, so that segments in the clear after that would be decrypted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::error::{Code, Result, SpeakerError};

/// The prefix of tags in HLS playlists, present in every one after the first line (§4.3).
const TAG: &str = "#EXT-X-";

/// A live stream starts this many target durations before its end (§6.3.3).
const FROM_END: u32 = 3;

/// The longest playlist after the substitution of variables, in bytes, and the most variables.
const MAX_TEXT: usize = 4 << 20;
const MAX_VARIABLES: usize = 100;

/// A parsed HLS playlist.
#[derive(Debug, PartialEq)]
pub enum Playlist {
    Master(MasterPlaylist),
    Media(MediaPlaylist),
}

/// A master playlist.
#[derive(Debug, Default, PartialEq)]
pub struct MasterPlaylist {
    /// The address of the playlist to play.
    pub address: String,
    /// The context passed on to that playlist.
    pub inherited: InheritedContext,
}

/// The context that a media playlist gets from the one that led to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InheritedContext {
    variables: Variables,
    offset: Option<f64>,
}

/// Variables: names and values (EXT-X-DEFINE, draft-pantos-hls-rfc8216bis §4.3 and §4.4.2.3).
#[derive(Debug, Clone, Default, PartialEq)]
struct Variables(Vec<(String, String)>);

/// A media playlist.
#[derive(Debug, Default, PartialEq)]
pub struct MediaPlaylist {
    /// The target duration: no segment is longer.
    pub target_duration: Duration,
    /// The number of the first segment.
    pub first: u64,
    pub list: Vec<Segment>,
    /// True if no more segments will be added.
    pub is_ended: bool,
    /// The position to start playing, in seconds, from the end if negative (EXT-X-START).
    offset: Option<f64>,
}

/// A segment of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub resource: Resource,
    pub duration: Duration,
    pub title: Option<String>,
    pub cipher: Arc<Cipher>,
    /// The initialization section and its encryption.
    pub init: Option<Arc<(Resource, Arc<Cipher>)>>,
    /// True if the server does not have it (`EXT-X-GAP`).
    pub is_missing: bool,
}

/// A file, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The address as written in the playlist, relative to it.
    pub address: String,
    /// The start and the length of the part.
    pub range: Option<(u64, u64)>,
}

/// The encryption of a segment.
#[derive(Debug, Clone, PartialEq)]
pub enum Cipher {
    None,
    /// AES-128-CBC; without an initialization vector, the segment's number is used (§5.2).
    Aes128 {
        key: String,
        iv: Option<[u8; 16]>,
    },
    /// Any other method: decryption would need more than a URL.
    Other(String),
}

/// Returns true if a playlist is an HLS playlist.
pub fn is_hls(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with(TAG))
}

/// Parses a playlist that was fetched from `url`.
pub fn parse(text: &str, url: &Url, inherited: &InheritedContext) -> Result<Playlist> {
    let (text, variables) = Variables::replaced(text, url, &inherited.variables)?;
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let offset = lines().filter_map(|line| offset(line.strip_prefix("#EXT-X-START:")?)).next();
    if !lines().any(|line| line.starts_with("#EXT-X-STREAM-INF:")) {
        let segments = media_playlist(lines())?;
        return Ok(Playlist::Media(MediaPlaylist { offset: offset.or(inherited.offset), ..segments }));
    }
    let address = choose_variant(lines()).ok_or_else(|| unreadable("no variant that has sound"))?;
    Ok(Playlist::Master(MasterPlaylist { address, inherited: InheritedContext { variables, offset } }))
}

/// Returns the offset from a playlist's start, or from its end, at which to start playing (§4.3.5.2): no more than a year.
fn offset(attributes: &str) -> Option<f64> {
    let seconds: f64 = attribute(attributes, "TIME-OFFSET")?.parse().ok()?;
    (seconds.abs() <= 31_536_000.0).then_some(seconds)
}

impl Variables {
    /// Substitutes variables where they are named: in addresses, and in the attributes of tags.
    fn replaced<'a>(text: &'a str, url: &Url, imported: &Self) -> Result<(Cow<'a, str>, Self)> {
        const DEFINE: &str = "#EXT-X-DEFINE:";
        if !text.contains(DEFINE) {
            return Ok((Cow::Borrowed(text), Self::default()));
        }
        let (mut all, mut variables) = (String::with_capacity(text.len()), Self::default());
        for line in text.lines().map(str::trim) {
            match line.strip_prefix(DEFINE) {
                Some(attributes) => variables.define(attributes, url, imported)?,
                // A title may contain any characters.
                None if line.starts_with('#') && !line.starts_with(TAG) => all.push_str(line),
                None => variables.put(line, &mut all)?,
            }
            all.push('\n');
            if all.len() > MAX_TEXT {
                return Err(unreadable("variables that make too much of it"));
            }
        }
        Ok((Cow::Owned(all), variables))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn define(&mut self, attributes: &str, url: &Url, imported: &Self) -> Result<()> {
        let text = |name| attribute(attributes, name);
        let defined = match (text("NAME"), text("IMPORT"), text("QUERYPARAM")) {
            (Some(name), ..) => text("VALUE").map(|value| (name, value.to_owned())),
            (_, Some(name), _) => imported.get(name).map(|value| (name, value.to_owned())),
            (.., Some(name)) => {
                url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| (name, value.into_owned()))
            }
            _ => None,
        };
        let (name, value) = defined.ok_or_else(|| unreadable("a variable without a value"))?;
        let is_possible = !value.chars().any(|c| c.is_control() || c == '"');
        if !is_possible || self.get(name).is_some() || self.0.len() == MAX_VARIABLES {
            return Err(unreadable("variables that can't be"));
        }
        self.0.push((name.to_owned(), value));
        Ok(())
    }

    /// Appends a line with each `{$name}` substituted.
    fn put(&self, line: &str, all: &mut String) -> Result<()> {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{$") {
            let (name, behind) = after.split_once('}').ok_or_else(|| unreadable("a variable without a name"))?;
            let value = self.get(name).ok_or_else(|| unreadable("a variable that it does not define"))?;
            if all.len() > MAX_TEXT {
                break;
            }
            all.push_str(before);
            all.push_str(value);
            rest = behind;
        }
        all.push_str(rest);
        Ok(())
    }
}

impl MediaPlaylist {
    /// Returns the number after the last segment.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.list.len() as u64)
    }

    /// Returns the number of the segment to start with: the one at the playlist's offset, but in a live stream none after the usual one.
    pub fn start(&self) -> u64 {
        let Some(offset) = self.offset else { return self.usual_start() };
        let all: f64 = self.list.iter().map(|segment| segment.duration.as_secs_f64()).sum();
        let position = if offset < 0.0 { (all + offset).max(0.0) } else { offset };
        let mut end = 0.0;
        let before = self.list.iter().take_while(|segment| {
            end += segment.duration.as_secs_f64();
            end <= position
        });
        let last = self.list.len().saturating_sub(1);
        let named = self.first.saturating_add(before.count().min(last) as u64);
        if self.is_ended { named } else { named.min(self.usual_start()) }
    }

    /// Returns the number of the first segment of a complete stream; in a live one, of the last segment that leaves three target durations
    /// to play.
    pub fn usual_start(&self) -> u64 {
        let mut ahead = Duration::ZERO;
        let wanted = if self.is_ended { Duration::MAX } else { self.target_duration * FROM_END };
        let behind = self.list.iter().rev().take_while(|segment| {
            let is_wanted = ahead < wanted;
            ahead = ahead.saturating_add(segment.duration);
            is_wanted
        });
        self.end().saturating_sub(behind.count() as u64)
    }

    /// Returns the segment with this number.
    pub fn get(&self, number: u64) -> Option<&Segment> {
        self.list.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

/// A variant of a stream in a master playlist.
#[derive(Debug)]
struct Variant<'a> {
    address: &'a str,
    bandwidth: u64,
    codecs: Option<&'a str>,
    has_picture: bool,
    audio: Option<&'a str>,
}

impl Variant<'_> {
    fn codecs(&self) -> impl Iterator<Item = String> {
        self.codecs.unwrap_or_default().split(',').map(|codec| codec.trim().to_ascii_lowercase())
    }

    /// Returns true if its audio codec can be decoded here, as far as it is stated.
    fn is_playable(&self) -> bool {
        const OTHERS: [&str; 4] = ["mp4a.40.42", "ac-3", "ec-3", "ac-4"];
        const HE_AAC: [&str; 2] = ["mp4a.40.5", "mp4a.40.29"];
        let is_he = |codec: &str| cfg!(not(feature = "he-aac")) && HE_AAC.contains(&codec);
        !self.codecs().any(|codec| is_he(&codec) || OTHERS.contains(&codec.as_str()) || codec.starts_with("dts"))
    }

    fn has_picture(&self) -> bool {
        const PICTURES: [&str; 8] = ["avc", "hvc", "hev", "dvh", "vp0", "vp8", "vp9", "av01"];
        self.has_picture || self.codecs().any(|codec| PICTURES.iter().any(|picture| codec.starts_with(picture)))
    }
}

/// Returns the address of the best-sounding variant without video, or else of the cheapest; if its audio has a rendition of its own, the
/// address of that.
fn choose_variant<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let (mut variants, mut renditions) = (Vec::new(), Vec::new());
    let mut next = None;
    for line in lines {
        if let Some(attributes) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            next = Some(attributes);
        } else if let Some(attributes) = line.strip_prefix("#EXT-X-MEDIA:") {
            if attribute(attributes, "TYPE") == Some("AUDIO") {
                renditions.push(attributes);
            }
        } else if !line.starts_with('#')
            && let Some(attributes) = next.take()
        {
            let text = |name| attribute(attributes, name);
            variants.push(Variant {
                address: line,
                bandwidth: text("BANDWIDTH").and_then(|value| value.parse().ok()).unwrap_or(0),
                codecs: text("CODECS"),
                has_picture: text("RESOLUTION").is_some(),
                audio: text("AUDIO"),
            });
        }
    }
    let cost = |variant: &&Variant<'_>| {
        let has_picture = variant.has_picture();
        let bandwidth = if has_picture { variant.bandwidth } else { u64::MAX - variant.bandwidth };
        (!variant.is_playable(), has_picture, bandwidth)
    };
    let chosen = variants.iter().min_by_key(cost)?;
    let group: Vec<_> = renditions
        .into_iter()
        .filter(|rendition| chosen.audio.is_some() && attribute(rendition, "GROUP-ID") == chosen.audio)
        .collect();
    let default = group.iter().find(|rendition| attribute(rendition, "DEFAULT") == Some("YES")).or(group.first());
    // A rendition without an address is in the variant itself (§4.3.4.2.1).
    Some(default.and_then(|rendition| attribute(rendition, "URI")).unwrap_or(chosen.address).to_owned())
}

fn media_playlist<'a>(lines: impl Iterator<Item = &'a str>) -> Result<MediaPlaylist> {
    let mut all = MediaPlaylist::default();
    let (mut duration, mut title, mut is_missing) = (None, None, false);
    let mut part: Option<(u64, Option<u64>)> = None;
    let (mut cipher, mut init) = (Arc::new(Cipher::None), None);
    // The end of the last byte range of a file: a range without a start follows it (§4.3.2.2).
    let mut last: Option<(String, u64)> = None;
    for line in lines {
        let Some((tag, value)) = line.strip_prefix('#').map(|tag| tag.split_once(':').unwrap_or((tag, ""))) else {
            let Some(duration) = duration.take() else { continue };
            let range = match part.take() {
                None => None,
                Some((length, from)) => {
                    let follows = || last.as_ref().filter(|(address, _)| address == line).map(|(_, end)| *end);
                    Some((from.or_else(follows).ok_or_else(|| unreadable("a byte range that follows none"))?, length))
                }
            };
            last = range.map(|(from, length): (u64, u64)| (line.to_owned(), from.saturating_add(length)));
            let resource = Resource { address: line.to_owned(), range };
            let (title, is_missing) = (title.take(), std::mem::take(&mut is_missing));
            all.list.push(Segment {
                resource,
                duration,
                title,
                cipher: cipher.clone(),
                init: init.clone(),
                is_missing,
            });
            continue;
        };
        match tag {
            "EXTINF" => {
                let (length, name) = value.split_once(',').unwrap_or((value, ""));
                duration = Some(seconds(length).ok_or_else(|| unreadable("a segment without a duration"))?);
                title = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            }
            "EXT-X-TARGETDURATION" => {
                all.target_duration = seconds(value).ok_or_else(|| unreadable("no target duration"))?;
            }
            "EXT-X-MEDIA-SEQUENCE" => {
                all.first = value.trim().parse().map_err(|_| unreadable("a media sequence that is no number"))?;
            }
            "EXT-X-ENDLIST" => all.is_ended = true,
            "EXT-X-GAP" => is_missing = true,
            "EXT-X-BYTERANGE" => part = Some(range(value).ok_or_else(|| unreadable("a byte range that is none"))?),
            "EXT-X-KEY" => cipher = Arc::new(key(value)?),
            "EXT-X-MAP" => {
                let address = attribute(value, "URI").ok_or_else(|| unreadable("a map without a URI"))?.to_owned();
                let range = match attribute(value, "BYTERANGE") {
                    Some(text) => {
                        let (length, from) = range(text).ok_or_else(|| unreadable("a byte range that is none"))?;
                        Some((from.unwrap_or(0), length))
                    }
                    None => None,
                };
                init = Some(Arc::new((Resource { address, range }, cipher.clone())));
            }
            _ => {}
        }
    }
    // Required, but missing in some playlists; the reload interval depends on it.
    let longest = all.list.iter().map(|segment| segment.duration).max().unwrap_or_default();
    all.target_duration =
        if all.target_duration.is_zero() { longest } else { all.target_duration }.max(Duration::from_secs(1));
    Ok(all)
}

fn key(attributes: &str) -> Result<Cipher> {
    let method = attribute(attributes, "METHOD").ok_or_else(|| unreadable("a key without a method"))?;
    let format = attribute(attributes, "KEYFORMAT").unwrap_or("identity");
    let iv = match attribute(attributes, "IV") {
        Some(text) => Some(vector(text).ok_or_else(|| unreadable("an initialization vector that is none"))?),
        None => None,
    };
    Ok(match (method, attribute(attributes, "URI")) {
        ("NONE", _) => Cipher::None,
        ("AES-128", Some(key)) if format == "identity" => Cipher::Aes128 { key: key.to_owned(), iv },
        _ => Cipher::Other(format!("{method} ({format})")),
    })
}

/// Returns an attribute of a list (§4.2): `NAME=value,NAME="value, with a comma"`.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"')?;
                (value, after.split_once(',').map_or("", |(_, after)| after))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim() == name {
            return Some(value.trim());
        }
        rest = after;
    }
}

/// Parses `length[@from]`.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (length, from) = text.split_once('@').map_or((text, None), |(length, from)| (length, Some(from)));
    let from = match from {
        Some(from) => Some(from.trim().parse().ok()?),
        None => None,
    };
    Some((length.trim().parse().ok()?, from))
}

/// Parses 128 bits in hexadecimal, with or without leading zeros.
fn vector(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    (digits.len() <= 32).then(|| u128::from_str_radix(digits, 16).ok())?.map(u128::to_be_bytes)
}

/// Parses a duration of at most a day.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

fn unreadable(what: &str) -> SpeakerError {
    let message = format!("Expected an HLS playlist (RFC 8216) for audioUrl but received one with {what}");
    SpeakerError::new(Code::UnsupportedFormat, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> MediaPlaylist {
        match parse(text, &url(""), &InheritedContext::default()).unwrap() {
            Playlist::Media(segments) => segments,
            Playlist::Master(master) => panic!("a master playlist: {master:?}"),
        }
    }

    fn url(query: &str) -> Url {
        Url::parse(&format!("http://example.com/list.m3u8{query}")).unwrap()
    }

    #[test]
    fn starts_at_the_stated_offset() {
        let start = |tag: &str, end: &str| {
            let segments = "#EXTINF:4,\ns\n".repeat(10);
            list(&format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:10\n{tag}\n{segments}{end}")).start()
        };
        for (offset, whole, live) in [
            ("0", 10, 10),
            ("3.9", 10, 10),
            ("4", 11, 11),
            ("27.5,PRECISE=YES", 16, 16),
            ("39", 19, 17),
            ("1000", 19, 17),
            ("-5", 18, 17),
            ("-20", 15, 15),
            ("-1000", 10, 10),
            ("1e300", 10, 17),
            ("x", 10, 17),
        ] {
            let tag = format!("#EXT-X-START:TIME-OFFSET={offset}");
            assert_eq!((start(&tag, "#EXT-X-ENDLIST\n"), start(&tag, "")), (whole, live), "{offset}");
        }
        let inherited = InheritedContext { offset: Some(-8.0), ..InheritedContext::default() };
        let Ok(Playlist::Media(all)) =
            parse("#EXTM3U\n#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n#EXT-X-ENDLIST", &url(""), &inherited)
        else {
            panic!("segments");
        };
        assert_eq!(all.start(), 1, "as the playlist said that led to it");
        assert_eq!(list("#EXT-X-START:TIME-OFFSET=5\n#EXT-X-ENDLIST").start(), 0);
    }

    #[test]
    fn substitutes_variables() {
        let text = concat!(
            "#EXTM3U\n#EXT-X-DEFINE:NAME=\"host\",VALUE=\"http://a.example\"\n#EXT-X-DEFINE:QUERYPARAM=\"token\"\n",
            "#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"mp4a.40.2\"\n{$host}/list?t={$token}\n",
        );
        let Ok(Playlist::Master(master)) = parse(text, &url("?x=1&token=a%20b"), &InheritedContext::default()) else {
            panic!("a master")
        };
        assert_eq!(master.address, "http://a.example/list?t=a b");
        let text = concat!(
            "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"token\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"key{$token}\"\n",
            "#EXTINF:4,{$title}\ns{$token}-{$token}.ts\n",
        );
        let Ok(Playlist::Media(all)) = parse(text, &url(""), &master.inherited) else { panic!("segments") };
        assert_eq!(all.list[0].resource.address, "sa b-a b.ts");
        assert_eq!(*all.list[0].cipher, Cipher::Aes128 { key: "keya b".to_owned(), iv: None });
        assert_eq!(all.list[0].title.as_deref(), Some("{$title}"));
        let many = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"a\"\n"
            .replace("VALUE=\"a\"", &format!("VALUE=\"{}\"", "a".repeat(100_000)));
        let numbered: String =
            (0..=MAX_VARIABLES).map(|n| format!("#EXT-X-DEFINE:NAME=\"{n}\",VALUE=\"\"\n")).collect();
        for wrong in [
            "#EXT-X-DEFINE:IMPORT=\"other\"",
            "#EXT-X-DEFINE:QUERYPARAM=\"none\"",
            "#EXT-X-DEFINE:NAME=\"a\"",
            "#EXT-X-DEFINE:VALUE=\"a\"",
            "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\n#EXTINF:1,\n{$b}",
            "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\n#EXTINF:1,\n{$a",
            "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"",
            "#EXT-X-DEFINE:QUERYPARAM=\"line\"",
            &numbered,
            &format!("{many}#EXTINF:1,\n{}", "{$a}".repeat(1_000)),
        ] {
            let error = parse(&format!("#EXTM3U\n{wrong}\n"), &url("?line=a%0ab"), &master.inherited).unwrap_err();
            assert_eq!(error.code, Code::UnsupportedFormat, "{wrong}");
        }
    }

    #[test]
    fn reads_segments_with_all_attributes() {
        let all = list(concat!(
            "#EXTM3U\r\n#EXT-X-VERSION:6\r\n#EXT-X-TARGETDURATION:6\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n",
            "#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"720@0\"\r\n#EXTINF:5.99,One, and two\r\n#EXT-X-BYTERANGE:100@720\r\na.mp4\r\n",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"key?a=b,c\",IV=0x0102\r\n#EXTINF:6,\r\n#EXT-X-BYTERANGE:50\r\na.mp4\r\n",
            "#EXTINF:6\r\nb.mp4\r\n#EXT-X-KEY:METHOD=NONE\r\n#EXT-X-GAP\r\n#EXTINF:1.5,\r\nc.mp4\r\n#EXT-X-ENDLIST\r\n",
        ));
        assert_eq!(
            (all.target_duration, all.first, all.end(), all.start(), all.is_ended),
            (Duration::from_secs(6), 7, 11, 7, true)
        );
        let ranges: Vec<_> =
            all.list.iter().map(|each| (each.resource.address.as_str(), each.resource.range)).collect();
        let expected = [("a.mp4", Some((720, 100))), ("a.mp4", Some((820, 50))), ("b.mp4", None), ("c.mp4", None)];
        assert_eq!(ranges, expected);
        let aes = Cipher::Aes128 { key: "key?a=b,c".to_owned(), iv: Some(0x0102_u128.to_be_bytes()) };
        let ciphers: Vec<_> = all.list.iter().map(|each| (*each.cipher).clone()).collect();
        assert_eq!(ciphers, [Cipher::None, aes.clone(), aes, Cipher::None]);
        assert_eq!(all.list[0].title.as_deref(), Some("One, and two"));
        assert!(all.list[1].title.is_none() && all.list[3].is_missing && !all.list[2].is_missing);
        let init = Resource { address: "init.mp4".to_owned(), range: Some((0, 720)) };
        assert!(
            all.list.iter().all(|each| each.init.as_ref().is_some_and(|map| map.0 == init && *map.1 == Cipher::None))
        );
        assert!(all.get(6).is_none() && all.get(11).is_none() && all.get(10).is_some_and(|each| each.is_missing));
    }

    #[test]
    fn live_streams_start_three_durations_before_the_end() {
        let live = |durations: &[f64]| {
            let segments: String = durations.iter().map(|length| format!("#EXTINF:{length},\ns\n")).collect();
            list(&format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:10\n{segments}")).start()
        };
        assert_eq!(live(&[2.0, 2.0, 2.0, 2.0, 2.0]), 12);
        assert_eq!(live(&[2.0, 2.0, 2.0, 1.9, 2.0]), 11);
        assert_eq!(live(&[2.0, 2.0]), 10);
        assert_eq!(live(&[]), 10);
    }

    #[test]
    fn chooses_the_best_variant_without_video() {
        let of = |text: &str| match parse(&format!("#EXTM3U\n{text}"), &url(""), &InheritedContext::default()) {
            Ok(Playlist::Master(master)) => master.address,
            other => panic!("{other:?}"),
        };
        let low = "#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.2\"\nlow\n";
        let high = "#EXT-X-STREAM-INF:BANDWIDTH=128000,CODECS=\"mp4a.40.2\"\nhigh\n";
        let picture = "#EXT-X-STREAM-INF:BANDWIDTH=300000,CODECS=\"avc1.4d401e,mp4a.40.2\",RESOLUTION=640x360\nfilm\n";
        let efficient = "#EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"mp4a.40.5\"\nefficient\n";
        let is_he = cfg!(feature = "he-aac");
        assert_eq!(of(&[picture, low, high, efficient].concat()), if is_he { "efficient" } else { "high" });
        assert_eq!(of(&[efficient, picture].concat()), if is_he { "efficient" } else { "film" });
        assert_eq!(of(efficient), "efficient", "what fails later says why");
        let apart = concat!(
            "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"a\",URI=\"words\"\n",
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"b\",NAME=\"x\",URI=\"other\",DEFAULT=YES\n",
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"de\",URI=\"de\"\n",
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"en\"\n",
            "#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=1x1,AUDIO=\"a\"\nlarge\n",
            "#EXT-X-STREAM-INF:BANDWIDTH=300000,RESOLUTION=1x1,AUDIO=\"a\"\nsmall\n",
        );
        assert_eq!(of(apart), "en");
        assert_eq!(of(&apart.replace(",URI=\"en\"", "")), "small", "it is in the variant itself");
    }

    #[test]
    fn damaged_playlists_are_read_or_refused() {
        use proptest::prelude::*;
        let whole = concat!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n#EXT-X-MAP:URI=\"i\",BYTERANGE=\"7@0\"\n",
            "#EXT-X-START:TIME-OFFSET=-7.5\n#EXT-X-DEFINE:NAME=\"v\",VALUE=\"w\"\n#EXT-X-DEFINE:QUERYPARAM=\"token\"\n",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k{$v}\",IV=0xff\n#EXTINF:5.9,Ä\n#EXT-X-BYTERANGE:18446744073709551615@9\na\n",
            "#EXTINF:6\n#EXT-X-BYTERANGE:5\na\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"x,y\",AUDIO=\"a\"\nb\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\"\n",
        );
        let damages = prop::collection::vec((0..whole.len(), any::<u8>(), 0..3), 1..6);
        proptest!(ProptestConfig::with_cases(2_000), |(damages in damages)| {
            let mut bytes = whole.as_bytes().to_vec();
            for (at, byte, how) in damages {
                let at = at.min(bytes.len() - 1);
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, byte),
                }
            }
            if let Ok(Playlist::Media(segments)) = parse(&String::from_utf8_lossy(&bytes), &url("?token=a"), &InheritedContext::default()) {
                prop_assert!(segments.start() <= segments.end() && segments.target_duration >= Duration::from_secs(1));
            }
        });
    }

    #[test]
    fn refuses_unreadable_playlists() {
        for text in [
            "#EXT-X-TARGETDURATION:x",
            "#EXT-X-MEDIA-SEQUENCE:-1",
            "#EXTINF:abc,\na",
            "#EXTINF:-1,\na",
            "#EXTINF:NaN,\na",
            "#EXTINF:1,\n#EXT-X-BYTERANGE:5\na",
            "#EXT-X-BYTERANGE:5@x",
            "#EXT-X-KEY:URI=\"a\"",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"a\",IV=12",
            "#EXT-X-MAP:BYTERANGE=\"1\"",
            "#EXT-X-STREAM-INF:BANDWIDTH=1",
        ] {
            let error = parse(&format!("#EXTM3U\n{text}\n"), &url(""), &InheritedContext::default()).unwrap_err();
            assert_eq!(error.code, Code::UnsupportedFormat, "{text}");
            assert!(error.message.starts_with("Expected an HLS playlist"), "{}", error.message);
        }
        let other = list(
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n#EXTINF:1,\na\nb\n",
        );
        assert_eq!(*other.list[0].cipher, Cipher::Other("SAMPLE-AES (com.apple.streamingkeydelivery)".to_owned()));
        assert_eq!((other.list.len(), other.target_duration), (1, Duration::from_secs(1)));
        assert!(is_hls("#EXTM3U\n#EXT-X-ENDLIST") && !is_hls("#EXTM3U\n#EXTINF:1,\na"));
    }
}
