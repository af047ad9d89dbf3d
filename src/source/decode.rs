//! Packets → samples at the source's own rate and layout: the one place that knows Symphonia's decoders.

use once_cell::sync::Lazy;
use symphonia::core::audio::AudioSpec;
use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::metadata::Metadata;
use super::mpeg::MpegPackets;
use super::opus::Opus;
use super::vorbis;
use crate::audio::{LOUDEST, SOURCE_RATES};
use crate::error::{Code, Result, SpeakerError};

/// What is played, in the words of error messages.
const FORMATS: &str = "WAV, AIFF, MP3, FLAC, Ogg Vorbis, Ogg Opus, AAC, M4A or WebM audio";

static CODECS: Lazy<CodecRegistry> = Lazy::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<Opus>();
    codecs.register_audio_decoder::<MpegPackets>();
    #[cfg(feature = "he-aac")]
    codecs.register_audio_decoder::<super::he_aac::Aac>();
    codecs
});

/// What others call a source.
#[derive(Debug, Clone, Default)]
pub struct Label {
    pub content_type: Option<String>,
    /// Of its file name, without the dot.
    pub extension: Option<String>,
}

impl Label {
    pub fn describe(&self) -> String {
        match (&self.content_type, &self.extension) {
            (Some(content_type), _) => content_type.clone(),
            (None, Some(extension)) => format!("a .{extension} file"),
            (None, None) => "something else".to_owned(),
        }
    }
}

/// What a source says of itself.
#[derive(Debug, Clone, Default)]
pub struct Details {
    pub container: &'static str,
    pub about: About,
    /// How many bytes of it were consumed, and how many there are if that is known.
    pub place: u64,
    pub bytes: Option<u64>,
}

/// What one of the files in a body says of itself.
#[derive(Debug, Clone, Default)]
pub struct About {
    pub codec: &'static str,
    /// Samples per channel, at its own rate, if it states them exactly.
    pub samples: Option<u64>,
    /// What its tags say, and those of the body.
    pub metadata: Metadata,
}

/// What a decoder needs to have decoded before what it decodes rightly, in samples per channel: two frames of AAC, 80 ms of Opus (RFC 7845
/// §4.6).
pub const LEAD_IN: u64 = 4_096;

/// Gives a source's samples block by block.
pub trait Decode {
    /// The next samples, interleaved, with their rate and layout; `None` at the end. May suspend the decode task.
    fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>>;

    /// Goes to a sample per channel, counted from the source's first one at its own rate, or to one before it, without decoding all that comes
    /// before. Returns the number of the sample that comes next; `None` if it stays where it is. What comes up to `to` may sound wrong.
    /// Asked behind its first samples.
    fn skip(&mut self, to: u64) -> Option<u64> {
        let _ = to;
        None
    }

    /// What it says of itself, as far as it was read; asked behind its first samples.
    fn details(&mut self) -> Details {
        Details::default()
    }

    /// How many bytes of the source were used so far, if that can be told.
    fn place(&self) -> Option<u64> {
        None
    }
}

/// Samples that were decoded, interleaved.
#[derive(Default)]
pub struct Block {
    pub spec: AudioSpec,
    pub samples: Vec<f32>,
}

/// What a file gave.
pub enum Step {
    /// Samples.
    Block,
    /// None for so many bytes, which are damaged.
    LeftOut(u64),
    /// Nothing more: what follows in the body is something else.
    End,
}

/// One of the files in a body, from its start to its end.
pub trait Piece {
    /// The next samples. May suspend the decode task.
    fn next(&mut self, block: &mut Block) -> Result<Step>;

    /// As [`Decode::skip`], counted from the file's first sample; to a place that is behind what was given.
    fn skip(&mut self, to: u64) -> Option<u64> {
        let _ = to;
        None
    }

    /// Returns true if it plays on where the same kind of file begins again.
    fn goes_on(&self) -> bool {
        false
    }

    /// What it says of itself.
    fn about(&mut self) -> About;

    /// How much came and how much was stated exactly, if the end of the body cut it.
    fn missing(&self) -> Option<(u64, u64)> {
        None
    }
}

