//! Bytes → samples at the source's own rate and layout: the one place that knows Symphonia.

use std::io;

use once_cell::sync::Lazy;
use symphonia::core::audio::AudioSpec;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};

use crate::audio::SOURCE_RATES;
use crate::error::{Code, Result, SpeakerError};

/// What is played, in the words of error messages.
const FORMATS: &str = "WAV, AIFF, MP3, FLAC, Ogg Vorbis, Ogg Opus, AAC or M4A audio";

static CODECS: Lazy<CodecRegistry> = Lazy::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<symphonia_adapter_libopus::OpusDecoder>();
    codecs
});

/// A source being decoded, packet by packet. Reading may suspend the feeder it runs in.
pub struct Decoder {
    format: Box<dyn FormatReader>,
    codec: Box<dyn AudioDecoder>,
    track: u32,
    /// The frames that the container announces, if it does.
    announced: Option<u64>,
    decoded: u64,
    damaged: Option<String>,
    samples: Vec<f32>,
    spec: AudioSpec,
}

impl Decoder {
    /// Finds out what `input` is. The hint breaks ties only: the first bytes say what a source is, whatever it is called.
    pub fn open(input: Box<dyn MediaSource>, hint: &Hint) -> Result<Self> {
        let stream = MediaSourceStream::new(input, Default::default());
        let format = symphonia::default::get_probe()
            .probe(hint, stream, Default::default(), Default::default())
            .map_err(|error| unsupported(&error.to_string()))?;
        let (codec, track, announced) = select(&*format)?;
        let (samples, spec) = (Vec::new(), AudioSpec::default());
        Ok(Self { format, codec, track, announced, decoded: 0, damaged: None, samples, spec })
    }

    /// The next samples, interleaved, with their rate and layout; `None` at the end. A damaged packet is left out.
    pub fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return self.end().map(|()| None),
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return self.end().map(|()| None);
                }
                Err(Error::ResetRequired) => {
                    // A chained Ogg stream: another song begins in the same body.
                    (self.codec, self.track, self.announced) = select(&*self.format)?;
                    self.decoded = 0;
                    continue;
                }
                Err(error) => return Err(damaged(&error.to_string())),
            };
            if packet.track_id != self.track {
                continue;
            }
            match self.codec.decode(&packet) {
                Ok(buffer) if buffer.frames() == 0 => continue,
                Ok(buffer) => {
                    self.decoded += buffer.frames() as u64;
                    self.spec.clone_from(buffer.spec());
                    buffer.copy_to_vec_interleaved(&mut self.samples);
                    break;
                }
                Err(Error::DecodeError(reason)) => self.damaged = Some(reason.to_owned()),
                Err(Error::IoError(error)) => self.damaged = Some(error.to_string()),
                Err(error) => return Err(damaged(&error.to_string())),
            }
        }
        if !SOURCE_RATES.contains(&self.spec.rate()) {
            let (low, high) = (SOURCE_RATES.start(), SOURCE_RATES.end());
            let message =
                format!("Expected a sample rate of {low}–{high} Hz for audio but received {}", self.spec.rate());
            return Err(SpeakerError::new(Code::UnsupportedFormat, message));
        }
        // A float file may hold anything; one NaN would silence the whole mix.
        self.samples.iter_mut().filter(|sample| !sample.is_finite()).for_each(|sample| *sample = 0.0);
        Ok(Some((&self.spec, &self.samples)))
    }

    fn end(&mut self) -> Result<()> {
        let announced = self.announced.unwrap_or(0);
        match self.damaged.take() {
            Some(reason) if self.decoded == 0 => Err(damaged(&reason)),
            // Left-out packets explain missing frames.
            None if self.decoded < announced => Err(SpeakerError::new(
                Code::Truncated,
                format!("Expected {announced} samples per channel for audio but received {}", self.decoded),
            )),
            _ => Ok(()),
        }
    }
}

fn select(format: &dyn FormatReader) -> Result<(Box<dyn AudioDecoder>, u32, Option<u64>)> {
    let track = format.default_track(TrackType::Audio).ok_or_else(|| unsupported("no audio track"))?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or_else(|| unsupported("an unknown codec"))?;
    let codec = CODECS
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| unsupported(&error.to_string()))?;
    Ok((codec, track.id, track.num_frames))
}

fn unsupported(received: &str) -> SpeakerError {
    SpeakerError::new(Code::UnsupportedFormat, format!("Expected {FORMATS} but received something else ({received})"))
}

fn damaged(reason: &str) -> SpeakerError {
    SpeakerError::new(Code::Decode, format!("Expected sound {FORMATS} but received damaged data ({reason})"))
}
