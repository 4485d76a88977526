//! Accepting deliveries.

use std::time::Duration;

use stanch::incident::{Label, Outcome, Place, State, Step, Unknown, Verdict};
use stanch::store::{Accepted, NewDelivery, NewReport, ReportContent};

use crate::given::*;
use crate::on_both_databases;

/// A delivery whose tokens a local issuer has judged at the door.
fn judged(seeds: &[&str], verdict: &Verdict, now: stanch::clock::Timestamp) -> NewDelivery {
    let mut delivery = delivery(seeds, now);
    for token in &mut delivery.tokens {
        token.verdict = Some(verdict.clone());
    }
    delivery
}

fn labels(accepted: Accepted) -> Vec<Option<Label>> {
    match accepted {
        Accepted::Stored { labels, .. } | Accepted::Replayed { labels, .. } => labels,
    }
}

on_both_databases! {
    async fn the_same_body_again_is_answered_as_before_and_changes_nothing(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let (mut first, mut second) = (delivery(&["a", "b"], now), delivery(&["a", "b"], now));
        first.reports[1].label = Some(Label::FalsePositive);
        second.body_sha256 = first.body_sha256;
        let id = first.id;
        store.accept(first).await.expect("accepted");
        let Accepted::Replayed { delivery_id, labels } = store.accept(second).await.expect("accepted") else {
            panic!("stored twice")
        };
        assert_eq!(delivery_id, id);
        assert_eq!(labels, [None, Some(Label::FalsePositive)]);
        assert_eq!(db.number("SELECT count(*) FROM reports").await, 2);
        assert_eq!(db.number("SELECT count(*) FROM events").await, 2);
        assert_eq!(db.number("SELECT CAST(sum(reports) AS BIGINT) FROM occurrences").await, 2);
    }

    async fn the_same_body_a_day_later_is_a_new_delivery(db) {
        let store = db.open().await;
        let first = judged(&["a"], &Verdict::NotOurs, db.clock.now());
        let body = first.body_sha256;
        let incidents = opened(&store, first).await;
        let again = async |after: Duration| {
            db.clock.advance(after);
            let mut again = delivery(&["a"], db.clock.now());
            again.body_sha256 = body;
            store.accept(again).await.expect("accepted")
        };
        let same = again(Duration::from_millis(86_399_999)).await;
        assert!(matches!(same, Accepted::Replayed { .. }), "{same:?}");
        assert!(claim(&store, 1).await.is_empty());
        let new = again(Duration::from_millis(1)).await;
        assert!(matches!(new, Accepted::Stored { .. }), "{new:?}");
        assert_eq!(claim_one(&store).await.incident.id, incidents[0], "its issuer is asked again");
        let same = again(Duration::from_hours(1)).await;
        assert!(matches!(same, Accepted::Replayed { .. }), "of the newer delivery: {same:?}");
        assert_eq!(db.number("SELECT count(*) FROM deliveries").await, 2);
        assert_eq!(db.number("SELECT count(*) FROM incidents").await, 1);
    }

    async fn one_token_is_one_incident_however_often_it_is_reported(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let mut first = delivery(&["a"], now);
        for url in ["https://code.example/a", "https://code.example/b"] {
            first.reports.push(NewReport { content: ReportContent::Token(0), place: place(url), label: None });
        }
        let opened = opened(&store, first).await;
        store.accept(delivery(&["a"], now)).await.expect("accepted");
        let occurrences = store.occurrences(opened[0]).await.expect("read");
        let mut counts: Vec<(String, i64)> =
            occurrences.into_iter().map(|it| (it.place.expect("not purged").url, it.reports)).collect();
        // Ids made in the same millisecond come in any order.
        counts.sort();
        assert_eq!(counts, [("https://code.example/a".into(), 3), ("https://code.example/b".into(), 1)]);
        assert_eq!(db.number("SELECT count(*) FROM incidents").await, 1);
        assert_eq!(db.number("SELECT count(*) FROM jobs").await, 1);
        assert_eq!(db.number("SELECT count(*) FROM secrets").await, 1);
    }

    async fn a_large_delivery_is_stored_whole(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let seeds: Vec<String> = (0..333).map(|seed| seed.to_string()).collect();
        let mut large = delivery(&seeds.iter().map(String::as_str).collect::<Vec<_>>(), now);
        for content in [ReportContent::Malformed { reason: "no token" }, ReportContent::Unrecognized] {
            large.reports.push(NewReport { content, place: Place::default(), label: None });
        }
        assert_eq!(opened(&store, large).await.len(), 333);
        for (table, rows) in [("incidents", 333), ("jobs", 333), ("secrets", 333), ("occurrences", 333), ("reports", 335)] {
            assert_eq!(db.number(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
        }
    }

    async fn text_of_a_stranger_that_no_database_likes_is_stored(db) {
        let store = db.open().await;
        let mut odd = delivery(&["a"], db.clock.now());
        odd.reports[0].place = Place { sent_type: "a\0b'; --".into(), url: String::new(), source: "\u{10FFFF}".into() };
        let opened = opened(&store, odd).await;
        let place = store.occurrences(opened[0]).await.expect("read").remove(0).place.expect("kept");
        assert_eq!(place, Place { sent_type: "a\u{FFFD}b'; --".into(), url: String::new(), source: "\u{10FFFF}".into() });
    }

    async fn a_token_that_is_dead_or_not_ours_is_closed_at_the_door(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let mut mixed = judged(&["dead", "not_ours"], &Verdict::Dead(None), now);
        mixed.tokens[1].verdict = Some(Verdict::NotOurs);
        let Accepted::Stored { labels, opened } = store.accept(mixed).await.expect("accepted") else { panic!("replayed") };
        assert_eq!(labels, [Some(Label::TruePositive), Some(Label::FalsePositive)]);
        for (id, outcome) in opened.into_iter().zip([Outcome::AlreadyDead, Outcome::NotOurs]) {
            let incident = store.incident(id).await.expect("read").expect("there");
            assert_eq!(incident.state, State::Closed(outcome));
            let kinds: Vec<String> =
                store.timeline(id).await.expect("read").into_iter().map(|event| event.kind).collect();
            assert_eq!(kinds, ["opened", "verified"]);
        }
        assert_eq!(db.number("SELECT count(*) FROM secrets").await, 0, "nothing is sealed that nobody opens");
        assert_eq!(db.number("SELECT count(*) FROM jobs").await, 0);
        assert_eq!(db.number("SELECT count(*) FROM occurrences WHERE purge_at IS NULL").await, 0);
    }

    async fn a_token_found_live_at_the_door_is_revoked_next(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let live = judged(&["a"], &Verdict::Live(issued("t1", None)), now);
        assert_eq!(labels(store.accept(live).await.expect("accepted")), [Some(Label::TruePositive)]);
        assert_eq!(claim_one(&store).await.step, Step::Revoke);
    }

    async fn no_answer_at_the_door_leaves_the_question_open(db) {
        let store = db.open().await;
        let unknown = Verdict::Unknown(Unknown::Unavailable { why: "timed out".into() });
        let asked = judged(&["a"], &unknown, db.clock.now());
        assert_eq!(labels(store.accept(asked).await.expect("accepted")), [None]);
        assert_eq!(claim_one(&store).await.step, Step::Verify);
    }

    async fn a_verdict_at_the_door_settles_an_incident_that_was_open(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a"], now)).await;
        let held = claim_one(&store).await;
        store.accept(judged(&["a"], &Verdict::NotOurs, now)).await.expect("accepted");
        let incident = store.incident(opened[0]).await.expect("read").expect("there");
        assert_eq!(incident.state, State::Closed(Outcome::NotOurs));
        assert!(store.secret(opened[0]).await.is_err(), "erased with the end");
        assert!(store.settle(&held, found_live(&held, now, issued("t1", None))).await.is_err(), "its job is gone");
        assert_eq!(db.number("SELECT count(*) FROM jobs").await, 0);
    }

    async fn a_closed_incident_starts_again_when_its_token_lives(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, judged(&["a"], &Verdict::NotOurs, now)).await;
        let again = judged(&["a"], &Verdict::Live(issued("t1", None)), now);
        let delivery_id = again.id;
        store.accept(again).await.expect("accepted");
        let revoke = claim_one(&store).await;
        assert_eq!((revoke.step, revoke.incident.id, revoke.incident.delivery_id), (Step::Revoke, opened[0], delivery_id));
        assert_eq!(store.secret(opened[0]).await.expect("sealed again").expose(), token_bytes("a"));
    }

    async fn an_old_verdict_is_asked_about_again_and_a_fresh_one_believed(db) {
        let store = db.open().await;
        let opened = opened(&store, judged(&["a"], &Verdict::NotOurs, db.clock.now())).await;
        db.clock.advance(Duration::from_mins(59));
        let fresh = store.accept(delivery(&["a"], db.clock.now())).await.expect("accepted");
        assert_eq!(labels(fresh), [Some(Label::FalsePositive)], "what is known is told");
        assert!(claim(&store, 1).await.is_empty());
        db.clock.advance(Duration::from_mins(2));
        let old = store.accept(delivery(&["a"], db.clock.now())).await.expect("accepted");
        assert_eq!(labels(old), [None], "what may have changed is not");
        assert_eq!(claim_one(&store).await.incident.id, opened[0]);
        let kinds: Vec<String> =
            store.timeline(opened[0]).await.expect("read").into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["opened", "verified", "reported", "reopened"]);
    }

    async fn an_older_fingerprint_finds_the_incident(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a"], now)).await;
        let mut rotated = delivery(&["b"], now);
        let old = token("a").fingerprints;
        rotated.tokens[0].fingerprints.extend(old);
        store.accept(rotated).await.expect("accepted");
        assert_eq!(store.timeline(opened[0]).await.expect("read").len(), 2);
        assert_eq!(db.number("SELECT count(*) FROM incidents").await, 1);
    }
}
