//! Notify: tells the owner, in one mail for all tokens of the same owner in the same delivery.
//!
//! The one place where a duplicate is possible: if the process dies after the mail server took the mail and before the
//! commit, the mail is sent again with the same Message-ID.

use std::time::Duration;

use tracing::{error, info, warn};

use super::runner::Worker;
use super::step::{Done, StepError};
use crate::crash;
use crate::incident::Actor;
use crate::notice::{Content, SendError};
use crate::store::{Attempt, Claimed, Composed, Notice};

/// Pause before looking again whether the delivery's other tokens are settled.
const GATHER_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between two tries of one mail.
const MAIL_BACKOFF_CAP: Duration = Duration::from_mins(30);
/// A mail server that refuses *us* is left alone this long.
const MISCONFIGURED_PAUSE: Duration = Duration::from_mins(1);

/// # Errors
/// A mail that was not taken is tried again until [`Settings::mail_tries_for`](super::Settings) is over.
pub async fn notify(worker: &Worker, claimed: &Claimed) -> Result<Done, StepError> {
    let revoked_at = claimed.incident.revoked_at.unwrap_or(claimed.incident.received_at);
    let notice = match worker.store.compose(claimed, revoked_at.plus(worker.settings.gather_for)).await? {
        Composed::NoAddress => {
            return Err(StepError::Fail { why: "the issuer named no e-mail address for the owner".into() });
        }
        Composed::Ready(notice) => notice,
        Composed::Wait => {
            let why = "other tokens of the delivery may belong into the same mail".into();
            return Err(StepError::Retry { why, after: Some(GATHER_PAUSE), attempt: Attempt::Uncounted });
        }
    };
    crash::point("notify.before_send");
    let sent = worker.mailer.send(&content(&notice), worker.clock.now()).await;
    crash::point("notify.after_send");
    let actor = Actor::Worker(worker.settings.node.clone());
    match sent {
        Ok(()) => {
            worker.store.settle_notice(claimed, notice.id, actor).await?;
            crash::point("notify.after_settle");
            worker.count_notified(&notice);
            info!(
                notice.id = %notice.id, incident.id = %claimed.incident.id, incidents = notice.items.len(),
                "notice {} about incident {} and {} more was handed to the mail server",
                notice.id, claimed.incident.id, notice.items.len() - 1
            );
            Ok(Done::Committed)
        }
        Err(SendError::Undeliverable { why }) => abandon(worker, claimed, &notice, &why, actor).await,
        Err(SendError::Retry { why }) if worker.clock.now().since(revoked_at) > worker.settings.mail_tries_for => {
            abandon(worker, claimed, &notice, &why, actor).await
        }
        Err(SendError::Retry { why }) => {
            let after = worker.backoff.pause(claimed.tries + 2, MAIL_BACKOFF_CAP);
            Err(StepError::Retry { why, after: Some(after), attempt: Attempt::Counted })
        }
        Err(SendError::Misconfigured { why }) => {
            error!("the mail server refuses us: {why}; mail waits until this is mended");
            Err(StepError::Retry { why, after: Some(MISCONFIGURED_PAUSE), attempt: Attempt::Uncounted })
        }
    }
}

async fn abandon(
    worker: &Worker,
    claimed: &Claimed,
    notice: &Notice,
    why: &str,
    actor: Actor,
) -> Result<Done, StepError> {
    warn!(notice.id = %notice.id, "notice {} cannot be delivered, a person must look: {why}", notice.id);
    worker.store.abandon_notice(claimed, notice.id, why, actor).await?;
    Ok(Done::Committed)
}

fn content(notice: &Notice) -> Content<'_> {
    Content {
        notice_id: notice.id,
        to: &notice.to,
        created_at: notice.created_at,
        items: notice.items.iter().map(|item| (&item.incident, item.occurrences.as_slice())).collect(),
    }
}
