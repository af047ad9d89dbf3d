//! A jitter buffer with its decoder: RTP packets of a voice go in as they arrive, and frames at 48 kHz come out on request.
//!
//! ```text
//! receive → sequencer (numbers, times, restarts) → red → packet buffer ─┐
//!              └→ delay (lateness of packets)                           ├→ decoder → stretch → next
//!                                                                       └ missing packets: copy, in-band FEC, concealment, silence
//! ```
//!
//! Pure logic: it is given the time, and has no clock, thread or socket.
//!
//! Sound is played with a delay that covers the lateness of packets ([`delay`]). To change the delay, sound is shortened or lengthened by
//! its own periods ([`stretch`]), and silence by any length. A packet that is missing although a later one has arrived is concealed; if no
//! later one has, the last sound is continued for a while, and late packets are still played. What a sender does not send, because of DTX
//! or because it is muted, is silence and not loss.
//!
//! Written here, because no maintained crate does it. `neteq` 0.9.1, the closest, reads the clock itself (so tests could not run ahead of
//! it, and arrival times are ignored), takes the packet after a lost one in its place (so time is lost with it), supports neither the
//! decoder's concealment nor FEC nor redundant copies, and miscalculates times that wrap.

mod decoder;
mod delay;
mod packet_buffer;
mod red;
mod sequencer;
mod stretch;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use decoder::{Decoder, STEP};
use delay::{Delay, MS};
use packet_buffer::PacketBuffer;
use sequencer::{Misplaced, Sequencer};

use crate::audio::{EDGE_FADE, FRAME, LOUDEST, SAMPLE_RATE, Samples};
use crate::error::Result;

/// The largest payload of a datagram.
const MAX_PAYLOAD: usize = 2_000;

/// The longest concealment, after which silence follows.
const MAX_CONCEALED: usize = 5 * FRAME;

/// The tolerated deviation of the delay from its target: later, and earlier.
const LATER: i64 = 15 * MS;
const EARLIER: i64 = 5 * MS;

/// The deviation beyond that from which even sound without a period is cut. Up to it, the required similarity of two periods decreases.
const HASTE: i64 = 40 * MS;
const ALIKE: f32 = 0.9;

/// The number of frames for one cut; beyond [`HASTE`] every frame is cut.
const CUT_PAUSE: u32 = 3;

/// The format of the received packets and the emitted frames.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// The payload type of Opus.
    pub opus: u8,
    /// The payload type of redundant audio (RFC 2198), if it was negotiated.
    pub red: Option<u8>,
    /// The number of emitted channels, 1 or 2, whatever is received.
    pub channels: usize,
}

/// The parts of an RTP packet that matter here.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The sender.
    pub ssrc: u32,
    /// The payload type: Opus or redundant audio; others are ignored.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, on the sender's clock of 48 kHz.
    pub timestamp: u32,
    /// True if the gap before it is silence (RFC 7587 §4.1).
    pub marker: bool,
    /// The payload without header, extensions and padding.
    pub payload: &'a [u8],
}

/// The kind of most of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Decoded sound, including that of copies and in-band FEC.
    Decoded,
    /// Concealment of lost or late packets.
    Concealed,
    /// Silence: nothing was sent, or nothing has arrived for 100 ms.
    Silence,
}

/// 20 ms of sound.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The samples, interleaved and at most ±1,000.
    pub samples: &'a [f32],
    /// The time of the first sample, in samples since the first packet's. It advances with the clock in silence, and goes back if a packet
    /// arrives that was given up.
    pub time: Samples,
    /// The kind of most of it.
    pub kind: FrameKind,
}

/// The statistics of a jitter buffer. Lengths are in samples.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Stats {
    /// The number of received packets, each counted once.
    pub received: u64,
    /// The number of packets missing so far.
    pub lost: u64,
    /// The number of packets that arrived too late to be played.
    pub late: u64,
    /// The number of packets that arrived again.
    pub duplicates: u64,
    /// The number of packets that are malformed, of an unknown type or out of any sequence.
    pub invalid: u64,
    /// The number of packets played from a redundant copy.
    pub copies: u64,
    /// The number of packets played from in-band FEC.
    pub repeated: u64,
    /// The length of concealment.
    pub concealed: Samples,
    /// The length removed to reduce the delay.
    pub shortened: Samples,
    /// The length inserted to increase the delay.
    pub lengthened: Samples,
    /// The delay of the last sound, relative to playing it on the arrival of a packet that was not held up.
    pub delay: Samples,
    /// The target of the delay.
    pub target: Samples,
    /// The interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: f64,
}

