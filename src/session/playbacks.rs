//! Where every playback is: it waits in a line, loads, or sounds. A playback moves by value from shelf to shelf, so it is on
//! one of them only; names are the one index.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::hearing::Unheard;
use super::line::{Line, Waiting};
use super::outbox::Garbage;
use super::policy::{Overlap, Target};
use super::{RequestId, WallTime};
use crate::audio::Samples;
use crate::error::SpeakerError;
use crate::mixer::{PlaybackId, Role, Voice};
use crate::source::PcmReader;

/// From acceptance to the terminal event; any of these may be the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for its turn.
    Queued,
    /// Until its first sample is mixed.
    Loading,
    /// Sounds.
    Playing,
    /// Fades out.
    Stopping,
}

/// One line of `playbacks()`.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaybackInfo {
    /// Its `requestId`.
    pub request_id: RequestId,
    /// Its group, if it has one.
    pub group: Option<Arc<str>>,
    /// Its track.
    pub track: u32,
    /// Its role.
    pub role: Role,
    /// How far it has come.
    pub phase: Phase,
    /// In any phase but the last.
    pub is_paused: bool,
    /// Its place in line, 1 is next; only while queued.
    pub queue_position: Option<usize>,
    /// Where in its source it is.
    pub position: Samples,
}

/// What a playback keeps on whatever shelf it is.
#[derive(Debug, Clone)]
pub struct Request {
    pub id: PlaybackId,
    pub name: RequestId,
    /// A name that it shares with others.
    pub group: Option<Arc<str>>,
    pub track: u32,
    pub role: Role,
    /// What it does to a track that plays.
    pub overlap: Overlap,
    /// How many samples of it are to be known ahead of their time.
    pub ahead: usize,
    pub priority: i32,
    pub volume: f32,
    pub gain: f32,
    pub fade_in: Samples,
    /// How long a stream may be silent because its writer is behind; 0 for ever.
    pub stall_timeout: Samples,
    /// When its source, once that is opened, has to have come to its first sound; `None` for a stream, whose writer decides.
    pub start_deadline: Option<WallTime>,
    pub is_stream: bool,
    /// When it was asked for.
    pub asked: WallTime,
}

impl Request {
    /// Returns true if it is as loud as another from its first sample on.
    pub fn sounds_as(&self, other: &Self) -> bool {
        self.fade_in == 0 && self.volume == other.volume && self.gain == other.gain && self.role == other.role
    }

    pub fn info(
        &self,
        phase: Phase,
        is_paused: bool,
        queue_position: Option<usize>,
        position: Samples,
    ) -> PlaybackInfo {
        let Self { name, group, track, role, .. } = self;
        let (request_id, group, track, role) = (name.clone(), group.clone(), *track, *role);
        PlaybackInfo { request_id, group, track, role, phase, is_paused, queue_position, position }
    }
}

/// A source on its way to be played.
pub enum Loadable {
    /// A reader is being made outside of the lock, under this number, and is wanted from this place on.
    Opening { number: u64, place: Samples },
    /// Its reader is there, and may be filling still.
    Reading(PcmReader),
}

impl Loadable {
    /// Returns true if it can be played from.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Reading(reader) if reader.is_ready())
    }

    /// Returns true if more is on its way by itself, so that a clock that can wait should.
    pub fn is_loading(&self) -> bool {
        match self {
            Self::Opening { .. } => true,
            // In this order: what is said to be all there is must be seen.
            Self::Reading(reader) => reader.is_coming() && !reader.is_ready(),
        }
    }

    /// Why nothing of it can be played, if that is so. What came before a failure is played first.
    pub fn failure(&self) -> Option<SpeakerError> {
        let Self::Reading(reader) = self else { return None };
        let error = reader.outcome()?.clone().err()?;
        (reader.level().0 == 0).then_some(error)
    }

    pub fn position(&self) -> Samples {
        match self {
            Self::Opening { place, .. } => *place,
            Self::Reading(reader) => reader.from(),
        }
    }

    fn garbage(self) -> Garbage {
        match self {
            Self::Opening { .. } => Garbage::Nothing,
            Self::Reading(reader) => Garbage::Reader(Box::new(reader)),
        }
    }
}

/// A playback that has its turn and is not mixed yet.
pub struct Loading {
    pub request: Request,
    pub source: Loadable,
    pub is_paused: bool,
}

/// Why and how a voice is on its way out.
pub struct Leaving {
    pub reason: Arc<str>,
    /// It goes on until another begins on its track, and crosses over to that.
    pub crosses: bool,
}

