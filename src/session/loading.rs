//! Playbacks on their way to the mixer: entered, opened, ready, and then taken.

use std::sync::Arc;
use std::time::Duration;

use super::command::Upcoming;
use crate::audio::Samples;
use crate::error::SpeakerError;
use crate::mixer::PlaybackId;
use crate::source::{self, Feed, Media, Progress};

/// What a source has become.
pub enum Loaded {
    Ready,
    Failed(SpeakerError),
}

struct Waiting {
    playback: Upcoming,
    feed: Option<Feed>,
    /// The registry knows that it can be played from.
    told: bool,
}

pub struct Loading {
    pub progress: Arc<Progress>,
    channels: usize,
    fetch_timeout: Duration,
    waiting: Vec<Waiting>,
    /// Other places of what plays.
    sought: Vec<(PlaybackId, Feed)>,
    /// To be opened as soon as they enter: the registry may say so while their command is still on its way.
    expected: Vec<PlaybackId>,
}

impl Loading {
    pub fn new(progress: Arc<Progress>, channels: usize, fetch_timeout: Duration) -> Self {
        let (waiting, sought, expected) = (Vec::new(), Vec::new(), Vec::new());
        Self { progress, channels, fetch_timeout, waiting, sought, expected }
    }

    pub fn enter(&mut self, playback: Upcoming) {
        let id = playback.id;
        self.waiting.push(Waiting { playback, feed: None, told: false });
        if let Some(index) = self.expected.iter().position(|expected| *expected == id) {
            self.expected.swap_remove(index);
            self.open(id);
        }
    }

    /// Starts loading.
    pub fn open(&mut self, id: PlaybackId) {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.playback.id == id) else {
            self.expected.push(id);
            return;
        };
        let Some(source) = waiting.playback.source.take() else { return };
        let clip = source.clip;
        let media = Arc::new(Media::new(source, self.fetch_timeout));
        waiting.feed = Some(source::open(media, clip, self.channels, self.progress.clone()));
    }

    /// Lets it begin at another place.
    pub fn seek(&mut self, id: PlaybackId, place: Samples) {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.playback.id == id) else { return };
        waiting.playback.source.iter_mut().for_each(|source| source.clip.from = place);
        waiting.feed = waiting.feed.take().and_then(|feed| feed.sought(place));
        waiting.told = false;
    }

    /// Waits for another place of what plays; for one at a time.
    pub fn sought(&mut self, id: PlaybackId, feed: Feed) {
        self.sought.retain(|(other, _)| *other != id);
        self.sought.push((id, feed));
    }

    pub fn set_volume(&mut self, id: PlaybackId, volume: f32) {
        let waiting = self.waiting.iter_mut().filter(|waiting| waiting.playback.id == id);
        waiting.for_each(|waiting| waiting.playback.volume = volume);
    }

    pub fn discard(&mut self, id: PlaybackId) {
        self.waiting.retain(|waiting| waiting.playback.id != id);
        self.sought.retain(|(sought, _)| *sought != id);
        self.expected.retain(|expected| *expected != id);
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
        self.sought.clear();
    }

    /// The next source that has become ready or failed since it was asked last: where the clock waits for sources, in
    /// order of arrival, or how fast each loads would change the order in which they are summed and told of.
    pub fn poll(&mut self) -> Option<(PlaybackId, Loaded)> {
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.told) {
            let Some(feed) = &waiting.feed else { continue };
            let coming = feed.is_coming();
            if !feed.is_ready() {
                match self.progress.eager && coming {
                    true => return None,
                    false => continue,
                }
            }
            waiting.told = true;
            let id = waiting.playback.id;
            // What came before a failure is played first; then the mixer tells.
            let failed = feed.outcome().and_then(|outcome| outcome.clone().err());
            return Some(match failed {
                Some(error) if feed.level().0 == 0 => {
                    self.discard(id);
                    (id, Loaded::Failed(error))
                }
                _ => (id, Loaded::Ready),
            });
        }
        None
    }

    /// Whether nothing that is wanted still loads: a stream does not while its writer has nothing at hand.
    pub fn is_done(&self) -> bool {
        let loads = |feed: &Feed| feed.is_coming() || feed.is_ready();
        let told = self.waiting.iter().all(|waiting| waiting.told || !waiting.feed.as_ref().is_some_and(loads));
        told && self.sought.is_empty()
    }

    /// Lets a stream load anew, from what is written after its flush.
    pub fn flush(&mut self, id: PlaybackId) {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.playback.id == id) else { return };
        if let Some(feed) = waiting.feed.as_ref().and_then(Feed::flushed) {
            waiting.feed = Some(feed);
            waiting.told = false;
        }
    }

    /// How many samples a playback that is ready has, if that is known.
    pub fn length(&self, id: PlaybackId) -> Option<Samples> {
        self.waiting.iter().find(|waiting| waiting.playback.id == id)?.feed.as_ref()?.left()
    }

    /// The next other place that can be played from; in order where the clock waits for sources.
    pub fn take_sought(&mut self) -> Option<(PlaybackId, Feed)> {
        let index = self.sought.iter().position(|(_, feed)| feed.is_ready())?;
        (index == 0 || !self.progress.eager).then(|| self.sought.remove(index))
    }

    /// The track of a playback that is ready.
    pub fn ready(&self, id: PlaybackId) -> Option<u32> {
        let waiting = self.waiting.iter().find(|waiting| waiting.playback.id == id && waiting.told)?;
        Some(waiting.playback.track)
    }

    /// Hands a ready playback over.
    pub fn take(&mut self, id: PlaybackId) -> Option<(Upcoming, Feed)> {
        let index = self.waiting.iter().position(|waiting| waiting.playback.id == id && waiting.told)?;
        let Waiting { playback, feed, .. } = self.waiting.remove(index);
        Some((playback, feed?))
    }
}
