//! `stanch incident`: what leaked, what became of it, and what a person can do about it.

mod change;
mod filter;
mod list;
mod show;
mod view;

use std::process::ExitCode;

use clap::Subcommand;

use super::Context;

#[derive(Subcommand)]
pub enum Command {
    /// Decide that nothing more is to be done; the token is not revoked
    Dismiss(change::Dismiss),
    /// List incidents, newest first
    List(list::List),
    /// Let revocations go on that the brake has stopped
    Release(change::Release),
    /// Let stuck incidents go on where they stopped
    Retry(change::Retry),
    /// Show all that is known about an incident: where it was seen, what was done, how long it took
    Show(show::Show),
}

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Dismiss(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Release(command) => command.run(context).await,
            Self::Retry(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
        }
    }
}
