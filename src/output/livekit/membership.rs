//! This client's membership in a room: its identity, its tracks and permissions as the server lists them, and the state that a server
//! needs to resume the session.

use proto::signal_response::Message as Response;

use super::proto;
use super::signal_event::{LocalIdentity, LocalParticipant, SignalEvent, participant};
use super::tokens::Tokens;
use crate::output::Presence;

pub struct Membership {
    identity: LocalIdentity,
    /// The local participant. Until the server lists it after a reopening, no track counts as published.
    pub local: LocalParticipant,
    /// The server has not listed the participant since the reopening.
    is_unlisted: bool,
    state: proto::SyncState,
    /// True if the server only answers offers and makes none (single peer connection).
    is_single: bool,
    /// The server has moved us to another room, under another id than the signalling knows.
    is_moved: bool,
    /// The store of the server's newer tokens.
    tokens: Tokens,
}

impl Membership {
    /// Creates the membership from the join response, and the first events.
    pub fn new(joined: proto::JoinResponse, is_single: bool, tokens: Tokens) -> (Self, Vec<SignalEvent>) {
        let info = joined.participant.unwrap_or_default();
        // Nothing is subscribed to yet. Without this field server 1.11.0 crashes with a nil pointer.
        let state = proto::SyncState { subscription: Some(Default::default()), ..Default::default() };
        let membership = Self {
            identity: LocalIdentity::of(&info),
            local: LocalParticipant::of(&info),
            is_unlisted: false,
            state,
            is_single,
            is_moved: false,
            tokens,
        };
        (membership, vec![local_presence(info), others_presence(joined.other_participants)])
    }

    /// Applies a message of the server. Returns its events.
    pub fn apply(&mut self, response: Response) -> Vec<SignalEvent> {
        match &response {
            Response::Answer(answer) if self.is_single => self.state.answer = Some(answer.clone()),
            Response::Offer(offer) => self.state.offer = Some(offer.clone()),
            Response::TrackPublished(published) => {
                let track = published.track.clone().unwrap_or_default();
                self.local.tracks.retain(|(sid, _)| *sid != track.sid);
                self.local.tracks.push((track.sid, track.muted));
                self.state.publish_tracks.push(published.clone());
            }
            Response::TrackUnpublished(unpublished) => {
                self.local.tracks.retain(|(sid, _)| *sid != unpublished.track_sid);
                self.state.publish_tracks.retain(|published| sid(published) != unpublished.track_sid);
            }
            Response::RefreshToken(token) => self.tokens.refresh(token),
            Response::RoomMoved(_) => {
                let Response::RoomMoved(moved) = response else { return Vec::new() };
                return self.move_to(moved);
            }
            _ => {}
        }
        let mut events = SignalEvent::read(response, &self.identity);
        events.retain_mut(|event| match event {
            SignalEvent::LocalParticipant(local) => self.list(local),
            _ => true,
        });
        events
    }

    /// Applies a list of the local participant. Returns false if it is older than the known one: a server sends lists from several
    /// threads.
    fn list(&mut self, local: &mut LocalParticipant) -> bool {
        if local.version < self.local.version {
            return false;
        }
        local.is_first = std::mem::take(&mut self.is_unlisted);
        self.local = local.clone();
        true
    }

    fn move_to(&mut self, moved: proto::RoomMovedResponse) -> Vec<SignalEvent> {
        let info = moved.participant.unwrap_or_default();
        self.identity = LocalIdentity::of(&info);
        self.local = LocalParticipant { is_first: true, ..LocalParticipant::of(&info) };
        self.is_moved = true;
        self.tokens.moved(&moved.token);
        vec![
            SignalEvent::LocalParticipant(self.local.clone()),
            local_presence(info),
            others_presence(moved.other_participants),
        ]
    }

    /// Removes a released track from the state to sync.
    pub fn forget(&mut self, name: &str) {
        self.state.publish_tracks.retain(|published| sid(published) != name);
    }

    /// Stores the tracks that the server is to send.
    pub fn subscribed(&mut self, tracks: &[String]) {
        let subscribe = !tracks.is_empty();
        let subscription = proto::UpdateSubscription { track_sids: tracks.to_vec(), subscribe, ..Default::default() };
        self.state.subscription = Some(subscription);
    }

    /// Stores the last offer.
    pub fn offered(&mut self, offer: &proto::SessionDescription) {
        if self.is_single {
            self.state.offer = Some(offer.clone());
        }
    }

