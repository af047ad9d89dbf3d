//! The calls of a user. Each applies completely before it returns; `at` is the time by which waiting is measured.

use std::sync::Arc;

use super::outbox::{Garbage, OutputRequest};
use super::output_state::Connection;
use super::playbacks::{Loadable, Loading, Phase, PlaybackInfo, Request, Sought, Sounding, Stopping};
use super::policy::{Admission, OnDuplicate, Overlap, Target, admit};
use super::{Advance, Clock, Lifecycle, RequestId, Session, WallTime};
use crate::audio::{EDGE_FADE, Samples, to_ms};
use crate::error::{Code, Result, SpeakerError};
use crate::event::EventKind;
use crate::ids::{PlaybackId, Ticket};
use crate::mixer::{Continuation, End, Ramp, Role, Stem, TrackVolume, Voice};
use crate::output::{DataInterest, Description, Listening, OutgoingData, TapRequest, TapTarget};
use crate::source::{Opening, Origin, PcmReader, Source};

/// A request to play a source. Its values are checked by the caller.
#[derive(Debug, Clone)]
pub struct PlayRequest {
    /// Unique among live playbacks; generated if missing.
    pub request_id: Option<String>,
    /// A name that it shares with others, so that one call can target all of them.
    pub group: Option<String>,
    /// The track that it plays on.
    pub track: u32,
    /// Its role, for ducking.
    pub role: Role,
    /// Stops everything else first.
    pub stop_other: bool,
    /// Overrides the session's rule for the track.
    pub overlap: Option<Overlap>,
    /// It waits ahead of lower priorities; 0 as a rule.
    pub priority: i32,
    /// The longest wait for its turn, 0 for no limit; `None` for the session's.
    pub queue_timeout: Option<Samples>,
    /// Linear.
    pub volume: f32,
    /// Linear, on top of the volume.
    pub gain: f32,
    /// The length of its rise from silence.
    pub fade_in: Samples,
    /// Overrides the session's.
    pub stall_timeout: Option<Samples>,
    /// The source.
    pub source: Source,
    /// The way in which it goes on, if another session has accepted it before. Then it is not subject to the rules of admission and overlap.
    pub continued: Option<Continued>,
}

impl PlayRequest {
    /// Makes a request for `source` on track 0, at full volume, mixed with whatever plays.
    pub fn new(source: Source) -> Self {
        Self {
            request_id: None,
            group: None,
            track: 0,
            role: Role::default(),
            stop_other: false,
            overlap: None,
            priority: 0,
            queue_timeout: None,
            volume: 1.0,
            gain: 1.0,
            fade_in: 0,
            stall_timeout: None,
            source,
            continued: None,
        }
    }
}

/// The way in which a playback goes on that another session has accepted.
#[derive(Debug, Clone, Default)]
pub struct Continued {
    /// It waits in line, if its track is occupied.
    pub waits: bool,
    /// It is paused.
    pub is_paused: bool,
    /// The time for which it does not start; not on the manual clock.
    pub hold: Samples,
    /// The state of its voice, if it has sounded.
    pub voice: Option<Continuation>,
    /// The reason of its stop, if it fades out.
    pub stop_reason: Option<Arc<str>>,
}

/// A request to stop playbacks.
#[derive(Debug, Clone)]
pub struct StopRequest {
    /// The playbacks to stop.
    pub target: Target,
    /// The reason in the `stopped` events.
    pub reason: String,
    /// The length of the fall to silence.
    pub fade_out: Samples,
    /// The time for which playbacks that sound go on before the fall.
    pub after: Samples,
    /// A `requestId` that has not arrived yet is stopped on arrival, within 5 s.
    pub ahead: bool,
}

/// The target of a tap.
#[derive(Debug, Clone)]
pub enum TapOf {
    /// Everything.
    All,
    /// A track.
    Track(u32),
    /// The playback of this name; nothing if it is over.
    Playback(String),
}

/// The result of an interruption.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Interrupted {
    /// The session's time at the call.
    pub at: Samples,
    /// The stopped playbacks, each with its place.
    pub playbacks: Vec<PlaybackInfo>,
    /// Their groups, each with how much of it was heard, including playbacks that had ended before.
    pub groups: Vec<(Arc<str>, Samples)>,
}

/// An accepted request.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Its `requestId`.
    pub request_id: RequestId,
    /// Its internal id, which is never reused.
    pub id: PlaybackId,
}

/// The way a sounding playback is stopped.
#[derive(Clone, Copy)]
enum StopMode {
    /// A fall to silence over `length` samples, which begins `after` samples from now.
    Fade { after: Samples, length: Samples },
    /// A crossfade to its successor over so many samples.
    Cross(Samples),
}

