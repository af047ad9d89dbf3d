//! Values that are secret while they are in use: tokens of rooms, headers of downloads. Code that uses one keeps a [`Secrets`], and as long
//! as it does the value is masked in the errors, events and log of every session, wherever the text came from.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use once_cell::sync::Lazy;
use parking_lot::RwLock;

use crate::redact::MASK;

/// The shortest secret, in bytes: a shorter one would be found in ordinary words.
const MIN_BYTES: usize = 8;

/// Secrets by their first bytes, so that a text is searched once, however many there are.
type Known = HashMap<[u8; MIN_BYTES], Vec<Arc<str>>>;

static KNOWN: Lazy<RwLock<Known>> = Lazy::new(RwLock::default);

/// Headers whose values are not secret: they also appear in messages, such as `audio/mpeg`.
const ORDINARY: [&str; 7] =
    ["accept", "accept-encoding", "accept-language", "cache-control", "content-type", "range", "user-agent"];

/// Secrets in use. They are forgotten when this is dropped.
#[derive(Debug, Default)]
pub struct Secrets(Vec<Arc<str>>);

impl Secrets {
    /// Creates one for a value that is secret as a whole, such as a token.
    pub fn of(value: &str) -> Self {
        let mut secrets = Self::default();
        secrets.add(value);
        secrets
    }

    /// Creates one for the secrets of a request: values of headers, the password of the URL and long values of its query.
    pub fn of_request(url: &str, headers: &[(String, String)]) -> Self {
        let mut secrets = Self::default();
        let is_secret = |name: &str| !ORDINARY.iter().any(|ordinary| name.eq_ignore_ascii_case(ordinary));
        for (_, value) in headers.iter().filter(|(name, _)| is_secret(name)) {
            secrets.add(value);
            // A server may repeat the token without `Bearer`, or one cookie of several.
            value.split([' ', ';', ',', '=', '"']).filter(|part| *part != value).for_each(|part| secrets.add(part));
        }
        if let Ok(url) = reqwest::Url::parse(url) {
            if let Some(password) = url.password() {
                secrets.add(password);
            }
            let long = |value: &str| value.len() >= 2 * MIN_BYTES;
            url.query_pairs().filter(|(_, value)| long(value)).for_each(|(_, value)| secrets.add(&value));
        }
        secrets
    }

    fn add(&mut self, value: &str) {
        let Some(first) = first_bytes(value.as_bytes()) else { return };
        let secret: Arc<str> = value.into();
        KNOWN.write().entry(first).or_default().push(secret.clone());
        self.0.push(secret);
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let mut known = KNOWN.write();
        for secret in &self.0 {
            let Some(first) = first_bytes(secret.as_bytes()) else { continue };
            let Some(alike) = known.get_mut(&first) else { continue };
            alike.retain(|other| !Arc::ptr_eq(other, secret));
            if alike.is_empty() {
                known.remove(&first);
            }
        }
    }
}

fn first_bytes(bytes: &[u8]) -> Option<[u8; MIN_BYTES]> {
    bytes.first_chunk().copied()
}

/// Returns `text` with every secret in use masked.
pub fn mask(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read();
    if known.is_empty() {
        return text.into();
    }
    let mut masked = String::new();
    let (mut shown, mut at) = (0, 0);
    while let Some(first) = first_bytes(&text.as_bytes()[at..]) {
        let here = |secret: &&Arc<str>| text.as_bytes()[at..].starts_with(secret.as_bytes());
        match known.get(&first).and_then(|alike| alike.iter().filter(here).max_by_key(|secret| secret.len())) {
            Some(secret) => {
                masked.push_str(&text[shown..at]);
                masked.push_str(MASK);
                at += secret.len();
                shown = at;
            }
            None => at += 1,
        }
    }
    if shown == 0 { text.into() } else { (masked + &text[shown..]).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_a_secret_while_in_use() {
        let text = "a päonien-token-one, päonien-token-oneandmore: päonien-token-onepäonien-token-one";
        let secrets = Secrets::of("päonien-token-one");
        let twice = Secrets::of("päonien-token-one");
        assert_eq!(mask(text), "a <masked>, <masked>andmore: <masked><masked>");
        drop(secrets);
        let longer = Secrets::of("päonien-token-oneandmore");
        assert_eq!(mask(text), "a <masked>, <masked>: <masked><masked>");
        drop((twice, longer));
        assert_eq!(mask(text), text);
    }

    #[test]
    fn shows_short_values() {
        let _secrets = Secrets::of("seven77");
        assert_eq!(mask("seven77 seven7"), "seven77 seven7");
    }

    #[test]
    fn masks_parts_of_a_request() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = [
            header("Authorization", "Bearer opaque-bearer-1"),
            header("cookie", "sid=opaque-cookie-2; theme=dark"),
            header("Accept", "audio/planted"),
        ];
        let url = "https://user:opaque-password-3@host/a?sig=opaque-signature-4&x=short-one";
        let _secrets = Secrets::of_request(url, &headers);
        let text = "opaque-bearer-1 opaque-cookie-2 opaque-password-3 opaque-signature-4 audio/planted short-one";
        assert_eq!(mask(text), "<masked> <masked> <masked> <masked> audio/planted short-one");
    }
}
