//! The audit trail: proved word for word, in its order, without a gap; and what follows it.

use std::collections::BTreeSet;
use std::time::Duration;

use stanch::clock::Timestamp;
use stanch::id::IncidentId;
use stanch::incident::{Actor, Event, EventKind, Step};
use stanch::store::{
    AuditFilter, ChainFault, EventPlace, IncidentFilter, PageRequest, Sealed, Slot, StatisticsRange, Store,
};

use crate::db::{TestDb, seal_ring};
use crate::given::*;
use crate::on_both_databases;

/// Seals this many events. On PostgreSQL a transaction of anybody on the server, another test's too, may delay it.
async fn seal(store: &Store, events: u64) {
    let mut left = events;
    for _ in 0..20_000 {
        let sealed = store.seal_audit().await.expect("sealed");
        assert_eq!(sealed.forged, 0);
        left = left.checked_sub(sealed.events).expect("no more than that was written");
        if left == 0 {
            return;
        }
    }
    panic!("{left} events were not sealed");
}

/// What tampering with a sealed trail of five events, and a sixth, leaves to be found.
async fn faults_after(db: &TestDb, tamper: &str) -> Vec<ChainFault> {
    let store = db.open().await;
    let ids = opened(&store, delivery(&["a", "b", "c"], db.clock.now())).await;
    seal(&store, 3).await;
    opened(&store, delivery(&["d", "e"], db.clock.now())).await;
    seal(&store, 2).await;
    assert!(store.verify_audit(None).await.expect("verified").is_intact());
    for trigger in db.triggers() {
        db.run(trigger).await;
    }
    db.run(&tamper.replace("{incident}", &ids[0].to_string())).await;
    // Whoever tampers waits until the chain has gone on over it.
    let before = store.chain_head().await.expect("read").events;
    let written = db.number("SELECT count(*) FROM events").await;
    for _ in 0..500 {
        let _ = store.seal_audit().await.expect("sealed");
        if written <= 5 || store.chain_head().await.expect("read").events > before {
            break;
        }
    }
    let report = store.verify_audit(None).await.expect("verified");
    store.close().await;
    report.faults
}

macro_rules! tampering {
    ($($name:ident: $sql:expr => $expected:expr;)*) => {on_both_databases! {$(
        async fn $name(db) {
            let expected: &[ChainFault] = &$expected;
            let found = faults_after(&db, $sql).await;
            assert!(expected.iter().all(|fault| found.contains(fault)) && !found.is_empty(), "{found:?}");
        }
    )*}};
}

