//! The life of an alert, and what every sequence of accepting, claiming and settling keeps true.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stanch::incident::{Actor, Outcome, State, Step, Verdict};
use stanch::store::{Attempt, Claimed, Composed, Error, Settled, Store};

use crate::db::TestDb;
use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn an_alert_lives_its_whole_life(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a"], now)).await;
        assert_eq!(store.secret(opened[0]).await.expect("sealed").expose(), token_bytes("a"));

        let verify = claim_one(&store).await;
        assert_eq!(verify.step, Step::Verify);
        let issued = issued("t1", Some("ada@owner.example"));
        assert_eq!(store.settle(&verify, found_live(&verify, now, issued)).await.expect("settled"), Settled::Done);
        let revoke = claim_one(&store).await;
        assert_eq!(revoke.step, Step::Revoke);
        store.settle(&revoke, revoked(&revoke, now)).await.expect("settled");
        assert!(store.secret(opened[0]).await.is_err(), "nothing needs it any more");

        let notify = claim_one(&store).await;
        let Composed::Ready(notice) = store.compose(&notify, now).await.expect("composed") else { panic!("not ready") };
        store.settle_notice(&notify, notice.id, notice.told, Actor::Worker("host-1".into())).await.expect("settled");
        let close = claim_one(&store).await;
        assert_eq!(close.step, Step::Close);
        store.settle(&close, closed(&close, now)).await.expect("settled");
        let incident = store.incident(opened[0]).await.expect("read").expect("there");
        assert_eq!(incident.state, State::Closed(Outcome::Revoked));
        let kinds: Vec<String> =
            store.timeline(opened[0]).await.expect("read").into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["opened", "verified", "revoked", "notified", "closed"]);
        assert_eq!(store.next_due_at().await.expect("read"), None);
    }
}

