//! Reporters: their keys and how old they are, what they sent and what of it was ours, and whether we answer in time.

use askama::Template;
use axum::response::Response;

use crate::clock::Timestamp;
use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{When, grouped, line};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::store::{Reporter, ReporterDay};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![door.get("/dashboard/reporters", "the reporters", show)]
}

#[derive(Template)]
#[template(path = "reporters.html", config = "src/dashboard/askama.toml")]
struct ReportersPage {
    shell: Shell,
    reporters: Vec<View>,
}

struct View {
    name: String,
    never_valid: bool,
    slow_days: usize,
    fetched: Option<When>,
    keys: Vec<(String, Option<When>)>,
    last: Option<When>,
    total: Day,
    days: Vec<Day>,
}

struct Day {
    name: String,
    deliveries: String,
    reports: String,
    tokens: String,
    ours: String,
    revoked: String,
    rejected: String,
    slow: String,
}

async fn show(visit: Visit) -> Result<Response, Failure> {
    let month_ago = visit.now.minus(std::time::Duration::from_hours(24 * 31));
    let reporters = visit.app.store.reporters(month_ago).await?;
    let reporters = reporters.iter().map(|reporter| view(&visit, reporter)).collect();
    Ok(page(&ReportersPage { shell: visit.shell(Page::Reporters).await?, reporters }))
}

fn view(visit: &Visit, reporter: &Reporter) -> View {
    let sum = |what: fn(&ReporterDay) -> i64| reporter.days.iter().map(what).sum::<i64>();
    let total = ReporterDay {
        day: 0,
        deliveries: sum(|day| day.deliveries),
        reports: sum(|day| day.reports),
        tokens: sum(|day| day.tokens),
        unrecognized: sum(|day| day.unrecognized),
        malformed: sum(|day| day.malformed),
        ours: sum(|day| day.ours),
        revoked: sum(|day| day.revoked),
        answers: sum(|day| day.answers),
        slow: sum(|day| day.slow),
        rejected: sum(|day| day.rejected),
    };
    View {
        name: line(&reporter.origin),
        never_valid: reporter.is_never_valid(visit.now),
        slow_days: reporter.slow_days_this_month(visit.now),
        fetched: reporter.keys.as_ref().map(|keys| When::new(keys.fetched_at, visit.now)),
        keys: reporter
            .keys
            .iter()
            .flat_map(|keys| &keys.keys)
            .map(|key| (line(&key.id), key.noncurrent_since.map(|at| When::new(at, visit.now))))
            .collect(),
        last: reporter.last_delivery_at.map(|at| When::new(at, visit.now)),
        total: day("31 days", &total),
        days: reporter.days.iter().take(14).map(|it| day(&date(it.day), it)).collect(),
    }
}

fn date(millis: i64) -> String {
    Timestamp::from_millis(millis).to_string().get(..10).unwrap_or_default().to_owned()
}

fn day(name: &str, day: &ReporterDay) -> Day {
    Day {
        name: name.to_owned(),
        deliveries: grouped(day.deliveries),
        reports: grouped(day.reports),
        tokens: grouped(day.tokens),
        ours: grouped(day.ours),
        revoked: grouped(day.revoked),
        rejected: grouped(day.rejected),
        slow: grouped(day.slow),
    }
}
