//! The state of an incident and its legal moves.
//!
//! A state carries what only it knows. A move that the state does not allow is refused and changes nothing, so that a
//! worker with an old picture of the incident cannot bend its history.

use super::words::words;
use super::{IssuedToken, IssuerName, Verdict};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, IncidentId, NoticeId};
use crate::token::{Confidence, Fingerprint, KindId};

/// One leaked token and all that is known about it, except the token.
#[derive(Clone, Debug)]
pub struct Incident {
    pub id: IncidentId,
    /// The delivery that opened it; tokens of one owner in one delivery share a mail.
    pub delivery_id: DeliveryId,
    /// Who reported it first.
    pub origin: String,
    pub kind: KindId,
    pub fingerprint: Fingerprint,
    pub confidence: Confidence,
    /// At most four last characters of the checksum, to tell two tokens of one owner apart. Empty for short tokens.
    pub hint: String,
    /// Who was asked; none if no issuer is configured for the kind.
    pub issuer: Option<IssuerName>,
    pub state: State,
    /// What the issuer last said: `live`, `dead`, `forged`, `not_ours`, `unknown`.
    pub verdict: Option<&'static str>,
    /// What the issuer told us about its token.
    pub token: Option<IssuedToken>,
    pub notice_id: Option<NoticeId>,
    pub received_at: Timestamp,
    pub verified_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub notified_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    /// Its issuer may have killed it for us without our hearing of it: if it is found dead, that was us.
    pub revoke_tried: bool,
    /// Counts stored moves; a move on an old copy of the incident is refused by the store.
    pub version: i64,
}

/// Where an incident stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The end. Nothing of the secret is left.
    Closed(Outcome),
    /// The brake stopped the revocation; a person releases or dismisses it.
    Held { reason: String },
    /// The issuer says the token lives: revoke it.
    Live,
    /// The owner was told; only closing is left.
    Notified,
    /// The issuer has not been asked, or has not answered.
    Open,
    /// The issuer confirmed the revocation; the owner must be told.
    Revoked,
    /// Nothing to revoke and nobody to tell; only closing is left.
    Settled(Outcome),
    /// A person must look. `step` is where it goes on after a retry.
    Stuck { step: Step, reason: String },
}

impl State {
    /// All words of [`State::word`], in the order of an incident's life.
    pub const WORDS: [&str; 8] = ["open", "live", "held", "revoked", "notified", "settled", "stuck", "closed"];
}

/// How an incident ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The token was dead before we came.
    AlreadyDead,
    /// A person decided that nothing is to be done.
    Dismissed,
    /// The issuer never issued it.
    NotOurs,
    /// We revoked it.
    Revoked,
}

/// A piece of work on an incident; also the stage of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Verify,
    Revoke,
    Notify,
    Close,
}

/// The incident's state does not allow the move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an incident that is {from} cannot be {to}")]
pub struct IllegalMove {
    pub from: &'static str,
    pub to: &'static str,
}

impl Incident {
    /// Whether the token was used after it was reported; none if its issuer cannot tell a use from our own question.
    pub fn used_after_report(&self) -> Option<bool> {
        let token = self.token.as_ref()?;
        let noted = token.last_used_from.is_some() || (self.is_builtin() && token.last_used_at.is_none());
        noted.then(|| token.last_used_at.is_some_and(|used| used > self.received_at))
    }

    /// Whether the token is one of the issuer's that stanch brings along.
    pub fn is_builtin(&self) -> bool {
        self.issuer.as_ref().is_some_and(|issuer| issuer.as_str() == "builtin")
    }

