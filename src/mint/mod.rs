//! The built-in issuer's tokens: making them, and knowing them again.
//!
//! The store keeps a token's SHA-256 and never the token. Whoever mints sees it once; whoever shows it is looked up by
//! its hash. That nobody can find a token from its hash needs no slow hash here: 190 random bits cannot be guessed.

mod authenticate;
pub mod pat;

pub use authenticate::{Authenticator, Refusal};
