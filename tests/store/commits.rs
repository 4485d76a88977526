//! Transactions that share a commit, and callers who do not wait for theirs.

use std::time::{Duration, Instant};

use sqlx::Connection;
use stanch::id::TokenId;
use stanch::incident::EmailAddress;
use stanch::store::{Error, Insertion, NewOwnToken, NewOwner, OwnTokenKind, Revoking};

use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn many_deliveries_at_once_are_all_committed_and_a_failure_among_them_is_undone_alone(db) {
        let store = db.open().await;
        let now = db.clock.now();
        opened(&store, delivery(&["held"], now)).await;
        let old = claim_one(&store).await;
        db.clock.advance(LEASE);
        claim_one(&store).await;
        let mut accepting = tokio::task::JoinSet::new();
        for number in 0..200 {
            let store = store.clone();
            accepting.spawn(async move {
                // A slow machine may have no connection free within the time a reporter is given; then nothing was
                // stored, and the reporter comes again.
                loop {
                    match store.accept(delivery(&[&number.to_string()], now)).await {
                        Err(Error::Unavailable(_)) => {}
                        accepted => return accepted.map(drop),
                    }
                }
            });
        }
        // Stores the incident's move before it finds that the lease is lost, so there is something to undo.
        let lost = loop {
            match store.settle(&old, found_live(&old, now, issued("t1", None))).await {
                Err(Error::Unavailable(_)) => {}
                settled => break settled,
            }
        };
        assert!(matches!(lost, Err(Error::LeaseLost)), "{lost:?}");
        while let Some(accepted) = accepting.join_next().await {
            accepted.expect("no panic").expect("accepted");
        }
        assert_eq!(db.number("SELECT count(*) FROM incidents WHERE state = 'open'").await, 201);
        assert_eq!(db.number("SELECT count(*) FROM deliveries").await, 201);
        assert_eq!(db.number("SELECT count(*) FROM jobs").await, 201);
        assert_eq!(db.number("SELECT count(*) FROM events WHERE kind = 'verified'").await, 0);
    }

    async fn a_caller_who_goes_away_leaves_a_whole_transaction_or_none(db) {
        let store = db.open().await;
        let now = db.clock.now();
        for number in 0..20_u32 {
            let store = store.clone();
            let accepting = tokio::spawn(async move {
                store.accept(delivery(&[&format!("{number}a"), &format!("{number}b")], now)).await.map(drop)
            });
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
            accepting.abort();
        }
        // A transaction after them all waits for none of them.
        opened(&store, delivery(&["last-a", "last-b"], now)).await;
        store.close().await;
        let deliveries = db.number("SELECT count(*) FROM deliveries").await;
        assert_eq!(db.number("SELECT count(*) FROM incidents").await, 2 * deliveries);
        assert_eq!(db.number("SELECT count(*) FROM reports").await, 2 * deliveries);
        assert_eq!(db.number("SELECT count(*) FROM events").await, 2 * deliveries);
    }

    async fn what_waits_when_the_store_closes_is_committed_and_later_writes_are_refused(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let accepting: Vec<_> = (0..20)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.accept(delivery(&[&number.to_string()], now)).await.map(drop) })
            })
            .collect();
        let mut accepted = 0;
        store.close().await;
        for task in accepting {
            accepted += i64::from(task.await.expect("no panic").is_ok());
        }
        assert_eq!(db.number("SELECT count(*) FROM deliveries").await, accepted, "exactly what was promised is there");
        assert!(matches!(store.accept(delivery(&["late"], now)).await, Err(Error::Unavailable(_))));
    }

    async fn a_refused_transaction_says_why(db) {
        let store = db.open().await;
        let email = EmailAddress::parse("ada@owner.example").expect("an address");
        let owner_id = store.ensure_owner(NewOwner { name: "Ada".into(), email }).await.expect("stored");
        let id = TokenId::generate(db.clock.now());
        let token = NewOwnToken::new(id, OwnTokenKind::Pat, owner_id, "ci".into(), [1; 32]);
        assert_eq!(store.insert_own_token(token, 9, None).await.expect("stored"), Insertion::Stored);
        let unknown = TokenId::generate(db.clock.now());
        let revoking = Revoking { by: "operator:root".into(), reason: "leaked".into(), incident_id: None };
        let refused = store.revoke_own_token(unknown, revoking).await;
        assert!(matches!(refused, Err(Error::NotFound { what: "token" })), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_that_hear_of_one_token_at_once_open_one_incident() {
    let db = crate::db::TestDb::postgres().await;
    let stores = [db.open().await, db.open().await];
    let now = db.clock.now();
    for round in 0..20 {
        // The same tokens in opposite orders: whoever locked them as they come would deadlock.
        let seeds: Vec<String> = (0..10).map(|seed| format!("{round}-{seed}")).collect();
        let mut seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
        let one = delivery(&seeds, now);
        seeds.reverse();
        let other = delivery(&seeds, now);
        let (one, other) = tokio::join!(opened(&stores[0], one), opened(&stores[1], other));
        assert_eq!(one.len() + other.len(), 10, "each is opened once");
    }
    assert_eq!(db.number("SELECT count(*) FROM incidents").await, 200);
    assert_eq!(db.number("SELECT count(*) FROM jobs").await, 200);
    assert_eq!(db.number("SELECT count(*) FROM secrets").await, 200);
    assert_eq!(db.number("SELECT count(*) FROM reports").await, 400);
    for secret in stores[1]
        .incidents(&stanch::store::IncidentFilter::default(), &stanch::store::PageRequest::first(200))
        .await
        .expect("read")
        .items
    {
        stores[0].secret(secret.id).await.expect("whoever sealed it, it opens");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_another_process_holds_the_database_everybody_is_told_soon_and_nothing_is_stored() {
    let db = crate::db::TestDb::sqlite();
    let store = db.open().await;
    let now = db.clock.now();
    let mut other = sqlx::SqliteConnection::connect(&db.url()).await.expect("the file opens");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
    let mut accepting = tokio::task::JoinSet::new();
    for number in 0..50 {
        let store = store.clone();
        accepting.spawn(async move { store.accept(delivery(&[&number.to_string()], now)).await.map(drop) });
    }
    let refused =
        tokio::time::timeout(Duration::from_secs(8), accepting.join_all()).await.expect("not one after the other");
    assert!(refused.iter().all(|accepted| matches!(accepted, Err(Error::Unavailable(_)))), "{refused:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("the lock is free");
    opened(&store, delivery(&["0"], now)).await;
    assert_eq!(db.number("SELECT count(*) FROM deliveries").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_is_found_again() {
    let db = crate::db::TestDb::postgres().await;
    let store = db.open().await;
    let now = db.clock.now();
    opened(&store, delivery(&["before"], now)).await;
    db.refuse_connections().await;
    let asked = Instant::now();
    let refused = store.accept(delivery(&["meanwhile"], now)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(store.ping().await.is_err());
    assert!(asked.elapsed() < Duration::from_secs(4), "two questions, each answered within two seconds");
    db.allow_connections().await;
    opened(&store, delivery(&["after"], now)).await;
    assert_eq!(db.number("SELECT count(*) FROM deliveries").await, 2);
}
