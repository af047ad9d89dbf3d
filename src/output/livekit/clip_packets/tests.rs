use std::sync::mpsc;
use std::time::Duration;

use opus::{Channels, Decoder};

use super::super::encoder::SILENT_PACKET;
use super::super::track::Track;
use super::*;
use crate::audio::SAMPLE_RATE;
use crate::mixer::{Duck, Mixer, MixerEventKind, Role, Routing, Scratch, TrackVolume, Voice};
use crate::runtime::DECODERS;
use crate::source::{Clips, FetchLimits, MemoryFile, Opening, Origin, Section, Source, make_clip, open};

const ENCODING: Encoding = Encoding { bitrate: 64_000, complexity: 5, dtx: false, red: false };

/// A reproducible random choice.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn sample(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

#[derive(Debug, Clone, Copy)]
enum Sound {
    /// Chords that restart five times a second.
    Music,
    /// Pulses behind a slow swell, with pauses.
    Speech,
    Noise,
    /// More than full scale.
    Loud,
}

fn sound(sound: Sound, length: usize, channels: usize) -> Vec<f32> {
    let mut random = Random(length as u64);
    let mut low = 0.0;
    let mut one = |n: usize, side: usize| {
        let (noise, time) = (random.sample(), n as f32 / SAMPLE_RATE as f32);
        let wave = |hertz: f32| (time * hertz * std::f32::consts::TAU).sin();
        match sound {
            Sound::Music => {
                let key = 220.0 + 55.0 * (n / 9_600 % 4) as f32 + side as f32;
                let decay = (-((n % 9_600) as f32) / 4_000.0).exp();
                0.3 * decay * (wave(key) + 0.5 * wave(key * 1.5) + 0.3 * wave(key * 4.02)) + 0.002 * noise
            }
            Sound::Speech => {
                let swell = (wave(3.1) + 0.2).max(0.0);
                low += 0.2 * (if n % 380 < 12 { 1.0 } else { 0.1 * noise } - low);
                swell * 0.6 * low
            }
            Sound::Noise => 0.3 * noise,
            Sound::Loud => 1.4 * wave(440.0),
        }
    };
    (0..length * channels).map(|index| one(index / channels, index % channels)).collect()
}

