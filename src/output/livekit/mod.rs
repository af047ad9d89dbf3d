//! The output that publishes each used track into a LiveKit room.
//!
//! ```text
//! frame → encoder (Opus) → peer (RTP, SRTP, ICE) → transport (UDP, TCP, TURN)
//!                          room (WebSocket) ←→ offers, answers, candidates
//! ```
//!
//! All of it is polled by the session's driver. A track is published when the room is joined, or when something first plays on it,
//! and stays until the session closes or takes it out.

mod announcement;
mod backoff;
mod clip_packets;
mod data;
mod encoder;
mod farewell;
#[doc(hidden)]
pub mod fuzz;
mod join;
mod libopus;
mod listeners;
mod mutes;
mod news;
mod peer;
mod pings;
mod place;
mod publications;
mod publish;
mod recovery;
mod requests;
mod room;
mod said;
mod silence;
mod socket;
mod texts;
mod timer;
mod tokens;
mod track;
mod transport;
mod trouble;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use tokio::time::timeout;

use super::{Closing, Description, Hears, Link, Listening, OutgoingData, Output, OutputEvent, Presence, closed};
use crate::audio::Samples;
use crate::error::Result;
use crate::mixer::Frame;
use crate::runtime::{RUNTIME, Task, timed};
use crate::scope::Scope;
pub use announcement::{TrackSource, TrackTerms};
use backoff::turn;
use data::{Data, no_grant};
pub use encoder::Encoding;
use farewell::Farewell;
use join::{Coming, join};
pub use join::{LiveKitOptions, StartWhen};
use listeners::Listeners;
use peer::{Change, Peer};
use publications::{Publications, Terms};
use recovery::{Action, Condition, Input, Media, Recovery};
use requests::Requests;
use room::Room;
use said::{Said, Side};
use silence::Silence;
use timer::Timer;
pub use tokens::{TokenAnswer, TokenSource, Tokens};
use track::Track;
pub use transport::IceTransport;
use transport::{IceServer, Transport};
use trouble::{Remedy, Trouble};

/// How long the goodbye to a room may take: whoever does not answer by then won't.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

pub struct LiveKit {
    options: LiveKitOptions,
    channels: usize,
    /// What is done when something breaks.
    recovery: Recovery,
    attempt: Option<Underway>,
    /// The room, while it is joined.
    connection: Option<Box<Connection>>,
    tracks: Vec<Track>,
    publications: Publications,
    listeners: Listeners,
    /// Wakes the driver for whatever is due next.
    timer: Timer,
    /// Why the room is being won back, or lost.
    trouble: Option<Trouble>,
    /// The room is lost, and the session is to be told.
    is_lost: bool,
    /// What the session was told last.
    told: Condition,
    /// News of who is in the room, which the session is still to be told.
    presence: VecDeque<Presence>,
    /// What the room is asked to list of us, and its answers, which the session is still to be told.
    requests: Requests,
    described: VecDeque<OutputEvent>,
    data: Data,
    link: Link,
    told_link: Link,
    /// Frames that were mixed while the room could not be reached.
    dropped: u64,
}

/// What is under way to a room: what it costs to get there is no session's turn.
enum Underway {
    Join(Task<Attempt<Room>>),
    Reopen(Task<Attempt<Vec<IceServer>>>),
}

/// A joined room.
struct Connection {
    room: Room,
    peer: Peer,
    /// What servers before 1.9.1 send over: data, and nothing else that is listened to, but they end a session without it.
    theirs: Option<Box<Peer>>,
    silence: Silence,
}

impl Connection {
    /// Goes on with what an old server sends over. Of all of it only data is news: its bytes, and whether it was sent reliably.
    fn poll_theirs(&mut self, context: &mut Context<'_>, now: Instant) -> Option<(Vec<u8>, bool)> {
        while let Some(Poll::Ready(change)) = self.theirs.as_mut().map(|theirs| theirs.poll(context, now)) {
            match change {
                Change::Broken(_) => self.theirs = None,
                Change::Data(packet, is_reliable) => return Some((packet, is_reliable)),
                _ => {}
            }
        }
        None
    }
}

/// What can bring the room into trouble.
type Attempt<T> = std::result::Result<T, Trouble>;

