//! Notices: which revoked tokens one mail tells about.
//!
//! Several tokens of one owner in one delivery are one mail. The notice is stored before it is mailed, and a worker that
//! comes after one that died mails the same notice under the same id. One job stands for all incidents of a notice.

use serde_json::json;

use super::sql::{Row, Session, Statement, Value, binds};
use super::{Claimed, Error, Store, audit, incident_row, incidents, moves};
use crate::clock::Timestamp;
use crate::id::{IncidentId, JobId, LeaseToken, NoticeId};
use crate::incident::{Actor, EmailAddress, Event, EventKind, Incident, Occurrence, Owner, State, Step};

/// One mail that must be sent.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Also the left part of the Message-ID, so that a repeated mail folds into the first.
    pub id: NoticeId,
    /// Who is still to be told. Never empty.
    pub to: Vec<EmailAddress>,
    pub told: Told,
    pub created_at: Timestamp,
    /// Never empty.
    pub items: Vec<NoticeItem>,
}

/// How many owners were told already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub told: u32,
    /// Whose mail server will never take the mail.
    pub untold: u32,
}

/// One token a notice tells about.
#[derive(Clone, Debug)]
pub struct NoticeItem {
    pub incident: Incident,
    pub occurrences: Vec<Occurrence>,
}

/// What the notify step has to do.
#[derive(Debug)]
pub enum Composed {
    /// The issuer named nobody to mail.
    NoAddress,
    /// Send this. The other notify jobs of its incidents are gone; this one stands for all.
    Ready(Notice),
    /// Other tokens of the delivery are still being worked on and may belong into the same mail: ask again.
    Wait,
}

/// Incidents of one mail that are looked at; a mail lists no more either.
const MOST_TOLD: u32 = 1_000;

static OF_DELIVERY: Statement = Statement::new(
    "-- notices.of_delivery
     SELECT {incident}
     FROM incidents
     WHERE delivery_id = $1
       AND state IN ('open', 'live', 'revoked')
     ORDER BY fingerprint
     {lock}",
);

static OF_NOTICE: Statement = Statement::new(
    "-- notices.incidents
     SELECT {incident}
     FROM incidents
     WHERE notice_id = $1
       AND state = 'revoked'
     ORDER BY fingerprint
     {lock}",
);

// In whatever state: for looking at what was told.
static TOLD_WITH: Statement = Statement::new(
    "-- notices.told_with
     SELECT {incident}
     FROM incidents
     WHERE notice_id = $1
     ORDER BY id
     LIMIT $2",
);

static HOLDS_LEASE: Statement = Statement::new(
    "-- notices.holds_lease
     SELECT id
     FROM jobs
     WHERE id = $1
       AND lease_token = $2
     {lock}",
);

static READ: Statement = Statement::new(
    "-- notices.read
     SELECT id, address, created_at, told, untold
     FROM notices
     WHERE id = $1",
);

static INSERT: Statement = Statement::new(
    "-- notices.insert
     INSERT INTO notices (id, address, state, created_at)
     VALUES ($1, $2, 'pending', $3)",
);

static ATTACH: Statement = Statement::new(
    "-- notices.attach
     UPDATE incidents
     SET notice_id = $2
     WHERE id {in $1}",
);

static OTHER_JOBS: Statement = Statement::new(
    "-- notices.other_jobs
     DELETE FROM jobs
     WHERE incident_id {in $1}
       AND id <> $2",
);

static END_JOB: Statement = Statement::new(
    "-- notices.end_job
     DELETE FROM jobs
     WHERE id = $1
       AND lease_token = $2",
);

static PROGRESS: Statement = Statement::new(
    "-- notices.progress
     UPDATE notices
     SET address = $2, told = $3, untold = $4
     WHERE id = $1",
);

static SENT: Statement = Statement::new(
    "-- notices.sent
     UPDATE notices
     SET state = 'sent', sent_at = $2, told = $3, untold = $4
     WHERE id = $1",
);

// The address stays with the incidents, from which a retry composes a new notice.
static UNDELIVERABLE: Statement = Statement::new(
    "-- notices.undeliverable
     UPDATE notices
     SET state = 'undeliverable', address = NULL
     WHERE id = $1",
);

/// A step under lease that concerns a notice.
struct NoticeWork {
    job_id: JobId,
    lease: LeaseToken,
    incident_id: IncidentId,
    now: Timestamp,
    purge_at: Timestamp,
}

impl Store {
    /// Gathers every revoked, untold incident of the same delivery and owner into one notice. A notice that was
    /// composed before (the worker died after mailing) is given again as it was, with the same id.
    ///
    /// Until `wait_until` it waits for open and live incidents of the delivery.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the lease is no longer ours; nothing is changed then.
    pub async fn compose(&self, claimed: &Claimed, wait_until: Timestamp) -> Result<Composed, Error> {
        let work = (self.notice_work(claimed), wait_until);
        self.write(work, |session, (work, wait_until)| Box::pin(compose(session, work, *wait_until))).await
    }

