//! The playbacks, on three shelves: waiting in a line, loading, or sounding. A playback moves by value from shelf to shelf, so it is on
//! one of them only; names are the one index.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::hearing::Unheard;
use super::line::{Line, Waiting};
use super::outbox::Garbage;
use super::policy::{Overlap, Target};
use super::{Continued, RequestId, WallTime};
use crate::audio::Samples;
use crate::error::SpeakerError;
use crate::ids::PlaybackId;
use crate::mixer::{Role, Voice};
use crate::source::{MemoryFile, PcmReader};

/// The phase of a playback between acceptance and the terminal event; any may be the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for its turn.
    Queued,
    /// It has its turn, and its first sample is not mixed yet.
    Loading,
    /// It sounds.
    Playing,
    /// It fades out.
    Stopping,
}

/// An entry of `playbacks()`.
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
    /// Its phase.
    pub phase: Phase,
    /// It is paused; in any phase but the last.
    pub is_paused: bool,
    /// Its place in line, 1 is next; only while queued.
    pub queue_position: Option<usize>,
    /// Its place in its source.
    pub position: Samples,
}

/// The part of a playback that it keeps on every shelf.
#[derive(Debug, Clone)]
pub struct Request {
    pub id: PlaybackId,
    pub name: RequestId,
    /// A name that it shares with others.
    pub group: Option<Arc<str>>,
    pub track: u32,
    pub role: Role,
    /// Its effect on a track that plays.
    pub overlap: Overlap,
    /// The number of its samples that have to be decoded ahead of their time.
    pub ahead: usize,
    pub priority: i32,
    pub volume: f32,
    pub gain: f32,
    pub fade_in: Samples,
    /// The longest silence of a stream whose writer is behind; 0 for no limit.
    pub stall_timeout: Samples,
    /// The deadline for its first sound, once its source is opened; `None` for a stream, whose writer decides.
    pub start_deadline: Option<WallTime>,
    pub is_stream: bool,
    /// The time of the call.
    pub asked: WallTime,
    /// The number of times that its source is played.
    pub passes: u64,
    /// The length of the fade-out at the end of its source.
    pub fade_out: Samples,
    /// Its source, if that is a file in memory.
    pub file: Option<MemoryFile>,
    /// The way in which it goes on, if another session has accepted it.
    pub continued: Option<Arc<Continued>>,
    /// It does not start before this time.
    pub held_until: WallTime,
}

impl Request {
    /// Returns true if it has the level of another from its first sample on, so that they can be joined without a gap.
    pub fn sounds_as(&self, other: &Self) -> bool {
        self.fade_in == 0 && self.volume == other.volume && self.gain == other.gain && self.role == other.role
    }

    /// Returns the samples of it that were played before this session.
    pub fn played_before(&self) -> Samples {
        self.continued.as_ref().and_then(|continued| continued.voice).map_or(0, |voice| voice.played)
    }

    pub fn info(
        &self,
        phase: Phase,
        is_paused: bool,
        queue_position: Option<usize>,
        position: Samples,
    ) -> PlaybackInfo {
        PlaybackInfo {
            request_id: self.name.clone(),
            group: self.group.clone(),
            track: self.track,
            role: self.role,
            phase,
            is_paused,
            queue_position,
            position,
        }
    }
}

/// A source that is being opened or read, before it plays.
pub enum Loadable {
    /// A reader is being made outside of the lock, under this number; it is to begin at this place.
    Opening { number: u64, place: Samples },
    /// Its reader is there, and may still be filling.
    Reading(PcmReader),
}

