//! What a request does to what plays.

use speaker_session::session::Overlap;

use crate::table::Table;

#[test]
fn mix_plays_at_once_on_any_track() {
    let mut table = Table::new(Overlap::Mix);
    assert_eq!(table.play("a", 0, false), "open1");
    assert_eq!(table.play("b", 0, false), "open2");
    assert_eq!(table.play("c", 7, false), "open3");
    assert_eq!(table.ready(2), "start2");
    assert_eq!(table.ready(1), "start1");
    assert_eq!(table.live(), "a:playing b:playing c:loading");
    assert_eq!(table.ended(2), "b:completed@10");
}

#[test]
fn stop_other_ends_everything_on_all_tracks_in_every_phase() {
    for overlap in [Overlap::Mix, Overlap::Queue, Overlap::Replace] {
        let mut table = Table::new(overlap);
        table.play("playing", 0, false);
        table.ready(1);
        table.play("loading", 1, false);
        let queue = overlap == Overlap::Queue;
        if queue {
            table.play("waiting", 0, false);
        }
        let expected = match queue {
            true => "fade1/240 discard2 loading:replaced@0 discard3 waiting:replaced@0 open4",
            false => "fade1/240 discard2 loading:replaced@0 open3",
        };
        assert_eq!(table.play("urgent", 2, true), expected, "{overlap:?}");
        assert_eq!(table.live(), "playing:stopping urgent:loading");
    }
}

#[test]
fn replace_takes_the_place_on_its_track_and_mixes_across_tracks() {
    let mut table = Table::new(Overlap::Replace);
    table.play("a", 0, false);
    table.ready(1);
    assert_eq!(table.play("other", 1, false), "open2");
    assert_eq!(table.play("b", 0, false), "fade1/240 open3");
    assert_eq!(table.play("c", 0, false), "fade1/240 discard3 b:replaced@0 open4", "replaced before it sounded");
    assert_eq!(table.live(), "a:stopping other:loading c:loading");
}
