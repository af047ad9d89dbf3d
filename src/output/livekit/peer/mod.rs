//! The media side of a room: what knows str0m, with `transport/`, its sockets.
//!
//! str0m reads no clock and no socket; this file does both for it. After every mutation its output is drained, but for a frame's
//! packet, which is sent alone.

mod channels;
mod line;
mod negotiate;
mod red;
mod rtp_time;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use str0m::change::SdpPendingOffer;
pub use str0m::media::{Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpHeader, RtpPacket};
use str0m::{Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

use channels::Channels;
use line::Line;
pub use negotiate::{Ears, Offer};
use rtp_time::RtpTime;

use super::data::Written;
use super::encoder::Encoding;
use super::timer::Timer;
use super::track::{Packet, SILENT};
use super::transport::{Arrival, DATAGRAM, Transport};
use crate::audio::{FRAME_TIME, SAMPLE_RATE, Samples};
use crate::error::{Code, Result, SpeakerError};
use crate::listen;
use crate::output::Report;
use crate::runtime::{round_down, round_up, wake_at};

/// While sound is sent the server reports at least every second: one that was silent for longer may not hear it.
const HEARD_WITHIN: Duration = Duration::from_millis(1_500);

/// In silence it is sent a packet every 2 s, to which it reports too; one of them may be lost.
const HEARD_WITHIN_IN_SILENCE: Duration = Duration::from_millis(5_500);

/// A server that is silent for that long while sound is sent does not hear it: ICE by itself would take a quarter of a minute.
const UNHEARD_AFTER: Duration = Duration::from_secs(4);

/// How often a path is checked once there is one (RFC 7675 §5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// str0m may want to go on at once, again and again; others have things to do too.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// A session that has sent nothing for that long has a turn at its own moment of each round: all that waits is read and sent then.
const PARKED_AFTER: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_secs(1);

/// The moments of a round: a thousand sessions at one of them would be in the way of others, and each alone would wake a wheel for itself.
const MOMENTS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(ROUND.as_millis() as u64 / MOMENTS as u64);

/// How far behind the frames that are due together each moment is.
const BEHIND_FRAMES: Duration = Duration::from_millis(FRAME_TIME.as_millis() as u64 / 2);

/// Gives every session the next moment of the round.
static NEXT_MOMENT: AtomicU32 = AtomicU32::new(0);

/// How often reports of the receiver are summed up.
const STATS_INTERVAL: Duration = Duration::from_secs(10);

/// The largest message that is taken: servers send none that is larger.
const LARGEST_MESSAGE: u32 = 65_536;

/// Datagrams that are read in one turn. Whoever sends more keeps no other session from its own.
const MOST_READ: u32 = 200;

/// Where data came, more of it comes within this time, and is read at once. The first of it waits for a round of the wheel.
const FLOW: Duration = Duration::from_secs(1);

/// A data channel that holds less has room: str0m holds 128 KiB in both together.
const ROOM: usize = 48 * 1024;

/// A packet of somebody who is listened to.
pub struct Heard {
    pub mid: Mid,
    pub arrival: Instant,
    packet: RtpPacket,
}

impl Heard {
    /// What of it matters.
    pub fn packet(&self) -> listen::Packet<'_> {
        let RtpHeader { ssrc, payload_type, sequence_number: sequence, timestamp, marker, .. } = self.packet.header;
        let (ssrc, payload_type, payload) = (*ssrc, *payload_type, &*self.packet.payload);
        listen::Packet { ssrc, payload_type, sequence, timestamp, marker, payload }
    }
}

/// The numbers under which sound comes.
#[derive(Debug, Clone, Copy)]
pub struct OpusTypes {
    pub opus: u8,
    pub red: Option<u8>,
}

/// What changed.
pub enum Change {
    /// Media can flow.
    Connected,
    /// ICE has no path to the server any more.
    NoPath,
    /// The receiver's report on one media line.
    Report(Report),
    /// A packet has come by a data channel: its bytes, and whether it was the one that loses nothing.
    Data(Vec<u8>, bool),
    /// A data channel has opened or closed, or has room again.
    Channels,
    /// It is broken for good.
    Broken(SpeakerError),
}