/// Another place in a source; the earlier ones have the lower numbers.
pub struct Sought {
    pub number: u64,
    pub source: Loadable,
}

/// A playback that is mixed.
pub struct Sounding {
    pub request: Request,
    pub voice: Voice,
    /// Another place in its source, on its way.
    pub sought: Option<Sought>,
    /// The number of the opening that a flush waits for.
    pub flushing: Option<u64>,
    pub leaving: Option<Leaving>,
    /// By the user.
    pub is_paused: bool,
    /// Its track is held: nobody could hear it.
    pub is_held: bool,
    /// How much of it nobody could hear.
    pub unheard: Unheard,
    /// Its end is so near that the next in line has its turn.
    pub end_approaches: bool,
    /// The next in line, to which its end is joined.
    pub joined: Option<PlaybackId>,
}

impl AsMut<Voice> for Sounding {
    fn as_mut(&mut self) -> &mut Voice {
        &mut self.voice
    }
}

impl Sounding {
    /// Returns true if it takes one of the `maxConcurrent` places, and its track: what fades out or crosses over does not.
    pub fn is_active(&self) -> bool {
        self.leaving.is_none() && !self.end_approaches
    }

    /// Returns true if it stands still, for whichever reason.
    pub fn is_still(&self) -> bool {
        self.is_paused || self.is_held
    }
}

#[derive(Default)]
pub struct Playbacks {
    pub lines: BTreeMap<u32, Line>,
    /// In order of their turn.
    pub loading: Vec<Loading>,
    /// In order of their start.
    pub sounding: Vec<Sounding>,
    /// Live playbacks that are not on their way out.
    names: HashMap<RequestId, PlaybackId>,
    last: PlaybackId,
}

impl Playbacks {
    /// A name inside the session that was never used.
    pub fn next_id(&mut self) -> PlaybackId {
        self.last += 1;
        self.last
    }

    /// A `requestId` for a request that has none.
    pub fn make_up_name(&self) -> RequestId {
        let numbers = self.last + 1..;
        let mut names = numbers.map(|number| RequestId::from(format!("playback-{number}")));
        names.find(|name| !self.names.contains_key(name)).expect("numbers do not end")
    }

    /// Enters a name; it must be free.
    pub fn claim(&mut self, name: &RequestId, id: PlaybackId) {
        self.names.insert(name.clone(), id);
    }

    /// Frees the name of a playback, unless another has it by now.
    pub fn release(&mut self, request: &Request) {
        if self.names.get(&request.name) == Some(&request.id) {
            self.names.remove(&request.name);
        }
    }

    /// The live playback of a name.
    pub fn find(&self, name: &str) -> Option<PlaybackId> {
        self.names.get(name).copied()
    }

    /// Asserts that the index of names holds these.
    pub(super) fn check_names(&self, expected: &HashMap<RequestId, PlaybackId>) {
        assert_eq!(self.names, *expected, "the names are not those of the live playbacks");
    }

    pub fn is_empty(&self) -> bool {
        self.loading.is_empty() && self.sounding.is_empty() && self.lines.values().all(Line::is_empty)
    }

    /// Returns true if nothing waits or loads: all there is is mixed already.
    pub fn are_all_heard(&self) -> bool {
        self.loading.is_empty() && self.lines.is_empty()
    }

    pub fn line(&mut self, track: u32) -> &mut Line {
        self.lines.entry(track).or_default()
    }

    pub fn sounding(&mut self, id: PlaybackId) -> Option<&mut Sounding> {
        self.sounding.iter_mut().find(|sounding| sounding.request.id == id)
    }

    /// The track of what waits under an id.
    pub fn line_of(&self, id: PlaybackId) -> Option<u32> {
        self.lines.iter().find(|(_, line)| line.get(id).is_some()).map(|(track, _)| *track)
    }

    /// Returns true if something on a track loads, or sounds and is not on its way out.
    pub fn is_active(&self, track: u32) -> bool {
        self.is_active_beside(track, None)
    }

    /// The same, leaving one playback out.
    pub fn is_active_beside(&self, track: u32, left_out: Option<PlaybackId>) -> bool {
        let counts = |request: &Request| request.track == track && Some(request.id) != left_out;
        self.loading.iter().any(|loading| counts(&loading.request))
            || self.sounding.iter().any(|sounding| counts(&sounding.request) && sounding.is_active())
    }