impl Stats {
    /// Returns the sum with `later` statistics, whose delays are kept.
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

/// The end of the decoded sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Sound,
    /// Concealment of this length.
    Concealed(usize),
    /// Silence. Sound after it starts as it is, or with a fade if it begins in the middle of a loss.
    Silence {
        fade: bool,
    },
}

/// Bounds a sample, because a crafted packet can decode to anything.
fn bounded(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}

/// The jitter buffer of one track. It takes 31 to 39 kB for a voice in packets of 20 ms, more the later they are, and never more than
/// 260 KiB; [`Self::next`] costs a few percent more than libopus itself.
pub struct JitterBuffer {
    format: Format,
    sequencer: Sequencer,
    delay: Delay,
    packets: PacketBuffer,
    decoder: Decoder,
    /// The clock's zero, and the first packet's time.
    epoch: Option<Instant>,
    origin: Option<i64>,
    /// The decoded samples that were not emitted yet, interleaved, and the runs of their kinds in samples per channel.
    sound: Vec<f32>,
    runs: VecDeque<(FrameKind, usize)>,
    tail: Tail,
    /// The time up to which everything is decoded or given up.
    head: i64,
    /// The length added after `head` while no packet was there.
    waited: usize,
    /// The number of the last decoded packet, and whether it announced silence.
    number: i64,
    is_hushed: bool,
    /// The delay averaged over some frames, because a caller is not always in time.
    level: Option<f64>,
    /// The frames until sound may be cut again.
    frames_to_cut: u32,
    frame: Vec<f32>,
    stats: Stats,
}

impl JitterBuffer {
    /// Creates a jitter buffer. Fails if the channels are neither 1 nor 2.
    pub fn new(format: Format) -> Result<Self> {
        Ok(Self {
            decoder: Decoder::new(format.channels)?,
            format,
            sequencer: Sequencer::default(),
            delay: Delay::new(),
            packets: PacketBuffer::default(),
            epoch: None,
            origin: None,
            sound: Vec::new(),
            runs: VecDeque::new(),
            tail: Tail::Silence { fade: false },
            head: 0,
            waited: 0,
            number: 0,
            is_hushed: false,
            level: None,
            frames_to_cut: 0,
            frame: vec![0.0; FRAME * format.channels],
            stats: Stats::default(),
        })
    }

    /// Handles a received packet. `arrival` must not go back, whatever the order of packets.
    pub fn receive(&mut self, packet: &Packet, arrival: Instant) {
        let is_red = self.format.red == Some(packet.payload_type);
        if packet.payload.len() > MAX_PAYLOAD || !(is_red || packet.payload_type == self.format.opus) {
            self.stats.invalid += 1;
            return;
        }
        let arrival = self.since_epoch(arrival);
        let ids = (packet.ssrc, packet.sequence, packet.timestamp);
        let place = match self.sequencer.place(ids, arrival, self.delay.base()) {
            Ok(place) => place,
            Err(Misplaced::Duplicate) => return self.stats.duplicates += 1,
            Err(Misplaced::Stray) => return self.stats.invalid += 1,
        };
        if place.is_fresh {
            self.delay.jumped();
        }
        self.delay.arrived(place.time, arrival);
        if self.origin.is_none() {
            self.origin = Some(place.time);
            (self.head, self.waited) = (place.time - self.delay.target(), 0);
        }
        let held = |data: &[u8]| packet_buffer::Packet {
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
            if !block.data.is_empty() && !place.is_fresh && !self.sequencer.is_known(number) {
                self.sequencer.note_repeated(number);
                self.delay.came_for(time, arrival);
                let copy = packet_buffer::Packet { time, number, is_copy: true, begins: false, ..held(block.data) };
                self.hold(copy, arrival);
            }
        }
    }

