//! What the crate logs goes to standard error, if the user asks for it.

use std::sync::Once;

use tracing::level_filters::LevelFilter;

/// `error`, `warn`, `info`, `debug` or `trace`; anything else is silence.
const VARIABLE: &str = "SPEAKER_SESSION_LOG";

/// Looks at the environment once per process.
pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let level = std::env::var(VARIABLE).ok().and_then(|level| level.parse::<LevelFilter>().ok());
        if let Some(level) = level {
            tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(std::io::stderr).init();
        }
    });
}
