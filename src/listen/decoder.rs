//! libopus' decoder. The one place of [`super`] that calls libopus itself.

use std::ffi::{CStr, c_int};
use std::ptr;

use opusic_sys::{
    OPUS_OK, OPUS_RESET_STATE, OpusDecoder, opus_decode_float, opus_decoder_ctl, opus_decoder_get_size,
    opus_decoder_init, opus_packet_get_nb_samples, opus_packet_get_samples_per_frame, opus_packet_has_lbrr,
    opus_strerror,
};

use crate::audio::SAMPLE_RATE;
use crate::error::{Code, Result, SpeakerError};

/// What a packet can hold at most, 120 ms, in samples (RFC 6716 §3.2.5).
pub const LONGEST: usize = 5_760;

/// What is concealed is a multiple of 2.5 ms, in samples.
pub const STEP: usize = 120;

/// A packet that short says only that silence goes on (RFC 6716 §2.1.9).
const SILENCE: usize = 2;

/// The length of what a packet says it holds, in samples; none if it is no Opus.
pub fn length(packet: &[u8]) -> Option<usize> {
    // SAFETY: the bytes are there, as many as it is told.
    let samples = unsafe { opus_packet_get_nb_samples(packet.as_ptr(), size(packet), SAMPLE_RATE as i32) };
    usize::try_from(samples).ok().filter(|samples| (1..=LONGEST).contains(samples))
}

/// A packet that says only that silence goes on.
pub fn is_silence(packet: &[u8]) -> bool {
    packet.len() <= SILENCE
}

/// The length of the frame before it that a packet repeats, in samples; none if it does not (in-band FEC, RFC 6716 §2.1.7).
pub fn repeats(packet: &[u8]) -> Option<usize> {
    // SAFETY: the bytes are there, as many as it is told; it refuses those that are no packet.
    let has_lbrr = unsafe { opus_packet_has_lbrr(packet.as_ptr(), size(packet)) };
    // SAFETY: it reads the first byte, which a packet that repeats something has.
    (has_lbrr == 1).then(|| unsafe { opus_packet_get_samples_per_frame(packet.as_ptr(), SAMPLE_RATE as i32) } as usize)
}

fn size(packet: &[u8]) -> i32 {
    i32::try_from(packet.len()).unwrap_or(i32::MAX)
}

/// A decoder of either as many channels as a packet has or not: libopus converts.
pub struct Decoder {
    /// In units that are aligned as memory of `malloc` is.
    state: Box<[u128]>,
    channels: usize,
}

impl Decoder {
    /// `channels` are 1 or 2.
    pub fn new(channels: usize) -> Result<Self> {
        // SAFETY: it only computes a size, which is 0 for channels that it does not know.
        let size = unsafe { opus_decoder_get_size(channels as c_int) };
        let units = usize::try_from(size).unwrap_or_default().div_ceil(size_of::<u128>());
        let mut decoder = Self { state: vec![0; units].into_boxed_slice(), channels };
        // SAFETY: the state is as large as libopus asks for, and nobody else has it. For channels that it does not know it returns
        // an error before it touches anything.
        let code = unsafe { opus_decoder_init(decoder.pointer(), SAMPLE_RATE as i32, channels as c_int) };
        if code != OPUS_OK {
            // SAFETY: it returns a string that is part of the program, for whatever number.
            let why = unsafe { CStr::from_ptr(opus_strerror(code)) }.to_string_lossy();
            return Err(SpeakerError::new(Code::Decode, format!("the Opus decoder can't be made: {why}")));
        }
        Ok(decoder)
    }

    /// Decodes a packet; returns the samples a channel. None if the packet is damaged or does not fit.
    pub fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> Option<usize> {
        self.call(packet.as_ptr(), size(packet), into, false)
    }

    /// Decodes what a packet repeats of the one before it, as much as there is room for.
    pub fn decode_repeated(&mut self, packet: &[u8], into: &mut [f32]) -> Option<usize> {
        self.call(packet.as_ptr(), size(packet), into, true)
    }

    /// Makes up what was lost, as much as there is room for: a multiple of [`STEP`].
    pub fn conceal(&mut self, into: &mut [f32]) -> Option<usize> {
        self.call(ptr::null(), 0, into, false)
    }

    /// Forgets what it has heard.
    pub fn reset(&mut self) {
        // SAFETY: the state is made, and the request takes nothing.
        unsafe { opus_decoder_ctl(self.pointer(), OPUS_RESET_STATE) };
    }

    /// How much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.state)
    }

    fn call(&mut self, packet: *const u8, size: i32, into: &mut [f32], fec: bool) -> Option<usize> {
        let room = c_int::try_from(into.len() / self.channels).unwrap_or(c_int::MAX);
        // SAFETY: the state is made, `packet` has `size` bytes or is null, and `into` has so much room.
        let samples =
            unsafe { opus_decode_float(self.pointer(), packet, size, into.as_mut_ptr(), room, c_int::from(fec)) };
        usize::try_from(samples).ok()
    }

    fn pointer(&mut self) -> *mut OpusDecoder {
        self.state.as_mut_ptr().cast()
    }
}
