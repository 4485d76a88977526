//! `stanch incident held`: what the brake stopped, why, and what waits for a second person.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::out::Colour;
use super::super::table::Table;
use super::super::{Context, out, ready, when};
use crate::clock::Timestamp;
use crate::incident::IssuerName;
use crate::incident::brake::Mode;
use crate::redact::inert;
use crate::store::{Budget, Held as Holds};

#[derive(Args)]
#[command(after_help = "Look at some of them (`stanch incident show ID`), then release or dismiss them:\n  \
                        stanch incident release --all --issuer acme --reason \"a real leak\"\n  \
                        stanch incident dismiss --all --issuer acme --reason \"…\"")]
pub struct Held {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Held {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let store = ready::open_store(&config, &context.clock).await?;
        let issuers: Vec<IssuerName> =
            ready::issuers(&config, &store, &context.clock)?.iter().map(|issuer| issuer.name().clone()).collect();
        let read = async { Ok::<_, crate::store::Error>((store.held().await?, store.budgets(&issuers).await?)) };
        let (read, mode) = (read.await, store.brake().mode);
        store.close().await;
        let (held, budgets) = read?;
        if self.json {
            out::data(serde_json::to_string_pretty(&as_json(&held, &budgets, mode))?)?;
            return Ok(ExitCode::SUCCESS);
        }
        match mode {
            Mode::DryRun => out::talk("dry run: nothing is revoked, every live token is held"),
            Mode::Limited => {}
            Mode::Unlimited => out::talk("the brake is off: whatever lives is revoked"),
        }
        let (now, colour) = (context.clock.now(), Colour::of(&context.environment));
        if held.groups.is_empty() {
            out::talk("nothing is held");
        } else {
            groups(&held, now, colour).lines().iter().try_for_each(out::data)?;
        }
        if !held.requests.is_empty() {
            out::data("")?;
            requests(&held, now, colour).lines().iter().try_for_each(out::data)?;
        }
        if mode == Mode::Limited {
            out::data("")?;
            budget_table(&budgets, now, colour).lines().iter().try_for_each(out::data)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn groups(held: &Holds, now: Timestamp, colour: Colour) -> Table {
    let mut table = Table::new(colour, &["issuer", "cause", "held", "overdue", "oldest", "for example"]);
    for group in &held.groups {
        table.row([
            group.issuer.clone(),
            group.cause.word().into(),
            group.incidents.to_string(),
            group.overdue.to_string(),
            when::relative(group.oldest_at, now),
            group.sample.first().map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    table
}

fn requests(held: &Holds, now: Timestamp, colour: Colour) -> Table {
    let mut table = Table::new(colour, &["release", "incidents", "asked for by", "when", "reason"]);
    for request in &held.requests {
        table.row([
            request.id.to_string(),
            request.incidents.to_string(),
            inert(&request.requested_by, 64),
            when::relative(request.requested_at, now),
            inert(&request.reason, 60),
        ]);
    }
    table
}

fn budget_table(budgets: &[Budget], now: Timestamp, colour: Colour) -> Table {
    let mut table = Table::new(colour, &["budget", "tokens", "spent", "left", "brake"]);
    for budget in budgets {
        let brake = match budget.on {
            None => "off".into(),
            Some(on) => match on.until {
                Some(until) => format!("on, until {} or a person decides", when::absolute(until)),
                None => format!("on since {}, until a person decides", when::relative(on.since, now)),
            },
        };
        let [whole, spent, left] = [budget.budget, budget.spent, budget.remaining()].map(|count| count.to_string());
        table.row([budget.scope.to_string(), whole, spent, left, brake]);
    }
    table
}

fn as_json(held: &Holds, budgets: &[Budget], mode: Mode) -> serde_json::Value {
    let groups = held.groups.iter().map(|group| {
        json!({ "issuer": group.issuer, "cause": group.cause.word(), "incidents": group.incidents,
                "overdue": group.overdue, "oldest_at": group.oldest_at, "sample": group.sample })
    });
    let requests = held.requests.iter().map(|request| {
        json!({ "id": request.id, "incidents": request.incidents, "requested_by": inert(&request.requested_by, 64),
                "requested_at": request.requested_at, "reason": inert(&request.reason, 500) })
    });
    let budgets = budgets.iter().map(|budget| {
        json!({ "scope": budget.scope.to_string(), "tokens": budget.budget, "spent": budget.spent,
                "remaining": budget.remaining(), "on_since": budget.on.map(|on| on.since),
                "on_until": budget.on.and_then(|on| on.until) })
    });
    json!({
        "mode": mode.word(),
        "groups": groups.collect::<Vec<_>>(),
        "requests": requests.collect::<Vec<_>>(),
        "budgets": budgets.collect::<Vec<_>>(),
    })
}
