//! The announcement of a track to the room: its id, its name and what it is like.

use super::encoder::Encoding;
use super::track::random;

#[derive(Debug, Clone)]
pub struct Announcement {
    /// By what its media line and its announcement find each other.
    pub cid: String,
    pub name: String,
    pub stereo: bool,
    pub dtx: bool,
    pub red: bool,
    pub muted: bool,
}

impl Announcement {
    /// Of a track called `name`, or by its number: 0 `speaker`, 1 `app_audio`, 2 `tts`, n `track_<n>`.
    pub fn new(stream: u32, name: Option<&String>, channels: usize, encoding: Encoding) -> Self {
        let name = name.cloned().unwrap_or_else(|| match stream {
            0 => "speaker".to_owned(),
            1 => "app_audio".to_owned(),
            2 => "tts".to_owned(),
            other => format!("track_{other}"),
        });
        let Encoding { dtx, red, .. } = encoding;
        Self { cid: cid(stream), name, stereo: channels == 2, dtx, red, muted: false }
    }

    /// Takes another id: the server may remember the old one.
    pub fn renew(&mut self, stream: u32) {
        self.cid = cid(stream);
    }
}

fn cid(stream: u32) -> String {
    format!("speaker-{stream}-{:08x}", random())
}
