//! A whole session without Node: requests in, samples and messages out, on the manual clock.

use std::f32::consts::TAU;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use parking_lot::Mutex;
use speaker_session::audio::from_ms;
use speaker_session::event::{EventKind, Message};
use speaker_session::mixer::Role;
use speaker_session::output::OutputOptions;
use speaker_session::session::{Clock, Handle, Options, Overlap, PlayRequest, Policy, StopRequest, Target};
use speaker_session::source::{Clip, Origin, Source};

struct Bench {
    handle: Handle,
    messages: Receiver<Message>,
    samples: Arc<Mutex<Vec<f32>>>,
    ticket: u32,
}

impl Bench {
    fn new(overlap: Overlap) -> Self {
        let samples = Arc::<Mutex<Vec<f32>>>::default();
        let (sender, messages) = channel();
        let sender = Mutex::new(sender);
        let options = Options {
            output: OutputOptions::Memory { store: samples.clone() },
            clock: Clock::Manual,
            channels: 1,
            policy: Policy { overlap, crossfade: 0, max_concurrent: 10, max_queued: 10, queue_timeout: 0 },
            duck: None,
            gain: 1.0,
            max_duration: from_ms(60_000.0),
            progress_interval: 0,
            fetch_timeout: Duration::from_secs(1),
            stall_timeout: 0,
        };
        let handle = Handle::new(options, Arc::new(move |message| drop(sender.lock().send(message))));
        Self { handle, messages, samples, ticket: 0 }
    }

    fn play(&self, name: &str, bytes: Vec<u8>) {
        let request = PlayRequest {
            request_id: Some(name.to_owned()),
            track: 0,
            role: Role::default(),
            stop_other: false,
            priority: 0,
            queue_timeout: None,
            volume: 1.0,
            gain: 1.0,
            fade_in: 0,
            stall_timeout: None,
            source: Source::new(Origin::Bytes(bytes.into()), None, Clip::default()),
        };
        self.handle.play(request).expect("accepted");
    }

    /// Calls `ask` and gives back what is told until it is answered.
    fn until_answered(&mut self, ask: impl FnOnce(&Handle, u32)) -> Vec<String> {
        self.ticket += 1;
        ask(&self.handle, self.ticket);
        let mut told = Vec::new();
        loop {
            match self.messages.recv_timeout(Duration::from_secs(20)).expect("every call is answered") {
                Message::Event(event) => {
                    let name = event.request_id.unwrap_or_default();
                    let what = match event.kind {
                        EventKind::Failed { code, .. } => code.as_str().to_owned(),
                        EventKind::Stopped { reason, duration_ms, .. } => format!("{reason} after {duration_ms}"),
                        kind => format!("{kind:?}").split([' ', '{']).next().unwrap_or_default().to_lowercase(),
                    };
                    told.push(format!("{name} {what} @{}", event.at_ms).trim_start().to_owned());
                }
                Message::Settled { ticket, error } => {
                    assert_eq!((ticket, error), (self.ticket, None));
                    return told;
                }
            }
        }
    }

    fn advance(&mut self, ms: f64) -> Vec<String> {
        self.until_answered(|handle, ticket| handle.advance(from_ms(ms), ticket).expect("the clock is manual"))
    }
}

/// A 16-bit mono WAV of a 480 Hz tone at 48 kHz.
fn tone(ms: usize) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    (0..ms * 48).for_each(|n| writer.write_sample(((n as f32 * TAU / 100.0).sin() * 9_000.0) as i16).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn plays_queues_stops_and_closes_at_exact_samples() {
    let mut bench = Bench::new(Overlap::Queue);
    bench.play("a", tone(30));
    bench.play("b", tone(50));
    assert_eq!(
        bench.advance(40.0),
        ["connected @0", "b queued @0", "a started @0", "a completed @30", "b started @30"]
    );
    bench.handle.stop(&StopRequest { target: Target::All, reason: "user".into(), fade_out: from_ms(5.0) });
    assert_eq!(bench.advance(20.0), ["b user after 15 @45"]);
    assert_eq!(bench.samples.lock().len(), 60 * 48);
    assert!(bench.samples.lock()[45 * 48..].iter().all(|sample| *sample == 0.0));
    assert_eq!(bench.until_answered(Handle::close), ["disconnected @60"]);
    assert!(bench.handle.playbacks().is_empty());
}

#[test]
fn bad_sources_fail_alone_and_close_cuts_what_sounds() {
    let mut bench = Bench::new(Overlap::Mix);
    bench.play("good", tone(100));
    bench.play("empty", Vec::new());
    bench.play("text", b"plain text is no music, however long one listens".to_vec());
    assert_eq!(
        bench.advance(25.0),
        ["connected @0", "empty ERR_EMPTY_SOURCE @0", "text ERR_UNSUPPORTED_FORMAT @0", "good started @0"]
    );
    assert_eq!(bench.until_answered(Handle::close), ["good closed after 25 @25", "disconnected @25"]);
}

#[test]
fn a_dropped_handle_closes_the_session() {
    let mut bench = Bench::new(Overlap::Mix);
    bench.play("a", tone(100));
    bench.advance(10.0);
    drop(bench.handle);
    let rest: Vec<Message> = bench.messages.iter().collect(); // ends when the actor is gone and its sink with it
    assert_eq!(rest.len(), 2, "stopped and disconnected: {rest:?}");
}
