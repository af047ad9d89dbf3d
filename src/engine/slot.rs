//! The part of a session that its driver owns: the output and the taps. Nobody else touches them.

use std::cell::RefCell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::FutureExt;

use super::admission::admit;
use super::clock::FrameClock;
use super::handle::Core;
use super::offline::Alarm;
use crate::audio::{Samples, samples};
use crate::error::Result;
use crate::mixer::Scratch;
use crate::output::{Closing, Output, OutputEvent, Taps, closed};
use crate::runtime::RUNTIME;
use crate::scope::Scope;
use crate::session::{DriverCounts, OutputRequest};

thread_local! {
    /// One for each thread: a session needs it only while it is ticked.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Lends the buffers of this thread.
pub(super) fn with_scratch<R>(tick: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(tick)
}

/// An output and its taps.
pub struct Slot {
    pub output: Option<Box<dyn Output>>,
    pub taps: Taps,
    /// In real time: made when the output is first opened. It outlasts the output.
    pub clock: Option<FrameClock>,
    /// On the manual clock: the next deadline for the first sound of a source.
    pub alarm: Option<Alarm>,
    /// Frames that earlier outputs dropped.
    dropped: u64,
    /// Packets that earlier outputs sent as encoded for others.
    shared: u64,
}

impl Slot {
    pub fn new(channels: usize) -> Self {
        Self { output: None, taps: Taps::new(channels), clock: None, alarm: None, dropped: 0, shared: 0 }
    }

    /// Carries out a request of the session; `Close` is for the driver. Returns the event of the result, if there is one.
    pub fn carry_out(&mut self, request: OutputRequest, core: &Core, now: Instant) -> Option<OutputEvent> {
        match request {
            OutputRequest::Open => {
                if !core.is_manual
                    && let Err(error) = admit()
                {
                    return Some(OutputEvent::Lost { error, reason: "failed".to_owned() });
                }
                let output = core.options.output.open(core.channels, &core.notifier, now);
                let is_connected = output.is_connected();
                self.output = Some(output);
                is_connected.then_some(OutputEvent::Connected)
            }
            OutputRequest::Prepare(stream) => match self.output.as_mut()?.prepare(stream, now) {
                Ok(true) => Some(OutputEvent::Opened(stream)),
                Ok(false) => None,
                Err(error) => Some(OutputEvent::Refused { stream, error }),
            },
            OutputRequest::Unpublish(stream, ticket) => {
                self.output.as_mut()?.unpublish(stream, ticket, now);
                None
            }
            OutputRequest::SetMuted(stream, muted) => {
                self.output.as_mut()?.set_muted(stream, muted);
                None
            }
            OutputRequest::Describe(description, ticket) => {
                self.output.as_mut()?.describe(description, ticket, now);
                None
            }
            OutputRequest::SendData(data, ticket) => {
                self.output.as_mut()?.send_data(*data, ticket);
                None
            }
            OutputRequest::HearData(interest) => {
                self.output.as_mut()?.set_data_interest(interest);
                None
            }
            OutputRequest::Listen(listening) => {
                let epoch = self.clock.as_ref()?.epoch();
                self.output.as_mut()?.listen(listening, epoch);
                None
            }
            OutputRequest::Unlisten(id) => {
                self.output.as_mut()?.unlisten(id);
                None
            }
            OutputRequest::GiveUp => {
                // It may have joined already.
                let leaving = self.output.take()?.give_up(now);
                RUNTIME.spawn(Scope::current().wrap(leaving));
                None
            }
            OutputRequest::Tap(request) => {
                // Another frame may have been handed over since the call: the tap begins with the next one.
                let from = core.with(|session, _| session.now()).ok()?;
                self.taps.open(*request, from);
                None
            }
            OutputRequest::EndTap(id) => {
                self.taps.end(id);
                None
            }
            OutputRequest::Untap(id) => {
                self.taps.close(id);
                None
            }
            OutputRequest::Close => None,
        }
    }

    /// Polls the output for events. Closes an output that was lost.
    pub fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<OutputEvent> {
        let event = self.output.as_mut().map_or(Poll::Pending, |output| output.poll(context, now));
        if matches!(event, Poll::Ready(OutputEvent::Lost { .. })) {
            drop(self.close(now));
        }
        event
    }

    /// Hands over a mixed frame of so many samples.
    pub fn write(&mut self, scratch: &mut Scratch, samples: usize, now: Instant) -> Result<()> {
        let result = self.hand_over(scratch, samples, now);
        scratch.release_clips();
        result
    }

    fn hand_over(&mut self, scratch: &Scratch, samples: usize, now: Instant) -> Result<()> {
        let Self { output: Some(output), taps, .. } = self else { return Ok(()) };
        let mut taken = false;
        let result = scratch.frames().try_for_each(|frame| {
            if output.write(&frame, now)? {
                taps.add(&frame);
                taken = true;
            }
            Ok(())
        });
        if taken {
            scratch.stems().for_each(|(stem, samples)| taps.add_stem(stem, samples));
        }
        taps.hand_over(samples as Samples);
        // Nothing has ever sounded, so there is no stream to carry the silence.
        if scratch.is_empty() { output.skip(samples as Samples) } else { result }
    }

    /// Advances over silent time.
    pub fn skip(&mut self, samples: Samples) -> Result<()> {
        self.taps.skip(samples);
        self.output.as_mut().map_or(Ok(()), |output| output.skip(samples))
    }

    /// Advances over lost time.
    pub fn lose(&mut self, samples: Samples) -> Result<()> {
        self.taps.skip(samples);
        self.output.as_mut().map_or(Ok(()), |output| output.lose(samples))
    }

    /// Notes that nothing follows for a while.
    pub fn rest(&mut self) -> Result<()> {
        self.taps.rest();
        self.output.as_mut().map_or(Ok(()), |output| output.rest())
    }

    /// Returns true if the output and every tap can take more.
    pub fn takes_more(&self) -> bool {
        self.output.as_ref().is_none_or(|output| output.has_room()) && self.taps.have_room()
    }

    /// Starts closing the output, if there is one. Returns a future of its end.
    pub fn close(&mut self, now: Instant) -> Closing {
        (self.dropped, self.shared) = (self.dropped_frames(), self.shared_packets());
        self.taps.rest();
        self.output.take().map_or_else(|| closed(Ok(())), |mut output| output.close(now))
    }

    fn dropped_frames(&self) -> u64 {
        self.dropped + self.output.as_ref().map_or(0, |output| output.dropped())
    }

    fn shared_packets(&self) -> u64 {
        self.shared + self.output.as_ref().map_or(0, |output| output.shared())
    }

    pub fn counts(&self) -> DriverCounts {
        let clock = self.clock.as_ref();
        DriverCounts {
            dropped_frames: self.dropped_frames(),
            late_frames: clock.map_or(0, |clock| clock.late),
            lost_frames: clock.map_or(0, |clock| clock.lost),
            shared_packets: self.shared_packets(),
            late: clock.map_or(0, |clock| samples(clock.lateness)),
        }
    }
}

/// Waits for a session's output to end, and reports it. A panic in it breaks the session, like one of its own.
pub(super) async fn end(core: Arc<Core>, ending: impl Future<Output = Result<()>>) {
    let result = AssertUnwindSafe(ending).catch_unwind().await.unwrap_or_else(|_| {
        core.break_down();
        Ok(())
    });
    core.options.output.end();
    // Before `close` settles: whoever awaited that finds it counted.
    core.ended();
    let _ = core.with(|session, _| session.closed(result));
}

/// Reports an event of the output to the session.
pub(super) fn report_output_event(core: &Core, event: Option<OutputEvent>) {
    if let Some(event) = event {
        let _ = core.with(|session, at| session.output_event(event, at));
    }
}
