//! Time: the tick that mixes a frame, the steps of the manual clock, and the deadlines.
//!
//! Order of a tick: start what is ready → mix to the end of the frame, or to where a voice ends or nears its end → advance the lines
//! → again. The events of a frame are held until [`Session::commit`] reports that it was handed over.

use super::hearing::Unheard;
use super::line::Waiting;
use super::outbox::Garbage;
use super::output_state::Connection;
use super::playbacks::{Loadable, Loading, Request, Sounding, Stopping};
use super::policy::Overlap;
use super::{Clock, GaplessJoin, Session, Stats, WallTime};
use crate::audio::{EDGE_FADE, FRAME, LOOK_AHEAD, RINGING, Samples, to_ms};
use crate::error::{Code, Result, SpeakerError};
use crate::event::EventKind;
use crate::ids::PlaybackId;
use crate::mixer::{End, Mixer, MixerEvent, MixerEventKind, Scratch};
use crate::source::{NowPlaying, Opening, PcmReader};

/// The reason in `stopped` events when the session was closed.
pub(super) const CLOSED: &str = "closed";

/// The demand of a realtime session on its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Frames are due: something sounds, or is ready to start.
    Run,
    /// The clock goes on as before.
    Keep,
    /// Nothing sounds and no limiter recovers: the clock may rest.
    Rest,
    /// Time stands still until the connection is restored.
    Halt,
}

/// The result of a step of the manual clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A frame of so many samples is in the scratch: the driver hands it over and commits.
    Frame(usize),
    /// So much silence passed: the driver hands it over and commits.
    Silence(Samples),
    /// The clock waits for a source, the output or a reader of it.
    Waits,
    /// There is no time to advance.
    Done,
}

/// The counts of the output's owner.
#[derive(Debug, Default, Clone, Copy)]
pub struct DriverCounts {
    /// Frames that the output or its reader dropped.
    pub dropped_frames: u64,
    /// Frames that were mixed only when the next one was due.
    pub late_frames: u64,
    /// Frames that were skipped because the process was halted.
    pub lost_frames: u64,
    /// Packets that were sent as encoded for another session, or for this one before.
    pub shared_packets: u64,
    /// The delay of the last frame, if it was late.
    pub late: Samples,
}

impl Session {
    /// Handles what time brings in real time: late starts, failures, seeks, expired waits, and the end of a drain.
    pub fn pass_time(&mut self, at: WallTime) {
        self.wall = at;
        if self.playbacks.are_all_sounding() {
            self.complete_seeks();
        } else {
            self.fail_late_starts(at);
            self.check_sources(at);
            self.expire(at);
        }
        self.end_drain(at);
    }

    /// Returns when [`pass_time`](Self::pass_time) is to be called next, if nothing moves before.
    pub fn next_deadline(&self) -> Option<WallTime> {
        if self.playbacks.are_all_sounding() {
            return self.drain_deadline();
        }
        self.deadline().into_iter().chain(self.start_deadline()).chain(self.hold_deadline()).min()
    }

    /// Fails playbacks whose wait for their turn has expired.
    pub fn expire(&mut self, at: WallTime) {
        self.wall = at;
        let wall = self.wall();
        if self.line_deadline().is_none_or(|deadline| deadline > wall) {
            return;
        }
        let tracks: Vec<u32> = self.playbacks.lines.keys().copied().collect();
        for track in tracks {
            let mut expired = false;
            while let Some(waiting) = self.playbacks.line(track).expire(wall) {
                expired = true;
                let message =
                    format!("Expected a turn within {} ms (queueTimeoutMs) but received none", to_ms(waiting.timeout));
                let position_ms = to_ms(waiting.position());
                let event = EventKind::Failed {
                    code: Code::QueueTimeout,
                    message,
                    cause: None,
                    duration_ms: 0.0,
                    position_ms,
                    unheard_ms: 0.0,
                };
                self.note_end(&waiting.request, event);
                self.outbox.garbage.push(Garbage::Waiting(Box::new(waiting)));
            }
            if expired {
                self.update_line(track);
            }
        }
    }

