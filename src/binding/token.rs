//! Access tokens, which JavaScript makes when it is asked.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot::{Sender, channel};

use crate::output::{TokenAnswer, TokenSource};

/// The question that is open, if one is, by its number: a session joins one room at a time.
#[derive(Clone, Default)]
pub struct TokenQuestion(Arc<Mutex<(u32, Option<Sender<TokenAnswer>>)>>);

impl TokenQuestion {
    /// Gives the token that [`answer`](Self::answer) brings after `ask` was called with the question's number.
    pub fn source(&self, ask: impl Fn(u32) + Send + Sync + 'static) -> TokenSource {
        let open = self.0.clone();
        Arc::new(move || {
            let (sender, answer) = channel();
            let number = {
                let mut open = open.lock();
                *open = (open.0 + 1, Some(sender));
                open.0
            };
            ask(number);
            Box::pin(async { answer.await.unwrap_or_else(|_| Err("the session is gone".to_owned())) })
        })
    }

    /// An answer to an earlier question, of an attempt that was given up, is of no use.
    pub fn answer(&self, number: u32, answer: TokenAnswer) {
        let mut open = self.0.lock();
        if open.0 == number
            && let Some(open) = open.1.take()
        {
            let _ = open.send(answer);
        }
    }
}
