//! A voice, which is a playback in the mix: its reader, its gain, and the ramps at its edges.

use super::declick::Declick;
use super::duck::Role;
use super::levels::Levels;
use super::limiter::THRESHOLD;
use super::ramp::Ramp;
use super::scratch::Content;
use super::seam::Seam;
use super::sum::Sum;
use super::{MixerEvent, MixerEventKind};
use crate::audio::{EDGE_FADE, LOOK_AHEAD, RINGING, Samples};
use crate::ids::{MarkId, PlaybackId};
use crate::source::PcmReader;

/// An amount written to a stream since its last flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The number of bytes.
    pub bytes: u64,
    /// The place in the source where they end.
    pub place: Samples,
}

/// The reason why a voice fell silent for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The source has no more; its outcome tells an end from a failure.
    Source,
    /// It was stopped, and the fade is over.
    Stop,
    /// It reached the longest duration that a playback may have.
    Limit,
    /// It was silent for the whole stall timeout because its writer is behind.
    Stall,
}

impl AsMut<Voice> for Voice {
    fn as_mut(&mut self) -> &mut Voice {
        self
    }
}

/// A point where a voice ends or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    End(End),
    /// The declick fall is over: it is silent.
    Silent,
}

/// A playback in the mix.
pub struct Voice {
    /// The playback that it belongs to.
    pub id: PlaybackId,
    /// The track that it is summed into.
    pub track: u32,
    /// Its role, for ducking.
    pub role: Role,
    /// The reader that its samples come from.
    pub reader: PcmReader,
    /// Linear; 1 leaves every sample as it is, at 0 it plays on in silence.
    pub volume: Ramp,
    /// Linear, on top of the volume.
    pub gain: f32,
    /// The position at which it ends with [`End::Limit`].
    pub limit: Samples,
    /// The longest silence because its writer is behind; then it ends with [`End::Stall`].
    pub stall_timeout: Samples,
    /// The rise at its start: the fade-in of the request, or an edge where it begins inside its source. The source's own first
    /// sample is not softened.
    pub rise: Ramp,
    /// Samples between progress events; 0 for none.
    pub report_every: Samples,
    /// The time before its end at which the next playback may begin, to cross over with it: half of it at most. 0 if none may.
    pub lead: Samples,
    /// Marks in the samples of its reader.
    marks: Vec<(MarkId, Written)>,
    pub(super) state: State,
}

/// The changing state of a voice.
#[derive(Default)]
pub struct State {
    /// Samples per channel mixed.
    pub played: Samples,
    pub started: bool,
    /// [`EndApproaching`](MixerEventKind::EndApproaching) was reported.
    pub end_reported: bool,
    /// The lead of the playback that is next, if that is shorter: half of its length.
    pub lead: Option<Samples>,
    /// It was replaced: it goes on until its successor begins, and crosses over to that in so many samples.
    pub crosses_out: Option<Samples>,
    /// Its half of a crossfade that ends with its source.
    pub cross: Option<Ramp>,
    pub stop: Option<Ramp>,
    /// The edge before the end of its source, if that comes before the stop's.
    pub tail: Option<Ramp>,
    pub underrun: Option<Underrun>,
    /// The number of times that its source was not ready in time.
    pub underruns: u64,
    /// Joins it to its neighbours in a queue without a gap.
    pub seam: Option<Box<Seam>>,
    pub declick: Declick,
}

/// An underrun: silence from the end of a fall until the reader has samples again.
pub struct Underrun {
    pub fall: Ramp,
    /// The time for which it has been silent.
    pub silent: Samples,
    /// Its stall was reported, or this silence is no stall.
    pub stall_reported: bool,
    /// The samples ran out in the middle of the source.
    pub is_late: bool,
}

impl Underrun {
    /// Makes a silence from `here` on, which is no stall.
    pub fn silence(here: Samples, silent: Samples) -> Self {
        Self { fall: Ramp::edge(here, here), silent, stall_reported: true, is_late: false }
    }
}

impl Voice {
    /// Makes a voice that plays all of `reader` as it is, at full volume.
    pub fn new(id: PlaybackId, track: u32, reader: PcmReader) -> Self {
        let rise = Ramp::flat(1.0);
        let state = State::default();
        Self {
            id,
            track,
            role: Role::default(),
            reader,
            volume: Ramp::flat(1.0),
            gain: 1.0,
            limit: Samples::MAX,
            stall_timeout: Samples::MAX,
            rise,
            report_every: 0,
            lead: 0,
            marks: Vec::new(),
            state,
        }
    }

    /// Fades out and ends `fade` samples from here. Of two stops the one that ends first holds.
    pub fn stop(&mut self, fade: Samples) {
        self.stop_after(0, fade);
    }

