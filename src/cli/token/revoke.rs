//! `stanch token revoke`: by id, or by the token itself as a leak would be.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Args;

use super::create::told;
use super::operator;
use super::source::trimmed;
use crate::cli::failure::Usage;
use crate::cli::{HintExt as _, out, ready};
use crate::config::Config;
use crate::id::TokenId;
use crate::mint::{Mint, macaroon as own, text_sha256};
use crate::redact::inert;
use crate::store::{OwnToken, OwnTokenKind, Store};
use crate::token::{Secret, macaroon};

#[derive(Args)]
#[command(after_help = "Examples:\n  stanch token revoke tok_…\n  \
    stanch token revoke - < found-in-the-wiki.txt\n  \
    stanch token revoke --branch - < narrowed.txt    its parent and siblings live")]
pub struct Revoke {
    /// The tokens' ids, as `stanch token list` shows them; `-` reads one token's text from standard input
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why; kept with the token
    #[arg(long, default_value = "revoked by an operator")]
    reason: String,
    /// Of a macaroon that was narrowed: only this copy and what was made of it
    #[arg(long)]
    branch: bool,
}

impl Revoke {
    pub async fn run(self, config: &Config, store: &Store, mint: &Mint) -> anyhow::Result<ExitCode> {
        let reason = inert(&self.reason, 200);
        if self.ids == ["-"] {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
            return self.by_text(&trimmed(bytes)?, &reason, store, mint, config).await;
        }
        if self.branch {
            bail!(Usage("`--branch` needs the narrowed token itself: pipe it in and name `-`".into()));
        }
        let ids = self.ids.iter().map(|id| id.parse::<TokenId>().map_err(|error| Usage(error.to_string())));
        let ids: Vec<TokenId> = ids.collect::<Result<_, _>>()?;
        let mut code = ExitCode::SUCCESS;
        for id in ids {
            match mint.revoke(id, &reason, &operator()).await {
                Ok(true) => out::talk(format!("revoked token {id}")),
                Ok(false) => out::talk(format!("token {id} was dead already")),
                Err(refused) => {
                    out::talk(format!("error: token {id}: {}", told(refused, "")));
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }

    async fn by_text(
        &self,
        shown: &Secret,
        reason: &str,
        store: &Store,
        mint: &Mint,
        config: &Config,
    ) -> anyhow::Result<ExitCode> {
        // In any spelling, and with what was pasted around it, as from a report.
        let text = String::from_utf8_lossy(shown.expose()).into_owned();
        let found = match ready::recognizer(config)?.identify(&text) {
            crate::recognize::Identified::Recognized(found) => found.secret,
            _ => Secret::new(shown.expose().to_vec()),
        };
        let read = macaroon::find(found.expose()).map(|found| found.macaroon);
        let lookup = read.as_ref().map_or_else(|| text_sha256(&found), |read| own::lookup(&read.identifier));
        let token = store.own_tokens_by_hash(&[lookup]).await?.into_iter().next().flatten();
        let Some(token) = token else {
            return Err(anyhow!("no token of ours has this text")).hint("`stanch token inspect` says what it is");
        };
        let by = operator();
        let done = match read.filter(|_| token.kind == OwnTokenKind::Macaroon) {
            Some(read) => {
                let verified = own::verify(&store.open_own(&token)?, &read);
                let Some(verified) = verified else {
                    return Err(anyhow!("it names token {} and was not signed by us: nothing was revoked", token.id))
                        .hint(format!("`stanch token revoke {}` revokes that token all the same", token.id));
                };
                match verified.points.last() {
                    Some(point) if self.branch && verified.points.len() > own::embedded(&token) + 1 => {
                        let done = mint.revoke_branch(token.id, *point, reason, &by).await;
                        out::talk(format!("a narrowed copy of token {}; the token itself lives on", token.id));
                        done
                    }
                    _ if self.branch => bail!("this is the token as it was issued: revoke it without `--branch`"),
                    _ => mint.revoke(token.id, reason, &by).await,
                }
            }
            None if self.branch => bail!(Usage("only a macaroon has branches".into())),
            None => mint.revoke(token.id, reason, &by).await,
        };
        if done.map_err(|refused| told(refused, ""))? {
            out::talk(format!("revoked {}", named(&token)));
        } else {
            out::talk(format!("{} was dead already", named(&token)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn named(token: &OwnToken) -> String {
    format!("token {} (`{}`)", token.id, inert(&token.name, 60))
}
