//! Each track's way into the room and out of it, as a state machine: it reads no clock and sends nothing, but says what is to be
//! sent, what the session is to be told, and when it wants to be looked at again.
//!
//! ```text
//! asked ─▶ announced and offered ─▶ named and agreed: published ─▶ somebody listens, or nobody will: open ◀─┐
//!              │ refused, or late                                     │ taken out by the server             │
//!              ▼                                                      ▼                                     │
//!          forgotten until it is asked for again                     out ─▶ allowed again: offered anew ────┘
//! ```
//!
//! From anywhere it can be told to leave: once it is published and its last sound is heard its line is let go of, and when the room
//! does not list it any more it is forgotten, or published anew if it was asked for meanwhile.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::announcement::{Announcement, TrackTerms};
use super::encoder::Encoding;
use super::join::{LiveKitOptions, StartWhen};
use super::mutes::Mutes;
use super::peer::{Mid, Pt};
use super::said::{Grant, Said, Us, no_grant};
use crate::error::{Code, Result, SpeakerError};
use crate::output::{Meanwhile, OutputEvent, Presence};

/// When a track that the server took out is offered anew, if the server says nothing against it.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long the room may take to list what it has of us, once a line is agreed to be let go of: a hidden participant is told nothing.
const LISTED_WITHIN: Duration = Duration::from_secs(1);

/// How many tracks somebody may be told to listen to before we are told of them.
const MOST_EARLY: usize = 64;

/// What of a session's options concerns its tracks.
pub struct Terms {
    pub channels: usize,
    pub encoding: Encoding,
    pub tracks: HashMap<u32, TrackTerms>,
    pub at_once: Vec<u32>,
    /// For each publishing.
    pub timeout: Duration,
    pub start_when: StartWhen,
    pub subscribe_timeout: Duration,
    /// What becomes of what plays on a track that the server takes out.
    pub meanwhile: Meanwhile,
    pub on_mute: Meanwhile,
}

impl Terms {
    pub fn new(options: &LiveKitOptions, channels: usize) -> Self {
        Self {
            channels,
            encoding: options.encoding,
            tracks: options.tracks.clone(),
            at_once: options.publish_at_once.clone(),
            timeout: options.timeout,
            start_when: options.start_when,
            subscribe_timeout: options.subscribe_timeout,
            meanwhile: options.meanwhile,
            on_mute: options.on_mute,
        }
    }
}

pub struct Publications {
    terms: Terms,
    tracks: Vec<Publication>,
    mutes: Mutes,
    /// The room can be told something now; deadlines run only then.
    is_reachable: bool,
    /// What the room takes of ours.
    grant: Grant,
    /// The session does not know yet that it is connected: what fails now fails the connecting.
    is_starting: bool,
    failure: Option<SpeakerError>,
    /// Those who are in the room, too: the server's name of each one's stay, by their identity.
    others: BTreeMap<String, String>,
    /// Somebody listens of whom we were not told: a server tells of those who only listen up to three seconds late.
    has_unlisted_listener: bool,
    /// Names of tracks that somebody listens to and that we do not know yet.
    early: Vec<String>,
    /// Media lines that are not used any more.
    idle: Vec<Mid>,
    news: VecDeque<OutputEvent>,
    /// What the calls are told that take tracks out.
    answers: VecDeque<OutputEvent>,
}

struct Publication {
    stream: u32,
    announcement: Announcement,
    place: Place,
    line: Line,
    told: Told,
    hold: Hold,
    /// When it has to be published.
    deadline: Option<Instant>,
    /// Since when it is.
    published: Option<Instant>,
    is_open: bool,
    subscription: Subscription,
    /// Somebody listened to it before the room was joined anew: worth waiting for.
    had_listener: bool,
    /// The server is to be told whether it is muted.
    mute_is_due: bool,
    /// It is to leave the room.
    leave: Option<Leave>,
}

/// A track's way out of the room, because its session does not want it there.
struct Leave {
    step: Step,
    /// The calls that wait for it.
    tickets: Vec<u32>,
}

enum Step {
    /// It is not published yet, or its last sound may still be on its way.
    Speaking,
    /// Its line is let go of, and its name in the room was this.
    LettingGo { mid: Mid, sid: String, is_offered: bool, is_unlisted: bool },
    /// That is agreed; a list without this name is waited for.
    LetGo { sid: String },
    /// It leaves the room with this participant, who joins it anew.
    Left,
}

/// Its place in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    None,
    Announced,
    Named(String),
    /// Its announcement was refused, behind which its line may have been offered: a server keeps such a line for the announcement
    /// that belongs to it, or else for the next one. So this one is repeated under its old id.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    None,
    Offered(Mid),
    Agreed(Mid, Pt),
}

/// What the session knows of it.
enum Told {
    /// Nobody waits for it.
    Nothing,
    /// The session waits for it.
    Waiting,
    /// It takes samples.
    Open,
    /// It took samples, and is out of the room.
    Out(SpeakerError),
}

