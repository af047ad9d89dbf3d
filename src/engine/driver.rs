//! Drives a session in real time, as a spoke of a wheel (`runtime/wheel.rs`): ticks it and owns its output.

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::clock::{FrameClock, WallClock};
use super::handle::Core;
use super::slot::{Slot, end, report_output_event, with_scratch};
use crate::audio::{FRAME, Samples};
use crate::error::Result;
use crate::mixer::Scratch;
use crate::output::OutputEvent;
use crate::runtime::{RUNTIME, Seat, Spoke, Turn, wake_at};
use crate::scope::Scope;
use crate::session::{OutputRequest, Pace, Session, WallTime};

impl Spoke for Core {
    fn seat(&self) -> &Seat {
        &self.seat
    }

    /// A panic in the output breaks the session, like one of its own.
    fn turn(self: Arc<Self>, now: Instant, may_wait: bool) -> Turn {
        let _entered = self.scope.enter();
        let turn = catch_unwind(AssertUnwindSafe(|| with_scratch(|scratch| turn(&self, now, may_wait, scratch))));
        turn.unwrap_or_else(|_| {
            self.break_down();
            let slot = std::mem::replace(&mut *self.slot.lock(), Slot::new(self.channels));
            // Dropped in a task, because dropping it may panic again.
            RUNTIME.spawn(async move { drop(slot) });
            RUNTIME.spawn(Scope::current().wrap(end(self.clone(), ready(Ok(())))));
            Turn::Over
        })
    }
}

/// The next action of a turn.
enum NextAction {
    Request(OutputRequest),
    /// `skipped` samples of silence have passed; then a frame of `mixed` samples was mixed, behind which `lost` samples of time are lost.
    Frame {
        skipped: Samples,
        mixed: usize,
        lost: Samples,
    },
    /// Nothing sounds for a while.
    Rest,
    /// No frame is due.
    Nothing,
}

fn turn(core: &Arc<Core>, now: Instant, may_wait: bool, scratch: &mut Scratch) -> Turn {
    let slot = &mut *core.slot.lock();
    let waker = Waker::from(core.notifier.clone());
    let context = &mut Context::from_waker(&waker);
    // The result of the frame that was handed over last.
    let mut outcome = None;
    loop {
        if core.hastens.swap(false, Ordering::AcqRel)
            && let Some(clock) = &mut slot.clock
        {
            clock.hasten(now);
        }
        // A frame that was handed over is committed even if the lock is taken: it waits.
        let may_wait = may_wait || outcome.is_some();
        let look = |session: &mut Session, at| {
            if let Some(result) = outcome.take() {
                session.commit(result, slot.counts());
            }
            next_action(session, at, core.wall_clock, slot, now, scratch)
        };
        let looked = if may_wait { Some(core.with(look)) } else { core.try_with(look) };
        let Some(next) = looked else { return Turn::Busy };
        // A broken session only waits to be closed.
        match next.unwrap_or(NextAction::Nothing) {
            NextAction::Request(OutputRequest::Close) => {
                close(core, slot, now, scratch);
                return Turn::Over;
            }
            NextAction::Request(request) => {
                if matches!(request, OutputRequest::Open) && slot.clock.is_none() {
                    slot.clock = Some(FrameClock::start(now));
                    core.clock_start.store(core.wall_clock.now().0, Ordering::Release);
                }
                let event = slot.carry_out(request, core, now);
                park_if_lost(slot, event.as_ref());
                report_output_event(core, event);
            }
            NextAction::Frame { skipped, mixed, lost } => {
                let result = if skipped > 0 { slot.skip(skipped) } else { Ok(()) };
                let result = result.and_then(|()| slot.write(scratch, mixed, now));
                log_failure(&result);
                if lost > 0 {
                    skip_lost_time(core, slot, result, lost);
                } else {
                    outcome = Some(result);
                }
            }
            NextAction::Rest => {
                let result = slot.rest();
                check(core, result);
            }
            NextAction::Nothing => match slot.poll(context, now) {
                Poll::Ready(event) => {
                    park_if_lost(slot, Some(&event));
                    report_output_event(core, Some(event));
                }
                Poll::Pending => {
                    if let Some(next) = slot.clock.as_ref().and_then(FrameClock::next) {
                        wake_at(next);
                    }
                    return Turn::Done;
                }
            },
        }
    }
}

/// Parks the clock if the output could not be opened, or was lost.
fn park_if_lost(slot: &mut Slot, event: Option<&OutputEvent>) {
    if let (Some(OutputEvent::Lost { .. }), Some(clock)) = (event, &mut slot.clock) {
        clock.park();
    }
}

/// Passes the time to the session, and mixes the frame that is due, if one is.
fn next_action(
    session: &mut Session,
    at: WallTime,
    wall_clock: WallClock,
    slot: &mut Slot,
    now: Instant,
    scratch: &mut Scratch,
) -> NextAction {
    session.pass_time(at);
    if let Some(request) = session.take_output_request() {
        return NextAction::Request(request);
    }
    // Set in each turn, so the last one counts.
    if let Some(deadline) = session.next_deadline() {
        wake_at(wall_clock.instant(deadline));
    }
    let pace = session.pace();
    let Slot { clock: Some(clock), output, .. } = slot else { return NextAction::Nothing };
    let mut skipped = 0;
    match pace {
        Pace::Run => {
            if let Some(time) = clock.wake(now) {
                skipped = time.saturating_sub(session.now());
                session.skip(skipped);
            }
        }
        Pace::Halt => clock.park(),
        Pace::Rest if clock.is_awake() && output.as_ref().is_none_or(|output| output.may_rest()) => {
            clock.park();
            return NextAction::Rest;
        }
        Pace::Rest | Pace::Keep => {}
    }
    if !clock.is_due(now) {
        return NextAction::Nothing;
    }
    let lost = clock.lost(now);
    // After a halt of the process everything falls silent in this frame, and rises after the lost time.
    if lost > 0 {
        session.fade_out_for_halt();
    }
    clock.step(lost, now);
    NextAction::Frame { skipped, mixed: session.tick(FRAME, at, scratch), lost }
}

fn log_failure(result: &Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the output failed");
    }
}

/// Commits the last frame before a halt of the process, and skips the lost time.
fn skip_lost_time(core: &Core, slot: &mut Slot, result: Result<()>, lost: Samples) {
    let counts = slot.counts();
    let _ = core.with(|session, _| {
        session.commit(result, counts);
        session.skip(lost);
        session.fade_in_after_halt();
    });
    let result = slot.lose(lost);
    check(core, result);
}

fn check(core: &Core, result: Result<()>) {
    log_failure(&result);
    if let Err(error) = result {
        report_output_event(core, Some(OutputEvent::Failed(error)));
    }
}

/// Hands over a last frame with the fade of what sounds, then closes the output, which may take time.
fn close(core: &Arc<Core>, slot: &mut Slot, now: Instant, scratch: &mut Scratch) {
    if slot.clock.is_some() {
        let mixed = core.with(|session, at| session.is_sounding().then(|| session.tick(FRAME, at, scratch)));
        if let Ok(Some(mixed)) = mixed {
            let result = slot.write(scratch, mixed, now);
            log_failure(&result);
            let counts = slot.counts();
            let _ = core.with(|session, _| session.commit(result, counts));
        }
    }
    let _ = core.with(|session, _| session.end_sounding());
    let closing = slot.close(now);
    *slot = Slot::new(core.channels);
    RUNTIME.spawn(Scope::current().wrap(end(core.clone(), closing)));
}
