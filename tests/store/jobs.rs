//! Jobs and leases.

use std::collections::HashSet;
use std::time::Duration;

use stanch::incident::{Actor, IssuerName, Step};
use stanch::store::{Attempt, Claim, Error};

use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn two_claimers_never_get_the_same_job(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let seeds: Vec<String> = (0..100).map(|seed| seed.to_string()).collect();
        opened(&store, delivery(&seeds.iter().map(String::as_str).collect::<Vec<_>>(), now)).await;
        let mut claiming = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = store.clone();
            claiming.spawn(async move {
                let mut jobs = Vec::new();
                loop {
                    let claimed = claim(&store, 7).await;
                    if claimed.is_empty() {
                        return jobs;
                    }
                    jobs.extend(claimed.into_iter().map(|claimed| claimed.job_id));
                }
            });
        }
        let claimed: Vec<_> = claiming.join_all().await.into_iter().flatten().collect();
        assert_eq!(claimed.len(), 100);
        assert_eq!(claimed.into_iter().collect::<HashSet<_>>().len(), 100);
    }

    async fn jobs_are_taken_in_the_order_they_are_due_and_not_before(db) {
        let store = db.open().await;
        for seed in ["a", "b", "c"] {
            opened(&store, delivery(&[seed], db.clock.now())).await;
            db.clock.advance(Duration::from_secs(1));
        }
        let first = claim_one(&store).await;
        let later = db.clock.now().plus(Duration::from_mins(1));
        store.postpone(&first, later, "no answer", Attempt::Counted).await.expect("ours");
        let due: Vec<_> = claim(&store, 10).await.into_iter().map(|claimed| claimed.due_at).collect();
        assert_eq!(due.len(), 2);
        assert!(due.is_sorted());
        assert_eq!(store.next_due_at().await.expect("read"), Some(db.clock.now().plus(LEASE)), "a lease runs out first");
        db.clock.advance(Duration::from_mins(1));
        assert_eq!(claim(&store, 10).await.len(), 3);
    }

    async fn an_expired_lease_is_taken_over_and_the_old_one_changes_nothing(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a"], now)).await;
        let old = claim_one(&store).await;
        assert!(claim(&store, 1).await.is_empty());
        db.clock.advance(LEASE);
        let new = claim_one(&store).await;
        assert_eq!((new.job_id, new.claims), (old.job_id, 2), "a worker died");
        assert_ne!(new.lease, old.lease);
        let before = store.incident(opened[0]).await.expect("read").expect("there");

        let late = store.settle(&old, found_live(&old, now, issued("t1", None))).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        let late = store.postpone(&old, now, "late", Attempt::Counted).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        assert_eq!(store.renew(&[(old.job_id, old.lease), (new.job_id, new.lease)], LEASE).await.expect("asked").len(), 1);
        store.hand_back(&[(old.job_id, old.lease)]).await.expect("no error: the lease is gone either way");

        let after = store.incident(opened[0]).await.expect("read").expect("there");
        assert_eq!((after.state, after.version), (before.state, before.version));
        assert_eq!(store.timeline(opened[0]).await.expect("read").len(), 1);
        store.settle(&new, found_live(&new, now, issued("t1", None))).await.expect("the new lease holds");
    }

    async fn a_renewed_lease_is_kept(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a", "b"], db.clock.now())).await;
        let leases: Vec<_> = claim(&store, 2).await.iter().map(|claimed| (claimed.job_id, claimed.lease)).collect();
        db.clock.advance(LEASE / 2);
        assert!(store.renew(&leases, LEASE).await.expect("asked").is_empty());
        db.clock.advance(LEASE / 2);
        assert!(claim(&store, 2).await.is_empty());
        assert!(store.renew(&[], LEASE).await.expect("asked").is_empty());
    }

    async fn a_lease_handed_back_is_due_at_once_and_counts_as_no_death(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a"], db.clock.now())).await;
        let claimed = claim_one(&store).await;
        store.hand_back(&[(claimed.job_id, claimed.lease)]).await.expect("ours");
        assert_eq!(claim_one(&store).await.claims, 1);
    }

    async fn a_postponed_job_keeps_its_tries_and_why(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a"], db.clock.now())).await;
        for (attempt, tries) in [(Attempt::Counted, 1), (Attempt::Uncounted, 1), (Attempt::Counted, 2)] {
            let claimed = claim_one(&store).await;
            store.postpone(&claimed, db.clock.now(), "timed out", attempt).await.expect("ours");
            let again = claim_one(&store).await;
            assert_eq!((again.tries, again.claims), (tries, 1));
            store.hand_back(&[(again.job_id, again.lease)]).await.expect("ours");
        }
        assert_eq!(db.number("SELECT count(*) FROM jobs WHERE last_error = 'timed out'").await, 1);
    }

    async fn that_a_revocation_may_have_happened_is_never_forgotten(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let id = opened(&store, delivery(&["a"], now)).await[0];
        let verify = claim_one(&store).await;
        store.settle(&verify, found_live(&verify, now, issued("t1", None))).await.expect("settled");
        assert!(!claim_one(&store).await.tried_before());
        // Its worker died over it; the next one is told to wait, by an issuer that the first may have reached.
        db.clock.advance(LEASE);
        for _ in 0..10 {
            let again = claim_one(&store).await;
            assert!(again.tried_before() && again.claims == 2, "and it is not one death more each time");
            store.postpone(&again, db.clock.now(), "slow down", Attempt::Uncounted).await.expect("ours");
        }
        // A person has it tried at once.
        store.intervene(id, Actor::Operator("root".into()), |_| Ok(Vec::new())).await.expect("live");
        let now = claim_one(&store).await;
        assert!(now.tried_before());
        // Another step is another matter.
        store.settle(&now, revoked(&now, db.clock.now())).await.expect("settled");
        assert!(!claim_one(&store).await.tried_before());
    }

    async fn an_issuer_that_must_not_be_called_is_left_alone(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let mut delivery = delivery(&["a", "b", "c"], now);
        delivery.tokens[1].issuer = Some(IssuerName::new("other"));
        delivery.tokens[2].issuer = None;
        opened(&store, delivery).await;
        let without = [IssuerName::new("builtin")];
        let asked = Claim { worker: "host-1", limit: 10, lease_for: LEASE, without_issuers: &without, without_steps: &[] };
        let claimed = store.claim(&asked).await.expect("claimed");
        let issuers: HashSet<_> = claimed.iter().map(|claimed| claimed.incident.issuer.clone()).collect();
        assert_eq!(issuers, HashSet::from([Some(IssuerName::new("other")), None]));
    }

    async fn a_step_that_is_not_to_be_done_now_is_left_alone(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a", "b"], db.clock.now())).await;
        let claimed = claim_one(&store).await;
        store.settle(&claimed, found_live(&claimed, db.clock.now(), issued("t1", None))).await.expect("settled");
        let without = |steps| Claim { worker: "host-1", limit: 10, lease_for: LEASE, without_issuers: &[], without_steps: steps };
        assert!(store.claim(&without(&[Step::Revoke, Step::Verify])).await.expect("claimed").is_empty());
        let claimed = store.claim(&without(&[Step::Verify])).await.expect("claimed");
        assert_eq!(claimed.iter().map(|claimed| claimed.step).collect::<Vec<_>>(), [Step::Revoke]);
    }

    async fn the_queue_tells_how_much_waits_and_since_when(db) {
        let store = db.open().await;
        let now = db.clock.now();
        opened(&store, delivery(&["a", "b"], now)).await;
        let claimed = claim_one(&store).await;
        db.clock.advance(Duration::from_secs(1));
        store.settle(&claimed, found_live(&claimed, db.clock.now(), issued("t1", None))).await.expect("settled");
        let depth = store.queue_depth().await.expect("read");
        let depth: Vec<_> = depth.iter().map(|depth| (depth.step, depth.pending, depth.oldest_due_at)).collect();
        assert_eq!(depth, [(Step::Revoke, 1, Some(db.clock.now())), (Step::Verify, 1, Some(now))]);
    }

    async fn stored_work_wakes_whoever_waits_for_it(db) {
        let store = db.open().await;
        let waiting = { let store = store.clone(); tokio::spawn(async move { store.woken().await }) };
        opened(&store, delivery(&["a"], db.clock.now())).await;
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("woken").expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_stored_on_one_machine_wakes_another() {
    let db = crate::db::TestDb::postgres().await;
    let (here, there) = (db.open().await, db.open().await);
    // Until the other machine listens, it may miss what is said; looking at the queue is the truth.
    for seed in 0.. {
        opened(&here, delivery(&[&seed.to_string()], db.clock.now())).await;
        if tokio::time::timeout(Duration::from_millis(200), there.woken()).await.is_ok() {
            return;
        }
        assert!(seed < 50, "never woken");
    }
}
