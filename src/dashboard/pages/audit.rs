//! Audit: who did what, when; the proof that nothing was changed in it; its export.
//!
//! A verification reads the whole trail and may take longer than a page waits. Then it goes on, and the next press of
//! the button takes its result.

use std::sync::Arc;
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
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::happened::{Happened, KINDS};
use crate::clock::Timestamp;
use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{Pager, When, count, escaped, grouped, line};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::id::IncidentId;
use crate::incident::EventKind;
use crate::operator::Role;
use crate::store::{self, AuditFilter, ChainFault, ChainReport, PageRequest, Store, StoredEvent};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![
        door.get("/dashboard/audit", "the audit trail", show),
        door.post("/dashboard/audit/verify", Role::Admin, "verifies the audit trail", verify),
        door.post("/dashboard/audit/export", Role::Responder, "exports the audit trail", export),
    ]
}

/// What is asked for, as it stands in the address.
#[derive(Clone, Default, Deserialize)]
pub struct Filter {
    #[serde(default)]
    kind: String,
    /// `ada`, `operator:ada`, `worker:host-1`; `people` for all operators.
    #[serde(default)]
    actor: String,
    #[serde(default)]
    incident: String,
    /// Days, UTC, both included: `2026-11-24`.
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "audit.html", config = "src/dashboard/askama.toml")]
struct AuditPage {
    shell: Shell,
    filter: Filter,
    groups: Vec<(&'static str, Vec<Choice>)>,
    rows: Vec<Row>,
    pager: Pager,
    filtered: bool,
    people: Option<String>,
}

struct Choice {
    value: &'static str,
    name: &'static str,
    selected: bool,
}

struct Row {
    at: When,
    happened: Happened,
    /// The address of everything that this actor did.
    actor: String,
    /// The incident it is about, in full and in short.
    incident: Option<(String, String)>,
}

/// What a verification found.
#[derive(Template)]
#[template(path = "verified.html", config = "src/dashboard/askama.toml")]
struct VerifiedPage {
    shell: Shell,
    /// None while it goes on.
    found: Option<Verified>,
    through: String,
}

struct Verified {
    intact: bool,
    events: String,
    blocks: String,
    unsealed: String,
    sealed: Option<When>,
    head: String,
    faults: Vec<String>,
    more: usize,
    /// The head that was kept elsewhere and is on the chain.
    through: String,
}

/// Head of a chain as it was kept elsewhere: number and hash of a block.
type Head = (i64, String);

/// A verification that goes on while nobody waits for it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Verification(Arc<Mutex<Option<UnderWay>>>);

struct UnderWay {
    through: Option<Head>,
    task: JoinHandle<Result<ChainReport, store::Error>>,
}

const ROWS: u32 = 50;
const BATCH: u32 = 500;
/// Well below what an answer may take.
const WAIT: Duration = Duration::from_secs(8);
const FAULTS: usize = 50;
const DAY: Duration = Duration::from_hours(24);

impl Filter {
    fn for_store(&self) -> Result<AuditFilter, Failure> {
        let actor = match self.actor.trim() {
            "" | "people" => None,
            name if name.contains(':') => Some(name.to_owned()),
            name => Some(format!("operator:{}", name.to_lowercase())),
        };
        let incident = match self.incident.trim() {
            "" => None,
            id => Some(id.parse::<IncidentId>().map_err(|_| Failure::Bad("that is no incident's id"))?),
        };
        Ok(AuditFilter {
            kinds: Some(self.kind.trim().to_owned()).filter(|kind| !kind.is_empty()).into_iter().collect(),
            // Which is known by an index of its own.
            operators_only: self.actor.trim() == "people"
                || actor.as_ref().is_some_and(|actor| actor.starts_with("operator:")),
            actor,
            incident_id: incident,
            from: day(&self.from)?,
            before: day(&self.to)?.map(|at| at.plus(DAY)),
        })
    }

