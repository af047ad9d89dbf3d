//! The log of this crate and its dependencies: each line goes to the logger of its session, else to the listeners for all lines, else to
//! standard error, if the user asks for it there. Logging never waits for a reader.

mod line;
mod sink;
mod stderr;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

use napi_derive::napi;
use tracing::callsite::rebuild_interest_cache;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;

use crate::environment;
use crate::metrics::METRICS;
use line::Line;
use sink::SINKS;

/// Holds a level (`error`, `warn`, `info`, `debug`, `trace`), or several for parts: `warn,speaker_session::net=debug`.
const VARIABLE: &str = "SPEAKER_SESSION_LOG";

/// Crates that log each packet or each header: they are left out below `warn` unless they are named.
const QUIET: [&str; 2] = ["turn_client_proto", "h2"];

/// The filter that the user set in the environment.
struct Filter {
    targets: Targets,
    /// The variable is set: lines without a listener go to standard error.
    is_set: bool,
}

static FILTER: OnceLock<Filter> = OnceLock::new();

/// Lines have a listener, or go to standard error.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Starts the log, once per process.
pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // This library contains its own copy of the standard library, so the hook affects no other code.
        std::panic::set_hook(Box::new(|panic| {
            METRICS.panics.add(1);
            stderr::report_panic(panic);
        }));
        let filter = FILTER.get_or_init(|| parse_filter(&environment::variable(VARIABLE).unwrap_or_default()));
        IS_ON.store(filter.is_set, Ordering::Relaxed);
        // Fails if there is a subscriber already, which then stays.
        let _ = set_global_default(Log);
    });
}

fn parse_filter(variable: &str) -> Filter {
    let parsed = Some(variable.trim()).filter(|text| !text.is_empty()).and_then(|text| text.parse::<Targets>().ok());
    let is_set = parsed.is_some();
    let wanted = parsed.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let default = wanted.default_level().unwrap_or(LevelFilter::OFF);
    let quiet = QUIET.map(|target| (target, default.min(LevelFilter::WARN)));
    let targets = Targets::new().with_targets(quiet).with_targets(wanted).with_default(default);
    Filter { targets, is_set }
}

/// Turns the log on if it has listeners or goes to standard error, and off otherwise.
fn set_has_listeners(has_listeners: bool) {
    let is_on = has_listeners || FILTER.get().is_some_and(|filter| filter.is_set);
    if IS_ON.swap(is_on, Ordering::AcqRel) != is_on {
        rebuild_interest_cache();
    }
}

/// The subscriber. It ignores spans: a line's [`Scope`](crate::scope::Scope) tells its session and request.
struct Log;

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let enables = |filter: &Filter| filter.targets.would_enable(metadata.target(), metadata.level());
        metadata.is_event() && IS_ON.load(Ordering::Relaxed) && FILTER.get().is_some_and(enables)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        if !IS_ON.load(Ordering::Relaxed) {
            return Some(LevelFilter::OFF);
        }
        let targets = &FILTER.get()?.targets;
        targets.iter().map(|(_, level)| level).chain(targets.default_level()).max()
    }

    fn event(&self, event: &Event<'_>) {
        let line = Line::of(event);
        if let Err(line) = SINKS.read().take(line)
            && FILTER.get().is_some_and(|filter| filter.is_set)
        {
            stderr::push(&line.to_string());
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Waits a short time until all lines are written. Called when the process ends.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "only Node calls it"))]
pub fn flush_log() {
    stderr::flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn filters_by_target_and_level() {
        let shows =
            |variable: &str, target: &str, level: Level| parse_filter(variable).targets.would_enable(target, &level);
        assert!(shows("", "speaker_session", Level::INFO) && !shows("", "speaker_session", Level::DEBUG));
        assert!(!parse_filter("").is_set && !parse_filter(" ").is_set && parse_filter("off").is_set);
        assert!(shows("trace", "speaker_session::net", Level::TRACE));
        assert!(!shows("trace", "h2::codec", Level::INFO) && shows("trace", "h2::codec", Level::WARN));
        assert!(!shows("error", "h2::codec", Level::WARN));
        assert!(shows("warn,h2=trace", "h2::codec", Level::TRACE) && !shows("warn,h2=trace", "str0m", Level::INFO));
        let some = "speaker_session::net=debug";
        assert!(shows(some, "speaker_session::net::http", Level::DEBUG) && !shows(some, "str0m", Level::ERROR));
    }
}
