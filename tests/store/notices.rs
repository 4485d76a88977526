//! Notices.

use std::time::Duration;

use stanch::incident::{Actor, EmailAddress, State, Step};
use stanch::store::{Change, Changed, Claimed, Composed, Error, Notice, Order, Selection, Store, Told};

use crate::given::*;
use crate::on_both_databases;

fn worker() -> Actor {
    Actor::Worker("host-1".into())
}

/// A delivery whose tokens belong to these owners and were all revoked; returns the claimed notify jobs.
async fn revoked_of(store: &Store, owners: &[&str], now: stanch::clock::Timestamp) -> Vec<Claimed> {
    let seeds: Vec<String> = (0..owners.len()).map(|seed| seed.to_string()).collect();
    opened(store, delivery(&seeds.iter().map(String::as_str).collect::<Vec<_>>(), now)).await;
    for (verify, owner) in claim(store, 100).await.iter().zip(owners) {
        let issued = issued(&verify.incident.id.to_string(), (!owner.is_empty()).then_some(*owner));
        store.settle(verify, found_live(verify, now, issued)).await.expect("settled");
    }
    for revoke in claim(store, 100).await {
        store.settle(&revoke, revoked(&revoke, now)).await.expect("settled");
    }
    let notify = claim(store, 100).await;
    assert!(notify.iter().all(|claimed| claimed.step == Step::Notify));
    notify
}

fn ready(composed: Composed) -> Notice {
    match composed {
        Composed::Ready(notice) => notice,
        other => panic!("{other:?}"),
    }
}

