//! The media side of a room. This module uses str0m, and `transport/` has its sockets.
//!
//! str0m reads no clock and no socket; this file does both for it. After every mutation its output is drained, except for a frame's
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
pub use negotiate::{Offer, ReceiveLines};
use rtp_time::RtpTime;

use super::data::Written;
use super::encoder::Encoding;
use super::timer::Timer;
use super::track::{Packet, SILENT};
use super::transport::{DATAGRAM, Transport, TransportEvent};
use crate::audio::{FRAME_TIME, SAMPLE_RATE, Samples};
use crate::error::{Code, Result, SpeakerError};
use crate::listen;
use crate::output::Report;
use crate::runtime::{round_down, round_up, wake_at};

/// How long the server may be silent while sound is sent. It reports at least every second then; a longer silence means that it may not
/// receive the sound.
const HEARD_WITHIN: Duration = Duration::from_millis(1_500);

/// How long the server may be silent in silence. It gets a packet every 2 s, which it reports too; one of them may be lost.
const HEARD_WITHIN_IN_SILENCE: Duration = Duration::from_millis(5_500);

/// The silence of the server, while sound is sent, after which the path counts as lost: two of its reports are missing. ICE by itself would
/// take a quarter of a minute.
const UNHEARD_AFTER: Duration = Duration::from_millis(2_500);

/// The interval of consent checks once there is a path (RFC 7675 §5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// The shortest wait for str0m, which may want to continue at once again and again, at the expense of other sessions.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// The silence after which a session is parked: it then has one turn per round, at its own moment, in which everything is read and sent.
const PARKED_AFTER: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_secs(1);

/// The number of moments in a round: a thousand sessions at one moment would delay others, and each at its own would wake a wheel by
/// itself.
const MOMENTS: u32 = 10;
const MOMENT_INTERVAL: Duration = Duration::from_millis(ROUND.as_millis() as u64 / MOMENTS as u64);

/// The offset of each moment from the frames, which are due together.
const BEHIND_FRAMES: Duration = Duration::from_millis(FRAME_TIME.as_millis() as u64 / 2);

/// The counter that assigns each session the next moment of the round.
static NEXT_MOMENT: AtomicU32 = AtomicU32::new(0);

/// The interval at which receiver reports are summed up.
const STATS_INTERVAL: Duration = Duration::from_secs(10);

/// The largest accepted message: servers send none that is larger.
const MAX_MESSAGE: u32 = 65_536;

/// The most datagrams read in one turn, so that a session that receives more does not delay others.
const MAX_READS: u32 = 200;

/// How long more data is expected after some was received, so that it is read at once. The first of it waits for a round of the wheel.
const DATA_FLOW: Duration = Duration::from_secs(1);

/// The buffered bytes below which a data channel has room; str0m buffers 128 KiB in both together.
const ROOM: usize = 48 * 1024;

/// An audio packet of a remote participant.
pub struct ReceivedPacket {
    pub mid: Mid,
    pub arrival: Instant,
    packet: RtpPacket,
}

impl ReceivedPacket {
    /// Returns the parts of the packet that the jitter buffer needs.
    pub fn packet(&self) -> listen::Packet<'_> {
        let RtpHeader { ssrc, payload_type, sequence_number: sequence, timestamp, marker, .. } = self.packet.header;
        let (ssrc, payload_type, payload) = (*ssrc, *payload_type, &*self.packet.payload);
        listen::Packet { ssrc, payload_type, sequence, timestamp, marker, payload }
    }
}

/// The payload types of received audio.
#[derive(Debug, Clone, Copy)]
pub struct OpusTypes {
    pub opus: u8,
    pub red: Option<u8>,
}

/// An event of the peer connection.
pub enum PeerEvent {
    /// Media can flow.
    Connected,
    /// ICE has lost its path to the server.
    NoPath,
    /// A receiver report on a media line.
    Report(Report),
    /// A packet arrived on a data channel: its bytes, and whether the channel is the reliable one.
    Data(Vec<u8>, bool),
    /// A data channel was opened or closed, or has room again.
    Channels,
    /// The connection is broken for good.
    Broken(SpeakerError),
}

