//! A model of one playback as documented, sample by sample: no frames, no windows, no rings.

use speaker_session::internals::audio::Samples;

use crate::calls::Play;

/// The length of the fade at every edge: 5 ms.
const EDGE: Samples = 240;

/// A straight line between two levels, flat before and behind it.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub at: Samples,
    pub length: Samples,
    pub from: f32,
    pub to: f32,
}

impl Line {
    const fn flat(level: f32) -> Self {
        Self { at: 0, length: 0, from: level, to: level }
    }

    fn end(&self) -> Samples {
        self.at + self.length
    }

    pub fn level(&self, place: Samples) -> f32 {
        if place >= self.end() {
            self.to
        } else if place <= self.at {
            self.from
        } else {
            let part = (place - self.at) as f64 / self.length as f64;
            (f64::from(self.from) + (f64::from(self.to) - f64::from(self.from)) * part) as f32
        }
    }

    fn toward(&self, level: f32, here: Samples, length: Samples) -> Self {
        Self { at: here, length, from: self.level(here), to: level }
    }
}

/// The part of a source that is read: a section, a number of times.
#[derive(Debug, Clone)]
pub struct Reader {
    source: std::rc::Rc<Vec<f32>>,
    /// The place where each pass but the first begins, and where each ends.
    start: Samples,
    end: Samples,
    is_cut: bool,
    passes: u64,
    fade_out: Samples,
    /// The present pass, where it began, and the place of the next sample.
    pass: u64,
    from: Samples,
    at: Samples,
}

impl Reader {
    pub fn new(play: &Play) -> Self {
        let source: Vec<f32> = play.source().iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        let length = source.len() as Samples;
        let wanted = play.duration.map_or(Samples::MAX, |duration| play.start + duration);
        Self {
            source: std::rc::Rc::new(source),
            start: play.start,
            end: wanted.min(length),
            is_cut: wanted < length,
            passes: play.passes,
            fade_out: play.fade_out,
            pass: 0,
            from: play.start,
            at: play.start,
        }
    }

    /// Returns the same from another place: as many passes as are left.
    pub fn sought(&self, place: Samples) -> Self {
        let done = self.pass + u64::from(self.at >= self.end);
        let passes = self.passes.saturating_sub(done).max(1);
        Self { passes, pass: 0, from: place, at: place, ..self.clone() }
    }

    /// Returns the same from another place, before anything was played.
    pub fn sought_before(&self, place: Samples) -> Self {
        Self { from: place, at: place, ..self.clone() }
    }

    pub fn remaining(&self) -> Samples {
        let more = (self.passes - self.pass - 1).saturating_mul(self.end.saturating_sub(self.start));
        self.end.saturating_sub(self.at).saturating_add(more)
    }

    /// Returns true for a loop over nothing.
    pub fn is_hopeless(&self) -> bool {
        self.passes > 1 && self.end <= self.start
    }

    /// Returns the place of the next sample in the source.
    pub fn place(&self) -> Samples {
        if self.at < self.end {
            self.at
        } else if self.pass + 1 < self.passes {
            self.start
        } else {
            self.end
        }
    }

    fn next(&mut self) -> f32 {
        if self.at >= self.end {
            self.pass += 1;
            (self.from, self.at) = (self.start, self.start);
        }
        let sample = self.source[self.at as usize];
        let level = self.level_at_the_end();
        self.at += 1;
        sample * level
    }

    /// Returns the level of a cut end of the last pass, which fades out over 5 ms or the given length.
    fn level_at_the_end(&self) -> f32 {
        if self.pass + 1 < self.passes {
            return 1.0;
        }
        let longest = if self.is_cut { self.fade_out.max(EDGE) } else { self.fade_out };
        let length = longest.min(self.end.saturating_sub(self.from));
        let left = self.end - self.at;
        if left >= length { 1.0 } else { left as f32 / length as f32 }
    }
}

/// The event that a playback comes to at a sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    Started,
    Paused(Samples),
    Resumed(Samples),
    Sought(Samples),
    Progress(Samples),
    /// The position in samples, and the place.
    Completed(Samples, Samples),
    Stopped(Samples, Samples),
    TooLong(Samples, Samples),
    /// It sought back out of an empty section, which it came to again: a loop over nothing.
    NothingToLoop(Samples, Samples),
}

impl Turn {
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Completed(..) | Self::Stopped(..) | Self::TooLong(..) | Self::NothingToLoop(..))
    }
}

