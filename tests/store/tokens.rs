//! The built-in issuer's tokens.

use std::time::Duration;

use stanch::clock::Timestamp;
use stanch::id::{OwnerId, TokenId};
use stanch::incident::EmailAddress;
use stanch::store::{Error, NewOwnToken, NewOwner, OwnTokenState};

use crate::on_both_databases;

fn minted(owner_id: OwnerId, name: &str, byte: u8, now: Timestamp) -> NewOwnToken {
    NewOwnToken {
        id: TokenId::generate(now),
        owner_id,
        name: name.into(),
        sha256: [byte; 32],
        hint: "wxyz".into(),
        scopes: vec!["upload".into(), "read \"all\"".into()],
        expires_at: None,
    }
}

fn ada() -> NewOwner {
    NewOwner { name: "Ada".into(), email: EmailAddress::parse("ada@owner.example").expect("an address") }
}

on_both_databases! {
    async fn an_owner_is_found_again_by_the_address(db) {
        let store = db.open().await;
        let first = store.ensure_owner(ada()).await.expect("stored");
        let again = store.ensure_owner(NewOwner { name: "Ada L.".into(), ..ada() }).await.expect("found");
        assert_eq!(first, again);
        store.insert_own_token(minted(first, "ci", 1, db.clock.now())).await.expect("stored");
        assert_eq!(store.own_tokens(None).await.expect("read")[0].owner_name, "Ada L.");
    }

    async fn a_token_is_found_by_its_hash_and_dies_once(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = minted(owner, "ci", 1, db.clock.now());
        let (id, scopes) = (token.id, token.scopes.clone());
        assert!(store.insert_own_token(token).await.expect("stored"));
        let found = store.own_tokens_by_hash(&[[9; 32], [1; 32], [1; 32]]).await.expect("read");
        assert!(found[0].is_none());
        let token = found[2].clone().expect("found");
        assert_eq!((token.id, token.scopes.clone(), token.state(db.clock.now())), (id, scopes, OwnTokenState::Active));
        assert!(store.revoke_own_token(id, "leaked", None).await.expect("killed"));
        assert!(!store.revoke_own_token(id, "again", None).await.expect("dead already"));
        let token = store.own_tokens_by_hash(&[[1; 32]]).await.expect("read").remove(0).expect("a tombstone");
        assert_eq!((token.state(db.clock.now()), token.revoked_reason.as_deref()), (OwnTokenState::Revoked, Some("leaked")));
        let unknown = store.revoke_own_token(TokenId::generate(db.clock.now()), "leaked", None).await;
        assert!(matches!(unknown, Err(Error::NotFound { .. })), "{unknown:?}");
    }

    async fn a_name_is_used_once_among_tokens_that_are_accepted(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let first = NewOwnToken { expires_at: Some(now.plus(Duration::from_mins(1))), ..minted(owner, "ci", 1, now) };
        assert!(store.insert_own_token(first).await.expect("stored"));
        assert!(!store.insert_own_token(minted(owner, "ci", 2, now)).await.expect("refused"));
        db.clock.advance(Duration::from_mins(1));
        let second = minted(owner, "ci", 3, now);
        let id = second.id;
        assert!(store.insert_own_token(second).await.expect("the first expired"));
        store.revoke_own_token(id, "rotated", None).await.expect("killed");
        assert!(store.insert_own_token(minted(owner, "ci", 4, now)).await.expect("the second is dead"));
        let nobody = store.insert_own_token(minted(OwnerId::generate(now), "ci", 5, now)).await;
        assert!(matches!(nobody, Err(Error::NotFound { .. })), "{nobody:?}");
        let other = EmailAddress::parse("bob@owner.example").expect("an address");
        assert_eq!(store.own_tokens(Some(&ada().email)).await.expect("read").len(), 3);
        assert!(store.own_tokens(Some(&other)).await.expect("read").is_empty());
    }

    async fn the_last_use_never_moves_backwards(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = minted(owner, "ci", 1, db.clock.now());
        let id = token.id;
        store.insert_own_token(token).await.expect("stored");
        for at in [2_000, 5_000, 3_000] {
            store.touch_own_token(id, Timestamp::from_millis(at)).await.expect("stored");
        }
        let token = store.own_tokens(None).await.expect("read").remove(0);
        assert_eq!(token.last_used_at, Some(Timestamp::from_millis(5_000)));
    }
}
