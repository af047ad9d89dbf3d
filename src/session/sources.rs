//! The sources of a session: readers that were opened, sources that fail or start late, and seeks.

use super::playbacks::{Loadable, Request, Sought, Sounding};
use super::{Session, WallTime};
use crate::audio::to_ms;
use crate::error::{Code, SpeakerError};
use crate::event::EventKind;
use crate::ids::{PlaybackId, Ticket};
use crate::mixer::MixerEvent;
use crate::source::PcmReader;

impl Session {
    /// Hands in the reader of an opened source, or gets it back if it is not wanted any more.
    pub fn opened(
        &mut self,
        id: PlaybackId,
        number: u64,
        reader: PcmReader,
        ticket: Option<Ticket>,
    ) -> Result<(), Box<PcmReader>> {
        let answer = self.accept_reader(id, number, reader);
        if let Some(ticket) = ticket {
            self.outbox.settle(ticket, None);
        }
        self.outbox.wakes_driver = true;
        answer
    }

    fn accept_reader(&mut self, id: PlaybackId, number: u64, reader: PcmReader) -> Result<(), Box<PcmReader>> {
        let at = self.now();
        let Self { playbacks, outbox, mixer_events, .. } = self;
        let is_wanted =
            |source: &Loadable| matches!(source, Loadable::Opening { number: wanted, .. } if *wanted == number);
        if let Some(sounding) = playbacks.sounding(id) {
            if sounding.flushing == Some(number) {
                sounding.flushing = None;
                if let Some(kind) = sounding.voice.flush_to(reader) {
                    mixer_events.push(MixerEvent { id, at, kind });
                    self.handle_mixer_events();
                }
                return Ok(());
            }
            return match &mut sounding.sought {
                Some(Sought { source, .. }) if is_wanted(source) => {
                    *source = Loadable::Reading(reader);
                    Ok(())
                }
                _ => Err(Box::new(reader)),
            };
        }
        let Some(source) = playbacks.loadable_mut(id).filter(|source| is_wanted(source)) else {
            return Err(Box::new(reader));
        };
        // It was sought while it was being opened.
        if let Loadable::Opening { place, .. } = *source
            && place != reader.from()
            && let Some(opening) = reader.unplayed_opening(place)
        {
            *source = Loadable::Opening { number: outbox.open(id, opening, reader.lookahead(), None), place };
            return Err(Box::new(reader));
        }
        *source = Loadable::Reading(reader);
        Ok(())
    }

    /// Fails playbacks whose source has failed and, in real time, completes seeks whose place is loaded.
    pub fn check_sources(&mut self, at: WallTime) {
        self.wall = at;
        while let Some((id, error)) = self.next_failed() {
            self.fail_unstarted(id, error);
        }
        if !self.is_eager() {
            self.complete_seeks();
        }
    }

    /// Fails sources that have not come to their first sound in time.
    pub fn fail_late_starts(&mut self, at: WallTime) {
        self.wall = at;
        let Self { playbacks, outbox, options, .. } = self;
        for (_, reader) in playbacks.awaiting_first_sound().filter(|(deadline, _)| *deadline <= at) {
            let timeout = to_ms(options.start_timeout);
            let message = format!("Expected a first sound within {timeout} ms (startTimeoutMs) but received none");
            outbox.wakes.extend(reader.fail(SpeakerError::new(Code::StartTimeout, message)));
        }
    }

    /// Returns when [`fail_late_starts`](Self::fail_late_starts) is to be called next: in wall time, on the manual clock too.
    pub fn start_deadline(&self) -> Option<WallTime> {
        self.playbacks.awaiting_first_sound().map(|(deadline, _)| deadline).min()
    }

    /// Returns the deadline for the first sound of a source that is opened now.
    pub(super) fn start_deadline_of(&self, request: &Request) -> Option<WallTime> {
        let timeout = self.options.start_timeout;
        (timeout > 0 && !request.is_stream).then_some(WallTime(self.wall.0 + timeout))
    }

    /// Returns the next playback whose source failed before its first sample. On the manual clock those behind one that still loads
    /// wait too: how fast each loads must not change the order of the events.
    fn next_failed(&self) -> Option<(PlaybackId, SpeakerError)> {
        let loads = |(id, source): (PlaybackId, &Loadable)| source.is_loading().then_some(id);
        let limit = if self.is_eager() { self.playbacks.opened().filter_map(loads).min() } else { None };
        let failed = |(id, source): (PlaybackId, &Loadable)| Some((id, source.failure()?));
        let before = |(id, _): &(PlaybackId, &Loadable)| limit.is_none_or(|limit| *id < limit);
        self.playbacks.opened().filter(before).filter_map(failed).min_by_key(|(id, _)| *id)
    }

    pub(super) fn fail_unstarted(&mut self, id: PlaybackId, error: SpeakerError) {
        let Some((request, info, garbage)) = self.playbacks.take_unstarted(id) else { return };
        self.outbox.garbage.push(garbage);
        let SpeakerError { code, message, cause } = error;
        let event = EventKind::Failed {
            code,
            message,
            cause,
            duration_ms: to_ms(request.played_before()),
            position_ms: to_ms(info.position),
            unheard_ms: 0.0,
        };
        self.note_end(&request, event);
        self.advance_line(request.track);
    }

    /// Completes seeks whose place can be played from; on the manual clock in order.
    pub(super) fn complete_seeks(&mut self) {
        loop {
            let pending = |sounding: &Sounding| {
                let Sought { number, source } = sounding.sought.as_ref()?;
                Some((*number, sounding.request.id, source.is_ready()))
            };
            let sought = self.playbacks.sounding.iter().filter_map(pending);
            let next = if self.is_eager() {
                sought.min().filter(|(.., is_ready)| *is_ready)
            } else {
                sought.filter(|(.., is_ready)| *is_ready).min()
            };
            let Some((_, id, _)) = next else { return };
            let at = self.now();
            let Some(sounding) = self.playbacks.sounding(id) else { return };
            let Some(Sought { source: Loadable::Reading(reader), .. }) = sounding.sought.take() else { return };
            match sounding.voice.seek_to(reader) {
                Ok(Some(kind)) => {
                    self.mixer_events.push(MixerEvent { id, at, kind });
                    self.handle_mixer_events();
                }
                Ok(None) => {}
                Err(reader) => self.outbox.drop_reader(reader),
            }
        }
    }
}
