//! stanch stops a leaked token in seconds: the leak-response service of a token issuer.

pub mod cli;
pub mod clock;
#[cfg(feature = "server")]
pub mod crash;
pub mod id;
pub mod incident;
pub mod recognize;
pub mod redact;
#[cfg(feature = "scan")]
pub mod scan;
pub mod telemetry;
pub mod token;

#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod intake;
#[cfg(feature = "server")]
pub mod issuer;
#[cfg(feature = "server")]
pub mod mint;
#[cfg(feature = "server")]
pub mod notice;
#[cfg(feature = "server")]
pub mod send;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod work;
