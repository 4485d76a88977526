//! Mails about tokens that did not leak: made, about to expire, a canary that was tried.
//!
//! Each is a row before it is a mail, stored with what it tells about, and one row an occasion: the mail is sent once,
//! whoever dies in between. A mail that became pointless meanwhile, because the token was revoked or replaced, is not
//! sent.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value as Json;

use super::super::sql::{Row, Session, Statement, binds};
use super::super::{Error, Store};
use super::{OwnToken, read};
use crate::clock::Timestamp;
use crate::id::{LeaseToken, NoticeId, TokenId};

/// What a mail about a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenOccasion {
    CanaryUsed,
    Created,
    ExpiresIn1Day,
    ExpiresIn7Days,
}

/// A mail that must be sent.
#[derive(Clone, Debug)]
pub struct TokenNotice {
    /// Also the left part of the Message-ID, so that a repeated mail folds into the first.
    pub id: NoticeId,
    pub occasion: TokenOccasion,
    pub token: OwnToken,
    pub detail: Json,
    pub created_at: Timestamp,
    pub tries: u32,
}

/// A mail under lease: nobody else sends it until then.
#[derive(Clone, Debug)]
pub struct ClaimedTokenNotice {
    pub notice: TokenNotice,
    lease: LeaseToken,
}

static QUEUE: Statement = Statement::new(
    "-- token_notices.queue
     INSERT INTO token_notices (id, token_id, occasion, detail, state, created_at, due_at, tries)
     VALUES ($1, $2, $3, $4, 'pending', $5, $5, 0)
     ON CONFLICT (token_id, occasion) DO NOTHING",
);

// A short token would hear of its end with its beginning: only one that lived longer than the warning is warned of.
static EXPIRING: Statement = Statement::new(
    "-- token_notices.expiring
     SELECT tokens.id
     FROM tokens
     WHERE tokens.expires_at IS NOT NULL
       AND tokens.revoked_at IS NULL
       AND tokens.expires_at > $1
       AND tokens.expires_at <= $2
       AND tokens.replaced_by IS NULL
       AND tokens.canary = 0
       AND tokens.expires_at - tokens.created_at > $3
       AND NOT EXISTS (SELECT 1
                       FROM token_notices
                       WHERE token_notices.token_id = tokens.id
                         AND token_notices.occasion = $4)
     ORDER BY tokens.expires_at
     LIMIT $5",
);

static DUE: Statement = Statement::new(
    "-- token_notices.due
     SELECT id
     FROM token_notices
     WHERE state = 'pending'
       AND due_at <= $1
       AND (lease_token IS NULL OR lease_until <= $1)
     ORDER BY due_at
     LIMIT $2
     {lock}",
);

static CLAIM: Statement = Statement::new(
    "-- token_notices.claim
     UPDATE token_notices
     SET lease_token = $2, lease_until = $3
     WHERE id {in $1}",
);

static CLAIMED: Statement = Statement::new(
    "-- token_notices.claimed
     SELECT token_notices.id AS notice_id, token_notices.occasion, token_notices.detail,
            token_notices.created_at AS notice_created_at, token_notices.tries, {token}
     FROM token_notices
     JOIN tokens ON tokens.id = token_notices.token_id
     JOIN owners ON owners.id = tokens.owner_id
     WHERE token_notices.id {in $1}
     ORDER BY token_notices.id",
);

static END: Statement = Statement::new(
    "-- token_notices.end
     UPDATE token_notices
     SET state = $3, sent_at = $4, last_error = $5, lease_token = NULL, lease_until = NULL
     WHERE id = $1
       AND lease_token = $2",
);

static POSTPONE: Statement = Statement::new(
    "-- token_notices.postpone
     UPDATE token_notices
     SET due_at = $3, tries = tries + 1, last_error = $4, lease_token = NULL, lease_until = NULL
     WHERE id = $1
       AND lease_token = $2",
);

/// Rows of one transaction.
const BATCH: u32 = 200;

impl Store {
    /// Queues a mail about a token; a second one for the same occasion is no mail.
    pub async fn queue_token_notice(&self, id: TokenId, occasion: TokenOccasion, detail: Json) -> Result<(), Error> {
        self.write((id, occasion, detail, self.clock.now()), |session, (id, occasion, detail, now)| {
            Box::pin(async move { queue(session, *id, *occasion, detail, *now).await.map(drop) })
        })
        .await
    }

    /// Queues the warnings of tokens that end within seven days or within one; returns how many.
    pub async fn warn_of_expiry(&self) -> Result<u64, Error> {
        let mut queued = 0;
        for (occasion, before) in [
            (TokenOccasion::ExpiresIn7Days, Duration::from_hours(7 * 24)),
            (TokenOccasion::ExpiresIn1Day, Duration::from_hours(24)),
        ] {
            loop {
                let work = (occasion, before, self.clock.now());
                let done = self
                    .write(work, |session, (occasion, before, now)| Box::pin(warn(session, *occasion, *before, *now)));
                match done.await? {
                    0 => break,
                    some => queued += some,
                }
            }
        }
        Ok(queued)
    }