impl LiveKit {
    pub fn new(options: LiveKitOptions, channels: usize, now: Instant) -> Self {
        let mut output = Self {
            recovery: Recovery::new(options.has_regions(), track::random().into()),
            attempt: Some(Underway::Join(Task::spawn(join(options.clone(), Coming::First, now)))),
            connection: None,
            publications: Publications::new(Terms::new(&options, channels)),
            listeners: Listeners::default(),
            options,
            channels,
            tracks: Vec::new(),
            timer: Timer::at(now),
            trouble: None,
            is_lost: false,
            told: Condition::Away,
            presence: VecDeque::new(),
            requests: Requests::default(),
            described: VecDeque::new(),
            data: Data::default(),
            link: Link::default(),
            told_link: Link::default(),
            dropped: 0,
        };
        for stream in output.options.publish_at_once.clone() {
            output.add_track(stream);
        }
        output
    }

    /// Goes on with what is under way. Ready when something has changed.
    fn step(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Attempt<()>> {
        if let Poll::Ready(result) = self.poll_attempt(context, now) {
            return Poll::Ready(result);
        }
        let Some(connection) = &mut self.connection else { return Poll::Pending };
        if let Poll::Ready(said) = connection.room.poll(context) {
            return Poll::Ready(self.hear(said, now));
        }
        if let Some((packet, is_reliable)) = connection.poll_theirs(context, now) {
            self.data.take(&packet, is_reliable);
            return Poll::Ready(Ok(()));
        }
        let Connection { peer, silence, .. } = &mut **connection;
        silence.poll(peer, &mut self.tracks, &self.publications, now)?;
        Poll::Ready(match ready!(peer.poll(context, now)) {
            Change::Connected => Ok(()),
            Change::NoPath => {
                self.no_path(now);
                Ok(())
            }
            Change::Report(report) => {
                self.link.report = Some(report);
                Ok(())
            }
            Change::Data(packet, is_reliable) => {
                self.data.take(&packet, is_reliable);
                Ok(())
            }
            Change::Channels => Ok(()),
            Change::Broken(error) => Err(error.into()),
        })
    }

    fn poll_attempt(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Attempt<()>> {
        match &mut self.attempt {
            None => Poll::Pending,
            Some(Underway::Join(joining)) => {
                let joined = ready!(Pin::new(joining).poll(context));
                self.attempt = None;
                Poll::Ready(joined.and_then(|room| {
                    let transport = Transport::new(self.options.ice_transport, &room.ice_servers);
                    let peer = Peer::new(transport, self.options.encoding, now)?;
                    self.publications.joined(room.has(), now);
                    self.listeners.joined(room.has());
                    self.connection =
                        Some(Box::new(Connection { room, peer, theirs: None, silence: Silence::new(now) }));
                    self.handle(Input::Joined, now);
                    Ok(())
                }))
            }
            Some(Underway::Reopen(reopening)) => {
                let reopened = ready!(Pin::new(reopening).poll(context));
                self.attempt = None;
                Poll::Ready(reopened.map(|ice_servers| {
                    self.connection.iter_mut().for_each(|connection| connection.room.reopened(ice_servers.clone()));
                    self.handle(Input::Reopened, now);
                }))
            }
        }
    }

    fn hear(&mut self, said: Said, now: Instant) -> Attempt<()> {
        match said {
            Said::Us(us) => {
                self.listeners.hear_of_us(&us);
                let said = Said::Us(us);
                self.handle(Input::Confirmed, now);
                self.hear_of_tracks(said, now)
            }
            Said::Presence(presence) => {
                self.publications.hear_of_others(&presence);
                self.listeners.hear_of_others(&presence);
                self.presence.push_back(presence);
                Ok(())
            }
            Said::Described { request, error } => {
                self.described.extend(self.requests.answered(request, error));
                Ok(())
            }
            Said::Replaced => {
                self.handle(Input::Replaced, now);
                Ok(())
            }
            Said::Left(trouble) if trouble.is_mismatch() => {
                self.trouble = Some(trouble);
                self.handle(Input::Mismatch, now);
                Ok(())
            }
            Said::Left(trouble) => Err(trouble),
            Said::Quality(quality) => {
                self.link.quality = Some(quality);
                Ok(())
            }
            said => self.hear_of_tracks(said, now),
        }
    }

    /// Sound does not arrive any more.
    fn no_path(&mut self, now: Instant) {
        if self.recovery.may_offer() {
            self.trouble = Some(Trouble::no_path());
        }
        self.handle(Input::NoPath, now);
    }

    /// Something failed.
    fn fail(&mut self, trouble: Trouble, now: Instant) {
        let can_resume = self.connection.as_ref().is_some_and(|connection| connection.room.can_resume());
        let remedy = match trouble.remedy {
            Remedy::Resume if !can_resume => Remedy::Rejoin,
            remedy => remedy,
        };
        self.trouble = Some(trouble);
        self.handle(Input::Failed(remedy), now);
    }

    /// Tells the recovery what happened, and does what it wants.
    fn handle(&mut self, input: Input, now: Instant) {
        let media = self.media(now);
        let Some(action) = self.recovery.handle(input, media, now) else { return };
        if let Err(trouble) = self.act(action, now) {
            self.fail(trouble, now);
        }
    }

    fn media(&self, now: Instant) -> Media {
        let Some(Connection { peer, .. }) = self.connection.as_deref() else { return Media::default() };
        Media { is_heard: peer.is_heard(now), is_settled: peer.is_connected() && !peer.awaits_answer() }
    }

    fn act(&mut self, action: Action, now: Instant) -> Attempt<()> {
        match action {
            Action::Join(at) => {
                self.connection = None;
                self.publications.reset();
                self.listeners.reset();
                self.requests.reset();
                self.data.reset();
                self.presence.clear();
                self.tracks.iter_mut().for_each(Track::reset);
                let (options, server) = (self.options.clone(), self.options.server());
                let regions = self.trouble.as_ref().map(|trouble| trouble.regions.clone()).unwrap_or_default();
                self.attempt = Some(Underway::Join(Task::spawn(async move {
                    let at = turn(&server, at).await;
                    join(options, Coming::Again(regions), at).await
                })));
            }
            Action::Reopen(at) => {
                let Some(connection) = &mut self.connection else { return Ok(()) };
                // What is to be published waits, too.
                self.publications.interrupted();
                self.listeners.interrupted();
                let (server, limit) = (self.options.server(), self.options.timeout);
                let reopener = connection.room.reopener();
                self.attempt = Some(Underway::Reopen(Task::spawn(async move {
                    let at = turn(&server, at).await;
                    reopener.reopen((at + limit).into()).await
                })));
            }
            Action::FindPath { is_reopened } => {
                let Some(Connection { room, peer, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
                self.publications.interrupted();
                self.listeners.interrupted();
                if is_reopened {
                    room.sync();
                }
                let offer = peer.restart_ice(&room.ice_servers, now)?;
                room.offer(offer, None);
            }
            Action::Resume { is_reopened } => {
                let Some(Connection { room, peer, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
                if is_reopened {
                    room.sync();
                }
                // An offer that was out is lost.
                peer.withdraw();
                room.resumed();
                if is_reopened {
                    self.requests.unanswered().for_each(|(number, description)| room.describe(number, description));
                }
                self.publications.resumed(now);
                self.listeners.resumed();
            }
            Action::Lose => self.end(),
            Action::GiveWay => {
                self.trouble = Some(Trouble::replaced());
                self.end();
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        (self.attempt, self.is_lost) = (None, true);
        if let Some(connection) = self.connection.take()
            && self.trouble.as_ref().is_some_and(Trouble::is_replaced)
        {
            connection.room.abandon();
        }
    }

    /// Lets time pass.
    fn look(&mut self, now: Instant) {
        if self.recovery.is_going_on() {
            self.handle(Input::Look, now);
        }
        if let Err(trouble) = self.publish(now).and_then(|()| self.send_waiting_data(now)) {
            self.fail(trouble, now);
        }
    }

    /// Sends what data waits, as soon as the room is reached. Its server says nothing of what it does not take.
    fn send_waiting_data(&mut self, now: Instant) -> Attempt<()> {
        if !self.data.has_waiting() {
            return Ok(());
        }
        if !self.reaches(now) {
            self.data.interrupt();
            return Ok(());
        }
        let Some(Connection { room, peer, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        if !room.has().may_send_data {
            self.data.refuse(&no_grant());
            return Ok(());
        }
        let has_written =
            self.data.send(self.options.timeout, now, |is_reliable, packet| peer.write_data(is_reliable, packet));
        if has_written {
            peer.send_written(now)?;
        }
        Ok(())
    }

    /// Hands on what was heard.
    fn listen_to_all(&mut self, now: Instant) {
        if self.listeners.is_empty() {
            return;
        }
        if let Some(Connection { peer, theirs, .. }) = self.connection.as_deref_mut() {
            for (side, peer) in [(Side::Ours, Some(peer)), (Side::Theirs, theirs.as_deref_mut())] {
                let Some((peer, types)) = peer.and_then(|peer| peer.opus_types().map(|types| (peer, types))) else {
                    continue;
                };
                for heard in peer.take_sounds() {
                    self.listeners.receive((side, heard.mid), &heard.packet(), heard.arrival, types);
                }
            }
        }
        self.listeners.poll(now);
    }

    /// When something is due.
    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let leaving = self.tracks.iter().filter(|track| self.publications.is_leaving(track.stream));
        let leaves = leaving.filter_map(|track| track.heard_by(self.options.linger)).min();
        let [tracks, requests] = [self.publications.next_deadline(), self.requests.next_deadline()];
        let deadlines = [tracks, requests, self.data.next_deadline(), leaves];
        self.recovery.deadline(self.media(now), now).into_iter().chain(deadlines.into_iter().flatten()).min()
    }
}

impl Output for LiveKit {
    fn is_connected(&self) -> bool {
        matches!(self.told, Condition::Well | Condition::Shaky)
    }

    fn prepare(&mut self, stream: u32, now: Instant) -> Result<bool> {
        self.add_track(stream);
        self.publications.ask(stream, now)
    }

    fn unpublish(&mut self, stream: u32, ticket: Option<u32>, _now: Instant) {
        self.publications.unpublish(stream, ticket);
    }

    fn set_muted(&mut self, stream: u32, muted: bool) {
        self.publications.set_muted(stream, muted);
    }

    fn describe(&mut self, description: Description, ticket: Option<u32>, now: Instant) {
        // A room that is joined later is asked then.
        let Some(connection) = &self.connection else { return };
        let number = self.requests.ask(description.clone(), ticket, self.options.timeout, now);
        connection.room.describe(number, &description);
    }

    fn send_data(&mut self, data: OutgoingData, ticket: u32) {
        self.data.ask(data, ticket);
    }

    fn hear_data(&mut self, hears: Hears) {
        self.data.hear(hears);
    }

    fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<OutputEvent> {
        loop {
            self.look(now);
            if let Some(news) = self.news(now) {
                return Poll::Ready(news);
            }
            match self.step(context, now) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(trouble)) => {
                    self.fail(trouble, now);
                    continue;
                }
                Poll::Pending => {}
            }
            self.listen_to_all(now);
            let Some(deadline) = self.next_deadline(now) else { return Poll::Pending };
            self.timer.set(deadline);
            ready!(self.timer.poll(now));
        }
    }

    fn listen(&mut self, listening: Arc<Listening>, epoch: Instant) {
        self.listeners.listen(listening, epoch);
    }

    fn unlisten(&mut self, id: u32) {
        self.listeners.unlisten(id);
    }

    fn write(&mut self, frame: &Frame, now: Instant) -> Result<bool> {
        if !self.reaches(now) {
            self.dropped += u64::from(frame.sounding);
            return Ok(false);
        }
        let Some(connection) = &mut self.connection else { return Ok(false) };
        let Some(track) = self.tracks.iter_mut().find(|track| track.stream == frame.stream) else { return Ok(false) };
        let Some(line) = self.publications.line(frame.stream) else { return Ok(false) };
        let is_muted = self.publications.is_muted(frame.stream);
        if let Some(packet) = track.encode(frame, is_muted)? {
            track.sent_at(&packet, now);
            connection.peer.send(line, frame.at, &packet, now)?;
        }
        if connection.peer.is_unheard(now) {
            self.no_path(now);
        }
        Ok(!is_muted)
    }

    /// Time goes on in RTP by itself: every packet bears the session's.
    fn skip(&mut self, _samples: Samples) -> Result<()> {
        Ok(())
    }

    fn may_rest(&self) -> bool {
        self.tracks.iter().all(Track::is_silent)
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn shared(&self) -> u64 {
        self.tracks.iter().map(Track::shared).sum()
    }

    fn close(&mut self, now: Instant) -> Closing {
        self.attempt = None;
        self.listeners.reset();
        let Some(mut connection) = self.connection.take() else { return closed(Ok(())) };
        connection.peer.set_listening(false);
        let tracks = std::mem::take(&mut self.tracks);
        let publications =
            std::mem::replace(&mut self.publications, Publications::new(Terms::new(&self.options, self.channels)));
        let mut farewell = Farewell::new(connection, tracks, publications, self.channels, self.options.linger, now);
        // A task of its own: the room is left in good order though nobody may wait for that.
        let ending = RUNTIME.spawn(Scope::current().wrap(async move {
            timed(|context, now| farewell.poll(context, now)).await;
            if let Some(leaving) = farewell.leave() {
                let _ = timeout(LEAVE_LIMIT, leaving).await;
            }
        }));
        Box::pin(async move {
            ending.await.expect("a farewell does not panic");
            Ok(())
        })
    }
}
