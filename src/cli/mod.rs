//! The command line: from what was typed to ready values, and from results to words.
//!
//! Standard output is data, standard error is talk. A command's arguments are turned into ready values before it
//! starts, so that a mistake is told before anything has happened. Exit codes: 0 done, 1 failed, 2 wrong usage or
//! refused configuration.

#[cfg(feature = "scan")]
mod alias;
#[cfg(feature = "server")]
mod audit;
#[cfg(feature = "server")]
mod command;
#[cfg(feature = "server")]
mod config;
#[cfg(feature = "server")]
mod context;
#[cfg(feature = "server")]
mod demo;
#[cfg(feature = "server")]
mod doctor;
#[cfg(feature = "server")]
mod drill;
#[cfg(feature = "server")]
mod entropy;
#[cfg(feature = "server")]
mod export;
mod failure;
mod help;
#[cfg(feature = "server")]
mod incident;
#[cfg(feature = "server")]
mod init;
#[cfg(feature = "server")]
mod issuer;
#[cfg(feature = "server")]
mod keys;
#[cfg(feature = "server")]
mod operator;
#[cfg(feature = "server")]
mod operators;
pub mod out;
#[cfg(feature = "server")]
mod queue;
#[cfg(feature = "server")]
pub mod ready;
#[cfg(feature = "server")]
mod reporter;
#[cfg(feature = "scan")]
pub mod scan;
#[cfg(feature = "server")]
pub mod send;
#[cfg(feature = "server")]
mod statistics;
#[cfg(feature = "server")]
pub mod table;
#[cfg(feature = "server")]
mod token;
#[cfg(feature = "server")]
pub mod when;

#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod service;
#[cfg(feature = "server")]
mod work;

use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser};
#[cfg(feature = "server")]
pub use command::Command;
#[cfg(feature = "server")]
pub use context::{Context, Global};
pub use failure::{HintExt, Usage};
#[cfg(feature = "server")]
use operator::operator;
#[cfg(all(feature = "scan", not(feature = "server")))]
pub use scan::Command;

/// Stops a leaked token in seconds: the leak-response service of a token issuer
#[derive(Parser)]
#[command(name = "stanch", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[cfg(feature = "server")]
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Does what the process was asked to.
pub fn run() -> ExitCode {
    // Wrong usage ends the process here, with exit code 2 and the words of the parser.
    #[cfg(feature = "scan")]
    let typed = help::command().get_matches_from(alias::expand(std::env::args_os()));
    #[cfg(not(feature = "scan"))]
    let typed = help::command().get_matches();
    let cli = Cli::from_arg_matches(&typed).unwrap_or_else(|error| error.exit());
    #[cfg(feature = "server")]
    let done = cli.command.run(&Context::new(cli.global));
    #[cfg(not(feature = "server"))]
    let done = cli.command.run();
    done.unwrap_or_else(|error| failure::tell(&error))
}
