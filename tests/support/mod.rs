//! Audio to play.

use std::io::Cursor;

/// Returns a 16-bit mono WAV of these samples at 48 kHz.
pub fn wav(samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("memory takes it");
    samples.into_iter().for_each(|sample| writer.write_sample(sample).expect("memory takes it"));
    writer.finalize().expect("memory takes it");
    bytes.into_inner()
}
