//! What may happen to a stored token: its end, a pause, another name, less power. Never more power.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::super::sql::{Row, Session, Statement, Value, binds};
use super::super::{Error, Store};
use super::insert::LOCK_OWNER;
use super::{OwnToken, read, trail};
use crate::clock::Timestamp;
use crate::id::{IncidentId, OwnerId, TokenId};
use crate::incident::EventKind;

/// The end of a token: who wants it, and why.
#[derive(Clone, Debug)]
pub struct Revoking {
    /// `operator:…`, `token:…`, `owner:…`, `reporter:…`, `incident:…`, `system`.
    pub by: String,
    pub reason: String,
    pub incident_id: Option<IncidentId>,
}

/// A change of a living token, by whom.
#[derive(Clone, Debug)]
pub struct Changing {
    pub by: String,
}

/// Less power for a living token. What is not named stays.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    /// Another name, which is no power at all.
    pub name: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub projects: Option<Vec<String>>,
    pub organisations: Option<Vec<String>>,
    /// Caveats to be added to those of a macaroon, as their texts.
    pub caveats: Vec<String>,
    pub expires_at: Option<Timestamp>,
}

static LOCK: Statement = Statement::new(
    "-- tokens.lock
     SELECT id
     FROM tokens
     WHERE id = $1
     {lock}",
);

static READ: Statement = Statement::new(
    "-- tokens.read
     SELECT {token}
     FROM tokens
     JOIN owners ON owners.id = tokens.owner_id
     WHERE tokens.id = $1",
);

static REVOKE: Statement = Statement::new(
    "-- tokens.revoke
     UPDATE tokens
     SET revoked_at = $2, revoked_by = $3, revoked_reason = $4, incident_id = $5, updated_at = $2, updated_by = $3,
         -- Nothing is ever sealed for a dead token: what it kept is of no use but to a thief.
         seal_key_id = CASE WHEN kind = 'magic' THEN NULL ELSE seal_key_id END,
         sealed = CASE WHEN kind = 'magic' THEN NULL ELSE sealed END
     WHERE id = $1
       AND revoked_at IS NULL",
);

static SUSPEND: Statement = Statement::new(
    "-- tokens.suspend
     UPDATE tokens
     SET suspended_at = $2, updated_at = $3, updated_by = $4
     WHERE id = $1
       AND revoked_at IS NULL",
);

static NAME_TAKEN: Statement = Statement::new(
    "-- tokens.name_taken
     SELECT id
     FROM tokens
     WHERE owner_id = $1
       AND name = $2
       AND id <> $3
       AND revoked_at IS NULL
       AND replaced_by IS NULL
       AND (expires_at IS NULL OR expires_at > $4)",
);

static NARROW: Statement = Statement::new(
    "-- tokens.narrow
     UPDATE tokens
     SET name = $2, scopes = $3, projects = $4, organisations = $5, caveats = $6, expires_at = $7,
         updated_at = $8, updated_by = $9
     WHERE id = $1",
);

static SUSPEND_OWNER: Statement = Statement::new(
    "-- owners.suspend
     UPDATE owners
     SET suspended_at = $2
     WHERE id = $1",
);

static OF_ORGANISATION: Statement = Statement::new(
    "-- tokens.of_organisation
     SELECT {token}
     FROM tokens
     JOIN owners ON owners.id = tokens.owner_id
     WHERE tokens.owner_id = $1
       AND tokens.revoked_at IS NULL
       AND tokens.organisations <> '[]'
     ORDER BY tokens.id",
);

static SET_ORGANISATIONS: Statement = Statement::new(
    "-- tokens.set_organisations
     UPDATE tokens
     SET organisations = $2, updated_at = $3, updated_by = $4
     WHERE id = $1",
);

/// Why a token was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NotNarrowed {
    #[error("the token is dead")]
    Dead,
    #[error("the owner has a living token of this name")]
    NameTaken,
    #[error("a token can only be given less than it has")]
    Wider,
}