/// Makes a decoder.
pub fn decoder(parameters: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>> {
    let headers = parameters.extra_data.as_deref().filter(|_| parameters.codec == CODEC_ID_VORBIS);
    if headers.is_some_and(|headers| !vorbis::is_ordinary(headers)) {
        return Err(unsupported("Vorbis with codebooks of an absurd size"));
    }
    CODECS
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| unsupported(format!("a codec that is not played ({error})")))
}

/// Decodes one packet. Returns `left_out` if it is damaged, and a block without samples if it is silent about them.
pub fn decode_packet(decoder: &mut dyn AudioDecoder, packet: &[u8], block: &mut Block, left_out: Step) -> Result<Step> {
    decode_into(decoder, &PacketRef::new(0, Timestamp::new(0), Duration::ZERO, packet), block, left_out)
}

/// The same, of a packet that a demuxer cut.
pub fn decode_into(
    decoder: &mut dyn AudioDecoder,
    packet: &PacketRef<'_>,
    block: &mut Block,
    left_out: Step,
) -> Result<Step> {
    match decoder.decode_ref(packet) {
        Ok(buffer) => {
            block.spec.clone_from(buffer.spec());
            buffer.copy_to_vec_interleaved(&mut block.samples);
            Ok(Step::Block)
        }
        Err(Error::DecodeError(_) | Error::IoError(_)) => Ok(left_out),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

/// What a decoder gives behind the last packet, if it was behind (HE-AAC). Returns false if that is nothing.
#[cfg(feature = "he-aac")]
pub fn finish(decoder: &mut dyn AudioDecoder, block: &mut Block) -> bool {
    if decoder.codec_params().codec != symphonia::core::codecs::audio::well_known::CODEC_ID_AAC {
        return false;
    }
    decoder.finalize();
    let rest = decoder.last_decoded();
    block.spec.clone_from(rest.spec());
    rest.copy_to_vec_interleaved(&mut block.samples);
    !block.samples.is_empty()
}

/// What a decoder gives behind the last packet: none of those that are built in does.
#[cfg(not(feature = "he-aac"))]
pub fn finish(_decoder: &mut dyn AudioDecoder, _block: &mut Block) -> bool {
    false
}

/// Whether each packet gives its own samples, so that some can be passed over.
#[cfg(feature = "he-aac")]
pub fn may_skip(decoder: &dyn AudioDecoder) -> bool {
    super::he_aac::may_skip(decoder)
}

/// Whether each packet gives its own samples, so that some can be passed over.
#[cfg(not(feature = "he-aac"))]
pub fn may_skip(_decoder: &dyn AudioDecoder) -> bool {
    true
}

/// Behind the last packet of a stream that has a decoder.
pub fn end(decoder: &mut Option<Box<dyn AudioDecoder>>, block: &mut Block) -> Step {
    let is_behind = decoder.as_mut().is_some_and(|decoder| finish(&mut **decoder, block));
    if is_behind { Step::Block } else { Step::End }
}

/// Makes sure that samples are at a rate that is played, finite and bounded: a float file may hold anything, and one NaN would
/// silence the whole mix.
pub fn check(block: &mut Block) -> Result<()> {
    let rate = block.spec.rate();
    if !SOURCE_RATES.contains(&rate) {
        let (low, high) = (SOURCE_RATES.start(), SOURCE_RATES.end());
        let message = format!("Expected a sample rate of {low}–{high} Hz for audio but received {rate}");
        return Err(SpeakerError::new(Code::UnsupportedFormat, message));
    }
    block.samples.iter_mut().for_each(|sample| *sample = bounded(*sample));
    Ok(())
}

/// A sample as it leaves a source.
pub fn bounded(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}

pub fn empty(argument: &str) -> SpeakerError {
    SpeakerError::new(Code::EmptySource, format!("Expected audio for {argument} but received 0 bytes"))
}

pub fn unsupported(received: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::UnsupportedFormat, format!("Expected {FORMATS} but received {received}"))
}

pub fn damaged(reason: &str) -> SpeakerError {
    SpeakerError::new(Code::Decode, format!("Expected sound {FORMATS} but received damaged data ({reason})"))
}
