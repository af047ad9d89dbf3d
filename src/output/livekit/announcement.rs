//! The announcement of a track to the room: its id, its name and its properties.

use super::encoder::Encoding;
use super::track::random;

/// The source that a track is announced with. A token may grant only some sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrackSource {
    /// A microphone.
    #[default]
    Microphone,
    /// The sound of a shared screen.
    ScreenShareAudio,
    /// Something else.
    Unknown,
}

impl TrackSource {
    /// Returns the source's name in a grant.
    pub fn name(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::ScreenShareAudio => "screen_share_audio",
            Self::Unknown => "unknown",
        }
    }
}

/// The options of a track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackOptions {
    /// The name, unless it is the default one.
    pub name: Option<String>,
    /// The source that it is announced with.
    pub source: TrackSource,
}

#[derive(Debug, Clone)]
pub struct Announcement {
    /// The client id, which links the media line to the announcement.
    pub cid: String,
    pub name: String,
    pub source: TrackSource,
    pub stereo: bool,
    pub dtx: bool,
    pub red: bool,
    pub muted: bool,
}

impl Announcement {
    /// Creates the announcement of a track. Its default name depends on its number: 0 `speaker`, 1 `app_audio`, 2 `tts`, n `track_<n>`.
    pub fn new(stream: u32, options: TrackOptions, channels: usize, encoding: Encoding) -> Self {
        let name = options.name.unwrap_or_else(|| match stream {
            0 => "speaker".to_owned(),
            1 => "app_audio".to_owned(),
            2 => "tts".to_owned(),
            other => format!("track_{other}"),
        });
        let Encoding { dtx, red, .. } = encoding;
        Self { cid: cid(stream), name, source: options.source, stereo: channels == 2, dtx, red, muted: false }
    }

    /// Takes another client id, because the server may remember the old one.
    pub fn renew(&mut self, stream: u32) {
        self.cid = cid(stream);
    }
}

fn cid(stream: u32) -> String {
    format!("speaker-{stream}-{:08x}", random())
}
