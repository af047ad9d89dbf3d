//! The servers that a source may be at: protection against SSRF, for URLs that somebody else wrote.
//!
//! A name does not tell its addresses, which may change a moment later. So a name is checked by itself first, and then each address
//! of its look-up, right where the connection takes it from: the address that was checked is the one that is connected to.

use std::error::Error;
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::Url;

use super::servers::{Range, split_port};

/// The servers and files that sources may be at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Network {
    /// Only public addresses may be reached, except by a rule.
    public_only: bool,
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    allows_files: bool,
}

/// Servers by name or address, at one port only if given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Hosts {
    Name(String),
    /// The subdomains of this name.
    Subdomains(String),
    Addresses(Range),
}

/// The reason why a server may not be reached, in words that follow its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked(Reason);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Denied,
    /// The address in the URL.
    Is(Kind),
    /// The address of the name.
    IsAt(Kind),
    Proxy,
}

/// The kind of an address that is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reserved,
    Documentation,
    Multicast,
    Shared,
    Private,
    Unspecified,
    Loopback,
    LinkLocal,
    Metadata,
}

/// The default for sessions and clips without one.
static PROCESS: Mutex<Option<Arc<Network>>> = Mutex::new(None);

impl Default for Network {
    /// Allows everything: for URLs that the user's own code writes.
    fn default() -> Self {
        Self { public_only: false, allow: Vec::new(), deny: Vec::new(), allows_files: true }
    }
}

impl Network {
    /// Creates one that refuses servers in `deny`, then allows those in `allow`, and of the rest only public addresses if `public_only`.
    pub fn new(public_only: bool, allow: Vec<Rule>, deny: Vec<Rule>, allows_files: bool) -> Self {
        Self { public_only, allow, deny, allows_files }
    }

    /// Returns the default of the process.
    pub fn of_process() -> Arc<Self> {
        PROCESS.lock().get_or_insert_default().clone()
    }

    /// Sets the default of the process; if `is_fallback`, only where none was set or used yet.
    pub fn set_of_process(network: Self, is_fallback: bool) {
        let mut process = PROCESS.lock();
        if !is_fallback || process.is_none() {
            *process = Some(Arc::new(network));
        }
    }

    /// Returns true if files may be read.
    pub fn allows_files(&self) -> bool {
        self.allows_files
    }

    /// Checks a URL by its text. Behind a proxy that is all that can be checked: the proxy looks names up, and connects.
    pub(super) fn check(&self, url: &Url, proxy: Option<&Url>) -> Result<(), Blocked> {
        let (host, port) = (host_of(url), url.port_or_known_default());
        if let Ok(address) = host.parse() {
            return self.judge("", port, address).map_err(|kind| Blocked(kind.map_or(Reason::Denied, Reason::Is)));
        }
        let name = without_final_dot(host);
        let is_in = |rules: &[Rule]| rules.iter().any(|rule| rule.matches(name, None, port));
        if is_in(&self.deny) {
            return Err(Blocked(Reason::Denied));
        }
        let Some(proxy) = proxy.filter(|_| self.public_only && !is_in(&self.allow)) else { return Ok(()) };
        // RFC 6761 §6.3.
        if name == "localhost" || name.ends_with(".localhost") {
            return Err(Blocked(Reason::IsAt(Kind::Loopback)));
        }
        if name == without_final_dot(host_of(proxy)) { Err(Blocked(Reason::Proxy)) } else { Ok(()) }
    }

    /// Returns the addresses of a name that may be connected to, or fails if there is none.
    pub(super) fn permitted(
        &self,
        name: &str,
        port: Option<u16>,
        mut addresses: Vec<IpAddr>,
    ) -> Result<Vec<IpAddr>, Blocked> {
        let mut reason = None;
        addresses.retain(|address| {
            let judged = self.judge(without_final_dot(name), port, *address);
            judged.map_err(|kind| reason = Some(kind.map_or(Reason::Denied, Reason::IsAt))).is_ok()
        });
        match reason {
            Some(reason) if addresses.is_empty() => Err(Blocked(reason)),
            _ => Ok(addresses),
        }
    }

