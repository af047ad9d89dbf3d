//! What the actor sounds through: sources that load, the mixer, the output and the clock.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use super::command::Upcoming;
use super::{Clock, Options};
use crate::audio::{FRAME, Samples};
use crate::error::{Result, SpeakerError};
use crate::mixer::{Mixer, Notice, PlaybackId, Rise, Voice};
use crate::output::{Closing, News, Output, Pacer};
use crate::source::{self, Feed, Progress};

/// A source on its way to the mixer.
struct Waiting {
    playback: Upcoming,
    feed: Option<Feed>,
    /// The registry knows that it can be played from.
    told: bool,
}

/// Why the stage woke.
pub enum Wake {
    /// A frame is due.
    Frame,
    /// A source may have become ready.
    Source,
    News(News),
}

/// What a source has become.
pub enum Loaded {
    Ready,
    Failed(SpeakerError),
}

pub struct Stage {
    options: Options,
    pub progress: Arc<Progress>,
    pub mixer: Mixer,
    waiting: Vec<Waiting>,
    /// To be opened as soon as they enter: the registry may say so while their command is still on its way.
    expected: Vec<PlaybackId>,
    /// Ready, and their turn: they sound with the next sample that is mixed.
    cued: Vec<Voice>,
    output: Option<Box<dyn Output>>,
    pub pacer: Option<Pacer>,
    /// Frames that nobody took, and frames given up, in outputs that are closed.
    dropped: u64,
    lost: u64,
}

impl Stage {
    pub fn new(options: Options) -> Self {
        let progress = Progress { eager: options.clock == Clock::Manual, ..Progress::default() };
        let mixer = Mixer::new(options.channels, options.output.routing());
        Self {
            options,
            progress: Arc::new(progress),
            mixer,
            waiting: Vec::new(),
            expected: Vec::new(),
            cued: Vec::new(),
            output: None,
            pacer: None,
            dropped: 0,
            lost: 0,
        }
    }

