//! `stanch token list`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::shown::as_json;
use crate::cli::out::Colour;
use crate::cli::table::Table;
use crate::cli::{Context, out, when};
use crate::config::Span;
use crate::incident::EmailAddress;
use crate::redact::inert;
use crate::store::{OwnTokenFilter, OwnTokenKind, OwnTokenStatus, Store};

#[derive(Args)]
#[command(after_help = "Examples:\n  stanch token list --status active --kind macaroon\n  \
    stanch token list --unused-for 90d      what nobody would miss\n  \
    stanch token list --expiring 14d        what stops working soon")]
pub struct List {
    /// Only those of this owner
    #[arg(long, alias = "owner-email", value_name = "ADDRESS")]
    owner: Option<String>,
    /// `pat`, `macaroon`, `key` or `magic`
    #[arg(long)]
    kind: Option<OwnTokenKind>,
    /// `active`, `expired`, `revoked` or `suspended`
    #[arg(long)]
    status: Option<OwnTokenStatus>,
    /// Part of the name, or of the owner's name or address
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those for this organisation
    #[arg(long, alias = "org", value_name = "NAME")]
    organisation: Option<String>,
    /// Living ones that were not used for so long, nor made since
    #[arg(long, value_name = "SPAN")]
    unused_for: Option<Span>,
    /// Living ones that end within this span
    #[arg(long, value_name = "SPAN")]
    expiring: Option<Span>,
    /// At most so many, newest first [default: all]
    #[arg(long, value_name = "COUNT", default_value_t = 0, hide_default_value = true)]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub async fn run(self, context: &Context, store: &Store) -> anyhow::Result<ExitCode> {
        let now = context.clock.now();
        let owner = self.owner.as_deref().map(EmailAddress::parse).transpose();
        let filter = OwnTokenFilter {
            owner_email: owner.context("`--owner` cannot be used")?,
            kind: self.kind,
            status: self.status,
            search: self.search,
            organisation: self.organisation,
            unused_since: self.unused_for.map(|span| now.minus(span.0)),
            expiring_until: self.expiring.map(|span| now.plus(span.0)),
            limit: self.limit,
            ..OwnTokenFilter::default()
        };
        let tokens = store.own_tokens(&filter).await?;
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
            &["id", "kind", "state", "name", "owner", "ends in", "made", "expires", "last used"],
        );
        for token in &tokens {
            table.row([
                token.id.to_string(),
                token.kind.word().into(),
                token.state(now).word().into(),
                inert(&token.name, 30),
                inert(&token.owner_name, 30),
                token.hint.clone(),
                when::relative(token.created_at, now),
                token.expires_at.map_or("never".into(), |at| when::relative(at, now)),
                token.last_used_at.map_or("never".into(), |at| when::relative(at, now)),
            ]);
        }
        table.lines().iter().try_for_each(out::data)?;
        Ok(ExitCode::SUCCESS)
    }
}
