//! Servers as users write them: a name or a range of addresses, at one port only if given.

use std::net::IpAddr;

/// The addresses with the same first `bits` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    address: IpAddr,
    bits: u32,
}

impl Range {
    pub const fn new(address: IpAddr, bits: u32) -> Self {
        Self { address, bits }
    }

    /// Parses an address, or CIDR notation. Returns `None` for other text, and for more bits than an address has.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok()).filter(|bits| *bits <= all)?;
        Some(Self { address, bits })
    }

    /// Converts a range of nothing but IPv4-mapped IPv6 addresses to one of IPv4 addresses.
    pub fn to_canonical(self) -> Self {
        match (self.address.to_canonical(), self.bits.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(bits)) if self.address.is_ipv6() => Self { address, bits },
            _ => self,
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        prefix(address, self.bits) == prefix(self.address, self.bits)
    }
}

/// Returns true for IPv4, and the first bits of an address.
fn prefix(address: IpAddr, bits: u32) -> (bool, u128) {
    let (all, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    (address.is_ipv4(), all.checked_shr(width - bits.min(width)).unwrap_or(0))
}

/// Splits off the port, if there is one, and removes brackets. Returns `None` if the port is invalid.
pub fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address has more colons, and is in brackets if a port follows.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    Some((host.trim_start_matches('[').trim_end_matches(']'), port))
}
