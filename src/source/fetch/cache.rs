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

use super::cached_body::{CachedBody, CachedBodyWriter, CachedRead};
use super::decoded_body::DecodedBody;
use super::download::changed;
use super::freshness::{Exchange, Freshness};
use super::icy::Chunk;
use super::range_fetcher::RangeFetcher;
use super::requester::{Requester, Revalidation};
use super::retry::Retries;
use super::{Fetch, FetchLimits, timed_out};
use crate::error::{Code, Result, SpeakerError};
use crate::metrics::METRICS;
use crate::net::{Network, http};
use crate::runtime::{Allowance, FETCHES};
use crate::scope::Scope;
use crate::source::spool::BodyLength;

/// The part of the room that one body may take is 1 in this many: a few large bodies must not evict all others.
const MAX_SHARE: u64 = 4;

/// The size of an entry beside its body and its headers, in bytes.
const OVERHEAD: u64 = 1 << 10;

/// Request headers that bypass the cache: whoever sends one wants an answer of their own.
const BYPASSING: [HeaderName; 8] =
    [RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, CACHE_CONTROL, PRAGMA];

/// The cache of the process.
pub static CACHE: Lazy<Cache> = Lazy::new(Cache::default);

/// The cache; see the top of the file.
#[derive(Default)]
pub struct Cache {
    max: AtomicU64,
    /// The bytes of what is kept, what is arriving, and what is still being read.
    used: AtomicU64,
    state: Mutex<State>,
}

struct State {
    entries: LruCache<Arc<CacheKey>, Entry>,
    flights: HashMap<FlightKey, (u64, Weak<Flight>)>,
    last_flight: u64,
}

/// The key of an entry: requests that may get the same answer.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CacheKey {
    url: Url,
    headers: Vec<(String, String)>,
    network: Arc<Network>,
}

/// The key of a flight: requests that would wait equally long, for bytes equally fast.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FlightKey {
    key: Arc<CacheKey>,
    timeout: Duration,
    min_bytes_per_second: u64,
}

/// A kept body and its freshness.
#[derive(Clone)]
struct Entry {
    /// The redirects that lead to it.
    redirects: Arc<[Freshness]>,
    freshness: Arc<Freshness>,
    /// Its URL after all redirects.
    url: Url,
    body_length: BodyLength,
    content_type: Option<String>,
    /// The server's byte ranges, while the body is incomplete here.
    ranges: Option<RangeFetcher>,
    body: Arc<CachedBody>,
}

/// A fetch in progress, which lives as long as somebody waits for it or reads its body.
struct Flight {
    cache: &'static Cache,
    flight_key: FlightKey,
    number: u64,
    arrived: watch::Receiver<Option<FlightResult>>,
    task: OnceLock<AbortHandle>,
}

/// The result of a flight.
#[derive(Clone)]
enum FlightResult {
    Shared(Box<Entry>, ServedFrom),
    /// May not be shared: goes to the first who takes it.
    Unshared(Arc<Mutex<Option<DecodedBody>>>),
    Failed(SpeakerError),
}

/// The origin of a shared body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ServedFrom {
    Server,
    /// Kept, and revalidated by the server.
    Revalidated,
    /// Kept, since the server does not answer.
    Stale,
}

enum Lookup {
    Entry(Box<Entry>),
    /// A flight, and true if this call started it.
    Flight(Arc<Flight>, bool),
}

/// A reader of a shared body.
pub struct CachedBodyReader {
    body: Arc<CachedBody>,
    /// Held until the end, so that the fetch goes on.
    _flight: Option<Arc<Flight>>,
    position: u64,
    fetch: Fetch,
    limits: FetchLimits,
}

/// The result of a read of a shared body.
pub enum ReadResult {
    Bytes(Bytes),
    End,
    /// The rest, which is not shared.
    Unshared(Box<DecodedBody>),
}

/// The usage of the cache at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheUsage {
    /// The room in bytes.
    pub max_bytes: u64,
    /// The bytes taken of it.
    pub bytes: u64,
    /// The number of kept bodies.
    pub entries: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { entries: LruCache::unbounded(), flights: HashMap::new(), last_flight: 0 }
    }
}

impl CacheKey {
    /// Returns the key of a fetch; `None` if it is not cacheable.
    fn of(fetch: &Fetch) -> Option<Self> {
        let mut url = Url::parse(&fetch.url).ok()?;
        url.set_fragment(None);
        let headers: Vec<_> =
            fetch.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let bypasses = headers.iter().any(|(name, _)| BYPASSING.iter().any(|passed| passed.as_str() == name));
        // A part is not the same as the whole, and only wholes are kept.
        (!bypasses && fetch.part.is_none()).then(|| Self { url, headers, network: fetch.network.clone() })
    }

