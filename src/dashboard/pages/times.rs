//! Response times and outcomes over time, as charts with a table beside each. Nothing is ranked by repository, place or
//! person: the reporter's agreement forbids it.

use std::time::Duration;

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, page};
use crate::dashboard::chart::{Bars, Line, Lines};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{escaped, grouped, line, measured};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::store::{Figures, Slot, Spans, Statistics, StatisticsRange};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![door.get("/dashboard/times", "response times and outcomes", show)]
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    range: String,
    #[serde(default)]
    issuer: String,
}

#[derive(Template)]
#[template(path = "times.html", config = "src/dashboard/askama.toml")]
struct TimesPage {
    shell: Shell,
    issuer: String,
    ranges: Vec<Choice>,
    tiles: Vec<(&'static str, String, String)>,
    charts: Vec<Chart>,
    outcomes: Bars,
    duplicates: Bars,
    issuers: Vec<(String, String, String, String, String)>,
    any: bool,
}

struct Choice {
    link: String,
    name: &'static str,
    selected: bool,
}

struct Chart {
    title: &'static str,
    id: &'static str,
    svg: Lines,
    rows: Vec<(String, String, String, String, String)>,
}

const RANGES: &[(&str, &str, u64, Slot)] = &[
    ("1d", "24 hours", 24, Slot::Hour),
    ("7d", "7 days", 7 * 24, Slot::Hour),
    ("30d", "30 days", 30 * 24, Slot::Day),
    ("90d", "90 days", 90 * 24, Slot::Day),
];

async fn show(visit: Visit, Query(asked): Query<Asked>) -> Result<Response, Failure> {
    let (word, _, hours, slot) = RANGES.iter().find(|(word, ..)| *word == asked.range).unwrap_or(&RANGES[1]);
    let (from, to) = (visit.now.minus(Duration::from_hours(*hours)), visit.now.plus(Duration::from_millis(1)));
    let issuer = Some(asked.issuer.trim().to_owned()).filter(|issuer| !issuer.is_empty());
    let range = StatisticsRange { from, to, slot: *slot, issuer };
    let figures = visit.app.store.statistics(&range).await?;
    let total = &figures.total;
    let percentile = |spans: &Spans, share| told(spans.percentile(share));
    let tile = |name, spans: &Spans| {
        let more = format!("99 of 100 within {}", percentile(spans, 0.99));
        (name, percentile(spans, 0.5), more)
    };
    let reports = total.opened + total.repeated;
    let tiles = vec![
        tile("Received to revoked", &total.to_revoked),
        tile("Received to mailed", &total.to_notified),
        ("Leaked tokens", grouped(total.opened), format!("named by {} reports", grouped(reports))),
        ("Needed a human", grouped(total.stuck + total.held), format!("{} held by the brake", grouped(total.held))),
    ];
    let chart = |title, id, spans: fn(&Figures) -> &Spans| chart(&figures, (from, to), *slot, title, id, spans);
    let link = |word: &str| format!("/dashboard/times?range={word}&issuer={}", escaped(asked.issuer.trim()));
    Ok(page(&TimesPage {
        shell: visit.shell(Page::Times).await?,
        ranges: RANGES.iter().map(|(it, name, ..)| Choice { link: link(it), name, selected: it == word }).collect(),
        tiles,
        charts: vec![
            chart("From received to revoked", "revoked", |figures| &figures.to_revoked),
            chart("From received to mailed", "mailed", |figures| &figures.to_notified),
        ],
        outcomes: Bars::new(total.outcomes.iter().map(|(word, number)| (word.replace('_', " "), *number))),
        duplicates: Bars::new([("first reports".into(), total.opened), ("repeated".into(), total.repeated)]),
        issuers: figures.by_issuer.iter().map(|(name, it)| by_issuer(name, it)).collect(),
        any: reports > 0 || total.to_revoked.count() > 0,
        issuer: asked.issuer,
    }))
}

fn by_issuer(name: &str, figures: &Figures) -> (String, String, String, String, String) {
    let spans = &figures.to_revoked;
    let at = |share| told(spans.percentile(share));
    (line(name), grouped(spans.count()), at(0.5), at(0.95), at(0.99))
}

fn told(millis: Option<i64>) -> String {
    millis.map_or_else(|| "–".into(), |millis| measured(Duration::from_millis(millis.unsigned_abs())))
}

fn chart(
    figures: &Statistics,
    (from, to): (Timestamp, Timestamp),
    slot: Slot,
    title: &'static str,
    id: &'static str,
    spans: fn(&Figures) -> &Spans,
) -> Chart {
    let measured = || figures.slots.iter().filter(|(_, it)| spans(it).count() > 0);
    let name = |at: Timestamp| {
        let text = at.to_string();
        match slot {
            Slot::Day => text.get(..10).unwrap_or_default().to_owned(),
            Slot::Hour => text.get(..16).unwrap_or_default().replace('T', " "),
        }
    };
    let points = |share: f64| measured().filter_map(move |(at, it)| Some((*at, spans(it).percentile(share)?)));
    let lines = [("p99", 0.99), ("p95", 0.95), ("p50", 0.5)];
    let lines = lines.map(|(class, share)| Line { class, points: points(share).collect() });
    let rows = measured().map(|(at, it)| {
        let at_share = |share| told(spans(it).percentile(share));
        (name(*at), grouped(spans(it).count()), at_share(0.5), at_share(0.95), at_share(0.99))
    });
    Chart { title, id, rows: rows.collect(), svg: Lines::new(lines.into(), from, to, slot.millis()) }
}
