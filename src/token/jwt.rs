//! JSON Web Tokens, as far as a recognizer looks: is it one, and does it name its issuer.
//!
//! Only the structure is read (RFC 7519 section 3, RFC 7515 section 3.1): header and payload are JSON objects and the
//! header names a signing algorithm. No signature is checked here and nothing read here is believed.

use serde_json::{Map, Value};

use super::encoding;

/// What a token says of itself.
pub struct Jwt {
    algorithm: String,
    claims: Map<String, Value>,
}

/// Reads the token that begins at the first `eyJ` (or `ewo`, `{` and a line feed) of the text. `None` if it is no JWT,
/// or an unsigned one: that opens no door.
pub fn parse(text: &[u8]) -> Option<Jwt> {
    let start = text.windows(3).position(|three| three == b"eyJ" || three == b"ewo")?;
    let mut parts = text[start..].split(|byte| *byte == b'.');
    let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let header = object(header)?;
    let algorithm = header.get("alg")?.as_str()?;
    if algorithm.is_empty() || algorithm.eq_ignore_ascii_case("none") {
        return None;
    }
    Some(Jwt { algorithm: algorithm.to_owned(), claims: object(payload)? })
}

fn object(part: &[u8]) -> Option<Map<String, Value>> {
    let json = encoding::base64(part)?;
    serde_json::from_slice(&json).ok()
}

impl Jwt {
    /// Whether the payload has these claims as text; a `*` at the end of a value stands for any rest.
    pub fn has(&self, claims: &[(&str, &str)]) -> bool {
        claims.iter().all(|(name, wanted)| {
            self.claims.get(*name).and_then(Value::as_str).is_some_and(|value| match wanted.strip_suffix('*') {
                Some(start) => value.starts_with(start),
                None => value == *wanted,
            })
        })
    }

    /// Whether it is a sample: the one that the usual debugger shows (jwt.io), one that ended before there were JWTs
    /// (RFC 7519 is of May 2015), or one that says so little that nobody could be asked about it.
    pub fn is_sample(&self) -> bool {
        const FIRST: i64 = 1_430_438_400;
        const SHOWN_AT: i64 = 1_516_239_022;
        let is = |name: &str, wanted: &str| self.claims.get(name).and_then(Value::as_str) == Some(wanted);
        let is_shown = is("sub", "1234567890") && (is("name", "John Doe") || self.issued() == Some(SHOWN_AT));
        let is_ancient = self.expires().is_some_and(|end| end < FIRST);
        let says = ["aud", "exp", "iat", "iss", "jti", "sid"].iter().any(|name| self.claims.contains_key(*name));
        is_shown || is_ancient || !says && self.claims.len() <= 1
    }

    /// Who says it issued the token.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// How it is signed, in the words of RFC 7518 section 3.1.
    pub fn algorithm(&self) -> Option<&str> {
        Some(self.algorithm.as_str()).filter(|name| name.len() <= 16)
    }

    /// Whom it is for; the first of several.
    pub fn audience(&self) -> Option<&str> {
        let claim = self.claims.get("aud")?;
        claim.as_str().or_else(|| claim.as_array()?.first()?.as_str())
    }

    /// When it was issued by its own account, in seconds since the Unix epoch.
    pub fn issued(&self) -> Option<i64> {
        self.date("iat")
    }

    /// When it ends by its own account, in seconds since the Unix epoch.
    pub fn expires(&self) -> Option<i64> {
        self.date("exp")
    }

    fn date(&self, name: &str) -> Option<i64> {
        let claim = self.claims.get(name)?;
        // A fraction of a second is allowed (RFC 7519 section 2, NumericDate) and says nothing here.
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and such a date is shown as far away")]
        claim.as_i64().or_else(|| claim.as_f64().map(|seconds| seconds as i64))
    }

    /// Whom it speaks for.
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::encoding::{Alphabet, to_base64};

    fn token(header: &str, payload: &str) -> Vec<u8> {
        let mut text = to_base64(header.as_bytes(), Alphabet::Url);
        text.push(b'.');
        text.extend(to_base64(payload.as_bytes(), Alphabet::Url));
        text.extend(b".c2ln");
        text
    }

    #[test]
    fn a_signed_token_is_read_and_its_issuer_named() {
        let jwt = parse(&token(r#"{"alg":"HS256"}"#, r#"{"iss":"acme/eu","n":1}"#)).expect("it is a JWT");
        assert_eq!(jwt.issuer(), Some("acme/eu"));
        assert!(jwt.has(&[("iss", "acme/*")]) && jwt.has(&[("iss", "acme/eu")]) && jwt.has(&[]));
        assert!(!jwt.has(&[("iss", "acme")]) && !jwt.has(&[("n", "1")]) && !jwt.has(&[("sub", "*")]));
    }

    #[test]
    fn a_sample_is_told_from_what_somebody_was_given() {
        let is_sample = |payload: &str| parse(&token(r#"{"alg":"HS256"}"#, payload)).expect("it is a JWT").is_sample();
        for payload in [
            r#"{"sub":"1234567890","name":"John Doe","iat":1516239022}"#,
            r#"{"sub":"1234567890","admin":true,"iat":1516239022}"#,
            r#"{"iss":"joe","exp":1300819380}"#,
            r#"{"sub":"foo"}"#,
            "{}",
        ] {
            assert!(is_sample(payload), "{payload}");
        }
        for payload in [
            r#"{"sub":"1234567890","name":"Ada","iat":1780000000}"#,
            r#"{"iss":"https://id.vendor.io"}"#,
            r#"{"sub":"17","role":"admin"}"#,
            r#"{"exp":1900000000}"#,
        ] {
            assert!(!is_sample(payload), "{payload}");
        }
    }

    #[test]
    fn what_carries_no_signature_or_no_json_is_none() {
        for (header, payload) in [
            (r#"{"alg":"none"}"#, "{}"),
            (r#"{"typ":"JWT"}"#, "{}"),
            (r#"{"alg":1}"#, "{}"),
            (r#"{"alg":"HS256"}"#, "[]"),
            (r#"{"alg":"HS256"}"#, "{"),
        ] {
            assert!(parse(&token(header, payload)).is_none(), "{header} {payload}");
        }
        let whole = token(r#"{"alg":"HS256"}"#, "{}");
        assert!(parse(&whole).is_some());
        assert!(parse(&[&whole[..], b".more"].concat()).is_none());
        assert!(parse(b"eyJ").is_none() && parse(b"").is_none() && parse(b"eyJ.eyJ.").is_none());
    }
}
