//! The process-wide cache, off until it is given room: what one playback has fetched is served to all others that request the same.
//!
//! "The same" is the same URL, with the same user headers, under the same `network`. So nobody hears what was fetched with somebody else's
//! key, or from a server that their own `network` forbids; and everything that `Vary` may name is the same too.
//!
//! A fetch is not owned by the requests that wait for it: it is a task (a flight), which runs as long as one of them reads. A request that
//! comes while the flight waits for an answer joins it, and reads the same body from memory at its own pace. Bodies that may not be shared
//! (see `freshness`), are too long, or have no certain end, go to the first request that waits, and the others fetch for themselves.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime};

use lru::LruCache;
use once_cell::sync::Lazy;
use parking_lot::Mutex;
use reqwest::header::{
    CACHE_CONTROL, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA, RANGE,
};
use reqwest::{StatusCode, Url};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::bytes::{Buf, Bytes};

use super::ask::{Asker, Known};
use super::freshness::{Freshness, Step};
use super::parts::Parts;
use super::plain::Plain;
use super::resume::{Piece, changed};
use super::retry::Retries;
use super::shared_body::{Growing, Part, SharedBody};
use super::{Fetch, FetchLimits, silent};
use crate::error::{Code, Result, SpeakerError};
use crate::metrics::METRICS;
use crate::net::{Network, http};
use crate::runtime::{Allowance, FETCHES};
use crate::scope::Scope;
use crate::source::spool::Extent;

/// The part of the room that one body may take is 1 in this many: a few large bodies must not evict all others.
const PART: u64 = 4;

/// The size of an entry beside its body and its headers, in bytes.
const OVERHEAD: u64 = 1 << 10;

/// Request headers that bypass the cache: whoever sends one wants an answer of their own.
const PASSED_BY: [HeaderName; 8] =
    [RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, CACHE_CONTROL, PRAGMA];

/// The cache of the process.
pub static CACHE: Lazy<Cache> = Lazy::new(Cache::default);

/// The cache; see the top of the file.
#[derive(Default)]
pub struct Cache {
    max: AtomicU64,
    /// The bytes of what is kept, what is arriving, and what is still being read.
    used: AtomicU64,
    shelf: Mutex<Shelf>,
}

struct Shelf {
    kept: LruCache<Arc<Request>, Kept>,
    flights: HashMap<Joint, (u64, Weak<Flight>)>,
    last_flight: u64,
}

/// The key of an entry: requests that may get the same answer.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Request {
    url: Url,
    headers: Vec<(String, String)>,
    network: Arc<Network>,
}

/// The key of a flight: requests that would wait equally long, for bytes equally fast.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Joint {
    request: Arc<Request>,
    timeout: Duration,
    min_bytes_per_second: u64,
}

/// A kept body and its freshness.
#[derive(Clone)]
struct Kept {
    /// The redirects that lead to it.
    redirects: Arc<[Freshness]>,
    freshness: Arc<Freshness>,
    /// Its URL after all redirects.
    url: Url,
    extent: Extent,
    content_type: Option<String>,
    /// The server's byte ranges, while the body is incomplete here.
    parts: Option<Parts>,
    body: Arc<SharedBody>,
}

/// A fetch in progress, which lives as long as somebody waits for it or reads its body.
struct Flight {
    cache: &'static Cache,
    joint: Joint,
    number: u64,
    arrived: watch::Receiver<Option<Arrived>>,
    task: OnceLock<AbortHandle>,
}

/// The result of a flight.
#[derive(Clone)]
enum Arrived {
    Shared(Box<Kept>, Source),
    /// May not be shared: goes to the first who takes it.
    Alone(Arc<Mutex<Option<Plain>>>),
    Failed(SpeakerError),
}

/// The origin of a shared body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Server,
    /// Kept, and revalidated by the server.
    Confirmed,
    /// Kept, since the server does not answer.
    Kept,
}

enum Found {
    Kept(Box<Kept>),
    /// A flight, and true if this call started it.
    Flight(Arc<Flight>, bool),
}

/// A reader of a shared body.
pub struct Reader {
    body: Arc<SharedBody>,
    /// Held until the end, so that the fetch goes on.
    _flight: Option<Arc<Flight>>,
    place: u64,
    fetch: Fetch,
    limits: FetchLimits,
}

