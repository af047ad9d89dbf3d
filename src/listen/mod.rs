//! An ear: RTP packets of a voice go in as they come, and frames of 48 kHz come out as they are asked for.
//!
//! ```text
//! receive → order (numbers, times, restarts) → red → held ─┐
//!              └→ delay (how late packets are)             ├→ decoder → stretch → next
//!                                                          └ what is missing: a copy, in-band FEC, concealment, silence
//! ```
//!
//! Pure logic: it is told the time, and has neither a clock nor a thread nor a socket.
//!
//! Sound is heard a delay after it was said that covers how late packets are ([`delay`]). Where the delay has to change, sound is
//! shortened or lengthened by its own periods ([`stretch`]), or a silence by any length. A packet that is missing while a later one
//! is there is made up; if none is there, the last sound goes on for a while and what comes then is still heard. What a sender does
//! not send, by DTX or as it is mute, is silence and no loss.
//!
//! Written here, for no kept crate does it. `neteq` 0.9.1, the nearest, reads the clock itself wherever it needs the time (no test
//! could run ahead of it, and an arrival's time is not looked at), takes the next packet for the one that was lost, so that time
//! is lost with it, knows neither a decoder's concealment nor FEC nor copies, and measures times that wrap wrongly.

mod decoder;
mod delay;
mod held;
mod order;
mod red;
mod stretch;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use decoder::{Decoder, STEP};
use delay::{Delay, MS};
use held::Held;
use order::{Order, Unplaced};

use crate::audio::{EDGE_FADE, FRAME, LOUDEST, SAMPLE_RATE, Samples};
use crate::error::Result;

/// No datagram has a longer payload.
const MAX_PAYLOAD: usize = 2_000;

/// Sound goes on over what is missing for so long, and then it is silent.
const MAX_CONCEALED: usize = 5 * FRAME;

/// What the delay may be off its target without being mended: later, and earlier.
const LATER: i64 = 15 * MS;
const EARLIER: i64 = 5 * MS;

/// Off by so much more, even what has no period is cut: within it the more alike two periods have to be the less it is.
const HASTE: i64 = 40 * MS;
const ALIKE: f32 = 0.9;

/// In how many frames sound is cut once; in each while it is off by more than [`HASTE`].
const REST: u32 = 3;

/// How an ear listens.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// The payload type of Opus.
    pub opus: u8,
    /// The payload type of redundant audio (RFC 2198), where it was agreed on.
    pub red: Option<u8>,
    /// 1 or 2, whatever is sent.
    pub channels: usize,
}

/// What of an RTP packet matters here.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Who sends.
    pub ssrc: u32,
    /// Says whether it is Opus or redundant audio; others are not listened to.
    pub payload_type: u8,
    /// Its number.
    pub sequence: u16,
    /// When it was said, on the sender's clock of 48 kHz.
    pub timestamp: u32,
    /// What was not sent before it is silence (RFC 7587 §4.1).
    pub marker: bool,
    /// Without header, extensions and padding.
    pub payload: &'a [u8],
}

/// What most of a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// What was said, also if it came as a copy or by in-band FEC.
    Heard,
    /// Made up for what was lost or is late.
    Concealed,
    /// Nothing is said, or nothing has come for 100 ms.
    Silence,
}

/// 20 ms of sound.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Interleaved, at most ±1,000.
    pub samples: &'a [f32],
    /// When the first sample was said, in samples since the first packet was. It goes on with the clock in silence, and goes back
    /// if something comes that was waited for in vain.
    pub time: Samples,
    /// What most of it is.
    pub what: What,
}

/// What an ear has come to. Lengths are in samples.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Stats {
    /// Packets that came, each counted once.
    pub received: u64,
    /// Packets that have not come so far.
    pub lost: u64,
    /// Packets that came when it was too late to hear them.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that are none, are of no known type, or belong nowhere.
    pub invalid: u64,
    /// Packets that were heard from a copy in another.
    pub copies: u64,
    /// Packets that were heard from another's in-band FEC.
    pub repeated: u64,
    /// How much was made up.
    pub concealed: Samples,
    /// How much was cut out, to be heard earlier.
    pub shortened: Samples,
    /// How much was put in, to be heard later.
    pub lengthened: Samples,
    /// How much later the last sound was heard than if it had been heard as it came, by a packet that nothing held up.
    pub delay: Samples,
    /// What the delay is to be.
    pub target: Samples,
    /// Jitter between arrivals (RFC 3550 §6.4.1).
    pub jitter: f64,
}

