//! The dashboard in a real browser, and its routes against every wrong caller.
#![cfg(feature = "server")]

#[path = "../support/browser.rs"]
mod browser;
#[path = "../support/db.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod db;
mod decide;
mod gallery;
mod held;
mod house;
#[path = "../support/issuer.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod issuer;
#[path = "../support/process.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod process;
#[path = "../support/smtp.rs"]
#[expect(dead_code, reason = "other test targets use the rest")]
mod smtp;

mod audit;
mod matrix;
#[cfg(feature = "oidc")]
mod oidc;
mod pages;
#[cfg(feature = "oidc")]
mod provider;
mod sign_in;
