//! The tokens of magic-api-proxy, and of magic-github-proxy from which it comes: read, so that clients move to our proxy
//! with the tokens that they have.
//!
//! Such a token is a JWT signed with RS256 (RFC 7515). Its claims are its policy and, sealed with RSA-OAEP for the same
//! key, the upstream's credential: the program that made it kept nothing, so it could list and revoke nothing. Here it is
//! proved once, when it is first shown or reported; from then on it has a record like every magic token, is looked up by
//! the hash of its text, and ends in the same ways. Whoever takes the key out of the configuration takes all of them out.
//!
//! None is made here, and an algorithm other than RS256 is not read: a token never says how it is to be proved.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::rngs::SysRng;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tracing::warn;
use zeroize::{Zeroize as _, Zeroizing};

use super::rsa::{BadKey, PrivateKey};
use super::text_sha256;
use crate::clock::Timestamp;
use crate::id::{OwnerId, TokenId};
use crate::incident::EmailAddress;
use crate::store::{self, NewOwnToken, NewOwner, OwnToken, OwnTokenKind, Store};
use crate::token::catalogue::{Check, Kind, Proof};
use crate::token::checksum::Algorithm;
use crate::token::shape::BadShape;
use crate::token::{Secret, encoding};

/// Who made a record for a token that another program gave out.
pub const ADOPTED: &str = "magic-api-proxy";

/// The kinds of such tokens: of magic-api-proxy, and of magic-github-proxy.
pub const KINDS: [&str; 2] = ["stanch-old-magic-token", "stanch-old-magic-github-token"];

/// How the record says that a policy's paths are regular expressions, as they were there.
pub const REGEX: &str = "regex";

/// A key of such a program, and what its tokens open.
#[derive(Debug)]
pub struct OldKey {
    upstream: String,
    key: PrivateKey,
    owner: EmailAddress,
    max_life: Duration,
}

/// The keys that are configured.
#[derive(Clone, Debug, Default)]
pub struct OldKeys(Arc<[Arc<OldKey>]>);

impl OldKey {
    /// The key of a program in front of `upstream`, in PEM. Its tokens belong to `owner` and live `max_life` from when they
    /// were issued at most.
    ///
    /// # Errors
    /// When the text is no RSA key that can be used.
    pub fn new(upstream: String, pem: &Secret, owner: EmailAddress, max_life: Duration) -> Result<Self, BadKey> {
        Ok(Self { upstream, key: PrivateKey::from_pem(pem.expose())?, owner, max_life })
    }

    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Bits of its modulus.
    pub fn bits(&self) -> u32 {
        self.key.bits()
    }

    /// Whether both are the same key: then nobody could tell whose a token is.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key.is_same(&other.key)
    }
}

impl FromIterator<OldKey> for OldKeys {
    fn from_iter<I: IntoIterator<Item = OldKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(Arc::new).collect())
    }
}

impl OldKeys {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &OldKey> {
        self.0.iter().map(Arc::as_ref)
    }

    /// What a reporter's text of such a token looks like.
    ///
    /// # Errors
    /// Never: the shapes are fixed, and a test builds them.
    pub fn kinds() -> Result<[Kind; 2], BadShape> {
        // The signature of a key of 2048 to 4096 bits.
        const SHAPE: &str = "eyJ{b64u:10-2000}.eyJ{b64u:10-8000}.{b64u:342-683}";
        let kind = |id, claims| {
            let check = Check { algorithm: Algorithm::Jwt { claims }, proof: Proof::Proved };
            Kind::own(id, "built-in", "magic token of magic-api-proxy", SHAPE, Some(check))
        };
        Ok([kind(KINDS[0], &[("token", "*")])?, kind(KINDS[1], &[("github_token", "*")])?])
    }

    /// Whether a text could be one of these tokens; nothing is proved.
    pub(super) fn could_be(&self, text: &[u8]) -> bool {
        !self.is_empty() && text.starts_with(b"eyJ") && text.split(|byte| *byte == b'.').count() == 3
    }

