//! Name look-ups (DNS): the one place that knows hickory-resolver.
//!
//! The operating system offers look-ups only as calls that block a thread each, for as long as a name server is silent. These are
//! tasks: they cost a socket while they last, are cancelled with their caller, and answers are cached for as long as their TTL allows.
//!
//! The system's settings are honoured: `/etc/hosts`, and of `resolv.conf` the name servers, the search list and `ndots`, `timeout` and
//! `attempts`. Both are read again when they change.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use once_cell::sync::Lazy;
use parking_lot::Mutex;
use reqwest::Url;
use reqwest::dns::{Addrs, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Blocked, Network, on_disk};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// The interval at which the system's files are checked for changes.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The limits of an answer's TTL in the cache. A name that is asked for twice in a row (a room's is) costs one look-up, and one that has
/// moved is found again.
const MIN_TTL: Duration = Duration::from_secs(5);
const MAX_TTL: Duration = Duration::from_secs(300);

/// The number of names in the cache.
const MAX_NAMES: usize = 1_000;

/// The number of addresses kept of a name.
const MAX_ADDRESSES: usize = 16;

/// The number of concurrent look-ups of one zone, prompt and late ones: a zone whose name servers are silent delays only itself.
const MAX_PROMPT_PER_ZONE: usize = 4;
const MAX_LATE_PER_ZONE: usize = 16;

/// The time within which a working name server answers.
const PROMPT: Duration = Duration::from_secs(1);

/// Looks up the addresses of a host. Returns at least one.
pub async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![address]);
    }
    names().await?.look_up(host).await
}

/// Implements [`resolve`] for reqwest.
#[derive(Default)]
pub struct NameResolver {
    guard: Option<Arc<Guard>>,
}

/// The check of the addresses of a client's server.
struct Guard {
    network: Arc<Network>,
    port: Option<u16>,
    /// The host of the proxy, whose addresses are not checked: the user chose it.
    proxy: Option<String>,
}

impl NameResolver {
    /// Creates one that checks the server of a URL, behind a proxy if there is one.
    pub fn guarding(network: Arc<Network>, url: &Url, proxy: Option<&Url>) -> Self {
        let proxy = proxy.and_then(|proxy| Some(proxy.host_str()?.to_owned()));
        Self { guard: Some(Arc::new(Guard { network, port: url.port_or_known_default(), proxy })) }
    }
}

