//! Decodes content codings: `Content-Encoding` (RFC 9110 §8.4).
//!
//! The decoded size is bounded by the spool. The memory needed for decoding is bounded here.

use std::io;

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use crate::error::{Code, Result, SpeakerError};

/// The most codings in a row that are decoded; curl decodes five.
const MAX_CODINGS: usize = 5;

/// The largest zstd window, as a power of two: 8 MiB (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;

/// The number of bytes decoded at a time.
const BLOCK: usize = 64 << 10;

/// A decoder for a chain of content codings.
pub struct ContentDecoder {
    bytes: Box<dyn AsyncRead + Send + Unpin>,
    names: String,
    block: Vec<u8>,
}

/// Returns the names that are supported codings. Servers also send values that are none, such as `UTF-8`.
pub fn known(names: &[String]) -> Vec<String> {
    let is_known = |name: &&String| matches!(name.as_str(), "gzip" | "x-gzip" | "deflate" | "br" | "zstd");
    names.iter().filter(is_known).cloned().collect()
}

impl ContentDecoder {
    /// Decodes `bytes`, to which these codings were applied in this order.
    pub async fn new(mut bytes: Box<dyn AsyncBufRead + Send + Unpin>, codings: &[String]) -> Result<Self> {
        let names = codings.join(", ");
        if codings.len() > MAX_CODINGS {
            let message = format!("Expected at most {MAX_CODINGS} content codings for audioUrl but received {names}");
            return Err(SpeakerError::new(Code::FetchFailed, message));
        }
        for coding in codings.iter().rev() {
            let decoded: Box<dyn AsyncRead + Send + Unpin> = match coding.as_str() {
                "br" => Box::new(BrotliDecoder::new(bytes)),
                "zstd" => Box::new(ZstdDecoder::with_params(bytes, &[DParameter::window_log_max(ZSTD_WINDOW)])),
                "deflate" if is_bare(bytes.fill_buf().await.map_err(|error| damaged(error, &names))?) => {
                    Box::new(DeflateDecoder::new(bytes))
                }
                "deflate" => Box::new(ZlibDecoder::new(bytes)),
                _ => {
                    let mut gzip = GzipDecoder::new(bytes);
                    gzip.multiple_members(true);
                    Box::new(gzip)
                }
            };
            bytes = Box::new(BufReader::new(decoded));
        }
        Ok(Self { bytes: Box::new(bytes), names, block: vec![0; BLOCK] })
    }

    /// Returns the next bytes; empty at the end.
    pub async fn next(&mut self) -> Result<&[u8]> {
        let read = self.bytes.read(&mut self.block).await.map_err(|error| damaged(error, &self.names))?;
        Ok(&self.block[..read])
    }
}

/// Returns true if `deflate` is a bare deflate stream, as some servers send it, and not a zlib stream, as specified (RFC 9110 §8.4.1.2). A
/// zlib stream begins with its method and a window of at most 32 KiB (RFC 1950 §2.2).
fn is_bare(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & 0x8f != 0x08)
}

/// Returns transport errors as they are; any other is an error of the coding.
fn damaged(error: io::Error, names: &str) -> SpeakerError {
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<SpeakerError>()) {
        return error.clone();
    }
    let (code, what) = match error.kind() {
        io::ErrorKind::UnexpectedEof => (Code::Truncated, "ended early"),
        _ => (Code::Decode, "is damaged"),
    };
    SpeakerError::new(code, format!("the body of audioUrl {what}: content-encoding {names}: {error}"))
}
