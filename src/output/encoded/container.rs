//! The container of a stream: the headers that each listener begins with, and the pieces behind them. Only this file uses the crate ogg.

use ogg::{PacketWriteEndInfo, PacketWriter};

use super::broadcast::Piece;
use super::{Codec, EncodedFormat, WAV};
use crate::audio::{FRAME, SAMPLE_RATE, Samples};
use crate::output::libopus::LOOK_AHEAD;
use crate::output::wav_file::Layout;

/// The samples that a player drops from the beginning (RFC 7845 §4.2, §5.1): those in which its decoder, which begins in the middle of a sound,
/// is not yet in step, and the encoder's delay.
const PRE_SKIP: Samples = Codec::Opus.preroll() + LOOK_AHEAD;

/// A packet of silence, for the last page of a stream that has none: mono or stereo does not matter to a decoder.
const SILENCE: &[u8] = &[0xf8, 0xff, 0xfe];

/// The container of one listener's stream.
pub enum Container {
    /// Ogg pages (RFC 3533), a page for each piece.
    Ogg {
        /// Writes into memory.
        writer: Box<PacketWriter<'static, Vec<u8>>>,
        /// Identifies the logical stream.
        serial: u32,
        /// The samples so far. Those that the listener did not get do not count (RFC 7845 §4.1).
        granule: Samples,
    },
    /// Frames without a container.
    Bare,
}

impl Container {
    /// Begins a stream. Returns it with its headers.
    pub fn begin(format: EncodedFormat, serial: u32) -> (Self, Vec<u8>) {
        match format.codec {
            Codec::Opus => {
                let mut container = Self::Ogg { writer: Box::new(PacketWriter::new(Vec::new())), serial, granule: 0 };
                for header in [head(format.channels), tags()] {
                    container.page(&[&header], PacketWriteEndInfo::EndPage, 0);
                }
                let headers = container.taken();
                (container, headers)
            }
            Codec::Mp3 => (Self::Bare, Vec::new()),
            Codec::Wav => (Self::Bare, Layout { channels: format.channels, format: WAV }.endless_header()),
        }
    }

    /// Wraps a piece.
    pub fn write(&mut self, piece: &Piece, is_last: bool) -> Vec<u8> {
        match self {
            Self::Ogg { granule, .. } => {
                *granule += (piece.packets.len() * FRAME) as Samples;
                let end = if is_last { PacketWriteEndInfo::EndStream } else { PacketWriteEndInfo::EndPage };
                let until = granule.saturating_sub(piece.padding);
                let packets: Vec<&[u8]> = piece.packets.iter().map(Vec::as_slice).collect();
                self.page(&packets, end, until);
                self.taken()
            }
            Self::Bare => piece.packets.concat(),
        }
    }

    /// Ends a stream whose last piece was not known to be its last.
    pub fn end(&mut self) -> Vec<u8> {
        if let Self::Ogg { granule, .. } = self {
            // A page at the time of the one before has no sound of its own.
            let until = *granule;
            self.page(&[SILENCE], PacketWriteEndInfo::EndStream, until);
        }
        self.taken()
    }

    /// Writes packets as a page, or more if they don't fit into one.
    fn page(&mut self, packets: &[&[u8]], end: PacketWriteEndInfo, until: Samples) {
        let Self::Ogg { writer, serial, .. } = self else { return };
        for (index, packet) in packets.iter().enumerate() {
            let is_last = index + 1 == packets.len();
            let end = if is_last { end } else { PacketWriteEndInfo::NormalPacket };
            // Each packet but the last one ends a frame before the next.
            let after = ((packets.len() - 1 - index) * FRAME) as Samples;
            let written = writer.write_packet(packet.to_vec(), *serial, end, until.saturating_sub(after));
            debug_assert!(written.is_ok(), "memory takes everything");
        }
    }

    fn taken(&mut self) -> Vec<u8> {
        match self {
            Self::Ogg { writer, .. } => std::mem::take(writer.inner_mut()),
            Self::Bare => Vec::new(),
        }
    }
}

/// Returns the identification header (RFC 7845 §5.1).
fn head(channels: usize) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels as u8);
    head.extend((PRE_SKIP as u16).to_le_bytes());
    head.extend(SAMPLE_RATE.to_le_bytes());
    // No gain, and channel mapping family 0.
    head.extend([0, 0, 0]);
    head
}

/// Returns the comment header (RFC 7845 §5.2), without comments.
fn tags() -> Vec<u8> {
    let vendor = concat!("speaker-session ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    tags.extend((vendor.len() as u32).to_le_bytes());
    tags.extend(vendor.as_bytes());
    tags.extend([0; 4]);
    tags
}
