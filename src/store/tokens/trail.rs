//! What is told of a token's life in the audit trail, in the transaction of the change.
//!
//! The token's name is chosen by its owner and stays out; what a leak does to a token is told by its incident.

use serde_json::{Value as Json, json};

use super::super::sql::Session;
use super::super::{Error, audit};
use crate::clock::Timestamp;
use crate::id::{OwnerId, TokenId};
use crate::incident::{Actor, Event, EventKind};

/// Tells that `by` did something to an owner.
pub(super) async fn tell_of_owner(
    session: &mut Session,
    by: &str,
    kind: EventKind,
    owner_id: OwnerId,
    now: Timestamp,
) -> Result<(), Error> {
    let detail = json!({ "owner": owner_id });
    audit::insert(session, &[Event::new(now, Actor::Named(by.to_owned()), kind, None).with(detail)]).await
}

/// Tells that `by` did something to a token; `facts` are an object of ours.
pub(super) async fn tell(
    session: &mut Session,
    by: &str,
    kind: EventKind,
    token_id: TokenId,
    facts: Json,
    now: Timestamp,
) -> Result<(), Error> {
    let mut detail = json!({ "token": token_id });
    if let (Some(detail), Json::Object(facts)) = (detail.as_object_mut(), facts) {
        detail.extend(facts);
    }
    audit::insert(session, &[Event::new(now, Actor::Named(by.to_owned()), kind, None).with(detail)]).await
}