    /// Stops with a fall that begins `after` samples from here. A fall that has begun is not changed by a later one.
    pub fn stop_after(&mut self, after: Samples, fade: Samples) {
        self.give_up_seek();
        let (here, end) = (self.state.played, self.fall_end(after.saturating_add(fade)));
        if self.state.stop.is_none_or(|stop| end < stop.end() && (after == 0 || here < stop.at)) {
            let begin = end.min(here.saturating_add(after));
            let from = self.state.stop.map_or(1.0, |stop| stop.level(here));
            self.state.stop = Some(Ramp { from, ..Ramp::fall(begin, end - begin) });
        }
    }

    /// Changes the volume over the next `fade` samples; at once while it stands still.
    pub fn set_volume(&mut self, volume: f32, fade: Samples) {
        self.volume =
            if self.is_frozen() { Ramp::flat(volume) } else { self.volume.toward(volume, self.state.played, fade) };
    }

    /// Goes on until another voice starts on its track, and then crosses over to that in `length` samples.
    pub fn cross_out(&mut self, length: Samples) {
        self.state.crosses_out = Some(length);
    }

    /// Follows another voice without a gap; `ringing` is the output of that voice's resampler beyond its end.
    pub fn follow(&mut self, ringing: Vec<f32>) {
        self.state.seam.get_or_insert_default().follow(ringing);
    }

    /// Prepares for another voice that follows without a gap; `ringing` is the output of that voice's resampler before its start.
    /// Returns false if it is too late for that, or its end is not known.
    pub fn lead_to(&mut self, ringing: &[f32], channels: usize) -> bool {
        let length = (ringing.len() / channels) as Samples;
        let Some(left) = self.source_left().filter(|left| *left >= length) else { return false };
        let from = self.state.played + left - length;
        self.state.seam.get_or_insert_default().lead_to(from, ringing.to_vec());
        true
    }

    /// Returns the samples left to the end of its source, if that is known and nothing ends it before.
    pub fn source_left(&self) -> Option<Samples> {
        if self.state.stop.is_some() || self.state.declick.is_paused || self.state.underrun.is_some() {
            return None;
        }
        self.left()
    }

    /// Returns the samples per channel mixed so far.
    pub fn played(&self) -> Samples {
        self.state.played
    }

    /// Returns the samples per channel that are decoded and not mixed yet.
    pub fn buffered(&self) -> Samples {
        self.reader.buffered().0 as Samples
    }

    /// Returns how often its source was not ready in time.
    pub fn underruns(&self) -> u64 {
        self.state.underruns
    }

    /// Returns its place in its source.
    pub fn place(&self) -> Samples {
        self.reader.position()
    }

    /// Replaces its marks. Ignored while another reader is on its way: then they stand in what that one reads.
    pub fn set_marks(&mut self, marks: Vec<(MarkId, Written)>) {
        if !self.state.declick.is_swapping() {
            self.marks = marks;
        }
    }

    /// Returns true if everything `written` was mixed, apart from what its resampler holds back for later samples.
    pub fn has_heard(&self, written: Written) -> bool {
        !self.state.declick.is_swapping()
            && (written.place <= self.reader.position_since_flush() || self.has_run_dry(written))
    }

    /// Returns true if it is silent because nothing more than `written` has come.
    fn has_run_dry(&self, written: Written) -> bool {
        let is_silent = self.state.underrun.as_ref().is_some_and(|underrun| underrun.silent > 0);
        is_silent && self.reader.has_delivered(written.bytes)
    }

    /// Returns the event of its next sample, if that is the first one or the first one after a pause.
    pub(super) fn on_first_sample(&mut self) -> Option<MixerEventKind> {
        if !std::mem::replace(&mut self.state.started, true) {
            return Some(MixerEventKind::Started);
        }
        self.take_resumed().then(|| MixerEventKind::Resumed(self.reader.position()))
    }