    /// Whether a record that was made for such a token still counts.
    pub(super) fn stand_for(&self, token: &OwnToken) -> bool {
        token.created_by != ADOPTED || self.iter().any(|key| token.upstream.as_deref() == Some(key.upstream()))
    }

    /// Makes a record for a token that one of the keys signed, so that it is known from now on; false if none did, or if
    /// it is no token that could be used. One that has ended gets a record as well: then a report of it finds it dead.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn adopt(&self, shown: &Secret, store: &Store, now: Timestamp) -> Result<bool, store::Error> {
        let Some(parts) = Parts::read(shown.expose()) else { return Ok(false) };
        let Some(key) = self.0.iter().find(|key| key.key.signed(parts.signed, &parts.signature)) else {
            return Ok(false);
        };
        let Some(mut claims) = Claims::read(&parts.claims) else {
            warn!("a token that the old key of upstream {} signed cannot be read", key.upstream);
            return Ok(false);
        };
        let Some((issued_at, ends_at)) = claims.span(key.max_life, now) else { return Ok(false) };
        let policy = claims.policy();
        let credential = if ends_at > now { open(key, claims.take_sealed()).await } else { None };
        if credential.is_none() && ends_at > now {
            warn!("a token that the old key of upstream {} signed holds nothing that it opens", key.upstream);
            return Ok(false);
        }
        let owner_id = owner_of(store, &key.owner).await?;
        let sha256 = text_sha256(shown);
        // Named by its hash: it has no name, and its end is as secret as the rest.
        let name =
            sha256.iter().take(6).fold(String::from("magic-api-proxy "), |name, byte| name + &format!("{byte:02x}"));
        let token = NewOwnToken {
            expires_at: Some(ends_at),
            created_by: ADOPTED.into(),
            policy: Some(policy),
            upstream: Some(key.upstream.clone()),
            additional: json!({ "issued_at": issued_at.as_millis().div_euclid(1_000) }),
            sealed: credential,
            ..NewOwnToken::new(TokenId::generate(now), OwnTokenKind::Magic, owner_id, name, sha256)
        };
        match store.insert_own_token(token, u32::MAX, None).await {
            Ok(_) => Ok(true),
            // Somebody showed it at the same moment, and made the record.
            Err(error) => match store.own_tokens_by_hash(&[sha256]).await?.pop().flatten() {
                Some(_) => Ok(true),
                None => Err(error),
            },
        }
    }
}

/// The one spelling of a reported token that is looked up: what follows the second dot has bits that mean nothing, and a
/// reporter may have padded it.
pub fn spelled(reported: &Secret) -> Option<Secret> {
    let text = reported.expose();
    let dot = text.iter().rposition(|byte| *byte == b'.')?;
    let (signed, signature) = text.split_at_checked(dot + 1)?;
    let signature = encoding::base64(signature)?;
    Some(Secret::new([signed, URL_SAFE_NO_PAD.encode(signature.as_slice()).as_bytes()].concat()))
}

async fn owner_of(store: &Store, email: &EmailAddress) -> Result<OwnerId, store::Error> {
    // Whoever is there keeps their name.
    if let Some(owner_id) = store.owner_by_email(email).await? {
        return Ok(owner_id);
    }
    store.ensure_owner(NewOwner { name: email.as_str().to_owned(), email: email.clone() }).await
}

async fn open(key: &Arc<OldKey>, sealed: Zeroizing<String>) -> Option<Secret> {
    let sealed = STANDARD.decode(sealed.as_bytes()).ok()?;
    let key = Arc::clone(key);
    // Milliseconds of arithmetic: not on a thread that others wait for.
    let opened = tokio::task::spawn_blocking(move || key.key.open(&sealed, &mut SysRng)).await.ok()??;
    let secret = Secret::new(opened.to_vec());
    (!secret.is_empty()).then_some(secret)
}

