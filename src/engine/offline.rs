//! What moves a session on the manual clock: a job on the blocking pool, started when there is something to do. It mixes as fast as
//! sources allow, and ends when nothing is left or nothing moves for a while: then the next change starts another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::handle::Core;
use super::slot::{Slot, finish, tell};
use crate::mixer::Scratch;
use crate::runtime::RUNTIME;
use crate::session::{OutputRequest, Step};

/// How long a job holds its thread while nothing moves.
const PATIENCE: Duration = Duration::from_millis(20);

/// Starts the job, if none runs.
pub fn drive(core: &Arc<Core>) {
    if !core.is_driven.swap(true, Ordering::SeqCst) {
        let core = core.clone();
        RUNTIME.spawn_blocking(move || run(&core));
    }
}

/// Does at once what the session asks of its output, on the thread of the call that led to it: so `connected` has its place among
/// the events of calls that do not wait for each other.
pub fn serve(core: &Core) {
    let served = catch_unwind(AssertUnwindSafe(|| {
        let slot = &mut *core.slot.lock();
        while let Ok(Some(request)) = core.with(|session, _| session.take_output_request_but_close()) {
            let event = slot.serve(request, core);
            tell(core, event);
        }
    }));
    if served.is_err() {
        break_down(core);
    }
}

/// A panic in the output breaks the session, like one of its own.
fn break_down(core: &Core) {
    let _ = core.with(|_, _| -> () { std::panic::resume_unwind(Box::new("the output panicked")) });
}

fn run(core: &Arc<Core>) {
    loop {
        let Ok(seen) = catch_unwind(AssertUnwindSafe(|| work(core))) else {
            break_down(core);
            continue;
        };
        core.is_driven.store(false, Ordering::SeqCst);
        // What moved since then found a job running, and started none.
        if core.progress.moves() == seen || core.is_driven.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

/// Does what there is to do, until nothing is left or nothing moves. Returns how often something had moved when it looked last.
fn work(core: &Arc<Core>) -> u64 {
    let slot = &mut *core.slot.lock();
    let mut scratch = Scratch::default();
    loop {
        // Before the look: what moves after it is seen by the next one.
        let seen = core.progress.moves();
        let takes_more = slot.takes_more();
        let next = core.with(|session, _| match session.take_output_request() {
            Some(request) => Next::Request(request),
            None if session.is_closed() => Next::Step(Step::Done),
            None => Next::Step(session.step(takes_more, &mut scratch)),
        });
        let result = match next {
            Ok(Next::Request(OutputRequest::Close)) => {
                close(core, slot);
                continue;
            }
            Ok(Next::Request(request)) => {
                let event = slot.serve(request, core);
                tell(core, event);
                continue;
            }
            Ok(Next::Step(Step::Frame(samples))) => slot.write(&scratch, samples),
            Ok(Next::Step(Step::Silence(samples))) => slot.skip(samples),
            Ok(Next::Step(Step::Waits)) if core.progress.wait(seen, PATIENCE) => continue,
            Ok(Next::Step(Step::Waits | Step::Done)) => return seen,
            Err(_) => continue,
        };
        let gauges = slot.gauges(0);
        let _ = core.with(|session, _| session.commit(result, gauges));
    }
}

enum Next {
    Request(OutputRequest),
    Step(Step),
}

fn close(core: &Arc<Core>, slot: &mut Slot) {
    // Time stands still, so what sounds is cut where it is.
    let _ = core.with(|session, _| session.cut());
    let result = RUNTIME.block_on(finish(slot.close()));
    // Before `close` settles: whoever waited for that finds it counted.
    core.ended();
    let _ = core.with(|session, _| session.closed(result));
}
