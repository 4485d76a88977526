//! The promises of stanch, tested on the real program: one file a promise.
#![cfg(feature = "server")]

#[path = "../support/db.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod db;
#[path = "../support/issuer.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod issuer;
#[path = "../support/process.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod process;
#[path = "../support/smtp.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod smtp;

mod accepted_is_durable;
