//! Text from elsewhere, made fit to be shown: without tokens, and not too long.

/// What stands in the place of a secret.
const MASK: &str = "<token>";

/// How many characters of foreign text are shown.
const MAX_CHARS: usize = 200;

/// How much of it is looked at: more than any token, and little enough to be read at once.
const MAX_BYTES: usize = 16 << 10;

/// What every JSON Web Token begins with: `{"` in base64url.
const JWT: &str = "eyJ";

/// A query parameter that holds a token, whatever the token looks like.
const QUERY: &str = "access_token=";

/// Returns `text` with its tokens masked and cut to 200 characters. For all text that a server or a foreign
/// crate wrote, before it reaches an error, an event or the log.
pub fn redact(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = &text[..text.floor_char_boundary(MAX_BYTES)];
    while let Some((before, secret)) = next_secret(rest) {
        shown.push_str(&rest[..before]);
        shown.push_str(MASK);
        rest = &rest[before + secret..];
    }
    shown.push_str(rest);
    // Cut last, so that half a token is never taken for something else.
    if let Some((end, _)) = shown.char_indices().nth(MAX_CHARS) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// Where the next secret begins, and how many bytes it has.
fn next_secret(text: &str) -> Option<(usize, usize)> {
    let query = text.find(QUERY).map(|at| at + QUERY.len()).map(|at| (at, value(&text[at..])));
    query.into_iter().chain(next_jwt(text)).min_by_key(|(at, _)| *at)
}

fn next_jwt(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = text[from..].find(JWT).map(|at| from + at) {
        if let Some(length) = jwt(&text[at..]) {
            return Some((at, length));
        }
        from = at + part(&text[at..]);
    }
    None
}

/// The length of a query parameter's value.
fn value(text: &str) -> usize {
    text.find(|c: char| c == '&' || c == '#' || c.is_whitespace() || "\"'<>()".contains(c)).unwrap_or(text.len())
}

/// The length of the token that `text` begins with. A token that was cut short counts: its claims are private too.
fn jwt(text: &str) -> Option<usize> {
    let mut length = part(text);
    let mut parts = 1;
    while text[length..].starts_with('.') {
        let next = part(&text[length + 1..]);
        if next == 0 && parts == 1 {
            break; // the end of a sentence
        }
        length += 1 + next;
        parts += 1;
    }
    (parts > 1).then_some(length)
}

fn part(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_masked_wherever_they_are() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.Hov-OM_plM";
        for (text, shown) in [
            (format!("invalid token: {token}, error: too early"), "invalid token: <token>, error: too early"),
            (format!("{token}{token}"), "<token>"),
            (format!("a {token}\nb \"{token}\""), "a <token>\nb \"<token>\""),
            (format!("wss://host/rtc?access_token={token}&sdk=rust"), "wss://host/rtc?access_token=<token>&sdk=rust"),
            ("wss://host/?a=1&access_token=opaque%2E#x".to_owned(), "wss://host/?a=1&access_token=<token>#x"),
            ("cut: eyJhbGciOiJIUzI1NiJ9.eyJzd".to_owned(), "cut: <token>"),
            ("unsigned: eyJhbGciOiJub25lIn0.eyJzdWIi.".to_owned(), "unsigned: <token>"),
            ("eyJ, eyJhbGciOiJIUzI1NiJ9. access_token".to_owned(), "eyJ, eyJhbGciOiJIUzI1NiJ9. access_token"),
            (String::new(), ""),
        ] {
            assert_eq!(redact(&text), shown);
        }
    }

    #[test]
    fn foreign_text_is_cut_between_characters_and_after_masking() {
        assert_eq!(redact(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(redact(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
        let long = format!("eyJhbGciOiJIUzI1NiJ9.{}.x, and the reason", "e".repeat(1_000));
        assert_eq!(redact(&long), "<token>, and the reason");
        assert_eq!(redact(&format!("{}eyJä", "eyJ".repeat(1 << 20))), format!("{}ey…", "eyJ".repeat(66)));
    }
}
