//! Who is taken for a proxy of ours without credentials.

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

/// The text names neither addresses nor networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be IP addresses and networks like 10.0.0.0/8, separated by commas")]
pub struct InvalidNetwork;

/// Addresses from which anybody is taken for a proxy of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses and networks; an empty text is none.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let network = |part: &str| {
            let part = part.trim();
            let address = part.parse::<IpAddr>().map(IpNet::from);
            address.or_else(|_no_address| part.parse::<IpNet>())
        };
        let networks: Result<_, _> = text.split(',').map(network).collect();
        networks.map(Self).map_err(|_parse| InvalidNetwork)
    }

    /// Whether this address is one of them.
    #[must_use]
    pub fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_trusted_and_no_others() {
        let trusted = TrustedProxies::parse("127.0.0.1, 10.0.0.0/8,fd00::/8").unwrap();
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
        let nobody = TrustedProxies::parse("").unwrap();
        assert!(!nobody.include(IpAddr::from([127, 0, 0, 1])));
        for bad in ["localhost", "10.0.0.0/33", "10.0.0.1,", "10.0.0.1 10.0.0.2"] {
            assert_eq!(TrustedProxies::parse(bad), Err(InvalidNetwork));
        }
    }
}
