//! Incidents: all of them, by any filter, page by page; and the answer to "was this token revoked?".
//!
//! What is typed into the search may be a token. So the search is posted, a token is looked up by its fingerprint and
//! shown nowhere, and only what is none becomes part of an address.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::row::Row;
use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, go, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{Badge, Pager, When, escaped, line};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::mint::text_sha256;
use crate::operator::Role;
use crate::recognize::Identified;
use crate::store::{Count, IncidentFilter, PageRequest};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![
        door.get("/dashboard/incidents", "the incidents", show),
        door.post("/dashboard/incidents/find", Role::Viewer, "looks a text or a token up", find),
    ]
}

/// What is asked for, as it stands in the address.
#[derive(Clone, Default, Deserialize)]
pub struct Filter {
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub issuer: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub origin: String,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub text: String,
    /// `1h`, `1d`, `7d`, `30d`.
    #[serde(default)]
    pub age: String,
    #[serde(default)]
    pub after: String,
}

#[derive(Template)]
#[template(path = "incidents.html", config = "src/dashboard/askama.toml")]
struct IncidentsPage {
    shell: Shell,
    filter: Filter,
    states: Vec<Choice>,
    ages: Vec<Choice>,
    count: String,
    rows: Vec<Row>,
    pager: Pager,
    filtered: bool,
    /// Where the listed ones that wait can be changed together.
    bulk: Option<(&'static str, String)>,
}

struct Choice {
    value: &'static str,
    name: &'static str,
    selected: bool,
}

/// The answer about a token that was pasted.
#[derive(Template)]
#[template(path = "asked.html", config = "src/dashboard/askama.toml")]
struct AskedPage {
    shell: Shell,
    kind: String,
    rows: Vec<Row>,
    own: Option<Own>,
}

struct Own {
    id: String,
    name: String,
    state: Badge,
    revoked: Option<When>,
    reason: String,
}

const STATES: &[(&str, &str)] = &[
    ("", "Any state"),
    ("open", "Open"),
    ("live", "Live, being revoked"),
    ("held", "Held"),
    ("stuck", "Stuck"),
    ("revoked", "Revoked, owner not told yet"),
    ("notified", "Owner told"),
    ("settled", "Settled"),
    ("closed", "Closed"),
];
const AGES: &[(&str, &str, u64)] = &[
    ("", "Any time", 0),
    ("1h", "The last hour", 1),
    ("1d", "The last day", 24),
    ("7d", "The last 7 days", 7 * 24),
    ("30d", "The last 30 days", 30 * 24),
];
const ROWS: u32 = 50;
const COUNTED: u32 = 1_000;

impl Filter {
    pub fn for_store(&self, visit: &Visit) -> IncidentFilter {
        let word = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let hours = AGES.iter().find(|(value, ..)| *value == self.age).map_or(0, |(.., hours)| *hours);
        IncidentFilter {
            states: STATES
                .iter()
                .map(|(word, _)| *word)
                .filter(|word| !word.is_empty() && *word == self.state)
                .map(str::to_owned)
                .collect(),
            issuer: word(&self.issuer),
            kind: word(&self.kind),
            origin: word(&self.origin),
            owner: word(&self.owner),
            text: word(&self.text),
            received_from: (hours > 0).then(|| visit.now.minus(Duration::from_hours(hours))),
            received_before: None,
        }
    }

    /// The filter as a query, without where the page begins.
    pub fn query(&self) -> String {
        let pairs = [
            ("state", &self.state),
            ("issuer", &self.issuer),
            ("kind", &self.kind),
            ("origin", &self.origin),
            ("owner", &self.owner),
            ("text", &self.text),
            ("age", &self.age),
        ];
        let set = pairs.iter().filter(|(_, value)| !value.trim().is_empty());
        set.map(|(name, value)| format!("{name}={}", escaped(value.trim()))).collect::<Vec<_>>().join("&")
    }
}

async fn show(visit: Visit, Query(filter): Query<Filter>) -> Result<Response, Failure> {
    let asked = filter.for_store(&visit);
    let after = match filter.after.as_str() {
        "" => None,
        cursor => Some(cursor.parse().map_err(|_| Failure::Bad("this is not where a page begins"))?),
    };
    let found = visit.app.store.incidents(&asked, &PageRequest { after, limit: ROWS }).await?;
    let count = match visit.app.store.count_incidents(&asked, COUNTED).await? {
        Count::Exactly(number) => crate::dashboard::text::count(number.into(), "incident", "incidents"),
        Count::AtLeast(number) => format!("more than {number} incidents"),
    };
    let query = filter.query();
    let bulk = match filter.state.as_str() {
        "stuck" | "held" if !found.items.is_empty() && filter.text.is_empty() && filter.owner.is_empty() => {
            let name = if filter.state == "stuck" {
                "Retry or dismiss them together"
            } else {
                "Release or dismiss them together"
            };
            Some((name, format!("/dashboard/incidents/together?{query}")))
        }
        _ => None,
    };
    Ok(page(&IncidentsPage {
        shell: visit.shell(Page::Incidents).await?,
        states: choices(STATES.iter().map(|(value, name)| (*value, *name)), &filter.state),
        ages: choices(AGES.iter().map(|(value, name, _)| (*value, *name)), &filter.age),
        count,
        rows: found.items.iter().map(|incident| Row::of(&visit, incident)).collect(),
        pager: Pager::new("/dashboard/incidents", &query, !filter.after.is_empty(), found.next.as_ref()),
        filtered: !query.is_empty(),
        bulk,
        filter,
    }))
}

fn choices(all: impl Iterator<Item = (&'static str, &'static str)>, selected: &str) -> Vec<Choice> {
    all.map(|(value, name)| Choice { value, name, selected: value == selected }).collect()
}

#[derive(Deserialize)]
pub struct Sought {
    text: Zeroizing<String>,
}

async fn find(visit: Visit, Form(sought): Form<Sought>) -> Result<Response, Failure> {
    let recognized = match visit.desk.recognizer().identify(&sought.text) {
        Identified::Recognized(recognized) => recognized,
        Identified::TooLong => return Err(Failure::Bad("that is longer than any token or name")),
        Identified::Unrecognized => {
            let filter = Filter { text: line(sought.text.trim()), ..Filter::default() };
            return Ok(go(&format!("/dashboard/incidents?{}", filter.query())));
        }
    };
    let store = &visit.app.store;
    let fingerprints = visit.desk.fingerprints().all(&recognized.kind, &recognized.canonical);
    let incidents = store.incidents_by_fingerprint(&fingerprints).await?;
    let own = store.own_tokens_by_hash(&[text_sha256(&recognized.secret)]).await?.into_iter().next().flatten();
    let own = own.map(|token| Own {
        id: token.id.to_string(),
        name: line(&token.name),
        state: super::tokens::state(token.state(visit.now)),
        revoked: token.revoked_at.map(|at| When::new(at, visit.now)),
        reason: line(token.revoked_reason.as_deref().unwrap_or_default()),
    });
    Ok(page(&AskedPage {
        shell: visit.shell(Page::Incidents).await?,
        kind: line(recognized.kind.as_str()),
        rows: incidents.iter().map(|incident| Row::of(&visit, incident)).collect(),
        own,
    }))
}