    /// Takes mails that are due, at most `limit`, for `lease_for`.
    pub async fn claim_token_notices(&self, limit: u32, lease_for: Duration) -> Result<Vec<ClaimedTokenNotice>, Error> {
        // A look that takes no lock first: most of the time there is nothing.
        let now = self.clock.now();
        if self.read().await?.all(&DUE_READ, binds![now]).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.write((limit, lease_for, now), |session, (limit, lease_for, now)| {
            Box::pin(claim(session, *limit, *lease_for, *now))
        })
        .await
    }

    /// The mail was handed over, or is pointless by now. A lost lease changes nothing.
    pub async fn settle_token_notice(&self, claimed: &ClaimedTokenNotice, sent: bool) -> Result<(), Error> {
        let state = if sent { "sent" } else { "moot" };
        self.end_token_notice(claimed, state, None).await
    }

    /// The mail cannot be delivered and is tried no more.
    pub async fn abandon_token_notice(&self, claimed: &ClaimedTokenNotice, why: &str) -> Result<(), Error> {
        self.end_token_notice(claimed, "undeliverable", Some(why.to_owned())).await
    }

    /// The mail was not taken and is tried again at `due_at`.
    pub async fn postpone_token_notice(
        &self,
        claimed: &ClaimedTokenNotice,
        due_at: Timestamp,
        why: &str,
    ) -> Result<(), Error> {
        let work = (claimed.notice.id, claimed.lease, due_at, why.to_owned());
        self.write(work, |session, (id, lease, due_at, why)| {
            Box::pin(async move { session.run(&POSTPONE, binds![*id, *lease, *due_at, why.as_str()]).await.map(drop) })
        })
        .await
    }

    async fn end_token_notice(
        &self,
        claimed: &ClaimedTokenNotice,
        state: &'static str,
        why: Option<String>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let sent_at = (state == "sent").then_some(now);
        let work = (claimed.notice.id, claimed.lease, state, sent_at, why);
        self.write(work, |session, (id, lease, state, sent_at, why)| {
            Box::pin(
                async move { session.run(&END, binds![*id, *lease, *state, *sent_at, why.as_deref()]).await.map(drop) },
            )
        })
        .await
    }
}

static DUE_READ: Statement = Statement::new(
    "-- token_notices.any_due
     SELECT id
     FROM token_notices
     WHERE state = 'pending'
       AND due_at <= $1
       AND (lease_token IS NULL OR lease_until <= $1)
     LIMIT 1",
);

pub(super) async fn queue(
    session: &mut Session,
    id: TokenId,
    occasion: TokenOccasion,
    detail: &Json,
    now: Timestamp,
) -> Result<u64, Error> {
    session.mark_work_due();
    let binds = binds![NoticeId::generate(now), id, occasion.word(), detail.to_string(), now];
    session.run(&QUEUE, binds).await
}

async fn warn(session: &mut Session, occasion: TokenOccasion, before: Duration, now: Timestamp) -> Result<u64, Error> {
    let lived = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
    let binds = binds![now, now.plus(before), lived, occasion.word(), BATCH];
    let rows = session.all(&EXPIRING, binds).await?;
    let mut queued = 0;
    for row in &rows {
        queued += queue(session, row.parsed("id")?, occasion, &Json::Null, now).await?;
    }
    Ok(queued)
}

async fn claim(
    session: &mut Session,
    limit: u32,
    lease_for: Duration,
    now: Timestamp,
) -> Result<Vec<ClaimedTokenNotice>, Error> {
    let due = session.all(&DUE, binds![now, limit]).await?;
    let ids: Vec<NoticeId> = due.iter().map(|row| row.parsed("id")).collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let lease = LeaseToken::generate(now);
    let list = || super::super::sql::Value::list(&ids);
    session.run(&CLAIM, vec![list(), lease.into(), now.plus(lease_for).into()]).await?;
    session.all(&CLAIMED, vec![list()]).await?.iter().map(|row| claimed(row, lease)).collect()
}

fn claimed(row: &Row, lease: LeaseToken) -> Result<ClaimedTokenNotice, Error> {
    let notice = TokenNotice {
        id: row.parsed("notice_id")?,
        occasion: row.parsed("occasion")?,
        token: read(row)?,
        detail: row.json("detail")?,
        created_at: row.time("notice_created_at")?,
        tries: u32::try_from(row.int("tries")?).unwrap_or(u32::MAX),
    };
    Ok(ClaimedTokenNotice { notice, lease })
}

impl TokenOccasion {
    pub fn word(self) -> &'static str {
        match self {
            Self::CanaryUsed => "canary_used",
            Self::Created => "created",
            Self::ExpiresIn1Day => "expires_in_1_day",
            Self::ExpiresIn7Days => "expires_in_7_days",
        }
    }
}

/// A word of a newer version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no occasion of a mail about a token")]
pub struct UnknownOccasion(String);

impl FromStr for TokenOccasion {
    type Err = UnknownOccasion;

    fn from_str(text: &str) -> Result<Self, UnknownOccasion> {
        let all = [Self::CanaryUsed, Self::Created, Self::ExpiresIn1Day, Self::ExpiresIn7Days];
        all.into_iter().find(|each| each.word() == text).ok_or_else(|| UnknownOccasion(text.to_owned()))
    }
}

impl fmt::Display for TokenOccasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