/// Returns a clip of these samples.
fn clips(samples: &[f32], channels: usize) -> Arc<Clips> {
    let (bytes, channels) = (samples.len() as u32 * 4, channels as u16);
    let frame = u32::from(channels) * 4;
    let mut wav = [b"RIFF".as_slice(), &(36 + bytes).to_le_bytes(), b"WAVEfmt \x10\0\0\0\x03\0"].concat();
    wav.extend(channels.to_le_bytes());
    wav.extend([SAMPLE_RATE, SAMPLE_RATE * frame].map(u32::to_le_bytes).concat());
    wav.extend([frame as u16, 32].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    let (sender, made) = mpsc::channel();
    let source = Source::new(Origin::Bytes(MemoryFile::of(&wav)), None, Section::default());
    let _making = make_clip(&DECODERS, source, 0, FetchLimits::default(), move |made| sender.send(made).unwrap());
    Arc::new(made.recv_timeout(Duration::from_secs(20)).unwrap().unwrap())
}

fn voice(id: u64, track: u32, clips: &Arc<Clips>, channels: usize) -> Voice {
    let opening = Opening::Source(Source::new(Origin::Clip(clips.clone()), None, Section::default()));
    Voice::new(id.into(), track, open(&DECODERS, opening, channels, 0, FetchLimits::default(), Arc::default()))
}

/// The frames of a session, and its track 0 as encoded by two tracks.
struct Desk {
    channels: usize,
    mixer: Mixer,
    scratch: Scratch,
    voices: Vec<Voice>,
    /// A track that uses the cache, and one that encodes by itself.
    tracks: [Track; 2],
    muted: bool,
    ear: Ear,
    /// The number of frames that were parts of a clip.
    parts: usize,
}

impl Desk {
    fn new(channels: usize, encoding: Encoding) -> Self {
        let duck = Duck { level: 0.3, attack: 2_400, release: 4_800 };
        Self {
            channels,
            mixer: Mixer::new(channels, Routing::PerTrack, Some(duck)),
            scratch: Scratch::default(),
            voices: Vec::new(),
            tracks: [true, false].map(|once| Track::new(0, channels, encoding, once)),
            muted: false,
            ear: Ear::new(channels),
            parts: 0,
        }
    }

    fn start(&mut self, mut voice: Voice) {
        self.mixer.start(&mut voice, &mut self.voices);
        self.voices.push(voice);
    }

    fn voice(&mut self, id: u64) -> Option<&mut Voice> {
        self.voices.iter_mut().find(|voice| voice.id == id.into())
    }

    fn frame(&mut self) {
        let mut events = Vec::new();
        self.mixer.begin(FRAME, &mut self.scratch);
        while self.mixer.mix(&mut self.voices, &mut self.scratch, &mut events) {
            for event in events.drain(..).filter(|event| matches!(event.kind, MixerEventKind::Ended(_))) {
                self.voices.retain(|voice| voice.id != event.id);
            }
        }
        self.mixer.finish(&mut self.scratch);
        for frame in self.scratch.frames().filter(|frame| frame.stream == 0) {
            if let Some(part) = frame.part {
                self.parts += 1;
                assert_eq!(samples_of(part, self.channels), frame.samples);
            }
            let [shared, live] = &mut self.tracks;
            let [shared, live] = [shared, live].map(|track| track.encode(&frame, self.muted).unwrap());
            let reported =
                [&shared, &live].map(|packet| packet.as_ref().map(|packet| (&packet.data, packet.level, packet.first)));
            assert_eq!(reported[0], reported[1]);
            if !self.muted {
                self.ear.hear(shared.as_ref().map(|packet| &*packet.data));
            }
        }
        self.scratch.release_clips();
    }

    fn frames(&mut self, count: usize) {
        (0..count).for_each(|_| self.frame());
    }

    fn shared(&self) -> u64 {
        self.tracks[0].shared()
    }
}

fn samples_of(part: Part, channels: usize) -> Vec<f32> {
    let times = channels / part.clip.channels();
    let rest = part.clip.samples().get(part.place as usize * part.clip.channels()..).unwrap_or_default();
    let sides = rest.iter().flat_map(|sample| std::iter::repeat_n(sample * part.gain, times));
    sides.chain(std::iter::repeat(0.0)).take(FRAME * channels).collect()
}

/// A receiver that has heard everything, beside one that has heard nothing before the last silence.
struct Ear {
    channels: usize,
    decoders: [Decoder; 2],
    silent: bool,
    /// For each frame, the power that was heard and that of the difference.
    powers: Vec<(f32, f32)>,
}

impl Ear {
    fn new(channels: usize) -> Self {
        Self { channels, decoders: [(); 2].map(|()| fresh(channels)), silent: true, powers: Vec::new() }
    }

    fn hear(&mut self, packet: Option<&[u8]>) {
        let Some(packet) = packet else { return };
        if packet == SILENT_PACKET {
            self.silent = true;
        } else if std::mem::take(&mut self.silent) {
            self.decoders[1] = fresh(self.channels);
        }
        let heard = self.decoders.each_mut().map(|decoder| {
            let mut samples = [0.0; 2 * FRAME];
            assert_eq!(decoder.decode_float(packet, &mut samples[..self.channels * FRAME], false).unwrap(), FRAME);
            samples
        });
        let power = |samples: &mut dyn Iterator<Item = f32>| samples.map(|sample| sample * sample).sum::<f32>();
        let all = power(&mut heard[0].into_iter());
        self.powers.push((all, power(&mut heard[0].iter().zip(&heard[1]).map(|(one, other)| one - other))));
    }

    /// Returns the largest difference, in dB relative to the loudest frame nearby.
    fn difference(&self) -> f32 {
        let around = |index: usize| &self.powers[index.saturating_sub(5)..(index + 6).min(self.powers.len())];
        let loudest = |index| around(index).iter().map(|(power, _)| *power).fold(1e-4, f32::max);
        let each = self.powers.iter().enumerate().map(|(index, (_, difference))| difference / loudest(index));
        10.0 * each.fold(0.0, f32::max).log10()
    }
}

/// Returns a decoder that has heard nothing but silence.
fn fresh(channels: usize) -> Decoder {
    let mut decoder = Decoder::new(SAMPLE_RATE, if channels == 2 { Channels::Stereo } else { Channels::Mono }).unwrap();
    for _ in 0..3 {
        let _ = decoder.decode_float(SILENT_PACKET, &mut [0.0; 2 * FRAME], false).unwrap();
    }
    decoder
}

#[test]
fn shared_packets_equal_own_encoding() {
    let sounds = [Sound::Music, Sound::Speech, Sound::Noise, Sound::Loud];
    let library: Vec<_> = (0..16)
        .map(|index| {
            let channels = 1 + index / 4 % 2;
            clips(&sound(sounds[index % 4], 1_000 + 3_391 * index / 2, channels), channels)
        })
        .collect();
    let (mut shared, mut backs, mut parts) = (0, 0, 0);
    for seed in 0..1_000 {
        let mut random = Random(seed);
        let channels = 1 + random.below(4) / 3;
        let encoding = match random.below(10) {
            0 => Encoding { bitrate: 12_000, ..ENCODING },
            1 => Encoding { dtx: true, ..ENCODING },
            _ => ENCODING,
        };
        let mut desk = Desk::new(channels, encoding);
        if random.below(2) == 0 {
            // Another sound first.
            desk.start(voice(
                0,
                0,
                &random.of(&[&library[0], &library[1], &library[2], &library[4]]).clone(),
                channels,
            ));
            let length = 4 + random.below(25);
            desk.frames(length);
            desk.voice(0).into_iter().for_each(|voice| voice.stop(240));
            let length = random.of(&[0, 3, 7, 9, 12]);
            desk.frames(length);
        }
        let before = desk.shared();
        let mut clip = voice(1, 0, &library[random.below(16)], channels);
        clip.gain = random.of(&[1.0, 1.0, 0.5]);
        // The track's volume, from the first sample on.
        let volume = random.of(&[1.0, 1.0, 0.5, 0.0]);
        desk.mixer.set_volume(0, TrackVolume { volume: Some(volume), gain: None, fade: 0 });
        desk.start(clip);
        let length = random.below(25);
        desk.frames(length);
        let is_shared = desk.shared() > before && desk.voice(1).is_some();
        let other = &library[random.below(4)];
        let what = random.below(12);
        match what {
            0 => desk.voice(1).into_iter().for_each(|voice| voice.stop(2_000)),
            1 => desk.start(voice(2, 0, other, channels)),
            2 => desk.voice(1).into_iter().for_each(|voice| voice.set_volume(0.7, 700)),
            3 => desk.voice(1).into_iter().for_each(Voice::pause),
            4 => desk.muted = true,
            // On another track: it ducks this one, or splits its frames.
            5 | 6 => {
                let mut voice = voice(2, 1, other, channels);
                voice.role = if what == 5 { Role::System } else { Role::Media };
                desk.start(voice);
            }
            7 => desk.tracks.iter_mut().for_each(Track::reset),
            // The track is turned down at once, slowly, or up.
            8 => desk.mixer.set_volume(0, TrackVolume { volume: Some(0.5), gain: None, fade: 0 }),
            9 => desk.mixer.set_volume(0, TrackVolume { volume: Some(0.3), gain: Some(2.0), fade: 3_000 }),
            _ => {}
        }
        backs += usize::from(is_shared && [0, 1, 2, 3, 5, 8, 9].contains(&what));
        let length = random.below(20);
        desk.frames(length);
        desk.muted = false;
        desk.voice(1).into_iter().for_each(Voice::resume);
        desk.frames(20);
        (shared, parts) = (shared + desk.shared(), parts + desk.parts);
        let difference = desk.ear.difference();
        assert!(difference < -40.0 || what == 4 || what == 7, "case {seed}: {difference} dB");
    }
    assert!(
        shared > 10_000 && backs > 200 && parts > 10_000,
        "{shared} packets shared, {backs} ways back, {parts} parts"
    );
}

/// Reads a clip that plays alone with silence after it, as a track does. Returns its packets and how many were shared.
fn read(all: &'static ClipPackets, clip: &Arc<Clip>, channels: usize, gain: f32) -> (Vec<(Vec<u8>, i8)>, usize) {
    let mut encoder = Encoder::after_silence(channels, ENCODING).unwrap();
    let (mut reader, mut shared) = (None, 0);
    let frames = (clip.length() as usize).div_ceil(FRAME);
    let packets = (0..frames + 3).map(|index| {
        let part = Part { clip, place: (index * FRAME) as Samples, gain };
        let samples = samples_of(part, channels);
        let part = (index < frames).then_some(part);
        let frame = Frame { stream: 0, at: 0, samples: &samples, sounding: part.is_some(), part };
        if index == 0 {
            reader = all.begin(&frame, channels, ENCODING, 3).unwrap();
        }
        if let Some(gone) = reader.take_if(|reader| !reader.goes_on(&frame).unwrap()) {
            encoder = gone.into_encoder().unwrap();
        }
        if let Some(reader) = &mut reader {
            shared += 1;
            let (data, level) = reader.next();
            return (data.unwrap().to_vec(), level);
        }
        (encoder.encode(&samples).unwrap().unwrap().to_vec(), level(&samples))
    });
    (packets.collect(), shared)
}

fn bytes(all: &ClipPackets) -> usize {
    all.bytes.load(Ordering::Relaxed)
}

fn noise(id: u64, frames: usize, channels: usize) -> Arc<Clip> {
    Arc::new(Clip::new(id, channels, sound(Sound::Noise, frames * FRAME - 7, channels).into()))
}

#[test]
fn packets_are_dropped_with_their_clip() {
    static ALL: ClipPackets = ClipPackets::new(MAX_BYTES);
    let [one, other] = [1, 2].map(|id| noise(id, 30, 1));
    read(&ALL, &one, 1, 1.0);
    let first = bytes(&ALL);
    assert!(first > 0);
    read(&ALL, &one, 1, 1.0);
    assert_eq!(bytes(&ALL), first, "nothing is made twice");
    read(&ALL, &one, 2, 1.0);
    read(&ALL, &one, 1, 0.5);
    read(&ALL, &other, 1, 1.0);
    assert_eq!(ALL.known.read().len(), 4);
    drop(one);
    assert_eq!((ALL.known.read().len(), bytes(&ALL)), (1, first));
    drop(other);
    assert_eq!((ALL.known.read().len(), bytes(&ALL)), (0, 0));
}

#[test]
fn evicts_unused_clips_when_full() {
    static NONE: ClipPackets = ClipPackets::new(0);
    static ALL: ClipPackets = ClipPackets::new(150_000);
    let clips = [1, 2, 3].map(|id| noise(id, 100, 1));
    let truth = clips.each_ref().map(|clip| read(&NONE, &noise(clip.id() + 10, 100, 1), 1, 1.0));
    for (clip, truth) in clips.iter().zip(&truth) {
        let (packets, shared) = read(&ALL, clip, 1, 1.0);
        assert!(packets == truth.0);
        assert!((20..80).contains(&shared), "{shared}");
        assert!(bytes(&ALL) < 200_000, "{}", bytes(&ALL));
    }
}

#[test]
fn concurrent_readers_get_equal_packets() {
    static ALL: ClipPackets = ClipPackets::new(MAX_BYTES);
    for id in 1..=20 {
        let clip = noise(id, 40, 2);
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| read(&ALL, &clip, 2, 0.7).0)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    }
    assert_eq!(bytes(&ALL), 0);
}

/// Not a test: `cargo test --release --lib cost_of_a_frame -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn cost_of_a_frame() {
    let clip = Arc::new(Clip::new(u64::MAX, 1, sound(Sound::Music, 500 * FRAME, 1).into()));
    let samples: Vec<_> =
        (0..500).map(|index| samples_of(Part { clip: &clip, place: index * FRAME as Samples, gain: 1.0 }, 1)).collect();
    let cost = |once: bool| {
        let mut track = Track::new(0, 1, ENCODING, once);
        let start = std::time::Instant::now();
        for (index, samples) in samples.iter().enumerate() {
            let part = Some(Part { clip: &clip, place: (index * FRAME) as Samples, gain: 1.0 });
            track.encode(&Frame { stream: 0, at: 0, samples, sounding: true, part }, false).unwrap();
        }
        start.elapsed().as_secs_f64() * 1e6 / 500.0
    };
    cost(true);
    let rounds: Vec<_> = (0..9).map(|_| (cost(false), cost(true))).collect();
    let least = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).fold(f64::MAX, f64::min);
    println!("µs a frame: live {:.2}, shared {:.3}", least(|round| round.0), least(|round| round.1));
}
