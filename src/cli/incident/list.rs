//! `stanch incident list`.

use std::process::ExitCode;

use clap::Args;

use super::super::out::Colour;
use super::super::table::Table;
use super::super::{Context, out, ready, when};
use super::filter::Filter;
use super::view::View;
use crate::redact::inert;
use crate::store::{Count, Cursor, PageRequest};

/// Further than this matches are not counted.
const COUNT_CAP: u32 = 100_000;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  stanch incident list --state stuck,held\n  stanch incident list --owner ada@ --since 7d\n  stanch incident list --kind pypi-api-token --limit 200 --json"
)]
pub struct List {
    #[command(flatten)]
    filter: Filter,
    /// Continue where a page ended, with what was said then
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// Most incidents to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Only how many there are
    #[arg(long)]
    count: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let now = context.clock.now();
        let filter = self.filter.ready(now);
        let store = ready::open_store(&config, &context.clock).await?;
        if self.count {
            let count = store.count_incidents(&filter, COUNT_CAP).await;
            store.close().await;
            out::data(match count? {
                Count::AtLeast(count) => format!("{count}+"),
                Count::Exactly(count) => count.to_string(),
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let page = PageRequest { after: self.after, limit: self.limit };
        let page = store.incidents(&filter, &page).await;
        store.close().await;
        let page = page?;
        let views: Vec<View> = page.items.iter().map(View::of).collect();
        if let Some(next) = &page.next {
            out::talk(format!("there are more: continue with `--after {next}`"));
        }
        if self.json {
            out::data(serde_json::to_string_pretty(&views)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if views.is_empty() {
            out::talk("no incident");
            return Ok(ExitCode::SUCCESS);
        }
        let mut table =
            Table::new(Colour::of(&context.environment), &["id", "state", "kind", "issuer", "received", "note"]);
        for view in &views {
            let issuer = view.issuer.clone().unwrap_or_else(|| "none".into());
            let received = when::both(view.received_at, now);
            table.row([view.id.clone(), view.state.into(), view.kind.clone(), issuer, received, short_note(view)]);
        }
        table.lines().iter().try_for_each(out::data)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn short_note(view: &View) -> String {
    let revoked = view.revoked_at.map(|at| format!("revoked after {}", when::measured(at.since(view.received_at))));
    inert(&revoked.or_else(|| view.note.clone()).unwrap_or_default(), 60)
}
