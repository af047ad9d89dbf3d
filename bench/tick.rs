//! The cost of a frame in session and mixer: ticks so many sessions that play one sound each as a wheel does, without threads, clocks or an
//! output. Prints the time of a tick.
//! Arguments: `clip` or `file`, sessions, seconds of sound.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rtrb::{Producer, RingBuffer};
use speaker_session::internals::audio::{FRAME, RING, SAMPLE_RATE};
use speaker_session::internals::metrics::METRICS;
use speaker_session::internals::mixer::{Routing, Scratch};
use speaker_session::internals::output::OutputEvent;
use speaker_session::internals::runtime::DECODERS;
use speaker_session::internals::session::{Clock, DriverCounts, Open, Options, PlayRequest, Session, WallTime};
use speaker_session::internals::source::{
    Clips, FetchLimits, MemoryFile, Origin, PcmReader, Section, Source, SourceState, make_clip, open,
};

fn main() {
    let [_, what, sessions, seconds] =
        <[String; 4]>::try_from(std::env::args().collect::<Vec<_>>()).expect("clip|file SESSIONS SECONDS");
    let frames = seconds.parse::<usize>().expect("seconds") * SAMPLE_RATE as usize / FRAME;
    let clips = (what == "clip").then(|| Arc::new(clip((frames + 10) * FRAME)));
    let sessions = 0..sessions.parse::<usize>().expect("a number of sessions");
    let mut players: Vec<_> = sessions.map(|_| Player::new(clips.as_ref())).collect();
    let mut scratch = Scratch::default();
    let mut time = Duration::ZERO;
    for frame in 0..frames {
        let begun = Instant::now();
        players.iter_mut().for_each(|player| player.tick(frame, &mut scratch));
        time += begun.elapsed();
        players.iter_mut().for_each(Player::refill);
    }
    let ticks = (frames * players.len()) as f64;
    println!("{:.0} ns a tick", time.as_secs_f64() * 1e9 / ticks);
}

/// A session in which one sound plays.
struct Player {
    session: Session,
    ring: Option<Producer<f32>>,
}

impl Player {
    /// Creates a player of a clip, or of what is written to a ring.
    fn new(clips: Option<&Arc<Clips>>) -> Self {
        let mut session = Session::new(Options { routing: Routing::PerTrack, ..Options::new(Clock::Realtime) });
        let at = WallTime(0);
        let origin = match clips {
            Some(clips) => Origin::Clip(clips.clone()),
            None => Origin::Bytes(MemoryFile::of(&[])),
        };
        let source = Source::new(origin, None, Section::default());
        session.connect(1.into());
        session.output_event(OutputEvent::Connected, at);
        session.output_event(OutputEvent::Opened(0), at);
        session.play(PlayRequest::new(source), at).expect("it is accepted");
        let Open { id, number, what, ticket, .. } = session.take_work().opens.remove(0);
        let (ring, reader) = match clips {
            Some(_) => (None, open(&DECODERS, what, 1, 0, FetchLimits::default(), Arc::default())),
            None => {
                let (mut ring, consumer) = RingBuffer::new(RING);
                ring.push_entire_slice(&[0.25; RING]).expect("it fits");
                let reader = PcmReader::new(consumer, 0, 1, Arc::new(SourceState::default()), Section::default(), None);
                (Some(ring), reader)
            }
        };
        assert!(session.opened(id, number, reader, ticket).is_ok());
        while session.take_output_request().is_some() {}
        Self { session, ring }
    }

    /// Ticks as a driver does.
    #[inline(never)]
    fn tick(&mut self, frame: usize, scratch: &mut Scratch) {
        let session = &mut self.session;
        let at = WallTime((frame * FRAME) as u64);
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
                scratch.release_clips();
                session.commit(Ok(()), DriverCounts::default());
            }
        }
    }

    /// Fills the ring as a decode task does.
    fn refill(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.push_entire_slice(&[0.25; FRAME]).expect("there is room");
        }
    }
}

/// Makes a clip of `length` quiet samples.
fn clip(length: usize) -> Clips {
    let bytes = (2 * length) as u32;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend([SAMPLE_RATE, 2 * SAMPLE_RATE].map(u32::to_le_bytes).concat());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(bytes.to_le_bytes());
    wav.extend((0..length).flat_map(|index| ((index * 7_919 % 20_011) as i16 - 10_000).to_le_bytes()));
    let source = Source::new(Origin::Bytes(MemoryFile::of(&wav)), None, Section::default());
    let (sender, made) = channel();
    let _making = make_clip(&DECODERS, source, 0, FetchLimits::default(), move |clips| _ = sender.send(clips));
    made.recv().expect("it is made").expect("it is a WAV file")
}