    /// Checks an address, of a name if there is one. Fails with the kind of address, or with `None` if it is denied.
    fn judge(&self, name: &str, port: Option<u16>, address: IpAddr) -> Result<(), Option<Kind>> {
        let address = address.to_canonical();
        let embedded = embedded(address).into_iter().map(IpAddr::V4);
        let addresses = std::iter::once(address).chain(embedded);
        if addresses.clone().any(|address| self.deny.iter().any(|rule| rule.matches(name, Some(address), port))) {
            return Err(None);
        }
        if self.allow.iter().any(|rule| rule.matches(name, Some(address), port)) {
            return Ok(());
        }
        // An embedded address is where packets to the outer one go. Some may be embedded at several places.
        let mut kinds = addresses.filter_map(kind_of);
        let kind = if self.public_only {
            kinds.next()
        } else {
            kinds.find(|kind| matches!(kind, Kind::LinkLocal | Kind::Metadata))
        };
        kind.map_or(Ok(()), |kind| Err(Some(kind)))
    }
}

impl Rule {
    /// Parses a host, `*.` and a domain, an address or a range of addresses, each with an optional port behind a colon.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        if let Some(range) = Range::parse(host) {
            return Some(Self { hosts: Hosts::Addresses(range.to_canonical()), port });
        }
        let (has_wildcard, name) = host.strip_prefix("*.").map_or((false, host), |name| (true, name));
        let is_plain =
            |letter: char| !letter.is_whitespace() && !letter.is_control() && !"/\\:@?#%*[]".contains(letter);
        if name.is_empty() || !name.chars().all(is_plain) {
            return None;
        }
        // As URLs write it: in lower case, and as ASCII.
        let url = Url::parse(&format!("http://{name}/")).ok()?;
        let name = without_final_dot(host_of(&url));
        let hosts = match name.parse() {
            Ok(address) if !has_wildcard => Hosts::Addresses(Range::parse(&IpAddr::to_string(&address))?),
            Ok(_) => return None,
            Err(_) if name.is_empty() => return None,
            Err(_) if has_wildcard => Hosts::Subdomains(name.to_owned()),
            Err(_) => Hosts::Name(name.to_owned()),
        };
        Some(Self { hosts, port })
    }

    fn matches(&self, name: &str, address: Option<IpAddr>, port: Option<u16>) -> bool {
        let is_host = match &self.hosts {
            Hosts::Name(host) => name == host,
            Hosts::Subdomains(domain) => name.strip_suffix(domain.as_str()).is_some_and(|below| below.ends_with('.')),
            Hosts::Addresses(range) => address.is_some_and(|address| range.contains(address)),
        };
        is_host && (self.port.is_none() || self.port == port)
    }
}

impl Display for Blocked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reason::Denied => formatter.write_str("network.deny has it"),
            Reason::Is(kind) => write!(formatter, "it is {kind}"),
            Reason::IsAt(kind) => write!(formatter, "it is at {kind}"),
            Reason::Proxy => formatter.write_str("it is the proxy itself"),
        }
    }
}

impl Error for Blocked {}

impl Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Reserved => "a reserved address",
            Self::Documentation => "an address for documentation",
            Self::Multicast => "a multicast address",
            Self::Shared => "a shared address (carrier-grade NAT)",
            Self::Private => "a private address",
            Self::Unspecified => "the unspecified address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "an address of a cloud's own services",
        })
    }
}

/// Returns the host of a URL, without brackets.
fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

/// Returns a name without the final dot of a fully qualified one.
fn without_final_dot(name: &str) -> &str {
    name.trim_end_matches('.')
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32) -> Range {
    Range::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits)
}

const fn v6(a: u16, b: u16, c: u16, last: u16, bits: u32) -> Range {
    Range::new(IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last)), bits)
}