impl Store {
    /// Kills a token for ever; true if this call did it, false if it was dead already.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there never was such a token.
    pub async fn revoke_own_token(&self, id: TokenId, revoking: Revoking) -> Result<bool, Error> {
        self.change_tokens((id, revoking, self.clock.now()), |session, (id, revoking, now)| {
            Box::pin(async move {
                if revoke(session, *id, revoking, *now).await? {
                    // Of what a leak kills, the incident tells.
                    if revoking.incident_id.is_none() {
                        let facts = json!({ "reason": revoking.reason });
                        trail::tell(session, &revoking.by, EventKind::TokenRevoked, *id, facts, *now).await?;
                    }
                    return Ok(true);
                }
                session.optional(&LOCK, binds![*id]).await?.ok_or(Error::NotFound { what: "token" })?;
                Ok(false)
            })
        })
        .await
    }

    /// Sets a living token aside, or takes it back; false if it is revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there never was such a token.
    pub async fn suspend_own_token(&self, id: TokenId, suspended: bool, changing: Changing) -> Result<bool, Error> {
        self.change_tokens((id, suspended, changing, self.clock.now()), |session, (id, suspended, changing, now)| {
            Box::pin(async move {
                session.optional(&LOCK, binds![*id]).await?.ok_or(Error::NotFound { what: "token" })?;
                let at = suspended.then_some(*now);
                let changed = session.run(&SUSPEND, binds![*id, at, *now, changing.by.as_str()]).await? == 1;
                if changed {
                    let kind = if *suspended { EventKind::TokenSuspended } else { EventKind::TokenResumed };
                    trail::tell(session, &changing.by, kind, *id, Json::Null, *now).await?;
                }
                Ok(changed)
            })
        })
        .await
    }

    /// Sets an owner aside with all its tokens, or takes it back.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such owner.
    pub async fn suspend_owner(&self, id: OwnerId, suspended: bool, changing: Changing) -> Result<(), Error> {
        self.change_tokens((id, suspended, changing, self.clock.now()), |session, (id, suspended, changing, now)| {
            Box::pin(async move {
                let changed = session.run(&SUSPEND_OWNER, binds![*id, suspended.then_some(*now)]).await?;
                if changed != 1 {
                    return Err(Error::NotFound { what: "owner" });
                }
                let kind = if *suspended { EventKind::OwnerSuspended } else { EventKind::OwnerResumed };
                trail::tell_of_owner(session, &changing.by, kind, *id, *now).await
            })
        })
        .await
    }

    /// Renames a living token or takes power from it, and returns it as it is then.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there never was such a token, [`Error::NotChanged`] if it is dead, its name is taken, or
    /// the change would give it more than it has.
    pub async fn narrow_own_token(
        &self,
        id: TokenId,
        narrowing: Narrowing,
        changing: Changing,
    ) -> Result<OwnToken, Error> {
        let work = (id, narrowing, changing, self.clock.now());
        self.change_tokens(work, |session, (id, narrowing, changing, now)| {
            Box::pin(narrow(session, *id, narrowing, changing, *now))
        })
        .await
    }

    /// Takes an organisation from all tokens of an owner who left it. A token that is left with none is revoked.
    /// Returns the tokens that were changed or revoked.
    pub async fn leave_organisation(
        &self,
        owner_id: OwnerId,
        organisation: &str,
        changing: Changing,
    ) -> Result<Vec<TokenId>, Error> {
        let work = (owner_id, organisation.to_owned(), changing, self.clock.now());
        self.change_tokens(work, |session, (owner_id, organisation, changing, now)| {
            Box::pin(leave(session, *owner_id, organisation, changing, *now))
        })
        .await
    }
}

async fn revoke(session: &mut Session, id: TokenId, revoking: &Revoking, now: Timestamp) -> Result<bool, Error> {
    let binds = binds![id, now, revoking.by.as_str(), revoking.reason.as_str(), revoking.incident_id];
    Ok(session.run(&REVOKE, binds).await? == 1)
}

