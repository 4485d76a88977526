//! Lists as operators read them: filters, pages, counts, what needs a person, the queue, the record of revoked tokens.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use stanch::clock::Timestamp;
use stanch::incident::{Actor, EventKind, Incident, IssuerName, Outcome, State, Step, Verdict};
use stanch::store::{Attempt, Composed, Count, IncidentFilter, PageRequest, RevokedFilter, Store};
use stanch::token::KindId;

use crate::db::TestDb;
use crate::given::*;
use crate::on_both_databases;

/// Rows of [`MANY`].
const ROWS: i64 = 20_000;
/// As many incidents as make a planner think, put there by SQL.
const MANY: &str = "
    INSERT INTO deliveries (id, origin, key_id, body_sha256, received_at, reports)
    VALUES ('dlv_00000000000000000000000001', 'github', 'k', 'b', 1, 1);
    INSERT INTO incidents (id, delivery_id, origin, kind, fingerprint, confidence, hint, issuer, state, outcome, verdict,
                           issued_token_id, received_at, closed_at, version)
    SELECT 'inc_' || lpad(n::text, 26, '0'), 'dlv_00000000000000000000000001', 'github',
           CASE WHEN n % 7 = 0 THEN 'acme-token' ELSE 'stanch-pat' END, 'f1:' || n, 'checksum', 'wxyz',
           CASE WHEN n % 7 = 0 THEN 'acme' ELSE 'builtin' END,
           CASE WHEN n % 400 = 0 THEN 'stuck' WHEN n % 500 = 1 THEN 'held' ELSE 'closed' END,
           CASE WHEN n % 400 = 0 OR n % 500 = 1 THEN NULL ELSE 'not_ours' END, 'not_ours', 't' || n,
           1700000000000 + n * 1000, 1700000000900 + n * 1000, 3
    FROM generate_series(0, 19999) AS numbers(n);
    UPDATE incidents SET stuck_step = 'revoke', reason = 'refuses us' WHERE state = 'stuck';
    UPDATE incidents SET reason = 'over the budget' WHERE state = 'held';
    INSERT INTO revocations (issuer, issued_token_id, incident_id, revoked_at)
    SELECT issuer, issued_token_id, id, received_at FROM incidents WHERE state = 'closed';
    INSERT INTO incident_terms (term, incident_id) SELECT 't:ci-' || substr(fingerprint, 4), id FROM incidents;
    ANALYZE;
    SELECT pg_stat_reset();
";

/// Seven incidents, a minute apart: those with even numbers are of another issuer, every third of another kind.
async fn seven(db: &TestDb, store: &Store) {
    for seed in 0..7 {
        db.clock.advance(Duration::from_mins(1));
        let mut delivery = delivery(&[&seed.to_string()], db.clock.now());
        if seed % 2 == 0 {
            delivery.tokens[0].issuer = Some(IssuerName::new("even"));
        }
        if seed % 3 == 0 {
            delivery.tokens[0].kind = KindId::new("npm-access-token");
        }
        opened(store, delivery).await;
    }
}

