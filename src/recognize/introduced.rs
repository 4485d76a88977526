//! Introduced: what the text in front says a value is.
//!
//! For kinds whose form alone is no evidence. Forty hexadecimal digits near the word `cloudflare` may be its token; behind
//! `uses: cloudflare/wrangler-action@` they are a commit, behind `sha256:` a digest, behind `connection_id:` a name.

/// How far back the word is looked for, on the same line.
const REACH: usize = 48;

/// Words that name something else than a secret, as a whole or as the end of a name.
const WORDS: &[&str] = &[
    "checksum",
    "commit",
    "digest",
    "etag",
    "fingerprint",
    "guid",
    "hash",
    "integrity",
    "md5",
    "nonce",
    "oid",
    "ref",
    "rev",
    "revision",
    "sha",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "thumbprint",
    "tree",
    "uuid",
    "blob",
    "commits",
];

/// Whether the value that begins at `start` is introduced as a digest, a revision or an identifier.
pub fn is_named_otherwise(haystack: &[u8], start: usize) -> bool {
    let before = &haystack[start.saturating_sub(REACH)..start];
    let before = before.iter().rposition(|byte| *byte == b'\n').map_or(before, |line| &before[line + 1..]);
    // `action@<commit>` and `git+https://…#<commit>`.
    if matches!(before, [.., b'@' | b'#']) {
        return true;
    }
    let is_between =
        |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'=' | b':' | b'-' | b'/' | b'>' | b'(');
    let end = before.iter().rposition(|byte| !is_between(byte)).map_or(0, |last| last + 1);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let name =
        before[..end].iter().rposition(|byte| !is_name(byte)).map_or(&before[..end], |edge| &before[edge + 1..end]);
    is_id(name) || last_words(name).any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes())))
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
        ] {
            assert!(is_named_otherwise(text.as_bytes(), text.len()), "{text}");
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
        ] {
            assert!(!is_named_otherwise(text.as_bytes(), text.len()), "{text}");
        }
    }
}
