//! Where a request comes from: its peer, or whom a proxy that is believed names.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};

/// The address of whoever asks. The last entry of `X-Forwarded-For` is what the proxy itself saw; those before it are
/// what it was told.
pub fn address(trusted: &[IpAddr], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !peer.is_loopback() && !trusted.contains(&peer) {
        return peer;
    }
    let last = headers.get_all("x-forwarded-for").iter().next_back().map(HeaderValue::as_bytes);
    let last = last.and_then(|value| str::from_utf8(value).ok()).and_then(|value| value.rsplit(',').next());
    last.and_then(|address| address.trim().parse::<IpAddr>().ok()).map_or(peer, |address| address.to_canonical())
}

/// Whether `host` or `host:port` is this machine alone.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_only_if_it_is_known() {
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("x-forwarded-for"),
            HeaderValue::from_static("6.6.6.6, 192.0.2.1"),
        )]);
        let (proxy, stranger) = (IpAddr::from([10, 0, 0, 9]), IpAddr::from([192, 0, 2, 77]));
        let told = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(address(&[proxy], proxy, &headers), told);
        assert_eq!(address(&[], IpAddr::from([127, 0, 0, 1]), &headers), told);
        assert_eq!(address(&[proxy], stranger, &headers), stranger);
        assert_eq!(address(&[proxy], proxy, &HeaderMap::new()), proxy);
    }

    #[test]
    fn this_machine_has_few_names() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "stanch.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
