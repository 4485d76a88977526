//! Settling steps.

use std::time::Duration;

use stanch::incident::{Outcome, State, Step};
use stanch::store::{Error, Settled};

use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn spellings_of_one_issued_token_share_one_revocation(db) {
        let store = db.open().await;
        let now = db.clock.now();
        opened(&store, delivery(&["one-spelling", "another"], now)).await;
        for verify in claim(&store, 2).await {
            store.settle(&verify, found_live(&verify, now, issued("t1", None))).await.expect("settled");
        }
        let mut settled = Vec::new();
        for revoke in claim(&store, 2).await {
            assert_eq!(revoke.step, Step::Revoke);
            settled.push(store.settle(&revoke, revoked(&revoke, now)).await.expect("settled"));
        }
        assert_eq!(settled, [Settled::Done, Settled::Shared]);
        let listed = store.incidents(&stanch::store::IncidentFilter::default(), &stanch::store::PageRequest::first(10)).await.expect("read");
        let shared = listed.items.iter().find(|it| it.state == State::Settled(Outcome::AlreadyDead)).expect("settled as dead");
        assert_eq!(shared.revoked_at, None, "only what we revoked is told as revoked");
        let last = store.timeline(shared.id).await.expect("read").pop().expect("an event");
        assert_eq!((last.kind.as_str(), last.detail["verdict"].as_str()), ("verified", Some("dead")));
        assert!(store.secret(shared.id).await.is_err());
        assert_eq!(db.number("SELECT count(*) FROM events WHERE kind = 'revoked'").await, 1);
        assert_eq!(db.number("SELECT count(*) FROM revocations").await, 1);
    }

    async fn a_result_for_an_incident_that_moved_meanwhile_is_dropped(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a"], now)).await;
        let claimed = claim_one(&store).await;
        db.run("UPDATE incidents SET version = version + 1").await;
        let late = store.settle(&claimed, found_live(&claimed, now, issued("t1", None))).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        assert_eq!(store.incident(opened[0]).await.expect("read").expect("there").state, State::Open);
        assert_eq!(db.number("SELECT count(*) FROM jobs WHERE step = 'verify'").await, 1);
    }

    async fn a_stuck_incident_keeps_its_secret_and_has_no_job(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a"], now)).await;
        let claimed = claim_one(&store).await;
        let stuck = moved(&claimed, now, stanch::incident::EventKind::Stuck(Step::Verify), |incident| {
            incident.stick(Step::Verify, "the issuer refuses us".into()).expect("open");
        });
        store.settle(&claimed, stuck).await.expect("settled");
        let incident = store.incident(opened[0]).await.expect("read").expect("there");
        assert_eq!(incident.state, State::Stuck { step: Step::Verify, reason: "the issuer refuses us".into() });
        assert_eq!(store.next_due_at().await.expect("read"), None);
        store.secret(opened[0]).await.expect("a retry needs it");
    }

    async fn the_end_sets_the_purge_date_that_the_step_names(db) {
        let store = db.open().await;
        let now = db.clock.now();
        opened(&store, delivery(&["a"], now)).await;
        let verify = claim_one(&store).await;
        let not_ours = moved(&verify, now, stanch::incident::EventKind::Verified, |incident| {
            incident.judge(&stanch::incident::Verdict::NotOurs, now).expect("open");
        });
        store.settle(&verify, not_ours).await.expect("settled");
        let close = claim_one(&store).await;
        let mut settlement = closed(&close, now);
        let purge_at = now.plus(Duration::from_hours(1));
        settlement.purge_at = Some(purge_at);
        store.settle(&close, settlement).await.expect("settled");
        assert_eq!(db.number("SELECT purge_at FROM occurrences").await, purge_at.as_millis());
        assert_eq!(db.number("SELECT count(*) FROM jobs").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_a_token_live_takes_the_brakes_lock_after_the_incidents() {
    use sqlx::Connection as _;
    let db = crate::db::TestDb::postgres().await;
    let store = db.open().await;
    let now = db.clock.now();
    opened(&store, delivery(&["a"], now)).await;
    let claimed = claim_one(&store).await;
    // A delivery that names the same token, between its two locks.
    let mut other = sqlx::PgConnection::connect(&db.url()).await.expect("the server answers");
    let incident = "BEGIN; SELECT id FROM incidents FOR NO KEY UPDATE";
    sqlx::raw_sql(incident).execute(&mut other).await.expect("locked");
    let settling = {
        let store = store.clone();
        tokio::spawn(async move { store.settle(&claimed, found_live(&claimed, now, issued("t1", None))).await })
    };
    let waits = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    for tries in 0.. {
        looks.tick().await;
        if db.number(waits).await == 1 {
            break;
        }
        assert!(tries < 500, "it never waits for the incident");
    }
    let brake = "SELECT scope FROM brakes WHERE scope = 'all' FOR NO KEY UPDATE NOWAIT";
    sqlx::raw_sql(brake).execute(&mut other).await.expect("nobody who waits for an incident holds the brake's lock");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("the locks are free");
    settling.await.expect("no panic").expect("settled");
}
