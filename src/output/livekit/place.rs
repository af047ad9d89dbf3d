//! Our place in a room: who we are in it, what it has of us, and what a server that has kept it wants to hear when we are back.

use proto::signal_response::Message as Response;

use super::proto;
use super::said::{Name, Said, Us, participant};
use super::tokens::Tokens;
use crate::output::Presence;

pub struct Place {
    us: Name,
    /// What the room has of us. While a reopened signalling has not listed it, nothing is published as far as is known.
    pub has: Us,
    /// A reopened signalling has not listed it yet.
    is_unlisted: bool,
    state: proto::SyncState,
    /// Whether the server answers offers and makes none.
    is_single: bool,
    /// The server knows us by another name than the signalling does.
    is_moved: bool,
    /// Where the server's newer tokens are kept.
    tokens: Tokens,
}

impl Place {
    /// As a server says that joins us, and who else is there.
    pub fn new(joined: proto::JoinResponse, is_single: bool, tokens: Tokens) -> (Self, Vec<Said>) {
        let info = joined.participant.unwrap_or_default();
        // Nothing is subscribed to; server 1.11.0 ends with a nil pointer where that is not said.
        let state = proto::SyncState { subscription: Some(Default::default()), ..Default::default() };
        let place = Self {
            us: Name::of(&info),
            has: Us::of(&info),
            is_unlisted: false,
            state,
            is_single,
            is_moved: false,
            tokens,
        };
        (place, vec![local(info), others(joined.other_participants)])
    }

    /// Takes what the server says to its place, and returns what is news to a publisher.
    pub fn hear(&mut self, response: Response) -> Vec<Said> {
        match &response {
            Response::Answer(answer) if self.is_single => self.state.answer = Some(answer.clone()),
            Response::Offer(offer) => self.state.offer = Some(offer.clone()),
            Response::TrackPublished(published) => {
                let track = published.track.clone().unwrap_or_default();
                self.has.tracks.retain(|(sid, _)| *sid != track.sid);
                self.has.tracks.push((track.sid, track.muted));
                self.state.publish_tracks.push(published.clone());
            }
            Response::TrackUnpublished(unpublished) => {
                self.has.tracks.retain(|(sid, _)| *sid != unpublished.track_sid);
                self.state.publish_tracks.retain(|published| sid(published) != unpublished.track_sid);
            }
            Response::RefreshToken(token) => self.tokens.refresh(token),
            Response::RoomMoved(_) => {
                let Response::RoomMoved(moved) = response else { return Vec::new() };
                return self.move_to(moved);
            }
            _ => {}
        }
        let mut said = Said::read(response, &self.us);
        said.retain_mut(|said| match said {
            Said::Us(us) => self.list(us),
            _ => true,
        });
        said
    }

    /// Takes a list of what the room has of us. Returns false if it is older than what is known: a server sends its lists from
    /// several threads.
    fn list(&mut self, us: &mut Us) -> bool {
        if us.version < self.has.version {
            return false;
        }
        us.is_first = std::mem::take(&mut self.is_unlisted);
        self.has = us.clone();
        true
    }

    fn move_to(&mut self, moved: proto::RoomMovedResponse) -> Vec<Said> {
        let info = moved.participant.unwrap_or_default();
        self.us = Name::of(&info);
        self.has = Us { is_first: true, ..Us::of(&info) };
        self.is_moved = true;
        self.tokens.moved(&moved.token);
        vec![Said::Us(self.has.clone()), local(info), others(moved.other_participants)]
    }

    /// A track is none of ours any more.
    pub fn forget(&mut self, name: &str) {
        self.state.publish_tracks.retain(|published| sid(published) != name);
    }

    /// Keeps which tracks the server is to send.
    pub fn subscribed(&mut self, tracks: &[String]) {
        let subscribe = !tracks.is_empty();
        let subscription = proto::UpdateSubscription { track_sids: tracks.to_vec(), subscribe, ..Default::default() };
        self.state.subscription = Some(subscription);
    }

    /// Keeps what was offered last.
    pub fn offered(&mut self, offer: &proto::SessionDescription) {
        if self.is_single {
            self.state.offer = Some(offer.clone());
        }
    }

