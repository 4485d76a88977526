//! Opening a database.

use std::os::unix::fs::PermissionsExt;

use stanch::incident::Actor;
use stanch::store::Composed;

use crate::db::{TestDb, seal_ring};
use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn a_schema_of_a_newer_version_is_refused_and_left_alone(db) {
        db.open().await.close().await;
        db.run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 9999, 'future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
        let refused = db.try_open(seal_ring("s1", &[])).await.err().expect("refused").to_string();
        assert!(refused.contains("schema 9999") && refused.contains("newer"), "{refused}");
    }

    async fn a_schema_made_from_another_text_is_refused(db) {
        db.open().await.close().await;
        db.run("UPDATE _sqlx_migrations SET checksum = CAST('' AS BYTEA)".replace("BYTEA", db.blob()).as_str()).await;
        let refused = db.try_open(seal_ring("s1", &[])).await.err().expect("refused").to_string();
        assert!(refused.contains("another text"), "{refused}");
    }

    async fn several_that_open_a_new_database_at_once_all_succeed(db) {
        let (one, two, three) = tokio::join!(db.open(), db.open(), db.open());
        for store in [one, two, three] {
            store.ping().await.expect("it answers");
            store.close().await;
        }
    }

    async fn a_second_process_reads_and_writes_beside_the_first(db) {
        let (serve, command) = (db.open().await, db.open().await);
        let now = db.clock.now();
        let opened_there = opened(&serve, delivery(&["a"], now)).await;
        assert!(command.incident(opened_there[0]).await.expect("read").is_some());
        let (one, two) = tokio::join!(opened(&serve, delivery(&["b"], now)), opened(&command, delivery(&["c"], now)));
        assert_eq!((one.len(), two.len()), (1, 1));
    }

    async fn two_keys_of_one_id_are_refused(db) {
        let refused = db.try_open(seal_ring("s1", &["s1"])).await.err().expect("refused").to_string();
        assert!(refused.contains("two sealing keys have the id `s1`"), "{refused}");
    }

    async fn an_audit_event_is_never_changed_or_deleted(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a"], db.clock.now())).await;
        for sql in ["UPDATE events SET actor = 'nobody'", "DELETE FROM events"] {
            let refused = db.try_run(sql).await.expect_err("refused");
            assert!(refused.to_string().contains("never"), "{refused}");
        }
        assert_eq!(db.number("SELECT count(*) FROM events WHERE actor <> 'nobody'").await, 1);
    }
}

#[tokio::test]
async fn only_its_owner_can_read_the_file_and_its_log() {
    let db = TestDb::sqlite();
    let store = db.open().await;
    opened(&store, delivery(&["a"], db.clock.now())).await;
    let file = db.file().expect("a file");
    for name in [file.clone(), file.with_extension("db-wal")] {
        let mode = std::fs::metadata(&name).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", name.display());
    }
}

#[tokio::test]
async fn a_new_data_folder_is_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("new/data");
    let settings = stanch::store::Settings {
        url: format!("sqlite:{}", data.join("stanch.db").display()),
        max_connections: 1,
        keep_reports_for: crate::db::KEEP_REPORTS_FOR,
    };
    stanch::store::Store::open(&settings, seal_ring("s1", &[]), stanch::clock::Clock::system()).await.expect("opens");
    assert_eq!(std::fs::metadata(data).expect("made").permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_url_of_no_known_database_is_refused_without_repeating_it() {
    for url in ["mysql://root:hunter2@db/stanch", "sqlite:", "sqlite::memory:", "postgres://%zz:hunter2@"] {
        let settings = stanch::store::Settings {
            url: url.into(),
            max_connections: 1,
            keep_reports_for: crate::db::KEEP_REPORTS_FOR,
        };
        let opened = stanch::store::Store::open(&settings, seal_ring("s1", &[]), stanch::clock::Clock::system()).await;
        let refused = opened.err().expect("refused");
        assert!(matches!(refused, stanch::store::OpenError::Refused(_)), "{url}: {refused:?}");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
}

/// A plan is kept for the life of its connection, also one that was made while the tables were nearly empty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_of_an_alert_reads_a_whole_table_on_postgres() {
    let db = TestDb::postgres().await;
    db.open().await.close().await;
    // Making an index reads the table, which is empty then.
    until(&db, "SELECT count(*) FROM pg_stat_user_tables WHERE seq_scan > 0 AND relname = 'tokens'").await;
    db.run("SELECT pg_stat_reset()").await;
    let (store, now) = (db.open().await, db.clock.now());
    for number in 0..12 {
        opened(&store, delivery(&[&format!("a{number}"), &format!("b{number}")], now)).await;
        for verify in claim(&store, 2).await {
            let token = issued(&verify.job_id.to_string(), Some("ada@owner.example"));
            store.settle(&verify, found_live(&verify, now, token)).await.expect("settled");
        }
        for revoke in claim(&store, 2).await {
            store.secret(revoke.incident.id).await.expect("sealed");
            store.settle(&revoke, revoked(&revoke, now)).await.expect("settled");
        }
        let notify = claim_one(&store).await;
        let Composed::Ready(notice) = store.compose(&notify, now).await.expect("composed") else { panic!("ready") };
        store.settle_notice(&notify, notice.id, notice.told, Actor::Worker("host-1".into())).await.expect("settled");
        for close in claim(&store, 2).await {
            store.settle(&close, closed(&close, now)).await.expect("settled");
        }
    }
    // What a connection counted is told to the server when it ends.
    store.close().await;
    until(&db, "SELECT count(*) FROM pg_stat_user_tables WHERE idx_scan > 100 AND relname = 'incidents'").await;
    let walked = "SELECT count(*) FROM pg_stat_user_tables WHERE seq_scan > 0 AND relname IN
                  ('deliveries', 'events', 'incidents', 'jobs', 'notices', 'occurrences', 'reports', 'secrets')";
    assert_eq!(db.number(walked).await, 0);
}

/// Waits until the server's statistics say so.
async fn until(db: &TestDb, one: &str) {
    for _ in 0..250 {
        if db.number(one).await == 1 {
            return;
        }
        db.number("SELECT count(*) FROM (SELECT pg_sleep(0.02)) nap").await;
    }
    panic!("the server did not count: {one}");
}