    /// Returns when [`expire`](Self::expire) or [`end_drain`](Self::end_drain) is to be called next.
    pub fn deadline(&self) -> Option<WallTime> {
        self.line_deadline().into_iter().chain(self.drain_deadline()).min()
    }

    fn line_deadline(&self) -> Option<WallTime> {
        self.playbacks.lines.values().filter_map(|line| line.deadline()).min()
    }

    /// Returns the demand on a realtime clock. Requests the streams of playbacks that could start.
    pub fn pace(&mut self) -> Pace {
        let mut starts = false;
        let wall = self.wall();
        for loading in self.playbacks.loading.iter().filter(|loading| loading.is_playable()) {
            let stream = self.mixer.stream_of(loading.request.track);
            let takes = self.output.takes(stream, &mut self.outbox);
            starts |= takes && loading.can_start(wall) && !self.output.pauses(stream);
        }
        match self.output.connection {
            Connection::Cut { is_halted: true } => Pace::Halt,
            Connection::Open if starts || self.is_continuous() => Pace::Run,
            Connection::Open if !Mixer::is_silent(&mut self.playbacks.sounding) => Pace::Run,
            _ if !starts && self.mixer.is_idle(&mut self.playbacks.sounding) => Pace::Rest,
            _ => Pace::Keep,
        }
    }

    /// Mixes `samples` (at most [`FRAME`]) into `scratch`. Returns the number mixed, which is smaller on the manual clock when a source is
    /// due in the middle of the frame, or a drain ends there. The events are held until [`commit`](Self::commit).
    pub fn tick(&mut self, samples: usize, at: WallTime, scratch: &mut Scratch) -> usize {
        self.wall = at;
        self.outbox.hold();
        self.mixer.begin(samples, scratch);
        self.join_ends(samples);
        loop {
            // A playback whose turn comes where the frame ends begins with the next frame.
            if !self.mixer.is_full() {
                self.start_ready();
            }
            if self.must_wait() || self.is_eager() && self.drain_deadline().is_some() && self.is_drained() {
                break;
            }
            let more = self.mixer.mix(&mut self.playbacks.sounding, scratch, &mut self.mixer_events);
            self.handle_mixer_events();
            if !more {
                break;
            }
        }
        self.emit_metadata();
        for sounding in &self.playbacks.sounding {
            self.outbox.wakes.extend(sounding.voice.reader.refill());
        }
        self.mixer.finish(scratch)
    }

    /// Emits the metadata that sources have for the sound of this frame.
    fn emit_metadata(&mut self) {
        let mut found = Vec::new();
        for Sounding { request, voice, .. } in &self.playbacks.sounding {
            while let Some(metadata) = voice.reader.take_metadata() {
                found.push((request.clone(), metadata));
            }
        }
        for (request, NowPlaying { title, url, station }) in found {
            self.note(Some(&request), EventKind::Metadata { title, url, station });
        }
    }

    /// Joins a playback that ends in this frame, or within the look-ahead, to the next in line: one goes over into the other as if they
    /// were one file.
    fn join_ends(&mut self, frames: usize) {
        let now = self.now();
        self.gapless_joins.retain(|join| join.at == now);
        if self.options.policy.crossfade > 0 {
            return;
        }
        let Self { playbacks, options, .. } = self;
        let reach = (frames + LOOK_AHEAD + RINGING) as Samples;
        for index in 0..playbacks.sounding.len() {
            let sounding = &playbacks.sounding[index];
            let Request { id, track, .. } = sounding.request;
            if sounding.voice.source_left().is_none_or(|left| left > reach) || sounding.stopping.is_some() {
                continue;
            }
            let Some(next) = playbacks.lines.get(&track).and_then(|line| line.get(line.first()?)) else { continue };
            let Some(Loadable::Reading(reader)) = &next.ahead else { continue };
            let is_next = !next.is_paused && reader.is_ready() && !playbacks.is_active_beside(track, Some(id));
            let is_alike = next.request.sounds_as(&sounding.request) && reader.gain() == sounding.voice.reader.gain();
            if !is_next || !is_alike || sounding.joined == Some(next.request.id) {
                continue;
            }
            let Some(ringing) = reader.pre_ring().filter(|ringing| !ringing.is_empty()).map(<[f32]>::to_vec) else {
                continue;
            };
            let next = next.request.id;
            let sounding = &mut playbacks.sounding[index];
            if sounding.voice.lead_to(&ringing, options.channels) {
                sounding.joined = Some(next);
            }
        }
    }

