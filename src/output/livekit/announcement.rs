//! The announcement of a track to the room: its id, its name and what it is like.

use super::encoder::Encoding;
use super::track::random;

/// The source that a track is announced with. A token may grant some sources alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrackSource {
    /// A voice.
    #[default]
    Microphone,
    /// The sound of a shared screen.
    ScreenShareAudio,
    /// Something else.
    Unknown,
}

impl TrackSource {
    /// As a grant spells it.
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
pub struct TrackTerms {
    /// Its name, if it has one of its own.
    pub name: Option<String>,
    /// The source that it is announced with.
    pub source: TrackSource,
}

#[derive(Debug, Clone)]
pub struct Announcement {
    /// By what its media line and its announcement find each other.
    pub cid: String,
    pub name: String,
    pub source: TrackSource,
    pub stereo: bool,
    pub dtx: bool,
    pub red: bool,
    pub muted: bool,
}

impl Announcement {
    /// Announces a track. One without a name of its own is named by its number: 0 `speaker`, 1 `app_audio`, 2 `tts`, n `track_<n>`.
    pub fn new(stream: u32, terms: TrackTerms, channels: usize, encoding: Encoding) -> Self {
        let name = terms.name.unwrap_or_else(|| match stream {
            0 => "speaker".to_owned(),
            1 => "app_audio".to_owned(),
            2 => "tts".to_owned(),
            other => format!("track_{other}"),
        });
        let Encoding { dtx, red, .. } = encoding;
        Self { cid: cid(stream), name, source: terms.source, stereo: channels == 2, dtx, red, muted: false }
    }

    /// Takes another id: the server may remember the old one.
    pub fn renew(&mut self, stream: u32) {
        self.cid = cid(stream);
    }
}

fn cid(stream: u32) -> String {
    format!("speaker-{stream}-{:08x}", random())
}
