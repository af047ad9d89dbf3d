//! Elementary streams: frame behind frame, each with a header that gives its length (MPEG audio, ADTS).

use super::body::Body;
use super::tags;

/// The header of a frame.
pub trait Header: Copy {
    /// What has to be seen of it.
    const BYTES: usize;

    /// Reads the header that `head` begins with, if it does.
    fn read(head: &[u8]) -> Option<Self>;

    /// The length of the whole frame, in bytes.
    fn length(&self) -> usize;

    /// Returns true if both are of one stream, as a decoder is set up for.
    fn is_alike(&self, other: &Self) -> bool;
}

/// Returns true if a frame begins here. Two bytes of a header are found in any body, so what is behind the frame has to agree:
/// another frame, a tag or the end.
pub fn begin<H: Header>(body: &mut Body) -> bool {
    let Some(header) = H::read(body.peek(H::BYTES)) else { return false };
    let length = header.length();
    let seen = body.peek(length + H::BYTES);
    if seen.len() <= length {
        return seen.len() == length;
    }
    let next = H::read(&seen[length..]);
    next.is_some_and(|next| next.is_alike(&header)) || tags::begins(&body.peek(length + tags::HEAD)[length..])
}

/// Where a frame ends and another begins.
pub enum Next<H> {
    /// A frame, whole.
    Frame(H),
    /// A frame that the end of the body cuts.
    Cut,
    /// Something else, or the end.
    Other,
}

/// Looks at the next frame of a stream whose `last` one ended here.
pub fn next<H: Header>(body: &mut Body, last: Option<H>) -> Next<H> {
    let Some(header) = H::read(body.peek(H::BYTES)) else { return Next::Other };
    let length = header.length();
    // What goes on as before is believed at once: the frame behind it may not have come yet.
    let goes_on = last.is_some_and(|last| last.is_alike(&header));
    match body.peek(length).len() == length {
        true if goes_on || begin::<H>(body) => Next::Frame(header),
        false if goes_on => Next::Cut,
        _ => Next::Other,
    }
}
