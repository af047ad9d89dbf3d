//! What the crate logs goes to standard error, if the user asks for it.

use std::sync::Once;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// `error`, `warn`, `info`, `debug` or `trace`; anything else is silence.
const VARIABLE: &str = "SPEAKER_SESSION_LOG";

/// Looks at the environment once per process.
pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let level = std::env::var(VARIABLE).ok().and_then(|level| level.parse::<LevelFilter>().ok());
        if let Some(level) = level {
            let all = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(std::io::stderr);
            // Each packet is an event to it.
            let quiet =
                Targets::new().with_default(level).with_target("turn_client_proto", LevelFilter::WARN.min(level));
            all.finish().with(quiet).init();
        }
    });
}