    pub fn is_connected(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.is_connected())
    }

    /// Waits for the next thing to do. Nothing is lost if the wait is given up.
    pub async fn wait(&mut self) -> Wake {
        let Self { pacer, output, progress, .. } = self;
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
            () = progress.notify.notified() => Wake::Source,
        }
    }

    /// Opens the output and starts the clock, once. `true` if this call did it.
    pub fn connect(&mut self) -> Result<bool> {
        if self.output.is_some() {
            return Ok(false);
        }
        let Options { output, channels, clock, .. } = &self.options;
        let realtime = *clock == Clock::Realtime;
        self.output = Some(output.open(*channels, realtime, &self.progress)?);
        self.pacer = realtime.then(Pacer::start);
        Ok(true)
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
        let Options { channels, fetch_timeout, .. } = self.options;
        let source = waiting.playback.source.take();
        waiting.feed = source.map(|source| source::open(source, channels, fetch_timeout, self.progress.clone()));
    }

    pub fn discard(&mut self, id: PlaybackId) {
        self.waiting.retain(|waiting| waiting.playback.id != id);
        self.expected.retain(|expected| *expected != id);
        self.cued.retain(|voice| voice.id != id);
    }

    /// The next source that has become ready or failed since it was asked last: on a manual clock in order of arrival,
    /// or how fast each loads would change the order in which they are summed and told of.
    pub fn poll(&mut self) -> Option<(PlaybackId, Loaded)> {
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.told) {
            let Some(feed) = &waiting.feed else { continue };
            if !feed.is_ready() {
                match self.options.clock {
                    Clock::Manual => return None,
                    Clock::Realtime => continue,
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

    /// Cues a loaded playback: it sounds from the next sample on.
    pub fn cue(&mut self, id: PlaybackId) -> Result<()> {
        let Some(index) = self.waiting.iter().position(|waiting| waiting.playback.id == id) else { return Ok(()) };
        let Waiting { playback, feed: Some(feed), .. } = self.waiting.remove(index) else { return Ok(()) };
        let mut voice = Voice::new(id, playback.track, feed);
        voice.gain = playback.gain;
        voice.limit = self.options.max_duration;
        voice.rise = Rise { from: 0, length: playback.fade_in };
        voice.report_every = self.options.progress_interval;
        voice.position = playback.position;
        self.cued.push(voice);
        self.wake()
    }

    /// Starts what is cued where its stream is open, if `begin` still wants it.
    pub fn begin(&mut self, mut begin: impl FnMut(PlaybackId) -> bool) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let mut index = 0;
        while index < self.cued.len() {
            if !output.prepare(self.mixer.stream_of(self.cued[index].track))? {
                index += 1;
                continue;
            }
            let voice = self.cued.remove(index);
            if begin(voice.id) {
                self.mixer.start(voice);
            }
        }
        Ok(())
    }

    /// Fades a voice out; at once where nothing can be heard anyway, since no frame would carry the fade.
    pub fn stop(&mut self, id: PlaybackId, fade: Samples) -> Option<Notice> {
        if !self.is_connected() {
            return self.mixer.end(id);
        }
        self.mixer.stop(id, fade);
        None
    }

    /// Stops the clock: what plays waits where it is.
    pub fn pause(&mut self) {
        self.pacer.iter_mut().for_each(Pacer::park);
    }

    /// Sets the clock going if something plays, or is cued and can begin.
    pub fn wake(&mut self) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let mut can_begin = output.is_connected() && !self.mixer.is_silent();
        for voice in &self.cued {
            can_begin |= output.prepare(self.mixer.stream_of(voice.track))?;
        }
        let time = self.pacer.as_mut().filter(|_| can_begin).and_then(Pacer::wake);
        let behind = time.map_or(0, |time| time.saturating_sub(self.mixer.now()));
        self.skip(behind)
    }

    /// Whether nothing sounds or is about to.
    pub fn is_idle(&self) -> bool {
        self.cued.is_empty() && self.mixer.is_idle()
    }

    /// Whether the manual clock may move by `frames`: no source that is wanted loads, every voice is fed, and the output
    /// takes more.
    pub fn may_move(&self, frames: usize) -> bool {
        let loaded = self.waiting.iter().all(|waiting| waiting.told || waiting.feed.is_none());
        loaded && self.mixer.is_fed(frames) && self.output.as_ref().is_none_or(|output| output.has_room())
    }

    /// Samples to the next border between frames.
    pub fn to_border(&self) -> usize {
        FRAME - (self.mixer.now() % FRAME as Samples) as usize
    }

    /// Hands the mixed frame over.
    pub fn hand_over(&mut self) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let result = self.mixer.streams().try_for_each(|frame| output.write(&frame));
        self.mixer.refill();
        let lost = self.pacer.as_mut().map_or(0, Pacer::step);
        result.and_then(|()| self.skip(lost))
    }

    /// Lets silent time pass.
    pub fn skip(&mut self, samples: Samples) -> Result<()> {
        if samples == 0 {
            return Ok(());
        }
        self.mixer.skip(samples);
        self.output.as_mut().map_or(Ok(()), |output| output.skip(samples))
    }

    /// Parks the clock if nothing sounds. `Ok` also if there was nothing to park.
    pub fn rest(&mut self) -> Result<()> {
        let idle = self.is_idle();
        match (&mut self.pacer, &mut self.output) {
            (Some(pacer), Some(output)) if pacer.is_awake() && idle && output.may_rest() => {
                pacer.park();
                output.rest()
            }
            _ => Ok(()),
        }
    }

    /// Ends every voice at this sample.
    pub fn cut(&mut self) -> Vec<Notice> {
        self.waiting.clear();
        self.cued.clear();
        self.mixer.cut()
    }

    /// Begins to close the output. `Some` if there was one.
    pub fn disconnect(&mut self) -> Option<Closing> {
        (self.dropped, self.lost) = (self.dropped_frames(), self.lost_frames());
        self.pacer = None;
        self.output.take().map(|mut output| output.close())
    }

    pub fn dropped_frames(&self) -> u64 {
        self.dropped + self.output.as_ref().map_or(0, |output| output.dropped())
    }

    pub fn lost_frames(&self) -> u64 {
        self.lost + self.pacer.as_ref().map_or(0, |pacer| pacer.lost)
    }
}
