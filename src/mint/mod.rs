//! The built-in issuer's tokens: handing them out, and knowing them again.
//!
//! Four kinds, one life. Of a personal access token, a key and a magic token the store keeps the SHA-256 and never the
//! text; of a macaroon the root key, sealed. Whoever mints sees a token once. That nobody can find a token from its hash
//! needs no slow hash here: 190 random bits cannot be guessed.
//!
//! [`Mint`] makes, rotates, narrows and revokes tokens, [`Authenticator`] says whose token is shown and whether it is
//! good for a request.

mod authenticate;
mod issue;
mod keys;
mod known;
mod leave;
pub mod legacy;
pub mod macaroon;
mod make;
mod order;
pub mod pat;
mod rsa;
mod settings;
mod usage;

pub use authenticate::{Authenticated, Authenticator, CONFIGURED, Reason, Refusal, Request};
pub use issue::Mint;
pub use keys::{BroughtKey, MIN_KEY_LEN, ShortKey, brought_along};
pub use leave::Left;
pub use legacy::{OldKey, OldKeys};
pub use order::{By, Expires, Issued, Magic, Order, Refused, WRITE};
pub use pat::Prefix;
pub use rsa::BadKey;
pub use settings::{Limits, Settings};

use sha2::{Digest, Sha256};

use crate::token::Secret;

/// What a token that is looked up as a whole is looked up by.
pub fn text_sha256(secret: &Secret) -> [u8; 32] {
    Sha256::digest(secret.expose()).into()
}