    /// Records the issuer's verdict on an open incident. One that is found dead after we had tried to revoke it is
    /// revoked: its owner must hear of it.
    ///
    /// # Errors
    /// When the incident is not open.
    pub fn judge(&mut self, verdict: &Verdict, now: Timestamp) -> Result<(), IllegalMove> {
        self.require(self.state == State::Open, "judged")?;
        self.verdict = Some(verdict.word());
        let (state, token) = match verdict {
            Verdict::Dead(token) if self.revoke_tried => {
                self.revoked_at = Some(now);
                (State::Revoked, token.clone().or_else(|| self.token.take()))
            }
            Verdict::Dead(token) => (State::Settled(Outcome::AlreadyDead), token.clone()),
            // Nothing to revoke, and nobody is harmed; whose name it is is kept for who looks into it.
            Verdict::Forged(token) => (State::Settled(Outcome::NotOurs), Some(token.clone())),
            Verdict::Live(token) => (State::Live, Some(token.clone())),
            Verdict::NotOurs => (State::Settled(Outcome::NotOurs), None),
            // Unknown is not dead: the question stays open.
            Verdict::Unknown(_) => return Ok(()),
        };
        self.state = state;
        self.token = token;
        self.verified_at = Some(now);
        Ok(())
    }

    /// The brake stops the revocation of a live token.
    ///
    /// # Errors
    /// When the incident is not waiting for its revocation.
    pub fn hold(&mut self, reason: String) -> Result<(), IllegalMove> {
        self.require(self.state == State::Live, "held")?;
        self.state = State::Held { reason };
        Ok(())
    }

    /// A person lets a held revocation go on.
    ///
    /// # Errors
    /// When the incident is not held.
    pub fn release(&mut self) -> Result<(), IllegalMove> {
        self.require(matches!(self.state, State::Held { .. }), "released")?;
        self.state = State::Live;
        Ok(())
    }

    /// The issuer confirmed that it killed the token for us.
    ///
    /// # Errors
    /// When the incident is not waiting for its revocation.
    pub fn revoked(&mut self, now: Timestamp) -> Result<(), IllegalMove> {
        self.require(self.state == State::Live, "revoked")?;
        self.state = State::Revoked;
        self.revoked_at = Some(now);
        Ok(())
    }

    /// The token died by another hand between verification and revocation: nothing was done, nobody is told.
    ///
    /// # Errors
    /// When the incident is not waiting for its revocation.
    pub fn found_dead(&mut self) -> Result<(), IllegalMove> {
        self.require(self.state == State::Live, "found dead")?;
        self.state = State::Settled(Outcome::AlreadyDead);
        Ok(())
    }

    /// The owner was told by `notice_id`.
    ///
    /// # Errors
    /// When the incident is not waiting for its notice.
    pub fn notified(&mut self, notice_id: NoticeId, now: Timestamp) -> Result<(), IllegalMove> {
        self.require(self.state == State::Revoked, "notified")?;
        self.state = State::Notified;
        self.notice_id = Some(notice_id);
        // A mail that is sent again does not change when the owner was told.
        self.notified_at.get_or_insert(now);
        Ok(())
    }

    /// A person has the owner told again, by a mail of its own.
    ///
    /// # Errors
    /// When the token was not revoked, or its owner is still to be told.
    pub fn tell_again(&mut self) -> Result<(), IllegalMove> {
        let told = matches!(self.state, State::Closed(Outcome::Revoked) | State::Notified);
        self.require(told, "told again")?;
        self.state = State::Revoked;
        self.notice_id = None;
        Ok(())
    }

    /// A person has the issuer asked again. What was held stays held if it lives.
    ///
    /// # Errors
    /// When the token is revoked or erased: there is nothing to ask with.
    pub fn recheck(&mut self) -> Result<(), IllegalMove> {
        let asks = match self.state {
            State::Held { .. } | State::Open => true,
            State::Stuck { step, .. } => matches!(step, Step::Revoke | Step::Verify),
            _ => false,
        };
        self.require(asks, "asked about again")?;
        self.state = State::Open;
        Ok(())
    }

