//! Opus as stored in files (RFC 7845): any number of channels by libopus' multistream decoder, with the gain and the pre-skip that the
//! header states. Ambisonics (RFC 8486) are rendered to stereo by two virtual microphones. Nothing else in [`super`] calls libopus.

use std::ffi::c_int;

use opusic_sys::{
    OPUS_OK, OPUS_RESET_STATE, OPUS_SET_GAIN_REQUEST, OpusMSDecoder, opus_multistream_decode_float,
    opus_multistream_decoder_ctl, opus_multistream_decoder_get_size, opus_multistream_decoder_init,
    opus_packet_get_nb_samples,
};
use symphonia::core as symphonia_core; // for its macro
use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::audio::{
    AsGenericAudioBufferRef, AudioBuffer, AudioMut, AudioSpec, Channels, GenericAudioBufferRef, Position,
};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Result, decode_error, unsupported_error};
use symphonia::core::packet::PacketRef;
use symphonia::core::support_audio_codec;

use crate::audio::SAMPLE_RATE;

/// The longest packet, 120 ms, in samples (RFC 6716 §3.2.5).
const LONGEST: usize = 5_760;

/// The channels of third-order ambisonics, and two head-locked channels.
const MAX_AMBISONIC: usize = 18;

/// The identification header (RFC 7845 §5.1).
#[derive(Debug, PartialEq)]
struct Head {
    /// In samples at 48 kHz.
    pre_skip: u16,
    /// In dB, as a Q7.8 number.
    gain: i16,
    streams: u8,
    coupled: u8,
    /// The decoded channel for each output channel of libopus.
    mapping: Vec<u8>,
    layout: Layout,
}

/// The meaning of the channels.
#[derive(Debug, PartialEq)]
enum Layout {
    /// Loudspeakers, in the order of the Vorbis specification (§4.3.9).
    Speakers,
    /// Unspecified: family 255.
    Discrete,
    /// Ambisonics: the share of each channel in left and right.
    Sides(Vec<[f32; 2]>),
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [version, channels, skip_low, skip_high, _, _, _, _, gain_low, gain_high, family, rest @ ..] =
            bytes.strip_prefix(b"OpusHead")?
        else {
            return None;
        };
        // In MP4 the same fields are big-endian, and their version is 0 (Encapsulation of Opus in ISO Base Media File Format §4.3.2).
        let short = if *version == 0 { u16::from_be_bytes } else { u16::from_le_bytes };
        let count = usize::from(*channels);
        let (streams, coupled, mapping, layout) = match (family, count, rest) {
            (0, 1 | 2, _) => (1, channels - 1, vec![0, 1][..count].to_vec(), Layout::Speakers),
            (1 | 255, 1..=8, [streams, coupled, mapping @ ..]) => {
                let layout = if *family == 1 { Layout::Speakers } else { Layout::Discrete };
                (*streams, *coupled, mapping.get(..count)?.to_vec(), layout)
            }
            (2, _, [streams, coupled, mapping @ ..]) => {
                let sides = sides(count)?;
                (*streams, *coupled, mapping.get(..count)?.to_vec(), Layout::Sides(sides))
            }
            (3, _, [streams, coupled, matrix @ ..]) => {
                let decoded = streams.checked_add(*coupled).filter(|decoded| usize::from(*decoded) <= MAX_AMBISONIC)?;
                let sides = demixed(&sides(count)?, usize::from(decoded), matrix)?;
                (*streams, *coupled, (0..decoded).collect(), Layout::Sides(sides))
            }
            _ => return None,
        };
        Some(Self {
            pre_skip: short([*skip_low, *skip_high]),
            gain: short([*gain_low, *gain_high]).cast_signed(),
            streams,
            coupled,
            mapping,
            layout,
        })
    }

    /// Returns the channels of the output.
    fn channels(&self) -> Channels {
        match self.layout {
            Layout::Speakers => self.speakers(),
            Layout::Discrete => Channels::Discrete(self.mapping.len() as u16),
            Layout::Sides(_) => CHANNEL_LAYOUT_STEREO,
        }
    }

    fn speakers(&self) -> Channels {
        const SURROUND: Position = Position::FRONT_LEFT.union(Position::FRONT_RIGHT).union(Position::FRONT_CENTER);
        const REAR: Position = Position::REAR_LEFT.union(Position::REAR_RIGHT);
        const SIDE: Position = Position::SIDE_LEFT.union(Position::SIDE_RIGHT);
        Channels::Positioned(match self.mapping.len() {
            1 => return CHANNEL_LAYOUT_MONO,
            2 => return CHANNEL_LAYOUT_STEREO,
            3 => SURROUND,
            4 => Position::FRONT_LEFT | Position::FRONT_RIGHT | REAR,
            5 => SURROUND | REAR,
            6 => SURROUND | REAR | Position::LFE1,
            7 => SURROUND | SIDE | Position::REAR_CENTER | Position::LFE1,
            _ => SURROUND | SIDE | REAR | Position::LFE1,
        })
    }

    /// Returns the mapping in the order of a layout's positions.
    fn mapping(&self) -> Vec<u8> {
        if self.layout != Layout::Speakers {
            return self.mapping.clone();
        }
        // The channel of the Vorbis order at each position.
        let order: &[usize] = match self.mapping.len() {
            3 => &[0, 2, 1],
            5 => &[0, 2, 1, 3, 4],
            6 => &[0, 2, 1, 5, 3, 4],
            7 => &[0, 2, 1, 6, 5, 3, 4],
            8 => &[0, 2, 1, 7, 5, 6, 3, 4],
            _ => return self.mapping.clone(),
        };
        order.iter().map(|channel| self.mapping[*channel]).collect()
    }
}

