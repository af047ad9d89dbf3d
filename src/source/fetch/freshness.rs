//! Freshness of answers: whether one may be shared, for how long, and how it is revalidated (RFC 9111, as a shared cache: all sessions of
//! the process use it).
//!
//! This is the only module that uses http-cache-semantics, which does the calculations. It does not understand all headers that servers
//! send: directives in capitals, dates in any of the three forms, an age that overflows. So the relevant headers are normalized first.

use std::time::{Duration, SystemTime};

use http_cache_semantics::{CacheOptions, CachePolicy};
use reqwest::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA, SET_COOKIE, VARY,
};
use reqwest::{StatusCode, Url};

/// The greatest age that is distinguished (RFC 9111 §1.2.2).
const MAX_AGE: u64 = 1 << 31;

/// The longest heuristic freshness, for an answer that states only when it was last modified: a day (RFC 9111 §4.2.2 leaves that open).
const HEURISTIC_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// The most bytes of relevant headers in an answer. Those of real servers take some hundred.
const MAX_HEADERS: usize = 8 << 10;

/// One answer on the way to a body, a redirect or the last one, with the times of request and answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The URL that sent it.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// True if it was requested with a password or a key.
    pub is_authorized: bool,
    pub asked_at: SystemTime,
    pub answered_at: SystemTime,
}

/// The freshness of an answer.
#[derive(Debug, Clone)]
pub struct Freshness {
    policy: CachePolicy,
    /// The relevant headers, normalized.
    headers: HeaderMap,
    status: StatusCode,
    is_authorized: bool,
    /// True for playlists, which change all the time.
    is_playlist: bool,
}

impl Freshness {
    pub fn of(exchange: &Exchange) -> Self {
        let content_type = exchange.headers.get(CONTENT_TYPE).map(text).unwrap_or_default().to_ascii_lowercase();
        let is_playlist = content_type.contains("mpegurl") || exchange.url.path().ends_with(".m3u8");
        let headers = normalized(&exchange.headers, exchange.asked_at, exchange.answered_at);
        Self::new(headers, exchange.status, exchange.is_authorized, is_playlist, exchange.answered_at)
    }

