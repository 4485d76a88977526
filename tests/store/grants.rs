//! What magic tokens may do because of what they did.

use std::time::Duration;

use stanch::clock::Timestamp;
use stanch::id::TokenId;
use stanch::incident::EmailAddress;
use stanch::store::{Error, Grant, NewOwnToken, NewOwner, OwnTokenKind, Store};

use crate::on_both_databases;

async fn token(store: &Store, byte: u8, now: Timestamp) -> TokenId {
    let owner = NewOwner { name: "Ada".into(), email: EmailAddress::parse("ada@owner.example").expect("an address") };
    let owner_id = store.ensure_owner(owner).await.expect("stored");
    let id = TokenId::generate(now);
    let token = NewOwnToken::new(id, OwnTokenKind::Magic, owner_id, format!("dns {byte}"), [byte; 32]);
    store.insert_own_token(token, u32::MAX, None).await.expect("stored");
    id
}

fn grant(token_id: TokenId, record: u32, expires_at: Timestamp) -> Grant {
    let path = format!("/zones/z/records/{record}");
    Grant { token_id, upstream: "dns".into(), method: "DELETE".into(), path, expires_at }
}

on_both_databases! {
    async fn a_grant_holds_for_one_token_and_one_request_until_it_is_used(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let (mine, other) = (token(&store, 1, now).await, token(&store, 2, now).await);
        let given = grant(mine, 1, now.plus(Duration::from_hours(1)));
        store.grant(given.clone()).await.expect("stored");
        assert!(store.holds_grant(&given).await.expect("read"));
        for wrong in [
            grant(other, 1, now),
            grant(mine, 2, now),
            Grant { method: "PUT".into(), ..given.clone() },
            Grant { upstream: "another".into(), ..given.clone() },
        ] {
            assert!(!store.holds_grant(&wrong).await.expect("read"), "{wrong:?}");
        }
        store.use_grant(&given).await.expect("taken back");
        assert!(!store.holds_grant(&given).await.expect("read"));
    }

    async fn a_grant_is_over_in_time_and_may_be_given_anew(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let mine = token(&store, 1, now).await;
        let given = grant(mine, 1, now.plus(Duration::from_mins(1)));
        store.grant(given.clone()).await.expect("stored");
        store.grant(Grant { expires_at: now.plus(Duration::from_mins(2)), ..given.clone() }).await.expect("prolonged");
        db.clock.advance(Duration::from_secs(90));
        assert!(store.holds_grant(&given).await.expect("read"));
        db.clock.advance(Duration::from_secs(30));
        assert!(!store.holds_grant(&given).await.expect("read"));
    }

    async fn a_token_holds_a_thousand_grants_and_no_more(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let mine = token(&store, 1, now).await;
        for record in 0..1_000 {
            store.grant(grant(mine, record, now.plus(Duration::from_mins(1)))).await.expect("stored");
        }
        let one_more = grant(mine, 1_000, now.plus(Duration::from_mins(1)));
        assert!(matches!(store.grant(one_more.clone()).await, Err(Error::Unavailable(_))));
        db.clock.advance(Duration::from_mins(2));
        let one_more = Grant { expires_at: db.clock.now().plus(Duration::from_mins(1)), ..one_more };
        store.grant(one_more).await.expect("the others are over");
    }
}
