//! Drives a session in real time, as a spoke of a wheel (`runtime/wheel.rs`): ticks it and owns its output.

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::clock::{FrameClock, Watch};
use super::handle::Core;
use super::slot::{Slot, end, tell, with_scratch};
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
enum Wanted {
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
    let waker = Waker::from(core.progress.clone());
    let context = &mut Context::from_waker(&waker);
    // The result of the frame that was handed over last.
    let mut outcome = None;
    loop {
        if core.hastens.swap(false, Ordering::AcqRel) {
            slot.clock.iter_mut().for_each(|clock| clock.hasten(now));
        }
        // A frame that was handed over is committed even if the lock is taken: it waits.
        let may_wait = may_wait || outcome.is_some();
        let look = |session: &mut Session, at| {
            if let Some(result) = outcome.take() {
                session.commit(result, slot.gauges());
            }
            wanted(session, at, core.watch, slot, now, scratch)
        };
        let looked = if may_wait { Some(core.with(look)) } else { core.try_with(look) };
        let Some(wanted) = looked else { return Turn::Busy };
        // A broken session only waits to be closed.
        match wanted.unwrap_or(Wanted::Nothing) {
            Wanted::Request(OutputRequest::Close) => {
                close(core, slot, now, scratch);
                return Turn::Over;
            }
            Wanted::Request(request) => {
                if matches!(request, OutputRequest::Open) && slot.clock.is_none() {
                    slot.clock = Some(FrameClock::start(now));
                    core.clock_start.store(core.watch.now().0, Ordering::Release);
                }
                let event = slot.serve(request, core, now);
                tell(core, event);
            }
            Wanted::Frame { skipped, mixed, lost } => {
                let result = if skipped > 0 { slot.skip(skipped) } else { Ok(()) };
                let result = result.and_then(|()| slot.write(scratch, mixed, now));
                warn_of(&result);
                if lost > 0 {
                    go_on_after(core, slot, result, lost);
                } else {
                    outcome = Some(result);
                }
            }
            Wanted::Rest => {
                let result = slot.rest();
                check(core, result);
            }
            Wanted::Nothing => match slot.poll(context, now) {
                Poll::Ready(event) => {
                    if matches!(event, OutputEvent::Lost(..)) {
                        slot.clock.iter_mut().for_each(FrameClock::park);
                    }
                    tell(core, Some(event));
                }
                Poll::Pending => {
                    slot.clock.iter().filter_map(FrameClock::next).for_each(wake_at);
                    return Turn::Done;
                }
            },
        }
    }
}

/// Passes the time to the session, and mixes the frame that is due, if one is.
fn wanted(
    session: &mut Session,
    at: WallTime,
    watch: Watch,
    slot: &mut Slot,
    now: Instant,
    scratch: &mut Scratch,
) -> Wanted {
    session.pass_time(at);
    if let Some(request) = session.take_output_request() {
        return Wanted::Request(request);
    }
    // Set in each turn, so the last one counts.
    session.next_deadline().into_iter().for_each(|deadline| wake_at(watch.instant(deadline)));
    let pace = session.pace();
    let Slot { clock: Some(clock), output, .. } = slot else { return Wanted::Nothing };
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
            return Wanted::Rest;
        }
        Pace::Rest | Pace::Keep => {}
    }
    if !clock.is_due(now) {
        return Wanted::Nothing;
    }
    let lost = clock.lost(now);
    // After a halt of the process everything falls silent in this frame, and rises after the lost time.
    if lost > 0 {
        session.fall_silent();
    }
    clock.step(lost, now);
    Wanted::Frame { skipped, mixed: session.tick(FRAME, at, scratch), lost }
}

fn warn_of(result: &Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the output failed");
    }
}

/// Commits the last frame before a halt of the process, and skips the lost time.
fn go_on_after(core: &Core, slot: &mut Slot, result: Result<()>, lost: Samples) {
    let gauges = slot.gauges();
    let _ = core.with(|session, _| {
        session.commit(result, gauges);
        session.skip(lost);
        session.go_on();
    });
    let result = slot.lose(lost);
    check(core, result);
}

fn check(core: &Core, result: Result<()>) {
    warn_of(&result);
    if let Err(error) = result {
        tell(core, Some(OutputEvent::Failed(error)));
    }
}

/// Hands over a last frame with the fade of what sounds, then closes the output, which may take time.
fn close(core: &Arc<Core>, slot: &mut Slot, now: Instant, scratch: &mut Scratch) {
    if slot.clock.is_some() {
        let mixed = core.with(|session, at| session.is_sounding().then(|| session.tick(FRAME, at, scratch)));
        if let Ok(Some(mixed)) = mixed {
            let result = slot.write(scratch, mixed, now);
            warn_of(&result);
            let gauges = slot.gauges();
            let _ = core.with(|session, _| session.commit(result, gauges));
        }
    }
    let _ = core.with(|session, _| session.cut());
    let closing = slot.close(now);
    *slot = Slot::new(core.channels);
    RUNTIME.spawn(Scope::current().wrap(end(core.clone(), closing)));
}
