//! Names of hosts into addresses: the one place that knows hickory-resolver.
//!
//! The operating system offers look-ups only as calls that wait, each on a thread, for as long as a name server is silent. These are
//! tasks: they cost a socket while they last, end with whoever asked, and what was answered is kept for as long as it may be.
//!
//! What the system says about names is honoured: `/etc/hosts`, and of `resolv.conf` the name servers, the search list and `ndots`,
//! `timeout` and `attempts`. Both are read anew when they change.

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

/// How long what the system says is taken for true without a look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long an answer is kept: as long as it says, within these. A name that is asked for twice in a row (a room's is) costs one
/// look-up, and one that has moved is found again.
const KEEP: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// How many names are kept.
const MAX_NAMES: usize = 1_000;

/// How many addresses of a name are kept.
const MAX_ADDRESSES: usize = 16;

/// How many look-ups of one zone are under way at a time, promptly and late: one whose name servers are silent holds up itself.
const EACH_ZONE: (usize, usize) = (4, 16);

/// A name server that works answers within this.
const PROMPT: Duration = Duration::from_secs(1);

/// The addresses of a host, of which there is one at least.
pub async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![address]);
    }
    names().await?.look_up(host).await
}

/// [`resolve`] for reqwest.
#[derive(Default)]
pub struct NameResolver {
    guard: Option<Arc<Guard>>,
}

/// Which addresses the server of a client may have.
struct Guard {
    network: Arc<Network>,
    port: Option<u16>,
    /// The proxy's own address is the user's affair.
    proxy: Option<String>,
}

impl NameResolver {
    /// For the server of a URL, behind a proxy if there is one.
    pub fn guarding(network: Arc<Network>, url: &Url, proxy: Option<&Url>) -> Self {
        let proxy = proxy.and_then(|proxy| Some(proxy.host_str()?.to_owned()));
        Self { guard: Some(Arc::new(Guard { network, port: url.port_or_known_default(), proxy })) }
    }
}

