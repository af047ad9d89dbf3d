//! Requests over HTTP, and the connections that are kept open for the next one.
//!
//! An idle connection costs a descriptor. reqwest limits the idle connections per host, but not the number of hosts. So each origin has a
//! client of its own, and the most recently used ones are kept.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Client, ClientBuilder, Proxy, RequestBuilder, Response, Url, redirect};
use tokio::time::sleep;

use super::proxy::Proxies;
use super::resolve::NameResolver;
use super::{Blocked, Network, tls};
use crate::redact::redact;

/// The number of origins whose clients are kept.
const MAX_ORIGINS: usize = 16;

/// The number of idle connections per origin, and how long each is kept.
const MAX_IDLE: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The time that dropped connections take to close.
const CLOSE_DELAY: Duration = Duration::from_millis(100);

/// The number of headers that an answer may have. Some have more than hyper's hundred, and curl and browsers accept them.
const MAX_HEADERS: usize = 1_000;

/// EMFILE and ENFILE, the same on every Unix: the process or the system has no descriptor left.
const NO_DESCRIPTORS: [i32; 2] = [24, 23];

/// Errors of a connection after which another attempt may succeed.
const TRANSIENT: [io::ErrorKind; 9] = [
    io::ErrorKind::AddrNotAvailable,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::ConnectionRefused,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::TimedOut,
    io::ErrorKind::UnexpectedEof,
];

/// A client that is kept.
struct KeptClient {
    origin: String,
    /// The rules under which its connections were made: it serves no session with other rules.
    network: Arc<Network>,
    client: Client,
}

/// The most recently used is the last. Dropping one closes its idle connections, and none in use.
static KEPT: Mutex<Vec<KeptClient>> = Mutex::new(Vec::new());

/// The reason why there is no client.
pub enum NoClient {
    /// Its server may not be reached.
    Blocked(Blocked),
    Failed(reqwest::Error),
}

/// Returns a builder of clients with this crate's resolver, roots and proxies, without redirects and referrers.
pub async fn builder(protocols: &[&[u8]]) -> ClientBuilder {
    built_with(protocols, Proxies::here(), NameResolver::default()).await
}

async fn built_with(protocols: &[&[u8]], proxies: Proxies, resolver: NameResolver) -> ClientBuilder {
    Client::builder()
        .proxy(Proxy::custom(move |url| proxies.for_url(url).cloned()))
        .tls_backend_preconfigured(tls::config(protocols).await)
        .dns_resolver(Arc::new(resolver))
        .redirect(redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("speaker-session/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE_TIMEOUT)
}

/// Accepts answers that browsers, curl and ffmpeg accept: with many headers, a space before a colon, lines that are not headers, and those
/// that do not begin as HTTP does, which are passed on as HTTP/0.9.
fn lenient(builder: ClientBuilder) -> ClientBuilder {
    builder
        .http1_max_headers(MAX_HEADERS)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http09_responses()
}

/// Returns the client for the origin of a URL, if `network` allows it. Addresses are checked as it connects: see [`blocked`].
pub async fn client(url: &Url, network: &Arc<Network>) -> Result<Client, NoClient> {
    let origin = url.origin().ascii_serialization();
    if let Some(client) = use_kept(&origin, network, None) {
        return Ok(client);
    }
    let proxies = Proxies::here();
    let proxy = proxies.for_url(url);
    network.check(url, proxy).map_err(NoClient::Blocked)?;
    let resolver = NameResolver::guarding(network.clone(), url, proxy);
    let builder = lenient(built_with(&[b"h2", b"http/1.1"], proxies, resolver).await);
    let client = builder.build().map_err(NoClient::Failed)?;
    // Another thread may have made one meanwhile.
    Ok(use_kept(&origin, network, Some(client.clone())).unwrap_or(client))
}

/// Returns the client that is kept for an origin, or else `new`, which is kept from now on.
fn use_kept(origin: &str, network: &Arc<Network>, new: Option<Client>) -> Option<Client> {
    let mut all = KEPT.lock();
    let index = all.iter().position(|kept| kept.origin == origin && kept.network == *network);
    let client = index.map(|index| all.remove(index).client).or(new)?;
    all.push(KeptClient { origin: origin.to_owned(), network: network.clone(), client: client.clone() });
    let surplus = all.len().saturating_sub(MAX_ORIGINS);
    all.drain(..surplus);
    Some(client)
}

/// Drops the idle connections to the origin of a URL: the fault of one may be that of all.
pub fn forget(url: &Url) {
    let origin = url.origin().ascii_serialization();
    KEPT.lock().retain(|kept| kept.origin != origin);
}

/// Sends a request without a body. If no descriptor is left, closes idle connections and sends it once more.
pub async fn send(request: RequestBuilder) -> reqwest::Result<Response> {
    let again = request.try_clone();
    match (request.send().await, again) {
        (Err(error), Some(again)) if causes(&error).any(lacks_descriptors) => {
            KEPT.lock().clear();
            sleep(CLOSE_DELAY).await;
            again.send().await
        }
        (answer, _) => answer,
    }
}

/// Returns the host and port of a URL, which are not secret.
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Returns the host of a URL, and the proxy before it if there is one, for messages.
pub fn route(url: &Url) -> String {
    let server = host(url);
    match Proxies::here().for_url(url) {
        Some(proxy) => format!("{server} by the proxy {}", host(proxy)),
        None => server,
    }
}

/// Returns the innermost cause: "connection refused" rather than "error sending request". It contains no URL, which may hold keys.
pub fn reason(error: &reqwest::Error) -> String {
    redact(&causes(error).last().map_or_else(|| "no reason is known".to_owned(), ToString::to_string))
}

/// Returns the reason if a request failed because no address of its server may be connected to.
pub fn blocked(error: &reqwest::Error) -> Option<Blocked> {
    causes(error).find_map(|cause| cause.downcast_ref().copied())
}

/// Returns true if another attempt may succeed: the connection failed, or ended before an answer.
pub fn is_transient(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            return error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        }
        cause.downcast_ref::<io::Error>().is_some_and(|error| TRANSIENT.contains(&error.kind()))
    })
}

/// Returns true if an operation failed because no descriptor was left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code))
}

fn lacks_descriptors(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(is_out_of_descriptors)
}

/// Returns the causes of an error, the outermost first, without the error itself, which contains the URL.
fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}
