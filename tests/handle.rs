//! A whole session without Node: requests in through its handle, samples and messages out, real sources in between.

mod support;

use std::f32::consts::TAU;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use speaker_session::internals::audio::{Samples, from_ms};
use speaker_session::internals::engine::{EngineOptions, Handle, broken_sessions};
use speaker_session::internals::error::Code;
use speaker_session::internals::event::{Event, EventKind, Message};
use speaker_session::internals::ids::Ticket;
use speaker_session::internals::output::{OutputOptions, PcmFormat, PcmFrame, Recording, SampleFormat};
use speaker_session::internals::session::{Clock, Options, Overlap, PlayRequest, Policy, StopRequest, TapOf, Target};
use speaker_session::internals::source::{Encoding, FetchLimits, MemoryFile, Origin, Raw, Section, Source, Stream};
use support::wav;

/// A session, its bell, and its samples.
struct Bench {
    handle: Handle,
    bell: Receiver<()>,
    recording: Arc<Mutex<Recording>>,
    last_ticket: u32,
}

impl Bench {
    fn new(clock: Clock, overlap: Overlap) -> Self {
        let recording = Arc::<Mutex<Recording>>::default();
        let (sender, bell) = channel();
        let sender = Mutex::new(sender);
        let policy = Policy { overlap, ..Policy::default() };
        let options = Options { policy, max_duration: from_ms(60_000.0), ..Options::new(clock) };
        let engine = EngineOptions {
            output: OutputOptions::Memory { recording: recording.clone() },
            fetch: FetchLimits { timeout: Duration::from_secs(1), min_bytes_per_second: 0.0 },
            bell: Arc::new(move || sender.lock().send(()).unwrap_or_default()),
        };
        Self { handle: Handle::new(options, engine).expect("there are threads"), bell, recording, last_ticket: 0 }
    }

    fn manual(overlap: Overlap) -> Self {
        Self::new(Clock::Manual, overlap)
    }

    fn play(&self, name: &str, bytes: Vec<u8>) {
        self.handle.play(request(name, Origin::Bytes(MemoryFile::of(&bytes)))).expect("it is accepted");
    }

    /// Returns the next message: one for each ring of the bell.
    fn next(&self) -> Message {
        self.bell.recv_timeout(Duration::from_secs(20)).expect("a message comes");
        self.handle.take_message().expect("a message for each ring")
    }

    /// Calls `ask`; returns the messages until it is answered, and true if it failed.
    fn answer(&mut self, ask: impl FnOnce(&Handle, Ticket)) -> (Vec<String>, Option<Code>) {
        self.last_ticket += 1;
        let asked = self.last_ticket.into();
        ask(&self.handle, asked);
        let mut reported = Vec::new();
        loop {
            match self.next() {
                Message::Event(event) => reported.push(word(&event)),
                Message::Rpc { .. } => panic!("nobody has called"),
                Message::Settled { ticket, error } => {
                    assert_eq!(ticket, asked);
                    return (reported, error.map(|error| error.code));
                }
            }
        }
    }

    fn advance(&mut self, ms: f64) -> Vec<String> {
        let (reported, error) =
            self.answer(|handle, ticket| handle.advance(from_ms(ms), ticket).expect("it is manual"));
        assert_eq!(error, None);
        reported
    }

    fn close(&mut self) -> Vec<String> {
        let (reported, error) = self.answer(Handle::close);
        assert_eq!(error, None);
        reported
    }
}

fn request(name: &str, origin: Origin) -> PlayRequest {
    let source = Source::new(origin, None, Section::default());
    PlayRequest { request_id: Some(name.to_owned()), ..PlayRequest::new(source) }
}

fn word(event: &Event) -> String {
    let name = event.request_id.as_deref().unwrap_or_default();
    let what = match &event.kind {
        EventKind::Failed { code, .. } | EventKind::Error { code, .. } => code.as_str().to_owned(),
        EventKind::Stopped { reason, duration_ms, .. } => format!("{reason} after {duration_ms}"),
        kind => format!("{kind:?}").split([' ', '{']).next().unwrap_or_default().to_lowercase(),
    };
    format!("{name} {what} @{}", event.at_ms).trim_start().to_owned()
}

/// Returns a 16-bit mono WAV of a 480 Hz tone at 48 kHz.
fn tone(ms: usize) -> Vec<u8> {
    wav((0..ms * 48).map(|n| ((n as f32 * TAU / 100.0).sin() * 9_000.0) as i16))
}

fn stop_all() -> StopRequest {
    StopRequest { target: Target::All, reason: "user".into(), fade_out: from_ms(5.0), after: 0, ahead: false }
}

