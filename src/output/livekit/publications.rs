//! The publications of the session's tracks, from request to removal, as a state machine: it reads no clock and sends nothing, but
//! returns what to send, what to report to the session, and its next deadline.
//!
//! ```text
//! requested ─▶ announced ─▶ named, offered, agreed: published ─▶ subscribed to, or timeout: open ◀─────────┐
//!              │ refused, or late                              │ unpublished by the server                │
//!              ▼                                               ▼                                          │
//!          forgotten until it is requested again              out ─▶ allowed again: announced again ──────┘
//! ```
//!
//! A server gives a line whose announcement it refused to the next announcement, whatever its client id is (`getPendingTrack` in its
//! pkg/rtc/participant.go), and then that track carries another one's sound. So a line is offered after its announcement was confirmed. Only
//! the first offer of a stay is sent at once with the announcements, to save a round trip; if one of these is refused, because the right to
//! publish was revoked in this moment, the room is joined anew.
//!
//! A track can be unpublished in any state: once it is published and its last sound was heard, its media line is released, and when
//! the room no longer lists it, it is forgotten, or published again if it was requested meanwhile.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::announcement::{Announcement, TrackOptions};
use super::disconnect::{Disconnect, Retry};
use super::encoder::Encoding;
use super::join::{LiveKitOptions, StartWhen};
use super::mutes::Mutes;
use super::peer::{Mid, Pt};
use super::signal_event::{Grant, LocalParticipant, SignalEvent, no_grant};
use crate::error::{Code, Result, SpeakerError};
use crate::ids::Ticket;
use crate::output::{OutputEvent, Presence, UnheardPolicy};

/// The delay before a track that the server unpublished is offered again, unless the server forbids it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The timeout for the room to unlist a track whose line is released: a hidden participant gets no lists.
const LIST_TIMEOUT: Duration = Duration::from_secs(1);

/// The most subscriptions kept for tracks whose publication was not confirmed yet.
const MAX_EARLY: usize = 64;

/// The options of a session that concern its tracks.
pub struct PublishOptions {
    pub channels: usize,
    pub encoding: Encoding,
    pub tracks: HashMap<u32, TrackOptions>,
    pub at_once: Vec<u32>,
    /// The timeout of each publishing.
    pub timeout: Duration,
    pub start_when: StartWhen,
    pub subscribe_timeout: Duration,
    /// The policy for playbacks on a track that the server unpublished.
    pub on_reconnect: UnheardPolicy,
    pub on_mute: UnheardPolicy,
}

impl PublishOptions {
    pub fn new(options: &LiveKitOptions, channels: usize) -> Self {
        Self {
            channels,
            encoding: options.encoding,
            tracks: options.tracks.clone(),
            at_once: options.publish_at_once.clone(),
            timeout: options.timeout,
            start_when: options.start_when,
            subscribe_timeout: options.subscribe_timeout,
            on_reconnect: options.on_reconnect,
            on_mute: options.on_mute,
        }
    }
}

pub struct Publications {
    options: PublishOptions,
    tracks: Vec<Publication>,
    mutes: Mutes,
    /// The room can be reached; deadlines run only then.
    is_reachable: bool,
    /// The sources that may be published.
    grant: Grant,
    /// `Connected` was not reported yet: a failure now fails the connecting.
    is_starting: bool,
    /// Lines of tracks that are not confirmed yet may be offered.
    offers_ahead: bool,
    /// An announcement was refused after its line had been offered, which is not risked again.
    was_refused_ahead: bool,
    failure: Option<SpeakerError>,
    /// The other participants: the server's id of each one's stay, by identity.
    others: BTreeMap<String, String>,
    /// Somebody who is not listed yet has subscribed: a server lists those who only listen up to three seconds late.
    has_unlisted_listener: bool,
    /// Subscriptions to tracks whose publication was not confirmed yet, by track id.
    early_subscriptions: Vec<String>,
    /// Media lines that are no longer used.
    idle: Vec<Mid>,
    events: VecDeque<OutputEvent>,
    /// The answers to calls that unpublish tracks.
    answers: VecDeque<OutputEvent>,
}

struct Publication {
    stream: u32,
    announcement: Announcement,
    registration: Registration,
    line: Line,
    reported: Reported,
    deferral: Deferral,
    /// The time by which it has to be published.
    deadline: Option<Instant>,
    /// The time at which it was published.
    published: Option<Instant>,
    is_open: bool,
    subscription: Subscription,
    /// It had a subscriber before the rejoin, who is worth waiting for.
    had_listener: bool,
    /// Its mute state is still to be sent to the server.
    mute_is_due: bool,
    /// Its removal from the room, if it was unpublished.
    removal: Option<Removal>,
}

/// The removal of a track that the session unpublished.
struct Removal {
    step: RemovalStep,
    /// The tickets of the calls that wait for it.
    tickets: Vec<Ticket>,
}

enum RemovalStep {
    /// It is not published yet, or its last sound may still be in transit.
    Draining,
    /// Its line is being released; `sid` was its id in the room.
    Releasing { mid: Mid, sid: String, is_offered: bool, is_unlisted: bool },
    /// The release is agreed; a list without this id is awaited.
    Released { sid: String },
    /// It is removed by the rejoin, with the old participant.
    Rejoining,
}

/// The registration of a track with the server.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Registration {
    None,
    Announced,
    Named(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    None,
    Offered(Mid),
    Agreed(Mid, Pt),
}

/// The state that was reported to the session.
enum Reported {
    /// Nothing: nobody waits for it.
    Nothing,
    /// The session waits for it.
    Waiting,
    /// It accepts samples.
    Open,
    /// It accepted samples, and was unpublished by the server.
    Out(SpeakerError),
}