    /// Looks at the next `window` samples; returns the first boundary among them and its distance, if one is known.
    pub(super) fn prepare(&mut self, window: usize, underruns: &mut u64) -> Option<(usize, Boundary)> {
        let here = self.state.played;
        if self.is_silent_at(here) {
            self.finish_falls(here);
            if self.reader.is_ready() && !self.has_run_out() && !self.state.declick.is_waiting {
                self.state.underrun = None;
                self.state.declick.rise(here);
            }
        }
        let (waiting, ended) = self.reader.buffered();
        // The end of a reader that is about to be replaced is not the end of the playback.
        let is_over = ended && !self.state.declick.is_swapping();
        let source = if is_over { waiting as Samples } else { Samples::MAX };
        if source <= window as Samples {
            self.fade_tail(here + source);
        }
        let limit = self.limit - here;
        let mut stop = self.stop_end().map_or(Samples::MAX, |end| end - here);
        let mut shut = match self.state.declick.silent_from() {
            Samples::MAX => Samples::MAX,
            at => at.saturating_sub(here),
        };
        let needed = source.min(stop).min(limit).min(shut).min(window as Samples);
        // Underrun inside the window: fade out over the samples that are left rather than break off in a later frame.
        if !is_over && (waiting as Samples) < needed && self.state.underrun.is_none() {
            let fall = Ramp::edge(here, here + waiting as Samples);
            self.state.underrun = Some(Underrun { fall, silent: 0, stall_reported: false, is_late: !ended });
            if !ended {
                *underruns += 1;
                self.state.underruns += 1;
                self.reader.note_underrun();
            }
            if waiting == 0 {
                self.finish_falls(here);
            }
        }
        let mut stall = Samples::MAX;
        if let Some(Underrun { fall, silent, .. }) = &self.state.underrun {
            let fallen = fall.end().saturating_sub(here);
            stall = fallen.saturating_add(self.stall_timeout.saturating_sub(*silent));
            // From there on it plays nothing, so it would never reach its stop or the end of a fall.
            stop = if stop == Samples::MAX { stop } else { stop.min(fallen) };
            shut = if shut == Samples::MAX { shut } else { shut.min(fallen) };
        }
        let left = source.min(stop).min(limit).min(stall).min(shut);
        let boundary = match left {
            _ if left == stop => Boundary::End(End::Stop),
            _ if left == source => Boundary::End(End::Source),
            _ if left == limit => Boundary::End(End::Limit),
            _ if left == stall => Boundary::End(End::Stall),
            _ => Boundary::Silent,
        };
        (left <= window as Samples).then_some((left as usize, boundary))
    }

    /// Ends the falls under way: it is silent already.
    fn finish_falls(&mut self, here: Samples) {
        self.state.declick.finish_fall(here);
        self.state.stop = self.state.stop.map(|_| Ramp::edge(here, here));
    }

    /// Returns the position where its stop ends, if it was stopped.
    fn stop_end(&self) -> Option<Samples> {
        let State { stop, tail, .. } = &self.state;
        Some(stop.as_ref()?.end().min(tail.as_ref().map_or(Samples::MAX, Ramp::end)))
    }

    /// Adds its next samples to `sum` and moves on by `frames` of them; `over_time` are the levels of its role and its track over the
    /// session's time, which is `now`. Returns the content of these `frames`. Samples of a clip that `sum` may lend are not added
    /// if they and those behind them stay as they are and within full scale.
    pub(super) fn render(&mut self, sum: &mut Sum, frames: usize, over_time: [Ramp; 3], now: Samples) -> Content {
        let here = self.state.played;
        let room = sum.frames().min((self.audible_until() - here) as usize);
        let levels = self.levels(over_time, now);
        let plain = self.reader.unaltered();
        let clip = self.reader.clip().map(|(clip, place)| (clip.clone(), place));
        let peek = self.reader.peek(room);
        let (sounding, (first, second)) = (peek.frames(), peek.slices());
        let joined = self.state.seam.as_mut().and_then(|seam| seam.add(here, sum.channels(), first, second));
        let is_plain = joined.is_none() && plain >= frames as Samples && sounding >= frames;
        let (first, second) = joined.map_or((first, second), |joined| (joined, &[]));
        let gain = levels.flat(sounding);
        let content = match (clip, gain) {
            (Some((clip, place)), Some(gain)) if is_plain => Content::Clip(clip, place, gain),
            _ => Content::Other,
        };
        let is_lent = match &content {
            Content::Clip(clip, _, 1.0) if sum.may_lend => {
                // The limiter looks ahead at samples of the clip, or at silence, too.
                let is_its_own = plain >= sounding as Samples && clip.channels() == sum.channels();
                is_its_own && clip.peak() <= THRESHOLD
            }
            _ => false,
        };
        match gain {
            _ if is_lent => {}
            Some(gain) => sum.add(first, second, gain),
            None => sum.add_behind(first, second, |passed, gains| levels.gains(passed, gains)),
        }
        let taken = sounding.min(frames);
        peek.take(taken);
        self.state.played += taken as Samples;
        if let Some(underrun) = &mut self.state.underrun {
            underrun.silent += (frames - taken) as Samples;
            if underrun.is_late {
                self.reader.adapt_to_silence(underrun.silent);
            }
        }
        content
    }

    /// Returns the levels of its next samples.
    fn levels(&self, over_time: [Ramp; 3], now: Samples) -> Levels {
        let here = self.state.played;
        let open = Ramp::flat(1.0);
        // No edge if the source is known to end by then: its own end is not softened.
        let limit = match self.reader.remaining() {
            Some(left) if here + left <= self.limit => open,
            _ => Ramp::edge(self.limit.saturating_sub(EDGE_FADE as Samples), self.limit),
        };
        let State { stop, tail, underrun, cross, declick, .. } = &self.state;
        let [stop, tail, cross] = [*stop, *tail, *cross].map(|fall| fall.unwrap_or(open));
        let underrun = underrun.as_ref().map_or(open, |underrun| underrun.fall);
        let ramps = [self.volume, self.rise, limit, underrun, cross, declick.ramp];
        Levels { gain: self.gain, over_time, now, ramps, falls: [stop, tail], here }
    }

