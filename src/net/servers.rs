//! How users name servers: by names and by ranges of addresses, at one port alone if given.

use std::net::IpAddr;

/// Addresses whose first so many bits are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    address: IpAddr,
    bits: u32,
}

impl Range {
    pub const fn new(address: IpAddr, bits: u32) -> Self {
        Self { address, bits }
    }

    /// An address, or one with a number of bits behind a slash. `None` for what is neither, and for more bits than there are.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok()).filter(|bits| *bits <= all)?;
        Some(Self { address, bits })
    }

    /// The same, where it holds nothing but IPv4 addresses mapped to IPv6 ones: these.
    pub fn to_canonical(self) -> Self {
        match (self.address.to_canonical(), self.bits.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(bits)) if self.address.is_ipv6() => Self { address, bits },
            _ => self,
        }
    }

    pub fn holds(&self, address: IpAddr) -> bool {
        prefix(address, self.bits) == prefix(self.address, self.bits)
    }
}

/// The first bits of an address, and of which kind it is.
fn prefix(address: IpAddr, bits: u32) -> (bool, u128) {
    let (all, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    (address.is_ipv4(), all.checked_shr(width - bits.min(width)).unwrap_or(0))
}

/// The host without its brackets, and the port behind it if there is one; `None` if what stands there is no port.
pub fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address has more colons, and is in brackets if a port follows.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    Some((host.trim_start_matches('[').trim_end_matches(']'), port))
}
