//! The ID token: who came, on the provider's word (OIDC Core 1.0 section 3.1.3.7, RFC 7519, RFC 7515).
//!
//! RS256 and ES256 alone, with keys of the provider's own list; `none` and keys that a token brings along are refused by
//! not being known. The algorithm must fit the type of the key, so a public key is never taken for a shared one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// A key of the provider's list (RFC 7517).
#[derive(Clone, Deserialize)]
pub struct Key {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

/// What the token must say.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: Timestamp,
}

/// What is taken from a token that holds.
#[derive(Debug, PartialEq)]
pub struct Claims {
    pub subject: String,
    /// When they last showed the provider who they are.
    pub auth_time: Option<Timestamp>,
    pub all: Map<String, Value>,
}

/// Why a token is not taken. Never holds any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the token is signed in another way than RS256 or ES256")]
    Algorithm,
    #[error("the token is for somebody else")]
    Audience,
    #[error("the token is over, or from another time")]
    Expired,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is no signed JWT with the claims that are needed")]
    Malformed,
    #[error("the token answers another sign-in")]
    Nonce,
    #[error("the signature does not hold")]
    Signature,
    #[error("the provider's list has no such key")]
    UnknownKey,
}

/// How far our clock and the provider's may lie apart.
const SKEW: Duration = Duration::from_mins(1);
/// A token that is older answers no sign-in of now.
const OLDEST: Duration = Duration::from_mins(10);
const MAX_BYTES: usize = 32 * 1_024;

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood; we know none.
    #[serde(default)]
    crit: Option<Value>,
}

/// Checks a token in full.
///
/// # Errors
/// Says what does not hold. With [`Refused::UnknownKey`] the list may be older than the key.
pub fn verify(token: &str, keys: &[Key], expected: &Expected<'_>) -> Result<Claims, Refused> {
    if token.len() > MAX_BYTES {
        return Err(Refused::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Refused::Malformed)?;
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Refused::Malformed)?;
    if header.crit.is_some() {
        return Err(Refused::Malformed);
    }
    let key = choose(&header, keys)?;
    key.verify(&header.alg, signed.as_bytes(), &decode(signature)?)?;
    let Value::Object(all) = serde_json::from_slice(&decode(claims)?).map_err(|_| Refused::Malformed)? else {
        return Err(Refused::Malformed);
    };
    let claims = Claims { subject: String::new(), auth_time: None, all };
    claims.check(expected)
}

fn decode(text: &str) -> Result<Vec<u8>, Refused> {
    BASE64.decode(text).map_err(|_| Refused::Malformed)
}

fn choose<'k>(header: &Header, keys: &'k [Key]) -> Result<&'k Key, Refused> {
    let kty = match header.alg.as_str() {
        "ES256" => "EC",
        "RS256" => "RSA",
        _ => return Err(Refused::Algorithm),
    };
    let fits = |key: &&Key| {
        key.kty == kty
            && key.usage.as_deref().is_none_or(|usage| usage == "sig")
            && key.alg.as_deref().is_none_or(|alg| alg == header.alg)
    };
    let mut fitting = keys.iter().filter(fits);
    match &header.kid {
        Some(kid) => fitting.find(|key| key.kid.as_ref() == Some(kid)).ok_or(Refused::UnknownKey),
        // Without an id only a key that cannot be mistaken (OIDC Core 1.0 section 10.1).
        None => fitting.next().filter(|_| fitting.next().is_none()).ok_or(Refused::UnknownKey),
    }
}

impl Key {
    fn verify(&self, alg: &str, signed: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let held = if alg == "RS256" {
            let (n, e) = (decode(&self.n)?, decode(&self.e)?);
            let key = RsaPublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
            key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, signed, signature)
        } else {
            let (x, y) = (decode(&self.x)?, decode(&self.y)?);
            if self.crv != "P-256" || x.len() != 32 || y.len() != 32 {
                return Err(Refused::UnknownKey);
            }
            // An uncompressed point (SEC 1 section 2.3.3).
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
        };
        held.map_err(|_| Refused::Signature)
    }
}

