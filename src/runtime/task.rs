//! A task that is aborted when it is dropped.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;

use super::RUNTIME;
use crate::scope::Scope;

/// The future result of a spawned task. Dropping it aborts the task.
pub struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    /// Spawns `work` on [`RUNTIME`], from any thread, in the caller's scope.
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
                // Only dropping it cancels it.
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
