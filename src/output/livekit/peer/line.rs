//! What is sent on one media line: the numbers of its packets, and what they repeat.

use std::time::Instant;

use str0m::rtp::{ExtensionValues, RtpWrite, SeqNo};

use super::red::Red;
use super::{Mid, Pt};
use crate::output::livekit::track::Packet;

pub struct Line {
    pub mid: Mid,
    /// The next packet's number. The first one is random, and low enough that no listener takes it for one behind a wrap.
    next: SeqNo,
    /// If the server has agreed to it.
    red: Option<Red>,
}

impl Line {
    /// `red` is the number under which redundant audio goes, if it does.
    pub fn new(mid: Mid, red: Option<Pt>) -> Self {
        Self { mid, next: SeqNo::default(), red: red.map(Red::new) }
    }

    /// A packet of Opus as it goes out on this line, which bears `time` and was due `at`. None is sent again: by then it would be late.
    pub fn write(&mut self, opus: Pt, (time, at): (u32, Instant), packet: &Packet) -> RtpWrite {
        let number = self.next;
        self.next = (*number + 1).into();
        let (pt, payload) = match &mut self.red {
            Some(red) => (red.pt, red.wrap(opus, time, &packet.data, packet.first)),
            None => (opus, packet.data.clone()),
        };
        let (audio_level, voice_activity) = (Some(packet.level), Some(packet.is_audible()));
        RtpWrite::new(pt, number, time, at, payload).marker(packet.first).ext_vals(ExtensionValues {
            audio_level,
            voice_activity,
            ..ExtensionValues::default()
        })
    }
}
