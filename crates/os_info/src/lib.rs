//! The part of the crate `os_info` that LiveKit's signalling uses: it tells the server what system it runs on.
//!
//! The real one runs `lsb_release`, `uname` and `getconf` for that each time a room is joined or reopened, and waits for them: some ten
//! processes and more time than all the rest of a join, on a thread that others need. Here it is what the program was built for.

/// What the system is.
pub struct Info;

/// Returns what the system is.
pub fn get() -> Info {
    Info
}

impl Info {
    /// Its name, such as `linux`.
    pub fn os_type(&self) -> &'static str {
        std::env::consts::OS
    }

    /// Not known.
    pub fn version(&self) -> &'static str {
        ""
    }
}
