//! AU, also called SND, by Sun and NeXT: a header of 24 bytes and a text, then samples, big-endian.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE,
    CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S32BE,
};

use super::blocks::{BlockLayout, Blocks, default_channels};
use super::body::SharedBody;
use super::decode::{FileDecoder, unsupported};
use super::{files, tags};
use crate::error::Result;

/// Six words: the magic number, the offset of the samples, their length in bytes, encoding, rate and channels.
const HEADER: usize = 24;

/// The longest text after the header.
const MAX_TEXT: u32 = 1 << 20;

/// The value of an unknown length.
const UNKNOWN: u32 = u32::MAX;

/// Returns true if `head` begins an AU file.
pub fn detect(head: &[u8]) -> bool {
    head.starts_with(b".snd") && word(head, 1).is_some_and(|start| (HEADER as u32..=MAX_TEXT).contains(&start))
}

/// Opens the file that begins here.
pub fn open(shared: &SharedBody) -> Result<Box<dyn FileDecoder>> {
    let mut body = shared.get();
    let header = body.peek(HEADER);
    let mut words = (1..HEADER / 4).map_while(|index| word(header, index));
    let mut next = || words.next().ok_or_else(|| unsupported("an AU file that ends in its header"));
    let (start, length, encoding, rate, channels) = (next()?, next()?, next()?, next()?, next()?);
    let (codec, bytes) = codec(encoding)
        .ok_or_else(|| unsupported(format!("an AU file in an encoding ({encoding}) that is not played")))?;
    let channels = default_channels(channels)?;
    body.skip(u64::from(start));
    let head = body.peek(tags::HEAD);
    let length = match length {
        UNKNOWN => None,
        // The writer never went back to its header, unless there really is nothing.
        0 if !files::detect(head) && !tags::detect(head) => None,
        length => Some(u64::from(length)),
    };
    drop(body);
    let bytes = bytes * channels.count() as u32;
    Ok(Box::new(Blocks::new(shared, &BlockLayout { codec, rate, channels, bytes, samples: 1 }, length)?))
}

/// Returns the codec of an encoding and the bytes per sample.
fn codec(encoding: u32) -> Option<(AudioCodecId, u32)> {
    Some(match encoding {
        1 => (CODEC_ID_PCM_MULAW, 1),
        2 => (CODEC_ID_PCM_S8, 1),
        3 => (CODEC_ID_PCM_S16BE, 2),
        4 => (CODEC_ID_PCM_S24BE, 3),
        5 => (CODEC_ID_PCM_S32BE, 4),
        6 => (CODEC_ID_PCM_F32BE, 4),
        7 => (CODEC_ID_PCM_F64BE, 8),
        27 => (CODEC_ID_PCM_ALAW, 1),
        _ => return None,
    })
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(4 * index..)?.first_chunk()?))
}
