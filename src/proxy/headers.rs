//! Headers: what goes on to the upstream, and what comes back from it.
//!
//! Names are compared as headers are, without case: in the system this comes from, a lower-case `authorization` went
//! through. What belongs to one connection stays there (RFC 9110 section 7.6.1); what could change the method or the
//! path behind the policy's back, identify the client, or carry another credential is dropped.

use reqwest::Url;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Never sent on.
const TO_UPSTREAM: &[&str] = &[
    // Of this connection.
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Credentials, whoever's.
    "authorization",
    "cookie",
    "private-token",
    "proxy-authenticate",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-gitlab-token",
    // Who asks, and from where.
    "forwarded",
    "origin",
    "referer",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-real-ip",
    // Another method or path than the one that was allowed.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-rewrite-url",
    // What is encoded cannot be searched for the credential.
    "accept-encoding",
];

/// Never given back.
const FROM_UPSTREAM: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "set-cookie",
    "set-cookie2",
    // They speak for the upstream's host, and here they would speak for ours.
    "alt-svc",
    "clear-site-data",
    "content-security-policy",
    "content-security-policy-report-only",
    "nel",
    "public-key-pins",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "sourcemap",
    "strict-transport-security",
    "x-sourcemap",
];

/// Families of headers, by how they begin.
const TO_UPSTREAM_FAMILIES: &[&str] = &["proxy-", "sec-", "x-forwarded-", "x-stanch-"];
const FROM_UPSTREAM_FAMILIES: &[&str] = &["access-control-", "x-stanch-"];

/// What of a request's headers goes on.
pub fn to_upstream(headers: &HeaderMap, also: &[HeaderName]) -> HeaderMap {
    let mut kept = kept(headers, TO_UPSTREAM, TO_UPSTREAM_FAMILIES, also);
    kept.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    kept
}

/// What of an answer's headers comes back; the addresses in it are not rewritten yet.
pub fn from_upstream(headers: &HeaderMap) -> HeaderMap {
    let mut kept = kept(headers, FROM_UPSTREAM, FROM_UPSTREAM_FAMILIES, &[]);
    // What the upstream serves must not act as a page of ours.
    kept.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    kept.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    kept
}

fn kept(headers: &HeaderMap, names: &[&str], families: &[&str], also: &[HeaderName]) -> HeaderMap {
    // `Connection` names further headers that are of this connection only.
    let connection = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let of_connection: Vec<String> =
        connection.flat_map(|names| names.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
    let drop = |name: &HeaderName| {
        let text = name.as_str();
        names.contains(&text)
            || families.iter().any(|family| text.starts_with(family))
            || of_connection.iter().any(|each| each == text)
            || also.contains(name)
    };
    let pairs = headers.iter().filter(|(name, _)| !drop(name));
    let mut kept = HeaderMap::new();
    for (name, value) in pairs {
        kept.append(name.clone(), value.clone());
    }
    kept
}

/// Where an upstream is, and where its clients see it.
pub struct Bases<'b> {
    /// The root of the upstream.
    pub root: &'b Url,
    /// The address that was asked, against which relative references are read.
    pub asked: &'b Url,
    /// What stands here in the root's place, without a slash at the end: `/proxy/github`, or nothing.
    pub here: &'b str,
}

impl Bases<'_> {
    /// The reference as the client may follow it: one that stays at the upstream leads through the proxy, one that leaves
    /// it is none. The client would carry its token there.
    pub fn rewritten(&self, reference: &str) -> Option<String> {
        let target = self.asked.join(reference).ok()?;
        if target.origin() != self.root.origin() || !target.username().is_empty() || target.password().is_some() {
            return None;
        }
        let root = self.root.path().trim_end_matches('/');
        let rest = target.path().strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        let mut text = format!("{}{}", self.here, if rest.is_empty() { "/" } else { rest });
        if let Some(query) = target.query() {
            text.push('?');
            text.push_str(query);
        }
        if let Some(fragment) = target.fragment() {
            text.push('#');
            text.push_str(fragment);
        }
        Some(text)
    }

    /// Rewrites `Location`, `Content-Location` and `Link`; what leads elsewhere is taken out.
    pub fn rewrite(&self, headers: &mut HeaderMap) {
        for name in [header::LOCATION, header::CONTENT_LOCATION] {
            let values: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
            headers.remove(&name);
            let rewritten = values.iter().filter_map(|value| self.rewritten(value.to_str().ok()?));
            if let Some(Ok(value)) = rewritten.map(HeaderValue::try_from).next() {
                headers.insert(name, value);
            }
        }
        let links: Vec<HeaderValue> = headers.get_all(header::LINK).iter().cloned().collect();
        headers.remove(header::LINK);
        for value in links {
            let Some(text) = value.to_str().ok().and_then(|text| self.links(text)) else { continue };
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.append(header::LINK, value);
            }
        }
    }

    /// `<target>; rel="next", <target>; …` (RFC 8288 section 3). What cannot be read is taken out.
    fn links(&self, text: &str) -> Option<String> {
        let kept: Vec<String> = split_links(text)?
            .into_iter()
            .filter_map(|(target, parameters)| {
                // An anchor or another parameter with an address in it would lead past us just as well.
                let leaves = parameters.contains("://");
                self.rewritten(target).filter(|_| !leaves).map(|target| format!("<{target}>{parameters}"))
            })
            .collect();
        (!kept.is_empty()).then(|| kept.join(", "))
    }
}