    /// What the mail about an incident tells about, oldest first, and when it was composed: every incident of its notice
    /// as it is now, or this one alone if none was composed yet.
    pub async fn told_with(&self, incident: &Incident) -> Result<(Option<Timestamp>, Vec<NoticeItem>), Error> {
        let mut session = self.read().await?;
        let Some(id) = incident.notice_id else {
            return Ok((None, items(&mut session, vec![incident.clone()]).await?));
        };
        let rows = session.all(&TOLD_WITH, binds![id, MOST_TOLD]).await?;
        let incidents = rows.iter().map(incident_row::read).collect::<Result<Vec<_>, _>>()?;
        let notice = session.optional(&READ, binds![id]).await?;
        let created_at = notice.map(|notice| notice.time("created_at")).transpose()?;
        Ok((created_at, items(&mut session, incidents).await?))
    }

    /// Marks the notice as sent and moves all its incidents on, each with its audit event and closing job.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the lease is no longer ours; nothing is changed then.
    pub async fn settle_notice(
        &self,
        claimed: &Claimed,
        notice_id: NoticeId,
        told: Told,
        actor: Actor,
    ) -> Result<(), Error> {
        let work = (self.notice_work(claimed), notice_id, told, actor);
        self.write(work, |session, (work, notice_id, told, actor)| {
            Box::pin(async move {
                let (now, told) = (work.now, *told);
                let mut detail = json!({ "notice_id": notice_id });
                if told.told + told.untold > 1 {
                    detail["told"] = told.told.into();
                    detail["untold"] = told.untold.into();
                }
                let event = (EventKind::Notified(*notice_id), detail);
                end(session, work, *notice_id, actor, event, |incident| incident.notified(*notice_id, now)).await?;
                session
                    .run(&SENT, binds![*notice_id, now, i64::from(told.told), i64::from(told.untold)])
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// Notes which of several owners are still to be told, so that a worker that comes after this one tells only those.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the lease is no longer ours; nothing is changed then.
    pub async fn note_told(
        &self,
        claimed: &Claimed,
        notice_id: NoticeId,
        left: &[EmailAddress],
        told: Told,
    ) -> Result<(), Error> {
        let work = (self.notice_work(claimed), notice_id, joined(left), told);
        self.write(work, |session, (work, notice_id, left, told)| {
            Box::pin(async move {
                hold(session, work).await?;
                let values = binds![*notice_id, left.as_str(), i64::from(told.told), i64::from(told.untold)];
                session.run(&PROGRESS, values).await.map(drop)
            })
        })
        .await
    }

    /// The mail cannot be delivered: all incidents of the notice are stuck at the notify step with this reason. A retry
    /// composes a new notice.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the lease is no longer ours; nothing is changed then.
    pub async fn abandon_notice(
        &self,
        claimed: &Claimed,
        notice_id: NoticeId,
        reason: &str,
        actor: Actor,
    ) -> Result<(), Error> {
        let work = (self.notice_work(claimed), notice_id, reason.to_owned(), actor);
        self.write(work, |session, (work, notice_id, reason, actor)| {
            Box::pin(async move {
                let stick = |incident: &mut Incident| {
                    incident.stick(Step::Notify, reason.clone())?;
                    incident.notice_id = None;
                    Ok(())
                };
                let event = (EventKind::Stuck(Step::Notify), json!({ "notice_id": notice_id }));
                end(session, work, *notice_id, actor, event, stick).await?;
                session.run(&UNDELIVERABLE, binds![*notice_id]).await.map(drop)
            })
        })
        .await
    }

    fn notice_work(&self, claimed: &Claimed) -> NoticeWork {
        let now = self.clock.now();
        NoticeWork {
            job_id: claimed.job_id,
            lease: claimed.lease,
            incident_id: claimed.incident.id,
            now,
            purge_at: now.plus(self.keep_reports_for),
        }
    }
}

async fn compose(session: &mut Session, work: &NoticeWork, wait_until: Timestamp) -> Result<Composed, Error> {
    let found = incident_row::by_ids(session, [work.incident_id]).await?;
    let found = found.into_iter().next().ok_or(Error::NotFound { what: "incident" })?;
    let gathered = locked(session, &OF_DELIVERY, found.delivery_id.into()).await?;
    // Looked at only now: whoever held the incidents before may have composed their notice and taken the job away.
    hold(session, work).await?;
    let Some(own) = gathered.iter().find(|it| it.id == work.incident_id && it.state == State::Revoked) else {
        return Err(Error::LeaseLost);
    };
    if let Some(notice_id) = own.notice_id {
        let incidents = locked(session, &OF_NOTICE, notice_id.into()).await?;
        let row = session.optional(&READ, binds![notice_id]).await?.ok_or(Error::NotFound { what: "notice" })?;
        return ready(session, &row, incidents).await;
    }
    let owners = addresses(own);
    if owners.is_empty() {
        return Ok(Composed::NoAddress);
    }
    let may_join = |it: &&Incident| match it.state {
        State::Open => true,
        State::Live => addresses(it) == owners,
        _ => false,
    };
    if work.now < wait_until && gathered.iter().any(|it| may_join(&it)) {
        return Ok(Composed::Wait);
    }
    let told = |it: &&Incident| it.state == State::Revoked && it.notice_id.is_none() && addresses(it) == owners;
    let mut items: Vec<Incident> = gathered.iter().filter(told).cloned().collect();
    let id = NoticeId::generate(work.now);
    session.run(&INSERT, binds![id, joined(owners).as_str(), work.now]).await?;
    let ids = || Value::list(items.iter().map(|incident| incident.id));
    session.run(&ATTACH, vec![ids(), id.into()]).await?;
    session.run(&OTHER_JOBS, vec![ids(), work.job_id.into()]).await?;
    for incident in &mut items {
        incident.notice_id = Some(id);
    }
    let row = session.optional(&READ, binds![id]).await?.ok_or(Error::NotFound { what: "notice" })?;
    ready(session, &row, items).await
}

/// The stored notice with its incidents and the places they were seen, oldest first.
async fn ready(session: &mut Session, notice: &Row, mut incidents: Vec<Incident>) -> Result<Composed, Error> {
    incidents.sort_by_key(|incident| incident.id);
    let to = notice.text("address")?.split(',').map(EmailAddress::parse).collect::<Result<Vec<_>, _>>();
    let count = |column| Ok::<_, Error>(u32::try_from(notice.int(column)?).unwrap_or(0));
    Ok(Composed::Ready(Notice {
        id: notice.parsed("id")?,
        to: to.map_err(|error| Error::corrupt("address", error))?,
        told: Told { told: count("told")?, untold: count("untold")? },
        created_at: notice.time("created_at")?,
        items: items(session, incidents).await?,
    }))
}

/// Incidents with the places they were seen.
async fn items(session: &mut Session, mut incidents: Vec<Incident>) -> Result<Vec<NoticeItem>, Error> {
    incident_row::refresh_use(session, &mut incidents).await?;
    let occurrences = incidents::occurrences(session, incidents.iter().map(|incident| incident.id)).await?;
    let item = |incident: Incident| {
        let of_incident = occurrences.iter().filter(|occurrence| occurrence.incident_id == incident.id);
        NoticeItem { occurrences: of_incident.cloned().collect(), incident }
    };
    Ok(incidents.into_iter().map(item).collect())
}

/// Ends the job and makes one move of every incident of the notice.
async fn end(
    session: &mut Session,
    work: &NoticeWork,
    notice_id: NoticeId,
    actor: &Actor,
    (kind, detail): (EventKind, serde_json::Value),
    change: impl Fn(&mut Incident) -> Result<(), crate::incident::IllegalMove> + Send,
) -> Result<(), Error> {
    let incidents = locked(session, &OF_NOTICE, notice_id.into()).await?;
    if session.run(&END_JOB, binds![work.job_id, work.lease]).await? == 0 {
        return Err(Error::LeaseLost);
    }
    let mut events = Vec::with_capacity(incidents.len());
    for mut incident in incidents {
        change(&mut incident)?;
        moves::store(session, &mut incident, work.now, work.purge_at).await?;
        events.push(Event::new(work.now, actor.clone(), kind.clone(), Some(incident.id)).with(detail.clone()));
    }
    audit::insert(session, &events).await
}

async fn hold(session: &mut Session, work: &NoticeWork) -> Result<(), Error> {
    let held = session.optional(&HOLDS_LEASE, binds![work.job_id, work.lease]).await?;
    held.map(drop).ok_or(Error::LeaseLost)
}

async fn locked(session: &mut Session, statement: &Statement, of: Value) -> Result<Vec<Incident>, Error> {
    session.all(statement, vec![of]).await?.iter().map(incident_row::read).collect()
}

fn addresses(incident: &Incident) -> Vec<&EmailAddress> {
    let owner = incident.token.as_ref().and_then(|token| token.owner.as_ref());
    owner.into_iter().flat_map(Owner::addresses).collect()
}

/// No address has a comma in it.
fn joined<'a>(addresses: impl IntoIterator<Item = &'a EmailAddress>) -> String {
    addresses.into_iter().map(EmailAddress::as_str).collect::<Vec<_>>().join(",")
}