impl Claims {
    fn check(mut self, expected: &Expected<'_>) -> Result<Self, Refused> {
        if self.text("iss") != Some(expected.issuer) {
            return Err(Refused::Issuer);
        }
        let others = match self.all.get("aud") {
            Some(Value::String(one)) if one == expected.client_id => 0,
            Some(Value::Array(all)) if all.iter().any(|one| one == expected.client_id) => all.len() - 1,
            _ => return Err(Refused::Audience),
        };
        let party = self.text("azp");
        if party.is_some_and(|party| party != expected.client_id) || (others > 0 && party.is_none()) {
            return Err(Refused::Audience);
        }
        let (ends, issued) = (self.instant("exp")?, self.instant("iat")?);
        let begins = self.all.contains_key("nbf").then(|| self.instant("nbf")).transpose()?.unwrap_or(issued);
        let soon = expected.now.plus(SKEW);
        if ends.plus(SKEW) <= expected.now || begins > soon || issued > soon || issued.plus(OLDEST) < expected.now {
            return Err(Refused::Expired);
        }
        let nonce = self.text("nonce").unwrap_or_default().as_bytes();
        if !super::are_equal(nonce, expected.nonce.as_bytes()) {
            return Err(Refused::Nonce);
        }
        let subject = self.text("sub").filter(|sub| (1..=255).contains(&sub.len())).ok_or(Refused::Malformed)?;
        self.subject = subject.to_owned();
        self.auth_time = self.all.contains_key("auth_time").then(|| self.instant("auth_time")).transpose()?;
        Ok(self)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Value::as_str)
    }

    /// A claim that is one text or a list of them.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.all.get(name) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A `NumericDate` (RFC 7519 section 2); fractions are cut off.
    fn instant(&self, name: &str) -> Result<Timestamp, Refused> {
        let number = self.all.get(name).and_then(Value::as_number).ok_or(Refused::Malformed)?;
        #[expect(clippy::cast_possible_truncation, reason = "seconds of any century fit")]
        let seconds = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64));
        let millis = seconds.and_then(|seconds| seconds.checked_mul(1_000)).ok_or(Refused::Malformed)?;
        Ok(Timestamp::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::Signer as _;
    use p256::ecdsa::{Signature, SigningKey};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_395_604;

    fn signing() -> SigningKey {
        SigningKey::from_slice(&[7; 32]).expect("a key")
    }

    fn key(kid: Option<&str>) -> Key {
        let point = signing().verifying_key().to_sec1_point(false);
        let part = |range: std::ops::Range<usize>| BASE64.encode(&point.as_bytes()[range]);
        let key = json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": part(1..33), "y": part(33..65) });
        serde_json::from_value(key).expect("a key")
    }

    fn token(header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature: Signature = signing().sign(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature.to_bytes()))
    }

    fn claims() -> Value {
        json!({ "iss": "https://login.example", "aud": "stanch", "sub": "u-1", "exp": NOW + 300, "iat": NOW,
                "nonce": "n", "auth_time": NOW - 5, "groups": ["a", "b"] })
    }

    fn check(header: &Value, claims: &Value) -> Result<Claims, Refused> {
        let now = Timestamp::from_millis(NOW * 1_000);
        let expected = Expected { issuer: "https://login.example", client_id: "stanch", nonce: "n", now };
        verify(&token(header, claims), &[key(Some("k1")), key(Some("k2"))], &expected)
    }

    #[test]
    fn a_token_of_the_provider_is_taken() {
        let claims = check(&json!({ "alg": "ES256", "kid": "k1" }), &claims()).expect("it holds");
        assert_eq!((claims.subject.as_str(), claims.texts("groups")), ("u-1", vec!["a", "b"]));
        assert_eq!(claims.auth_time, Some(Timestamp::from_millis((NOW - 5) * 1_000)));
    }

    #[test]
    fn whatever_does_not_hold_is_refused() {
        let header = json!({ "alg": "ES256", "kid": "k1" });
        for (change, why) in [
            (json!({ "iss": "https://login.example/" }), Refused::Issuer),
            (json!({ "aud": "another" }), Refused::Audience),
            (json!({ "aud": ["stanch", "another"] }), Refused::Audience),
            (json!({ "azp": "another" }), Refused::Audience),
            (json!({ "exp": NOW - 61 }), Refused::Expired),
            (json!({ "iat": NOW - 601 }), Refused::Expired),
            (json!({ "iat": NOW + 61 }), Refused::Expired),
            (json!({ "nbf": NOW + 61 }), Refused::Expired),
            (json!({ "nonce": "m" }), Refused::Nonce),
            (json!({ "nonce": null }), Refused::Nonce),
            (json!({ "sub": "" }), Refused::Malformed),
            (json!({ "exp": "soon" }), Refused::Malformed),
        ] {
            let mut claims = claims();
            for (name, value) in change.as_object().expect("an object") {
                claims[name] = value.clone();
            }
            assert_eq!(check(&header, &claims), Err(why), "{change}");
        }
        for (header, why) in [
            (json!({ "alg": "none" }), Refused::Algorithm),
            (json!({ "alg": "HS256", "kid": "k1" }), Refused::Algorithm),
            (json!({ "alg": "RS256", "kid": "k1" }), Refused::UnknownKey),
            (json!({ "alg": "ES256", "kid": "k3" }), Refused::UnknownKey),
            (json!({ "alg": "ES256" }), Refused::UnknownKey),
            (json!({ "alg": "ES256", "kid": "k1", "crit": ["x"] }), Refused::Malformed),
        ] {
            assert_eq!(check(&header, &claims()), Err(why), "{header}");
        }
        let now = Timestamp::from_millis(NOW * 1_000);
        let expected = Expected { issuer: "https://login.example", client_id: "stanch", nonce: "n", now };
        let fine = token(&header, &claims());
        let mut bytes = fine.clone().into_bytes();
        let middle = fine.find('.').expect("a dot") + 5;
        bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("text");
        assert!(verify(&changed, &[key(Some("k1"))], &expected).is_err());
        for text in ["", ".", "..", "a.b.c", &"a".repeat(MAX_BYTES + 1)] {
            assert_eq!(verify(text, &[key(Some("k1"))], &expected), Err(Refused::Malformed));
        }
        assert!(verify(&fine, &[key(Some("k1"))], &expected).is_ok());
    }
}
