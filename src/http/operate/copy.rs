//! Killing a narrowed copy alone: what leaked dies with all that was made of it, and the token it was made of lives.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::incidents::id_of;
use super::{order_with_reason, problem_of, view};
use crate::clock::Clock;
use crate::http::auth::Operator;
use crate::http::input::{Json, Path};
use crate::http::{Access, App, Problem, Route, schema};
use crate::id::IncidentId;
use crate::incident::{Event, EventKind, IllegalMove, Incident};
use crate::issuer::Question;
use crate::issuer::builtin::{Builtin, NAME, NoCopy};
use crate::operator::Role;
use crate::store::{Error, Order, Store};

pub fn routes() -> [Route; 1] {
    let access = Access::Operator(Role::Responder);
    let path = "/api/v1/incidents/{id}/revoke-branch";
    [Route::post(path, access, "Revokes the narrowed macaroon that leaked, and not the token it was made of", revoke)
        .takes(schema::good_reason())
        .gives(200, "Its revocation goes on as that of any token", view::changed_schema())
        .refuses(409, "It is no narrowed macaroon of the built-in issuer, or its state does not allow it")]
}

async fn revoke(
    State(app): State<App>,
    operator: Operator,
    Path(id): Path<String>,
    Json(why): Json<super::Why>,
) -> Result<Answer<Value>, Problem> {
    let order = order_with_reason(&operator, why.reason)?;
    let incident = revoke_branch(&app.store, &app.clock, id_of(&id)?, order).await.map_err(|error| match error {
        NoBranch::NotThere => Problem::new(StatusCode::NOT_FOUND),
        NoBranch::Store(error) => problem_of(error),
        NoBranch::NoCopy(_) => Problem::new(StatusCode::CONFLICT).told(error.to_string()),
    })?;
    Ok(Answer(json!({ "incident": view::incident(&incident) })))
}

/// Why no branch was revoked.
#[derive(Debug, thiserror::Error)]
pub enum NoBranch {
    #[error(transparent)]
    NoCopy(NoCopy),
    #[error("there is no such incident")]
    NotThere,
    #[error(transparent)]
    Store(#[from] Error),
}

/// Revokes the narrowed macaroon that leaked. The copy is dead when this returns; that it is confirmed and its owner told
/// is left to the work, as with every token.
///
/// # Errors
/// When it is none, or the incident's state does not allow it.
pub async fn revoke_branch(store: &Store, clock: &Clock, id: IncidentId, order: Order) -> Result<Incident, NoBranch> {
    let incident = store.incident(id).await?.ok_or(NoBranch::NotThere)?;
    if !incident.needs_secret() {
        let refused = IllegalMove { from: incident.state.word(), to: "narrowed to a copy" };
        return Err(NoBranch::Store(refused.into()));
    }
    if incident.issuer.as_ref().is_none_or(|issuer| issuer.as_str() != NAME) {
        return Err(NoBranch::NoCopy(NoCopy::Stranger));
    }
    let secret = store.secret(id).await?;
    let question = Question { incident_id: Some(id), kind: &incident.kind, secret: &secret, token: None };
    let builtin = Builtin::new(store.clone(), clock.clone());
    let reason = order.reason.clone().unwrap_or_default();
    let copy = builtin.deny_copy(&question, order.actor.text(), reason.clone()).await.map_err(|error| match error {
        NoCopy::Store(error) => NoBranch::Store(error),
        other => NoBranch::NoCopy(other),
    })?;
    let (now, actor) = (clock.now(), order.actor.clone());
    let detail = json!({ "token_id": copy.id, "reason": reason });
    let event = Event::new(now, actor.clone(), EventKind::BranchRevoked, Some(id)).with(detail);
    let narrow = move |incident: &mut Incident| incident.narrowed_to(copy, now).map(|()| vec![event]);
    Ok(store.intervene(id, actor, narrow).await?)
}
