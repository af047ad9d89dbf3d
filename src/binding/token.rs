//! Access tokens, which JavaScript makes on request.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot::{Sender, channel};

use crate::output::{TokenAnswer, TokenSource};

/// The request for a token that is open, if there is one: a session joins one room at a time.
#[derive(Clone, Default)]
pub struct PendingToken(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The number of the last request.
    number: u32,
    /// Present until it is answered.
    sender: Option<Sender<TokenAnswer>>,
}

impl PendingToken {
    /// Returns a source of tokens, which calls `ask` with the number of a request and waits for its [`answer`](Self::answer).
    pub fn source(&self, ask: impl Fn(u32) + Send + Sync + 'static) -> TokenSource {
        let pending = self.0.clone();
        Arc::new(move || {
            let (sender, answer) = channel();
            let number = {
                let mut pending = pending.lock();
                pending.number += 1;
                pending.sender = Some(sender);
                pending.number
            };
            ask(number);
            Box::pin(async { answer.await.unwrap_or_else(|_| Err("the session is gone".to_owned())) })
        })
    }

    /// Answers a request. Ignores an answer to an earlier one, whose attempt to join was given up.
    pub fn answer(&self, number: u32, answer: TokenAnswer) {
        let mut pending = self.0.lock();
        if pending.number == number
            && let Some(sender) = pending.sender.take()
        {
            let _ = sender.send(answer);
        }
    }
}
