//! The commands of the service.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Context, config};

/// What stanch was asked to do.
#[derive(Subcommand)]
pub enum Command {
    /// Check the configuration, or show what is in effect
    #[command(subcommand)]
    Config(config::Command),
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Config(command) => command.run(context),
        }
    }
}
