//! What a token is: its bytes, its kind, its identity, and the rules that tell a real one from a look-alike.
//!
//! Everything here is pure: no clock, no database, no network. A token's bytes live in [`Secret`] and are named in the
//! outside world by a [`Fingerprint`].

pub mod catalogue;
pub mod caveat;
pub mod charset;
pub mod checksum;
pub mod encoding;
mod example;
mod finding_id;
mod fingerprint;
pub mod generate;
pub mod jwt;
mod kind;
pub mod macaroon;
pub mod network;
pub mod pat;
pub mod route;
mod secret;
pub mod shape;

pub use example::{is_example, is_nobodys_host};
pub use finding_id::FindingId;
pub use fingerprint::{Fingerprint, FingerprintKey, FingerprintRing};
pub use generate::generate;
pub use kind::{Confidence, KindId};
pub use secret::{Secret, WITHHELD};
