//! Mail over real sockets and real files: what the owner's mail server gets, and what its refusals mean.
#![cfg(feature = "server")]

#[path = "../support/smtp.rs"]
mod smtp;

mod directory;
mod over_smtp;
mod sample;