pub struct Peer {
    rtc: Rtc,
    transport: Transport,
    /// When str0m wants to be told the time.
    timer: Timer,
    /// Where in a round its moment is, and the next one of them while it is parked.
    moment: Duration,
    round: Timer,
    /// What came while it was parked may wait to be read: reports among it would tell of a longer way.
    is_behind: bool,
    /// The offer that waits for its answer.
    pending: Option<SdpPendingOffer>,
    changes: VecDeque<Change>,
    time: RtpTime,
    /// The media lines that were sent on.
    lines: Vec<Line>,
    channels: Channels,
    /// When data last came.
    data_came: Option<Instant>,
    /// The time of the last turn, and how many datagrams were read in it.
    read: (Instant, u32),
    /// When the server was last heard.
    heard: Option<Instant>,
    /// When sound was last sent that can be heard.
    sounded: Option<Instant>,
    /// Since when sound is sent without a pause.
    sending: Option<Instant>,
    /// Somebody is listened to: nothing that comes may wait.
    is_listening: bool,
    /// What was heard of them, and not taken.
    sounds: Vec<Heard>,
}

/// Whether a server may hear what is sent that was last `heard`, where sound is sent since `sending` and up to `last_frame`. One that
/// left sound unanswered for long is not given the time of silence when the sound pauses for that.
fn may_hear(heard: Instant, sending: Option<Instant>, last_frame: Option<Instant>, now: Instant) -> bool {
    let owed_since = sending.map_or(heard, |sending| sending.max(heard));
    let unanswered = last_frame.map_or(Duration::ZERO, |last| last.saturating_duration_since(owed_since));
    unanswered < HEARD_WITHIN && now.saturating_duration_since(heard) < HEARD_WITHIN_IN_SILENCE
}

impl Peer {
    pub fn new(transport: Transport, encoding: Encoding, now: Instant) -> Result<Self> {
        // Packets are ours: str0m would copy each of them and keep more than is needed.
        let mut config = RtcConfig::new().clear_codecs().enable_opus(true, encoding.red).set_rtp_mode(true);
        config.set_max_stun_rto(CONSENT_INTERVAL);
        let config = config.set_stats_interval(Some(STATS_INTERVAL)).set_sctp_max_message_size(LARGEST_MESSAGE);
        let mut rtc = config.build(now);
        for candidate in transport.candidates() {
            rtc.add_local_candidate(candidate.clone());
        }
        let mut peer = Self {
            rtc,
            transport,
            timer: Timer::at(now),
            moment: BEHIND_FRAMES + BETWEEN * (NEXT_MOMENT.fetch_add(1, Ordering::Relaxed) % MOMENTS),
            round: Timer::at(now),
            is_behind: false,
            pending: None,
            changes: VecDeque::new(),
            time: RtpTime::new(now),
            lines: Vec::new(),
            channels: Channels::default(),
            data_came: None,
            read: (now, 0),
            sounded: None,
            heard: None,
            sending: None,
            is_listening: false,
            sounds: Vec::new(),
        };
        // Until it is told a time, str0m begins no check of its own: it would wait for a server that can reach us.
        peer.input(Input::Timeout(now), now)?;
        Ok(peer)
    }

    /// A second one, on the same kind of ways.
    pub fn sibling(&self, encoding: Encoding, now: Instant) -> Result<Self> {
        Self::new(self.transport.another(), encoding, now)
    }

    /// Whether somebody is listened to.
    pub fn set_listening(&mut self, is_listening: bool) {
        self.is_listening = is_listening;
        match is_listening {
            // When a packet comes says how long it was held up.
            true => self.transport.wait(false),
            false => self.sounds.clear(),
        }
    }