fn word(word: &str) -> String {
    word.to_owned()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// All pages of a list, three rows each.
async fn all(store: &Store, filter: &IncidentFilter) -> Vec<Incident> {
    let (mut all, mut request) = (Vec::new(), PageRequest::first(3));
    loop {
        let page = store.incidents(filter, &request).await.expect("read");
        assert!(page.items.len() <= 3);
        all.extend(page.items);
        let Some(next) = page.next else { return all };
        request.after = Some(next.to_string().parse().expect("a cursor survives its text"));
    }
}

/// Does everything that is due: verifies as live, revokes, mails, closes; the owner is Ada.
async fn work(db: &TestDb, store: &Store, steps: &[Step]) {
    loop {
        let claimed = claim(store, 32).await;
        if claimed.is_empty() {
            return;
        }
        for job in claimed {
            let now = db.clock.now();
            match job.step {
                step if !steps.contains(&step) => {
                    let later = now.plus(Duration::from_hours(1));
                    store.postpone(&job, later, "not now", Attempt::Counted).await.expect("postponed");
                }
                Step::Verify => {
                    let token = issued(&format!("t-{}", job.incident.id), Some("ada@owner.example"));
                    store.settle(&job, found_live(&job, now, token)).await.map(drop).expect("settled");
                }
                Step::Revoke => store.settle(&job, revoked(&job, now)).await.map(drop).expect("settled"),
                Step::Close => store.settle(&job, closed(&job, now)).await.map(drop).expect("settled"),
                Step::Notify => {
                    // Another job of this round may have told of it in the same mail.
                    let Ok(Composed::Ready(notice)) = store.compose(&job, now).await else { continue };
                    let actor = Actor::Worker("host-1".into());
                    store.settle_notice(&job, notice.id, notice.told, actor).await.expect("told");
                }
            }
        }
    }
}

on_both_databases! {
    async fn incidents_are_listed_newest_first_page_by_page(db) {
        let store = db.open().await;
        seven(&db, &store).await;
        let listed = all(&store, &IncidentFilter::default()).await;
        assert_eq!(listed.len(), 7);
        assert!(listed.is_sorted_by(|a, b| a.received_at > b.received_at));

        let found = async |filter: IncidentFilter| {
            let listed = all(&store, &filter).await.len();
            let counted = store.count_incidents(&filter, 100).await.expect("counted");
            assert_eq!(counted, Count::Exactly(u32::try_from(listed).expect("few")), "{filter:?}");
            listed
        };
        let filter = IncidentFilter::default;
        assert_eq!(found(IncidentFilter { issuer: Some(word("even")), ..filter() }).await, 4);
        assert_eq!(found(IncidentFilter { states: words(&["open"]), issuer: Some(word("even")), ..filter() }).await, 4);
        assert_eq!(found(IncidentFilter { states: words(&["closed"]), ..filter() }).await, 0);
        assert_eq!(found(IncidentFilter { states: words(&["closed", "open", "open"]), ..filter() }).await, 7);
        assert_eq!(found(IncidentFilter { kind: Some(word("npm-access-token")), ..filter() }).await, 3);
        assert_eq!(
            found(IncidentFilter { kind: Some(word("npm-access-token")), issuer: Some(word("even")), origin: Some(word("github")), ..filter() }).await,
            2
        );
        assert_eq!(found(IncidentFilter { origin: Some(word("gitlab")), ..filter() }).await, 0);
        let (third, fifth) = (listed[4].received_at, listed[2].received_at);
        assert_eq!(found(IncidentFilter { received_from: Some(third), received_before: Some(fifth), ..filter() }).await, 2);
        assert_eq!(found(IncidentFilter { received_from: Some(third), states: words(&["open"]), ..filter() }).await, 5);
        assert_eq!(store.count_incidents(&filter(), 3).await.expect("counted"), Count::AtLeast(3));
        assert_eq!(store.count_incidents(&filter(), 7).await.expect("counted"), Count::Exactly(7));
        assert_eq!(store.incident_counts().await.expect("read"), [("open".to_owned(), 7)]);
    }

    async fn no_page_of_a_list_reads_the_whole_table(db) {
        // SQLite's plans are looked at where its statements are made; PostgreSQL chooses by what is in the tables, and
        // counts what it reads.
        if db.file().is_some() {
            return;
        }
        db.open().await.close().await;
        db.run(MANY).await;
        let store = db.open().await;
        let filter = IncidentFilter::default;
        let cursor = BASE64_URL_SAFE_NO_PAD.encode("1700005000000.inc_1");
        let deep = PageRequest { after: Some(cursor.parse().expect("a cursor")), limit: 50 };
        for filter in [
            filter(),
            IncidentFilter { states: words(&["stuck"]), ..filter() },
            IncidentFilter { states: words(&["held", "stuck"]), issuer: Some(word("acme")), ..filter() },
            IncidentFilter { states: words(&["closed"]), issuer: Some(word("acme")), ..filter() },
            IncidentFilter { kind: Some(word("acme-token")), ..filter() },
            IncidentFilter { origin: Some(word("github")), kind: Some(word("acme-token")), ..filter() },
            IncidentFilter { text: Some(word("ci-77")), ..filter() },
            IncidentFilter { owner: Some(word("nobody")), ..filter() },
            IncidentFilter { received_before: Some(Timestamp::from_millis(1_700_003_000_000)), ..filter() },
        ] {
            for page in [&PageRequest::first(50), &deep] {
                store.incidents(&filter, page).await.expect("read");
            }
        }
        for issuer in [None, Some(word("acme"))] {
            let filter = RevokedFilter { issuer, ..RevokedFilter::default() };
            for page in [&PageRequest::first(50), &deep] {
                store.revoked_tokens(&filter, page).await.expect("read");
            }
        }
        // What a connection read is counted when it ends.
        store.close().await;
        let read = "SELECT COALESCE(sum(seq_tup_read), 0)::bigint FROM pg_stat_user_tables
                    WHERE relname IN ('incidents', 'incident_terms', 'revocations', 'occurrences')";
        let looked = "SELECT COALESCE(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'incidents'";
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..200 {
            looks.tick().await;
            if db.number(looked).await >= 20 {
                break;
            }
        }
        assert!(db.number(looked).await >= 20, "the indexes are used");
        // Filling them read each of them once.
        assert!(db.number(read).await < 3 * ROWS, "a table of {ROWS} rows was read: {}", db.number(read).await);
    }

    async fn an_incident_is_found_by_what_names_it(db) {
        let store = db.open().await;
        seven(&db, &store).await;
        let wanted = all(&store, &IncidentFilter::default()).await.swap_remove(3);
        for text in [
            wanted.id.to_string(),
            wanted.delivery_id.to_string(),
            format!("  {} ", wanted.fingerprint),
        ] {
            let listed = all(&store, &IncidentFilter { text: Some(text.clone()), ..IncidentFilter::default() }).await;
            assert_eq!(listed.iter().map(|it| it.id).collect::<Vec<_>>(), [wanted.id], "{text}");
        }
        let nothing = IncidentFilter { text: Some(word("nothing of this name")), ..IncidentFilter::default() };
        assert!(all(&store, &nothing).await.is_empty());
        assert_eq!(store.count_incidents(&nothing, 10).await.expect("counted"), Count::Exactly(0));
        let found = store.incidents_by_fingerprint(std::slice::from_ref(&wanted.fingerprint)).await.expect("read");
        assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), [wanted.id]);
    }

    async fn what_was_revoked_is_on_record_and_stays_there_when_purged(db) {
        let store = db.open().await;
        seven(&db, &store).await;
        work(&db, &store, &[Step::Verify, Step::Revoke, Step::Notify, Step::Close]).await;
        let (mut record, mut request) = (Vec::new(), PageRequest::first(3));
        loop {
            let page = store.revoked_tokens(&RevokedFilter::default(), &request).await.expect("read");
            record.extend(page.items);
            let Some(next) = page.next else { break };
            request.after = Some(next);
        }
        assert_eq!(record.len(), 7);
        assert!(record.iter().all(|it| it.incident.state == State::Closed(Outcome::Revoked)));
        assert!(record[0].occurrences[0].place.is_some());
        let even = RevokedFilter { issuer: Some(word("even")), ..RevokedFilter::default() };
        assert_eq!(store.revoked_tokens(&even, &PageRequest::first(100)).await.expect("read").items.len(), 4);
        let later = RevokedFilter { revoked_from: Some(db.clock.now().plus(Duration::from_secs(1))), ..RevokedFilter::default() };
        assert!(store.revoked_tokens(&later, &PageRequest::first(100)).await.expect("read").items.is_empty());

        db.clock.advance(crate::db::KEEP_REPORTS_FOR);
        store.sweep().await.expect("swept");
        let record = store.revoked_tokens(&RevokedFilter::default(), &PageRequest::first(100)).await.expect("read");
        assert_eq!(record.items.len(), 7);
        for it in record.items {
            assert_eq!(it.occurrences[0].place, None);
            assert_eq!(it.incident.token.expect("told by the issuer").owner, None);
        }
    }

    async fn all_that_is_known_of_an_incident_is_read_at_once(db) {
        let store = db.open().await;
        let opened = opened(&store, delivery(&["a", "b"], db.clock.now())).await;
        let before = store.incident_detail(opened[0]).await.expect("read").expect("there");
        assert_eq!((before.notice, before.timeline.len()), (None, 1));
        assert_eq!(before.job.map(|job| (job.step, job.tries, job.leased)), Some((Step::Verify, 0, None)));
        let held = claim(&store, 10).await;
        let running = store.incident_detail(opened[0]).await.expect("read").expect("there").job.expect("it runs");
        assert_eq!(running.leased.map(|(node, _)| node), Some("host-1".to_owned()));
        store.hand_back(&held.iter().map(|job| (job.job_id, job.lease)).collect::<Vec<_>>()).await.expect("given back");
        work(&db, &store, &[Step::Verify, Step::Revoke, Step::Notify]).await;
        let after = store.incident_detail(opened[0]).await.expect("read").expect("there");
        let notice = after.notice.expect("mailed");
        assert_eq!((notice.state.as_str(), notice.incidents), ("sent", 2));
        assert_eq!(after.job.and_then(|job| job.last_error).as_deref(), Some("not now"));
        assert!(after.timeline.is_sorted_by_key(|event| event.position));
        let unknown = stanch::id::IncidentId::generate(db.clock.now());
        assert!(store.incident_detail(unknown).await.expect("read").is_none());
    }

    async fn the_queue_is_told_by_step_and_issuer(db) {
        let store = db.open().await;
        seven(&db, &store).await;
        let held = claim(&store, 2).await;
        let parts = store.queue().await.expect("read");
        let told: Vec<_> = parts.iter().map(|it| (it.step, it.issuer.as_ref().map(IssuerName::as_str), it.jobs)).collect();
        assert_eq!(told, [(Step::Verify, Some("builtin"), 3), (Step::Verify, Some("even"), 4)]);
        assert_eq!(parts.iter().map(|it| (it.due, it.leased)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)), (5, 2));
        assert!(parts.iter().all(|it| it.failing == 0 && it.oldest_due_at.is_some()));
        let later = db.clock.now().plus(Duration::from_mins(5));
        store.postpone(&held[0], later, "timed out", Attempt::Counted).await.expect("postponed");
        let parts = store.queue().await.expect("read");
        assert_eq!(parts.iter().map(|it| it.failing).sum::<i64>(), 1);
    }

    async fn what_needs_a_person_is_told_by_reason(db) {
        let store = db.open().await;
        seven(&db, &store).await;
        assert!(store.needs_human().await.expect("read").is_empty());
        for (index, job) in claim(&store, 5).await.iter().enumerate() {
            let now = db.clock.now();
            let settlement = moved(job, now, EventKind::Held, |incident| {
                incident.judge(&Verdict::Live(issued(&format!("t{index}"), None)), now).expect("open");
                if index < 2 {
                    incident.hold("over the budget".into()).expect("live");
                } else {
                    incident.stick(Step::Revoke, "refuses our credential".into()).expect("live");
                }
            });
            store.settle(job, settlement).await.expect("settled");
        }
        let needs = store.needs_human().await.expect("read");
        assert_eq!(needs.held.iter().map(|it| it.incidents).sum::<i64>(), 2);
        assert_eq!(needs.stuck.iter().map(|it| it.incidents).sum::<i64>(), 3);
        assert!(needs.held.iter().all(|it| it.step.is_none() && it.reason == "over the budget"));
        assert!(needs.stuck.iter().all(|it| it.step == Some(Step::Revoke)));
        db.run("UPDATE occurrences SET purge_at = 1").await;
        assert_eq!(store.needs_human().await.expect("read").overdue_purges, 7);
    }
}
