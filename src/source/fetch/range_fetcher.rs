//! Ranges of a body on a server: from a byte on, to its end (RFC 9110 §14).

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::answer::Validators;
use super::download::Download;
use super::icy::Chunk;
use super::requester::{RangeRequest, Requester};
use super::{Fetch, FetchLimits};
use crate::error::Result;
use crate::runtime::FETCHES;
use crate::scope::Scope;
use crate::source::spool::{BodyLength, Spool};

/// A body of which any part can be requested.
#[derive(Debug, Clone)]
pub struct RangeFetcher {
    pub fetch: Fetch,
    pub limits: FetchLimits,
    /// The validators that prove a part to be of the same body.
    pub validators: Validators,
    pub total: u64,
}

impl RangeFetcher {
    /// Starts to download from a byte on. It fails if the server sends something else.
    pub fn start(&self, position: u64, spool: Arc<Spool>) -> AbortHandle {
        let fetcher = self.clone();
        let download = async move { spool.finish(fetcher.run(position, &spool).await) };
        FETCHES.spawn(Scope::current().wrap(download)).abort_handle()
    }

    async fn run(self, position: u64, spool: &Spool) -> Result<()> {
        let requester = Requester::new(self.fetch.clone(), self.limits)?;
        let range_request = RangeRequest { from: position, if_range: self.validators.if_range().cloned() };
        let mut download = Download::range(requester, &range_request, &self).await?;
        spool.announce(BodyLength::Known(self.total - position))?;
        while let Some(piece) = download.next().await? {
            if let Chunk::Bytes(bytes) = piece {
                spool.append(&bytes).await?;
            }
        }
        Ok(())
    }
}
