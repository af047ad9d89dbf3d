//! Input to a session from below: opened readers, output events, and time.
//!
//! Order of a tick: start what is ready → mix to the end of the frame, or to where a voice ends or nears its end → advance the lines
//! → again. The events of a frame are held until [`Session::commit`] reports that it was handed over.

use super::hearing::Unheard;
use super::line::Waiting;
use super::outbox::{Garbage, OutputRequest, Ticket, Work};
use super::output_state::Connection;
use super::playbacks::{Loadable, Loading, Request, Sought, Sounding};
use super::policy::Overlap;
use super::{Advance, Clock, Lifecycle, Seam, Session, Stats, WallTime};
use crate::audio::{EDGE_FADE, FRAME, LOOK_AHEAD, RINGING, Samples, to_ms};
use crate::error::{Code, Result, SpeakerError};
use crate::event::{EventKind, Message};
use crate::mixer::{End, Mixer, Notice, PlaybackId, Scratch, What};
use crate::output::{Meanwhile, OutputEvent, Presence};
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
pub struct Gauges {
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
    /// Returns true if there is work to carry out after the lock is released.
    pub fn has_work(&self) -> bool {
        self.outbox.has_work()
    }

    /// Takes the work to carry out after the lock is released.
    pub fn take_work(&mut self) -> Work {
        let mut work = self.outbox.take_work();
        for open in &mut work.opens {
            open.name = self.playbacks.request(open.id).map(|request| request.name.clone());
        }
        work
    }

    /// Takes the next message, if it is not held.
    pub fn take_message(&mut self) -> Option<Message> {
        self.outbox.take()
    }

    /// Takes the next request to the output's owner.
    pub fn take_output_request(&mut self) -> Option<OutputRequest> {
        self.outbox.output.pop_front()
    }

    /// Hands in the reader of an opened source, or gets it back if it is not wanted any more.
    pub fn opened(
        &mut self,
        id: PlaybackId,
        number: u64,
        reader: PcmReader,
        ticket: Option<Ticket>,
    ) -> std::result::Result<(), Box<PcmReader>> {
        let answer = self.place_reader(id, number, reader);
        if let Some(ticket) = ticket {
            self.outbox.settle(ticket, None);
        }
        self.outbox.wakes_driver = true;
        answer
    }

    /// Settles a call that answers later.
    pub fn settle(&mut self, ticket: Ticket) {
        self.outbox.settle(ticket, None);
    }

    /// Settles a call that answers later with its result.
    pub fn settle_with(&mut self, ticket: Ticket, result: Result<()>) {
        self.outbox.settle(ticket, result.err());
    }

    fn place_reader(
        &mut self,
        id: PlaybackId,
        number: u64,
        reader: PcmReader,
    ) -> std::result::Result<(), Box<PcmReader>> {
        let at = self.now();
        let Self { playbacks, outbox, notices, .. } = self;
        let is_wanted =
            |source: &Loadable| matches!(source, Loadable::Opening { number: wanted, .. } if *wanted == number);
        if let Some(sounding) = playbacks.sounding(id) {
            if sounding.flushing == Some(number) {
                sounding.flushing = None;
                if let Some(what) = sounding.voice.flush_to(reader) {
                    notices.push(Notice { id, at, what });
                    self.digest();
                }
                return Ok(());
            }
            return match &mut sounding.sought {
                Some(Sought { source, .. }) if is_wanted(source) => {
                    *source = Loadable::Reading(reader);
                    Ok(())
                }
                _ => Err(Box::new(reader)),
            };
        }
        let Some(source) = playbacks.loadable_mut(id).filter(|source| is_wanted(source)) else {
            return Err(Box::new(reader));
        };
        // It was sought while it was being opened.
        if let Loadable::Opening { place, .. } = *source
            && place != reader.from()
            && let Some(opening) = reader.begun_at(place)
        {
            *source = Loadable::Opening { number: outbox.open(id, opening, reader.ahead(), None), place };
            return Err(Box::new(reader));
        }
        *source = Loadable::Reading(reader);
        Ok(())
    }

