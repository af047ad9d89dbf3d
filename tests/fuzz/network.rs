//! The input from a server: signalling, datagrams, and streams of them. Nothing here opens a socket.
//!
//! DTLS and TURN draw random numbers of their own, so a failure may take several executions to reproduce.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Instant;

use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_response::Message;
use speaker_session::internals::output::fuzz::{self, Offered, datagrams};
use str0m::change::SdpOffer;
use str0m::crypto::dtls::{DtlsCert, DtlsInstance, DtlsOutput, DtlsVersion};
use str0m::crypto::from_feature_flags;
use str0m::{Rtc, RtcConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;
use turn_client_proto::api::{Transmit, TurnConfig, TurnPollRet};
use turn_client_proto::client::TurnClient;
use turn_client_proto::prelude::*;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::{Instant as Time, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::keyless;
use super::media::Bench;
use super::random::Random;
use super::run::{Failure, Seen};

type Checked = Result<(), Failure>;

/// Returns datagrams of many sizes, each behind its length.
pub fn framed() -> Vec<Vec<u8>> {
    let frame = |length: u16| [&length.to_be_bytes()[..], &vec![length as u8; length.into()]].concat();
    vec![[0, 1, 40, 1_200, 2_000, 2_001, 3].map(frame).concat(), [2_001, 5].map(frame).concat()]
}

/// Checks that a stream is divided by its lengths, wherever it is cut.
pub fn rfc4571(input: &[u8], plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Checked {
    let (mut rest, mut expected) = (input, Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let Some((datagram, behind)) = behind.split_at_checked(u16::from_be_bytes(*length).into()) else { break };
        // A longer one fits nowhere.
        expected.extend((datagram.len() <= 2_000).then_some(datagram));
        rest = behind;
    }
    let read = datagrams(Wire { bytes: input.to_vec(), at: 0, random: Random::new(plan) });
    seen.trait_of(read.len());
    if read == expected {
        Ok(())
    } else {
        Err(Failure::new("framing", format!("{} datagrams were sent, {} read", expected.len(), read.len())))
    }
}

/// A connection that gives its bytes in pieces and then ends.
struct Wire {
    bytes: Vec<u8>,
    at: usize,
    random: Random,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = 1 + self.random.skewed(5_000);
        let length = most.min(buffer.remaining()).min(self.bytes.len() - self.at);
        buffer.put_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The most parts of an input: further ones would only take time.
const MAX_PARTS: usize = 40;

/// Returns the parts of an input: each behind its length in two bytes.
pub fn parts(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, behind) = input.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
        let (part, behind) = behind.split_at(length);
        input = behind;
        Some(part)
    })
    .take(MAX_PARTS)
}

/// Joins parts to an input.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u16).to_be_bytes()[..], part].concat()).collect()
}

/// STUN's magic cookie, behind a type and a length (RFC 8489 §5).
const STUN: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