    fn bytes(&self) -> usize {
        self.url.as_str().len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

impl Cache {
    /// Sets the room in bytes; 0 turns the cache off. Excess entries are dropped, those being read stay.
    pub fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Release);
        let all = (max == 0).then(|| std::mem::replace(&mut self.state.lock().entries, LruCache::unbounded()));
        drop(all);
        while self.used() > max && self.evict_one() {}
    }

    pub fn usage(&self) -> CacheUsage {
        CacheUsage { max_bytes: self.max(), bytes: self.used(), entries: self.state.lock().entries.len() }
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
            if bytes > self.max() || !self.evict_one() {
                return false;
            }
        }
        true
    }

    pub fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Evicts the least recently used entry that nobody reads: dropping one that is read would free nothing.
    fn evict_one(&self) -> bool {
        let mut state = self.state.lock();
        let mut all = state.entries.iter().rev();
        let idle = all.find(|(_, entry)| Arc::strong_count(&entry.body) == 1).map(|(key, _)| key.clone());
        let gone = idle.and_then(|key| state.entries.pop(&key));
        // Its memory is released without the lock.
        drop(state);
        gone.is_some()
    }

    /// Answers a request: from the cache, by a flight under way, or from its server.
    pub async fn begin(&'static self, fetch: Fetch, limits: FetchLimits) -> Result<DecodedBody> {
        let key = CacheKey::of(&fetch).filter(|_| self.max() > 0);
        let Some(key) = key.map(Arc::new) else { return Box::pin(DecodedBody::begin(fetch, limits)).await };
        let mut time = Allowance::new(limits.timeout);
        let mut has_waited = false;
        loop {
            let (flight, is_first) = match self.find(&key, &fetch, limits) {
                Lookup::Entry(entry) => {
                    METRICS.cache_hits.add(1);
                    return Ok(entry.read(None, fetch, limits));
                }
                Lookup::Flight(flight, is_first) => (flight, is_first),
            };
            // The flight itself keeps to the same limit, and has the better error.
            let arrived = if is_first && !has_waited {
                Some(flight.arrived().await)
            } else {
                time.within(flight.arrived()).await
            };
            has_waited = true;
            let error = match arrived {
                Some(FlightResult::Shared(entry, served_from)) if is_first || !entry.freshness.must_revalidate() => {
                    count(if is_first { Some(served_from) } else { None });
                    return Ok(entry.read(Some(flight), fetch, limits));
                }
                Some(FlightResult::Shared(..)) => {
                    return Box::pin(self.fetch_unshared(&key, fetch, limits, &mut time)).await;
                }
                Some(FlightResult::Unshared(body)) => {
                    let body = body.lock().take();
                    let Some(body) = body else {
                        return Box::pin(self.fetch_unshared(&key, fetch, limits, &mut time)).await;
                    };
                    METRICS.cache_misses.add(1);
                    return Ok(body);
                }
                // The one whose time was up had waited for longer.
                Some(FlightResult::Failed(error)) if error.code == Code::FetchTimeout && !is_first => continue,
                Some(FlightResult::Failed(error)) => error,
                None => timed_out(limits.timeout, &key.url),
            };
            METRICS.cache_misses.add(1);
            return Err(error);
        }
    }

    /// Fetches something that can't be shared, in the rest of `time`.
    async fn fetch_unshared(
        &'static self,
        key: &Arc<CacheKey>,
        fetch: Fetch,
        limits: FetchLimits,
        time: &mut Allowance,
    ) -> Result<DecodedBody> {
        let known = self.state.lock().entries.get(key).cloned();
        let fetched = time.within(self.request(key, fetch.clone(), limits, known)).await;
        match fetched.unwrap_or_else(|| Err(timed_out(limits.timeout, &key.url))) {
            Ok(Fetched::Entry(entry, served_from)) => {
                count(Some(served_from));
                Ok(entry.read(None, fetch, limits))
            }
            Ok(Fetched::Answer(decoded)) => {
                METRICS.cache_misses.add(1);
                Ok(*decoded)
            }
            Err(error) => {
                METRICS.cache_misses.add(1);
                Err(error)
            }
        }
    }

    /// Finds the body in the cache or a flight under way, or else starts a flight.
    fn find(&'static self, key: &Arc<CacheKey>, fetch: &Fetch, limits: FetchLimits) -> Lookup {
        let mut state = self.state.lock();
        let known = match state.entries.get(key) {
            Some(entry) if entry.is_fresh(SystemTime::now()) => return Lookup::Entry(Box::new(entry.clone())),
            known => known.cloned(),
        };
        let FetchLimits { timeout, min_bytes_per_second } = limits;
        let flight_key = FlightKey { key: key.clone(), timeout, min_bytes_per_second: min_bytes_per_second.to_bits() };
        if let Some(flight) = state.flights.get(&flight_key).and_then(|(_, flight)| flight.upgrade()) {
            return Lookup::Flight(flight, false);
        }
        state.last_flight += 1;
        let number = state.last_flight;
        let (sender, arrived) = watch::channel(None);
        let flight =
            Arc::new(Flight { cache: self, flight_key: flight_key.clone(), number, arrived, task: OnceLock::new() });
        state.flights.insert(flight_key.clone(), (number, Arc::downgrade(&flight)));
        drop(state);
        let work = self.run_flight((flight_key, number), fetch.clone(), limits, known, sender);
        let task = FETCHES.spawn(Scope::current().wrap(work));
        flight.task.set(task.abort_handle()).expect("it is begun once");
        Lookup::Flight(flight, true)
    }

    /// Removes a flight, so that nobody joins it any more.
    fn remove_flight(&self, (flight_key, number): &(FlightKey, u64)) {
        let mut state = self.state.lock();
        if state.flights.get(flight_key).is_some_and(|(current, _)| current == number) {
            state.flights.remove(flight_key);
        }
    }

    /// Fetches a body, for all who wait for it.
    async fn run_flight(
        &'static self,
        flight: (FlightKey, u64),
        fetch: Fetch,
        limits: FetchLimits,
        known: Option<Entry>,
        sender: watch::Sender<Option<FlightResult>>,
    ) {
        let key = flight.0.key.clone();
        let report = |arrived| _ = sender.send(Some(arrived));
        let mut decoded = match self.request(&key, fetch, limits, known).await {
            Ok(Fetched::Entry(entry, served_from)) => {
                self.remove_flight(&flight);
                return report(FlightResult::Shared(entry, served_from));
            }
            Ok(Fetched::Answer(decoded)) => *decoded,
            Err(error) => {
                self.remove_flight(&flight);
                return report(FlightResult::Failed(error));
            }
        };
        let Some((entry, mut writer)) = self.share(&decoded) else {
            self.remove_flight(&flight);
            return report(FlightResult::Unshared(Arc::new(Mutex::new(Some(decoded)))));
        };
        // Whoever comes now would get something older than his request.
        if !entry.is_fresh(SystemTime::now()) {
            self.remove_flight(&flight);
        }
        report(FlightResult::Shared(Box::new(entry.clone()), ServedFrom::Server));
        loop {
            match decoded.next().await {
                Ok(Some(Chunk::Bytes(mut bytes))) => {
                    bytes.advance(writer.add(&bytes));
                    if !bytes.is_empty() {
                        self.remove_flight(&flight);
                        decoded.put_back(bytes);
                        return writer.end_sharing(decoded);
                    }
                }
                Ok(Some(Chunk::Metadata(_))) => {}
                Ok(None) => break,
                Err(error) => {
                    self.remove_flight(&flight);
                    return writer.fail(error);
                }
            }
        }
        // Kept before anybody can have read it to its end and request it again.
        let body_length = BodyLength::Known(writer.shrink());
        self.keep(&key, Entry { body_length, ranges: None, ..entry });
        writer.finish();
        self.remove_flight(&flight);
    }

    /// Requests a source from its server, or revalidates a known one.
    async fn request(
        &self,
        key: &Arc<CacheKey>,
        fetch: Fetch,
        limits: FetchLimits,
        known: Option<Entry>,
    ) -> Result<Fetched> {
        let mut requester = Requester::new(fetch, limits)?;
        if let Some(known) = known {
            match requester.revalidate(&known.revalidation(SystemTime::now()), Retries::new(false)).await {
                Ok(Some(answer)) => return Ok(Fetched::Answer(Box::new(DecodedBody::of(requester, answer).await?))),
                Ok(None) => match known.revalidated(requester.exchanges()) {
                    Some(entry) => {
                        self.keep(key, entry.clone());
                        return Ok(Fetched::Entry(Box::new(entry), ServedFrom::Revalidated));
                    }
                    None => self.forget(key),
                },
                Err(error) => {
                    let status = requester
                        .exchanges()
                        .last()
                        .map(|exchange| exchange.status)
                        .filter(|_| error.code == Code::HttpStatus);
                    let is_gone = status.is_some_and(|status| !status.is_server_error());
                    if is_gone {
                        self.forget(key);
                    }
                    let is_unreachable =
                        matches!(error.code, Code::FetchFailed | Code::FetchTimeout | Code::HttpStatus);
                    if is_unreachable && !is_gone && known.freshness.serves_stale_on_error(SystemTime::now()) {
                        tracing::debug!(reason = %error, "an older answer for audioUrl stands in");
                        return Ok(Fetched::Entry(Box::new(known), ServedFrom::Stale));
                    }
                    return Err(error);
                }
            }
        }
        let answer = requester.request(None, Retries::new(false)).await?;
        Ok(Fetched::Answer(Box::new(DecodedBody::of(requester, answer).await?)))
    }

    /// Starts to share a body, if that is allowed.
    fn share(&'static self, decoded: &DecodedBody) -> Option<(Entry, CachedBodyWriter)> {
        let (last, redirects) = decoded.exchanges.split_last().filter(|_| decoded.is_shareable)?;
        let redirects: Arc<[_]> = redirects.iter().map(Freshness::of).collect();
        let freshness = Arc::new(Freshness::of(last));
        let limit = self.max() / MAX_SHARE;
        let is_fresh = || freshness.is_fresh(SystemTime::now());
        let (expected, fits) = match decoded.body_length {
            BodyLength::Known(length) => (Some(length), length <= limit),
            // It may be longer, or endless, and then those who joined have to start anew: only fresh ones are worth that.
            BodyLength::Unknown | BodyLength::Bounded => (None, limit > 0 && is_fresh()),
            BodyLength::Live => (None, false),
        };
        let is_shared = fits && freshness.may_be_shared() && redirects.iter().all(Freshness::may_redirect_others);
        if !is_shared {
            return None;
        }
        let writer = CachedBodyWriter::new(self, expected, limit);
        let (url, body_length, content_type) = (decoded.url.clone(), decoded.body_length, decoded.content_type.clone());
        let ranges = decoded.ranges.clone();
        Some((
            Entry { redirects, freshness, url, body_length, content_type, ranges, body: writer.body().clone() },
            writer,
        ))
    }

    /// Keeps a complete body, as long as it is useful.
    fn keep(&self, key: &Arc<CacheKey>, entry: Entry) {
        let may_be_kept = entry.freshness.may_be_shared() && entry.redirects.iter().all(Freshness::may_redirect_others);
        let is_of_use = entry.freshness.is_fresh(SystemTime::now()) || entry.freshness.can_revalidate();
        let headers: usize = entry.redirects.iter().chain([&*entry.freshness]).map(Freshness::bytes).sum();
        let is_new = self.state.lock().entries.peek(key).is_none_or(|known| !Arc::ptr_eq(&known.body, &entry.body));
        let beside = if is_new { OVERHEAD + (headers + key.bytes()) as u64 } else { 0 };
        if !may_be_kept || !is_of_use || !entry.body.take_room(beside) {
            return self.forget(key);
        }
        let mut state = self.state.lock();
        // The cache may have been turned off meanwhile.
        let before = if self.max() > 0 { state.entries.push(key.clone(), entry) } else { None };
        drop(state);
        drop(before);
    }

    fn forget(&self, key: &Arc<CacheKey>) {
        let gone = self.state.lock().entries.pop(key);
        drop(gone);
    }
}

