//! Fire drills as stored, and what one looks for: what became of a delivery by its body.

use serde_json::json;

use super::sql::{Row, Session, Statement, Value, binds};
use super::{Error, Store, audit};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, DrillId, IncidentId};
use crate::incident::drill::{AT_MOST_MILLIS, Drill, DrillVerdict};
use crate::incident::{Actor, Event, EventKind};

/// A delivery that is stored, with the incidents that its records name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelivery {
    pub id: DeliveryId,
    pub incidents: Vec<IncidentId>,
}

static RUNNING: Statement = Statement::new(
    "-- drills.running
     SELECT id
     FROM drills
     WHERE finished_at IS NULL
       AND started_at > $1",
);

static INSERT: Statement = Statement::new(
    "-- drills.insert
     INSERT INTO drills (id, started_by, started_at, report)
     VALUES ($1, $2, $3, $4)",
);

static SAVE: Statement = Statement::new(
    "-- drills.save
     UPDATE drills
     SET finished_at = $2, passed_at = $3, report = $4
     WHERE id = $1",
);

static READ: Statement = Statement::new(
    "-- drills.read
     SELECT report
     FROM drills
     WHERE id = $1",
);

static LIST: Statement = Statement::new(
    "-- drills.list
     SELECT report
     FROM drills
     ORDER BY id DESC
     LIMIT $1",
);

static LAST_PASSED: Statement = Statement::new(
    "-- drills.last_passed
     SELECT max(passed_at) AS passed_at
     FROM drills
     WHERE passed_at IS NOT NULL",
);

static DELIVERY: Statement = Statement::new(
    "-- drills.delivery
     SELECT deliveries.id, reports.incident_id
     FROM deliveries
     LEFT JOIN reports ON reports.delivery_id = deliveries.id
     WHERE deliveries.origin = $1
       AND deliveries.body_sha256 = $2
     ORDER BY reports.position",
);

impl Store {
    /// Stores a drill that begins; false, and nothing is stored, if another one runs.
    pub async fn begin_drill(&self, drill: &Drill) -> Result<bool, Error> {
        let work = (drill.clone(), report_of(drill)?);
        self.write(work, |session, (drill, report)| Box::pin(begin(session, drill, report.clone()))).await
    }

    /// Stores how a drill stands; the audit trail tells its end.
    pub async fn save_drill(&self, drill: &Drill, actor: &Actor) -> Result<(), Error> {
        let work = (drill.clone(), report_of(drill)?, actor.clone());
        self.write(work, |session, (drill, report, actor)| Box::pin(save(session, drill, report.clone(), actor))).await
    }

    pub async fn drill(&self, id: DrillId) -> Result<Option<Drill>, Error> {
        self.read().await?.optional(&READ, binds![id]).await?.as_ref().map(read).transpose()
    }

    /// The latest drills, newest first.
    pub async fn drills(&self, limit: u32) -> Result<Vec<Drill>, Error> {
        self.read().await?.all(&LIST, binds![limit]).await?.iter().map(read).collect()
    }

    /// When a drill was last passed, if one ever was.
    pub async fn last_passed_drill(&self) -> Result<Option<Timestamp>, Error> {
        let row = self.read().await?.optional(&LAST_PASSED, Vec::new()).await?;
        row.map_or(Ok(None), |row| row.optional_time("passed_at"))
    }

    /// The delivery with this body, if it is stored.
    pub async fn delivery_of(&self, origin: &str, body_sha256: [u8; 32]) -> Result<Option<StoredDelivery>, Error> {
        let rows = self.read().await?.all(&DELIVERY, vec![Value::from(origin), Value::hex(&body_sha256)]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let incidents = rows.iter().filter_map(|row| row.optional_parsed("incident_id").transpose());
        Ok(Some(StoredDelivery { id: first.parsed("id")?, incidents: incidents.collect::<Result<_, _>>()? }))
    }
}

fn report_of(drill: &Drill) -> Result<String, Error> {
    serde_json::to_string(drill).map_err(|error| Error::corrupt("report", error))
}

fn read(row: &Row) -> Result<Drill, Error> {
    serde_json::from_str(&row.text("report")?).map_err(|error| Error::corrupt("report", error))
}

async fn begin(session: &mut Session, drill: &Drill, report: String) -> Result<bool, Error> {
    let still = Timestamp::from_millis(drill.started_at.as_millis() - AT_MOST_MILLIS);
    if session.optional(&RUNNING, binds![still]).await?.is_some() {
        return Ok(false);
    }
    session.run(&INSERT, binds![drill.id, drill.started_by.as_str(), drill.started_at, report]).await?;
    Ok(true)
}

async fn save(session: &mut Session, drill: &Drill, report: String, actor: &Actor) -> Result<(), Error> {
    let verdict = drill.finished_at.map(|at| (at, drill.verdict(at)));
    let passed = verdict.filter(|(_, verdict)| matches!(verdict, DrillVerdict::Passed | DrillVerdict::Slow));
    session.run(&SAVE, binds![drill.id, drill.finished_at, passed.map(|(at, _)| at), report]).await?;
    let Some((at, verdict)) = verdict else { return Ok(()) };
    let took = at.since(drill.started_at).as_millis();
    let detail = json!({ "drill": drill.id, "verdict": verdict.word(), "duration_ms": took });
    audit::insert(session, &[Event::new(at, actor.clone(), EventKind::Drilled, drill.incident_id).with(detail)]).await
}