    /// Releases the events of a frame that was handed over. If it was not, the playbacks that it completed fail, with everything live.
    pub fn commit(&mut self, result: Result<()>, counts: DriverCounts) {
        let DriverCounts { dropped_frames, late_frames, lost_frames, shared_packets, late } = counts;
        let newly_late = late_frames.saturating_sub(self.stats.late_frames) as u32;
        let newly_lost = lost_frames.saturating_sub(self.stats.lost_frames) as u32;
        let overloaded = self.overload.count(self.wall, newly_late, newly_lost, late);
        self.stats = Stats { dropped_frames, late_frames, lost_frames, shared_packets, ..self.stats };
        let retracted = result.as_ref().err().map_or(0, |error| self.outbox.retract(error));
        self.stats.completed -= retracted;
        self.stats.failed += retracted;
        if let Err(error) = &result {
            self.counts.failures.extend((0..retracted).map(|_| error.code));
        }
        self.outbox.release();
        if let Some(kind) = overloaded {
            self.note(None, kind);
        }
        match result {
            Ok(()) => self.output.succeeded(),
            Err(error) => self.output_failed(&error),
        }
    }

    /// Advances over silent time.
    pub fn skip(&mut self, samples: Samples) {
        self.mixer.skip(&mut self.playbacks.sounding, samples);
    }

    /// Makes everything fall silent in the next frame, because the process was halted, and take no samples until
    /// [`fade_in_after_halt`](Self::fade_in_after_halt).
    pub fn fade_out_for_halt(&mut self) {
        self.playbacks.sounding.iter_mut().for_each(|sounding| sounding.voice.fade_out_for_halt());
    }

    /// Makes everything rise again after a halt.
    pub fn fade_in_after_halt(&mut self) {
        for sounding in &mut self.playbacks.sounding {
            sounding.voice.fade_in_after_halt();
        }
    }

    /// Returns true if a voice can be heard.
    pub fn is_sounding(&mut self) -> bool {
        self.output.is_open() && !Mixer::is_silent(&mut self.playbacks.sounding)
    }

    /// Takes one step of the manual clock, and leaves the frame to hand over in `scratch`.
    pub fn step(&mut self, at: WallTime, takes_more: bool, scratch: &mut Scratch) -> Step {
        loop {
            let now = self.now();
            self.check_sources(at);
            let Some(left) = self.time_wanted() else { return Step::Done };
            // How fast a sought place loads must not decide between calls at one time, nor come before a failure: seeks are completed only
            // while time is to pass, and once everything else is loaded.
            if self.playbacks.opened().any(|(_, source)| source.is_loading()) {
                return Step::Waits;
            }
            self.complete_seeks();
            self.expire(at);
            if self.end_drain(at) {
                return Step::Done;
            }
            let limit = self.deadline().map_or(left, |WallTime(deadline)| left.min(deadline.saturating_sub(now)));
            let to_border = FRAME - (now % FRAME as Samples) as usize;
            let frames = to_border.min(limit as usize);
            let is_open = self.output.connection == Connection::Open;
            if !is_open || !takes_more || !self.is_done() || !Mixer::is_fed(&mut self.playbacks.sounding, frames) {
                return Step::Waits;
            }
            // Only now, at the end of the time: everything requested before has loaded or failed when `advance` resolves.
            if left == 0 {
                let advance = self.advances.pop_front();
                if let Some(advance) = advance {
                    self.outbox.settle(advance.ticket, None);
                }
                continue;
            }
            let is_silence = !self.can_start() && self.mixer.is_idle(&mut self.playbacks.sounding);
            if is_silence && !self.is_continuous() {
                self.outbox.hold();
                self.skip(limit);
                self.pass(limit);
                return Step::Silence(limit);
            }
            let mixed = self.tick(frames, at, scratch);
            self.pass(mixed as Samples);
            return Step::Frame(mixed);
        }
    }

