//! The errors a user can meet: a stable code and a sentence.

use std::error::Error;

use serde::{Serialize, Serializer};

use crate::redact::{MESSAGE, redact, redact_to};

/// Declares the codes once: name, text, meaning.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Why a request or the session failed. The codes are part of the public contract: index.d.ts lists them, and
        /// docs/errors.md says what to do about each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// All of them, in their order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as JavaScript sees it.
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
    /// A signal was aborted before what it is for began.
    Aborted = "ERR_ABORTED",
    /// The session is closed.
    Closed = "ERR_CLOSED",
    /// The file can't be opened or read.
    File = "ERR_FILE",
    /// The session's `network` does not let the server be reached, or the file be read.
    UrlBlocked = "ERR_URL_BLOCKED",
    /// No HTTP answer: name look-up, connection, TLS.
    FetchFailed = "ERR_FETCH_FAILED",
    /// Silence on the wire for longer than `fetchTimeoutMs`, or fewer bytes than `minFetchBytesPerSecond`.
    FetchTimeout = "ERR_FETCH_TIMEOUT",
    /// An HTTP status outside 200–299.
    HttpStatus = "ERR_HTTP_STATUS",
    /// More than ten redirects, or a loop of them.
    TooManyRedirects = "ERR_TOO_MANY_REDIRECTS",
    /// The source holds more bytes than one source may.
    SourceTooLarge = "ERR_SOURCE_TOO_LARGE",
    /// No room for a download within `maxSpoolBytes`; what had come was played.
    SpoolFull = "ERR_SPOOL_FULL",
    /// No room for a clip within `maxClipBytes`.
    ClipsFull = "ERR_CLIPS_FULL",
    /// The source holds no bytes.
    EmptySource = "ERR_EMPTY_SOURCE",
    /// The source ended before what it announced; what had come was played.
    Truncated = "ERR_TRUNCATED",
    /// No audio in a format that is played here.
    UnsupportedFormat = "ERR_UNSUPPORTED_FORMAT",
    /// The source can't be read again from another place.
    NotSeekable = "ERR_NOT_SEEKABLE",
    /// The audio is damaged beyond playing.
    Decode = "ERR_DECODE",
    /// A Readable or AsyncIterable failed, or a stream was destroyed with an error; what had come was played.
    Stream = "ERR_STREAM",
    /// A stream's writer sent nothing for `stallTimeoutMs`.
    Stalled = "ERR_STALLED",
    /// The source gave no sound for `startTimeoutMs`.
    StartTimeout = "ERR_START_TIMEOUT",
    /// The LiveKit room can't be joined or published into.
    JoinFailed = "ERR_JOIN_FAILED",
    /// The LiveKit room does not take the track that this is to play on; all other tracks go on.
    PublishFailed = "ERR_PUBLISH_FAILED",
    /// The LiveKit room does not do what it was asked for: a grant is missing, or a limit is reached.
    Refused = "ERR_REFUSED",
    /// The LiveKit room is lost: removed from it, or no way to the server.
    Disconnected = "ERR_DISCONNECTED",
    /// The output can't be opened or written.
    Output = "ERR_OUTPUT",
    /// The recording of the requests can't be written; all else goes on.
    Record = "ERR_RECORD",
    /// A fault of this package's own broke the session: everything live has failed, and it can only be closed.
    Internal = "ERR_INTERNAL",
    /// The operating system refuses the threads that all sessions share.
    NoThreads = "ERR_NO_THREADS",
    /// The call does not fit this session, such as `advance` on a realtime clock.
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
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, for people.
    pub message: String,
    /// The error of somebody else that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// The innermost error of the system or of a library below a [`SpeakerError`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What it says.
    pub message: String,
    /// Its number, if it is the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

impl SpeakerError {
    /// An error of this code and with this message. The one way to make one, so that no message shows a secret.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: redact_to(&message.into(), MESSAGE), cause: None }
    }

    /// The same, with what led to it.
    pub fn because_of(self, error: &(dyn Error + 'static)) -> Self {
        let mut innermost = error;
        while let Some(inner) = innermost.source() {
            innermost = inner;
        }
        let errno = innermost.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        Self { cause: Some(Cause { message: redact(&innermost.to_string()), errno }), ..self }
    }
}

/// What a call of this crate returns that may fail.
pub type Result<T> = std::result::Result<T, SpeakerError>;