    /// Reports the events of the last step: marks, progress at every interval that was passed, and a stall once. `played` is the position
    /// where the step began, at session time `at`; it had `step` samples.
    pub(super) fn report(&mut self, played: Samples, at: Samples, step: usize, events: &mut Vec<MixerEvent>) {
        let id = self.id;
        if !self.marks.is_empty() {
            self.report_marks(played, at, step, events);
        }
        if let Some(silent) = self.stall() {
            let at = at + (step as Samples).saturating_sub(silent);
            events.push(MixerEvent { id, at, kind: MixerEventKind::Stalled(self.reader.position()) });
        }
        if self.report_every > 0 {
            for count in played / self.report_every + 1..=self.state.played / self.report_every {
                let reached = count * self.report_every;
                let place = self.reader.position_back(self.state.played - reached);
                events.push(MixerEvent { id, at: at + reached - played, kind: MixerEventKind::Progress(place) });
            }
        }
    }

    /// Reports the marks that the last step reached.
    fn report_marks(&mut self, played: Samples, at: Samples, step: usize, events: &mut Vec<MixerEvent>) {
        let mixed = self.state.played - played;
        let (here, silent) = (self.reader.position_since_flush(), step as Samples - mixed);
        let before = here - mixed;
        for (id, written) in std::mem::take(&mut self.marks) {
            let at = if written.place <= here {
                at + written.place.saturating_sub(before)
            } else if silent > 0 && self.has_run_dry(written) {
                at + mixed
            } else {
                self.marks.push((id, written));
                continue;
            };
            events.push(MixerEvent { id: self.id, at, kind: MixerEventKind::Marked(id) });
        }
    }

    /// Returns how long it has been silent because its writer is behind; once for each stall, after the step that found it.
    fn stall(&mut self) -> Option<Samples> {
        let underrun = self.state.underrun.as_mut()?;
        if underrun.stall_reported || underrun.silent == 0 || !self.reader.is_starved() {
            return None;
        }
        underrun.stall_reported = true;
        Some(underrun.silent)
    }

    /// Returns true if `frames` samples, or all that are left, are in its ring: if not, a manual clock waits. Where another playback may
    /// cross over with its end, that end must be in the ring too.
    pub(super) fn is_fed(&self, frames: usize) -> bool {
        if self.is_waiting() {
            // It takes no samples.
            return self.state.declick.is_fed();
        }
        let frames = frames + (LOOK_AHEAD + RINGING).max(self.reader.lookahead() / 2);
        let coming = self.reader.is_filling();
        let stop = self.stop_end().unwrap_or(Samples::MAX);
        // One sample beyond the limit is looked for: a source that is just as long as allowed ends by itself.
        let left = stop.min(self.limit.saturating_add(1)).min(self.state.declick.silent_from()) - self.state.played;
        let waits = match self.state.underrun {
            Some(_) if left > 0 => self.reader.is_ready(),
            _ => self.reader.buffered().0 as Samples >= left.min(frames as Samples),
        };
        (waits || !coming) && self.state.declick.is_fed()
    }

    /// Returns true if its reader is empty and another is on its way.
    fn has_run_out(&self) -> bool {
        self.state.declick.is_swapping() && self.reader.buffered() == (0, true)
    }

    fn audible_until(&self) -> Samples {
        let stop = self.stop_end().unwrap_or(Samples::MAX);
        let fallen = self.state.underrun.as_ref().map_or(Samples::MAX, |underrun| underrun.fall.end());
        stop.min(fallen).min(self.limit).min(self.state.declick.silent_from()).max(self.state.played)
    }

    /// Gives a stop whose fall would outlast its source an edge before `end`, where the source ends. The samples are the same whenever
    /// that is noticed. A stop that would begin only behind `end` leaves the source to its own end.
    fn fade_tail(&mut self, end: Samples) {
        let here = self.state.played;
        if self.state.tail.is_none() && self.state.stop.is_some_and(|stop| stop.at < end && stop.end() > end) {
            self.state.tail = Some(Ramp::edge(here, end));
        }
    }

    /// Returns the position where a fall over the next `length` samples ends: only samples that would still sound can be faded. It does not
    /// depend on how much is buffered, which depends on how fast the source loads.
    pub(super) fn fall_end(&self, length: Samples) -> Samples {
        self.audible_until().min(self.state.played.saturating_add(length))
    }
}
