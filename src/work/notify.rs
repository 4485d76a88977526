//! Notify: tells the owner, in one mail for all tokens of the same owner in the same delivery. A token of an
//! organization may have several owners; each gets a mail of their own.
//!
//! The one place where a duplicate is possible: if the process dies after the mail server took the mail and before the
//! commit, the mail is sent again with the same Message-ID.

use std::time::Duration;

use tracing::{error, info, warn};

use super::runner::Worker;
use super::step::{Done, StepError};
use crate::crash;
use crate::incident::{Actor, EmailAddress};
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
    let past_hope = worker.clock.now().since(revoked_at) > worker.settings.mail_tries_for;
    let (notice, refused) = match tell(worker, claimed, notice, past_hope).await? {
        Telling::Over { notice, refused } => (notice, refused),
        Telling::Again(SendError::Misconfigured { why }) => {
            error!("the mail server refuses us: {why}; mail waits until this is mended");
            return Err(StepError::Retry { why, after: Some(MISCONFIGURED_PAUSE), attempt: Attempt::Uncounted });
        }
        Telling::Again(SendError::Retry { why } | SendError::Undeliverable { why }) => {
            let after = worker.backoff.pause(claimed.tries + 2, MAIL_BACKOFF_CAP);
            return Err(StepError::Retry { why, after: Some(after), attempt: Attempt::Counted });
        }
    };
    let actor = Actor::Worker(worker.settings.node.clone());
    match refused {
        Some(why) if notice.told.told == 0 => abandon(worker, claimed, &notice, &why, actor).await,
        refused => {
            if let Some(why) = refused {
                warn!(
                    notice.id = %notice.id,
                    "notice {} reached {} of the owners and will never reach {}: {why}",
                    notice.id, notice.told.told, notice.told.untold
                );
            }
            worker.store.settle_notice(claimed, notice.id, notice.told, actor).await?;
            crash::point("notify.after_settle");
            worker.count_notified(&notice);
            info!(
                notice.id = %notice.id, incident.id = %claimed.incident.id, incidents = notice.items.len(),
                "notice {} about incident {} and {} more was handed to the mail server",
                notice.id, claimed.incident.id, notice.items.len() - 1
            );
            Ok(Done::Committed)
        }
    }
}

/// How far the owners of a notice could be told.
enum Telling {
    /// Each was told, or never will be; `refused` is why the last of those was not.
    Over { notice: Notice, refused: Option<String> },
    /// Some are still to be told.
    Again(SendError),
}

/// Mails each owner who is still to be told. One whose mail is not taken now holds up none of the others, and who was
/// told is noted before the next is, so that nobody is mailed again for another's sake.
async fn tell(worker: &Worker, claimed: &Claimed, mut notice: Notice, past_hope: bool) -> Result<Telling, StepError> {
    let mut left = std::mem::take(&mut notice.to);
    let (mut next, mut refused, mut again) = (0, None, None);
    while next < left.len() {
        crash::point("notify.before_send");
        let sent = worker.mailer.send(&content(&notice, &left[next]), worker.clock.now()).await;
        crash::point("notify.after_send");
        match sent {
            Ok(()) => notice.told.told += 1,
            Err(SendError::Undeliverable { why }) => {
                notice.told.untold += 1;
                refused = Some(why);
            }
            Err(SendError::Retry { why }) if past_hope => {
                notice.told.untold += 1;
                refused = Some(why);
            }
            Err(error @ SendError::Misconfigured { .. }) => return Ok(Telling::Again(error)),
            Err(error) => {
                again = Some(error);
                next += 1;
                continue;
            }
        }
        left.remove(next);
        if !left.is_empty() {
            worker.store.note_told(claimed, notice.id, &left, notice.told).await?;
        }
    }
    Ok(again.map_or(Telling::Over { notice, refused }, Telling::Again))
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

fn content<'a>(notice: &'a Notice, to: &'a EmailAddress) -> Content<'a> {
    Content {
        notice_id: notice.id,
        to,
        created_at: notice.created_at,
        items: notice.items.iter().map(|item| (&item.incident, item.occurrences.as_slice())).collect(),
    }
}
