//! What `stanch scan` promises: a token is found wherever people leave one, and what was not read is said.

mod archives;
mod clones;
mod command;
mod contexts;
mod corpus;
mod history;
mod hooks;
mod hostile;
mod incremental;
mod past;
mod planted;
mod ranges;
mod repo;
mod staged;
mod support;
mod trees;
