//! Drives a session on the manual clock, as a job (`runtime/jobs.rs`) that is woken by whatever moves. It mixes as fast as sources allow,
//! in turns, and holds no thread while there is nothing to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::time::sleep_until;

use super::handle::Core;
use super::slot::{Slot, end, report_output_event, with_scratch};
use crate::error::Result;
use crate::mixer::Scratch;
use crate::runtime::{Job, RUNTIME, Task, Work, timed};
use crate::scope::Scope;
use crate::session::{OutputRequest, Step, WallTime};

/// The number of steps in a turn: a second of sound, some milliseconds of work.
const STEPS: usize = 50;

impl Work for Core {
    fn job(&self) -> &Job {
        self.seat.job()
    }

    /// A panic in the output breaks the session, like one of its own.
    fn turn(self: Arc<Self>) -> bool {
        let _entered = self.scope.enter();
        catch_unwind(AssertUnwindSafe(|| turn(&self))).unwrap_or_else(|_| {
            self.break_down();
            true
        })
    }
}

/// Takes a turn. Returns true if there is more to do at once.
fn turn(core: &Arc<Core>) -> bool {
    let slot = &mut *core.slot.lock();
    let waker = Waker::from(core.notifier.clone());
    let _entered = RUNTIME.enter();
    with_scratch(|scratch| (0..STEPS).all(|_| step(core, slot, &waker, scratch)))
}

/// Takes one step. Returns false if there is nothing to do.
fn step(core: &Arc<Core>, slot: &mut Slot, waker: &Waker, scratch: &mut Scratch) -> bool {
    if let Poll::Ready(event) = slot.poll(&mut Context::from_waker(waker), Instant::now()) {
        report_output_event(core, Some(event));
        return true;
    }
    let takes_more = slot.takes_more();
    let next = core.with(|session, at| match session.take_output_request() {
        Some(request) => Next::Request(request),
        None if session.is_closed() => Next::Step(Step::Done, None),
        None => {
            session.fail_late_starts(at);
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
            let event = slot.carry_out(request, core, Instant::now());
            report_output_event(core, event);
            return true;
        }
        Ok(Next::Step(Step::Frame(samples), _)) => slot.write(scratch, samples, Instant::now()),
        Ok(Next::Step(Step::Silence(samples), _)) => slot.skip(samples),
        Ok(Next::Step(Step::Waits | Step::Done, deadline)) => {
            Alarm::set(&mut slot.alarm, core, deadline);
            return false;
        }
        Err(_) => return true,
    };
    let counts = slot.counts();
    let _ = core.with(|session, _| session.commit(result, counts));
    true
}

enum Next {
    Request(OutputRequest),
    /// A step, and the next deadline for the first sound of a source.
    Step(Step, Option<WallTime>),
}

/// Wakes the job at a wall time. Dropping it cancels that.
pub struct Alarm {
    time: WallTime,
    _task: Task<()>,
}

impl Alarm {
    fn set(alarm: &mut Option<Self>, core: &Core, time: Option<WallTime>) {
        let Some(time) = time else {
            *alarm = None;
            return;
        };
        // An alarm that has rung, or is about to, is set again.
        if alarm.as_ref().is_some_and(|set| set.time == time && time > core.wall_clock.now()) {
            return;
        }
        let (wall_clock, notifier) = (core.wall_clock, core.notifier.clone());
        let task = Task::spawn(async move {
            sleep_until(wall_clock.instant(time).into()).await;
            notifier.notify();
        });
        *alarm = Some(Self { time, _task: task });
    }
}

/// Ends the session in a task, because the output may take time to close.
fn close(core: &Arc<Core>, slot: &mut Slot) {
    slot.alarm = None;
    let slot = std::mem::replace(slot, Slot::new(core.channels));
    RUNTIME.spawn(Scope::current().wrap(end(core.clone(), close_output(core.clone(), slot))));
}

/// Closes the output. Whether it could be opened is reported first: the events must not depend on how fast that is.
async fn close_output(core: Arc<Core>, mut slot: Slot) -> Result<()> {
    while slot.output.as_ref().is_some_and(|output| !output.is_connected()) {
        let event = timed(|context, now| slot.poll(context, now)).await;
        report_output_event(&core, Some(event));
    }
    // Time stands still, so everything that sounds is cut off.
    let _ = core.with(|session, _| session.end_sounding());
    slot.close(Instant::now()).await
}
