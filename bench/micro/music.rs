//! The sound of the benchmarks: eight seconds of music, decoded once.

use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};

use speaker_session::internals::runtime::DECODERS;
use speaker_session::internals::source::{Clips, FetchLimits, Origin, Section, Source, make_clip};

/// The music as a clip, at 48 kHz.
pub static MUSIC: LazyLock<Arc<Clips>> = LazyLock::new(|| {
    let (sender, made) = channel();
    let source = Source::new(Origin::File(path("music.flac").into()), None, Section::default());
    let _making = make_clip(&DECODERS, source, 0, FetchLimits::default(), move |clips| _ = sender.send(clips));
    Arc::new(made.recv().expect("it is made").expect("the music can be decoded"))
});

/// Returns the path of an example.
pub fn path(name: &str) -> String {
    format!("{}/examples/audio/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns a second of the music in mono, from its middle.
pub fn second() -> Vec<f32> {
    MUSIC.of(1).samples()[3 * 48_000..][..48_000].to_vec()
}
