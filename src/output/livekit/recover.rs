//! How a room in trouble is won back: resumed in the place that the server keeps, or else joined anew.
//!
//! ```text
//! signalling lost ─▶ reopen it ─┬─ sound still arrives ──────────▶ as it was: nobody heard a gap
//! ICE has no path ──────────────┴─ look for a path anew (ICE restart) ─▶ as it was: the tracks stay published
//!       refused, or no path for 15 s ─▶ join anew, publish anew
//! ```

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::backoff::{ATTEMPTS, Backoff};
use super::join::{Coming, join, local_address};
use super::room::silent;
use super::transport::IceServer;
use super::trouble::{Remedy, Trouble};
use super::{Attempt, Connection, LiveKit, State, Track};
use crate::error::SpeakerError;
use crate::output::OutputEvent;

/// How long a room may be without a path before its place counts as lost: what LiveKit's own clients wait.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// How often it is looked whether the sound still arrives.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub struct Recovery {
    step: Step,
    attempts: Backoff,
    /// When the server last heard us.
    heard: Instant,
    look: Interval,
}

enum Step {
    /// The signalling is being reopened, if it was lost; then the address that this machine has now is known.
    Reaching { signalling: bool, reached: Pin<Box<dyn Future<Output = Attempt<Reached>> + Send>> },
    /// ICE looks for a path.
    Path,
}

struct Reached {
    address: IpAddr,
    /// What the server offers over a reopened signalling.
    ice_servers: Option<Vec<IceServer>>,
}

impl LiveKit {
    /// The room is in trouble. `Some` if it is lost for good.
    pub(super) fn lose(&mut self, trouble: Trouble) -> Option<OutputEvent> {
        self.reason.clone_from(&trouble.reason);
        if let (Remedy::Resume, State::Joined(connection), false) =
            (trouble.remedy, &self.state, self.rejoin.is_going_on())
            && connection.room.can_resume()
        {
            if !connection.is_reopening() {
                self.reach(true);
            }
            return None;
        }
        if trouble.remedy == Remedy::None || self.rejoin.attempts == ATTEMPTS {
            let state = std::mem::replace(&mut self.state, State::Lost);
            if let (State::Joined(connection), true) = (state, trouble.is_replaced()) {
                connection.room.abandon();
            }
            return Some(OutputEvent::Lost(trouble.error, trouble.reason));
        }
        self.tracks.iter_mut().for_each(Track::reset);
        self.deadline = None;
        let at = Instant::now() + self.rejoin.wait();
        self.state = State::Joining(join(self.options.clone(), Coming::Again(trouble.regions), at));
        None
    }

    /// Sound does not arrive any more.
    pub(super) fn find_path(&mut self) {
        let State::Joined(connection) = &self.state else { return };
        // The signalling comes first.
        if !matches!(connection.recovery, Some(Recovery { step: Step::Reaching { .. }, .. })) {
            self.reason = Trouble::no_path().reason;
            self.reach(false);
        }
    }

    /// Tries once more to reach the server.
    fn reach(&mut self, signalling: bool) {
        // What is to be published waits, too.
        self.deadline = None;
        let State::Joined(connection) = &mut self.state else { return };
        let Connection { room, recovery, .. } = &mut **connection;
        let recovery = recovery.get_or_insert_with(Recovery::new);
        // The first attempt may well succeed at once; those after it wait.
        let first = !recovery.attempts.is_going_on();
        let wait = if first { Duration::ZERO } else { recovery.attempts.wait() };
        let signalling = signalling || matches!(recovery.step, Step::Reaching { signalling: true, .. });
        let until = tokio::time::Instant::now() + wait + self.options.timeout;
        let reopened = signalling.then(|| room.reopen(until));
        let (url, limit) = (self.options.url.clone(), self.options.timeout);
        let reached = Box::pin(async move {
            sleep(wait).await;
            let ice_servers = match reopened {
                Some(reopened) => Some(reopened.await?),
                None => None,
            };
            let again = |error: SpeakerError| Trouble { remedy: Remedy::Resume, ..error.into() };
            let address = timeout(limit, local_address(&url)).await.unwrap_or_else(|_| Err(silent(limit)));
            Ok(Reached { address: address.map_err(again)?, ice_servers })
        });
        recovery.step = Step::Reaching { signalling, reached };
    }

    /// Goes on with what is under way. Ready when something has changed.
    pub(super) fn recover(&mut self, context: &mut Context<'_>) -> Attempt<Poll<()>> {
        let State::Joined(connection) = &mut self.state else { return Ok(Poll::Pending) };
        let Connection { room, peer, recovery: Some(recovery), .. } = &mut **connection else {
            return Ok(Poll::Pending);
        };
        while recovery.look.poll_tick(context).is_ready() {}
        if peer.is_heard() {
            recovery.heard = Instant::now();
        }
        if recovery.heard.elapsed() > LOST_AFTER {
            return Err(Trouble::no_path());
        }
        match &mut recovery.step {
            Step::Reaching { reached, .. } => match reached.as_mut().poll(context) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(Reached { address, ice_servers })) => {
                    if let Some(ice_servers) = ice_servers {
                        room.reopened(ice_servers);
                        room.sync();
                    }
                    if peer.is_heard() {
                        self.recovered()?;
                    } else {
                        room.offer(peer.restart_ice(address, &room.ice_servers)?, None);
                        recovery.step = Step::Path;
                    }
                }
                Poll::Ready(Err(trouble)) if trouble.remedy == Remedy::Resume => self.reach(false),
                Poll::Ready(Err(trouble)) => return Err(trouble),
            },
            Step::Path if peer.is_connected() && !peer.awaits_answer() => self.recovered()?,
            Step::Path => return Ok(Poll::Pending),
        }
        Ok(Poll::Ready(()))
    }

    /// All is as it was, but for tracks that were being published: those begin again.
    fn recovered(&mut self) -> Attempt<()> {
        let State::Joined(connection) = &mut self.state else { return Ok(()) };
        connection.recovery = None;
        connection.peer.withdraw();
        connection.room.resumed();
        self.tracks.iter_mut().filter(|track| !track.is_open()).for_each(Track::reset);
        self.publish_again();
        Ok(self.offer_next()?)
    }

    /// Gives tracks that are to be published anew the time for it.
    pub(super) fn publish_again(&mut self) {
        let open = self.tracks.iter().all(Track::is_open);
        self.deadline = (!open).then(|| Box::pin(sleep(self.options.timeout)));
        if open {
            self.rejoin.done();
        }
    }
}

impl Connection {
    fn is_reopening(&self) -> bool {
        matches!(self.recovery, Some(Recovery { step: Step::Reaching { signalling: true, .. }, .. }))
    }
}

impl Recovery {
    fn new() -> Self {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { step: Step::Path, attempts: Backoff::default(), heard: Instant::now(), look }
    }
}