const EDGE: Samples = EDGE_FADE as Samples;

const AT_ONCE: StopMode = StopMode::Fade { after: 0, length: EDGE };

/// The reason in `stopped` events when the track was unpublished.
const UNPUBLISHED: &str = "unpublished";

impl Session {
    /// Accepts a request, which then ends in exactly one terminal event. A request over a limit, or stopped ahead of its arrival, is
    /// accepted too and ends at once; any other that can't be accepted fails here, without an event. Neither affects the others.
    pub fn play(&mut self, request: PlayRequest, at: WallTime) -> Result<Accepted> {
        self.wall = at;
        self.check_open()?;
        let PlayRequest { request_id, track, role, stop_other, priority, volume, fade_in, source, .. } = request;
        let name = request_id.map_or_else(|| self.playbacks.generate_name(), RequestId::from);
        let live = self.playbacks.find(&name);
        let is_continued = request.continued.is_some();
        if live.is_some() && (is_continued || self.options.policy.on_duplicate == OnDuplicate::Fail) {
            let message = format!("Expected a requestId that is not live for playAudio but received \"{name}\"");
            return Err(SpeakerError::new(Code::DuplicateRequest, message));
        }
        let is_stream = source.is_stream();
        let overlap = request.overlap.unwrap_or_else(|| self.options.policy.overlap_on(track));
        let stall_timeout = request.stall_timeout.unwrap_or(self.options.stall_timeout);
        let kept = Request {
            id: self.playbacks.next_id(),
            name: name.clone(),
            group: request.group.map(Arc::from),
            track,
            role,
            overlap,
            // A mixing playback may be replaced: on the manual clock its fall must not depend on how fast it is decoded.
            ahead: match overlap {
                Overlap::Mix if !self.is_eager() => 0,
                _ => self.options.policy.ahead() as usize,
            },
            priority,
            volume,
            gain: request.gain * self.options.gain,
            fade_in,
            stall_timeout: if is_stream { stall_timeout } else { 0 },
            start_deadline: None,
            is_stream,
            asked: self.wall(),
            passes: source.section.passes,
            fade_out: source.section.fade_out,
            file: match &source.origin {
                Origin::Bytes(file) => Some(file.clone()),
                _ => None,
            },
            held_until: match &request.continued {
                Some(continued) if !self.is_eager() => WallTime(self.wall.0 + continued.hold),
                _ => WallTime(0),
            },
            continued: request.continued.map(Arc::new),
        };
        let accepted = Accepted { request_id: name.clone(), id: kept.id };
        self.counts.requests += 1;
        if let Some(reason) = self.tombstones.take_stop(&name, self.wall()) {
            self.outbox.garbage.push(Garbage::Source(Box::new(source)));
            self.note_end(&kept, EventKind::Stopped { reason, duration_ms: 0.0, position_ms: 0.0, unheard_ms: 0.0 });
            return Ok(accepted);
        }
        let admission = match &kept.continued {
            Some(continued) => {
                let is_occupied = self.playbacks.is_active(track) || self.playbacks.lines.contains_key(&track);
                Ok(Admission { displaces: None, waits: continued.waits && is_occupied })
            }
            None => admit(&self.playbacks, &self.options.policy, &kept, stop_other, live),
        };
        let (id, is_paused) = (kept.id, kept.continued.as_ref().is_some_and(|continued| continued.is_paused));
        match admission {
            Ok(Admission { displaces, waits }) => {
                let mode = match self.options.policy.crossfade {
                    samples if samples > 0 && !stop_other => StopMode::Cross(samples),
                    _ => AT_ONCE,
                };
                self.stop_each(live.into_iter().collect(), "replaced", AT_ONCE);
                let displaced = displaces.map_or_else(Vec::new, |target| self.playbacks.matching(&target));
                let (_, tracks) = self.stop_all(displaced, "replaced", mode);
                let queue_timeout = request.queue_timeout.unwrap_or(self.options.policy.queue_timeout);
                self.enter(kept, source, waits, queue_timeout);
                if is_paused && self.set_paused(id, true) {
                    self.update_line(track);
                }
                // Only now, with the successor in its place: a replaced playback may wait for that.
                tracks.into_iter().for_each(|track| self.advance_line(track));
                self.open_output();
            }
            Err(SpeakerError { code, message, cause }) => {
                let event =
                    EventKind::Failed { code, message, cause, duration_ms: 0.0, position_ms: 0.0, unheard_ms: 0.0 };
                self.outbox.garbage.push(Garbage::Source(Box::new(source)));
                self.note_end(&kept, event);
            }
        }
        Ok(accepted)
    }

