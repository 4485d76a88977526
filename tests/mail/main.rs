//! Mail over real sockets and real files: what the owner's mail server gets, and what its refusals mean.
#![cfg(feature = "server")]

#[path = "../support/smtp.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod smtp;

mod directory;
mod over_smtp;
mod sample;
