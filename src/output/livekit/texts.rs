//! Texts that others send in parts (LiveKit's data streams), until each is whole.

use std::collections::{BTreeMap, VecDeque};

use super::data::text;
use super::proto::data_stream::header::ContentHeader;
use super::proto::data_stream::{Chunk, CompressionType, Header, Trailer};
use crate::output::data::cost;
use crate::output::{IncomingData, IncomingWhat, Text};

/// Texts that may be on their way at once. One more takes the place of the one that has been so longest: it may have no end.
const MOST_TEXTS: usize = 100;

/// The longest text in bytes, with its attributes, and what all that are on their way may have.
const LONGEST: usize = 1024 * 1024;
const MOST_BYTES: usize = 4 * LONGEST;

/// One that is on its way.
struct Part {
    identity: Option<String>,
    id: String,
    topic: Option<String>,
    attributes: BTreeMap<String, String>,
    bytes: Vec<u8>,
    /// How many bytes it will have, if that was said.
    length: Option<u64>,
    /// The number of the chunk that comes next.
    next: u64,
}

#[derive(Default)]
pub struct Texts {
    /// Those that began first are in front.
    parts: VecDeque<Part>,
}

impl Part {
    fn cost(&self) -> usize {
        self.bytes.len() + cost(&self.attributes)
    }

    fn is_of(&self, identity: &Option<String>, id: &str) -> bool {
        self.identity == *identity && self.id == id
    }
}

impl Texts {
    /// A text begins. It is returned if it is whole already.
    pub fn begin(&mut self, identity: Option<String>, header: Header) -> Option<IncomingData> {
        let is_compressed = header.compression() != CompressionType::None;
        let Header { stream_id: id, topic, total_length: length, attributes, inline_content, content_header, .. } =
            header;
        if is_compressed || !matches!(content_header, Some(ContentHeader::TextHeader(_))) {
            return None;
        }
        self.parts.retain(|part| !part.is_of(&identity, &id));
        let is_whole = inline_content.is_some();
        let part = Part {
            identity,
            id,
            topic: text(topic),
            attributes: attributes.into_iter().collect(),
            bytes: inline_content.unwrap_or_default(),
            length: length.filter(|_| !is_whole),
            next: 0,
        };
        if is_whole {
            return whole(part);
        }
        if self.parts.len() == MOST_TEXTS {
            self.parts.pop_front().into_iter().for_each(|oldest| warn_of(&oldest, "too many others have begun"));
        }
        self.parts.push_back(part);
        None
    }

    /// More of a text has come.
    pub fn go_on(&mut self, identity: &Option<String>, chunk: &Chunk) {
        let all: usize = self.parts.iter().map(Part::cost).sum();
        let Some(index) = self.parts.iter().position(|part| part.is_of(identity, &chunk.stream_id)) else { return };
        let part = &mut self.parts[index];
        if chunk.chunk_index < part.next {
            return; // it was there before
        }
        let why = if chunk.chunk_index > part.next {
            "a part of it is missing"
        } else if part.cost() + chunk.content.len() > LONGEST {
            "it is too long"
        } else if all + chunk.content.len() > MOST_BYTES {
            "too much of others is on its way"
        } else {
            part.bytes.extend_from_slice(&chunk.content);
            part.next += 1;
            return;
        };
        self.parts.remove(index).into_iter().for_each(|part| warn_of(&part, why));
    }

    /// A text is whole.
    pub fn end(&mut self, identity: &Option<String>, trailer: Trailer) -> Option<IncomingData> {
        let index = self.parts.iter().position(|part| part.is_of(identity, &trailer.stream_id))?;
        let mut part = self.parts.remove(index)?;
        part.attributes.extend(trailer.attributes);
        whole(part)
    }

    /// What is on its way will have no end.
    pub fn clear(&mut self) {
        self.parts.clear();
    }
}

fn whole(part: Part) -> Option<IncomingData> {
    let is_cut = part.length.is_some_and(|length| length != part.bytes.len() as u64);
    if is_cut || part.cost() > LONGEST {
        warn_of(&part, if is_cut { "it is not as long as was said" } else { "it is too long" });
        return None;
    }
    let Part { identity, topic, attributes, bytes, .. } = part;
    let text = Text(String::from_utf8_lossy(&bytes).into_owned());
    Some(IncomingData { identity, topic, what: IncomingWhat::Text { text, attributes } })
}

