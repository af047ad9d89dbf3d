//! Packets → samples at the source's own rate and layout: the only module that uses Symphonia's decoders.

use once_cell::sync::Lazy;
use symphonia::core::audio::AudioSpec;
use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::metadata::Metadata;
use super::mpeg::MpegPacketDecoder;
use super::opus::Opus;
use super::vorbis;
use crate::audio::{LOUDEST, SOURCE_RATES};
use crate::error::{Code, Result, SpeakerError};

/// The formats that are played, as error messages name them.
const FORMATS: &str = "WAV, AIFF, MP3, FLAC, Ogg Vorbis, Ogg Opus, AAC, M4A or WebM audio";

static CODECS: Lazy<CodecRegistry> = Lazy::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<Opus>();
    codecs.register_audio_decoder::<MpegPacketDecoder>();
    #[cfg(feature = "he-aac")]
    codecs.register_audio_decoder::<super::he_aac::Aac>();
    codecs
});

/// The external hints about a source's format.
#[derive(Debug, Clone, Default)]
pub struct FormatHint {
    pub content_type: Option<String>,
    /// The extension of its file name, without the dot.
    pub extension: Option<String>,
}

impl FormatHint {
    pub fn describe(&self) -> String {
        match (&self.content_type, &self.extension) {
            (Some(content_type), _) => content_type.clone(),
            (None, Some(extension)) => format!("a .{extension} file"),
            (None, None) => "something else".to_owned(),
        }
    }
}

/// The details of a source.
#[derive(Debug, Clone, Default)]
pub struct Details {
    pub container: &'static str,
    pub file: FileDetails,
    /// The number of bytes consumed, and of all bytes if it is known.
    pub position: u64,
    pub bytes: Option<u64>,
}

/// The details of one file in a body.
#[derive(Debug, Clone, Default)]
pub struct FileDetails {
    pub codec: &'static str,
    /// Samples per channel, at its own rate, if it states them exactly.
    pub samples: Option<u64>,
    /// The metadata of its tags and those of the body.
    pub metadata: Metadata,
}

/// The run-up that a decoder needs before it decodes correctly, in samples per channel: two frames of AAC, 80 ms of Opus (RFC 7845 §4.6).
pub const LEAD_IN: u64 = 4_096;

/// A source of samples, block by block.
pub trait Decode {
    /// Decodes the next samples: interleaved, with their rate and layout; returns `None` at the end. May suspend the decode task.
    fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>>;

    /// Moves to sample `to` per channel, counted from the source's first one at its own rate, or to one before it, without decoding
    /// everything in between. Returns the number of the next sample; `None` if it stays where it is. Samples before `to` may sound wrong.
    /// May be called once the first samples have been read.
    fn skip(&mut self, to: u64) -> Option<u64> {
        let _ = to;
        None
    }

    /// Returns the details of the source, as far as it was read; may be called once the first samples have been read.
    fn details(&mut self) -> Details {
        Details::default()
    }

    /// Returns how many bytes of the source were used so far, if that is known.
    fn position(&self) -> Option<u64> {
        None
    }
}

/// Decoded samples, interleaved.
#[derive(Default)]
pub struct Block {
    pub spec: AudioSpec,
    pub samples: Vec<f32>,
}

/// The result of one step through a file.
pub enum Step {
    /// Decoded samples.
    Block,
    /// No samples: this number of bytes was damaged.
    Discarded(u64),
    /// The end of the file: what follows in the body is something else.
    End,
}

/// One of the files in a body, from its start to its end.
pub trait FileDecoder {
    /// Decodes the next samples. May suspend the decode task.
    fn next(&mut self, block: &mut Block) -> Result<Step>;

    /// Does the same as [`Decode::skip`], counted from the file's first sample; `to` lies after the samples returned so far.
    fn skip(&mut self, to: u64) -> Option<u64> {
        let _ = to;
        None
    }

    /// Returns true if it continues across the start of another file of its kind.
    fn continues(&self) -> bool {
        false
    }

    /// Returns the details of the file.
    fn details(&mut self) -> FileDetails;

    /// Returns how much came and how much was stated exactly, if the end of the body cut the file.
    fn missing(&self) -> Option<(u64, u64)> {
        None
    }
}

/// Makes a decoder for a codec.
pub fn decoder(parameters: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>> {
    let headers = parameters.extra_data.as_deref().filter(|_| parameters.codec == CODEC_ID_VORBIS);
    if headers.is_some_and(|headers| !vorbis::is_ordinary(headers)) {
        return Err(unsupported("Vorbis with codebooks of an absurd size"));
    }
    CODECS
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| unsupported(format!("a codec that is not played ({error})")))
}

/// Decodes one packet. Returns `discarded` if it is damaged, and a block without samples if the packet yields none.
pub fn decode_packet(
    decoder: &mut dyn AudioDecoder,
    packet: &[u8],
    block: &mut Block,
    discarded: Step,
) -> Result<Step> {
    decode_into(decoder, &PacketRef::new(0, Timestamp::new(0), Duration::ZERO, packet), block, discarded)
}

/// Decodes one packet that a demuxer extracted; as [`decode_packet`].
pub fn decode_into(
    decoder: &mut dyn AudioDecoder,
    packet: &PacketRef<'_>,
    block: &mut Block,
    discarded: Step,
) -> Result<Step> {
    match decoder.decode_ref(packet) {
        Ok(buffer) => {
            block.spec.clone_from(buffer.spec());
            buffer.copy_to_vec_interleaved(&mut block.samples);
            Ok(Step::Block)
        }
        Err(Error::DecodeError(_) | Error::IoError(_)) => Ok(discarded),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

/// Flushes what a decoder with a delay (HE-AAC) still holds after the last packet. Returns false if that is nothing.
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

/// Flushes what a decoder still holds after the last packet: the built-in ones hold nothing.
#[cfg(not(feature = "he-aac"))]
pub fn finish(_decoder: &mut dyn AudioDecoder, _block: &mut Block) -> bool {
    false
}

/// Returns true if each packet yields its own samples, so that packets can be skipped.
#[cfg(feature = "he-aac")]
pub fn may_skip(decoder: &dyn AudioDecoder) -> bool {
    super::he_aac::may_skip(decoder)
}

/// Returns true if each packet yields its own samples, so that packets can be skipped.
#[cfg(not(feature = "he-aac"))]
pub fn may_skip(_decoder: &dyn AudioDecoder) -> bool {
    true
}

/// Flushes the decoder after the last packet of a stream, if there is one.
pub fn end(decoder: &mut Option<Box<dyn AudioDecoder>>, block: &mut Block) -> Step {
    let is_behind = decoder.as_mut().is_some_and(|decoder| finish(&mut **decoder, block));
    if is_behind { Step::Block } else { Step::End }
}

/// Checks that the rate is one that is played, and makes all samples finite and bounded: a float file may hold anything, and one NaN would
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

/// Returns a sample as it leaves a source: finite and bounded.
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
