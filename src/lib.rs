//! stanch stops a leaked token in seconds: the leak-response service of a token issuer.

pub mod clock;
pub mod id;
pub mod incident;
pub mod token;
