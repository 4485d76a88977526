//! Reporters: who reports, with which keys, how much of it was a token, and whether they got their answers in time.
//!
//! Counts of an hour are read again from what was stored for as long as the hour may still change, so they are right
//! whatever crashed in between. Answers and refusals leave no row of their own: each process adds what it counted.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::sql::{Bulk, Row, Session, Statement, binds};
use super::{Error, Store};
use crate::clock::Timestamp;
use crate::incident::drill;

/// One reporter, and its last days.
#[derive(Clone, Debug)]
pub struct Reporter {
    pub origin: String,
    /// Its keys as they were last fetched; none if they never were.
    pub keys: Option<ReporterKeys>,
    pub last_delivery_at: Option<Timestamp>,
    /// The days on which anything came, newest first.
    pub days: Vec<ReporterDay>,
}

/// The keys of a reporter.
#[derive(Clone, Debug)]
pub struct ReporterKeys {
    pub fetched_at: Timestamp,
    pub keys: Vec<ReporterKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReporterKey {
    pub id: String,
    /// Since when the reporter lists it as no longer current.
    pub noncurrent_since: Option<Timestamp>,
}

/// What came from a reporter on one day (UTC).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReporterDay {
    /// Its first millisecond.
    pub day: i64,
    pub deliveries: i64,
    /// Records received.
    pub reports: i64,
    /// Records that named a token of a known kind.
    pub tokens: i64,
    pub unrecognized: i64,
    pub malformed: i64,
    /// Incidents that an issuer called its own, alive or dead.
    pub ours: i64,
    /// Incidents that ended in a revocation.
    pub revoked: i64,
    /// Answers that were given.
    pub answers: i64,
    /// Answers that took longer than the reporter's agreement allows.
    pub slow: i64,
    /// Deliveries whose signature did not hold.
    pub rejected: i64,
}

/// What one process counted of a reporter since it last told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerTally {
    pub origin: String,
    /// The first millisecond of the day.
    pub day: i64,
    pub answers: u32,
    pub slow: u32,
    pub rejected: u32,
}

pub const HOUR_MILLIS: i64 = 3_600_000;
pub const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// Records after which a reporter of whose tokens none is ours is an alarm.
const NEVER_VALID_AFTER: i64 = 10;
/// Days that are looked at for it.
const NEVER_VALID_DAYS: i64 = 7;
/// Hours counted by one statement, and statements of one round.
const HOURS_AT_ONCE: i64 = 48;
const ROUNDS: u32 = 20;

impl Reporter {
    /// Whether it reported again and again and nothing was ever a token of ours: its expression, or our kinds, are wrong.
    pub fn is_never_valid(&self, now: Timestamp) -> bool {
        let recent = || self.days.iter().filter(|day| day.day > now.as_millis() - NEVER_VALID_DAYS * DAY_MILLIS);
        recent().map(|day| day.reports).sum::<i64>() >= NEVER_VALID_AFTER && recent().all(|day| day.ours == 0)
    }

    /// Days of the current month (UTC) on which an answer was too slow. GitHub's agreement speaks of five.
    pub fn slow_days_this_month(&self, now: Timestamp) -> usize {
        // `2026-11-23T…`: the first seven characters are the month.
        let month = |millis: i64| Timestamp::from_millis(millis).to_string().get(..7).map(str::to_owned);
        let this = month(now.as_millis());
        self.days.iter().filter(|day| day.slow > 0 && month(day.day) == this).count()
    }
}

static KEY_LISTS: Statement = Statement::new(
    "-- reporters.key_lists
     SELECT origin, keys, fetched_at
     FROM key_lists
     ORDER BY origin",
);

static HOURS: Statement = Statement::new(
    "-- reporters.hours
     SELECT origin, hour / 86400000 * 86400000 AS day, CAST(sum(deliveries) AS BIGINT) AS deliveries,
            CAST(sum(reports) AS BIGINT) AS reports, CAST(sum(tokens) AS BIGINT) AS tokens,
            CAST(sum(unrecognized) AS BIGINT) AS unrecognized, CAST(sum(malformed) AS BIGINT) AS malformed
     FROM reporter_hours
     WHERE hour >= $1
     GROUP BY origin, hour / 86400000",
);

static DAYS: Statement = Statement::new(
    "-- reporters.days
     SELECT origin, day, answers, slow, rejected
     FROM reporter_days
     WHERE day >= $1",
);

static VALID: Statement = Statement::new(
    "-- reporters.valid
     SELECT origin, hour / 86400000 * 86400000 AS day, measure, CAST(sum(amount) AS BIGINT) AS amount
     FROM statistics_hours
     WHERE hour >= $1
       AND measure IN ('closed:revoked', 'verdict:dead', 'verdict:live')
     GROUP BY origin, hour / 86400000, measure",
);

static LAST_DELIVERY: Statement = Statement::new(
    "-- reporters.last_delivery
     SELECT max(received_at) AS received_at
     FROM deliveries
     WHERE origin = $1
       AND received_at >= $2",
);