    /// Notes the terminal event of a playback, and frees its name if it still has it.
    pub(super) fn note_end(&mut self, request: &Request, end: EventKind) {
        self.playbacks.release(request);
        self.tombstones.ended(request.name.clone(), self.wall());
        self.note(Some(request), end);
        self.end_marks(request.id);
        for tap in self.mixer.untap_playback(request.id) {
            self.outbox.request(OutputRequest::EndTap(tap));
        }
    }

    fn enter(&mut self, mut request: Request, source: Source, waits: bool, queue_timeout: Samples) {
        let (track, id) = (request.track, request.id);
        self.playbacks.claim(&request.name, id);
        if waits {
            let wall = self.wall();
            let line = self.playbacks.line(track);
            let queue_position = line.push(request.clone(), source, queue_timeout, wall);
            if queue_position == 1 {
                line.first_reported = Some(id);
            }
            self.note(Some(&request), EventKind::Queued { queue_position });
            // Its timeout may be the next to expire.
            self.outbox.wakes_driver |= queue_timeout > 0;
        } else {
            request.start_deadline = self.start_deadline_of(&request);
            let place = source.section.from;
            let number = self.outbox.open(id, Opening::Source(source), request.ahead, None);
            let source = Loadable::Opening { number, place };
            self.playbacks.loading.push(Loading { request, source, is_paused: false });
        }
        self.update_line(track);
    }

    /// Stops the target: playbacks that wait or load at once, those that sound with a fade. Returns the stopped playbacks with their
    /// places. A playback that is stopping already is not stopped again, but the shorter fade holds.
    pub fn stop(&mut self, stop: &StopRequest, at: WallTime) -> Vec<PlaybackInfo> {
        self.wall = at;
        let ids = self.matching_or_stopping(&stop.target);
        if let (Target::Request(request_id), true, true) = (&stop.target, ids.is_empty(), stop.ahead) {
            self.tombstones.stop(request_id, &stop.reason, self.wall());
        }
        self.stop_each(ids, &stop.reason, StopMode::Fade { after: stop.after, length: stop.fade_out })
    }

    /// Stops the target, and returns how much was heard until now of the groups of the stopped playbacks.
    pub fn interrupt(&mut self, stop: &StopRequest, at: WallTime) -> Interrupted {
        let playbacks = self.stop(stop, at);
        let groups = self.heard_of_groups(&playbacks);
        Interrupted { at: self.now(), playbacks, groups }
    }

    /// Returns the playbacks that a target matches; a `requestId` also matches a playback that fades out under it.
    pub(super) fn matching_or_stopping(&self, target: &Target) -> Vec<PlaybackId> {
        let mut ids = self.playbacks.matching(target);
        if let Target::Request(name) = target {
            let stopping = self.playbacks.sounding.iter().filter(|sounding| sounding.stopping.is_some());
            ids.extend(
                stopping.filter(|sounding| *sounding.request.name == **name).map(|sounding| sounding.request.id),
            );
            ids.sort_unstable();
        }
        ids
    }

    /// Stops each with a fall that begins `after` samples from now; unlike [`stop`](Self::stop) for exactly these.
    pub(super) fn stop_these(&mut self, ids: Vec<PlaybackId>, reason: &str, after: Samples, length: Samples) {
        self.stop_each(ids, reason, StopMode::Fade { after, length });
    }

    fn stop_each(&mut self, ids: Vec<PlaybackId>, reason: &str, mode: StopMode) -> Vec<PlaybackInfo> {
        let (stopped, tracks) = self.stop_all(ids, reason, mode);
        tracks.into_iter().for_each(|track| self.advance_line(track));
        stopped
    }

    /// Stops each, without advancing the lines. Returns the stopped playbacks, and their tracks.
    fn stop_all(&mut self, ids: Vec<PlaybackId>, reason: &str, mode: StopMode) -> (Vec<PlaybackInfo>, Vec<u32>) {
        let mut tracks = Vec::new();
        let mut stopped = Vec::new();
        for id in ids {
            let Some((info, track, is_new)) = self.stop_one(id, reason, mode) else { continue };
            if !tracks.contains(&track) {
                tracks.push(track);
            }
            stopped.extend(is_new.then_some(info));
        }
        self.cap_fades();
        self.outbox.wakes_driver |= !tracks.is_empty();
        (stopped, tracks)
    }