/// Returns the number of samples per channel to skip at the start of a track, if it is Opus.
pub fn pre_skip(parameters: &AudioCodecParameters) -> u64 {
    let head = parameters.extra_data.as_deref().filter(|_| parameters.codec == CODEC_ID_OPUS).and_then(Head::read);
    head.map_or(0, |head| u64::from(head.pre_skip))
}

/// Returns the share of each ambisonic channel in left and right (RFC 8486 §4): two microphones that point left and right, W ± Y, and the
/// two head-locked channels that may follow, which get half of the loudness. `None` if there can't be that many channels.
fn sides(channels: usize) -> Option<Vec<[f32; 2]>> {
    let order = channels.isqrt();
    let is_alone = match channels.checked_sub(order * order)? {
        0 if channels > 0 => true,
        2 => false,
        _ => return None,
    };
    if channels > MAX_AMBISONIC {
        return None;
    }
    let share = if is_alone { 0.5 } else { 0.25 };
    let mut sides = vec![[0.0; 2]; channels];
    sides[0] = [share; 2];
    if order > 1 {
        sides[1] = [share, -share];
    }
    if let [.., left, right] = &mut sides[..]
        && !is_alone
    {
        (*left, *right) = ([0.5, 0.0], [0.0, 0.5]);
    }
    Some(sides)
}

/// Returns the shares in left and right of the `decoded` channels, from which a demixing matrix (family 3) makes the ambisonic ones: Q15, a
/// column for each decoded channel.
fn demixed(sides: &[[f32; 2]], decoded: usize, matrix: &[u8]) -> Option<Vec<[f32; 2]>> {
    let column = |column: &[u8]| {
        let (coefficients, _) = column.as_chunks();
        coefficients.iter().zip(sides).fold([0.0; 2], |[left, right], (coefficient, [to_left, to_right])| {
            let coefficient = f32::from(i16::from_le_bytes(*coefficient)) / 32_768.0;
            [left + coefficient * to_left, right + coefficient * to_right]
        })
    };
    let length = 2 * sides.len();
    Some(matrix.get(..decoded * length)?.chunks_exact(length).map(column).collect())
}

/// An Opus decoder.
pub struct Opus {
    parameters: AudioCodecParameters,
    /// The state of libopus, in units with the alignment of `malloc`.
    state: Box<[u128]>,
    channels: usize,
    /// The share of each channel in left and right, if the channels are mixed down.
    sides: Option<Vec<[f32; 2]>>,
    mixed: Vec<f32>,
    /// The samples per channel that are still to be skipped.
    skip: usize,
    samples: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

impl Opus {
    fn new(parameters: &AudioCodecParameters) -> Result<Self> {
        let Some(head) = parameters.extra_data.as_deref().and_then(Head::read) else {
            return unsupported_error("opus: no header that can be played");
        };
        let (streams, coupled) = (c_int::from(head.streams), c_int::from(head.coupled));
        // SAFETY: it only computes a size, which is 0 for impossible numbers.
        let size = unsafe { opus_multistream_decoder_get_size(streams, coupled) };
        let units = usize::try_from(size).unwrap_or_default().div_ceil(size_of::<u128>());
        if units == 0 {
            return decode_error("opus: streams that can't be");
        }
        let mapping = head.mapping();
        let spec = AudioSpec::new(SAMPLE_RATE, head.channels());
        let sides = match head.layout {
            Layout::Sides(sides) => Some(sides),
            Layout::Speakers | Layout::Discrete => None,
        };
        let mut opus = Self {
            parameters: parameters.clone(),
            state: vec![0; units].into_boxed_slice(),
            channels: mapping.len(),
            sides,
            mixed: Vec::new(),
            skip: usize::from(head.pre_skip),
            samples: vec![0.0; LONGEST * mapping.len()],
            buffer: AudioBuffer::new(spec, LONGEST),
        };
        // SAFETY: the state is as large as libopus requires, nothing else refers to it, and the mapping has a byte for each channel. An
        // invalid mapping is refused before anything is decoded.
        let code = unsafe {
            opus_multistream_decoder_init(
                opus.pointer(),
                SAMPLE_RATE as i32,
                mapping.len() as c_int,
                streams,
                coupled,
                mapping.as_ptr(),
            )
        };
        if code != OPUS_OK {
            return decode_error("opus: a mapping of channels that can't be");
        }
        // SAFETY: the state is initialized, and the request takes one integer.
        unsafe { opus_multistream_decoder_ctl(opus.pointer(), OPUS_SET_GAIN_REQUEST, c_int::from(head.gain)) };
        Ok(opus)
    }

