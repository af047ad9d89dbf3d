//! A target that fails in every way the fuzzer detects. It tests the fuzzer itself, because one that finds nothing proves nothing.

use std::hint::black_box;

use super::media::{Bench, MAX_SAMPLE};
use super::run::{Failure, Seen};

/// The first byte of an input, and the kind of failure that it has to be reported as.
pub const WAYS: &[(u8, &str)] = &[
    (b'o', "overflow"),
    (b'a', "abort"),
    (b'r', "reservation"),
    (b'm', "memory"),
    (b'h', "hang"),
    (b'p', "panic"),
    (b'w', "overstays"),
    (b's', "sample"),
];

pub fn run(input: &[u8], _plan: u64, bench: &mut Bench, seen: &mut Seen) -> Result<(), Failure> {
    match input.first() {
        Some(b'o') => bench.start(|| {
            black_box(deep(1 << 30));
        }),
        Some(b'a') => std::process::abort(),
        Some(b'r') => drop(black_box(Vec::<u8>::with_capacity(3 << 30))),
        Some(b'm') => drop(black_box(vec![1_u8; 80 << 20])),
        Some(b'h') => loop {
            std::hint::spin_loop();
        },
        Some(b'p') => panic!("on purpose"),
        Some(b'w') => bench.start(speaker_session::internals::runtime::suspend),
        Some(b's') => super::media::check_samples(&[0.0, 2.0 * MAX_SAMPLE])?,
        _ => {}
    }
    bench.run(seen);
    bench.is_clear()
}

fn deep(depth: u32) -> u32 {
    let local = black_box([depth; 64]);
    if depth == 0 { 0 } else { deep(depth - 1) + local[63] }
}