    /// Stops one, without advancing its line. Returns where it was, its track, and whether it was not stopping before.
    fn stop_one(&mut self, id: PlaybackId, reason: &str, mode: StopMode) -> Option<(PlaybackInfo, u32, bool)> {
        if let Some(sounding) = self.playbacks.sounding(id) {
            let is_still = sounding.is_still();
            let Sounding { request, voice, stopping, paused_by_user, paused_by_track, .. } = sounding;
            let is_new = stopping.is_none();
            let phase = if is_new { Phase::Playing } else { Phase::Stopping };
            let info = request.info(phase, is_still, None, voice.place());
            let request = request.clone();
            (*paused_by_user, *paused_by_track) = (false, false);
            let mode = match mode {
                // It is silent, so there is nothing to cross over from.
                StopMode::Cross(_) if is_still => AT_ONCE,
                mode => mode,
            };
            let crosses_out = matches!(mode, StopMode::Cross(_));
            match stopping {
                None => *stopping = Some(Stopping { reason: reason.into(), crosses_out }),
                // Only a fade makes the end come sooner; the first reason stands.
                Some(stopping) => stopping.crosses_out &= crosses_out,
            }
            self.playbacks.release(&request);
            match mode {
                StopMode::Fade { after, length } => self.fade(id, after, length),
                StopMode::Cross(samples) if is_new => {
                    if let Some(sounding) = self.playbacks.sounding(id) {
                        sounding.voice.cross_out(samples);
                    }
                }
                StopMode::Cross(_) => {}
            }
            return Some((info, request.track, is_new));
        }
        let (request, info, garbage) = self.playbacks.take_unstarted(id)?;
        let (duration_ms, position_ms) = (to_ms(request.played_before()), to_ms(info.position));
        self.outbox.garbage.push(garbage);
        let reason = reason.to_owned();
        self.note_end(&request, EventKind::Stopped { reason, duration_ms, position_ms, unheard_ms: 0.0 });
        Some((info, request.track, true))
    }

    /// Fades a voice out; ends it at once if it is silent anyway, or no frame would carry the fade.
    fn fade(&mut self, id: PlaybackId, after: Samples, length: Samples) {
        let is_open = self.output.is_open();
        let Some(sounding) = self.playbacks.sounding(id) else { return };
        let is_silent = sounding.voice.is_frozen() || sounding.voice.is_dormant() || sounding.voice.is_waiting();
        sounding.voice.give_up_seek();
        let sought = sounding.sought.take();
        if is_open && !is_silent {
            sounding.voice.stop_after(after, length);
            self.outbox.hastens |= after == 0;
        } else {
            self.end(id, End::Stop);
        }
        if let Some(Sought { source: Loadable::Reading(reader), .. }) = sought {
            self.outbox.drop_reader(reader);
        }
    }

    /// Cuts the oldest fades short if more than `maxConcurrent` are under way; fades take no place in that limit.
    fn cap_fades(&mut self) {
        let fading = |sounding: &&mut Sounding| sounding.stopping.is_some();
        let (mut count, mut systems) = (0_usize, 0_usize);
        for sounding in self.playbacks.sounding.iter_mut().filter(fading) {
            count += 1;
            systems += usize::from(sounding.request.role == Role::System);
        }
        // A system message has a place of its own.
        let max = self.options.policy.max_concurrent + systems.min(1);
        let surplus = count.saturating_sub(max);
        for sounding in self.playbacks.sounding.iter_mut().filter(fading).take(surplus) {
            sounding.voice.stop(EDGE);
        }
    }

    /// Pauses the target; returns the ids that were not paused before. A waiting playback keeps its place in line, and takes its turn
    /// while it is paused.
    pub fn pause(&mut self, target: &Target, at: WallTime) -> Vec<RequestId> {
        self.wall = at;
        self.apply_to_each(target, |session, id| {
            let going = session.is_ending(id);
            if let Some(sounding) = session.playbacks.sounding(id) {
                if sounding.stopping.is_some() || std::mem::replace(&mut sounding.paused_by_user, true) {
                    return false;
                }
                if !sounding.paused_by_track {
                    // Its end does not approach while it is paused, unless the next one has its turn already.
                    sounding.end_approaches &= going;
                    sounding.voice.pause();
                    session.outbox.hastens = true;
                }
                return true;
            }
            session.set_paused(id, true)
        })
    }

    /// Resumes the target; returns the ids that were paused.
    pub fn resume(&mut self, target: &Target, at: WallTime) -> Vec<RequestId> {
        self.wall = at;
        self.apply_to_each(target, |session, id| {
            if let Some(sounding) = session.playbacks.sounding(id) {
                let was_paused = std::mem::take(&mut sounding.paused_by_user);
                if was_paused && !sounding.paused_by_track {
                    sounding.voice.resume();
                }
                return was_paused;
            }
            session.set_paused(id, false)
        })
    }