    fn pass(&mut self, samples: Samples) {
        if let Some(advance) = self.advances.front_mut() {
            advance.left -= samples;
        }
    }

    /// Returns true if the output takes silence as it takes sound.
    fn is_continuous(&self) -> bool {
        self.options.is_continuous || self.output.has_audience()
    }

    fn can_start(&self) -> bool {
        let is_held = |loading: &Loading| self.output.pauses(self.mixer.stream_of(loading.request.track));
        let wall = self.wall();
        self.playbacks.loading.iter().any(|loading| loading.can_start(wall) && !is_held(loading))
    }

    /// Returns true if no wanted source is loading. A stream whose writer is behind does not count.
    fn is_done(&self) -> bool {
        self.playbacks.opened().all(|(_, source)| !source.is_loading())
            && self.playbacks.sounding.iter().all(|each| each.sought.is_none() && each.flushing.is_none())
    }

    /// Returns true if the manual clock waits at this sample for a source.
    fn must_wait(&self) -> bool {
        self.is_eager() && !self.is_done()
    }

    /// Starts, at this sample, every playback that has its turn, can be played from, and whose stream is open.
    fn start_ready(&mut self) {
        let wall = self.wall();
        let mut index = 0;
        while let Some(loading) = self.playbacks.loading.get(index) {
            let Loadable::Reading(reader) = &loading.source else {
                index += 1;
                continue;
            };
            let (track, length) = (loading.request.track, reader.remaining());
            let stream = self.mixer.stream_of(track);
            let is_time = loading.can_start(wall)
                && loading.source.failure().is_none()
                && self.output.takes(stream, &mut self.outbox)
                && !self.output.pauses(stream)
                && (loading.request.overlap != Overlap::Queue
                    || loading.request.played_before() > 0
                    || Mixer::may_start(&mut self.playbacks.sounding, track, length));
            if !is_time {
                index += 1;
                continue;
            }
            let Loading { request, source, .. } = self.playbacks.loading.remove(index);
            let Loadable::Reading(reader) = source else { continue };
            self.start(request, reader);
        }
    }

    fn start(&mut self, request: Request, reader: PcmReader) {
        let track = request.track;
        if reader.remaining() == Some(0) {
            // A source without samples completes and never starts.
            let duration_ms = to_ms(request.played_before());
            let event = EventKind::Completed { duration_ms, position_ms: to_ms(reader.position()), unheard_ms: 0.0 };
            self.outbox.drop_reader(reader);
            self.note_end(&request, event);
            return self.advance_line(track);
        }
        let mut voice = self.voice(&request, reader);
        let now = self.now();
        let join = self.gapless_joins.iter().position(|join| join.at == now && join.id == request.id);
        if let Some(index) = join {
            voice.follow(self.gapless_joins.swap_remove(index).ringing);
        }
        if request.overlap == Overlap::Mix || request.played_before() > 0 {
            self.mixer.start::<Sounding>(&mut voice, &mut []);
        } else {
            // The replaced playbacks cross over to it from here on.
            for other in self.playbacks.sounding.iter_mut().filter(|other| other.request.track == track) {
                if let Some(stopping) = &mut other.stopping {
                    stopping.crosses_out = false;
                }
            }
            self.mixer.start(&mut voice, &mut self.playbacks.sounding);
        }
        let id = request.id;
        let mut unheard = Unheard::default();
        let is_heard = self.output.is_heard(self.mixer.stream_of(track)) && !self.mixer.is_muted(track);
        unheard.mark(is_heard, voice.played());
        let stop_reason = request.continued.as_ref().and_then(|continued| continued.stop_reason.clone());
        if stop_reason.is_some() {
            self.playbacks.release(&request);
        }
        if request.continued.is_some() {
            self.go_on_fading(track);
        }
        self.playbacks.sounding.push(Sounding {
            request,
            voice,
            sought: None,
            flushing: None,
            stopping: stop_reason.map(|reason| Stopping { reason, crosses_out: false }),
            paused_by_user: false,
            paused_by_track: false,
            unheard,
            end_approaches: false,
            joined: None,
        });
        if self.playbacks.sounding.iter().all(|sounding| sounding.request.played_before() > 0) {
            self.mixer.settle_ducking(&mut self.playbacks.sounding);
        }
        self.hand_marks(id);
    }

