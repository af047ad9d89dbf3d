//! The errors a user can meet: a stable code and a sentence.

use std::error::Error;

use serde::{Serialize, Serializer};

use crate::redact::{MAX_MESSAGE_CHARS, redact, redact_to};

/// Declares the codes: name, text, meaning.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// The reason why a request or the session failed. The codes are part of the public contract: index.d.ts lists them, and
        /// docs/errors.md says what to do about each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// All codes, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the code as JavaScript has it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

codes! {
    /// `maxConcurrent` playbacks are active already.
    TooManyPlaybacks = "ERR_TOO_MANY_PLAYBACKS",
    /// `maxQueued` playbacks wait already.
    QueueFull = "ERR_QUEUE_FULL",
    /// The playback waited for its turn longer than `queueTimeoutMs`.
    QueueTimeout = "ERR_QUEUE_TIMEOUT",
    /// A playback with this `requestId` is live.
    DuplicateRequest = "ERR_DUPLICATE_REQUEST",
    /// The playback reached `maxDurationMs`.
    MaxDuration = "ERR_MAX_DURATION",
    /// A signal was aborted before its call took effect.
    Aborted = "ERR_ABORTED",
    /// The session is closed.
    Closed = "ERR_CLOSED",
    /// The file can't be opened or read.
    File = "ERR_FILE",
    /// The session's `network` does not allow the server or the file.
    UrlBlocked = "ERR_URL_BLOCKED",
    /// There was no HTTP answer: name look-up, connection, TLS.
    FetchFailed = "ERR_FETCH_FAILED",
    /// No bytes came for longer than `fetchTimeoutMs`, or fewer than `minFetchBytesPerSecond`.
    FetchTimeout = "ERR_FETCH_TIMEOUT",
    /// An HTTP status outside 200–299.
    HttpStatus = "ERR_HTTP_STATUS",
    /// More than ten redirects, or a loop of them.
    TooManyRedirects = "ERR_TOO_MANY_REDIRECTS",
    /// The source has more bytes than one source may have.
    SourceTooLarge = "ERR_SOURCE_TOO_LARGE",
    /// `maxSpoolBytes` leaves no room for a download; the part that had arrived was played.
    SpoolFull = "ERR_SPOOL_FULL",
    /// `maxClipBytes` leaves no room for a clip.
    ClipsFull = "ERR_CLIPS_FULL",
    /// The source has no bytes.
    EmptySource = "ERR_EMPTY_SOURCE",
    /// The source ended before its announced length; the part that had arrived was played.
    Truncated = "ERR_TRUNCATED",
    /// The source has no audio in a supported format.
    UnsupportedFormat = "ERR_UNSUPPORTED_FORMAT",
    /// The source can't be read again from another position.
    NotSeekable = "ERR_NOT_SEEKABLE",
    /// The audio is damaged beyond playing.
    Decode = "ERR_DECODE",
    /// A Readable or AsyncIterable failed, or a stream was destroyed with an error; the part that had arrived was played.
    Stream = "ERR_STREAM",
    /// A stream's writer sent nothing for `stallTimeoutMs`.
    Stalled = "ERR_STALLED",
    /// The source gave no sound for `startTimeoutMs`.
    StartTimeout = "ERR_START_TIMEOUT",
    /// The LiveKit room can't be joined or published into.
    JoinFailed = "ERR_JOIN_FAILED",
    /// The LiveKit room does not accept the track; all other tracks continue.
    PublishFailed = "ERR_PUBLISH_FAILED",
    /// The LiveKit room refuses a request: a grant is missing, or a limit is reached.
    Refused = "ERR_REFUSED",
    /// The LiveKit room is lost: the participant was removed, or the server can't be reached.
    Disconnected = "ERR_DISCONNECTED",
    /// The output can't be opened or written.
    Output = "ERR_OUTPUT",
    /// The recording of the requests can't be written; everything else continues.
    Record = "ERR_RECORD",
    /// A bug in this package broke the session: everything live has failed, and it can only be closed.
    Internal = "ERR_INTERNAL",
    /// The process is at its largest load and refuses to open one more output.
    Overloaded = "ERR_OVERLOADED",
    /// The operating system refuses the threads that all sessions share.
    NoThreads = "ERR_NO_THREADS",
    /// The session does not support the call, such as `advance` on a realtime clock.
    UnsupportedOperation = "ERR_UNSUPPORTED_OPERATION",
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An error as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct SpeakerError {
    /// The reason, for programs.
    pub code: Code,
    /// The reason, for people.
    pub message: String,
    /// The error of the system or of a library that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// The innermost error of the system or of a library below a [`SpeakerError`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Its message.
    pub message: String,
    /// Its number, if it is one of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

impl SpeakerError {
    /// Creates an error. It is the only way to do so, so that no message shows a secret.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: redact_to(&message.into(), MAX_MESSAGE_CHARS), cause: None }
    }

    /// Adds the innermost cause of `error`.
    pub fn because_of(self, error: &(dyn Error + 'static)) -> Self {
        let mut innermost = error;
        while let Some(inner) = innermost.source() {
            innermost = inner;
        }
        let errno = innermost.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        Self { cause: Some(Cause { message: redact(&innermost.to_string()), errno }), ..self }
    }
}

/// The result of a call of this crate that may fail.
pub type Result<T> = std::result::Result<T, SpeakerError>;
