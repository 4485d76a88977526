//! `stanch token`: the built-in issuer's tokens, from minting to their end.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use rand::rngs::SysRng;
use serde_json::json;

use super::out::Colour;
use super::table::Table;
use super::{Context, HintExt as _, out, ready, when};
use crate::clock::Timestamp;
use crate::config::{Config, Span};
use crate::id::TokenId;
use crate::incident::EmailAddress;
use crate::mint::pat::{self, Minted, Prefix};
use crate::redact::inert;
use crate::store::{Insertion, NewOwnToken, NewOwner, OwnToken, OwnTokenFilter, OwnTokenKind, Revoking, Store};

#[derive(Subcommand)]
pub enum Command {
    /// Mint a token: the token alone on standard output, once, and what is known about it on standard error
    Create(Create),
    /// List the tokens that were minted; never their secrets
    List(List),
    /// Revoke tokens for ever
    Revoke(Revoke),
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  stanch token create --owner-email ada@example.org --owner-name Ada --name ci --expires 90d\n  \
                        stanch token create … > token.txt"
)]
pub struct Create {
    /// Where its owner is told if it leaks
    #[arg(long, value_name = "ADDRESS")]
    owner_email: String,
    /// What its owner is called
    #[arg(long, value_name = "NAME")]
    owner_name: String,
    /// What the owner calls the token
    #[arg(long)]
    name: String,
    /// When it ends: after a span such as `90d`, or at a time such as `2027-01-31T00:00:00Z` [default: never]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    /// What it may do; can be given again
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

#[derive(Args)]
pub struct List {
    /// Only those of this owner
    #[arg(long, value_name = "ADDRESS")]
    owner_email: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Revoke {
    /// The tokens' ids, as `stanch token list` shows them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<TokenId>,
    /// Why; kept with the token
    #[arg(long, default_value = "revoked by an operator")]
    reason: String,
}

/// When a token ends, as it is typed.
#[derive(Clone, Copy)]
enum Expiry {
    After(Span),
    At(Timestamp),
}

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A number alone would be read as seconds since 1970; nobody types that.
        let at = || Timestamp::parse(text).filter(|_| text.contains('T')).map(Self::At);
        let read = text.parse().map(Self::After).ok().or_else(at);
        read.ok_or_else(|| "neither a span such as `90d` nor a time such as `2027-01-31T00:00:00Z`".into())
    }
}

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        if !config.issuer.builtin.enabled {
            return Err(anyhow!("the built-in issuer is switched off"))
                .hint("set `enabled = true` in `[issuer.builtin]`, or mint tokens where your issuer does");
        }
        let store = ready::open_store(&config, &context.clock).await?;
        let done = match self {
            Self::Create(command) => command.run(context, &config, &store).await,
            Self::List(command) => command.run(context, &store).await,
            Self::Revoke(command) => command.run(&store).await,
        };
        store.close().await;
        done
    }
}

impl Create {
    async fn run(self, context: &Context, config: &Config, store: &Store) -> anyhow::Result<ExitCode> {
        let now = context.clock.now();
        let email = EmailAddress::parse(&self.owner_email).context("`--owner-email` cannot be used")?;
        let expires_at = self.expires.map(|expiry| match expiry {
            Expiry::After(span) => now.plus(span.0),
            Expiry::At(at) => at,
        });
        if expires_at.is_some_and(|at| at <= now) {
            bail!("`--expires` lies in the past");
        }
        if self.name.trim().is_empty() || self.name.chars().count() > 100 {
            bail!("`--name` must have 1 to 100 characters");
        }
        let prefix: Prefix = config.issuer.builtin.prefix.parse()?;
        let minted = pat::mint(&prefix, &mut SysRng).context("the operating system gives no random bytes")?;
        let Minted { secret, sha256, hint } = minted;
        let owner_id = store.ensure_owner(NewOwner { name: self.owner_name, email }).await?;
        let id = TokenId::generate(now);
        let token = NewOwnToken {
            hint: hint.clone(),
            scopes: self.scopes,
            expires_at,
            created_by: "operator:cli".into(),
            ..NewOwnToken::new(id, OwnTokenKind::Pat, owner_id, self.name.clone(), sha256)
        };
        if store.insert_own_token(token, u32::MAX, None).await? != Insertion::Stored {
            return Err(anyhow!("the owner has a token called `{}` already", inert(&self.name, 100)))
                .hint("choose another `--name`, or revoke that one: `stanch token list`");
        }
        let end = expires_at.map_or("never".into(), |at| when::both(at, now));
        out::talk(format!("token {id} of owner {owner_id}, ends in {hint}, expires: {end}"));
        out::talk("it is shown once and kept nowhere:");
        // The one place that shows a token: to whoever asked for it to be made.
        let mut stdout = io::stdout().lock();
        stdout.write_all(secret.expose()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, context: &Context, store: &Store) -> anyhow::Result<ExitCode> {
        let owner = self.owner_email.as_deref().map(EmailAddress::parse).transpose();
        let owner_email = owner.context("`--owner-email` cannot be used")?;
        let filter = OwnTokenFilter { owner_email, ..OwnTokenFilter::default() };
        let tokens = store.own_tokens(&filter).await?;
        let now = context.clock.now();
        if self.json {
            let entries: Vec<_> = tokens.iter().map(|token| as_json(token, now)).collect();
            out::data(serde_json::to_string_pretty(&entries)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if tokens.is_empty() {
            out::talk("no token");
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(
            Colour::of(&context.environment),
            &["id", "state", "name", "owner", "ends in", "made", "last used"],
        );
        for token in &tokens {
            table.row([
                token.id.to_string(),
                token.state(now).word().into(),
                inert(&token.name, 30),
                inert(&token.owner_name, 30),
                token.hint.clone(),
                when::relative(token.created_at, now),
                token.last_used_at.map_or("never".into(), |at| when::relative(at, now)),
            ]);
        }
        table.lines().iter().try_for_each(out::data)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    async fn run(self, store: &Store) -> anyhow::Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        let revoking = Revoking { by: "operator:cli".into(), reason: inert(&self.reason, 200), incident_id: None };
        for id in self.ids {
            match store.revoke_own_token(id, revoking.clone()).await {
                Ok(true) => out::talk(format!("revoked token {id}")),
                Ok(false) => out::talk(format!("token {id} was dead already")),
                Err(error) => {
                    out::talk(format!("error: token {id}: {error}"));
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}

fn as_json(token: &OwnToken, now: Timestamp) -> serde_json::Value {
    json!({
        "id": token.id,
        "state": token.state(now).word(),
        "name": inert(&token.name, 200),
        "owner_id": token.owner_id,
        "owner_name": inert(&token.owner_name, 200),
        "hint": token.hint,
        "scopes": token.scopes,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
        "revoked_reason": token.revoked_reason,
        "incident_id": token.incident_id,
    })
}