/// One thing that may happen, with a number to choose among the choices it has.
#[derive(Clone, Debug)]
enum Happening {
    Accept {
        tokens: Vec<u8>,
        verdict: u8,
    },
    Claim,
    /// Does the step of a job that was claimed, however long ago.
    Step {
        which: usize,
        answer: u8,
    },
    Sweep,
    Wait,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (prop::collection::vec(0..6_u8, 1..4), 0..5_u8).prop_map(|(tokens, verdict)| Happening::Accept { tokens, verdict }),
        4 => Just(Happening::Claim),
        6 => (0..8_usize, any::<u8>()).prop_map(|(which, answer)| Happening::Step { which, answer }),
        1 => Just(Happening::Sweep),
        1 => Just(Happening::Wait),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_each_incident_has_a_job_exactly_if_it_waits_for_a_step_on_sqlite() {
    whatever_happens(24, || async { TestDb::sqlite() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_each_incident_has_a_job_exactly_if_it_waits_for_a_step_on_postgres() {
    whatever_happens(8, TestDb::postgres);
}

fn whatever_happens<F: Future<Output = TestDb>>(cases: u32, db: impl Fn() -> F) {
    let runtime = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let held = runner.run(&prop::collection::vec(happening(), 1..40), |happenings| {
        tokio::task::block_in_place(|| runtime.block_on(async { live_through(&db().await, happenings).await }));
        Ok(())
    });
    held.expect("the promise holds");
}

async fn live_through(db: &TestDb, happenings: Vec<Happening>) {
    let store = db.open().await;
    let mut claimed: Vec<Claimed> = Vec::new();
    for happening in happenings {
        match happening {
            Happening::Accept { tokens, verdict } => {
                let seeds: Vec<String> = tokens.iter().map(u8::to_string).collect();
                let mut delivery = delivery(&seeds.iter().map(String::as_str).collect::<Vec<_>>(), db.clock.now());
                for (token, seed) in delivery.tokens.iter_mut().zip(&seeds) {
                    token.verdict = verdict_of(verdict, seed);
                }
                store.accept(delivery).await.expect("accepted");
            }
            Happening::Claim => claimed.extend(claim(&store, 2).await),
            Happening::Step { which, answer } => {
                if !claimed.is_empty() {
                    let job = claimed.swap_remove(which % claimed.len());
                    step(&store, db, &job, answer).await;
                }
            }
            Happening::Sweep => {
                let sweep = store.sweep().await.expect("swept");
                assert_eq!((sweep.erased, sweep.requeued), (0, 0), "a healthy store needs no repair");
            }
            Happening::Wait => db.clock.advance(LEASE * 2),
        }
        assert_consistent(db).await;
    }
    store.close().await;
}

fn verdict_of(number: u8, seed: &str) -> Option<Verdict> {
    match number {
        // Two tokens share each issued token, as spellings of one do.
        0 => Some(Verdict::Live(issued(&format!("t{}", seed.len() % 2), Some("ada@owner.example")))),
        1 => Some(Verdict::Dead(None)),
        2 => Some(Verdict::NotOurs),
        _ => None,
    }
}

async fn step(store: &Store, db: &TestDb, job: &Claimed, answer: u8) {
    let now = db.clock.now();
    let done = match (job.step, answer % 4) {
        (_, 0) => store.postpone(job, now.plus(Duration::from_secs(1)), "no answer", Attempt::Counted).await,
        (Step::Verify, 1) => store.settle(job, judged(job, now, &Verdict::NotOurs)).await.map(drop),
        (Step::Verify, _) => {
            let live = Verdict::Live(issued(&format!("t{}", answer % 3), Some("ada@owner.example")));
            store.settle(job, judged(job, now, &live)).await.map(drop)
        }
        (Step::Revoke, _) => store.settle(job, revoked(job, now)).await.map(drop),
        (Step::Notify, 1) => match store.compose(job, now).await {
            Ok(Composed::Ready(notice)) => {
                store.abandon_notice(job, notice.id, "refused", Actor::Worker("host-1".into())).await
            }
            other => other.map(drop),
        },
        (Step::Notify, _) => match store.compose(job, now).await {
            Ok(Composed::Ready(notice)) => {
                store.settle_notice(job, notice.id, notice.told, Actor::Worker("host-1".into())).await
            }
            other => other.map(drop),
        },
        (Step::Close, _) => store.settle(job, closed(job, now)).await.map(drop),
    };
    assert!(matches!(done, Ok(()) | Err(Error::LeaseLost)), "{done:?}");
}

async fn assert_consistent(db: &TestDb) {
    const WAITING: &str = "state IN ('open', 'live', 'revoked', 'notified', 'settled')";
    let promises = [
        ("who waits for a step has a job, or shares the job of its notice", format!(
            "SELECT count(*) FROM incidents WHERE {WAITING}
               AND NOT EXISTS (SELECT 1 FROM jobs WHERE incident_id = incidents.id)
               AND NOT EXISTS (SELECT 1 FROM jobs JOIN incidents other ON other.id = jobs.incident_id
                               WHERE other.notice_id = incidents.notice_id AND jobs.step = 'notify')")),
        ("who waits for nothing has none", format!(
            "SELECT count(*) FROM jobs JOIN incidents ON incidents.id = jobs.incident_id WHERE NOT ({WAITING})")),
        ("a secret is there exactly while a step needs it",
            "SELECT count(*) FROM incidents
             WHERE (state IN ('open', 'live', 'held')) <> EXISTS (SELECT 1 FROM secrets WHERE incident_id = incidents.id)
               AND state <> 'stuck'".into()),
        ("what is over has a purge date",
            "SELECT count(*) FROM occurrences JOIN incidents ON incidents.id = incident_id
             WHERE state = 'closed' AND purge_at IS NULL".into()),
        ("one issued token is revoked once",
            "SELECT count(*) FROM (SELECT issued_token_id FROM incidents WHERE revoked_at IS NOT NULL
             GROUP BY issued_token_id HAVING count(*) > 1) twice".into()),
    ];
    let broken = db.numbers(&promises.each_ref().map(|(_, sql)| sql.as_str())).await;
    for ((promise, _), broken) in promises.iter().zip(broken) {
        assert_eq!(broken, 0, "{promise}");
    }
}

fn judged(job: &Claimed, now: stanch::clock::Timestamp, verdict: &Verdict) -> stanch::store::Settlement {
    moved(job, now, stanch::incident::EventKind::Verified, |incident| {
        // The incident may have been moved under another lease; the store is to notice.
        if incident.state == State::Open {
            incident.judge(verdict, now).expect("open");
        }
    })
}
