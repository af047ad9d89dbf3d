//! The output that publishes each used track into a LiveKit room.
//!
//! ```text
//! frame → encoder (Opus) → peer (RTP, SRTP, ICE) → transport (UDP, TCP, TURN)
//!                          room (WebSocket) ←→ offers, answers, candidates
//! ```
//!
//! Everything is polled by the session's driver. A track is published when the room is joined, or when something first plays on it,
//! and stays until the session closes or unpublishes it.

mod announcement;
mod backoff;
mod clip_packets;
mod data;
mod disconnect;
mod encoder;
pub mod fuzz;
mod join;
mod keep_alive;
mod linger;
mod listeners;
mod membership;
mod mutes;
mod peer;
mod pings;
mod publications;
mod publish;
mod recovery;
mod requests;
mod room;
mod signal_event;
mod socket;
mod texts;
mod timer;
mod tokens;
mod track;
mod transport;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use tokio::time::timeout;

use super::{
    Closing, ConnectionStats, DataInterest, Description, Listening, OutgoingData, Output, OutputEvent, Presence, closed,
};
use crate::audio::Samples;
use crate::error::{Code, Result};
use crate::ids::Ticket;
use crate::mixer::Frame;
use crate::runtime::{RUNTIME, Task, timed};
use crate::scope::Scope;
pub use announcement::{TrackOptions, TrackSource};
use backoff::wait_for_turn;
use data::{Data, no_grant};
use disconnect::{Disconnect, Retry};
pub use encoder::{Encoder, Encoding};
use join::{JoinKind, join};
pub use join::{LiveKitOptions, StartWhen};
use keep_alive::KeepAlive;
use linger::Linger;
use listeners::Listeners;
use peer::{Peer, PeerEvent};
use publications::{Publications, PublishOptions};
use recovery::{Action, Connectivity, Input, Media, Recovery};
use requests::Requests;
use room::Room;
use signal_event::{Side, SignalEvent};
use timer::Timer;
pub use tokens::Tokens;
use track::Track;
pub use transport::IceTransport;
use transport::{IceServer, Transport};

/// The timeout for leaving a room.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

pub struct LiveKit {
    options: LiveKitOptions,
    channels: usize,
    /// The state machine that decides what to do when something breaks.
    recovery: Recovery,
    attempt: Option<Attempt>,
    /// The room, while it is joined.
    connection: Option<Box<Connection>>,
    tracks: Vec<Track>,
    publications: Publications,
    listeners: Listeners,
    /// The timer that wakes the driver for the next deadline.
    timer: Timer,
    /// Why the connection is being restored, or was lost.
    disconnect: Option<Disconnect>,
    /// The room is lost, which is still to be reported.
    is_lost: bool,
    /// The state that was last reported to the session.
    reported: Connectivity,
    /// Changes of who is in the room that are still to be reported.
    presence: VecDeque<Presence>,
    /// Requests to change the local participant, and their answers that are still to be reported.
    requests: Requests,
    described: VecDeque<OutputEvent>,
    data: Data,
    stats: ConnectionStats,
    reported_stats: ConnectionStats,
    /// The frames that were mixed while the room could not be reached.
    dropped: u64,
}

/// A connection attempt. It runs as a task of its own, because its cost should not delay other sessions.
enum Attempt {
    Join(Task<ConnectResult<Room>>),
    Reopen(Task<ConnectResult<Vec<IceServer>>>),
}

/// A joined room.
struct Connection {
    room: Room,
    peer: Peer,
    /// The second peer connection, over which servers before 1.9.1 send data. They end a session without it.
    subscriber: Option<Box<Peer>>,
    keep_alive: KeepAlive,
}

