//! The targets of the fuzzer.

use std::path::Path;

use super::media::{self, Bench};
use super::run::{Failure, Seen};
use super::{broken, network, pipe, station, text, voice};

pub struct Target {
    pub name: &'static str,
    /// Valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Runs an input in one of the ways that `plan` numbers.
    pub run: fn(&[u8], u64, &mut Bench, &mut Seen) -> Result<(), Failure>,
}

macro_rules! files {
    ($($name:literal),+) => {
        [$(Target { name: $name, seeds: || files($name), run: media::file }),+]
    };
}

/// Every container with every codec that is supported in it.
static FILES: [Target; 20] = files![
    "wav",
    "within-wav",
    "w64",
    "au",
    "caf",
    "amr",
    "adpcm",
    "aiff",
    "mp3",
    "adts",
    "flac",
    "ogg-flac",
    "ogg-vorbis",
    "ogg-opus",
    "m4a-aac",
    "m4a-alac",
    "mp4",
    "webm",
    "matroska",
    "mpeg-ts"
];

static OTHERS: [Target; 13] = [
    Target { name: "icy", seeds: station::seeds, run: station::icy },
    Target { name: "probe", seeds: tagged, run: media::probed },
    Target { name: "he-aac", seeds: he_aac, run: media::file },
    Target { name: "raw", seeds: raw, run: media::raw },
    Target { name: "pipe", seeds: raw, run: pipe::run },
    Target { name: "redact", seeds: text::seeds, run: text::redact },
    Target { name: "rfc4571", seeds: network::framed, run: network::rfc4571 },
    Target { name: "turn", seeds: network::turn_seeds, run: network::turn },
    Target { name: "peer", seeds: network::peer_seeds, run: network::peer },
    Target { name: "dtls", seeds: network::dtls_seeds, run: network::dtls },
    Target { name: "data", seeds: network::data_seeds, run: network::data },
    Target { name: "signal", seeds: network::signal_seeds, run: network::signal },
    Target { name: "voice", seeds: voice::seeds, run: voice::run },
];

/// The target for testing the fuzzer, found by its name only.
pub static BROKEN: Target = Target { name: "broken", seeds: || vec![b"-".to_vec()], run: broken::run };

pub fn all() -> impl Iterator<Item = &'static Target> {
    FILES.iter().chain(&OTHERS)
}

/// Returns the seeds that `seeds/make.sh` made, and regressions.
fn files(name: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    for folder in ["seeds", "regressions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder).join(name);
        // Not every target has regressions.
        let files = folder.read_dir().into_iter().flatten();
        paths.extend(files.map(|file| file.expect("a file").path()));
    }
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("it is committed")).collect()
}

/// Returns HE-AAC in each container; in builds without the feature of that name it is played as far as they can.
fn he_aac() -> Vec<Vec<u8>> {
    fixtures("__test__/fixtures/he-aac", |name| name.starts_with('v') && !name.ends_with(".flac"))
}

/// Returns files with tags of every kind.
fn tagged() -> Vec<Vec<u8>> {
    fixtures("__test__/fixtures", |name| name.starts_with("tagged"))
}

fn fixtures(folder: &str, is_wanted: fn(&str) -> bool) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> =
        folder.read_dir().expect("it is committed").map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| is_wanted(&name.to_string_lossy())));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("it is committed")).collect()
}

/// Returns samples in 16 bits and in floats.
fn raw() -> Vec<Vec<u8>> {
    let samples = || (0..600_u32).map(|n| (n * 7_919 % 20_011) as i16 - 10_000);
    vec![
        samples().flat_map(i16::to_le_bytes).collect(),
        samples().flat_map(|sample| (f32::from(sample) / 32_768.0).to_le_bytes()).collect(),
    ]
}
