//! `stanch statistics`: how much leaked, what became of it, and how fast.
//!
//! By issuer and over time. By repository, place or person there is nothing: the reporter's agreement forbids it.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::out::Colour;
use super::table::Table;
use super::{Context, out, ready, when};
use crate::clock::Timestamp;
use crate::http::statistics_view;
use crate::store::{Figures, Slot, Spans, Statistics as Found, StatisticsRange};

#[derive(Args)]
#[command(
    after_help = "Times are from the report to the revocation and to the mail, within five percent of the truth. \
                        Fire drills are not counted.\n\n\
                        Examples:\n  stanch statistics\n  stanch statistics --slot hour --since 2026-11-24T00:00:00Z --json"
)]
pub struct Statistics {
    /// Only of this issuer
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// At or after this instant [default: as far back as the slot allows]
    #[arg(long, value_name = "INSTANT", value_parser = when::instant)]
    since: Option<Timestamp>,
    /// Before this instant [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = when::instant)]
    until: Option<Timestamp>,
    /// How time is cut
    #[arg(long, default_value = "day")]
    slot: Cut,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Cut {
    Day,
    Hour,
}

impl Statistics {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let slot = match self.slot {
            Cut::Day => Slot::Day,
            Cut::Hour => Slot::Hour,
        };
        let to = self.until.unwrap_or_else(|| context.clock.now());
        let longest = Duration::from_millis((slot.most() * slot.millis()).unsigned_abs());
        let from = self.since.unwrap_or_else(|| to.minus(longest));
        let range = StatisticsRange { from, to, slot, issuer: self.issuer };
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let found = store.statistics(&range).await;
        store.close().await;
        let found = found?;
        if self.json {
            out::data(serde_json::to_string_pretty(&statistics_view(&range, &found))?)?;
            return Ok(ExitCode::SUCCESS);
        }
        lines(&found, Colour::of(&context.environment)).iter().try_for_each(out::data)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(found: &Found, colour: Colour) -> Vec<String> {
    let mut table = Table::new(
        colour,
        &["", "tokens", "repeated", "held", "stuck", "revoked", "p50", "p95", "p99", "mailed", "p50", "p99"],
    );
    for (at, figures) in &found.slots {
        table.row(row(when::absolute(*at), figures));
    }
    for (issuer, figures) in &found.by_issuer {
        let name = if issuer.is_empty() { "no issuer".to_owned() } else { crate::redact::inert(issuer, 40) };
        table.row(row(name, figures));
    }
    table.row(row("in all".into(), &found.total));
    table.lines()
}

fn row(name: String, figures: &Figures) -> [String; 12] {
    let (revoked, told) = (&figures.to_revoked, &figures.to_notified);
    let span = |spans: &Spans, part: f64| {
        let millis = spans.percentile(part).and_then(|millis| u64::try_from(millis).ok());
        millis.map_or_else(|| "-".to_owned(), |millis| when::measured(Duration::from_millis(millis)))
    };
    [
        name,
        figures.opened.to_string(),
        figures.repeated.to_string(),
        figures.held.to_string(),
        figures.stuck.to_string(),
        revoked.count().to_string(),
        span(revoked, 0.50),
        span(revoked, 0.95),
        span(revoked, 0.99),
        told.count().to_string(),
        span(told, 0.50),
        span(told, 0.99),
    ]
}