/// The next part of a shared body.
pub enum Next {
    Bytes(Bytes),
    End,
    /// The rest, which is not shared.
    Alone(Box<Plain>),
}

/// The usage of the cache at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// The room in bytes.
    pub max_bytes: u64,
    /// The bytes taken of it.
    pub bytes: u64,
    /// The number of kept bodies.
    pub entries: usize,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { kept: LruCache::unbounded(), flights: HashMap::new(), last_flight: 0 }
    }
}

impl Request {
    /// Returns the key of a fetch; `None` if it is not cacheable.
    fn of(fetch: &Fetch) -> Option<Self> {
        let mut url = Url::parse(&fetch.url).ok()?;
        url.set_fragment(None);
        let headers: Vec<_> =
            fetch.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let is_passed_by = headers.iter().any(|(name, _)| PASSED_BY.iter().any(|passed| passed.as_str() == name));
        // A part is not the same as the whole, and only wholes are kept.
        (!is_passed_by && fetch.part.is_none()).then(|| Self { url, headers, network: fetch.network.clone() })
    }

    fn bytes(&self) -> usize {
        self.url.as_str().len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

impl Cache {
    /// Sets the room in bytes; 0 turns the cache off. Excess entries are dropped, those being read stay.
    pub fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Release);
        let all = (max == 0).then(|| std::mem::replace(&mut self.shelf.lock().kept, LruCache::unbounded()));
        drop(all);
        while self.used() > max && self.let_one_go() {}
    }

    pub fn holdings(&self) -> Holdings {
        Holdings { max_bytes: self.max(), bytes: self.used(), entries: self.shelf.lock().kept.len() }
    }