    /// Returns true if everything that holds a track is paused.
    pub fn is_held(&self, track: u32) -> bool {
        let loading = self.loading.iter().filter(|loading| loading.request.track == track);
        let sounding = self.sounding.iter().filter(|sounding| sounding.request.track == track && sounding.is_active());
        let mut paused = loading.map(|loading| loading.is_paused).chain(sounding.map(Sounding::is_still));
        self.is_active(track) && paused.all(|is_paused| is_paused)
    }

    /// Everything that was opened and is not mixed yet, with its id: in no order.
    pub fn opened(&self) -> impl Iterator<Item = (PlaybackId, &Loadable)> {
        let loading = self.loading.iter().map(|loading| (loading.request.id, &loading.source));
        let ahead = self.lines.values().filter_map(|line| {
            let waiting = line.get(line.first()?)?;
            Some((waiting.request.id, waiting.ahead.as_ref()?))
        });
        loading.chain(ahead)
    }

    /// Readers that have not come to their first sound, with when they have to have.
    pub fn silent(&self) -> impl Iterator<Item = (WallTime, &PcmReader)> {
        let loading = self.loading.iter().map(|loading| (&loading.request, Some(&loading.source)));
        let ahead = self.lines.values().filter_map(|line| {
            let waiting = line.get(line.first()?)?;
            Some((&waiting.request, waiting.ahead.as_ref()))
        });
        loading.chain(ahead).filter_map(|(request, source)| match source? {
            Loadable::Reading(reader) if !reader.has_begun() => Some((request.start_deadline?, reader)),
            _ => None,
        })
    }

    /// What a playback keeps, on whatever shelf it is.
    pub fn request(&self, id: PlaybackId) -> Option<&Request> {
        let sounding = self.sounding.iter().map(|sounding| &sounding.request);
        let loading = self.loading.iter().map(|loading| &loading.request);
        sounding
            .chain(loading)
            .find(|request| request.id == id)
            .or_else(|| self.waiting(id).map(|waiting| &waiting.request))
    }

    fn waiting(&self, id: PlaybackId) -> Option<&Waiting> {
        self.lines.values().find_map(|line| line.get(id))
    }

    fn waiting_mut(&mut self, id: PlaybackId) -> Option<&mut Waiting> {
        self.lines.values_mut().find_map(|line| line.get_mut(id))
    }

    /// What a playback keeps that is not mixed yet.
    pub fn unheard_mut(&mut self, id: PlaybackId) -> Option<&mut Request> {
        if let Some(index) = self.loading.iter().position(|loading| loading.request.id == id) {
            return Some(&mut self.loading[index].request);
        }
        self.waiting_mut(id).map(|waiting| &mut waiting.request)
    }

    /// The source of a playback that is not mixed yet, if it was opened.
    pub fn loadable_mut(&mut self, id: PlaybackId) -> Option<&mut Loadable> {
        if let Some(index) = self.loading.iter().position(|loading| loading.request.id == id) {
            return Some(&mut self.loading[index].source);
        }
        self.waiting_mut(id)?.ahead.as_mut()
    }

    /// A playback that is not mixed yet, and where it will begin.
    pub fn unheard(&self, id: PlaybackId) -> Option<(&Request, Samples)> {
        let loading = self.loading.iter().find(|loading| loading.request.id == id);
        let loading = loading.map(|loading| (&loading.request, loading.source.position()));
        loading.or_else(|| self.waiting(id).map(|waiting| (&waiting.request, waiting.position())))
    }

    /// Whether a playback can be sought.
    pub fn seekable(&self, id: PlaybackId) -> Option<(&Request, bool)> {
        if let Some(sounding) = self.sounding.iter().find(|sounding| sounding.request.id == id) {
            return Some((&sounding.request, sounding.voice.reader.is_seekable()));
        }
        let of = |request: &Request, source: Option<&Loadable>| match source {
            Some(Loadable::Reading(reader)) => reader.is_seekable(),
            _ => !request.is_stream,
        };
        if let Some(loading) = self.loading.iter().find(|loading| loading.request.id == id) {
            return Some((&loading.request, of(&loading.request, Some(&loading.source))));
        }
        let waiting = self.waiting(id)?;
        Some((&waiting.request, of(&waiting.request, waiting.ahead.as_ref())))
    }

