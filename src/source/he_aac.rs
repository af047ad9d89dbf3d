//! HE-AAC, which is AAC-LC with spectral band replication (SBR) and parametric stereo (PS; ISO/IEC 14496-3 §4.6.18, §8.6.4), decoded by
//! libxaac; only in builds with the feature `he-aac`. Plain AAC-LC is left to the decoder that plays it in every other build.
//!
//! Most streams do not state that they are HE-AAC: whether they use SBR is known once a frame was decoded, so packets at low rates are held
//! until then.

use std::collections::VecDeque;
use std::mem;

use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::audio::{AsGenericAudioBufferRef, Audio, AudioBuffer, AudioMut, AudioSpec, GenericAudioBufferRef};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Result, decode_error};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::core::{self as symphonia_core, support_audio_codec}; // for its macro
use symphonia::default::codecs::AacDecoder;
use xaac_rs::{DecodeStatus, DecodedFrame, Decoder, DecoderConfig, DecoderDrcConfig, SbrMode};

use super::adts::RATES;
use super::bits::Bits;

/// The highest rate at which unannounced SBR is expected: SBR doubles the rate, and is played at no more than 48 kHz.
const LOW_RATES: u32 = 24_000;

/// The most packets that are held until the presence of SBR is known, and the most frames that libxaac may lag behind.
const MAX_HELD: usize = 16;

/// The longest packet that an ADTS header can describe (13 bits, header included).
const MAX_PACKET: usize = 8_191 - HEADER;
const HEADER: usize = 7;

/// The number of frames that libxaac's output lags behind other decoders: the first one is not part of the stream.
const BEHIND: usize = 1;

/// Full scale in 16 bits.
const FULL_SCALE: f32 = 32_768.0;

/// The configuration of the AAC-LC core, by which packets are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Core {
    /// The rate, as an index of [`RATES`].
    rate: u8,
    channels: u8,
    /// True if the stream states that it uses SBR.
    is_he: bool,
}

impl Core {
    fn of(parameters: &AudioCodecParameters) -> Option<Self> {
        if let Some(config) = &parameters.extra_data {
            return Self::read(config);
        }
        let rate = parameters.sample_rate?;
        let rate = RATES.iter().position(|known| *known == rate)? as u8;
        let channels = u8::try_from(parameters.channels.as_ref()?.count()).ok()?;
        Some(Self { rate, channels, is_he: false }).filter(Self::is_played)
    }

    /// Reads an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
    fn read(config: &[u8]) -> Option<Self> {
        const LC: usize = 2;
        const SBR: usize = 5;
        const PS: usize = 29;
        let mut bits = Bits::new(config);
        let kind = bits.object_type()?;
        let rate = rate(&mut bits)?;
        let channels = bits.take(4)? as u8;
        let is_he = matches!(kind, SBR | PS);
        let kind = if is_he {
            self::rate(&mut bits)?;
            bits.object_type()?
        } else {
            kind
        };
        Some(Self { rate, channels, is_he }).filter(|core| kind == LC && core.is_played())
    }

    fn is_played(&self) -> bool {
        matches!(self.channels, 1 | 2)
    }

    fn may_be_he(&self) -> bool {
        self.is_he || RATES[usize::from(self.rate)] <= LOW_RATES
    }

    /// Builds the ADTS header (§1.A.2.2) for a packet, from which libxaac takes the configuration.
    fn header(&self, length: usize) -> [u8; HEADER] {
        const LC: u8 = 1;
        let all = length + HEADER;
        let low = |shift: usize| (all >> shift) as u8;
        [
            0xff,
            0xf1,
            LC << 6 | self.rate << 2 | self.channels >> 2,
            (self.channels & 3) << 6 | low(11) & 3,
            low(3),
            (low(0) & 7) << 5 | 0x1f,
            0xfc,
        ]
    }
}

/// Reads a sample rate as an index of [`RATES`].
fn rate(bits: &mut Bits<'_>) -> Option<u8> {
    match bits.take(4)? {
        15 => {
            let rate = bits.take(24)?;
            RATES.iter().position(|known| *known as usize == rate).map(|index| index as u8)
        }
        index => Some(index as u8).filter(|_| index < RATES.len()),
    }
}