impl Guard {
    fn passing(&self, name: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Blocked> {
        match &self.proxy {
            Some(proxy) if proxy.eq_ignore_ascii_case(name) => Ok(addresses),
            _ => self.network.passing(name, self.port, addresses),
        }
    }
}

impl Resolve for NameResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let guard = self.guard.clone();
        Box::pin(async move {
            let mut addresses = resolve(name.as_str()).await?;
            if let Some(guard) = guard {
                addresses = guard.passing(name.as_str(), addresses)?;
            }
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// When a file was changed, and how long it is; `None` for one that can't be asked.
type Stamp = Option<(SystemTime, u64)>;

/// What the system says about names, and what name servers said.
struct Names {
    stamps: [Stamp; 2],
    /// Of all name servers, and of each of several alone.
    resolvers: Vec<TokioResolver>,
    hosts: Hosts,
    answers: Mutex<HashMap<String, Answer>>,
}

struct Answer {
    addresses: Vec<IpAddr>,
    until: Instant,
}

/// What is true now, and when that was last looked at.
static NAMES: tokio::sync::Mutex<Option<(Instant, Arc<Names>)>> = tokio::sync::Mutex::const_new(None);

/// As the system has it now, or had it if that can't be read any more.
async fn names() -> io::Result<Arc<Names>> {
    let mut known = NAMES.lock().await;
    let before = match &mut *known {
        Some((looked, names)) if looked.elapsed() < LOOK_EVERY => return Ok(names.clone()),
        Some((looked, names)) => {
            // A disk that hangs is waited for once, and not by everyone.
            *looked = Instant::now();
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
        // Before what they stand for, which may change meanwhile.
        let stamps = Self::stamps();
        let (config, options) = system_config()?;
        let hosts = match Hosts::from_system() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Hosts::default(),
            hosts => hosts?,
        };
        Self::new(stamps, config, options, hosts)
    }

    fn new(stamps: [Stamp; 2], config: ResolverConfig, mut options: ResolverOpts, hosts: Hosts) -> io::Result<Self> {
        // Where there is only one of them, it is IPv4 nearly everywhere.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // The hosts and the answers are looked at here, before anything waits for a turn.
        (options.use_hosts_file, options.cache_size) = (ResolveHosts::Never, 0);
        // The system counts the first attempt too.
        options.attempts = options.attempts.saturating_sub(1);
        // A server that is asked for less than a second is not asked.
        options.timeout = options.timeout.max(PROMPT);
        let (domain, search, servers) = config.into_parts();
        let alone = servers.iter().filter(|_| servers.len() > 1).map(|server| vec![server.clone()]);
        let resolvers = std::iter::once(servers.clone()).chain(alone).map(|servers| {
            let config = ResolverConfig::from_parts(domain.clone(), search.clone(), servers);
            let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            *builder.options_mut() = options.clone();
            builder.build().map_err(|error| in_words(&error))
        });
        Ok(Self { stamps, resolvers: resolvers.collect::<io::Result<_>>()?, hosts, answers: Mutex::default() })
    }

    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let host = host.to_ascii_lowercase();
        let name = Name::from_ascii(&host).map_err(|_| no_such_host())?;
        if let Some(addresses) = self.local(&host, &name).or_else(|| self.kept(&host)) {
            return Ok(addresses);
        }
        let zone = places_of(&host);
        in_place(&zone, async {
            // Whoever was before may have asked for the same one.
            if let Some(addresses) = self.kept(&host) {
                return Ok(addresses);
            }
            let (addresses, until) = self.ask(name).await?;
            self.keep(&host, &addresses, until);
            Ok(addresses)
        })
        .await
    }

    /// What this machine says, and no name server has to.
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

    fn kept(&self, host: &str) -> Option<Vec<IpAddr>> {
        let answers = self.answers.lock();
        answers.get(host).filter(|answer| answer.until > Instant::now()).map(|answer| answer.addresses.clone())
    }

    fn keep(&self, host: &str, addresses: &[IpAddr], until: Instant) {
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
            Answer { addresses: addresses.to_vec(), until: until.clamp(now + KEEP.0, now + KEEP.1) },
        );
    }

    async fn ask(&self, name: Name) -> io::Result<(Vec<IpAddr>, Instant)> {
        let mut result = Err(NetError::NoConnections);
        for resolver in &self.resolvers {
            result = resolver.lookup_ip(name.clone()).await;
            // hickory takes the first answer for the last word, though another server may know.
            if !result.as_ref().is_err_and(|error| failure(error).is_some()) {
                break;
            }
        }
        let lookup = result.map_err(|error| in_words(&error))?;
        let addresses: Vec<_> = lookup.iter().take(MAX_ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(no_such_host());
        }
        Ok((addresses, lookup.as_lookup().valid_until()))
    }
}

/// As glibc takes it: the name server of a system that names none is its own, and the domain counts where there is no search list.
#[cfg(all(unix, not(any(target_os = "android", target_vendor = "apple"))))]
fn system_config() -> io::Result<(ResolverConfig, ResolverOpts)> {
    let mut text = match std::fs::read(RESOLV_CONF) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        text => text?,
    };
    if !text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"nameserver")) {
        text.extend(b"\nnameserver 127.0.0.1\n");
    }
    let (config, options) = hickory_resolver::system_conf::parse_resolv_conf(text).map_err(|error| in_words(&error))?;
    let (domain, search, servers) = config.into_parts();
    Ok((ResolverConfig::from_parts(domain.filter(|_| search.is_empty()), search, servers), options))
}

#[cfg(not(all(unix, not(any(target_os = "android", target_vendor = "apple")))))]
fn system_config() -> io::Result<(ResolverConfig, ResolverOpts)> {
    hickory_resolver::system_conf::read_system_conf().map_err(|error| in_words(&error))
}

/// Places of look-ups that are under way: of those that may still be answered promptly, and of those that are late.
struct Places {
    prompt: Semaphore,
    late: Semaphore,
}

impl Places {
    fn new(prompt: usize, late: usize) -> Self {
        Self { prompt: Semaphore::new(prompt), late: Semaphore::new(late) }
    }
}

/// Those of all look-ups, each of which may hold up to eight sockets: for two kinds of address, and three more tries of each.
static PLACES: Lazy<Places> = Lazy::new(|| Places::new(most_places(), most_places()));

/// Those of each zone of which something is looked up.
static ZONES: Lazy<Mutex<HashMap<String, Arc<Places>>>> = Lazy::new(Mutex::default);

fn most_places() -> usize {
    #[cfg(target_os = "linux")]
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(target_os = "linux"))]
    let descriptors = Some(256);
    (descriptors.unwrap_or(u64::MAX) / 32).clamp(2, 64) as usize
}

fn places_of(host: &str) -> Arc<Places> {
    let mut zones = ZONES.lock();
    zones.retain(|_, places| Arc::strong_count(places) > 1);
    let places = zones.entry(zone(host).to_owned());
    places.or_insert_with(|| Arc::new(Places::new(EACH_ZONE.0, EACH_ZONE.1))).clone()
}