    fn max(&self) -> u64 {
        self.max.load(Ordering::Acquire)
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// Reserves room, evicting the least recently used entries if needed. Returns false if there is not enough.
    pub fn take_room(&self, bytes: u64) -> bool {
        let fits = |used: u64| Some(used + bytes).filter(|used| *used <= self.max());
        while self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_err() {
            if bytes > self.max() || !self.let_one_go() {
                return false;
            }
        }
        true
    }

    pub fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Evicts the least recently used entry that nobody reads: dropping one that is read would free nothing.
    fn let_one_go(&self) -> bool {
        let mut shelf = self.shelf.lock();
        let mut all = shelf.kept.iter().rev();
        let idle = all.find(|(_, kept)| Arc::strong_count(&kept.body) == 1).map(|(request, _)| request.clone());
        let gone = idle.and_then(|request| shelf.kept.pop(&request));
        // Its memory is released without the lock.
        drop(shelf);
        gone.is_some()
    }

    /// Answers a request: from the cache, by a flight under way, or from its server.
    pub async fn begin(&'static self, fetch: Fetch, limits: FetchLimits) -> Result<Plain> {
        let request = Request::of(&fetch).filter(|_| self.max() > 0);
        let Some(request) = request.map(Arc::new) else { return Box::pin(Plain::begin(fetch, limits)).await };
        let mut time = Allowance::new(limits.timeout);
        let mut has_waited = false;
        loop {
            let (flight, is_first) = match self.find(&request, &fetch, limits) {
                Found::Kept(kept) => {
                    METRICS.cache_hits.add(1);
                    return Ok(kept.read(None, fetch, limits));
                }
                Found::Flight(flight, is_first) => (flight, is_first),
            };
            // The flight itself keeps to the same limit, and has the better error.
            let arrived = match is_first && !has_waited {
                true => Some(flight.arrived().await),
                false => time.within(flight.arrived()).await,
            };
            has_waited = true;
            let error = match arrived {
                Some(Arrived::Shared(kept, source)) if is_first || !kept.freshness.must_be_asked() => {
                    count(if is_first { Some(source) } else { None });
                    return Ok(kept.read(Some(flight), fetch, limits));
                }
                Some(Arrived::Shared(..)) => return Box::pin(self.alone(&request, fetch, limits, &mut time)).await,
                Some(Arrived::Alone(body)) => {
                    let body = body.lock().take();
                    let Some(body) = body else {
                        return Box::pin(self.alone(&request, fetch, limits, &mut time)).await;
                    };
                    METRICS.cache_misses.add(1);
                    return Ok(body);
                }
                // The one whose time was up had waited for longer.
                Some(Arrived::Failed(error)) if error.code == Code::FetchTimeout && !is_first => continue,
                Some(Arrived::Failed(error)) => error,
                None => silent(limits.timeout, &request.url),
            };
            METRICS.cache_misses.add(1);
            return Err(error);
        }
    }

    /// Fetches something that can't be shared, in the rest of `time`.
    async fn alone(
        &'static self,
        request: &Arc<Request>,
        fetch: Fetch,
        limits: FetchLimits,
        time: &mut Allowance,
    ) -> Result<Plain> {
        let known = self.shelf.lock().kept.get(request).cloned();
        let asked = time.within(self.ask(request, fetch.clone(), limits, known)).await;
        match asked.unwrap_or_else(|| Err(silent(limits.timeout, &request.url))) {
            Ok(Asked::Known(kept, source)) => {
                count(Some(source));
                Ok(kept.read(None, fetch, limits))
            }
            Ok(Asked::Answer(plain)) => {
                METRICS.cache_misses.add(1);
                Ok(*plain)
            }
            Err(error) => {
                METRICS.cache_misses.add(1);
                Err(error)
            }
        }
    }

    /// Finds the body in the cache or a flight under way, or else starts a flight.
    fn find(&'static self, request: &Arc<Request>, fetch: &Fetch, limits: FetchLimits) -> Found {
        let mut shelf = self.shelf.lock();
        let known = match shelf.kept.get(request) {
            Some(kept) if kept.is_fresh(SystemTime::now()) => return Found::Kept(Box::new(kept.clone())),
            known => known.cloned(),
        };
        let FetchLimits { timeout, min_bytes_per_second } = limits;
        let joint = Joint { request: request.clone(), timeout, min_bytes_per_second: min_bytes_per_second.to_bits() };
        if let Some(flight) = shelf.flights.get(&joint).and_then(|(_, flight)| flight.upgrade()) {
            return Found::Flight(flight, false);
        }
        shelf.last_flight += 1;
        let number = shelf.last_flight;
        let (told, arrived) = watch::channel(None);
        let flight = Arc::new(Flight { cache: self, joint: joint.clone(), number, arrived, task: OnceLock::new() });
        shelf.flights.insert(joint.clone(), (number, Arc::downgrade(&flight)));
        drop(shelf);
        let work = self.fly((joint, number), fetch.clone(), limits, known, told);
        let task = FETCHES.spawn(Scope::current().wrap(work));
        flight.task.set(task.abort_handle()).expect("it is begun once");
        Found::Flight(flight, true)
    }

    /// Removes a flight, so that nobody joins it any more.
    fn land(&self, (joint, number): &(Joint, u64)) {
        let mut shelf = self.shelf.lock();
        if shelf.flights.get(joint).is_some_and(|(current, _)| current == number) {
            shelf.flights.remove(joint);
        }
    }

    /// Fetches a body, for all who wait for it.
    async fn fly(
        &'static self,
        flight: (Joint, u64),
        fetch: Fetch,
        limits: FetchLimits,
        known: Option<Kept>,
        told: watch::Sender<Option<Arrived>>,
    ) {
        let request = flight.0.request.clone();
        let tell = |arrived| _ = told.send(Some(arrived));
        let mut plain = match self.ask(&request, fetch, limits, known).await {
            Ok(Asked::Known(kept, source)) => {
                self.land(&flight);
                return tell(Arrived::Shared(kept, source));
            }
            Ok(Asked::Answer(plain)) => *plain,
            Err(error) => {
                self.land(&flight);
                return tell(Arrived::Failed(error));
            }
        };
        let Some((kept, mut growing)) = self.share(&plain) else {
            self.land(&flight);
            return tell(Arrived::Alone(Arc::new(Mutex::new(Some(plain)))));
        };
        // Whoever comes now would get something older than his request.
        if !kept.is_fresh(SystemTime::now()) {
            self.land(&flight);
        }
        tell(Arrived::Shared(Box::new(kept.clone()), Source::Server));
        loop {
            match plain.next().await {
                Ok(Some(Piece::Bytes(mut bytes))) => {
                    bytes.advance(growing.add(&bytes));
                    if !bytes.is_empty() {
                        self.land(&flight);
                        plain.put_back(bytes);
                        return growing.leave(plain);
                    }
                }
                Ok(Some(Piece::Metadata(_))) => {}
                Ok(None) => break,
                Err(error) => {
                    self.land(&flight);
                    return growing.fail(error);
                }
            }
        }
        // Kept before anybody can have read it to its end and request it again.
        let extent = Extent::Known(growing.shrink());
        self.keep(&request, Kept { extent, parts: None, ..kept });
        growing.finish();
        self.land(&flight);
    }

    /// Requests a source from its server, or revalidates a known one.
    async fn ask(
        &self,
        request: &Arc<Request>,
        fetch: Fetch,
        limits: FetchLimits,
        known: Option<Kept>,
    ) -> Result<Asked> {
        let mut asker = Asker::new(fetch, limits)?;
        if let Some(known) = known {
            match asker.ask_again(&known.question(SystemTime::now()), Retries::new(false)).await {
                Ok(Some(answer)) => return Ok(Asked::Answer(Box::new(Plain::of(asker, answer).await?))),
                Ok(None) => match known.confirmed(asker.steps()) {
                    Some(kept) => {
                        self.keep(request, kept.clone());
                        return Ok(Asked::Known(Box::new(kept), Source::Confirmed));
                    }
                    None => self.forget(request),
                },
                Err(error) => {
                    let status =
                        asker.steps().last().map(|step| step.status).filter(|_| error.code == Code::HttpStatus);
                    let is_gone = status.is_some_and(|status| !status.is_server_error());
                    if is_gone {
                        self.forget(request);
                    }
                    let is_unreachable =
                        matches!(error.code, Code::FetchFailed | Code::FetchTimeout | Code::HttpStatus);
                    if is_unreachable && !is_gone && known.freshness.replaces_errors(SystemTime::now()) {
                        tracing::debug!(reason = %error, "an older answer for audioUrl stands in");
                        return Ok(Asked::Known(Box::new(known), Source::Kept));
                    }
                    return Err(error);
                }
            }
        }
        let answer = asker.ask(None, Retries::new(false)).await?;
        Ok(Asked::Answer(Box::new(Plain::of(asker, answer).await?)))
    }

    /// Starts to share a body, if that is allowed.
    fn share(&'static self, plain: &Plain) -> Option<(Kept, Growing)> {
        let (last, redirects) = plain.steps.split_last().filter(|_| plain.is_plain)?;
        let redirects: Arc<[_]> = redirects.iter().map(Freshness::of).collect();
        let freshness = Arc::new(Freshness::of(last));
        let limit = self.max() / PART;
        let is_fresh = || freshness.is_fresh(SystemTime::now());
        let (expected, fits) = match plain.extent {
            Extent::Known(length) => (Some(length), length <= limit),
            // It may be longer, or endless, and then those who joined have to start anew: only fresh ones are worth that.
            Extent::Unknown | Extent::Bounded => (None, limit > 0 && is_fresh()),
            Extent::Live => (None, false),
        };
        let is_shared = fits && freshness.may_be_shared() && redirects.iter().all(Freshness::may_lead_others);
        if !is_shared {
            return None;
        }
        let growing = Growing::new(self, expected, limit);
        let (url, extent, content_type) = (plain.url.clone(), plain.extent, plain.content_type.clone());
        let parts = plain.parts.clone();
        Some((Kept { redirects, freshness, url, extent, content_type, parts, body: growing.body().clone() }, growing))
    }

    /// Keeps a complete body, as long as it is useful.
    fn keep(&self, request: &Arc<Request>, kept: Kept) {
        let may_be_kept = kept.freshness.may_be_shared() && kept.redirects.iter().all(Freshness::may_lead_others);
        let is_of_use = kept.freshness.is_fresh(SystemTime::now()) || kept.freshness.can_be_asked();
        let headers: usize = kept.redirects.iter().chain([&*kept.freshness]).map(Freshness::bytes).sum();
        let is_new = self.shelf.lock().kept.peek(request).is_none_or(|known| !Arc::ptr_eq(&known.body, &kept.body));
        let beside = if is_new { OVERHEAD + (headers + request.bytes()) as u64 } else { 0 };
        if !may_be_kept || !is_of_use || !kept.body.take_room(beside) {
            return self.forget(request);
        }
        let mut shelf = self.shelf.lock();
        // The cache may have been turned off meanwhile.
        let before = if self.max() > 0 { shelf.kept.push(request.clone(), kept) } else { None };
        drop(shelf);
        drop(before);
    }

    fn forget(&self, request: &Arc<Request>) {
        let gone = self.shelf.lock().kept.pop(request);
        drop(gone);
    }
}

/// The result of a request to a server.
enum Asked {
    Answer(Box<Plain>),
    Known(Box<Kept>, Source),
}

impl Kept {
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.redirects.iter().all(|redirect| redirect.is_fresh(now)) && self.freshness.is_fresh(now)
    }

