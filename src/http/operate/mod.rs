//! `/api/v1` for whoever operates the service: what leaked, what waits, what was done, and the levers.
//!
//! A viewer reads, a responder acts on incidents and issuers, an admin verifies the trail and stops everything. What
//! strangers wrote is made inert; of an owner's address, the domain is shown only.

mod audit;
mod change;
mod copy;
mod drill;
mod incidents;
mod issuers;
mod letter;
mod operators;
mod record;
mod releases;
mod state;
mod stream;
mod view;

use axum::http::StatusCode;
use serde::Deserialize;
use tracing::error;

use super::auth::Operator;
use super::input::limited;
use super::{Problem, Route, Verb};
use crate::clock::Timestamp;
use crate::incident::Actor;
use crate::redact::inert;
use crate::store::{Error, Order, PageRequest};

pub fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(incidents::routes());
    routes.extend(change::routes());
    routes.extend(copy::routes());
    routes.extend(letter::routes());
    routes.extend(operators::routes());
    routes.extend(releases::routes());
    routes.extend(drill::routes());
    routes.extend(issuers::routes());
    routes.extend(state::routes());
    routes.extend(audit::routes());
    routes.extend(record::routes());
    routes.extend(stream::routes());
    // A change that is asked for twice happens once. The look-up changes nothing, and its body is a token.
    let changes = |route: &Route| route.verb == Verb::Post && !route.path.ends_with("/lookup");
    routes.into_iter().map(|route| if changes(&route) { route.once() } else { route }).collect()
}

pub use change::try_now;
pub use copy::{NoBranch, revoke_branch};
pub use letter::{Letter, NoLetter, letter};
pub use operators::view as operator_view;
pub use record::told as statistics_view;
pub use stream::Listeners;

/// Why something is done, as a body says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: Option<String>,
}

const SOON: std::time::Duration = std::time::Duration::from_secs(5);

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn problem_of(error: Error) -> Problem {
    match error {
        Error::NotFound { .. } => Problem::new(StatusCode::NOT_FOUND),
        Error::LeaseLost | Error::NotChanged(_) | Error::Refused(_) => {
            Problem::new(StatusCode::CONFLICT).told(error.to_string())
        }
        Error::Unavailable(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(SOON),
        Error::Corrupt { .. } => {
            let failure: &(dyn std::error::Error + 'static) = &error;
            error!(failure, "an operator's question could not be answered");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail(detail)
}

fn page(cursor: Option<String>, limit: Option<u32>) -> Result<PageRequest, Problem> {
    let after = cursor.map(|text| text.parse()).transpose().map_err(|_| bad("`cursor` is not one of ours"))?;
    Ok(PageRequest { after, limit: limited(limit)? })
}

fn instant(text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let read = |text: String| Timestamp::parse(&text).ok_or_else(|| bad("an instant is as 2026-11-24T10:00:00Z"));
    text.map(read).transpose()
}

/// Who decided, and why.
fn order(operator: &Operator, reason: Option<String>) -> Order {
    let reason = reason.map(|reason| inert(reason.trim(), 500)).filter(|reason| !reason.is_empty());
    Order { actor: Actor::Operator(operator.name.clone()), reason }
}

/// As [`order`], where the reason is not to be left out.
fn order_with_reason(operator: &Operator, reason: Option<String>) -> Result<Order, Problem> {
    let order = order(operator, reason);
    if order.reason.is_some() { Ok(order) } else { Err(bad("say why in `reason`")) }
}
