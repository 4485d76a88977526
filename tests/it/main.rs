//! The promises of stanch, tested on the real program: one file a promise.

#[path = "../support/db.rs"]
mod db;
#[path = "../support/issuer.rs"]
mod issuer;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/smtp.rs"]
mod smtp;

mod accepted_is_durable;