impl Connection {
    /// Polls the second peer connection of an old server. Returns received data and whether it was sent reliably.
    fn poll_subscriber(&mut self, context: &mut Context<'_>, now: Instant) -> Option<(Vec<u8>, bool)> {
        while let Some(Poll::Ready(event)) = self.subscriber.as_mut().map(|subscriber| subscriber.poll(context, now)) {
            match event {
                PeerEvent::Broken(_) => self.subscriber = None,
                PeerEvent::Data(packet, is_reliable) => return Some((packet, is_reliable)),
                _ => {}
            }
        }
        None
    }
}

/// The result of an operation whose failure disconnects the room.
type ConnectResult<T> = std::result::Result<T, Disconnect>;

impl LiveKit {
    pub fn new(options: LiveKitOptions, channels: usize, now: Instant) -> Self {
        let mut output = Self {
            recovery: Recovery::new(options.has_regions(), track::random().into()),
            attempt: Some(Attempt::Join(Task::spawn(join(options.clone(), JoinKind::Initial, now)))),
            connection: None,
            publications: Publications::new(PublishOptions::new(&options, channels)),
            listeners: Listeners::default(),
            options,
            channels,
            tracks: Vec::new(),
            timer: Timer::at(now),
            disconnect: None,
            is_lost: false,
            reported: Connectivity::Connecting,
            presence: VecDeque::new(),
            requests: Requests::default(),
            described: VecDeque::new(),
            data: Data::default(),
            stats: ConnectionStats::default(),
            reported_stats: ConnectionStats::default(),
            dropped: 0,
        };
        for stream in output.options.publish_at_once.clone() {
            output.add_track(stream);
        }
        output
    }