pub struct Peer {
    rtc: Rtc,
    transport: Transport,
    /// The time at which str0m wants to be called.
    timer: Timer,
    /// The session's moment within a round, and the next one while it is parked.
    moment: Duration,
    round: Timer,
    /// Packets that arrived while it was parked may be unread, so receiver reports among them would show too long a round trip.
    is_behind: bool,
    /// The pending offer.
    pending: Option<SdpPendingOffer>,
    events: VecDeque<PeerEvent>,
    time: RtpTime,
    /// The media lines that were used for sending.
    lines: Vec<Line>,
    channels: Channels,
    /// The time at which data last arrived.
    data_came: Option<Instant>,
    /// The time of the last turn, and the number of datagrams read in it.
    read: (Instant, u32),
    /// The time at which the server was last heard.
    heard: Option<Instant>,
    /// The time at which audible sound was last sent.
    sounded: Option<Instant>,
    /// The time since which sound is sent without a pause.
    sending: Option<Instant>,
    /// Somebody is listened to, so received packets must not wait.
    is_listening: bool,
    /// Received audio packets that were not taken yet.
    sounds: Vec<ReceivedPacket>,
}

/// Returns true if a server that was last `heard` may receive what is sent, where sound is sent since `sending` and up to `last_frame`. A
/// server that left sound unanswered for long does not get the longer limit of silence when the sound pauses because of that.
fn may_hear(heard: Instant, sending: Option<Instant>, last_frame: Option<Instant>, now: Instant) -> bool {
    let owed_since = sending.map_or(heard, |sending| sending.max(heard));
    let unanswered = last_frame.map_or(Duration::ZERO, |last| last.saturating_duration_since(owed_since));
    unanswered < HEARD_WITHIN && now.saturating_duration_since(heard) < HEARD_WITHIN_IN_SILENCE
}