    /// Takes what was heard of them, in the order in which it came.
    pub fn take_sounds(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.sounds)
    }

    pub fn is_connected(&self) -> bool {
        self.rtc.is_connected()
    }

    /// Whether what is sent now reaches the server, as far as one can know.
    pub fn is_heard(&self, now: Instant) -> bool {
        let last_frame = self.last_frame().map(|(_, at)| at);
        self.is_connected() && self.heard.is_some_and(|heard| may_hear(heard, self.sending, last_frame, now))
    }

    /// Whether sound is sent, and nothing was heard of the server for too long.
    pub fn is_unheard(&self, now: Instant) -> bool {
        self.sending.max(self.heard).is_some_and(|since| now.saturating_duration_since(since) > UNHEARD_AFTER)
    }

    /// By what ways a path was sought, in words.
    pub fn tried(&self) -> String {
        self.transport.tried()
    }

    pub fn awaits_answer(&self) -> bool {
        self.pending.is_some()
    }

    /// Sends the packet of the session's frame `frame`.
    pub fn send(&mut self, line: (Mid, Pt), frame: Samples, packet: &Packet, now: Instant) -> Result<()> {
        let time = self.time.of(frame, now);
        if packet.first {
            self.sending = Some(now);
        }
        if packet.is_audible() {
            self.sounded = Some(now);
        }
        self.write(line, (time, now), packet);
        self.flush(now)
    }

    /// Sends a packet of silence where nothing else is sent.
    pub fn send_silence(&mut self, line: (Mid, Pt), data: &[u8], now: Instant) -> Result<()> {
        self.write(line, self.time.of_silence(now), &Packet { data: data.into(), level: SILENT, first: false });
        self.flush(now)
    }

    /// Leaves a packet with str0m.
    fn write(&mut self, (mid, pt): (Mid, Pt), (time, at): (Samples, Instant), packet: &Packet) {
        // What goes over a stream leaves when the transport is polled next.
        self.round.set(at);
        if !self.lines.iter().any(|line| line.mid == mid) {
            let red = self.redundant_type();
            self.lines.extend(Line::new(&mut self.rtc, mid, red));
        }
        let Some(line) = self.lines.iter_mut().find(|line| line.mid == mid) else { return };
        // RFC 3550 §5.1: the time wraps.
        line.write(&mut self.rtc, pt, (time as u32, at), packet);
    }

    /// Sends the packet that was just written, and what str0m had ready before it. Whatever else there is waits for the next frame, or
    /// for the timer if none comes: to ask str0m until it has nothing left costs as much as the packet.
    fn flush(&mut self, now: Instant) -> Result<()> {
        self.rtc.handle_input(Input::Timeout(now)).map_err(failed)?;
        loop {
            match self.rtc.poll_output().map_err(failed)? {
                Output::Timeout(at) => {
                    self.set_timer(at, now);
                    return Ok(());
                }
                output => {
                    let is_sound = matches!(&output, Output::Transmit(transmit) if is_rtp(&transmit.contents));
                    self.put_out(output, now);
                    if is_sound {
                        self.timer.set(round_up(now + FRAME_TIME, FRAME_TIME));
                        return Ok(());
                    }
                }
            }
        }
    }

    /// There are to be data channels, which an offer asks for.
    pub fn want_channels(&mut self) {
        self.channels.want();
    }

    /// Whether an offer is to be made for data channels.
    pub fn lacks_channels(&self) -> bool {
        self.channels.are_missing() && self.pending.is_none()
    }

    /// Leaves a packet with str0m, to be [sent](Self::send_written).
    pub fn write_data(&mut self, is_reliable: bool, packet: &[u8]) -> Written {
        let channel = self.channels.open(is_reliable).and_then(|id| self.rtc.channel(id));
        match channel.map(|mut channel| channel.write(true, packet)) {
            Some(Ok(true)) => Written::Done,
            Some(Ok(false)) => Written::Full,
            // It is being closed, or the server takes none so large.
            Some(Err(_)) | None => Written::NotOpen,
        }
    }

    /// Sends what was written.
    pub fn send_written(&mut self, now: Instant) -> Result<()> {
        self.input(Input::Timeout(now), now)
    }

    /// Whether the server has not confirmed all data.
    pub fn has_unconfirmed_data(&mut self) -> bool {
        let ids = [true, false].map(|is_reliable| self.channels.open(is_reliable));
        let mut channels = ids.into_iter().flatten();
        channels.any(|id| self.rtc.channel(id).is_some_and(|mut channel| channel.buffered_amount() > 0))
    }

    /// When sound was last sent that can be heard.
    pub fn sounded(&self) -> Option<Instant> {
        self.sounded
    }

    /// The session's time of the last frame that was sent, and when that was.
    pub fn last_frame(&self) -> Option<(Samples, Instant)> {
        self.time.last_frame()
    }

    pub fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Change> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return Poll::Ready(change);
            }
            let step = match self.is_parked(now) {
                true => {
                    ready!(self.round.poll(now));
                    self.go_round(now)
                }
                false => match self.timer.poll(now) {
                    Poll::Ready(()) => self.input(Input::Timeout(now), now),
                    Poll::Pending => {
                        ready!(self.poll_appetite(now));
                        self.transport.rest(false);
                        let received = self.receive(context, now);
                        self.is_behind &= received.is_ready();
                        ready!(received)
                    }
                },
            };
            if let Err(error) = step {
                return Poll::Ready(Change::Broken(error));
            }
        }
    }

    /// Ready if one more datagram may be read in this turn; if not, it asks for another turn.
    fn poll_appetite(&mut self, now: Instant) -> Poll<()> {
        if self.read.0 != now {
            self.read = (now, 0);
        }
        if self.read.1 == MOST_READ {
            wake_at(now + SHORTEST_WAIT);
            return Poll::Pending;
        }
        self.read.1 += 1;
        Poll::Ready(())
    }

    /// Does all that there is to do. What comes from then on wakes nobody, and waits for the next round.
    fn go_round(&mut self, now: Instant) -> Result<()> {
        self.transport.rest(true);
        let context = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(received) = self.receive(context, now) {
            received?;
        }
        if self.timer.is_due(now) {
            self.input(Input::Timeout(now), now)?;
        }
        self.is_behind = true;
        self.round.set(self.moment_before(now) + ROUND);
        Ok(())
    }

    /// The last moment not after `at` that is its own in a round.
    pub fn moment_before(&self, at: Instant) -> Instant {
        round_down(at - self.moment, ROUND) + self.moment
    }

    fn receive(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Result<()>> {
        let mut buffer = [0; DATAGRAM];
        Poll::Ready(match ready!(self.transport.poll(context, &mut buffer, now)) {
            Arrival::Datagram { proto, source, destination, length } => {
                self.take(proto, source, destination, &buffer[..length], now)
            }
            Arrival::Opened(candidate) => {
                self.rtc.add_local_candidate(candidate);
                self.drain(now)
            }
            Arrival::Closed(candidate) => {
                self.rtc.direct_api().invalidate_candidate(&candidate);
                self.drain(now)
            }
        })
    }

    /// Takes a datagram that came.
    pub fn take(
        &mut self,
        proto: Protocol,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<()> {
        match Receive::new(proto, source, destination, bytes) {
            Ok(receive) => {
                self.heard = Some(now);
                // What is reported of silence is of no interest, but that it comes is.
                if is_rtcp(bytes) && (self.is_behind || self.is_silent(now)) {
                    return Ok(());
                }
                self.input(Input::Receive(now, receive), now)
            }
            Err(_) => Ok(()), // not WebRTC
        }
    }

    fn input(&mut self, input: Input, now: Instant) -> Result<()> {
        self.rtc.handle_input(input).map_err(failed)?;
        self.drain(now)
    }

    fn drain(&mut self, now: Instant) -> Result<()> {
        let mut told = false;
        loop {
            match self.rtc.poll_output().map_err(failed)? {
                Output::Timeout(at) => {
                    // Some things are made only when str0m is told the time: at once, or they would wait for another wake-up.
                    if at <= now && !std::mem::replace(&mut told, true) {
                        self.rtc.handle_input(Input::Timeout(now)).map_err(failed)?;
                        continue;
                    }
                    self.set_timer(at, now);
                    return Ok(());
                }
                output => self.put_out(output, now),
            }
        }
    }

    fn put_out(&mut self, output: Output, now: Instant) {
        match output {
            Output::Transmit(transmit) => self.transport.send(&transmit, now),
            Output::Event(event) => {
                let change = self.notice(event, now);
                self.changes.extend(change);
            }
            Output::Timeout(_) => {}
        }
    }

    /// str0m wants to be told the time at `at`.
    fn set_timer(&mut self, at: Instant, now: Instant) {
        self.timer.set(self.turn_after(at.max(now + SHORTEST_WAIT)));
    }

    /// When str0m is to be told the time if it wants to be at `at`. What it does once all is settled bears to wait for a turn that many
    /// have together.
    fn turn_after(&self, at: Instant) -> Instant {
        if self.is_settled() { round_up(at, FRAME_TIME) } else { at }
    }

    fn is_settled(&self) -> bool {
        self.is_connected() && self.pending.is_none()
    }

    /// Whether no sound was sent for a while.
    fn is_silent(&self, now: Instant) -> bool {
        self.last_frame().is_none_or(|(_, sent)| now.saturating_duration_since(sent) >= PARKED_AFTER)
    }

    /// Whether more data is to be expected soon.
    fn has_data_flow(&self, now: Instant) -> bool {
        self.data_came.is_some_and(|came| now.saturating_duration_since(came) < FLOW)
    }

    /// Whether nothing that comes or is to be sent is urgent. Data may come at any time, and wants to be confirmed.
    fn is_parked(&self, now: Instant) -> bool {
        let is_needed = self.is_listening || self.channels.are_used();
        !is_needed && self.is_settled() && self.is_silent(now)
    }

    fn notice(&mut self, event: Event, now: Instant) -> Option<Change> {
        if matches!(event, Event::ChannelData(_)) {
            self.data_came = Some(now);
            self.transport.wait(false);
        } else if (matches!(event, Event::Connected) || self.is_connected())
            && !self.is_listening
            && !self.has_data_flow(now)
        {
            self.transport.wait(true);
        }
        match event {
            Event::Connected => Some(Change::Connected),
            Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed) => {
                self.transport.found();
                Some(Change::Connected)
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.transport.seek(now);
                Some(Change::NoPath)
            }
            Event::ChannelOpen(id, label) if self.channels.opened(id, &label) => {
                let channel = self.rtc.channel(id);
                channel.into_iter().for_each(|mut channel| channel.set_buffered_amount_low_threshold(ROOM));
                Some(Change::Channels)
            }
            Event::ChannelClose(id) => self.channels.closed(id).then_some(Change::Channels),
            Event::ChannelBufferedAmountLow(_) => Some(Change::Channels),
            Event::ChannelData(data) => {
                let is_reliable = self.channels.is_reliable(data.id)?;
                Some(Change::Data(data.data, is_reliable))
            }
            // A server that ends what data goes over ends all. If that is for good, its signalling says so.
            Event::Closed if self.channels.are_used() => Some(Change::NoPath),
            Event::RtpPacket(packet) if self.is_listening => {
                let mid = self.rtc.direct_api().stream_rx(&packet.header.ssrc)?.mid();
                self.sounds.push(Heard { mid, arrival: packet.timestamp, packet });
                None
            }
            // Without a report since the last one there is nothing to tell.
            Event::MediaEgressStats(stats) => {
                let (loss, remote) = (stats.loss?, stats.remote?);
                let line = self.lines.iter_mut().find(|line| line.mid == stats.mid);
                line.into_iter().for_each(|line| line.hear_of_loss(loss));
                Some(Change::Report(Report {
                    loss,
                    jitter: Duration::from_secs_f64(f64::from(remote.jitter) / f64::from(SAMPLE_RATE)),
                    round_trip: stats.rtt,
                }))
            }
            _ => None,
        }
    }
}