/// How long an announcement is deferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deferral {
    None,
    UntilAllowed,
    Until(Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscription {
    None,
    /// Somebody has subscribed, which is still to be reported.
    New,
    Reported,
}

/// The messages to send to the server.
#[derive(Debug, Default)]
pub struct Todo {
    pub announcements: Vec<Announcement>,
    /// The client ids of tracks that need a media line, all in one offer.
    pub lines: Vec<String>,
    /// Lines to release, in the same offer.
    pub idle: Vec<Mid>,
    /// Track ids and their mute states.
    pub mutes: Vec<(String, bool)>,
}

impl Publications {
    pub fn new(options: PublishOptions) -> Self {
        let at_once = options.at_once.clone();
        let mut publications = Self {
            options,
            tracks: Vec::new(),
            mutes: Mutes::default(),
            is_reachable: false,
            grant: Grant::All,
            is_starting: true,
            offers_ahead: true,
            was_refused_ahead: false,
            failure: None,
            others: BTreeMap::new(),
            has_unlisted_listener: false,
            early_subscriptions: Vec::new(),
            idle: Vec::new(),
            events: VecDeque::new(),
            answers: VecDeque::new(),
        };
        at_once.into_iter().for_each(|stream| publications.add(stream, None));
        publications
    }

    fn add(&mut self, stream: u32, deadline: Option<Instant>) {
        let PublishOptions { tracks, channels, encoding, .. } = &self.options;
        let options = tracks.get(&stream).cloned().unwrap_or_default();
        self.tracks.push(Publication {
            stream,
            announcement: Announcement::new(stream, options, *channels, *encoding),
            registration: Registration::None,
            line: Line::None,
            reported: Reported::Waiting,
            deferral: Deferral::None,
            deadline,
            published: None,
            is_open: false,
            subscription: Subscription::None,
            had_listener: false,
            mute_is_due: false,
            removal: None,
        });
    }

    /// Requests a track. Returns true if it accepts samples already; fails if it can't be published now.
    pub fn ask(&mut self, stream: u32, now: Instant) -> Result<bool> {
        let deadline = self.is_reachable.then(|| now + self.options.timeout);
        let source = self.options.tracks.get(&stream).map(|options| options.source).unwrap_or_default();
        let is_allowed = self.grant.allows(source);
        match self.tracks.iter_mut().find(|track| track.stream == stream) {
            Some(Publication { reported: Reported::Out(error), .. }) => Err(of_one_track(error.clone())),
            Some(track) if matches!(track.reported, Reported::Nothing) => {
                if !is_allowed {
                    return Err(of_one_track(no_grant(source)));
                }
                track.reported = Reported::Waiting;
                // A removal that is under way finishes first.
                if track.removal.is_none() {
                    (track.deferral, track.deadline) = (Deferral::None, deadline);
                }
                Ok(false)
            }
            Some(track) => Ok(track.is_open),
            None if !is_allowed => Err(of_one_track(no_grant(source))),
            None => {
                self.add(stream, deadline);
                Ok(false)
            }
        }
    }

    /// Unpublishes a track, or prevents its publishing, until it is requested again. The ticket is answered once the room no longer has
    /// the track.
    pub fn unpublish(&mut self, stream: u32, ticket: Option<Ticket>) {
        let Some(index) = self.tracks.iter().position(|track| track.stream == stream) else {
            return self.answer(ticket, None);
        };
        let track = &mut self.tracks[index];
        (track.reported, track.is_open) = (Reported::Nothing, false);
        let removal = track.removal.get_or_insert_with(|| Removal { step: RemovalStep::Draining, tickets: Vec::new() });
        removal.tickets.extend(ticket);
        match (&removal.step, &track.registration) {
            // Its room is about to be rejoined.
            (RemovalStep::Draining, Registration::None) if !self.is_reachable && !self.is_starting => {
                removal.step = RemovalStep::Rejoining
            }
            // The server knows nothing of it.
            (RemovalStep::Draining, Registration::None) => self.removed(index, None),
            _ => {}
        }
        self.sweep();
    }

    /// Returns true if a track's line may be released as soon as its last sound was heard.
    pub fn is_draining(&self, stream: u32) -> bool {
        let is_speaking =
            |track: &Publication| matches!(track.removal, Some(Removal { step: RemovalStep::Draining, .. }));
        self.tracks.iter().any(|track| track.stream == stream && is_speaking(track) && track.is_agreed())
    }

    /// Releases the line of a track that is [draining](Self::is_draining). Returns its id in the room.
    pub fn release(&mut self, stream: u32, now: Instant) -> Option<String> {
        let track = self.tracks.iter_mut().find(|track| track.stream == stream)?;
        let Registration::Named(sid) = track.registration.clone() else { return None };
        let mid = track.retire()?;
        track.deadline = self.is_reachable.then(|| now + self.options.timeout);
        self.idle.push(mid);
        if let Some(removal) = &mut track.removal {
            removal.step = RemovalStep::Releasing { mid, sid: sid.clone(), is_offered: false, is_unlisted: false };
        }
        Some(sid)
    }

    /// Completes a removal: the track is forgotten, or published again if it was requested meanwhile.
    fn removed(&mut self, index: usize, now: Option<Instant>) {
        self.answer_all(index, None);
        let track = &mut self.tracks[index];
        (track.removal, track.deferral, track.had_listener) = (None, Deferral::None, false);
        track.deadline = now.filter(|_| self.is_reachable).map(|now| now + self.options.timeout);
    }

    /// Handles that the room no longer lists a track with this id.
    fn unlisted(&mut self, sid: &str, now: Instant) {
        let leaves = |track: &Publication| match &track.removal {
            Some(Removal {
                step: RemovalStep::Releasing { sid: name, .. } | RemovalStep::Released { sid: name },
                ..
            }) => name == sid,
            _ => false,
        };
        let Some(index) = self.tracks.iter().position(leaves) else { return };
        match &mut self.tracks[index].removal {
            Some(Removal { step: RemovalStep::Releasing { is_unlisted, .. }, .. }) => *is_unlisted = true,
            _ => self.removed(index, Some(now)),
        }
    }

    fn answer_all(&mut self, index: usize, error: Option<&SpeakerError>) {
        let removal = self.tracks[index].removal.as_mut();
        let tickets = removal.map(|removal| std::mem::take(&mut removal.tickets)).unwrap_or_default();
        tickets.into_iter().for_each(|ticket| self.answer(Some(ticket), error.cloned()));
    }

    fn answer(&mut self, ticket: Option<Ticket>, error: Option<SpeakerError>) {
        self.answers.extend(ticket.map(|ticket| OutputEvent::UnpublishDone { ticket, error }));
    }

    /// Returns the next answer to a call that unpublishes a track.
    pub fn take_answer(&mut self) -> Option<OutputEvent> {
        self.answers.pop_front()
    }

    /// Mutes or unmutes a track, whether or not it is published.
    pub fn set_muted(&mut self, stream: u32, muted: bool) {
        self.mutes.set_ours(stream, muted);
        self.tracks.iter_mut().filter(|track| track.stream == stream).for_each(|track| track.mute_is_due = true);
    }

    /// Handles that the room was joined; `local` has our permissions.
    pub fn joined(&mut self, local: &LocalParticipant, now: Instant) {
        (self.is_reachable, self.grant) = (true, local.grant.clone());
        for index in 0..self.tracks.len() {
            if matches!(self.tracks[index].removal, Some(Removal { step: RemovalStep::Rejoining, .. })) {
                self.removed(index, Some(now));
            }
        }
        self.refuse_unannounced();
        self.set_deadlines(now);
    }

    /// Handles that the connection was interrupted.
    pub fn interrupted(&mut self) {
        self.is_reachable = false;
        self.tracks.iter_mut().for_each(|track| track.deadline = None);
        self.take_back_idle();
    }

    /// Puts lines back whose release was offered without an answer; the next offer repeats it.
    fn take_back_idle(&mut self) {
        for track in &mut self.tracks {
            if let Some(Removal { step: RemovalStep::Releasing { mid, is_offered, .. }, .. }) = &mut track.removal
                && std::mem::take(is_offered)
            {
                self.idle.push(*mid);
            }
        }
    }

    /// Handles that the session was resumed. Pending offers are void.
    pub fn resumed(&mut self, now: Instant) {
        self.is_reachable = true;
        let is_void = |track: &&mut Publication| match (&track.registration, track.line) {
            // The server keeps the announcement.
            (Registration::Named(_), Line::None) => false,
            _ => track.published.is_none(),
        };
        let unpublished = self.tracks.iter_mut().filter(is_void);
        self.idle.extend(unpublished.filter_map(Publication::retire));
        for index in 0..self.tracks.len() {
            let Publication { removal, registration, .. } = &self.tracks[index];
            let is_out = match removal.as_ref().map(|removal| &removal.step) {
                Some(RemovalStep::Draining) => *registration == Registration::None,
                Some(RemovalStep::Released { .. } | RemovalStep::Rejoining) => true,
                Some(RemovalStep::Releasing { .. }) | None => false,
            };
            if is_out {
                self.removed(index, Some(now));
            }
        }
        for stream in self.mutes.unconfirmed() {
            self.tracks.iter_mut().filter(|track| track.stream == stream).for_each(|track| track.mute_is_due = true);
        }
        self.sweep();
        self.set_deadlines(now);
    }

    /// Resets everything but the requests, because the room is about to be rejoined.
    pub fn reset(&mut self) {
        (self.is_reachable, self.grant) = (false, Grant::All);
        self.offers_ahead = !self.was_refused_ahead;
        for track in &mut self.tracks {
            track.had_listener |= track.subscription != Subscription::None;
            track.retire();
            (track.deferral, track.deadline) = (Deferral::None, None);
            if let Some(removal) = &mut track.removal {
                removal.step = RemovalStep::Rejoining;
            }
        }
        self.mutes.reset();
        self.others.clear();
        self.has_unlisted_listener = false;
        self.early_subscriptions.clear();
        self.idle.clear();
        self.sweep();
    }

    fn set_deadlines(&mut self, now: Instant) {
        let deadline = now + self.options.timeout;
        let leaves =
            |track: &Publication| matches!(track.removal, Some(Removal { step: RemovalStep::Releasing { .. }, .. }));
        let awaited =
            |track: &&mut Publication| matches!(track.reported, Reported::Waiting | Reported::Open) || leaves(track);
        for track in self.tracks.iter_mut().filter(|track| track.published.is_none()).filter(awaited) {
            track.deadline = Some(deadline);
        }
    }

    /// Handles a signalling event that concerns tracks.
    pub fn handle(&mut self, event: &SignalEvent, now: Instant) {
        match event {
            SignalEvent::Published { cid, sid } => self.named(cid, sid),
            SignalEvent::Refused { cid, error } => {
                let refused = self.tracks.iter().position(|track| track.announcement.cid == *cid);
                if let Some(index) = refused.filter(|index| self.tracks[*index].registration == Registration::Announced)
                {
                    self.refused(index, error);
                }
            }
            SignalEvent::Unpublished { sid } => {
                self.unlisted(sid, now);
                if let Some(index) = self.index_of(sid) {
                    self.removed_by_server(index, Deferral::Until(now + RETRY_AFTER));
                }
            }
            SignalEvent::Subscribed { sid } => {
                self.has_unlisted_listener |= self.others.is_empty();
                match self.index_of(sid) {
                    Some(index) => self.tracks[index].add_listener(),
                    None if self.early_subscriptions.len() < MAX_EARLY => self.early_subscriptions.push(sid.clone()),
                    None => {}
                }
            }
            SignalEvent::Muted { sid, muted } => {
                if let Some(index) = self.index_of(sid) {
                    // It is sent back to the server, so that both agree even if the two messages cross.
                    self.tracks[index].mute_is_due = true;
                    self.mutes.set_theirs(self.tracks[index].stream, *muted);
                }
            }
            SignalEvent::LocalParticipant(local) => self.listed(local, now),
            _ => {}
        }
        self.sweep();
    }

    /// Updates the other participants.
    pub fn update_others(&mut self, presence: &Presence) {
        match presence {
            Presence::Local(_) => {}
            Presence::Others(others) => {
                self.others = others.iter().map(|other| (other.identity.clone(), other.sid.clone())).collect();
            }
            Presence::Listed(other) => {
                self.others.insert(other.identity.clone(), other.sid.clone());
                self.has_unlisted_listener = false;
            }
            Presence::Left { identity, sid } => {
                // The id differs if the participant came back before the server noticed that it was gone.
                if self.others.get(identity) == Some(sid) {
                    self.others.remove(identity);
                }
            }
        }
    }

    fn named(&mut self, cid: &str, sid: &str) {
        let Some(track) = self.tracks.iter_mut().find(|track| track.announcement.cid == cid) else { return };
        track.registration = Registration::Named(sid.to_owned());
        if let Some(index) = self.early_subscriptions.iter().position(|early| early == sid) {
            self.early_subscriptions.swap_remove(index);
            track.add_listener();
        }
        if track.announcement.muted == self.mutes.is_muted(track.stream) {
            self.mutes.confirmed(track.stream);
        } else {
            track.mute_is_due = true;
        }
    }

    /// Handles that the server refused an announcement.
    fn refused(&mut self, index: usize, error: &SpeakerError) {
        let track = &mut self.tracks[index];
        if track.line != Line::None {
            // Its line can't be taken back.
            self.was_refused_ahead = true;
            self.failure.get_or_insert(error.clone());
            return;
        }
        (track.registration, track.deferral) = (Registration::None, Deferral::UntilAllowed);
        if track.removal.is_some() {
            self.removed(index, None);
        }
        self.fail(index, error.clone());
    }

    /// Handles the server's list of our tracks and permissions.
    fn listed(&mut self, local: &LocalParticipant, now: Instant) {
        self.grant = local.grant.clone();
        let is_listed = |sid: &str| local.tracks.iter().any(|(listed, _)| listed == sid);
        let left = self.tracks.iter().filter_map(Publication::released_sid).filter(|sid| !is_listed(sid));
        for sid in left.map(str::to_owned).collect::<Vec<_>>() {
            self.unlisted(&sid, now);
        }
        for index in 0..self.tracks.len() {
            let track = &mut self.tracks[index];
            let Registration::Named(sid) = &track.registration else { continue };
            match local.tracks.iter().find(|(listed, _)| listed == sid) {
                Some((_, muted)) => self.mutes.listed(track.stream, *muted),
                None if local.is_first && track.published.is_some() => {
                    self.removed_by_server(index, Deferral::Until(now + RETRY_AFTER))
                }
                None => {}
            }
        }
        let allowed = self.tracks.iter_mut().filter(|track| local.grant.allows(track.announcement.source));
        allowed.for_each(|track| track.deferral = Deferral::None);
        self.refuse_unannounced();
    }

    /// Fails unannounced tracks that may not be published. For announced ones the server reports the outcome.
    fn refuse_unannounced(&mut self) {
        for index in 0..self.tracks.len() {
            let Publication { registration, announcement, .. } = &self.tracks[index];
            if *registration == Registration::None && !self.grant.allows(announcement.source) {
                self.fail(index, no_grant(announcement.source));
            }
        }
        self.sweep();
    }

    /// Handles that the server unpublished a track.
    fn removed_by_server(&mut self, index: usize, deferral: Deferral) {
        let track = &mut self.tracks[index];
        self.idle.extend(track.retire());
        if track.removal.is_some() {
            self.removed(index, None);
            return self.refuse_unannounced();
        }
        track.deferral = deferral;
        let error = match track.reported {
            Reported::Waiting => no_grant(track.announcement.source),
            _ => unpublished_by_server(track.stream),
        };
        self.fail(index, error);
    }

    /// Handles that a track can't be published, or is no longer.
    fn fail(&mut self, index: usize, error: SpeakerError) {
        let track = &mut self.tracks[index];
        let stream = track.stream;
        if !track.is_released() {
            track.deadline = None;
        }
        match track.reported {
            Reported::Waiting => {
                track.reported = Reported::Nothing;
                if self.is_starting && self.options.at_once.contains(&stream) {
                    self.failure.get_or_insert(error);
                } else {
                    self.events.push_back(OutputEvent::Refused { stream, error: of_one_track(error) });
                }
            }
            Reported::Open => {
                let error = of_one_track(error);
                track.reported = Reported::Out(error.clone());
                self.events.push_back(OutputEvent::Unpublished { stream, policy: self.options.on_reconnect, error });
            }
            Reported::Nothing | Reported::Out(_) => {}
        }
    }

    /// Forgets tracks that nobody waits for and the server does not know.
    fn sweep(&mut self) {
        let is_known = |track: &Publication| track.line != Line::None || track.removal.is_some();
        self.tracks.retain(|track| !matches!(track.reported, Reported::Nothing) || is_known(track));
    }

    /// Returns what to send now. `awaits_answer` is true while an offer is pending, so that there can't be another.
    pub fn todo(&mut self, awaits_answer: bool, now: Instant) -> Option<Todo> {
        if !self.is_reachable {
            return None;
        }
        let mut todo = Todo::default();
        for track in &mut self.tracks {
            if let (Registration::Named(sid), true) = (&track.registration, track.mute_is_due) {
                todo.mutes.push((sid.clone(), self.mutes.is_muted(track.stream)));
                track.mute_is_due = false;
            }
            // A server waits for the line of each track that it has named, even if it has revoked the right since.
            let is_named = matches!(track.registration, Registration::Named(_));
            let is_allowed = is_named || self.grant.allows(track.announcement.source);
            if !is_allowed || track.deferral != Deferral::None || track.is_released() {
                continue;
            }
            if track.registration == Registration::None {
                track.announcement.muted = self.mutes.is_muted(track.stream);
                (track.registration, track.mute_is_due) = (Registration::Announced, false);
                track.deadline.get_or_insert(now + self.options.timeout);
                todo.announcements.push(track.announcement.clone());
            }
            if track.line == Line::None && !awaits_answer && (is_named || self.offers_ahead) {
                todo.lines.push(track.announcement.cid.clone());
            }
        }
        if !awaits_answer {
            todo.idle.append(&mut self.idle);
            self.tracks.iter_mut().for_each(Publication::mark_release_offered);
        }
        let Todo { announcements, lines, idle, mutes } = &todo;
        let is_empty = announcements.is_empty() && lines.is_empty() && idle.is_empty() && mutes.is_empty();
        (!is_empty).then_some(todo)
    }

    /// Notes the media lines that were offered, with their tracks' client ids.
    pub fn offered(&mut self, lines: &[(Mid, String)]) {
        for (mid, cid) in lines {
            if let Some(track) = self.tracks.iter_mut().find(|track| track.announcement.cid == *cid) {
                track.line = Line::Offered(*mid);
            }
        }
    }

    /// Handles the answer to the offer; `payload_type` returns a line's payload type of Opus.
    pub fn answered(&mut self, mut payload_type: impl FnMut(Mid) -> Option<Pt>, now: Instant) {
        self.offers_ahead = false;
        for index in 0..self.tracks.len() {
            let track = &mut self.tracks[index];
            if let Some(removal) = &mut track.removal
                && let RemovalStep::Releasing { sid, is_offered: true, is_unlisted, .. } = &mut removal.step
            {
                if *is_unlisted {
                    self.removed(index, Some(now));
                } else {
                    removal.step = RemovalStep::Released { sid: std::mem::take(sid) };
                    track.deadline = Some(now + LIST_TIMEOUT);
                }
                continue;
            }
            if let Line::Offered(mid) = track.line
                && let Some(pt) = payload_type(mid)
            {
                track.line = Line::Agreed(mid, pt);
            }
        }
        self.sweep();
    }

    /// Handles that the pending offer will not be answered.
    pub fn withdrawn(&mut self) {
        for track in self.tracks.iter_mut().filter(|track| matches!(track.line, Line::Offered(_))) {
            track.line = Line::None;
        }
        self.take_back_idle();
    }

    /// Handles deadlines. `is_connected` is true if media can flow.
    pub fn tick(&mut self, is_connected: bool, now: Instant) {
        let is_anybody_there = !self.others.is_empty() || self.has_unlisted_listener;
        let waits = self.options.start_when == StartWhen::Subscribed && is_anybody_there;
        for track in &mut self.tracks {
            if matches!(track.deferral, Deferral::Until(at) if at <= now) {
                track.deferral = Deferral::None;
            }
            if is_connected && track.published.is_none() && track.is_agreed() {
                (track.published, track.deadline) = (Some(now), None);
            }
            let Some(published) = track.published.filter(|_| track.removal.is_none()) else { continue };
            let stream = track.stream;
            if track.subscription == Subscription::New {
                track.subscription = Subscription::Reported;
                let only = self.others.keys().next().filter(|_| self.others.len() == 1);
                self.events.push_back(OutputEvent::Subscribed { stream, identity: only.cloned() });
            }
            if track.is_open || waits && track.may_be_heard() && now < published + self.options.subscribe_timeout {
                continue;
            }
            track.is_open = true;
            match std::mem::replace(&mut track.reported, Reported::Open) {
                Reported::Nothing | Reported::Waiting => self.events.push_back(OutputEvent::Opened(stream)),
                Reported::Out(_) => self.events.push_back(OutputEvent::Republished(stream)),
                Reported::Open => {}
            }
        }
    }

    /// Returns when [`tick`](Self::tick) and [`late`](Self::late) have to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let each = |track: &Publication| {
            let opens = track
                .published
                .filter(|_| !track.is_open && track.removal.is_none())
                .map(|at| at + self.options.subscribe_timeout);
            let again = match track.deferral {
                Deferral::Until(at) => Some(at),
                Deferral::None | Deferral::UntilAllowed => None,
            };
            [opens, again, track.deadline].into_iter().flatten().min()
        };
        self.tracks.iter().filter_map(each).min()
    }

    /// Returns a track that had to be published by now and is not.
    pub fn late(&self, now: Instant) -> Option<u32> {
        let is_late = |track: &&Publication| track.deadline.is_some_and(|deadline| deadline <= now);
        self.tracks.iter().find(is_late).map(|track| track.stream)
    }

    /// Completes the removal of a [late](Self::late) track if only the room's list is missing. Returns true if it did.
    pub fn finish_release(&mut self, stream: u32, now: Instant) -> bool {
        let is_released =
            |track: &Publication| matches!(track.removal, Some(Removal { step: RemovalStep::Released { .. }, .. }));
        let index = self.tracks.iter().position(|track| track.stream == stream && is_released(track));
        if let Some(index) = index {
            self.removed(index, Some(now));
        }
        self.sweep();
        index.is_some()
    }

    /// Gives up publishing a track for now, or releasing it. Returns true if its offer is unanswered.
    pub fn give_up(&mut self, stream: u32, error: SpeakerError, now: Instant) -> bool {
        let Some(index) = self.tracks.iter().position(|track| track.stream == stream) else { return false };
        let track = &mut self.tracks[index];
        if let Some(Removal { step: RemovalStep::Releasing { mid, is_offered, .. }, .. }) = track.removal {
            if is_offered {
                // The release is offered again.
                self.idle.push(mid);
            }
            let limit = self.options.timeout.as_millis();
            let message = format!("the LiveKit server did not answer within {limit} ms (connectTimeoutMs)");
            self.answer_all(index, Some(&SpeakerError::new(Code::Refused, message)));
            self.removed(index, Some(now));
            self.sweep();
            return is_offered;
        }
        let is_unanswered = matches!(track.line, Line::Offered(_));
        self.idle.extend(track.retire());
        if track.removal.is_some() {
            self.answer_all(index, None);
            self.tracks[index].removal = None;
        }
        self.tracks[index].deferral = Deferral::Until(now + RETRY_AFTER);
        self.fail(index, error);
        self.sweep();
        is_unanswered
    }

    /// Returns the error that fails the connecting, or the stay in the room after it, if any.
    pub fn failure(&mut self) -> Option<Disconnect> {
        let retry = if self.is_starting { Retry::Never } else { Retry::Rejoin };
        self.failure.take().map(|error| Disconnect { retry, ..error.into() })
    }

    /// Handles that `Connected` was reported.
    pub fn started(&mut self) {
        self.is_starting = false;
    }

    /// Returns true if every track of `publishAtOnce` is published.
    pub fn is_as_asked(&self) -> bool {
        let asked = |track: &&Publication| self.options.at_once.contains(&track.stream) && track.removal.is_none();
        self.tracks.iter().filter(asked).all(|track| track.published.is_some())
    }

    /// Returns true if all tracks that accepted samples accept them again.
    pub fn is_restored(&self) -> bool {
        if self.is_starting {
            self.is_as_asked()
        } else {
            self.tracks.iter().all(|track| track.is_open || !matches!(track.reported, Reported::Open))
        }
    }

    /// Returns the next event to report to the session.
    pub fn next_event(&mut self) -> Option<OutputEvent> {
        self.events.pop_front().or_else(|| self.mutes.next_event(self.options.on_mute))
    }

    /// Returns the media line of a published stream.
    pub fn line(&self, stream: u32) -> Option<(Mid, Pt)> {
        let track = self.tracks.iter().find(|track| track.stream == stream)?;
        match track.line {
            Line::Agreed(mid, pt) if track.published.is_some() => Some((mid, pt)),
            _ => None,
        }
    }

    /// Returns the media line of a published stream that is not muted.
    pub fn speaking(&self, stream: u32) -> Option<(Mid, Pt)> {
        self.line(stream).filter(|_| !self.is_muted(stream))
    }

    pub fn is_muted(&self, stream: u32) -> bool {
        self.mutes.is_muted(stream)
    }

    fn index_of(&self, sid: &str) -> Option<usize> {
        self.tracks.iter().position(|track| matches!(&track.registration, Registration::Named(name) if name == sid))
    }
}

