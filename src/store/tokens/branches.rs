//! Branches of macaroons that are denied.
//!
//! Whoever checks a macaroon computes the signature after each caveat. Once the hash of one of them is stored here,
//! every token that passes through that point is dead, while its parent and its siblings live. A hash of a signature is
//! no secret: nobody gets back from it to the signature.

use std::collections::HashSet;

use super::super::sql::{Row, Statement, Value, binds, hex};
use super::super::{Error, Store};
use super::trail;
use crate::clock::Timestamp;
use crate::id::{IncidentId, TokenId};
use crate::incident::EventKind;

/// A point of a macaroon's chain to be denied.
#[derive(Clone, Debug)]
pub struct Branch {
    /// SHA-256 of the signature at that point.
    pub sha256: [u8; 32],
    /// The issued token that the chain begins with.
    pub token_id: TokenId,
    pub by: String,
    pub reason: String,
    pub incident_id: Option<IncidentId>,
}

/// A denied point as stored.
#[derive(Clone, Debug)]
pub struct DeniedBranch {
    /// SHA-256 of the signature, hexadecimal.
    pub sha256: String,
    pub token_id: TokenId,
    pub denied_at: Timestamp,
    pub denied_by: String,
    pub reason: String,
    pub incident_id: Option<IncidentId>,
}

static DENY: Statement = Statement::new(
    "-- branches.deny
     INSERT INTO denied_branches (sha256, token_id, denied_at, denied_by, reason, incident_id)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (sha256) DO NOTHING",
);

static DENIED: Statement = Statement::new(
    "-- branches.denied
     SELECT sha256, token_id, denied_at, denied_by, reason, incident_id
     FROM denied_branches
     WHERE sha256 {in $1}",
);

static OF_TOKEN: Statement = Statement::new(
    "-- branches.of_token
     SELECT sha256, token_id, denied_at, denied_by, reason, incident_id
     FROM denied_branches
     WHERE token_id = $1
     ORDER BY denied_at, sha256",
);

impl Store {
    /// Denies a point; true if this call did it, false if it was denied already.
    pub async fn deny_branch(&self, branch: Branch) -> Result<bool, Error> {
        self.change_tokens((branch, self.clock.now()), |session, (branch, now)| {
            Box::pin(async move {
                let (by, reason) = (branch.by.as_str(), branch.reason.as_str());
                let binds = binds![hex(&branch.sha256), branch.token_id, *now, by, reason, branch.incident_id];
                let denied = session.run(&DENY, binds).await? == 1;
                if denied && branch.incident_id.is_none() {
                    let facts = serde_json::json!({ "branch": &hex(&branch.sha256)[..16], "reason": reason });
                    trail::tell(session, by, EventKind::TokenRevoked, branch.token_id, facts, *now).await?;
                }
                Ok(denied)
            })
        })
        .await
    }

    /// Which of these points are denied.
    pub async fn denied_branches(&self, points: &[[u8; 32]]) -> Result<Vec<DeniedBranch>, Error> {
        let points: HashSet<String> = points.iter().map(|point| hex(point)).collect();
        self.read().await?.all(&DENIED, vec![Value::list(points)]).await?.iter().map(read).collect()
    }

    /// The denied points of one issued token, oldest first.
    pub async fn denied_branches_of(&self, id: TokenId) -> Result<Vec<DeniedBranch>, Error> {
        self.read().await?.all(&OF_TOKEN, binds![id]).await?.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<DeniedBranch, Error> {
    Ok(DeniedBranch {
        sha256: row.text("sha256")?,
        token_id: row.parsed("token_id")?,
        denied_at: row.time("denied_at")?,
        denied_by: row.text("denied_by")?,
        reason: row.text("reason")?,
        incident_id: row.optional_parsed("incident_id")?,
    })
}
