//! The limits of this door: how often one may fail to authenticate, make tokens, report.
//!
//! They are counted in each process by itself: a limit holds off a stampede, it is no budget.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::StatusCode;

use super::Problem;
use super::auth::{By, Manager};
use super::limit::{Limiter, Rate, network};
use crate::clock::Clock;

/// How often something may happen.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Refused credentials of one address.
    pub failures: Rate,
    /// Tokens made or rotated by one owner or operator.
    pub creations: Rate,
    /// Reports of one address that anybody may send.
    pub reports: Rate,
    /// Reports of one GitLab.
    pub deliveries: Rate,
    /// Tokens that anybody reported and that only an issuer elsewhere can judge, of all addresses together.
    pub elsewhere: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        let an_hour = Duration::from_hours(1);
        Self {
            failures: Rate { burst: 30, per: Duration::from_mins(5) },
            creations: Rate { burst: 60, per: an_hour },
            // What GitHub allows at the route of the same name.
            reports: Rate { burst: 60, per: an_hour },
            deliveries: Rate { burst: 600, per: Duration::from_mins(1) },
            elsewhere: Rate { burst: 5_000, per: an_hour },
        }
    }
}

/// One limiter each.
pub struct Limits {
    failures: Limiter<IpAddr>,
    creations: Limiter<String>,
    reports: Limiter<IpAddr>,
    deliveries: Limiter<String>,
    elsewhere: Limiter<()>,
}

impl Limits {
    pub fn new(rates: Rates, clock: &Clock) -> Self {
        Self {
            failures: Limiter::new(rates.failures, clock.clone()),
            creations: Limiter::new(rates.creations, clock.clone()),
            reports: Limiter::new(rates.reports, clock.clone()),
            deliveries: Limiter::new(rates.deliveries, clock.clone()),
            elsewhere: Limiter::new(rates.elsewhere, clock.clone()),
        }
    }

    /// Whether this address may try a credential now.
    ///
    /// # Errors
    /// How long it has to wait, for it failed too often.
    pub(super) fn may_try(&self, address: IpAddr) -> Result<(), Duration> {
        self.failures.look(&network(address))
    }

    pub(super) fn failed(&self, address: IpAddr) {
        // At the limit nothing is looked up any more, so nothing needs to be counted either.
        let _ = self.failures.take(&network(address), 1);
    }

    pub(super) fn creation(&self, manager: &Manager) -> Result<(), Problem> {
        let key = match (manager.owner_id, &manager.operator) {
            (Some(owner_id), _) => owner_id.to_string(),
            (None, Some(operator)) => match operator.by {
                // The command line of the machine has no limit either.
                By::Nothing => return Ok(()),
                By::Session(_) | By::Token(_) => format!("operator:{}", operator.name),
            },
            (None, None) => "none".to_owned(),
        };
        self.creations.take(&key, 1).map_err(too_many)
    }

    /// A magic token that somebody makes who shows no token of ours.
    pub(super) fn minting(&self, address: IpAddr) -> Result<(), Problem> {
        self.creations.take(&network(address).to_string(), 1).map_err(too_many)
    }

    pub(super) fn report(&self, address: IpAddr) -> Result<(), Problem> {
        self.reports.take(&network(address), 1).map_err(too_many)
    }

    pub(super) fn elsewhere(&self, tokens: u32) -> Result<(), Problem> {
        if tokens == 0 { Ok(()) } else { self.elsewhere.take(&(), tokens).map_err(too_many) }
    }

    pub(super) fn delivery(&self, token_id: &str) -> Result<(), Problem> {
        self.deliveries.take(&token_id.to_owned(), 1).map_err(too_many)
    }
}

fn too_many(retry_after: Duration) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS).retry_after(retry_after)
}
