//! A body with its content codings undone, whose first bytes can be looked at: from a server, or shared with other readers.

use std::collections::VecDeque;
use std::io;

use futures_util::stream::try_unfold;
use reqwest::Url;
use tokio_util::bytes::Bytes;
use tokio_util::io::StreamReader;

use super::ask::Asker;
use super::body::Answer;
use super::cache::{Next, Reader};
use super::coding::Decoder;
use super::freshness::Step;
use super::parts::Parts;
use super::resume::{Download, Piece};
use super::retry::Retries;
use super::{Fetch, FetchLimits};
use crate::error::Result;
use crate::source::spool::Extent;

/// A decoded body.
pub struct Plain {
    source: Source,
    /// Its address, behind all redirects.
    pub url: Url,
    pub extent: Extent,
    /// Its media type, safe to display.
    pub content_type: Option<String>,
    /// The place in the whole where it begins, if a part was requested.
    pub begins: u64,
    /// The means to request any part of it.
    pub parts: Option<Parts>,
    /// The redirects that led to it and its answer, and whether its bytes may be shared with others; neither for a shared one.
    pub steps: Vec<Step>,
    pub is_plain: bool,
    /// The pieces that were looked at and not yet taken.
    held: VecDeque<Piece>,
}

enum Source {
    Download(Box<Download>),
    Decoder(Box<Decoder>),
    Shared(Box<Reader>),
}

impl Plain {
    /// Sends the request and waits for an answer.
    pub async fn begin(fetch: Fetch, limits: FetchLimits) -> Result<Self> {
        let mut asker = Asker::new(fetch, limits)?;
        let answer = asker.ask(None, Retries::new(false)).await?;
        Self::of(asker, answer).await
    }

    /// Makes the body of an answer to a request of `asker`.
    pub async fn of(asker: Asker, answer: Answer) -> Result<Self> {
        let mut download = Download::new(asker, answer)?;
        let (steps, is_plain) = (download.steps().to_vec(), download.is_plain());
        let (url, extent, content_type) = (download.url().clone(), download.extent(), download.content_type());
        let (codings, begins, parts) = (download.codings(), download.begins(), download.parts());
        let source = match codings.is_empty() {
            true => Source::Download(Box::new(download)),
            false => Source::Decoder(Box::new(Decoder::new(Box::new(reader(download)), &codings).await?)),
        };
        Ok(Self { source, url, extent, content_type, begins, parts, steps, is_plain, held: VecDeque::new() })
    }

    /// Makes a body that others read too.
    pub fn shared(
        reader: Reader,
        url: Url,
        extent: Extent,
        content_type: Option<String>,
        parts: Option<Parts>,
    ) -> Self {
        let source = Source::Shared(Box::new(reader));
        let held = VecDeque::new();
        Self { source, url, extent, content_type, begins: 0, parts, steps: Vec::new(), is_plain: false, held }
    }

    /// Puts back bytes that were taken.
    pub fn put_back(&mut self, bytes: Bytes) {
        self.held.push_front(Piece::Bytes(bytes));
    }

    /// Returns the next piece; `None` at the end of the whole.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            if let Some(held) = self.held.pop_front() {
                return Ok(Some(held));
            }
            let Source::Shared(reader) = &mut self.source else { return self.fetch().await };
            match reader.next().await? {
                Next::Bytes(bytes) => return Ok(Some(Piece::Bytes(bytes))),
                Next::End => return Ok(None),
                Next::Alone(rest) => (self.source, self.held) = (rest.source, rest.held),
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
            if let Piece::Bytes(some) = &piece {
                bytes.extend_from_slice(some);
            }
            looked.push_back(piece);
        }
        looked.append(&mut self.held);
        self.held = looked;
        Ok(bytes)
    }

    async fn fetch(&mut self) -> Result<Option<Piece>> {
        match &mut self.source {
            Source::Download(download) => download.next().await,
            Source::Decoder(decoder) => {
                let bytes = decoder.next().await?;
                Ok((!bytes.is_empty()).then(|| Piece::Bytes(Bytes::copy_from_slice(bytes))))
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
                Some(Piece::Bytes(bytes)) => return io::Result::Ok(Some((bytes, download))),
                Some(Piece::Metadata(_)) => {}
                None => return Ok(None),
            }
        }
    })))
}
