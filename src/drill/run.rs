//! A drill on its way: what is done at each stage, and how it is told that one was passed.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tracing::warn;
use zeroize::Zeroizing;

use super::door::Seen;
use super::{Drills, FOLLOWED_FOR, LOOK_EVERY, Parts, TOKEN_LIVES};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, IncidentId, NoticeId, TokenId};
use crate::incident::drill::{Drill, Stage, StageResult};
use crate::incident::{Actor, EmailAddress, Incident, IssuedToken, State, Step, drill};
use crate::mint::{By, Expires, Mint, Order};
use crate::notice::Content;
use crate::store::{self, Change, IncidentDetail, NewOwner, OwnTokenKind, Paused, Selection};
use crate::token::{Confidence, Fingerprint, KindId};

/// A drill on its way.
pub(super) struct Run<'d, T> {
    pub(super) drills: &'d Drills,
    pub(super) drill: Drill,
    pub(super) actor: Actor,
    pub(super) told: T,
}

impl<T: Fn(&Drill) + Send + Sync> Run<'_, T> {
    fn parts(&self) -> &Parts {
        &self.drills.parts
    }

    fn since(&self, then: Timestamp) -> i64 {
        self.parts().clock.now().as_millis() - then.as_millis()
    }

    /// A drill that cannot be written down goes on: the database is what it may be about.
    pub(super) async fn save(&self) {
        (self.told)(&self.drill);
        if let Err(error) = self.parts().store.save_drill(&self.drill, &self.actor).await {
            warn!(drill.id = %self.drill.id, "how drill {} stands was not stored: {error}", self.drill.id);
        }
    }

    async fn fail(&mut self, stage: Stage, why: impl Into<String>) {
        self.drill.fail(stage, why);
        self.save().await;
    }

    async fn pass(&mut self, stage: Stage, took_ms: i64, note: impl Into<String>) {
        self.drill.pass(stage, took_ms.max(0), note);
        self.save().await;
    }

    pub(super) async fn whole(&mut self, address: EmailAddress) {
        let Some(mint) = self.parts().mint.clone() else { return };
        let Some((token_id, text)) = self.mint(&mint, address).await else { return };
        if let Some(sent_at) = self.report(&text, "fire_drill").await {
            self.follow(sent_at, &text).await;
        }
        self.tidy(&mint, token_id).await;
    }

    async fn mint(&mut self, mint: &Mint, address: EmailAddress) -> Option<(TokenId, Zeroizing<String>)> {
        let began = self.parts().clock.now();
        let owner = NewOwner { name: "Fire drill".into(), email: address };
        let made = async {
            let owner_id = self.parts().store.ensure_owner(owner).await?;
            let order = Order {
                expires: Expires::At(began.plus(TOKEN_LIVES)),
                tell_owner: false,
                additional: json!({ "drill": self.drill.id }),
                ..Order::new(OwnTokenKind::Pat, owner_id, format!("fire drill {}", self.drill.id))
            };
            let Actor::Operator(name) = &self.actor else {
                return mint.create(order, &By::Operator("drill".into())).await;
            };
            mint.create(order, &By::Operator(name.clone())).await
        };
        let issued = match made.await {
            Ok(issued) => issued,
            Err(refused) => {
                self.fail(Stage::Mint, format!("no token could be made: {refused}")).await;
                return None;
            }
        };
        let (token_id, text) = (issued.token.id, issued.text());
        match self.drills.door.show(&text).await {
            Ok(Seen::Accepted) => {
                let took = self.since(began);
                self.pass(Stage::Mint, took, format!("token {token_id} opens our own API")).await;
                Some((token_id, text))
            }
            Ok(Seen::Refused(status)) => {
                self.fail(Stage::Mint, format!("the fresh token was answered {status}")).await;
                self.tidy(mint, token_id).await;
                None
            }
            Err(why) => {
                self.fail(Stage::Mint, why).await;
                self.tidy(mint, token_id).await;
                None
            }
        }
    }

    /// Sends the signed report; returns when, if it was stored.
    async fn report(&mut self, token: &str, kind: &str) -> Option<Timestamp> {
        let record = json!([{ "token": token, "type": kind, "url": "", "source": self.drill.id.to_string() }]);
        let body = Zeroizing::new(record.to_string().into_bytes());
        let digest: [u8; 32] = Sha256::digest(&*body).into();
        let sent_at = self.parts().clock.now();
        match self.drills.door.deliver(&self.drills.signer, &body).await {
            Ok(status) if status.is_success() => {}
            Ok(status) => {
                self.fail(Stage::Report, format!("the signed report was answered {status}")).await;
                return None;
            }
            Err(why) => {
                self.fail(Stage::Report, why).await;
                return None;
            }
        }
        let took = self.since(sent_at);
        match self.parts().store.delivery_of(drill::ORIGIN, digest).await {
            Ok(Some(delivery)) => {
                self.drill.incident_id = delivery.incidents.first().copied();
                self.pass(Stage::Report, took, format!("stored as delivery {}", delivery.id)).await;
                Some(sent_at)
            }
            Ok(None) => {
                let why = "it was answered with success and is not in this database: is it the service of this one?";
                self.fail(Stage::Report, why).await;
                None
            }
            Err(error) => {
                self.fail(Stage::Report, error.to_string()).await;
                None
            }
        }
    }

    /// Watches the incident until it is over, something went wrong, or time is up.
    async fn follow(&mut self, sent_at: Timestamp, text: &str) {
        let Some(id) = self.drill.incident_id else {
            return self.fail(Stage::Verify, "the record was not recognized as a token of ours").await;
        };
        let mut last = None;
        while !self.drill.is_over() {
            if self.parts().clock.now().since(sent_at) > FOLLOWED_FOR {
                let stage = self.drill.stages.iter().map(|it| it.stage).find(|stage| self.drill.is_waiting(*stage));
                let why = self.why_it_waits(last.as_ref()).await;
                return self.fail(stage.unwrap_or(Stage::Close), why).await;
            }
            match self.parts().store.incident_detail(id).await {
                Ok(Some(detail)) => {
                    self.look(&detail, sent_at, text).await;
                    last = Some(detail);
                }
                Ok(None) => return self.fail(Stage::Verify, "its incident is gone").await,
                // An outage is told by the time that it costs.
                Err(_) => {}
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&mut self, detail: &IncidentDetail, sent_at: Timestamp, text: &str) {
        let incident = &detail.incident;
        let after = |at: Timestamp| at.as_millis() - sent_at.as_millis();
        let issuer = incident.issuer.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        if self.drill.is_waiting(Stage::Verify)
            && let Some(at) = incident.verified_at
        {
            match incident.verdict {
                Some("live") => self.pass(Stage::Verify, after(at), format!("by issuer {issuer}")).await,
                other => {
                    let why = format!("issuer {issuer} says: {}", other.unwrap_or("nothing").replace('_', " "));
                    return self.fail(Stage::Verify, why).await;
                }
            }
        }
        if self.drill.is_waiting(Stage::Revoke)
            && let Some(at) = incident.revoked_at
        {
            self.pass(Stage::Revoke, after(at), format!("by issuer {issuer}, and read back")).await;
            self.try_dead_token(sent_at, text).await;
        }
        if self.drill.is_waiting(Stage::Notify)
            && let Some(at) = incident.notified_at
        {
            let mail = incident.notice_id.map(|id| format!("mail {id}")).unwrap_or_default();
            self.pass(Stage::Notify, after(at), mail).await;
        }
        if self.drill.is_waiting(Stage::Close)
            && let Some(at) = incident.closed_at
        {
            self.pass(Stage::Close, after(at), format!("incident {}", incident.id)).await;
        }
        match &incident.state {
            State::Held { reason } => {
                self.fail(Stage::Revoke, format!("the brake holds it, as it would hold a real one: {reason}")).await;
            }
            State::Stuck { step, reason } => {
                let stage = match step {
                    Step::Close => Stage::Close,
                    Step::Notify => Stage::Notify,
                    Step::Revoke => Stage::Revoke,
                    Step::Verify => Stage::Verify,
                };
                self.fail(stage, format!("stuck: {reason}")).await;
            }
            State::Settled(outcome) | State::Closed(outcome) if self.drill.is_waiting(Stage::Revoke) => {
                self.fail(Stage::Revoke, format!("it ended as {} instead", outcome.word().replace('_', " "))).await;
            }
            _ => {}
        }
    }

    /// The first use after the revocation is the one that counts.
    async fn try_dead_token(&mut self, sent_at: Timestamp, text: &str) {
        match self.drills.door.show(text).await {
            Ok(Seen::Refused(status)) => {
                let took = self.since(sent_at);
                self.pass(Stage::Refuse, took, format!("answered {status}")).await;
            }
            Ok(Seen::Accepted) => self.fail(Stage::Refuse, "it still opens our own API").await,
            Err(why) => self.fail(Stage::Refuse, why).await,
        }
    }

    async fn why_it_waits(&self, last: Option<&IncidentDetail>) -> String {
        let pauses = self.parts().store.pauses().await.unwrap_or_default();
        if pauses.iter().any(|pause| pause.what == Paused::Everything) {
            return "everything is paused".into();
        }
        let Some(detail) = last else { return "the database did not answer".into() };
        let waits = format!("nothing more happened within {} s", FOLLOWED_FOR.as_secs());
        match &detail.job {
            Some(job) => match &job.last_error {
                Some(error) => format!("{waits}; the last try of step {} failed: {error}", job.step),
                None if job.leased.is_none() => format!("{waits}: no worker takes step {}; does one run?", job.step),
                None => format!("{waits}: step {} is under way", job.step),
            },
            None => waits,
        }
    }

    /// Leaves nothing for a person: the token is dead and its incident over, whatever went wrong.
    async fn tidy(&self, mint: &Mint, token_id: TokenId) {
        let by = By::Operator("drill".into());
        if let Err(refused) = mint.revoke(token_id, "the fire drill is over", &by).await {
            warn!(token.id = %token_id, "the drill's token {token_id} was not revoked: {refused}");
        }
        let Some(id) = self.drill.incident_id.filter(|_| self.failed()) else { return };
        let reason = Some(format!("fire drill {} is over", self.drill.id));
        let order = store::Order { actor: self.actor.clone(), reason };
        if let Err(error) = self.parts().store.change(Change::Dismiss, &Selection::Ids(vec![id]), &order).await {
            warn!(incident.id = %id, "the drill's incident {id} was not dismissed: {error}");
        }
    }

    fn failed(&self) -> bool {
        self.drill.stages.iter().any(|stage| stage.result == StageResult::Failed)
    }

    /// What is left to prove where tokens are issued elsewhere.
    pub(super) async fn door_and_mail(&mut self, address: &EmailAddress) {
        // No token of any kind, so nobody is asked about it; and another body at every drill.
        let text = format!("no token: {}", self.drill.id);
        if self.report(&text, "fire_drill").await.is_none() {
            return;
        }
        let began = self.parts().clock.now();
        let incident = no_incident(&self.drill.id.to_string(), began);
        let content = Content {
            notice_id: NoticeId::generate(began),
            to: address,
            created_at: began,
            items: vec![(&incident, &[])],
        };
        match self.parts().mailer.send(&content, began).await {
            Ok(()) => {
                let took = self.since(began);
                self.pass(Stage::Notify, took, format!("mail {}", content.notice_id)).await;
            }
            Err(error) => self.fail(Stage::Notify, error.to_string()).await,
        }
    }
}

/// What a mail needs that is about no token. It is stored nowhere.
fn no_incident(drill: &str, now: Timestamp) -> Incident {
    Incident {
        id: IncidentId::generate(now),
        delivery_id: DeliveryId::generate(now),
        origin: drill::ORIGIN.into(),
        kind: KindId::new("fire-drill"),
        fingerprint: Fingerprint::from_stored("none".into()),
        confidence: Confidence::Shape,
        hint: String::new(),
        issuer: None,
        state: State::Revoked,
        verdict: Some("live"),
        token: Some(IssuedToken {
            id: drill.to_owned(),
            name: Some(format!("fire drill {drill}")),
            owner: None,
            created_at: Some(now),
            last_used_at: None,
            last_used_from: None,
            expires_at: None,
            scopes: Vec::new(),
        }),
        notice_id: None,
        received_at: now,
        verified_at: Some(now),
        revoked_at: Some(now),
        notified_at: None,
        closed_at: None,
        revoke_tried: false,
        version: 0,
    }
}