pub fn turn_seeds() -> Vec<Vec<u8>> {
    let message = |kind: u16, attributes: &[(u16, &[u8])]| {
        let mut body = Vec::new();
        for (name, value) in attributes {
            body.extend([name.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), &STUN, &[7; 12], &body].concat()
    };
    let address = [0, 1, 0x12, 0x34, 0x21, 0x12, 0xa4, 0x43];
    let asked =
        message(0x0113, &[(9, b"\0\0\x04\x01Unauthorized"), (0x14, b"livekit"), (0x15, b"nonce"), (0x8022, b"server")]);
    let stale = message(0x0113, &[(9, b"\0\0\x04\x26Stale Nonce"), (0x14, b"livekit"), (0x15, b"another")]);
    let elsewhere = message(0x0113, &[(9, b"\0\0\x03\0Try"), (0x8023, &address), (0x14, b"livekit"), (0x15, b"n")]);
    let given = message(0x0103, &[(0x16, &address), (0x20, &address), (0x0d, &600_u32.to_be_bytes()), (8, &[1; 20])]);
    let data = message(0x0017, &[(0x12, &address), (0x13, &[9; 40])]);
    let channel = b"\x40\x00\x00\x05hello\0\0\0";
    vec![join(&[&asked, &given, &data, channel]), join(&[&asked, &stale, &stale, &data]), join(&[&elsewhere, &data])]
}

/// Feeds a TURN client that has requested an address.
pub fn turn(input: &[u8], plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Checked {
    let (local, remote) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
    let config = TurnConfig::new(TurnCredentials::new("user", "password"));
    let mut client: TurnClient = match plan % 2 {
        0 => TurnClientUdp::allocate(local, remote, config).into(),
        _ => TurnClientTcp::allocate(local, remote, config).into(),
    };
    let (epoch, mut transaction) = (Instant::now(), [7; 12]);
    for part in parts(input) {
        let now = Time::from_std(epoch);
        for _ in 0..20 {
            if matches!(client.poll(now), TurnPollRet::Closed) {
                return Ok(());
            }
            let Some(sent) = client.poll_transmit(now) else { break };
            if let Some(id) = sent.data.get(8..20) {
                transaction.copy_from_slice(id);
            }
        }
        // A response carries the transaction ID of its request.
        let mut message = part.to_vec();
        if message.get(4..8) == Some(&STUN[..]) && message.get(8..20) == Some(&[7; 12][..]) {
            message[8..20].copy_from_slice(&transaction);
        }
        let message = Transmit::new(message, client.transport(), remote, local);
        let _ = client.recv(message, now);
        for _ in 0..1_000 {
            if client.poll_event().is_none() && client.poll_recv(now).is_none() {
                break;
            }
        }
        seen.trait_of(client.relayed_addresses().count());
    }
    let _ = client.create_permission(TransportType::Udp, local.ip(), Time::from_std(epoch));
    Ok(())
}

/// Placeholders for the names (mids) of our media lines, which differ each time: the track's, and that of a remote participant's audio.
const MIDS: [&str; 2] = ["%SENT%", "%HEARD%"];

/// Returns a server's answer to our offer, and an offer of its own.
fn descriptions() -> [String; 2] {
    let mut us = Rtc::builder().build(Instant::now());
    let mut api = us.sdp_api();
    let mids = [str0m::media::Direction::SendOnly, str0m::media::Direction::RecvOnly]
        .map(|direction| api.add_media(str0m::media::MediaKind::Audio, direction, None, None, None).to_string());
    let offer = api.apply().expect("a line was added").0.to_sdp_string();
    let mut server = RtcConfig::new().set_ice_lite(true).build(Instant::now());
    let candidate = str0m::Candidate::host(([10, 0, 0, 1], 7_881).into(), "udp").expect("an address");
    server.add_local_candidate(candidate);
    let answer =
        server.sdp_api().accept_offer(SdpOffer::from_sdp_string(&offer).expect("it is ours")).expect("it fits");
    let named = |sdp: String| mids.iter().zip(MIDS).fold(sdp, |sdp, (mid, name)| sdp.replace(mid, name));
    [named(answer.to_sdp_string()), named(offer)]
}

const CANDIDATE: &str = "candidate:1 1 tcp 1671430143 10.0.0.1 7881 typ host tcptype passive generation 0 ufrag abc";

pub fn signal_seeds() -> Vec<Vec<u8>> {
    let [answer, offer] = descriptions();
    let description = |kind: &str, sdp: &str| proto::SessionDescription {
        r#type: kind.to_owned(),
        sdp: sdp.to_owned(),
        id: 1,
        ..Default::default()
    };
    let trickle = proto::TrickleRequest {
        candidate_init: format!("{{\"candidate\":\"{CANDIDATE}\",\"sdpMid\":\"0\",\"sdpMLineIndex\":0}}"),
        ..Default::default()
    };
    let message = |message| proto::SignalResponse { message: Some(message) }.encode_to_vec();
    let leave = proto::LeaveRequest { reason: 3, action: 1, can_reconnect: true, regions: Some(Default::default()) };
    let quality = proto::ConnectionQualityInfo { participant_sid: "sid".to_owned(), quality: 2, score: 4.0 };
    let published = proto::TrackPublishedResponse { cid: "fuzz".to_owned(), track: Some(Default::default()) };
    vec![
        join(&[&message(Message::Answer(description("answer", &answer))), &message(Message::Trickle(trickle.clone()))]),
        join(&[&message(Message::Offer(description("offer", &offer))), &message(Message::TrackPublished(published))]),
        join(&[
            &message(Message::Trickle(trickle)),
            &message(Message::ConnectionQuality(proto::ConnectionQualityUpdate { updates: vec![quality] })),
            &message(Message::Mute(proto::MuteTrackRequest { sid: "track".to_owned(), muted: true })),
            &message(Message::Leave(leave)),
            &message(Message::Join(proto::JoinResponse {
                ice_servers: vec![Default::default()],
                ..Default::default()
            })),
        ]),
    ]
}

/// Returns a user's data, and packets that other participants send on the same channels.
pub fn data_seeds() -> Vec<Vec<u8>> {
    use proto::data_packet::Value;
    let packet = |value| {
        let participant_identity = "somebody".to_owned();
        let destination_identities = vec!["us".to_owned(), "them".to_owned()];
        let value = Some(value);
        proto::DataPacket { participant_identity, destination_identities, value, ..Default::default() }.encode_to_vec()
    };
    let user = proto::UserPacket { payload: vec![7; 40], topic: Some("topic".to_owned()), ..Default::default() };
    let header = proto::data_stream::Header {
        stream_id: "stream".to_owned(),
        total_length: Some(10),
        content_header: Some(proto::data_stream::header::ContentHeader::TextHeader(Default::default())),
        ..Default::default()
    };
    let chunk = |chunk_index| {
        let (stream_id, content) = ("stream".to_owned(), b"hello".to_vec());
        packet(Value::StreamChunk(proto::data_stream::Chunk { stream_id, chunk_index, content, ..Default::default() }))
    };
    let trailer = proto::data_stream::Trailer { stream_id: "stream".to_owned(), ..Default::default() };
    let inline = proto::data_stream::Header { inline_content: Some(b"hello".to_vec()), ..header.clone() };
    let ack = proto::RpcAck { request_id: "request".to_owned() };
    vec![
        join(&[&packet(Value::User(user)), &packet(Value::RpcAck(ack))]),
        join(&[&packet(Value::StreamHeader(header)), &chunk(0), &chunk(1), &packet(Value::StreamTrailer(trailer))]),
        join(&[&packet(Value::StreamHeader(inline))]),
    ]
}

/// Checks that the reported data was in the packets.
pub fn data(input: &[u8], _plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Checked {
    let told = fuzz::data(parts(input));
    seen.trait_of(told);
    // A byte that is not UTF-8 is reported as a character of three bytes.
    if told <= 3 * input.len() { Ok(()) } else { Err(Failure::new("data", format!("{told} bytes of {}", input.len()))) }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"))
}

/// Feeds messages of the server as they come out of its WebSocket.
pub fn signal(input: &[u8], _plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Checked {
    let _entered = runtime().enter();
    keyless::install();
    let mut offered = Offered::new().expect("it needs no socket");
    for part in parts(input) {
        let Ok(response) = proto::SignalResponse::decode(part) else {
            seen.outcome("unreadable", "");
            continue;
        };
        let message = match response.message {
            Some(Message::Answer(answer)) => Message::Answer(named(answer, &offered)),
            Some(Message::Offer(offer)) => Message::Offer(named(offer, &offered)),
            Some(other) => other,
            None => continue,
        };
        note(seen, offered.hear(message));
    }
    Ok(())
}

fn named(mut description: proto::SessionDescription, offered: &Offered) -> proto::SessionDescription {
    let mids = offered.mids();
    description.sdp = MIDS.iter().zip(&mids).fold(description.sdp, |sdp, (name, mid)| sdp.replace(name, mid));
    description
}

fn note(seen: &mut Seen, result: speaker_session::internals::error::Result<()>) {
    match result {
        Ok(()) => seen.outcome("taken", ""),
        Err(error) => seen.outcome("refused", &error.message),
    }
}

/// Returns RTCP and RTP as they are behind SRTP, STUN, and invalid packets.
pub fn peer_seeds() -> Vec<Vec<u8>> {
    let report = [
        &b"\x81\xc8\x00\x0c"[..],
        &[0, 0, 0, 1],
        &[0; 20],
        &[0, 0, 0, 2],
        &[9; 20],                                                // a sender's report with one block
        b"\x81\xca\x00\x03\x00\x00\x00\x01\x01\x04name\x00\x00", // SDES
    ];
    let receiver = [&b"\x81\xc9\x00\x07"[..], &[0, 0, 0, 1], &[0, 0, 0, 2], &[3; 20]].concat();
    let nack = b"\x81\xcd\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x01\xff\xff";
    let twcc = b"\x8f\xcd\x00\x05\x00\x00\x00\x01\x00\x00\x00\x02\x00\x01\x00\x08\x00\x00\x01\x00\xa8\x00\x00\x04";
    let pli = b"\x81\xce\x00\x02\x00\x00\x00\x01\x00\x00\x00\x02";
    let remb = b"\x8f\xce\x00\x05\x00\x00\x00\x01\x00\x00\x00\x00REMB\x01\x03\xff\xff\x00\x00\x00\x02";
    let bye = b"\x81\xcb\x00\x02\x00\x00\x00\x01\x03end";
    let extended = b"\x80\xcf\x00\x05\x00\x00\x00\x01\x04\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00";
    let rtp = b"\x90\xef\x00\x01\x00\x00\x00\x01\x00\x00\x00\x03\xbe\xde\x00\x01\x10\x80\x00\x00opus";
    let stun = [&b"\x00\x01\x00\x08"[..], &STUN, &[7; 12], b"\x00\x06\x00\x03a:b\x00"].concat();
    vec![
        join(&[&report.concat(), &receiver, nack]),
        join(&[twcc, remb, pli, bye]),
        join(&[extended, &[&receiver[..], nack, pli].concat(), rtp]),
        join(&[rtp, &stun, b"\x16\xfe\xfd\x00\x00", b"\x40\x00\x00\x04data", b"\x00"]),
    ]
}

/// Feeds a connected peer, whose keys accept every datagram.
pub fn peer(input: &[u8], plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Checked {
    static ANSWER: OnceLock<String> = OnceLock::new();
    let _entered = runtime().enter();
    keyless::install();
    let answer = ANSWER.get_or_init(|| descriptions()[0].clone());
    let mut offered = Offered::new().expect("it needs no socket");
    let answer = proto::SessionDescription { sdp: answer.clone(), ..Default::default() };
    let answer = named(answer, &offered);
    offered.hear(Message::Answer(answer)).expect("it is a good answer");
    for packet in 0..plan % 5 {
        offered.send(packet * 960).expect("it is agreed");
    }
    for (number, part) in parts(input).enumerate() {
        let mut datagram = part.to_vec();
        // Appended as SRTP does: the index of an RTCP packet, and the place of its authentication tag.
        if matches!(datagram.get(1), Some(192..=223)) {
            datagram.extend([0; 16]);
            datagram.extend((number as u32 | 1 << 31).to_be_bytes());
        } else {
            datagram.extend([0; 16]);
        }
        note(seen, offered.receive(&datagram));
    }
    Ok(())
}

/// Both ends of a handshake, and the packets that each sent, in order.
struct Handshake {
    certificate: DtlsCert,
    sent: [Vec<Vec<u8>>; 2],
}

fn instance(certificate: &DtlsCert, active: bool) -> Box<dyn DtlsInstance> {
    let provider = from_feature_flags().dtls_provider;
    let mut instance =
        provider.new_dtls(certificate, Instant::now(), DtlsVersion::Dtls12, None).expect("a certificate");
    instance.set_active(active);
    instance
}

fn handshake() -> &'static Handshake {
    static HANDSHAKE: OnceLock<Handshake> = OnceLock::new();
    HANDSHAKE.get_or_init(|| {
        let certificate = from_feature_flags().dtls_provider.generate_certificate().expect("it can");
        let mut ends = [instance(&certificate, true), instance(&certificate, false)];
        ends.iter_mut().for_each(|end| end.handle_timeout(Instant::now()).expect("nothing is late"));
        let mut sent = [Vec::new(), Vec::new()];
        for turn in 0..12 {
            let from = turn % 2;
            let packets = drain(&mut *ends[from]);
            for packet in &packets {
                let _ = ends[1 - from].handle_packet(packet);
            }
            sent[from].extend(packets);
        }
        Handshake { certificate, sent }
    })
}

/// Returns the packets that an end wants to send.
fn drain(end: &mut dyn DtlsInstance) -> Vec<Vec<u8>> {
    let (mut packets, mut buffer) = (Vec::new(), vec![0; 20_000]);
    for _ in 0..1_000 {
        match end.poll_output(&mut buffer) {
            DtlsOutput::Packet(packet) => packets.push(packet.to_vec()),
            DtlsOutput::Timeout(_) => break,
            _ => {}
        }
    }
    packets
}

pub fn dtls_seeds() -> Vec<Vec<u8>> {
    handshake().sent.iter().map(|sent| join(&sent.iter().map(Vec::as_slice).collect::<Vec<_>>())).collect()
}

/// Feeds an unfinished handshake: what anybody who knows the port can send.
pub fn dtls(input: &[u8], plan: u64, _bench: &mut Bench, seen: &mut Seen) -> Checked {
    let mut end = instance(&handshake().certificate, plan.is_multiple_of(2));
    let _ = end.handle_timeout(Instant::now());
    for part in parts(input) {
        let sent: usize = drain(&mut *end).iter().map(Vec::len).sum();
        seen.trait_of(sent);
        match end.handle_packet(part) {
            Ok(()) => seen.outcome("taken", ""),
            Err(error) => seen.outcome("refused", &error.to_string()),
        }
    }
    drain(&mut *end);
    Ok(())
}