    /// Polls everything once. Ready when something has changed.
    fn step(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<ConnectResult<()>> {
        if let Poll::Ready(result) = self.poll_attempt(context, now) {
            return Poll::Ready(result);
        }
        let Some(connection) = &mut self.connection else { return Poll::Pending };
        if let Poll::Ready(event) = connection.room.poll(context) {
            return Poll::Ready(self.handle_signal(event, now));
        }
        if let Some((packet, is_reliable)) = connection.poll_subscriber(context, now) {
            self.data.take(&packet, is_reliable);
            return Poll::Ready(Ok(()));
        }
        let Connection { peer, keep_alive, .. } = &mut **connection;
        keep_alive.poll(peer, &mut self.tracks, &self.publications, now)?;
        Poll::Ready(match ready!(peer.poll(context, now)) {
            PeerEvent::Connected => Ok(()),
            PeerEvent::NoPath => {
                self.no_path(now);
                Ok(())
            }
            PeerEvent::Report(report) => {
                self.stats.report = Some(report);
                Ok(())
            }
            PeerEvent::Data(packet, is_reliable) => {
                self.data.take(&packet, is_reliable);
                Ok(())
            }
            PeerEvent::Channels => Ok(()),
            PeerEvent::Broken(error) => Err(error.into()),
        })
    }

    fn poll_attempt(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<ConnectResult<()>> {
        match &mut self.attempt {
            None => Poll::Pending,
            Some(Attempt::Join(joining)) => {
                let joined = ready!(Pin::new(joining).poll(context));
                self.attempt = None;
                Poll::Ready(joined.and_then(|room| {
                    let transport = Transport::new(self.options.ice_transport, &room.ice_servers);
                    let peer = Peer::new(transport, self.options.encoding, now)?;
                    self.publications.joined(room.local(), now);
                    self.listeners.joined(room.local());
                    self.connection =
                        Some(Box::new(Connection { room, peer, subscriber: None, keep_alive: KeepAlive::new(now) }));
                    self.handle(Input::Joined, now);
                    Ok(())
                }))
            }
            Some(Attempt::Reopen(reopening)) => {
                let reopened = ready!(Pin::new(reopening).poll(context));
                self.attempt = None;
                Poll::Ready(reopened.map(|ice_servers| {
                    if let Some(connection) = &mut self.connection {
                        connection.room.reopened(ice_servers);
                    }
                    self.handle(Input::Reopened, now);
                }))
            }
        }
    }

    fn handle_signal(&mut self, event: SignalEvent, now: Instant) -> ConnectResult<()> {
        match event {
            SignalEvent::LocalParticipant(local) => {
                self.listeners.update_local(&local);
                let event = SignalEvent::LocalParticipant(local);
                self.handle(Input::Confirmed, now);
                self.handle_track_event(event, now)
            }
            SignalEvent::Presence(presence) => {
                self.publications.update_others(&presence);
                self.listeners.update_others(&presence);
                self.presence.push_back(presence);
                Ok(())
            }
            SignalEvent::Described { request, error } => {
                self.described.extend(self.requests.answered(request, error));
                Ok(())
            }
            SignalEvent::Replaced => {
                self.handle(Input::Replaced, now);
                Ok(())
            }
            SignalEvent::Left(disconnect) if disconnect.is_state_mismatch() => {
                self.disconnect = Some(disconnect);
                self.handle(Input::Mismatch, now);
                Ok(())
            }
            SignalEvent::Left(disconnect) => Err(disconnect),
            SignalEvent::Quality(quality) => {
                self.stats.quality = Some(quality);
                Ok(())
            }
            event => self.handle_track_event(event, now),
        }
    }

    /// Handles that media does not arrive any more.
    fn no_path(&mut self, now: Instant) {
        if self.recovery.may_offer() {
            self.disconnect = Some(Disconnect::no_path());
        }
        self.handle(Input::NoPath, now);
    }

    /// Handles a failure.
    fn fail(&mut self, disconnect: Disconnect, now: Instant) {
        let can_resume = self.connection.as_ref().is_some_and(|connection| connection.room.can_resume());
        let retry = match disconnect.retry {
            Retry::Resume if !can_resume => Retry::Rejoin,
            retry => retry,
        };
        self.disconnect = Some(disconnect);
        self.handle(Input::Failed(retry), now);
    }

    /// Passes an input to the recovery and carries out its action.
    fn handle(&mut self, input: Input, now: Instant) {
        let media = self.media(now);
        let Some(action) = self.recovery.handle(input, media, now) else { return };
        if let Err(disconnect) = self.act(action, now) {
            self.fail(disconnect, now);
        }
    }

    fn media(&self, now: Instant) -> Media {
        let Some(Connection { peer, .. }) = self.connection.as_deref() else { return Media::default() };
        let awaits_answer = peer.awaits_answer();
        Media { is_heard: peer.is_heard(now), is_settled: peer.is_connected() && !awaits_answer, awaits_answer }
    }

    fn act(&mut self, action: Action, now: Instant) -> ConnectResult<()> {
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
                let regions = self.disconnect.as_ref().map(|disconnect| disconnect.regions.clone()).unwrap_or_default();
                self.attempt = Some(Attempt::Join(Task::spawn(async move {
                    let at = wait_for_turn(&server, at).await;
                    join(options, JoinKind::Rejoin(regions), at).await
                })));
            }
            Action::Reopen(at) => {
                let Some(connection) = &mut self.connection else { return Ok(()) };
                // Publishing waits, too.
                self.publications.interrupted();
                self.listeners.interrupted();
                let (server, limit) = (self.options.server(), self.options.timeout);
                let reopener = connection.room.reopener();
                self.attempt = Some(Attempt::Reopen(Task::spawn(async move {
                    let at = wait_for_turn(&server, at).await;
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
            Action::HangUp => {
                if let Some(connection) = &self.connection {
                    connection.room.hang_up();
                }
            }
            Action::Resume { is_reopened } => {
                let Some(Connection { room, peer, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
                if is_reopened {
                    room.sync();
                }
                // A pending offer is lost.
                peer.withdraw();
                room.resumed();
                if is_reopened {
                    self.requests.unanswered().for_each(|(number, description)| room.describe(number, description));
                }
                self.publications.resumed(now);
                self.listeners.resumed();
            }
            Action::GiveUp => self.end(),
            Action::GiveWay => {
                self.disconnect = Some(Disconnect::replaced());
                self.end();
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        (self.attempt, self.is_lost) = (None, true);
        if let Some(connection) = self.connection.take()
            && self.disconnect.as_ref().is_some_and(Disconnect::is_replaced)
        {
            connection.room.abandon();
        }
    }

    /// Handles deadlines, and carries out what they allow.
    fn tick(&mut self, now: Instant) {
        if self.recovery.is_active() {
            self.handle(Input::Tick, now);
        }
        if let Err(disconnect) = self.publish(now).and_then(|()| self.send_waiting_data(now)) {
            self.fail(disconnect, now);
        }
    }

    /// Sends waiting data as soon as the room can be reached. The grant is checked here, because a server silently drops data without it.
    fn send_waiting_data(&mut self, now: Instant) -> ConnectResult<()> {
        if !self.data.has_waiting() {
            return Ok(());
        }
        if !self.can_send(now) {
            self.data.interrupt();
            return Ok(());
        }
        let Some(Connection { room, peer, .. }) = self.connection.as_deref_mut() else { return Ok(()) };
        if !room.local().may_send_data {
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

    fn state(&self, now: Instant) -> Connectivity {
        match self.recovery.state(self.media(now)) {
            // It counts as connected only when every track of `publishAtOnce` is published.
            _ if self.reported == Connectivity::Connecting && !self.publications.is_as_asked() => {
                Connectivity::Connecting
            }
            state => state,
        }
    }

    /// Returns true if media that is sent reaches the room.
    fn can_send(&self, now: Instant) -> bool {
        self.reported != Connectivity::Connecting
            && matches!(self.state(now), Connectivity::Connected | Connectivity::Degraded)
    }

    /// Returns the next event to report: the current state is compared with the last reported one, so that no order of faults can
    /// produce a wrong sequence.
    fn next_event(&mut self, now: Instant) -> Option<OutputEvent> {
        use Connectivity::{Connected, Connecting, Degraded, MediaLost};
        if std::mem::take(&mut self.is_lost) {
            let Disconnect { mut error, reason, .. } = self.disconnect.take().unwrap_or_else(Disconnect::no_path);
            if matches!(self.reported, Degraded | MediaLost) {
                // Whatever prevented reconnecting, a session that was in the room was disconnected.
                error.code = Code::Disconnected;
            }
            return Some(OutputEvent::Lost { error, reason });
        }
        if let Some(presence) = self.next_presence() {
            return Some(OutputEvent::Presence(presence));
        }
        let (reported, event) = match (self.reported, self.state(now)) {
            (Connecting, Connected) => (Connected, OutputEvent::Connected),
            (Connected, Degraded | MediaLost) => {
                let reason = self.disconnect.as_ref().map(|disconnect| disconnect.reason.clone());
                (Degraded, OutputEvent::Reconnecting(reason.unwrap_or_default()))
            }
            (Degraded, MediaLost) => (MediaLost, OutputEvent::MediaLost(self.options.on_reconnect)),
            (MediaLost, Degraded) => (Degraded, OutputEvent::MediaRestored),
            (Degraded | MediaLost, Connected) => (Connected, OutputEvent::Reconnected),
            _ => return self.next_minor_event(now),
        };
        self.reported = reported;
        self.publications.started();
        Some(event)
    }

    /// Returns the next change of who is in the room. The initial list precedes `Connected`, and later changes follow it.
    fn next_presence(&mut self) -> Option<Presence> {
        let is_snapshot = |presence: &Presence| matches!(presence, Presence::Local(_) | Presence::Others(_));
        let may_tell = self.reported != Connectivity::Connecting || self.presence.front().is_some_and(is_snapshot);
        may_tell.then(|| self.presence.pop_front()).flatten()
    }

    fn next_minor_event(&mut self, now: Instant) -> Option<OutputEvent> {
        if let Some(event) = self.data.next_event() {
            return Some(event);
        }
        if let Some(answer) = self.described.pop_front().or_else(|| self.requests.late(self.options.timeout, now)) {
            return Some(answer);
        }
        if let Some(answer) = self.publications.take_answer() {
            return Some(answer);
        }
        if self.reported != Connectivity::Connecting
            && let Some(event) = self.publications.next_event()
        {
            return Some(event);
        }
        let has_changed = self.stats != self.reported_stats;
        self.reported_stats = self.stats;
        has_changed.then_some(OutputEvent::ConnectionStats(self.stats))
    }

    /// Passes received audio on to the listeners.
    fn listen_to_all(&mut self, now: Instant) {
        if self.listeners.is_empty() {
            return;
        }
        if let Some(Connection { peer, subscriber, .. }) = self.connection.as_deref_mut() {
            for (side, peer) in [(Side::Publisher, Some(peer)), (Side::Subscriber, subscriber.as_deref_mut())] {
                let Some((peer, types)) = peer.and_then(|peer| peer.opus_types().map(|types| (peer, types))) else {
                    continue;
                };
                for heard in peer.take_sounds() {
                    self.listeners.receive(side, heard.mid, &heard.packet(), heard.arrival, types);
                }
            }
        }
        self.listeners.poll(now);
    }

    /// Returns the next deadline.
    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let leaving = self.tracks.iter().filter(|track| self.publications.is_draining(track.stream));
        let leaves = leaving.filter_map(|track| track.heard_by(self.options.linger)).min();
        let [tracks, requests] = [self.publications.next_deadline(), self.requests.next_deadline()];
        let deadlines = [tracks, requests, self.data.next_deadline(), leaves];
        self.recovery.deadline(self.media(now), now).into_iter().chain(deadlines.into_iter().flatten()).min()
    }
}

impl Output for LiveKit {
    fn is_connected(&self) -> bool {
        matches!(self.reported, Connectivity::Connected | Connectivity::Degraded)
    }

    fn prepare(&mut self, stream: u32, now: Instant) -> Result<bool> {
        self.add_track(stream);
        self.publications.ask(stream, now)
    }

    fn unpublish(&mut self, stream: u32, ticket: Option<Ticket>, _now: Instant) {
        self.publications.unpublish(stream, ticket);
    }

    fn set_muted(&mut self, stream: u32, muted: bool) {
        self.publications.set_muted(stream, muted);
    }

    fn describe(&mut self, description: Description, ticket: Option<Ticket>, now: Instant) {
        // A room that is joined later is sent the description then.
        let Some(connection) = &self.connection else { return };
        let number = self.requests.ask(description.clone(), ticket, self.options.timeout, now);
        connection.room.describe(number, &description);
    }

    fn send_data(&mut self, data: OutgoingData, ticket: Ticket) {
        self.data.ask(data, ticket);
    }

    fn set_data_interest(&mut self, interest: DataInterest) {
        self.data.set_interest(interest);
    }

    fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<OutputEvent> {
        loop {
            self.tick(now);
            if let Some(event) = self.next_event(now) {
                return Poll::Ready(event);
            }
            match self.step(context, now) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(disconnect)) => {
                    self.fail(disconnect, now);
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
        if !self.can_send(now) {
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

    /// Does nothing: RTP time advances by itself, because every packet carries the session's time.
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
        let publications = std::mem::replace(
            &mut self.publications,
            Publications::new(PublishOptions::new(&self.options, self.channels)),
        );
        let mut linger = Linger::new(connection, tracks, publications, self.channels, self.options.linger, now);
        // A task of its own, so that the room is left properly even if nobody awaits it.
        let ending = RUNTIME.spawn(Scope::current().wrap(async move {
            timed(|context, now| linger.poll(context, now)).await;
            if let Some(leaving) = linger.leave() {
                let _ = timeout(LEAVE_LIMIT, leaving).await;
            }
        }));
        Box::pin(async move {
            ending.await.expect("lingering does not panic");
            Ok(())
        })
    }
}