/// A token that has the form, taken apart. One spelling is read, so that one token has one hash.
struct Parts<'t> {
    signed: &'t [u8],
    claims: Zeroizing<Vec<u8>>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood (RFC 7515 section 4.1.11); we know none.
    #[serde(default)]
    crit: Option<Json>,
}

const MAX_LEN: usize = 16 * 1_024;

impl<'t> Parts<'t> {
    fn read(text: &'t [u8]) -> Option<Self> {
        // The header is an object, and a JSON reader would take a list for one.
        if text.len() > MAX_LEN || !text.starts_with(b"eyJ") {
            return None;
        }
        let end = text.iter().rposition(|byte| *byte == b'.')?;
        let signed = text.get(..end)?;
        let dot = signed.iter().position(|byte| *byte == b'.')?;
        let header = URL_SAFE_NO_PAD.decode(signed.get(..dot)?).ok()?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        if header.alg != "RS256" || header.crit.is_some() {
            return None;
        }
        let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(signed.get(dot + 1..)?).ok()?);
        Some(Self { signed, claims, signature: URL_SAFE_NO_PAD.decode(text.get(end + 1..)?).ok()? })
    }
}

/// What such a token says.
#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    /// Sealed, in base64 with padding.
    token: Option<String>,
    /// The same, of magic-github-proxy.
    github_token: Option<String>,
    #[serde(default)]
    allowed: Option<Vec<String>>,
    /// Names of scopes; of magic-github-proxy the requests themselves.
    #[serde(default)]
    scopes: Option<Vec<String>>,
}

impl Claims {
    /// None if they are of another program, or of none.
    fn read(json: &[u8]) -> Option<Self> {
        let claims: Self = serde_json::from_slice(json).ok()?;
        // With both nobody could say which of the two policies is meant.
        (claims.token.is_some() != claims.github_token.is_some()).then_some(claims)
    }

    /// When it was issued and when it ends; none for one of a time to come.
    fn span(&self, max_life: Duration, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        /// How far the clock of the machine that issued it may go ahead of ours.
        const SKEW: Duration = Duration::from_secs(10);
        let at = |seconds: i64| seconds.checked_mul(1_000).map(Timestamp::from_millis);
        let (issued_at, ends_at) = (at(self.iat)?, at(self.exp)?);
        (issued_at <= now.plus(SKEW)).then(|| (issued_at, ends_at.min(issued_at.plus(max_life))))
    }

    /// The policy as a record holds it.
    fn policy(&mut self) -> Json {
        let allowed = self.allowed.take().unwrap_or_default();
        let scopes = self.scopes.take().unwrap_or_default();
        let (allow, scopes) = if self.github_token.is_some() { (scopes, Vec::new()) } else { (allowed, scopes) };
        json!({ "allow": allow, "scopes": scopes, REGEX: true })
    }