    fn new(
        headers: HeaderMap,
        status: StatusCode,
        is_authorized: bool,
        is_playlist: bool,
        answered_at: SystemTime,
    ) -> Self {
        // All who request it send the same user headers, so `Vary` always matches.
        let mut request = http::Request::new(());
        if is_authorized {
            request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("-"));
        }
        let mut response = http::Response::new(());
        *response.status_mut() = status;
        response.headers_mut().clone_from(&headers);
        let options = CacheOptions { shared: true, ..CacheOptions::default() };
        let policy = CachePolicy::new_options(&request, &response, answered_at, options);
        Self { policy, headers, status, is_authorized, is_playlist }
    }

    /// Returns true if a redirect may be reused for others, provided that it is revalidated once it is stale.
    pub fn may_redirect_others(&self) -> bool {
        let is_one_users = self.headers.contains_key(SET_COOKIE) && !self.has_directive("public");
        let varies = self.headers.get(VARY).is_some_and(|vary| text(vary).contains('*'));
        let is_small = self.bytes() <= MAX_HEADERS;
        !is_one_users && !varies && is_small && !self.has_directive("no-store") && !self.has_directive("private")
    }

    /// Returns true if the body may be given to others too.
    pub fn may_be_shared(&self) -> bool {
        self.status == StatusCode::OK && self.may_redirect_others() && self.policy.is_storable()
    }

    /// Returns true if it has to be revalidated at each use.
    pub fn must_revalidate(&self) -> bool {
        let pragma = self.headers.get(PRAGMA).filter(|_| !self.headers.contains_key(CACHE_CONTROL));
        self.has_directive("no-cache") || pragma.is_some_and(|pragma| text(pragma).contains("no-cache"))
    }

    /// Returns true if it may be used without revalidation.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let says_so = ["max-age", "s-maxage", "immutable"].iter().any(|name| self.has_directive(name))
            || self.headers.contains_key(EXPIRES);
        let is_known = says_so || !self.is_playlist && self.policy.age(now) <= HEURISTIC_LIFETIME;
        is_known && !self.policy.is_stale(now)
    }

    /// Returns true if it can be revalidated.
    pub fn can_revalidate(&self) -> bool {
        self.headers.contains_key(ETAG) || self.headers.contains_key(LAST_MODIFIED)
    }

    /// Returns the conditional headers that revalidate it (RFC 9111 §4.3.1).
    pub fn conditions(&self) -> HeaderMap {
        let condition = |name, of: HeaderName| self.headers.get(of).map(|value| (name, value.clone()));
        [condition(IF_NONE_MATCH, ETAG), condition(IF_MODIFIED_SINCE, LAST_MODIFIED)].into_iter().flatten().collect()
    }

    /// Returns it as updated by a `304` answer (RFC 9111 §3.2, §4.3.4); `None` if that answer is about another version.
    pub fn revalidated(&self, exchange: &Exchange) -> Option<Self> {
        let new = normalized(&exchange.headers, exchange.asked_at, exchange.answered_at);
        let differs = |name: HeaderName| match (self.headers.get(&name), new.get(&name)) {
            (Some(old), Some(new)) => {
                old.as_bytes().strip_prefix(b"W/").unwrap_or(old.as_bytes())
                    != new.as_bytes().strip_prefix(b"W/").unwrap_or(new.as_bytes())
            }
            _ => false,
        };
        if differs(ETAG) || !new.contains_key(ETAG) && differs(LAST_MODIFIED) {
            return None;
        }
        let mut headers = self.headers.clone();
        headers.remove(DATE);
        headers.extend(new);
        Some(Self::new(headers, self.status, self.is_authorized, self.is_playlist, exchange.answered_at))
    }

    /// Returns true if it may be used in place of an error of its server (RFC 5861 §4).
    pub fn serves_stale_on_error(&self, now: SystemTime) -> bool {
        let forbidden = ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage"];
        let limit = self.directive("stale-if-error").and_then(|value| value?.parse().ok());
        let Some(limit) = limit.filter(|_| !forbidden.iter().any(|name| self.has_directive(name))) else {
            return false;
        };
        let age = self.policy.age(now);
        let lifetime = self.directive("max-age").and_then(|value| value?.parse().ok()).map(Duration::from_secs);
        age.saturating_sub(lifetime.unwrap_or_default()) <= Duration::from_secs(limit)
    }

    /// Returns the approximate size in memory.
    pub fn bytes(&self) -> usize {
        // They are kept here and in the policy, and their directives once more.
        self.headers.iter().map(|(name, value)| 3 * (name.as_str().len() + value.len())).sum()
    }

    fn has_directive(&self, name: &str) -> bool {
        self.directive(name).is_some()
    }

    /// Returns a directive of `Cache-Control`, with its value if it has one.
    fn directive(&self, name: &str) -> Option<Option<&str>> {
        let all = self.headers.get(CACHE_CONTROL)?.to_str().ok()?;
        all.split(',').find_map(|directive| {
            let (found, value) = match directive.split_once('=') {
                Some((found, value)) => (found, Some(value.trim().trim_matches('"'))),
                None => (directive, None),
            };
            (found.trim() == name).then_some(value)
        })
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Normalizes the relevant headers of an answer to a form that every parser understands.
fn normalized(headers: &HeaderMap, asked_at: SystemTime, answered_at: SystemTime) -> HeaderMap {
    let mut out = HeaderMap::new();
    let mut put = |name: HeaderName, value: &str| {
        // Invisible characters mean nothing, and must not hide the rest.
        let value: String = value.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        out.insert(name, HeaderValue::try_from(value).expect("all of it is visible"));
    };
    for name in [CACHE_CONTROL, PRAGMA, VARY] {
        let all: Vec<_> = headers.get_all(&name).iter().map(|value| text(value).to_ascii_lowercase()).collect();
        if !all.is_empty() {
            put(name, &all.join(","));
        }
    }
    let date = |name| {
        let value = headers.get(name).map(text)?;
        Some(httpdate::parse_http_date(value.trim()).ok())
    };
    // An invalid date, such as 0, counts as past (RFC 9111 §5.3).
    let past = SystemTime::UNIX_EPOCH;
    if let Some(expires) = date(EXPIRES) {
        put(EXPIRES, &httpdate::fmt_http_date(expires.unwrap_or(past)));
    }
    let sent = date(DATE).flatten();
    if let Some(date) = sent {
        put(DATE, &httpdate::fmt_http_date(date));
    }
    // The age by RFC 9111 §4.2.3.
    let apparent = sent.and_then(|sent| answered_at.duration_since(sent).ok()).unwrap_or_default();
    let stated = headers.get(AGE).and_then(|age| text(age).trim().parse().ok()).unwrap_or(0);
    let delay = answered_at.duration_since(asked_at).unwrap_or_default();
    let age = apparent.as_secs().max(delay.as_secs().saturating_add(stated)).min(MAX_AGE);
    put(AGE, &age.to_string());
    for name in [ETAG, LAST_MODIFIED] {
        if let Some(value) = headers.get(&name) {
            out.insert(name, value.clone());
        }
    }
    if headers.contains_key(SET_COOKIE) {
        out.insert(SET_COOKIE, HeaderValue::from_static("-"));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "Sun, 29 Nov 2026 18:00:00 GMT";

    fn now() -> SystemTime {
        httpdate::parse_http_date(NOW).unwrap()
    }

    fn after(seconds: u64) -> SystemTime {
        now() + Duration::from_secs(seconds)
    }

    /// Makes an answer with these headers, one per line.
    fn exchange(status: u16, lines: &str, seconds: u64) -> Exchange {
        let mut headers = HeaderMap::new();
        for line in lines.split('\n').filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            let value = HeaderValue::from_bytes(value.trim().as_bytes()).unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), value);
        }
        let url = Url::parse("http://a.test/a.mp3").unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let at = after(seconds);
        Exchange { url, status, headers, is_authorized: false, asked_at: at, answered_at: at }
    }

    #[test]
    fn shares_only_what_the_server_allows() {
        for (lines, is_authorized, expected) in [
            ("", false, true),
            ("cache-control: max-age=60", false, true),
            ("cache-control: no-store", false, false),
            ("Cache-Control: max-age=60, No-Store", false, false),
            ("cache-control: max-age=60\ncache-control: NO-STORE", false, false),
            ("cache-control: ü, no-store", false, false),
            ("cache-control: private", false, false),
            ("cache-control: private=\"x-a\", max-age=60", false, false),
            ("cache-control: no-cache", false, true),
            ("vary: *", false, false),
            ("vary: accept-encoding, *", false, false),
            ("vary: accept-encoding, origin", false, true),
            ("set-cookie: a=b", false, false),
            ("set-cookie: a=b\ncache-control: public, max-age=60", false, true),
            ("cache-control: max-age=60", true, false),
            ("cache-control: max-age=60, public", true, true),
            ("cache-control: s-maxage=60", true, true),
            ("cache-control: must-revalidate, max-age=60", true, true),
        ] {
            let exchange = Exchange { is_authorized, ..exchange(200, lines, 0) };
            assert_eq!(Freshness::of(&exchange).may_be_shared(), expected, "{lines:?}, authorized: {is_authorized}");
        }
        for status in [203, 204, 206, 404, 500] {
            assert!(!Freshness::of(&exchange(status, "cache-control: max-age=60", 0)).may_be_shared(), "{status}");
        }
        let long = format!("etag: \"{}\"", "x".repeat(MAX_HEADERS));
        assert!(!Freshness::of(&exchange(200, &long, 0)).may_be_shared());
    }

    #[test]
    fn is_fresh_as_long_as_stated() {
        const DAY: u64 = 24 * 3_600;
        for (lines, expected) in [
            ("", 0),
            ("etag: \"a\"", 0),
            ("cache-control: max-age=60", 60),
            ("cache-control: MAX-AGE=\"60\"", 60),
            ("cache-control: max-age=60, s-maxage=10", 10),
            ("cache-control: max-age=60\nage: 45", 15),
            ("cache-control: max-age=60\nage: 18446744073709551615", 0),
            ("cache-control: max-age=60\nage: -1", 60),
            ("cache-control: max-age=60\ndate: Sun, 29 Nov 2026 17:59:30 GMT", 30),
            ("cache-control: max-age=60\ndate: Sun, 29 Nov 2026 19:00:00 GMT", 60),
            ("cache-control: max-age=60\nexpires: Sun, 29 Nov 2026 19:00:00 GMT", 60),
            ("cache-control: max-age=99999999999999999999", 0),
            ("cache-control: max-age=60, max-age=60", 60),
            ("cache-control: no-cache, max-age=60", 0),
            ("cache-control: proxy-revalidate, max-age=60", 0),
            ("cache-control: immutable", DAY),
            ("pragma: no-cache\nexpires: Sun, 29 Nov 2026 19:00:00 GMT", 0),
            ("expires: Sun, 29 Nov 2026 18:00:10 GMT", 10),
            ("expires: Sunday, 29-Nov-26 18:00:10 GMT", 10),
            ("expires: Sun Nov 29 18:00:10 2026", 10),
            ("date: Sun, 29 Nov 2026 18:00:00 GMT\nexpires: Sun, 29 Nov 2026 18:00:10 GMT", 10),
            ("expires: 0", 0),
            ("expires: Fri, 31 Dec 9999 23:59:59 GMT\ncache-control: max-age=5", 5),
            // A tenth of the time since it was modified.
            ("last-modified: Sun, 29 Nov 2026 17:50:00 GMT", 60),
            ("last-modified: Sun, 29 Nov 2026 19:00:00 GMT", 0),
            ("last-modified: Sun, 29 Nov 2020 18:00:00 GMT", DAY + 1),
            ("last-modified: Sun, 29 Nov 2026 17:50:00 GMT\ncontent-type: application/vnd.apple.mpegurl", 0),
            ("cache-control: max-age=6\ncontent-type: application/vnd.apple.mpegurl", 6),
        ] {
            let freshness = Freshness::of(&exchange(200, lines, 0));
            let is_fresh = |seconds| freshness.is_fresh(after(seconds));
            assert!(expected == 0 || is_fresh(expected - 1), "{lines:?} is stale after {expected} - 1");
            assert!(!is_fresh(expected), "{lines:?} is fresh after {expected}");
        }
    }

    #[test]
    fn redirects_are_fresh_only_if_stated() {
        for (status, lines, expected) in
            [(302, "", false), (301, "", false), (302, "cache-control: max-age=60", true), (308, "expires: 0", false)]
        {
            let freshness = Freshness::of(&exchange(status, lines, 0));
            assert!(freshness.may_redirect_others());
            assert_eq!(freshness.is_fresh(now()), expected, "{status} {lines}");
        }
        assert!(!Freshness::of(&exchange(302, "cache-control: no-store", 0)).may_redirect_others());
    }

    #[test]
    fn revalidation_renews_freshness() {
        let lines = "etag: W/\"a\"\nlast-modified: Sun, 29 Nov 2026 17:50:00 GMT\ncache-control: max-age=60\nage: 50";
        let freshness = Freshness::of(&exchange(200, lines, 0));
        assert!(freshness.can_revalidate());
        let conditions = freshness.conditions();
        assert_eq!(conditions[IF_NONE_MATCH], "W/\"a\"");
        assert_eq!(conditions[IF_MODIFIED_SINCE], "Sun, 29 Nov 2026 17:50:00 GMT");
        for (lines, expected) in [
            ("", Some(60)),
            ("etag: \"a\"", Some(60)),
            ("etag: W/\"a\"\ncache-control: max-age=10", Some(10)),
            ("cache-control: no-cache", Some(0)),
            ("age: 59", Some(1)),
            ("etag: \"b\"", None),
            ("last-modified: Sun, 29 Nov 2026 17:55:00 GMT", None),
        ] {
            let revalidated = freshness.revalidated(&exchange(304, lines, 100));
            assert_eq!(revalidated.is_some(), expected.is_some(), "{lines:?}");
            let Some((revalidated, expected)) = revalidated.zip(expected) else { continue };
            assert!(revalidated.may_be_shared(), "{lines:?}");
            assert!(expected == 0 || revalidated.is_fresh(after(100 + expected - 1)), "{lines:?}");
            assert!(!revalidated.is_fresh(after(100 + expected)), "{lines:?}");
        }
        assert!(!freshness.revalidated(&exchange(304, "cache-control: no-store", 0)).unwrap().may_be_shared());
    }

    #[test]
    fn serves_stale_only_if_stated() {
        for (lines, expected) in [
            ("cache-control: max-age=60", None),
            ("cache-control: max-age=60, stale-if-error=30", Some(90)),
            ("cache-control: stale-if-error=30", Some(30)),
            ("cache-control: max-age=60, stale-if-error=30, must-revalidate", None),
            ("cache-control: max-age=60, stale-if-error=x", None),
        ] {
            let freshness = Freshness::of(&exchange(200, lines, 0));
            assert_eq!(freshness.serves_stale_on_error(after(expected.unwrap_or(0))), expected.is_some(), "{lines}");
            assert!(!freshness.serves_stale_on_error(after(expected.unwrap_or(0) + 1)), "{lines}");
        }
    }

    /// Header values as servers send them, and as they should not.
    fn any_value() -> impl Strategy<Value = Vec<u8>> {
        let words = [
            "max-age=",
            "s-maxage=",
            "no-store",
            "private",
            "stale-if-error=",
            "public",
            "immutable",
            "=",
            ",",
            "\"",
            " ",
            "W/",
            "0",
            "-1",
            "60",
            "ü",
            "18446744073709551615",
            "340282366920938463463374607431768211456",
            "Sun, 29 Nov 2026 18:00:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Sun, 31 Feb 2026 24:60:61 GMT",
        ];
        let word = prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec());
        prop::collection::vec(prop_oneof![3 => word, 1 => prop::collection::vec(0x20_u8..=0xff, 0..6)], 0..6)
            .prop_map(|ranges| ranges.concat().into_iter().filter(|byte| *byte != 0x7f).collect())
    }

    proptest! {
        #[test]
        fn judges_any_headers(
            values in prop::collection::vec((0..9_usize, any_value()), 0..8), is_stored in any::<bool>(), seconds in 0..u64::from(u32::MAX),
        ) {
            const NAMES: [HeaderName; 9] = [CACHE_CONTROL, PRAGMA, EXPIRES, DATE, AGE, ETAG, LAST_MODIFIED, VARY, SET_COOKIE];
            let mut exchange = exchange(200, if is_stored { "" } else { "cache-control: no-store" }, 0);
            for (name, value) in values {
                exchange.headers.append(&NAMES[name], HeaderValue::from_bytes(&value).unwrap());
            }
            let freshness = Freshness::of(&exchange);
            prop_assert!(is_stored || !freshness.may_be_shared());
            let then = after(seconds);
            if freshness.is_fresh(now()) || freshness.is_fresh(then) {
                prop_assert!(!freshness.must_revalidate() && freshness.policy.is_storable());
            }
            freshness.serves_stale_on_error(then);
            prop_assert_eq!(freshness.can_revalidate(), !freshness.conditions().is_empty());
            let again = Exchange { status: StatusCode::NOT_MODIFIED, asked_at: then, answered_at: then, ..exchange };
            // Its own validators never contradict it.
            prop_assert!(freshness.revalidated(&again).is_some());
        }
    }
}