impl Stats {
    /// What both have come to, `later` behind this one: its delays are the ones that count.
    pub fn and(&self, later: &Self) -> Self {
        Self {
            received: self.received + later.received,
            lost: self.lost + later.lost,
            late: self.late + later.late,
            duplicates: self.duplicates + later.duplicates,
            invalid: self.invalid + later.invalid,
            copies: self.copies + later.copies,
            repeated: self.repeated + later.repeated,
            concealed: self.concealed + later.concealed,
            shortened: self.shortened + later.shortened,
            lengthened: self.lengthened + later.lengthened,
            ..*later
        }
    }
}

/// What the end of what is decoded is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Sound,
    /// Made up for so long.
    Concealed(usize),
    /// Behind it sound begins as it is, or with a fade if it is cut out of what was lost.
    Silence {
        fade: bool,
    },
}

/// A decoder makes anything of a packet that is made for it.
fn bounded(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}

/// Listens to one track of one participant. Takes 31 to 39 kB for a voice in packets of 20 ms, some more the later they are, and
/// at most 260 KiB whatever comes; [`Self::next`] takes what libopus takes and some hundredths more.
pub struct Ear {
    format: Format,
    order: Order,
    delay: Delay,
    held: Held,
    decoder: Decoder,
    /// The clock's zero, and the first packet's time.
    epoch: Option<Instant>,
    origin: Option<i64>,
    /// What is decoded and not yet asked for, interleaved, and what it is, in samples a channel.
    sound: Vec<f32>,
    runs: VecDeque<(What, usize)>,
    tail: Tail,
    /// Up to here all is decoded or given up.
    head: i64,
    /// How much was put behind `head` while nothing was there to go on with.
    waited: usize,
    /// The number of the last packet that was decoded, and whether it said that silence follows.
    number: i64,
    hushed: bool,
    /// The delay over some frames, since a caller is not always in time.
    level: Option<f64>,
    /// Frames until sound may be cut again.
    rest: u32,
    frame: Vec<f32>,
    stats: Stats,
}

impl Ear {
    /// Fails if the channels are neither 1 nor 2.
    pub fn new(format: Format) -> Result<Self> {
        Ok(Self {
            decoder: Decoder::new(format.channels)?,
            format,
            order: Order::default(),
            delay: Delay::new(),
            held: Held::default(),
            epoch: None,
            origin: None,
            sound: Vec::new(),
            runs: VecDeque::new(),
            tail: Tail::Silence { fade: false },
            head: 0,
            waited: 0,
            number: 0,
            hushed: false,
            level: None,
            rest: 0,
            frame: vec![0.0; FRAME * format.channels],
            stats: Stats::default(),
        })
    }

    /// A packet has come. In whatever order packets come, `arrival` does not go back.
    pub fn receive(&mut self, packet: &Packet, arrival: Instant) {
        let is_red = self.format.red == Some(packet.payload_type);
        if packet.payload.len() > MAX_PAYLOAD || !(is_red || packet.payload_type == self.format.opus) {
            self.stats.invalid += 1;
            return;
        }
        let arrival = self.since_epoch(arrival);
        let ids = (packet.ssrc, packet.sequence, packet.timestamp);
        let place = match self.order.place(ids, arrival, self.delay.base()) {
            Ok(place) => place,
            Err(Unplaced::Duplicate) => return self.stats.duplicates += 1,
            Err(Unplaced::Stray) => return self.stats.invalid += 1,
        };
        if place.is_fresh {
            self.delay.jumped();
        }
        self.delay.arrived(place.time, arrival);
        if self.origin.is_none() {
            self.origin = Some(place.time);
            (self.head, self.waited) = (place.time - self.delay.target(), 0);
        }
        let held = |data: &[u8]| held::Packet {
            time: place.time,
            length: 0,
            number: place.number,
            is_copy: false,
            begins: packet.marker || place.is_fresh,
            is_fresh: place.is_fresh,
            data: data.into(),
        };
        if !is_red {
            return self.hold(held(packet.payload), arrival);
        }
        let Some(blocks) = red::unpack(packet.payload) else { return self.stats.invalid += 1 };
        let behind = blocks.clone().count() as i64;
        for (block, behind) in blocks.zip((0..behind).rev()) {
            if block.payload_type != self.format.opus {
                continue;
            }
            if behind == 0 {
                self.hold(held(block.data), arrival);
                continue;
            }
            let (number, time) = (place.number - behind, place.time - i64::from(block.earlier));
            if !block.data.is_empty() && !place.is_fresh && !self.order.is_known(number) {
                self.order.note_repeated(number);
                self.delay.came_for(time, arrival);
                let copy = held::Packet { time, number, is_copy: true, begins: false, ..held(block.data) };
                self.hold(copy, arrival);
            }
        }
    }