    /// Takes a playback that is not mixed yet off its shelf.
    pub fn take_unheard(&mut self, id: PlaybackId) -> Option<(Request, PlaybackInfo, Garbage)> {
        if let Some(index) = self.loading.iter().position(|loading| loading.request.id == id) {
            let Loading { request, source, is_paused } = self.loading.remove(index);
            let info = request.info(Phase::Loading, is_paused, None, source.position());
            return Some((request, info, source.garbage()));
        }
        let track = self.line_of(id)?;
        let waiting = self.line(track).remove(id)?;
        let info = waiting.request.info(Phase::Queued, waiting.is_paused, None, waiting.position());
        Some((waiting.request.clone(), info, Garbage::Waiting(Box::new(waiting))))
    }

    /// What a target means, with the waiting ones in order of their turn.
    pub fn meant(&self, target: &Target) -> Vec<PlaybackId> {
        if let Target::Request(name) = target {
            return self.find(name).into_iter().collect();
        }
        let means = |request: &&Request| target.means(request);
        let loading = self.loading.iter().map(|loading| &loading.request);
        let mut ids: Vec<_> = self
            .sounding
            .iter()
            .map(|sounding| &sounding.request)
            .chain(loading)
            .filter(means)
            .map(|request| request.id)
            .collect();
        ids.sort_unstable();
        let waiting = self.lines.values().flat_map(|line| line.iter().map(|waiting| &waiting.request));
        ids.extend(waiting.filter(means).map(|request| request.id));
        ids
    }

    /// As `playbacks()` tells it.
    pub fn infos(&self) -> Vec<PlaybackInfo> {
        let mut live: Vec<_> = self
            .sounding
            .iter()
            .map(|each| {
                let phase = if each.leaving.is_some() { Phase::Stopping } else { Phase::Playing };
                (each.request.id, each.request.info(phase, each.is_still(), None, each.voice.place()))
            })
            .chain(self.loading.iter().map(|each| {
                let position = each.source.position();
                (each.request.id, each.request.info(Phase::Loading, each.is_paused, None, position))
            }))
            .collect();
        live.sort_by_key(|(id, _)| *id);
        let waiting = self.lines.values().flat_map(|line| {
            line.iter().enumerate().map(|(index, each)| {
                let position = each.position();
                each.request.info(Phase::Queued, each.is_paused, Some(index + 1), position)
            })
        });
        live.into_iter().map(|(_, info)| info).chain(waiting).collect()
    }

    /// The tracks on which something lives.
    pub fn tracks(&self) -> BTreeSet<u32> {
        let sounding = self.sounding.iter().map(|sounding| sounding.request.track);
        let loading = self.loading.iter().map(|loading| loading.request.track);
        sounding.chain(loading).chain(self.lines.keys().copied()).collect()
    }

    /// Takes everything on these tracks off the shelves, in the order of [`infos`](Self::infos).
    pub fn take(&mut self, tracks: &BTreeSet<u32>) -> Vec<Taken> {
        let mut all = Vec::new();
        for sounding in self.sounding.extract_if(.., |sounding| tracks.contains(&sounding.request.track)) {
            let (request, played, position) =
                (sounding.request.clone(), sounding.voice.played(), sounding.voice.place());
            let unheard = sounding.unheard.total(played);
            let stopped = sounding.leaving.as_ref().map(|leaving| leaving.reason.clone());
            all.push(Taken {
                request,
                stopped,
                played,
                unheard,
                position,
                garbage: Garbage::Sounding(Box::new(sounding)),
            });
        }
        let loading = self.loading.extract_if(.., |loading| tracks.contains(&loading.request.track));
        all.extend(loading.map(|Loading { request, source, .. }| {
            let position = source.position();
            Taken { request, stopped: None, played: 0, unheard: 0, position, garbage: source.garbage() }
        }));
        all.sort_by_key(|taken| taken.request.id);
        for waiting in tracks.iter().filter_map(|track| self.lines.remove(track)).flat_map(|mut line| line.clear()) {
            let (request, position) = (waiting.request.clone(), waiting.position());
            let garbage = Garbage::Waiting(Box::new(waiting));
            all.push(Taken { request, stopped: None, played: 0, unheard: 0, position, garbage });
        }
        all.iter().for_each(|taken| self.release(&taken.request));
        all
    }
}

/// A playback that was taken off its shelf.
pub struct Taken {
    pub request: Request,
    /// Why it was stopped before, if it was on its way out.
    pub stopped: Option<Arc<str>>,
    pub played: Samples,
    pub unheard: Samples,
    pub position: Samples,
    pub garbage: Garbage,
}