    /// Returns what revalidates it.
    fn question(&self, now: SystemTime) -> Known {
        let (url, is_fresh) = (self.url.clone(), self.freshness.is_fresh(now));
        Known { url, is_fresh, conditions: self.freshness.conditions() }
    }

    /// Returns it as updated by these answers, which confirm it; `None` if the last one is about something else.
    fn confirmed(&self, steps: &[Step]) -> Option<Self> {
        let (redirects, freshness) = match steps.split_last() {
            Some((last, redirects)) if last.status == StatusCode::NOT_MODIFIED => {
                (redirects, Arc::new(self.freshness.confirmed(last)?))
            }
            _ => (steps, self.freshness.clone()),
        };
        Some(Self { redirects: redirects.iter().map(Freshness::of).collect(), freshness, ..self.clone() })
    }

    /// Opens its body at the start, for one reader.
    fn read(self, flight: Option<Arc<Flight>>, fetch: Fetch, limits: FetchLimits) -> Plain {
        let Self { body, url, extent, content_type, parts, .. } = self;
        Plain::shared(Reader { body, _flight: flight, place: 0, fetch, limits }, url, extent, content_type, parts)
    }
}

impl Flight {
    async fn arrived(&self) -> Arrived {
        let mut arrived = self.arrived.clone();
        let arrived = arrived.wait_for(Option::is_some).await.ok().and_then(|arrived| arrived.clone());
        // A panicked flight leaves nothing for anybody.
        arrived.unwrap_or_else(|| Arrived::Alone(Arc::default()))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.cache.land(&(self.joint.clone(), self.number));
        self.task.get().iter().for_each(|task| task.abort());
    }
}