/// A libxaac decoder.
struct Xaac {
    core: Core,
    /// The decoder state: made with the first packet, and again after an end or a failure.
    state: Option<State>,
    packet: Vec<u8>,
}

struct State {
    decoder: Decoder,
    /// The number of its first frames that are still to be dropped.
    behind: usize,
    mode: SbrMode,
}

// SAFETY: the decoder owns everything that it points to, and is only reached through `&mut`. Otherwise its library keeps only tables, and
// scratch memory of a profile (AAC-LD) that no header made here selects.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

impl Xaac {
    fn new(core: Core) -> Self {
        Self { core, state: None, packet: Vec::new() }
    }

    /// Returns the mode of SBR, once it is known.
    fn mode(&self) -> SbrMode {
        self.state.as_ref().map_or(SbrMode::Unknown, |state| state.mode)
    }

    /// Decodes a packet, and appends the finished samples to `sound`.
    fn decode(&mut self, packet: &[u8], sound: &mut Sound) -> Result<()> {
        if packet.is_empty() || packet.len() > MAX_PACKET {
            return decode_error("he-aac: a packet of a length that can't be");
        }
        self.packet.clear();
        self.packet.extend_from_slice(&self.core.header(packet.len()));
        self.packet.extend_from_slice(packet);
        self.feed(sound)
    }

    /// Passes the prepared packet to libxaac.
    fn feed(&mut self, sound: &mut Sound) -> Result<()> {
        if self.state.is_none() {
            self.state = State::new();
        }
        let Some(state) = &mut self.state else { return decode_error("he-aac: no memory for a decoder") };
        let fed = state.take(&self.packet, false, sound);
        if fed.is_err() {
            self.state = None;
        }
        fed
    }

    /// Appends the samples that are left after the last packet, and returns the mode of SBR.
    fn finish(&mut self, sound: &mut Sound) -> SbrMode {
        // One more packet pushes out the frame that it lags behind.
        let pushed = self.state.is_some() && self.feed(sound).is_ok();
        if let Some(state) = self.state.as_mut().filter(|_| pushed) {
            let _ = state.take(&[], true, sound);
        }
        let mode = self.mode();
        self.state = None;
        mode
    }
}

impl State {
    fn new() -> Option<Self> {
        let config = DecoderConfig {
            // Its 24-bit output is not valid.
            pcm_word_size: 16,
            // Limiting is left to the session, and lost packets are not concealed.
            peak_limiter: false,
            error_concealment: false,
            drc: DecoderDrcConfig { enabled: false, ..DecoderDrcConfig::default() },
            // Uses complex filters, as other decoders do; otherwise SBR is "low power", and there is no PS.
            enable_esbr: true,
            auto_sbr_upsample: false,
            ..DecoderConfig::default()
        };
        let decoder = Decoder::new(config).ok()?;
        Some(Self { decoder, behind: BEHIND, mode: SbrMode::Unknown })
    }

    fn take(&mut self, packet: &[u8], is_last: bool, sound: &mut Sound) -> Result<()> {
        let mut packet = packet;
        // It holds some packets at its start, and each of them is a frame.
        for _ in 0..MAX_HELD {
            let status = if is_last { self.decoder.finish() } else { self.decoder.decode_stream_chunk(packet) };
            packet = &[];
            match status {
                Ok(DecodeStatus::Frame(frame)) => self.heard(&frame, sound)?,
                Ok(DecodeStatus::NeedMoreInput(_)) if is_last => {}
                Ok(DecodeStatus::NeedMoreInput(_) | DecodeStatus::EndOfStream) => return Ok(()),
                Err(_) => return decode_error("he-aac: a damaged packet"),
            }
        }
        Ok(())
    }

