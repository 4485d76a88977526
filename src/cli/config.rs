//! `stanch config`: what is in effect, and whether it is right.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Context, out, ready};

#[derive(Subcommand)]
pub enum Command {
    /// Check the configuration, its key files and its credentials, without starting anything
    Check,
    /// Show the effective configuration, each value with where it comes from, without credentials
    Show,
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        for name in config.unread_variables() {
            out::talk(format!("warning: nothing reads the environment variable `{name}`"));
        }
        match self {
            Self::Check => {
                ready::credentials(&config)?;
                let read = config.file().map_or("the defaults".into(), |path| path.display().to_string());
                out::talk(format!("{read}: nothing wrong"));
            }
            Self::Show => out::data(config.show().trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