impl Publication {
    fn is_agreed(&self) -> bool {
        matches!((&self.registration, self.line), (Registration::Named(_), Line::Agreed(..)))
    }

    /// Returns true if its line is being released, or was.
    fn is_released(&self) -> bool {
        self.removal.as_ref().is_some_and(|removal| !matches!(removal.step, RemovalStep::Draining))
    }

    /// Returns the id in the room of a track whose line is released.
    fn released_sid(&self) -> Option<&str> {
        match &self.removal.as_ref()?.step {
            RemovalStep::Releasing { sid, .. } | RemovalStep::Released { sid } => Some(sid),
            RemovalStep::Draining | RemovalStep::Rejoining => None,
        }
    }

    /// Notes that an offer contains the release of its line.
    fn mark_release_offered(&mut self) {
        if let Some(Removal { step: RemovalStep::Releasing { is_offered, .. }, .. }) = &mut self.removal {
            *is_offered = true;
        }
    }

    /// Notes a subscriber.
    fn add_listener(&mut self) {
        if self.subscription == Subscription::None {
            self.subscription = Subscription::New;
        }
    }

    /// Returns true if a subscriber may come soon. One that had no subscriber before it was published again won't get one now.
    fn may_be_heard(&self) -> bool {
        let is_new = matches!(self.reported, Reported::Nothing | Reported::Waiting);
        self.subscription == Subscription::None && (is_new || self.had_listener)
    }

