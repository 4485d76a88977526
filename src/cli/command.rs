//! The commands of the service.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

use super::{Context, config, send};

/// What stanch was asked to do.
#[derive(Subcommand)]
pub enum Command {
    /// Check the configuration, or show what is in effect
    #[command(subcommand)]
    Config(config::Command),
    /// Play the reporter: sign and post leaked-token reports, well-formed or not
    Send(Box<send::SendArgs>),
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Config(command) => command.run(context),
            Self::Send(args) => runtime()?.block_on(send::run(*args, context)),
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads to run on")
}
