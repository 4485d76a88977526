//! `stanch incident again`, `mail` and `revoke-branch`: the next step now, the mail as its owner reads it, a copy killed.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::{Context, HintExt as _, operator, out, ready};
use super::view::View;
use crate::http::{letter, revoke_branch, try_now};
use crate::id::IncidentId;
use crate::redact::inert;
use crate::store::Order;

#[derive(Args)]
#[command(
    after_help = "For a macaroon that its bearer had narrowed before it leaked: the copy dies with all that was \
                        made of it, the token it was made of lives, and the owner is told so. Otherwise the policy of \
                        the built-in issuer decides (`leaked_child`)."
)]
pub struct RevokeBranch {
    /// The incident's id
    #[arg(value_name = "ID")]
    id: IncidentId,
    /// Why; kept in the audit trail, so without secrets in it
    #[arg(long)]
    reason: String,
    /// The incident as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Again {
    /// The incident's id
    #[arg(value_name = "ID")]
    id: IncidentId,
    /// Why; kept in the audit trail, so without secrets in it
    #[arg(long)]
    reason: Option<String>,
    /// The incident as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(
    after_help = "Written from what is known now, with every token that the same mail tells about. Nothing is sent;                   `stanch incident resend` does that."
)]
pub struct Mail {
    /// The incident's id
    #[arg(value_name = "ID")]
    id: IncidentId,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Again {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let reason = self.reason.map(|reason| inert(reason.trim(), 500)).filter(|reason| !reason.is_empty());
        let order = Order { actor: operator(context), reason };
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let tried = try_now(&store, &context.clock, self.id, order).await;
        store.close().await;
        let incident = tried.hint("`stanch incident show` tells how it stands; a stuck one wants `retry`")?;
        if self.json {
            out::data(serde_json::to_string_pretty(&View::of(&incident))?)?;
        } else {
            out::talk(format!("the next step of incident {} is due now; it is {}", self.id, incident.state.word()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Mail {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let mailer = ready::mailer(&config)?;
        let store = ready::open_store(&config, &context.clock).await?;
        let letter = letter(&store, &mailer, &context.clock, self.id).await;
        store.close().await;
        let letter = letter?;
        if self.json {
            let shown = json!({ "subject": letter.preview.subject, "text": letter.preview.text,
                                "incidents": letter.incidents, "sent_at": letter.sent_at });
            out::data(serde_json::to_string_pretty(&shown)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        out::data(format!("Subject: {}\n", letter.preview.subject))?;
        out::data(letter.preview.text.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl RevokeBranch {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let order = Order { actor: operator(context), reason: Some(inert(self.reason.trim(), 500)) };
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let revoked = revoke_branch(&store, &context.clock, self.id, order).await;
        store.close().await;
        let incident = revoked.hint("`stanch incident show` tells what leaked and how it stands")?;
        if self.json {
            out::data(serde_json::to_string_pretty(&View::of(&incident))?)?;
            return Ok(ExitCode::SUCCESS);
        }
        out::talk(format!("revoked the copy of incident {}; it is {} now", self.id, incident.state.word()));
        Ok(ExitCode::SUCCESS)
    }
}
