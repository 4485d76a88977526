//! Work: taking jobs, doing their step, settling them.
//!
//! A job is claimed under a lease, its step is done without any transaction open, and its result is committed in one
//! transaction that the lease guards. A worker that dies, hangs or loses its lease changes nothing; the next one does
//! the step again. Every step is therefore written to be repeated:
//!
//! | step   | asks                        | then                                                       |
//! |--------|-----------------------------|------------------------------------------------------------|
//! | verify | the issuer: does it live?   | live → revoke; dead or not ours → close; unknown → again   |
//! | revoke | the issuer: kill it         | confirmed → notify; dead by another hand → close           |
//! | notify | the mail server: take this  | sent → close; refused for good → a person                  |
//! | close  | nobody                      | the date is set on which the reporter's data is purged     |

mod backoff;
mod close;
mod follow;
mod gauges;
mod lease;
mod notify;
mod revoke;
mod runner;
mod settings;
mod step;
mod token_mail;
mod upkeep;
mod verify;

pub use backoff::Backoff;
pub use runner::Worker;
pub use settings::Settings;