#[test]
fn session_plays_queues_stops_and_closes() {
    let mut bench = Bench::manual(Overlap::Queue);
    bench.play("a", tone(30));
    bench.play("b", tone(50));
    let mut reported = bench.advance(40.0);
    reported.sort_by_key(|reported| reported.starts_with("b queued")); // emitted at once, or after the output is open
    assert_eq!(reported, ["connected @0", "a started @0", "a completed @30", "b started @30", "b queued @0"]);
    bench.handle.stop(&stop_all());
    assert_eq!(bench.advance(20.0), ["b user after 15 @45"]);
    assert_eq!(bench.recording.lock().to_vec().len(), 60 * 48);
    assert!(bench.recording.lock().to_vec()[45 * 48..].iter().all(|sample| *sample == 0.0));
    assert_eq!(bench.close(), ["disconnected @60"]);
    assert!(bench.handle.playbacks().is_empty());
}

#[test]
fn bad_sources_fail_alone() {
    let mut bench = Bench::manual(Overlap::Mix);
    bench.play("good", tone(100));
    bench.play("empty", Vec::new());
    bench.play("text", b"plain text is no music, however long one listens".to_vec());
    let mut reported = bench.advance(25.0);
    reported.retain(|reported| reported != "connected @0");
    reported[..2].sort(); // each is emitted as soon as its decode task finds out
    assert_eq!(reported, ["empty ERR_EMPTY_SOURCE @0", "text ERR_UNSUPPORTED_FORMAT @0", "good started @0"]);
    assert_eq!(bench.close(), ["good closed after 25 @25", "disconnected @25"]);
}

#[test]
fn seek_goes_on_from_its_place() {
    let mut bench = Bench::manual(Overlap::Mix);
    bench.play("a", tone(1_000));
    bench.advance(40.0);
    bench.handle.seek(&Target::All, from_ms(950.0)).expect("it can be sought");
    assert_eq!(bench.advance(100.0), ["a sought @45", "a completed @95"]);
}

#[test]
fn dropped_handle_closes_the_session() {
    let mut bench = Bench::manual(Overlap::Mix);
    bench.play("a", tone(100));
    bench.advance(10.0);
    let Bench { handle, bell, .. } = bench;
    drop(handle);
    // The bell is gone with the session.
    assert_eq!(bell.iter().count(), 2, "stopped and disconnected");
}

#[test]
fn drain_plays_out_accepted_requests() {
    for clock in [Clock::Manual, Clock::Realtime] {
        let mut bench = Bench::new(clock, Overlap::Queue);
        bench.play("a", tone(30));
        bench.play("b", tone(45));
        let (reported, error) = bench.answer(|handle, ticket| handle.drain(from_ms(20_000.0), ticket));
        assert_eq!(error, None);
        assert_eq!(reported.iter().filter(|word| word.contains("completed")).count(), 2, "{reported:?}");
        assert!(reported.last().is_some_and(|word| word.starts_with("disconnected")), "{reported:?}");
        let recorded = bench.recording.lock().to_vec();
        assert!(recorded.len() >= 75 * 48, "{} samples", recorded.len());
        if clock == Clock::Manual {
            assert_eq!(recorded.len(), 75 * 48, "not a sample further");
        }
    }
}

