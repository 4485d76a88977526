//! The sender's side of the secret scanning partner protocol: what GitHub does towards a receiver.
//!
//! A receiver is only as good as the sender it was tried with. Here are a signer with keys that rotate, the key list it
//! publishes (and the ways a key list can fail), every bad form a receiver must refuse, and a load with honest latencies.
//! `stanch send` drives it against staging, `stanch demo` lets it stand in for GitHub, and the tests use it.
//!
//! Two things must stay true. Whatever is sent is bounded in count and in time. A token is written to the wire and
//! nowhere else: no type here that holds one can be printed.
//!
//! The protocol: <https://docs.github.com/en/code-security/tutorials/secret-scanning-partner-program>.

mod corrupt;
mod courier;
mod der;
mod error;
mod key_server;
mod load;
mod message;
mod record;
mod report;
mod signer;
mod stream;
mod trial;

pub use corrupt::{Corruption, Expected, Group, Limits, Material};
pub use courier::{Answer, Courier, Failure};
pub use error::SendError;
pub use key_server::{Fault, KeyServer};
pub use load::{Feed, Load, Parcel, Signing};
pub use message::{Framing, HeaderNames, Message};
pub use record::{Generator, Record, body_of, parse_records};
pub use report::{Quantiles, Report};
pub use signer::{KeyList, KeyPair, ListedKey, Signer, key_id};
pub use trial::{Attempt, Strictness, Trial};
