//! The jitter buffer behind simulated networks, in simulated time.

use std::ops::Range;
use std::time::{Duration, Instant};

use opus::{Application, Bitrate, Channels, Decoder, Encoder};

use super::*;

const OPUS: u8 = 111;
const RED: u8 = 63;
const FORMAT: Format = Format { opus: OPUS, red: Some(RED), channels: 1 };

fn buffer() -> JitterBuffer {
    JitterBuffer::new(FORMAT).unwrap()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Returns a voice with gliding pitch and no pauses.
fn voice(frames: usize, channels: usize) -> Vec<f32> {
    let mut phase = 0.0_f32;
    let samples = (0..frames * FRAME).map(|n| {
        let time = n as f32 / 48_000.0;
        phase = (phase + (150.0 + 50.0 * (time * 2.1).sin()) / 48_000.0) % 1.0;
        let tones = (1..12).map(|k| (std::f32::consts::TAU * phase * k as f32).sin() / k as f32).sum::<f32>();
        0.25 * tones * (0.7 + 0.3 * (time * 19.0).sin())
    });
    samples.flat_map(|sample| std::iter::repeat_n(sample, channels)).collect()
}

fn encoder(channels: usize, application: Application) -> Encoder {
    let channels = if channels == 1 { Channels::Mono } else { Channels::Stereo };
    let mut encoder = Encoder::new(SAMPLE_RATE, channels, application).unwrap();
    encoder.set_bitrate(Bitrate::Bits(32_000)).unwrap();
    encoder
}

fn encode(encoder: &mut Encoder, samples: &[f32], channels: usize) -> Vec<Vec<u8>> {
    samples.chunks_exact(FRAME * channels).map(|frame| encoder.encode_vec_float(frame, 1_275).unwrap()).collect()
}

/// Returns packets of `frames` frames of the voice.
fn packets(frames: usize) -> Vec<Vec<u8>> {
    encode(&mut encoder(1, Application::LowDelay), &voice(frames, 1), 1)
}

fn decode(packets: &[Vec<u8>], channels: usize) -> Vec<f32> {
    let mut decoder = Decoder::new(SAMPLE_RATE, if channels == 1 { Channels::Mono } else { Channels::Stereo }).unwrap();
    let mut frame = vec![0.0; FRAME * channels];
    let mut decoded = Vec::new();
    for packet in packets {
        assert_eq!(decoder.decode_float(packet, &mut frame, false).unwrap(), FRAME);
        decoded.extend(&frame);
    }
    decoded
}

/// A packet in transit.
#[derive(Clone)]
struct Sent {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    red: bool,
    payload: Vec<u8>,
}

/// Returns RTP packets of these encoded frames, whose numbers and times wrap soon, each with the last `copies` frames.
fn send(packets: &[Vec<u8>], copies: usize) -> Vec<Sent> {
    let sent = |(number, data): (usize, &Vec<u8>)| {
        let old = &packets[number.saturating_sub(copies)..number];
        let header = |(at, copy): (usize, &Vec<u8>)| {
            let (earlier, length) = ((old.len() - at) * FRAME, copy.len());
            [0x80 | OPUS, (earlier >> 6) as u8, (earlier << 2 | length >> 8) as u8, length as u8]
        };
        let headers = old.iter().enumerate().flat_map(header).chain([OPUS]);
        let payload = match copies {
            0 => data.clone(),
            _ => headers.chain(old.iter().flatten().copied()).chain(data.iter().copied()).collect(),
        };
        let timestamp = (u32::MAX - 5_000).wrapping_add((number * FRAME) as u32);
        Sent {
            ssrc: 1,
            sequence: 65_500_u16.wrapping_add(number as u16),
            timestamp,
            marker: number == 0,
            red: copies > 0,
            payload,
        }
    };
    packets.iter().enumerate().map(sent).collect()
}

/// The emitted sound.
#[derive(Default)]
struct Heard {
    samples: Vec<f32>,
    frames: Vec<(FrameKind, Samples, Stats)>,
}

impl Heard {
    /// Returns the share of frames of a kind in these seconds.
    fn share(&self, seconds: Range<usize>, kind: FrameKind) -> f64 {
        let frames = &self.frames[seconds.start * 50..seconds.end * 50];
        frames.iter().filter(|(frame, ..)| *frame == kind).count() as f64 / frames.len() as f64
    }

    /// Returns the seconds of concealment in these seconds.
    fn concealed(&self, seconds: Range<usize>) -> f64 {
        let stats = |second: usize| self.frames[second * 50 - 1].2;
        (stats(seconds.end).concealed - stats(seconds.start).concealed) as f64 / 48_000.0
    }

    /// Returns where the sound begins.
    fn start(&self) -> usize {
        self.samples.iter().position(|sample| *sample != 0.0).unwrap()
    }

    fn last(&self) -> Stats {
        self.frames.last().unwrap().2
    }

    /// Returns the delays in these seconds, in milliseconds.
    fn delays(&self, seconds: Range<usize>) -> impl Iterator<Item = u64> {
        self.frames[seconds.start * 50..seconds.end * 50].iter().map(|(_, _, stats)| stats.delay / 48)
    }
}

/// Plays `seconds` of packets that arrive at these times, in milliseconds.
fn hear(buffer: &mut JitterBuffer, mut arrivals: Vec<(f64, &Sent)>, seconds: usize) -> Heard {
    arrivals.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (start, mut arrivals, mut heard) = (Instant::now(), arrivals.into_iter().peekable(), Heard::default());
    for frame in 0..seconds * 50 {
        let now = frame as f64 * 20.0 + 7.0;
        while let Some((time, sent)) = arrivals.next_if(|(time, _)| *time <= now) {
            let Sent { ssrc, sequence, timestamp, marker, red, ref payload } = *sent;
            let payload_type = if red { RED } else { OPUS };
            let packet = Packet { ssrc, payload_type, sequence, timestamp, marker, payload };
            buffer.receive(&packet, start + Duration::from_secs_f64(time / 1e3));
        }
        let frame = buffer.next(start + Duration::from_secs_f64(now / 1e3));
        heard.samples.extend(frame.samples);
        let (kind, time) = (frame.kind, frame.time);
        heard.frames.push((kind, time, buffer.stats()));
    }
    heard
}

/// Applies a network, which returns how late a packet arrives in milliseconds, or None if it is lost.
fn through(sent: &[Sent], mut late: impl FnMut(usize) -> Option<f64>) -> Vec<(f64, &Sent)> {
    let arrival = |(number, sent)| Some((number as f64 * 20.0 + 50.0 + late(number)?, sent));
    sent.iter().enumerate().filter_map(arrival).collect()
}

/// Loses a share of packets at random, and delays the others by up to `jitter` milliseconds.
fn chance(seed: u64, loss: f64, jitter: f64) -> impl FnMut(usize) -> Option<f64> {
    let mut random = Random(seed);
    move |_| (random.unit() >= loss).then(|| random.unit() * jitter)
}

/// Returns the largest step between two samples.
fn steepest(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn complete_stream_equals_its_decoding() {
    for (channels, sent_as) in [(1, 1), (2, 2), (1, 2), (2, 1)] {
        let packets = encode(&mut encoder(sent_as, Application::Audio), &voice(250, sent_as), sent_as);
        let sent = send(&packets, 0);
        let mut buffer = JitterBuffer::new(Format { channels, ..FORMAT }).unwrap();
        let heard = hear(&mut buffer, through(&sent, |_| Some(0.0)), 4);
        // It arrived at 50 ms, is 35 ms late, and the first frame was requested at 7 ms.
        let sound = &heard.samples[78 * 48 * channels..];
        assert_eq!(&heard.samples[..78 * 48 * channels], vec![0.0; 78 * 48 * channels]);
        assert_eq!(sound, &decode(&packets, channels)[..sound.len()]);
        let Stats { lost, late, concealed, shortened, lengthened, delay, target, .. } = heard.last();
        assert_eq!((lost, late, concealed, shortened, lengthened), (0, 0, 0, 0, 0));
        assert_eq!((delay, target), (35 * 48, 35 * 48));
        assert_eq!(heard.frames[100].1, 100 * FRAME as Samples - 78 * 48);
    }
}

#[test]
fn accepts_packets_of_any_length() {
    let samples = voice(250, 1);
    for length in [120, 480, 1_920, 2_880] {
        let mut encoder = encoder(1, Application::Audio);
        let encoded = samples.chunks_exact(length).map(|chunk| encoder.encode_vec_float(chunk, 1_275).unwrap());
        let mut sent = send(&encoded.collect::<Vec<_>>(), 0);
        for (number, sent) in sent.iter_mut().enumerate() {
            sent.timestamp = (number * length) as u32;
        }
        let at = |number| (number * length) as f64 / 48.0 + 50.0;
        let heard = hear(&mut buffer(), sent.iter().enumerate().map(|(number, sent)| (at(number), sent)).collect(), 4);
        let mut decoder = Decoder::new(SAMPLE_RATE, Channels::Mono).unwrap();
        let mut whole = vec![0.0; samples.len()];
        for (sent, chunk) in sent.iter().zip(whole.chunks_exact_mut(length)) {
            assert_eq!(decoder.decode_float(&sent.payload, chunk, false).unwrap(), length);
        }
        let sound = &heard.samples[78 * 48..];
        assert_eq!(sound, &whole[..sound.len()], "{length}");
    }
}

#[test]
fn copies_fill_gaps_before_concealment() {
    let packets = packets(3_100);
    let whole = decode(&packets, 1);
    // The share of 60 s that is missing with this number of copies; by chance a copy is lost too.
    for (loss, expected) in [(0.05, [0.05, 0.0025, 0.0002]), (0.1, [0.1, 0.01, 0.001]), (0.15, [0.15, 0.0225, 0.0034])]
    {
        for (copies, expected) in expected.into_iter().enumerate() {
            let sent = send(&packets, copies);
            let mut buffer = buffer();
            let heard = hear(&mut buffer, through(&sent, chance(7, loss, 0.0)), 62);
            let missing = heard.concealed(2..62) / 60.0;
            println!("loss {loss}, copies {copies}: {missing:.4} missing, {:?}", heard.last());
            assert!(missing < 1.35 * expected + 0.002, "{loss} {copies}: {missing}");
            assert!(copies > 0 || missing > 0.75 * expected, "{loss} {copies}: {missing}");
            assert_eq!(heard.share(1..62, FrameKind::Silence), 0.0);
            assert!(heard.delays(2..62).all(|delay| delay <= 95), "{loss} {copies}");
            let steep = steepest(&heard.samples[heard.start()..]) / steepest(&whole);
            assert!(steep < 1.5, "{loss} {copies}: a click, {steep}");
            let lost = heard.last().lost as f64 / 3_100.0;
            assert!((lost - loss).abs() < 0.02, "{lost}");
        }
    }
}

#[test]
fn waits_for_first_copy_only() {
    let sent = send(&packets(1_000), 2);
    let heard = hear(&mut buffer(), through(&sent, |number| (number % 10 != 3).then_some(0.0)), 19);
    assert_eq!(heard.concealed(1..19), 0.0);
    assert!(heard.last().copies > 90);
    // A frame, the lateness of the copy, its class, and the margin.
    assert_eq!(heard.last().target, 55 * 48);
}

#[test]
fn short_pause_is_not_loss() {
    let mut sent = send(&packets(400), 0);
    sent[300..].iter_mut().for_each(|sent| sent.timestamp = sent.timestamp.wrapping_add(60 * 48));
    // The delay is still that of the earlier jitter.
    let late = |number| {
        Some(if number < 250 {
            (number * 37 % 80) as f64
        } else if number < 300 {
            0.0
        } else {
            60.0
        })
    };
    let heard = hear(&mut buffer(), through(&sent, late), 7);
    assert_eq!(heard.concealed(4..7), 0.0);
    assert!(heard.frames[200..350].iter().any(|(kind, ..)| *kind == FrameKind::Silence));
}

#[test]
fn plays_in_band_fec_without_copies() {
    let mut encoder = encoder(1, Application::Voip);
    encoder.set_inband_fec(true).unwrap();
    encoder.set_packet_loss_perc(20).unwrap();
    encoder.set_bitrate(Bitrate::Bits(24_000)).unwrap();
    let packets = encode(&mut encoder, &voice(1_600, 1), 1);
    let sent = send(&packets, 0);
    let heard = hear(&mut buffer(), through(&sent, chance(3, 0.1, 0.0)), 31);
    let missing = heard.concealed(2..31) / 29.0;
    println!("FEC at 10 %: {missing:.4} missing, {:?}", heard.last());
    // libopus repeats only what it takes for speech.
    assert!(missing < 0.04, "{missing}");
    assert!(heard.last().repeated > 80);
}

#[test]
fn holes_last_as_long_as_the_loss() {
    let packets = packets(800);
    let sent = send(&packets, 0);
    // 60 ms, and half a second.
    let lost = |number| (200..203).contains(&number) || (400..425).contains(&number);
    let heard = hear(&mut buffer(), through(&sent, |number| (!lost(number)).then_some(0.0)), 15);
    assert!((heard.concealed(3..7) - 0.06).abs() < 0.021, "{}", heard.concealed(3..7));
    assert!((heard.concealed(7..14) - 0.1).abs() < 0.021, "{}", heard.concealed(7..14));
    let silent = heard.share(7..14, FrameKind::Silence) * 7.0;
    assert!((silent - 0.4).abs() < 0.045, "{silent}");
    assert_eq!(heard.last().lost, 28);
    assert!(heard.delays(1..15).all(|delay| delay <= 80), "{:?}", heard.delays(1..15).max());
    assert_eq!(heard.last().delay, 35 * 48);
    // After the holes it is exact again.
    let (sound, whole) = (&heard.samples[12 * 48_000..15 * 48_000], decode(&packets, 1));
    let from = 12 * 48_000 - 78 * 48;
    let off = sound.iter().zip(&whole[from..]).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(off < 1e-3, "{off}");
}

#[test]
fn delay_adapts_to_jitter() {
    let packets = packets(6_000);
    let sent = send(&packets, 0);
    for jitter in [10.0, 40.0, 80.0] {
        let mut random = Random(11);
        let late = |number| Some(if number < 3_000 { random.unit() * jitter } else { 0.0 });
        let heard = hear(&mut buffer(), through(&sent, late), 118);
        println!("jitter {jitter}: {:?}", heard.frames[2_950].2);
        assert_eq!(heard.concealed(5..60), 0.0, "{jitter}");
        assert_eq!(heard.share(5..60, FrameKind::Decoded), 1.0);
        assert!(heard.delays(5..60).all(|delay| delay <= jitter as u64 + 55), "{:?}", heard.delays(5..60).max());
        assert!(heard.delays(110..118).all(|delay| delay <= 55), "{:?}", heard.delays(110..118).max());
        assert_eq!(heard.concealed(60..118), 0.0);
        let whole = steepest(&decode(&packets, 1));
        assert!(steepest(&heard.samples[heard.start()..]) < 1.3 * whole, "{jitter}: a click");
    }
}

#[test]
fn follows_drifting_clocks() {
    let packets = packets(500);
    let packets: Vec<_> = (0..30_100).map(|number| packets[number % 500].clone()).collect();
    let sent = send(&packets, 0);
    for drift in [-300e-6, 300e-6] {
        let heard = hear(&mut buffer(), through(&sent, |number| Some(number as f64 * 20.0 * drift)), 600);
        let Stats { concealed, shortened, lengthened, lost, .. } = heard.last();
        println!("drift {drift}: {shortened} shortened, {lengthened} lengthened");
        assert_eq!((concealed, lost), (0, 0));
        assert!(heard.delays(1..600).all(|delay| (25..=60).contains(&delay)), "{:?}", heard.delays(1..600).max());
        let cut = (lengthened as f64 - shortened as f64) / 48.0;
        assert!((cut - 600_000.0 * drift).abs() < 30.0, "{cut}");
    }
}

#[test]
fn pauses_are_silence_not_loss() {
    let packets = packets(300);
    let mut sent = send(&packets, 0);
    // Pauses of two seconds and then ten minutes, the first announced by a packet without sound.
    let mut at: Vec<_> = (0..300).map(|number| number as f64 * 20.0).collect();
    for (from, seconds) in [(100, 2), (200, 600)] {
        for number in from..300 {
            at[number] += f64::from(seconds) * 1e3;
            sent[number].timestamp = sent[number].timestamp.wrapping_add(seconds as u32 * 48_000);
        }
    }
    sent[99].payload = vec![0xf8];
    let arrivals = at.iter().zip(&sent).map(|(at, sent)| (at + 50.0, sent)).collect();
    let heard = hear(&mut buffer(), arrivals, 609);
    let Stats { lost, late, received, .. } = heard.last();
    assert_eq!((lost, late, received), (0, 0, 300));
    // The second pause was not announced.
    assert_eq!(heard.concealed(1..5), 0.0);
    assert!((heard.concealed(5..600) - 0.1).abs() < 0.021, "{}", heard.concealed(5..600));
    assert!(heard.share(3..4, FrameKind::Silence) == 1.0 && heard.share(7..600, FrameKind::Silence) == 1.0);
    assert!(heard.samples[3 * 48_000..4 * 48_000].iter().all(|sample| *sample == 0.0));
    let time = |second: usize| heard.frames[second * 50].1 as f64 / 48_000.0;
    assert!([3, 5, 300, 605].iter().all(|second| (time(*second) - *second as f64).abs() < 0.15), "{}", time(605));
    // Sound after a pause is exact from its first sample on.
    let whole = decode(&packets[200..], 1);
    let from = heard.samples[600 * 48_000..].iter().position(|sample| *sample != 0.0).unwrap() + 600 * 48_000;
    assert!((from as f64 / 48.0 - (606_000.0 + 78.0)).abs() < 6.0, "{}", from as f64 / 48.0);
    let off = |from: usize| {
        let sound = &heard.samples[from + 9_600..];
        whole[9_600..48_000].iter().zip(sound).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
    };
    // The fade's first samples may be 0.
    let off = (from - 4..=from).map(off).fold(f32::MAX, f32::min);
    assert!(off < 0.02, "{off}");
}

#[test]
fn dtx_pauses_are_silent() {
    let mut encoder = encoder(1, Application::Voip);
    encoder.set_dtx(true).unwrap();
    let mut samples = voice(300, 1);
    samples[100 * FRAME..200 * FRAME].fill(0.0);
    let packets = encode(&mut encoder, &samples, 1);
    // The first packet of a pause is sent, and nothing after it until there is sound again.
    let short = |number: usize| packets[number].len() <= 2;
    let is_sent: Vec<_> = (0..300).map(|number| !(short(number) && number > 0 && short(number - 1))).collect();
    let dropped = is_sent.iter().filter(|is_sent| !**is_sent).count();
    assert!(dropped > 60, "{dropped}");
    let mut sent = send(&packets, 0);
    let mut sequence = 0;
    for (sent, is_sent) in sent.iter_mut().zip(&is_sent) {
        sent.sequence = sequence;
        sequence = sequence.wrapping_add(u16::from(*is_sent));
    }
    let heard = hear(&mut buffer(), through(&sent, |number| is_sent[number].then_some(0.0)), 6);
    let Stats { concealed, lost, late, .. } = heard.last();
    assert_eq!((concealed, lost, late), (0, 0, 0));
    let silent = heard.frames[10..].iter().filter(|(kind, ..)| *kind == FrameKind::Silence).count();
    assert!(silent.abs_diff(dropped) <= 10, "{silent} {dropped}");
    assert!(steepest(&heard.samples[heard.start()..]) < 1.2 * steepest(&decode(&packets, 1)));
    assert_eq!(heard.share(5..6, FrameKind::Decoded), 1.0);
}

#[test]
fn clock_stopped_while_muted_adds_no_delay() {
    let packets = packets(300);
    let sent = send(&packets, 0);
    let late = |number: usize| Some(if number < 150 { 0.0 } else { 180_000.0 });
    let heard = hear(&mut buffer(), through(&sent, late), 185);
    assert!(heard.delays(1..185).all(|delay| delay <= 80), "{:?}", heard.delays(1..185).max());
    assert_eq!(heard.share(10..180, FrameKind::Silence), 1.0);
    assert_eq!(heard.share(184..185, FrameKind::Decoded), 1.0);
    assert_eq!((heard.last().lost, heard.last().target), (0, 35 * 48));
}

#[test]
fn restarted_sender_is_heard_at_once() {
    let packets = packets(600);
    let mut sent = send(&packets, 0);
    for (number, sent) in sent.iter_mut().enumerate().skip(200) {
        (sent.ssrc, sent.sequence, sent.timestamp) = (9, 5 + number as u16, 77 + (number * FRAME) as u32);
    }
    for sent in &mut sent[400..] {
        // The same SSRC, but everything else is new.
        (sent.sequence, sent.timestamp) = (sent.sequence.wrapping_add(20_000), sent.timestamp.wrapping_sub(1 << 30));
    }
    let heard = hear(&mut buffer(), through(&sent, |_| Some(0.0)), 11);
    let Stats { late, invalid, lost, .. } = heard.last();
    // One packet of the last restart is not accepted.
    assert_eq!((late, invalid, lost), (0, 1, 0));
    assert!(heard.share(1..11, FrameKind::Decoded) > 0.99, "{}", heard.share(1..11, FrameKind::Decoded));
    assert!(heard.frames.windows(2).all(|pair| pair[0].1 <= pair[1].1), "time goes on");
    assert!(heard.delays(1..11).all(|delay| delay <= 60), "{:?}", heard.delays(1..11).max());
}

#[test]
fn slightly_late_caller_loses_nothing() {
    let packets = packets(1_600);
    let sent = send(&packets, 0);
    let (mut buffer, start, mut random) = (buffer(), Instant::now(), Random(2));
    let at = |ms: f64| start + Duration::from_secs_f64(ms / 1e3);
    let mut arrivals = through(&sent, |_| Some(0.0)).into_iter().peekable();
    for frame in 0..1_500 {
        let now = f64::from(frame) * 20.0 + random.unit() * 12.0;
        while let Some((time, sent)) = arrivals.next_if(|(time, _)| *time <= now) {
            let Sent { ssrc, sequence, timestamp, marker, ref payload, .. } = *sent;
            buffer.receive(&Packet { ssrc, payload_type: OPUS, sequence, timestamp, marker, payload }, at(time));
        }
        buffer.next(at(now));
    }
    let Stats { concealed, shortened, lengthened, .. } = buffer.stats();
    assert_eq!((concealed, shortened, lengthened), (0, 0, 0));
}

#[test]
fn reorders_and_deduplicates_packets() {
    let packets = packets(700);
    let sent = send(&packets, 0);
    // Every third packet arrives after the next one.
    let mut arrivals = through(&sent, |number| Some(if number % 3 == 0 { 25.0 } else { 0.0 }));
    let again: Vec<_> = arrivals.iter().step_by(5).map(|(time, sent)| (time + 3.0, *sent)).collect();
    arrivals.extend(&again);
    let heard = hear(&mut buffer(), arrivals, 13);
    let Stats { lost, late, duplicates, .. } = heard.last();
    assert!(lost <= 1 && late <= 3 && (125..=140).contains(&duplicates), "{:?}", heard.last());
    assert_eq!(heard.concealed(1..13), 0.0);
}

#[test]
fn catches_up_after_a_halt() {
    let packets = packets(1_500);
    let sent = send(&packets, 0);
    // Nothing arrives for 400 ms, and then everything.
    let late = |number: usize| Some(if (500..520).contains(&number) { (520 - number) as f64 * 20.0 } else { 0.0 });
    let heard = hear(&mut buffer(), through(&sent, late), 29);
    let Stats { lost, late, shortened, .. } = heard.last();
    assert_eq!((lost, late), (0, 0));
    assert!(shortened > 300 * 48, "{shortened}");
    assert!(heard.delays(14..29).all(|delay| delay <= 60), "{:?}", heard.delays(14..29).max());
}

#[test]
fn bounds_backlog_of_idle_caller() {
    let packets = packets(1_500);
    let sent = send(&packets, 2);
    let (mut buffer, start) = (buffer(), Instant::now());
    for (number, sent) in sent.iter().enumerate() {
        let Sent { ssrc, sequence, timestamp, marker, ref payload, .. } = *sent;
        let packet = Packet { ssrc, payload_type: RED, sequence, timestamp, marker, payload };
        buffer.receive(&packet, start + Duration::from_millis(number as u64 * 20));
    }
    assert!(buffer.bytes() < 120 << 10, "{}", buffer.bytes());
    let mut asked = 0..;
    let mut next =
        || buffer.next(start + Duration::from_secs(30) + Duration::from_millis(asked.next().unwrap() * 20)).time;
    assert!(next() > 25 * 48_000);
}

#[test]
fn hostile_packets_are_borne_within_bounds() {
    let voice = packets(50);
    let (start, mut random) = (Instant::now(), Random(5));
    for (channels, round) in [(1, 0), (2, 1), (1, 2), (2, 3)] {
        let mut buffer = JitterBuffer::new(Format { channels, ..FORMAT }).unwrap();
        for number in 0..20_000_u64 {
            let mut payload = voice[(random.next() % 50) as usize].clone();
            payload.truncate(random.next() as usize % (payload.len() + 2));
            for _ in 0..random.next() % 3 {
                let at = random.next() as usize % payload.len().max(1);
                payload.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.next() as u8);
            }
            let wild = random.next() % 8 < round;
            let packet = Packet {
                ssrc: (random.next() % 50 == 0).into(),
                payload_type: if random.next() % 2 == 0 { OPUS } else { RED },
                sequence: if wild { random.next() as u16 } else { (number + random.next() % 4) as u16 },
                timestamp: if wild { random.next() as u32 } else { (number * 960 + random.next() % 2_000) as u32 },
                marker: random.next() % 9 == 0,
                payload: &payload,
            };
            buffer.receive(&packet, start + Duration::from_millis(number * 20 + random.next() % 200));
            if random.next() % 16 != 0 {
                let frame = buffer.next(start + Duration::from_millis(number * 20));
                assert_eq!(frame.samples.len(), FRAME * channels);
                let loudest = frame.samples.iter().fold(0.0_f32, |loudest, sample| {
                    if sample.is_nan() { f32::NAN } else { loudest.max(sample.abs()) }
                });
                assert!(loudest <= LOUDEST, "{loudest}");
            }
            assert!(buffer.bytes() < 260 << 10, "{}", buffer.bytes());
        }
    }
}

#[test]
#[ignore = "measures"]
fn figures() {
    let packets = packets(3_100);
    println!("loss  copies  jitter  missing  delay ms  kB  µs a second of sound");
    for (loss, copies, jitter) in [0.0, 0.05, 0.1, 0.15]
        .into_iter()
        .flat_map(|loss| [0, 1, 2].map(|copies| (loss, copies)))
        .flat_map(|(loss, copies)| [0.0, 40.0, 80.0].map(|jitter| (loss, copies, jitter)))
    {
        let sent = send(&packets, copies);
        let (mut heard, mut least, mut kb) = (Heard::default(), f64::MAX, 0.0);
        for _ in 0..5 {
            let (mut buffer, start) = (buffer(), Instant::now());
            heard = hear(&mut buffer, through(&sent, chance(7, loss, jitter)), 62);
            (least, kb) = (least.min(start.elapsed().as_secs_f64()), buffer.bytes() as f64 / 1e3);
        }
        let (delay, took) = (heard.delays(5..62).sum::<u64>() as f64 / (57.0 * 50.0), least / 62.0 * 1e6);
        let missing = heard.concealed(5..62) / 57.0 * 100.0;
        println!("{loss:4}  {copies:6}  {jitter:6}  {missing:6.2}%  {delay:8.1}  {kb:.0}  {took:.0}");
    }
    let alone = (0..5).map(|_| {
        let start = Instant::now();
        decode(&packets, 1);
        start.elapsed().as_secs_f64() / 62.0 * 1e6
    });
    println!("libopus alone: {:.0} µs a second of sound", alone.fold(f64::MAX, f64::min));
    let (mut buffer, start) = (buffer(), Instant::now());
    (0..300_000_u32).for_each(|frame| _ = buffer.next(start + crate::audio::FRAME_TIME * frame).kind);
    println!("nobody speaks: {:.1} µs a second", start.elapsed().as_secs_f64() / 6_000.0 * 1e6);
}
