//! Bytes → samples at the source's own rate and layout: the one place that knows Symphonia.

use std::io;

use once_cell::sync::Lazy;
use symphonia::core::audio::AudioSpec;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::{Hint, Probe};
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::units::Duration;
use symphonia::default::formats::{AdtsReader, AiffReader, FlacReader, IsoMp4Reader, MpaReader, OggReader, WavReader};

use super::tags::Untagged;
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

/// Formats only, no readers of tags: Symphonia's recurse, and `tags.rs` skips what they would read. AIFF is not among
/// them, since its demuxer reads a tag of its own.
static PROBE: Lazy<Probe> = Lazy::new(|| {
    let mut probe = Probe::default();
    probe.register_format::<AdtsReader<'_>>();
    probe.register_format::<FlacReader<'_>>();
    probe.register_format::<IsoMp4Reader<'_>>();
    probe.register_format::<MpaReader<'_>>();
    probe.register_format::<WavReader<'_>>();
    probe.register_format::<OggReader<'_>>();
    probe
});

/// For a body that begins as AIFF: elsewhere, behind other bytes, its tag is not hidden.
static AIFF_PROBE: Lazy<Probe> = Lazy::new(|| {
    let mut probe = Probe::default();
    probe.register_format::<AiffReader<'_>>();
    probe
});

/// What others call a source.
#[derive(Debug, Clone, Default)]
pub struct Label {
    pub content_type: Option<String>,
    /// Of its file name, without the dot.
    pub extension: Option<String>,
}

impl Label {
    fn hint(&self) -> Hint {
        let mut hint = Hint::new();
        if let Some(content_type) = &self.content_type {
            hint.mime_type(content_type.split(';').next().unwrap_or_default().trim());
        }
        if let Some(extension) = &self.extension {
            hint.with_extension(extension);
        }
        hint
    }

    fn describe(&self) -> String {
        match (&self.content_type, &self.extension) {
            (Some(content_type), _) => content_type.clone(),
            (None, Some(extension)) => format!("a .{extension} file"),
            (None, None) => "something else".to_owned(),
        }
    }
}

/// Gives a source's samples block by block.
pub trait Decode {
    /// The next samples, interleaved, with their rate and layout; `None` at the end. May suspend the decode task.
    fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>>;
}

/// A source being decoded, packet by packet.
pub struct Decoder {
    format: Box<dyn FormatReader>,
    codec: Box<dyn AudioDecoder>,
    track: u32,
    /// How long the container says it is, in the container's own units, and how much of that has come.
    announced: Option<Duration>,
    demuxed: Duration,
    decoded: bool,
    damaged: Option<String>,
    samples: Vec<f32>,
    spec: AudioSpec,
}

impl Decoder {
    /// Finds out what `input` is. The label is a hint only: the first bytes say what a source is, whatever it is called.
    pub fn open(input: Box<dyn MediaSource>, label: &Label) -> Result<Self> {
        let input = Untagged::new(input).map_err(|_| unsupported(&label.describe()))?;
        if input.is_empty() {
            return Err(unsupported("nothing but tags"));
        }
        let probe = if input.is_aiff() { &AIFF_PROBE } else { &PROBE };
        let stream = MediaSourceStream::new(Box::new(input), Default::default());
        let format = probe
            .probe(&label.hint(), stream, Default::default(), Default::default())
            .map_err(|_| unsupported(&label.describe()))?;
        let (codec, track, announced) = select(&*format)?;
        let (samples, spec) = (Vec::new(), AudioSpec::default());
        let (demuxed, decoded, damaged) = (Duration::ZERO, false, None);
        Ok(Self { format, codec, track, announced, demuxed, decoded, damaged, samples, spec })
    }

    fn end(&mut self) -> Result<()> {
        match (self.announced, self.damaged.take()) {
            (_, Some(reason)) if !self.decoded => Err(damaged(&reason)),
            (Some(announced), _) if self.demuxed < announced => {
                let percent = self.demuxed.get() * 100 / announced.get();
                let message = format!("Expected the whole length that audio announces but received {percent} % of it");
                Err(SpeakerError::new(Code::Truncated, message))
            }
            _ => Ok(()),
        }
    }
}

impl Decode for Decoder {
    /// A damaged packet is left out.
    fn next(&mut self) -> Result<Option<(&AudioSpec, &[f32])>> {
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
                    self.demuxed = Duration::ZERO;
                    continue;
                }
                Err(error) => return Err(damaged(&error.to_string())),
            };
            if packet.track_id != self.track {
                continue;
            }
            self.demuxed = self.demuxed.saturating_add(packet.dur);
            match self.codec.decode(&packet) {
                Ok(buffer) if buffer.frames() == 0 => continue,
                Ok(buffer) => {
                    self.decoded = true;
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
}

fn select(format: &dyn FormatReader) -> Result<(Box<dyn AudioDecoder>, u32, Option<Duration>)> {
    let track = format.default_track(TrackType::Audio).ok_or_else(|| unsupported("a file without an audio track"))?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or_else(|| unsupported("an unknown codec"))?;
    let codec = CODECS
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| unsupported(&format!("a codec that is not played ({error})")))?;
    Ok((codec, track.id, track.duration))
}

pub fn empty(argument: &str) -> SpeakerError {
    SpeakerError::new(Code::EmptySource, format!("Expected audio for {argument} but received 0 bytes"))
}

fn unsupported(received: &str) -> SpeakerError {
    SpeakerError::new(Code::UnsupportedFormat, format!("Expected {FORMATS} but received {received}"))
}

fn damaged(reason: &str) -> SpeakerError {
    SpeakerError::new(Code::Decode, format!("Expected sound {FORMATS} but received damaged data ({reason})"))
}
