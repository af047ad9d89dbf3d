//! Data to and from others in the room.

use speaker_session::internals::output::{
    DataInterest, IncomingContent, IncomingData, OutgoingContent, OutgoingData, OutputEvent, Payload, Rpc, Text,
};
use speaker_session::internals::session::{Clock, Overlap, WallTime};

use crate::table::{Table, gone, rules, ticket};

fn send(table: &mut Table, bytes: usize) -> String {
    let ticket = table.next_ticket();
    let payload = Payload(vec![0; bytes]);
    let content = OutgoingContent::Data { payload, is_reliable: true };
    table.session.send_data(OutgoingData { topic: None, to: Vec::new(), content }, ticket);
    table.words()
}

fn came(table: &mut Table, bytes: usize, is_reliable: bool) {
    let content = IncomingContent::Data { payload: Payload(vec![0; bytes]), is_reliable };
    let data = IncomingData { identity: Some("a".to_owned()), topic: None, content };
    table.session.output_event(OutputEvent::Data(data), WallTime(0));
}

fn room() -> Table {
    Table::room(rules(Overlap::Mix))
}

#[test]
fn send_joins_the_room_and_settles() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    assert_eq!(send(&mut table, 5), "");
    assert_eq!(table.outputs(), "open send5=1");
    assert_eq!(table.output(OutputEvent::Connected), "connected");
    assert_eq!(table.output(OutputEvent::Sent { ticket: ticket(1), error: None }), "settled1");
    assert_eq!(table.output(OutputEvent::Sent { ticket: ticket(1), error: Some(gone()) }), "", "once");
    assert_eq!(send(&mut table, 6), "");
    assert_eq!(table.outputs(), "send6=2");
    assert_eq!(table.output(OutputEvent::Sent { ticket: ticket(2), error: Some(gone()) }), "settled2(ERR_FILE)");
}

#[test]
fn bounds_data_waiting_to_be_sent() {
    let mut table = room();
    for _ in 0..2 {
        assert_eq!(send(&mut table, 500_000), "");
    }
    assert_eq!(send(&mut table, 60_000), "settled4(ERR_QUEUE_FULL)");
    assert_eq!(table.outputs(), "send500000=2 send500000=3");
    assert_eq!(table.output(OutputEvent::Sent { ticket: ticket(2), error: None }), "settled2");
    assert_eq!(send(&mut table, 60_000), "");
}

#[test]
fn waiting_data_fails_with_its_room() {
    let mut table = room();
    send(&mut table, 1);
    assert_eq!(
        table.output(OutputEvent::Lost { error: gone(), reason: "lost".to_owned() }),
        "settled2(ERR_FILE) disconnected(lost)"
    );
    assert_eq!(send(&mut table, 1), "");
    assert_eq!(table.outputs(), "send1=2 open send1=3", "the next one joins anew");
    table.session.close(None, WallTime(0));
    assert_eq!(table.words(), "settled3(ERR_CLOSED)");
    assert_eq!(send(&mut table, 1), "settled4(ERR_CLOSED)");
}

#[test]
fn drain_waits_for_data_to_be_sent() {
    let mut table = room();
    send(&mut table, 1);
    table.outputs();
    let drain = table.next_ticket();
    table.session.drain(48_000, drain, WallTime(0));
    table.session.pass_time(WallTime(1));
    assert_eq!(table.outputs(), "");
    assert_eq!(send(&mut table, 1), "", "to say goodbye");
    table.output(OutputEvent::Sent { ticket: ticket(2), error: None });
    table.output(OutputEvent::Sent { ticket: ticket(4), error: None });
    table.session.pass_time(WallTime(2));
    assert_eq!(table.outputs(), "send1=4 close");
}

#[test]
fn waiting_data_keeps_an_abandoned_attempt() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    let connect = table.next_ticket();
    table.session.connect(connect);
    send(&mut table, 1);
    table.session.abandon(connect);
    assert_eq!(table.outputs(), "open send1=2");
}

#[test]
fn every_room_gets_the_data_subscription() {
    let mut table = Table::closed(Clock::Realtime, rules(Overlap::Mix));
    let hears = |data| DataInterest { data, ..DataInterest::default() };
    table.session.hear_data(hears(true));
    assert_eq!(table.outputs(), "");
    table.session.connect(ticket(1));
    assert_eq!(table.outputs(), "open hear(true,false)");
    table.output(OutputEvent::Connected);
    for (data, expected) in [(true, ""), (false, "hear(false,false)"), (false, ""), (true, "hear(true,false)")] {
        table.session.hear_data(hears(data));
        assert_eq!(table.outputs(), expected);
    }
    table.output(OutputEvent::Lost { error: gone(), reason: "lost".to_owned() });
    table.session.connect(ticket(2));
    assert_eq!(table.outputs(), "open hear(true,false)");
}

#[test]
fn bounds_received_data() {
    let mut table = room();
    came(&mut table, 3, true);
    assert_eq!(table.words(), "data Some(\"a\") 3 bytes");
    (0..20).for_each(|_| came(&mut table, 100_000, false));
    assert_eq!(table.session.stats().dropped_data, 10, "a megabyte of what may be lost");
    (0..40).for_each(|_| came(&mut table, 100_000, true));
    assert_eq!(table.session.stats().dropped_data, 19, "and the rest of four");
    assert_eq!(table.words().matches("data").count(), 41);
    came(&mut table, 100_000, false);
    let content = IncomingContent::Text { text: Text("hello".to_owned()), attributes: Default::default() };
    table.session.output_event(OutputEvent::Data(IncomingData { identity: None, topic: None, content }), WallTime(0));
    let content = IncomingContent::Rpc(Rpc::Ack { id: "call".to_owned() });
    table.session.output_event(OutputEvent::Data(IncomingData { identity: None, topic: None, content }), WallTime(0));
    let expected = "data Some(\"a\") 100000 bytes text None 5 bytes rpc None Ack { id: \"call\" }";
    assert_eq!(table.words(), expected);
    let seqs: Vec<_> = table.events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "calls take no number");
}
