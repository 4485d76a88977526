//! The sender's side of the partner protocol, tried against a receiver of our own that verifies with `p256` alone.

#![cfg(feature = "server")]

mod command;
mod forms;
mod key_list;
mod load;
mod receiver;