    /// Handles what time brings in real time: late starts, failures, seeks, expired waits, and the end of a drain.
    pub fn pass_time(&mut self, at: WallTime) {
        self.wall = at;
        if self.playbacks.are_all_heard() {
            self.swap_sought();
        } else {
            self.give_up(at);
            self.look(at);
            self.expire(at);
        }
        self.end_drain(at);
    }

    /// Returns when [`pass_time`](Self::pass_time) is to be called next, if nothing moves before.
    pub fn next_deadline(&self) -> Option<WallTime> {
        if self.playbacks.are_all_heard() {
            return self.drain_deadline();
        }
        self.deadline().into_iter().chain(self.start_deadline()).min()
    }

    /// Fails playbacks whose source has failed and, in real time, completes seeks whose place is loaded.
    pub fn look(&mut self, at: WallTime) {
        self.wall = at;
        while let Some((id, error)) = self.next_failed() {
            self.fail_unheard(id, error);
        }
        if !self.is_eager() {
            self.swap_sought();
        }
    }

    /// Fails sources that have not come to their first sound in time.
    pub fn give_up(&mut self, at: WallTime) {
        self.wall = at;
        let Self { playbacks, outbox, options, .. } = self;
        for (_, reader) in playbacks.silent().filter(|(deadline, _)| *deadline <= at) {
            let timeout = to_ms(options.start_timeout);
            let message = format!("Expected a first sound within {timeout} ms (startTimeoutMs) but received none");
            outbox.wakes.extend(reader.give_up(SpeakerError::new(Code::StartTimeout, message)));
        }
    }

    /// When [`give_up`](Self::give_up) is to be called next; on the manual clock too this is a time of the watch.
    pub fn start_deadline(&self) -> Option<WallTime> {
        self.playbacks.silent().map(|(deadline, _)| deadline).min()
    }

    /// Returns the deadline for the first sound of a source that is opened now.
    pub(super) fn start_deadline_of(&self, request: &Request) -> Option<WallTime> {
        let timeout = self.options.start_timeout;
        (timeout > 0 && !request.is_stream).then_some(WallTime(self.wall.0 + timeout))
    }

    /// Returns the next playback whose source failed before its first sample. On the manual clock those behind one that still loads
    /// wait too: how fast each loads must not change the order of the events.
    fn next_failed(&self) -> Option<(PlaybackId, SpeakerError)> {
        let loads = |(id, source): (PlaybackId, &Loadable)| source.is_loading().then_some(id);
        let limit = match self.is_eager() {
            true => self.playbacks.opened().filter_map(loads).min().unwrap_or(PlaybackId::MAX),
            false => PlaybackId::MAX,
        };
        let failed = |(id, source): (PlaybackId, &Loadable)| Some((id, source.failure()?));
        let before = |(id, _): &(PlaybackId, &Loadable)| *id < limit;
        self.playbacks.opened().filter(before).filter_map(failed).min_by_key(|(id, _)| *id)
    }

    pub(super) fn fail_unheard(&mut self, id: PlaybackId, error: SpeakerError) {
        let Some((request, info, garbage)) = self.playbacks.take_unheard(id) else { return };
        self.outbox.garbage.push(garbage);
        let SpeakerError { code, message, cause } = error;
        let position_ms = to_ms(info.position);
        let (duration_ms, unheard_ms) = (0.0, 0.0);
        self.over(&request, EventKind::Failed { code, message, cause, duration_ms, position_ms, unheard_ms });
        self.advance_line(request.track);
    }

