//! The program as an operator meets it: the real binary, in a folder of its own, with an environment of its own.

#![cfg(feature = "server")]

mod audit;
mod config;
mod doctor;
mod help;
mod hostile;
mod incident;
mod init;
mod keys;
mod stanch;
mod token;
