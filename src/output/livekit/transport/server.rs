//! The TURN servers that a LiveKit server names.

use std::fmt;

/// A URL of the server's list, with its credentials.
#[derive(Clone)]
pub struct IceServer {
    pub url: String,
    pub username: String,
    pub credential: String,
}

/// The address of a TURN server (RFC 7065), with its credentials.
#[derive(Clone)]
pub struct TurnServer {
    pub host: String,
    pub port: u16,
    pub over: Over,
    pub username: String,
    pub credential: String,
}

/// The transport to a TURN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Udp,
    Tcp,
    Tls,
}

impl TurnServer {
    /// Reads a server's URL. Returns None for other than TURN servers, such as STUN, and for TURN over DTLS.
    pub fn new(server: &IceServer) -> Option<Self> {
        let (scheme, rest) = server.url.split_once(':')?;
        let parsed = reqwest::Url::parse(&format!("turn://{rest}")).ok()?;
        let transport = parsed.query_pairs().find(|(name, _)| name == "transport");
        let (over, port) = match (scheme, transport.as_ref().map(|(_, value)| value.as_ref())) {
            ("turn", None | Some("udp")) => (Over::Udp, 3478),
            ("turn", Some("tcp")) => (Over::Tcp, 3478),
            ("turns", None | Some("tcp")) => (Over::Tls, 5349),
            _ => return None,
        };
        Some(Self {
            host: parsed.host_str()?.trim_matches(['[', ']']).to_owned(),
            port: parsed.port().unwrap_or(port),
            over,
            username: server.username.clone(),
            credential: server.credential.clone(),
        })
    }
}

impl fmt::Display for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = match self.over {
            Over::Udp => "UDP",
            Over::Tcp => "TCP",
            Over::Tls => "TLS",
        };
        write!(f, "TURN over {over} at {}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_turn_urls() {
        let parsed = |url: &str| {
            let server = IceServer { url: url.to_owned(), username: String::new(), credential: String::new() };
            TurnServer::new(&server).map(|TurnServer { host, port, over, .. }| (host, port, over))
        };
        let server = |host: &str, port, over| Some((host.to_owned(), port, over));
        assert_eq!(parsed("turn:10.0.0.1:443?transport=udp"), server("10.0.0.1", 443, Over::Udp));
        assert_eq!(parsed("turn:example.com"), server("example.com", 3478, Over::Udp));
        assert_eq!(parsed("turn:[::1]:3479?transport=tcp"), server("::1", 3479, Over::Tcp));
        assert_eq!(parsed("turns:example.com:443?transport=tcp"), server("example.com", 443, Over::Tls));
        assert_eq!(parsed("turns:example.com"), server("example.com", 5349, Over::Tls));
        for other in ["stun:example.com", "turns:example.com?transport=udp", "turn:", "example.com", ""] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
