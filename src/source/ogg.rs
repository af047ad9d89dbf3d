//! Ogg (RFC 3533): finds the end of a body of pages. Chained streams, as radio stations send them, are one body.

use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor;
use symphonia::default::formats::OggReader;

use super::body::{Body, SharedBody};
use super::container::{Extent, SymphoniaFile, Window};
use super::decode::{FileDecoder, unsupported};
use super::files::{self, MAX_JUNK};
use super::tags;
use crate::error::Result;

/// The size of a page header without its segment table.
const HEADER: usize = 27;

/// The position of the checksum in a page.
const CHECKSUM: std::ops::Range<usize> = 22..26;

/// The most streams that may begin side by side. Each costs memory; a film has three.
const MAX_STREAMS: usize = 16;

/// Opens the pages that begin at the body's position.
pub fn open(body: &SharedBody) -> Result<Box<dyn FileDecoder>> {
    if let Some(family @ 2..) = mapping_family(body.get().peek(OPUS_HEAD)) {
        return Err(unsupported(format!("Opus of channel mapping family {family}")));
    }
    let window = Window::new(body, Vec::new(), Pages::default());
    Ok(Box::new(SymphoniaFile::open::<OggReader<'_>>(window, false)?))
}

/// The size of the first page of an Opus stream, up to the channel mapping family in its header (RFC 7845 §5.1).
const OPUS_HEAD: usize = HEADER + 1 + 19;

/// Returns the channel mapping family if this is the first page of Opus. Families above 1 are channels without a layout, or ambisonics.
fn mapping_family(page: &[u8]) -> Option<u8> {
    page.get(HEADER + 1..)?.strip_prefix(b"OpusHead")?.get(10).copied()
}

/// The pages of a body, one after another. An Ogg stream states no length, but its pages do.
#[derive(Default)]
struct Pages {
    /// The number of streams that have begun since the last page of another kind.
    beginnings: usize,
    /// The bytes that came, and the bytes that were stated if the end cut the last page.
    received: u64,
    stated: u64,
    /// The bytes of damaged pages.
    discarded: u64,
    /// The bytes in a row that were no page.
    run: u64,
}

impl Extent for Pages {
    fn more(&mut self, body: &mut Body) -> u64 {
        while self.find_page(body) {
            // Reads not a byte beyond the page: in a live stream there may be none for a while.
            let segments = usize::from(*body.peek(HEADER).get(HEADER - 1).unwrap_or(&0));
            let header = body.peek(HEADER + segments);
            let begins = header.get(5).is_some_and(|kind| kind & 2 != 0);
            let table = header.get(HEADER..).unwrap_or_default();
            let length = HEADER + segments + table.iter().map(|length| usize::from(*length)).sum::<usize>();
            let page = body.peek(length);
            if page.len() < length {
                self.stated = self.received + length as u64;
                body.skip(u64::MAX);
                return 0;
            }
            // The demuxer would drop such a page silently.
            if checksum(page) != page[CHECKSUM] {
                self.discard(body, 1);
                // Each head may claim a page of the greatest length.
                if !body.yield_if_due() {
                    return 0;
                }
                continue;
            }
            self.run = 0;
            self.beginnings = if begins { self.beginnings + 1 } else { 0 };
            self.received += length as u64;
            if self.beginnings <= MAX_STREAMS {
                return length as u64;
            }
            body.consume(length);
        }
        0
    }

    fn missing(&self, _rest: u64) -> Option<(u64, u64)> {
        (self.stated > self.received).then_some((self.received, self.stated))
    }

    fn finish(&mut self, _body: &mut Body) -> u64 {
        self.discarded
    }
}

impl Pages {
    /// Skips damaged bytes up to the next page. Returns false if something else comes first, or the end.
    fn find_page(&mut self, body: &mut Body) -> bool {
        loop {
            let head = body.peek(tags::HEAD);
            if self.run > MAX_JUNK {
                return false;
            }
            if head.starts_with(b"OggS\0") {
                return true;
            }
            if head.is_empty() || files::detect(head) || tags::detect(head) {
                return false;
            }
            let ahead = body.buffered();
            let step = files::find_start(&ahead[1..]).map_or(ahead.len(), |step| 1 + step);
            self.discard(body, step);
        }
    }

    fn discard(&mut self, body: &mut Body, length: usize) {
        self.run += length as u64;
        self.discarded += body.discard(length);
    }
}

/// Returns the checksum of a page, with the checksum field itself counted as zero.
fn checksum(page: &[u8]) -> [u8; 4] {
    let mut crc = Crc32::new(0);
    crc.process_buf_bytes(&page[..CHECKSUM.start]);
    crc.process_buf_bytes(&[0; 4]);
    crc.process_buf_bytes(&page[CHECKSUM.end..]);
    crc.crc().to_le_bytes()
}
