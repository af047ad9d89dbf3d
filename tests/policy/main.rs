//! The policy, rule by rule: calls in, actions out. Nothing plays here.

mod control;
mod crossfade;
mod limits;
mod overlap;
mod queue;
mod stop;
mod table;
