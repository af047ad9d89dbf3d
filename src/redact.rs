//! Redaction of text that is shown: it removes secrets and limits the length. All text in an error, an event, the log or a panic message
//! passes through here.
//!
//! It masks secrets in use ([`secrets`]) and text that looks like one: JSON Web Tokens, the user and the values in a URL, and values behind
//! names like `authorization`. It masks too much rather than too little.

use once_cell::sync::Lazy;
use regex_lite::{Captures, Regex};

use crate::secrets;

/// The replacement of a secret.
pub const MASK: &str = "<masked>";

/// The number of characters shown of a value, or of text from elsewhere.
pub const MAX_VALUE_CHARS: usize = 200;

/// The length of a whole message, in characters.
pub const MAX_MESSAGE_CHARS: usize = 1_000;

/// The part of a text that is searched, in bytes: longer than any token, and short enough to be searched at once.
const MAX_BYTES: usize = 16 << 10;

/// The longest part of a URL's path that is shown: a longer one may be a signature.
const PATH_PART: usize = 24;

/// Returns `text` without secrets, cut to [`MAX_VALUE_CHARS`]. For values, and all text from a server or another crate.
pub fn redact(text: &str) -> String {
    redact_to(text, MAX_VALUE_CHARS)
}

/// Returns `text` without secrets, cut to `max` characters.
pub fn redact_to(text: &str, max: usize) -> String {
    let (text, is_cut) = searched_part(text);
    let mut shown = mask_urls(&secrets::mask(text));
    for rule in RULES.iter() {
        shown = rule.mask(shown);
    }
    // Cut last, so that half a token never passes for something else.
    match shown.char_indices().nth(max) {
        Some((end, _)) => shown.truncate(end),
        None if !is_cut => return shown,
        None => {}
    }
    shown.push('…');
    shown
}

/// Returns the part of a text that is searched, and true if there is more. It ends between words: half a secret would not be recognized.
fn searched_part(text: &str) -> (&str, bool) {
    if text.len() <= MAX_BYTES {
        return (text, false);
    }
    let part = &text[..text.floor_char_boundary(MAX_BYTES)];
    (&part[..part.rfind(char::is_whitespace).unwrap_or(0)], true)
}

/// A pattern of secrets.
struct Rule {
    /// A text that contains none of these, in lower case, contains no such secret: this check is faster.
    needles: &'static [&'static str],
    /// Has the groups `secret`, `shown` before it and `behind` it.
    pattern: Regex,
    is_secret: fn(&str) -> bool,
}

impl Rule {
    fn new(needles: &'static [&'static str], pattern: &str, is_secret: fn(&str) -> bool) -> Self {
        Self { needles, pattern: Regex::new(pattern).expect("it is tested"), is_secret }
    }

    fn mask(&self, text: String) -> String {
        let is_in = |needle: &str| {
            text.as_bytes().windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle.as_bytes()))
        };
        if !self.needles.iter().any(|needle| is_in(needle)) {
            return text;
        }
        let masked = |found: &Captures<'_>| {
            if !(self.is_secret)(&found["secret"]) {
                return found[0].to_owned();
            }
            format!("{}{MASK}{}", &found["shown"], found.name("behind").map_or("", |behind| behind.as_str()))
        };
        self.pattern.replace_all(&text, masked).into_owned()
    }
}

