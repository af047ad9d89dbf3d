//! The session and request that a thread works for, which are added to each line of the log.
//!
//! A thread passes its scope on to the tasks ([`Scope::wrap`]) and decode tasks (`runtime/pool.rs`) that it starts.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

/// A session and maybe one of its requests, or neither.
#[derive(Debug, Clone, Default)]
pub struct Scope(Option<Arc<Owner>>);

#[derive(Debug)]
struct Owner {
    session: u32,
    request: Option<Arc<str>>,
}

thread_local! {
    static CURRENT: Cell<Scope> = const { Cell::new(Scope(None)) };
}

impl Scope {
    /// Creates the scope of a new session, with a number that is unique in the process.
    pub fn of_new_session() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let session = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        Self(Some(Arc::new(Owner { session, request: None })))
    }

    /// Returns the scope of one of its requests.
    pub fn of_request(&self, request: Arc<str>) -> Self {
        Self(self.0.as_ref().map(|owner| Arc::new(Owner { session: owner.session, request: Some(request) })))
    }

    /// Returns the scope of this thread.
    pub fn current() -> Self {
        let current = CURRENT.take();
        CURRENT.set(current.clone());
        current
    }

    /// Returns the number of the session.
    pub fn session(&self) -> Option<u32> {
        self.0.as_ref().map(|owner| owner.session)
    }

    /// Returns the `requestId`.
    pub fn request(&self) -> Option<&Arc<str>> {
        self.0.as_ref()?.request.as_ref()
    }

    /// Sets this scope for the thread until the guard is dropped.
    pub fn enter(&self) -> ScopeGuard {
        ScopeGuard { before: CURRENT.replace(self.clone()) }
    }

    /// Sets this scope for the thread from here on: for code whose stack is switched meanwhile.
    pub fn set(self) {
        CURRENT.set(self);
    }

    /// Runs `work` in this scope, on whichever thread.
    pub fn wrap<F: Future>(self, work: F) -> Scoped<F> {
        Scoped { scope: self, work: Box::pin(work) }
    }
}

/// The guard of [`Scope::enter`].
#[must_use = "the scope is left when this is dropped"]
pub struct ScopeGuard {
    before: Scope,
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        CURRENT.set(std::mem::take(&mut self.before));
    }
}

/// The future of [`Scope::wrap`].
pub struct Scoped<F> {
    scope: Scope,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.scope.enter();
        self.work.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_nest_and_follow_tasks() {
        let session = Scope::of_new_session();
        let request = session.of_request("a".into());
        let names = |scope: &Scope| (scope.session(), scope.request().map(|name| name.to_string()));
        assert_eq!(names(&Scope::current()), (None, None));
        let inner = {
            let _session = session.enter();
            {
                let _request = request.enter();
                assert_eq!(names(&Scope::current()), (session.session(), Some("a".to_owned())));
            }
            assert_eq!(names(&Scope::current()), (session.session(), None));
            Scope::current().wrap(async { Scope::current().session() })
        };
        assert_eq!(names(&Scope::current()), (None, None));
        assert_eq!(futures_util::FutureExt::now_or_never(inner), Some(session.session()));
        assert_ne!(Scope::of_new_session().session(), session.session());
    }
}