impl Loadable {
    /// Returns true if it can be played from.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Reading(reader) if reader.is_ready())
    }

    /// Returns true if it can't be played from yet and will be without the user's doing, so that a manual clock should wait.
    pub fn is_loading(&self) -> bool {
        match self {
            Self::Opening { .. } => true,
            // In this order: once no more is coming, everything that came must be seen.
            Self::Reading(reader) => reader.is_filling() && !reader.is_ready(),
        }
    }

    /// Returns the error if it failed and nothing is left to play: samples from before a failure are played first.
    pub fn failure(&self) -> Option<SpeakerError> {
        let Self::Reading(reader) = self else { return None };
        let error = reader.outcome()?.clone().err()?;
        (reader.buffered().0 == 0).then_some(error)
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

/// The reason and the way in which a playback is being stopped.
pub struct Stopping {
    pub reason: Arc<str>,
    /// It goes on until another begins on its track, and crosses over to that.
    pub crosses_out: bool,
}

/// A seek under way; the earlier ones have the lower numbers.
pub struct Sought {
    pub number: u64,
    pub source: Loadable,
}

/// A playback that is mixed.
pub struct Sounding {
    pub request: Request,
    pub voice: Voice,
    /// The seek under way.
    pub sought: Option<Sought>,
    /// The number of the opening that a flush waits for.
    pub flushing: Option<u64>,
    pub stopping: Option<Stopping>,
    /// The user paused it.
    pub paused_by_user: bool,
    /// Its stream pauses, because nobody could hear it.
    pub paused_by_track: bool,
    /// The part of it that nobody could hear.
    pub unheard: Unheard,
    /// Its end is so near that the next in line has its turn.
    pub end_approaches: bool,
    /// The next in line, to which its end is joined without a gap.
    pub joined: Option<PlaybackId>,
}

impl AsMut<Voice> for Sounding {
    fn as_mut(&mut self) -> &mut Voice {
        &mut self.voice
    }
}

impl Sounding {
    /// Returns true if it counts for `maxConcurrent` and occupies its track: a playback that fades out or crosses over does not.
    pub fn is_active(&self) -> bool {
        self.stopping.is_none() && !self.end_approaches
    }

    /// Returns true if it is paused, by the user or by its track.
    pub fn is_still(&self) -> bool {
        self.paused_by_user || self.paused_by_track
    }
}

#[derive(Default)]
pub struct Playbacks {
    pub lines: BTreeMap<u32, Line>,
    /// In order of their turn.
    pub loading: Vec<Loading>,
    /// In order of their start.
    pub sounding: Vec<Sounding>,
    /// Live playbacks that are not stopping, by name.
    names: HashMap<RequestId, PlaybackId>,
    last: PlaybackId,
}

impl Playbacks {
    /// Returns an internal id that was never used.
    pub fn next_id(&mut self) -> PlaybackId {
        self.last = self.last.next();
        self.last
    }

    /// Generates a `requestId` for a request that has none.
    pub fn generate_name(&self) -> RequestId {
        let numbers = u64::from(self.last) + 1..;
        let mut names = numbers.map(|number| RequestId::from(format!("playback-{number}")));
        names.find(|name| !self.names.contains_key(name)).expect("numbers do not end")
    }

    /// Registers a name, which must be free.
    pub fn claim(&mut self, name: &RequestId, id: PlaybackId) {
        self.names.insert(name.clone(), id);
    }

    /// Frees the name of a playback, unless another has it by now.
    pub fn release(&mut self, request: &Request) {
        if self.names.get(&request.name) == Some(&request.id) {
            self.names.remove(&request.name);
        }
    }

    /// Returns the live playback of a name.
    pub fn find(&self, name: &str) -> Option<PlaybackId> {
        self.names.get(name).copied()
    }

    /// Asserts that the index of names is as expected.
    pub(super) fn check_names(&self, expected: &HashMap<RequestId, PlaybackId>) {
        assert_eq!(self.names, *expected, "the names are not those of the live playbacks");
    }

    pub fn is_empty(&self) -> bool {
        self.loading.is_empty() && self.sounding.is_empty() && self.lines.values().all(Line::is_empty)
    }

    /// Returns true if nothing waits or loads.
    pub fn are_all_sounding(&self) -> bool {
        self.loading.is_empty() && self.lines.is_empty()
    }

    pub fn line(&mut self, track: u32) -> &mut Line {
        self.lines.entry(track).or_default()
    }

    pub fn sounding(&mut self, id: PlaybackId) -> Option<&mut Sounding> {
        self.sounding.iter_mut().find(|sounding| sounding.request.id == id)
    }

    /// Returns the track in whose line a playback waits.
    pub fn line_of(&self, id: PlaybackId) -> Option<u32> {
        self.lines.iter().find(|(_, line)| line.get(id).is_some()).map(|(track, _)| *track)
    }

    /// Returns true if something on a track loads, or sounds and is not ending.
    pub fn is_active(&self, track: u32) -> bool {
        self.is_active_beside(track, None)
    }

    /// As [`is_active`](Self::is_active), leaving one playback out.
    pub fn is_active_beside(&self, track: u32, left_out: Option<PlaybackId>) -> bool {
        let counts = |request: &Request| request.track == track && Some(request.id) != left_out;
        self.loading.iter().any(|loading| counts(&loading.request))
            || self.sounding.iter().any(|sounding| counts(&sounding.request) && sounding.is_active())
    }

    /// Returns true if everything that occupies a track is paused.
    pub fn is_paused(&self, track: u32) -> bool {
        let loading = self.loading.iter().filter(|loading| loading.request.track == track);
        let sounding = self.sounding.iter().filter(|sounding| sounding.request.track == track && sounding.is_active());
        let mut paused = loading.map(|loading| loading.is_paused).chain(sounding.map(Sounding::is_still));
        self.is_active(track) && paused.all(|is_paused| is_paused)
    }

    /// Returns every source that was opened and is not mixed yet, with its playback: in no order.
    pub fn opened(&self) -> impl Iterator<Item = (PlaybackId, &Loadable)> {
        let loading = self.loading.iter().map(|loading| (loading.request.id, &loading.source));
        let ahead = self.lines.values().filter_map(|line| {
            let waiting = line.get(line.first()?)?;
            Some((waiting.request.id, waiting.ahead.as_ref()?))
        });
        loading.chain(ahead)
    }

    /// Returns the readers that have not come to their first sound, with their deadlines.
    pub fn awaiting_first_sound(&self) -> impl Iterator<Item = (WallTime, &PcmReader)> {
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

    /// Returns a playback's request, on whatever shelf it is.
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

    /// Returns the request of a playback that is not mixed yet.
    pub fn unstarted_mut(&mut self, id: PlaybackId) -> Option<&mut Request> {
        if let Some(index) = self.loading.iter().position(|loading| loading.request.id == id) {
            return Some(&mut self.loading[index].request);
        }
        self.waiting_mut(id).map(|waiting| &mut waiting.request)
    }

    /// Returns the source of a playback that is not mixed yet, if it was opened.
    pub fn loadable_mut(&mut self, id: PlaybackId) -> Option<&mut Loadable> {
        if let Some(index) = self.loading.iter().position(|loading| loading.request.id == id) {
            return Some(&mut self.loading[index].source);
        }
        self.waiting_mut(id)?.ahead.as_mut()
    }

    /// Returns a playback that is not mixed yet, and the place where it will begin.
    pub fn unstarted(&self, id: PlaybackId) -> Option<(&Request, Samples)> {
        let loading = self.loading.iter().find(|loading| loading.request.id == id);
        let loading = loading.map(|loading| (&loading.request, loading.source.position()));
        loading.or_else(|| self.waiting(id).map(|waiting| (&waiting.request, waiting.position())))
    }

    /// Returns a playback, and true if it can be sought.
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
    pub fn take_unstarted(&mut self, id: PlaybackId) -> Option<(Request, PlaybackInfo, Garbage)> {
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

    /// Returns the playbacks that a target matches, with the waiting ones in order of their turn.
    pub fn matching(&self, target: &Target) -> Vec<PlaybackId> {
        if let Target::Request(name) = target {
            return self.find(name).into_iter().collect();
        }
        let matches = |request: &&Request| target.matches(request);
        let loading = self.loading.iter().map(|loading| &loading.request);
        let mut ids: Vec<_> = self
            .sounding
            .iter()
            .map(|sounding| &sounding.request)
            .chain(loading)
            .filter(matches)
            .map(|request| request.id)
            .collect();
        ids.sort_unstable();
        let waiting = self.lines.values().flat_map(|line| line.iter().map(|waiting| &waiting.request));
        ids.extend(waiting.filter(matches).map(|request| request.id));
        ids
    }

    /// Returns the entries of `playbacks()`.
    pub fn infos(&self) -> Vec<PlaybackInfo> {
        let mut live: Vec<_> = self
            .sounding
            .iter()
            .map(|each| {
                let phase = if each.stopping.is_some() { Phase::Stopping } else { Phase::Playing };
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

    /// Returns the tracks that have live playbacks.
    pub fn tracks(&self) -> BTreeSet<u32> {
        let sounding = self.sounding.iter().map(|sounding| sounding.request.track);
        let loading = self.loading.iter().map(|loading| loading.request.track);
        sounding.chain(loading).chain(self.lines.keys().copied()).collect()
    }

    /// Takes everything on these tracks off the shelves, in the order of [`infos`](Self::infos).
    pub fn take(&mut self, tracks: &BTreeSet<u32>) -> Vec<Taken> {
        let mut all = Vec::new();
        for sounding in self.sounding.extract_if(.., |sounding| tracks.contains(&sounding.request.track)) {
            let played = sounding.voice.played();
            all.push(Taken {
                request: sounding.request.clone(),
                stopped: sounding.stopping.as_ref().map(|stopping| stopping.reason.clone()),
                played,
                unheard: sounding.unheard.total(played),
                position: sounding.voice.place(),
                garbage: Garbage::Sounding(Box::new(sounding)),
            });
        }
        let loading = self.loading.extract_if(.., |loading| tracks.contains(&loading.request.track));
        all.extend(loading.map(|Loading { request, source, .. }| Taken {
            played: request.played_before(),
            request,
            stopped: None,
            unheard: 0,
            position: source.position(),
            garbage: source.garbage(),
        }));
        all.sort_by_key(|taken| taken.request.id);
        for waiting in tracks.iter().filter_map(|track| self.lines.remove(track)).flat_map(|mut line| line.clear()) {
            all.push(Taken {
                request: waiting.request.clone(),
                stopped: None,
                played: 0,
                unheard: 0,
                position: waiting.position(),
                garbage: Garbage::Waiting(Box::new(waiting)),
            });
        }
        all.iter().for_each(|taken| self.release(&taken.request));
        all
    }
}

/// A playback that was taken off its shelf.
pub struct Taken {
    pub request: Request,
    /// The reason of its stop, if it was stopping already.
    pub stopped: Option<Arc<str>>,
    pub played: Samples,
    pub unheard: Samples,
    pub position: Samples,
    pub garbage: Garbage,
}
