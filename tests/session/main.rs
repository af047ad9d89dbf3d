//! One session without threads: calls and hand-made readers in, events out, one rule a test.

mod close;
mod control;
mod crossfade;
mod data;
mod drain;
#[path = "../hand/mod.rs"]
mod hand;
mod hearing;
mod limits;
mod mark;
mod output;
mod overlap;
mod panic;
mod properties;
mod queue;
mod stop;
mod table;
mod track;
mod unpublish;