impl Guard {
    fn permitted(&self, name: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Blocked> {
        match &self.proxy {
            Some(proxy) if proxy.eq_ignore_ascii_case(name) => Ok(addresses),
            _ => self.network.permitted(name, self.port, addresses),
        }
    }
}

impl Resolve for NameResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let guard = self.guard.clone();
        Box::pin(async move {
            let mut addresses = resolve(name.as_str()).await?;
            if let Some(guard) = guard {
                addresses = guard.permitted(name.as_str(), addresses)?;
            }
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// The modification time and length of a file; `None` if they can't be read.
type Stamp = Option<(SystemTime, u64)>;

/// The system's settings for names, and the cached answers of name servers.
struct Names {
    stamps: [Stamp; 2],
    /// One for all name servers together, and if there are several one for each.
    resolvers: Vec<TokioResolver>,
    hosts: Hosts,
    answers: Mutex<HashMap<String, Answer>>,
}

struct Answer {
    addresses: Vec<IpAddr>,
    until: Instant,
}

/// The current settings and cache, and the time of the last check.
static NAMES: tokio::sync::Mutex<Option<(Instant, Arc<Names>)>> = tokio::sync::Mutex::const_new(None);

/// Returns the current settings, or the last ones if the system's files can't be read any more.
async fn names() -> io::Result<Arc<Names>> {
    let mut known = NAMES.lock().await;
    let before = match &mut *known {
        Some((checked, names)) if checked.elapsed() < CHECK_INTERVAL => return Ok(names.clone()),
        Some((checked, names)) => {
            // Only one caller waits for a disk that hangs.
            *checked = Instant::now();
            Some(names.clone())
        }
        None => None,
    };
    let stamps = before.as_ref().map(|names| names.stamps);
    let read = on_disk(Path::new(RESOLV_CONF), move || (stamps != Some(Names::stamps())).then(Names::read));
    let read = match &before {
        None => read.await?,
        Some(_) => timeout(PROMPT, read).await.unwrap_or(Ok(None))?,
    };
    let names = match (read, before) {
        (Some(Ok(names)), _) => Arc::new(names),
        (None | Some(Err(_)), Some(names)) => names,
        (Some(Err(error)), None) => return Err(error),
        (None, None) => return Err(io::Error::other("what names mean could not be read")),
    };
    *known = Some((Instant::now(), names.clone()));
    Ok(names)
}

impl Names {
    fn stamps() -> [Stamp; 2] {
        [RESOLV_CONF, HOSTS].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    fn read() -> io::Result<Self> {
        // Before the files are read, which may change meanwhile.
        let stamps = Self::stamps();
        let (config, options) = system_config()?;
        let hosts = match Hosts::from_system() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Hosts::default(),
            hosts => hosts?,
        };
        Self::new(stamps, config, options, hosts)
    }

    fn new(stamps: [Stamp; 2], config: ResolverConfig, mut options: ResolverOpts, hosts: Hosts) -> io::Result<Self> {
        // Where only one works, it is IPv4 nearly everywhere.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // `look_up` consults the hosts file and the cache, before it waits for a permit.
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        // The system counts the first attempt too.
        options.attempts = options.attempts.saturating_sub(1);
        // With a shorter timeout a server could not answer.
        options.timeout = options.timeout.max(PROMPT);
        let (domain, search, servers) = config.into_parts();
        let alone = servers.iter().filter(|_| servers.len() > 1).map(|server| vec![server.clone()]);
        let resolvers = std::iter::once(servers.clone()).chain(alone).map(|servers| {
            let config = ResolverConfig::from_parts(domain.clone(), search.clone(), servers);
            let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            *builder.options_mut() = options.clone();
            builder.build().map_err(|error| describe(&error))
        });
        Ok(Self { stamps, resolvers: resolvers.collect::<io::Result<_>>()?, hosts, answers: Mutex::default() })
    }

    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let host = host.to_ascii_lowercase();
        let name = Name::from_ascii(&host).map_err(|_| no_such_host())?;
        if let Some(addresses) = self.local(&host, &name).or_else(|| self.cached(&host)) {
            return Ok(addresses);
        }
        let zone = permits_of(&host);
        with_permit(&zone, async {
            // An earlier look-up may have been for the same name.
            if let Some(addresses) = self.cached(&host) {
                return Ok(addresses);
            }
            let (addresses, until) = self.ask(name).await?;
            self.cache(&host, &addresses, until);
            Ok(addresses)
        })
        .await
    }

    /// Returns the addresses that this machine knows without a name server.
    fn local(&self, host: &str, name: &Name) -> Option<Vec<IpAddr>> {
        let of = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let named = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of);
        let mut addresses: Vec<_> = named
            .flat_map(|lookup| lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
            .collect();
        let host = host.trim_end_matches('.');
        // RFC 6761 §6.3.
        if addresses.is_empty() && (host == "localhost" || host.ends_with(".localhost")) {
            addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        (!addresses.is_empty()).then_some(addresses)
    }

    fn cached(&self, host: &str) -> Option<Vec<IpAddr>> {
        let answers = self.answers.lock();
        answers.get(host).filter(|answer| answer.until > Instant::now()).map(|answer| answer.addresses.clone())
    }

    fn cache(&self, host: &str, addresses: &[IpAddr], until: Instant) {
        let now = Instant::now();
        let mut answers = self.answers.lock();
        if answers.len() >= MAX_NAMES {
            answers.retain(|_, answer| answer.until > now);
        }
        if answers.len() >= MAX_NAMES {
            answers.clear();
        }
        answers.insert(
            host.to_owned(),
            Answer { addresses: addresses.to_vec(), until: until.clamp(now + MIN_TTL, now + MAX_TTL) },
        );
    }

    async fn ask(&self, name: Name) -> io::Result<(Vec<IpAddr>, Instant)> {
        let mut result = Err(NetError::NoConnections);
        for resolver in &self.resolvers {
            result = resolver.lookup_ip(name.clone()).await;
            // hickory accepts the first answer, even a failure, though another server may know the name.
            if !result.as_ref().is_err_and(|error| failure(error).is_some()) {
                break;
            }
        }
        let lookup = result.map_err(|error| describe(&error))?;
        let addresses: Vec<_> = lookup.iter().take(MAX_ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(no_such_host());
        }
        Ok((addresses, lookup.as_lookup().valid_until()))
    }
}

/// Reads the configuration as glibc does: without a name server the local one is asked, and without a search list the domain is searched.
#[cfg(all(unix, not(any(target_os = "android", target_vendor = "apple"))))]
fn system_config() -> io::Result<(ResolverConfig, ResolverOpts)> {
    let mut text = match std::fs::read(RESOLV_CONF) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        text => text?,
    };
    if !text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"nameserver")) {
        text.extend(b"\nnameserver 127.0.0.1\n");
    }
    let (config, options) = hickory_resolver::system_conf::parse_resolv_conf(text).map_err(|error| describe(&error))?;
    let (domain, search, servers) = config.into_parts();
    Ok((ResolverConfig::from_parts(domain.filter(|_| search.is_empty()), search, servers), options))
}