    /// Resets the publication to a new client id. Returns its media line, which is no longer used.
    fn retire(&mut self) -> Option<Mid> {
        self.announcement.renew(self.stream);
        self.had_listener |= self.subscription != Subscription::None;
        (self.registration, self.published, self.is_open) = (Registration::None, None, false);
        (self.subscription, self.mute_is_due) = (Subscription::None, false);
        match std::mem::replace(&mut self.line, Line::None) {
            Line::None => None,
            Line::Offered(mid) | Line::Agreed(mid, _) => Some(mid),
        }
    }
}

/// Turns an error into one that concerns a single track, while the room and the other tracks go on.
fn of_one_track(error: SpeakerError) -> SpeakerError {
    SpeakerError { code: Code::PublishFailed, ..error }
}

fn unpublished_by_server(stream: u32) -> SpeakerError {
    let message = format!(
        "Expected a place for track {stream} in the LiveKit room but received none any more: the server unpublished it \
         (was canPublish revoked?)"
    );
    SpeakerError::new(Code::PublishFailed, message)
}

#[cfg(test)]
mod tests {
    use super::super::announcement::TrackSource;
    use super::*;
    use crate::output::Participant;

    fn grant(may_publish: bool) -> Grant {
        if may_publish { Grant::All } else { Grant::None }
    }