static NEXT_HOUR: Statement = Statement::new(
    "-- reporters.next_hour
     SELECT min(received_at) / 3600000 * 3600000 AS hour
     FROM deliveries
     WHERE received_at >= $1",
);

static LAST_HOUR: Statement = Statement::new(
    "-- reporters.last_hour
     SELECT max(hour) AS hour
     FROM reporter_hours",
);

static COUNT_DELIVERIES: Statement = Statement::new(
    "-- reporters.count_deliveries
     SELECT origin, received_at / 3600000 * 3600000 AS hour, count(*) AS deliveries,
            CAST(sum(reports) AS BIGINT) AS reports
     FROM deliveries
     WHERE received_at >= $1
       AND received_at < $2
     GROUP BY origin, received_at / 3600000",
);

static COUNT_REPORTS: Statement = Statement::new(
    "-- reporters.count_reports
     SELECT deliveries.origin, deliveries.received_at / 3600000 * 3600000 AS hour, reports.outcome, count(*) AS reports
     FROM deliveries
     JOIN reports ON reports.delivery_id = deliveries.id
     WHERE deliveries.received_at >= $1
       AND deliveries.received_at < $2
     GROUP BY deliveries.origin, deliveries.received_at / 3600000, reports.outcome",
);

static PUT_HOURS: Bulk = Bulk::new(
    7,
    "-- reporters.put_hours
     INSERT INTO reporter_hours (origin, hour, deliveries, reports, tokens, unrecognized, malformed)
     VALUES {rows}
     ON CONFLICT (origin, hour) DO UPDATE
     SET deliveries = excluded.deliveries, reports = excluded.reports, tokens = excluded.tokens,
         unrecognized = excluded.unrecognized, malformed = excluded.malformed",
);

static ADD_DAYS: Bulk = Bulk::new(
    5,
    "-- reporters.add_days
     INSERT INTO reporter_days (origin, day, answers, slow, rejected)
     VALUES {rows}
     ON CONFLICT (origin, day) DO UPDATE
     SET answers = reporter_days.answers + excluded.answers, slow = reporter_days.slow + excluded.slow,
         rejected = reporter_days.rejected + excluded.rejected",
);

/// As [`KeyList`](super::KeyList) holds them.
#[derive(Deserialize)]
struct StoredKeys {
    keys: Vec<StoredKey>,
}

#[derive(Deserialize)]
struct StoredKey {
    id: String,
    #[serde(default)]
    noncurrent_since: Option<i64>,
}

impl Store {
    /// Everybody who has reported or whose keys are known, with the days since `from`.
    pub async fn reporters(&self, from: Timestamp) -> Result<Vec<Reporter>, Error> {
        let mut session = self.read().await?;
        let from = from.as_millis().div_euclid(DAY_MILLIS) * DAY_MILLIS;
        let mut reporters: BTreeMap<String, Reporter> = BTreeMap::new();
        for row in session.all(&KEY_LISTS, Vec::new()).await? {
            let origin = row.text("origin")?;
            entry(&mut reporters, &origin).keys = keys(&row)?;
        }
        for ((origin, day), counted) in days(&mut session, from).await? {
            let reporter = entry(&mut reporters, &origin);
            reporter.days.push(ReporterDay { day, ..counted });
        }
        // What the installation reports to itself is nobody's record.
        reporters.remove(drill::ORIGIN);
        for reporter in reporters.values_mut() {
            reporter.days.sort_by_key(|day| std::cmp::Reverse(day.day));
            let last = session.optional(&LAST_DELIVERY, binds![reporter.origin.as_str(), from]).await?;
            reporter.last_delivery_at = last.map(|row| row.optional_time("received_at")).transpose()?.flatten();
        }
        Ok(reporters.into_values().collect())
    }

    /// Counts the hours that may have changed. Any process, any number of times.
    pub async fn count_reporter_hours(&self) -> Result<(), Error> {
        let mut session = self.read().await?;
        let last = session.optional(&LAST_HOUR, Vec::new()).await?;
        let last = last.map(|row| row.optional_time("hour")).transpose()?.flatten();
        // A delivery is dated before it is committed, so the hour before the last may have grown as well.
        let mut from = last.map_or(0, |hour| hour.as_millis() - HOUR_MILLIS);
        for _ in 0..ROUNDS {
            let next = session.optional(&NEXT_HOUR, binds![from]).await?;
            let Some(start) = next.map(|row| row.optional_time("hour")).transpose()?.flatten() else { return Ok(()) };
            let (start, end) = (start.as_millis(), start.as_millis() + HOURS_AT_ONCE * HOUR_MILLIS);
            let counted = count(&mut session, start, end).await?;
            self.write(counted, |session, counted| Box::pin(put_hours(session, counted))).await?;
            from = end;
        }
        Ok(())
    }

    /// Adds what a process counted.
    pub async fn add_answers(&self, tallies: Vec<AnswerTally>) -> Result<(), Error> {
        self.write(tallies, |session, tallies| {
            Box::pin(async move {
                let values =
                    tallies.iter().flat_map(|it| binds![it.origin.as_str(), it.day, it.answers, it.slow, it.rejected]);
                session.insert(&ADD_DAYS, values.collect()).await.map(drop)
            })
        })
        .await
    }
}

