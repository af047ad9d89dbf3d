//! The log of this crate and of those that it uses: each line goes to the logger of its session, else to whoever listens to all of them,
//! else to standard error, if the user asks for it there. Nobody who logs waits for whoever reads.

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

use crate::metrics::METRICS;
use line::Line;
use sink::SINKS;

/// A level (`error`, `warn`, `info`, `debug`, `trace`), or more of them for parts: `warn,speaker_session::net=debug`.
const VARIABLE: &str = "SPEAKER_SESSION_LOG";

/// Each packet is an event to the first, and each header to the second: they are left out below `warn` unless they are named.
const QUIET: [&str; 2] = ["turn_client_proto", "h2"];

/// What the user asked for by the environment.
struct Asked {
    targets: Targets,
    /// Asked for at all, and so written to standard error where nobody else takes it.
    by_name: bool,
}

static ASKED: OnceLock<Asked> = OnceLock::new();

/// Somebody takes lines.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Looks at the environment once per process.
pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // This library has a standard library of its own, so the hook is for nobody else.
        std::panic::set_hook(Box::new(|panic| {
            METRICS.panics.add(1);
            stderr::tell_panic(panic);
        }));
        let asked = ASKED.get_or_init(|| asked_for(&std::env::var(VARIABLE).unwrap_or_default()));
        IS_ON.store(asked.by_name, Ordering::Relaxed);
        // Fails where there is a log already, and then that one goes on.
        let _ = set_global_default(Log);
    });
}

fn asked_for(variable: &str) -> Asked {
    let parsed = Some(variable.trim()).filter(|text| !text.is_empty()).and_then(|text| text.parse::<Targets>().ok());
    let by_name = parsed.is_some();
    let asked = parsed.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let default = asked.default_level().unwrap_or(LevelFilter::OFF);
    let quiet = QUIET.map(|target| (target, default.min(LevelFilter::WARN)));
    let targets = Targets::new().with_targets(quiet).with_targets(asked).with_default(default);
    Asked { targets, by_name }
}

/// Somebody begins to take lines, or takes none any more.
fn takers_changed(are_there: bool) {
    let is_on = are_there || ASKED.get().is_some_and(|asked| asked.by_name);
    if IS_ON.swap(is_on, Ordering::AcqRel) != is_on {
        rebuild_interest_cache();
    }
}

/// Takes what is logged. Spans are of no interest: whose work a line is about is known by its scope.
struct Log;

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.enabled(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let asks = |asked: &Asked| asked.targets.would_enable(metadata.target(), metadata.level());
        metadata.is_event() && IS_ON.load(Ordering::Relaxed) && ASKED.get().is_some_and(asks)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        match IS_ON.load(Ordering::Relaxed) {
            true => ASKED.get().and_then(|asked| {
                asked.targets.iter().map(|(_, level)| level).chain(asked.targets.default_level()).max()
            }),
            false => Some(LevelFilter::OFF),
        }
    }

    fn event(&self, event: &Event<'_>) {
        let line = Line::of(event);
        if let Err(line) = SINKS.read().take(line)
            && ASKED.get().is_some_and(|asked| asked.by_name)
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

/// Waits until what was logged is written, if that does not take long: called when the process ends.
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
    fn levels_are_asked_for_by_target_and_talkative_crates_by_name() {
        let shows =
            |variable: &str, target: &str, level: Level| asked_for(variable).targets.would_enable(target, &level);
        assert!(shows("", "speaker_session", Level::INFO) && !shows("", "speaker_session", Level::DEBUG));
        assert!(!asked_for("").by_name && !asked_for(" ").by_name && asked_for("off").by_name);
        assert!(shows("trace", "speaker_session::net", Level::TRACE));
        assert!(!shows("trace", "h2::codec", Level::INFO) && shows("trace", "h2::codec", Level::WARN));
        assert!(!shows("error", "h2::codec", Level::WARN));
        assert!(shows("warn,h2=trace", "h2::codec", Level::TRACE) && !shows("warn,h2=trace", "str0m", Level::INFO));
        let some = "speaker_session::net=debug";
        assert!(shows(some, "speaker_session::net::http", Level::DEBUG) && !shows(some, "str0m", Level::ERROR));
    }
}
