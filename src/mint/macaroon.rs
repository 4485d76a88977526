//! Our own macaroons: how they are named, and whether one that is shown was signed by us.
//!
//! The identifier is the token's id as a UUID of 36 characters, as PyPI's are. Whoever knows it can find the token's
//! record and open nothing: the chain of signatures begins with a root key that is sealed in that record.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::id::TokenId;
use crate::store::OwnToken;
use crate::token::Secret;
use crate::token::caveat::{BadCaveat, Caveat};
use crate::token::macaroon::{Chain, Macaroon};

/// Bytes of a root key.
pub const ROOT_KEY_LEN: usize = 32;

/// A macaroon that our root key signed.
pub struct Verified {
    /// Its caveats, in order, each as far as it could be read.
    pub caveats: Vec<Result<Caveat, BadCaveat>>,
    /// The points of its chain, from the one without caveats to its own.
    pub points: Vec<[u8; 32]>,
}

/// The identifier of the token's macaroon.
pub fn identifier(id: TokenId) -> String {
    id.uuid().hyphenated().to_string()
}

/// What a macaroon's record is looked up by.
pub fn lookup(identifier: &[u8]) -> [u8; 32] {
    Sha256::digest(identifier).into()
}

/// The token that a macaroon names, if its identifier is one of ours in form.
pub fn token_id(identifier: &[u8]) -> Option<TokenId> {
    let text = std::str::from_utf8(identifier).ok()?;
    let uuid = Uuid::try_parse(text).ok().filter(|uuid| uuid.hyphenated().to_string() == text)?;
    Some(TokenId::from_uuid(uuid))
}

/// Checks the signatures from the root key to the end. `None` if they do not match.
pub fn verify(root_key: &Secret, macaroon: &Macaroon) -> Option<Verified> {
    // A caveat of a third party is discharged by nobody here.
    if macaroon.caveats.iter().any(|caveat| caveat.verification.is_some()) {
        return None;
    }
    let mut chain = Chain::start(root_key, &macaroon.identifier);
    let mut points = Vec::with_capacity(macaroon.caveats.len() + 1);
    points.push(chain.point());
    for caveat in &macaroon.caveats {
        chain.extend(&caveat.id);
        points.push(chain.point());
    }
    let caveats = macaroon.caveats.iter().map(|caveat| Caveat::read(&caveat.id)).collect();
    chain.ends_in(&macaroon.signature).then_some(Verified { caveats, points })
}

/// Where a token's record says how many caveats were in it when it was issued.
pub const EMBEDDED: &str = "embedded_caveats";

/// How many caveats the token carried when it was issued; every further one is its bearer's.
pub fn embedded(token: &OwnToken) -> usize {
    let count = token.additional.get(EMBEDDED).and_then(serde_json::Value::as_u64);
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or(token.caveats.len())
}
