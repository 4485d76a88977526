//! stanch stops a leaked token in seconds: the leak-response service of a token issuer.
//!
//! # The life of one alert
//!
//! 1. [`http`] takes a request under caps on size, time and memory. It has raw bytes and headers and parses nothing.
//! 2. [`intake`] finds the origin by its headers and its key by its id, and proves the signature over the raw bytes. What
//!    does not hold is refused in one way; what cannot be checked is another answer, for then the reporter may come back.
//! 3. The records are judged one by one. [`recognize`] names the kind of each token by the token itself, with the
//!    catalogue of [`token`]; a bad record costs itself only. Tokens in what is said about them are taken out.
//! 4. The tokens of a local [`issuer`] are asked about at once, within a budget: that is what feedback can tell.
//! 5. [`store`] commits the delivery, its [incidents](incident), the places, the sealed tokens and the first jobs in one
//!    transaction. Only then is there an answer.
//! 6. [`work`] hears of the jobs, or finds them: it claims each under a lease, with no transaction open over a call.
//!    *Verify* asks the issuer whether the token lives; *revoke* has it killed and asks again before it believes;
//!    *notify* hands one mail to [`notice`]; *close* erases what is sealed and sets the date on which the reporter's data
//!    is purged. Each step is one transaction: one legal move of the incident, its next job, its audit event. A lost lease
//!    changes nothing, so any process may die anywhere.
//!
//! # How it is held together
//!
//! A module knows those above it in this list only: [`address`], [`clock`], [`id`], [`redact`],
//! [`telemetry`]; [`token`]; [`recognize`],
//! [`incident`] and [`operator`]; [`store`] and [`scan`]; [`mint`] and [`notice`]; [`issuer`] and [`proxy`]; [`intake`], [`work`] and [`drill`]; [`http`] and [`dashboard`];
//! [`send`] and [`config`]; [`cli`], which connects them. `tests/architecture.rs` reads the imports and holds this order.
//! Five sentences say the rest: http accepts and never calls a remote issuer. work decides and never sees a header. scan
//! never sees a database. Only store writes SQL. A token's bytes are a [`token::Secret`] from the first parse to the last
//! use.

#[cfg(feature = "server")]
pub mod address;
pub mod cli;
pub mod clock;
#[cfg(feature = "server")]
pub mod crash;
#[cfg(feature = "server")]
pub mod dashboard;
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
pub mod drill;
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
pub mod operator;
#[cfg(feature = "server")]
pub mod proxy;
#[cfg(feature = "server")]
pub mod send;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod work;