fn warn_of(part: &Part, why: &str) {
    tracing::warn!(bytes = part.bytes.len(), "a text that somebody sends is not told: {why}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::livekit::proto::data_stream::{ByteHeader, TextHeader};

    fn somebody() -> Option<String> {
        Some("a".to_owned())
    }

    fn header(id: &str, length: Option<u64>) -> Header {
        Header {
            stream_id: id.to_owned(),
            topic: "chat".to_owned(),
            total_length: length,
            attributes: [("mood".to_owned(), "good".to_owned())].into(),
            content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
            ..Default::default()
        }
    }

    fn chunk(id: &str, chunk_index: u64, content: &[u8]) -> Chunk {
        Chunk { stream_id: id.to_owned(), chunk_index, content: content.to_vec(), ..Default::default() }
    }

    fn end(texts: &mut Texts, id: &str) -> Option<String> {
        let incoming = texts.end(&somebody(), Trailer { stream_id: id.to_owned(), ..Default::default() })?;
        let IncomingWhat::Text { text, .. } = incoming.what else { panic!("it is a text") };
        Some(text.0)
    }

    #[test]
    fn a_text_is_told_when_it_is_whole() {
        let mut texts = Texts::default();
        assert_eq!(texts.begin(somebody(), header("1", Some(4))), None);
        assert_eq!(texts.begin(somebody(), header("2", None)), None);
        texts.go_on(&somebody(), &chunk("1", 0, b"he"));
        texts.go_on(&somebody(), &chunk("2", 0, &[0xc3]));
        texts.go_on(&Some("b".to_owned()), &chunk("1", 1, b"XX")); // none of theirs
        texts.go_on(&somebody(), &chunk("1", 1, b"y!"));
        texts.go_on(&somebody(), &chunk("1", 1, b"y!")); // twice
        texts.go_on(&somebody(), &chunk("2", 1, &[0xa4]));
        let trailer = Trailer {
            stream_id: "1".to_owned(),
            attributes: [("end".to_owned(), "yes".to_owned())].into(),
            ..Default::default()
        };
        assert_eq!(texts.end(&None, trailer.clone()), None, "none of the server's");
        let attributes = [("end", "yes"), ("mood", "good")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let what = IncomingWhat::Text { text: Text("hey!".to_owned()), attributes: attributes.into() };
        let expected = IncomingData { identity: somebody(), topic: Some("chat".to_owned()), what };
        assert_eq!(texts.end(&somebody(), trailer), Some(expected));
        assert_eq!((end(&mut texts, "1"), end(&mut texts, "2")), (None, Some("ä".to_owned())));
    }

    #[test]
    fn a_text_may_come_with_its_beginning() {
        let header = Header { inline_content: Some(b"hi".to_vec()), ..header("1", Some(9)) };
        let whole = Texts::default().begin(somebody(), header.clone()).expect("it is whole");
        assert!(matches!(whole.what, IncomingWhat::Text { text: Text(text), .. } if text == "hi"));
        let compressed = Header { compression: CompressionType::DeflateRaw as i32, ..header };
        assert_eq!(Texts::default().begin(somebody(), compressed), None, "that was not agreed");
    }

    #[test]
    fn what_is_not_whole_or_no_text_is_not_told() {
        let mut texts = Texts::default();
        let bytes =
            Header { content_header: Some(ContentHeader::ByteHeader(ByteHeader::default())), ..header("1", None) };
        texts.begin(somebody(), bytes);
        assert_eq!(end(&mut texts, "1"), None);
        texts.begin(somebody(), header("2", Some(3)));
        texts.go_on(&somebody(), &chunk("2", 0, b"hi"));
        assert_eq!(end(&mut texts, "2"), None, "shorter than was said");
        texts.begin(somebody(), header("3", None));
        texts.go_on(&somebody(), &chunk("3", 1, b"hi"));
        assert_eq!(end(&mut texts, "3"), None, "a chunk is missing");
        texts.begin(somebody(), header("4", None));
        texts.clear();
        assert_eq!(end(&mut texts, "4"), None, "another room");
    }

    #[test]
    fn what_is_on_its_way_is_bounded() {
        let mut texts = Texts::default();
        let megabyte = vec![b'x'; LONGEST - 1_000];
        for n in 0..5 {
            texts.begin(somebody(), header(&n.to_string(), None));
            texts.go_on(&somebody(), &chunk(&n.to_string(), 0, &megabyte));
        }
        assert!(texts.parts.iter().map(Part::cost).sum::<usize>() <= MOST_BYTES);
        texts.go_on(&somebody(), &chunk("0", 1, &megabyte[..2_000]));
        assert_eq!(end(&mut texts, "0"), None, "too long");
        assert_eq!(end(&mut texts, "1").map(|text| text.len()), Some(megabyte.len()));
        for n in 0..1_000 {
            texts.begin(somebody(), header(&format!("more {n}"), None));
        }
        assert_eq!(texts.parts.len(), MOST_TEXTS);
        assert_eq!((end(&mut texts, "more 899"), end(&mut texts, "more 900")), (None, Some(String::new())));
    }
}