impl Peer {
    pub fn new(transport: Transport, encoding: Encoding, now: Instant) -> Result<Self> {
        // RTP mode, because str0m's own packetizer would copy each packet and keep more than is needed.
        let mut config = RtcConfig::new().clear_codecs().enable_opus(true, encoding.red).set_rtp_mode(true);
        config.set_max_stun_rto(CONSENT_INTERVAL);
        let config = config.set_stats_interval(Some(STATS_INTERVAL)).set_sctp_max_message_size(MAX_MESSAGE);
        let mut rtc = config.build(now);
        for candidate in transport.candidates() {
            rtc.add_local_candidate(candidate.clone());
        }
        let mut peer = Self {
            rtc,
            transport,
            timer: Timer::at(now),
            moment: BEHIND_FRAMES + MOMENT_INTERVAL * (NEXT_MOMENT.fetch_add(1, Ordering::Relaxed) % MOMENTS),
            round: Timer::at(now),
            is_behind: false,
            pending: None,
            events: VecDeque::new(),
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
        // Until str0m is given a time it starts no checks of its own, and would wait for a server that can reach us.
        peer.input(Input::Timeout(now), now)?;
        Ok(peer)
    }

    /// Creates a second peer connection with the same kind of transport.
    pub fn sibling(&self, encoding: Encoding, now: Instant) -> Result<Self> {
        Self::new(self.transport.another(), encoding, now)
    }

    /// Sets whether somebody is listened to.
    pub fn set_listening(&mut self, is_listening: bool) {
        self.is_listening = is_listening;
        if is_listening {
            // The arrival time of a packet is measured, so it must be read at once.
            self.transport.wait(false);
        } else {
            self.sounds.clear();
        }
    }

    /// Takes the received audio packets, in order of arrival.
    pub fn take_sounds(&mut self) -> Vec<ReceivedPacket> {
        std::mem::take(&mut self.sounds)
    }

    pub fn is_connected(&self) -> bool {
        self.rtc.is_connected()
    }

    /// Returns true if what is sent now reaches the server, as far as is known.
    pub fn is_heard(&self, now: Instant) -> bool {
        let last_frame = self.last_frame().map(|(_, at)| at);
        self.is_connected() && self.heard.is_some_and(|heard| may_hear(heard, self.sending, last_frame, now))
    }

    /// Returns true if sound is sent and the server was silent for too long.
    pub fn is_unheard(&self, now: Instant) -> bool {
        self.sending.max(self.heard).is_some_and(|since| now.saturating_duration_since(since) > UNHEARD_AFTER)
    }

    /// Describes the routes that were tried.
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

    /// Passes a packet to str0m.
    fn write(&mut self, (mid, pt): (Mid, Pt), (time, at): (Samples, Instant), packet: &Packet) {
        // A packet over a stream leaves when the transport is next polled.
        self.round.set(at);
        if !self.lines.iter().any(|line| line.mid == mid) {
            let red = self.redundant_type();
            self.lines.extend(Line::new(&mut self.rtc, mid, red));
        }
        let Some(line) = self.lines.iter_mut().find(|line| line.mid == mid) else { return };
        // RFC 3550 §5.1: the timestamp wraps.
        line.write(&mut self.rtc, pt, (time as u32, at), packet);
    }

    /// Sends the packet that was just written, and what str0m had ready before it. The rest of its output waits for the next frame, or for
    /// the timer if none comes: polling str0m until it has nothing left costs as much as the packet.
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

    /// Requests data channels, which the next offer contains.
    pub fn want_channels(&mut self) {
        self.channels.want();
    }

    /// Returns true if an offer for data channels is needed.
    pub fn lacks_channels(&self) -> bool {
        self.channels.are_missing() && self.pending.is_none()
    }

    /// Passes a packet to str0m, to be [sent](Self::send_written).
    pub fn write_data(&mut self, is_reliable: bool, packet: &[u8]) -> Written {
        let channel = self.channels.open(is_reliable).and_then(|id| self.rtc.channel(id));
        match channel.map(|mut channel| channel.write(true, packet)) {
            Some(Ok(true)) => Written::Done,
            Some(Ok(false)) => Written::Full,
            // The channel is being closed, or the server does not accept packets of this size.
            Some(Err(_)) | None => Written::NotOpen,
        }
    }

    /// Sends what was written.
    pub fn send_written(&mut self, now: Instant) -> Result<()> {
        self.input(Input::Timeout(now), now)
    }

    /// Returns true if the server has not confirmed all data.
    pub fn has_unconfirmed_data(&mut self) -> bool {
        let ids = [true, false].map(|is_reliable| self.channels.open(is_reliable));
        let mut channels = ids.into_iter().flatten();
        channels.any(|id| self.rtc.channel(id).is_some_and(|mut channel| channel.buffered_amount() > 0))
    }

    /// Returns when audible sound was last sent.
    pub fn sounded(&self) -> Option<Instant> {
        self.sounded
    }

    /// Returns the session's time of the last frame that was sent, and when that was.
    pub fn last_frame(&self) -> Option<(Samples, Instant)> {
        self.time.last_frame()
    }

    pub fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<PeerEvent> {
        loop {
            if let Some(change) = self.events.pop_front() {
                return Poll::Ready(change);
            }
            let step = if self.is_parked(now) {
                ready!(self.round.poll(now));
                self.go_round(now)
            } else {
                match self.timer.poll(now) {
                    Poll::Ready(()) => self.input(Input::Timeout(now), now),
                    Poll::Pending => {
                        ready!(self.poll_read_budget(now));
                        self.transport.rest(false);
                        let received = self.receive(context, now);
                        self.is_behind &= received.is_ready();
                        ready!(received)
                    }
                }
            };
            if let Err(error) = step {
                return Poll::Ready(PeerEvent::Broken(error));
            }
        }
    }

    /// Ready if one more datagram may be read in this turn; otherwise another turn is requested.
    fn poll_read_budget(&mut self, now: Instant) -> Poll<()> {
        if self.read.0 != now {
            self.read = (now, 0);
        }
        if self.read.1 == MAX_READS {
            wake_at(now + MIN_WAIT);
            return Poll::Pending;
        }
        self.read.1 += 1;
        Poll::Ready(())
    }

    /// Reads and sends everything. Packets that arrive afterwards wake nothing, and wait for the next round.
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

    /// Returns this session's last moment in a round that is not after `at`.
    pub fn moment_before(&self, at: Instant) -> Instant {
        round_down(at - self.moment, ROUND) + self.moment
    }

    fn receive(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Result<()>> {
        let mut buffer = [0; DATAGRAM];
        Poll::Ready(match ready!(self.transport.poll(context, &mut buffer, now)) {
            TransportEvent::Datagram { proto, source, destination, length } => {
                self.take(proto, source, destination, &buffer[..length], now)
            }
            TransportEvent::Opened(candidate) => {
                self.rtc.add_local_candidate(candidate);
                self.drain(now)
            }
            TransportEvent::Closed(candidate) => {
                self.rtc.direct_api().invalidate_candidate(&candidate);
                self.drain(now)
            }
        })
    }

    /// Handles a received datagram.
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
                // Reports on silence are not needed, only the fact that they arrive.
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
        let mut has_ticked = false;
        loop {
            match self.rtc.poll_output().map_err(failed)? {
                Output::Timeout(at) => {
                    // Some output appears only when str0m is given the time: at once, or it would wait for another wake-up.
                    if at <= now && !std::mem::replace(&mut has_ticked, true) {
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
                self.events.extend(change);
            }
            Output::Timeout(_) => {}
        }
    }

    /// Sets the timer for when str0m wants to be called.
    fn set_timer(&mut self, at: Instant, now: Instant) {
        self.timer.set(self.turn_after(at.max(now + MIN_WAIT)));
    }

    /// Returns when to call str0m if it wants to be called at `at`. Once connected, that can wait for a turn shared by many sessions.
    fn turn_after(&self, at: Instant) -> Instant {
        if self.is_settled() { round_up(at, FRAME_TIME) } else { at }
    }

    fn is_settled(&self) -> bool {
        self.is_connected() && self.pending.is_none()
    }

    /// Returns true if no sound was sent for a while.
    fn is_silent(&self, now: Instant) -> bool {
        self.last_frame().is_none_or(|(_, sent)| now.saturating_duration_since(sent) >= PARKED_AFTER)
    }

    /// Returns true if more data is expected soon.
    fn has_data_flow(&self, now: Instant) -> bool {
        self.data_came.is_some_and(|came| now.saturating_duration_since(came) < DATA_FLOW)
    }

    /// Returns true if nothing received or to be sent is urgent. Data may arrive at any time and has to be confirmed promptly.
    fn is_parked(&self, now: Instant) -> bool {
        let is_needed = self.is_listening || self.channels.are_used();
        !is_needed && self.is_settled() && self.is_silent(now)
    }

    fn notice(&mut self, event: Event, now: Instant) -> Option<PeerEvent> {
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
            Event::Connected => Some(PeerEvent::Connected),
            Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed) => {
                self.transport.found();
                Some(PeerEvent::Connected)
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.transport.seek(now);
                Some(PeerEvent::NoPath)
            }
            Event::ChannelOpen(id, label) if self.channels.opened(id, &label) => {
                if let Some(mut channel) = self.rtc.channel(id) {
                    channel.set_buffered_amount_low_threshold(ROOM);
                }
                Some(PeerEvent::Channels)
            }
            Event::ChannelClose(id) => self.channels.closed(id).then_some(PeerEvent::Channels),
            Event::ChannelBufferedAmountLow(_) => Some(PeerEvent::Channels),
            Event::ChannelData(data) => {
                let is_reliable = self.channels.is_reliable(data.id)?;
                Some(PeerEvent::Data(data.data, is_reliable))
            }
            // A server that closes the association of the data channels closes everything. If that is for good, its signalling says so.
            Event::Closed if self.channels.are_used() => Some(PeerEvent::NoPath),
            Event::RtpPacket(packet) if self.is_listening => {
                let mid = self.rtc.direct_api().stream_rx(&packet.header.ssrc)?.mid();
                self.sounds.push(ReceivedPacket { mid, arrival: packet.timestamp, packet });
                None
            }
            // Without a new report there is nothing to emit.
            Event::MediaEgressStats(stats) => {
                let (loss, remote) = (stats.loss?, stats.remote?);
                if let Some(line) = self.lines.iter_mut().find(|line| line.mid == stats.mid) {
                    line.set_loss(loss);
                }
                Some(PeerEvent::Report(Report {
                    loss,
                    jitter: Duration::from_secs_f64(f64::from(remote.jitter) / f64::from(SAMPLE_RATE)),
                    round_trip: stats.rtt,
                }))
            }
            _ => None,
        }
    }
}

/// Returns true for an RTP packet (RFC 7983 §7).
fn is_rtp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..192, ..]) && !is_rtcp(bytes)
}

/// Returns true for an RTCP packet (RFC 5761 §4).
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
    fn may_hear_depends_on_sound_and_silence() {
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
