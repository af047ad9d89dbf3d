//! libopus' encoder as a value that can be cloned, which the crate `opus` does not offer: `livekit/clip_packets.rs` needs encoders in the
//! middle of a clip. Only this file and `listen/decoder.rs` call libopus.

use std::ffi::{CStr, c_int};

use opusic_sys::{
    OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_OK, OPUS_SET_BITRATE_REQUEST, OPUS_SET_COMPLEXITY_REQUEST,
    OPUS_SET_DTX_REQUEST, OPUS_SET_VBR_REQUEST, OpusEncoder, opus_encode_float, opus_encoder_ctl,
    opus_encoder_get_size, opus_encoder_init, opus_strerror,
};

use super::failed;
use crate::audio::{SAMPLE_RATE, Samples};
use crate::error::Result;

/// The most bytes of a packet: the largest frame with its header (RFC 6716 §3.2.1).
pub const MAX_PACKET: usize = 1_275;

/// The delay of the encoder, 2.5 ms of CELT: its output lags behind its input by as much.
pub const LOOK_AHEAD: Samples = 120;

/// A cache line, the unit in which two encoder states are compared.
const LINE: usize = 64 / size_of::<u128>();

/// The difference of two encoder states: a fifth of a state below complexity 7, where most of it is never used.
pub struct StateDelta(Box<[(usize, [u128; LINE])]>);

impl StateDelta {
    /// Returns the memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

/// An encoder. `opus.h`: its state "is position independent and can be freely copied".
#[derive(Clone)]
pub struct Opus {
    /// In units with the alignment of `malloc`'s memory, a multiple of [`LINE`].
    state: Box<[u128]>,
    channels: usize,
}

impl Opus {
    /// Creates an encoder for 1 or 2 channels, with a bitrate in bit/s, a complexity of 0–10, and with DTX or without.
    pub fn new(channels: usize, bitrate: i32, complexity: i32, dtx: bool) -> Result<Self> {
        let fails = |code| failed("the Opus encoder can't be made", Self::error(code));
        // SAFETY: it only computes a size.
        let size = unsafe { opus_encoder_get_size(channels as c_int) };
        let units = usize::try_from(size).unwrap_or_default().div_ceil(LINE * size_of::<u128>()) * LINE;
        let mut opus = Self { state: vec![0; units].into_boxed_slice(), channels };
        // CELT at every bitrate: SILK, which Opus would use at 16 kbit/s, takes three times as long. This also shortens the delay by 4 ms,
        // because no samples are buffered for switching between the two.
        let application = OPUS_APPLICATION_RESTRICTED_LOWDELAY;
        // SAFETY: the state is as large as libopus asks for, and nobody else has it. For an unknown number of channels libopus asks for
        // nothing, and returns an error before it touches anything.
        let code = unsafe { opus_encoder_init(opus.pointer(), SAMPLE_RATE as i32, channels as c_int, application) };
        if code != OPUS_OK {
            return Err(fails(code));
        }
        for (request, value) in [
            (OPUS_SET_BITRATE_REQUEST, bitrate),
            (OPUS_SET_COMPLEXITY_REQUEST, complexity),
            (OPUS_SET_DTX_REQUEST, c_int::from(dtx)),
        ] {
            // SAFETY: the state is initialized, and each of these requests takes one integer.
            let code = unsafe { opus_encoder_ctl(opus.pointer(), request, value) };
            if code != OPUS_OK {
                return Err(fails(code));
            }
        }
        Ok(opus)
    }

    /// Makes every packet as large as the bitrate lets it be, of silence too.
    pub fn with_constant_bitrate(mut self) -> Result<Self> {
        // SAFETY: the state is initialized, and this request takes one integer.
        let code = unsafe { opus_encoder_ctl(self.pointer(), OPUS_SET_VBR_REQUEST, c_int::from(false)) };
        if code == OPUS_OK { Ok(self) } else { Err(failed("the Opus encoder can't be made", Self::error(code))) }
    }

    /// Encodes an interleaved frame. Returns the number of bytes written to `packet`.
    pub fn encode(&mut self, samples: &[f32], packet: &mut [u8]) -> Result<usize> {
        let frames = (samples.len() / self.channels) as c_int;
        let room = i32::try_from(packet.len()).unwrap_or(i32::MAX);
        // SAFETY: the state is initialized, `samples` has `frames` samples of each channel, and `packet` has `room` bytes.
        let length = unsafe { opus_encode_float(self.pointer(), samples.as_ptr(), frames, packet.as_mut_ptr(), room) };
        usize::try_from(length).map_err(|_| failed("a frame can't be encoded", Self::error(length)))
    }

    /// Returns the difference that turns `other` into this encoder.
    pub fn delta_from(&self, other: &Self) -> StateDelta {
        let lines = self.state.as_chunks().0.iter().zip(other.state.as_chunks().0).enumerate();
        StateDelta(
            lines.filter(|(_, (line, others))| line != others).map(|(index, (line, _))| (index, *line)).collect(),
        )
    }

    /// Applies a difference to this encoder.
    pub fn apply(&mut self, StateDelta(lines): &StateDelta) {
        let all = self.state.as_chunks_mut().0;
        lines.iter().for_each(|(index, line)| all[*index] = *line);
    }

    /// Returns the memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.state)
    }

    fn pointer(&mut self) -> *mut OpusEncoder {
        self.state.as_mut_ptr().cast()
    }

    fn error(code: c_int) -> impl std::fmt::Display {
        // SAFETY: it returns a static string for any number.
        unsafe { CStr::from_ptr(opus_strerror(code)) }.to_string_lossy()
    }
}

#[cfg(test)]
mod tests {
    use opusic_sys::OPUS_GET_LOOKAHEAD_REQUEST;

    use super::*;

    #[test]
    fn look_ahead_is_that_of_libopus() {
        for channels in [1, 2] {
            let mut opus = Opus::new(channels, 64_000, 5, false).unwrap();
            let mut look_ahead: c_int = 0;
            // SAFETY: the state is initialized, and this request takes a pointer to one integer.
            let code = unsafe { opus_encoder_ctl(opus.pointer(), OPUS_GET_LOOKAHEAD_REQUEST, &raw mut look_ahead) };
            assert_eq!((code, look_ahead as Samples), (OPUS_OK, LOOK_AHEAD));
        }
    }
}