tampering! {
    a_changed_word_is_found:
        "UPDATE events SET detail = '{\"tries\":1}' WHERE position = 2" => [ChainFault::EventChanged { position: 2 }];
    a_changed_actor_is_found:
        "UPDATE events SET actor = 'operator:mallory' WHERE position = 5" => [ChainFault::EventChanged { position: 5 }];
    a_changed_instant_is_found:
        "UPDATE events SET at = at + 1 WHERE position = 1" => [ChainFault::EventChanged { position: 1 }];
    a_removed_event_is_found:
        "DELETE FROM events WHERE position = 3" => [ChainFault::EventMissing { position: 3 }];
    a_removed_end_of_the_chain_is_found:
        "DELETE FROM audit_blocks WHERE number = 2; DELETE FROM events WHERE position > 3" => [ChainFault::HeadChanged];
    a_removed_block_is_found:
        "DELETE FROM audit_blocks WHERE number = 1" => [ChainFault::BlockMissing { block: 1 }];
    two_events_that_changed_places_are_found:
        "INSERT INTO events (id, at, actor, kind, incident_id, detail, mac, written_in)
         SELECT id, at, actor, kind, incident_id, detail, mac, written_in FROM events WHERE position IN (1, 2) ORDER BY position DESC;
         DELETE FROM events WHERE position IN (1, 2)" => [ChainFault::EventMissing { position: 1 }];
    events_that_swapped_their_words_are_found:
        "CREATE TEMPORARY TABLE kept AS SELECT position, id, incident_id, mac FROM events WHERE position IN (1, 2);
         UPDATE events SET id = (SELECT id FROM kept WHERE kept.position = 3 - events.position),
                mac = (SELECT mac FROM kept WHERE kept.position = 3 - events.position),
                incident_id = (SELECT incident_id FROM kept WHERE kept.position = 3 - events.position)
         WHERE position IN (1, 2)" => [ChainFault::BlockChanged { block: 1 }];
    an_event_that_stanch_did_not_write_is_found_although_it_is_sealed:
        "INSERT INTO events (id, at, actor, kind, incident_id)
         VALUES ('evt_01h455vb4pex5vsknk084sn02q', 1795395600000, 'operator:root', 'released', '{incident}')"
        => [ChainFault::EventChanged { position: 6 }];
    an_event_that_is_slipped_in_before_the_end_is_found:
        "INSERT INTO events (id, at, actor, kind, incident_id, mac, written_in)
         SELECT 'evt_01h455vb4pex5vsknk084sn02q', at, actor, kind, incident_id, mac, written_in - 1 FROM events WHERE position = 1" => [];
    an_event_that_is_told_twice_is_found:
        "INSERT INTO events (id, at, actor, kind, incident_id, detail, mac)
         SELECT id, at, actor, kind, incident_id, detail, mac FROM events WHERE position = 4" => [ChainFault::EventRepeated { position: 6 }];
    a_block_that_lists_others_is_found:
        "UPDATE audit_blocks SET positions = '[[1,2]]' WHERE number = 1" => [ChainFault::EventInserted { position: 3 }];
    a_block_that_lists_more_than_there_can_be_is_found:
        "UPDATE audit_blocks SET positions = '[[1,9000000000000000000]]' WHERE number = 1" => [ChainFault::BlockChanged { block: 1 }];
}

