//! `/api/v1/tokens`: the built-in issuer's tokens, made and managed over HTTP.
//!
//! A secret is in the answer to whoever asked for it, once, and that answer is not to be stored. A token manages the
//! tokens of its own owner and needs the scope `tokens:write` for it; an operator manages everybody's. Whoever holds a
//! token may ask what it is, replace it and end it, and nothing else.

mod change;
mod create;
mod list;
mod own;
mod owners;
mod rushomon;
mod view;

use axum::http::StatusCode;
use tracing::error;

pub use create::{end_by_default, magic as magic_order};

use super::once::secret_answer;
use super::{Problem, Route};
use crate::mint::Refused;

pub fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(create::routes());
    routes.extend(list::routes());
    routes.extend(change::routes());
    routes.extend(own::routes());
    routes.extend(owners::routes());
    routes.extend(rushomon::routes());
    routes
}

/// Why nothing was made or changed, as it is told.
pub fn problem_of(refused: Refused) -> Problem {
    let text = refused.to_string();
    let status = match refused {
        Refused::BadOrder(_) => StatusCode::BAD_REQUEST,
        Refused::Dead | Refused::NameTaken | Refused::RotatedBefore(_) | Refused::TooMany => StatusCode::CONFLICT,
        Refused::Forbidden(_) => StatusCode::FORBIDDEN,
        Refused::NotFound => StatusCode::NOT_FOUND,
        Refused::Unavailable(failure) => {
            let failure: &(dyn std::error::Error + 'static) = failure.as_ref();
            error!(failure, "could not make or change a token");
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(std::time::Duration::from_secs(5));
        }
    };
    Problem::new(status).told(text)
}
