//! Questions that JavaScript answers: for an access token, or for the server of an output.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot::{Sender, channel};

use crate::output::{Answer, Question};

/// The question that is open, if there is one: a session opens one output at a time.
#[derive(Clone, Default)]
pub struct PendingQuestion(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The number of the last question.
    number: u32,
    /// Present until it is answered.
    sender: Option<Sender<Answer>>,
}

impl PendingQuestion {
    /// Returns a question, which calls `ask` with its number each time it is asked, and waits for its [`answer`](Self::answer).
    pub fn question(&self, ask: impl Fn(u32) + Send + Sync + 'static) -> Question {
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

    /// Answers a question. Ignores an answer to an earlier one, whose attempt to open the output was given up.
    pub fn answer(&self, number: u32, answer: Answer) {
        let mut pending = self.0.lock();
        if pending.number == number
            && let Some(sender) = pending.sender.take()
        {
            let _ = sender.send(answer);
        }
    }
}