    /// Keeps a packet until its time, unless that is over.
    fn hold(&mut self, mut packet: packet_buffer::Packet, arrival: i64) {
        let Some(length) = decoder::length(&packet.data) else {
            // Senders probe the network with empty packets.
            return self.stats.invalid += u64::from(!packet.data.is_empty());
        };
        packet.length = length;
        if let Some(before) = decoder::repeats(&packet.data)
            && !packet.is_copy
            && !self.sequencer.is_known(packet.number - 1)
        {
            self.delay.came_for(packet.time - before as i64, arrival);
        }
        if packet.end() <= self.head {
            return self.stats.late += u64::from(!packet.is_copy);
        }
        if let Some(end) = self.packets.insert(packet) {
            // Nothing was requested for more than a second: the excess is treated as never sent.
            if !matches!(self.tail, Tail::Silence { .. }) {
                self.fall_silent(true);
            }
            self.head = self.head.max(end);
        }
    }

    /// Returns the next 20 ms. It has to be called every 20 ms by the caller's clock on average, at most some milliseconds late, after the
    /// packets that arrived before `now` were received.
    pub fn next(&mut self, now: Instant) -> Frame<'_> {
        let now = self.since_epoch(now);
        self.fill(now);
        self.adapt(now);
        let time = self.head + self.waited as i64 - self.len() as i64 - self.origin.unwrap_or(i64::MAX);
        let kind = self.pass(FRAME);
        let length = self.frame.len();
        self.frame.iter_mut().zip(&self.sound).for_each(|(sample, decoded)| *sample = bounded(*decoded));
        self.sound.drain(..length);
        Frame { samples: &self.frame, time: Samples::try_from(time).unwrap_or_default(), kind }
    }

    /// Returns true if [`Self::next`] returns only silence until a packet arrives, so that it need not be called.
    pub fn is_at_rest(&self) -> bool {
        let is_silent = self.runs.iter().all(|(kind, _)| *kind == FrameKind::Silence);
        is_silent && matches!(self.tail, Tail::Silence { .. }) && self.packets.first().is_none()
    }

    /// Returns the statistics so far.
    pub fn stats(&self) -> Stats {
        Stats {
            received: self.sequencer.received(),
            lost: self.sequencer.lost(),
            target: self.delay.target() as Samples,
            jitter: self.delay.jitter(),
            ..self.stats
        }
    }

    /// Returns the memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.decoder.bytes()
            + self.packets.bytes()
            + size_of::<f32>() * (self.sound.capacity() + self.frame.capacity())
            + self.runs.capacity() * size_of::<(FrameKind, usize)>()
    }

    /// Returns the samples since the first given time, which may be later than a packet's.
    fn since_epoch(&mut self, time: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(time);
        let samples = |from: Instant, to: Instant| {
            (to.saturating_duration_since(from).as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000) as i64
        };
        samples(epoch, time) - samples(time, epoch)
    }

    /// Returns the number of decoded samples per channel.
    fn len(&self) -> usize {
        self.sound.len() / self.format.channels
    }

    /// Makes sure that a whole frame is decoded.
    fn fill(&mut self, now: i64) {
        while self.len() < FRAME {
            while self.packets.first().is_some_and(|first| first.end() <= self.head) {
                self.packets.pop();
            }
            match self.packets.first() {
                Some(first) => {
                    let (time, follows) =
                        (first.time, first.begins || first.number == self.number + 1 || self.is_hushed);
                    let fec = decoder::repeats(&first.data).unwrap_or_default();
                    self.go_on(now, time, first.is_fresh, follows, fec);
                }
                None => self.wait(FRAME - self.len()),
            }
        }
    }

    /// Does the next step towards a packet with this `time`. `follows` is true if nothing was lost before it, `fec` is the length of its
    /// in-band FEC.
    fn go_on(&mut self, now: i64, time: i64, is_fresh: bool, follows: bool, fec: usize) {
        let gap = time - self.head;
        if matches!(self.tail, Tail::Silence { .. }) {
            // A silence can have any length: sound starts after it at its time.
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
            // The concealment so far replaces what was lost, as far as it reaches.
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

    /// Continues without a packet.
    fn wait(&mut self, length: usize) {
        if matches!(self.tail, Tail::Silence { .. }) {
            self.be_silent(length);
        } else if self.is_hushed || self.concealed() >= MAX_CONCEALED {
            self.fall_silent(!self.is_hushed);
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

    /// Decodes the first packet, except for a part that was given up.
    fn decode(&mut self) {
        let Some(packet) = self.packets.pop() else { return };
        if packet.is_fresh {
            self.decoder.reset();
        }
        let is_hushed = decoder::is_silence(&packet.data);
        (self.number, self.is_hushed) = (self.number.max(packet.number), is_hushed);
        if is_hushed && matches!(self.tail, Tail::Silence { .. }) {
            // Continued silence stays silent, without the decoder's noise.
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
        self.note(FrameKind::Decoded, packet.length - over);
        self.tail = Tail::Sound;
        (self.head, self.waited) = (self.head.max(packet.end()), 0);
    }

    /// Decodes the in-band FEC of the first packet.
    fn decode_repeated(&mut self, length: usize) {
        let Some(packet) = self.packets.first() else { return };
        let from = self.sound.len();
        self.sound.resize(from + length * self.format.channels, 0.0);
        match self.decoder.decode_repeated(&packet.data, &mut self.sound[from..]) {
            Some(decoded) if decoded == length => {
                self.note(FrameKind::Decoded, length);
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

    /// Conceals at least `length` samples. Returns how many.
    fn conceal(&mut self, length: usize) -> usize {
        let length = length.next_multiple_of(STEP);
        let from = self.sound.len();
        self.sound.resize(from + length * self.format.channels, 0.0);
        // Stays silent if the decoder can't conceal it.
        let _ = self.decoder.conceal(&mut self.sound[from..]);
        self.note(FrameKind::Concealed, length);
        self.stats.concealed += length as Samples;
        self.tail = Tail::Concealed(self.concealed() + length);
        length
    }

    /// Fades the sound out.
    fn fall_silent(&mut self, fade: bool) {
        let (from, channels) = (self.sound.len(), self.format.channels);
        self.sound.resize(from + EDGE_FADE * channels, 0.0);
        let _ = self.decoder.conceal(&mut self.sound[from..]);
        let samples = self.sound[from..].iter_mut().enumerate();
        samples.for_each(|(index, sample)| *sample *= 1.0 - (index / channels) as f32 / EDGE_FADE as f32);
        self.note(FrameKind::Silence, EDGE_FADE);
        self.waited += EDGE_FADE;
        self.tail = Tail::Silence { fade };
    }

    fn be_silent(&mut self, length: usize) {
        self.sound.resize(self.sound.len() + length * self.format.channels, 0.0);
        self.note(FrameKind::Silence, length);
        self.waited += length;
    }

    fn note(&mut self, kind: FrameKind, length: usize) {
        match self.runs.back_mut().filter(|(last, _)| *last == kind) {
            Some((_, last)) => *last += length,
            None => self.runs.push_back((kind, length)),
        }
    }

    /// Removes the first `length` samples from the runs. Returns the kind of most of them.
    fn pass(&mut self, mut length: usize) -> FrameKind {
        let mut parts = [(FrameKind::Silence, 0), (FrameKind::Concealed, 0), (FrameKind::Decoded, 0)];
        while length > 0
            && let Some((kind, run)) = self.runs.front_mut()
        {
            let part = length.min(*run);
            parts.iter_mut().filter(|(other, _)| other == kind).for_each(|(_, sum)| *sum += part);
            (*run, length) = (*run - part, length - part);
            if *run == 0 {
                self.runs.pop_front();
            }
        }
        parts.into_iter().max_by_key(|(_, sum)| *sum).map_or(FrameKind::Silence, |(kind, _)| kind)
    }

    /// Moves the delay towards its target, if there is sound to cut.
    fn adapt(&mut self, now: i64) {
        if self.waited > 0 || self.tail != Tail::Sound {
            self.level = None;
            return;
        }
        let delay = now - (self.head - self.len() as i64) - self.delay.base();
        self.stats.delay = Samples::try_from(delay).unwrap_or_default();
        let level = self.level.map_or(delay as f64, |level| level + (delay as f64 - level) / 16.0);
        self.level = Some(level);
        self.frames_to_cut = self.frames_to_cut.saturating_sub(1);
        let off = level as i64 - self.delay.target();
        let beyond = if off > 0 { off - LATER } else { -off - EARLIER };
        if beyond <= 0 || (self.frames_to_cut > 0 && beyond < HASTE) {
            return;
        }
        let (channels, alike) =
            (self.format.channels, if beyond < HASTE { ALIKE * (1.0 - beyond as f32 / HASTE as f32) } else { -1.0 });
        let cut = if off > 0 {
            // A whole frame has to be left.
            while self.len() < FRAME + stretch::NEEDED
                && self.packets.first().is_some_and(|first| first.time <= self.head)
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
            self.frames_to_cut = CUT_PAUSE;
        }
    }
}
