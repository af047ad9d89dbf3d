//! From loaded to sounding: what is ready and has its turn is cued, and begins with the next sample that is mixed, where its
//! stream is open and nothing that it follows is in its way.

use super::Options;
use super::command::Upcoming;
use super::stage::Stage;
use crate::audio::{EDGE_FADE, Samples};
use crate::error::Result;
use crate::mixer::{PlaybackId, Ramp, Voice};
use crate::source::Feed;

impl Stage {
    /// Cues a loaded playback: it sounds from the next sample on.
    pub fn cue(&mut self, id: PlaybackId) -> Result<()> {
        if self.loading.ready(id).is_none() || self.cued.contains(&id) {
            return Ok(());
        }
        self.cued.push(id);
        self.wake()
    }

    /// Starts what is cued where its stream is open, if `begin` still wants it.
    pub fn begin(&mut self, mut begin: impl FnMut(PlaybackId) -> bool) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let mut index = 0;
        while index < self.cued.len() {
            let id = self.cued[index];
            let track = self.loading.ready(id).expect("only what is ready is cued");
            let is_time = self.mixer.makes_way(track, self.loading.length(id));
            if !output.prepare(self.mixer.stream_of(track))? || !is_time {
                index += 1;
                continue;
            }
            self.cued.remove(index);
            let Some((playback, feed)) = begin(id).then(|| self.loading.take(id)).flatten() else { continue };
            let voice = voice(playback, feed, &self.options);
            self.mixer.start(voice);
        }
        Ok(())
    }
}

/// A voice for a playback, by its own wishes and the session's rules.
fn voice(playback: Upcoming, feed: Feed, options: &Options) -> Voice {
    // A cut that is made here gets an edge; a source's own first sample is left as it is.
    let edge = if feed.place() > 0 { EDGE_FADE as Samples } else { 0 };
    let lead = options.policy.lead().min(feed.ahead() as Samples);
    let mut voice = Voice::new(playback.id, playback.track, feed);
    voice.role = playback.role;
    voice.volume = Ramp::flat(playback.volume);
    voice.gain = playback.gain;
    voice.limit = options.max_duration;
    voice.rise = Ramp::rise(0, playback.fade_in.max(edge));
    voice.report_every = options.progress_interval;
    voice.lead = lead;
    voice.position = playback.position;
    voice.patience = match playback.stall_timeout {
        0 => Samples::MAX,
        limit => limit,
    };
    voice
}
