//! Issuers: how each is, as the processes find it, what waits for it, what the brake would still let pass; pause and
//! resume.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::response::Response;
use serde::Deserialize;

use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, go, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{Badge, When, grouped, line, measured};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::incident::IssuerName;
use crate::incident::brake::Scope;
use crate::operator::Role;
use crate::store::{Paused, Slot, Spans, StatisticsRange};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![
        door.get("/dashboard/issuers", "the issuers", show),
        door.post("/dashboard/issuers/pause", Role::Responder, "pauses an issuer or everything", pause),
        door.post("/dashboard/issuers/resume", Role::Responder, "resumes an issuer or everything", resume),
    ]
}

#[derive(Template)]
#[template(path = "issuers.html", config = "src/dashboard/askama.toml")]
struct IssuersPage {
    shell: Shell,
    everything: Option<Stop>,
    budget: String,
    issuers: Vec<Issuer>,
}

struct Stop {
    who: String,
    reason: String,
    since: When,
}

struct Issuer {
    name: String,
    kinds: String,
    paused: Option<Stop>,
    nodes: Vec<Node>,
    waits: i64,
    failing: i64,
    budget: String,
    revoked: i64,
    p50: String,
    p99: String,
}

struct Node {
    name: String,
    state: Badge,
    reason: String,
    until: Option<When>,
    seen: When,
}

async fn show(visit: Visit) -> Result<Response, Failure> {
    let store = &visit.app.store;
    let pauses = store.pauses().await?;
    let stop = |what: &Paused| {
        pauses.iter().find(|pause| pause.what == *what).map(|pause| Stop {
            who: line(&pause.actor).replacen(':', " ", 1),
            reason: line(&pause.reason),
            since: When::new(pause.paused_at, visit.now),
        })
    };
    let mut names: BTreeMap<String, String> = visit.desk.settings().issuers.iter().cloned().collect();
    let health = store.issuer_health().await?;
    let queue = store.queue().await?;
    for name in health.iter().map(|it| &it.issuer).chain(queue.iter().filter_map(|it| it.issuer.as_ref())) {
        names.entry(name.to_string()).or_default();
    }
    let all: Vec<IssuerName> = names.keys().map(|name| IssuerName::new(name)).collect();
    let budgets = store.budgets(&all).await?;
    let budget = |scope: &Scope| {
        let found = budgets.iter().find(|budget| budget.scope == *scope);
        let number = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
        found.map_or_else(String::new, |budget| match &budget.on {
            Some(_) => format!("spent; the brake is on ({} of {})", number(budget.spent), number(budget.budget)),
            None => format!("{} of {} left", number(budget.remaining()), number(budget.budget)),
        })
    };
    let range = StatisticsRange { from: visit.week_ago(), to: visit.now, slot: Slot::Day, issuer: None };
    let figures = store.statistics(&range).await?;
    let issuer = |(name, kinds): (&String, &String)| {
        let id = IssuerName::new(name);
        let jobs = || queue.iter().filter(|part| part.issuer.as_ref() == Some(&id));
        let spans = figures.by_issuer.iter().find(|(issuer, _)| issuer == name).map(|(_, it)| &it.to_revoked);
        let percentile = |share: f64| {
            let millis = spans.and_then(|spans: &Spans| spans.percentile(share));
            millis
                .map_or_else(|| "–".into(), |millis| measured(std::time::Duration::from_millis(millis.unsigned_abs())))
        };
        Issuer {
            name: line(name),
            kinds: line(kinds),
            paused: stop(&Paused::Issuer(id.clone())),
            nodes: health.iter().filter(|it| it.issuer == id).map(|it| node(&visit, it)).collect(),
            waits: jobs().map(|part| part.jobs).sum(),
            failing: jobs().map(|part| part.failing).sum(),
            budget: budget(&Scope::Issuer(id.clone())),
            revoked: spans.map_or(0, Spans::count),
            p50: percentile(0.5),
            p99: percentile(0.99),
        }
    };
    Ok(page(&IssuersPage {
        shell: visit.shell(Page::Issuers).await?,
        everything: stop(&Paused::Everything),
        budget: budget(&Scope::All),
        issuers: names.iter().map(issuer).collect(),
    }))
}

fn node(visit: &Visit, health: &crate::store::IssuerHealth) -> Node {
    let (word, tone) = match health.breaker.as_str() {
        "closed" => ("answers", "good"),
        "half_open" => ("tried one at a time", "warn"),
        "open" => ("not called", "bad"),
        "misconfigured" => ("refuses us", "bad"),
        other => (other, ""),
    };
    Node {
        name: line(&health.node),
        state: Badge::new(word, tone),
        reason: line(health.reason.as_deref().unwrap_or_default()),
        until: health.resting_until.map(|at| When::new(at, visit.now)),
        seen: When::new(health.updated_at, visit.now),
    }
}

#[derive(Deserialize)]
pub struct Named {
    /// Empty: everything.
    #[serde(default)]
    issuer: String,
    #[serde(default)]
    reason: String,
}

impl Named {
    fn what(&self) -> Paused {
        match self.issuer.trim() {
            "" => Paused::Everything,
            name => Paused::Issuer(IssuerName::new(name)),
        }
    }
}

async fn pause(visit: Visit, Form(named): Form<Named>) -> Result<Response, Failure> {
    if named.reason.trim().is_empty() {
        return Err(Failure::Bad("say why: it is kept in the audit trail and shown to the others"));
    }
    let changed = visit.app.store.pause(&named.what(), &visit.order(&named.reason)).await?;
    Ok(go(&format!("/dashboard/issuers?done={}", if changed { "paused" } else { "unchanged" })))
}

async fn resume(visit: Visit, Form(named): Form<Named>) -> Result<Response, Failure> {
    let changed = visit.app.store.resume(&named.what(), &visit.order(&named.reason)).await?;
    Ok(go(&format!("/dashboard/issuers?done={}", if changed { "resumed" } else { "unchanged" })))
}
