//! The run of a sequence: every call with its time, its answer and its messages.

use std::collections::HashMap;

use speaker_session::internals::audio::{Samples, from_ms};
use speaker_session::internals::event::{Event, EventKind, Message};

use crate::calls::{Call, Sequence};
use crate::harness::{Answer, Counts, Rig};
use crate::voice::Reader;

/// One call.
pub struct Step {
    /// The session's time before it.
    pub at: Samples,
    pub call: Call,
    pub answer: Answer,
    pub messages: Vec<Message>,
}

impl Step {
    /// The change of the session's time.
    pub fn length(&self) -> Samples {
        match (&self.call, &self.answer) {
            (Call::Advance(samples), Answer::Settled(None)) => *samples,
            _ => 0,
        }
    }

    pub fn end(&self) -> Samples {
        self.at + self.length()
    }

    pub fn names(&self) -> &[String] {
        match &self.answer {
            Answer::Names(names) => names,
            _ => &[],
        }
    }
}

pub struct Run {
    pub steps: Vec<Step>,
    pub samples: Vec<f32>,
    pub counts: Counts,
    /// The playbacks that outlived the last call.
    /// So many faded at once that the oldest fade was cut short.
    pub is_capped: bool,
    pub live: Vec<String>,
    /// The messages after the last call settled.
    pub late: Vec<Message>,
}

/// Carries out a sequence. Each `advance` may be cut in two, which must not be audible.
pub fn run(sequence: &Sequence, is_cut: bool) -> Run {
    let mut rig = Rig::new(&sequence.setup);
    let (mut steps, mut at, mut is_capped) = (Vec::<Step>::new(), 0, false);
    let mut perform = |call: Call| {
        let (answer, messages) = rig.perform(&call);
        let step = Step { at, call, answer, messages };
        at = step.end();
        steps.push(step);
        is_capped |= rig.stopping() > sequence.setup.max_concurrent;
    };
    // A failure of a source is reported as soon as it is known: in no fixed order among calls that do not wait for it.
    let mut may_fail = false;
    for (index, call) in sequence.calls.iter().enumerate() {
        match call {
            Call::Advance(samples) if is_cut && *samples > 0 => {
                // Uneven, and different each time.
                let first = (samples * (3 + index as Samples % 5) / 9).clamp(1, *samples);
                perform(Call::Advance(first));
                perform(Call::Advance(samples - first));
            }
            Call::Play(play) if Reader::new(play).is_hopeless() => {
                may_fail = true;
                perform(call.clone());
                perform(Call::Advance(0));
            }
            _ => {
                perform(call.clone());
                if may_fail {
                    perform(Call::Advance(0));
                }
            }
        }
    }
    let (samples, counts, live) = (rig.samples(), rig.counts(), rig.live());
    Run { steps, samples, counts, live, is_capped, late: rig.leave() }
}

/// An event, and the step in which it was reported.
#[derive(Debug, Clone)]
pub struct Reported {
    pub step: usize,
    pub at: Samples,
    pub event: Event,
}

impl Run {
    pub fn reported(&self) -> Vec<Reported> {
        let mut reported = Vec::new();
        for (step, Step { messages, .. }) in self.steps.iter().enumerate() {
            for message in messages {
                if let Message::Event(event) = message {
                    reported.push(Reported { step, at: from_ms(event.at_ms), event: event.clone() });
                }
            }
        }
        reported
    }

    /// Returns the events of each playback, in order.
    pub fn stories(&self) -> HashMap<String, Vec<Reported>> {
        let mut stories = HashMap::<String, Vec<Reported>>::new();
        for reported in self.reported() {
            if let Some(name) = &reported.event.request_id {
                stories.entry(name.to_string()).or_default().push(reported);
            }
        }
        stories
    }
}

/// Returns how long a playback sounded, if this is its end.
pub fn duration(kind: &EventKind) -> Option<Samples> {
    match kind {
        EventKind::Completed { duration_ms, .. }
        | EventKind::Stopped { duration_ms, .. }
        | EventKind::Failed { duration_ms, .. } => Some(from_ms(*duration_ms)),
        _ => None,
    }
}
