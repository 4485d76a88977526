//! `stanch token suspend`, `resume` and `import`.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Args;

use super::create::{owner, told};
use super::operator;
use super::until::Until;
use crate::cli::failure::Usage;
use crate::cli::{Context, HintExt as _, out};
use crate::id::TokenId;
use crate::incident::EmailAddress;
use crate::mint::{Mint, Refused};
use crate::store::{Changing, Insertion, NewOwnToken, OwnTokenKind, Store};

#[derive(Args)]
pub struct Suspend {
    /// The tokens' ids, as `stanch token list` shows them
    #[arg(required_unless_present = "owner", value_name = "ID")]
    ids: Vec<TokenId>,
    /// Instead: this owner, with every token they have or get
    #[arg(long, value_name = "ADDRESS", conflicts_with = "ids")]
    owner: Option<String>,
}

impl Suspend {
    pub async fn run(self, store: &Store, mint: &Mint, suspended: bool) -> anyhow::Result<ExitCode> {
        if let Some(address) = &self.owner {
            let email = EmailAddress::parse(address).map_err(|_| Usage(format!("`{address}` is not an address")))?;
            let unknown = || anyhow!("nobody with the address {address} has tokens here");
            let owner_id = store
                .owner_by_email(&email)
                .await?
                .ok_or_else(unknown)
                .hint("`stanch token list` shows whose tokens there are")?;
            store.suspend_owner(owner_id, suspended, Changing { by: operator().text() }).await?;
            out::talk(format!("{} every token of {address}", if suspended { "suspended" } else { "resumed" }));
            return Ok(ExitCode::SUCCESS);
        }
        let mut code = ExitCode::SUCCESS;
        for id in self.ids {
            match mint.suspend(id, suspended, &operator()).await {
                Ok(()) => out::talk(format!("{} token {id}", if suspended { "suspended" } else { "resumed" })),
                Err(refused) => {
                    out::talk(format!("error: token {id}: {}", told(refused, "")));
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}

#[derive(Args)]
#[command(
    after_help = "The shape of such tokens belongs into `foreign_shapes` of `[issuer.builtin]`, so that leaked ones \
    are recognized.\n\nExample:\n  stanch token import --sha256 fa46… --owner ada@example.org --name 'old key'"
)]
pub struct Import {
    /// SHA-256 of the whole token, 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    sha256: String,
    /// `pat` or `key`
    #[arg(long, default_value = "pat")]
    kind: OwnTokenKind,
    /// Whose it is: where mail about it goes
    #[arg(long, value_name = "ADDRESS")]
    owner: String,
    /// What its owner is called
    #[arg(long, value_name = "NAME")]
    owner_name: Option<String>,
    /// What the owner calls the token
    #[arg(long)]
    name: String,
    /// When it ends
    #[arg(long, value_name = "WHEN", default_value = "never")]
    expires: Until,
    /// What it may do; can be given again
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// For this organisation only; can be given again
    #[arg(long = "organisation", alias = "org", value_name = "NAME")]
    organisations: Vec<String>,
}

impl Import {
    pub async fn run(self, context: &Context, store: &Store, mint: &Mint) -> anyhow::Result<ExitCode> {
        if !matches!(self.kind, OwnTokenKind::Pat | OwnTokenKind::Key) {
            bail!(Usage("only a `pat` or a `key` is known by the hash of its text".into()));
        }
        let Some(sha256) = unhex(&self.sha256) else {
            bail!(Usage("`--sha256` takes 64 hexadecimal digits".into()));
        };
        let now = context.clock.now();
        if store.own_tokens_by_hash(&[sha256]).await?.iter().any(Option::is_some) {
            return Err(anyhow!("a token with this hash is there already")).hint("`stanch token list` shows it");
        }
        let owner_id = owner(store, &self.owner, self.owner_name.as_deref()).await?;
        let id = TokenId::generate(now);
        let token = NewOwnToken {
            scopes: self.scopes,
            organisations: self.organisations,
            expires_at: self.expires.at(now),
            created_by: operator().text(),
            ..NewOwnToken::new(id, self.kind, owner_id, self.name.clone(), sha256)
        };
        let refused = match store.insert_own_token(token, mint.settings().limits.max_per_owner, None).await? {
            Insertion::Stored => {
                out::data(id)?;
                return Ok(ExitCode::SUCCESS);
            }
            Insertion::NameTaken => Refused::NameTaken,
            Insertion::TooMany => Refused::TooMany,
        };
        Err(told(refused, &self.name))
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..64).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}
