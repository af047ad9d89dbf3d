//! What the actor sounds through: what loads, the mixer, the output and the clock.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use super::loading::Loading;
use super::{Clock, Options};
use crate::audio::{FRAME, Samples};
use crate::error::Result;
use crate::mixer::{Mixer, Notice, PlaybackId};
use crate::output::{Closing, News, Output, Pacer, Taps};
use crate::source::Progress;

/// Why the stage woke.
pub enum Wake {
    /// A frame is due.
    Frame,
    /// A source may have become ready.
    Source,
    News(News),
}

pub struct Stage {
    pub(super) options: Options,
    pub loading: Loading,
    pub mixer: Mixer,
    /// Ready, and their turn: they sound with the next sample that is mixed.
    pub(super) cued: Vec<PlaybackId>,
    pub(super) output: Option<Box<dyn Output>>,
    pub taps: Taps,
    pub pacer: Option<Pacer>,
    /// Frames that nobody took, and frames given up, in outputs that are closed.
    dropped: u64,
    lost: u64,
}

impl Stage {
    pub fn new(options: Options, progress: Arc<Progress>) -> Self {
        let mixer = Mixer::new(options.channels, options.output.routing(), options.duck);
        let loading = Loading::new(progress, options.channels, options.fetch_timeout);
        let taps = Taps::new(options.channels);
        Self { options, loading, mixer, cued: Vec::new(), output: None, taps, pacer: None, dropped: 0, lost: 0 }
    }

