//! Operators: adding, inviting, changing and disabling them. At least one admin who can sign in is left, always.
//!
//! An operator chooses the password alone, with an [invitation](super::invitations).

use serde_json::json;

use super::invitations::invite;
use super::operator::{Operator, OperatorName, read};
use super::sql::{Session, Statement, binds};
use super::{Error, Store, audit};
use crate::clock::Timestamp;
use crate::id::OperatorId;
use crate::incident::{Actor, Event, EventKind};
use crate::operator::Role;

/// What became of a change to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorChange {
    Done,
    /// Nobody would be left who can let others in.
    LastAdmin,
    NameTaken,
    Unknown,
}

macro_rules! operator_columns {
    () => {
        "operators.id, operators.name, operators.role, operators.created_at, operators.signed_in_at,
            operators.disabled_at,
            CAST(CASE WHEN operators.password IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_password"
    };
}
pub(super) use operator_columns;

static LIST: Statement = Statement::new(concat!(
    "-- operators.list
     SELECT ",
    operator_columns!(),
    "
     FROM operators
     ORDER BY name"
));

pub(super) static BY_NAME: Statement = Statement::new(concat!(
    "-- operators.by_name
     SELECT ",
    operator_columns!(),
    "
     FROM operators
     WHERE name = $1
     {lock}"
));

pub(super) static BY_ID: Statement = Statement::new(concat!(
    "-- operators.by_id
     SELECT ",
    operator_columns!(),
    "
     FROM operators
     WHERE id = $1"
));

static PASSWORD: Statement = Statement::new(
    "-- operators.password
     SELECT password
     FROM operators
     WHERE id = $1
       AND password IS NOT NULL
       AND disabled_at IS NULL",
);

pub(super) static INSERT: Statement = Statement::new(
    "-- operators.insert
     INSERT INTO operators (id, name, role, password, created_at, password_changed_at)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (name) DO NOTHING",
);

pub(super) static SET_PASSWORD: Statement = Statement::new(
    "-- operators.set_password
     UPDATE operators
     SET password = $2, password_changed_at = $3
     WHERE id = $1",
);

pub(super) static SET_ROLE: Statement = Statement::new(
    "-- operators.set_role
     UPDATE operators
     SET role = $2
     WHERE id = $1",
);

static SET_DISABLED: Statement = Statement::new(
    "-- operators.set_disabled
     UPDATE operators
     SET disabled_at = $2
     WHERE id = $1",
);

// Locked together and in one order, so that two admins cannot remove each other at once.
static ADMINS: Statement = Statement::new(
    "-- operators.admins
     SELECT id
     FROM operators
     WHERE role = 'admin'
       AND password IS NOT NULL
       AND disabled_at IS NULL
     ORDER BY id
     {lock}",
);

pub(super) static END_SESSIONS: Statement = Statement::new(
    "-- operators.end_sessions
     DELETE FROM sessions
     WHERE operator_id = $1",
);

static UNBIND: Statement = Statement::new(
    "-- operators.unbind
     UPDATE operators
     SET provider_account = NULL
     WHERE id = $1",
);

impl Store {
    pub async fn operators(&self) -> Result<Vec<Operator>, Error> {
        self.read().await?.all(&LIST, Vec::new()).await?.iter().map(read).collect()
    }

    pub async fn operator(&self, name: &OperatorName) -> Result<Option<Operator>, Error> {
        Ok(self.operators().await?.into_iter().find(|operator| operator.name == *name))
    }

    /// The stored password of an operator who may sign in, in PHC form.
    pub async fn operator_password(&self, id: OperatorId) -> Result<Option<String>, Error> {
        let row = self.read().await?.optional(&PASSWORD, binds![id]).await?;
        row.map(|row| row.text("password")).transpose()
    }

    /// Whether somebody can let others in.
    pub async fn has_admin(&self) -> Result<bool, Error> {
        let able = |operator: &Operator| {
            operator.role == Role::Admin && operator.has_password && operator.disabled_at.is_none()
        };
        Ok(self.operators().await?.iter().any(able))
    }

    /// Adds an operator with a link to choose the password; the link is given by its SHA-256.
    pub async fn add_operator(
        &self,
        name: &OperatorName,
        role: Role,
        link: ([u8; 32], Timestamp),
        actor: Actor,
    ) -> Result<OperatorChange, Error> {
        let id = OperatorId::generate(self.clock.now());
        let work = (id, name.clone(), role, link, actor, self.clock.now());
        self.write(work, |session, (id, name, role, link, actor, now)| {
            Box::pin(async move {
                let values = binds![*id, name.as_str(), role.word(), None::<String>, *now, None::<Timestamp>];
                if session.run(&INSERT, values).await? == 0 {
                    return Ok(OperatorChange::NameTaken);
                }
                invite(session, Some(*id), *link, *now).await?;
                let detail = json!({ "operator": name.as_str(), "role": role.word() });
                record(session, actor, EventKind::OperatorAdded, detail, *now).await?;
                Ok(OperatorChange::Done)
            })
        })
        .await
    }

    /// Takes the operator's password, sessions and account at a provider away and gives a link to choose a new one.
    pub async fn reset_operator(
        &self,
        name: &OperatorName,
        link: ([u8; 32], Timestamp),
        actor: Actor,
    ) -> Result<OperatorChange, Error> {
        let work = (name.clone(), link, actor, self.clock.now());
        self.write(work, |session, (name, link, actor, now)| {
            Box::pin(async move {
                let Some(row) = session.optional(&BY_NAME, binds![name.as_str()]).await? else {
                    return Ok(OperatorChange::Unknown);
                };
                let id = read(&row)?.id;
                session.run(&SET_PASSWORD, binds![id, None::<String>, *now]).await?;
                session.run(&UNBIND, binds![id]).await?;
                session.run(&END_SESSIONS, binds![id]).await?;
                invite(session, Some(id), *link, *now).await?;
                let detail = json!({ "operator": name.as_str() });
                record(session, actor, EventKind::OperatorReset, detail, *now).await?;
                Ok(OperatorChange::Done)
            })
        })
        .await
    }

    pub async fn set_operator_role(
        &self,
        name: &OperatorName,
        role: Role,
        actor: Actor,
    ) -> Result<OperatorChange, Error> {
        let work = (name.clone(), role, actor, self.clock.now());
        self.write(work, |session, (name, role, actor, now)| {
            Box::pin(async move {
                let admins = admins(session).await?;
                let Some(row) = session.optional(&BY_NAME, binds![name.as_str()]).await? else {
                    return Ok(OperatorChange::Unknown);
                };
                let operator = read(&row)?;
                if *role != Role::Admin && admins == [operator.id] {
                    return Ok(OperatorChange::LastAdmin);
                }
                session.run(&SET_ROLE, binds![operator.id, role.word()]).await?;
                let detail = json!({
                    "operator": name.as_str(), "role": role.word(), "role_before": operator.role.word(),
                });
                record(session, actor, EventKind::OperatorRoleChanged, detail, *now).await?;
                Ok(OperatorChange::Done)
            })
        })
        .await
    }

    /// Keeps the operator out at once, whatever sessions they have.
    pub async fn disable_operator(&self, name: &OperatorName, actor: Actor) -> Result<OperatorChange, Error> {
        let work = (name.clone(), actor, self.clock.now());
        self.write(work, |session, (name, actor, now)| {
            Box::pin(async move {
                let admins = admins(session).await?;
                let Some(row) = session.optional(&BY_NAME, binds![name.as_str()]).await? else {
                    return Ok(OperatorChange::Unknown);
                };
                let id = read(&row)?.id;
                if admins == [id] {
                    return Ok(OperatorChange::LastAdmin);
                }
                session.run(&SET_DISABLED, binds![id, Some(*now)]).await?;
                session.run(&END_SESSIONS, binds![id]).await?;
                let detail = json!({ "operator": name.as_str() });
                record(session, actor, EventKind::OperatorDisabled, detail, *now).await?;
                Ok(OperatorChange::Done)
            })
        })
        .await
    }

    /// Lets a disabled operator in again, with the password they had.
    pub async fn enable_operator(&self, name: &OperatorName, actor: Actor) -> Result<OperatorChange, Error> {
        let work = (name.clone(), actor, self.clock.now());
        self.write(work, |session, (name, actor, now)| {
            Box::pin(async move {
                let Some(row) = session.optional(&BY_NAME, binds![name.as_str()]).await? else {
                    return Ok(OperatorChange::Unknown);
                };
                session.run(&SET_DISABLED, binds![read(&row)?.id, None::<Timestamp>]).await?;
                let detail = json!({ "operator": name.as_str() });
                record(session, actor, EventKind::OperatorEnabled, detail, *now).await?;
                Ok(OperatorChange::Done)
            })
        })
        .await
    }

    /// Records an act that changes nothing here, such as an export.
    pub async fn note(&self, actor: Actor, kind: EventKind, detail: serde_json::Value) -> Result<(), Error> {
        self.write((actor, kind, detail, self.clock.now()), |session, (actor, kind, detail, now)| {
            Box::pin(record(session, actor, kind.clone(), detail.clone(), *now))
        })
        .await
    }
}

pub(super) async fn admins(session: &mut Session) -> Result<Vec<OperatorId>, Error> {
    session.all(&ADMINS, Vec::new()).await?.iter().map(|row| row.parsed("id")).collect()
}

pub(super) async fn record(
    session: &mut Session,
    actor: &Actor,
    kind: EventKind,
    detail: serde_json::Value,
    now: Timestamp,
) -> Result<(), Error> {
    audit::insert(session, &[Event::new(now, actor.clone(), kind, None).with(detail)]).await
}
