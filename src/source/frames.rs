//! Elementary streams: consecutive frames, each with a header that gives its length (MPEG audio, ADTS).

use super::body::Body;
use super::tags;

/// The header of a frame.
pub trait FrameHeader: Copy {
    /// The number of bytes needed to read a header.
    const BYTES: usize;

    /// Reads the header that `head` begins with, if it does.
    fn read(head: &[u8]) -> Option<Self>;

    /// Returns the length of the whole frame in bytes.
    fn length(&self) -> usize;

    /// Returns true if both frames belong to one stream, so that one decoder fits both.
    fn is_compatible(&self, other: &Self) -> bool;
}

/// Returns true if a frame starts here. Two bytes of a header occur in any body, so what follows the frame has to agree: another frame, a
/// tag or the end.
pub fn detect<H: FrameHeader>(body: &mut Body) -> bool {
    let Some(header) = H::read(body.peek(H::BYTES)) else { return false };
    let length = header.length();
    let seen = body.peek(length + H::BYTES);
    if seen.len() <= length {
        return seen.len() == length;
    }
    let next = H::read(&seen[length..]);
    next.is_some_and(|next| next.is_compatible(&header)) || tags::detect(&body.peek(length + tags::HEAD)[length..])
}

/// The next item of a stream of frames.
pub enum NextFrame<H> {
    /// A whole frame.
    Frame(H),
    /// A frame that the end of the body cuts.
    Cut,
    /// Something else, or the end.
    Other,
}

/// Looks at the next frame of a stream whose `last` frame ended here.
pub fn next<H: FrameHeader>(body: &mut Body, last: Option<H>) -> NextFrame<H> {
    let Some(header) = H::read(body.peek(H::BYTES)) else { return NextFrame::Other };
    let length = header.length();
    // A header like the last one is trusted at once: the frame after it may not have arrived yet.
    let continues = last.is_some_and(|last| last.is_compatible(&header));
    match body.peek(length).len() == length {
        true if continues || detect::<H>(body) => NextFrame::Frame(header),
        false if continues => NextFrame::Cut,
        _ => NextFrame::Other,
    }
}