    pub fn is_connected(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.is_connected())
    }

    /// Waits for the next thing to do. Nothing is lost if the wait is given up.
    pub async fn wait(&mut self) -> Wake {
        let Self { pacer, output, loading, .. } = self;
        let due = async {
            match pacer {
                Some(pacer) => pacer.due().await,
                None => pending().await,
            }
        };
        let news = poll_fn(|context| output.as_mut().map_or(Poll::Pending, |output| output.poll(context)));
        tokio::select! {
            biased;
            () = due => Wake::Frame,
            news = news => Wake::News(news),
            () = loading.progress.notify.notified() => Wake::Source,
        }
    }

    /// Opens the output and starts the clock, once. `true` if this call did it.
    pub fn connect(&mut self) -> Result<bool> {
        if self.output.is_some() {
            return Ok(false);
        }
        let Options { output, channels, clock, .. } = &self.options;
        self.output = Some(output.open(*channels, &self.loading.progress)?);
        self.pacer = (*clock == Clock::Realtime).then(Pacer::start);
        Ok(true)
    }

    pub fn discard(&mut self, id: PlaybackId) {
        self.loading.discard(id);
        self.cued.retain(|cued| *cued != id);
    }

    /// Fades a voice out; at once where nothing can be heard anyway, since no frame would carry the fade.
    pub fn stop(&mut self, id: PlaybackId, fade: Samples) -> Option<Notice> {
        // What it seeks is not wanted any more.
        self.loading.discard(id);
        if !self.is_connected() {
            return self.mixer.end(id);
        }
        self.mixer.stop(id, fade)
    }

    /// Lets a voice fall silent and stand still; what was to begin does not.
    pub fn pause(&mut self, id: PlaybackId) -> Result<()> {
        self.cued.retain(|cued| *cued != id);
        self.mixer.pause(id);
        self.wake()
    }

    /// Lets it go on from another place, once that is loaded.
    pub fn seek(&mut self, id: PlaybackId, place: Samples) {
        self.cued.retain(|cued| *cued != id);
        if let Some(feed) = self.mixer.seek(id, place) {
            self.loading.sought(id, feed);
        } else {
            self.loading.seek(id, place);
        }
    }

    pub fn set_volume(&mut self, id: PlaybackId, volume: f32, fade: Samples) {
        self.loading.set_volume(id, volume);
        self.mixer.set_volume(id, volume, fade);
    }

    pub fn resume(&mut self, id: PlaybackId) -> Result<()> {
        self.mixer.resume(id);
        self.wake()
    }

    /// Lets a stream go on with what is written from now on.
    pub fn flush(&mut self, id: PlaybackId) -> Option<Notice> {
        // A cued one is cued again once it is ready again.
        self.cued.retain(|cued| *cued != id);
        self.loading.flush(id);
        self.mixer.flush(id)
    }

    /// Lets the next frame go out at once: it carries a fade.
    pub fn hasten(&mut self) {
        self.pacer.iter_mut().for_each(Pacer::hasten);
    }

    /// Stops the clock: what plays waits where it is.
    pub fn halt(&mut self) {
        self.pacer.iter_mut().for_each(Pacer::park);
    }

    /// Sets the clock going if something plays, or is cued and can begin.
    pub fn wake(&mut self) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let mut can_begin = output.is_connected() && !self.mixer.is_silent();
        for track in self.cued.iter().filter_map(|id| self.loading.ready(*id)) {
            can_begin |= output.prepare(self.mixer.stream_of(track))?;
        }
        let time = self.pacer.as_mut().filter(|_| can_begin).and_then(Pacer::wake);
        let behind = time.map_or(0, |time| time.saturating_sub(self.mixer.now()));
        self.skip(behind)
    }

    /// Whether nothing sounds or is about to.
    pub fn is_idle(&self) -> bool {
        self.cued.is_empty() && self.mixer.is_idle()
    }

    /// Whether the manual clock may move by `frames`: no source that is wanted loads, every voice is fed, and the output and
    /// the taps take more.
    pub fn may_move(&self, frames: usize) -> bool {
        self.loading.is_done()
            && self.mixer.is_fed(frames)
            && self.output.as_ref().is_none_or(|output| output.has_room())
            && self.taps.let_go_on()
    }

    /// Whether the clock waits, at this very sample, for a source that is wanted.
    pub fn must_wait(&self) -> bool {
        self.options.clock == Clock::Manual && !self.loading.is_done()
    }

    /// Samples to the next border between frames.
    pub fn to_border(&self) -> usize {
        FRAME - (self.mixer.now() % FRAME as Samples) as usize
    }

    /// Hands the mixed frame over, of so many samples.
    pub fn hand_over(&mut self, samples: usize) -> Result<()> {
        let Self { output: Some(output), taps, mixer, .. } = self else { return Ok(()) };
        let result = mixer.streams().try_for_each(|frame| {
            if output.write(&frame)? {
                taps.add(&frame);
            }
            Ok(())
        });
        taps.hand_over(samples as Samples);
        mixer.refill();
        let lost = self.pacer.as_mut().map_or(0, Pacer::step);
        result.and_then(|()| self.skip(lost))
    }

    /// Lets silent time pass.
    pub fn skip(&mut self, samples: Samples) -> Result<()> {
        if samples == 0 {
            return Ok(());
        }
        self.mixer.skip(samples);
        self.taps.skip(samples);
        self.output.as_mut().map_or(Ok(()), |output| output.skip(samples))
    }

    /// Parks the clock if nothing sounds. `Ok` also if there was nothing to park.
    pub fn rest(&mut self) -> Result<()> {
        let idle = self.is_idle();
        match (&mut self.pacer, &mut self.output) {
            (Some(pacer), Some(output)) if pacer.is_awake() && idle && output.may_rest() => {
                pacer.park();
                self.taps.rest();
                output.rest()
            }
            _ => Ok(()),
        }
    }

    /// Ends every voice at this sample.
    pub fn cut(&mut self) -> Vec<Notice> {
        self.loading.clear();
        self.cued.clear();
        self.mixer.cut()
    }

    /// Begins to close the output. `Some` if there was one.
    pub fn disconnect(&mut self) -> Option<Closing> {
        (self.dropped, self.lost) = (self.dropped_frames(), self.lost_frames());
        self.pacer = None;
        self.taps.rest();
        self.output.take().map(|mut output| output.close())
    }

    pub fn dropped_frames(&self) -> u64 {
        self.dropped + self.output.as_ref().map_or(0, |output| output.dropped())
    }

    pub fn lost_frames(&self) -> u64 {
        self.lost + self.pacer.as_ref().map_or(0, |pacer| pacer.lost)
    }
}