    /// Keeps a packet until its time, if that is still to come.
    fn hold(&mut self, mut packet: held::Packet, arrival: i64) {
        let Some(length) = decoder::length(&packet.data) else {
            // Nothing at all is what a sender probes the network with.
            return self.stats.invalid += u64::from(!packet.data.is_empty());
        };
        packet.length = length;
        if let Some(before) = decoder::repeats(&packet.data)
            && !packet.is_copy
            && !self.order.is_known(packet.number - 1)
        {
            self.delay.came_for(packet.time - before as i64, arrival);
        }
        if packet.end() <= self.head {
            return self.stats.late += u64::from(!packet.is_copy);
        }
        if let Some(end) = self.held.insert(packet) {
            // Nobody has asked for a second and more: what is too much is as if it had never been sent.
            if !matches!(self.tail, Tail::Silence { .. }) {
                self.fall_silent(true);
            }
            self.head = self.head.max(end);
        }
    }

    /// The next 20 ms, which are asked for at `now`: every 20 ms by the caller's clock, on the average and at most some milliseconds
    /// late. Packets that have come before `now` are to be received first.
    pub fn next(&mut self, now: Instant) -> Frame<'_> {
        let now = self.since_epoch(now);
        self.fill(now);
        self.adapt(now);
        let time = self.head + self.waited as i64 - self.len() as i64 - self.origin.unwrap_or(i64::MAX);
        let what = self.pass(FRAME);
        let length = self.frame.len();
        self.frame.iter_mut().zip(&self.sound).for_each(|(sample, decoded)| *sample = bounded(*decoded));
        self.sound.drain(..length);
        Frame { samples: &self.frame, time: Samples::try_from(time).unwrap_or_default(), what }
    }

    /// Returns true if [`Self::next`] gives nothing but silence until a packet comes: it need not be asked meanwhile.
    pub fn is_at_rest(&self) -> bool {
        let is_silent = self.runs.iter().all(|(what, _)| *what == What::Silence);
        is_silent && matches!(self.tail, Tail::Silence { .. }) && self.held.first().is_none()
    }

    /// What it has come to so far.
    pub fn stats(&self) -> Stats {
        Stats {
            received: self.order.received(),
            lost: self.order.lost(),
            target: self.delay.target() as Samples,
            jitter: self.delay.jitter(),
            ..self.stats
        }
    }

    /// How much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.decoder.bytes()
            + self.held.bytes()
            + size_of::<f32>() * (self.sound.capacity() + self.frame.capacity())
            + self.runs.capacity() * size_of::<(What, usize)>()
    }

    /// Samples since the first time that it was told, which may be later than a packet's.
    fn since_epoch(&mut self, time: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(time);
        let samples = |from: Instant, to: Instant| {
            (to.saturating_duration_since(from).as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000) as i64
        };
        samples(epoch, time) - samples(time, epoch)
    }

    /// Samples a channel that are decoded.
    fn len(&self) -> usize {
        self.sound.len() / self.format.channels
    }

    /// Sees to a whole frame of sound.
    fn fill(&mut self, now: i64) {
        while self.len() < FRAME {
            while self.held.first().is_some_and(|first| first.end() <= self.head) {
                self.held.pop();
            }
            match self.held.first() {
                Some(first) => {
                    let (time, follows) = (first.time, first.begins || first.number == self.number + 1 || self.hushed);
                    let fec = decoder::repeats(&first.data).unwrap_or_default();
                    self.go_on(now, time, first.is_fresh, follows, fec);
                }
                None => self.wait(FRAME - self.len()),
            }
        }
    }

    /// Does the next thing on the way to a packet of this `time`. `follows` if nothing was lost before it, `fec` is the length of
    /// what it repeats.
    fn go_on(&mut self, now: i64, time: i64, is_fresh: bool, follows: bool, fec: usize) {
        let gap = time - self.head;
        if matches!(self.tail, Tail::Silence { .. }) {
            // A silence can have any length: sound begins behind it when it is to.
            let left = gap - self.waited as i64;
            let wait = self.delay.base() + time + self.delay.target() - now - self.len() as i64;
            let wait = if !is_fresh && (wait - left).abs() <= EARLIER { left } else { wait };
            match usize::try_from(wait) {
                Ok(wait @ 1..) => self.be_silent(wait.min(FRAME - self.len())),
                _ => self.decode(),
            }
        } else if gap <= 0 {
            self.decode();
        } else if self.waited > 0 && !follows {
            // What was made up meanwhile stands for what was lost, as far as that reaches.
            self.head += gap.min(self.waited as i64);
            self.waited = 0;
        } else if follows && gap < EDGE_FADE as i64 && self.waited == 0 {
            self.decode();
        } else if follows || self.concealed() >= MAX_CONCEALED {
            self.fall_silent(!follows);
        } else if gap as usize == fec {
            self.decode_repeated(fec);
        } else {
            let length = if gap as usize > fec { gap as usize - fec } else { gap as usize };
            let length = self.conceal(length.min(FRAME));
            self.head += length as i64;
        }
    }

    /// There is nothing to go on with.
    fn wait(&mut self, length: usize) {
        if matches!(self.tail, Tail::Silence { .. }) {
            self.be_silent(length);
        } else if self.hushed || self.concealed() >= MAX_CONCEALED {
            self.fall_silent(!self.hushed);
        } else {
            self.waited += self.conceal(length);
        }
    }

    fn concealed(&self) -> usize {
        match self.tail {
            Tail::Concealed(length) => length,
            _ => 0,
        }
    }

    /// Decodes the first packet, as far as it was not given up.
    fn decode(&mut self) {
        let Some(packet) = self.held.pop() else { return };
        if packet.is_fresh {
            self.decoder.reset();
        }
        let hushed = decoder::is_silence(&packet.data);
        (self.number, self.hushed) = (self.number.max(packet.number), hushed);
        if hushed && matches!(self.tail, Tail::Silence { .. }) {
            // What goes on in a silence is no sound, not even the decoder's noise.
            self.be_silent(packet.length);
            (self.head, self.waited) = (packet.end(), 0);
            return;
        }
        let (from, channels) = (self.sound.len(), self.format.channels);
        self.sound.resize(from + packet.length * channels, 0.0);
        let decoded = self.decoder.decode(&packet.data, &mut self.sound[from..]);
        self.sound.truncate(from + decoded.unwrap_or_default() * channels);
        if decoded.is_none() {
            self.stats.invalid += 1;
            let length = self.conceal(packet.length);
            self.head = self.head.max(packet.time) + length as i64;
            self.waited = 0;
            return;
        }
        self.stats.copies += u64::from(packet.is_copy);
        let over = match self.tail {
            Tail::Silence { .. } => 0,
            _ => usize::try_from(self.head - packet.time).unwrap_or_default().min(packet.length),
        };
        self.sound.drain(from..from + over * channels);
        if self.tail == (Tail::Silence { fade: true }) && !packet.is_fresh {
            let fade = self.sound[from..].iter_mut().take(EDGE_FADE * channels).enumerate();
            fade.for_each(|(index, sample)| *sample *= (index / channels) as f32 / EDGE_FADE as f32);
        }
        self.note(What::Heard, packet.length - over);
        self.tail = Tail::Sound;
        (self.head, self.waited) = (self.head.max(packet.end()), 0);
    }

    /// Decodes what the first packet repeats of the one before it.
    fn decode_repeated(&mut self, length: usize) {
        let Some(packet) = self.held.first() else { return };
        let from = self.sound.len();
        self.sound.resize(from + length * self.format.channels, 0.0);
        match self.decoder.decode_repeated(&packet.data, &mut self.sound[from..]) {
            Some(decoded) if decoded == length => {
                self.note(What::Heard, length);
                self.tail = Tail::Sound;
                self.stats.repeated += 1;
            }
            _ => {
                self.sound.truncate(from);
                self.conceal(length);
            }
        }
        self.head += length as i64;
    }

    /// Makes up so much, or a little more; returns how much.
    fn conceal(&mut self, length: usize) -> usize {
        let length = length.next_multiple_of(STEP);
        let from = self.sound.len();
        self.sound.resize(from + length * self.format.channels, 0.0);
        // What is not made up is silent.
        let _ = self.decoder.conceal(&mut self.sound[from..]);
        self.note(What::Concealed, length);
        self.stats.concealed += length as Samples;
        self.tail = Tail::Concealed(self.concealed() + length);
        length
    }

    /// Lets the sound go out.
    fn fall_silent(&mut self, fade: bool) {
        let (from, channels) = (self.sound.len(), self.format.channels);
        self.sound.resize(from + EDGE_FADE * channels, 0.0);
        let _ = self.decoder.conceal(&mut self.sound[from..]);
        let samples = self.sound[from..].iter_mut().enumerate();
        samples.for_each(|(index, sample)| *sample *= 1.0 - (index / channels) as f32 / EDGE_FADE as f32);
        self.note(What::Silence, EDGE_FADE);
        self.waited += EDGE_FADE;
        self.tail = Tail::Silence { fade };
    }

    fn be_silent(&mut self, length: usize) {
        self.sound.resize(self.sound.len() + length * self.format.channels, 0.0);
        self.note(What::Silence, length);
        self.waited += length;
    }

    fn note(&mut self, what: What, length: usize) {
        match self.runs.back_mut().filter(|(last, _)| *last == what) {
            Some((_, last)) => *last += length,
            None => self.runs.push_back((what, length)),
        }
    }

    /// So much of the first sound is gone; returns what most of it was.
    fn pass(&mut self, mut length: usize) -> What {
        let mut parts = [(What::Silence, 0), (What::Concealed, 0), (What::Heard, 0)];
        while length > 0
            && let Some((what, run)) = self.runs.front_mut()
        {
            let part = length.min(*run);
            parts.iter_mut().filter(|(other, _)| other == what).for_each(|(_, sum)| *sum += part);
            (*run, length) = (*run - part, length - part);
            if *run == 0 {
                self.runs.pop_front();
            }
        }
        parts.into_iter().max_by_key(|(_, sum)| *sum).map_or(What::Silence, |(what, _)| what)
    }

    /// Brings the delay nearer to its target, if sound is there to be cut.
    fn adapt(&mut self, now: i64) {
        if self.waited > 0 || self.tail != Tail::Sound {
            self.level = None;
            return;
        }
        let delay = now - (self.head - self.len() as i64) - self.delay.base();
        self.stats.delay = Samples::try_from(delay).unwrap_or_default();
        let level = self.level.map_or(delay as f64, |level| level + (delay as f64 - level) / 16.0);
        self.level = Some(level);
        self.rest = self.rest.saturating_sub(1);
        let off = level as i64 - self.delay.target();
        let beyond = if off > 0 { off - LATER } else { -off - EARLIER };
        if beyond <= 0 || (self.rest > 0 && beyond < HASTE) {
            return;
        }
        let (channels, alike) =
            (self.format.channels, if beyond < HASTE { ALIKE * (1.0 - beyond as f32 / HASTE as f32) } else { -1.0 });
        let cut = if off > 0 {
            // A whole frame has to be left.
            while self.len() < FRAME + stretch::NEEDED && self.held.first().is_some_and(|first| first.time <= self.head)
            {
                self.decode();
            }
            if self.len() < FRAME + stretch::NEEDED {
                return;
            }
            let cut = stretch::shorten(&mut self.sound, channels, alike);
            self.pass(cut);
            self.stats.shortened += cut as Samples;
            -(cut as f64)
        } else {
            let cut = stretch::lengthen(&mut self.sound, channels, alike);
            if let Some((_, run)) = self.runs.front_mut() {
                *run += cut;
            }
            self.stats.lengthened += cut as Samples;
            cut as f64
        };
        if cut != 0.0 {
            self.level = Some(level + cut);
            self.rest = REST;
        }
    }
}