    /// Pauses or resumes a playback that has not started. Returns false if nothing changes.
    fn set_paused(&mut self, id: PlaybackId, paused: bool) -> bool {
        let wall = self.wall();
        let changed = if let Some(loading) = self.playbacks.loading.iter_mut().find(|each| each.request.id == id) {
            std::mem::replace(&mut loading.is_paused, paused) != paused
        } else {
            let track = self.playbacks.line_of(id);
            track.is_some_and(|track| self.playbacks.line(track).pause(id, paused, wall))
        };
        let unheard = self.playbacks.unstarted(id).map(|(request, position)| (request.clone(), to_ms(position)));
        if changed && let Some((request, position_ms)) = unheard {
            let event = if paused { EventKind::Paused { position_ms } } else { EventKind::Resumed { position_ms } };
            self.note(Some(&request), event);
        }
        changed
    }

    /// Changes the volume of the target over the next `fade` samples, also of what fades out; returns the ids.
    pub fn set_volume(&mut self, target: &Target, volume: f32, fade: Samples, at: WallTime) -> Vec<RequestId> {
        self.wall = at;
        self.apply_to_each(target, |session, id| {
            if let Some(sounding) = session.playbacks.sounding(id) {
                sounding.voice.set_volume(volume, fade);
                return true;
            }
            session.playbacks.unstarted_mut(id).map(|request| request.volume = volume).is_some()
        })
    }

    /// Seeks the target to a place in its source; returns the ids. If one of them can't be sought, none is; a playback that is stopping
    /// stays where it is.
    pub fn seek(&mut self, target: &Target, place: Samples, at: WallTime) -> Result<Vec<RequestId>> {
        self.wall = at;
        let ids = self.playbacks.matching(target);
        if let Some(name) = ids.iter().find_map(|id| self.not_seekable(*id)) {
            let message =
                format!("Expected a source that has an end for seekAudio but that of \"{name}\" has none yet");
            return Err(SpeakerError::new(Code::NotSeekable, message));
        }
        Ok(self.apply_to_each(target, |session, id| {
            if session.is_ending(id) {
                return false;
            }
            let Self { playbacks, outbox, .. } = session;
            if let Some(sounding) = playbacks.sounding(id) {
                let Some(opening) = sounding.voice.reader.sought_opening(place) else { return false };
                let number = outbox.open(id, opening, sounding.request.ahead, None);
                sounding.voice.seek();
                sounding.end_approaches = false;
                let sought = Sought { number, source: Loadable::Opening { number, place } };
                if let Some(Sought { source: Loadable::Reading(reader), .. }) = sounding.sought.replace(sought) {
                    outbox.drop_reader(reader);
                }
                return true;
            }
            let Some(request) = playbacks.unstarted(id).map(|(request, _)| request.clone()) else { return false };
            session.seek_unstarted(id, place);
            session.note(Some(&request), EventKind::Sought { position_ms: to_ms(place) });
            true
        }))
    }

    /// Returns the name of a playback that a seek would move and that can't be sought.
    fn not_seekable(&self, id: PlaybackId) -> Option<RequestId> {
        if self.is_ending(id) {
            return None;
        }
        let (request, is_seekable) = self.playbacks.seekable(id)?;
        (!is_seekable).then(|| request.name.clone())
    }

    /// Makes a playback that has not started begin at another place.
    fn seek_unstarted(&mut self, id: PlaybackId, place: Samples) {
        let Self { playbacks, outbox, .. } = self;
        if let Some(track) = playbacks.line_of(id)
            && let Some(waiting) = playbacks.line(track).get_mut(id)
        {
            waiting.source.section.from = place;
        }
        let Some(source) = playbacks.loadable_mut(id) else { return };
        match source {
            // The reader is replaced when it comes.
            Loadable::Opening { place: wanted, .. } => *wanted = place,
            Loadable::Reading(reader) => {
                if let Some(opening) = reader.unplayed_opening(place) {
                    let number = outbox.open(id, opening, reader.lookahead(), None);
                    if let Loadable::Reading(reader) = std::mem::replace(source, Loadable::Opening { number, place }) {
                        outbox.drop_reader(reader);
                    }
                }
            }
        }
    }

    /// Returns true if it is stopping, or crosses over to a playback that has its turn.
    pub(super) fn is_ending(&self, id: PlaybackId) -> bool {
        let sounding = self.playbacks.sounding.iter().find(|sounding| sounding.request.id == id);
        sounding.is_some_and(|sounding| {
            sounding.stopping.is_some() || sounding.end_approaches && self.playbacks.is_active(sounding.request.track)
        })
    }

