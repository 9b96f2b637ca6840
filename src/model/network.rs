//! Addresses of clients, and networks of them.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

/// How many bits stand before an address of IPv4 that is mapped into IPv6 (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// The text names neither addresses nor networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be IP addresses and networks like 10.0.0.0/8, separated by commas")]
pub struct InvalidNetwork;

/// Addresses and networks. One of IPv4 may be written as it is mapped into IPv6, and contains its addresses either way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads addresses and networks; an empty text is none.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let network = |part: &str| {
            let part = part.trim();
            let address = part.parse::<IpAddr>().map(IpNet::from);
            let network = address.or_else(|_no_address| part.parse::<IpNet>());
            network.map(unmapped)
        };
        let networks: Result<_, _> = text.split(',').map(network).collect();
        networks.map(Self).map_err(|_parse| InvalidNetwork)
    }

    /// Whether every address is one of them, of IPv4 or of IPv6.
    #[must_use]
    pub fn include_everybody(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }

    /// Whether this address is one of them.
    #[must_use]
    pub fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// What one customer gets: an IPv4 address, or an IPv6 network, which is told by its first address.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    let Some(prefix) = mapped.prefix_len().checked_sub(MAPPED_PREFIX) else {
        return network;
    };
    let plain = mapped.addr().to_ipv4_mapped();
    let plain = plain.and_then(|address| Ipv4Net::new(address, prefix).ok());
    plain.map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_included_and_no_others() {
        let trusted = Networks::parse("127.0.0.1, 10.0.0.0/8,fd00::/8").unwrap();
        for (address, is_one) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("fd00::7", true),
            ("fe80::7", false),
        ] {
            assert_eq!(
                trusted.include(address.parse().unwrap()),
                is_one,
                "{address}"
            );
        }
        let mapped = Networks::parse("::ffff:10.0.0.0/104,::ffff:203.0.113.9").unwrap();
        for (address, is_one) in [
            ("10.255.0.1", true),
            ("::ffff:10.255.0.1", true),
            ("203.0.113.9", true),
            ("::ffff:203.0.113.9", true),
            ("203.0.113.10", false),
            ("11.0.0.1", false),
        ] {
            assert_eq!(
                mapped.include(address.parse().unwrap()),
                is_one,
                "{address}"
            );
        }
        for (text, everybody) in [
            ("0.0.0.0/0", true),
            ("10.0.0.1,::/0", true),
            ("::ffff:0.0.0.0/96", true),
            ("0.0.0.0/1", false),
        ] {
            let networks = Networks::parse(text).unwrap();
            assert_eq!(networks.include_everybody(), everybody, "{text}");
        }
        let nobody = Networks::parse("").unwrap();
        assert!(!nobody.include(IpAddr::from([127, 0, 0, 1])));
        for bad in ["localhost", "10.0.0.0/33", "10.0.0.1,", "10.0.0.1 10.0.0.2"] {
            assert_eq!(Networks::parse(bad), Err(InvalidNetwork));
        }
    }
}