    /// Stores the answer to the server's own offer, and returns it with that offer's number.
    pub fn answered(&mut self, sdp: String) -> proto::SessionDescription {
        let id = self.state.offer.as_ref().map_or(0, |offer| offer.id);
        let answer = proto::SessionDescription { r#type: "answer".to_owned(), sdp, id, ..Default::default() };
        self.state.answer = Some(answer.clone());
        answer
    }

    /// Handles that the signalling is open again. The server lists the local participant next.
    pub fn reopened(&mut self) {
        self.is_unlisted = true;
        (self.local.version, self.local.tracks) = (0, Vec::new());
    }

    /// Returns the state to sync. A track that the server does not know would end the session, so it is left out.
    pub fn sync_state(&self) -> proto::SyncState {
        let known = |published: &&proto::TrackPublishedResponse| {
            self.local.tracks.iter().any(|(known, _)| known == sid(published))
        };
        let publish_tracks = self.state.publish_tracks.iter().filter(known).cloned().collect();
        proto::SyncState { publish_tracks, ..self.state.clone() }
    }

    /// Returns true if the session can be resumed.
    pub fn can_resume(&self) -> bool {
        !self.is_moved
    }
}

fn sid(published: &proto::TrackPublishedResponse) -> &str {
    published.track.as_ref().map_or("", |track| &track.sid)
}

fn local_presence(info: proto::ParticipantInfo) -> SignalEvent {
    SignalEvent::Presence(Presence::Local(participant(info)))
}

fn others_presence(infos: Vec<proto::ParticipantInfo>) -> SignalEvent {
    SignalEvent::Presence(Presence::Others(infos.into_iter().map(participant).collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::signal_event::Grant;
    use super::*;

    fn info(sid: &str, identity: &str, tracks: &[&str]) -> proto::ParticipantInfo {
        let track = |sid: &&str| proto::TrackInfo { sid: (*sid).to_owned(), ..Default::default() };
        let tracks = tracks.iter().map(track).collect();
        let permission = Some(proto::ParticipantPermission { can_publish: true, ..Default::default() });
        proto::ParticipantInfo { sid: sid.into(), identity: identity.into(), tracks, permission, ..Default::default() }
    }

    /// Returns events as text.
    fn names(events: &[SignalEvent]) -> Vec<String> {
        let name = |event: &SignalEvent| match event {
            SignalEvent::Presence(Presence::Local(local)) => format!("we are {}", local.identity),
            SignalEvent::Presence(Presence::Others(others)) => {
                let others: Vec<_> = others.iter().map(|other| other.identity.as_str()).collect();
                format!("others: {}", others.join(", "))
            }
            SignalEvent::Presence(Presence::Listed(other)) => format!("{} came", other.identity),
            SignalEvent::LocalParticipant(local) => {
                let tracks: Vec<_> = local.tracks.iter().map(|(sid, _)| sid.as_str()).collect();
                format!("ours{}: {}", if local.is_first { " at first" } else { "" }, tracks.join(", "))
            }
            other => format!("{other:?}"),
        };
        events.iter().map(name).collect()
    }

    fn membership() -> (Membership, Tokens) {
        let tokens = Tokens::new(Arc::new(|| Box::pin(async { Ok("given".to_owned()) })));
        let (participant, other_participants) = (Some(info("PA_1", "us", &[])), vec![info("PA_2", "other", &[])]);
        let joined = proto::JoinResponse { participant, other_participants, ..Default::default() };
        let (membership, events) = Membership::new(joined, true, tokens.clone());
        assert_eq!(names(&events), ["we are us", "others: other"]);
        (membership, tokens)
    }

    fn published(sid: &str) -> Response {
        let track = Some(proto::TrackInfo { sid: sid.to_owned(), ..Default::default() });
        Response::TrackPublished(proto::TrackPublishedResponse { cid: format!("cid-{sid}"), track })
    }

    fn update(participants: Vec<proto::ParticipantInfo>) -> Response {
        Response::Update(proto::ParticipantUpdate { participants })
    }

    fn synced(membership: &Membership) -> Vec<String> {
        membership.sync_state().publish_tracks.iter().map(|published| sid(published).to_owned()).collect()
    }

    #[test]
    fn syncs_only_tracks_listed_since_reopening() {
        let (mut membership, _) = membership();
        for sid in ["TR_1", "TR_2", "TR_3"] {
            membership.apply(published(sid));
        }
        assert_eq!(synced(&membership), ["TR_1", "TR_2", "TR_3"]);
        membership.apply(Response::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: "TR_1".into() }));
        assert_eq!(synced(&membership), ["TR_2", "TR_3"]);
        membership.apply(published("TR_4"));
        membership.forget("TR_4");
        assert_eq!(synced(&membership), ["TR_2", "TR_3"], "a released track is left out");
        membership.reopened();
        assert_eq!(synced(&membership), [""; 0]);
        // The server lists others, and somebody with our identity who is not us.
        membership.apply(update(vec![info("PA_2", "other", &["TR_2"]), info("PA_3", "us", &["TR_2"])]));
        assert_eq!(synced(&membership), [""; 0]);
        membership.apply(update(vec![info("PA_2", "other", &[]), info("PA_1", "us", &["TR_3", "TR_9"])]));
        assert_eq!(synced(&membership), ["TR_3"]);
    }

    #[test]
    fn tracks_and_grant_follow_messages() {
        let (mut membership, _) = membership();
        membership.apply(published("TR_1"));
        assert_eq!(
            (membership.local.tracks.clone(), membership.local.grant.clone()),
            (vec![("TR_1".to_owned(), false)], Grant::All)
        );
        let mut revoked = info("PA_1", "us", &["TR_1"]);
        revoked.permission = Some(Default::default());
        revoked.tracks[0].muted = true;
        membership.apply(update(vec![revoked]));
        assert_eq!(
            (membership.local.tracks.clone(), membership.local.grant.clone()),
            (vec![("TR_1".to_owned(), true)], Grant::None)
        );
        membership.apply(Response::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: "TR_1".into() }));
        assert_eq!(membership.local.tracks, []);
    }

    #[test]
    fn ignores_outdated_lists() {
        let (mut membership, _) = membership();
        let mut apply = |version, tracks: &[&str]| {
            let local = proto::ParticipantInfo { version, ..info("PA_1", "us", tracks) };
            names(&membership.apply(update(vec![local]))).swap_remove(0)
        };
        assert_eq!(apply(5, &["TR_1", "TR_2"]), "ours: TR_1, TR_2");
        assert_eq!(apply(4, &["TR_1"]), "we are us", "who we are is compared where it is kept");
        assert_eq!(apply(5, &["TR_1"]), "ours: TR_1");
        membership.reopened();
        let local = proto::ParticipantInfo { version: 2, ..info("PA_1", "us", &["TR_1"]) };
        let events = [&local, &local].map(|local| names(&membership.apply(update(vec![local.clone()]))).swap_remove(0));
        assert_eq!(events, ["ours at first: TR_1", "ours: TR_1"], "another server may restart the count");
    }

    #[tokio::test]
    async fn moved_participant_cannot_resume() {
        let (mut membership, tokens) = membership();
        assert!(membership.can_resume());
        let (participant, other_participants) =
            (Some(info("PA_5", "us-too", &["TR_1"])), vec![info("PA_6", "new", &[])]);
        let moved = proto::RoomMovedResponse { token: "moved".into(), participant, other_participants, room: None };
        let events = membership.apply(Response::RoomMoved(moved));
        assert_eq!(names(&events), ["ours at first: TR_1", "we are us-too", "others: new"]);
        assert!(!membership.can_resume());
        let local = proto::ParticipantInfo { version: 1, ..info("PA_5", "us-too", &[]) };
        let events = membership.apply(update(vec![local, info("PA_1", "us", &[])]));
        assert_eq!(names(&events), ["ours: ", "we are us-too", "us came"]);
        let asked = tokens.ask(false, Instant::now(), Duration::from_secs(1)).await.unwrap();
        assert_eq!(asked.iter().map(|token| token.to_string()).collect::<Vec<_>>(), ["moved"]);
    }

    #[tokio::test]
    async fn keeps_refreshed_token() {
        let (mut membership, tokens) = membership();
        tokens.entered("given");
        let ask = || tokens.ask(false, Instant::now(), Duration::from_secs(1));
        assert_eq!(ask().await.unwrap().len(), 1);
        assert!(membership.apply(Response::RefreshToken("newer".to_owned())).is_empty());
        assert_eq!(ask().await.unwrap()[0].to_string(), "newer");
    }

    #[test]
    fn answer_carries_number_of_offer() {
        let (mut membership, _) = membership();
        let offer = proto::SessionDescription { id: 7, sdp: "offer".into(), ..Default::default() };
        membership.apply(Response::Offer(offer));
        assert_eq!(membership.answered("answer".to_owned()).id, 7);
        assert_eq!(membership.sync_state().answer.unwrap().sdp, "answer");
    }
}
