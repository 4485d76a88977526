//! What the brake rules by, as it is stored: what was let pass, which brakes are on, what the past week saw.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::sql::{Row, Session, Statement, binds};
use super::{Error, Store, brake};
use crate::clock::Timestamp;
use crate::incident::IssuerName;
use crate::incident::brake::{Cause, Ledger, Policy, Scope, Spent};

/// One budget as it stands.
#[derive(Clone, Debug)]
pub struct Budget {
    pub scope: Scope,
    /// Tokens that a window may let pass.
    pub budget: u64,
    /// Tokens let pass in the window that ends now.
    pub spent: u64,
    /// Since when its brake is on, if it is.
    pub on: Option<On>,
}

/// A brake that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct On {
    pub since: Timestamp,
    /// None: until a person lets go.
    pub until: Option<Timestamp>,
}

impl Budget {
    /// How many more tokens pass before one is held.
    pub fn remaining(&self) -> u64 {
        if self.on.is_some() { 0 } else { self.budget.saturating_sub(self.spent) }
    }
}

/// The past week ends a day ago, so that an attack of today is no measure of today's budget.
const WEEK_ENDS: Duration = Duration::from_hours(24);
pub(super) const WEEK_BEGINS: Duration = Duration::from_hours(8 * 24);

static ON: Statement = Statement::new(
    "-- brake.on
     SELECT cause, issuer, origin, on_since, on_until
     FROM brakes
     WHERE on_since IS NOT NULL
       AND (on_until IS NULL OR on_until > $1)",
);

static SPENT: Statement = Statement::new(
    "-- brake.spent
     SELECT issuer, origin, impact, CAST(sum(tokens) AS BIGINT) AS tokens
     FROM brake_spent
     WHERE span_at > $1
     GROUP BY issuer, origin, impact",
);

static PEAKS: Statement = Statement::new(
    "-- brake.peaks
     SELECT issuer, max(tokens) AS tokens
     FROM brake_hours
     WHERE hour_at >= $1
       AND hour_at < $2
       AND tripped = 0
     GROUP BY issuer",
);

static PEAK_OF_ALL: Statement = Statement::new(
    "-- brake.peak_of_all
     SELECT COALESCE(max(hours.tokens), 0) AS tokens
     FROM (SELECT CAST(sum(tokens) AS BIGINT) AS tokens
           FROM brake_hours
           WHERE hour_at >= $1
             AND hour_at < $2
           GROUP BY hour_at
           HAVING max(tripped) = 0) hours",
);

impl Store {
    /// The budget of all and that of each of these issuers as they stand, and every brake that is on.
    pub async fn budgets(&self, issuers: &[IssuerName]) -> Result<Vec<Budget>, Error> {
        let (policy, now) = (&self.brake, self.clock.now());
        let mut session = self.read().await?;
        let on = brakes_on(&mut session, now).await?;
        let ledger = read(&mut session, policy, now).await?;
        let mut scopes: BTreeSet<Scope> = issuers.iter().cloned().map(Scope::Issuer).collect();
        scopes.insert(Scope::All);
        scopes.extend(on.keys().cloned());
        let budget = |scope: Scope| Budget {
            budget: policy.budget(&scope, &ledger.peaks),
            spent: ledger.spent(&scope),
            on: on.get(&scope).copied(),
            scope,
        };
        Ok(scopes.into_iter().map(budget).collect())
    }
}

/// What was let pass, which brakes are on, and what the past week saw.
pub(super) async fn read(session: &mut Session, policy: &Policy, now: Timestamp) -> Result<Ledger, Error> {
    let on = brakes_on(session, now).await?.into_iter().map(|(scope, on)| (scope.to_string(), on.until)).collect();
    // A span counts for as long as any part of it lies in the window.
    let since = now.minus(policy.window).minus(brake::span(policy));
    let spent = session.all(&SPENT, binds![since]).await?;
    let mut peaks = HashMap::new();
    if policy.peak_factor > 0 {
        let week = || binds![now.minus(WEEK_BEGINS), now.minus(WEEK_ENDS)];
        for row in session.all(&PEAKS, week()).await? {
            peaks.insert(Some(IssuerName::new(&row.text("issuer")?)), tokens(&row)?);
        }
        for row in session.all(&PEAK_OF_ALL, week()).await? {
            peaks.insert(None, tokens(&row)?);
        }
    }
    Ok(Ledger { spent: spent.iter().map(read_spent).collect::<Result<_, _>>()?, on, peaks })
}

async fn brakes_on(session: &mut Session, now: Timestamp) -> Result<HashMap<Scope, On>, Error> {
    let rows = session.all(&ON, binds![now]).await?;
    let on =
        |row: &Row| Ok((read_scope(row)?, On { since: row.time("on_since")?, until: row.optional_time("on_until")? }));
    rows.iter().map(on).collect()
}

fn read_scope(row: &Row) -> Result<Scope, Error> {
    let issuer = row.optional_text("issuer")?.as_deref().map(IssuerName::new);
    Ok(match (row.parsed::<Cause>("cause")?, issuer, row.optional_text("origin")?) {
        (Cause::All, ..) => Scope::All,
        (Cause::HighImpact, Some(issuer), _) => Scope::HighImpact(issuer),
        (Cause::Issuer, Some(issuer), _) => Scope::Issuer(issuer),
        (Cause::Origin, issuer, Some(origin)) => Scope::Origin { origin, issuer },
        (cause, ..) => return Err(Error::corrupt("cause", format!("no brake goes on for {cause} alone"))),
    })
}

fn read_spent(row: &Row) -> Result<Spent, Error> {
    Ok(Spent {
        issuer: IssuerName::new(&row.text("issuer")?),
        origin: row.text("origin")?,
        impact: row.parsed("impact")?,
        tokens: tokens(row)?,
    })
}

fn tokens(row: &Row) -> Result<u64, Error> {
    Ok(u64::try_from(row.int("tokens")?).unwrap_or(0))
}
