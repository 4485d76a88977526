//! The pages: one file each, with its view and its changes.

mod audit;
mod drill;
mod happened;
mod incident;
mod incidents;
mod issuers;
mod needs;
mod operators;
mod queue;
mod reporters;
mod revoked;
mod row;
mod settings;
mod strip;
mod times;
mod together;
mod tokens;

pub(super) use audit::Verification;

use super::Door;
use crate::http::Route;

pub(super) fn routes(door: &Door) -> Vec<Route> {
    [
        needs::routes(door),
        incidents::routes(door),
        incident::routes(door),
        together::routes(door),
        revoked::routes(door),
        issuers::routes(door),
        reporters::routes(door),
        queue::routes(door),
        times::routes(door),
        tokens::routes(door),
        audit::routes(door),
        drill::routes(door),
        operators::routes(door),
        settings::routes(door),
    ]
    .into_iter()
    .flatten()
    .collect()
}
