//! Revoked tokens: the operator's record of what was killed, and its export.
//!
//! An export asks for the password and leaves an audit event. No cell of it can be a formula of a spreadsheet, and what
//! was purged is not in it.

use std::fmt::Write as _;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
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
use crate::operator::Role;
use crate::store::{PageRequest, RevokedFilter, RevokedToken, Store};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![
        door.get("/dashboard/revoked", "the revoked tokens", show),
        door.post("/dashboard/revoked/export", Role::Responder, "exports the revoked tokens", export),
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
const BATCH: u32 = 500;

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

async fn export(mut visit: Visit, Form(export): Form<Export>) -> Result<Response, Failure> {
    let (media, name, write): (_, _, fn(&RevokedToken) -> String) = match export.format.as_str() {
        "csv" => ("text/csv; charset=utf-8; header=present", "revoked-tokens.csv", csv),
        "jsonl" => ("application/jsonl", "revoked-tokens.jsonl", jsonl),
        _ => return Err(Failure::Bad("there is no such format")),
    };
    visit.confirm(export.password).await?;
    let filter = Filter { issuer: export.issuer, days: export.days, after: String::new() }.for_store(&visit);
    let detail = json!({ "what": "revoked tokens", "format": export.format });
    visit.app.store.note(visit.actor(), crate::incident::EventKind::Exported, detail).await?;
    let head = if export.format == "csv" { HEAD } else { "" };
    let body = Body::from_stream(lines(visit.app.store.clone(), filter, head, write));
    let mut response = body.into_response();
    let disposition = format!("attachment; filename=\"{name}\"");
    let disposition = HeaderValue::try_from(disposition).map_err(|_| Failure::Unavailable)?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(visit.finish(response))
}

/// Page after page, so that an export of any size takes the memory of one.
fn lines(
    store: Store,
    filter: RevokedFilter,
    head: &'static str,
    write: fn(&RevokedToken) -> String,
) -> impl stream::Stream<Item = Result<Bytes, crate::store::Error>> {
    let begin = Some((store, filter, PageRequest::first(BATCH), head));
    stream::try_unfold(begin, move |state| async move {
        let Some((store, filter, request, head)) = state else { return Ok(None) };
        let found = store.revoked_tokens(&filter, &request).await?;
        let mut text = head.to_owned();
        for token in &found.items {
            text.push_str(&write(token));
        }
        let next = found.next.map(|cursor| (store, filter, PageRequest { after: Some(cursor), limit: BATCH }, ""));
        Ok(Some((Bytes::from(text), next)))
    })
}

const HEAD: &str =
    "revoked_at,received_at,issuer,token_id,token_name,kind,origin,incident_id,notified_at,places,urls\r\n";

fn csv(token: &RevokedToken) -> String {
    let incident = &token.incident;
    let name = incident.token.as_ref().and_then(|token| token.name.clone()).unwrap_or_default();
    let urls: Vec<&str> =
        token.occurrences.iter().filter_map(|it| it.place.as_ref()).map(|place| place.url.as_str()).collect();
    let cells = [
        token.revoked_at.to_string(),
        incident.received_at.to_string(),
        token.issuer.to_string(),
        token.token_id.clone(),
        name,
        incident.kind.to_string(),
        incident.origin.clone(),
        incident.id.to_string(),
        incident.notified_at.map(|at| at.to_string()).unwrap_or_default(),
        token.occurrences.len().to_string(),
        urls.join(" "),
    ];
    let mut text = cells.iter().map(|cell| self::cell(cell)).collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    text
}

/// A cell in quotes (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV
/// injection); control characters are written out.
fn cell(text: &str) -> String {
    let mut shown = crate::redact::inert(text, 2_000).replace('"', "\"\"");
    if shown.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']) {
        shown.insert(0, '\'');
    }
    let mut cell = String::with_capacity(shown.len() + 2);
    let _ = write!(cell, "\"{shown}\"");
    cell
}

fn jsonl(token: &RevokedToken) -> String {
    let incident = &token.incident;
    let places = token.occurrences.iter().filter_map(|it| it.place.as_ref());
    let places: Vec<_> = places.map(|place| json!({ "url": place.url, "source": place.source })).collect();
    let entry = json!({
        "revoked_at": token.revoked_at,
        "received_at": incident.received_at,
        "issuer": token.issuer.as_str(),
        "token_id": token.token_id,
        "token_name": incident.token.as_ref().and_then(|token| token.name.clone()),
        "kind": incident.kind.as_str(),
        "origin": incident.origin,
        "incident_id": incident.id,
        "notified_at": incident.notified_at,
        "places": places,
    });
    format!("{entry}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_ends_early() {
        for (text, shown) in [
            ("=HYPERLINK(\"https://evil.example\")", "\"'=HYPERLINK(\"\"https://evil.example\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            (" =1", "\"' =1\""),
            ("\t=1", "\"\\t=1\""),
            ("a\r\nb,\"c\"", "\"a\\r\\nb,\"\"c\"\"\""),
            ("plain", "\"plain\""),
        ] {
            assert_eq!(cell(text), shown, "{text:?}");
        }
    }
}
