//! `stanch token`: the built-in issuer's tokens, from minting to their end; and what can be done with any token in hand.
//!
//! A secret goes to standard output alone and everything else to standard error, so that it can be piped; it comes in by
//! standard input, a file or the environment, never as an argument that every process of the machine can read.
//!
//! Exit codes: 0 done, or accepted; 1 refused, or something failed; 2 malformed, or wrong usage.

mod change;
mod check;
mod create;
mod inspect;
mod list;
mod restrict;
mod revoke;
mod rotate;
mod shown;
mod source;
pub use source::Source;

mod until;

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Subcommand;

use super::{Context, HintExt as _, ready};
use crate::config::Config;
use crate::mint::{By, Mint};
use crate::store::Store;

#[derive(Subcommand)]
pub enum Command {
    /// Make a token: the token alone on standard output, once, and what is known about it on standard error
    #[command(alias = "mint")]
    Create(Box<create::Create>),
    /// Take over a token that another program minted, by the SHA-256 of its text
    Import(change::Import),
    /// Narrow a macaroon, offline: the narrowed token alone on standard output
    Restrict(Box<restrict::Restrict>),
    /// Say what a token is, offline, without showing it: fit for a ticket
    Inspect(inspect::Inspect),
    /// Say whether a token is accepted for a request
    Check(Box<check::Check>),
    /// List the tokens that were made; never their secrets
    List(Box<list::List>),
    /// Put a new token in the place of one, which lives on for a while
    Rotate(rotate::Rotate),
    /// Set a token, or an owner with all tokens, aside; `resume` takes it back
    Suspend(change::Suspend),
    /// Take a suspended token back
    Resume(change::Suspend),
    /// Revoke tokens for ever, by id or by their text
    Revoke(revoke::Revoke),
}

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Restrict(command) => return command.run(context),
            Self::Inspect(command) => return command.run(context),
            Self::Check(command) if command.is_offline() => return command.run_offline(context),
            _ => {}
        }
        let config = context.config()?;
        if !config.issuer.builtin.enabled {
            return Err(anyhow!("the built-in issuer is switched off"))
                .hint("set `enabled = true` in `[issuer.builtin]`, or mint tokens where your issuer does");
        }
        let store = ready::open_store(&config, &context.clock).await?;
        let done = self.with_store(context, &config, &store).await;
        store.close().await;
        done
    }

    async fn with_store(self, context: &Context, config: &Config, store: &Store) -> anyhow::Result<ExitCode> {
        let mint = Mint::new(store.clone(), ready::mint_settings(config)?, context.clock.clone());
        match self {
            Self::Create(command) => command.run(context, store, &mint).await,
            Self::Import(command) => command.run(context, store, &mint).await,
            Self::Check(command) => command.run(context, config, store).await,
            Self::List(command) => command.run(context, store).await,
            Self::Rotate(command) => command.run(context, &mint).await,
            Self::Suspend(command) => command.run(store, &mint, true).await,
            Self::Resume(command) => command.run(store, &mint, false).await,
            Self::Revoke(command) => command.run(config, store, &mint).await,
            // Done before the database was opened.
            Self::Restrict(_) | Self::Inspect(_) => Ok(ExitCode::SUCCESS),
        }
    }
}

/// Malformed, as `inspect` and `check` say it.
const MALFORMED: u8 = 2;

/// Who acts at the command line.
fn operator() -> By {
    By::Operator("cli".into())
}