    /// A person killed the narrowed copy that leaked and not the token it was made of: its revocation is confirmed and
    /// its owner told as of any other.
    ///
    /// # Errors
    /// When there is no revocation to wait for.
    pub fn narrowed_to(&mut self, copy: IssuedToken, now: Timestamp) -> Result<(), IllegalMove> {
        let waits = match self.state {
            State::Held { .. } | State::Live | State::Open => true,
            State::Stuck { step, .. } => matches!(step, Step::Revoke | Step::Verify),
            _ => false,
        };
        self.require(waits, "narrowed to a copy")?;
        self.state = State::Live;
        self.verdict = Some("live");
        self.token = Some(copy);
        self.verified_at.get_or_insert(now);
        Ok(())
    }

    /// A report names the token again after its incident was closed: the issuer is asked again.
    ///
    /// # Errors
    /// When the incident is not over.
    pub fn reopen(&mut self) -> Result<(), IllegalMove> {
        self.require(matches!(self.state, State::Closed(_)), "reopened")?;
        self.state = State::Open;
        self.verdict = None;
        self.notice_id = None;
        self.revoke_tried = false;
        (self.verified_at, self.revoked_at, self.notified_at, self.closed_at) = (None, None, None, None);
        Ok(())
    }

    /// Ends the incident. The caller erases the secret in the same transaction.
    ///
    /// # Errors
    /// When work is left.
    pub fn close(&mut self, now: Timestamp) -> Result<(), IllegalMove> {
        let outcome = match &self.state {
            State::Notified => Outcome::Revoked,
            State::Settled(outcome) => *outcome,
            _ => return Err(self.illegal("closed")),
        };
        self.state = State::Closed(outcome);
        self.closed_at.get_or_insert(now);
        Ok(())
    }

    /// Sets the incident aside for a person, with the step at which a retry goes on.
    ///
    /// # Errors
    /// When the incident is over.
    pub fn stick(&mut self, step: Step, reason: String) -> Result<(), IllegalMove> {
        self.require(!matches!(self.state, State::Closed(_) | State::Stuck { .. }), "stuck")?;
        self.state = State::Stuck { step, reason };
        Ok(())
    }

    /// A person lets a stuck incident go on; returns the step to do next.
    ///
    /// # Errors
    /// When the incident is not stuck.
    pub fn retry(&mut self) -> Result<Step, IllegalMove> {
        let State::Stuck { step, .. } = self.state else { return Err(self.illegal("retried")) };
        self.state = match step {
            Step::Verify => State::Open,
            Step::Revoke => State::Live,
            Step::Notify => State::Revoked,
            Step::Close => self.state_before_close(),
        };
        Ok(step)
    }

    /// A person decides that nothing more is to be done.
    ///
    /// # Errors
    /// When the incident is over, or its token is revoked and only talk is left.
    pub fn dismiss(&mut self) -> Result<(), IllegalMove> {
        let open = matches!(self.state, State::Held { .. } | State::Live | State::Open | State::Stuck { .. });
        self.require(open, "dismissed")?;
        // What was revoked stays told as revoked, even if nobody could be mailed.
        let outcome = if self.revoked_at.is_some() { Outcome::Revoked } else { Outcome::Dismissed };
        self.state = State::Settled(outcome);
        Ok(())
    }

    /// The step that the state waits for, if it waits for one.
    pub fn next_step(&self) -> Option<Step> {
        match self.state {
            State::Closed(_) | State::Held { .. } | State::Stuck { .. } => None,
            State::Live => Some(Step::Revoke),
            State::Notified | State::Settled(_) => Some(Step::Close),
            State::Open => Some(Step::Verify),
            State::Revoked => Some(Step::Notify),
        }
    }

    /// Whether a later step still needs the token's bytes. Once false, they are erased.
    pub fn needs_secret(&self) -> bool {
        match self.state {
            State::Held { .. } | State::Live | State::Open => true,
            State::Stuck { step, .. } => matches!(step, Step::Revoke | Step::Verify),
            State::Closed(_) | State::Notified | State::Revoked | State::Settled(_) => false,
        }
    }

