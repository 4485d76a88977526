//! The sweep.

use std::time::Duration;

use stanch::incident::{Step, Verdict};
use stanch::store::Sweep;

use crate::db::KEEP_REPORTS_FOR;
use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn what_came_with_a_report_is_gone_on_its_date(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let mut dead = delivery(&["a", "b"], now);
        for (token, id) in dead.tokens.iter_mut().zip(["t1", "t2"]) {
            token.verdict = Some(Verdict::Dead(Some(issued(id, Some("ada@owner.example")))));
        }
        let opened_ids = opened(&store, dead).await;
        db.clock.advance(KEEP_REPORTS_FOR.saturating_sub(Duration::from_secs(1)));
        assert_eq!(store.sweep().await.expect("swept"), Sweep::default(), "not before its date");
        db.clock.advance(Duration::from_secs(1));
        assert_eq!(store.sweep().await.expect("swept"), Sweep { purged: 2, ..Sweep::default() });
        assert_eq!(store.sweep().await.expect("swept"), Sweep::default(), "once");
        for id in &opened_ids {
            assert_eq!(store.occurrences(*id).await.expect("read")[0].place, None);
            let incident = store.incident(*id).await.expect("read").expect("the incident itself stays");
            assert_eq!(incident.token.expect("so does what is not personal").owner, None);
            assert_eq!(store.timeline(*id).await.expect("read").pop().expect("an event").kind, "purged");
        }
        store.accept(delivery(&["a"], db.clock.now())).await.expect("accepted");
        let places = store.occurrences(opened_ids[0]).await.expect("read");
        assert_eq!(places.iter().filter(|it| it.place.is_some()).count(), 1, "a new report of it is a new place");
        store.close().await;
        for bytes in db.bytes().await {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains("https://code.example/b"), "no trace is left");
            assert!(!text.contains("ada@owner.example"), "no trace is left");
        }
    }

    async fn leftovers_of_a_crash_are_repaired(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a", "b"], now)).await;
        db.run(&format!("UPDATE incidents SET state = 'settled', outcome = 'dismissed' WHERE id = '{}'", opened[1])).await;
        db.run("DELETE FROM jobs").await;
        let sweep = store.sweep().await.expect("swept");
        assert_eq!(sweep, Sweep { erased: 1, purged: 0, requeued: 2 });
        assert_eq!(store.sweep().await.expect("swept"), Sweep::default());
        let mut steps: Vec<Step> = claim(&store, 10).await.into_iter().map(|claimed| claimed.step).collect();
        steps.sort();
        assert_eq!(steps, [Step::Verify, Step::Close]);
    }
}