type Counted = BTreeMap<(String, i64), ReporterDay>;

/// What is known of each origin and day since `from`.
async fn days(session: &mut Session, from: i64) -> Result<Counted, Error> {
    let mut days = Counted::new();
    for row in session.all(&HOURS, binds![from]).await? {
        let day = days.entry((row.text("origin")?, row.int("day")?)).or_default();
        day.deliveries = row.int("deliveries")?;
        day.reports = row.int("reports")?;
        day.tokens = row.int("tokens")?;
        day.unrecognized = row.int("unrecognized")?;
        day.malformed = row.int("malformed")?;
    }
    for row in session.all(&DAYS, binds![from]).await? {
        let day = days.entry((row.text("origin")?, row.int("day")?)).or_default();
        day.answers = row.int("answers")?;
        day.slow = row.int("slow")?;
        day.rejected = row.int("rejected")?;
    }
    for row in session.all(&VALID, binds![from]).await? {
        let day = days.entry((row.text("origin")?, row.int("day")?)).or_default();
        let amount = row.int("amount")?;
        if row.text("measure")? == "closed:revoked" {
            day.revoked = amount;
        } else {
            day.ours += amount;
        }
    }
    Ok(days)
}

/// Counts each origin's hours between two instants.
async fn count(session: &mut Session, start: i64, end: i64) -> Result<Counted, Error> {
    let mut hours = Counted::new();
    for row in session.all(&COUNT_DELIVERIES, binds![start, end]).await? {
        let hour = hours.entry((row.text("origin")?, row.int("hour")?)).or_default();
        hour.deliveries = row.int("deliveries")?;
        hour.reports = row.int("reports")?;
    }
    for row in session.all(&COUNT_REPORTS, binds![start, end]).await? {
        let hour = hours.entry((row.text("origin")?, row.int("hour")?)).or_default();
        let reports = row.int("reports")?;
        match row.text("outcome")?.as_str() {
            "malformed" => hour.malformed = reports,
            "token" => hour.tokens = reports,
            _ => hour.unrecognized += reports,
        }
    }
    Ok(hours)
}

async fn put_hours(session: &mut Session, counted: &Counted) -> Result<(), Error> {
    let values = counted.iter().flat_map(|((origin, hour), it)| {
        binds![origin.as_str(), *hour, it.deliveries, it.reports, it.tokens, it.unrecognized, it.malformed]
    });
    session.insert(&PUT_HOURS, values.collect()).await.map(drop)
}

fn entry<'r>(reporters: &'r mut BTreeMap<String, Reporter>, origin: &str) -> &'r mut Reporter {
    reporters.entry(origin.to_owned()).or_insert_with(|| Reporter {
        origin: origin.to_owned(),
        keys: None,
        last_delivery_at: None,
        days: Vec::new(),
    })
}

/// The keys of a list; none if another version wrote it.
fn keys(row: &Row) -> Result<Option<ReporterKeys>, Error> {
    let fetched_at = row.time("fetched_at")?;
    let Ok(stored) = serde_json::from_str::<StoredKeys>(&row.text("keys")?) else { return Ok(None) };
    let key =
        |key: StoredKey| ReporterKey { id: key.id, noncurrent_since: key.noncurrent_since.map(Timestamp::from_millis) };
    Ok(Some(ReporterKeys { fetched_at, keys: stored.keys.into_iter().map(key).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporter(days: Vec<ReporterDay>) -> Reporter {
        Reporter { origin: "github".into(), keys: None, last_delivery_at: None, days }
    }

    #[test]
    fn slow_days_are_those_of_the_month() {
        let now = Timestamp::parse("2026-11-24T12:00:00Z").expect("an instant");
        let day = |text: &str, slow| ReporterDay {
            day: Timestamp::parse(text).expect("an instant").as_millis(),
            slow,
            ..ReporterDay::default()
        };
        let days = vec![
            day("2026-11-24T00:00:00Z", 3),
            day("2026-11-23T00:00:00Z", 0),
            day("2026-11-01T00:00:00Z", 1),
            day("2026-10-31T00:00:00Z", 9),
        ];
        assert_eq!(reporter(days).slow_days_this_month(now), 2);
    }

    #[test]
    fn a_reporter_whose_tokens_are_never_ours_is_noticed() {
        let now = Timestamp::from_millis(30 * DAY_MILLIS);
        let day = |day, reports, ours| ReporterDay { day: day * DAY_MILLIS, reports, ours, ..ReporterDay::default() };
        assert!(reporter(vec![day(30, 4, 0), day(29, 6, 0), day(10, 1, 1)]).is_never_valid(now));
        assert!(!reporter(vec![day(30, 4, 0), day(29, 6, 1)]).is_never_valid(now));
        assert!(!reporter(vec![day(30, 9, 0), day(10, 100, 0)]).is_never_valid(now), "too few to tell");
    }
}
