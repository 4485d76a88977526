//! Accepting deliveries, and the life of what they report.

use crate::given::*;
use crate::on_both_databases;
use stanch::incident::{Label, Outcome, State, Step};
use stanch::store::{Accepted, Composed, Settled};

on_both_databases! {
    async fn an_alert_lives_its_whole_life(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a"], now)).await;
        assert_eq!(opened.len(), 1);
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
        assert_eq!(notice.items.len(), 1);
        assert_eq!(notice.items[0].occurrences.len(), 1);
        let actor = stanch::incident::Actor::Worker("host-1".into());
        store.settle_notice(&notify, notice.id, actor).await.expect("settled");
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
}