    fn heard(&mut self, frame: &DecodedFrame, sound: &mut Sound) -> Result<()> {
        let channels = match frame.stream_info.channels {
            1 => CHANNEL_LAYOUT_MONO,
            2 => CHANNEL_LAYOUT_STEREO,
            _ => return decode_error("he-aac: channels that can't be"),
        };
        self.mode = frame.stream_info.sbr_mode;
        if self.behind > 0 {
            self.behind -= 1;
            return Ok(());
        }
        let spec = AudioSpec::new(frame.stream_info.sample_rate, channels);
        if sound.spec.as_ref() != Some(&spec) {
            // The format changes between two packets at most.
            sound.samples.clear();
            sound.spec = Some(spec);
        }
        let samples = frame.pcm_i16().unwrap_or_default();
        sound.samples.extend(samples.iter().map(|sample| f32::from(*sample) / FULL_SCALE));
        Ok(())
    }
}

/// Returns true if a decoder yields the samples of each packet with it, as all do but this one where SBR is or may be used.
pub fn may_skip(decoder: &dyn AudioDecoder) -> bool {
    let parameters = decoder.codec_params();
    parameters.codec != CODEC_ID_AAC
        || (decoder.codec_info().short_name != INFO.short_name
            && !Core::of(parameters).is_some_and(|core| core.may_be_he()))
}

/// Interleaved samples and their format.
#[derive(Default)]
struct Sound {
    spec: Option<AudioSpec>,
    samples: Vec<f32>,
}

/// The decoder in use.
enum Way {
    Plain(Box<dyn AudioDecoder>),
    He(Xaac),
    /// Both are possible: these packets are held for the plain one, in case there is no SBR.
    Undecided(Box<dyn AudioDecoder>, Xaac, VecDeque<Vec<u8>>),
}

/// A decoder for AAC-LC and HE-AAC.
pub struct Aac {
    parameters: AudioCodecParameters,
    way: Way,
    sound: Sound,
    buffer: AudioBuffer<f32>,
}

const INFO: CodecInfo = CodecInfo { short_name: "he-aac", long_name: "High-Efficiency AAC", profiles: &[] };

impl Aac {
    fn new(parameters: &AudioCodecParameters, options: &AudioDecoderOptions) -> Result<Self> {
        let plain = || AacDecoder::try_registry_new(parameters, options);
        let way = match Core::of(parameters).filter(Core::may_be_he) {
            Some(core) if core.is_he => Way::He(Xaac::new(core)),
            Some(core) => Way::Undecided(plain()?, Xaac::new(core), VecDeque::new()),
            None => Way::Plain(plain()?),
        };
        let buffer = AudioBuffer::new(AudioSpec::new(48_000, CHANNEL_LAYOUT_MONO), 0);
        Ok(Self { parameters: parameters.clone(), way, sound: Sound::default(), buffer })
    }

    /// Decodes a packet into `sound`.
    fn decode(&mut self, packet: &[u8]) -> Result<()> {
        self.sound.samples.clear();
        let result = match &mut self.way {
            Way::Plain(decoder) => take(&mut **decoder, packet, &mut self.sound),
            Way::He(xaac) => xaac.decode(packet, &mut self.sound),
            Way::Undecided(_, xaac, held) => {
                held.push_back(packet.to_vec());
                let result = xaac.decode(packet, &mut self.sound);
                match xaac.mode() {
                    SbrMode::Unknown if result.is_ok() && held.len() < MAX_HELD => Ok(()),
                    SbrMode::Disabled | SbrMode::Unknown => self.decide(false),
                    _ => self.decide(true),
                }
            }
        };
        self.show();
        result
    }

    /// Chooses one of the two decoders. Held packets are decoded if the plain one is chosen.
    fn decide(&mut self, is_he: bool) -> Result<()> {
        let nothing = Way::He(Xaac::new(Core { rate: 0, channels: 0, is_he: false }));
        let Way::Undecided(mut plain, xaac, held) = mem::replace(&mut self.way, nothing) else { return Ok(()) };
        if is_he {
            self.way = Way::He(xaac);
            return Ok(());
        }
        self.sound.samples.clear();
        let mut result = Ok(());
        for packet in held {
            result = take(&mut *plain, &packet, &mut self.sound);
        }
        self.way = Way::Plain(plain);
        if self.sound.samples.is_empty() { result } else { Ok(()) }
    }

