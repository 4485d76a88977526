//! Networks: an address and how many of its first bits count (RFC 4632, RFC 4291 section 2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address such as `192.0.2.7` or one with a length such as `192.0.2.0/24`, the other bits zero")]
pub struct BadNetwork;

impl Network {
    /// The network that an address may be remembered by: 24 bits of IPv4, 48 of IPv6.
    pub fn around(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => Self { address: IpAddr::V4(Ipv4Addr::from_bits(four.to_bits() & mask4(24))), bits: 24 },
            IpAddr::V6(six) => Self { address: IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & mask6(48))), bits: 48 },
        }
    }

    /// Whether the address lies in it. An IPv4 address that was written as IPv6 is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()) & mask4(self.bits) == 0,
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()) & mask6(self.bits) == 0,
            _ => false,
        }
    }
}

fn mask4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0)
}

fn mask6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0)
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            // One spelling: no sign, no leading zero.
            Some(text) => {
                text.parse().ok().filter(|bits: &u8| *bits <= most && bits.to_string() == text).ok_or(BadNetwork)?
            }
        };
        let zero_below = match address {
            IpAddr::V4(four) => four.to_bits() & !mask4(bits) == 0,
            IpAddr::V6(six) => six.to_bits() & !mask6(bits) == 0,
        };
        if zero_below && address.to_canonical() == address { Ok(Self { address, bits }) } else { Err(BadNetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().expect(network).contains(address.parse().expect(address))
    }

    #[test]
    fn an_address_lies_in_its_network_and_in_no_other() {
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("192.0.2.0/24", "::ffff:192.0.2.9"), "the same address, written as IPv6");
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "192.0.2.1/24",
            "192.0.2.0/33",
            "192.0.2.0/024",
            "192.0.2.0/+8",
            "a/8",
            "::/129",
            "1.2.3",
            "::ffff:1.2.3.4",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_remembered_by_its_network() {
        let around = |text: &str| Network::around(text.parse().expect("an address")).to_string();
        assert_eq!(around("198.51.100.77"), "198.51.100.0/24");
        assert_eq!(around("2001:db8:1:2:3::4"), "2001:db8:1::/48");
    }
}
