//! A body whose codings are undone, with a look at its first bytes.

use std::collections::VecDeque;
use std::io;

use futures_util::stream::try_unfold;
use reqwest::Url;
use tokio_util::bytes::Bytes;
use tokio_util::io::StreamReader;

use super::ask::Asker;
use super::coding::Decoder;
use super::parts::Parts;
use super::resume::{Download, Piece};
use super::{Fetch, FetchLimits};
use crate::error::Result;
use crate::source::spool::Extent;

/// A body that comes as it is meant.
pub struct Plain {
    source: Source,
    /// Where it comes from, behind all redirects.
    pub url: Url,
    pub extent: Extent,
    /// Its media type, fit to be shown.
    pub content_type: Option<String>,
    /// Where in the whole it begins, if a part of that was asked for.
    pub begins: u64,
    /// Where any part of it can be asked for.
    pub parts: Option<Parts>,
    /// What was looked at and not yet taken.
    held: VecDeque<Piece>,
}

enum Source {
    Download(Box<Download>),
    Decoder(Box<Decoder>),
}

impl Plain {
    /// Waits for an answer.
    pub async fn begin(fetch: Fetch, limits: FetchLimits) -> Result<Self> {
        let mut download = Download::begin(Asker::new(fetch, limits)?).await?;
        let (url, extent, content_type) = (download.url().clone(), download.extent(), download.content_type());
        let (codings, begins, parts) = (download.codings(), download.begins(), download.parts());
        let source = match codings.is_empty() {
            true => Source::Download(Box::new(download)),
            false => Source::Decoder(Box::new(Decoder::new(Box::new(reader(download)), &codings).await?)),
        };
        Ok(Self { source, url, extent, content_type, begins, parts, held: VecDeque::new() })
    }

    /// The next piece; `None` at the end of the whole.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        match self.held.pop_front() {
            Some(held) => Ok(Some(held)),
            None => self.fetch().await,
        }
    }

    /// The first bytes that are not taken, `length` of them or more, unless it ends before.
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
        }
    }
}

/// The bytes of a body, without what is said of them.
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