    /// Copies `sound` into the buffer.
    fn show(&mut self) {
        self.buffer.clear();
        let Some(spec) = &self.sound.spec else { return };
        let samples = self.sound.samples.len() / spec.channels().count().max(1);
        if self.buffer.spec() != spec || self.buffer.capacity() < samples {
            self.buffer = AudioBuffer::new(spec.clone(), samples);
        }
        self.buffer.render_uninit(Some(samples));
        self.buffer.copy_from_slice_interleaved(&self.sound.samples);
    }
}

/// Decodes a packet of AAC-LC.
fn take(decoder: &mut dyn AudioDecoder, packet: &[u8], sound: &mut Sound) -> Result<()> {
    let decoded = decoder.decode_ref(&PacketRef::new(0, Timestamp::new(0), Duration::ZERO, packet))?;
    let mut samples = Vec::new();
    decoded.copy_to_vec_interleaved(&mut samples);
    sound.spec = Some(decoded.spec().clone());
    sound.samples.append(&mut samples);
    Ok(())
}

impl AudioDecoder for Aac {
    fn reset(&mut self) {
        match &mut self.way {
            Way::Plain(decoder) => decoder.reset(),
            Way::He(xaac) => xaac.state = None,
            Way::Undecided(_, xaac, held) => {
                held.clear();
                xaac.state = None;
            }
        }
    }

    fn codec_info(&self) -> &CodecInfo {
        match &self.way {
            Way::He(_) => &INFO,
            Way::Plain(_) | Way::Undecided(..) => &Self::supported_codecs()[0].info,
        }
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.parameters
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.decode(packet.data)?;
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    /// Flushes the frames that it lags behind; they become the last decoded ones.
    fn finalize(&mut self) -> FinalizeResult {
        self.sound.samples.clear();
        match &mut self.way {
            Way::Plain(_) => {}
            Way::He(xaac) => _ = xaac.finish(&mut self.sound),
            Way::Undecided(_, xaac, _) => {
                let is_he = xaac.finish(&mut self.sound) == SbrMode::Enabled;
                let _ = self.decide(is_he);
            }
        }
        self.show();
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for Aac {
    fn try_registry_new(
        parameters: &AudioCodecParameters,
        options: &AudioDecoderOptions,
    ) -> Result<Box<dyn AudioDecoder>> {
        Ok(Box::new(Self::new(parameters, options)?))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        &[support_audio_codec!(CODEC_ID_AAC, "aac", "Advanced Audio Coding")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_core_from_configurations() {
        for (config, expected) in [
            // AAC-LC at 44.1 kHz; SBR at 44.1 kHz over 22.05 kHz; PS over mono; rates in full.
            (&[0x12, 0x10][..], Some((4, 2, false))),
            (&[0x2b, 0x92, 0x08, 0x00], Some((7, 2, true))),
            (&[0xeb, 0x8a, 0x08, 0x00], Some((7, 1, true))),
            (&[0x17, 0x80, 0x2b, 0x11, 0x10], Some((7, 2, false))),
            // AAC-LC in 5.1, AAC-LD, SBR over AAC-LD, an invalid rate, and cut ones.
            (&[0x12, 0x30], None),
            (&[0xb9, 0x90], None),
            (&[0x2b, 0x92, 0x5c, 0x00], None),
            (&[0x16, 0x90], None),
            (&[0x2b, 0x92], None),
            (&[], None),
        ] {
            let core = Core::read(config).map(|core| (core.rate, core.channels, core.is_he));
            assert_eq!(core, expected, "{config:02x?}");
        }
    }

    #[test]
    fn header_states_the_packet_length() {
        use super::super::adts::Header;
        use super::super::frames::FrameHeader as _;
        for length in [1, 500, MAX_PACKET] {
            let header = Core { rate: 7, channels: 2, is_he: true }.header(length);
            assert_eq!(Header::read(&header).map(|header| header.length()), Some(length + HEADER));
        }
    }
}
