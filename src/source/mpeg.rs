//! MPEG audio, layers I to III (ISO/IEC 11172-3, 13818-3), frame by frame: the only module that uses nanomp3.
//!
//! Changes between frames are played as they come, and so is a second file after the first one, with an Info frame of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nanomp3::{Channels, Decoder, FrameInfo, MAX_SAMPLES_PER_FRAME, VbrTag};
use symphonia::core as symphonia_core; // for its macro
use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::audio::{AsGenericAudioBufferRef, Audio, AudioBuffer, AudioMut, AudioSpec, GenericAudioBufferRef};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::decode_error;
use symphonia::core::packet::PacketRef;
use symphonia::core::support_audio_codec;

use super::body::{Body, SharedBody};
use super::decode::{Block, FileDecoder, FileDetails, Step};
use super::frames::{self, FrameHeader as _, NextFrame};
use crate::error::Result;

/// The delay of a layer III decoder, in samples per channel: encoders count their own delay from there (LAME's `lame_get_encoder_delay`).
const DECODER_DELAY: u64 = 528 + 1;

/// The position of the name of a VBRI tag, and the last possible one of a Xing tag in a frame.
const VBRI: std::ops::Range<usize> = 36..40;
const MAX_TAG_POSITION: usize = 40;

/// The number of frames decoded before one that has to be correct: layer III takes bits from up to 511 bytes before a frame, which are more
/// than twenty of the shortest frames.
pub const LEAD_IN: u64 = 30;

/// The bytes searched for a frame from the position in the table of contents: the longest frames are 1,729 bytes.
const MAX_SEARCH: usize = 8 << 10;

/// The header of a frame (ISO/IEC 11172-3 §2.4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The layer: 1, 2 or 3.
    layer: u8,
    is_mpeg_1: bool,
    rate: u32,
    is_mono: bool,
    /// The bitrate in kbit/s.
    bitrate: u32,
    length: usize,
}

impl Header {
    fn samples(&self) -> u64 {
        match (self.layer, self.is_mpeg_1) {
            (1, _) => 384,
            (3, false) => 576,
            _ => 1_152,
        }
    }
}

impl frames::FrameHeader for Header {
    const BYTES: usize = 4;

