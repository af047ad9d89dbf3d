//! Any part of a body on a server: from a byte on, to its end (RFC 9110 §14).

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::ask::{Asker, Wanted};
use super::body::Validators;
use super::resume::{Download, Piece};
use super::{Fetch, FetchLimits};
use crate::error::Result;
use crate::runtime::FETCHES;
use crate::scope::Scope;
use crate::source::spool::{Extent, Spool};

/// A body of which any part can be requested.
#[derive(Debug, Clone)]
pub struct Parts {
    pub fetch: Fetch,
    pub limits: FetchLimits,
    /// The validators that prove a part to be of the same body.
    pub validators: Validators,
    pub total: u64,
}

impl Parts {
    /// Starts to download from a byte on. It fails if the server sends something else.
    pub fn from(&self, place: u64, spool: Arc<Spool>) -> AbortHandle {
        let parts = self.clone();
        let download = async move { spool.finish(parts.run(place, &spool).await) };
        FETCHES.spawn(Scope::current().wrap(download)).abort_handle()
    }

    async fn run(self, place: u64, spool: &Spool) -> Result<()> {
        let asker = Asker::new(self.fetch.clone(), self.limits)?;
        let wanted = Wanted { from: place, if_range: self.validators.if_range().cloned() };
        let mut download = Download::part(asker, &wanted, &self).await?;
        spool.announce(Extent::Known(self.total - place))?;
        while let Some(piece) = download.next().await? {
            if let Piece::Bytes(bytes) = piece {
                spool.append(&bytes).await?;
            }
        }
        Ok(())
    }
}
