//! Work that goes on by itself while somebody wants it.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;

use super::RUNTIME;
use crate::scope::Scope;

/// What a task comes to. Dropping it ends the task.
pub struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    /// Begins `work` on the runtime for whatever waits, whichever thread this is, in the scope of whoever calls.
    pub fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(RUNTIME.spawn(Scope::current().wrap(work)))
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(result) => Poll::Ready(result),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // Only a drop cancels it.
                Err(_) => Poll::Pending,
            },
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
