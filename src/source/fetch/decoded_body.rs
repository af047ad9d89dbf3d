//! A body with its content codings undone, whose first bytes can be looked at: from a server, or shared with other readers.

use std::collections::VecDeque;
use std::io;

use futures_util::stream::try_unfold;
use reqwest::Url;
use tokio_util::bytes::Bytes;
use tokio_util::io::StreamReader;

use super::answer::Answer;
use super::cache::{CachedBodyReader, ReadResult};
use super::coding::ContentDecoder;
use super::download::Download;
use super::freshness::Exchange;
use super::icy::Chunk;
use super::range_fetcher::RangeFetcher;
use super::requester::Requester;
use super::retry::Retries;
use super::{Fetch, FetchLimits};
use crate::error::Result;
use crate::source::spool::BodyLength;

/// A decoded body.
pub struct DecodedBody {
    source: Source,
    /// Its address, behind all redirects.
    pub url: Url,
    pub body_length: BodyLength,
    /// Its media type, safe to display.
    pub content_type: Option<String>,
    /// The position in the whole where it begins, if a part was requested.
    pub starts_at: u64,
    /// The means to request any part of it.
    pub ranges: Option<RangeFetcher>,
    /// The redirects that led to it and its answer, and whether its bytes may be shared with others; neither for a shared one.
    pub exchanges: Vec<Exchange>,
    pub is_shareable: bool,
    /// The chunks that were looked at and not yet taken.
    held: VecDeque<Chunk>,
}

enum Source {
    Download(Box<Download>),
    ContentDecoder(Box<ContentDecoder>),
    Shared(Box<CachedBodyReader>),
}

impl DecodedBody {
    /// Sends the request and waits for an answer.
    pub async fn begin(fetch: Fetch, limits: FetchLimits) -> Result<Self> {
        let mut requester = Requester::new(fetch, limits)?;
        let answer = requester.request(None, Retries::new(false)).await?;
        Self::of(requester, answer).await
    }

    /// Makes the body of an answer to a request of `requester`.
    pub async fn of(requester: Requester, answer: Answer) -> Result<Self> {
        let mut download = Download::new(requester, answer)?;
        let (exchanges, is_shareable) = (download.exchanges().to_vec(), download.is_shareable());
        let (url, body_length, content_type) =
            (download.url().clone(), download.body_length(), download.content_type());
        let (codings, starts_at, ranges) = (download.codings(), download.starts_at(), download.ranges());
        let source = if codings.is_empty() {
            Source::Download(Box::new(download))
        } else {
            Source::ContentDecoder(Box::new(ContentDecoder::new(Box::new(reader(download)), &codings).await?))
        };
        Ok(Self {
            source,
            url,
            body_length,
            content_type,
            starts_at,
            ranges,
            exchanges,
            is_shareable,
            held: VecDeque::new(),
        })
    }

    /// Makes a body that others read too.
    pub fn shared(
        reader: CachedBodyReader,
        url: Url,
        body_length: BodyLength,
        content_type: Option<String>,
        ranges: Option<RangeFetcher>,
    ) -> Self {
        let source = Source::Shared(Box::new(reader));
        let held = VecDeque::new();
        Self {
            source,
            url,
            body_length,
            content_type,
            starts_at: 0,
            ranges,
            exchanges: Vec::new(),
            is_shareable: false,
            held,
        }
    }

    /// Puts back bytes that were taken.
    pub fn put_back(&mut self, bytes: Bytes) {
        self.held.push_front(Chunk::Bytes(bytes));
    }

    /// Returns the next chunk; `None` at the end of the whole.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(held) = self.held.pop_front() {
                return Ok(Some(held));
            }
            let Source::Shared(reader) = &mut self.source else { return self.fetch().await };
            match reader.next().await? {
                ReadResult::Bytes(bytes) => return Ok(Some(Chunk::Bytes(bytes))),
                ReadResult::End => return Ok(None),
                ReadResult::Unshared(rest) => (self.source, self.held) = (rest.source, rest.held),
            }
        }
    }

    /// Returns the first bytes that are not taken, `length` of them or more, unless it ends before.
    pub async fn peek(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut looked = VecDeque::new();
        while bytes.len() < length
            && let Some(piece) = self.next().await?
        {
            if let Chunk::Bytes(some) = &piece {
                bytes.extend_from_slice(some);
            }
            looked.push_back(piece);
        }
        looked.append(&mut self.held);
        self.held = looked;
        Ok(bytes)
    }

    async fn fetch(&mut self) -> Result<Option<Chunk>> {
        match &mut self.source {
            Source::Download(download) => download.next().await,
            Source::ContentDecoder(decoder) => {
                let bytes = decoder.next().await?;
                Ok((!bytes.is_empty()).then(|| Chunk::Bytes(Bytes::copy_from_slice(bytes))))
            }
            Source::Shared(_) => unreachable!("it is read where it is shared"),
        }
    }
}

/// Returns a reader of a body's bytes, without the metadata.
fn reader(download: Download) -> impl tokio::io::AsyncBufRead + Send {
    StreamReader::new(Box::pin(try_unfold(download, |mut download| async {
        loop {
            match download.next().await.map_err(io::Error::other)? {
                Some(Chunk::Bytes(bytes)) => return io::Result::Ok(Some((bytes, download))),
                Some(Chunk::Metadata(_)) => {}
                None => return Ok(None),
            }
        }
    })))
}