    /// Keeps what was answered to the server's own offer, and returns the number of that.
    pub fn answered(&mut self, sdp: String) -> proto::SessionDescription {
        let id = self.state.offer.as_ref().map_or(0, |offer| offer.id);
        let answer = proto::SessionDescription { r#type: "answer".to_owned(), sdp, id, ..Default::default() };
        self.state.answer = Some(answer.clone());
        answer
    }

    /// The signalling is open again. What the room has of us is told next.
    pub fn reopened(&mut self) {
        self.is_unlisted = true;
        (self.has.version, self.has.tracks) = (0, Vec::new());
    }

    /// What was agreed before. A track that the server does not know would end the session.
    pub fn sync_state(&self) -> proto::SyncState {
        let known = |published: &&proto::TrackPublishedResponse| {
            self.has.tracks.iter().any(|(known, _)| known == sid(published))
        };
        let publish_tracks = self.state.publish_tracks.iter().filter(known).cloned().collect();
        proto::SyncState { publish_tracks, ..self.state.clone() }
    }

    /// Whether the signalling can be opened anew in this place.
    pub fn can_resume(&self) -> bool {
        !self.is_moved
    }
}

fn sid(published: &proto::TrackPublishedResponse) -> &str {
    published.track.as_ref().map_or("", |track| &track.sid)
}

fn local(info: proto::ParticipantInfo) -> Said {
    Said::Presence(Presence::Local(participant(info)))
}

fn others(infos: Vec<proto::ParticipantInfo>) -> Said {
    Said::Presence(Presence::Others(infos.into_iter().map(participant).collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::said::Grant;
    use super::*;

    fn info(sid: &str, identity: &str, tracks: &[&str]) -> proto::ParticipantInfo {
        let track = |sid: &&str| proto::TrackInfo { sid: (*sid).to_owned(), ..Default::default() };
        let tracks = tracks.iter().map(track).collect();
        let permission = Some(proto::ParticipantPermission { can_publish: true, ..Default::default() });
        proto::ParticipantInfo { sid: sid.into(), identity: identity.into(), tracks, permission, ..Default::default() }
    }

    /// What is said of who is there, in words.
    fn names(said: &[Said]) -> Vec<String> {
        let name = |said: &Said| match said {
            Said::Presence(Presence::Local(us)) => format!("we are {}", us.identity),
            Said::Presence(Presence::Others(others)) => {
                let others: Vec<_> = others.iter().map(|other| other.identity.as_str()).collect();
                format!("others: {}", others.join(", "))
            }
            Said::Presence(Presence::Listed(other)) => format!("{} came", other.identity),
            Said::Us(us) => {
                let tracks: Vec<_> = us.tracks.iter().map(|(sid, _)| sid.as_str()).collect();
                format!("ours{}: {}", if us.is_first { " at first" } else { "" }, tracks.join(", "))
            }
            other => format!("{other:?}"),
        };
        said.iter().map(name).collect()
    }

    fn place() -> (Place, Tokens) {
        let tokens = Tokens::new(Arc::new(|| Box::pin(async { Ok("given".to_owned()) })));
        let (participant, other_participants) = (Some(info("PA_1", "us", &[])), vec![info("PA_2", "other", &[])]);
        let joined = proto::JoinResponse { participant, other_participants, ..Default::default() };
        let (place, said) = Place::new(joined, true, tokens.clone());
        assert_eq!(names(&said), ["we are us", "others: other"]);
        (place, tokens)
    }

    fn published(sid: &str) -> Response {
        let track = Some(proto::TrackInfo { sid: sid.to_owned(), ..Default::default() });
        Response::TrackPublished(proto::TrackPublishedResponse { cid: format!("cid-{sid}"), track })
    }

    fn update(participants: Vec<proto::ParticipantInfo>) -> Response {
        Response::Update(proto::ParticipantUpdate { participants })
    }

    fn synced(place: &Place) -> Vec<String> {
        place.sync_state().publish_tracks.iter().map(|published| sid(published).to_owned()).collect()
    }

    #[test]
    fn a_server_is_told_only_of_tracks_that_it_has_listed_since_the_signalling_was_reopened() {
        let (mut place, _) = place();
        for sid in ["TR_1", "TR_2", "TR_3"] {
            place.hear(published(sid));
        }
        assert_eq!(synced(&place), ["TR_1", "TR_2", "TR_3"]);
        place.hear(Response::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: "TR_1".into() }));
        assert_eq!(synced(&place), ["TR_2", "TR_3"]);
        place.hear(published("TR_4"));
        place.forget("TR_4");
        assert_eq!(synced(&place), ["TR_2", "TR_3"], "one that is let go of is none of ours");
        place.reopened();
        assert_eq!(synced(&place), [""; 0]);
        // It lists others, and somebody with our identity who is not us.
        place.hear(update(vec![info("PA_2", "other", &["TR_2"]), info("PA_3", "us", &["TR_2"])]));
        assert_eq!(synced(&place), [""; 0]);
        place.hear(update(vec![info("PA_2", "other", &[]), info("PA_1", "us", &["TR_3", "TR_9"])]));
        assert_eq!(synced(&place), ["TR_3"]);
    }

    #[test]
    fn what_the_room_has_of_us_follows_what_it_says() {
        let (mut place, _) = place();
        place.hear(published("TR_1"));
        assert_eq!((place.has.tracks.clone(), place.has.grant.clone()), (vec![("TR_1".to_owned(), false)], Grant::All));
        let mut revoked = info("PA_1", "us", &["TR_1"]);
        revoked.permission = Some(Default::default());
        revoked.tracks[0].muted = true;
        place.hear(update(vec![revoked]));
        assert_eq!((place.has.tracks.clone(), place.has.grant.clone()), (vec![("TR_1".to_owned(), true)], Grant::None));
        place.hear(Response::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: "TR_1".into() }));
        assert_eq!(place.has.tracks, []);
    }

    #[test]
    fn a_list_that_is_older_than_the_one_before_is_not_heard() {
        let (mut place, _) = place();
        let mut hear = |version, tracks: &[&str]| {
            let us = proto::ParticipantInfo { version, ..info("PA_1", "us", tracks) };
            names(&place.hear(update(vec![us]))).swap_remove(0)
        };
        assert_eq!(hear(5, &["TR_1", "TR_2"]), "ours: TR_1, TR_2");
        assert_eq!(hear(4, &["TR_1"]), "we are us", "who we are is compared where it is kept");
        assert_eq!(hear(5, &["TR_1"]), "ours: TR_1");
        place.reopened();
        let us = proto::ParticipantInfo { version: 2, ..info("PA_1", "us", &["TR_1"]) };
        let said = [&us, &us].map(|us| names(&place.hear(update(vec![us.clone()]))).swap_remove(0));
        assert_eq!(said, ["ours at first: TR_1", "ours: TR_1"], "another server may count anew");
    }

    #[tokio::test]
    async fn who_is_moved_has_another_name_another_token_and_no_way_back() {
        let (mut place, tokens) = place();
        assert!(place.can_resume());
        let (participant, other_participants) =
            (Some(info("PA_5", "us-too", &["TR_1"])), vec![info("PA_6", "new", &[])]);
        let moved = proto::RoomMovedResponse { token: "moved".into(), participant, other_participants, room: None };
        let said = place.hear(Response::RoomMoved(moved));
        assert_eq!(names(&said), ["ours at first: TR_1", "we are us-too", "others: new"]);
        assert!(!place.can_resume());
        let us = proto::ParticipantInfo { version: 1, ..info("PA_5", "us-too", &[]) };
        let said = place.hear(update(vec![us, info("PA_1", "us", &[])]));
        assert_eq!(names(&said), ["ours: ", "we are us-too", "us came"]);
        let asked = tokens.ask(false, Instant::now(), Duration::from_secs(1)).await.unwrap();
        assert_eq!(asked.iter().map(|token| token.to_string()).collect::<Vec<_>>(), ["moved"]);
    }

    #[tokio::test]
    async fn the_server_s_newer_token_is_kept() {
        let (mut place, tokens) = place();
        tokens.entered("given");
        let ask = || tokens.ask(false, Instant::now(), Duration::from_secs(1));
        assert_eq!(ask().await.unwrap().len(), 1);
        assert!(place.hear(Response::RefreshToken("newer".to_owned())).is_empty());
        assert_eq!(ask().await.unwrap()[0].to_string(), "newer");
    }

    #[test]
    fn the_answer_to_a_server_s_offer_bears_its_number() {
        let (mut place, _) = place();
        let offer = proto::SessionDescription { id: 7, sdp: "offer".into(), ..Default::default() };
        place.hear(Response::Offer(offer));
        assert_eq!(place.answered("answer".to_owned()).id, 7);
        assert_eq!(place.sync_state().answer.unwrap().sdp, "answer");
    }
}