on_both_databases! {
    async fn a_trail_is_proved_whole_and_a_block_refuses_to_change(db) {
        let store = db.open().await;
        assert_eq!(store.seal_audit().await.expect("nothing to seal"), Sealed::default());
        assert!(store.verify_audit(None).await.expect("verified").is_intact());
        opened(&store, delivery(&["a", "b"], db.clock.now())).await;
        let report = store.verify_audit(None).await.expect("verified");
        assert_eq!((report.is_intact(), report.unsealed), (true, 2));
        seal(&store, 2).await;
        let report = store.verify_audit(None).await.expect("verified");
        assert_eq!((report.is_intact(), report.blocks, report.events, report.unsealed), (true, 1, 2, 0));
        assert!(db.try_run("UPDATE audit_blocks SET hash = ''").await.is_err());
        assert!(db.try_run("DELETE FROM audit_blocks").await.is_err());

        // A head that was kept elsewhere proves that nothing was cut off since.
        let (number, hash) = report.head.expect("a block");
        opened(&store, delivery(&["c"], db.clock.now())).await;
        seal(&store, 1).await;
        assert!(store.verify_audit(Some((number, &hash))).await.expect("verified").is_intact());
        for (number, hash) in [(number, "0".repeat(64)), (number + 9, hash)] {
            let report = store.verify_audit(Some((number, &hash))).await.expect("verified");
            assert_eq!(report.faults, [ChainFault::HeadChanged]);
        }
        let (part, last) = store.verify_audit_blocks(1, 10).await.expect("verified");
        assert_eq!((part.is_intact(), part.events, last), (true, 1, Some(2)));
        assert_eq!(store.verify_audit_blocks(2, 10).await.expect("verified").1, None);
    }

    async fn events_from_before_the_chain_are_taken_as_they_are_and_none_later(db) {
        let store = db.open().await;
        for seed in 0..5 {
            opened(&store, delivery(&[&seed.to_string()], db.clock.now())).await;
        }
        for trigger in db.triggers() {
            db.run(trigger).await;
        }
        db.run("UPDATE events SET mac = NULL WHERE position <= 3").await;
        seal(&store, 5).await;
        assert!(store.verify_audit(None).await.expect("verified").is_intact());
        db.run("UPDATE events SET mac = NULL WHERE position = 5").await;
        let faults = store.verify_audit(None).await.expect("verified").faults;
        assert!(faults.contains(&ChainFault::EventChanged { position: 5 }), "{faults:?}");
    }

    async fn the_proof_outlives_the_sealing_key(db) {
        let store = db.open().await;
        opened(&store, delivery(&["a"], db.clock.now())).await;
        seal(&store, 1).await;
        store.close().await;
        let store = db.try_open(seal_ring("s2", &["s1"])).await.expect("opened with both");
        assert!(store.verify_audit(None).await.expect("verified").is_intact());
        store.rewrap().await.expect("sealed again");
        store.close().await;
        let store = db.try_open(seal_ring("s2", &[])).await.expect("the older key was let go");
        assert!(store.verify_audit(None).await.expect("verified").is_intact());
    }

    async fn the_trail_is_listed_by_who_what_and_when(db) {
        let store = db.open().await;
        let ids = opened(&store, delivery(&["a", "b"], db.clock.now())).await;
        let now = db.clock.now();
        for name in ["ada", "bob", "ada"] {
            db.clock.advance(Duration::from_hours(1));
            let event = Event::new(db.clock.now(), Actor::Operator(name.into()), EventKind::Exported, None);
            store.record(event).await.expect("recorded");
        }
        let found = async |filter: AuditFilter| {
            let (mut all, mut request) = (Vec::new(), PageRequest::first(2));
            loop {
                let page = store.audit_events(&filter, &request).await.expect("read");
                all.extend(page.items.into_iter().map(|event| event.position));
                let Some(next) = page.next else { return all };
                request.after = Some(next.to_string().parse().expect("survives its text"));
            }
        };
        let filter = AuditFilter::default;
        assert_eq!(found(filter()).await, [5, 4, 3, 2, 1]);
        assert_eq!(found(AuditFilter { operators_only: true, ..filter() }).await, [5, 4, 3]);
        assert_eq!(found(AuditFilter { actor: Some("operator:ada".into()), ..filter() }).await, [5, 3]);
        assert_eq!(found(AuditFilter { kinds: vec!["opened".into(), "exported".into()], ..filter() }).await, [5, 4, 3, 2, 1]);
        assert_eq!(found(AuditFilter { kinds: vec!["opened".into()], ..filter() }).await, [2, 1]);
        assert_eq!(found(AuditFilter { incident_id: Some(ids[0]), ..filter() }).await.len(), 1);
        let two_hours = now.plus(Duration::from_hours(2));
        assert_eq!(found(AuditFilter { from: Some(two_hours), ..filter() }).await, [5, 4]);
        assert_eq!(found(AuditFilter { before: Some(two_hours), ..filter() }).await, [3, 2, 1]);

        while store.newest_event().await.expect("read").to_string().rsplit_once('.').is_none_or(|(_, last)| last != "5") {}
        let (first, place) = store.events_after(EventPlace::default(), 3).await.expect("read");
        let (rest, end) = store.events_after(place.to_string().parse().expect("a place"), 10).await.expect("read");
        assert_eq!(first.iter().chain(&rest).map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(store.newest_event().await.expect("read"), end);
    }

    async fn figures_and_search_follow_the_trail(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let ids = opened(&store, delivery(&["a", "b", "c"], now)).await;
        store.accept(delivery(&["a"], now)).await.expect("accepted again");
        db.clock.advance(Duration::from_millis(400));
        for job in claim(&store, 2).await {
            let id = format!("t-{}", job.incident.id);
            store.settle(&job, found_live(&job, now, issued(&id, Some("Ada@Owner.example")))).await.expect("settled");
        }
        for job in claim(&store, 3).await.into_iter().filter(|job| job.step == Step::Revoke) {
            let at = db.clock.now();
            store.settle(&job, revoked(&job, at)).await.expect("settled");
        }
        seal(&store, 8).await;
        assert_eq!(store.seal_audit().await.expect("nothing more"), Sealed::default());
        let range = StatisticsRange { from: Timestamp::EPOCH, to: now.plus(Duration::from_hours(1)), slot: Slot::Hour, issuer: None };
        let figures = store.statistics(&range).await.expect("read");
        let total = &figures.total;
        assert_eq!((total.opened, total.repeated, total.verdicts["live"]), (3, 1, 2));
        assert_eq!((total.to_revoked.count(), total.to_notified.count()), (2, 0));
        let p95 = total.to_revoked.percentile(0.95).expect("two spans");
        assert!((380..=420).contains(&p95), "{p95}");
        assert_eq!((figures.slots.len(), figures.by_issuer.len()), (1, 1));
        let by_day = store.statistics(&StatisticsRange { slot: Slot::Day, issuer: Some("builtin".into()), ..range }).await;
        assert_eq!(by_day.expect("read").total, *total);

        let found = async |owner: Option<&str>, text: Option<&str>| -> BTreeSet<IncidentId> {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let filter = IncidentFilter { owner: owned(owner), text: owned(text), ..IncidentFilter::default() };
            let page = store.incidents(&filter, &PageRequest::first(10)).await.expect("read");
            page.items.into_iter().map(|incident| incident.id).collect()
        };
        let named = found(Some("ada@"), None).await;
        assert_eq!(named.len(), 2);
        assert_eq!(found(None, Some("ADA@owner.example")).await, named);
        assert_eq!(found(None, Some("ci")).await, named, "by the token's name");
        assert_eq!(found(None, Some("wxyz")).await, named, "by its last characters");
        for id in &named {
            assert_eq!(found(Some("ada"), Some(&format!("t-{id}"))).await, BTreeSet::from([*id]));
        }
        assert!(found(Some("ci"), None).await.is_empty(), "a token is no owner");
        assert!(found(None, Some("da@")).await.is_empty());
        assert!(ids.len() > named.len());
    }

    async fn who_an_owner_was_cannot_be_searched_for_once_it_is_purged(db) {
        let store = db.open().await;
        let mut dead = delivery(&["a"], db.clock.now());
        dead.tokens[0].verdict = Some(stanch::incident::Verdict::Dead(Some(issued("t1", Some("ada@owner.example")))));
        opened(&store, dead).await;
        seal(&store, 2).await;
        assert_eq!(db.number("SELECT count(*) FROM incident_terms WHERE term LIKE 'o:%'").await, 1);
        db.clock.advance(crate::db::KEEP_REPORTS_FOR);
        store.sweep().await.expect("swept");
        seal(&store, 1).await;
        assert_eq!(db.number("SELECT count(*) FROM incident_terms WHERE term LIKE 'o:%'").await, 0);
        assert_eq!(db.number("SELECT count(*) FROM incident_terms").await, 3, "what names the token stays");
        store.close().await;
        assert!(db.bytes().await.iter().all(|bytes| !String::from_utf8_lossy(bytes).contains("ada@owner.example")));
    }

    async fn reporters_are_counted_from_what_was_stored(db) {
        let store = db.open().await;
        for hour in 0..3 {
            let mut delivery = delivery(&[&format!("a{hour}"), &format!("b{hour}")], db.clock.now());
            delivery.reports[1].content = stanch::store::ReportContent::Unrecognized;
            delivery.tokens.pop();
            store.accept(delivery).await.expect("accepted");
            db.clock.advance(Duration::from_hours(1));
            store.count_reporter_hours().await.expect("counted");
        }
        store.count_reporter_hours().await.expect("counted");
        let day = db.clock.now().as_millis() / stanch::store::DAY_MILLIS * stanch::store::DAY_MILLIS;
        let tally = stanch::store::AnswerTally { origin: "github".into(), day, answers: 3, slow: 1, rejected: 2 };
        for _ in 0..2 {
            store.add_answers(vec![tally.clone()]).await.expect("added");
        }
        let reporters = store.reporters(Timestamp::EPOCH).await.expect("read");
        let github = &reporters[0];
        assert_eq!((reporters.len(), github.origin.as_str(), github.days.len()), (1, "github", 1));
        let today = &github.days[0];
        assert_eq!((today.deliveries, today.reports, today.tokens, today.unrecognized), (3, 6, 3, 3));
        assert_eq!((today.answers, today.slow, today.rejected, today.ours), (6, 2, 4, 0));
        assert_eq!(github.slow_days_this_month(db.clock.now()), 1);
        assert!(github.last_delivery_at.is_some() && !github.is_never_valid(db.clock.now()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn machines_that_write_and_seal_at_once_keep_one_whole_chain() {
    let db = TestDb::postgres().await;
    let stores = [db.open().await, db.open().await, db.open().await];
    let mut running = tokio::task::JoinSet::new();
    for (index, store) in stores.iter().enumerate() {
        let (store, now) = (store.clone(), db.clock.now());
        let sealing = store.clone();
        running.spawn(async move {
            for seed in 0..40 {
                let seeds = [format!("{index}-{seed}"), format!("{index}-{seed}b")];
                opened(&store, delivery(&[&seeds[0], &seeds[1]], now)).await;
            }
        });
        running.spawn(async move {
            for _ in 0..40 {
                sealing.seal_audit().await.expect("sealed");
            }
        });
    }
    running.join_all().await;
    let sealed = stores[1].chain_head().await.expect("read").events;
    seal(&stores[0], 240 - u64::try_from(sealed).expect("a count")).await;
    let report = stores[1].verify_audit(None).await.expect("verified");
    assert_eq!((report.faults.as_slice(), report.events, report.unsealed), (&[][..], 240, 0));
    assert_eq!(
        db.number("SELECT CAST(sum(amount) AS BIGINT) FROM statistics_hours WHERE measure = 'opened'").await,
        240
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_transaction_ends_late_is_sealed_all_the_same() {
    use sqlx::Connection as _;
    let db = TestDb::postgres().await;
    let store = db.open().await;
    opened(&store, delivery(&["a"], db.clock.now())).await;
    seal(&store, 1).await;
    // Somebody took a position and a transaction number, and has not committed.
    let mut late = sqlx::PgConnection::connect(&db.url()).await.expect("the server answers");
    let take = "BEGIN; CREATE TEMPORARY TABLE kept AS SELECT nextval(pg_get_serial_sequence('events', 'position')) AS position";
    sqlx::raw_sql(take).execute(&mut late).await.expect("begun");
    opened(&store, delivery(&["b"], db.clock.now())).await;
    let sealed = store.seal_audit().await.expect("sealed");
    assert_eq!(sealed, Sealed::default(), "what it may still write comes first or later, and is not known");
    sqlx::raw_sql("COMMIT").execute(&mut late).await.expect("committed");
    seal(&store, 1).await;
    assert!(store.verify_audit(None).await.expect("verified").is_intact());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trail_that_was_restored_into_another_server_goes_on() {
    let db = TestDb::postgres().await;
    let store = db.open().await;
    opened(&store, delivery(&["a", "b"], db.clock.now())).await;
    seal(&store, 2).await;
    opened(&store, delivery(&["c"], db.clock.now())).await;
    // As if these rows came from a server whose transactions had far greater numbers.
    for trigger in db.triggers() {
        db.run(trigger).await;
    }
    db.run("UPDATE events SET written_in = written_in + 1000000000; UPDATE audit_head SET written_in = written_in + 1000000000").await;
    seal(&store, 1).await;
    opened(&store, delivery(&["d"], db.clock.now())).await;
    seal(&store, 1).await;
    let report = store.verify_audit(None).await.expect("verified");
    assert_eq!((report.events, report.unsealed, report.is_intact()), (4, 0, true), "{report:?}");
}