/// RFC 7983 §7.
fn is_rtp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..192, ..]) && !is_rtcp(bytes)
}

/// RFC 5761 §4.
fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..192, 192..=223, ..])
}

fn failed(error: impl std::fmt::Display) -> SpeakerError {
    broken("the peer connection failed", error)
}

fn broken(what: &str, error: impl std::fmt::Display) -> SpeakerError {
    SpeakerError::new(Code::Disconnected, format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_owes_an_answer_to_sound_and_a_slower_one_to_silence() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let hears = |heard, sending: Option<u64>, last_frame: Option<u64>, now| {
            may_hear(at(heard), sending.map(at), last_frame.map(at), at(now))
        };
        for (heard, sending, last_frame, now, expected) in [
            (0, None, None, 5_400, true),
            (0, None, None, 5_500, false),
            (1_000, Some(0), Some(2_400), 2_400, true),
            (1_000, Some(0), Some(2_500), 2_500, false),
            (1_000, Some(0), Some(2_500), 4_500, false), // held, and not silent
            (1_000, Some(0), Some(1_500), 4_500, true),  // ended by itself
            (0, Some(4_000), Some(4_020), 4_020, true),  // begun after silence
            (0, Some(4_000), Some(5_500), 5_500, false),
            (6_000, Some(4_000), Some(5_500), 6_000, true),
        ] {
            assert_eq!(hears(heard, sending, last_frame, now), expected, "{:?}", (heard, sending, last_frame, now));
        }
    }
}
