//! The guard around an issuer that does as it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::token::{KindId, Secret};

/// An issuer that answers as it is told, in order, and "not ours" from then on.
struct Scripted {
    name: IssuerName,
    script: Mutex<VecDeque<Verdict>>,
    calls: AtomicU32,
    /// While set, calls are not answered before they are let go.
    hold: Option<Arc<Notify>>,
}

impl Scripted {
    fn answers(script: impl IntoIterator<Item = Verdict>) -> Arc<Self> {
        let script = Mutex::new(script.into_iter().collect());
        Arc::new(Self { name: IssuerName::new("scripted"), script, calls: AtomicU32::new(0), hold: None })
    }

    fn held(hold: &Arc<Notify>) -> Arc<Self> {
        let script = Mutex::new(VecDeque::new());
        let hold = Some(Arc::clone(hold));
        Arc::new(Self { name: IssuerName::new("held"), script, calls: AtomicU32::new(0), hold })
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Issuer for Scripted {
    fn name(&self) -> &IssuerName {
        &self.name
    }

    fn locality(&self) -> Locality {
        Locality::Remote
    }

    fn verify<'a>(&'a self, questions: &'a [Question<'a>]) -> Answer<'a, Vec<Verdict>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            if let Some(hold) = &self.hold {
                hold.notified().await;
            }
            let mut script = self.script.lock().expect("no test panics under the lock");
            questions.iter().map(|_| script.pop_front().unwrap_or(Verdict::NotOurs)).collect()
        })
    }

    fn revoke<'a>(&'a self, question: Question<'a>) -> Answer<'a, Revocation> {
        Box::pin(async move {
            match self.verify(&[question]).await.remove(0) {
                Verdict::Unknown(unknown) => Revocation::Unknown(unknown),
                _ => Revocation::Confirmed,
            }
        })
    }

    fn check(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(std::future::pending())
    }
}

fn unavailable() -> Verdict {
    Verdict::Unknown(Unknown::Unavailable { why: "it is down".into() })
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_000_000))
}

fn few() -> GuardSettings {
    let breaker = BreakerSettings { failures: 2, ..BreakerSettings::default() };
    GuardSettings { breaker, ..GuardSettings::default() }
}

fn impatient() -> GuardSettings {
    GuardSettings { queue_for: Duration::from_millis(2), ..few() }
}

async fn ask(guard: &Guard) -> Verdict {
    let (kind, secret) = (KindId::new("k"), Secret::new(b"t".to_vec()));
    let question = Question { incident_id: None, kind: &kind, secret: &secret, token: None };
    guard.verify(&[question]).await.remove(0)
}

async fn revoke(guard: &Guard) -> Revocation {
    let (kind, secret) = (KindId::new("k"), Secret::new(b"t".to_vec()));
    guard.revoke(Question { incident_id: None, kind: &kind, secret: &secret, token: None }).await
}

/// The wait, if the guard did not let the question out.
fn wait_of(verdict: &Verdict) -> Option<u128> {
    match verdict {
        Verdict::Unknown(Unknown::Throttled { retry_after, .. }) => Some(retry_after.as_millis()),
        _ => None,
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_is_left_alone_and_found_again() {
    let (clock, issuer) = (clock(), Scripted::answers([unavailable(), unavailable(), unavailable()]));
    let guard = Guard::new(issuer.clone(), few(), clock.clone());
    assert_eq!(ask(&guard).await, unavailable());
    assert_eq!(guard.resting_until(clock.now()), None, "one failure is no pattern");
    assert_eq!(ask(&guard).await, unavailable());
    assert_eq!(wait_of(&ask(&guard).await), Some(1_000));
    assert_eq!(issuer.calls(), 2, "an open breaker lets nothing out");
    assert_eq!(guard.status().breaker, BreakerState::Open);

    clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&guard).await, unavailable(), "the probe is a real question");
    assert_eq!(wait_of(&ask(&guard).await), Some(2_000));
    clock.advance(Duration::from_secs(2));
    assert_eq!(ask(&guard).await, Verdict::NotOurs);
    assert_eq!(guard.status(), Status { breaker: BreakerState::Closed, resting: None });
}

#[tokio::test]
async fn retry_after_pauses_the_whole_issuer() {
    let throttled = Unknown::Throttled { why: "429".into(), retry_after: Duration::from_secs(30) };
    let (clock, issuer) = (clock(), Scripted::answers([Verdict::Unknown(throttled)]));
    let guard = Guard::new(issuer.clone(), few(), clock.clone());
    assert_eq!(wait_of(&ask(&guard).await), Some(30_000));
    assert!(matches!(revoke(&guard).await, Revocation::Unknown(Unknown::Throttled { .. })));
    assert_eq!(issuer.calls(), 1);
    assert_eq!(guard.resting_until(clock.now()), Some(clock.now().plus(Duration::from_secs(30))));
    clock.advance(Duration::from_secs(30));
    assert_eq!(guard.resting_until(clock.now()), None);
    assert_eq!(revoke(&guard).await, Revocation::Confirmed);
}