    fn came(identity: &str) -> Presence {
        Presence::Listed(Participant { identity: identity.to_owned(), ..Default::default() })
    }

    fn went(identity: &str) -> Presence {
        Presence::Left { identity: identity.to_owned(), sid: String::new() }
    }

    const TIMEOUT: Duration = Duration::from_secs(10);
    const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(2);

    /// A server as seen by tracks, with a manual clock.
    struct Table {
        publications: Publications,
        now: Instant,
        is_connected: bool,
        awaits_answer: bool,
        /// The announcements in order; a track's id is `sid-<index>`.
        announced: Vec<Announcement>,
        lines: Vec<(Mid, String)>,
        offers: usize,
        idle: Vec<Mid>,
    }

    impl Table {
        fn new(at_once: &[u32]) -> Self {
            Self::with(at_once, StartWhen::Subscribed)
        }

        fn with(at_once: &[u32], start_when: StartWhen) -> Self {
            let options = PublishOptions {
                channels: 1,
                encoding: Encoding { bitrate: 64_000, complexity: 5, dtx: false, red: false },
                tracks: HashMap::new(),
                at_once: at_once.to_vec(),
                timeout: TIMEOUT,
                start_when,
                subscribe_timeout: SUBSCRIBE_TIMEOUT,
                on_reconnect: UnheardPolicy::Pause,
                on_mute: UnheardPolicy::Continue,
            };
            Self {
                publications: Publications::new(options),
                now: Instant::now(),
                is_connected: true,
                awaits_answer: false,
                announced: Vec::new(),
                lines: Vec::new(),
                offers: 0,
                idle: Vec::new(),
            }
        }

        /// Returns a joined and connected room with `others` in it.
        fn joined(at_once: &[u32], others: &[&str]) -> Self {
            let mut table = Self::new(at_once);
            table.join(true);
            others.iter().for_each(|identity| table.publications.update_others(&came(identity)));
            table.publications.started();
            table
        }

        fn join(&mut self, may_publish: bool) {
            self.publications.joined(&LocalParticipant { grant: grant(may_publish), ..Default::default() }, self.now);
        }

        fn handle(&mut self, event: SignalEvent) {
            self.publications.handle(&event, self.now);
        }

        /// Receives the list of our tracks: the indices of their announcements and their mute states.
        fn list(&mut self, tracks: &[(usize, bool)], may_publish: bool) {
            let tracks = tracks.iter().map(|(index, muted)| (format!("sid-{index}"), *muted)).collect();
            self.handle(SignalEvent::LocalParticipant(LocalParticipant {
                tracks,
                grant: grant(may_publish),
                ..Default::default()
            }));
        }

        fn ask(&mut self, stream: u32) -> Result<bool> {
            self.publications.ask(stream, self.now)
        }

        /// Sends what is due. Returns the mutes.
        fn send(&mut self) -> Vec<(String, bool)> {
            self.publications.tick(self.is_connected, self.now);
            let Some(todo) = self.publications.todo(self.awaits_answer, self.now) else { return Vec::new() };
            self.announced.extend(todo.announcements);
            let lines: Vec<_> =
                todo.lines.into_iter().enumerate().map(|(n, cid)| (mid(self.lines.len() + n), cid)).collect();
            if !lines.is_empty() || !todo.idle.is_empty() {
                (self.awaits_answer, self.offers) = (true, self.offers + 1);
            }
            self.publications.offered(&lines);
            self.lines.extend(lines);
            self.idle.extend(todo.idle);
            todo.mutes
        }

        /// Confirms a track's announcement.
        fn name(&mut self, index: usize) {
            self.handle(SignalEvent::Published { cid: self.announced[index].cid.clone(), sid: format!("sid-{index}") });
        }

        /// Refuses a track's announcement.
        fn refuse(&mut self, index: usize) {
            self.handle(SignalEvent::Refused {
                cid: self.announced[index].cid.clone(),
                error: no_grant(TrackSource::Microphone),
            });
        }

        fn answer(&mut self) {
            self.awaits_answer = false;
            self.publications.answered(|_| Some(111.into()), self.now);
        }

        fn subscribe(&mut self, index: usize) {
            self.handle(SignalEvent::Subscribed { sid: format!("sid-{index}") });
        }

        /// Sends what is due, to a server that agrees to everything. Returns the events.
        fn serve(&mut self) -> Vec<String> {
            let known = self.announced.len();
            self.send();
            (known..self.announced.len()).for_each(|index| self.name(index));
            self.send();
            self.answer();
            self.reported()
        }

        /// Unpublishes a stream's track, with its number as the ticket, and releases it if nothing has to be sent first.
        fn leave(&mut self, stream: u32) -> Vec<(String, bool)> {
            self.publications.unpublish(stream, Some(stream.into()));
            self.fall_silent(stream);
            self.send()
        }

        fn fall_silent(&mut self, stream: u32) {
            if self.publications.is_draining(stream) {
                assert!(self.publications.release(stream, self.now).is_some());
            }
        }

        fn wait(&mut self, time: Duration) -> Vec<String> {
            self.now += time;
            self.reported()
        }

        /// Returns the events reported so far.
        fn reported(&mut self) -> Vec<String> {
            self.publications.tick(self.is_connected, self.now);
            let publications = &mut self.publications;
            let events = std::iter::from_fn(|| publications.take_answer().or_else(|| publications.next_event()));
            events
                .map(|event| match event {
                    OutputEvent::UnpublishDone { ticket, error: None } => format!("out {ticket}"),
                    OutputEvent::UnpublishDone { ticket, error: Some(error) } => {
                        format!("{} {ticket}", error.code.as_str())
                    }
                    OutputEvent::Opened(stream) => format!("opened {stream}"),
                    OutputEvent::Subscribed { stream, identity: Some(identity) } => {
                        format!("subscribed {stream} {identity}")
                    }
                    OutputEvent::Subscribed { stream, identity: None } => format!("subscribed {stream}"),
                    OutputEvent::Refused { stream, .. } => format!("refused {stream}"),
                    OutputEvent::Unpublished { stream, policy, .. } => format!("unpublished {stream} {policy:?}"),
                    OutputEvent::Republished(stream) => format!("republished {stream}"),
                    OutputEvent::Muted { stream, .. } => format!("muted {stream}"),
                    OutputEvent::Unmuted(stream) => format!("unmuted {stream}"),
                    _ => unreachable!("no other events concern tracks"),
                })
                .collect()
        }
    }

    fn mid(index: usize) -> Mid {
        Mid::from(format!("m{index}").as_str())
    }

    const NOTHING: [String; 0] = [];

    #[test]
    fn empty_room_opens_at_once() {
        let mut table = Table::joined(&[0], &[]);
        assert_eq!(table.serve(), ["opened 0"]);
        assert_eq!(table.publications.next_deadline(), None);
    }

    #[test]
    fn track_opens_when_subscribed() {
        let mut table = Table::joined(&[], &["ear"]);
        assert!(!table.ask(3).unwrap());
        assert_eq!(table.serve(), NOTHING);
        assert!(!table.ask(3).unwrap(), "it is asked for twice");
        table.subscribe(0);
        table.subscribe(0);
        assert_eq!(table.reported(), ["subscribed 3 ear", "opened 3"]);
        assert!(table.ask(3).unwrap());
    }

    #[test]
    fn subscriber_is_awaited_until_timeout() {
        let mut table = Table::joined(&[], &["deaf"]);
        table.ask(3).unwrap();
        assert_eq!(table.serve(), NOTHING);
        assert_eq!(table.publications.next_deadline(), Some(table.now + SUBSCRIBE_TIMEOUT));
        assert_eq!(table.wait(SUBSCRIBE_TIMEOUT - Duration::from_millis(1)), NOTHING);
        assert_eq!(table.wait(Duration::from_millis(1)), ["opened 3"]);
        table.subscribe(0);
        assert_eq!(table.reported(), ["subscribed 3 deaf"], "later it is news all the same");
    }

    #[test]
    fn start_when_published_needs_no_subscriber() {
        let mut table = Table::with(&[0], StartWhen::Published);
        table.join(true);
        table.publications.update_others(&came("ear"));
        table.publications.started();
        assert_eq!(table.serve(), ["opened 0"]);
    }

    #[test]
    fn leaving_participants_are_not_awaited() {
        let mut table = Table::joined(&[0], &["ear", "other"]);
        assert_eq!(table.serve(), NOTHING);
        table.publications.update_others(&went("ear"));
        assert_eq!(table.reported(), NOTHING);
        table.publications.update_others(&went("other"));
        assert_eq!(table.reported(), ["opened 0"]);
    }

