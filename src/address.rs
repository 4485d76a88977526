//! Which network addresses somebody else's service may have.
//!
//! The host comes from the configuration, but its name is resolved by somebody else: a name that suddenly points into
//! our own network must not make us send a live token there. The check sits between resolving and connecting, so that
//! there is no second look-up to be lied to (DNS rebinding). Ranges: IANA special-purpose registries (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names by the machine's resolver and lets public addresses through only.
pub struct PublicOnly;

/// The host resolved to addresses of a private network and to nothing else.
#[derive(Debug, thiserror::Error)]
#[error("the host has no public address")]
pub struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Addrs = Box::new(public_of(found)?.into_iter());
            Ok(public)
        })
    }
}

/// Keeps what is public; refuses if that leaves nothing.
fn public_of(found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, NotPublic> {
    let public: Vec<_> = found.filter(|address| is_public(address.ip())).collect();
    if public.is_empty() { Err(NotPublic) } else { Ok(public) }
}

/// Whether a host that is written as an address is a public one. Names are judged once they are resolved.
pub fn literal_is_public(url: &Url) -> bool {
    // `host_str` is normalised: decimal, hexadecimal, octal and shortened IPv4 forms all come out dotted (WHATWG URL).
    let host = url.host_str().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().map_or(true, is_public)
}

pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !INSIDE_V4.iter().any(|(network, length)| (bits ^ u32::from(Ipv4Addr::from(*network))) >> (32 - length) == 0)
}

/// Networks of IPv4 that are not the public internet, with the length of their prefix.
const INSIDE_V4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),       // "this network"; 0.0.0.0 reaches loopback
    ([10, 0, 0, 0], 8),      // private use
    ([100, 64, 0, 0], 10),   // carrier-grade NAT, RFC 6598
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, and the metadata services of clouds
    ([172, 16, 0, 0], 12),   // private use
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays, RFC 7526
    ([192, 168, 0, 0], 16),  // private use
    ([198, 18, 0, 0], 15),   // benchmarking
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
];

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded_v4(address) {
        return is_public_v4(inner);
    }
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3; everything else is loopback, local, multicast or reserved.
    let global = a & 0xe000 == 0x2000;
    let special = matches!((a, b), (0x2001, 0x0000..=0x01ff | 0x0db8) | (0x3fff, 0x0000..=0x0fff));
    global && !special
}

/// The IPv4 address that an IPv6 address reaches: mapped, NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(v4(high, low))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2001::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "3fff::1",
    ];
    const OUTSIDE: &[&str] = &[
        "1.1.1.1",
        "9.9.9.9",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.20.0.1",
        "223.255.255.255",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2606:4700::1111",
        "2a00:1450::1",
        "2002:101:101::",
    ];

    #[test]
    fn addresses_inside_are_told_from_those_outside() {
        for text in INSIDE {
            assert!(!is_public(text.parse().expect(text)), "{text} is inside");
        }
        for text in OUTSIDE {
            assert!(is_public(text.parse().expect(text)), "{text} is outside");
        }
    }

    #[test]
    fn an_address_is_recognized_in_every_spelling_of_a_url() {
        for host in ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "[::1]", "[::ffff:7f00:1]"] {
            let url = Url::parse(&format!("https://{host}/")).expect(host);
            assert!(!literal_is_public(&url), "{host}");
        }
        for host in ["1.1.1.1", "[2606:4700::1111]", "registry.example"] {
            assert!(literal_is_public(&Url::parse(&format!("https://{host}/")).expect(host)), "{host}");
        }
    }

    #[test]
    fn a_resolver_that_points_inside_is_not_followed() {
        let at = |text: &str| SocketAddr::new(text.parse().expect(text), 0);
        assert!(public_of([at("10.0.0.1"), at("::1")].into_iter()).is_err());
        assert!(public_of(std::iter::empty()).is_err());
        let mixed = public_of([at("169.254.169.254"), at("1.1.1.1")].into_iter()).expect("one is public");
        assert_eq!(mixed, [at("1.1.1.1")]);
    }
}