#[cfg(not(all(unix, not(any(target_os = "android", target_vendor = "apple")))))]
fn system_config() -> io::Result<(ResolverConfig, ResolverOpts)> {
    hickory_resolver::system_conf::read_system_conf().map_err(|error| describe(&error))
}

/// Permits for concurrent look-ups: for those that may still be answered promptly, and for those that are late.
struct Permits {
    prompt: Semaphore,
    late: Semaphore,
}

impl Permits {
    fn new(prompt: usize, late: usize) -> Self {
        Self { prompt: Semaphore::new(prompt), late: Semaphore::new(late) }
    }
}

/// The permits of all look-ups, each of which may hold up to eight sockets: for two kinds of address, and three more tries of each.
static PERMITS: Lazy<Permits> = Lazy::new(|| Permits::new(max_look_ups(), max_look_ups()));

/// The permits of each zone with look-ups.
static ZONES: Lazy<Mutex<HashMap<String, Arc<Permits>>>> = Lazy::new(Mutex::default);

fn max_look_ups() -> usize {
    #[cfg(target_os = "linux")]
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(target_os = "linux"))]
    let descriptors = Some(256);
    (descriptors.unwrap_or(u64::MAX) / 32).clamp(2, 64) as usize
}

fn permits_of(host: &str) -> Arc<Permits> {
    let mut zones = ZONES.lock();
    zones.retain(|_, permits| Arc::strong_count(permits) > 1);
    let permits = zones.entry(zone(host).to_owned());
    permits.or_insert_with(|| Arc::new(Permits::new(MAX_PROMPT_PER_ZONE, MAX_LATE_PER_ZONE))).clone()
}

/// Returns a name without its first label; a name of two labels is a zone itself.
fn zone(host: &str) -> &str {
    let host = host.trim_end_matches('.');
    match host.split_once('.') {
        Some((_, rest)) if rest.contains('.') => rest,
        _ => host,
    }
}

