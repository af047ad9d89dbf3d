//! The lower limit for `sessions.js`: libopus alone, encoding the frames of so many sessions. It runs in real time, since a processor that
//! wakes every 20 ms is slower than one that never sleeps, and each session starts at another position, since branch prediction learns
//! repeated work. Prints the CPU time of one session's encoding, as a part of a core. Arguments: a 16-bit mono WAV at 48 kHz, sessions, bit/s, complexity, seconds.

#![allow(clippy::print_stdout)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use opus::{Application, Bitrate, Channels, Encoder};

const FRAME: usize = 960;
const FRAME_TIME: Duration = Duration::from_millis(20);
/// The distance between the start positions of two sessions, in frames; as in session-load.js.
const APART: usize = 7;

fn main() {
    let [_, path, sessions, bitrate, complexity, seconds] =
        <[String; 6]>::try_from(std::env::args().collect::<Vec<_>>())
            .expect("FILE SESSIONS BITRATE COMPLEXITY SECONDS");
    let mut file = hound::WavReader::open(path).expect("a WAV file");
    let samples: Vec<f32> = file.samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect();
    let rounds = seconds.parse::<u32>().expect("seconds") * 50;

    let mut encoders: Vec<_> = (0..sessions.parse().expect("sessions"))
        .map(|_| {
            let mut encoder = Encoder::new(48_000, Channels::Mono, Application::LowDelay).unwrap();
            encoder.set_bitrate(Bitrate::Bits(bitrate.parse().expect("bit/s"))).unwrap();
            encoder.set_complexity(complexity.parse().expect("a complexity")).unwrap();
            encoder
        })
        .collect();
    let mut packet = [0; 1_275];
    let (start, busy) = (Instant::now(), busy());
    let frames: Vec<_> = samples.chunks_exact(FRAME).collect();
    for round in 1..=rounds {
        for (n, encoder) in encoders.iter_mut().enumerate() {
            let frame = frames[(round as usize + n * APART) % frames.len()];
            encoder.encode_float(frame, &mut packet).unwrap();
        }
        sleep((start + FRAME_TIME * round).saturating_duration_since(Instant::now()));
    }
    let busy = self::busy() - busy;
    println!("{}", busy.as_secs_f64() / (FRAME_TIME * rounds).as_secs_f64() / encoders.len() as f64);
}

/// Returns the CPU time of this thread so far.
fn busy() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