    /// Applies a change to each playback that matches; returns the ids of those that it changed.
    fn apply_to_each(
        &mut self,
        target: &Target,
        mut apply: impl FnMut(&mut Self, PlaybackId) -> bool,
    ) -> Vec<RequestId> {
        let (mut names, mut tracks) = (Vec::new(), Vec::new());
        for id in self.matching_or_stopping(target) {
            let Some(request) = self.playbacks.request(id).cloned() else { continue };
            if apply(self, id) {
                // A playback that fades out and a newer one with the same name count once.
                if names.last() != Some(&request.name) {
                    names.push(request.name);
                }
                if !tracks.contains(&request.track) {
                    tracks.push(request.track);
                }
            }
        }
        for track in tracks {
            self.update_line(track);
        }
        self.outbox.wakes_driver |= !names.is_empty();
        names
    }

    /// Moves a waiting playback to a position in its line, 1 is next and beyond the end is the end. Returns false if it does not wait.
    pub fn move_to(&mut self, request_id: &str, queue_position: usize, at: WallTime) -> bool {
        self.wall = at;
        let Some(id) = self.playbacks.find(request_id) else { return false };
        let Some(track) = self.playbacks.line_of(id) else { return false };
        let line = self.playbacks.line(track);
        let before = line.ids().iter().position(|other| *other == id).map_or(0, |index| index + 1);
        let queue_position = line.move_to(id, queue_position);
        if queue_position != before {
            if queue_position == 1 {
                line.first_reported = Some(id);
            } else if line.first_reported == Some(id) {
                line.first_reported = None;
            }
            let request = line.get(id).map(|waiting| waiting.request.clone());
            self.note(request.as_ref(), EventKind::Queued { queue_position });
            self.update_line(track);
        }
        true
    }

    /// Flushes a stream: it goes on with what is written from now on.
    pub fn flush(&mut self, id: PlaybackId, ticket: Ticket, at: WallTime) {
        self.wall = at;
        self.drop_marks(id);
        let Self { playbacks, outbox, .. } = self;
        if let Some(sounding) = playbacks.sounding(id) {
            if let Some(opening) = sounding.voice.reader.flushed_opening() {
                sounding.flushing = Some(outbox.open(id, opening, 0, Some(ticket)));
                return;
            }
        } else if let Some(source @ Loadable::Reading(_)) = playbacks.loadable_mut(id)
            && let Loadable::Reading(reader) = source
            && let Some(opening) = reader.flushed_opening()
        {
            let number = outbox.open(id, opening, 0, Some(ticket));
            if let Loadable::Reading(reader) = std::mem::replace(source, Loadable::Opening { number, place: 0 }) {
                outbox.drop_reader(reader);
            }
            return;
        }
        // Nothing of it was read yet.
        outbox.settle(ticket, None);
    }

    /// Opens the output if it is closed; `play` does so too.
    pub fn connect(&mut self, ticket: Ticket) {
        if let Err(error) = self.check_open() {
            return self.outbox.settle(ticket, Some(error));
        }
        self.open_output();
        if self.output.is_open() {
            return self.outbox.settle(ticket, None);
        }
        self.output.add_ticket(ticket);
        if self.is_opening_held() {
            // It comes behind `connected`, and is held with it.
            self.outbox.settle(ticket, None);
        }
    }

    /// Opens the output for somebody who listens to it.
    pub fn open_for_listener(&mut self) -> Result<()> {
        self.check_open()?;
        self.open_output();
        self.outbox.wakes_driver = true;
        Ok(())
    }

    /// Opens the output if it is closed. On the manual clock `connected` has its place here, among the events of calls that do not
    /// wait for each other: it is noted at once and held, with all events behind it, until the output is open.
    fn open_output(&mut self) {
        if self.output.connect(&mut self.outbox) && self.is_eager() {
            self.outbox.hold();
            self.note(None, EventKind::Connected);
        }
    }

    /// Takes back a `connected` event that is held; the events behind it stay held until `release`. Returns false if
    /// there is none.
    pub(super) fn retract_opening(&mut self) -> bool {
        let is_held = self.is_opening_held();
        if is_held {
            self.outbox.retract_connected();
        }
        is_held
    }

    pub(super) fn is_opening_held(&self) -> bool {
        self.is_eager() && self.output.connection == Connection::Opening
    }

    /// Ends the wait of a `connect`, and the attempt to connect if nothing else wants the output.
    pub fn abandon(&mut self, ticket: Ticket) {
        if !self.output.remove_ticket(ticket) {
            return;
        }
        let is_wanted = self.output.has_tickets()
            || self.output.has_audience()
            || self.room.is_wanted()
            || self.sends.are_waiting()
            || !self.playbacks.is_empty()
            || !self.advances.is_empty();
        let message = "Expected a signal that is aborted after the output is open but it was before";
        self.outbox.answer_now(ticket, SpeakerError::new(Code::Aborted, message));
        if !is_wanted && !self.output.was_connected {
            let was_held = self.retract_opening();
            self.output.closed();
            self.settle_unpublished(None);
            self.outbox.request(OutputRequest::GiveUp);
            if was_held {
                self.outbox.release();
            }
        }
    }

