//! `stanch token rotate`.

use std::process::ExitCode;

use clap::Args;

use super::create::{print, told};
use super::operator;
use crate::cli::{Context, out, when};
use crate::config::Span;
use crate::id::TokenId;
use crate::mint::Mint;

#[derive(Args)]
#[command(after_help = "The new token has the name, the power and the length of life of the old one.\n\n\
    Example:\n  stanch token rotate tok_… --overlap 24h > token.txt")]
pub struct Rotate {
    /// The token's id, as `stanch token list` shows it
    #[arg(value_name = "ID")]
    id: TokenId,
    /// How long the old one lives on
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    overlap: Span,
    /// The record as JSON on standard output, the token in it
    #[arg(long)]
    json: bool,
}

impl Rotate {
    pub async fn run(self, context: &Context, mint: &Mint) -> anyhow::Result<ExitCode> {
        let now = context.clock.now();
        let issued = mint.rotate(self.id, self.overlap.0, &operator()).await.map_err(|refused| told(refused, ""))?;
        let ends_at = mint.get(self.id).await.ok().and_then(|old| old.expires_at).unwrap_or(now);
        out::talk(format!("token {} ends {}", self.id, when::both(ends_at, now)));
        print(&issued, now, self.json)
    }
}
