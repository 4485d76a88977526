//! The record of revoked tokens as a file: CSV or one JSON object a line.
//!
//! No cell can be a formula of a spreadsheet, no character can steer a terminal, and what was purged is not in it. It is
//! read page after page, so that an export of any size takes the memory of one.

use std::fmt::Write as _;
use std::str::FromStr;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};

use super::schema;
use crate::redact::inert;
use crate::store::{Error, PageRequest, RevokedFilter, RevokedToken, Store};

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a line of names.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// There is no such format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an export is `csv` or `jsonl`")]
pub struct UnknownFormat;

const BATCH: u32 = 500;
/// Longest text of a stranger in an export.
const TEXT: usize = 2_000;

const HEAD: &str =
    "revoked_at,received_at,issuer,token_id,token_name,kind,origin,incident_id,notified_at,places,urls\r\n";

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        match word {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::Jsonl),
            _ => Err(UnknownFormat),
        }
    }
}

impl Format {
    pub fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    /// What stands before the first row.
    pub fn head(self) -> &'static str {
        match self {
            Self::Csv => HEAD,
            Self::Jsonl => "",
        }
    }

    /// One row, with the end of its line.
    pub fn row(self, token: &RevokedToken) -> String {
        match self {
            Self::Csv => csv(token),
            Self::Jsonl => format!("{}\n", entry(token)),
        }
    }
}

/// The answer that carries an export, as a file to be saved.
pub fn answer(store: Store, filter: RevokedFilter, format: Format) -> Response {
    let (media, disposition) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"revoked-tokens.csv\""),
        Format::Jsonl => ("application/jsonl", "attachment; filename=\"revoked-tokens.jsonl\""),
    };
    let mut response = Body::from_stream(lines(store, filter, format)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The lines, a page at a time.
pub fn lines(store: Store, filter: RevokedFilter, format: Format) -> impl Stream<Item = Result<Bytes, Error>> {
    let begin = Some((store, filter, PageRequest::first(BATCH), format.head()));
    stream::try_unfold(begin, move |state| async move {
        let Some((store, filter, request, head)) = state else { return Ok(None) };
        let found = store.revoked_tokens(&filter, &request).await?;
        let mut text = head.to_owned();
        for token in &found.items {
            text.push_str(&format.row(token));
        }
        let next = found.next.map(|cursor| (store, filter, PageRequest { after: Some(cursor), limit: BATCH }, ""));
        Ok(Some((Bytes::from(text), next)))
    })
}

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
    let mut text = cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    text
}

/// A cell in quotes (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV
/// injection); control characters are written out.
fn cell(text: &str) -> String {
    let mut shown = inert(text, TEXT).replace('"', "\"\"");
    if shown.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']) {
        shown.insert(0, '\'');
    }
    let mut cell = String::with_capacity(shown.len() + 2);
    let _ = write!(cell, "\"{shown}\"");
    cell
}

/// A revoked token for programs.
pub fn entry(token: &RevokedToken) -> Value {
    let incident = &token.incident;
    let places = token.occurrences.iter().filter_map(|it| it.place.as_ref());
    let places = places.map(|place| json!({ "url": inert(&place.url, TEXT), "source": inert(&place.source, TEXT) }));
    let name = incident.token.as_ref().and_then(|token| token.name.as_deref());
    json!({
        "revoked_at": token.revoked_at,
        "received_at": incident.received_at,
        "issuer": token.issuer.as_str(),
        "token_id": inert(&token.token_id, TEXT),
        "token_name": name.map(|name| inert(name, TEXT)),
        "kind": incident.kind.as_str(),
        "origin": incident.origin,
        "incident_id": incident.id,
        "notified_at": incident.notified_at,
        "places": places.collect::<Vec<_>>(),
    })
}

/// The schema of [`entry`].
pub fn entry_schema() -> Value {
    let place = schema::object(json!({ "url": schema::text(), "source": schema::text() }));
    schema::object(json!({ "revoked_at": schema::time(), "received_at": schema::time(), "issuer": schema::text(),
        "token_id": schema::text(), "token_name": schema::maybe(schema::text()), "kind": schema::text(),
        "origin": schema::text(), "incident_id": schema::text(), "notified_at": schema::maybe(schema::time()),
        "places": schema::list(place) }))
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
