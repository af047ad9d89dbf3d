//! Drives a session on the manual clock: a job (`runtime/jobs.rs`), told by whatever moves. It mixes as fast as sources allow, in
//! turns, and holds no thread while there is nothing to do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::task::AbortHandle;

use super::clock::Watch;
use super::handle::Core;
use super::slot::{Slot, finish, tell, with_scratch};
use crate::mixer::Scratch;
use crate::runtime::{Job, RUNTIME, Work};
use crate::session::{OutputRequest, Step, WallTime};

/// How many steps a turn has: a second of sound, some milliseconds of work.
const STEPS: usize = 50;

impl Work for Core {
    fn job(&self) -> &Job {
        &self.job
    }

    /// A panic in the output breaks the session, like one of its own.
    fn turn(&self) -> bool {
        catch_unwind(AssertUnwindSafe(|| turn(self))).unwrap_or_else(|_| {
            break_down(self);
            true
        })
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

fn break_down(core: &Core) {
    let _ = core.with(|_, _| -> () { std::panic::resume_unwind(Box::new("the output panicked")) });
}

/// Returns true if there is more to do which waits for nobody.
fn turn(core: &Core) -> bool {
    let slot = &mut *core.slot.lock();
    with_scratch(|scratch| (0..STEPS).all(|_| step(core, slot, scratch)))
}

/// Does one thing. Returns false if there is none.
fn step(core: &Core, slot: &mut Slot, scratch: &mut Scratch) -> bool {
    let takes_more = slot.takes_more();
    let next = core.with(|session, at| match session.take_output_request() {
        Some(request) => Next::Request(request),
        None if session.is_closed() => Next::Step(Step::Done, None),
        None => {
            session.give_up(at);
            let step = session.step(at, takes_more, scratch);
            Next::Step(step, session.start_deadline())
        }
    });
    let result = match next {
        Ok(Next::Request(OutputRequest::Close)) => {
            close(core, slot);
            return true;
        }
        Ok(Next::Request(request)) => {
            let event = slot.serve(request, core);
            tell(core, event);
            return true;
        }
        Ok(Next::Step(Step::Frame(samples), _)) => slot.write(scratch, samples),
        Ok(Next::Step(Step::Silence(samples), _)) => slot.skip(samples),
        Ok(Next::Step(Step::Waits | Step::Done, deadline)) => {
            Alarm::set(&mut slot.alarm, core, deadline);
            return false;
        }
        Err(_) => return true,
    };
    let gauges = slot.gauges(0);
    let _ = core.with(|session, _| session.commit(result, gauges));
    true
}

enum Next {
    Request(OutputRequest),
    /// And when a source has to have come to its first sound.
    Step(Step, Option<WallTime>),
}

/// Wakes the job at a time of the watch. Dropping it cancels that.
pub struct Alarm {
    time: WallTime,
    task: AbortHandle,
}

impl Alarm {
    fn set(alarm: &mut Option<Self>, core: &Core, time: Option<WallTime>) {
        let Some(time) = time else {
            *alarm = None;
            return;
        };
        // One that has rung, or is about to, is set again.
        if alarm.as_ref().is_some_and(|set| set.time == time && time > core.watch.now()) {
            return;
        }
        let (watch, progress) = (core.watch, core.progress.clone());
        let task = RUNTIME.spawn(async move {
            Watch::alarm(Some(watch), Some(time)).await;
            progress.tell();
        });
        *alarm = Some(Self { time, task: task.abort_handle() });
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn close(core: &Core, slot: &mut Slot) {
    // Time stands still, so what sounds is cut where it is.
    let _ = core.with(|session, _| session.cut());
    slot.alarm = None;
    let result = RUNTIME.block_on(finish(slot.close()));
    // Before `close` settles: whoever waited for that finds it counted.
    core.ended();
    let _ = core.with(|session, _| session.closed(result));
}
