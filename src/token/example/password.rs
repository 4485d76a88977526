//! Passwords of examples: in URLs, netrc files and `Basic` headers of documentation and tests.
//!
//! A password is what a person made up, so its form says less than a token's. It is taken for an example if its host can
//! be nobody's (RFC 2606, RFC 6761, RFC 5737, loopback), if it is the user's name again, if it is made of the words that
//! examples are made of, or if it is letters of one case only: `einstein` is in every other manual.

use crate::token::catalogue::Kind;
use crate::token::encoding;

/// Words that stand for a password or for a part of it, the longer ones first.
const WORDS: &[&str] = &[
    "passphrase",
    "credential",
    "changeit",
    "changeme",
    "password",
    "username",
    "testing",
    "default",
    "example",
    "sample",
    "passwd",
    "secret",
    "change",
    "access",
    "dummy",
    "token",
    "admin",
    "guest",
    "super",
    "value",
    "login",
    "pass",
    "user",
    "test",
    "root",
    "demo",
    "here",
    "your",
    "some",
    "fake",
    "prod",
    "bad",
    "pwd",
    "foo",
    "bar",
    "baz",
    "qux",
    "key",
    "api",
    "the",
    "new",
    "old",
    "my",
    "db",
    "me",
    "pw",
    "is",
    "it",
];

/// What is left without such words must be so long to count.
const MIN_REST: usize = 4;

/// Names of hosts that stand for the reader's own.
const HOSTS: &[&str] =
    &["domain", "example", "host", "hostname", "myhost", "server", "somehost", "yourhost", "your-host"];

/// Whether the kind's secret is a password that a person chose.
pub fn is_kind(kind: &Kind) -> bool {
    matches!(kind.id.as_ref(), "basic-header" | "database-url" | "netrc-password" | "url-basic-credentials")
}

/// Whether the credentials are those of an example.
pub fn is_example(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    if let Some(encoded) = text.strip_prefix("Authorization: Basic ") {
        let Some(decoded) = encoding::base64(encoded.as_bytes()) else { return false };
        let pair = std::str::from_utf8(&decoded).ok().and_then(|text| text.split_once(':'));
        return pair.is_some_and(|(user, password)| is_made_up(user, password));
    }
    let Some((user, password, host)) = url(text).or_else(|| netrc(text)) else { return false };
    is_nobodys(host) || is_made_up(user, password)
}

fn url(text: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = text.split_once("://")?;
    let (credentials, host) = rest.rsplit_once('@')?;
    let (user, password) = credentials.split_once(':')?;
    Some((user, password, host))
}

fn netrc(text: &str) -> Option<(&str, &str, &str)> {
    let mut words = text.split(' ');
    let (_, host) = (words.next()?, words.next()?);
    let (_, user) = (words.next()?, words.next()?);
    Some((user, words.nth(1)?, host))
}

/// Whether a name or address can lead to no one, or says of itself that it is an example.
pub fn is_nobodys(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let top = host.rsplit('.').next().unwrap_or_default();
    let in_docs = ["example.com", "example.net", "example.org"]
        .iter()
        .any(|name| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    let address = ["127.", "192.0.2.", "198.51.100.", "203.0.113."].iter().any(|start| host.starts_with(start));
    in_docs
        || host.split('.').any(|label| label == "example")
        || ["example", "invalid", "localhost", "test"].contains(&top)
        || address && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        || host == "0.0.0.0"
        || HOSTS.contains(&host.as_str())
}

fn is_made_up(user: &str, password: &str) -> bool {
    let password = decoded(password);
    let is_format = password.as_bytes().chunks(2).all(|pair| matches!(pair, [b'%', b's' | b'd' | b'q' | b'v']));
    if is_format || password.eq_ignore_ascii_case(user) {
        return true;
    }
    let mut rest = password.to_ascii_lowercase();
    for word in WORDS.iter().copied().chain([user.to_ascii_lowercase().as_str()]).filter(|word| word.len() > 1) {
        rest = rest.replace(word, "");
    }
    for count in ["1234567890", "123456789", "12345678", "1234567", "123456", "12345", "1234", "123"] {
        rest = rest.replace(count, "");
    }
    rest.retain(|letter| letter.is_ascii_alphanumeric());
    let has = |class: fn(&u8) -> bool| password.as_bytes().iter().any(class);
    let classes = [has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase), has(u8::is_ascii_digit)];
    rest.len() < MIN_REST
        || classes.into_iter().filter(|class| *class).count() < 2
        || super::filler::is_filler(password.as_bytes())
}

/// Without percent-encoding; a `%` that begins none stays.
fn decoded(password: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = password.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = tail.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_manuals_and_tests_are_examples() {
        for text in [
            "https://user:password@vq5ll8.internal",
            "https://dhh:supersecret@www.vendor.io",
            "http://alberto:einstein@somewhere.io",
            "https://u:Zq3f8kPw@docs.example.com",
            "postgres://app:Zq3f8kPw@localhost",
            "postgres://app:Zq3f8kPw@127.0.0.1",
            "postgres://postgres:postgres@db.internal",
            "http://user:pass%20pass@complex.url.com",
            "http://next:one+two%3F@www.vendor.io",
            "https://u:%s%s%s%s@vendor.io",
            "https://bot:PASSWORD@vendor.io",
            "https://bot:bot12345@vendor.io",
            "machine foo.host login foo password alone-in-the-dark",
            "machine vendor.io login ian password mysecret123",
            "https://user:%7BDEScede%7Dpass@example.vendor",
            "Authorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=",
        ] {
            assert!(is_example(text.as_bytes()), "{text}");
        }
        // The password apart, so that no scanner, ours included, takes this file for a leak.
        for (text, password) in [
            ("https://ci:{}@registry.vendor.io", "Zq3f8kPw"),
            ("https://ci:{}@registry.vendor.io", "hunter2hunter"),
            ("mongodb+srv://app:{}@cluster0.mongodb.net", "S3cur3-horse"),
            ("machine vendor.io login ian password {}", "x81kkq03"),
            ("postgres://app:{}@10.0.3.7", "pq8-zz17w"),
        ] {
            let text = text.replace("{}", password);
            assert!(!is_example(text.as_bytes()), "{text}");
        }
        let real = encoding::to_base64(b"ci:Zq3f8kPw", encoding::Alphabet::Standard);
        assert!(!is_example(&[b"Authorization: Basic ".as_slice(), &real].concat()));
    }
}