    /// Turns the mixer's events into the session's, and acts on them.
    pub(super) fn handle_mixer_events(&mut self) {
        let mut mixer_events = std::mem::take(&mut self.mixer_events);
        for MixerEvent { id, at, kind } in mixer_events.drain(..) {
            let Some(sounding) = self.playbacks.sounding(id) else { continue };
            let event = match kind {
                MixerEventKind::Started => {
                    let (WallTime(asked), is_manual) = (sounding.request.asked, self.options.clock == Clock::Manual);
                    let after = |time: Samples| to_ms(time.saturating_sub(asked));
                    let first_byte_ms = sounding.voice.reader.first_byte().filter(|_| !is_manual).map(after);
                    EventKind::Started { latency_ms: after(if is_manual { at } else { self.wall.0 }), first_byte_ms }
                }
                MixerEventKind::Paused(place) => EventKind::Paused { position_ms: to_ms(place) },
                MixerEventKind::Resumed(place) => EventKind::Resumed { position_ms: to_ms(place) },
                MixerEventKind::Progress(place) => EventKind::Progress { position_ms: to_ms(place) },
                MixerEventKind::Stalled(place) => EventKind::Stalled { position_ms: to_ms(place) },
                MixerEventKind::EndApproaching => {
                    sounding.end_approaches = true;
                    let track = sounding.request.track;
                    self.advance_line(track);
                    continue;
                }
                MixerEventKind::Swapped { spent, sought } => {
                    self.outbox.drop_reader(spent);
                    let Some(place) = sought else {
                        self.hand_marks(id);
                        continue;
                    };
                    EventKind::Sought { position_ms: to_ms(place) }
                }
                MixerEventKind::Marked(mark) => {
                    self.reach_mark(mark, at);
                    continue;
                }
                MixerEventKind::Ended(why) => {
                    if let Some(track) = self.end(id, why) {
                        self.advance_line(track);
                    }
                    continue;
                }
            };
            let request = sounding.request.clone();
            self.note_at(at, Some(&request), event);
        }
        self.mixer_events = mixer_events;
    }

    /// Ends a playback that sounds: takes it off its shelf and notes its terminal event. Returns its track.
    pub(super) fn end(&mut self, id: PlaybackId, why: End) -> Option<u32> {
        let index = self.playbacks.sounding.iter().position(|sounding| sounding.request.id == id)?;
        let sounding = self.playbacks.sounding.remove(index);
        let Sounding { request, voice, stopping, joined, unheard, .. } = &sounding;
        if let (End::Source, Some(id), Some(ringing)) = (why, joined, voice.reader.post_ring()) {
            self.gapless_joins.push(GaplessJoin { at: self.mixer.now(), id: *id, ringing: ringing.to_vec() });
        }
        let (duration_ms, position_ms) = (to_ms(voice.played()), to_ms(voice.place()));
        let unheard_ms = to_ms(unheard.total(voice.played()));
        let failed = |SpeakerError { code, message, cause }| EventKind::Failed {
            code,
            message,
            cause,
            duration_ms,
            position_ms,
            unheard_ms,
        };
        let event = match (why, voice.reader.outcome()) {
            (End::Source, Some(Err(error))) => failed(error.clone()),
            // It was heard to its end, even if a stop was on its way.
            (End::Source, _) => EventKind::Completed { duration_ms, position_ms, unheard_ms },
            (End::Stop, _) => {
                let reason =
                    stopping.as_ref().map_or_else(|| CLOSED.to_owned(), |stopping| stopping.reason.to_string());
                EventKind::Stopped { reason, duration_ms, position_ms, unheard_ms }
            }
            (End::Limit, _) => {
                let max = to_ms(self.options.max_duration);
                let message = format!("Expected at most {max} ms of audio (maxDurationMs) but received more");
                failed(SpeakerError::new(Code::MaxDuration, message))
            }
            (End::Stall, _) => {
                let message = "Expected bytes from the writer of the stream in time (stallTimeoutMs) but received none";
                failed(SpeakerError::new(Code::Stalled, message))
            }
        };
        self.note_end(request, event);
        let track = request.track;
        self.outbox.garbage.push(Garbage::Sounding(Box::new(sounding)));
        Some(track)
    }