    fn state_before_close(&self) -> State {
        match (self.notified_at, self.verdict) {
            (Some(_), _) => State::Notified,
            // Its owner could not be told, and a person let it go: what was revoked stays told as revoked.
            (None, _) if self.revoked_at.is_some() => State::Settled(Outcome::Revoked),
            (None, Some("forged" | "not_ours")) => State::Settled(Outcome::NotOurs),
            (None, Some("dead")) => State::Settled(Outcome::AlreadyDead),
            (None, _) => State::Settled(Outcome::Dismissed),
        }
    }

    fn require(&self, allowed: bool, to: &'static str) -> Result<(), IllegalMove> {
        if allowed { Ok(()) } else { Err(self.illegal(to)) }
    }

    fn illegal(&self, to: &'static str) -> IllegalMove {
        IllegalMove { from: self.state.word(), to }
    }
}

impl State {
    /// The word used in the database, in filters and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Closed(_) => "closed",
            Self::Held { .. } => "held",
            Self::Live => "live",
            Self::Notified => "notified",
            Self::Open => "open",
            Self::Revoked => "revoked",
            Self::Settled(_) => "settled",
            Self::Stuck { .. } => "stuck",
        }
    }
}

words!(Outcome { AlreadyDead = "already_dead", Dismissed = "dismissed", NotOurs = "not_ours", Revoked = "revoked" });
words!(Step { Verify = "verify", Revoke = "revoke", Notify = "notify", Close = "close" });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Unknown;

    fn open() -> Incident {
        let now = Timestamp::from_millis(1_000);
        Incident {
            id: IncidentId::generate(now),
            delivery_id: DeliveryId::generate(now),
            origin: "github".into(),
            kind: KindId::new("stanch-pat"),
            fingerprint: Fingerprint::from_stored("f1:00".into()),
            confidence: Confidence::Checksum,
            hint: "wxyz".into(),
            issuer: Some(IssuerName::new("builtin")),
            state: State::Open,
            verdict: None,
            token: None,
            notice_id: None,
            received_at: now,
            verified_at: None,
            revoked_at: None,
            notified_at: None,
            closed_at: None,
            revoke_tried: false,
            version: 0,
        }
    }

    fn issued() -> IssuedToken {
        IssuedToken {
            id: "t1".into(),
            name: None,
            owner: None,
            created_at: None,
            last_used_at: None,
            last_used_from: None,
            expires_at: None,
            scopes: Vec::new(),
        }
    }

    #[test]
    fn a_live_token_goes_the_whole_way() {
        let (mut incident, now) = (open(), Timestamp::from_millis(2_000));
        incident.judge(&Verdict::Live(issued()), now).expect("open");
        assert_eq!(incident.next_step(), Some(Step::Revoke));
        assert!(incident.needs_secret());
        incident.revoked(now).expect("live");
        assert!(!incident.needs_secret(), "nothing after the revocation needs the bytes");
        incident.notified(NoticeId::generate(now), now).expect("revoked");
        incident.close(now).expect("notified");
        assert_eq!(incident.state, State::Closed(Outcome::Revoked));
        assert_eq!(incident.next_step(), None);
    }

    #[test]
    fn an_owner_is_told_again_and_the_first_time_stays_the_first() {
        let (mut incident, now, later) = (open(), Timestamp::from_millis(2_000), Timestamp::from_millis(9_000));
        assert!(incident.tell_again().is_err());
        incident.judge(&Verdict::Live(issued()), now).expect("open");
        incident.revoked(now).expect("live");
        assert!(incident.tell_again().is_err(), "it is told anyway");
        incident.notified(NoticeId::generate(now), now).expect("revoked");
        incident.close(now).expect("notified");
        incident.tell_again().expect("revoked and told");
        assert_eq!((incident.next_step(), incident.needs_secret()), (Some(Step::Notify), false));
        incident.notified(NoticeId::generate(later), later).expect("revoked");
        incident.close(later).expect("notified");
        assert_eq!((incident.notified_at, incident.closed_at), (Some(now), Some(now)));
    }

    #[test]
    fn an_issuer_is_asked_again_while_there_is_something_to_ask_with() {
        let now = Timestamp::from_millis(2_000);
        let mut incident = open();
        incident.judge(&Verdict::Live(issued()), now).expect("open");
        assert!(incident.recheck().is_err(), "its revocation is under way");
        incident.hold("over the budget".into()).expect("live");
        incident.recheck().expect("held");
        assert_eq!((incident.next_step(), incident.verdict), (Some(Step::Verify), Some("live")));
        incident.judge(&Verdict::Dead(None), now).expect("open");
        assert!(incident.recheck().is_err());
    }

    #[test]
    fn unknown_is_not_dead() {
        let mut incident = open();
        let verdict = Verdict::Unknown(Unknown::Unavailable { why: "timed out".into() });
        incident.judge(&verdict, Timestamp::from_millis(2_000)).expect("open");
        assert_eq!(incident.state, State::Open);
        assert_eq!(incident.next_step(), Some(Step::Verify));
        assert!(incident.needs_secret());
    }

    #[test]
    fn revoked_is_said_only_of_a_token_that_was_found_live() {
        let mut incident = open();
        let refused = incident.revoked(Timestamp::from_millis(2_000)).expect_err("not verified");
        assert_eq!(refused.to_string(), "an incident that is open cannot be revoked");
        assert_eq!(incident.state, State::Open);
    }

    #[test]
    fn a_closed_incident_never_moves_again() {
        let (mut incident, now) = (open(), Timestamp::from_millis(2_000));
        incident.judge(&Verdict::NotOurs, now).expect("open");
        incident.close(now).expect("settled");
        assert!(incident.judge(&Verdict::Live(issued()), now).is_err());
        assert!(incident.hold("brake".into()).is_err());
        assert!(incident.stick(Step::Verify, "late".into()).is_err());
        assert!(incident.dismiss().is_err());
        assert!(incident.retry().is_err());
        assert_eq!(incident.state, State::Closed(Outcome::NotOurs));
    }

    #[test]
    fn a_retry_goes_on_where_it_stopped() {
        for (step, state) in [(Step::Verify, State::Open), (Step::Revoke, State::Live), (Step::Notify, State::Revoked)]
        {
            let mut incident = open();
            incident.stick(step, "issuer refused us".into()).expect("open");
            assert_eq!(incident.retry(), Ok(step));
            assert_eq!(incident.state, state);
        }
    }

    #[test]
    fn what_was_revoked_is_never_told_as_dismissed() {
        let (mut incident, now) = (open(), Timestamp::from_millis(2_000));
        incident.judge(&Verdict::Live(issued()), now).expect("open");
        incident.revoked(now).expect("live");
        incident.stick(Step::Notify, "nobody to tell".into()).expect("revoked");
        incident.dismiss().expect("stuck");
        incident.stick(Step::Close, "the disk is full".into()).expect("settled");
        assert_eq!(incident.retry(), Ok(Step::Close));
        assert_eq!(incident.state, State::Settled(Outcome::Revoked));
    }

    #[test]
    fn a_hold_is_released_or_dismissed_never_dropped() {
        let (mut incident, now) = (open(), Timestamp::from_millis(2_000));
        incident.judge(&Verdict::Live(issued()), now).expect("open");
        incident.hold("over budget".into()).expect("live");
        assert!(incident.needs_secret());
        assert!(incident.close(now).is_err());
        incident.release().expect("held");
        assert_eq!(incident.next_step(), Some(Step::Revoke));
    }

    #[test]
    fn words_are_read_back() {
        for step in Step::ALL {
            assert_eq!(step.word().parse(), Ok(*step));
        }
        for outcome in Outcome::ALL {
            assert_eq!(outcome.word().parse(), Ok(*outcome));
        }
    }
}
