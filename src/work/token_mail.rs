//! Mails about tokens of the built-in issuer that did not leak: made, about to end, a canary that was tried.
//!
//! Queued with what they tell about, claimed under a lease, sent under one Message-ID: at least once, and nearly always
//! once. A mail that became pointless, because its token is dead or was rotated, is not sent. None of this delays a
//! revocation: it runs beside the steps of incidents.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::runner::Worker;
use crate::clock::Timestamp;
use crate::notice::{Occasion, SendError, TokenContent};
use crate::store::{ClaimedTokenNotice, Error, TokenNotice, TokenOccasion};

/// Mails taken by one claim, and how long they are ours: longer than it takes to send as many.
const CLAIM_LIMIT: u32 = 16;
const LEASE_FOR: Duration = Duration::from_mins(10);
/// How often the ends of tokens are looked at; a warning is at most this late.
const LOOK_EVERY: Duration = Duration::from_mins(10);
const MAIL_BACKOFF_CAP: Duration = Duration::from_mins(30);
/// A mail server that refuses *us* is left alone this long.
const MISCONFIGURED_PAUSE: Duration = Duration::from_mins(1);

impl Worker {
    /// Sends what is due and looks for ends that come near, until `stop`.
    pub(super) async fn mail_about_tokens(self: Arc<Self>, stop: CancellationToken) {
        let mut looked_at: Option<Timestamp> = None;
        while !stop.is_cancelled() {
            let now = self.clock.now();
            if looked_at.is_none_or(|at| now.since(at) >= LOOK_EVERY) {
                match self.store.warn_of_expiry().await {
                    Ok(_) => looked_at = Some(now),
                    Err(failure) => told(&failure, "cannot look for tokens that end soon"),
                }
            }
            let sent = self.send_token_mails().await.unwrap_or_else(|failure| {
                told(&failure, "cannot send mails about tokens now");
                0
            });
            // A full claim may have left more behind.
            if sent < CLAIM_LIMIT as usize {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(self.settings.poll_every.max(Duration::from_secs(1))) => {}
                }
            }
        }
    }

    /// Queues the warnings that are due and sends every mail about tokens that is due; returns how many were taken up.
    /// For tests that move the clock, and for commands that want the work done.
    pub async fn mail_due_about_tokens(&self) -> Result<usize, Error> {
        self.store.warn_of_expiry().await?;
        let mut all = 0;
        loop {
            match self.send_token_mails().await? {
                0 => return Ok(all),
                some => all += some,
            }
        }
    }

    async fn send_token_mails(&self) -> Result<usize, Error> {
        let claimed = self.store.claim_token_notices(CLAIM_LIMIT, LEASE_FOR).await?;
        for each in &claimed {
            self.send_token_mail(each).await?;
        }
        Ok(claimed.len())
    }

    async fn send_token_mail(&self, claimed: &ClaimedTokenNotice) -> Result<(), Error> {
        let (notice, now) = (&claimed.notice, self.clock.now());
        if is_moot(notice, now) {
            return self.store.settle_token_notice(claimed, false).await;
        }
        let (id, token_id) = (notice.id, notice.token.id);
        match self.mailer.send_about_token(&content(notice), now).await {
            Ok(()) => {
                info!(notice.id = %id, token.id = %token_id, "mail {id} about token {token_id} was handed over: {}", notice.occasion);
                self.store.settle_token_notice(claimed, true).await
            }
            Err(SendError::Undeliverable { why }) => self.give_up(claimed, &why).await,
            Err(SendError::Retry { why }) if now.since(notice.created_at) > self.settings.mail_tries_for => {
                self.give_up(claimed, &why).await
            }
            Err(SendError::Retry { why }) => {
                let pause = self.backoff.pause(notice.tries + 2, MAIL_BACKOFF_CAP);
                self.store.postpone_token_notice(claimed, now.plus(pause), &why).await
            }
            Err(SendError::Misconfigured { why }) => {
                error!("the mail server refuses us: {why}; mail waits until this is mended");
                self.store.postpone_token_notice(claimed, now.plus(MISCONFIGURED_PAUSE), &why).await
            }
        }
    }

    async fn give_up(&self, claimed: &ClaimedTokenNotice, why: &str) -> Result<(), Error> {
        let id = claimed.notice.id;
        warn!(notice.id = %id, "mail {id} about a token cannot be delivered: {why}");
        self.store.abandon_token_notice(claimed, why).await
    }
}

/// Whether nobody needs the mail any more.
fn is_moot(notice: &TokenNotice, now: Timestamp) -> bool {
    match notice.occasion {
        // Whose token it was must hear that it was made, however short it lived; and that somebody tried a trap.
        TokenOccasion::CanaryUsed | TokenOccasion::Created => false,
        TokenOccasion::ExpiresIn1Day | TokenOccasion::ExpiresIn7Days => {
            notice.token.is_dead(now) || notice.token.replaced_by.is_some()
        }
    }
}

fn content(notice: &TokenNotice) -> TokenContent<'_> {
    let token = &notice.token;
    TokenContent {
        notice_id: notice.id,
        to: &token.owner_email,
        occasion: match notice.occasion {
            TokenOccasion::CanaryUsed => Occasion::CanaryUsed {
                at: notice.created_at,
                from: notice.detail.get("address").and_then(serde_json::Value::as_str),
            },
            TokenOccasion::Created => Occasion::Created,
            TokenOccasion::ExpiresIn1Day | TokenOccasion::ExpiresIn7Days => Occasion::Expires,
        },
        token_id: token.id.to_string(),
        name: &token.name,
        kind: token.kind.word(),
        hint: &token.hint,
        scopes: &token.scopes,
        projects: &token.projects,
        created_at: token.created_at,
        created_by: &token.created_by,
        expires_at: token.expires_at,
        last_used_at: token.last_used_at,
    }
}

fn told(failure: &Error, what: &str) {
    warn!(error = failure as &dyn std::error::Error, "{what}: {failure}");
}
