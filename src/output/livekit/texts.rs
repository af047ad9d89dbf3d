//! Texts that others send in parts (LiveKit's data streams), until each is complete.

use std::collections::{BTreeMap, VecDeque};

use super::data::text;
use super::proto::data_stream::header::ContentHeader;
use super::proto::data_stream::{Chunk, CompressionType, Header, Trailer};
use crate::output::data::cost;
use crate::output::{IncomingContent, IncomingData, Text};

/// The most texts in progress. A further one replaces the oldest, which may never end.
const MAX_TEXTS: usize = 100;

/// The longest text in bytes, with its attributes, and the most bytes of all texts in progress.
const MAX_TEXT: usize = 1024 * 1024;
const MAX_BYTES: usize = 4 * MAX_TEXT;

/// A text in progress.
struct Part {
    identity: Option<String>,
    id: String,
    topic: Option<String>,
    attributes: BTreeMap<String, String>,
    bytes: Vec<u8>,
    /// The announced length in bytes, if any.
    length: Option<u64>,
    /// The number of the next chunk.
    next: u64,
}

#[derive(Default)]
pub struct Texts {
    /// The texts in progress, oldest first.
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
    /// Starts a text. Returns it if it is complete already.
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
        if self.parts.len() == MAX_TEXTS
            && let Some(oldest) = self.parts.pop_front()
        {
            warn_of(&oldest, "too many texts are in progress");
        }
        self.parts.push_back(part);
        None
    }

    /// Appends a chunk to a text.
    pub fn go_on(&mut self, identity: &Option<String>, chunk: &Chunk) {
        let all: usize = self.parts.iter().map(Part::cost).sum();
        let Some(index) = self.parts.iter().position(|part| part.is_of(identity, &chunk.stream_id)) else { return };
        let part = &mut self.parts[index];
        if chunk.chunk_index < part.next {
            return; // it was there before
        }
        let why = if chunk.chunk_index > part.next {
            "a chunk is missing"
        } else if part.cost() + chunk.content.len() > MAX_TEXT {
            "it is too long"
        } else if all + chunk.content.len() > MAX_BYTES {
            "the texts in progress are too long"
        } else {
            part.bytes.extend_from_slice(&chunk.content);
            part.next += 1;
            return;
        };
        if let Some(part) = self.parts.remove(index) {
            warn_of(&part, why);
        }
    }

    /// Ends a text. Returns it if it is complete.
    pub fn end(&mut self, identity: &Option<String>, trailer: Trailer) -> Option<IncomingData> {
        let index = self.parts.iter().position(|part| part.is_of(identity, &trailer.stream_id))?;
        let mut part = self.parts.remove(index)?;
        part.attributes.extend(trailer.attributes);
        whole(part)
    }

    /// Drops all texts in progress, which will have no end.
    pub fn clear(&mut self) {
        self.parts.clear();
    }
}

fn whole(part: Part) -> Option<IncomingData> {
    let is_cut = part.length.is_some_and(|length| length != part.bytes.len() as u64);
    if is_cut || part.cost() > MAX_TEXT {
        warn_of(&part, if is_cut { "its length differs from the announced one" } else { "it is too long" });
        return None;
    }
    let Part { identity, topic, attributes, bytes, .. } = part;
    let text = Text(String::from_utf8_lossy(&bytes).into_owned());
    Some(IncomingData { identity, topic, content: IncomingContent::Text { text, attributes } })
}

fn warn_of(part: &Part, why: &str) {
    tracing::warn!(bytes = part.bytes.len(), "a received text is dropped: {why}");
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
        let IncomingContent::Text { text, .. } = incoming.content else { panic!("it is a text") };
        Some(text.0)
    }

    #[test]
    fn returns_complete_texts() {
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
        let content = IncomingContent::Text { text: Text("hey!".to_owned()), attributes: attributes.into() };
        let expected = IncomingData { identity: somebody(), topic: Some("chat".to_owned()), content };
        assert_eq!(texts.end(&somebody(), trailer), Some(expected));
        assert_eq!((end(&mut texts, "1"), end(&mut texts, "2")), (None, Some("ä".to_owned())));
    }

    #[test]
    fn text_may_be_inline() {
        let header = Header { inline_content: Some(b"hi".to_vec()), ..header("1", Some(9)) };
        let whole = Texts::default().begin(somebody(), header.clone()).expect("it is whole");
        assert!(matches!(whole.content, IncomingContent::Text { text: Text(text), .. } if text == "hi"));
        let compressed = Header { compression: CompressionType::DeflateRaw as i32, ..header };
        assert_eq!(Texts::default().begin(somebody(), compressed), None, "that was not agreed");
    }

    #[test]
    fn drops_incomplete_texts() {
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
    fn bounds_texts_in_progress() {
        let mut texts = Texts::default();
        let megabyte = vec![b'x'; MAX_TEXT - 1_000];
        for n in 0..5 {
            texts.begin(somebody(), header(&n.to_string(), None));
            texts.go_on(&somebody(), &chunk(&n.to_string(), 0, &megabyte));
        }
        assert!(texts.parts.iter().map(Part::cost).sum::<usize>() <= MAX_BYTES);
        texts.go_on(&somebody(), &chunk("0", 1, &megabyte[..2_000]));
        assert_eq!(end(&mut texts, "0"), None, "too long");
        assert_eq!(end(&mut texts, "1").map(|text| text.len()), Some(megabyte.len()));
        for n in 0..1_000 {
            texts.begin(somebody(), header(&format!("more {n}"), None));
        }
        assert_eq!(texts.parts.len(), MAX_TEXTS);
        assert_eq!((end(&mut texts, "more 899"), end(&mut texts, "more 900")), (None, Some(String::new())));
    }
}