    #[test]
    fn newcomer_does_not_prolong_the_wait() {
        let mut table = Table::joined(&[0], &["deaf"]);
        table.serve();
        table.now += SUBSCRIBE_TIMEOUT - Duration::from_millis(1);
        table.publications.update_others(&came("late"));
        assert_eq!(table.wait(Duration::from_millis(1)), ["opened 0"]);
    }

    #[test]
    fn unlisted_subscriber_counts_as_present() {
        let mut table = Table::joined(&[0], &[]);
        assert_eq!(table.serve(), ["opened 0"]);
        table.subscribe(0);
        assert_eq!(table.reported(), ["subscribed 0"]);
        table.ask(3).unwrap();
        assert_eq!(table.serve(), NOTHING);
        table.subscribe(1);
        assert_eq!(table.reported(), ["subscribed 3", "opened 3"]);
        table.publications.update_others(&came("ear"));
        table.publications.update_others(&went("ear"));
        table.ask(4).unwrap();
        assert_eq!(table.serve(), ["opened 4"]);
    }

    #[test]
    fn only_a_sole_subscriber_is_named() {
        let mut table = Table::joined(&[0], &["ear", "other"]);
        table.serve();
        table.subscribe(0);
        assert_eq!(table.reported(), ["subscribed 0", "opened 0"]);
    }

    #[test]
    fn subscription_may_precede_publication() {
        let mut table = Table::joined(&[0], &["ear"]);
        table.send();
        table.subscribe(0);
        table.name(0);
        assert_eq!(table.reported(), NOTHING, "nothing is agreed yet");
        table.answer();
        assert_eq!(table.reported(), ["subscribed 0 ear", "opened 0"]);
    }

    #[test]
    fn nothing_is_published_without_media_path() {
        let mut table = Table::joined(&[0], &[]);
        table.is_connected = false;
        assert_eq!(table.serve(), NOTHING);
        assert!(!table.publications.is_as_asked());
        table.is_connected = true;
        assert_eq!(table.reported(), ["opened 0"]);
        assert!(table.publications.is_as_asked());
    }

    #[test]
    fn connecting_needs_no_subscriber() {
        let mut table = Table::joined(&[0, 1, 2], &["deaf"]);
        assert!(!table.publications.is_as_asked());
        assert_eq!(table.serve(), NOTHING);
        assert!(table.publications.is_as_asked());
    }

    #[test]
    fn waiting_tracks_share_one_offer() {
        let mut table = Table::joined(&[0, 1, 2], &[]);
        table.ask(7).unwrap();
        assert_eq!(table.serve(), ["opened 0", "opened 1", "opened 2", "opened 7"]);
        assert_eq!((table.offers, table.lines.len()), (1, 4));
    }

    #[test]
    fn later_request_is_in_next_offer() {
        let mut table = Table::joined(&[0], &[]);
        table.send();
        table.ask(1).unwrap();
        table.send();
        assert_eq!((table.offers, table.announced.len()), (1, 2));
        table.name(0);
        table.name(1);
        table.answer();
        assert_eq!(table.serve(), ["opened 0", "opened 1"]);
        assert_eq!(table.offers, 2);
    }

