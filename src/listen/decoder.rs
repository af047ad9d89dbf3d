//! libopus' decoder. Only this file and `output/libopus.rs` call libopus.

use std::ffi::{CStr, c_int};
use std::ptr;

use opusic_sys::{
    OPUS_OK, OPUS_RESET_STATE, OpusDecoder, opus_decode_float, opus_decoder_ctl, opus_decoder_get_size,
    opus_decoder_init, opus_packet_get_nb_samples, opus_packet_get_samples_per_frame, opus_packet_has_lbrr,
    opus_strerror,
};

use crate::audio::SAMPLE_RATE;
use crate::error::{Code, Result, SpeakerError};

/// The longest packet, 120 ms, in samples (RFC 6716 §3.2.5).
pub const LONGEST: usize = 5_760;

/// The step of concealment, 2.5 ms, in samples.
pub const STEP: usize = 120;

/// The length up to which a packet only continues silence (RFC 6716 §2.1.9).
const SILENCE: usize = 2;

/// Returns the length of a packet's sound in samples, or None if it is not Opus.
pub fn length(packet: &[u8]) -> Option<usize> {
    // SAFETY: the packet has as many bytes as it is told.
    let samples = unsafe { opus_packet_get_nb_samples(packet.as_ptr(), size(packet), SAMPLE_RATE as i32) };
    usize::try_from(samples).ok().filter(|samples| (1..=LONGEST).contains(samples))
}

/// Returns true if a packet only continues silence.
pub fn is_silence(packet: &[u8]) -> bool {
    packet.len() <= SILENCE
}

/// Returns the length in samples of the earlier frame that a packet repeats (in-band FEC, RFC 6716 §2.1.7), or None.
pub fn repeats(packet: &[u8]) -> Option<usize> {
    // SAFETY: the packet has as many bytes as it is told; it refuses malformed packets.
    let has_lbrr = unsafe { opus_packet_has_lbrr(packet.as_ptr(), size(packet)) };
    // SAFETY: it reads the first byte, which a packet that repeats something has.
    (has_lbrr == 1).then(|| unsafe { opus_packet_get_samples_per_frame(packet.as_ptr(), SAMPLE_RATE as i32) } as usize)
}

fn size(packet: &[u8]) -> i32 {
    i32::try_from(packet.len()).unwrap_or(i32::MAX)
}

/// A decoder whose number of channels is independent of the packets': libopus converts.
pub struct Decoder {
    /// In units with the alignment of `malloc`'s memory.
    state: Box<[u128]>,
    channels: usize,
}

impl Decoder {
    /// Creates a decoder for 1 or 2 channels.
    pub fn new(channels: usize) -> Result<Self> {
        // SAFETY: it only computes a size, which is 0 for an unknown number of channels.
        let size = unsafe { opus_decoder_get_size(channels as c_int) };
        let units = usize::try_from(size).unwrap_or_default().div_ceil(size_of::<u128>());
        let mut decoder = Self { state: vec![0; units].into_boxed_slice(), channels };
        // SAFETY: the state is as large as libopus asks for, and nobody else has it. For an unknown number of channels it returns an error
        // before it touches anything.
        let code = unsafe { opus_decoder_init(decoder.pointer(), SAMPLE_RATE as i32, channels as c_int) };
        if code != OPUS_OK {
            // SAFETY: it returns a static string for any number.
            let why = unsafe { CStr::from_ptr(opus_strerror(code)) }.to_string_lossy();
            return Err(SpeakerError::new(Code::Decode, format!("the Opus decoder can't be made: {why}")));
        }
        Ok(decoder)
    }

    /// Decodes a packet. Returns the samples per channel, or None if the packet is damaged or does not fit.
    pub fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> Option<usize> {
        self.call(packet.as_ptr(), size(packet), into, false)
    }

    /// Decodes the in-band FEC of a packet, as much as there is room for.
    pub fn decode_repeated(&mut self, packet: &[u8], into: &mut [f32]) -> Option<usize> {
        self.call(packet.as_ptr(), size(packet), into, true)
    }

    /// Conceals a loss, as much as there is room for: a multiple of [`STEP`].
    pub fn conceal(&mut self, into: &mut [f32]) -> Option<usize> {
        self.call(ptr::null(), 0, into, false)
    }

    /// Resets the decoder's state.
    pub fn reset(&mut self) {
        // SAFETY: the state is initialized, and the request takes no arguments.
        unsafe { opus_decoder_ctl(self.pointer(), OPUS_RESET_STATE) };
    }

    /// Returns the memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.state)
    }

    fn call(&mut self, packet: *const u8, size: i32, into: &mut [f32], fec: bool) -> Option<usize> {
        let room = c_int::try_from(into.len() / self.channels).unwrap_or(c_int::MAX);
        // SAFETY: the state is initialized, `packet` has `size` bytes or is null, and `into` has `room` samples per channel.
        let samples =
            unsafe { opus_decode_float(self.pointer(), packet, size, into.as_mut_ptr(), room, c_int::from(fec)) };
        usize::try_from(samples).ok()
    }

    fn pointer(&mut self) -> *mut OpusDecoder {
        self.state.as_mut_ptr().cast()
    }
}
