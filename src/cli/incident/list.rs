//! `stanch incident list`.

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::super::out::Colour;
use super::super::table::Table;
use super::super::{Context, out, ready, when};
use super::view::View;
use crate::id::IncidentId;
use crate::redact::inert;
use crate::store::IncidentFilter;

/// The words of [`State`](crate::incident::State), in the order of an incident's life.
const STATES: [&str; 8] = ["open", "live", "held", "revoked", "notified", "settled", "stuck", "closed"];

#[derive(Args)]
#[command(
    after_help = "Examples:\n  stanch incident list --state stuck\n  stanch incident list --kind pypi-api-token --limit 200 --json"
)]
pub struct List {
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Only those of this issuer
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Only tokens of this kind
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// Only those that this origin reported first
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    /// Continue after this incident
    #[arg(long, value_name = "ID")]
    before: Option<IncidentId>,
    /// Most incidents to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let (json, limit) = (self.json, self.limit);
        let filter = self.filter();
        let store = ready::open_store(&config, &context.clock).await?;
        let incidents = store.incidents(&filter).await;
        store.close().await;
        let views: Vec<View> = incidents?.iter().map(View::of).collect();
        if json {
            out::data(serde_json::to_string_pretty(&views)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if views.is_empty() {
            out::talk("no incident");
            return Ok(ExitCode::SUCCESS);
        }
        let now = context.clock.now();
        let mut table =
            Table::new(Colour::of(&context.environment), &["id", "state", "kind", "issuer", "received", "note"]);
        for view in &views {
            let issuer = view.issuer.clone().unwrap_or_else(|| "none".into());
            let received = when::both(view.received_at, now);
            table.row([view.id.clone(), view.state.into(), view.kind.clone(), issuer, received, short_note(view)]);
        }
        table.lines().iter().try_for_each(out::data)?;
        if let Some(last) = views.last().filter(|_| views.len() >= usize::try_from(limit).unwrap_or(usize::MAX)) {
            out::talk(format!("there may be more: continue with `--before {}`", last.id));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn filter(self) -> IncidentFilter {
        IncidentFilter {
            state: self.state,
            issuer: self.issuer,
            kind: self.kind,
            origin: self.origin,
            before: self.before,
            limit: self.limit,
        }
    }
}

fn short_note(view: &View) -> String {
    let revoked = view.revoked_at.map(|at| format!("revoked after {}", when::measured(at.since(view.received_at))));
    inert(&revoked.or_else(|| view.note.clone()).unwrap_or_default(), 60)
}
