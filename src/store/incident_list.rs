//! Lists of incidents: any set of filters, newest first, page by page, fast at a million.
//!
//! Every page is read from one index in the order it is shown. Which index leads is chosen here for SQLite, which keeps
//! no statistics; PostgreSQL chooses by its own. A search text is looked up first, and then leads.

use std::collections::HashSet;

use super::page::{Cursor, Page, PageRequest};
use super::sql::{Assembled, Session, Statement, Value, binds};
use super::{Error, Store, incident_row};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, IncidentId, NoticeId};
use crate::incident::Incident;
use crate::token::Fingerprint;

/// Which incidents to list. What is not set does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Words of states; any of them.
    pub states: Vec<String>,
    pub issuer: Option<String>,
    pub kind: Option<String>,
    pub origin: Option<String>,
    /// The beginning of the owner's address, name, or a word of the name, in any case.
    pub owner: Option<String>,
    /// An id of an incident, delivery or notice, a fingerprint; or the beginning of the token's id, name, a word of the
    /// name, its last characters, or of what `owner` finds.
    pub text: Option<String>,
    /// Received at or after.
    pub received_from: Option<Timestamp>,
    /// Received before.
    pub received_before: Option<Timestamp>,
}

/// How many rows match, counted up to a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Exactly(u32),
    /// This many at least.
    AtLeast(u32),
}

/// Incidents that a search text may name; the newest of them if there are more.
const MAX_FOUND: u32 = 1_000;
/// Longest search text that is looked up, in characters.
const TEXT_LEN: usize = 200;

// A term that is met exactly gives its newest incidents; one that only begins so gives any, for a short beginning may be
// that of every term there is.
static FIND_TERMS: Statement = Statement::new(
    "-- incidents.find_terms
     SELECT DISTINCT incident_id
     FROM (SELECT incident_id
           FROM (SELECT incident_id FROM incident_terms WHERE term = $1 ORDER BY incident_id DESC LIMIT $5) AS exact_first
           UNION ALL
           SELECT incident_id
           FROM (SELECT incident_id FROM incident_terms WHERE term = $3 ORDER BY incident_id DESC LIMIT $5) AS exact_second
           UNION ALL
           SELECT incident_id
           FROM (SELECT incident_id FROM incident_terms WHERE term > $1 AND term < $2 LIMIT $5) AS first
           UNION ALL
           SELECT incident_id
           FROM (SELECT incident_id FROM incident_terms WHERE term > $3 AND term < $4 LIMIT $5) AS second) AS found
     ORDER BY incident_id DESC
     LIMIT $5",
);

static FIND_DELIVERY: Statement = Statement::new(
    "-- incidents.find_delivery
     SELECT DISTINCT incident_id
     FROM reports
     WHERE delivery_id = $1
       AND incident_id IS NOT NULL
     ORDER BY incident_id DESC
     LIMIT $2",
);

static FIND_NOTICE: Statement = Statement::new(
    "-- incidents.find_notice
     SELECT id AS incident_id
     FROM incidents
     WHERE notice_id = $1
     ORDER BY id DESC
     LIMIT $2",
);

static FIND_FINGERPRINT: Statement = Statement::new(
    "-- incidents.find_fingerprint
     SELECT id AS incident_id
     FROM incidents
     WHERE fingerprint {in $1}",
);

static BY_FINGERPRINT: Statement = Statement::new(
    "-- incidents.by_fingerprint
     SELECT {incident}
     FROM incidents
     WHERE fingerprint {in $1}
     ORDER BY received_at DESC",
);

impl Store {
    /// One page of incidents, newest first.
    pub async fn incidents(&self, filter: &IncidentFilter, page: &PageRequest) -> Result<Page<Incident>, Error> {
        let mut session = self.read().await?;
        let Some(found) = found(&mut session, filter).await? else { return Ok(Page { items: Vec::new(), next: None }) };
        let rows = page.rows();
        let mut items = Vec::new();
        for state in each_state(filter) {
            let statement = listing(filter, state, found.as_deref(), page);
            for row in session.assembled(statement).await? {
                items.push(incident_row::read(&row)?);
            }
        }
        if filter.states.len() > 1 {
            items.sort_by_key(|incident| std::cmp::Reverse((incident.received_at, incident.id)));
        }
        Ok(Page::of(items, rows, |incident| Cursor { at: incident.received_at, id: incident.id.to_string() }))
    }

