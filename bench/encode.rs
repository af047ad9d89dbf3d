//! The bare limit of `sessions.js`: libopus alone, encoding the frames that a session sends. Prints the CPU time that one
//! stream takes, as a part of a core. Arguments: a 16-bit mono WAV at 48 kHz, bit/s, complexity, seconds of sound.

use std::time::Instant;

use opus::{Application, Bitrate, Channels, Encoder};

const FRAME: usize = 960; // 20 ms

fn main() {
    let [_, path, bitrate, complexity, seconds] =
        <[String; 5]>::try_from(std::env::args().collect::<Vec<_>>()).expect("FILE BITRATE COMPLEXITY SECONDS");
    let mut file = hound::WavReader::open(path).expect("a WAV file");
    let samples: Vec<f32> = file.samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect();
    let frames: Vec<_> = samples.chunks_exact(FRAME).collect();
    let count = seconds.parse::<usize>().expect("seconds") * 50;

    let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Audio).unwrap();
    encoder.set_bitrate(Bitrate::Bits(bitrate.parse().expect("bit/s"))).unwrap();
    encoder.set_complexity(complexity.parse().expect("a complexity")).unwrap();
    let mut packet = [0; 1_275];
    let start = Instant::now();
    for n in 0..count {
        encoder.encode_float(frames[n % frames.len()], &mut packet).unwrap();
    }
    println!("{}", start.elapsed().as_secs_f64() / (count as f64 / 50.0));
}
