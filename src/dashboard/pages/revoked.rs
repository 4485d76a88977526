//! Revoked tokens: the operator's record of what was killed, and its export.
//!
//! An export asks for the password and leaves an audit event. No cell of it can be a formula of a spreadsheet, and what
//! was purged is not in it.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::row::owner;
use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{Pager, When, count, escaped, line};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::http::export::{self, Format};
use crate::operator::Role;
use crate::store::{PageRequest, RevokedFilter, RevokedToken};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![
        door.get("/dashboard/revoked", "the revoked tokens", show),
        door.post("/dashboard/revoked/export", Role::Responder, "exports the revoked tokens", save),
    ]
}

#[derive(Clone, Default, Deserialize)]
pub struct Filter {
    #[serde(default)]
    issuer: String,
    #[serde(default)]
    days: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "revoked.html", config = "src/dashboard/askama.toml")]
struct RevokedPage {
    shell: Shell,
    filter: Filter,
    rows: Vec<Row>,
    pager: Pager,
    filtered: bool,
}

struct Row {
    incident: String,
    token: String,
    issuer: String,
    kind: String,
    owner: String,
    origin: String,
    places: String,
    revoked: When,
    within: String,
}

const ROWS: u32 = 50;

impl Filter {
    fn for_store(&self, visit: &Visit) -> RevokedFilter {
        let days = self.days.parse::<u64>().ok().filter(|days| (1..=3_650).contains(days));
        RevokedFilter {
            issuer: Some(self.issuer.trim().to_owned()).filter(|issuer| !issuer.is_empty()),
            revoked_from: days.map(|days| visit.now.minus(Duration::from_hours(24 * days))),
            revoked_before: None,
        }
    }

    fn query(&self) -> String {
        let pairs = [("issuer", &self.issuer), ("days", &self.days)];
        let set = pairs.iter().filter(|(_, value)| !value.trim().is_empty());
        set.map(|(name, value)| format!("{name}={}", escaped(value.trim()))).collect::<Vec<_>>().join("&")
    }
}

async fn show(visit: Visit, Query(filter): Query<Filter>) -> Result<Response, Failure> {
    let after = match filter.after.as_str() {
        "" => None,
        cursor => Some(cursor.parse().map_err(|_| Failure::Bad("this is not where a page begins"))?),
    };
    let request = PageRequest { after, limit: ROWS };
    let found = visit.app.store.revoked_tokens(&filter.for_store(&visit), &request).await?;
    let query = filter.query();
    Ok(page(&RevokedPage {
        shell: visit.shell(Page::Revoked).await?,
        rows: found.items.iter().map(|token| row(&visit, token)).collect(),
        pager: Pager::new("/dashboard/revoked", &query, !filter.after.is_empty(), found.next.as_ref()),
        filtered: !query.is_empty(),
        filter,
    }))
}

fn row(visit: &Visit, token: &RevokedToken) -> Row {
    let incident = &token.incident;
    let name = incident.token.as_ref().and_then(|token| token.name.clone());
    Row {
        incident: incident.id.to_string(),
        token: line(&name.unwrap_or_else(|| token.token_id.clone())),
        issuer: line(token.issuer.as_str()),
        kind: line(incident.kind.as_str()),
        owner: owner(incident),
        origin: line(&incident.origin),
        places: count(i64::try_from(token.occurrences.len()).unwrap_or(i64::MAX), "place", "places"),
        revoked: When::new(token.revoked_at, visit.now),
        within: crate::dashboard::text::measured(token.revoked_at.since(incident.received_at)),
    }
}

#[derive(Deserialize)]
pub struct Export {
    format: String,
    #[serde(default)]
    issuer: String,
    #[serde(default)]
    days: String,
    password: Option<Zeroizing<String>>,
}

async fn save(mut visit: Visit, Form(asked): Form<Export>) -> Result<Response, Failure> {
    let format: Format = asked.format.parse().map_err(|_| Failure::Bad("there is no such format"))?;
    visit.confirm(asked.password).await?;
    let filter = Filter { issuer: asked.issuer, days: asked.days, after: String::new() }.for_store(&visit);
    let detail = json!({ "what": "revoked tokens", "format": format.word() });
    visit.app.store.note(visit.actor(), crate::incident::EventKind::Exported, detail).await?;
    Ok(visit.finish(export::answer(visit.app.store.clone(), filter, format)))
}
