//! What `stanch scan` promises: a token is found wherever people leave one, and what was not read is said.

#[cfg(not(feature = "server"))]
mod alone;
mod archives;
mod clones;
mod command;
mod contexts;
mod corpus;
mod history;
mod hooks;
mod hostile;
mod incremental;
mod lacking;
mod past;
mod planted;
mod ranges;
mod repo;
mod staged;
mod support;
mod survives;
mod trees;
mod view;