/// A playback that sounds.
pub struct Voice {
    reader: Reader,
    gain: f32,
    limit: Samples,
    progress: Samples,
    /// The samples so far.
    played: Samples,
    is_started: bool,
    volume: Line,
    rise: Line,
    declick: Line,
    /// The lowest and highest possible level of a stop: a fade that is longer than the rest of the source is bent down to its
    /// end at a sample that is not documented.
    stop: Option<(Line, Line)>,
    /// Set if the old place ran out during the fade-out for a seek.
    dry: Option<Line>,
    /// The silence since then, in samples: not documented, but within the 5 ms.
    silent: Samples,
    is_paused: bool,
    is_frozen: bool,
    resume_unreported: bool,
    /// The sought place: requested, and loaded.
    asked: Option<Reader>,
    next: Option<Reader>,
    /// Something happened whose samples or time are only known within bounds.
    pub is_vague: bool,
}

impl Voice {
    pub fn new(reader: Reader, play: &Play, volume: f32, gain: f32, limit: Samples, progress: Samples) -> Self {
        let edge = if reader.place() > 0 { EDGE } else { 0 };
        let rise = Line { at: 0, length: play.fade_in.max(edge), from: 0.0, to: 1.0 };
        Self {
            reader,
            gain: play.gain * gain,
            limit,
            progress,
            played: 0,
            is_started: false,
            volume: Line::flat(volume),
            rise,
            declick: Line::flat(1.0),
            stop: None,
            dry: None,
            silent: 0,
            is_paused: false,
            is_frozen: false,
            resume_unreported: false,
            asked: None,
            next: None,
            is_vague: false,
        }
    }

    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    fn silent_from(&self) -> Samples {
        if self.declick.to == 0.0 { self.declick.end() } else { Samples::MAX }
    }

    fn stop_end(&self) -> Samples {
        self.stop.map_or(Samples::MAX, |(_, high)| high.end())
    }

    /// Returns the end of a fade-out, which is at most the end of the sound.
    fn fall_end(&self, length: Samples) -> Samples {
        let dry = self.dry.map_or(Samples::MAX, |dry| dry.end());
        let audible = self.stop_end().min(dry).min(self.limit).min(self.silent_from()).max(self.played);
        audible.min(self.played + length)
    }

    pub fn ended(&self) -> Turn {
        Turn::Stopped(self.played, self.reader.place())
    }

    /// Stops it: at once if it stands still. A fade-out that begins later does not change one that is under way.
    pub fn stop(&mut self, after: Samples, fade: Samples) -> Option<Turn> {
        // Resumed, it waits in silence for the place that it seeks: nothing is left to fade.
        let waits = self.resume_unreported && self.asked.is_some();
        self.asked = None;
        if self.is_frozen || waits {
            return Some(self.ended());
        }
        let (here, end) = (self.played, self.fall_end(after + fade));
        let begin = end.min(here + after);
        let source_end = match self.next {
            None => here.saturating_add(self.reader.remaining()),
            Some(_) => Samples::MAX,
        };
        self.stop = match self.stop {
            Some(lines) if end >= lines.1.end() => Some(lines),
            Some(lines) if after > 0 && lines.1.at <= here => Some(lines),
            // Already bent down to the end of the source, or about to be: still between the two.
            Some((low, high)) if end >= source_end && high.at <= here => Some((low, high)),
            lines => {
                let (low, high) = lines.unwrap_or((Line::flat(1.0), Line::flat(1.0)));
                let high_fall = Line { at: begin, length: end - begin, from: high.level(here), to: 0.0 };
                let is_bent = end > source_end && begin < source_end;
                // One that was to begin later may be bent down already.
                let was_bent = high.end() > source_end && high.at < source_end;
                self.is_vague |= is_bent;
                let low_fall = match (was_bent, is_bent) {
                    (true, _) => Line::flat(0.0),
                    (false, true) => {
                        let at = begin.min(source_end.saturating_sub(EDGE)).max(here);
                        Line { at, length: source_end - at, from: low.level(here), to: 0.0 }
                    }
                    (false, false) => Line { from: low.level(here), ..high_fall },
                };
                Some((low_fall, high_fall))
            }
        };
        None
    }

    pub fn pause(&mut self) {
        self.is_paused = true;
        if std::mem::take(&mut self.resume_unreported) {
            // It was resumed, and no sample followed.
            self.is_frozen = true;
            self.declick = Line { at: self.played, ..Line::flat(0.0) };
        } else {
            self.fade_out();
        }
    }

    pub fn resume(&mut self) {
        self.resume_unreported |= std::mem::take(&mut self.is_frozen);
        // The fade-out of a seek goes on: the old place must not sound again.
        let falls_on = self.next.is_some() || self.asked.is_some() && !self.resume_unreported;
        if std::mem::take(&mut self.is_paused) && !falls_on {
            self.declick = self.declick.toward(1.0, self.played, EDGE);
        }
    }

    pub fn set_volume(&mut self, volume: f32, fade: Samples) {
        self.volume = if self.is_frozen { Line::flat(volume) } else { self.volume.toward(volume, self.played, fade) };
    }

