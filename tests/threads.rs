//! More sessions than threads: none of them starves.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use parking_lot::Mutex;
use speaker_session::internals::audio::from_ms;
use speaker_session::internals::engine::{EngineOptions, Handle};
use speaker_session::internals::event::{EventKind, Message};
use speaker_session::internals::output::{OutputOptions, Recording};
use speaker_session::internals::session::{Clock, Options, PlayRequest};
use speaker_session::internals::source::{
    Encoding, Fetch, FetchLimits, MemoryFile, Origin, Raw, Section, Source, Stream,
};
use support::wav;

type Store = Arc<Mutex<Recording>>;

fn session(clock: Clock, store: &Store) -> (Handle, Receiver<()>) {
    let (sender, bell) = channel();
    let sender = Mutex::new(sender);
    let options = Options { max_duration: from_ms(HOURS), ..Options::new(clock) };
    let engine = EngineOptions {
        output: OutputOptions::Memory { recording: store.clone() },
        fetch: FetchLimits { timeout: Duration::from_secs(60), min_bytes_per_second: 0.0 },
        bell: Arc::new(move || sender.lock().send(()).unwrap_or_default()),
    };
    (Handle::new(options, engine).expect("there are threads"), bell)
}

fn request(origin: Origin, passes: u64) -> PlayRequest {
    PlayRequest::new(Source::new(origin, None, Section { passes, ..Section::default() }))
}

/// A saw tooth of 480 Hz.
fn saw(ms: usize) -> Vec<u8> {
    wav((0..ms * 48).map(|n| (n % 100) as i16 * 90))
}

/// Starts a server on loopback, under a name that has to be looked up.
fn serve() -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/clip.wav", server.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let body = saw(200);
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).unwrap();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    url
}

/// Returns the messages until something has ended.
fn end(handle: &Handle, bell: &Receiver<()>) -> EventKind {
    loop {
        bell.recv_timeout(Duration::from_secs(30)).expect("it goes on");
        match handle.take_message() {
            Some(Message::Event(event))
                if matches!(event.kind, EventKind::Completed { .. } | EventKind::Failed { .. }) =>
            {
                return event.kind;
            }
            _ => {}
        }
    }
}

/// Nearly the longest recording in memory.
const HOURS: f64 = 6.0 * 3_600_000.0;

/// More than tokio's pool of blocking threads has by default.
const MANY: usize = 520;

/// A playback of a URL whose host has to be looked up.
fn download(url: &str, passes: u64) -> PlayRequest {
    request(Origin::Url(Fetch::new(url.to_owned(), Vec::new(), Arc::default())), passes)
}

#[test]
fn hanging_outputs_do_not_block_lookups() {
    let store = Store::default();
    let disk_that_hangs = store.lock();
    let body = saw(100);
    let hanging: Vec<_> = (0..MANY)
        .map(|_| {
            let (handle, bell) = session(Clock::Manual, &store);
            handle.play(request(Origin::Bytes(MemoryFile::of(&body)), 1)).expect("it is accepted");
            handle.advance(from_ms(200.0), 1.into()).expect("it is manual");
            (handle, bell)
        })
        .collect();
    // The time until they hang. If it is too short the test sees less, but can't fail.
    std::thread::sleep(Duration::from_millis(500));
    let (handle, bell) = session(Clock::Realtime, &Store::default());
    handle.play(download(&serve(), 1)).expect("it is accepted");
    assert!(matches!(end(&handle, &bell), EventKind::Completed { .. }));
    drop(disk_that_hangs);
    for (handle, bell) in &hanging {
        assert!(matches!(end(handle, bell), EventKind::Completed { .. }));
    }
}

#[test]
fn long_mixes_do_not_starve_other_sessions() {
    // One store for all, cleared all the time.
    let (store, is_over) = (Store::default(), Arc::new(AtomicBool::new(false)));
    let (emptied, over) = (store.clone(), is_over.clone());
    let emptier = std::thread::spawn(move || {
        while !over.load(Ordering::Acquire) {
            *emptied.lock() = Recording::default();
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let busy: Vec<_> = (0..16)
        .map(|_| {
            let (handle, bell) = session(Clock::Manual, &store);
            // A stream whose writer is behind is mixed frame by frame, and waits for nothing.
            let (pipe, stream) = Stream::new(Encoding::Raw { format: Raw::F32, rate: 48_000, channels: 1 }, false);
            pipe.write(&[0; 4 * 4_800], false);
            let stalling = PlayRequest { stall_timeout: Some(from_ms(HOURS)), ..request(Origin::Stream(stream), 1) };
            let writer = handle.stream(stalling, pipe).expect("it is accepted");
            handle.advance(from_ms(HOURS), 1.into()).expect("it is manual");
            (handle, bell, writer)
        })
        .collect();
    let (handle, bell) = session(Clock::Manual, &Store::default());
    handle.play(download(&serve(), 1)).expect("it is accepted");
    handle.advance(from_ms(500.0), 1.into()).expect("it is manual");
    assert!(matches!(end(&handle, &bell), EventKind::Completed { .. }));
    for (handle, ..) in &busy {
        assert!(handle.stats().now < from_ms(HOURS), "it is not over yet");
    }
    drop(busy);
    is_over.store(true, Ordering::Release);
    emptier.join().unwrap();
}
