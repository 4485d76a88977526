//! Tokens of magic-api-proxy, taken over: signed JWTs that carry their policy and their upstream's credential.
//!
//! Such a token was made without a record, so nobody could list it or end it. The first time one is shown here, in a
//! request or in a report, it gets a record like every other magic token, and from then on only the record counts: it
//! is listed, counts its uses, ends, leaks and is revoked for good. A text is taken over once, in one spelling.
//!
//! Only RS256 is read, whatever the header says otherwise; a claim that nobody knows refuses the token, for it may
//! restrict it.

use std::fmt;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::rsa::RsaKey;
use super::{Mint, text_sha256};
use crate::clock::Timestamp;
use crate::id::TokenId;
use crate::incident::EmailAddress;
use crate::store::{self, Insertion, NewOwnToken, NewOwner, OwnToken, OwnTokenKind};
use crate::token::encoding::{self, Alphabet, to_base64};
use crate::token::catalogue::{Check, Kind, Proof};
use crate::token::checksum::Algorithm;
use crate::token::shape::BadShape;
use crate::token::Secret;

/// The kind of these tokens.
pub const KIND: &str = "stanch-legacy-magic";

/// Tokens of one upstream's proxy.
pub struct Legacy {
    pub upstream: String,
    /// Whom the tokens belong to from now on.
    pub owner: EmailAddress,
    pub key: RsaKey,
}

/// The kind, told by a claim that no other JWT has.
///
/// # Errors
/// Never: a test builds it.
pub fn kind() -> Result<Kind, BadShape> {
    let claims = &[("token", "*")];
    let check = Check { algorithm: Algorithm::Jwt { claims }, proof: Proof::Proved };
    Kind::own(KIND, "built-in", "proxy token of magic-api-proxy", "eyJ{b64u:10-100}.eyJ{b64u:300-6000}.{b64u:342-1366}", Some(check))
}

/// Clocks of the old proxy and of this one may differ by so much.
const SKEW_SECONDS: i64 = 10;
/// Longest token: a key of 8192 bits signs it and seals into it.
const MAX_LEN: usize = 16 * 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iat: i64,
    exp: i64,
    token: String,
    allowed: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
}

/// What a token says, proved.
pub struct Read {
    expires_at: Timestamp,
    policy: Json,
    credential: Option<Secret>,
}

impl fmt::Debug for Legacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tokens of magic-api-proxy for {}", self.upstream)
    }
}

/// The one spelling of a token: every part in the URL alphabet, without padding or stray bits. None if it is no JWT.
pub fn normal(text: &Secret) -> Option<Secret> {
    let text = text.expose();
    if text.len() > MAX_LEN || !text.starts_with(b"eyJ") {
        return None;
    }
    let parts: Vec<Vec<u8>> = text
        .split(|byte| *byte == b'.')
        .map(|part| Some(to_base64(&*encoding::base64(part)?, Alphabet::Url)))
        .collect::<Option<_>>()?;
    (parts.len() == 3).then(|| Secret::new(parts.join(&b'.')))
}

impl Legacy {
    /// Reads a token in its one spelling. None if this key did not sign it, or if it says something we do not know.
    pub fn read(&self, text: &Secret, now: Timestamp) -> Option<Read> {
        let text = text.expose();
        let dot = text.iter().rposition(|byte| *byte == b'.')?;
        let (signed, signature) = (text.get(..dot)?, encoding::base64(text.get(dot + 1..)?)?);
        let (header, claims) = signed.split_at(signed.iter().position(|byte| *byte == b'.')?);
        let header: Header = serde_json::from_slice(&encoding::base64(header)?).ok()?;
        if header.alg != "RS256" || header.typ.is_some_and(|typ| typ != "JWT") || !self.key.signed(signed, &signature) {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&encoding::base64(claims.get(1..)?)?).ok()?;
        let early = i128::from(claims.iat - SKEW_SECONDS) * 1_000 > i128::from(now.as_millis());
        if early || claims.exp <= claims.iat {
            return None;
        }
        let mut policy = json!({});
        for (name, list) in [("allow", claims.allowed), ("scopes", claims.scopes)] {
            if let Some(list) = list.filter(|list| !list.is_empty()) {
                policy[name] = list.into();
            }
        }
        let credential = if self.key.is_private() {
            Some(self.key.open(&encoding::base64(claims.token.as_bytes())?)?)
        } else {
            None
        };
        Some(Read { expires_at: Timestamp::from_millis(claims.exp.checked_mul(1_000)?), policy, credential })
    }
}

impl Mint {
    /// Gives a token of magic-api-proxy its record, if one of the configured keys signed it; the record that it has
    /// then. `text` is in its one spelling.
    ///
    /// # Errors
    /// When nothing can be stored.
    pub async fn take_over(&self, text: &Secret) -> Result<Option<OwnToken>, store::Error> {
        let now = self.clock.now();
        let Some((legacy, read)) = self.settings.legacy.iter().find_map(|legacy| Some((legacy, legacy.read(text, now)?)))
        else {
            return Ok(None);
        };
        let sha256 = text_sha256(text);
        let name = legacy.owner.as_str().to_owned();
        let owner = self.store.ensure_owner(NewOwner { name, email: legacy.owner.clone() }).await?;
        let [a, b, c, d, ..] = sha256;
        let name = format!("{} of magic-api-proxy, {:08x}", legacy.upstream, u32::from_be_bytes([a, b, c, d]));
        let token = NewOwnToken {
            expires_at: Some(read.expires_at),
            created_by: "magic-api-proxy".into(),
            policy: Some(read.policy),
            upstream: Some(legacy.upstream.clone()),
            sealed: read.credential,
            ..NewOwnToken::new(TokenId::generate(now), OwnTokenKind::Magic, owner, name, sha256)
        };
        match self.store.insert_own_token(token, u32::MAX, None).await {
            Ok(Insertion::Stored | Insertion::NameTaken | Insertion::TooMany) => {}
            // Somebody else took it over at this moment, and then it is there.
            Err(error) => {
                let there = self.store.own_tokens_by_hash(&[sha256]).await?.pop().flatten();
                return there.map(Some).ok_or(error);
            }
        }
        Ok(self.store.own_tokens_by_hash(&[sha256]).await?.pop().flatten())
    }
}
