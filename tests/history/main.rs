//! The history of git repositories: every object is read, everything in it is found, whatever was not read is said.
#![cfg(feature = "scan")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod damage;
mod edges;
mod equal;
mod layout;
mod lineage;
mod reftables;
mod repo;