    fn read(head: &[u8]) -> Option<Self> {
        /// Bitrates in kbit/s, by index; 0 is free format, which is not played.
        const BITRATES: [[u32; 15]; 5] = [
            [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
            [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
            [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
            [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
            [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        ];
        let [0xff, kind, rates, mode, ..] = *head else { return None };
        // MPEG-1, MPEG-2, and MPEG-2.5, which is not in the standard.
        let halvings = match kind >> 3 {
            0b1_1111 => 0,
            0b1_1110 => 1,
            0b1_1100 => 2,
            _ => return None,
        };
        let layer = match kind >> 1 & 3 {
            0 => return None,
            bits => 4 - bits,
        };
        let is_mpeg_1 = halvings == 0;
        let table = match (is_mpeg_1, layer) {
            (true, layer) => layer as usize - 1,
            (false, 1) => 3,
            (false, _) => 4,
        };
        let bitrate = *BITRATES[table].get(usize::from(rates >> 4)).filter(|bitrate| **bitrate > 0)?;
        let rate = *[44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))? >> halvings;
        let padding = usize::from(rates >> 1 & 1);
        let header = Self { layer, is_mpeg_1, rate, is_mono: mode >> 6 == 3, bitrate, length: 0 };
        // A slot of layer I has four bytes.
        let slot = if layer == 1 { 4 } else { 1 };
        let slots = header.samples() as u32 / 8 * bitrate * 1_000 / rate / slot as u32;
        Some(Self { length: (slots as usize + padding) * slot, ..header })
    }

    fn length(&self) -> usize {
        self.length
    }

    fn is_compatible(&self, other: &Self) -> bool {
        (self.layer, self.is_mpeg_1, self.rate) == (other.layer, other.is_mpeg_1, other.rate)
    }
}

/// A stream of MPEG audio frames.
pub struct Mpeg {
    body: SharedBody,
    decoder: Box<Decoder>,
    last: Option<Header>,
    frame: Vec<u8>,
    /// The rest of the encoder's delay that is still to be dropped, in samples per channel.
    delay: u64,
    /// The samples per channel left to the end that an Info frame states, delay included.
    left: Option<u64>,
    /// The number of frames that an Info frame states, and how many came.
    stated: Option<u64>,
    received: u64,
    /// The samples per channel that the first Info frame states.
    samples: Option<u64>,
    /// The whole delay of the encoder, in samples per channel.
    encoder_delay: u64,
    /// The first audio frame of the file: its position and header.
    first: Option<(u64, Header)>,
    /// True if the bitrate varies, by an Info frame or by the frames so far.
    is_vbr: bool,
    /// The table of contents, if there is one.
    seek_table: Option<SeekTable>,
    /// The number of the last frame that is decoded only for the sake of later ones, and may be silent.
    lead_in: u64,
    is_cut: bool,
}

/// The table of contents of a file whose bitrate varies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SeekTable {
    /// The position where each hundredth of its duration begins, in 256ths of its bytes.
    parts: [u8; 100],
    bytes: u64,
    /// The position of the frame with the table.
    from: u64,
}

impl SeekTable {
    /// Reads the table from a frame with a Xing tag: flags, and the fields that they announce: frames, bytes, contents.
    fn read(frame: &[u8], from: u64) -> Option<Self> {
        const ALL: u8 = 0b111;
        let at = [36, 21, 13].into_iter().find(|at| frame.get(*at..at + 4).is_some_and(|name| name == b"Xing"))?;
        let fields = frame.get(at + 4..)?;
        let bytes = u64::from(u32::from_be_bytes(*fields.get(8..)?.first_chunk()?));
        let parts = *fields.get(12..)?.first_chunk()?;
        (fields[3] & ALL == ALL).then_some(Self { parts, bytes, from })
    }

    /// Returns the position where frame `part` of `of` begins.
    fn position(&self, part: u64, of: u64) -> u64 {
        let hundredths = (part as f64 * 100.0 / of.max(1) as f64).min(99.0);
        let index = hundredths as usize;
        let (begins, ends) =
            (f64::from(self.parts[index]), self.parts.get(index + 1).map_or(256.0, |part| f64::from(*part)));
        let share = begins + (ends - begins).max(0.0) * hundredths.fract();
        self.from + (share / 256.0 * self.bytes as f64) as u64
    }
}

impl Mpeg {
    pub fn new(body: &SharedBody) -> Self {
        Self {
            body: body.clone(),
            decoder: Box::default(),
            last: None,
            frame: Vec::new(),
            delay: 0,
            left: None,
            stated: None,
            received: 0,
            samples: None,
            encoder_delay: 0,
            first: None,
            is_vbr: false,
            seek_table: None,
            lead_in: 0,
            is_cut: false,
        }
    }

    /// Starts a file, if this frame is a tag that describes it instead of audio.
    fn read_tag(&mut self, header: &Header, position: u64) -> bool {
        // VBRI is at the same position in any frame.
        let is_vbri = self.frame.get(VBRI) == Some(b"VBRI");
        if header.layer != 3 {
            return false;
        }
        let Some(tag) = VbrTag::parse(&self.frame) else {
            self.is_vbr |= is_vbri;
            return is_vbri;
        };
        self.seek_table = SeekTable::read(&self.frame, position);
        (self.is_vbr, self.first) = (self.frame.windows(4).take(MAX_TAG_POSITION).any(|name| name == b"Xing"), None);
        self.stated = tag.frames.map(u64::from);
        self.received = 0;
        (self.delay, self.left) = match (tag.encoder_delay_padding, self.stated) {
            (Some((delay, padding)), Some(frames)) => {
                let padding = u64::from(padding).saturating_sub(DECODER_DELAY);
                let end = (frames * header.samples()).saturating_sub(padding);
                (u64::from(delay) + DECODER_DELAY, Some(end))
            }
            _ => (0, None),
        };
        self.encoder_delay = self.delay;
        let all = self.left.or(self.stated.map(|frames| frames * header.samples()));
        self.samples = self.samples.or(all.map(|all| all.saturating_sub(self.delay)));
        true
    }

    /// Records a frame of audio.
    fn note_frame(&mut self, header: &Header, position: u64) {
        let (_, first) = *self.first.get_or_insert((position, *header));
        self.is_vbr |= (first.bitrate, first.is_mono) != (header.bitrate, header.is_mono);
    }

    /// Seeks to a frame by its number, where all frames have one bitrate: only padding varies, by a slot.
    fn seek_by_bitrate(&mut self, wanted: u64) -> bool {
        let Some((position, header)) = self.first.filter(|(_, header)| !self.is_vbr && header.layer > 1) else {
            return false;
        };
        let mut body = self.body.get();
        let Some(end) = body.length() else { return false };
        let bits = u128::from(wanted) * u128::from(header.samples() * u64::from(header.bitrate) * 1_000);
        let expected = position + (bits / 8 / u128::from(header.rate)) as u64;
        let from = body.position();
        if expected <= from || expected >= end {
            return false;
        }
        let is_it = |found: &Header| found.is_compatible(&header) && found.bitrate == header.bitrate;
        let is_found = find_frame(&mut body, expected - 1, 3, is_it);
        if is_found {
            self.received = wanted;
        } else {
            body.seek(from);
        }
        is_found
    }

    /// Seeks to about a frame by the table of contents, if that saves a download.
    fn seek_by_table(&mut self, wanted: u64) -> bool {
        let (Some(seek_table), Some(stated), Some((_, header))) = (&self.seek_table, self.stated, self.first) else {
            return false;
        };
        let mut body = self.body.get();
        let (position, from) = (seek_table.position(wanted, stated), body.position());
        if wanted >= stated || !body.is_worth_seeking(position) || body.length().is_none_or(|end| position >= end) {
            return false;
        }
        let is_found = find_frame(&mut body, position, MAX_SEARCH, |found| found.is_compatible(&header));
        if is_found {
            self.received = wanted;
        } else {
            body.seek(from);
        }
        is_found
    }

    /// Skips frame by frame to a frame by its number; at most to the end of this file.
    fn skip_frames(&mut self, wanted: u64) {
        let shared = self.body.clone();
        let mut body = shared.get();
        while self.received < wanted
            && let NextFrame::Frame(header) = frames::next(&mut body, self.last)
            && self.last.is_some_and(|last| last.is_compatible(&header))
        {
            let position = body.position();
            let frame = body.peek(header.length);
            if header.layer == 3 && (VbrTag::parse(frame).is_some() || frame.get(VBRI) == Some(b"VBRI")) {
                break;
            }
            body.consume(header.length);
            self.last = Some(header);
            self.note_frame(&header, position);
            self.received += 1;
        }
    }

    /// Returns the range of a frame's samples without the encoder's delay and padding.
    fn trim(&mut self, samples: u64) -> std::ops::Range<u64> {
        let start = self.delay.min(samples);
        self.delay -= start;
        // Frames beyond the stated number are audio too.
        let is_stated = self.stated.is_none_or(|stated| self.received <= stated);
        let end = match &mut self.left {
            Some(left) if is_stated => {
                let end = samples.min(*left);
                *left -= end;
                end
            }
            _ => samples,
        };
        start.min(end)..end
    }
}

impl FileDecoder for Mpeg {
    fn next(&mut self, block: &mut Block) -> Result<Step> {
        loop {
            let mut body = self.body.get();
            let header = match frames::next(&mut body, self.last) {
                NextFrame::Frame(header) => header,
                NextFrame::Cut => {
                    self.is_cut = true;
                    body.skip(u64::MAX);
                    return Ok(Step::End);
                }
                NextFrame::Other => return Ok(Step::End),
            };
            self.frame.clear();
            self.frame.extend_from_slice(body.peek(header.length));
            let position = body.position();
            body.consume(header.length);
            drop(body);
            self.last = Some(header);
            if self.read_tag(&header, position) {
                continue;
            }
            self.note_frame(&header, position);
            self.received += 1;
            let channels = if header.is_mono { 1 } else { 2 };
            block.samples.resize(MAX_SAMPLES_PER_FRAME, 0.0);
            let decoded = decode(&mut self.decoder, &self.frame, &mut block.samples);
            let mut samples = decoded.map_or(0, |info| info.samples_produced as u64);
            if samples == 0 && self.received <= self.lead_in {
                samples = header.samples();
                block.samples.fill(0.0);
            }
            let heard = self.trim(if samples > 0 { samples } else { header.samples() });
            if samples == 0 {
                return Ok(Step::Discarded(header.length as u64));
            }
            block.samples.truncate(heard.end as usize * channels);
            block.samples.drain(..heard.start as usize * channels);
            if !heard.is_empty() {
                let layout = if header.is_mono { CHANNEL_LAYOUT_MONO } else { CHANNEL_LAYOUT_STEREO };
                block.spec = AudioSpec::new(header.rate, layout);
                return Ok(Step::Block);
            }
        }
    }

    fn skip(&mut self, to: u64) -> Option<u64> {
        let (_, header) = self.first.filter(|_| self.samples.is_none_or(|all| to < all))?;
        let samples = header.samples();
        let target = to.checked_add(self.encoder_delay)? / samples;
        let wanted = target.checked_sub(LEAD_IN).filter(|wanted| *wanted > self.received)?;
        if !self.seek_by_bitrate(wanted) && !self.seek_by_table(wanted) {
            self.skip_frames(wanted);
        }
        *self.decoder = Decoder::new();
        self.lead_in = target;
        let passed = self.received * samples;
        self.delay = self.encoder_delay.saturating_sub(passed);
        let end = self.samples.map(|samples| samples + self.encoder_delay);
        self.left = self.left.and(end).map(|end| end.saturating_sub(passed));
        let heard = passed.saturating_sub(self.encoder_delay);
        Some(match self.stated.zip(self.samples) {
            // The padding at the end is inaudible; frames beyond the stated number are audible.
            Some((stated, all)) => heard.min(all) + self.received.saturating_sub(stated) * samples,
            None => heard,
        })
    }

    fn continues(&self) -> bool {
        true
    }

    fn details(&mut self) -> FileDetails {
        let codec = match self.last.map(|header| header.layer) {
            Some(1) => "mp1",
            Some(2) => "mp2",
            _ => "mp3",
        };
        FileDetails { codec, samples: self.samples, ..FileDetails::default() }
    }

    fn missing(&self) -> Option<(u64, u64)> {
        // Tools that cut and join files leave wrong Info frames, but whole frames.
        self.stated.filter(|stated| self.is_cut && self.received < *stated).map(|stated| (self.received, stated))
    }
}

/// Seeks to the first frame that begins at one of so many positions from `position` on. Returns false if there is none.
fn find_frame(body: &mut Body, position: u64, positions: usize, is_it: impl Fn(&Header) -> bool) -> bool {
    body.seek(position);
    for _ in 0..positions {
        let is_found = Header::read(body.peek(Header::BYTES)).as_ref().is_some_and(&is_it);
        if is_found && frames::detect::<Header>(body) {
            return true;
        }
        body.consume(1);
    }
    false
}

/// Decodes exactly one frame, which nanomp3 takes as it is. A damaged one may panic (0.2.0, in `l3_reorder`); the decoder is replaced then,
/// as after a seek.
fn decode(decoder: &mut Decoder, frame: &[u8], samples: &mut [f32]) -> Option<FrameInfo> {
    catch_unwind(AssertUnwindSafe(|| decoder.decode(frame, samples).1.ok())).unwrap_or_else(|_| {
        *decoder = Decoder::new();
        None
    })
}

/// The same decoder for packets that a demuxer extracts, each of them a frame (MP4, Matroska).
pub struct MpegPacketDecoder {
    parameters: AudioCodecParameters,
    decoder: Box<Decoder>,
    samples: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

impl MpegPacketDecoder {
    fn decode(&mut self, packet: &[u8]) -> symphonia::core::errors::Result<()> {
        self.buffer.clear();
        let Some(info) = decode(&mut self.decoder, packet, &mut self.samples) else {
            return decode_error("mpeg: a damaged packet");
        };
        let (channels, layout) = match info.channels {
            Channels::Mono => (1, CHANNEL_LAYOUT_MONO),
            Channels::Stereo => (2, CHANNEL_LAYOUT_STEREO),
        };
        let spec = AudioSpec::new(info.sample_rate, layout);
        if *self.buffer.spec() != spec {
            self.buffer = AudioBuffer::new(spec, MAX_SAMPLES_PER_FRAME);
        }
        self.buffer.render_uninit(Some(info.samples_produced));
        self.buffer.copy_from_slice_interleaved(&&self.samples[..info.samples_produced * channels]);
        Ok(())
    }
}

impl AudioDecoder for MpegPacketDecoder {
    fn reset(&mut self) {
        *self.decoder = Decoder::new();
    }

    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.parameters
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> symphonia::core::errors::Result<GenericAudioBufferRef<'_>> {
        self.decode(packet.data)?;
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for MpegPacketDecoder {
    fn try_registry_new(
        parameters: &AudioCodecParameters,
        _options: &AudioDecoderOptions,
    ) -> symphonia::core::errors::Result<Box<dyn AudioDecoder>> {
        let buffer = AudioBuffer::new(AudioSpec::new(44_100, CHANNEL_LAYOUT_STEREO), MAX_SAMPLES_PER_FRAME);
        let samples = vec![0.0; MAX_SAMPLES_PER_FRAME];
        Ok(Box::new(Self { parameters: parameters.clone(), decoder: Box::default(), samples, buffer }))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        &[
            support_audio_codec!(CODEC_ID_MP3, "mp3", "MPEG audio, layer III"),
            support_audio_codec!(CODEC_ID_MP2, "mp2", "MPEG audio, layer II"),
            support_audio_codec!(CODEC_ID_MP1, "mp1", "MPEG audio, layer I"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::frames::FrameHeader as _;
    use super::*;

    fn header(bytes: [u8; 4]) -> Option<(u8, u32, usize, u64)> {
        Header::read(&bytes).map(|header| (header.layer, header.rate, header.length, header.samples()))
    }

    #[test]
    fn header_lengths_match_the_standard() {
        assert_eq!(header([0xff, 0xfb, 0x90, 0x00]), Some((3, 44_100, 417, 1_152)));
        assert_eq!(header([0xff, 0xfb, 0x92, 0x00]), Some((3, 44_100, 418, 1_152)));
        assert_eq!(header([0xff, 0xfa, 0xe4, 0xc0]), Some((3, 48_000, 960, 1_152)));
        assert_eq!(header([0xff, 0xf3, 0x84, 0xc0]), Some((3, 24_000, 192, 576)));
        assert_eq!(header([0xff, 0xe3, 0x18, 0xc0]), Some((3, 8_000, 72, 576)));
        assert_eq!(header([0xff, 0xfd, 0xa4, 0x00]), Some((2, 48_000, 576, 1_152)));
        assert_eq!(header([0xff, 0xff, 0xc4, 0x00]), Some((1, 48_000, 384, 384)));
        for nothing in [
            [0xff, 0xfb, 0x00, 0x00],
            [0xff, 0xfb, 0xf0, 0x00],
            [0xff, 0xfb, 0x9c, 0x00],
            [0xff, 0xf9, 0x90, 0x00],
            [0xff, 0xeb, 0x90, 0x00],
            [0xfe, 0xfb, 0x90, 0x00],
        ] {
            assert_eq!(header(nothing), None);
        }
    }
}
