//! Drives a realtime session: one task, which ticks it and owns its output.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::clock::{FrameClock, Watch};
use super::handle::Core;
use super::slot::{Slot, end, tell, with_scratch};
use crate::audio::FRAME;
use crate::error::Result;
use crate::output::OutputEvent;
use crate::session::{OutputRequest, Pace};

/// Drives a session until it is closed.
pub async fn run(core: Arc<Core>) {
    let driver = Driver { slot: Slot::new(core.channels), core: core.clone(), clock: None };
    end(core, driver.run()).await;
}

struct Driver {
    core: Arc<Core>,
    slot: Slot,
    /// Made when the output is first opened; it goes on whatever becomes of the output.
    clock: Option<FrameClock>,
}

impl Driver {
    async fn run(mut self) -> Result<()> {
        loop {
            let core = self.core.clone();
            let looked = core.with(|session, at| {
                session.give_up(at);
                session.look(at);
                session.expire(at);
                session.end_drain(at);
                let deadline = session.deadline().into_iter().chain(session.start_deadline()).min();
                (session.take_output_request(), session.pace(), deadline)
            });
            let (request, pace, deadline) = looked.unwrap_or((None, Pace::Keep, None));
            match request {
                Some(OutputRequest::Close) => return self.close().await,
                Some(request) => {
                    if matches!(request, OutputRequest::Open) && self.clock.is_none() {
                        self.clock = Some(FrameClock::start());
                        core.clock_start.store(core.watch.now().0, Ordering::Release);
                    }
                    let event = self.slot.serve(request, &core);
                    tell(&core, event);
                    continue;
                }
                None => {}
            }
            let result = self.set_pace(pace);
            self.check(result);
            let Self { clock, slot, .. } = &mut self;
            let due = async {
                match clock {
                    Some(clock) => clock.due().await,
                    None => pending().await,
                }
            };
            let event = poll_fn(|context| slot.poll(context));
            tokio::select! {
                biased;
                () = due => {
                    let result = self.frame();
                    self.check(result);
                }
                event = event => {
                    if matches!(event, OutputEvent::Lost(..)) {
                        self.clock.iter_mut().for_each(FrameClock::park);
                    }
                    tell(&core, Some(event));
                }
                () = core.progress.moved() => {}
                () = Watch::alarm(Some(core.watch), deadline) => {}
            }
        }
    }

    /// Brings the clock to what the session wants of it.
    fn set_pace(&mut self, pace: Pace) -> Result<()> {
        let hastens = self.core.hastens.swap(false, Ordering::AcqRel);
        let Some(clock) = &mut self.clock else { return Ok(()) };
        if hastens {
            clock.hasten();
        }
        match pace {
            Pace::Run => {
                let Some(time) = clock.wake() else { return Ok(()) };
                let behind = self.core.with(|session, _| {
                    let behind = time.saturating_sub(session.now());
                    session.skip(behind);
                    behind
                })?;
                if behind > 0 { self.slot.skip(behind) } else { Ok(()) }
            }
            Pace::Halt => {
                clock.park();
                Ok(())
            }
            Pace::Rest if clock.is_awake() && self.slot.output.as_ref().is_none_or(|output| output.may_rest()) => {
                clock.park();
                self.slot.rest()
            }
            Pace::Rest | Pace::Keep => Ok(()),
        }
    }

    /// Mixes the frame that is due and hands it over. Behind a halt of the process it falls silent in it, and rises after the
    /// time that was lost.
    fn frame(&mut self) -> Result<()> {
        let lost = self.clock.as_ref().map_or(0, FrameClock::lost);
        if lost > 0 {
            self.core.with(|session, _| session.fall_silent())?;
        }
        self.clock.iter_mut().for_each(|clock| clock.step(lost));
        self.tick()?;
        if lost == 0 {
            return Ok(());
        }
        self.core.with(|session, _| {
            session.skip(lost);
            session.go_on();
        })?;
        self.slot.skip(lost)
    }

    /// Mixes one frame, hands it over and releases its events.
    fn tick(&mut self) -> Result<()> {
        with_scratch(|scratch| {
            let mixed = self.core.with(|session, at| session.tick(FRAME, at, scratch))?;
            let result = self.slot.write(scratch, mixed);
            let lost = self.clock.as_ref().map_or(0, |clock| clock.lost);
            let gauges = self.slot.gauges(lost);
            self.core.with(|session, _| session.commit(result, gauges))
        })
    }

    fn check(&mut self, result: Result<()>) {
        if let Err(error) = result {
            tracing::warn!(%error, "the output failed");
            tell(&self.core, Some(OutputEvent::Failed(error)));
        }
    }

    /// The last frame carries the fade of what sounds; then the output is closed.
    async fn close(mut self) -> Result<()> {
        if self.clock.is_some() && self.core.with(|session, _| session.is_sounding()).unwrap_or(false) {
            let _ = self.tick();
        }
        let _ = self.core.with(|session, _| session.cut());
        self.slot.close().await
    }
}