async fn narrow(
    session: &mut Session,
    id: TokenId,
    narrowing: &Narrowing,
    changing: &Changing,
    now: Timestamp,
) -> Result<OwnToken, Error> {
    session.optional(&LOCK, binds![id]).await?.ok_or(Error::NotFound { what: "token" })?;
    let mut token = by_id(session, id).await?;
    if token.is_dead(now) {
        return Err(Error::not_changed(NotNarrowed::Dead));
    }
    if let Some(name) = &narrowing.name {
        // As when a token is stored: the owner is locked, for no index knows which names are free.
        session.optional(&LOCK_OWNER, binds![token.owner_id]).await?;
        if session.optional(&NAME_TAKEN, binds![token.owner_id, name.as_str(), id, now]).await?.is_some() {
            return Err(Error::not_changed(NotNarrowed::NameTaken));
        }
        token.name.clone_from(name);
    }
    fewer(&mut token.scopes, narrowing.scopes.as_ref(), Empty::Nothing)?;
    fewer(&mut token.projects, narrowing.projects.as_ref(), Empty::Everything)?;
    fewer(&mut token.organisations, narrowing.organisations.as_ref(), Empty::Everything)?;
    if let Some(end) = narrowing.expires_at {
        if token.expires_at.is_some_and(|now_ends| end > now_ends) {
            return Err(Error::not_changed(NotNarrowed::Wider));
        }
        token.expires_at = Some(end);
    }
    token.caveats.extend(narrowing.caveats.iter().cloned());
    let values = vec![
        id.into(),
        token.name.as_str().into(),
        Value::list(&token.scopes),
        Value::list(&token.projects),
        Value::list(&token.organisations),
        Value::list(&token.caveats),
        token.expires_at.into(),
        now.into(),
        changing.by.as_str().into(),
    ];
    session.run(&NARROW, values).await?;
    let facts = json!({
        "renamed": narrowing.name.is_some(), "scopes": narrowing.scopes, "projects": narrowing.projects,
        "organisations": narrowing.organisations, "caveats": narrowing.caveats.len(), "expires_at": narrowing.expires_at,
    });
    trail::tell(session, &changing.by, EventKind::TokenNarrowed, id, facts, now).await?;
    by_id(session, id).await
}

/// What an empty list of a token stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Everything,
    Nothing,
}

fn fewer(has: &mut Vec<String>, wanted: Option<&Vec<String>>, empty: Empty) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    let held: BTreeSet<&String> = has.iter().collect();
    let all = empty == Empty::Everything;
    let narrower = wanted.iter().all(|each| (all && held.is_empty()) || held.contains(each));
    // Taking the last name off a list that means everything when it is empty would free the token.
    if !narrower || (all && wanted.is_empty() && !held.is_empty()) {
        return Err(Error::not_changed(NotNarrowed::Wider));
    }
    has.clone_from(wanted);
    Ok(())
}

async fn leave(
    session: &mut Session,
    owner_id: OwnerId,
    organisation: &str,
    changing: &Changing,
    now: Timestamp,
) -> Result<Vec<TokenId>, Error> {
    session.optional(&LOCK_OWNER, binds![owner_id]).await?.ok_or(Error::NotFound { what: "owner" })?;
    let tokens = session.all(&OF_ORGANISATION, binds![owner_id]).await?;
    let tokens: Vec<OwnToken> = tokens.iter().map(read).collect::<Result<_, _>>()?;
    let mut touched = Vec::new();
    for token in tokens.into_iter().filter(|token| token.organisations.iter().any(|name| name == organisation)) {
        let left: Vec<&String> = token.organisations.iter().filter(|name| *name != organisation).collect();
        if left.is_empty() {
            let reason = "its owner left the last organisation it was for".to_owned();
            let facts = json!({ "reason": reason });
            revoke(session, token.id, &Revoking { by: "system".into(), reason, incident_id: None }, now).await?;
            trail::tell(session, "system", EventKind::TokenRevoked, token.id, facts, now).await?;
        } else {
            let values = vec![token.id.into(), Value::list(left), now.into(), changing.by.as_str().into()];
            session.run(&SET_ORGANISATIONS, values).await?;
            let facts = json!({ "left_organisation": organisation });
            trail::tell(session, &changing.by, EventKind::TokenNarrowed, token.id, facts, now).await?;
        }
        touched.push(token.id);
    }
    Ok(touched)
}

pub(super) async fn by_id(session: &mut Session, id: TokenId) -> Result<OwnToken, Error> {
    let row: Row = session.optional(&READ, binds![id]).await?.ok_or(Error::NotFound { what: "token" })?;
    read(&row)
}
