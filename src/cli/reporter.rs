//! `stanch reporter`: who reports, with which keys, and how it went.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::out::Colour;
use super::table::Table;
use super::{Context, out, ready, when};
use crate::redact::inert;
use crate::store::Reporter;

#[derive(Subcommand)]
pub enum Command {
    /// List who has reported in the last 35 days, or whose keys are known
    List(List),
}

#[derive(Args)]
#[command(
    after_help = "OURS are tokens that an issuer called its own, alive or dead. A reporter of whose many tokens none \
                        is ours has a wrong expression, or we have wrong kinds. SLOW DAYS are those of this month on \
                        which an answer took longer than the agreement allows; GitHub's speaks of five."
)]
pub struct List {
    /// As JSON
    #[arg(long)]
    json: bool,
}

const LOOKED_AT: Duration = Duration::from_hours(35 * 24);

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self::List(List { json }) = self;
        let now = context.clock.now();
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let reporters = store.reporters(now.minus(LOOKED_AT)).await;
        store.close().await;
        let reporters = reporters?;
        let sum = |it: &Reporter, of: fn(&crate::store::ReporterDay) -> i64| it.days.iter().map(of).sum::<i64>();
        if json {
            let shown = reporters.iter().map(|it| {
                json!({ "origin": it.origin, "last_delivery_at": it.last_delivery_at,
                        "keys": it.keys.as_ref().map(|keys| keys.keys.iter().map(|key| inert(&key.id, 100)).collect::<Vec<_>>()),
                        "keys_fetched_at": it.keys.as_ref().map(|keys| keys.fetched_at),
                        "deliveries": sum(it, |day| day.deliveries), "reports": sum(it, |day| day.reports),
                        "tokens": sum(it, |day| day.tokens), "ours": sum(it, |day| day.ours),
                        "revoked": sum(it, |day| day.revoked), "rejected": sum(it, |day| day.rejected),
                        "never_valid": it.is_never_valid(now), "slow_days_this_month": it.slow_days_this_month(now) })
            });
            out::data(serde_json::to_string_pretty(&shown.collect::<Vec<_>>())?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if reporters.is_empty() {
            out::talk("nobody has reported anything, and no key list was fetched yet");
            return Ok(ExitCode::SUCCESS);
        }
        let headings = ["origin", "last delivery", "reports", "ours", "revoked", "rejected", "slow days", "keys"];
        let mut table = Table::new(Colour::of(&context.environment), &headings);
        for it in &reporters {
            let last = it.last_delivery_at.map_or_else(|| "never".to_owned(), |at| when::relative(at, now));
            let keys = it.keys.as_ref().map_or_else(
                || "none fetched".to_owned(),
                |keys| format!("{}, fetched {}", keys.keys.len(), when::relative(keys.fetched_at, now)),
            );
            let counts = [
                sum(it, |day| day.reports),
                sum(it, |day| day.ours),
                sum(it, |day| day.revoked),
                sum(it, |day| day.rejected),
            ];
            let [reports, ours, revoked, rejected] = counts.map(|count| count.to_string());
            let slow = it.slow_days_this_month(now).to_string();
            table.row([inert(&it.origin, 40), last, reports, ours, revoked, rejected, slow, keys]);
        }
        table.lines().iter().try_for_each(out::data)?;
        for it in reporters.iter().filter(|it| it.is_never_valid(now)) {
            out::talk(format!(
                "warning: of all that {} reported, nothing is ours: is its expression right?",
                inert(&it.origin, 40)
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
