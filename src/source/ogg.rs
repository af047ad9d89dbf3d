//! Ogg (RFC 3533): where a body of pages ends. Songs that are chained, as radio stations do, are one body.

use symphonia::default::formats::OggReader;

use super::body::{Body, SharedBody};
use super::container::{Contained, Extent, Window};
use super::decode::Piece;
use super::file::{self, MAX_JUNK};
use super::tags;
use crate::error::Result;

/// A page's header without its table of segments.
const HEADER: usize = 27;

/// How many streams may begin side by side. Each costs memory; a film has three.
const MAX_STREAMS: usize = 16;

/// Opens the pages that begin here.
pub fn open(body: &SharedBody) -> Result<Box<dyn Piece>> {
    let window = Window::new(body, Vec::new(), Pages { beginnings: 0, page: 0, came: 0 });
    Ok(Box::new(Contained::open::<OggReader<'_>>(window, false)?))
}

/// Page behind page. Streams state no length, but pages do.
struct Pages {
    /// How many streams have begun since the last other page.
    beginnings: usize,
    /// The length of the present page, and how much came with all of them.
    page: u64,
    came: u64,
}

impl Extent for Pages {
    fn more(&mut self, body: &mut Body) -> u64 {
        loop {
            if !to_a_page(body) {
                return 0;
            }
            let header = body.peek(HEADER + 255);
            let [.., kind] = *header.first_chunk::<6>().unwrap_or(&[0; 6]);
            let segments = usize::from(*header.get(HEADER - 1).unwrap_or(&0));
            let table = header.get(HEADER..).unwrap_or_default();
            let data: usize = table.iter().take(segments).map(|length| usize::from(*length)).sum();
            self.page = (HEADER + segments + data) as u64;
            let begins = kind & 2 != 0;
            self.beginnings = if begins { self.beginnings + 1 } else { 0 };
            if self.beginnings <= MAX_STREAMS {
                self.came += self.page;
                return self.page;
            }
            body.skip(self.page);
        }
    }

    fn missing(&self, rest: u64) -> Option<(u64, u64)> {
        (rest > 0).then_some((self.came - rest.min(self.came), self.came))
    }
}

/// Goes to the next page, over damaged bytes. Returns false if something else comes first, or the end.
fn to_a_page(body: &mut Body) -> bool {
    let from = body.place();
    loop {
        let head = body.peek(tags::HEAD);
        if head.starts_with(b"OggS\0") {
            return true;
        }
        if head.is_empty() || file::begins(head) || tags::begins(head) || body.place() - from > MAX_JUNK {
            return false;
        }
        let ahead = body.ahead();
        let step = ahead[1..].iter().position(|byte| b"ORFfIATL".contains(byte)).map_or(ahead.len(), |step| 1 + step);
        body.consume(step);
    }
}
