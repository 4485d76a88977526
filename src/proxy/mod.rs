//! The magic proxy: an upstream's API with less power than its credential has.
//!
//! Whoever has a credential that can do too much gives it to us once and gets a magic token that opens the requests it
//! names and no others. The credential is sealed in the token's record; the token can be listed, revoked, and dies of a
//! leak like any other. Whatever two servers could read in two ways is refused, everything not allowed is denied, and
//! the upstream's credential never comes back.

mod echo;
mod forward;
mod grant;
mod headers;
mod path;
mod policy;
mod stream;
mod upstream;

pub use forward::{Answer, AnswerBody, Asked, Given, Pass, Refused, forward};
pub use grant::{BadGrant, GrantRule, GrantText};
pub use path::{Ambiguous, Canonical};
pub use policy::{BadRule, Form, Rule};
pub use stream::{Cut, Limited};
pub use upstream::{BadPolicy, BadUpstream, CredentialForm, Limits, Policy, Scope, Settings, Upstream};
