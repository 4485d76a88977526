//! Introduced: what the text around a value says it is.
//!
//! For kinds whose form alone is no evidence. Forty hexadecimal digits near the word `cloudflare` may be its token; behind
//! `uses: cloudflare/wrangler-action@` they are a commit, behind `sha256:` a digest, behind `connection_id:` a name, in
//! front of `refs/heads/cloudflare` what a branch leads to, and in a URL of the reader's own machine a password of nobody's.

use std::ops::Range;

use crate::token::is_nobodys_host;

/// How far back the word is looked for, on the same line.
const REACH: usize = 48;

/// Whether a word names something else than a secret, as a whole or as the end of a name.
fn is_other(word: &[u8]) -> bool {
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..word.len()) else { return false };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    // Patterns, which are told apart by their lengths first: digests are many.
    matches!(
        &*lower,
        b"checksum"
            | b"commit"
            | b"digest"
            | b"etag"
            | b"fingerprint"
            | b"guid"
            | b"hash"
            | b"integrity"
            | b"md5"
            | b"nonce"
            | b"oid"
            | b"ref"
            | b"rev"
            | b"revision"
            | b"sha"
            | b"sha1"
            | b"sha224"
            | b"sha256"
            | b"sha384"
            | b"sha512"
            | b"thumbprint"
            | b"tree"
            | b"uuid"
            | b"version"
            | b"blob"
            | b"commits"
    )
}

/// The longest of these words.
const LONGEST: usize = 11;

/// Whether the text says that the value in this range is a digest, a revision, an identifier, or nobody's password.
pub fn is_named_otherwise(haystack: &[u8], value: &Range<usize>) -> bool {
    is_named_behind(&haystack[value.end..]) || is_named_before(haystack, value.start)
}

/// What `git ls-remote` and `packed-refs` write behind an id, and what a URL writes behind a password.
fn is_named_behind(after: &[u8]) -> bool {
    match after {
        [b' ' | b'\t', rest @ ..] => rest.starts_with(b"refs/"),
        [b'@', rest @ ..] => {
            let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            let len = rest.iter().take(REACH).position(|byte| !is_host(byte)).unwrap_or(rest.len().min(REACH));
            std::str::from_utf8(&rest[..len]).is_ok_and(is_nobodys_host)
        }
        _ => false,
    }
}

fn is_named_before(haystack: &[u8], start: usize) -> bool {
    let before = &haystack[start.saturating_sub(REACH)..start];
    let before = memchr::memrchr(b'\n', before).map_or(before, |line| &before[line + 1..]);
    // `action@<commit>` and `git+https://…#<commit>`.
    if matches!(before, [.., b'@' | b'#']) || is_in_longer_id(before) {
        return true;
    }
    // `version%3A<commit>`, as one query in another has it.
    let before =
        ["%3A", "%3a", "%3D", "%3d"].iter().find_map(|mark| before.strip_suffix(mark.as_bytes())).unwrap_or(before);
    let is_between =
        |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'=' | b':' | b'-' | b'/' | b'>' | b'(');
    let end = before.iter().rposition(|byte| !is_between(byte)).map_or(0, |last| last + 1);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let name = match before[..end].iter().rposition(|byte| !is_name(byte)) {
        // `%2Cversion` is a comma and a name.
        Some(edge) if before[edge] == b'%' => &before[(edge + 3).min(end)..end],
        Some(edge) => &before[edge + 1..end],
        None => &before[..end],
    };
    is_id(name) || last_words(name).any(is_other)
}

/// Behind other hexadecimal digits and a dash: the end of what is one long id.
fn is_in_longer_id(before: &[u8]) -> bool {
    const GROUP: usize = 8;
    let Some(rest) = before.strip_suffix(b"-") else { return false };
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_hexdigit()).count();
    digits >= GROUP && !rest[..rest.len() - digits].last().is_some_and(u8::is_ascii_alphanumeric)
}

/// `id`, `…_id`, `…-id`, `…Id`, `…ID`; not `paid`.
fn is_id(name: &[u8]) -> bool {
    match name {
        [rest @ .., b'i' | b'I', b'd' | b'D'] => match rest {
            [] | [.., b'_' | b'-'] => true,
            [.., last] => last.is_ascii_lowercase() && name[name.len() - 2] == b'I',
        },
        _ => false,
    }
}

/// The whole name, and its last word: `file_sha256`, `contentHash`.
fn last_words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let joint = name.iter().rposition(|byte| matches!(byte, b'_' | b'-')).map_or(0, |at| at + 1);
    let hump = name.iter().rposition(u8::is_ascii_uppercase).filter(|at| *at > 0).unwrap_or(0);
    [name, &name[joint..], &name[hump..]].into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_a_revision_and_an_identifier_are_told_by_what_stands_in_front() {
        for text in [
            "uses: cloudflare/wrangler-action@",
            "hash = \"sha256:",
            "connection_id: ",
            "  \"clientId\": \"",
            "https://host/o/r/commit/",
            "git+https://host/o/r#",
            "\"contentHash\":\"",
            "file-sha256=",
            "id: ",
            "rev = '",
            "&ddtags=service%3Aa%2Cversion%3A",
            "https://p.host/sb/3a172e20-e9e1-11ed-80e3-da7ad0900002-",
            "da7ad0900002-",
        ] {
            assert!(is_named_before(text.as_bytes(), text.len()), "{text}");
        }
        for text in [
            "SNYK_TOKEN=",
            "key: ",
            "paid: ",
            "DD_API_KEY = '",
            "sha256\n  token: ",
            "",
            "//registry/:_authToken=",
            "\"auth\": \"",
            "token-abcdefgh-",
            "https://host/?token%3D",
        ] {
            assert!(!is_named_before(text.as_bytes(), text.len()), "{text}");
        }
    }

    #[test]
    fn a_reference_and_a_password_of_nobodys_are_told_by_what_stands_behind() {
        for text in
            [" refs/heads/gitea", "\trefs/tags/v1", "@localhost/", "@docs.example.com:8080/x", "@example.rubygems"]
        {
            assert!(is_named_otherwise(text.as_bytes(), &(0..0)), "{text}");
        }
        for text in ["", " # refs", "@gitea.vendor.io/", "@", "\n refs/heads/x"] {
            assert!(!is_named_otherwise(text.as_bytes(), &(0..0)), "{text}");
        }
    }
}
