//! A radio station's answer: its head, and titles between the audio bytes.

use speaker_session::internals::source::divided;

use super::media::Bench;
use super::random::Random;
use super::run::{Failure, Seen};

pub fn seeds() -> Vec<Vec<u8>> {
    let block = |text: &str| {
        let units = text.len().div_ceil(16);
        [&[units as u8], format!("{text:\0<0$}", 16 * units).as_bytes()].concat()
    };
    let body = [
        &b"12345"[..],
        &block("StreamTitle='A - It's a song';StreamUrl='http://host/';"),
        b"67890",
        &block(""),
        b"abcde",
        &block("Stream"),
    ];
    let of = |head: &str| [head.as_bytes(), &body.concat()].concat();
    vec![
        of("ICY 200 OK\r\nicy-name: A station\r\nicy-metaint:5\r\ncontent-type: audio/mpeg\r\n\r\n"),
        of("ICY 200 OK\nicy-metaint: 5\n\n"),
    ]
}

/// Checks that the audio and the titles are the same however the answer is cut, and that the titles are short and printable.
pub fn icy(input: &[u8], plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Result<(), Failure> {
    let mut random = Random::new(plan);
    let sizes: Vec<usize> = (0..4).map(|_| 1 + random.skewed(100)).collect();
    let whole = divided(input, &[input.len()]);
    seen.outcome(if whole.is_some() { "divided" } else { "none" }, "");
    if whole != divided(input, &sizes) {
        return Err(Failure::new("pieces", format!("another sound or other titles in pieces of {sizes:?}")));
    }
    let Some((sound, said)) = whole else { return Ok(()) };
    seen.sound(sound.len());
    seen.trait_of(said.len());
    if sound.len() > input.len() {
        return Err(Failure::new("outcome", "more sound than came".to_owned()));
    }
    let texts = said.iter().flat_map(|it| [&it.title, &it.url, &it.station]).flatten();
    match texts
        .into_iter()
        .find(|text| text.is_empty() || text.contains(char::is_control) || text.len() > 2 * input.len())
    {
        Some(text) => Err(Failure::new("outcome", format!("a title that can't be shown: {text:.100?}"))),
        None => Ok(()),
    }
}