/// The result of a request to a server.
enum Fetched {
    Answer(Box<DecodedBody>),
    Entry(Box<Entry>, ServedFrom),
}

impl Entry {
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.redirects.iter().all(|redirect| redirect.is_fresh(now)) && self.freshness.is_fresh(now)
    }

    /// Returns what revalidates it.
    fn revalidation(&self, now: SystemTime) -> Revalidation {
        let (url, is_fresh) = (self.url.clone(), self.freshness.is_fresh(now));
        Revalidation { url, is_fresh, conditions: self.freshness.conditions() }
    }

    /// Returns it as updated by these answers, which confirm it; `None` if the last one is about something else.
    fn revalidated(&self, exchanges: &[Exchange]) -> Option<Self> {
        let (redirects, freshness) = match exchanges.split_last() {
            Some((last, redirects)) if last.status == StatusCode::NOT_MODIFIED => {
                (redirects, Arc::new(self.freshness.revalidated(last)?))
            }
            _ => (exchanges, self.freshness.clone()),
        };
        Some(Self { redirects: redirects.iter().map(Freshness::of).collect(), freshness, ..self.clone() })
    }

    /// Opens its body at the start, for one reader.
    fn read(self, flight: Option<Arc<Flight>>, fetch: Fetch, limits: FetchLimits) -> DecodedBody {
        let Self { body, url, body_length, content_type, ranges, .. } = self;
        DecodedBody::shared(
            CachedBodyReader { body, _flight: flight, position: 0, fetch, limits },
            url,
            body_length,
            content_type,
            ranges,
        )
    }
}