/// The targets of a `Link` and what follows each.
fn split_links(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut links = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let mut quoted = false;
        let end = after.char_indices().find(|(_, letter)| {
            quoted ^= *letter == '"';
            *letter == ',' && !quoted
        });
        let (parameters, next) = match end {
            Some((at, _)) => (after.get(..at)?, after.get(at + 1..)?),
            None => (after, ""),
        };
        links.push((target, parameters.trim_end()));
        rest = next.trim_start();
    }
    Some(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_is_of_this_connection_or_of_this_client_stays_here() {
        let sent = headers(&[
            ("AUTHORIZATION", "Bearer x"),
            ("authorization", "Bearer y"),
            ("Cookie", "a=b"),
            ("Connection", "close, X-Hop"),
            ("X-Hop", "1"),
            ("Upgrade", "websocket"),
            ("Forwarded", "for=1.2.3.4"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Forwarded-Anything", "1"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-Original-URL", "/admin"),
            ("Proxy-Anything", "x"),
            ("X-Own", "x"),
            ("Accept-Encoding", "gzip"),
            ("Accept", "*/*"),
            ("User-Agent", "curl"),
            ("X-Custom", "stays"),
        ]);
        let on = to_upstream(&sent, &[HeaderName::from_static("x-own")]);
        assert_eq!(names(&on), ["accept", "accept-encoding", "user-agent", "x-custom"]);
        assert_eq!(on["accept-encoding"], "identity");
    }

    #[test]
    fn what_speaks_for_the_upstreams_host_does_not_come_back() {
        let given = headers(&[
            ("Set-Cookie", "a=b"),
            ("Strict-Transport-Security", "max-age=1"),
            ("Access-Control-Allow-Origin", "*"),
            ("Content-Security-Policy", "default-src *"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Type", "text/html"),
            ("ETag", "\"1\""),
        ]);
        let back = from_upstream(&given);
        assert_eq!(names(&back), ["content-security-policy", "content-type", "etag", "x-content-type-options"]);
        assert_eq!(back["content-security-policy"], "default-src 'none'; sandbox");
    }

    fn rewritten(name: &'static str, value: &str) -> Option<String> {
        let root: Url = "https://api.example/v3".parse().expect("a URL");
        let asked: Url = "https://api.example/v3/repos/r?page=1".parse().expect("a URL");
        let mut given = headers(&[(name, value)]);
        Bases { root: &root, asked: &asked, here: "/proxy/api" }.rewrite(&mut given);
        given.get(name).map(|value| value.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_redirect_leads_through_the_proxy_or_nowhere() {
        for (value, expected) in [
            ("https://api.example/v3/a?b=c#d", Some("/proxy/api/a?b=c#d")),
            ("https://API.example:443/v3", Some("/proxy/api/")),
            ("/v3/a", Some("/proxy/api/a")),
            ("other", Some("/proxy/api/repos/other")),
            ("?page=2", Some("/proxy/api/repos/r?page=2")),
            ("https://api.example/v30/a", None),
            ("/v2/a", None),
            ("//evil.example/v3/a", None),
            ("https://evil.example/v3/a", None),
            ("https://user@api.example/v3/a", None),
            ("http://api.example/v3/a", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(rewritten("location", value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn links_lead_through_the_proxy_and_foreign_ones_are_taken_out() {
        for (value, expected) in [
            (
                r#"<https://api.example/v3/repos?page=2>; rel="next", <https://api.example/v3/repos?page=9>; rel="last""#,
                Some(r#"</proxy/api/repos?page=2>; rel="next", </proxy/api/repos?page=9>; rel="last""#),
            ),
            (
                r#"<https://evil.example/>; rel="next", <?page=2>; title="a, b""#,
                Some(r#"</proxy/api/repos/r?page=2>; title="a, b""#),
            ),
            (r#"<?page=2>; rel=next; anchor="https://evil.example/""#, None),
            ("https://api.example/v3/a", None),
            ("<broken", None),
        ] {
            assert_eq!(rewritten("link", value).as_deref(), expected, "{value}");
        }
    }
}
