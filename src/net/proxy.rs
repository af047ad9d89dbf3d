//! The proxy for a request, from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower case.

use std::net::IpAddr;

use reqwest::Url;

use super::servers::{Range, split_port};
use crate::environment;

/// The supported protocols of proxies.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// The proxies of this process, and the servers that are reached without one.
#[derive(Debug, Default)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Vec<Exception>,
}

/// Servers that are reached without a proxy: a domain with its subdomains, or a range of addresses; at one port only if given.
#[derive(Debug, PartialEq, Eq)]
struct Exception {
    host: Hosts,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// This domain and its subdomains.
    Domain(String),
    Network(Range),
}

impl Proxies {
    /// Reads the environment as it is now.
    pub fn here() -> Self {
        Self::of(environment::variable)
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).or_else(|| variable(&name.to_lowercase()));
        let proxy = |name: &str| proxy(name, &variable(name)?);
        // A web server passes the header `Proxy` of a request, which anybody can set, to a CGI program in this variable.
        let http = if variable("REQUEST_METHOD").is_none() { proxy("HTTP_PROXY") } else { None };
        let (https, all) = (proxy("HTTPS_PROXY"), proxy("ALL_PROXY"));
        let no_proxy = variable("NO_PROXY").unwrap_or_default();
        let exceptions = no_proxy.split([',', ' ']).filter_map(Exception::parse).collect();
        Self { http: http.or_else(|| all.clone()), https: https.or(all), exceptions }
    }

    /// Returns the proxy for an http(s) URL, unless it is an exception.
    pub fn for_url(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        };
        proxy.filter(|_| !self.exceptions.iter().any(|exception| exception.matches(url)))
    }
}

/// Parses the value of a variable. Ignores an invalid one, with a warning.
fn proxy(name: &str, value: &str) -> Option<Url> {
    let value = value.trim();
    if value.is_empty() {
        return None;
    }
    let url = if value.contains("://") { Url::parse(value) } else { Url::parse(&format!("http://{value}")) };
    let proxy = url.ok().filter(|url| SCHEMES.contains(&url.scheme()) && url.has_host());
    if proxy.is_none() {
        // The value may hold a password.
        tracing::warn!("Expected the URL of a proxy ({}) for {name} but received another text", SCHEMES.join(", "));
    }
    proxy
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        let is_address = host.split('/').next().is_some_and(|host| host.parse::<IpAddr>().is_ok());
        let host = match host {
            "" => return None,
            "*" => Hosts::All,
            range if is_address => Hosts::Network(Range::parse(range)?),
            domain => {
                let domain = domain.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
                Hosts::Domain(domain.to_lowercase())
            }
        };
        Some(Self { host, port })
    }

    fn matches(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let is_host = match &self.host {
            Hosts::All => true,
            Hosts::Domain(domain) => {
                let below = host.trim_end_matches('.').strip_suffix(domain.as_str());
                below.is_some_and(|below| below.is_empty() || below.ends_with('.')) && host.parse::<IpAddr>().is_err()
            }
            Hosts::Network(range) => host.parse().is_ok_and(|address| range.contains(address)),
        };
        is_host && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Proxies::of(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn through(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.for_url(&Url::parse(url).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn all_proxy_is_the_fallback() {
        let both = proxies(&[("HTTP_PROXY", "http://one:1"), ("https_proxy", "two:2"), ("ALL_PROXY", "http://all:3")]);
        assert_eq!(through(&both, "http://host/"), Some("http://one:1/".to_owned()));
        assert_eq!(through(&both, "https://host/"), Some("http://two:2/".to_owned()));
        let all = proxies(&[("ALL_PROXY", "socks5h://user:secret@all:3"), ("HTTPS_PROXY", "https://two")]);
        assert_eq!(through(&all, "http://host/"), Some("socks5h://user:secret@all:3".to_owned()));
        assert_eq!(through(&all, "https://host/"), Some("https://two/".to_owned()));
        assert_eq!(through(&proxies(&[]), "https://host/"), None);
    }

    #[test]
    fn upper_case_wins_and_invalid_is_ignored() {
        let named_twice = [("HTTPS_PROXY", "http://one:1"), ("https_proxy", "http://two:2")];
        assert_eq!(through(&proxies(&named_twice), "https://host/"), Some("http://one:1/".to_owned()));
        for value in ["", " ", "ftp://host", "http://", "://", "host:no-port"] {
            assert_eq!(through(&proxies(&[("HTTPS_PROXY", value)]), "https://host/"), None, "{value}");
        }
        let cgi = proxies(&[("HTTP_PROXY", "http://anybody"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(through(&cgi, "http://host/"), None);
    }

    #[test]
    fn no_proxy_matches_domains_addresses_and_ports() {
        let direct = |none: &str, url: &str| {
            through(&proxies(&[("ALL_PROXY", "http://proxy"), ("NO_PROXY", none)]), url).is_none()
        };
        for (none, url, expected) in [
            ("example.com", "https://example.com/", true),
            ("example.com", "https://a.b.Example.com:7880/", true),
            ("EXAMPLE.com.", "https://example.com./", true),
            ("example.com", "https://notexample.com/", false),
            ("example.com", "https://example.com.evil.org/", false),
            (".example.com", "https://example.com/", true),
            ("*.example.com", "https://a.example.com/", true),
            ("example.com:443", "https://example.com/", true),
            ("example.com:443", "https://example.com:444/", false),
            ("example.com:80", "http://example.com/", true),
            ("other, example.com", "https://example.com/", true),
            ("other example.com", "https://example.com/", true),
            ("*", "https://10.0.0.1/", true),
            ("*:8080", "https://host/", false),
            ("10.0.0.1", "https://10.0.0.1/", true),
            ("10.0.0.1:7880", "https://10.0.0.1:7880/", true),
            ("10.0.0.1:7880", "https://10.0.0.1/", false),
            ("10.0.0.0/8", "https://10.255.3.4/", true),
            ("10.0.0.0/8", "https://11.0.0.1/", false),
            ("0.0.0.0/0", "https://11.0.0.1/", true),
            ("0.0.0.0/0", "https://[::1]/", false),
            ("10.0.0.0/33", "https://10.0.0.0/", false),
            ("::1", "https://[::1]:7880/", true),
            ("[::1]:7880", "https://[::1]:7880/", true),
            ("[::1]:7880", "https://[::1]/", false),
            ("fd00::/8", "https://[fdab::1]/", true),
            ("fd00::/8", "https://[fe80::1]/", false),
            ("1.2.3", "https://4.1.2.3/", false),
            ("", "https://host/", false),
            (",,", "https://host/", false),
            ("host:port", "https://host/", false),
        ] {
            assert_eq!(direct(none, url), expected, "{url} with NO_PROXY={none}");
        }
    }
}