/// Until when it is not announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    No,
    UntilAllowed,
    Until(Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscription {
    None,
    /// Somebody listens, and the session is to be told.
    News,
    Told,
}

/// What is to be sent to the server.
#[derive(Debug, Default)]
pub struct Todo {
    pub announcements: Vec<Announcement>,
    /// The ids of tracks that need a media line, all in one offer.
    pub lines: Vec<String>,
    /// Lines that are not used any more, in the same offer.
    pub idle: Vec<Mid>,
    /// Names of tracks, and whether they are muted.
    pub mutes: Vec<(String, bool)>,
}

impl Publications {
    pub fn new(terms: Terms) -> Self {
        let at_once = terms.at_once.clone();
        let mut publications = Self {
            terms,
            tracks: Vec::new(),
            mutes: Mutes::default(),
            is_reachable: false,
            grant: Grant::All,
            is_starting: true,
            failure: None,
            others: BTreeMap::new(),
            has_unlisted_listener: false,
            early: Vec::new(),
            idle: Vec::new(),
            news: VecDeque::new(),
            answers: VecDeque::new(),
        };
        at_once.into_iter().for_each(|stream| publications.add(stream, None));
        publications
    }

    fn add(&mut self, stream: u32, deadline: Option<Instant>) {
        let Terms { tracks, channels, encoding, .. } = &self.terms;
        let terms = tracks.get(&stream).cloned().unwrap_or_default();
        self.tracks.push(Publication {
            stream,
            announcement: Announcement::new(stream, terms, *channels, *encoding),
            place: Place::None,
            line: Line::None,
            told: Told::Waiting,
            hold: Hold::No,
            deadline,
            published: None,
            is_open: false,
            subscription: Subscription::None,
            had_listener: false,
            mute_is_due: false,
            leave: None,
        });
    }

    /// Asks for a track. Returns true if it takes samples already; fails if it can't be published now.
    pub fn ask(&mut self, stream: u32, now: Instant) -> Result<bool> {
        let deadline = self.is_reachable.then(|| now + self.terms.timeout);
        let source = self.terms.tracks.get(&stream).map(|terms| terms.source).unwrap_or_default();
        let is_allowed = self.grant.allows(source);
        match self.tracks.iter_mut().find(|track| track.stream == stream) {
            Some(Publication { told: Told::Out(error), .. }) => Err(of_one_track(error.clone())),
            Some(track) if matches!(track.told, Told::Nothing) => {
                if !is_allowed {
                    return Err(of_one_track(no_grant(source)));
                }
                track.told = Told::Waiting;
                if track.place == Place::Refused {
                    track.leave = None;
                }
                // First out, then in again.
                if track.leave.is_none() {
                    (track.hold, track.deadline) = (Hold::No, deadline);
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

    /// Takes a track out of the room, or keeps it from being published, until it is asked for again. The ticket is answered once the room
    /// has it out.
    pub fn unpublish(&mut self, stream: u32, ticket: Option<u32>) {
        let Some(index) = self.tracks.iter().position(|track| track.stream == stream) else {
            return self.answer(ticket, None);
        };
        let track = &mut self.tracks[index];
        (track.told, track.is_open) = (Told::Nothing, false);
        let leave = track.leave.get_or_insert_with(|| Leave { step: Step::Speaking, tickets: Vec::new() });
        leave.tickets.extend(ticket);
        match (&leave.step, &track.place) {
            // The room that it was in is to be joined anew.
            (Step::Speaking, Place::None) if !self.is_reachable && !self.is_starting => leave.step = Step::Left,
            // The server knows nothing of it.
            (Step::Speaking, Place::None) => self.out(index, None),
            // Nor does the room, but when it is allowed it has to be repeated.
            (Step::Speaking, Place::Refused) => self.answer_all(index, None),
            _ => {}
        }
        self.sweep();
    }

    /// Whether a track's line may be let go of, as soon as its last sound is heard.
    pub fn is_leaving(&self, stream: u32) -> bool {
        let is_speaking = |track: &Publication| matches!(track.leave, Some(Leave { step: Step::Speaking, .. }));
        self.tracks.iter().any(|track| track.stream == stream && is_speaking(track) && track.is_agreed())
    }

    /// Lets go of the line of a track that [leaves](Self::is_leaving). Returns the name that it had in the room.
    pub fn let_go(&mut self, stream: u32, now: Instant) -> Option<String> {
        let track = self.tracks.iter_mut().find(|track| track.stream == stream)?;
        let Place::Named(sid) = track.place.clone() else { return None };
        let mid = track.retire()?;
        track.deadline = self.is_reachable.then(|| now + self.terms.timeout);
        self.idle.push(mid);
        if let Some(leave) = &mut track.leave {
            leave.step = Step::LettingGo { mid, sid: sid.clone(), is_offered: false, is_unlisted: false };
        }
        Some(sid)
    }

    /// The room has a track out: it is forgotten, or published anew if it was asked for meanwhile.
    fn out(&mut self, index: usize, now: Option<Instant>) {
        self.answer_all(index, None);
        let track = &mut self.tracks[index];
        (track.leave, track.hold, track.had_listener) = (None, Hold::No, false);
        track.deadline = now.filter(|_| self.is_reachable).map(|now| now + self.terms.timeout);
    }

    /// The room does not list a track of this name any more.
    fn unlisted(&mut self, sid: &str, now: Instant) {
        let leaves = |track: &Publication| match &track.leave {
            Some(Leave { step: Step::LettingGo { sid: name, .. } | Step::LetGo { sid: name }, .. }) => name == sid,
            _ => false,
        };
        let Some(index) = self.tracks.iter().position(leaves) else { return };
        match &mut self.tracks[index].leave {
            Some(Leave { step: Step::LettingGo { is_unlisted, .. }, .. }) => *is_unlisted = true,
            _ => self.out(index, Some(now)),
        }
    }

    fn answer_all(&mut self, index: usize, error: Option<&SpeakerError>) {
        let leave = self.tracks[index].leave.as_mut();
        let tickets = leave.map(|leave| std::mem::take(&mut leave.tickets)).unwrap_or_default();
        tickets.into_iter().for_each(|ticket| self.answer(Some(ticket), error.cloned()));
    }

    fn answer(&mut self, ticket: Option<u32>, error: Option<SpeakerError>) {
        self.answers.extend(ticket.map(|ticket| OutputEvent::TakenOut(ticket, error)));
    }

    /// What a call is told that takes a track out.
    pub fn take_answer(&mut self) -> Option<OutputEvent> {
        self.answers.pop_front()
    }

    /// Mutes a track, whether it is published or not, or lifts its mute.
    pub fn set_muted(&mut self, stream: u32, muted: bool) {
        self.mutes.set_ours(stream, muted);
        self.tracks.iter_mut().filter(|track| track.stream == stream).for_each(|track| track.mute_is_due = true);
    }

    /// The room is joined: `us` is what it lets us do.
    pub fn joined(&mut self, us: &Us, now: Instant) {
        (self.is_reachable, self.grant) = (true, us.grant.clone());
        for index in 0..self.tracks.len() {
            if matches!(self.tracks[index].leave, Some(Leave { step: Step::Left, .. })) {
                self.out(index, Some(now));
            }
        }
        self.refuse_unannounced();
        self.set_deadlines(now);
    }

    /// The room is in trouble.
    pub fn interrupted(&mut self) {
        self.is_reachable = false;
        self.tracks.iter_mut().for_each(|track| track.deadline = None);
        self.take_back_idle();
    }

    /// An offer that lets go of lines will not be answered: they are in the next one too.
    fn take_back_idle(&mut self) {
        for track in &mut self.tracks {
            if let Some(Leave { step: Step::LettingGo { mid, is_offered, .. }, .. }) = &mut track.leave
                && std::mem::take(is_offered)
            {
                self.idle.push(*mid);
            }
        }
    }

    /// The room is reached again, in the same place. Offers that were out are void.
    pub fn resumed(&mut self, now: Instant) {
        self.is_reachable = true;
        let is_void = |track: &&mut Publication| match (&track.place, track.line) {
            // The server has its line.
            (Place::Refused, Line::Agreed(..)) => false,
            _ => track.published.is_none(),
        };
        let unpublished = self.tracks.iter_mut().filter(is_void);
        self.idle.extend(unpublished.filter_map(Publication::retire));
        for index in 0..self.tracks.len() {
            let Publication { leave, place, .. } = &self.tracks[index];
            let is_out = match leave.as_ref().map(|leave| &leave.step) {
                Some(Step::Speaking) => *place == Place::None,
                Some(Step::LetGo { .. } | Step::Left) => true,
                Some(Step::LettingGo { .. }) | None => false,
            };
            if is_out {
                self.out(index, Some(now));
            }
        }
        for stream in self.mutes.unconfirmed() {
            self.tracks.iter_mut().filter(|track| track.stream == stream).for_each(|track| track.mute_is_due = true);
        }
        self.sweep();
        self.set_deadlines(now);
    }

    /// The room is to be joined anew: all begins again, but for what was asked for.
    pub fn reset(&mut self) {
        (self.is_reachable, self.grant) = (false, Grant::All);
        for track in &mut self.tracks {
            track.had_listener |= track.subscription != Subscription::None;
            track.retire();
            (track.hold, track.deadline) = (Hold::No, None);
            track.leave.iter_mut().for_each(|leave| leave.step = Step::Left);
        }
        self.mutes.reset();
        self.others.clear();
        self.has_unlisted_listener = false;
        self.early.clear();
        self.idle.clear();
        self.sweep();
    }

    fn set_deadlines(&mut self, now: Instant) {
        let deadline = now + self.terms.timeout;
        let leaves = |track: &Publication| matches!(track.leave, Some(Leave { step: Step::LettingGo { .. }, .. }));
        let awaited = |track: &&mut Publication| matches!(track.told, Told::Waiting | Told::Open) || leaves(track);
        for track in self.tracks.iter_mut().filter(|track| track.published.is_none()).filter(awaited) {
            track.deadline = Some(deadline);
        }
    }

    /// Takes what the server says, as far as it concerns tracks.
    pub fn hear(&mut self, said: &Said, now: Instant) {
        match said {
            Said::Published { cid, sid } => self.named(cid, sid),
            Said::Refused { cid, error } => {
                let refused = self.tracks.iter().position(|track| track.announcement.cid == *cid);
                if let Some(index) = refused.filter(|index| self.tracks[*index].place == Place::Announced) {
                    let track = &mut self.tracks[index];
                    (track.place, track.hold) = (Place::Refused, Hold::UntilAllowed);
                    self.fail(index, error.clone());
                    self.answer_all(index, None);
                }
            }
            Said::Unpublished { sid } => {
                self.unlisted(sid, now);
                if let Some(index) = self.index_of(sid) {
                    self.take_out(index, Hold::Until(now + AGAIN_AFTER));
                }
            }
            Said::Subscribed { sid } => {
                self.has_unlisted_listener |= self.others.is_empty();
                match self.index_of(sid) {
                    Some(index) => self.tracks[index].heard(),
                    None if self.early.len() < MOST_EARLY => self.early.push(sid.clone()),
                    None => {}
                }
            }
            Said::Muted { sid, muted } => {
                if let Some(index) = self.index_of(sid) {
                    // It is repeated to the server: with what both have sent, both have the same.
                    self.tracks[index].mute_is_due = true;
                    self.mutes.set_theirs(self.tracks[index].stream, *muted);
                }
            }
            Said::Us(us) => self.listed(us, now),
            _ => {}
        }
        self.sweep();
    }

    /// Takes who else is in the room.
    pub fn hear_of_others(&mut self, presence: &Presence) {
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
                // Who comes back before the server has noticed that they were gone is there.
                if self.others.get(identity) == Some(sid) {
                    self.others.remove(identity);
                }
            }
        }
    }

    fn named(&mut self, cid: &str, sid: &str) {
        let Some(track) = self.tracks.iter_mut().find(|track| track.announcement.cid == cid) else { return };
        track.place = Place::Named(sid.to_owned());
        if let Some(index) = self.early.iter().position(|early| early == sid) {
            self.early.swap_remove(index);
            track.heard();
        }
        match track.announcement.muted == self.mutes.is_muted(track.stream) {
            true => self.mutes.confirmed(track.stream),
            false => track.mute_is_due = true,
        }
    }

    /// The server lists what it has of us.
    fn listed(&mut self, us: &Us, now: Instant) {
        self.grant = us.grant.clone();
        let is_listed = |sid: &str| us.tracks.iter().any(|(listed, _)| listed == sid);
        let left = self.tracks.iter().filter_map(Publication::left_name).filter(|sid| !is_listed(sid));
        for sid in left.map(str::to_owned).collect::<Vec<_>>() {
            self.unlisted(&sid, now);
        }
        for index in 0..self.tracks.len() {
            let track = &mut self.tracks[index];
            let Place::Named(sid) = &track.place else { continue };
            match us.tracks.iter().find(|(listed, _)| listed == sid) {
                Some((_, muted)) => self.mutes.listed(track.stream, *muted),
                None if us.is_first && track.published.is_some() => {
                    self.take_out(index, Hold::Until(now + AGAIN_AFTER))
                }
                None => {}
            }
        }
        let allowed = self.tracks.iter_mut().filter(|track| us.grant.allows(track.announcement.source));
        allowed.for_each(|track| track.hold = Hold::No);
        self.refuse_unannounced();
    }

    /// What the room does not take and was not asked for yet fails at once. Of the others it says what becomes of them.
    fn refuse_unannounced(&mut self) {
        for index in 0..self.tracks.len() {
            let Publication { place, announcement, .. } = &self.tracks[index];
            if *place == Place::None && !self.grant.allows(announcement.source) {
                self.fail(index, no_grant(announcement.source));
            }
        }
        self.sweep();
    }

    /// The server took a track out of the room.
    fn take_out(&mut self, index: usize, hold: Hold) {
        let track = &mut self.tracks[index];
        self.idle.extend(track.retire());
        if track.leave.is_some() {
            self.out(index, None);
            return self.refuse_unannounced();
        }
        track.hold = hold;
        let error = match track.told {
            Told::Waiting => no_grant(track.announcement.source),
            _ => taken_out(track.stream),
        };
        self.fail(index, error);
    }

    /// A track can't be published, or is published no more.
    fn fail(&mut self, index: usize, error: SpeakerError) {
        let track = &mut self.tracks[index];
        let stream = track.stream;
        if !track.is_let_go() {
            track.deadline = None;
        }
        match track.told {
            Told::Waiting => {
                track.told = Told::Nothing;
                match self.is_starting && self.terms.at_once.contains(&stream) {
                    true => self.failure = self.failure.take().or(Some(error)),
                    false => self.news.push_back(OutputEvent::Refused(stream, of_one_track(error))),
                }
            }
            Told::Open => {
                let error = of_one_track(error);
                track.told = Told::Out(error.clone());
                self.news.push_back(OutputEvent::Unpublished(stream, self.terms.meanwhile, error));
            }
            Told::Nothing | Told::Out(_) => {}
        }
    }

    /// Forgets what nobody waits for, and the server knows nothing of.
    fn sweep(&mut self) {
        let is_known = |track: &Publication| track.line != Line::None || track.leave.is_some();
        self.tracks.retain(|track| !matches!(track.told, Told::Nothing) || is_known(track));
    }

    /// What is to be sent now. `awaits_answer`: an offer is out, so there can't be another.
    pub fn todo(&mut self, awaits_answer: bool, now: Instant) -> Option<Todo> {
        if !self.is_reachable {
            return None;
        }
        let mut todo = Todo::default();
        for track in &mut self.tracks {
            if let (Place::Named(sid), true) = (&track.place, track.mute_is_due) {
                todo.mutes.push((sid.clone(), self.mutes.is_muted(track.stream)));
                track.mute_is_due = false;
            }
            if !self.grant.allows(track.announcement.source) || track.hold != Hold::No || track.is_let_go() {
                continue;
            }
            let needs_line = track.line == Line::None;
            let is_new = matches!(track.place, Place::None | Place::Refused);
            if is_new && !(needs_line && awaits_answer) {
                track.announcement.muted = self.mutes.is_muted(track.stream);
                (track.place, track.mute_is_due) = (Place::Announced, false);
                track.deadline.get_or_insert(now + self.terms.timeout);
                todo.announcements.push(track.announcement.clone());
            }
            if needs_line && !awaits_answer {
                todo.lines.push(track.announcement.cid.clone());
            }
        }
        if !awaits_answer {
            todo.idle.append(&mut self.idle);
            self.tracks.iter_mut().for_each(Publication::line_is_offered);
        }
        let Todo { announcements, lines, idle, mutes } = &todo;
        let is_empty = announcements.is_empty() && lines.is_empty() && idle.is_empty() && mutes.is_empty();
        (!is_empty).then_some(todo)
    }

    /// The media lines of the tracks with these ids are offered.
    pub fn offered(&mut self, lines: &[(Mid, String)]) {
        for (mid, cid) in lines {
            let track = self.tracks.iter_mut().find(|track| track.announcement.cid == *cid);
            track.into_iter().for_each(|track| track.line = Line::Offered(*mid));
        }
    }

    /// The offer is answered: `payload_type` is the number under which Opus goes on a line.
    pub fn answered(&mut self, mut payload_type: impl FnMut(Mid) -> Option<Pt>, now: Instant) {
        for index in 0..self.tracks.len() {
            let track = &mut self.tracks[index];
            if let Some(leave) = &mut track.leave
                && let Step::LettingGo { sid, is_offered: true, is_unlisted, .. } = &mut leave.step
            {
                match is_unlisted {
                    true => self.out(index, Some(now)),
                    false => {
                        leave.step = Step::LetGo { sid: std::mem::take(sid) };
                        track.deadline = Some(now + LISTED_WITHIN);
                    }
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

    /// The offer that is out will not be answered any more.
    pub fn withdrawn(&mut self) {
        for track in self.tracks.iter_mut().filter(|track| matches!(track.line, Line::Offered(_))) {
            track.line = Line::None;
        }
        self.take_back_idle();
    }

    /// Lets time pass. `is_connected`: there is a way for sound.
    pub fn look(&mut self, is_connected: bool, now: Instant) {
        let is_anybody_there = !self.others.is_empty() || self.has_unlisted_listener;
        let waits = self.terms.start_when == StartWhen::Subscribed && is_anybody_there;
        for track in &mut self.tracks {
            if matches!(track.hold, Hold::Until(at) if at <= now) {
                track.hold = Hold::No;
            }
            if is_connected && track.published.is_none() && track.is_agreed() {
                (track.published, track.deadline) = (Some(now), None);
            }
            let Some(published) = track.published.filter(|_| track.leave.is_none()) else { continue };
            let stream = track.stream;
            if track.subscription == Subscription::News {
                track.subscription = Subscription::Told;
                let only = self.others.keys().next().filter(|_| self.others.len() == 1);
                self.news.push_back(OutputEvent::Subscribed(stream, only.cloned()));
            }
            if track.is_open || waits && track.may_be_heard() && now < published + self.terms.subscribe_timeout {
                continue;
            }
            track.is_open = true;
            match std::mem::replace(&mut track.told, Told::Open) {
                Told::Nothing | Told::Waiting => self.news.push_back(OutputEvent::Opened(stream)),
                Told::Out(_) => self.news.push_back(OutputEvent::Republished(stream)),
                Told::Open => {}
            }
        }
    }

    /// When [`look`](Self::look) and [`late`](Self::late) are to be asked next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let each = |track: &Publication| {
            let opens = track
                .published
                .filter(|_| !track.is_open && track.leave.is_none())
                .map(|at| at + self.terms.subscribe_timeout);
            let again = match track.hold {
                Hold::Until(at) => Some(at),
                Hold::No | Hold::UntilAllowed => None,
            };
            [opens, again, track.deadline].into_iter().flatten().min()
        };
        self.tracks.iter().filter_map(each).min()
    }

    /// A track that is not published, and had to be by now.
    pub fn late(&self, now: Instant) -> Option<u32> {
        let is_late = |track: &&Publication| track.deadline.is_some_and(|deadline| deadline <= now);
        self.tracks.iter().find(is_late).map(|track| track.stream)
    }

    /// Whether a track that is [late](Self::late) is so only in the lists of a room that has agreed to let it go.
    pub fn is_gone(&mut self, stream: u32, now: Instant) -> bool {
        let is_gone = |track: &Publication| matches!(track.leave, Some(Leave { step: Step::LetGo { .. }, .. }));
        let index = self.tracks.iter().position(|track| track.stream == stream && is_gone(track));
        index.into_iter().for_each(|index| self.out(index, Some(now)));
        self.sweep();
        index.is_some()
    }

    /// Gives up publishing a track for now, or letting go of it. Returns true if its offer was not answered.
    pub fn give_up(&mut self, stream: u32, error: SpeakerError, now: Instant) -> bool {
        let Some(index) = self.tracks.iter().position(|track| track.stream == stream) else { return false };
        let track = &mut self.tracks[index];
        if let Some(Leave { step: Step::LettingGo { mid, is_offered, .. }, .. }) = track.leave {
            if is_offered {
                // Once more.
                self.idle.push(mid);
            }
            let limit = self.terms.timeout.as_millis();
            let message = format!("the LiveKit server did not answer within {limit} ms (connectTimeoutMs)");
            self.answer_all(index, Some(&SpeakerError::new(Code::Refused, message)));
            self.out(index, Some(now));
            self.sweep();
            return is_offered;
        }
        let is_unanswered = matches!(track.line, Line::Offered(_));
        self.idle.extend(track.retire());
        if track.leave.is_some() {
            self.answer_all(index, None);
            self.tracks[index].leave = None;
        }
        self.tracks[index].hold = Hold::Until(now + AGAIN_AFTER);
        self.fail(index, error);
        self.sweep();
        is_unanswered
    }

    /// Why the connecting fails, if it does.
    pub fn failure(&mut self) -> Option<SpeakerError> {
        self.failure.take()
    }

    /// The session knows that it is connected.
    pub fn started(&mut self) {
        self.is_starting = false;
    }

    /// Whether every track is published that was to be at once.
    pub fn is_as_asked(&self) -> bool {
        let asked = |track: &&Publication| self.terms.at_once.contains(&track.stream) && track.leave.is_none();
        self.tracks.iter().filter(asked).all(|track| track.published.is_some())
    }

    /// Whether all tracks that took samples take them again.
    pub fn is_restored(&self) -> bool {
        match self.is_starting {
            true => self.is_as_asked(),
            false => self.tracks.iter().all(|track| track.is_open || !matches!(track.told, Told::Open)),
        }
    }

    /// What the session has not been told yet.
    pub fn news(&mut self) -> Option<OutputEvent> {
        self.news.pop_front().or_else(|| self.mutes.news(self.terms.on_mute))
    }

    /// The media line of a stream that is published.
    pub fn line(&self, stream: u32) -> Option<(Mid, Pt)> {
        let track = self.tracks.iter().find(|track| track.stream == stream)?;
        match track.line {
            Line::Agreed(mid, pt) if track.published.is_some() => Some((mid, pt)),
            _ => None,
        }
    }

    /// The line of a track that can be heard: in the room and not muted.
    pub fn speaking(&self, stream: u32) -> Option<(Mid, Pt)> {
        self.line(stream).filter(|_| !self.is_muted(stream))
    }

    pub fn is_muted(&self, stream: u32) -> bool {
        self.mutes.is_muted(stream)
    }

    fn index_of(&self, sid: &str) -> Option<usize> {
        self.tracks.iter().position(|track| matches!(&track.place, Place::Named(name) if name == sid))
    }
}

impl Publication {
    fn is_agreed(&self) -> bool {
        matches!((&self.place, self.line), (Place::Named(_), Line::Agreed(..)))
    }

    /// Whether its line is let go of, or was.
    fn is_let_go(&self) -> bool {
        self.leave.as_ref().is_some_and(|leave| !matches!(leave.step, Step::Speaking))
    }

    /// The name in the room of a track whose line is let go of.
    fn left_name(&self) -> Option<&str> {
        match &self.leave.as_ref()?.step {
            Step::LettingGo { sid, .. } | Step::LetGo { sid } => Some(sid),
            Step::Speaking | Step::Left => None,
        }
    }

    /// That its line is let go of stands in an offer.
    fn line_is_offered(&mut self) {
        if let Some(Leave { step: Step::LettingGo { is_offered, .. }, .. }) = &mut self.leave {
            *is_offered = true;
        }
    }

    /// Somebody listens to it.
    fn heard(&mut self) {
        if self.subscription == Subscription::None {
            self.subscription = Subscription::News;
        }
    }

    /// Whether a listener may come soon: whoever did not listen to a track before it was published anew won't begin now.
    fn may_be_heard(&self) -> bool {
        let is_new = matches!(self.told, Told::Nothing | Told::Waiting);
        self.subscription == Subscription::None && (is_new || self.had_listener)
    }

    /// All is to be agreed anew, under another id. Returns its media line, which is not used any more.
    fn retire(&mut self) -> Option<Mid> {
        self.announcement.renew(self.stream);
        self.had_listener |= self.subscription != Subscription::None;
        (self.place, self.published, self.is_open) = (Place::None, None, false);
        (self.subscription, self.mute_is_due) = (Subscription::None, false);
        match std::mem::replace(&mut self.line, Line::None) {
            Line::None => None,
            Line::Offered(mid) | Line::Agreed(mid, _) => Some(mid),
        }
    }
}

/// An error that concerns one track: the room is there, and the other tracks go on.
fn of_one_track(error: SpeakerError) -> SpeakerError {
    SpeakerError { code: Code::PublishFailed, ..error }
}

fn taken_out(stream: u32) -> SpeakerError {
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
    const PATIENCE: Duration = Duration::from_secs(2);

    /// A server as far as tracks see one, with a clock that is set by hand.
    struct Table {
        publications: Publications,
        now: Instant,
        is_connected: bool,
        awaits_answer: bool,
        /// The ids of what was announced, in order; a track's name is `sid-<index>`.
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
            let terms = Terms {
                channels: 1,
                encoding: Encoding { bitrate: 64_000, complexity: 5, dtx: false, red: false },
                tracks: HashMap::new(),
                at_once: at_once.to_vec(),
                timeout: TIMEOUT,
                start_when,
                subscribe_timeout: PATIENCE,
                meanwhile: Meanwhile::Pause,
                on_mute: Meanwhile::Continue,
            };
            Self {
                publications: Publications::new(terms),
                now: Instant::now(),
                is_connected: true,
                awaits_answer: false,
                announced: Vec::new(),
                lines: Vec::new(),
                offers: 0,
                idle: Vec::new(),
            }
        }

        /// Joined by somebody who is connected, with `others` in the room.
        fn joined(at_once: &[u32], others: &[&str]) -> Self {
            let mut table = Self::new(at_once);
            table.join(true);
            others.iter().for_each(|identity| table.publications.hear_of_others(&came(identity)));
            table.publications.started();
            table
        }

        fn join(&mut self, may_publish: bool) {
            self.publications.joined(&Us { grant: grant(may_publish), ..Default::default() }, self.now);
        }

        fn hear(&mut self, said: Said) {
            self.publications.hear(&said, self.now);
        }

        /// What we are told to have: tracks by the indices of their announcements, and whether they are muted.
        fn list(&mut self, tracks: &[(usize, bool)], may_publish: bool) {
            let tracks = tracks.iter().map(|(index, muted)| (format!("sid-{index}"), *muted)).collect();
            self.hear(Said::Us(Us { tracks, grant: grant(may_publish), ..Default::default() }));
        }

        fn ask(&mut self, stream: u32) -> Result<bool> {
            self.publications.ask(stream, self.now)
        }

        /// Sends what is to be sent: the mutes among it.
        fn send(&mut self) -> Vec<(String, bool)> {
            self.publications.look(self.is_connected, self.now);
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

        /// The server names a track.
        fn name(&mut self, index: usize) {
            self.hear(Said::Published { cid: self.announced[index].cid.clone(), sid: format!("sid-{index}") });
        }

        /// It refuses one.
        fn refuse(&mut self, index: usize) {
            self.hear(Said::Refused {
                cid: self.announced[index].cid.clone(),
                error: no_grant(TrackSource::Microphone),
            });
        }

        fn answer(&mut self) {
            self.awaits_answer = false;
            self.publications.answered(|_| Some(111.into()), self.now);
        }

        fn subscribe(&mut self, index: usize) {
            self.hear(Said::Subscribed { sid: format!("sid-{index}") });
        }

        /// Sends, and the server agrees to all of it. Returns what is told.
        fn serve(&mut self) -> Vec<String> {
            let known = self.announced.len();
            self.send();
            (known..self.announced.len()).for_each(|index| self.name(index));
            self.answer();
            self.told()
        }

        /// Takes a stream's track out, under its number as a ticket, and lets go of it if nothing of it is to be sent first.
        fn leave(&mut self, stream: u32) -> Vec<(String, bool)> {
            self.publications.unpublish(stream, Some(stream));
            self.fall_silent(stream);
            self.send()
        }

        fn fall_silent(&mut self, stream: u32) {
            if self.publications.is_leaving(stream) {
                assert!(self.publications.let_go(stream, self.now).is_some());
            }
        }

        fn wait(&mut self, time: Duration) -> Vec<String> {
            self.now += time;
            self.told()
        }

        /// What the session is told by now.
        fn told(&mut self) -> Vec<String> {
            self.publications.look(self.is_connected, self.now);
            let publications = &mut self.publications;
            let news = std::iter::from_fn(|| publications.take_answer().or_else(|| publications.news()));
            news.map(|event| match event {
                OutputEvent::TakenOut(ticket, None) => format!("out {ticket}"),
                OutputEvent::TakenOut(ticket, Some(error)) => format!("{} {ticket}", error.code.as_str()),
                OutputEvent::Opened(stream) => format!("opened {stream}"),
                OutputEvent::Subscribed(stream, Some(identity)) => format!("subscribed {stream} {identity}"),
                OutputEvent::Subscribed(stream, None) => format!("subscribed {stream}"),
                OutputEvent::Refused(stream, _) => format!("refused {stream}"),
                OutputEvent::Unpublished(stream, meanwhile, _) => format!("unpublished {stream} {meanwhile:?}"),
                OutputEvent::Republished(stream) => format!("republished {stream}"),
                OutputEvent::Muted(stream, _) => format!("muted {stream}"),
                OutputEvent::Unmuted(stream) => format!("unmuted {stream}"),
                _ => unreachable!("nothing else is told of tracks"),
            })
            .collect()
        }
    }

    fn mid(index: usize) -> Mid {
        Mid::from(format!("m{index}").as_str())
    }

    const NOTHING: [String; 0] = [];

    #[test]
    fn an_empty_room_waits_for_nobody() {
        let mut table = Table::joined(&[0], &[]);
        assert_eq!(table.serve(), ["opened 0"]);
        assert_eq!(table.publications.next_deadline(), None);
    }

    #[test]
    fn a_track_opens_when_somebody_listens() {
        let mut table = Table::joined(&[], &["ear"]);
        assert!(!table.ask(3).unwrap());
        assert_eq!(table.serve(), NOTHING);
        assert!(!table.ask(3).unwrap(), "it is asked for twice");
        table.subscribe(0);
        table.subscribe(0);
        assert_eq!(table.told(), ["subscribed 3 ear", "opened 3"]);
        assert!(table.ask(3).unwrap());
    }

    #[test]
    fn whoever_never_listens_is_waited_for_so_long_and_no_longer() {
        let mut table = Table::joined(&[], &["deaf"]);
        table.ask(3).unwrap();
        assert_eq!(table.serve(), NOTHING);
        assert_eq!(table.publications.next_deadline(), Some(table.now + PATIENCE));
        assert_eq!(table.wait(PATIENCE - Duration::from_millis(1)), NOTHING);
        assert_eq!(table.wait(Duration::from_millis(1)), ["opened 3"]);
        table.subscribe(0);
        assert_eq!(table.told(), ["subscribed 3 deaf"], "later it is news all the same");
    }

    #[test]
    fn published_is_enough_where_that_is_asked() {
        let mut table = Table::with(&[0], StartWhen::Published);
        table.join(true);
        table.publications.hear_of_others(&came("ear"));
        table.publications.started();
        assert_eq!(table.serve(), ["opened 0"]);
    }

    #[test]
    fn whoever_leaves_is_not_waited_for() {
        let mut table = Table::joined(&[0], &["ear", "other"]);
        assert_eq!(table.serve(), NOTHING);
        table.publications.hear_of_others(&went("ear"));
        assert_eq!(table.told(), NOTHING);
        table.publications.hear_of_others(&went("other"));
        assert_eq!(table.told(), ["opened 0"]);
    }

    #[test]
    fn whoever_comes_while_a_track_waits_does_not_prolong_it() {
        let mut table = Table::joined(&[0], &["deaf"]);
        table.serve();
        table.now += PATIENCE - Duration::from_millis(1);
        table.publications.hear_of_others(&came("late"));
        assert_eq!(table.wait(Duration::from_millis(1)), ["opened 0"]);
    }

    #[test]
    fn a_listener_of_whom_nothing_was_told_is_somebody_too() {
        let mut table = Table::joined(&[0], &[]);
        assert_eq!(table.serve(), ["opened 0"]);
        table.subscribe(0);
        assert_eq!(table.told(), ["subscribed 0"]);
        table.ask(3).unwrap();
        assert_eq!(table.serve(), NOTHING);
        table.subscribe(1);
        assert_eq!(table.told(), ["subscribed 3", "opened 3"]);
        table.publications.hear_of_others(&came("ear"));
        table.publications.hear_of_others(&went("ear"));
        table.ask(4).unwrap();
        assert_eq!(table.serve(), ["opened 4"]);
    }

    #[test]
    fn a_listener_is_named_only_if_there_is_no_other() {
        let mut table = Table::joined(&[0], &["ear", "other"]);
        table.serve();
        table.subscribe(0);
        assert_eq!(table.told(), ["subscribed 0", "opened 0"]);
    }

    #[test]
    fn a_listener_may_be_told_before_all_else() {
        let mut table = Table::joined(&[0], &["ear"]);
        table.send();
        table.subscribe(0);
        table.name(0);
        assert_eq!(table.told(), NOTHING, "nothing is agreed yet");
        table.answer();
        assert_eq!(table.told(), ["subscribed 0 ear", "opened 0"]);
    }

    #[test]
    fn without_a_way_for_sound_nothing_is_published() {
        let mut table = Table::joined(&[0], &[]);
        table.is_connected = false;
        assert_eq!(table.serve(), NOTHING);
        assert!(!table.publications.is_as_asked());
        table.is_connected = true;
        assert_eq!(table.told(), ["opened 0"]);
        assert!(table.publications.is_as_asked());
    }

    #[test]
    fn connected_needs_no_listener() {
        let mut table = Table::joined(&[0, 1, 2], &["deaf"]);
        assert!(!table.publications.is_as_asked());
        assert_eq!(table.serve(), NOTHING);
        assert!(table.publications.is_as_asked());
    }

    #[test]
    fn all_that_wait_are_in_one_offer() {
        let mut table = Table::joined(&[0, 1, 2], &[]);
        table.ask(7).unwrap();
        assert_eq!(table.serve(), ["opened 0", "opened 1", "opened 2", "opened 7"]);
        assert_eq!((table.offers, table.lines.len()), (1, 4));
    }

    #[test]
    fn what_is_asked_for_while_an_offer_is_out_is_in_the_next() {
        let mut table = Table::joined(&[0], &[]);
        table.send();
        table.ask(1).unwrap();
        table.send();
        assert_eq!((table.offers, table.announced.len()), (1, 1));
        table.name(0);
        table.answer();
        assert_eq!(table.serve(), ["opened 0", "opened 1"]);
        assert_eq!(table.offers, 2);
    }

    #[test]
    fn a_late_track_fails_alone_and_may_be_asked_for_again() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.send();
        assert_eq!(table.publications.next_deadline(), Some(table.now + TIMEOUT));
        table.now += TIMEOUT;
        assert_eq!(table.publications.late(table.now), Some(1));
        assert!(
            table.publications.give_up(1, no_grant(TrackSource::Microphone), table.now),
            "its offer was not answered"
        );
        assert_eq!(table.publications.late(table.now), None);
        assert_eq!(table.told(), ["refused 1"]);
        table.publications.withdrawn();
        table.awaits_answer = false;
        // What it was called before is nobody's name any more.
        table.name(1);
        assert!(!table.ask(1).unwrap());
        assert_eq!(table.serve(), ["opened 1"]);
        assert_ne!(table.announced[1].cid, table.announced[2].cid);
        assert!(table.ask(0).unwrap(), "the other one is as it was");
    }

    #[test]
    fn another_track_in_the_lost_offer_is_offered_again_under_its_name() {
        let mut table = Table::joined(&[], &[]);
        table.ask(0).unwrap();
        table.send();
        table.ask(1).unwrap();
        table.name(0);
        table.answer();
        table.now += TIMEOUT / 2;
        table.ask(2).unwrap();
        table.told();
        table.send();
        table.now += TIMEOUT / 2;
        assert_eq!(table.publications.late(table.now), Some(1));
        assert!(table.publications.give_up(1, no_grant(TrackSource::Microphone), table.now));
        table.publications.withdrawn();
        table.awaits_answer = false;
        assert_eq!(table.told(), ["refused 1"]);
        let announced = table.announced.len();
        table.name(2);
        table.send();
        assert_eq!(table.announced.len(), announced, "it is announced already");
        table.answer();
        assert_eq!(table.told(), ["opened 2"]);
    }

    #[test]
    fn deadlines_run_only_while_the_room_is_reached() {
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
    fn nothing_is_sent_while_the_room_is_not_reached() {
        let mut table = Table::joined(&[0], &[]);
        table.publications.interrupted();
        table.publications.set_muted(0, true);
        assert!(table.publications.todo(false, table.now).is_none());
    }

    #[test]
    fn a_token_that_may_not_publish_fails_the_connecting_at_once() {
        let mut table = Table::new(&[0, 1]);
        table.join(false);
        assert_eq!(table.publications.failure(), Some(no_grant(TrackSource::Microphone)));
        assert_eq!(table.told(), NOTHING);
        assert!(table.publications.todo(false, table.now).is_none(), "nothing is sent");
    }

    #[test]
    fn a_token_that_may_not_publish_refuses_a_track_at_once() {
        let mut table = Table::new(&[]);
        table.ask(0).unwrap();
        table.join(false);
        table.publications.started();
        assert_eq!(table.told(), ["refused 0"]);
        assert_eq!(table.ask(0).unwrap_err(), of_one_track(no_grant(TrackSource::Microphone)));
        assert_eq!(table.publications.failure(), None);
        table.list(&[], true);
        assert_eq!(table.send(), [], "nobody waits for it any more");
        assert!(!table.ask(0).unwrap());
        assert_eq!(table.serve(), ["opened 0"]);
    }

    #[test]
    fn what_the_server_refuses_fails_and_is_repeated_under_its_name_when_it_may_be() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.send();
        // Revoked on its way: the server knows the line, and would give it to the next announcement.
        table.list(&[(0, false)], false);
        table.refuse(1);
        table.answer();
        assert_eq!(table.told(), ["refused 1"]);
        assert_eq!(table.ask(1).unwrap_err(), of_one_track(no_grant(TrackSource::Microphone)));
        let offers = table.offers;
        table.list(&[(0, false)], true);
        table.send();
        assert_eq!((table.offers, table.announced.len()), (offers, 3), "no line is needed");
        assert_eq!(table.announced[1].cid, table.announced[2].cid);
        table.name(2);
        assert_eq!(table.told(), ["opened 1"]);
    }

    #[test]
    fn a_track_that_the_server_takes_out_comes_back_with_the_grant() {
        let mut table = Table::joined(&[0], &["ear"]);
        table.serve();
        table.subscribe(0);
        table.told();
        table.hear(Said::Unpublished { sid: "sid-0".to_owned() });
        table.list(&[], false);
        table.hear(Said::Unpublished { sid: "sid-0".to_owned() });
        assert_eq!(table.told(), ["unpublished 0 Pause"]);
        assert_eq!(table.publications.line(0), None);
        assert!(table.ask(0).is_err(), "a new playback is refused");
        assert_eq!(table.wait(2 * AGAIN_AFTER), NOTHING);
        table.send();
        assert_eq!((table.announced.len(), &table.idle[..]), (1, &[mid(0)][..]), "only its line is let go of");
        table.answer();
        table.list(&[], true);
        table.send();
        table.name(1);
        table.answer();
        assert_eq!(table.told(), NOTHING, "its listener is waited for");
        table.subscribe(1);
        assert_eq!(table.told(), ["subscribed 0 ear", "republished 0"]);
        assert!(table.publications.line(0).is_some());
        assert_ne!(table.announced[0].cid, table.announced[1].cid);
    }

    #[test]
    fn a_track_that_is_missing_in_the_first_list_of_a_signalling_was_taken_out() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.list(&[(0, false)], true);
        table.list(&[], true);
        assert_eq!(table.told(), NOTHING, "a list's tracks may be older than its version");
        table.publications.interrupted();
        table.hear(Said::Us(Us { grant: Grant::All, is_first: true, ..Default::default() }));
        assert_eq!(table.told(), ["unpublished 0 Pause"], "revoked and granted while nothing was heard of it");
        table.publications.resumed(table.now);
        assert_eq!(table.serve(), ["republished 0"]);
    }

    #[test]
    fn granted_and_revoked_within_a_round_trip_settles() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.hear(Said::Unpublished { sid: "sid-0".to_owned() });
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
                    table.hear(Said::Unpublished { sid: format!("sid-{index}") });
                }
            }
            table.answer();
            assert_eq!(table.told(), if round == 0 { vec!["unpublished 0 Pause"] } else { vec![] }, "round {round}");
            assert!(table.ask(0).is_err());
        }
        table.list(&[], true);
        assert_eq!(table.serve(), ["republished 0"]);
    }

    #[test]
    fn a_track_that_is_taken_out_for_no_reason_is_offered_again_after_a_while() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.hear(Said::Unpublished { sid: "sid-0".to_owned() });
        assert_eq!(table.serve(), ["unpublished 0 Pause"]);
        assert_eq!(table.publications.next_deadline(), Some(table.now + AGAIN_AFTER));
        table.now += AGAIN_AFTER;
        assert_eq!(table.serve(), ["republished 0"]);
    }

    #[test]
    fn a_rejoin_publishes_anew_and_waits_for_those_who_listened() {
        let mut table = Table::joined(&[0, 1], &["ear"]);
        table.serve();
        table.subscribe(0);
        assert_eq!(table.told(), ["subscribed 0 ear", "opened 0"]);
        assert_eq!(table.wait(PATIENCE), ["opened 1"]);
        table.ask(5).unwrap();
        table.send();

        table.publications.reset();
        (table.is_connected, table.awaits_answer) = (false, false);
        assert!(!table.publications.is_restored());
        assert_eq!(table.publications.next_deadline(), None);
        table.join(true);
        table.publications.hear_of_others(&came("ear"));
        table.serve();
        table.is_connected = true;
        assert_eq!(table.told(), NOTHING);
        assert!(!table.publications.is_restored(), "track 0 had a listener");
        let index = table.announced.iter().rposition(|announced| announced.name == "speaker").unwrap();
        table.subscribe(index);
        assert_eq!(table.told(), ["subscribed 0 ear"]);
        assert!(table.publications.is_restored(), "track 1 had none, and 5 was never open");
        assert_eq!(table.wait(PATIENCE), ["opened 5"]);
    }

    #[test]
    fn a_rejoin_by_a_token_that_may_not_publish_takes_tracks_out() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.publications.reset();
        table.join(false);
        assert_eq!(table.told(), ["unpublished 0 Pause"]);
        assert!(table.publications.is_restored(), "there is nothing to wait for");
        table.list(&[], true);
        assert_eq!(table.serve(), ["republished 0"]);
    }

    #[test]
    fn offers_that_were_out_are_void_after_a_resume() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.ask(1).unwrap();
        table.send();
        table.name(1);
        table.publications.interrupted();
        table.awaits_answer = false;
        table.publications.resumed(table.now);
        assert_eq!(table.serve(), ["opened 1"]);
        assert_ne!(table.announced[1].cid, table.announced[2].cid);
        assert_eq!(table.announced.len(), 3, "the first one stays");
    }

    #[test]
    fn our_mute_is_told_with_the_announcement_and_again_after_a_rejoin() {
        let mut table = Table::joined(&[], &[]);
        table.publications.set_muted(4, true);
        assert_eq!(table.told(), ["muted 4"]);
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
    fn a_mute_that_crosses_the_publishing_is_sent_behind_it() {
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
    fn a_moderators_mute_is_repeated_lifted_by_us_and_gone_with_whom_it_was_for() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.hear(Said::Muted { sid: "sid-0".to_owned(), muted: true });
        assert_eq!(table.told(), ["muted 0"]);
        assert_eq!(table.send(), [("sid-0".to_owned(), true)]);
        table.publications.set_muted(0, false);
        assert_eq!(table.told(), ["unmuted 0"]);
        assert_eq!(table.send(), [("sid-0".to_owned(), false)]);
        table.hear(Said::Muted { sid: "sid-0".to_owned(), muted: true });
        table.told();
        table.publications.reset();
        assert_eq!(table.told(), ["unmuted 0"]);
        table.join(true);
        table.awaits_answer = false;
        table.serve();
        assert!(!table.announced[1].muted);
    }

    #[test]
    fn a_mute_that_was_missed_is_in_the_list_and_ours_is_sent_again() {
        let mut table = Table::joined(&[0, 1], &[]);
        table.serve();
        table.publications.interrupted();
        table.publications.set_muted(1, true);
        assert_eq!(table.told(), ["muted 1"]);
        table.list(&[(0, true), (1, false)], true);
        assert_eq!(table.told(), ["muted 0"]);
        table.publications.resumed(table.now);
        assert_eq!(table.send(), [("sid-1".to_owned(), true)]);
    }

    #[test]
    fn a_track_leaves_once_it_is_silent_and_the_room_lists_it_no_more() {
        let mut table = Table::joined(&[0, 1], &[]);
        assert_eq!(table.serve(), ["opened 0", "opened 1"]);
        table.publications.unpublish(0, Some(1));
        assert!(table.publications.line(0).is_some(), "its last words are sent");
        table.send();
        assert_eq!(table.idle, []);
        assert!(table.publications.is_leaving(0) && !table.publications.is_leaving(1));
        table.publications.let_go(0, table.now);
        assert_eq!((table.publications.line(0), table.publications.is_leaving(0)), (None, false));
        table.send();
        assert_eq!((table.offers, &table.idle[..]), (2, &[mid(0)][..]));
        table.answer();
        assert_eq!(table.told(), NOTHING);
        table.list(&[(0, false), (1, false)], true);
        assert_eq!(table.told(), NOTHING, "a list from before");
        table.list(&[(1, false)], true);
        assert_eq!(table.told(), ["out 1"]);
        assert_eq!((table.send(), table.publications.next_deadline()), (vec![], None), "nothing is left of it");
        assert!(!table.ask(0).unwrap());
        assert_eq!(table.serve(), ["opened 0"]);
        assert_ne!(table.announced[0].cid, table.announced[2].cid);
        assert!(table.ask(1).unwrap(), "the other one is as it was");
    }

    #[test]
    fn the_room_may_list_it_no_more_before_it_answers_or_say_nothing() {
        for (says_first, says_nothing) in [(true, false), (false, false), (false, true)] {
            let mut table = Table::joined(&[0], &[]);
            table.serve();
            table.leave(0);
            if says_first {
                table.hear(Said::Unpublished { sid: "sid-0".to_owned() });
                assert_eq!(table.told(), NOTHING, "its line is not agreed");
                table.answer();
            } else {
                table.answer();
                assert_eq!(table.publications.next_deadline(), Some(table.now + LISTED_WITHIN));
                match says_nothing {
                    false => table.hear(Said::Unpublished { sid: "sid-0".to_owned() }),
                    true => {
                        table.now += LISTED_WITHIN;
                        assert_eq!(table.publications.late(table.now), Some(0));
                        assert!(table.publications.is_gone(0, table.now));
                    }
                }
            }
            assert_eq!(table.told(), ["out 0"], "{says_first} {says_nothing}");
            assert_eq!(table.publications.next_deadline(), None);
        }
    }

    #[test]
    fn what_is_asked_for_behind_it_comes_in_when_it_is_out_and_both_calls_are_answered() {
        let mut table = Table::joined(&[0], &["ear"]);
        table.serve();
        table.subscribe(0);
        table.told();
        table.publications.unpublish(0, Some(1));
        assert!(!table.ask(0).unwrap());
        table.publications.unpublish(0, Some(2));
        assert!(!table.ask(0).unwrap());
        table.fall_silent(0);
        table.send();
        assert_eq!(table.announced.len(), 1, "first out, then in again");
        assert_eq!(table.publications.next_deadline(), Some(table.now + TIMEOUT), "of its way out");
        table.answer();
        table.list(&[], true);
        assert_eq!(table.told(), ["out 1", "out 2"]);
        assert_eq!(table.serve(), NOTHING, "its listener is waited for");
        table.subscribe(1);
        assert_eq!(table.told(), ["subscribed 0 ear", "opened 0"]);
    }

    #[test]
    fn what_the_room_does_not_have_is_out_at_once() {
        let mut table = Table::new(&[0, 1]);
        table.publications.unpublish(0, Some(1));
        table.publications.unpublish(7, Some(2));
        assert_eq!(table.told(), ["out 1", "out 2"]);
        table.join(true);
        table.publications.started();
        assert_eq!(table.serve(), ["opened 1"]);
        assert!(table.publications.is_as_asked());
        table.hear(Said::Unpublished { sid: "sid-0".to_owned() });
        assert_eq!(table.told(), ["unpublished 1 Pause"]);
        table.publications.unpublish(1, Some(3));
        assert_eq!(table.told(), ["out 3"]);
        table.now += 2 * AGAIN_AFTER;
        table.serve();
        assert_eq!(table.announced.len(), 1, "it does not come back by itself");
        table.ask(1).unwrap();
        assert_eq!(table.serve(), ["opened 1"]);
    }

    #[test]
    fn a_track_on_its_way_in_goes_in_before_it_goes_out_and_connects_without_it() {
        let mut table = Table::new(&[0, 1]);
        table.join(true);
        table.send();
        table.leave(0);
        assert!(!table.publications.is_leaving(0));
        table.name(0);
        table.name(1);
        table.answer();
        assert_eq!(table.told(), ["opened 1"]);
        assert!(table.publications.is_as_asked());
        table.fall_silent(0);
        table.send();
        assert_eq!(table.idle, [mid(0)]);
        table.answer();
        table.hear(Said::Unpublished { sid: "sid-0".to_owned() });
        assert_eq!(table.told(), ["out 0"]);
    }

    #[test]
    fn a_track_that_the_server_takes_out_while_it_leaves_is_out() {
        let mut table = Table::joined(&[0, 1], &[]);
        table.serve();
        table.publications.unpublish(0, Some(1));
        table.publications.unpublish(1, Some(2));
        table.ask(1).unwrap();
        for sid in ["sid-0", "sid-1"] {
            table.hear(Said::Unpublished { sid: sid.to_owned() });
        }
        assert_eq!(table.told(), ["out 1", "out 2"]);
        table.list(&[], false);
        assert_eq!(table.told(), ["refused 1"], "what waits for it is not left waiting");
        table.list(&[], true);
        table.send();
        assert_eq!(table.announced.len(), 2);
    }

    #[test]
    fn a_refused_track_that_is_not_wanted_goes_out_when_the_server_has_taken_its_line() {
        let mut table = Table::joined(&[], &[]);
        table.ask(1).unwrap();
        table.send();
        table.list(&[], false);
        table.refuse(0);
        table.answer();
        assert_eq!(table.told(), ["refused 1"]);
        table.leave(1);
        assert_eq!(table.told(), ["out 1"]);
        table.list(&[], true);
        table.send();
        table.name(1);
        assert_eq!(table.told(), NOTHING, "nobody waits for it");
        table.fall_silent(1);
        table.send();
        assert_eq!(table.idle, [mid(0)]);
        table.answer();
        table.hear(Said::Unpublished { sid: "sid-1".to_owned() });
        assert_eq!((table.told(), table.send()), (vec![], vec![]));
        table.ask(1).unwrap();
        assert_eq!(table.serve(), ["opened 1"]);
    }

    #[test]
    fn a_line_whose_offer_is_void_is_let_go_of_again() {
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
        assert_eq!(table.told(), NOTHING, "that was the answer to another offer");
        table.publications.resumed(table.now);
        table.send();
        assert_eq!(table.idle[1..], [mid(0), mid(1)]);
        assert_eq!(table.publications.next_deadline(), Some(table.now + TIMEOUT));
        table.list(&[], true);
        table.answer();
        assert_eq!(table.told(), ["out 0", "out 1"]);
    }

    #[test]
    fn what_leaves_a_room_that_is_joined_anew_stays_out_and_is_answered_then() {
        let mut table = Table::joined(&[0, 1, 2, 3], &[]);
        table.serve();
        table.publications.unpublish(0, Some(0));
        table.leave(1);
        table.ask(1).unwrap();
        table.publications.reset();
        (table.is_connected, table.awaits_answer) = (false, false);
        table.publications.unpublish(2, Some(2));
        assert_eq!(table.told(), NOTHING);
        table.join(true);
        assert_eq!(table.told(), ["out 0", "out 1", "out 2"]);
        table.is_connected = true;
        assert_eq!(table.serve(), ["opened 1"]);
        assert_eq!(table.announced.len(), 6, "1, which is asked for again, and 3");
        assert!(table.publications.is_restored());
    }

    #[test]
    fn a_server_that_does_not_answer_is_not_waited_for() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.leave(0);
        table.ask(0).unwrap();
        table.now += TIMEOUT;
        assert_eq!(table.publications.late(table.now), Some(0));
        assert!(!table.publications.is_gone(0, table.now));
        assert!(
            table.publications.give_up(0, no_grant(TrackSource::Microphone), table.now),
            "its offer was not answered"
        );
        table.publications.withdrawn();
        table.awaits_answer = false;
        assert_eq!(table.told(), ["ERR_REFUSED 0"]);
        assert_eq!(table.publications.late(table.now), None);
        assert_eq!(table.serve(), ["opened 0"]);
        assert_eq!(table.idle, [mid(0), mid(0)], "its line is let go of in the next offer");
    }

    #[test]
    fn a_track_that_leaves_keeps_its_mute() {
        let mut table = Table::joined(&[0], &[]);
        table.serve();
        table.publications.set_muted(0, true);
        assert_eq!(table.told(), ["muted 0"]);
        assert_eq!(table.send(), [("sid-0".to_owned(), true)]);
        table.leave(0);
        table.answer();
        table.list(&[], true);
        assert_eq!(table.told(), ["out 0"]);
        table.ask(0).unwrap();
        assert_eq!(table.serve(), ["opened 0"]);
        assert!(table.announced[1].muted);
    }
}
