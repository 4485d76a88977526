//! Verify: asks the issuer whether the token lives.

use std::time::Duration;

use serde_json::json;
use tracing::info;

use super::runner::Worker;
use super::step::{Done, StepError, facts, settlement};
use crate::crash;
use crate::incident::{EventKind, Verdict};
use crate::issuer::Question;
use crate::store::Claimed;

/// # Errors
/// A verdict of unknown is an error here: the question stays open and is asked again.
pub async fn verify(worker: &Worker, claimed: &Claimed) -> Result<Done, StepError> {
    let mut incident = claimed.incident.clone();
    let issuer = worker.issuer_of(&incident)?;
    let secret = worker.store.secret(incident.id).await?;
    let asked_at = worker.clock.now();
    let question = Question { incident_id: Some(incident.id), kind: &incident.kind, secret: &secret, token: None };
    let verdicts = issuer.verify(std::slice::from_ref(&question)).await;
    crash::point("verify.after_call");
    let Some(verdict) = verdicts.into_iter().next() else {
        return Err(StepError::Fail { why: format!("issuer {} gave no verdict for one question", issuer.name()) });
    };
    let now = worker.clock.now();
    if let Verdict::Unknown(unknown) = verdict {
        return Err(StepError::from_unknown(unknown, claimed.tries, issuer.locality()));
    }
    incident.judge(&verdict, now)?;
    incident.issuer = Some(issuer.name().clone());
    info!(
        incident.id = %incident.id, issuer = %issuer.name(), verdict = verdict.word(),
        "issuer {} says that the token of incident {} is {}", issuer.name(), incident.id, verdict.word()
    );
    let mut detail = facts(claimed, elapsed(worker, asked_at));
    detail["verdict"] = json!(verdict.word());
    detail["issuer"] = json!(issuer.name().as_str());
    let kind = if incident.revoked_at.is_some() { EventKind::Revoked } else { EventKind::Verified };
    Ok(Done::Settle(Box::new(settlement(incident, kind, detail, &worker.settings.node, now))))
}

pub(super) fn elapsed(worker: &Worker, since: crate::clock::Timestamp) -> Duration {
    worker.clock.now().since(since)
}