#[tokio::test]
async fn an_issuer_that_refuses_our_credential_is_paused_at_once_and_for_long() {
    let refused = Verdict::Unknown(Unknown::Misconfigured { why: "401".into() });
    let (clock, issuer) = (clock(), Scripted::answers([refused.clone()]));
    let guard = Guard::new(issuer.clone(), few(), clock.clone());
    assert_eq!(ask(&guard).await, refused);
    assert_eq!(ask(&guard).await, refused, "the same for whoever comes next, without a call");
    assert_eq!(issuer.calls(), 1);
    assert_eq!(guard.resting_until(clock.now()), Some(clock.now().plus(Duration::from_mins(5))));
    assert_eq!(guard.status().breaker, BreakerState::Misconfigured);
    clock.advance(Duration::from_mins(5));
    assert_eq!(ask(&guard).await, Verdict::NotOurs);
    assert_eq!(guard.status().breaker, BreakerState::Closed);
}

#[tokio::test]
async fn a_token_that_is_lied_about_or_refused_does_not_stop_the_others() {
    let lie = Unknown::Contradictory { why: "it still lives".into() };
    let refusal = Unknown::Undeclared { why: "422".into() };
    for unknown in [lie, refusal] {
        let guard = Guard::new(Scripted::answers(vec![Verdict::Unknown(unknown.clone()); 3]), few(), clock());
        for _ in 0..3 {
            assert_eq!(revoke(&guard).await, Revocation::Unknown(unknown.clone()));
        }
        assert_eq!(guard.status().breaker, BreakerState::Closed);
    }
}

#[tokio::test]
async fn more_questions_than_the_issuer_may_get_wait_their_turn() {
    let positive = |number| NonZeroU32::new(number).expect("positive");
    let settings = GuardSettings { per_second: positive(10), burst: positive(2), ..few() };
    let (clock, issuer) = (clock(), Scripted::answers([]));
    let guard = Guard::new(issuer.clone(), settings, clock.clone());
    let (kind, secret) = (KindId::new("k"), Secret::new(b"t".to_vec()));
    let question = || Question { incident_id: None, kind: &kind, secret: &secret, token: None };
    let verdicts = guard.verify(&[question(), question(), question(), question()]).await;
    let waits: Vec<_> = verdicts.iter().map(wait_of).collect();
    assert_eq!(waits, [None, None, Some(100), Some(200)]);
    assert_eq!(guard.resting_until(clock.now()), Some(clock.now().plus(Duration::from_millis(100))));
    clock.advance(Duration::from_millis(100));
    assert_eq!(guard.resting_until(clock.now()), None);
    assert_eq!(ask(&guard).await, Verdict::NotOurs);
    assert_eq!(issuer.calls(), 3);
}

#[tokio::test]
async fn no_more_calls_are_out_at_once_than_the_issuer_bears() {
    let hold = Arc::new(Notify::new());
    let issuer = Scripted::held(&hold);
    let concurrency = NonZeroU32::new(2).expect("positive");
    let guard = Guard::new(issuer.clone(), GuardSettings { concurrency, ..impatient() }, clock());
    let (one, two, three) = tokio::join!(ask(&guard), ask(&guard), async {
        // The third waits in vain for a place; then the first two are let go.
        let third = ask(&guard).await;
        assert_eq!(issuer.calls(), 2);
        hold.notify_waiters();
        third
    });
    assert_eq!((one, two), (Verdict::NotOurs, Verdict::NotOurs));
    assert_eq!(wait_of(&three), Some(1_000));
}

#[tokio::test]
async fn silence_ends_in_unknown() {
    let issuer = Scripted::held(&Arc::new(Notify::new()));
    let guard = Guard::new(issuer, GuardSettings { timeout: Duration::from_millis(2), ..few() }, clock());
    assert!(matches!(ask(&guard).await, Verdict::Unknown(Unknown::Unavailable { .. })));
    assert!(matches!(revoke(&guard).await, Revocation::Unknown(Unknown::Unavailable { .. })));
    assert_eq!(guard.status().breaker, BreakerState::Open);
    assert!(guard.check().await.is_err());
}

#[tokio::test]
async fn a_probe_that_is_dropped_lets_another_one_through() {
    let (clock, hold) = (clock(), Arc::new(Notify::new()));
    let issuer = Scripted::answers([unavailable(), unavailable()]);
    let mut guard = Guard::new(issuer, few(), clock.clone());
    ask(&guard).await;
    ask(&guard).await;
    clock.advance(Duration::from_secs(1));
    guard.inner = Scripted::held(&hold);
    {
        let mut probe = Box::pin(ask(&guard));
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(probe.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        assert_eq!(guard.status().breaker, BreakerState::HalfOpen);
    }
    hold.notify_one();
    assert_eq!(ask(&guard).await, Verdict::NotOurs);
    assert_eq!(guard.status().breaker, BreakerState::Closed);
}