impl Flight {
    async fn arrived(&self) -> FlightResult {
        let mut arrived = self.arrived.clone();
        let arrived = arrived.wait_for(Option::is_some).await.ok().and_then(|arrived| arrived.clone());
        // A panicked flight leaves nothing for anybody.
        arrived.unwrap_or_else(|| FlightResult::Unshared(Arc::default()))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.cache.remove_flight(&(self.flight_key.clone(), self.number));
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl CachedBodyReader {
    /// Reads on.
    pub async fn next(&mut self) -> Result<ReadResult> {
        match self.body.read(self.position).await? {
            CachedRead::Bytes(bytes) => {
                self.position += bytes.len() as u64;
                Ok(ReadResult::Bytes(bytes))
            }
            CachedRead::End => Ok(ReadResult::End),
            CachedRead::Unshared => match self.body.take_rest() {
                Some(rest) => Ok(ReadResult::Unshared(Box::new(rest))),
                None => Ok(ReadResult::Unshared(Box::new(self.fetch_rest().await?))),
            },
        }
    }

    /// Fetches all of it anew and skips what was read already, if that is the same.
    fn fetch_rest(&self) -> Pin<Box<dyn Future<Output = Result<DecodedBody>> + Send + '_>> {
        Box::pin(async {
            let mut decoded = DecodedBody::begin(self.fetch.clone(), self.limits).await?;
            let mut position = 0;
            while position < self.position {
                let mut bytes = match decoded.next().await? {
                    Some(Chunk::Bytes(bytes)) => bytes,
                    Some(Chunk::Metadata(_)) => continue,
                    None => return Err(changed(&http::host(&decoded.url))),
                };
                while !bytes.is_empty() && position < self.position {
                    let CachedRead::Bytes(known) = self.body.read(position).await? else { break };
                    let most = usize::try_from(self.position - position).unwrap_or(usize::MAX);
                    let length = known.len().min(bytes.len()).min(most);
                    if known[..length] != bytes[..length] {
                        return Err(changed(&http::host(&decoded.url)));
                    }
                    bytes.advance(length);
                    position += length as u64;
                }
                if !bytes.is_empty() {
                    decoded.put_back(bytes);
                }
            }
            Ok(decoded)
        })
    }
}

/// Counts a body by its origin; `None` if it came from another request's flight.
fn count(served_from: Option<ServedFrom>) {
    let counter = match served_from {
        None => &METRICS.cache_joined,
        Some(ServedFrom::Server) => &METRICS.cache_misses,
        Some(ServedFrom::Revalidated) => &METRICS.cache_revalidated,
        Some(ServedFrom::Stale) => &METRICS.cache_hits,
    };
    counter.add(1);
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::task::Poll;

    use super::*;

    /// Polls a future once, which must not be ready.
    async fn start(future: &mut Pin<Box<impl Future<Output = Result<DecodedBody>>>>) {
        let is_pending = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
        assert!(is_pending);
    }

    /// Waits for the request of a flight, which other threads send.
    fn requested(server: &TcpListener) -> TcpStream {
        let (mut connection, _) = server.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        connection
    }

    #[tokio::test]
    async fn a_flight_lasts_as_long_as_anybody_waits_for_it() {
        crate::runtime::start().unwrap();
        let cache: &Cache = Box::leak(Box::default());
        cache.set_max(1 << 20);
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", server.local_addr().unwrap());
        let limits = FetchLimits { timeout: Duration::from_secs(60), min_bytes_per_second: 0.0 };
        let begin = || Box::pin(cache.begin(Fetch::new(url.clone(), Vec::new(), Arc::default()), limits));

        let (mut first, mut second) = (begin(), begin());
        start(&mut first).await;
        start(&mut second).await;
        let mut connection = requested(&server);
        drop(first);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody").unwrap();
        let mut decoded = second.await.unwrap();
        let Ok(Some(Chunk::Bytes(bytes))) = decoded.next().await else { panic!("it has a body") };
        assert_eq!(bytes, b"body"[..]);

        let mut alone = begin();
        start(&mut alone).await;
        let mut connection = requested(&server);
        // Shorter than the timeout of the fetch, which would end it too.
        connection.set_read_timeout(Some(limits.timeout / 4)).unwrap();
        drop(alone);
        assert_eq!(connection.read(&mut [0]).unwrap(), 0, "the fetch goes on for nobody");
        server.set_nonblocking(true).unwrap();
        assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "it was requested more than once");
    }
}
