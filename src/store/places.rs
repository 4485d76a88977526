//! Places: where the tokens of a delivery were seen, each counted once.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::Error;
use super::delivery::{NewDelivery, NewReport};
use super::sql::{Bulk, Session, binds, hex};
use crate::clock::Timestamp;
use crate::id::{IncidentId, OccurrenceId};
use crate::incident::{Incident, Place, State};

static UPSERT_OCCURRENCES: Bulk = Bulk::new(
    11,
    "-- occurrences.upsert
     INSERT INTO occurrences (id, incident_id, origin, place_hash, sent_type, url, source, reports,
                              first_reported_at, last_reported_at, purge_at)
     VALUES {rows}
     ON CONFLICT (incident_id, place_hash) DO UPDATE
     SET reports = occurrences.reports + excluded.reports, last_reported_at = excluded.last_reported_at",
);

/// One occurrence for each place of each incident, however often this delivery names it.
pub(super) async fn store<'a>(
    session: &mut Session,
    delivery: &NewDelivery,
    now: Timestamp,
    purge_at: Timestamp,
    incident_of: impl Fn(&NewReport) -> Option<&'a Incident>,
) -> Result<(), Error> {
    // A statement must not meet the same row twice, so what repeats is counted first.
    let mut at: HashMap<(IncidentId, &Place), usize> = HashMap::new();
    let mut places: Vec<(&Incident, &Place, i64)> = Vec::new();
    for report in &delivery.reports {
        let Some(incident) = incident_of(report) else { continue };
        let index = *at.entry((incident.id, &report.place)).or_insert(places.len());
        match places.get_mut(index) {
            Some((_, _, reports)) => *reports += 1,
            None => places.push((incident, &report.place, 1)),
        }
    }
    let mut values = Vec::with_capacity(places.len() * 11);
    for (incident, place, reports) in places {
        let purge_at = matches!(incident.state, State::Closed(_)).then_some(purge_at);
        values.extend(binds![
            OccurrenceId::generate(now),
            incident.id,
            delivery.origin.as_str(),
            place_hash(&delivery.origin, place),
            place.sent_type.as_str(),
            place.url.as_str(),
            place.source.as_str(),
            reports,
            delivery.received_at,
            delivery.received_at,
            purge_at,
        ]);
    }
    session.insert(&UPSERT_OCCURRENCES, values).await.map(drop)
}

/// Names a place without bound on its length: SHA-256, each part with its length in front, cut to 128 bits.
fn place_hash(origin: &str, place: &Place) -> String {
    let mut hash = Sha256::new();
    for part in [origin, &place.sent_type, &place.url, &place.source] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let mut text = hex(&hash.finalize());
    text.truncate(32);
    text
}
