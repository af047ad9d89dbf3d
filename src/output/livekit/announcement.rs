//! The announcement of a track to the room: its id, its name and what it is like.

use super::encoder::Encoding;
use super::track::random;

/// What a track is said to be. A grant may name those that may be published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrackSource {
    /// A voice.
    #[default]
    Microphone,
    /// What a shared screen sounds like.
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

/// What of a track is known before it is published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackTerms {
    /// If it has one of its own.
    pub name: Option<String>,
    /// What it is said to be.
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
    /// Of a track that has no name it is named by its number: 0 `speaker`, 1 `app_audio`, 2 `tts`, n `track_<n>`.
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