/// Looks up as soon as there is a permit. A look-up that is not answered promptly releases it and continues as a late one, so names and
/// zones that are silent do not delay others for long. If too many are late already, it fails.
async fn with_permit<T>(zone: &Permits, ask: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let prompt = (zone.prompt.acquire().await, PERMITS.prompt.acquire().await);
    tokio::pin!(ask);
    if let Ok(answer) = timeout(PROMPT, ask.as_mut()).await {
        return answer;
    }
    drop(prompt);
    let _late = (zone.late.try_acquire().map_err(|_| silent())?, PERMITS.late.try_acquire().map_err(|_| silent())?);
    ask.await
}

fn no_such_host() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such host")
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no name server answers")
}

/// Returns the response code of a name server that gave no answer, such as a refusal.
fn failure(error: &NetError) -> Option<ResponseCode> {
    let code = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        _ => return None,
    };
    (!matches!(code, ResponseCode::NXDomain | ResponseCode::NoError)).then_some(code)
}

fn describe(error: &NetError) -> io::Error {
    if let Some(code) = failure(error) {
        return io::Error::other(format!("the name server answers: {code}"));
    }
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_) | DnsError::ResponseCode(_)) => no_such_host(),
        NetError::Timeout => silent(),
        NetError::Io(error) if super::http::is_out_of_descriptors(error) => {
            io::Error::from_raw_os_error(error.raw_os_error().unwrap_or_default())
        }
        error => io::Error::other(format!("no name server can be asked: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use hickory_resolver::config::NameServerConfig;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    /// A name server that counts its queries: `good.…` has an address, `none.…` does not exist, `broken.…` gets a server failure, and other
    /// names get no answer.
    struct Server {
        port: u16,
        asked: Arc<AtomicUsize>,
    }

    impl Server {
        fn start() -> Self {
            Self::answering(answer)
        }

        fn answering(answer: fn(&[u8]) -> Option<Vec<u8>>) -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let (port, asked) = (socket.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
            let counter = asked.clone();
            thread::spawn(move || {
                let mut buffer = [0; 512];
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    counter.fetch_add(1, Ordering::SeqCst);
                    if let Some(answer) = answer(&buffer[..length]) {
                        socket.send_to(&answer, from).unwrap();
                    }
                }
            });
            Self { port, asked }
        }

        /// Returns settings with this server alone, and a timeout.
        fn names(&self, limit: Duration) -> Arc<Names> {
            Self::names_of([self], limit)
        }

        fn names_of<'a>(servers: impl IntoIterator<Item = &'a Self>, limit: Duration) -> Arc<Names> {
            let servers = servers.into_iter().map(|Self { port, .. }| {
                let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
                server.connections[0].port = *port;
                server
            });
            let mut options = ResolverOpts::default();
            options.timeout = limit;
            options.attempts = 1;
            let mut hosts = Hosts::default();
            hosts.read_hosts_conf(&b"10.0.0.7 a.file.test\n::7 a.file.test\n"[..]).unwrap();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            Arc::new(Names::new([None; 2], config, options, hosts).unwrap())
        }
    }

    /// Answers as RFC 1035 §4.1 says: the header and the question again, and an A record of one second.
    fn answer(query: &[u8]) -> Option<Vec<u8>> {
        let first = query.get(13..)?.get(..usize::from(query[12]))?;
        let code = match first {
            b"good" => 0,
            b"broken" => 2,
            b"none" => 3,
            _ => return None,
        };
        let question = 12 + query[12..].iter().position(|byte| *byte == 0)? + 5;
        let is_a = query[question - 3] == 1;
        let mut answer = query[..question].to_vec();
        answer[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, u8::from(is_a && code == 0), 0, 0, 0, 0]);
        if is_a && code == 0 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 9]);
        }
        Some(answer)
    }

    fn ask(names: &Arc<Names>, host: String) -> tokio::task::JoinHandle<io::Result<Vec<IpAddr>>> {
        let names = names.clone();
        tokio::spawn(async move { names.look_up(&host).await })
    }

    async fn good(names: &Arc<Names>, host: &str) {
        let addresses = timeout(SOON, names.look_up(host)).await.expect("others delay it").unwrap();
        assert_eq!(addresses, [IpAddr::from([127, 0, 0, 9])]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_silent_zone_delays_only_itself() {
        let server = Server::start();
        let names = server.names(SOON * 10);
        let waiting: Vec<_> = (0..600).map(|n| ask(&names, format!("h{n}.silent.test"))).collect();
        tokio::time::sleep(PROMPT * 2).await;
        good(&names, "good.other.test").await;
        assert!(server.asked.load(Ordering::SeqCst) < 200, "few are under way at a time");
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        // They hold no permit any more.
        good(&names, "good.silent.test").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn silent_names_delay_their_zone_briefly() {
        let server = Server::start();
        let names = server.names(SOON * 10);
        let waiting: Vec<_> = (0..MAX_LATE_PER_ZONE).map(|n| ask(&names, format!("h{n}.partly.test"))).collect();
        tokio::time::sleep(PROMPT / 2).await;
        good(&names, "good.partly.test").await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_silent_zones_delay_no_other() {
        let server = Server::start();
        let names = server.names(SOON * 10);
        let waiting: Vec<_> = (0..max_look_ups() * 3).map(|n| ask(&names, format!("h.silent{n}.test"))).collect();
        good(&names, "good.other.test").await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn concurrent_and_repeated_look_ups_share_answers() {
        let server = Server::start();
        let names = server.names(SOON);
        let asking: Vec<_> = (0..100).map(|_| ask(&names, "good.shared.test".to_owned())).collect();
        for answer in asking {
            assert!(answer.await.unwrap().is_ok());
        }
        good(&names, "GOOD.shared.test").await;
        let asked = server.asked.load(Ordering::SeqCst);
        assert!(
            asked <= 2 * MAX_PROMPT_PER_ZONE,
            "one for each kind of address and each that began before it came: {asked}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn errors_of_name_servers_are_described() {
        let server = Server::start();
        let names = server.names(Duration::from_millis(200));
        for (host, words) in [
            ("none.words.test", "no such host"),
            ("broken.words.test", "the name server answers: Server Failure"),
            ("silent.words.test", "no name server answers"),
            ("..", "no such host"),
        ] {
            let error = timeout(SOON, names.look_up(host)).await.unwrap().unwrap_err();
            assert_eq!(error.to_string(), words, "{host}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn asks_the_next_server_after_a_failure() {
        let refusing = Server::answering(|query| {
            let mut answer = query.to_vec();
            (answer[2], answer[3]) = (0x81, 0x85);
            Some(answer)
        });
        let (silent, knowing) = (Server::answering(|_| None), Server::start());
        for servers in [[&refusing, &knowing], [&knowing, &refusing], [&silent, &knowing], [&knowing, &silent]] {
            for _ in 0..20 {
                good(&Server::names_of(servers, Duration::from_secs(5)), "good.passed.test").await;
            }
        }
        assert!(refusing.asked.load(Ordering::SeqCst) > 0 && silent.asked.load(Ordering::SeqCst) > 0);
    }

    #[tokio::test]
    async fn local_names_cause_no_query() {
        let server = Server::start();
        let names = server.names(SOON);
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        for host in ["localhost", "LocalHost.", "a.b.localhost"] {
            assert_eq!(names.look_up(host).await.unwrap(), loopback, "{host}");
        }
        assert_eq!(
            names.look_up("A.file.test").await.unwrap(),
            ["10.0.0.7".parse::<IpAddr>().unwrap(), "::7".parse().unwrap()]
        );
        assert_eq!(resolve("[::1]").await.unwrap(), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
        assert_eq!(server.asked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_zone_omits_the_first_label() {
        let cases = [("a.b.test", "b.test"), ("a.b.test.", "b.test"), ("b.test", "b.test"), ("name", "name"), ("", "")];
        for (host, expected) in cases {
            assert_eq!(zone(host), expected, "{host}");
        }
    }
}