    /// How many incidents match, counted no further than `cap`.
    pub async fn count_incidents(&self, filter: &IncidentFilter, cap: u32) -> Result<Count, Error> {
        let mut session = self.read().await?;
        let Some(found) = found(&mut session, filter).await? else { return Ok(Count::Exactly(0)) };
        let mut total = 0;
        for state in each_state(filter) {
            let mut statement = Assembled::new(
                "-- incidents.count
                 SELECT count(*) AS incidents
                 FROM (SELECT 1 AS one
                       FROM incidents
                       WHERE 1 = 1",
            );
            restrict(&mut statement, filter, state, found.as_deref());
            statement.push("LIMIT {?}) AS matching", binds![cap.saturating_add(1)]);
            let rows = session.assembled(statement).await?;
            let counted = rows.first().map(|row| row.int("incidents")).transpose()?.unwrap_or(0);
            total += u64::try_from(counted).unwrap_or(0);
            if total > u64::from(cap) {
                return Ok(Count::AtLeast(cap));
            }
        }
        Ok(Count::Exactly(u32::try_from(total).unwrap_or(u32::MAX)))
    }

    /// The incidents of one token, given all its fingerprints: was it ever reported, and what became of it. More than one
    /// only if a fingerprint key was lost in between.
    pub async fn incidents_by_fingerprint(&self, fingerprints: &[Fingerprint]) -> Result<Vec<Incident>, Error> {
        let rows = self.read().await?.all(&BY_FINGERPRINT, vec![Value::list(fingerprints)]).await?;
        rows.iter().map(incident_row::read).collect()
    }
}

/// One pass for each state, so that each is read from the index in order; one pass if none is asked for.
fn each_state(filter: &IncidentFilter) -> Vec<Option<&str>> {
    let mut states: Vec<Option<&str>> = filter.states.iter().map(|state| Some(state.as_str())).collect();
    states.sort_unstable();
    states.dedup();
    if states.is_empty() { vec![None] } else { states }
}

/// One pass over the list, of one state or of all: one row more than the page holds shows whether there is another.
fn listing(filter: &IncidentFilter, state: Option<&str>, found: Option<&[String]>, page: &PageRequest) -> Assembled {
    let mut statement = Assembled::new(
        "-- incidents.list
         SELECT {incident}
         FROM incidents
         WHERE 1 = 1",
    );
    restrict(&mut statement, filter, state, found);
    if let Some(Cursor { at, id }) = &page.after {
        statement.push("AND (received_at, id) < ({?}, {?})", binds![*at, id.as_str()]);
    }
    statement.push("ORDER BY received_at DESC, id DESC\nLIMIT {?}", binds![page.rows() + 1]);
    statement
}

/// Appends the conditions of a filter. The most selective one is written so that SQLite takes its index.
fn restrict(statement: &mut Assembled, filter: &IncidentFilter, state: Option<&str>, found: Option<&[String]>) {
    let mut leads = true;
    let mut lead = |statement: &mut Assembled, leading: &'static str, plain: &'static str, value: Option<Value>| {
        if let Some(value) = value {
            let piece = if std::mem::take(&mut leads) { leading } else { plain };
            statement.push(piece, vec![value]);
        }
    };
    lead(statement, "AND id {in {?}}", "", found.map(Value::list));
    let text = |word: Option<&str>| word.map(Value::from);
    let (rare, common) = if state == Some("closed") { (None, state) } else { (state, None) };
    lead(statement, "AND state = {?}", "AND {plain state} = {?}", text(rare));
    lead(statement, "AND issuer = {?}", "AND {plain issuer} = {?}", text(filter.issuer.as_deref()));
    lead(statement, "AND kind = {?}", "AND {plain kind} = {?}", text(filter.kind.as_deref()));
    lead(statement, "AND origin = {?}", "AND {plain origin} = {?}", text(filter.origin.as_deref()));
    lead(statement, "AND state = {?}", "AND {plain state} = {?}", text(common));
    statement.push_if("AND received_at >= {?}", filter.received_from);
    statement.push_if("AND received_at < {?}", filter.received_before);
}

/// The incidents that the filter's texts name: `Some(None)` if it has none, `None` if they name nothing.
async fn found(session: &mut Session, filter: &IncidentFilter) -> Result<Option<Option<Vec<String>>>, Error> {
    let mut found: Option<Vec<String>> = None;
    if let Some(owner) = normal(filter.owner.as_deref()) {
        found = Some(by_terms(session, &owner, &["o:"]).await?);
    }
    if let Some(text) = normal(filter.text.as_deref()) {
        let named = by_text(session, &text).await?;
        found = Some(match found {
            None => named,
            Some(owned) => {
                let named: HashSet<String> = named.into_iter().collect();
                owned.into_iter().filter(|id| named.contains(id)).collect()
            }
        });
    }
    Ok(if found.as_ref().is_some_and(Vec::is_empty) { None } else { Some(found) })
}

async fn by_text(session: &mut Session, text: &str) -> Result<Vec<String>, Error> {
    if let Ok(id) = text.parse::<IncidentId>() {
        return Ok(vec![id.to_string()]);
    }
    let rows = if let Ok(id) = text.parse::<DeliveryId>() {
        session.all(&FIND_DELIVERY, binds![id, MAX_FOUND]).await?
    } else if let Ok(id) = text.parse::<NoticeId>() {
        session.all(&FIND_NOTICE, binds![id, MAX_FOUND]).await?
    } else if text.rsplit_once(':').is_some_and(|(_, digest)| digest.len() == 64) {
        session.all(&FIND_FINGERPRINT, vec![Value::list([text])]).await?
    } else {
        return by_terms(session, text, &["t:", "o:"]).await;
    };
    rows.iter().map(|row| row.text("incident_id")).collect()
}

async fn by_terms(session: &mut Session, text: &str, sorts: &[&str]) -> Result<Vec<String>, Error> {
    let range = |sort: Option<&&str>| {
        let from = format!("{}{text}", sort.copied().unwrap_or(sorts[0]));
        let to = format!("{from}\u{10FFFF}");
        (from, to)
    };
    let ((first, first_end), (second, second_end)) = (range(sorts.first()), range(sorts.get(1)));
    let rows = session.all(&FIND_TERMS, binds![first, first_end, second, second_end, MAX_FOUND]).await?;
    rows.iter().map(|row| row.text("incident_id")).collect()
}

/// A search text as terms are written: lower case, single spaces, no longer than any term.
pub(super) fn normal(text: Option<&str>) -> Option<String> {
    let words: Vec<String> = text?.split_whitespace().map(str::to_lowercase).collect();
    let joined: String = words.join(" ").chars().take(TEXT_LEN).collect();
    (!joined.is_empty()).then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::planned;

    #[tokio::test]
    async fn every_set_of_filters_is_read_from_an_index_in_the_order_it_is_shown() {
        let mut texts = Vec::new();
        let word = |bits: u32, bit: u32| (bits & (1 << bit) != 0).then(|| "x".to_owned());
        let at = |bits: u32, bit: u32| (bits & (1 << bit) != 0).then(|| Timestamp::from_millis(1));
        for bits in 0..(1 << 6) {
            let filter = IncidentFilter {
                issuer: word(bits, 0),
                kind: word(bits, 1),
                origin: word(bits, 2),
                received_from: at(bits, 3),
                received_before: at(bits, 4),
                ..IncidentFilter::default()
            };
            let after = at(bits, 5).map(|at| Cursor { at, id: "inc_1".into() });
            let page = PageRequest { after, limit: 50 };
            for state in [None, Some("closed"), Some("stuck")] {
                texts.push(listing(&filter, state, None, &page).sqlite());
            }
        }
        for (text, plan) in texts.iter().zip(planned(&texts).await) {
            assert_eq!(plan.len(), 1, "nothing is sorted: {plan:?} of {text}");
            // Without any condition the index is walked, newest first, for a page and no further.
            let fine = plan[0].starts_with("SEARCH incidents USING INDEX incidents_by_")
                || plan[0] == "SCAN incidents USING INDEX incidents_by_receipt";
            assert!(fine, "{plan:?} of {text}");
            assert!(!(plan[0].starts_with("SCAN") && text.contains("AND state = ")), "{plan:?} of {text}");
        }
    }

    #[tokio::test]
    async fn a_text_is_found_by_its_terms_and_leads() {
        let found = ["inc_1".to_owned(), "inc_2".to_owned()];
        let filter = IncidentFilter { issuer: Some("x".into()), ..IncidentFilter::default() };
        let texts = [
            listing(&filter, Some("stuck"), Some(&found), &PageRequest::first(50)).sqlite(),
            FIND_TERMS.sqlite(),
            FIND_DELIVERY.sqlite(),
            FIND_NOTICE.sqlite(),
            FIND_FINGERPRINT.sqlite(),
        ];
        for (text, plan) in texts.iter().zip(planned(&texts).await) {
            let tables = ["incidents", "incident_terms", "reports"];
            let full = plan.iter().find(|line| tables.iter().any(|table| line.contains(&format!("SCAN {table}"))));
            assert_eq!(full, None, "{plan:?} of {text}");
        }
    }
}