    /// Starts loading the next in line if the track is free.
    pub(super) fn advance_line(&mut self, track: u32) {
        self.end_crossfades(track);
        if !self.playbacks.is_active(track)
            && let Some(id) = self.playbacks.line(track).first()
            && let Some(waiting) = self.playbacks.line(track).remove(id)
        {
            let Waiting { mut request, source, ahead, is_paused, .. } = waiting;
            let source = ahead.unwrap_or_else(|| {
                request.start_deadline = self.start_deadline_of(&request);
                let place = source.section.from;
                Loadable::Opening { number: self.outbox.open(id, Opening::Source(source), request.ahead, None), place }
            });
            self.playbacks.loading.push(Loading { request, source, is_paused });
        }
        self.update_line(track);
    }

    /// Ends replaced playbacks that have no successor left to wait for. A mixing playback is no successor.
    fn end_crossfades(&mut self, track: u32) {
        let mut loading = self.playbacks.loading.iter().map(|loading| &loading.request);
        if loading.any(|request| request.track == track && request.overlap != Overlap::Mix) {
            return;
        }
        for sounding in self.playbacks.sounding.iter_mut().filter(|each| each.request.track == track) {
            if let Some(stopping) = sounding.stopping.as_mut().filter(|stopping| stopping.crosses_out) {
                stopping.crosses_out = false;
                sounding.voice.stop(EDGE_FADE as Samples);
            }
        }
    }

    /// Updates a line: the first one gets its `queued` event and its source is opened ahead of its turn, one at a time, so that it can
    /// start without a gap; the line's time stands still while the playbacks that occupy the track are paused.
    pub(super) fn update_line(&mut self, track: u32) {
        let is_held = self.output.pauses(self.mixer.stream_of(track)) || self.playbacks.is_paused(track);
        let wall = self.wall();
        let first = self.playbacks.lines.get(&track).and_then(|line| line.get(line.first()?));
        let start_deadline = first.and_then(|first| self.start_deadline_of(&first.request));
        let Self { playbacks, outbox, .. } = self;
        let Some(line) = playbacks.lines.get_mut(&track) else { return };
        line.run(!is_held, wall);
        let Some(first) = line.first() else {
            // An empty line is dropped, and its time is not measured.
            playbacks.lines.remove(&track);
            return;
        };
        if let Some(opened) = line.opened.filter(|opened| *opened != first) {
            line.opened = None;
            // A stream stays open, because what its reader has taken can't be read again.
            let displaced = line.get_mut(opened).filter(|waiting| !waiting.request.is_stream);
            if let Some(Loadable::Reading(reader)) = displaced.and_then(|waiting| waiting.ahead.take()) {
                outbox.drop_reader(reader);
            }
        }
        if line.opened != Some(first)
            && let Some(waiting) = line.get_mut(first)
        {
            if waiting.ahead.is_none() {
                let place = waiting.source.section.from;
                let ahead = waiting.request.ahead;
                let number = outbox.open(first, Opening::Source(waiting.source.clone()), ahead, None);
                waiting.ahead = Some(Loadable::Opening { number, place });
                waiting.request.start_deadline = start_deadline;
            }
            line.opened = Some(first);
        }
        if line.first_reported != Some(first) {
            line.first_reported = Some(first);
            let request = line.get(first).map(|waiting| waiting.request.clone());
            self.note(request.as_ref(), EventKind::Queued { queue_position: 1 });
        }
    }

    /// Ends everything that still sounds, after the last frame was handed over.
    pub fn end_sounding(&mut self) {
        while let Some(sounding) = self.playbacks.sounding.first() {
            let id = sounding.request.id;
            self.end(id, End::Stop);
        }
        self.mixer.reset();
    }
}

impl Loading {
    /// Returns true if it can be played from and is not paused.
    fn is_playable(&self) -> bool {
        !self.is_paused && self.source.is_ready()
    }

    /// Returns true if it can be played from now.
    fn can_start(&self, wall: WallTime) -> bool {
        self.is_playable() && self.request.held_until <= wall
    }
}
