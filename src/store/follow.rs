//! What is counted and indexed by following the audit trail, in the transaction that seals it: figures of each hour, and
//! the words by which incidents are found. A moment late, and exactly once; nothing of it costs intake anything.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;

use super::audit::RawEvent;
use super::incident_list::normal;
use super::reporters::HOUR_MILLIS;
use super::sql::{Bulk, Session, Statement, Value, binds};
use super::statistics::bucket;
use super::{Error, incident_row};
use crate::id::IncidentId;
use crate::incident::{Incident, IssuedToken, IssuerName, Owner, State, drill};

static ADD: Bulk = Bulk::new(
    6,
    "-- follow.add
     INSERT INTO statistics_hours (hour, measure, issuer, origin, bucket, amount)
     VALUES {rows}
     ON CONFLICT (hour, measure, issuer, origin, bucket) DO UPDATE
     SET amount = statistics_hours.amount + excluded.amount",
);

static ADD_TERMS: Bulk = Bulk::new(
    2,
    "-- follow.add_terms
     INSERT INTO incident_terms (term, incident_id)
     VALUES {rows}
     ON CONFLICT (term, incident_id) DO NOTHING",
);

static ADD_OPENED: Statement = Statement::new(
    "-- follow.add_opened
     UPDATE incident_totals
     SET amount = amount + $1
     WHERE name = 'opened'",
);

static FORGET_OWNERS: Statement = Statement::new(
    "-- follow.forget_owners
     DELETE FROM incident_terms
     WHERE incident_id {in $1}
       AND substr(term, 1, 2) = 'o:'",
);

/// A line of the figures: hour, measure, issuer, origin, bucket.
type Line = (i64, String, String, String, i64);

/// Longest term, and most words of a name that it can be found by.
const TERM_LEN: usize = 100;
const MAX_WORDS: usize = 6;

/// Counts and indexes what happened.
pub(super) async fn follow(session: &mut Session, events: &[RawEvent]) -> Result<(), Error> {
    let ids: Vec<IncidentId> = events.iter().filter_map(|event| event.incident_id.as_deref()?.parse().ok()).collect();
    let incidents: HashMap<IncidentId, Incident> =
        incident_row::by_ids(session, ids).await?.into_iter().map(|incident| (incident.id, incident)).collect();
    let mut amounts: BTreeMap<Line, i64> = BTreeMap::new();
    let mut terms: Vec<(String, IncidentId)> = Vec::new();
    for event in events {
        let id = event.incident_id.as_deref().and_then(|id| id.parse::<IncidentId>().ok());
        let Some(incident) = id.and_then(|id| incidents.get(&id)) else { continue };
        // A drill is found like any incident and is no figure of anybody.
        let is_figure = incident.origin != drill::ORIGIN;
        let detail = event.detail.as_deref().and_then(|detail| serde_json::from_str(detail).ok()).unwrap_or(Json::Null);
        for (measure, bucket, amount) in measures(event, incident, &detail).into_iter().filter(|_| is_figure) {
            let issuer = incident.issuer.as_ref().map_or("", IssuerName::as_str);
            let hour = event.at.div_euclid(HOUR_MILLIS) * HOUR_MILLIS;
            let line = (hour, measure, issuer.to_owned(), incident.origin.clone(), bucket);
            *amounts.entry(line).or_default() += amount;
        }
        if event.kind == "verified"
            && let Some(token) = &incident.token
        {
            terms.extend(terms_of(token, &incident.hint).into_iter().map(|term| (term, incident.id)));
        }
    }
    let opened = events.iter().filter(|event| event.kind == "opened").count();
    if opened > 0 {
        session.run(&ADD_OPENED, binds![opened]).await?;
    }
    terms.sort();
    terms.dedup();
    let values = amounts.into_iter().flat_map(|((hour, measure, issuer, origin, bucket), amount)| {
        binds![hour, measure, issuer, origin, bucket, amount]
    });
    session.insert(&ADD, values.collect()).await?;
    let values = terms.into_iter().flat_map(|(term, id)| binds![term, id]);
    session.insert(&ADD_TERMS, values.collect()).await.map(drop)
}

/// Erases what incidents could be found by that is their owners'.
pub(super) async fn forget_owners(session: &mut Session, ids: Value) -> Result<(), Error> {
    session.run(&FORGET_OWNERS, vec![ids]).await.map(drop)
}

/// What an event counts as: measure, bucket, amount.
fn measures(event: &RawEvent, incident: &Incident, detail: &Json) -> Vec<(String, i64, i64)> {
    let one = |measure: &str| vec![(measure.to_owned(), 0, 1)];
    let span = |measure: &str| vec![(measure.to_owned(), bucket(event.at - incident.received_at.as_millis()), 1)];
    match event.kind.as_str() {
        // An owner who is told again was told before, and the incident has ended before.
        "closed" if incident.closed_at.is_some_and(|first| first.as_millis() < event.at) => Vec::new(),
        "notified" if incident.notified_at.is_some_and(|first| first.as_millis() < event.at) => Vec::new(),
        "closed" => match &incident.state {
            State::Closed(outcome) => one(&format!("closed:{}", outcome.word())),
            // It was reported again meanwhile.
            _ => Vec::new(),
        },
        "held" | "stuck" => one(&event.kind),
        "notified" => span("notified"),
        "opened" => one("opened"),
        "reopened" => one("repeated"),
        "reported" => vec![("repeated".to_owned(), 0, detail["reports"].as_i64().unwrap_or(1))],
        "revoked" => span("revoked"),
        "verified" => {
            let verdict = detail["verdict"].as_str().or(incident.verdict).unwrap_or("unknown");
            let mut counted = one(&format!("verdict:{verdict}"));
            // What a local issuer decides at the door is closed by the same event.
            if detail["closed"] == Json::Bool(true) {
                counted.extend(one(if verdict == "dead" { "closed:already_dead" } else { "closed:not_ours" }));
            }
            counted
        }
        _ => Vec::new(),
    }
}

/// What an incident is found by.
fn terms_of(token: &IssuedToken, hint: &str) -> Vec<String> {
    let owner = token.owner.as_ref();
    let of_token = [Some(token.id.as_str()), token.name.as_deref(), Some(hint)];
    let of_owner = [owner.and_then(|owner| owner.id.as_deref()), owner.and_then(|owner| owner.name.as_deref())];
    let addresses = owner.into_iter().flat_map(Owner::addresses).map(|address| Some(address.as_str()));
    let term = |sort: &'static str| move |tail: String| format!("{sort}{tail}");
    let found = |text: Option<&str>| text.map(tails).unwrap_or_default();
    let token_terms = of_token.into_iter().flat_map(found).map(term("t:"));
    token_terms.chain(of_owner.into_iter().chain(addresses).flat_map(found).map(term("o:"))).collect()
}

/// A text from each of its words on, so that it is found by the beginning of any of them.
fn tails(text: &str) -> Vec<String> {
    let Some(text) = normal(Some(text)) else { return Vec::new() };
    let words: Vec<&str> = text.split(' ').collect();
    let tail = |from: usize| words[from..].join(" ").chars().take(TERM_LEN).collect();
    (0..words.len().min(MAX_WORDS)).map(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_the_beginning_of_each_of_its_words() {
        assert_eq!(tails("  CI  deploy Token"), ["ci deploy token", "deploy token", "token"]);
        assert!(tails(" ").is_empty());
        assert_eq!(tails(&"a ".repeat(50)).len(), MAX_WORDS);
    }
}
