//! Text that a server or a third-party crate wrote, on its way into errors, events and the log.

use speaker_session::internals::redact::redact as redacted;

use super::media::Bench;
use super::random::Random;
use super::run::{Failure, Seen};

const SECRET: &str = "SecretSignature";

/// The most characters: 200, and the mark that more was cut.
const MAX_CHARS: usize = 201;

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "invalid token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.Hov-OM_plM, error: too early",
        "wss://host/rtc?access_token=opaque%2E#x&sdk=rust \"eyJ\" 'access_token='",
        "eyJ, eyJhbGciOiJIUzI1NiJ9. eyJeyJ.eyJ.. ä€𝄞",
        "(\"http\", s3://key:se/cr@et@[::1]:80/a/b=c?d=e&f#g) //a:b@c <masked> file:///@/x",
        "Authorization: Basic dTpw\nSet-Cookie: \"a=b\" x-api-key:c, Some(\\\"token\\\": 'd') password=e Bearer f",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Checks that a token anywhere in any text is not shown, and that the text is short.
pub fn redact(input: &[u8], plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Result<(), Failure> {
    let mut random = Random::new(plan ^ input.len() as u64);
    let text = String::from_utf8_lossy(input);
    let at = text.floor_char_boundary(random.below(text.len() + 1));
    let (before, behind) = text.split_at(at);
    let token = match random.below(6) {
        0 => format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.{SECRET}"),
        1 => format!("?access_token={SECRET}"),
        2 => format!(" https://user:{SECRET}@host/"),
        3 => format!(" user:{SECRET}@host"),
        4 => format!(" authorization: {SECRET}"),
        _ => format!(" password={SECRET}"),
    };
    let shown = redacted(&format!("{before}{token}{behind}"));
    seen.trait_of(shown.len());
    seen.outcome("redacted", &shown.chars().filter(|c| "<>=.…".contains(*c)).collect::<String>());
    // The text itself may contain the word too.
    if shown.contains(SECRET) && !text.contains(SECRET) {
        return Err(Failure::new("secret", shown));
    }
    match shown.chars().count() {
        ..=MAX_CHARS => Ok(()),
        count => Err(Failure::new("long", format!("{count} characters are shown"))),
    }
}
