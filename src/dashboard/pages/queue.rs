//! Queue: what waits, for which step, at which issuer, and for how long.

use askama::Template;
use axum::response::Response;

use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{When, grouped, line};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;

pub fn routes(door: &Door) -> Vec<Route> {
    vec![door.get("/dashboard/queue", "the queue", show)]
}

#[derive(Template)]
#[template(path = "queue.html", config = "src/dashboard/askama.toml")]
struct QueuePage {
    shell: Shell,
    jobs: String,
    due: String,
    leased: String,
    failing: String,
    oldest: Option<When>,
    rows: Vec<Row>,
}

struct Row {
    step: &'static str,
    issuer: String,
    jobs: String,
    due: String,
    leased: String,
    failing: String,
    oldest: Option<When>,
}

async fn show(visit: Visit) -> Result<Response, Failure> {
    let parts = visit.app.store.queue().await?;
    let sum = |what: fn(&crate::store::QueuePart) -> i64| grouped(parts.iter().map(what).sum());
    let row = |part: &crate::store::QueuePart| Row {
        step: part.step.word(),
        issuer: part.issuer.as_ref().map_or_else(|| "–".into(), |name| line(name.as_str())),
        jobs: grouped(part.jobs),
        due: grouped(part.due),
        leased: grouped(part.leased),
        failing: grouped(part.failing),
        oldest: part.oldest_due_at.map(|at| When::new(at, visit.now)),
    };
    Ok(page(&QueuePage {
        shell: visit.shell(Page::Queue).await?,
        jobs: sum(|part| part.jobs),
        due: sum(|part| part.due),
        leased: sum(|part| part.leased),
        failing: sum(|part| part.failing),
        oldest: parts.iter().filter_map(|part| part.oldest_due_at).min().map(|at| When::new(at, visit.now)),
        rows: parts.iter().map(row).collect(),
    }))
}