    #[test]
    fn late_track_fails_alone() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.send();
        table.name(1);
        table.send();
        assert_eq!(table.publications.next_deadline(), Some(table.now + TIMEOUT));
        table.now += TIMEOUT;
        assert_eq!(table.publications.late(table.now), Some(1));
        assert!(
            table.publications.give_up(1, no_grant(TrackSource::Microphone), table.now),
            "its offer was not answered"
        );
        assert_eq!(table.publications.late(table.now), None);
        assert_eq!(table.reported(), ["refused 1"]);
        table.publications.withdrawn();
        table.awaits_answer = false;
        // Its former client id is no longer known.
        table.name(1);
        assert!(!table.ask(1).unwrap());
        assert_eq!(table.serve(), NOTHING, "the old line is released");
        assert_eq!(table.serve(), ["opened 1"]);
        assert_ne!(table.announced[1].cid, table.announced[2].cid);
        assert!(table.ask(0).unwrap(), "the other one is as it was");
    }

    #[test]
    fn lost_offer_is_repeated_for_other_tracks() {
        let mut table = Table::joined(&[], &[]);
        table.ask(0).unwrap();
        table.send();
        table.ask(1).unwrap();
        table.name(0);
        table.answer();
        table.now += TIMEOUT / 2;
        table.ask(2).unwrap();
        table.reported();
        table.send();
        table.name(1);
        table.name(2);
        table.send();
        table.now += TIMEOUT / 2;
        assert_eq!(table.publications.late(table.now), Some(1));
        assert!(table.publications.give_up(1, no_grant(TrackSource::Microphone), table.now));
        table.publications.withdrawn();
        table.awaits_answer = false;
        assert_eq!(table.reported(), ["refused 1"]);
        let announced = table.announced.len();
        table.send();
        assert_eq!(table.announced.len(), announced, "it is announced already");
        table.answer();
        assert_eq!(table.reported(), ["opened 2"]);
    }

    #[test]
    fn deadlines_pause_while_unreachable() {
        let mut table = Table::joined(&[], &[]);
        table.ask(0).unwrap();
        table.publications.interrupted();
        table.now += 2 * TIMEOUT;
        assert_eq!((table.publications.late(table.now), table.publications.next_deadline()), (None, None));
        table.ask(1).unwrap();
        assert_eq!(table.publications.next_deadline(), None);
        table.publications.resumed(table.now);
        assert_eq!(table.publications.next_deadline(), Some(table.now + TIMEOUT));
        assert_eq!(table.serve(), ["opened 0", "opened 1"]);
    }

    #[test]
    fn sends_nothing_while_unreachable() {
        let mut table = Table::joined(&[0], &[]);
        table.publications.interrupted();
        table.publications.set_muted(0, true);
        assert!(table.publications.todo(false, table.now).is_none());
    }

    #[test]
    fn missing_grant_fails_connecting() {
        let mut table = Table::new(&[0, 1]);
        table.join(false);
        let failure = table.publications.failure().unwrap();
        assert_eq!((failure.error, failure.retry), (no_grant(TrackSource::Microphone), Retry::Never));
        assert_eq!(table.reported(), NOTHING);
        assert!(table.publications.todo(false, table.now).is_none(), "nothing is sent");
    }

    #[test]
    fn missing_grant_refuses_a_track() {
        let mut table = Table::new(&[]);
        table.ask(0).unwrap();
        table.join(false);
        table.publications.started();
        assert_eq!(table.reported(), ["refused 0"]);
        assert_eq!(table.ask(0).unwrap_err(), of_one_track(no_grant(TrackSource::Microphone)));
        assert!(table.publications.failure().is_none());
        table.list(&[], true);
        assert_eq!(table.send(), [], "nobody waits for it any more");
        assert!(!table.ask(0).unwrap());
        assert_eq!(table.serve(), ["opened 0"]);
    }

    #[test]
    fn refused_announcement_has_no_line() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.ask(2).unwrap();
        table.send();
        // Revoked on its way, and granted again.
        table.list(&[(0, false)], false);
        table.refuse(1);
        table.list(&[(0, false)], true);
        table.name(2);
        assert_eq!(table.reported(), ["refused 1"]);
        table.send();
        assert_eq!((table.offers, &table.lines[1].1), (2, &table.announced[2].cid));
        table.answer();
        assert_eq!(table.reported(), ["opened 2"]);
        table.ask(1).unwrap();
        assert_eq!(table.serve(), ["opened 1"]);
    }

    #[test]
    fn line_refused_in_first_offer_is_left_by_rejoining() {
        let mut table = Table::joined(&[], &[]);
        table.ask(0).unwrap();
        table.ask(1).unwrap();
        table.send();
        assert_eq!((table.offers, table.lines.len()), (1, 2), "a round trip less");
        table.refuse(0);
        table.name(1);
        assert_eq!(table.reported(), NOTHING, "both are still waited for");
        let failure = table.publications.failure().unwrap();
        assert_eq!((failure.error, failure.retry), (no_grant(TrackSource::Microphone), Retry::Rejoin));
        table.publications.reset();
        (table.awaits_answer, table.offers) = (false, 0);
        table.join(true);
        table.send();
        assert_eq!((table.offers, table.announced.len()), (0, 4), "not again ahead");
        table.refuse(2);
        table.name(3);
        assert!(table.publications.failure().is_none());
        table.send();
        table.answer();
        assert_eq!(table.reported(), ["refused 0", "opened 1"]);
    }

    #[test]
    fn confirmed_track_is_offered_even_if_revoked() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.send();
        table.name(1);
        table.list(&[(0, false)], false);
        table.send();
        assert_eq!(table.offers, 2, "the server waits for its line");
        table.handle(SignalEvent::Unpublished { sid: "sid-1".to_owned() });
        table.answer();
        assert_eq!(table.reported(), ["refused 1"]);
    }

    #[test]
    fn revoked_track_returns_with_the_grant() {
        let mut table = Table::joined(&[0], &["ear"]);
        table.serve();
        table.subscribe(0);
        table.reported();
        table.handle(SignalEvent::Unpublished { sid: "sid-0".to_owned() });
        table.list(&[], false);
        table.handle(SignalEvent::Unpublished { sid: "sid-0".to_owned() });
        assert_eq!(table.reported(), ["unpublished 0 Pause"]);
        assert_eq!(table.publications.line(0), None);
        assert!(table.ask(0).is_err(), "a new playback is refused");
        assert_eq!(table.wait(2 * RETRY_AFTER), NOTHING);
        table.send();
        assert_eq!((table.announced.len(), &table.idle[..]), (1, &[mid(0)][..]), "only its line is released");
        table.answer();
        table.list(&[], true);
        table.send();
        table.name(1);
        table.send();
        table.answer();
        assert_eq!(table.reported(), NOTHING, "its listener is waited for");
        table.subscribe(1);
        assert_eq!(table.reported(), ["subscribed 0 ear", "republished 0"]);
        assert!(table.publications.line(0).is_some());
        assert_ne!(table.announced[0].cid, table.announced[1].cid);
    }

    #[test]
    fn track_missing_from_first_list_is_unpublished() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.list(&[(0, false)], true);
        table.list(&[], true);
        assert_eq!(table.reported(), NOTHING, "a list's tracks may be older than its version");
        table.publications.interrupted();
        table.handle(SignalEvent::LocalParticipant(LocalParticipant {
            grant: Grant::All,
            is_first: true,
            ..Default::default()
        }));
        assert_eq!(table.reported(), ["unpublished 0 Pause"], "revoked and granted while nothing was heard of it");
        table.publications.resumed(table.now);
        assert_eq!(table.serve(), NOTHING, "the old line is released");
        assert_eq!(table.serve(), ["republished 0"]);
    }

    #[test]
    fn confirmed_track_survives_resume() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.send();
        table.name(1);
        table.publications.interrupted();
        table.publications.resumed(table.now);
        assert_eq!(table.serve(), ["opened 1"]);
        assert_eq!(table.announced.len(), 2);
    }

    #[test]
    fn grant_revoked_within_round_trip_settles() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.handle(SignalEvent::Unpublished { sid: "sid-0".to_owned() });
        for round in 0..3 {
            table.list(&[], false);
            table.list(&[], true);
            table.send();
            let index = table.announced.len() - 1;
            // The server has revoked it again before it comes.
            table.list(&[], false);
            match round {
                1 => table.refuse(index),
                _ => {
                    table.name(index);
                    table.handle(SignalEvent::Unpublished { sid: format!("sid-{index}") });
                }
            }
            table.answer();
            assert_eq!(
                table.reported(),
                if round == 0 { vec!["unpublished 0 Pause"] } else { vec![] },
                "round {round}"
            );
            assert!(table.ask(0).is_err());
        }
        table.list(&[], true);
        assert_eq!(table.serve(), ["republished 0"]);
    }

    #[test]
    fn unpublished_track_is_offered_again() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.handle(SignalEvent::Unpublished { sid: "sid-0".to_owned() });
        assert_eq!(table.serve(), ["unpublished 0 Pause"]);
        assert_eq!(table.publications.next_deadline(), Some(table.now + RETRY_AFTER));
        table.now += RETRY_AFTER;
        assert_eq!(table.serve(), ["republished 0"]);
    }

    #[test]
    fn rejoin_waits_for_earlier_subscribers() {
        let mut table = Table::joined(&[0, 1], &["ear"]);
        table.serve();
        table.subscribe(0);
        assert_eq!(table.reported(), ["subscribed 0 ear", "opened 0"]);
        assert_eq!(table.wait(SUBSCRIBE_TIMEOUT), ["opened 1"]);
        table.ask(5).unwrap();
        table.send();

        table.publications.reset();
        (table.is_connected, table.awaits_answer) = (false, false);
        assert!(!table.publications.is_restored());
        assert_eq!(table.publications.next_deadline(), None);
        table.join(true);
        table.publications.update_others(&came("ear"));
        table.serve();
        table.is_connected = true;
        assert_eq!(table.reported(), NOTHING);
        assert!(!table.publications.is_restored(), "track 0 had a listener");
        let index = table.announced.iter().rposition(|announced| announced.name == "speaker").unwrap();
        table.subscribe(index);
        assert_eq!(table.reported(), ["subscribed 0 ear"]);
        assert!(table.publications.is_restored(), "track 1 had none, and 5 was never open");
        assert_eq!(table.wait(SUBSCRIBE_TIMEOUT), ["opened 5"]);
    }

    #[test]
    fn rejoin_without_grant_unpublishes_tracks() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.publications.reset();
        table.join(false);
        assert_eq!(table.reported(), ["unpublished 0 Pause"]);
        assert!(table.publications.is_restored(), "there is nothing to wait for");
        table.list(&[], true);
        assert_eq!(table.serve(), ["republished 0"]);
    }

    #[test]
    fn resume_voids_pending_offers() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.send();
        table.name(1);
        table.send();
        table.publications.interrupted();
        table.awaits_answer = false;
        table.publications.resumed(table.now);
        assert_eq!(table.serve(), NOTHING, "the old line is released");
        assert_eq!(table.serve(), ["opened 1"]);
        assert_ne!(table.announced[1].cid, table.announced[2].cid);
        assert_eq!(table.announced.len(), 3, "the first one stays");
    }

    #[test]
    fn mute_is_announced_and_survives_rejoin() {
        let mut table = Table::joined(&[], &[]);
        table.publications.set_muted(4, true);
        assert_eq!(table.reported(), ["muted 4"]);
        table.ask(4).unwrap();
        assert_eq!(table.serve(), ["opened 4"]);
        assert!(table.announced[0].muted);
        assert_eq!(table.send(), [], "the server knows");
        table.publications.reset();
        table.join(true);
        table.awaits_answer = false;
        table.serve();
        assert!(table.announced[1].muted);
        table.publications.set_muted(4, false);
        assert_eq!(table.send(), [("sid-1".to_owned(), false)]);
    }

    #[test]
    fn mute_during_publishing_is_sent_after_it() {
        let mut table = Table::joined(&[0], &[]);
        table.send();
        table.publications.set_muted(0, true);
        assert_eq!(table.send(), [], "it has no name yet");
        table.name(0);
        table.answer();
        assert_eq!(table.send(), [("sid-0".to_owned(), true)]);
        assert_eq!(table.send(), []);
    }

    #[test]
    fn moderators_mute_ends_with_rejoin() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.handle(SignalEvent::Muted { sid: "sid-0".to_owned(), muted: true });
        assert_eq!(table.reported(), ["muted 0"]);
        assert_eq!(table.send(), [("sid-0".to_owned(), true)]);
        table.publications.set_muted(0, false);
        assert_eq!(table.reported(), ["unmuted 0"]);
        assert_eq!(table.send(), [("sid-0".to_owned(), false)]);
        table.handle(SignalEvent::Muted { sid: "sid-0".to_owned(), muted: true });
        table.reported();
        table.publications.reset();
        assert_eq!(table.reported(), ["unmuted 0"]);
        table.join(true);
        table.awaits_answer = false;
        table.serve();
        assert!(!table.announced[1].muted);
    }

    #[test]
    fn missed_mutes_are_reconciled_after_resume() {
        let mut table = Table::joined(&[0, 1], &[]);
        table.serve();
        table.publications.interrupted();
        table.publications.set_muted(1, true);
        assert_eq!(table.reported(), ["muted 1"]);
        table.list(&[(0, true), (1, false)], true);
        assert_eq!(table.reported(), ["muted 0"]);
        table.publications.resumed(table.now);
        assert_eq!(table.send(), [("sid-1".to_owned(), true)]);
    }

    #[test]
    fn track_is_removed_once_silent_and_unlisted() {
        let mut table = Table::joined(&[0, 1], &[]);
        assert_eq!(table.serve(), ["opened 0", "opened 1"]);
        table.publications.unpublish(0, Some(1.into()));
        assert!(table.publications.line(0).is_some(), "its last words are sent");
        table.send();
        assert_eq!(table.idle, []);
        assert!(table.publications.is_draining(0) && !table.publications.is_draining(1));
        table.publications.release(0, table.now);
        assert_eq!((table.publications.line(0), table.publications.is_draining(0)), (None, false));
        table.send();
        assert_eq!((table.offers, &table.idle[..]), (2, &[mid(0)][..]));
        table.answer();
        assert_eq!(table.reported(), NOTHING);
        table.list(&[(0, false), (1, false)], true);
        assert_eq!(table.reported(), NOTHING, "a list from before");
        table.list(&[(1, false)], true);
        assert_eq!(table.reported(), ["out 1"]);
        assert_eq!((table.send(), table.publications.next_deadline()), (vec![], None), "nothing is left of it");
        assert!(!table.ask(0).unwrap());
        assert_eq!(table.serve(), ["opened 0"]);
        assert_ne!(table.announced[0].cid, table.announced[2].cid);
        assert!(table.ask(1).unwrap(), "the other one is as it was");
    }

    #[test]
    fn removal_needs_no_order_of_answers() {
        for (says_first, says_nothing) in [(true, false), (false, false), (false, true)] {
            let mut table = Table::joined(&[0], &[]);
            table.serve();
            table.leave(0);
            if says_first {
                table.handle(SignalEvent::Unpublished { sid: "sid-0".to_owned() });
                assert_eq!(table.reported(), NOTHING, "its line is not agreed");
                table.answer();
            } else {
                table.answer();
                assert_eq!(table.publications.next_deadline(), Some(table.now + LIST_TIMEOUT));
                if says_nothing {
                    table.now += LIST_TIMEOUT;
                    assert_eq!(table.publications.late(table.now), Some(0));
                    assert!(table.publications.finish_release(0, table.now));
                } else {
                    table.handle(SignalEvent::Unpublished { sid: "sid-0".to_owned() })
                }
            }
            assert_eq!(table.reported(), ["out 0"], "{says_first} {says_nothing}");
            assert_eq!(table.publications.next_deadline(), None);
        }
    }

    #[test]
    fn request_during_removal_publishes_afterwards() {
        let mut table = Table::joined(&[0], &["ear"]);
        table.serve();
        table.subscribe(0);
        table.reported();
        table.publications.unpublish(0, Some(1.into()));
        assert!(!table.ask(0).unwrap());
        table.publications.unpublish(0, Some(2.into()));
        assert!(!table.ask(0).unwrap());
        table.fall_silent(0);
        table.send();
        assert_eq!(table.announced.len(), 1, "first out, then in again");
        assert_eq!(table.publications.next_deadline(), Some(table.now + TIMEOUT), "of its way out");
        table.answer();
        table.list(&[], true);
        assert_eq!(table.reported(), ["out 1", "out 2"]);
        assert_eq!(table.serve(), NOTHING, "its listener is waited for");
        table.subscribe(1);
        assert_eq!(table.reported(), ["subscribed 0 ear", "opened 0"]);
    }

    #[test]
    fn unpublished_track_is_removed_at_once() {
        let mut table = Table::new(&[0, 1]);
        table.publications.unpublish(0, Some(1.into()));
        table.publications.unpublish(7, Some(2.into()));
        assert_eq!(table.reported(), ["out 1", "out 2"]);
        table.join(true);
        table.publications.started();
        assert_eq!(table.serve(), ["opened 1"]);
        assert!(table.publications.is_as_asked());
        table.handle(SignalEvent::Unpublished { sid: "sid-0".to_owned() });
        assert_eq!(table.reported(), ["unpublished 1 Pause"]);
        table.publications.unpublish(1, Some(3.into()));
        assert_eq!(table.reported(), ["out 3"]);
        table.now += 2 * RETRY_AFTER;
        table.serve();
        assert_eq!(table.announced.len(), 1, "it does not come back by itself");
        table.ask(1).unwrap();
        assert_eq!(table.serve(), ["opened 1"]);
    }

    #[test]
    fn publishing_finishes_before_removal() {
        let mut table = Table::new(&[0, 1]);
        table.join(true);
        table.send();
        table.leave(0);
        assert!(!table.publications.is_draining(0));
        table.name(0);
        table.name(1);
        table.answer();
        assert_eq!(table.reported(), ["opened 1"]);
        assert!(table.publications.is_as_asked());
        table.fall_silent(0);
        table.send();
        assert_eq!(table.idle, [mid(0)]);
        table.answer();
        table.handle(SignalEvent::Unpublished { sid: "sid-0".to_owned() });
        assert_eq!(table.reported(), ["out 0"]);
    }

    #[test]
    fn server_may_unpublish_during_removal() {
        let mut table = Table::joined(&[0, 1], &[]);
        table.serve();
        table.publications.unpublish(0, Some(1.into()));
        table.publications.unpublish(1, Some(2.into()));
        table.ask(1).unwrap();
        for sid in ["sid-0", "sid-1"] {
            table.handle(SignalEvent::Unpublished { sid: sid.to_owned() });
        }
        assert_eq!(table.reported(), ["out 1", "out 2"]);
        table.list(&[], false);
        assert_eq!(table.reported(), ["refused 1"], "what waits for it is not left waiting");
        table.list(&[], true);
        table.send();
        assert_eq!(table.announced.len(), 2);
    }

    #[test]
    fn refused_unwanted_track_is_forgotten() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.send();
        table.leave(1);
        assert_eq!(table.reported(), NOTHING, "it may still be confirmed");
        table.refuse(1);
        assert_eq!(table.reported(), ["out 1"]);
        table.list(&[(0, false)], true);
        table.send();
        assert_eq!(table.announced.len(), 2, "nobody waits for it");
        table.ask(1).unwrap();
        assert_eq!(table.serve(), ["opened 1"]);
    }

    #[test]
    fn void_release_is_offered_again() {
        let mut table = Table::joined(&[0, 1], &[]);
        table.serve();
        table.leave(0);
        table.publications.interrupted();
        table.awaits_answer = false;
        assert_eq!(table.publications.next_deadline(), None);
        table.leave(1);
        assert_eq!(table.idle, [mid(0)], "nothing is said");
        table.publications.answered(|_| Some(111.into()), table.now);
        table.list(&[(0, false), (1, false)], true);
        assert_eq!(table.reported(), NOTHING, "that was the answer to another offer");
        table.publications.resumed(table.now);
        table.send();
        assert_eq!(table.idle[1..], [mid(0), mid(1)]);
        assert_eq!(table.publications.next_deadline(), Some(table.now + TIMEOUT));
        table.list(&[], true);
        table.answer();
        assert_eq!(table.reported(), ["out 0", "out 1"]);
    }

    #[test]
    fn rejoin_completes_removals() {
        let mut table = Table::joined(&[0, 1, 2, 3], &[]);
        table.serve();
        table.publications.unpublish(0, Some(0.into()));
        table.leave(1);
        table.ask(1).unwrap();
        table.publications.reset();
        (table.is_connected, table.awaits_answer) = (false, false);
        table.publications.unpublish(2, Some(2.into()));
        assert_eq!(table.reported(), NOTHING);
        table.join(true);
        assert_eq!(table.reported(), ["out 0", "out 1", "out 2"]);
        table.is_connected = true;
        assert_eq!(table.serve(), ["opened 1"]);
        assert_eq!(table.announced.len(), 6, "1, which is asked for again, and 3");
        assert!(table.publications.is_restored());
    }

    #[test]
    fn removal_times_out() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.leave(0);
        table.ask(0).unwrap();
        table.now += TIMEOUT;
        assert_eq!(table.publications.late(table.now), Some(0));
        assert!(!table.publications.finish_release(0, table.now));
        assert!(
            table.publications.give_up(0, no_grant(TrackSource::Microphone), table.now),
            "its offer was not answered"
        );
        table.publications.withdrawn();
        table.awaits_answer = false;
        assert_eq!(table.reported(), ["ERR_REFUSED 0"]);
        assert_eq!(table.publications.late(table.now), None);
        assert_eq!(table.serve(), NOTHING);
        assert_eq!(table.idle, [mid(0), mid(0)], "the next offer releases its line");
        assert_eq!(table.serve(), ["opened 0"]);
    }

    #[test]
    fn removed_track_keeps_its_mute() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.publications.set_muted(0, true);
        assert_eq!(table.reported(), ["muted 0"]);
        assert_eq!(table.send(), [("sid-0".to_owned(), true)]);
        table.leave(0);
        table.answer();
        table.list(&[], true);
        assert_eq!(table.reported(), ["out 0"]);
        table.ask(0).unwrap();
        assert_eq!(table.serve(), ["opened 0"]);
        assert!(table.announced[1].muted);
    }
}
