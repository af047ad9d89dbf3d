//! Who is taken: one name once, and no more at a time than the session's limits.

use super::{Entry, Overlap, Registry, Target};
use crate::error::{Code, Result, SpeakerError};
use crate::mixer::Role;
use crate::session::playback::{Phase, Playback};

impl Registry {
    /// Whether a request of this name can be taken at all.
    pub(super) fn check_name(&self, request_id: &str) -> Result<()> {
        if self.closed {
            return Err(SpeakerError::new(Code::Closed, "Expected an open session for playAudio but it is closed"));
        }
        if self.playbacks.iter().any(|playback| playback.request_id == request_id) {
            let message = format!("Expected a requestId that is not live for playAudio but received \"{request_id}\"");
            return Err(SpeakerError::new(Code::DuplicateRequest, message));
        }
        Ok(())
    }

    /// Who gives way to a request.
    pub(super) fn gives_way(&self, entry: &Entry) -> Option<Target> {
        match (entry.stop_other, self.policy.overlap) {
            (true, _) => Some(Target::All),
            (false, Overlap::Replace) => Some(Target::Track(entry.track)),
            _ => None,
        }
    }

    /// Whether there is room for a request that waits or plays, once `leaving` are gone.
    pub(super) fn check_room(&self, role: Role, waits: bool, leaving: Option<&Target>) -> Result<()> {
        if waits {
            let queued = self.playbacks.iter().filter(|playback| playback.phase == Phase::Queued).count();
            return match self.policy.max_queued {
                max if queued >= max => full(Code::QueueFull, "queued", max),
                _ => Ok(()),
            };
        }
        let stays = |playback: &&Playback| playback.is_active() && leaving.is_none_or(|target| !target.means(playback));
        let active = self.playbacks.iter().filter(stays).count();
        let systems = self.playbacks.iter().filter(stays).filter(|playback| playback.role == Role::System).count();
        // One place above the limit is kept for a system message.
        let is_reserved = role == Role::System && systems == 0;
        match self.policy.max_concurrent {
            max if !is_reserved && active - systems.min(1) >= max => full(Code::TooManyPlaybacks, "concurrent", max),
            _ => Ok(()),
        }
    }
}

fn full(code: Code, which: &str, max: usize) -> Result<()> {
    Err(SpeakerError::new(code, format!("too many {which} playbacks (max {max})")))
}
