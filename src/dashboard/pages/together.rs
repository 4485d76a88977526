//! Many incidents at once: what a filter matches, previewed, capped, and then retried, released or dismissed.

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::incident::done;
use super::incidents::Filter;
use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, go, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{grouped, line};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::{Access, Route, Verb};
use crate::operator::Role;
use crate::store::{Change, ChangeFilter, DecisionError, Selection};

pub fn routes(door: &Door) -> Vec<Route> {
    let responder = Access::Operator(Role::Responder);
    vec![
        door.route(Verb::Get, "/dashboard/incidents/together", responder, "what a filter would change", show),
        door.post("/dashboard/incidents/together", Role::Responder, "changes what a filter matches", change),
        door.post("/dashboard/releases/{id}/approve", Role::Responder, "approves a release", approve),
        door.post("/dashboard/releases/{id}/withdraw", Role::Responder, "withdraws a release", withdraw),
    ]
}

/// Most incidents of one order from a page.
const CAP: u32 = 1_000;

#[derive(Template)]
#[template(path = "together.html", config = "src/dashboard/askama.toml")]
#[expect(clippy::struct_excessive_bools, reason = "what a template shows or leaves out")]
struct TogetherPage {
    shell: Shell,
    filter: Filter,
    told: Vec<(&'static str, String)>,
    matching: String,
    capped: bool,
    cap: String,
    sample: Vec<String>,
    any: bool,
    held: bool,
    two: bool,
}

impl Filter {
    fn for_change(&self) -> ChangeFilter {
        let word = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        ChangeFilter {
            issuer: word(&self.issuer),
            kind: word(&self.kind),
            origin: word(&self.origin),
            ..ChangeFilter::default()
        }
    }
}

async fn show(visit: Visit, Query(filter): Query<Filter>) -> Result<Response, Failure> {
    let held = match filter.state.as_str() {
        "held" => true,
        "stuck" => false,
        _ => return Err(Failure::Bad("only what is held or stuck can be decided together")),
    };
    let change = if held { Change::Release } else { Change::Retry };
    let preview = visit.app.store.preview(change, &filter.for_change()).await?;
    let told = [("Issuer", &filter.issuer), ("Kind", &filter.kind), ("Reporter", &filter.origin)];
    let told = told.into_iter().filter(|(_, value)| !value.trim().is_empty());
    Ok(page(&TogetherPage {
        shell: visit.shell(Page::Incidents).await?,
        told: told.map(|(name, value)| (name, line(value.trim()))).collect(),
        matching: crate::dashboard::text::count(preview.incidents, "incident", "incidents"),
        capped: preview.incidents > i64::from(CAP),
        cap: grouped(CAP.into()),
        sample: preview.sample.iter().map(ToString::to_string).collect(),
        any: preview.incidents > 0,
        two: visit.app.store.brake().release_by == crate::incident::brake::ReleaseBy::TwoPersons,
        held,
        filter,
    }))
}

#[derive(Deserialize)]
pub struct Decided {
    action: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    issuer: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    origin: String,
    #[serde(default)]
    reason: String,
    password: Option<Zeroizing<String>>,
}

async fn change(mut visit: Visit, Form(decided): Form<Decided>) -> Result<Response, Failure> {
    let change = match decided.action.as_str() {
        "recheck" => Change::Recheck,
        "retry" => Change::Retry,
        "release" => Change::Release,
        "dismiss" if decided.reason.trim().is_empty() => {
            return Err(Failure::Bad("say why: it is kept in the audit trail"));
        }
        "dismiss" => Change::Dismiss,
        _ => return Err(Failure::Bad("there is no such action")),
    };
    if change == Change::Release {
        visit.confirm(decided.password).await?;
    }
    let order = visit.order(&decided.reason);
    let Decided { state, issuer, kind, origin, .. } = decided;
    let filter = Filter { state, issuer, kind, origin, ..Filter::default() };
    let selection = match change {
        // By filter these two take what is held and what is stuck; the page shows one of the two.
        Change::Dismiss | Change::Recheck => Selection::Ids(visit.listed(&filter).await?),
        _ => Selection::Matching { filter: filter.for_change(), limit: CAP },
    };
    let changed = visit.app.store.change(change, &selection, &order).await?;
    let (done, number) = done(change, &changed);
    Ok(visit.finish(go(&format!("/dashboard/incidents?{}&done={done}&n={number}", filter.query()))))
}

impl Visit {
    async fn listed(&self, filter: &Filter) -> Result<Vec<crate::id::IncidentId>, Failure> {
        let page = crate::store::PageRequest::first(CAP);
        let found = self.app.store.incidents(&filter.for_store(self), &page).await?;
        Ok(found.items.iter().map(|incident| incident.id).collect())
    }
}

#[derive(Deserialize)]
pub struct Word {
    password: Option<Zeroizing<String>>,
}

async fn approve(
    mut visit: Visit,
    axum::extract::Path(id): axum::extract::Path<String>,
    Form(word): Form<Word>,
) -> Result<Response, Failure> {
    let id = id.parse().map_err(|_| Failure::NotFound)?;
    visit.confirm(word.password).await?;
    let moved = visit.app.store.approve_release(id, &visit.order("")).await.map_err(refused)?;
    Ok(visit.finish(go(&format!("/dashboard?done=released&n={}", moved.moved.len()))))
}

async fn withdraw(visit: Visit, axum::extract::Path(id): axum::extract::Path<String>) -> Result<Response, Failure> {
    let id = id.parse().map_err(|_| Failure::NotFound)?;
    visit.app.store.withdraw_release(id, &visit.order("")).await.map_err(refused)?;
    Ok(go("/dashboard?done=withdrawn"))
}

fn refused(error: DecisionError) -> Failure {
    match error {
        DecisionError::Store(error) => Failure::Store(error),
        other => Failure::Refused(format!("Not done: {other}.")),
    }
}
