//! `stanch incident`: what leaked, what became of it, and what a person can do about it.

mod again;
mod change;
mod filter;
mod held;
mod list;
mod lookup;
mod show;
mod view;

use std::process::ExitCode;

use clap::Subcommand;

use super::Context;

#[derive(Subcommand)]
pub enum Command {
    /// Try the next step of an incident now instead of at its time
    Again(again::Again),
    /// Approve a release that another operator asked for
    Approve(change::Decide),
    /// Decide that nothing more is to be done; the token is not revoked
    Dismiss(change::Dismiss),
    /// Show what the brake holds, its budgets, and the releases that wait for a second person
    Held(held::Held),
    /// List incidents, newest first
    List(list::List),
    /// Tell what became of a token, which is read from standard input and not kept
    Lookup(lookup::Lookup),
    /// Show the mail to the owner, as it was or would be written
    Mail(again::Mail),
    /// Have the issuers asked again; what is held stays held if it lives
    Recheck(change::Recheck),
    /// Let revocations go on that the brake has stopped
    Release(change::Release),
    /// Have the owners of revoked tokens mailed again
    Resend(change::Resend),
    /// Let stuck incidents go on where they stopped
    Retry(change::Retry),
    /// Revoke the narrowed macaroon that leaked, and not the token it was made of
    RevokeBranch(again::RevokeBranch),
    /// Show all that is known about an incident: where it was seen, what was done, how long it took
    Show(show::Show),
    /// Take back a release that waits for a second person; its incidents stay held
    Withdraw(change::Decide),
}

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Again(command) => command.run(context).await,
            Self::Approve(command) => command.approve(context).await,
            Self::Dismiss(command) => command.run(context).await,
            Self::Held(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Lookup(command) => command.run(context).await,
            Self::Mail(command) => command.run(context).await,
            Self::Recheck(command) => command.run(context).await,
            Self::Release(command) => command.run(context).await,
            Self::Resend(command) => command.run(context).await,
            Self::Retry(command) => command.run(context).await,
            Self::RevokeBranch(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Withdraw(command) => command.withdraw(context).await,
        }
    }
}
