//! Access tokens, which JavaScript makes when it is asked.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot::{Sender, channel};

use crate::output::{TokenAnswer, TokenSource};

/// The question that is open, if one is: a session joins one room at a time.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Mutex<Option<Sender<TokenAnswer>>>>);

impl Tokens {
    /// Gives the token that [`answer`](Self::answer) brings after `ask` was called.
    pub fn source(&self, ask: impl Fn() + Send + Sync + 'static) -> TokenSource {
        let open = self.0.clone();
        Arc::new(move || {
            let (sender, answer) = channel();
            *open.lock() = Some(sender);
            ask();
            Box::pin(async { answer.await.unwrap_or_else(|_| Err("the session is gone".to_owned())) })
        })
    }

    pub fn answer(&self, answer: TokenAnswer) {
        if let Some(open) = self.0.lock().take() {
            let _ = open.send(answer);
        }
    }
}