    /// Returns the session's time once every `advance` is done.
    pub fn time_ahead(&self) -> Samples {
        self.now() + self.advances.iter().map(|advance| advance.left).sum::<Samples>()
    }

    /// Advances the manual clock; settles when that time has been mixed and handed over.
    pub fn advance(&mut self, by: Samples, ticket: Ticket) -> Result<()> {
        if self.options.clock != Clock::Manual {
            let message = "Expected clock: 'manual' for advance but received 'realtime'";
            return Err(SpeakerError::new(Code::UnsupportedOperation, message));
        }
        match self.check_open() {
            Ok(()) => {
                self.open_output();
                self.advances.push_back(Advance { left: by, ticket });
                self.outbox.wakes_driver = true;
            }
            Err(error) => self.outbox.settle(ticket, Some(error)),
        }
        Ok(())
    }

    /// Starts a tap: copies everything that the output accepts from now on, or its part of a track or of a playback, until that is over.
    pub fn tap(&mut self, mut request: TapRequest, of: &TapOf) -> Result<()> {
        self.check_open()?;
        request.target = match of {
            TapOf::All => TapTarget::All,
            TapOf::Track(track) if self.mixer.is_per_track() => TapTarget::Stream(*track),
            TapOf::Track(track) => TapTarget::Stem(Stem::Track(*track)),
            TapOf::Playback(name) => {
                let id = self.matching_or_stopping(&Target::Request(name.clone())).pop();
                id.map_or(TapTarget::Nothing, |id| TapTarget::Stem(Stem::Playback(id)))
            }
        };
        let (id, target) = (request.id, request.target);
        self.outbox.request(OutputRequest::Tap(Box::new(request)));
        match target {
            TapTarget::Stem(stem) => self.mixer.tap(id, stem),
            TapTarget::Nothing => self.outbox.request(OutputRequest::EndTap(id)),
            TapTarget::All | TapTarget::Stream(_) => {}
        }
        Ok(())
    }

    /// Stops everything on a track, and unpublishes the track once it is silent; settles when it is unpublished, at once if
    /// no room is joined. It stays so, also in rooms that are joined later, until something plays on it.
    pub fn unpublish(&mut self, track: u32, ticket: Ticket, at: WallTime) {
        self.wall = at;
        if let Err(error) = self.check_live() {
            return self.outbox.settle(ticket, Some(error));
        }
        let ids = self.playbacks.matching(&Target::Track(track));
        self.stop_each(ids, UNPUBLISHED, AT_ONCE);
        let Self { output, mixer, outbox, .. } = self;
        output.unpublish(mixer.stream_of(track), ticket, outbox);
    }

    /// Mutes or unmutes a track, whoever muted it. Where tracks are streams of the output, the output does it, and the mute is remembered
    /// while that is not open; where they are mixed down, the track is silent in the mix, and its playbacks go on.
    pub fn set_muted(&mut self, track: u32, muted: bool, at: WallTime) -> Result<()> {
        self.wall = at;
        self.check_live()?;
        let Self { output, mixer, outbox, .. } = self;
        if mixer.is_per_track() {
            output.set_muted(mixer.stream_of(track), muted, outbox);
        } else if mixer.set_muted(track, muted) {
            let kind =
                if muted { EventKind::Muted { track_id: track } } else { EventKind::Unmuted { track_id: track } };
            self.note(None, kind);
            self.update_hearing();
            let mut sounding = self.playbacks.sounding.iter();
            self.outbox.hastens |= sounding.any(|each| each.request.track == track && !each.is_still());
        }
        Ok(())
    }

    /// Changes the volume of a track, for present and future playbacks.
    pub fn set_track_volume(&mut self, track: u32, change: TrackVolume) -> Result<()> {
        self.check_live()?;
        self.mixer.set_volume(track, change);
        Ok(())
    }

    /// Pans a track, for present and future playbacks: -1 is left, 1 right. The session must have two channels.
    pub fn set_track_pan(&mut self, track: u32, pan: f32, fade: Samples) -> Result<()> {
        self.check_live()?;
        self.mixer.set_pan(track, pan, fade);
        Ok(())
    }

