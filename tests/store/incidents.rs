//! Reading incidents, and an operator's moves.

use stanch::incident::{Actor, Event, EventKind, State, Step};
use stanch::store::Error;

use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn an_operator_takes_the_job_from_whoever_holds_it(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let opened = opened(&store, delivery(&["a"], now)).await;
        let claimed = claim_one(&store).await;
        let operator = Actor::Operator("root".into());
        let id = opened[0];
        let dismissed = store
            .intervene(id, operator.clone(), move |incident| {
                incident.dismiss()?;
                Ok(vec![Event::new(now, Actor::Worker("someone".into()), EventKind::Dismissed, Some(id))])
            })
            .await
            .expect("a legal move");
        assert_eq!(dismissed.next_step(), Some(Step::Close));
        assert!(store.secret(id).await.is_err(), "nothing needs it any more");
        let late = store.settle(&claimed, found_live(&claimed, now, issued("t1", None))).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        assert_eq!(claim_one(&store).await.step, Step::Close);
        assert_eq!(store.timeline(id).await.expect("read")[1].actor, operator.text());

        let illegal = store.intervene(id, operator, |incident| incident.release().map(|()| Vec::new())).await;
        assert!(matches!(illegal, Err(Error::Refused(_))), "{illegal:?}");
        let after = store.incident(id).await.expect("read").expect("there");
        assert!(matches!(after.state, State::Settled(_)));
    }

    async fn what_is_not_there_is_told_apart_from_what_cannot_be_read(db) {
        let store = db.open().await;
        let id = stanch::id::IncidentId::generate(db.clock.now());
        assert!(store.incident(id).await.expect("read").is_none());
        assert!(matches!(store.secret(id).await.err(), Some(Error::NotFound { .. })));
        let moved = store.intervene(id, Actor::Operator("root".into()), |_| Ok(Vec::new())).await;
        assert!(matches!(moved, Err(Error::NotFound { .. })), "{moved:?}");
        let opened = opened(&store, delivery(&["a"], db.clock.now())).await;
        db.run("UPDATE incidents SET state = 'haunted'").await;
        let unread = store.incident(opened[0]).await.expect_err("a word of another version");
        assert!(matches!(&unread, Error::Corrupt { what, .. } if what == "state"), "{unread:?}");
    }
}
