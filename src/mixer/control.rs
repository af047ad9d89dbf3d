//! What is done to voices from outside, between ticks.

use super::voice::{End, PlaybackId, Voice};
use super::{Mixer, Notice};
use crate::audio::Samples;
use crate::source::Feed;

impl Mixer {
    /// Fades a voice out over the next `fade` samples; one that stands still or is
    /// dormant ends at once, and one that is gone is none of
    /// ours.
    pub fn stop(&mut self, id: PlaybackId, fade: Samples) -> Option<Notice> {
        let voice = self.voice(id)?;
        if voice.is_held() || voice.is_dormant() {
            return self.end(id);
        }
        voice.stop(fade);
        None
    }

    /// Lets a voice go on until another starts on its track, and cross over to that in so many samples.
    pub fn leave(&mut self, id: PlaybackId, length: Samples) {
        self.voice(id).into_iter().for_each(|voice| voice.state.leaves = Some(length));
    }

    /// Ends a voice at this very sample, for time stands still.
    pub fn end(&mut self, id: PlaybackId) -> Option<Notice> {
        let index = self.voices.iter().position(|voice| voice.id == id)?;
        Some(Notice::ended(self.voices.remove(index), self.now, End::Stop))
    }

    /// Ends every voice at this very sample, and comes to rest.
    pub fn cut(&mut self) -> Vec<Notice> {
        let at = self.now;
        self.buses.clear();
        self.voices.drain(..).map(|voice| Notice::ended(voice, at, End::Stop)).collect()
    }

    /// Lets a voice fall silent and then stand still, which costs nothing.
    pub fn pause(&mut self, id: PlaybackId) {
        self.voice(id).into_iter().for_each(Voice::pause);
    }

    /// Lets it go on, at the next sample.
    pub fn resume(&mut self, id: PlaybackId) {
        self.voice(id).into_iter().for_each(Voice::resume);
    }

    /// Another feed of a voice, from another place; the voice goes on as it is until [`go_to`](Self::go_to) brings it.
    pub fn seek(&mut self, id: PlaybackId, place: Samples) -> Option<Feed> {
        self.voice(id)?.seek(place)
    }

    /// Lets a voice go on from another place once it has fallen silent; at once if it is.
    pub fn go_to(&mut self, id: PlaybackId, feed: Feed) -> Option<Notice> {
        let at = self.now;
        let what = self.voice(id)?.go_to(feed)?;
        Some(Notice { id, at, what })
    }

    /// Brings a voice to a volume, in a straight line over the next `fade` samples.
    pub fn set_volume(&mut self, id: PlaybackId, volume: f32, fade: Samples) {
        self.voice(id).into_iter().for_each(|voice| voice.set_volume(volume, fade));
    }

    /// Ends over 5 ms what waits of a stream, and lets it go on with what is written after its flush.
    pub fn flush(&mut self, id: PlaybackId) -> Option<Notice> {
        let at = self.now;
        let what = self.voice(id)?.flush()?;
        Some(Notice { id, at, what })
    }

    fn voice(&mut self, id: PlaybackId) -> Option<&mut Voice> {
        self.voices.iter_mut().find(|voice| voice.id == id)
    }
}
