//! One session without threads: calls and hand-made readers in, events out, one rule a test.

mod close;
mod control;
mod crossfade;
#[path = "../hand/mod.rs"]
mod hand;
mod limits;
mod output;
mod overlap;
mod panic;
mod queue;
mod stop;
mod table;