static RULES: Lazy<[Rule; 6]> = Lazy::new(|| {
    [
        // A JSON Web Token begins with `{"` in base64url. A truncated one counts too: its claims are private.
        Rule::new(&["eyj"], r"(?<shown>)(?<secret>eyJ[\w-]*\.[\w-]+(?:\.[\w-]*)*)", |_| true),
        // The user of a URL, also without a scheme before it.
        Rule::new(&["@"], r#"(?<shown>)(?<secret>[^\s"'`()<>/@:,=]+:[^\s"'`<>/@]+)(?<behind>@[\w\[])"#, |_| true),
        // Values of a query, also without a URL before it.
        Rule::new(&["="], r#"(?<shown>[?&;#][^\s=&?;#"'<>]{1,64}=)(?<secret>(?:<masked>|[^&;#\s"'<>])+)"#, |_| true),
        // Headers: the whole line.
        Rule::new(
            &["auth", "cookie", "key", "token", "secret"],
            concat!(
                r#"(?i)(?<shown>\b(?:(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:auth|key|token|secret)[\w-]*|api-?key)"#,
                r#"\\?["']?\s*:\s*\\?["']?)(?<secret>[^\r\n"'\\]+)"#
            ),
            |_| true,
        ),
        // Fields.
        Rule::new(
            &["key", "token", "secret", "pass", "pwd", "credential", "signature"],
            concat!(
                r#"(?i)(?<shown>\b[\w-]*(?:key|token|secret|passw(?:or)?d|passphrase|pwd|credentials?|signature)"#,
                r#"\\?["']?\s*[:=]\s*(?:Some\()?\\?["']?)(?<secret>(?:<masked>|[^\s"',;&<>\\)])+)"#
            ),
            looks_random,
        ),
        Rule::new(&["bearer", "basic"], r"(?i)(?<shown>\b(?:bearer|basic)\s+)(?<secret>[\w.~+/=-]+)", looks_random),
    ]
});

/// Returns true if a value is more than a word of a sentence.
fn looks_random(value: &str) -> bool {
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let is_mixed = value.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    value.len() >= 20 || (value.len() >= 6 && (has_digit || is_mixed || value.contains(['_', '-', '.'])))
}

static SCHEME: Lazy<Regex> = Lazy::new(|| Regex::new(r"(?i)(?:\b[a-z][a-z0-9+.-]*:)?//").expect("it is tested"));

/// Masks the user of each URL in a text, and its other parts that may be secret.
fn mask_urls(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(scheme) = SCHEME.find(rest) {
        shown.push_str(&rest[..scheme.end()]);
        rest = &rest[scheme.end()..];
        match scheme.as_str() {
            // A path: it has no user.
            scheme if scheme.eq_ignore_ascii_case("file://") => {}
            "//" if !url(rest).contains('@') => {}
            _ => {
                let user = user(rest);
                if user > 0 {
                    shown.push_str(MASK);
                    rest = &rest[user..];
                }
                let (location, behind) = rest.split_at(url(rest).len());
                mask_location(location, &mut shown);
                rest = behind;
            }
        }
    }
    shown + rest
}

/// Returns the start of a text that can be one URL.
fn url(text: &str) -> &str {
    let mut end = 0;
    while let Some(next) = text[end..].chars().next() {
        if text[end..].starts_with(MASK) {
            end += MASK.len();
        } else if next.is_whitespace() || "\"'`<>".contains(next) {
            break;
        } else {
            end += next.len_utf8();
        }
    }
    &text[..end]
}

/// Returns the length of the user and password at the start of a URL without its scheme. Passwords may contain characters that should be
/// encoded: if no port is behind the first colon, they end at the last `@` of the line, and without one where a host could end.
fn user(text: &str) -> usize {
    let url = url(text);
    let host = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    let is_host = match host.rsplit_once(':') {
        _ if host.ends_with(']') => true,
        Some((_, port)) => port.bytes().all(|byte| byte.is_ascii_digit()),
        None => true,
    };
    let line = if is_host {
        url
    } else {
        let line = &text[..text.find(['\r', '\n']).unwrap_or(text.len())];
        &line[..line.find("://").unwrap_or(line.len())]
    };
    line.rfind('@').unwrap_or(if is_host || host.ends_with(MASK) { 0 } else { host.len() })
}

/// Appends a URL from its host on: the names of its query without their values, and the parts of its path that are short and have no value.
fn mask_location(location: &str, shown: &mut String) {
    let (path, query) = location.split_at(location.find(['?', '#']).unwrap_or(location.len()));
    for (number, part) in path.split('/').enumerate() {
        if number > 0 {
            shown.push('/');
        }
        match part.split_once('=') {
            // The host.
            _ if number == 0 => shown.push_str(part),
            Some((name, _)) if name.len() <= PATH_PART => shown.extend([name, "=", MASK]),
            _ if part.len() > PATH_PART => shown.push_str(MASK),
            _ => shown.push_str(part),
        }
    }
    for part in query.split_inclusive(['?', '#', '&', ';']) {
        let (part, sign) = part.split_at(part.rfind(['?', '#', '&', ';']).unwrap_or(part.len()));
        match part.split_once('=') {
            Some((name, _)) if name.len() <= PATH_PART => shown.extend([name, "=", MASK]),
            _ if !part.is_empty() => shown.push_str(MASK),
            _ => {}
        }
        shown.push_str(sign);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.Hov-OM_plM";

    #[test]
    fn masks_secrets_of_every_form() {
        for (text, shown) in [
            ("", ""),
            ("invalid token: JWT, error: too early", "invalid token: <masked>, error: too early"),
            ("JWTJWT", "<masked>"),
            ("a JWT\nb \"JWT\"", "a <masked>\nb \"<masked>\""),
            ("cut: eyJhbGciOiJIUzI1NiJ9.eyJzd", "cut: <masked>"),
            ("unsigned: eyJhbGciOiJub25lIn0.eyJzdWIi.", "unsigned: <masked>"),
            ("eyJ, eyJhbGciOiJIUzI1NiJ9. access_token", "eyJ, eyJhbGciOiJIUzI1NiJ9. access_token"),
            ("wss://host/rtc?access_token=JWT&sdk=rust", "wss://host/rtc?access_token=<masked>&sdk=<masked>"),
            ("wss://host/?a=1&access_token=opaque%2E#x", "wss://host/?a=<masked>&access_token=<masked>#<masked>"),
            ("GET /a.mp3?sig=opaque HTTP/1.1", "GET /a.mp3?sig=<masked> HTTP/1.1"),
            ("at https://host:8443/a/b.mp3: refused", "at https://host:8443/a/b.mp3: refused"),
            ("https://host/a?opaque and more", "https://host/a?<masked> and more"),
            ("https://host/0123456789abcdef012345678/a.mp3", "https://host/<masked>/a.mp3"),
            ("https://host/hdnts=exp~hmac/a.mp3", "https://host/hdnts=<masked>/a.mp3"),
            ("http://user:pass@host/a", "http://<masked>@host/a"),
            ("http://user@host:80/a", "http://<masked>@host:80/a"),
            ("s3://key:se/cr@et@bucket/a b", "s3://<masked>@bucket/a b"),
            ("s3://key:pass word@bucket/a b", "s3://<masked>@bucket/a b"),
            ("s3://key:secret", "s3://<masked>"),
            ("http://[::1]:80/a, http://[::1]/b", "http://[::1]:80/a, http://[::1]/b"),
            ("to=http://a:b@c/ http://d:e@f/", "to=http://<masked>@c/ http://<masked>@f/"),
            ("//user:pass@host/a and /a//b.wav", "//<masked>@host/a and /a//b.wav"),
            (r#"idle: ("http", user:pass@10.0.0.1:80)"#, r#"idle: ("http", <masked>@10.0.0.1:80)"#),
            ("file:///home/@me/a_long_name_of_a_file_it_is.wav", "file:///home/@me/a_long_name_of_a_file_it_is.wav"),
            ("authorization: Bearer a b\nx: y", "authorization: <masked>\nx: y"),
            (r#"{"Set-Cookie": "a=b; c"}"#, r#"{"Set-Cookie": "<masked>"}"#),
            ("\"x-amz-security-token\": \"ab\"", "\"x-amz-security-token\": \"<masked>\""),
            ("X-Api-Key:k", "X-Api-Key:<masked>"),
            ("password=hunter2 LIVEKIT_API_SECRET: Abc-def1", "password=<masked> LIVEKIT_API_SECRET: <masked>"),
            (r#"{ token: Some("opaque-1"), n: 1 }"#, r#"{ token: Some("<masked>"), n: 1 }"#),
            (r#"said {\"token\":\"opaque-1\"}"#, r#"said {\"token\":\"<masked>\"}"#),
            ("gave no access token: no network", "gave no access token: no network"),
            ("with Bearer opaque1 or Basic dTpw1A==", "with Bearer <masked> or Basic <masked>"),
            ("basic authentication failed", "basic authentication failed"),
            ("no file at /a/b=c.wav: No such file (os error 2)", "no file at /a/b=c.wav: No such file (os error 2)"),
        ] {
            let (text, expected) = (text.replace("JWT", JWT), shown);
            let shown = redact(&text);
            assert_eq!(shown, expected, "of {text}");
            assert_eq!(redact(&shown), shown, "redacted text stays as it is");
        }
    }

    #[test]
    fn cuts_between_characters_after_masking() {
        assert_eq!(redact(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(redact(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
        assert_eq!(redact_to("abc", 2), "ab…");
        let long = format!("eyJhbGciOiJIUzI1NiJ9.{}.x, and the reason", "e".repeat(1_000));
        assert_eq!(redact(&long), "<masked>, and the reason");
    }

    #[test]
    fn never_shows_half_a_secret() {
        let token = "opaque-token-".repeat(200);
        let _known = secrets::Secrets::of(&token);
        let shown = redact(&format!("{token} ").repeat(9));
        assert_eq!(shown, format!("{}…", ["<masked>"; 6].join(" ")));
        assert_eq!(redact(&"x".repeat(MAX_BYTES + 1)), "…");
    }

    #[test]
    fn redacts_long_texts_quickly() {
        for text in ["//", "a:", "x://a:", "token=", "eyJ.", "?a=", "@", "Bearer ", "x-key: "] {
            let begun = std::time::Instant::now();
            redact(&text.repeat(1 << 20));
            assert!(begun.elapsed().as_secs() < 5, "{text} took {:?}", begun.elapsed());
        }
    }
}
