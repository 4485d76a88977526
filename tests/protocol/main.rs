//! The receiving side of the partner protocol, over real HTTP: one file per section of the conformance checklist.

mod body;
mod door;
mod endpoint;
mod issuer;
mod key_list;
mod magic;
mod once;
mod operate;
mod routes;
mod service;
mod signature;
mod tokens;
mod transport;
mod twine;