    fn take_sealed(&mut self) -> Zeroizing<String> {
        Zeroizing::new(self.token.take().or_else(|| self.github_token.take()).unwrap_or_default())
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.token.zeroize();
        self.github_token.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_SECONDS: i64 = 1_795_395_604;
    const YEAR: Duration = Duration::from_hours(365 * 24);

    fn claims(json: &Json) -> Option<Claims> {
        Claims::read(json.to_string().as_bytes())
    }

    fn text(header: &str, claims: &str) -> String {
        format!("{}.{}.c2lnbmVk", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn only_rs256_in_its_one_spelling_is_read() {
        let good = text(r#"{"typ": "JWT", "alg": "RS256"}"#, "{}");
        assert_eq!(Parts::read(good.as_bytes()).expect("read").signature, b"signed");
        let signed = good.rsplit_once('.').expect("dots").0.as_bytes();
        assert_eq!(Parts::read(good.as_bytes()).expect("read").signed, signed);
        for bad in [
            text(r#"{"typ":"JWT","alg":"none"}"#, "{}"),
            text(r#"{"alg":"HS256"}"#, "{}"),
            text(r#"{"alg":"rs256"}"#, "{}"),
            text(r#"{"alg":"RS256","crit":["b64"]}"#, "{}"),
            text(r#"["RS256"]"#, "{}"),
            format!("{good}="),
            format!("{good}.{good}"),
            good.replace('.', ""),
            good.replacen("eyJ", "eyJ\n", 1),
            "a".repeat(MAX_LEN + 1),
        ] {
            assert!(Parts::read(bad.as_bytes()).is_none(), "{bad:.60}");
        }
    }

    #[test]
    fn a_policy_is_kept_as_it_was_written() {
        let policy = |json: Json| claims(&json).map(|mut claims| claims.policy());
        let whole = json!({ "iat": 1, "exp": 2, "token": "x", "allowed": ["GET /user"], "scopes": null });
        assert_eq!(policy(whole), Some(json!({ "allow": ["GET /user"], "scopes": [], "regex": true })));
        let named = json!({ "iat": 1, "exp": 2, "token": "x", "scopes": ["read"] });
        assert_eq!(policy(named), Some(json!({ "allow": [], "scopes": ["read"], "regex": true })));
        let parent = json!({ "iat": 1, "exp": 2, "github_token": "x", "scopes": ["GET /user"] });
        assert_eq!(policy(parent), Some(json!({ "allow": ["GET /user"], "scopes": [], "regex": true })));
        for bad in [
            json!({ "exp": 2, "token": "x" }),
            json!({ "iat": 1, "token": "x" }),
            json!({ "iat": 1, "exp": 2 }),
            json!({ "iat": 1, "exp": 2, "token": "x", "github_token": "x" }),
            json!({ "iat": 1, "exp": 2, "token": 1 }),
            json!({ "iat": 1, "exp": 2, "token": "x", "allowed": "GET /user" }),
            json!({ "iat": 1, "exp": 2, "token": "x", "scopes": [1] }),
            json!({ "iat": "1", "exp": 2, "token": "x" }),
            json!([]),
        ] {
            assert!(claims(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_ends_when_it_says_or_when_it_is_too_old() {
        let span = |issued: i64, ends: i64| {
            let now = NOW_SECONDS;
            let claims = claims(&json!({ "iat": now + issued, "exp": now + ends, "token": "x" })).expect("claims");
            claims.span(YEAR, Timestamp::from_millis(now * 1_000)).map(|(_, end)| (end.as_millis() / 1_000) - now)
        };
        let year = i64::try_from(YEAR.as_secs()).expect("small");
        assert_eq!((span(0, 10), span(-10, 5 * year)), (Some(10), Some(year - 10)));
        assert_eq!((span(-2 * year, 3 * year), span(-10, -5)), (Some(-year), Some(-5)));
        assert_eq!((span(10, 20), span(11, 20), span(i64::MIN / 1_000 + 1, i64::MAX / 2_000)).1, None);
    }

    #[test]
    fn a_reported_spelling_is_the_one_that_is_looked_up() {
        let reported = |text: &str| spelled(&Secret::new(text.into())).map(|it| it.expose().to_vec());
        for text in ["a.b.c2lnbg", "a.b.c2lnbg==", "a.b.c2lnbh"] {
            assert_eq!(reported(text).as_deref(), Some(b"a.b.c2lnbg".as_slice()), "{text}");
        }
        assert_eq!((reported("abc"), reported("a.b.!")), (None, None));
    }

    #[test]
    fn the_kinds_are_well_formed() {
        let kinds = OldKeys::kinds().expect("shapes");
        assert_eq!(kinds.map(|kind| kind.id.into_owned()), KINDS.map(str::to_owned));
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "(eyJ)?[A-Za-z0-9_.=-]{0,200}", any in any::<Vec<u8>>()) {
            let _ = (Parts::read(text.as_bytes()), Parts::read(&any), Claims::read(&any));
            let _ = (spelled(&Secret::new(text.into_bytes())), spelled(&Secret::new(any)));
        }
    }
}
