//! An answer and its body, as it arrives.

use reqwest::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED,
    TRANSFER_ENCODING,
};
use reqwest::{Response, StatusCode, Url, Version};
use tokio_util::bytes::{Bytes, BytesMut};

use super::icy;

/// A stated length of this many bytes or more is not real: it means "endless", as do the largest 32-bit numbers, signed or not.
const ABSURD: u64 = 1 << 36;
const LARGEST: [u64; 2] = [i32::MAX as u64, u32::MAX as u64];

/// An answer whose body has not arrived yet.
pub struct Answer {
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: ResponseBody,
    /// True if it began with the status line of a SHOUTcast station (`ICY`).
    begins_as_station: bool,
}

/// The bytes of a body.
pub struct ResponseBody {
    /// The part that arrived with the head.
    held: Bytes,
    response: Response,
    /// True if it ends with the connection, so that nobody can tell if it is complete (RFC 9112 §6.3, rule 8).
    pub ends_with_connection: bool,
}

/// The range that an answer delivers: `bytes 0-99/1000` (RFC 9110 §14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The start of the range; `None` if none is delivered.
    pub from: Option<u64>,
    /// The length of the whole, if it is known.
    pub total: Option<u64>,
}

/// The validators that show if two answers have the same bytes (RFC 9110 §8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Answer {
    /// Reads the status line and headers inside the body, where stations send them. Returns `None` if this is no answer at all.
    pub async fn of(response: Response, url: Url) -> reqwest::Result<Option<Self>> {
        let (status, headers, version) = (response.status(), response.headers().clone(), response.version());
        let is_chunked = headers.contains_key(TRANSFER_ENCODING) || version > Version::HTTP_11;
        let ends_with_connection = !is_chunked && !headers.contains_key(CONTENT_LENGTH);
        let mut body = ResponseBody { held: Bytes::new(), response, ends_with_connection };
        if version != Version::HTTP_09 {
            return Ok(Some(Self { url, status, headers, body, begins_as_station: false }));
        }
        let mut begun = BytesMut::new();
        while icy::may_begin(&begun) && begun.len() < icy::MAX_HEAD {
            let Some(more) = body.response.chunk().await? else { break };
            begun.extend_from_slice(&more);
            let Some((status, headers, length)) = icy::head(&begun) else { continue };
            let Ok(status) = StatusCode::from_u16(status) else { break };
            body.held = begun.freeze().split_off(length);
            return Ok(Some(Self { url, status, headers, body, begins_as_station: true }));
        }
        Ok(None)
    }

    /// Returns the stated length, unless it stands for "endless".
    pub fn length(&self) -> Option<u64> {
        self.stated_length().filter(|length| !is_absurd(*length))
    }

    /// Returns true if it is endless: a station, or a length that means that.
    pub fn is_live(&self) -> bool {
        match self.stated_length() {
            Some(length) => is_absurd(length),
            None => self.begins_as_station || icy::is_station(&self.headers),
        }
    }

    fn stated_length(&self) -> Option<u64> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
    }

    /// Returns the range that it delivers, if it states one.
    pub fn content_range(&self) -> Option<ContentRange> {
        parse_content_range(self.headers.get(CONTENT_RANGE)?.to_str().ok()?)
    }

    pub fn validators(&self) -> Validators {
        let value = |name| self.headers.get(name).cloned();
        Validators { etag: value(ETAG), last_modified: value(LAST_MODIFIED) }
    }

    /// Returns true if the server offers byte ranges (RFC 9110 §14.3).
    pub fn supports_ranges(&self) -> bool {
        let mut units = self.headers.get_all(ACCEPT_RANGES).iter().filter_map(|value| value.to_str().ok());
        units.any(|units| units.split(',').any(|unit| unit.trim().eq_ignore_ascii_case("bytes")))
    }

    /// Returns the content codings, in the order in which they were applied.
    pub fn codings(&self) -> Vec<String> {
        let values = self.headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
    }
}

fn is_absurd(length: u64) -> bool {
    length >= ABSURD || LARGEST.contains(&length)
}

fn parse_content_range(value: &str) -> Option<ContentRange> {
    let (unit, value) = value.trim().split_once(char::is_whitespace)?;
    let (range, total) = value.trim().split_once('/')?;
    let total = if total.trim() == "*" { None } else { Some(total.trim().parse().ok()?) };
    let from = match range.trim() {
        "*" => None,
        range => {
            let (from, to) = range.split_once('-')?;
            let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            let is_one = from <= to && total.is_none_or(|total| to < total);
            Some(Some(from).filter(|_| is_one)?)
        }
    };
    unit.eq_ignore_ascii_case("bytes").then_some(ContentRange { from, total })
}

impl ResponseBody {
    /// Returns the next chunk; `None` at the end.
    pub async fn chunk(&mut self) -> reqwest::Result<Option<Bytes>> {
        match std::mem::take(&mut self.held) {
            held if held.is_empty() => self.response.chunk().await,
            held => Ok(Some(held)),
        }
    }
}

impl Validators {
    /// Returns the value of `If-Range`, which ties a request for a part to these bytes (RFC 9110 §13.1.5): a strong validator is needed.
    pub fn if_range(&self) -> Option<&HeaderValue> {
        let is_strong = |etag: &&HeaderValue| etag.as_bytes().starts_with(b"\"");
        self.etag.as_ref().filter(is_strong).or(self.last_modified.as_ref())
    }

    /// Returns true if both have the same kind of validator with different values.
    pub fn differ(&self, other: &Self) -> bool {
        let differ = |one: &Option<HeaderValue>, other: &Option<HeaderValue>| matches!((one, other), (Some(one), Some(other)) if one != other);
        differ(&self.etag, &other.etag) || differ(&self.last_modified, &other.last_modified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_content_ranges() {
        let some = |from, total| Some(ContentRange { from, total });
        for (value, expected) in [
            ("bytes 0-99/1000", some(Some(0), Some(1000))),
            ("Bytes  5 - 5 / *", some(Some(5), None)),
            ("bytes */1000", some(None, Some(1000))),
            ("bytes 0-999/1000", some(Some(0), Some(1000))),
            ("bytes 0-1000/1000", None),
            ("bytes 9-3/1000", None),
            ("bytes 0-18446744073709551616/*", None),
            ("bytes -5/1000", None),
            ("seconds 0-9/10", None),
            ("bytes", None),
            ("", None),
        ] {
            assert_eq!(parse_content_range(value), expected, "{value}");
        }
    }

    #[test]
    fn if_range_needs_a_strong_validator() {
        let value = |text: &str| Some(HeaderValue::from_str(text).unwrap());
        let date = value("Sun, 29 Nov 2026 18:00:00 GMT");
        for (etag, last_modified, expected) in [
            (value("\"a\""), date.clone(), value("\"a\"")),
            (value("W/\"a\""), date.clone(), date.clone()),
            (value("a"), None, None),
            (None, date.clone(), date.clone()),
            (None, None, None),
        ] {
            assert_eq!(Validators { etag, last_modified }.if_range(), expected.as_ref());
        }
        let of = |etag: Option<HeaderValue>, last_modified| Validators { etag, last_modified };
        assert!(of(value("\"a\""), None).differ(&of(value("\"b\""), None)));
        assert!(of(None, date.clone()).differ(&of(None, value("x"))));
        assert!(!of(None, date).differ(&of(value("\"b\""), None)));
    }
}
