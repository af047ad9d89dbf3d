//! Sessions that play one sound each, ticked as a wheel does: their turns, their mixing and their counts, without an output.

use std::sync::Arc;

use divan::{Bencher, black_box};
use rtrb::{Producer, RingBuffer};
use speaker_session::internals::audio::{FRAME, RING};
use speaker_session::internals::metrics::METRICS;
use speaker_session::internals::mixer::{Routing, Scratch};
use speaker_session::internals::output::OutputEvent;
use speaker_session::internals::runtime::DECODERS;
use speaker_session::internals::session::{Clock, DriverCounts, Open, Options, PlayRequest, Session, WallTime};
use speaker_session::internals::source::{
    FetchLimits, MemoryFile, Opening, Origin, PcmReader, Section, Source, SourceState, open,
};

use crate::measure;
use crate::music::{MUSIC, second};

/// The numbers of sessions that take turns: with many, the code and the state of one are no longer in the cache when it has its turn again.
const SESSIONS: [usize; 2] = [1, 100];

/// Sessions that play a clip.
#[divan::bench(args = SESSIONS)]
fn clip(bencher: Bencher, sessions: usize) {
    let mut players: Vec<_> = (0..sessions).map(|_| Player::of_clip()).collect();
    tick(bencher, &mut players);
}

/// Sessions that play from a ring, which is refilled as by a decode task.
#[divan::bench(args = SESSIONS)]
fn ring(bencher: Bencher, sessions: usize) {
    let mut players: Vec<_> = (0..sessions).map(|_| Player::of_ring()).collect();
    tick(bencher, &mut players);
}

/// Measures a second of each player.
fn tick(bencher: Bencher, players: &mut [Player]) {
    let mut scratch = Scratch::default();
    let sound = second();
    let mut at = WallTime(0);
    measure(bencher, players.len(), || {
        for frame in sound.chunks_exact(FRAME) {
            for player in players.iter_mut() {
                player.tick(at, &mut scratch);
                player.refill(frame);
            }
            at.0 += FRAME as u64;
        }
    });
}

/// A session in which one sound plays for ever.
struct Player {
    session: Session,
    /// The ring that it plays from, if it plays no clip.
    ring: Option<Producer<f32>>,
}

impl Player {
    fn of_clip() -> Self {
        let section = Section { passes: u64::MAX, ..Section::default() };
        let source = Source::new(Origin::Clip(MUSIC.clone()), None, section);
        let open_clip = |opening| open(&DECODERS, opening, 1, 0, FetchLimits::default(), Arc::default());
        Self { session: playing(source, open_clip), ring: None }
    }

    fn of_ring() -> Self {
        let (mut ring, consumer) = RingBuffer::new(RING);
        ring.push_entire_slice(&second()[..RING]).expect("it fits");
        let source = Source::new(Origin::Bytes(MemoryFile::of(&[])), None, Section::default());
        let reader = PcmReader::new(consumer, 0, 1, Arc::new(SourceState::default()), Section::default(), None);
        Self { session: playing(source, |_| reader), ring: Some(ring) }
    }

    /// Ticks as a driver does: before a frame is due, and when it is.
    fn tick(&mut self, at: WallTime, scratch: &mut Scratch) {
        let session = &mut self.session;
        for is_due in [true, false] {
            session.pass_time(at);
            assert!(session.take_output_request().is_none());
            assert_eq!(session.next_deadline(), None);
            session.pace();
            if is_due {
                assert_eq!(session.tick(FRAME, at, scratch), FRAME);
            }
            session.report_counts(&METRICS);
            if session.has_work() {
                drop(session.take_work());
            }
            if is_due {
                assert!(scratch.frames().all(|frame| frame.sounding));
                scratch.frames().for_each(|frame| _ = black_box(frame.samples));
                scratch.release_clips();
                session.commit(Ok(()), DriverCounts::default());
            }
        }
    }

    /// Fills the ring as a decode task does.
    fn refill(&mut self, frame: &[f32]) {
        if let Some(ring) = &mut self.ring {
            ring.push_entire_slice(frame).expect("there is room");
        }
    }
}

/// Makes a session with a connected output that plays what `reader` makes of `source`.
fn playing(source: Source, reader: impl FnOnce(Opening) -> PcmReader) -> Session {
    let mut session = Session::new(Options { routing: Routing::PerTrack, ..Options::new(Clock::Realtime) });
    let at = WallTime(0);
    session.connect(1.into());
    session.output_event(OutputEvent::Connected, at);
    session.output_event(OutputEvent::Opened(0), at);
    session.play(PlayRequest::new(source), at).expect("it is accepted");
    let Open { id, number, what, ticket, .. } = session.take_work().opens.remove(0);
    assert!(session.opened(id, number, reader(what), ticket).is_ok());
    while session.take_output_request().is_some() {}
    session
}
