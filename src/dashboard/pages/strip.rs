//! The strip of the start page: whether the service is well, at a glance. Each tile leads to the page that says more.

use crate::dashboard::answer::Failure;
use crate::dashboard::text::{When, coarse, count, grouped, line};
use crate::dashboard::visit::Visit;
use crate::incident::brake::{Mode, Scope};
use crate::incident::{IssuerName, Step};
use crate::store::{Budget, IssuerHealth, QueuePart, Reporter};

/// One thing that is well, or is not.
pub struct Tile {
    pub name: &'static str,
    pub value: String,
    pub more: String,
    /// `good`, `warn` or `bad`; the value says it too.
    pub tone: &'static str,
    pub link: &'static str,
}

/// A step that is due for longer than this is late.
const LATE_SECONDS: u64 = 60;
/// Keys of a reporter that were not confirmed for so long are old.
const OLD_KEYS_SECONDS: u64 = 24 * 3_600;

pub async fn tiles(visit: &Visit, health: &[IssuerHealth], reporters: &[Reporter]) -> Result<Vec<Tile>, Failure> {
    let store = &visit.app.store;
    let queue = store.queue().await?;
    let names: Vec<IssuerName> = visit.desk.settings().issuers.iter().map(|(name, _)| IssuerName::new(name)).collect();
    let budgets = store.budgets(&names).await?;
    Ok(vec![
        work(visit, &queue),
        brake(store.brake().mode, &budgets),
        issuers(&names, health),
        mail(&queue),
        keys(visit, reporters),
        answers(visit, reporters),
    ])
}

fn work(visit: &Visit, queue: &[QueuePart]) -> Tile {
    let oldest = queue.iter().filter_map(|part| part.oldest_due_at).min();
    let late = oldest.map(|at| visit.now.since(at)).filter(|late| late.as_secs() >= LATE_SECONDS);
    let jobs = queue.iter().map(|part| part.jobs).sum();
    Tile {
        name: "Work",
        value: late.map_or_else(|| "on time".into(), |late| format!("{} late", coarse(late))),
        more: if jobs == 0 { "nothing waits".into() } else { count(jobs, "step waits or runs", "steps wait or run") },
        tone: if late.is_some() { "bad" } else { "good" },
        link: "/dashboard/queue",
    }
}

fn brake(mode: Mode, budgets: &[Budget]) -> Tile {
    let tile =
        |value: String, more: String, tone| Tile { name: "Brake", value, more, tone, link: "/dashboard/issuers" };
    match mode {
        Mode::DryRun => return tile("dry run".into(), "live tokens are held, none is revoked".into(), "warn"),
        Mode::Unlimited => return tile("switched off".into(), "whatever lives is revoked".into(), "warn"),
        Mode::Limited => {}
    }
    let on: Vec<String> = budgets.iter().filter(|budget| budget.on.is_some()).map(|it| scope(&it.scope)).collect();
    if !on.is_empty() {
        return tile("on".into(), format!("holds tokens: {}", on.join(", ")), "bad");
    }
    // The one that is nearest to its end.
    let share = |budget: &&Budget| budget.remaining().saturating_mul(1_000) / budget.budget.max(1);
    let number = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    match budgets.iter().min_by_key(share) {
        Some(least) => {
            let tone = if share(&least) < 250 { "warn" } else { "good" };
            let of = format!("of {} revocations left, {}", number(least.budget), scope(&least.scope));
            tile(number(least.remaining()), of, tone)
        }
        None => tile("ready".into(), String::new(), "good"),
    }
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::All => "all issuers".into(),
        Scope::HighImpact(issuer) => format!("{}, high impact", line(issuer.as_str())),
        Scope::Issuer(issuer) => line(issuer.as_str()),
        Scope::Origin { origin, .. } => format!("reported by {}", line(origin)),
    }
}

fn issuers(names: &[IssuerName], health: &[IssuerHealth]) -> Tile {
    let tile =
        |value: String, more: String, tone| Tile { name: "Issuers", value, more, tone, link: "/dashboard/issuers" };
    let mut silent: Vec<String> =
        health.iter().filter(|it| it.breaker != "closed").map(|it| line(it.issuer.as_str())).collect();
    silent.sort_unstable();
    silent.dedup();
    let all = i64::try_from(names.len()).unwrap_or(i64::MAX);
    match (all, silent.is_empty()) {
        (0, true) => tile("none".into(), "no token can be checked".into(), "warn"),
        (_, true) => tile("well".into(), count(all, "issuer, no breaker open", "issuers, no breaker open"), "good"),
        (_, false) => tile("not all called".into(), silent.join(", "), "bad"),
    }
}

fn mail(queue: &[QueuePart]) -> Tile {
    let notify = || queue.iter().filter(|part| part.step == Step::Notify);
    let (jobs, failing) = (notify().map(|part| part.jobs).sum(), notify().map(|part| part.failing).sum::<i64>());
    Tile {
        name: "Mail",
        value: if failing > 0 { format!("{} failing", grouped(failing)) } else { "goes out".into() },
        more: if jobs == 0 {
            "no owner waits".into()
        } else {
            count(jobs, "owner waits for one", "owners wait for one")
        },
        tone: if failing > 0 { "bad" } else { "good" },
        link: "/dashboard/queue",
    }
}

fn keys(visit: &Visit, reporters: &[Reporter]) -> Tile {
    let oldest = reporters.iter().filter_map(|reporter| Some(reporter.keys.as_ref()?.fetched_at)).min();
    let (value, more, tone) = match oldest {
        None => ("not fetched yet".into(), "the first delivery fetches them".into(), ""),
        Some(at) => {
            let tone = if visit.now.since(at).as_secs() > OLD_KEYS_SECONDS { "warn" } else { "good" };
            (When::new(at, visit.now).ago, "the oldest was confirmed".into(), tone)
        }
    };
    Tile { name: "Reporters' keys", value, more, tone, link: "/dashboard/reporters" }
}

fn answers(visit: &Visit, reporters: &[Reporter]) -> Tile {
    let days = reporters.iter().map(|reporter| reporter.slow_days_this_month(visit.now)).max().unwrap_or(0);
    Tile {
        name: "Slow answers",
        value: count(i64::try_from(days).unwrap_or(i64::MAX), "day", "days"),
        more: "this month; GitHub allows fewer than 5".into(),
        tone: match days {
            0 | 1 => "good",
            2 | 3 => "warn",
            _ => "bad",
        },
        link: "/dashboard/reporters",
    }
}