    /// Completes seeks whose place can be played from; on the manual clock in order.
    fn swap_sought(&mut self) {
        loop {
            let pending = |sounding: &Sounding| {
                let Sought { number, source } = sounding.sought.as_ref()?;
                Some((*number, sounding.request.id, source.is_ready()))
            };
            let sought = self.playbacks.sounding.iter().filter_map(pending);
            let next = match self.is_eager() {
                true => sought.min().filter(|(.., is_ready)| *is_ready),
                false => sought.filter(|(.., is_ready)| *is_ready).min(),
            };
            let Some((_, id, _)) = next else { return };
            let at = self.now();
            let Some(sounding) = self.playbacks.sounding(id) else { return };
            let Some(Sought { source: Loadable::Reading(reader), .. }) = sounding.sought.take() else { return };
            match sounding.voice.go_to(reader) {
                Ok(Some(what)) => {
                    self.notices.push(Notice { id, at, what });
                    self.digest();
                }
                Ok(None) => {}
                Err(reader) => self.outbox.drop_reader(reader),
            }
        }
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
                let (code, cause, duration_ms, unheard_ms) = (Code::QueueTimeout, None, 0.0, 0.0);
                let event = EventKind::Failed { code, message, cause, duration_ms, position_ms, unheard_ms };
                self.over(&waiting.request, event);
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

    /// Handles an event of the output.
    pub fn output_event(&mut self, event: OutputEvent, at: WallTime) {
        self.wall = at;
        self.outbox.wakes_driver = true;
        if self.outbox.output.iter().any(|request| matches!(request, OutputRequest::GiveUp)) {
            // It comes from an output that is being given up.
            return;
        }
        if let OutputEvent::Opened(stream)
        | OutputEvent::Refused(stream, _)
        | OutputEvent::Unpublished(stream, ..)
        | OutputEvent::Republished(stream) = event
            && self.outbox.unpublishes(stream)
        {
            // The output does not know yet that the track is to be unpublished.
            return;
        }
        match event {
            // It was given up meanwhile.
            OutputEvent::Connected if self.output.connection != Connection::Opening => {}
            OutputEvent::Connected => {
                self.output.connection = Connection::Open;
                self.output.was_connected = true;
                if self.is_eager() {
                    // `connected` was noted where the output was requested.
                    self.output.take_tickets();
                    self.outbox.release();
                } else {
                    self.note(None, EventKind::Connected);
                    self.answer_connects(None);
                }
            }
            OutputEvent::Opened(stream) => self.output.stream_opened(stream),
            OutputEvent::Reconnecting(reason) => {
                self.output.is_shaken = true;
                self.note(None, EventKind::Reconnecting { reason });
            }
            OutputEvent::Cut(meanwhile) => {
                self.output.connection = Connection::Cut { is_halted: meanwhile == Meanwhile::Pause };
                if meanwhile == Meanwhile::Pause {
                    // No frame carries their fades before the connection is restored.
                    let leaving = self.playbacks.sounding.iter().filter(|sounding| sounding.leaving.is_some());
                    let leaving: Vec<_> = leaving.map(|sounding| sounding.request.id).collect();
                    for id in leaving {
                        self.end(id, End::Stop);
                    }
                }
                if meanwhile == Meanwhile::Drop {
                    let message = "the LiveKit room can't be reached for now (onReconnect: 'drop')";
                    self.fail_live(&SpeakerError::new(Code::Disconnected, message));
                }
                self.update_hearing();
            }
            OutputEvent::Arrives => self.uncut(),
            OutputEvent::Reconnected => {
                self.output.is_shaken = false;
                self.note(None, EventKind::Reconnected);
                self.uncut();
            }
            OutputEvent::Muted(track_id, meanwhile) => {
                self.output.stream_muted(track_id, Some(meanwhile));
                self.note(None, EventKind::Muted { track_id });
                self.update_hearing();
            }
            OutputEvent::Unmuted(track_id) => {
                self.output.stream_muted(track_id, None);
                self.note(None, EventKind::Unmuted { track_id });
                self.update_hearing();
            }
            OutputEvent::Subscribed(track_id, identity) => {
                self.note(None, EventKind::Subscribed { track_id, identity });
            }
            OutputEvent::Refused(stream, error) => self.refused(stream, &error),
            OutputEvent::Unpublished(stream, meanwhile, error) => self.unpublished(stream, meanwhile, &error),
            OutputEvent::Republished(track_id) => {
                self.output.stream_opened(track_id);
                self.note(None, EventKind::Republished { track_id });
                self.update_hearing();
            }
            OutputEvent::Link(link) => self.stats.link = link,
            OutputEvent::Presence(presence) => self.hear_presence(presence),
            OutputEvent::Described(ticket, error) => {
                if self.room.answered(ticket, error.as_ref()) {
                    self.outbox.settle(ticket, error);
                }
            }
            OutputEvent::TakenOut(ticket, error) => {
                if self.output.unpublished(ticket) {
                    self.outbox.settle(ticket, error);
                }
            }
            OutputEvent::Data(data) => {
                if !self.outbox.note_data(self.mixer.now(), data) {
                    self.stats.dropped_data += 1;
                }
            }
            OutputEvent::Sent(ticket, error) => {
                if self.sends.remove(ticket) {
                    self.outbox.settle(ticket, error);
                }
            }
            OutputEvent::Lost(error, reason) => self.lose(&error, reason),
            OutputEvent::Failed(error) => self.output_failed(&error),
        }
    }

    /// Applies a message about the room's participants.
    fn hear_presence(&mut self, presence: Presence) {
        let is_joined = matches!(presence, Presence::Others(_));
        for kind in self.room.hear(presence) {
            self.note(None, kind);
        }
        if is_joined {
            for (ticket, description) in self.room.to_say() {
                self.outbox.request(OutputRequest::Describe(description, ticket));
            }
        }
    }

    /// Fails the calls that wait for the room.
    pub(super) fn fail_room_calls(&mut self, error: &SpeakerError) {
        for ticket in self.room.give_up().into_iter().chain(self.sends.give_up()) {
            self.outbox.settle(ticket, Some(error.clone()));
        }
    }

    /// Settles the calls that wait for a track to be unpublished.
    pub(super) fn settle_unpublished(&mut self, error: Option<&SpeakerError>) {
        for ticket in self.output.take_unpublishing() {
            self.outbox.settle(ticket, error.cloned());
        }
    }

    /// Notes that the output can be written again.
    fn uncut(&mut self) {
        self.output.connection = Connection::Open;
        self.answer_connects(None);
        self.update_hearing();
    }

    /// Handles that the output was lost: everything live fails, and the next request connects anew.
    fn lose(&mut self, error: &SpeakerError, reason: String) {
        self.counts.output_errors += 1;
        let was_held = self.retract_opening();
        // Disconnect first, so that a request made by an event listener opens a new connection.
        self.output.lost();
        self.room.closed();
        self.fail_live(error);
        self.fail_room_calls(error);
        // No track is in the room any more.
        self.settle_unpublished(None);
        if std::mem::take(&mut self.output.was_connected) {
            self.note(None, EventKind::Disconnected { reason });
        }
        self.answer_connects(Some(error));
        if was_held {
            self.outbox.release();
        }
    }

    pub(super) fn answer_connects(&mut self, error: Option<&SpeakerError>) {
        for ticket in self.output.take_tickets() {
            self.outbox.answer(ticket, error.cloned());
        }
        if let Some(error) = error {
            self.fail_advances(error);
        }
    }

    pub(super) fn fail_advances(&mut self, error: &SpeakerError) {
        for Advance { ticket, .. } in std::mem::take(&mut self.advances) {
            self.outbox.settle(ticket, Some(error.clone()));
        }
    }

    /// Handles that the output failed to take a frame: everything live fails, and the session may try again.
    fn output_failed(&mut self, error: &SpeakerError) {
        if self.output.failed(error) {
            self.counts.output_errors += 1;
            let SpeakerError { code, message, .. } = error.clone();
            self.note(None, EventKind::Error { code, message });
        }
        self.fail_live(error);
        self.fail_advances(error);
    }

    fn fail_live(&mut self, error: &SpeakerError) {
        self.fail_tracks(|_, _| true, error);
        self.mixer.reset();
    }

    /// Returns the demand on a realtime clock. Requests the streams of playbacks that could start.
    pub fn pace(&mut self) -> Pace {
        let mut starts = false;
        for loading in self.playbacks.loading.iter().filter(|loading| loading.can_start()) {
            let stream = self.mixer.stream_of(loading.request.track);
            starts |= self.output.takes(stream, &mut self.outbox) && !self.output.holds(stream);
        }
        match self.output.connection {
            Connection::Cut { is_halted: true } => Pace::Halt,
            Connection::Open if starts || self.options.is_continuous => Pace::Run,
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
            let more = self.mixer.mix(&mut self.playbacks.sounding, scratch, &mut self.notices);
            self.digest();
            if !more {
                break;
            }
        }
        self.tell_metadata();
        for sounding in &self.playbacks.sounding {
            self.outbox.wakes.extend(sounding.voice.reader.refill());
        }
        self.mixer.finish(scratch)
    }

    /// Emits the metadata that sources have for the sound of this frame.
    fn tell_metadata(&mut self) {
        let mut said = Vec::new();
        for Sounding { request, voice, .. } in &self.playbacks.sounding {
            while let Some(metadata) = voice.reader.take_metadata() {
                said.push((request.clone(), metadata));
            }
        }
        for (request, NowPlaying { title, url, station }) in said {
            self.note(Some(&request), EventKind::Metadata { title, url, station });
        }
    }

    /// Joins a playback that ends in this frame, or within the look-ahead, to the next in line: one goes over into the other as if they
    /// were one file.
    fn join_ends(&mut self, frames: usize) {
        let now = self.now();
        self.seams.retain(|seam| seam.at == now);
        if self.options.policy.crossfade > 0 {
            return;
        }
        let Self { playbacks, options, .. } = self;
        let reach = (frames + LOOK_AHEAD + RINGING) as Samples;
        for index in 0..playbacks.sounding.len() {
            let sounding = &playbacks.sounding[index];
            let Request { id, track, .. } = sounding.request;
            if sounding.voice.source_left().is_none_or(|left| left > reach) || sounding.leaving.is_some() {
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
    pub fn commit(&mut self, result: Result<()>, gauges: Gauges) {
        let Gauges { dropped_frames, late_frames, lost_frames, shared_packets, late } = gauges;
        let more = |now: u64, before: u64| now.saturating_sub(before) as u32;
        let (late_more, lost_more) =
            (more(late_frames, self.stats.late_frames), more(lost_frames, self.stats.lost_frames));
        let overloaded = self.overload.look(self.wall, late_more, lost_more, late);
        self.stats = Stats { dropped_frames, late_frames, lost_frames, shared_packets, ..self.stats };
        let retracted = result.as_ref().err().map_or(0, |error| self.outbox.retract(error));
        self.stats.completed -= retracted;
        self.stats.failed += retracted;
        if let Err(error) = &result {
            self.counts.failures.extend((0..retracted).map(|_| error.code));
        }
        self.outbox.release();
        overloaded.into_iter().for_each(|kind| self.note(None, kind));
        match result {
            Ok(()) => self.output.succeeded(),
            Err(error) => self.output_failed(&error),
        }
    }

    /// Advances over silent time.
    pub fn skip(&mut self, samples: Samples) {
        self.mixer.skip(&mut self.playbacks.sounding, samples);
    }

    /// The process was halted: what sounds falls silent in the next frame, and takes nothing until
    /// [`go_on`](Self::go_on).
    pub fn fall_silent(&mut self) {
        self.playbacks.sounding.iter_mut().for_each(|sounding| sounding.voice.fall_silent());
    }

    /// Makes everything rise again after a halt.
    pub fn go_on(&mut self) {
        for sounding in &mut self.playbacks.sounding {
            sounding.voice.go_on_after_halt();
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
            self.look(at);
            let Some(left) = self.time_wanted() else { return Step::Done };
            // How fast a sought place loads must not decide between calls at one time, nor come before a failure: seeks are completed only
            // while time is to pass, and once everything else is loaded.
            if self.playbacks.opened().any(|(_, source)| source.is_loading()) {
                return Step::Waits;
            }
            self.swap_sought();
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
                advance.into_iter().for_each(|advance| self.outbox.settle(advance.ticket, None));
                continue;
            }
            let is_silence = !self.can_start() && self.mixer.is_idle(&mut self.playbacks.sounding);
            if is_silence && !self.options.is_continuous {
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

    fn can_start(&self) -> bool {
        let is_held = |loading: &Loading| self.output.holds(self.mixer.stream_of(loading.request.track));
        self.playbacks.loading.iter().any(|loading| loading.can_start() && !is_held(loading))
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
        let mut index = 0;
        while let Some(loading) = self.playbacks.loading.get(index) {
            let Loadable::Reading(reader) = &loading.source else {
                index += 1;
                continue;
            };
            let (track, length) = (loading.request.track, reader.left());
            let stream = self.mixer.stream_of(track);
            let is_time = loading.can_start()
                && loading.source.failure().is_none()
                && self.output.takes(stream, &mut self.outbox)
                && !self.output.holds(stream)
                && (loading.request.overlap != Overlap::Queue
                    || Mixer::makes_way(&mut self.playbacks.sounding, track, length));
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
        if reader.left() == Some(0) {
            // A source without samples completes and never starts.
            let (duration_ms, position_ms, unheard_ms) = (0.0, to_ms(reader.place()), 0.0);
            self.outbox.drop_reader(reader);
            self.over(&request, EventKind::Completed { duration_ms, position_ms, unheard_ms });
            return self.advance_line(track);
        }
        let mut voice = self.voice(&request, reader);
        let now = self.now();
        let seam = self.seams.iter().position(|seam| seam.at == now && seam.id == request.id);
        if let Some(index) = seam {
            voice.follow(self.seams.swap_remove(index).ringing);
        }
        if request.overlap == Overlap::Mix {
            self.mixer.start::<Sounding>(&mut voice, &mut []);
        } else {
            // The replaced playbacks cross over to it from here on.
            for other in self.playbacks.sounding.iter_mut().filter(|other| other.request.track == track) {
                other.leaving.iter_mut().for_each(|leaving| leaving.crosses = false);
            }
            self.mixer.start(&mut voice, &mut self.playbacks.sounding);
        }
        let id = request.id;
        let mut unheard = Unheard::default();
        let is_heard = self.output.is_heard(self.mixer.stream_of(track)) && !self.mixer.is_muted(track);
        unheard.mark(is_heard, 0);
        self.playbacks.sounding.push(Sounding {
            request,
            voice,
            sought: None,
            flushing: None,
            leaving: None,
            is_paused: false,
            is_held: false,
            unheard,
            end_approaches: false,
            joined: None,
        });
        self.hand_marks(id);
    }

    /// Turns the mixer's events into the session's, and acts on them.
    pub(super) fn digest(&mut self) {
        let mut notices = std::mem::take(&mut self.notices);
        for Notice { id, at, what } in notices.drain(..) {
            let Some(sounding) = self.playbacks.sounding(id) else { continue };
            let event = match what {
                What::Started => {
                    let (WallTime(asked), is_manual) = (sounding.request.asked, self.options.clock == Clock::Manual);
                    let after = |time: Samples| to_ms(time.saturating_sub(asked));
                    let first_byte_ms = sounding.voice.reader.first_byte().filter(|_| !is_manual).map(after);
                    EventKind::Started { latency_ms: after(if is_manual { at } else { self.wall.0 }), first_byte_ms }
                }
                What::Paused(place) => EventKind::Paused { position_ms: to_ms(place) },
                What::Resumed(place) => EventKind::Resumed { position_ms: to_ms(place) },
                What::Progress(place) => EventKind::Progress { position_ms: to_ms(place) },
                What::Stalled(place) => EventKind::Stalled { position_ms: to_ms(place) },
                What::EndApproaching => {
                    sounding.end_approaches = true;
                    let track = sounding.request.track;
                    self.advance_line(track);
                    continue;
                }
                What::Swapped { spent, sought } => {
                    self.outbox.drop_reader(spent);
                    let Some(place) = sought else {
                        self.hand_marks(id);
                        continue;
                    };
                    EventKind::Sought { position_ms: to_ms(place) }
                }
                What::Marked(number) => {
                    self.reach_mark(number, at);
                    continue;
                }
                What::Ended(why) => {
                    if let Some(track) = self.end(id, why) {
                        self.advance_line(track);
                    }
                    continue;
                }
            };
            let request = sounding.request.clone();
            self.note_at(at, Some(&request), event);
        }
        self.notices = notices;
    }

    /// Ends a playback that sounds: takes it off its shelf and notes its terminal event. Returns its track.
    pub(super) fn end(&mut self, id: PlaybackId, why: End) -> Option<u32> {
        let index = self.playbacks.sounding.iter().position(|sounding| sounding.request.id == id)?;
        let sounding = self.playbacks.sounding.remove(index);
        let Sounding { request, voice, leaving, joined, unheard, .. } = &sounding;
        if let (End::Source, Some(id), Some(ringing)) = (why, joined, voice.reader.post_ring()) {
            self.seams.push(Seam { at: self.mixer.now(), id: *id, ringing: ringing.to_vec() });
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
                let reason = leaving.as_ref().map_or_else(|| CLOSED.to_owned(), |leaving| leaving.reason.to_string());
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
        self.over(request, event);
        let track = request.track;
        self.outbox.garbage.push(Garbage::Sounding(Box::new(sounding)));
        Some(track)
    }

    /// Starts loading the next in line if the track is free.
    pub(super) fn advance_line(&mut self, track: u32) {
        self.end_crossing(track);
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
    fn end_crossing(&mut self, track: u32) {
        let mut loading = self.playbacks.loading.iter().map(|loading| &loading.request);
        if loading.any(|request| request.track == track && request.overlap != Overlap::Mix) {
            return;
        }
        for sounding in self.playbacks.sounding.iter_mut().filter(|each| each.request.track == track) {
            if let Some(leaving) = sounding.leaving.as_mut().filter(|leaving| leaving.crosses) {
                leaving.crosses = false;
                sounding.voice.stop(EDGE_FADE as Samples);
            }
        }
    }

    /// Updates a line: the first one gets its `queued` event and its source is opened ahead of its turn, one at a time, so that it can
    /// start without a gap; the line's time stands still while the playbacks that occupy the track are paused.
    pub(super) fn update_line(&mut self, track: u32) {
        let is_held = self.output.holds(self.mixer.stream_of(track)) || self.playbacks.is_held(track);
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
        if line.first_told != Some(first) {
            line.first_told = Some(first);
            let request = line.get(first).map(|waiting| waiting.request.clone());
            self.note(request.as_ref(), EventKind::Queued { queue_position: 1 });
        }
    }

    /// Ends everything that still sounds, after the last frame was handed over.
    pub fn cut(&mut self) {
        while let Some(sounding) = self.playbacks.sounding.first() {
            let id = sounding.request.id;
            self.end(id, End::Stop);
        }
        self.mixer.reset();
    }

    /// Ends the session: its output is closed, or failed to close.
    pub fn closed(&mut self, result: Result<()>) {
        self.output.closed();
        self.output.end_listenings();
        self.room.closed();
        if std::mem::take(&mut self.output.was_connected) {
            self.note(None, EventKind::Disconnected { reason: CLOSED.to_owned() });
        }
        self.outbox.release();
        self.settle_unpublished(None);
        let error = result.err();
        for ticket in std::mem::take(&mut self.closing) {
            self.outbox.settle(ticket, error.clone());
        }
        self.lifecycle = match self.lifecycle {
            Lifecycle::Broken { .. } => Lifecycle::Broken { is_closed: true },
            _ => Lifecycle::Closed,
        };
    }

    /// Returns true once the output is closed for good.
    pub fn is_closed(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Closed | Lifecycle::Broken { is_closed: true })
    }
}

impl Loading {
    /// Returns true if it can be played from and is not paused.
    fn can_start(&self) -> bool {
        !self.is_paused && self.source.is_ready()
    }
}