    /// The filter as a query, without where the page begins.
    fn query(&self) -> String {
        let pairs = [
            ("kind", &self.kind),
            ("actor", &self.actor),
            ("incident", &self.incident),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let set = pairs.iter().filter(|(_, value)| !value.trim().is_empty());
        set.map(|(name, value)| format!("{name}={}", escaped(value.trim()))).collect::<Vec<_>>().join("&")
    }
}

fn day(text: &str) -> Result<Option<Timestamp>, Failure> {
    match text.trim() {
        "" => Ok(None),
        day if day.len() == 10 => {
            Ok(Some(Timestamp::parse(&format!("{day}T00:00:00Z")).ok_or(Failure::Bad("write a day as 2026-11-24"))?))
        }
        _ => Err(Failure::Bad("write a day as 2026-11-24")),
    }
}

async fn show(visit: Visit, Query(filter): Query<Filter>) -> Result<Response, Failure> {
    let after = match filter.after.as_str() {
        "" => None,
        cursor => Some(cursor.parse().map_err(|_| Failure::Bad("this is not where a page begins"))?),
    };
    let found = visit.app.store.audit_events(&filter.for_store()?, &PageRequest { after, limit: ROWS }).await?;
    let query = filter.query();
    let row = |event: &StoredEvent| Row {
        at: When::new(event.at, visit.now),
        happened: Happened::of(event),
        actor: format!("/dashboard/audit?actor={}", escaped(&event.actor)),
        incident: event.incident_id.map(|id| {
            let id = id.to_string();
            (id.clone(), id.get(id.len().saturating_sub(8)..).unwrap_or_default().to_owned())
        }),
    };
    let people = Filter { actor: "people".into(), after: String::new(), ..filter.clone() };
    Ok(page(&AuditPage {
        shell: visit.shell(Page::Audit).await?,
        groups: groups(&filter.kind),
        rows: found.items.iter().map(row).collect(),
        pager: Pager::new("/dashboard/audit", &query, !filter.after.is_empty(), found.next.as_ref()),
        filtered: !query.is_empty(),
        people: (filter.actor.trim() != "people").then(|| format!("/dashboard/audit?{}", people.query())),
        filter,
    }))
}

fn groups(selected: &str) -> Vec<(&'static str, Vec<Choice>)> {
    let mut groups: Vec<(&'static str, Vec<Choice>)> = Vec::new();
    for kind in KINDS {
        let choice = Choice { value: kind.word, name: kind.title, selected: kind.word == selected };
        match groups.last_mut().filter(|(name, _)| *name == kind.group) {
            Some((_, choices)) => choices.push(choice),
            None => groups.push((kind.group, vec![choice])),
        }
    }
    groups
}

#[derive(Deserialize)]
pub struct Kept {
    /// `BLOCK:HASH`; empty if none was kept.
    #[serde(default)]
    through: String,
}

async fn verify(visit: Visit, Form(kept): Form<Kept>) -> Result<Response, Failure> {
    let head = match kept.through.trim() {
        "" => None,
        text => Some(read_head(text).ok_or(Failure::Bad("a head is the number of a block, `:` and 64 hex digits"))?),
    };
    let report = visit.desk.verification().of(&visit.app.store, head).await?;
    let found = report.map(|report| verified(&visit, &report, kept.through.trim()));
    Ok(page(&VerifiedPage { shell: visit.shell(Page::Audit).await?, found, through: kept.through.trim().to_owned() }))
}

fn read_head(text: &str) -> Option<Head> {
    let (block, hash) = text.split_once(':')?;
    let fine = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((block.parse().ok()?, hash.to_ascii_lowercase())).filter(|_| fine)
}

impl Verification {
    /// The result of a verification that leads through `head`: of the one under way, or of a new one. None if it takes
    /// longer than a page waits; it goes on.
    async fn of(&self, store: &Store, head: Option<Head>) -> Result<Option<ChainReport>, Failure> {
        let Ok(mut slot) = self.0.try_lock() else {
            return Err(Failure::Refused("Somebody else verifies the trail right now. Try again in a moment.".into()));
        };
        let mut task = if let Some(UnderWay { task, .. }) = slot.take().filter(|it| it.through == head) {
            task
        } else {
            let (store, head) = (store.clone(), head.clone());
            tokio::spawn(async move {
                let head = head.as_ref().map(|(block, hash)| (*block, hash.as_str()));
                store.verify_audit(head).await
            })
        };
        match timeout(WAIT, &mut task).await {
            Ok(Ok(report)) => Ok(Some(report?)),
            Ok(Err(_)) => Err(Failure::Unavailable),
            Err(_) => {
                *slot = Some(UnderWay { through: head, task });
                Ok(None)
            }
        }
    }
}

fn verified(visit: &Visit, report: &ChainReport, through: &str) -> Verified {
    let mut faults: Vec<&ChainFault> = report.faults.iter().collect();
    // Events first, in their order: they are nearer to what was done than the blocks that hold them.
    faults.sort_by_key(|fault| place(fault));
    Verified {
        intact: report.is_intact(),
        events: count(report.events, "event", "events"),
        blocks: count(report.blocks, "block", "blocks"),
        unsealed: grouped(report.unsealed),
        sealed: report.sealed_at.map(|at| When::new(at, visit.now)),
        head: report.head.as_ref().map(|(block, hash)| format!("{block}:{hash}")).unwrap_or_default(),
        faults: faults.into_iter().take(FAULTS).map(fault).collect(),
        more: report.faults.len().saturating_sub(FAULTS),
        through: through.to_owned(),
    }
}

/// Where a fault stands among the others.
fn place(fault: &ChainFault) -> (u8, i64) {
    match fault {
        ChainFault::EventChanged { position }
        | ChainFault::EventInserted { position }
        | ChainFault::EventMissing { position }
        | ChainFault::EventRepeated { position } => (0, *position),
        ChainFault::BlockChanged { block } | ChainFault::BlockMissing { block } => (1, *block),
        ChainFault::HeadChanged => (2, 0),
    }
}

fn fault(fault: &ChainFault) -> String {
    match fault {
        ChainFault::BlockChanged { block } => format!("Block {block} does not follow from the one before it."),
        ChainFault::BlockMissing { block } => format!("Block {block} is missing."),
        ChainFault::EventChanged { position } => format!("Event {position} is not what was written."),
        ChainFault::EventInserted { position } => format!("Event {position} was put in later: no block holds it."),
        ChainFault::EventMissing { position } => format!("Event {position} is missing."),
        ChainFault::EventRepeated { position } => format!("Event {position} stands twice."),
        ChainFault::HeadChanged => {
            "The end of the chain is not the one that is expected: something was cut off or put in its place.".into()
        }
    }
}

#[derive(Deserialize)]
pub struct Export {
    #[serde(flatten)]
    filter: Filter,
    password: Option<Zeroizing<String>>,
}

async fn export(mut visit: Visit, Form(mut export): Form<Export>) -> Result<Response, Failure> {
    visit.confirm(export.password.take()).await?;
    let filter = export.filter.for_store()?;
    let detail = json!({ "what": "audit trail", "format": "jsonl" });
    visit.app.store.note(visit.actor(), EventKind::Exported, detail).await?;
    let mut response = Body::from_stream(lines(visit.app.store.clone(), filter)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    let disposition = HeaderValue::from_static("attachment; filename=\"audit.jsonl\"");
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok(visit.finish(response))
}

/// Page after page, so that an export of any size takes the memory of one.
fn lines(store: Store, filter: AuditFilter) -> impl stream::Stream<Item = Result<Bytes, store::Error>> {
    stream::try_unfold(Some((store, filter, PageRequest::first(BATCH))), move |state| async move {
        let Some((store, filter, request)) = state else { return Ok(None) };
        let found = store.audit_events(&filter, &request).await?;
        let mut text = String::new();
        for event in &found.items {
            text.push_str(&jsonl(event));
        }
        let next = found.next.map(|cursor| (store, filter, PageRequest { after: Some(cursor), limit: BATCH }));
        Ok(Some((Bytes::from(text), next)))
    })
}

/// As `stanch audit export` writes it.
fn jsonl(event: &StoredEvent) -> String {
    let entry = json!({
        "position": event.position,
        "id": event.id,
        "at": event.at,
        "actor": line(&event.actor),
        "kind": event.kind,
        "incident_id": event.incident_id,
        "detail": event.detail,
    });
    format!("{entry}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_a_person_means_it() {
        let filter = |actor: &str, from: &str| Filter { actor: actor.into(), from: from.into(), ..Filter::default() };
        let asked = |actor: &str| filter(actor, "").for_store().expect("a filter");
        assert_eq!(asked(" Ada ").actor.as_deref(), Some("operator:ada"));
        assert!(asked("people").operators_only && asked("people").actor.is_none());
        assert!(!asked("worker:host-1").operators_only);
        let one = Filter { to: "2026-11-24".into(), ..filter("", "2026-11-24") }.for_store().expect("a day");
        let (from, before) = (one.from.expect("from"), one.before.expect("to"));
        assert_eq!(before.since(from), DAY, "both days are in it");
        for bad in ["yesterday", "1795395604", "2026-13-01", "2026-11-24T00:00:00Z"] {
            assert!(filter("", bad).for_store().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_head_that_was_kept_is_read_exactly() {
        let hash = "Ab".repeat(32);
        assert_eq!(read_head(&format!("12:{hash}")), Some((12, hash.to_lowercase())));
        for bad in ["", "12", "12:ab", &format!("x:{hash}"), &format!("12:{}", "g".repeat(64))] {
            assert_eq!(read_head(bad), None, "{bad}");
        }
    }
}