on_both_databases! {
    async fn tokens_of_one_owner_in_one_delivery_are_one_mail(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let jobs = revoked_of(&store, &["ada@owner.example", "bob@owner.example", "ada@owner.example"], now).await;
        let mut notices = Vec::new();
        for job in &jobs {
            match store.compose(job, now).await {
                Ok(composed) => notices.push((job, ready(composed))),
                Err(error) => assert!(matches!(error, Error::LeaseLost), "{error:?}"),
            }
        }
        let mut items: Vec<usize> = notices.iter().map(|(_, notice)| notice.items.len()).collect();
        items.sort_unstable();
        assert_eq!(items, [1, 2]);
        assert!(notices.iter().flat_map(|(_, notice)| &notice.items).all(|item| item.occurrences.len() == 1));
        for (job, notice) in &notices {
            store.settle_notice(job, notice.id, notice.told, worker()).await.expect("settled");
            let again = store.settle_notice(job, notice.id, notice.told, worker()).await;
            assert!(matches!(again, Err(Error::LeaseLost)), "{again:?}");
        }
        let closing = claim(&store, 10).await;
        assert_eq!(closing.iter().filter(|claimed| claimed.step == Step::Close).count(), 3);
        assert_eq!(db.number("SELECT count(*) FROM notices WHERE state = 'sent'").await, 2);
        assert_eq!(db.number("SELECT count(*) FROM events WHERE kind = 'notified'").await, 3);
    }

    async fn an_owner_is_mailed_again_when_a_person_says_so_and_counted_once(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let resend = async |id| {
            let order = Order { actor: Actor::Operator("ada".into()), reason: None };
            match store.change(Change::Resend, &Selection::Ids(vec![id]), &order).await.expect("changed") {
                Changed::Done(moved) => moved.refused.into_iter().map(|(_, why)| why).next(),
                Changed::Requested { .. } => panic!("one person is enough"),
            }
        };
        let job = revoked_of(&store, &["ada@owner.example"], now).await.swap_remove(0);
        let id = job.incident.id;
        assert!(resend(id).await.expect("refused").contains("cannot be told again"));
        let first = ready(store.compose(&job, now).await.expect("composed"));
        store.settle_notice(&job, first.id, first.told, worker()).await.expect("settled");
        let closing = claim_one(&store).await;
        store.settle(&closing, closed(&closing, now)).await.expect("settled");

        db.clock.advance(Duration::from_hours(1));
        assert_eq!(resend(id).await, None);
        let job = claim_one(&store).await;
        let second = ready(store.compose(&job, db.clock.now()).await.expect("composed"));
        assert_ne!(first.id, second.id, "another mail, which no client folds into the first");
        store.settle_notice(&job, second.id, second.told, worker()).await.expect("settled");
        let closing = claim_one(&store).await;
        store.settle(&closing, closed(&closing, db.clock.now())).await.expect("settled");
        let addresses = "SELECT count(*) FROM notices WHERE address IS NOT NULL";
        assert_eq!(db.number(addresses).await, 1, "the address of the first mail went with what it told about");
        let incident = store.incident(id).await.expect("read").expect("there");
        assert_eq!((incident.notified_at, incident.closed_at), (Some(now), Some(now)));
        let counted = "SELECT count(*) FROM statistics_hours WHERE measure IN ('notified', 'closed:revoked') AND amount = 1";
        // On a server that others use, the trail is followed once their older transactions are over.
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..400 {
            looks.tick().await;
            while store.seal_audit().await.expect("sealed").more {}
            if db.number(counted).await == 2 {
                break;
            }
        }
        assert_eq!(db.number(counted).await, 2, "each once, in the first hour");

        db.clock.advance(crate::db::KEEP_REPORTS_FOR);
        store.sweep().await.expect("swept");
        assert_eq!(db.number(addresses).await, 0);
        assert!(resend(id).await.expect("refused").contains("erased"), "nobody is left to tell");
    }

    async fn a_worker_that_died_after_mailing_leaves_the_same_notice_to_the_next(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let jobs = revoked_of(&store, &["ada@owner.example", "ada@owner.example"], now).await;
        let first = ready(store.compose(&jobs[0], now).await.expect("composed"));
        db.clock.advance(LEASE);
        assert_eq!(store.sweep().await.expect("swept").requeued, 0, "one job stands for both");
        let next = claim(&store, 10).await;
        assert_eq!(next.len(), 1, "one job stands for both");
        let again = ready(store.compose(&next[0], now).await.expect("composed"));
        assert_eq!((again.id, again.created_at, again.items.len()), (first.id, first.created_at, 2));
        let late = store.settle_notice(&jobs[0], first.id, first.told, worker()).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        store.settle_notice(&next[0], again.id, again.told, worker()).await.expect("settled");
    }

    async fn who_was_told_is_not_told_again_by_the_next_worker(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let of_several = |id: &str| {
            let mut token = issued(id, Some("ada@owner.example"));
            let bob = EmailAddress::parse("bob@owner.example").expect("an address");
            token.owner.as_mut().expect("given").others.push(bob);
            token
        };
        opened(&store, delivery(&["a", "b", "c"], now)).await;
        for (verify, several) in claim(&store, 10).await.iter().zip([true, false, true]) {
            let id = verify.incident.id.to_string();
            let token = if several { of_several(&id) } else { issued(&id, Some("ada@owner.example")) };
            store.settle(verify, found_live(verify, now, token)).await.expect("settled");
        }
        for revoke in claim(&store, 10).await {
            store.settle(&revoke, revoked(&revoke, now)).await.expect("settled");
        }
        let of_two = |claimed: &Claimed| {
            let owner = claimed.incident.token.as_ref().and_then(|token| token.owner.as_ref());
            owner.is_some_and(|owner| owner.addresses().count() == 2)
        };
        let job = claim(&store, 10).await.into_iter().find(of_two).expect("due");
        let notice = ready(store.compose(&job, now).await.expect("composed"));
        assert_eq!(notice.items.len(), 2, "the tokens with the same owners");
        let told = Told { told: 1, untold: 0 };
        store.note_told(&job, notice.id, &notice.to[1..], told).await.expect("noted");

        db.clock.advance(LEASE);
        let next = claim(&store, 10).await.into_iter().find(of_two).expect("due");
        let again = ready(store.compose(&next, now).await.expect("composed"));
        assert_eq!((again.id, again.told, again.to.as_slice()), (notice.id, told, &notice.to[1..]));
        let late = store.note_told(&job, notice.id, &notice.to, told).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        let end = Told { told: 1, untold: 1 };
        store.settle_notice(&next, again.id, end, worker()).await.expect("settled");
        let stored = "SELECT count(*) FROM notices WHERE told = 1 AND untold = 1 AND state = 'sent'";
        assert_eq!(db.number(stored).await, 1);
    }

    async fn a_mail_waits_for_the_other_tokens_of_its_delivery_but_not_for_ever(db) {
        let store = db.open().await;
        let now = db.clock.now();
        opened(&store, delivery(&["a", "b"], now)).await;
        let verify = claim_one(&store).await;
        store.settle(&verify, found_live(&verify, now, issued("t1", Some("ada@owner.example")))).await.expect("settled");
        let steps = claim(&store, 10).await;
        let revoke = steps.iter().find(|claimed| claimed.step == Step::Revoke).expect("due");
        store.settle(revoke, revoked(revoke, now)).await.expect("settled");
        let notify = claim_one(&store).await;
        let until = now.plus(Duration::from_secs(5));
        assert!(matches!(store.compose(&notify, until).await, Ok(Composed::Wait)));
        db.clock.advance(Duration::from_secs(5));
        assert_eq!(ready(store.compose(&notify, until).await.expect("composed")).items.len(), 1);
    }

    async fn an_owner_without_an_address_is_nobody_to_mail(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let jobs = revoked_of(&store, &[""], now).await;
        assert!(matches!(store.compose(&jobs[0], now).await, Ok(Composed::NoAddress)));
    }

    async fn a_mail_that_cannot_be_delivered_waits_for_a_person_and_a_retry_is_a_new_mail(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let jobs = revoked_of(&store, &["ada@owner.example", "ada@owner.example"], now).await;
        let first = ready(store.compose(&jobs[0], now).await.expect("composed"));
        store.abandon_notice(&jobs[0], first.id, "no such mailbox", worker()).await.expect("abandoned");
        assert!(claim(&store, 10).await.is_empty());
        for item in &first.items {
            let incident = store.incident(item.incident.id).await.expect("read").expect("there");
            assert_eq!(incident.state, State::Stuck { step: Step::Notify, reason: "no such mailbox".into() });
            let retried = store.intervene(incident.id, Actor::Operator("root".into()), |incident| {
                incident.retry().map(|_| Vec::new())
            });
            retried.await.expect("retried");
        }
        let jobs = claim(&store, 10).await;
        let second = ready(store.compose(&jobs[0], now).await.expect("composed"));
        assert_ne!(second.id, first.id);
        assert_eq!(second.items.len(), 2);
    }
}