    /// Sets the description of this participant, in every room that is joined; settles once the room lists it. While the output is closed
    /// it is remembered, and settles at once.
    pub fn describe(&mut self, description: Description, ticket: Ticket) {
        if let Err(error) = self.check_live() {
            return self.outbox.settle(ticket, Some(error));
        }
        match self.output.connection {
            Connection::Closed => {
                self.room.remember(description);
                self.outbox.settle(ticket, None);
            }
            // It is sent once the room is joined.
            Connection::Opening => self.room.add_request(ticket, description),
            Connection::Open | Connection::Cut { .. } => {
                self.room.add_request(ticket, description.clone());
                self.outbox.request(OutputRequest::Describe(description, Some(ticket)));
            }
        }
    }

    /// Sends data to others in the room, which is joined first if needed; settles when it is sent.
    pub fn send_data(&mut self, data: OutgoingData, ticket: Ticket) {
        let is_left =
            matches!(self.lifecycle, Lifecycle::Draining { .. }) && self.output.connection != Connection::Closed;
        let accepted = if is_left { Ok(()) } else { self.check_open() };
        match accepted.and_then(|()| self.sends.add(ticket, data.cost())) {
            Ok(()) => {
                self.open_output();
                self.outbox.request(OutputRequest::SendData(Box::new(data), ticket));
            }
            Err(error) => self.outbox.settle(ticket, Some(error)),
        }
    }

    /// Sets which data of others is received from now on.
    pub fn hear_data(&mut self, hears: DataInterest) {
        self.output.hear_data(hears, &mut self.outbox);
    }

    /// Listens to a participant in every room that is joined.
    pub fn listen(&mut self, listening: Arc<Listening>) -> Result<()> {
        self.check_open()?;
        let Self { output, outbox, .. } = self;
        output.listen(listening, outbox);
        Ok(())
    }

    /// Stops listening to a participant.
    pub fn unlisten(&mut self, id: u32) {
        let Self { output, outbox, .. } = self;
        output.unlisten(id, outbox);
    }

    /// Ends a tap.
    pub fn untap(&mut self, id: u32) {
        self.mixer.untap(id);
        self.outbox.request(OutputRequest::Untap(id));
    }

    /// Emits an error that happened outside of the session.
    pub fn report_error(&mut self, SpeakerError { code, message, .. }: SpeakerError) {
        self.note(None, EventKind::Error { code, message });
    }

    /// Takes no more calls and stops everything; the output's owner hands over the last frame and closes the output. A second
    /// call settles with the first. Without a ticket nobody waits for it.
    pub fn close(&mut self, ticket: Option<Ticket>, at: WallTime) {
        self.wall = at;
        match self.lifecycle {
            Lifecycle::Open | Lifecycle::Draining { .. } => {
                self.lifecycle = Lifecycle::Closing;
                self.closing.extend(ticket);
                let ids = self.playbacks.matching(&Target::All);
                // Waiting playbacks are stopped too, so none gets its turn meanwhile.
                self.stop_each(ids, super::tick::CLOSED, AT_ONCE);
                self.refuse_calls();
                self.outbox.request(OutputRequest::Close);
            }
            Lifecycle::Closing | Lifecycle::Broken { is_closed: false } => self.closing.extend(ticket),
            Lifecycle::Closed | Lifecycle::Broken { is_closed: true } => {
                if let Some(ticket) = ticket {
                    self.outbox.settle(ticket, None);
                }
            }
        }
    }

    /// Makes the voice of a playback from its request and the session's options.
    pub(super) fn voice(&self, request: &Request, reader: PcmReader) -> Voice {
        // A start inside the source gets an edge; a source's own first sample is left as it is.
        let edge = if reader.position() > 0 { EDGE } else { 0 };
        let lead = if request.overlap == Overlap::Queue { self.options.policy.crossfade } else { 0 };
        let lead = lead.min(reader.lookahead() as Samples);
        let gain = request.gain * reader.gain();
        let mut voice = Voice::new(request.id, request.track, reader);
        voice.role = request.role;
        voice.volume = Ramp::flat(request.volume);
        voice.gain = gain;
        voice.limit = self.options.max_duration;
        voice.rise = Ramp::rise(0, request.fade_in.max(edge));
        voice.report_every = self.options.progress_interval;
        voice.lead = lead;
        voice.stall_timeout = if request.stall_timeout > 0 { request.stall_timeout } else { Samples::MAX };
        if let Some(before) = request.continued.as_ref().and_then(|continued| continued.voice) {
            // Its volume may have been changed since.
            let volume = if before.volume.to == request.volume { before.volume } else { Ramp::flat(request.volume) };
            voice.go_on(&Continuation { volume, fade_in: before.fade_in.max(EDGE), ..before });
        }
        voice
    }
}
