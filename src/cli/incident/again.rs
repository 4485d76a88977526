//! `stanch incident recheck`, `resend` and `revoke-branch`: the issuer asked again, the owner told again, a copy killed.

use std::process::ExitCode;

use clap::Args;

use super::super::{Context, HintExt as _, operator, out, ready};
use crate::http::revoke_branch;
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
}

impl RevokeBranch {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let order = Order { actor: operator(context), reason: Some(inert(self.reason.trim(), 500)) };
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let revoked = revoke_branch(&store, &context.clock, self.id, order).await;
        store.close().await;
        let incident = revoked.hint("`stanch incident show` tells what leaked and how it stands")?;
        out::talk(format!("revoked the copy of incident {}; it is {} now", self.id, incident.state.word()));
        Ok(ExitCode::SUCCESS)
    }
}
