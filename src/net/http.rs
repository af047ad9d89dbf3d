//! Requests over HTTP, and the connections that are kept open for the next one.
//!
//! A connection that waits costs a descriptor. reqwest bounds how many wait for one host, but not for how many hosts they do. So each
//! origin has a client of its own, and those that were used last are kept.

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

/// For how many origins connections are kept.
const MAX_ORIGINS: usize = 16;

/// How many wait for one origin, and for how long.
const MAX_IDLE: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long it takes until connections that are not wanted any more are closed.
const CLOSING: Duration = Duration::from_millis(100);

/// How many headers an answer may have. Some have more than hyper's hundred, and curl and browsers take them.
const MAX_HEADERS: usize = 1_000;

/// What EMFILE and ENFILE are on every Unix: the process or the system has no descriptor left.
const NO_DESCRIPTORS: [i32; 2] = [24, 23];

/// What the system says of a connection that another attempt may get.
const PASSING: [io::ErrorKind; 9] = [
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
struct Kept {
    origin: String,
    /// Its connections were made under these rules, and are for nobody who has others.
    network: Arc<Network>,
    client: Client,
}

/// The one used last comes last. Dropping one closes what waits in it, and nothing that is in use.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// Why there is no client.
pub enum NoClient {
    /// Its server may not be reached.
    Blocked(Blocked),
    Failed(reqwest::Error),
}

/// A client that resolves, trusts and takes proxies as all here do, follows no redirect and tells nobody where it comes from.
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

/// Takes answers that browsers, curl and ffmpeg take: with many headers, a space before a colon, lines that are no headers, and those that do
/// not begin as HTTP does, which are handed on as HTTP/0.9.
fn lenient(builder: ClientBuilder) -> ClientBuilder {
    builder
        .http1_max_headers(MAX_HEADERS)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http09_responses()
}

/// The client for the origin of a URL, if `network` lets it be reached. For its addresses that is found out as it connects: see
/// [`blocked`].
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
    // Another one may have been made meanwhile.
    Ok(use_kept(&origin, network, Some(client.clone())).unwrap_or(client))
}

/// The client that is kept for an origin, or else this one, which is kept from now on.
fn use_kept(origin: &str, network: &Arc<Network>, or: Option<Client>) -> Option<Client> {
    let mut all = KEPT.lock();
    let place = all.iter().position(|kept| kept.origin == origin && kept.network == *network);
    let client = place.map(|place| all.remove(place).client).or(or)?;
    all.push(Kept { origin: origin.to_owned(), network: network.clone(), client: client.clone() });
    let surplus = all.len().saturating_sub(MAX_ORIGINS);
    all.drain(..surplus);
    Some(client)
}

/// Keeps no connection to the origin of a URL: what is the matter with one may be the matter with all.
pub fn forget(url: &Url) {
    let origin = url.origin().ascii_serialization();
    KEPT.lock().retain(|kept| kept.origin != origin);
}

/// Sends a request without a body. Where no descriptor is left, what waits is closed, and it is sent once more.
pub async fn send(request: RequestBuilder) -> reqwest::Result<Response> {
    let again = request.try_clone();
    match (request.send().await, again) {
        (Err(error), Some(again)) if causes(&error).any(lacks_descriptors) => {
            KEPT.lock().clear();
            sleep(CLOSING).await;
            again.send().await
        }
        (answer, _) => answer,
    }
}

/// The host and port of a URL, which are no secret.
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Returns the host of a URL, and the proxy before it if there is one, for messages.
pub fn way(url: &Url) -> String {
    let server = host(url);
    match Proxies::here().for_url(url) {
        Some(proxy) => format!("{server} by the proxy {}", host(proxy)),
        None => server,
    }
}

/// The innermost cause: "connection refused" rather than "error sending request". It names no URL, which may hold keys.
pub fn reason(error: &reqwest::Error) -> String {
    redact(&causes(error).last().map_or_else(|| "no reason is known".to_owned(), ToString::to_string))
}

/// Whether a request failed because no address of its server may be connected to, and why.
pub fn blocked(error: &reqwest::Error) -> Option<Blocked> {
    causes(error).find_map(|cause| cause.downcast_ref().copied())
}

/// Whether a request failed in a way that may be over soon: nobody could be connected to, or the connection ended before an answer.
pub fn is_passing(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            return error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        }
        cause.downcast_ref::<io::Error>().is_some_and(|error| PASSING.contains(&error.kind()))
    })
}

/// Whether it failed for want of a descriptor.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code))
}

fn lacks_descriptors(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(is_out_of_descriptors)
}

/// What an error was caused by, from the outermost on. The first one names the URL.
fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}