    pub fn seek(&mut self, place: Samples) {
        self.asked = Some(self.reader.sought(place));
    }

    /// Takes the sought place, which is loaded, before time goes on.
    pub fn load(&mut self) -> Option<Turn> {
        let reader = self.asked.take().filter(|_| self.stop.is_none())?;
        self.next = Some(reader);
        if self.declick.level(self.played) == 0.0 {
            return self.swap_reader();
        }
        self.fade_out();
        None
    }

    fn fade_out(&mut self) {
        let (here, end) = (self.played, self.fall_end(EDGE));
        if self.silent_from() == Samples::MAX {
            self.declick = self.declick.toward(0.0, here, end - here);
        }
    }

    fn swap_reader(&mut self) -> Option<Turn> {
        self.reader = self.next.take()?;
        (self.dry, self.silent) = (None, 0);
        Some(Turn::Sought(self.reader.place()))
    }

    fn enter(&mut self, turns: &mut Vec<Turn>) {
        if !std::mem::replace(&mut self.is_started, true) {
            turns.push(Turn::Started);
        } else if std::mem::take(&mut self.resume_unreported) {
            turns.push(Turn::Resumed(self.reader.place()));
        }
    }

    /// Handles the events before its next sample, which is to be mixed now if `is_mixed`; `is_reported` is true if something
    /// was reported of it at this sample, which decides when it goes on if its old place ran out before it was silent. Returns true
    /// if it is over.
    pub fn turn(&mut self, is_mixed: bool, is_reported: bool, turns: &mut Vec<Turn>) -> bool {
        let mut is_mixed = is_mixed;
        while !self.is_frozen {
            let here = self.played;
            let is_dry = self.dry.is_some_and(|dry| dry.end() <= here);
            if is_dry && !is_reported && self.silent < EDGE {
                self.silent += Samples::from(is_mixed);
                return false;
            }
            if is_dry {
                let silence = Line { at: here, ..Line::flat(0.0) };
                self.declick = silence;
                self.stop = self.stop.map(|_| (silence, silence));
            }
            let left = self.stop_end().min(self.limit).min(self.silent_from()) - here;
            let remaining = self.reader.remaining();
            if self.next.is_some() && self.dry.is_none() && remaining < left {
                self.dry = Some(Line { at: here, length: remaining, from: 1.0, to: 0.0 });
                self.is_vague = true;
                continue;
            }
            let is_out = self.next.is_none() && remaining == 0;
            let falls = self.stop.is_some_and(|(_, high)| high.at < here);
            let end = if self.stop.is_some() && (self.stop_end() <= here || is_out && falls) {
                Some(self.ended())
            } else if is_out && self.reader.is_hopeless() {
                Some(Turn::NothingToLoop(here, self.reader.place()))
            } else if is_out {
                Some(Turn::Completed(here, self.reader.place()))
            } else if self.limit <= here {
                Some(Turn::TooLong(here, self.reader.place()))
            } else {
                None
            };
            let is_silent = self.silent_from() <= here || is_dry;
            if is_mixed || end.is_some() || is_silent {
                self.enter(turns);
                is_mixed = false;
            }
            if let Some(end) = end {
                turns.push(end);
                return true;
            }
            if !is_silent {
                return false;
            }
            turns.extend(self.swap_reader());
            if self.is_paused {
                self.is_frozen = true;
                turns.push(Turn::Paused(self.reader.place()));
            } else {
                self.declick = Line { at: here, length: EDGE, from: 0.0, to: 1.0 }
            }
        }
        false
    }

    /// Returns true if its old place ran out, and it is silent until it goes on from the next.
    pub fn is_dry(&self) -> bool {
        self.dry.is_some_and(|dry| dry.end() <= self.played)
    }

    /// Returns the bounds of its next sample.
    pub fn sample(&mut self, turns: &mut Vec<Turn>) -> (f32, f32) {
        let here = self.played;
        let limit = if here + self.reader.remaining() <= self.limit {
            Line::flat(1.0)
        } else {
            Line { at: self.limit.saturating_sub(EDGE), length: self.limit.min(EDGE), from: 1.0, to: 0.0 }
        };
        let dry = self.dry.unwrap_or(Line::flat(1.0));
        let level: f32 =
            [self.volume, self.rise, limit, self.declick, dry].iter().map(|line| line.level(here)).product();
        let (low, high) = self.stop.map_or((1.0, 1.0), |(low, high)| (low.level(here), high.level(here)));
        let sample = self.reader.next() * self.gain * level;
        self.played += 1;
        if self.progress > 0 && self.played.is_multiple_of(self.progress) {
            turns.push(Turn::Progress(self.reader.place()));
        }
        (sample * low, sample * high)
    }
}
