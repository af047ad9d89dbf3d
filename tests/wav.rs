//! What an output that writes a file leaves behind when it is not closed as usual.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use speaker_session::output::{Output, OutputOptions, SampleFormat};
use speaker_session::reserved::ReservedPath;
use speaker_session::source::Progress;

const OLD: &[u8] = b"what was there";

/// A folder with `old.wav` in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("old.wav"), OLD).expect("there is room");
    folder
}

fn open(path: &Path) -> Box<dyn Output> {
    let path = Arc::new(ReservedPath::new(path.to_path_buf()));
    let options = OutputOptions::Wav { path, format: SampleFormat::S16 { dither: false }, keeps_unheard: true };
    options.open(1, &Arc::new(Progress::default())).expect("it can be written")
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder).expect("it is there").map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}

#[test]
fn an_output_that_is_given_up_leaves_nothing() {
    let folder = folder();
    for name in ["old.wav", "new.wav"] {
        let mut output = open(&folder.path().join(name));
        assert_eq!(names(folder.path()).len(), 2);
        output.give_up().now_or_never().expect("it ends at once").expect("it is removed");
        assert_eq!(names(folder.path()), [PathBuf::from("old.wav")]);
        assert_eq!(fs::read(folder.path().join("old.wav")).unwrap(), OLD);
    }
}

#[test]
fn an_output_that_is_dropped_leaves_a_whole_file_beside_the_old_one() {
    let folder = folder();
    let mut output = open(&folder.path().join("old.wav"));
    output.skip(480).expect("there is room");
    drop(output);
    assert_eq!(fs::read(folder.path().join("old.wav")).unwrap(), OLD);
    let part = fs::read(folder.path().join("old.wav.part")).expect("it is there");
    assert_eq!((part.len(), &part[40..44]), (44 + 960, &960_u32.to_le_bytes()[..]));
}
