//! Cookies set along one chain of redirects, for the servers of that chain (RFC 6265): some redirect to themselves until their cookie comes
//! back. None is kept for another fetch.

use cookie_store::{CookieStore, RawCookie};
use public_suffix::{DEFAULT_PROVIDER, EffectiveTLDProvider};
use reqwest::Url;
use reqwest::header::{HeaderMap, SET_COOKIE};

/// The most cookies, and the longest one: what browsers keep at least (RFC 6265 §6.1).
const MAX_COOKIES: usize = 50;
const MAX_BYTES: usize = 4096;

#[derive(Default)]
pub struct Cookies(CookieStore);

impl Cookies {
    /// Stores the cookies that an answer from `url` sets.
    pub fn store(&mut self, headers: &HeaderMap, url: &Url) {
        let room = MAX_COOKIES.saturating_sub(self.values().count());
        let all = headers.get_all(SET_COOKIE).iter().filter(|value| value.len() <= MAX_BYTES).take(room);
        let cookies = all.filter_map(|value| RawCookie::parse(std::str::from_utf8(value.as_bytes()).ok()?).ok());
        for cookie in cookies.filter(|cookie| cookie.domain().is_none_or(|domain| is_for_one(domain, url))) {
            // The store refuses cookies for other domains.
            let _ = self.0.insert_raw(&cookie, url);
        }
    }

    /// Returns the `Cookie` header for `url`.
    pub fn of(&self, url: &Url) -> Option<String> {
        let all: Vec<_> = self.0.get_request_values(url).map(|(name, value)| format!("{name}={value}")).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Returns the values, which are secrets.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter_any().map(|cookie| cookie.value())
    }
}

/// Returns true if a domain has a single owner, so that a cookie may cover all of it: not a public suffix, such as `co.uk` (RFC 6265 §5.3,
/// step 5).
fn is_for_one(domain: &str, url: &Url) -> bool {
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    // The list is of ASCII, as the header should be (RFC 6265 §4.1.2.3).
    url.host_str() == Some(&domain) || domain.is_ascii() && DEFAULT_PROVIDER.effective_tld_plus_one(&domain).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the header sent to a URL after an answer from another one has set a cookie.
    fn sent(from: &str, cookie: &str, to: &str) -> Option<String> {
        let mut cookies = Cookies::default();
        let headers = HeaderMap::from_iter([(SET_COOKIE, cookie.parse().unwrap())]);
        cookies.store(&headers, &Url::parse(from).unwrap());
        cookies.of(&Url::parse(to).unwrap())
    }

    #[test]
    fn sends_cookies_to_their_domains_only() {
        for (from, cookie, to, expected) in [
            ("http://a.test/", "id=1", "http://a.test/b", Some("id=1")),
            ("http://a.test/", "id=1", "http://a.test:81/b", Some("id=1")),
            ("http://a.test/", "id=1", "http://b.a.test/", None),
            ("http://a.test/", "id=1", "http://b.test/", None),
            ("http://127.0.0.1/", "id=1", "http://127.0.0.1/", Some("id=1")),
            ("http://127.0.0.1/", "id=1; Domain=0.0.1", "http://127.0.0.1/", None),
            ("http://a.example.com/", "id=1; Domain=example.com", "http://b.example.com/", Some("id=1")),
            ("http://a.example.com/", "id=1; Domain=.Example.com", "http://example.com/", Some("id=1")),
            ("http://a.example.com/", "id=1; Domain=example.com", "http://badexample.com/", None),
            ("http://a.example.com/", "id=1; Domain=other.com", "http://other.com/", None),
            ("http://a.example.com/", "id=1; Domain=com", "http://other.com/", None),
            ("http://a.example.co.uk/", "id=1; Domain=co.uk", "http://other.co.uk/", None),
            ("http://me.github.io/", "id=1; Domain=github.io", "http://you.github.io/", None),
            ("http://a.city.kawasaki.jp/", "id=1; Domain=city.kawasaki.jp", "http://b.city.kawasaki.jp/", Some("id=1")),
            ("http://a.b.kawasaki.jp/", "id=1; Domain=b.kawasaki.jp", "http://c.b.kawasaki.jp/", None),
            ("http://a.example.com/", "id=1; Domain=éxample.com", "http://a.example.com/", None),
            ("http://a.example.com/", "id=1; Domain=é", "http://a.example.com/", None),
            ("http://a.example.com/", "id=1; Domain=..", "http://a.example.com/", None),
            ("http://localhost/", "id=1; Domain=localhost", "http://localhost/", Some("id=1")),
            ("https://a.test/", "id=1; Secure", "http://a.test/", None),
            ("https://a.test/", "id=1; Secure", "https://a.test/", Some("id=1")),
            ("http://a.test/a/b", "id=1", "http://a.test/a/c", Some("id=1")),
            ("http://a.test/a/b", "id=1", "http://a.test/c", None),
            ("http://a.test/", "id=1; Path=/c", "http://a.test/c/d", Some("id=1")),
            ("http://a.test/", "id=1; Path=/c", "http://a.test/cd", None),
            ("http://a.test/", "id=1; Max-Age=0", "http://a.test/", None),
            ("http://a.test/", "id=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://a.test/", None),
            ("http://a.test/", "nothing", "http://a.test/", None),
            ("http://a.test/", "", "http://a.test/", None),
        ] {
            assert_eq!(sent(from, cookie, to).as_deref(), expected, "{cookie} of {from} for {to}");
        }
    }

    #[test]
    fn bounds_cookies_as_browsers_do() {
        let mut cookies = Cookies::default();
        let url = Url::parse("http://a.test/").unwrap();
        let long = format!("long={}", "x".repeat(MAX_BYTES)).parse().unwrap();
        let many = (0..1_000).map(|n| (SET_COOKIE, format!("n{n}={n}").parse().unwrap()));
        let mut headers = HeaderMap::new();
        std::iter::once((SET_COOKIE, long)).chain(many).for_each(|(name, value)| _ = headers.append(name, value));
        cookies.store(&headers, &url);
        assert_eq!(cookies.values().count(), MAX_COOKIES);
    }
}