    fn pointer(&mut self) -> *mut OpusMSDecoder {
        self.state.as_mut_ptr().cast()
    }

    /// Decodes a packet into the buffer.
    fn decode(&mut self, packet: &PacketRef<'_>) -> Result<()> {
        self.buffer.clear();
        if packet.data.is_empty() {
            // libopus would conceal a loss.
            return decode_error("opus: an empty packet");
        }
        let size = i32::try_from(packet.data.len()).unwrap_or(i32::MAX);
        // SAFETY: the state is initialized, the packet has `size` bytes, and there is room for `LONGEST` samples of each channel. Invalid
        // packets are refused.
        let samples = unsafe {
            let (data, into) = (packet.data.as_ptr(), self.samples.as_mut_ptr());
            opus_multistream_decode_float(self.pointer(), data, size, into, LONGEST as c_int, 0)
        };
        let Ok(samples) = usize::try_from(samples) else {
            // The packet still took its time. SAFETY: the pointer is to `size` bytes.
            let samples = unsafe { opus_packet_get_nb_samples(packet.data.as_ptr(), size, SAMPLE_RATE as i32) };
            self.skip = self.skip.saturating_sub(usize::try_from(samples).unwrap_or_default());
            return decode_error("opus: a damaged packet");
        };
        let skip = self.skip.min(samples);
        self.skip -= skip;
        self.buffer.render_uninit(Some(samples));
        let decoded = &self.samples[..samples * self.channels];
        match &self.sides {
            Some(sides) => {
                let side = |frame: &[f32], side: usize| {
                    frame.iter().zip(sides).map(|(sample, to)| sample * to[side]).sum::<f32>()
                };
                self.mixed.clear();
                self.mixed
                    .extend(decoded.chunks_exact(self.channels).flat_map(|frame| [side(frame, 0), side(frame, 1)]));
                self.buffer.copy_from_slice_interleaved(&&self.mixed[..]);
            }
            None => self.buffer.copy_from_slice_interleaved(&decoded),
        }
        let [start, end] =
            [packet.trim_start, packet.trim_end].map(|trim| usize::try_from(trim.get()).unwrap_or(LONGEST));
        self.buffer.trim(skip.max(start), end);
        Ok(())
    }
}

impl AudioDecoder for Opus {
    fn reset(&mut self) {
        // SAFETY: the state is initialized, and the request takes no argument.
        unsafe { opus_multistream_decoder_ctl(self.pointer(), OPUS_RESET_STATE) };
        // Decoding goes on elsewhere, beyond the pre-skip.
        self.skip = 0;
    }

    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.parameters
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.decode(packet)?;
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for Opus {
    fn try_registry_new(
        parameters: &AudioCodecParameters,
        _options: &AudioDecoderOptions,
    ) -> Result<Box<dyn AudioDecoder>> {
        Ok(Box::new(Self::new(parameters)?))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        &[support_audio_codec!(CODEC_ID_OPUS, "opus", "Opus")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers_in_both_byte_orders() {
        let ogg = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\x00\xfd\x00";
        let mp4 = b"OpusHead\x00\x02\x01\x38\0\0\xbb\x80\xfd\x00\x00";
        let head = Head::read(ogg).unwrap();
        assert_eq!((head.pre_skip, head.gain, head.streams, head.coupled), (312, -768, 1, 1));
        assert_eq!(Head::read(mp4), Some(head));
    }

    #[test]
    fn orders_channels_by_position() {
        // Left, centre, right, rear left, rear right, LFE.
        let head = Head::read(b"OpusHead\x01\x06\0\0\0\0\0\0\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05").unwrap();
        assert_eq!(head.mapping(), [0, 1, 4, 5, 2, 3]);
        assert_eq!(head.channels().count(), 6);
    }

    #[test]
    fn keeps_the_order_of_unknown_channels() {
        let head = Head::read(b"OpusHead\x01\x03\0\0\0\0\0\0\0\0\xff\x03\0\x02\x00\x01").unwrap();
        assert_eq!((head.mapping(), head.channels()), (vec![2, 0, 1], Channels::Discrete(3)));
    }

    #[test]
    fn decodes_ambisonics_to_stereo() {
        // RFC 8486 §4.
        assert_eq!(sides(1), Some(vec![[0.5, 0.5]]));
        assert_eq!(sides(4), Some(vec![[0.5, 0.5], [0.5, -0.5], [0.0; 2], [0.0; 2]]));
        let with_others = [[0.25, 0.25], [0.25, -0.25], [0.0; 2], [0.0; 2], [0.5, 0.0], [0.0, 0.5]];
        assert_eq!(sides(6), Some(with_others.to_vec()));
        for none in [0, 2, 5, 7, 8, 17, 25, 27, 255] {
            assert_eq!(sides(none), None, "{none}");
        }
        assert!(sides(16).is_some() && sides(18).is_some());
        let head = Head::read(b"OpusHead\x01\x04\0\0\0\0\0\0\0\0\x02\x04\0\0\x01\x02\x03").unwrap();
        assert_eq!((head.mapping(), head.channels()), (vec![0, 1, 2, 3], CHANNEL_LAYOUT_STEREO));
    }

    #[test]
    fn applies_the_demixing_matrix() {
        // W is half the first channel, and Y half the second, which puts each on its own side.
        let column = |w: i16, y: i16| [w, y, 0, 0].map(i16::to_le_bytes).concat();
        let matrix = [column(16_384, 16_384), column(16_384, -16_384)].concat();
        let head = |matrix: &[u8]| Head::read(&[&b"OpusHead\x01\x04\0\0\0\0\0\0\0\0\x03\x01\x01"[..], matrix].concat());
        let head_of_both = head(&matrix).unwrap();
        assert_eq!(head_of_both.mapping(), [0, 1]);
        assert_eq!(head_of_both.layout, Layout::Sides(vec![[0.5, 0.0], [0.0, 0.5]]));
        assert_eq!(head(&matrix[..15]), None);
        let many = [&b"OpusHead\x01\x04\0\0\0\0\0\0\0\0\x03\xff\xff"[..], &[0; 4_096]].concat();
        assert_eq!(Head::read(&many), None);
    }

    #[test]
    fn refuses_missing_layouts_and_short_mappings() {
        for head in [
            &b"OpusHead\x01\x03\0\0\0\0\0\0\0\0\x00"[..],
            b"OpusHead\x01\x03\0\0\0\0\0\0\0\0\xff\x03\0\0\x01",
            b"OpusHead\x01\x09\0\0\0\0\0\0\0\0\xff\x09\0\0\x01\x02\x03\x04\x05\x06\x07\x08",
            b"OpusHead\x01\x04\0\0\0\0\0\0\0\0\x02\x04\0\0\x01\x02",
            b"OpusHead\x01\x02\0\0\0\0\0\0\0\0\x04\x02\0\0\x01",
            b"OpusHead\x01\x06\0\0\0\0\0\0\0\0\x01\x04\x02\0\x04\x01",
            b"OpusHead\x01\x09\0\0\0\0\0\0\0\0\x01\x09\0\0\x01\x02\x03\x04\x05\x06\x07\x08",
            b"OpusHead\x01\x02",
            b"OpusTags",
        ] {
            assert_eq!(Head::read(head), None);
        }
        let parameters_of = |head: &[u8]| {
            let mut parameters = AudioCodecParameters::new();
            parameters.for_codec(CODEC_ID_OPUS).with_extra_data(head.into());
            parameters
        };
        for none in
            [&b"OpusHead\x01\x04\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0"[..], b"OpusHead\x01\x04\0\0\0\0\0\0\0\0\x03\0\0"]
        {
            assert!(Opus::new(&parameters_of(none)).is_err());
        }
        for [streams, coupled, channel] in [[0, 0, 0], [1, 2, 0], [255, 255, 0], [1, 0, 7]] {
            let head = [b"OpusHead\x01\x01\0\0\0\0\0\0\0\0\x01", &[streams, coupled, channel][..]].concat();
            assert!(Opus::new(&parameters_of(&head)).is_err(), "{streams} {coupled} {channel}");
        }
    }
}
