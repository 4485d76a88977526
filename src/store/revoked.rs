//! The record of revoked tokens: one row for each issued token that stanch killed, newest first.
//!
//! What is personal or came from a reporter is empty once it was purged; the rest stays.

use std::collections::HashMap;

use super::page::{Cursor, Page, PageRequest};
use super::sql::{Assembled, Row, Session, Value, binds};
use super::{Error, Store, incident_row, incidents};
use crate::clock::Timestamp;
use crate::id::IncidentId;
use crate::incident::{Incident, IssuerName, Occurrence};

/// Which revoked tokens to list. What is not set does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedFilter {
    pub issuer: Option<String>,
    /// Revoked at or after.
    pub revoked_from: Option<Timestamp>,
    /// Revoked before.
    pub revoked_before: Option<Timestamp>,
}

/// A token that was killed, with its incident.
#[derive(Clone, Debug)]
pub struct RevokedToken {
    pub issuer: IssuerName,
    /// The issuer's name for its token.
    pub token_id: String,
    pub revoked_at: Timestamp,
    /// The incident in whose course it was revoked. It may have gone on since.
    pub incident: Incident,
    /// Where it was seen; the places are empty once they were purged.
    pub occurrences: Vec<Occurrence>,
}

impl Store {
    /// One page of the record, newest first.
    pub async fn revoked_tokens(
        &self,
        filter: &RevokedFilter,
        page: &PageRequest,
    ) -> Result<Page<RevokedToken>, Error> {
        let mut session = self.read().await?;
        let rows = page.rows();
        let found: Vec<Revocation> =
            session.assembled(listing(filter, page)).await?.iter().map(Revocation::read).collect::<Result<_, _>>()?;
        let page = Page::of(found, rows, |it| Cursor { at: it.revoked_at, id: it.incident_id.to_string() });
        Ok(Page { items: with_incidents(&mut session, page.items).await?, next: page.next })
    }
}

fn listing(filter: &RevokedFilter, page: &PageRequest) -> Assembled {
    let mut statement = Assembled::new(
        "-- revoked.list
         SELECT issuer, issued_token_id, incident_id, revoked_at
         FROM revocations
         WHERE 1 = 1",
    );
    statement.push_if("AND issuer = {?}", filter.issuer.as_deref());
    statement.push_if("AND revoked_at >= {?}", filter.revoked_from);
    statement.push_if("AND revoked_at < {?}", filter.revoked_before);
    if let Some(Cursor { at, id }) = &page.after {
        statement.push("AND (revoked_at, incident_id) < ({?}, {?})", binds![*at, id.as_str()]);
    }
    statement.push("ORDER BY revoked_at DESC, incident_id DESC\nLIMIT {?}", vec![Value::from(page.rows() + 1)]);
    statement
}

struct Revocation {
    issuer: IssuerName,
    token_id: String,
    incident_id: IncidentId,
    revoked_at: Timestamp,
}

impl Revocation {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            issuer: IssuerName::new(&row.text("issuer")?),
            token_id: row.text("issued_token_id")?,
            incident_id: row.parsed("incident_id")?,
            revoked_at: row.time("revoked_at")?,
        })
    }
}

async fn with_incidents(session: &mut Session, found: Vec<Revocation>) -> Result<Vec<RevokedToken>, Error> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let ids = || found.iter().map(|it| it.incident_id);
    let mut occurrences: HashMap<IncidentId, Vec<Occurrence>> = HashMap::new();
    for occurrence in incidents::occurrences(session, ids()).await? {
        occurrences.entry(occurrence.incident_id).or_default().push(occurrence);
    }
    let incidents: HashMap<IncidentId, Incident> =
        incident_row::by_ids(session, ids()).await?.into_iter().map(|incident| (incident.id, incident)).collect();
    let whole = |it: Revocation| {
        // One incident may have revoked two issued tokens, after it was opened again.
        let incident = incidents.get(&it.incident_id).cloned().ok_or(Error::NotFound { what: "incident" })?;
        Ok(RevokedToken {
            issuer: it.issuer,
            token_id: it.token_id,
            revoked_at: it.revoked_at,
            occurrences: occurrences.get(&it.incident_id).cloned().unwrap_or_default(),
            incident,
        })
    };
    found.into_iter().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::planned;

    #[tokio::test]
    async fn every_page_of_the_record_is_read_from_an_index_in_its_order() {
        let mut texts = Vec::new();
        for bits in 0..(1 << 4) {
            let at = |bit: u32| (bits & (1 << bit) != 0).then(|| Timestamp::from_millis(1));
            let issuer = (bits & 1 != 0).then(|| "x".to_owned());
            let filter = RevokedFilter { issuer, revoked_from: at(1), revoked_before: at(2) };
            let after = at(3).map(|at| Cursor { at, id: "inc_1".into() });
            texts.push(listing(&filter, &PageRequest { after, limit: 50 }).sqlite());
        }
        for (text, plan) in texts.iter().zip(planned(&texts).await) {
            let index = if text.contains("AND issuer") { "revocations_by_issuer" } else { "revocations_by_time" };
            assert!(plan.len() == 1 && plan[0].contains(index), "{plan:?} of {text}");
        }
    }
}