/// A name without its first label; one of two labels is a zone itself.
fn zone(host: &str) -> &str {
    let host = host.trim_end_matches('.');
    match host.split_once('.') {
        Some((_, rest)) if rest.contains('.') => rest,
        _ => host,
    }
}

/// Asks as soon as there is a place. What is not answered promptly leaves it to the next, and goes on as one of the late: so names and
/// zones that are silent hold up no other for long. Where too many are late already, it is given up.
async fn in_place<T>(zone: &Places, ask: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let places = (zone.prompt.acquire().await, PLACES.prompt.acquire().await);
    tokio::pin!(ask);
    if let Ok(answer) = timeout(PROMPT, ask.as_mut()).await {
        return answer;
    }
    drop(places);
    let _late = (zone.late.try_acquire().map_err(|_| silent())?, PLACES.late.try_acquire().map_err(|_| silent())?);
    ask.await
}

fn no_such_host() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such host")
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no name server answers")
}

/// What a name server says that has no answer of its own, such as that it refuses.
fn failure(error: &NetError) -> Option<ResponseCode> {
    let code = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        _ => return None,
    };
    (!matches!(code, ResponseCode::NXDomain | ResponseCode::NoError)).then_some(code)
}

fn in_words(error: &NetError) -> io::Error {
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

    /// A name server, which counts what it is asked: `good.…` has an address, `none.…` does not exist, `broken.…` is its own fault, and
    /// of all else it says nothing.
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

        /// What is told of names by it, where it may take so long.
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
            (options.timeout, options.attempts) = (limit, 1);
            let mut hosts = Hosts::default();
            hosts.read_hosts_conf(&b"10.0.0.7 a.file.test\n::7 a.file.test\n"[..]).unwrap();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            Arc::new(Names::new([None; 2], config, options, hosts).unwrap())
        }
    }

    /// RFC 1035 §4.1: the header and the question again, and an A record of one second.
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
        let addresses = timeout(SOON, names.look_up(host)).await.expect("others hold it up").unwrap();
        assert_eq!(addresses, [IpAddr::from([127, 0, 0, 9])]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_zone_that_is_silent_holds_up_itself_alone() {
        let server = Server::start();
        let names = server.names(SOON * 10);
        let waiting: Vec<_> = (0..600).map(|n| ask(&names, format!("h{n}.silent.test"))).collect();
        tokio::time::sleep(PROMPT * 2).await;
        good(&names, "good.other.test").await;
        assert!(server.asked.load(Ordering::SeqCst) < 200, "few are under way at a time");
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        // They hold nothing any more.
        good(&names, "good.silent.test").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn names_that_are_silent_hold_up_no_other_of_their_zone_for_long() {
        let server = Server::start();
        let names = server.names(SOON * 10);
        let waiting: Vec<_> = (0..EACH_ZONE.1).map(|n| ask(&names, format!("h{n}.partly.test"))).collect();
        tokio::time::sleep(PROMPT / 2).await;
        good(&names, "good.partly.test").await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn zones_that_are_silent_hold_up_no_other_however_many_they_are() {
        let server = Server::start();
        let names = server.names(SOON * 10);
        let waiting: Vec<_> = (0..most_places() * 3).map(|n| ask(&names, format!("h.silent{n}.test"))).collect();
        good(&names, "good.other.test").await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_asks_at_once_or_again_shares_an_answer() {
        let server = Server::start();
        let names = server.names(SOON);
        let asking: Vec<_> = (0..100).map(|_| ask(&names, "good.shared.test".to_owned())).collect();
        for answer in asking {
            assert!(answer.await.unwrap().is_ok());
        }
        good(&names, "GOOD.shared.test").await;
        let asked = server.asked.load(Ordering::SeqCst);
        assert!(asked <= 2 * EACH_ZONE.0, "one for each kind of address and each that began before it came: {asked}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_name_server_says_is_told_in_words() {
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
    async fn a_server_that_fails_or_says_nothing_is_passed_over() {
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
    async fn what_this_machine_knows_is_asked_of_nobody() {
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
    fn a_zone_is_what_is_behind_the_first_label() {
        let cases = [("a.b.test", "b.test"), ("a.b.test.", "b.test"), ("b.test", "b.test"), ("name", "name"), ("", "")];
        for (host, expected) in cases {
            assert_eq!(zone(host), expected, "{host}");
        }
    }
}