/// Ranges that are not public, of which the first match counts: IANA's registries of special-purpose addresses, and the addresses of
/// clouds' own services.
const NOT_PUBLIC: [(Range, Kind); 31] = [
    (v4(168, 63, 129, 16, 32), Kind::Metadata),        // Azure
    (v4(100, 100, 100, 200, 32), Kind::Metadata),      // Alibaba Cloud
    (v4(192, 0, 0, 192, 32), Kind::Metadata),          // Oracle Cloud
    (v6(0xfd00, 0xec2, 0, 0, 32), Kind::Metadata),     // AWS
    (v6(0xfd20, 0xce, 0, 0x254, 128), Kind::Metadata), // Google Cloud
    (v4(169, 254, 0, 0, 16), Kind::LinkLocal),
    (v6(0xfe80, 0, 0, 0, 10), Kind::LinkLocal),
    (v4(0, 0, 0, 0, 32), Kind::Unspecified),
    (v6(0, 0, 0, 0, 128), Kind::Unspecified),
    (v4(127, 0, 0, 0, 8), Kind::Loopback),
    (v6(0, 0, 0, 1, 128), Kind::Loopback),
    (v4(10, 0, 0, 0, 8), Kind::Private),
    (v4(172, 16, 0, 0, 12), Kind::Private),
    (v4(192, 168, 0, 0, 16), Kind::Private),
    (v6(0xfc00, 0, 0, 0, 7), Kind::Private),
    (v6(0xfec0, 0, 0, 0, 10), Kind::Private),
    (v6(0x64, 0xff9b, 1, 0, 48), Kind::Private), // local NAT64
    (v4(100, 64, 0, 0, 10), Kind::Shared),
    (v4(224, 0, 0, 0, 4), Kind::Multicast),
    (v6(0xff00, 0, 0, 0, 8), Kind::Multicast),
    (v4(192, 0, 2, 0, 24), Kind::Documentation),
    (v4(198, 51, 100, 0, 24), Kind::Documentation),
    (v4(203, 0, 113, 0, 24), Kind::Documentation),
    (v6(0x2001, 0xdb8, 0, 0, 32), Kind::Documentation),
    (v6(0x3fff, 0, 0, 0, 20), Kind::Documentation),
    (v4(0, 0, 0, 0, 8), Kind::Reserved),
    (v4(192, 0, 0, 0, 24), Kind::Reserved),
    (v4(192, 88, 99, 0, 24), Kind::Reserved),
    (v4(198, 18, 0, 0, 15), Kind::Reserved),
    (v4(240, 0, 0, 0, 4), Kind::Reserved),
    (v6(0x2001, 0, 0, 0, 23), Kind::Reserved),
];

/// NAT64, Teredo and 6to4: they are as public as the addresses embedded in them.
const TRANSLATED: [Range; 3] = [v6(0x64, 0xff9b, 0, 0, 96), v6(0x2001, 0, 0, 0, 32), v6(0x2002, 0, 0, 0, 16)];

/// IPv6 global unicast addresses.
const GLOBAL_UNICAST: Range = v6(0x2000, 0, 0, 0, 3);

/// Returns the kind of an address that is not public itself, whatever address is embedded in it.
fn kind_of(address: IpAddr) -> Option<Kind> {
    if TRANSLATED.iter().any(|range| range.contains(address)) {
        return None;
    }
    let special = NOT_PUBLIC.iter().find(|(range, _)| range.contains(address)).map(|(_, kind)| *kind);
    special.or((address.is_ipv6() && !GLOBAL_UNICAST.contains(address)).then_some(Kind::Reserved))
}

