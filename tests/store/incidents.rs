//! Reading incidents, and an operator's moves.

use stanch::incident::{Actor, Event, EventKind, IssuerName, State, Step};
use stanch::store::{Error, IncidentFilter};

use crate::given::*;
use crate::on_both_databases;

on_both_databases! {
    async fn incidents_are_listed_newest_first_page_by_page(db) {
        let store = db.open().await;
        for seed in 0..7 {
            db.clock.advance(std::time::Duration::from_millis(1));
            let mut delivery = delivery(&[&seed.to_string()], db.clock.now());
            if seed % 2 == 0 {
                delivery.tokens[0].issuer = Some(IssuerName::new("even"));
            }
            opened(&store, delivery).await;
        }
        let (mut listed, mut before) = (Vec::new(), None);
        loop {
            let filter = IncidentFilter { before, limit: 3, ..IncidentFilter::default() };
            let page = store.incidents(&filter).await.expect("read");
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            listed.extend(page.into_iter().map(|incident| incident.id));
        }
        assert_eq!(listed.len(), 7);
        assert!(listed.is_sorted_by(|a, b| a > b));
        let by = |filter: IncidentFilter| {
            let store = store.clone();
            async move { store.incidents(&IncidentFilter { limit: 10, ..filter }).await.expect("read").len() }
        };
        let word = |word: &str| Some(word.to_owned());
        assert_eq!(by(IncidentFilter { issuer: word("even"), ..Default::default() }).await, 4);
        assert_eq!(by(IncidentFilter { state: word("open"), issuer: word("even"), ..Default::default() }).await, 4);
        assert_eq!(by(IncidentFilter { state: word("closed"), ..Default::default() }).await, 0);
        assert_eq!(by(IncidentFilter { kind: word("stanch-pat"), origin: word("github"), ..Default::default() }).await, 7);
        assert_eq!(by(IncidentFilter { origin: word("gitlab"), ..Default::default() }).await, 0);
        assert_eq!(store.incident_counts().await.expect("read"), [("open".to_owned(), 7)]);
    }

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