#[test]
fn dropped_handle_ends_a_drain() {
    let mut bench = Bench::new(Clock::Realtime, Overlap::Mix);
    bench.play("a", tone(50_000));
    bench.last_ticket += 1;
    bench.handle.drain(Samples::MAX, bench.last_ticket.into());
    let Bench { handle, bell, .. } = bench;
    drop(handle);
    // The session ends, and with it the bell's other end.
    while bell.recv_timeout(Duration::from_secs(20)).is_ok() {}
    assert_eq!(bell.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn close_settles_a_waiting_advance() {
    let bench = Bench::manual(Overlap::Mix);
    let (pipe, stream) = Stream::new(Encoding::Raw { format: Raw::F32, rate: 48_000, channels: 1 }, true);
    bench.handle.stream(request("live", Origin::Stream(stream)), pipe).expect("it is accepted");
    bench.handle.advance(from_ms(100.0), 7.into()).expect("it is manual");
    bench.handle.close(8.into());
    let mut settled = Vec::new();
    while settled.len() < 2 {
        if let Message::Settled { ticket, error } = bench.next() {
            settled.push((u32::from(ticket), error.map(|error| error.code)));
        }
    }
    assert_eq!(settled, [(7, Some(Code::Closed)), (8, None)]);
}

#[test]
fn queue_timeout_expires_without_frames() {
    let bench = Bench::new(Clock::Realtime, Overlap::Queue);
    let (pipe, stream) = Stream::new(Encoding::Raw { format: Raw::F32, rate: 48_000, channels: 1 }, false);
    let _writer = bench.handle.stream(request("silent", Origin::Stream(stream)), pipe).expect("it is accepted");
    bench.play("next", tone(10));
    std::thread::sleep(Duration::from_millis(100)); // until the driver sleeps
    let hasty = PlayRequest {
        queue_timeout: Some(from_ms(50.0)),
        ..request("hasty", Origin::Bytes(MemoryFile::of(&tone(10))))
    };
    let since = Instant::now();
    bench.handle.play(hasty).expect("it is accepted");
    loop {
        if let Message::Event(Event { request_id: Some(name), kind: EventKind::Failed { code, .. }, .. }) = bench.next()
        {
            assert_eq!((&*name, code), ("hasty", Code::QueueTimeout));
            break;
        }
    }
    assert!(since.elapsed() >= Duration::from_millis(50));
}

/// Held by a test that breaks sessions, because they are counted for the whole process.
static BREAKING: Mutex<()> = Mutex::new(());

#[test]
fn broken_session_answers_stream_writers() {
    let _breaking = BREAKING.lock();
    for clock in [Clock::Manual, Clock::Realtime] {
        let bench = Bench::new(clock, Overlap::Mix);
        let (pipe, stream) = Stream::new(Encoding::Raw { format: Raw::F32, rate: 48_000, channels: 1 }, true);
        let writer = bench.handle.stream(request("said", Origin::Stream(stream)), pipe).expect("it is accepted");
        // A second of samples waits, and a paused playback takes none of it.
        bench.handle.pause(&Target::All);
        let second = vec![0; 4 * 48_000];
        while writer.write(&second, true).expect("it is live") > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        writer.when_writable(70.into());
        bench.handle.with(|_, _| -> () { panic!("injected") }).unwrap_err();
        writer.flush(true, 71.into());
        let mut settled = Vec::new();
        while settled.len() < 2 {
            if let Message::Settled { ticket, error } = bench.next() {
                settled.push((u32::from(ticket), error));
            }
        }
        assert_eq!(settled, [(70, None), (71, None)]);
        // The decode task closes it once it notices that its reader is gone, on a thread of its own.
        let late = Instant::now() + Duration::from_secs(20);
        while writer.write(&second, true).is_some() {
            assert!(Instant::now() < late, "the pipe is never closed");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn panic_breaks_one_session_alone() {
    let _breaking = BREAKING.lock();
    let mut other = Bench::manual(Overlap::Mix);
    other.play("other", tone(100));
    for clock in [Clock::Manual, Clock::Realtime] {
        let broken = broken_sessions();
        let mut bench = Bench::new(clock, Overlap::Queue);
        // The first one never starts, because its writer is silent.
        let (pipe, stream) = Stream::new(Encoding::Raw { format: Raw::F32, rate: 48_000, channels: 1 }, true);
        let _writer = bench.handle.stream(request("a", Origin::Stream(stream)), pipe).expect("it is accepted");
        bench.play("b", tone(100));
        if clock == Clock::Manual {
            bench.handle.advance(from_ms(20.0), 70.into()).expect("it is manual");
        }
        let error = bench.handle.with(|_, _| -> () { panic!("injected") }).unwrap_err();
        assert_eq!((error.code, broken_sessions()), (Code::Internal, broken + 1));
        assert!(bench.handle.playbacks().is_empty());
        let mut settled = Vec::new();
        let mut reported = Vec::new();
        bench.handle.close(71.into());
        while !settled.contains(&(71, None)) {
            match bench.next() {
                Message::Event(event) => reported.push(word(&event)),
                Message::Rpc { .. } => panic!("nobody has called"),
                Message::Settled { ticket, error } => settled.push((u32::from(ticket), error.map(|error| error.code))),
            }
        }
        reported.retain(|reported| reported.contains("ERR_"));
        assert_eq!(reported, ["a ERR_INTERNAL @0", "b ERR_INTERNAL @0", "ERR_INTERNAL @0"]);
        if clock == Clock::Manual {
            assert_eq!(settled, [(70, Some(Code::Internal)), (71, None)]);
        }
        let (_, refused) = bench.answer(|handle, ticket| handle.connect(ticket));
        assert_eq!(refused, Some(Code::Internal));
        assert_eq!(
            bench.handle.play(request("c", Origin::Bytes(MemoryFile::of(&tone(10))))).unwrap_err().code,
            Code::Internal
        );
    }
    assert_eq!(other.advance(120.0).last().map(String::as_str), Some("other completed @100"), "it goes on");
}

#[test]
fn broken_session_ends_its_taps() {
    let _breaking = BREAKING.lock();
    for clock in [Clock::Manual, Clock::Realtime] {
        let bench = Bench::new(clock, Overlap::Mix);
        bench.play("a", tone(10_000));
        let (sender, frames) = channel();
        let sender = Mutex::new(sender);
        let sink = Arc::new(move |frame: PcmFrame| sender.lock().send(frame.data.len()).unwrap_or_default());
        let format = PcmFormat { sample_rate: 48_000, channels: 1, format: SampleFormat::F32, frame_ms: 20 };
        let _tap = bench.handle.tap(1, &TapOf::Playback("a".into()), format, sink).expect("it is live");
        if clock == Clock::Manual {
            bench.handle.advance(from_ms(200.0), 70.into()).expect("it is manual");
        }
        let next = || frames.recv_timeout(Duration::from_secs(20)).expect("a frame comes");
        assert!(next() > 0);
        bench.handle.with(|_, _| -> () { panic!("injected") }).unwrap_err();
        while next() > 0 {}
    }
}