impl Reader {
    /// Returns the next part.
    pub async fn next(&mut self) -> Result<Next> {
        match self.body.read(self.place).await? {
            Part::Bytes(bytes) => {
                self.place += bytes.len() as u64;
                Ok(Next::Bytes(bytes))
            }
            Part::End => Ok(Next::End),
            Part::Left => match self.body.take_rest() {
                Some(rest) => Ok(Next::Alone(Box::new(rest))),
                None => Ok(Next::Alone(Box::new(self.fetch_rest().await?))),
            },
        }
    }

    /// Fetches all of it anew and skips what was read already, if that is the same.
    fn fetch_rest(&self) -> Pin<Box<dyn Future<Output = Result<Plain>> + Send + '_>> {
        Box::pin(async {
            let mut plain = Plain::begin(self.fetch.clone(), self.limits).await?;
            let mut place = 0;
            while place < self.place {
                let mut bytes = match plain.next().await? {
                    Some(Piece::Bytes(bytes)) => bytes,
                    Some(Piece::Metadata(_)) => continue,
                    None => return Err(changed(&http::host(&plain.url))),
                };
                while !bytes.is_empty() && place < self.place {
                    let Part::Bytes(known) = self.body.read(place).await? else { break };
                    let most = usize::try_from(self.place - place).unwrap_or(usize::MAX);
                    let length = known.len().min(bytes.len()).min(most);
                    if known[..length] != bytes[..length] {
                        return Err(changed(&http::host(&plain.url)));
                    }
                    bytes.advance(length);
                    place += length as u64;
                }
                if !bytes.is_empty() {
                    plain.put_back(bytes);
                }
            }
            Ok(plain)
        })
    }
}

/// Counts a body by its origin; `None` if it came from another request's flight.
fn count(source: Option<Source>) {
    let counter = match source {
        None => &METRICS.cache_joined,
        Some(Source::Server) => &METRICS.cache_misses,
        Some(Source::Confirmed) => &METRICS.cache_revalidated,
        Some(Source::Kept) => &METRICS.cache_hits,
    };
    counter.add(1);
}