/// Returns the IPv4 addresses that an IPv6 address leads to, or may lead to. Mapped ones are converted before.
fn embedded(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return Vec::new() };
    let bytes = address.octets();
    let at = |indices: [usize; 4]| Ipv4Addr::from(indices.map(|index| bytes[index]));
    let last = at([12, 13, 14, 15]);
    match address.segments() {
        // The unspecified address and loopback.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // IPv4-compatible (RFC 4291 §2.5.5.1), IPv4-translated (RFC 2765 §2.1), NAT64 (RFC 6052 §2.1).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        // Local NAT64 (RFC 8215), whose prefix length is its own choice (RFC 6052 §2.2).
        [0x64, 0xff9b, 1, ..] => vec![at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), last],
        // Teredo: its server, and its client with all bits inverted (RFC 4380 §4).
        [0x2001, 0, ..] => vec![at([4, 5, 6, 7]), Ipv4Addr::from_bits(!last.to_bits())],
        // 6to4 (RFC 3056 §2).
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Texts = &'static [&'static str];

    fn rules(texts: &[&str]) -> Vec<Rule> {
        texts.iter().map(|text| Rule::parse(text).unwrap_or_else(|| panic!("{text}"))).collect()
    }

    fn public(allow: &[&str], deny: &[&str]) -> Network {
        Network::new(true, rules(allow), rules(deny), false)
    }

    /// Checks a URL by its text, and then by its addresses.
    fn judged(network: &Network, url: &str, addresses: &[&str]) -> Result<Vec<String>, String> {
        let url = Url::parse(url).unwrap();
        network.check(&url, None).map_err(|why| why.to_string())?;
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let permitted = network.permitted(host_of(&url), url.port_or_known_default(), addresses);
        permitted.map(|permitted| permitted.iter().map(ToString::to_string).collect()).map_err(|why| why.to_string())
    }

    /// Addresses, as a URL or a look-up may contain them, and their kind if they are not public.
    const ADDRESSES: [(&str, Option<Kind>); 89] = [
        ("1.1.1.1", None),
        ("9.255.255.255", None),
        ("11.0.0.0", None),
        ("100.63.255.255", None),
        ("100.128.0.0", None),
        ("126.255.255.255", None),
        ("128.0.0.0", None),
        ("169.253.255.255", None),
        ("169.255.0.0", None),
        ("172.15.255.255", None),
        ("172.32.0.0", None),
        ("192.0.1.0", None),
        ("192.0.3.0", None),
        ("192.167.255.255", None),
        ("192.169.0.0", None),
        ("198.17.255.255", None),
        ("198.20.0.0", None),
        ("203.0.114.0", None),
        ("223.255.255.255", None),
        ("0.0.0.0", Some(Kind::Unspecified)),
        ("0.0.0.1", Some(Kind::Reserved)),
        ("0.255.255.255", Some(Kind::Reserved)),
        ("10.0.0.0", Some(Kind::Private)),
        ("10.255.255.255", Some(Kind::Private)),
        ("100.64.0.0", Some(Kind::Shared)),
        ("100.127.255.255", Some(Kind::Shared)),
        ("100.100.100.200", Some(Kind::Metadata)),
        ("127.0.0.1", Some(Kind::Loopback)),
        ("127.255.255.255", Some(Kind::Loopback)),
        ("168.63.129.16", Some(Kind::Metadata)),
        ("169.254.0.0", Some(Kind::LinkLocal)),
        ("169.254.169.254", Some(Kind::LinkLocal)),
        ("169.254.255.255", Some(Kind::LinkLocal)),
        ("172.16.0.0", Some(Kind::Private)),
        ("172.31.255.255", Some(Kind::Private)),
        ("192.0.0.1", Some(Kind::Reserved)),
        ("192.0.0.192", Some(Kind::Metadata)),
        ("192.0.2.1", Some(Kind::Documentation)),
        ("192.88.99.1", Some(Kind::Reserved)),
        ("192.168.0.0", Some(Kind::Private)),
        ("192.168.255.255", Some(Kind::Private)),
        ("198.18.0.0", Some(Kind::Reserved)),
        ("198.19.255.255", Some(Kind::Reserved)),
        ("198.51.100.1", Some(Kind::Documentation)),
        ("203.0.113.1", Some(Kind::Documentation)),
        ("224.0.0.1", Some(Kind::Multicast)),
        ("239.255.255.255", Some(Kind::Multicast)),
        ("240.0.0.0", Some(Kind::Reserved)),
        ("255.255.255.255", Some(Kind::Reserved)),
        ("2606:4700::1111", None),
        ("2001:200::1", None),
        ("2001:4860:4860::8888", None),
        ("3ffe::1", None),
        ("::", Some(Kind::Unspecified)),
        ("::1", Some(Kind::Loopback)),
        ("::2", Some(Kind::Reserved)),
        ("100::1", Some(Kind::Reserved)),
        ("1fff::1", Some(Kind::Reserved)),
        ("2001:1::1", Some(Kind::Reserved)),
        ("2001:1ff:ffff::1", Some(Kind::Reserved)),
        ("2001:db8::1", Some(Kind::Documentation)),
        ("3fff:fff::1", Some(Kind::Documentation)),
        ("4000::1", Some(Kind::Reserved)),
        ("5f00::1", Some(Kind::Reserved)),
        ("fc00::1", Some(Kind::Private)),
        ("fdff:ffff::1", Some(Kind::Private)),
        ("fd00:ec2::254", Some(Kind::Metadata)),
        ("fd20:ce::254", Some(Kind::Metadata)),
        ("fe80::1", Some(Kind::LinkLocal)),
        ("febf:ffff::1", Some(Kind::LinkLocal)),
        ("fec0::1", Some(Kind::Private)),
        ("ff02::1", Some(Kind::Multicast)),
        // Mapped, compatible and translated ones.
        ("::ffff:1.1.1.1", None),
        ("::ffff:127.0.0.1", Some(Kind::Loopback)),
        ("::ffff:169.254.169.254", Some(Kind::LinkLocal)),
        ("::10.0.0.1", Some(Kind::Reserved)),
        ("::ffff:0:10.0.0.1", Some(Kind::Reserved)),
        ("::ffff:0:1.1.1.1", Some(Kind::Reserved)),
        // NAT64.
        ("64:ff9b::1.1.1.1", None),
        ("64:ff9b::192.168.0.1", Some(Kind::Private)),
        ("64:ff9b::169.254.169.254", Some(Kind::LinkLocal)),
        ("64:ff9b:0:1::1", Some(Kind::Reserved)),
        ("64:ff9b:1::1.1.1.1", Some(Kind::Private)),
        // 6to4: 1.1.1.1 and 192.168.0.1.
        ("2002:101:101::1", None),
        ("2002:c0a8:1::1", Some(Kind::Private)),
        // Teredo: the server 1.1.1.1, 10.0.0.1 and 1.1.1.1, the client 1.1.1.1, 1.1.1.1 and 127.0.0.1.
        ("2001:0:101:101:0:0:fefe:fefe", None),
        ("2001:0:a00:1:0:0:fefe:fefe", Some(Kind::Private)),
        ("2001:0:101:101:0:0:80ff:fffe", Some(Kind::Loopback)),
        ("2001:0:101:101:0:0:5601:5601", Some(Kind::LinkLocal)),
    ];

    #[test]
    fn public_allows_only_public_addresses() {
        let (any, public) = (Network::default(), public(&[], &[]));
        for (text, kind) in ADDRESSES {
            let address: IpAddr = text.parse().unwrap();
            let url = if address.is_ipv4() { format!("http://{text}/") } else { format!("http://[{text}]/") };
            let literal = |network: &Network| network.check(&Url::parse(&url).unwrap(), None);
            let named = |network: &Network| network.permitted("name.test", Some(80), vec![address]);
            assert_eq!(literal(&public).err(), kind.map(|kind| Blocked(Reason::Is(kind))), "{text}");
            assert_eq!(
                named(&public),
                kind.map_or(Ok(vec![address]), |kind| Err(Blocked(Reason::IsAt(kind)))),
                "{text}"
            );
            let kind = kind.filter(|kind| matches!(kind, Kind::LinkLocal | Kind::Metadata));
            assert_eq!(literal(&any).err(), kind.map(|kind| Blocked(Reason::Is(kind))), "{text}");
            assert_eq!(named(&any).err(), kind.map(|kind| Blocked(Reason::IsAt(kind))), "{text}");
        }
    }

    #[test]
    fn embedded_metadata_addresses_are_refused() {
        let hidden = [
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:a9:fe:a9fe::",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1::168.63.129.16",
            "2002:a9fe:a9fe::1",
        ];
        for text in hidden {
            let url = Url::parse(&format!("http://[{text}]/")).unwrap();
            assert!(Network::default().check(&url, None).is_err(), "{text}");
            assert!(public(&[], &[]).check(&url, None).is_err(), "{text}");
        }
    }

    #[test]
    fn recognizes_every_spelling_of_an_address() {
        let public = public(&[], &[]);
        for host in ["2130706433", "0x7f.1", "017700000001", "127.1", "127.0.0.1.", "%31%32%37.0.0.1", "１２７.0.0.1"]
        {
            let refused = judged(&public, &format!("http://{host}/"), &[]);
            assert_eq!(refused, Err("it is a loopback address".to_owned()), "{host}");
        }
        let mapped = judged(&public, "http://[::ffff:7f00:1]/", &[]);
        assert_eq!(mapped, Err("it is a loopback address".to_owned()));
    }

    #[test]
    fn omits_refused_addresses_of_a_name() {
        let permitted = judged(&public(&[], &[]), "http://a.test/", &["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]);
        assert_eq!(permitted, Ok(vec!["1.1.1.1".to_owned(), "2606:4700::1111".to_owned()]));
        let denied = judged(&public(&[], &["1.0.0.0/8"]), "http://a.test/", &["1.1.1.1"]);
        assert_eq!(denied, Err("network.deny has it".to_owned()));
    }

    #[test]
    fn deny_comes_before_allow() {
        // `allow`, `deny`, a URL, its address, and the reason if it is refused.
        const AT_PRIVATE: Option<&str> = Some("it is at a private address");
        const DENIED: Option<&str> = Some("network.deny has it");
        let cases: [(Texts, Texts, &str, &str, Option<&str>); 27] = [
            (&["minio"], &[], "http://minio:9000/", "10.0.0.1", None),
            (&["minio:9000"], &[], "http://MinIO.:9000/", "10.0.0.1", None),
            (&["minio:9000"], &[], "http://minio/", "10.0.0.1", AT_PRIVATE),
            (&["minio:443"], &[], "https://minio/", "10.0.0.1", None),
            (&["minio"], &[], "http://a.minio/", "10.0.0.1", AT_PRIVATE),
            (&["minio"], &[], "http://aminio/", "10.0.0.1", AT_PRIVATE),
            (&["*.a.test"], &[], "http://b.c.a.test/", "10.0.0.1", None),
            (&["*.a.test"], &[], "http://a.test/", "10.0.0.1", AT_PRIVATE),
            (&["*.a.test"], &[], "http://ba.test/", "10.0.0.1", AT_PRIVATE),
            (&["Bücher.test"], &[], "http://xn--bcher-kva.test/", "10.0.0.1", None),
            (&["10.0.0.0/8"], &[], "http://a.test/", "10.9.9.9", None),
            (&["10.0.0.0/8"], &[], "http://a.test/", "::ffff:10.9.9.9", None),
            (&["::ffff:10.0.0.0/104"], &[], "http://a.test/", "10.9.9.9", None),
            (&["10.0.0.0/8"], &[], "http://a.test/", "64:ff9b::10.9.9.9", AT_PRIVATE),
            (&["10.0.0.0/8:90"], &[], "http://a.test:90/", "10.9.9.9", None),
            (&["10.0.0.0/8:90"], &[], "http://a.test:91/", "10.9.9.9", AT_PRIVATE),
            (&["[fd00::/8]:80"], &[], "http://a.test/", "fd12::1", None),
            (&["[fd12::1]:90"], &[], "http://a.test:90/", "fd12::1", None),
            (&["169.254.169.254"], &[], "http://a.test/", "169.254.169.254", None),
            (&["a.test"], &["a.test"], "http://a.test/", "1.1.1.1", DENIED),
            (&["a.test"], &["10.0.0.0/8"], "http://a.test/", "10.0.0.1", DENIED),
            (&["10.0.0.1"], &["a.test:81"], "http://a.test:81/", "10.0.0.1", DENIED),
            (&["10.0.0.1"], &["a.test:81"], "http://a.test:82/", "10.0.0.1", None),
            (&[], &["*.test"], "http://a.test/", "1.1.1.1", DENIED),
            (&[], &["*.test"], "http://a.test./", "1.1.1.1", DENIED),
            (&[], &["1.1.1.0/24"], "http://a.test/", "64:ff9b::1.1.1.1", DENIED),
            (&[], &["other.test", "2.0.0.0/8"], "http://a.test/", "1.1.1.1", None),
        ];
        for (allow, deny, url, address, why) in cases {
            let judged = judged(&public(allow, deny), url, &[address]);
            assert_eq!(judged.err().as_deref(), why, "{allow:?} {deny:?} {url} {address}");
        }
    }

    #[test]
    fn rules_apply_to_addresses_in_urls() {
        let network = public(&["10.0.0.1:90"], &["1.1.1.1"]);
        assert_eq!(judged(&network, "http://1.1.1.1/", &[]), Err("network.deny has it".to_owned()));
        assert_eq!(judged(&network, "http://10.0.0.1:90/", &[]), Ok(Vec::new()));
        assert_eq!(judged(&network, "http://10.0.0.1/", &[]), Err("it is a private address".to_owned()));
    }

    #[test]
    fn a_proxied_url_is_checked_by_its_text() {
        let proxy = Url::parse("http://proxy.test:3128").unwrap();
        let cases: [(Texts, Texts, &str, Option<&str>); 9] = [
            (&[], &[], "http://a.test/", None),
            (&[], &[], "http://10.0.0.1/", Some("it is a private address")),
            (&[], &[], "http://localhost/", Some("it is at a loopback address")),
            (&[], &[], "http://a.localhost./", Some("it is at a loopback address")),
            (&[], &[], "http://Proxy.test:22/", Some("it is the proxy itself")),
            (&["proxy.test:80"], &[], "http://proxy.test/", None),
            (&["localhost"], &[], "http://localhost/", None),
            (&[], &["a.test"], "http://a.test/", Some("network.deny has it")),
            (&["10.0.0.1"], &[], "http://10.0.0.1/", None),
        ];
        for (allow, deny, url, why) in cases {
            let checked = public(allow, deny).check(&Url::parse(url).unwrap(), Some(&proxy));
            assert_eq!(checked.err().map(|why| why.to_string()).as_deref(), why, "{url}");
        }
        let any = Network::default();
        for url in ["http://localhost/", "http://proxy.test/", "http://10.0.0.1/"] {
            assert_eq!(any.check(&Url::parse(url).unwrap(), Some(&proxy)), Ok(()), "{url}");
        }
    }

    #[test]
    fn invalid_rules_are_rejected() {
        let wrong = [
            "",
            "*",
            "*.",
            ".",
            "a:",
            "a:x",
            "a:65536",
            ":80",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "a/8",
            "http://a",
            "a b",
            "a\tb",
            "a@b",
            "a*b",
            "*.*.a",
            "a.*",
            "*.10.0.0.1",
            "[]",
            "a?b",
            "a#b",
            "%61",
            "1.2.3.4.5",
        ];
        for text in wrong {
            assert_eq!(Rule::parse(text), None, "{text}");
        }
    }
}
