//! Revoke: has the issuer kill the token, and believes it only after the read-back.

use serde_json::json;
use tracing::info;

use super::runner::Worker;
use super::step::{Done, StepError, facts, settlement};
use super::verify::elapsed;
use crate::crash;
use crate::incident::EventKind;
use crate::issuer::{Question, Revocation};
use crate::store::Claimed;

/// # Errors
/// Anything but the issuer's confirmation leaves the incident live and is tried again.
pub async fn revoke(worker: &Worker, claimed: &Claimed) -> Result<Done, StepError> {
    let mut incident = claimed.incident.clone();
    let issuer = worker.issuer_of(&incident)?;
    let secret = worker.store.secret(incident.id).await?;
    let asked_at = worker.clock.now();
    crash::point("revoke.before_call");
    let revocation = issuer
        .revoke(Question {
            incident_id: Some(incident.id),
            kind: &incident.kind,
            secret: &secret,
            token: incident.token.as_ref(),
        })
        .await;
    crash::point("revoke.after_call");
    let now = worker.clock.now();
    let mut detail = facts(claimed, elapsed(worker, asked_at));
    detail["issuer"] = json!(issuer.name().as_str());
    match revocation {
        Revocation::Confirmed => incident.revoked(now)?,
        // A try whose result was lost may have been the one that killed it: then it is our revocation, and its owner
        // must hear of it.
        Revocation::AlreadyDead | Revocation::NotOurs if incident.revoke_tried || claimed.tried_before() => {
            incident.revoked(now)?;
        }
        Revocation::AlreadyDead | Revocation::NotOurs => incident.found_dead()?,
        // It may be dead by now, and then by us: the next try must know that it is not the first.
        Revocation::Unconfirmed(unknown) => {
            return Err(StepError::from_unknown(unknown, claimed.tries, issuer.locality()).counted());
        }
        Revocation::Unknown(unknown) => return Err(StepError::from_unknown(unknown, claimed.tries, issuer.locality())),
    }
    let kind = if incident.revoked_at.is_some() { EventKind::Revoked } else { EventKind::Verified };
    if incident.revoked_at.is_some() {
        info!(
            incident.id = %incident.id, issuer = %issuer.name(),
            "revoked the token of incident {} at {}", incident.id, issuer.name()
        );
    } else {
        detail["verdict"] = json!("dead");
        incident.verdict = Some("dead");
        info!(incident.id = %incident.id, "the token of incident {} was dead before we came", incident.id);
    }
    Ok(Done::Settle(Box::new(settlement(incident, kind, detail, &worker.settings.node, now))))
}
