//! Paths: one spelling each, before anything is compared with a policy or sent on.
//!
//! Whoever decides and whoever serves must read the same path. So a path is decoded once, here; what another server
//! might read in another way (dot segments, encoded slashes, empty segments, a second layer of encoding) is refused, and
//! what goes on to the upstream is written anew from what was compared (RFC 3986 sections 3.3 and 6.2.2).

use std::fmt::Write as _;

/// A path that has one meaning: its segments, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// At least one; the last is empty if the path ends in a slash.
    segments: Vec<String>,
}

/// Why a path is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    #[error("the path has a segment of dots")]
    Dots,
    #[error("the path has an empty segment")]
    Empty,
    #[error("the path has an encoding that servers read differently")]
    Encoding,
    #[error("the path has a character that servers read differently")]
    Forbidden,
    #[error("the path does not begin with a slash")]
    Relative,
    #[error("the path is too long")]
    TooLong,
}

const MAX_LEN: usize = 8 * 1_024;

impl Canonical {
    /// Reads the path of a request, without its query.
    ///
    /// # Errors
    /// When two servers could disagree on what it names.
    pub fn parse(path: &str) -> Result<Self, Ambiguous> {
        if path.len() > MAX_LEN {
            return Err(Ambiguous::TooLong);
        }
        let rest = path.strip_prefix('/').ok_or(Ambiguous::Relative)?;
        let segments: Vec<String> = rest.split('/').map(decode).collect::<Result<_, _>>()?;
        let inner = segments.len() - 1;
        if segments.iter().take(inner).any(String::is_empty) {
            return Err(Ambiguous::Empty);
        }
        Ok(Self { segments })
    }

    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The path as it is sent on: everything encoded that need not stand for itself.
    pub fn encoded(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            encode_into(&mut text, segment);
        }
        text
    }

    /// The path as a person reads it, decoded; what a pattern of the legacy form is matched against.
    pub fn decoded(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            text.push_str(segment);
        }
        text
    }
}

/// Decodes one segment, once.
pub(super) fn decode(segment: &str) -> Result<String, Ambiguous> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            // What stands for itself must be allowed to (RFC 3986 section 3.3); the rest is read differently here and
            // there, the backslash most of all.
            if !(byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)) {
                return Err(Ambiguous::Forbidden);
            }
            bytes.push(byte);
            continue;
        }
        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok()).ok_or(Ambiguous::Encoding)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| Ambiguous::Encoding)?);
        rest = rest.get(2..).unwrap_or_default();
    }
    let text = String::from_utf8(bytes).map_err(|_| Ambiguous::Encoding)?;
    if text.chars().any(|letter| letter.is_control() || matches!(letter, '/' | '\\')) {
        return Err(Ambiguous::Forbidden);
    }
    if is_encoded(&text) {
        return Err(Ambiguous::Encoding);
    }
    // A parameter after a semicolon is cut off by some servers before they look at the dots.
    let name = text.split(';').next().unwrap_or_default();
    if matches!(name, "." | "..") || (name.is_empty() && !text.is_empty()) {
        return Err(Ambiguous::Dots);
    }
    Ok(text)
}

/// Whether a decoded text could be decoded again.
fn is_encoded(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|window| matches!(window, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

/// Writes a segment so that [`Canonical::parse`] reads it again.
pub(super) fn encode_into(out: &mut String, segment: &str) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// A raw query without the named parameters. The others keep their order, their spelling and their blanks.
pub fn without_parameters(query: &str, names: &[String]) -> String {
    let kept = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !names.iter().any(|unwanted| form_decoded(name) == unwanted.as_bytes())
    });
    kept.collect::<Vec<_>>().join("&")
}

/// A name in a query as the other side will read it.
fn form_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = rest.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        match (byte, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = rest.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_written_anew() {
        for (path, encoded) in [
            ("/", "/"),
            ("/user", "/user"),
            ("/user/", "/user/"),
            ("/%7eada/a%20b", "/~ada/a%20b"),
            ("/repos/o/r%2dx", "/repos/o/r-x"),
            ("/caf%C3%A9", "/caf%C3%A9"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/100%25", "/100%25"),
            ("/...", "/..."),
        ] {
            assert_eq!(Canonical::parse(path).expect(path).encoded(), encoded, "{path}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for (path, why) in [
            ("", Ambiguous::Relative),
            ("user", Ambiguous::Relative),
            ("*", Ambiguous::Relative),
            ("//user", Ambiguous::Empty),
            ("/a//b", Ambiguous::Empty),
            ("/./a", Ambiguous::Dots),
            ("/a/..", Ambiguous::Dots),
            ("/a/../b", Ambiguous::Dots),
            ("/a/%2e%2e/b", Ambiguous::Dots),
            ("/a/.%2E/b", Ambiguous::Dots),
            ("/a/..;/b", Ambiguous::Dots),
            ("/a/;x/b", Ambiguous::Dots),
            ("/a/..%3bx=1/b", Ambiguous::Dots),
            ("/a%2fb", Ambiguous::Forbidden),
            ("/a%2Fb", Ambiguous::Forbidden),
            ("/a%5cb", Ambiguous::Forbidden),
            ("/a\\b", Ambiguous::Forbidden),
            ("/a%00", Ambiguous::Forbidden),
            ("/a%0d%0aX: y", Ambiguous::Forbidden),
            ("/a%c2%85", Ambiguous::Forbidden),
            ("/a b", Ambiguous::Forbidden),
            ("/a%", Ambiguous::Encoding),
            ("/a%2", Ambiguous::Encoding),
            ("/a%zz", Ambiguous::Encoding),
            ("/a%+1", Ambiguous::Encoding),
            ("/%252e%252e/b", Ambiguous::Encoding),
            ("/a%252fb", Ambiguous::Encoding),
            ("/%ff", Ambiguous::Encoding),
            ("/%c0%ae%c0%ae/b", Ambiguous::Encoding),
        ] {
            assert_eq!(Canonical::parse(path), Err(why), "{path}");
        }
        assert_eq!(Canonical::parse(&format!("/{}", "a".repeat(9_000))), Err(Ambiguous::TooLong));
    }

    #[test]
    fn parameters_are_taken_out_and_nothing_else_is_touched() {
        let key = ["key".to_owned()];
        for (query, left) in [
            ("key=1", ""),
            ("key=1&key=2", ""),
            ("key", ""),
            ("k%65y=1", ""),
            ("someval=&key=1", "someval="),
            ("b=2&a=1&a=2&key=x&c", "b=2&a=1&a=2&c"),
            ("keys=1&xkey=2", "keys=1&xkey=2"),
        ] {
            assert_eq!(without_parameters(query, &key), left, "{query}");
        }
        assert_eq!(without_parameters("key=1&a=%20+", &[]), "key=1&a=%20+");
    }

    proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_path(path in "/[a-z0-9%./;_~\\-éA-F]{0,40}") {
            if let Ok(once) = Canonical::parse(&path) {
                let again = Canonical::parse(&once.encoded());
                prop_assert_eq!(again.as_ref(), Ok(&once));
                prop_assert!(once.segments().iter().all(|segment| !matches!(segment.as_str(), "." | "..")));
            }
        }
    }
}
