//! Invitations: links with which a password is chosen, each good for one use.
//!
//! A link is kept as its SHA-256: a stolen database opens no door.

use serde_json::json;

use super::operator::{Operator, OperatorName, read};
use super::operators::{BY_ID, END_SESSIONS, INSERT, SET_PASSWORD, admins, record};
use super::sql::{Session, Statement, Value, binds, hex};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::id::OperatorId;
use crate::incident::{Actor, EventKind};
use crate::operator::Role;

/// A link with which a password is chosen.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Whose password; none in the bootstrap link, which makes the first admin.
    pub operator: Option<Operator>,
    pub expires_at: Timestamp,
}

/// What became of a link that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    Done(OperatorId),
    /// Used before, expired, made for a disabled operator, or never made.
    Invalid,
    /// The bootstrap link: an operator of this name is there already.
    NameTaken,
}

static INVITE: Statement = Statement::new(
    "-- invitations.insert
     INSERT INTO invitations (token_sha256, operator_id, created_at, expires_at)
     VALUES ($1, $2, $3, $4)",
);

static INVITATION: Statement = Statement::new(
    "-- invitations.read
     SELECT operator_id, expires_at
     FROM invitations
     WHERE token_sha256 = $1
       AND expires_at > $2
     {lock}",
);

// An operator has one valid link; the one before ends with the next.
static FORGET_INVITATIONS: Statement = Statement::new(
    "-- invitations.forget
     DELETE FROM invitations
     WHERE COALESCE(operator_id, '') = $1
        OR expires_at <= $2",
);

impl Store {
    /// Makes the bootstrap link, unless somebody can let others in already. The one before it ends.
    pub async fn bootstrap(&self, link: ([u8; 32], Timestamp)) -> Result<bool, Error> {
        self.write((link, self.clock.now()), |session, (link, now)| {
            Box::pin(async move {
                if !admins(session).await?.is_empty() {
                    return Ok(false);
                }
                invite(session, None, *link, *now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Looks a link up without using it.
    pub async fn invitation(&self, sha256: [u8; 32]) -> Result<Option<Invitation>, Error> {
        let work = (sha256, self.clock.now());
        self.write(work, |session, (sha256, now)| Box::pin(invitation(session, *sha256, *now))).await
    }

    /// Uses a link: stores the password (PHC form), for the bootstrap link with a new admin of this name.
    pub async fn redeem(
        &self,
        sha256: [u8; 32],
        first_admin: Option<OperatorName>,
        password: String,
    ) -> Result<Redeemed, Error> {
        let work = (sha256, first_admin, password, self.clock.now());
        self.write(work, |session, (sha256, name, password, now)| {
            Box::pin(redeem(session, *sha256, name.as_ref(), password, *now))
        })
        .await
    }
}

async fn redeem(
    session: &mut Session,
    sha256: [u8; 32],
    first_admin: Option<&OperatorName>,
    password: &str,
    now: Timestamp,
) -> Result<Redeemed, Error> {
    let Some(invitation) = invitation(session, sha256, now).await? else { return Ok(Redeemed::Invalid) };
    let belongs_to = invitation.operator.as_ref().map(|operator| operator.id);
    let (id, name) = match (invitation.operator, first_admin) {
        (Some(operator), _) => {
            session.run(&SET_PASSWORD, binds![operator.id, Some(password), now]).await?;
            (operator.id, operator.name)
        }
        (None, Some(name)) => {
            // Somebody may have used another link meanwhile.
            if !admins(session).await?.is_empty() {
                return Ok(Redeemed::Invalid);
            }
            let id = OperatorId::generate(now);
            let values = binds![id, name.as_str(), Role::Admin.word(), Some(password), now, Some(now)];
            if session.run(&INSERT, values).await? == 0 {
                return Ok(Redeemed::NameTaken);
            }
            let detail = json!({ "operator": name.as_str(), "role": Role::Admin.word(), "by": "bootstrap link" });
            record(session, &Actor::Operator(name.to_string()), EventKind::OperatorAdded, detail, now).await?;
            (id, name.clone())
        }
        (None, None) => return Ok(Redeemed::Invalid),
    };
    session.run(&FORGET_INVITATIONS, binds![belongs_to_text(belongs_to), now]).await?;
    session.run(&END_SESSIONS, binds![id]).await?;
    let detail = json!({ "operator": name.as_str() });
    record(session, &Actor::Operator(name.to_string()), EventKind::PasswordChosen, detail, now).await?;
    Ok(Redeemed::Done(id))
}

async fn invitation(session: &mut Session, sha256: [u8; 32], now: Timestamp) -> Result<Option<Invitation>, Error> {
    let row = session.optional(&INVITATION, vec![Value::hex(&sha256), now.into()]).await?;
    let Some(row) = row else { return Ok(None) };
    let operator = match row.optional_parsed::<OperatorId>("operator_id")? {
        Some(id) => {
            let row = session.optional(&BY_ID, binds![id]).await?.ok_or(Error::NotFound { what: "operator" })?;
            Some(read(&row)?)
        }
        None => None,
    };
    let disabled = operator.as_ref().is_some_and(|operator| operator.disabled_at.is_some());
    Ok((!disabled).then_some(Invitation { operator, expires_at: row.time("expires_at")? }))
}

pub(super) async fn invite(
    session: &mut Session,
    operator: Option<OperatorId>,
    (sha256, expires_at): ([u8; 32], Timestamp),
    now: Timestamp,
) -> Result<(), Error> {
    session.run(&FORGET_INVITATIONS, binds![belongs_to_text(operator), now]).await?;
    session.run(&INVITE, binds![hex(&sha256), operator, now, expires_at]).await.map(drop)
}

/// The bootstrap link belongs to nobody.
fn belongs_to_text(operator: Option<OperatorId>) -> String {
    operator.map_or_else(String::new, |id| id.to_string())
}
