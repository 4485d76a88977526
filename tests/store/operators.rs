//! Operators, their links, their sessions, and how often anybody may try.

use std::time::Duration;

use stanch::clock::Timestamp;
use stanch::incident::Actor;
use stanch::operator::Role;
use stanch::store::{Limit, NewSession, Operator, OperatorChange, OperatorName, Redeemed, SignedInBy, Store, Tries};

use super::on_both_databases;

const HOUR: Duration = Duration::from_hours(1);

fn name(text: &str) -> OperatorName {
    text.parse().expect("a name")
}

fn root() -> Actor {
    Actor::Operator("root".into())
}

async fn operator(store: &Store, text: &str) -> Operator {
    store.operator(&name(text)).await.expect("read").expect("added")
}

/// Adds an operator who has chosen a password.
async fn added(store: &Store, text: &str, role: Role, link: u8, end: Timestamp) {
    let changed = store.add_operator(&name(text), role, ([link; 32], end), root()).await.expect("stored");
    assert_eq!(changed, OperatorChange::Done);
    let redeemed = store.redeem([link; 32], None, "phc".into()).await.expect("stored");
    assert!(matches!(redeemed, Redeemed::Done(_)));
}

on_both_databases! {
    async fn the_bootstrap_link_makes_one_admin_once(db) {
        let store = db.open().await;
        let end = db.clock.now().plus(HOUR);
        assert!(store.bootstrap(([1; 32], end)).await.expect("stored"));
        assert!(store.bootstrap(([2; 32], end)).await.expect("stored"), "nobody has used the first");
        assert!(store.invitation([1; 32]).await.expect("read").is_none(), "the one before ends with the next");
        assert!(store.invitation([2; 32]).await.expect("read").expect("valid").operator.is_none());
        let redeemed = store.redeem([2; 32], Some(name("Ada")), "phc".into()).await.expect("stored");
        assert!(matches!(redeemed, Redeemed::Done(_)));
        let again = store.redeem([2; 32], Some(name("eve")), "phc".into()).await.expect("read");
        assert_eq!(again, Redeemed::Invalid);
        assert!(!store.bootstrap(([3; 32], end)).await.expect("read"), "there is an admin");
        let ada = operator(&store, "ada").await;
        assert_eq!((ada.role, ada.has_password), (Role::Admin, true));
        store.close().await;
    }

    async fn a_link_ends_with_its_time_and_with_its_operator(db) {
        let store = db.open().await;
        added(&store, "ada", Role::Admin, 1, db.clock.now().plus(HOUR)).await;
        let end = db.clock.now().plus(HOUR);
        store.add_operator(&name("eve"), Role::Viewer, ([7; 32], end), root()).await.expect("stored");
        let again = store.add_operator(&name("EVE"), Role::Admin, ([8; 32], end), root()).await.expect("read");
        assert_eq!(again, OperatorChange::NameTaken);
        assert!(store.invitation([7; 32]).await.expect("read").is_some());
        store.disable_operator(&name("eve"), root()).await.expect("stored");
        assert!(store.invitation([7; 32]).await.expect("read").is_none(), "for a disabled operator");
        store.enable_operator(&name("eve"), root()).await.expect("stored");
        assert!(store.invitation([7; 32]).await.expect("read").is_some());
        db.clock.advance(HOUR);
        assert!(store.invitation([7; 32]).await.expect("read").is_none(), "too late");
        let late = store.redeem([7; 32], None, "phc".into()).await.expect("read");
        assert_eq!(late, Redeemed::Invalid);
        store.close().await;
    }

    async fn the_last_admin_stays(db) {
        let store = db.open().await;
        let end = db.clock.now().plus(HOUR);
        added(&store, "ada", Role::Admin, 1, end).await;
        assert_eq!(store.disable_operator(&name("ada"), root()).await.expect("read"), OperatorChange::LastAdmin);
        let demoted = store.set_operator_role(&name("ada"), Role::Viewer, root()).await.expect("read");
        assert_eq!(demoted, OperatorChange::LastAdmin);
        // Somebody who cannot sign in yet does not count.
        store.add_operator(&name("eve"), Role::Admin, ([2; 32], end), root()).await.expect("stored");
        assert_eq!(store.disable_operator(&name("ada"), root()).await.expect("read"), OperatorChange::LastAdmin);
        store.redeem([2; 32], None, "phc".into()).await.expect("stored");
        assert_eq!(store.disable_operator(&name("ada"), root()).await.expect("stored"), OperatorChange::Done);
        assert_eq!(store.disable_operator(&name("nobody"), root()).await.expect("read"), OperatorChange::Unknown);
        store.close().await;
    }

    async fn a_session_ends_when_it_should(db) {
        let store = db.open().await;
        added(&store, "ada", Role::Admin, 1, db.clock.now().plus(HOUR)).await;
        let ada = operator(&store, "ada").await;
        let sign_in = async |token: u8, replaces: Option<u8>| {
            let session = NewSession {
                sha256: [token; 32],
                operator_id: ada.id,
                expires_at: db.clock.now().plus(12 * HOUR),
                by: SignedInBy::Password,
                confirmed_at: db.clock.now(),
                replaces: replaces.map(|token| [token; 32]),
            };
            assert!(store.open_session(session).await.expect("stored"));
        };
        let lives = async |token: u8| store.session([token; 32], HOUR).await.expect("read").is_some();
        sign_in(10, None).await;
        assert!(lives(10).await && !lives(11).await);
        sign_in(11, Some(10)).await;
        assert!(!lives(10).await && lives(11).await, "rotated at sign-in");

        let confirmed_at = db.clock.now();
        db.clock.advance(HOUR / 2);
        store.touch_session([11; 32]).await.expect("stored");
        assert!(store.confirm_session([11; 32], [12; 32]).await.expect("stored"));
        assert!(!lives(11).await, "rotated at confirmation");
        let session = store.session([12; 32], HOUR).await.expect("read").expect("lives");
        assert!(session.confirmed_at > confirmed_at);

        db.clock.advance(HOUR);
        assert!(!lives(12).await, "idle");
        sign_in(13, None).await;
        for _ in 0..24 {
            db.clock.advance(HOUR / 2);
            store.touch_session([13; 32]).await.expect("stored");
        }
        assert!(!lives(13).await, "over, however busy");

        sign_in(14, None).await;
        store.end_session([14; 32], ada.actor()).await.expect("stored");
        assert!(!lives(14).await, "signed out");
        sign_in(15, None).await;
        store.reset_operator(&ada.name, ([9; 32], db.clock.now().plus(HOUR)), root()).await.expect("stored");
        assert!(!lives(15).await, "the password is gone, and so are the sessions");
        assert_eq!(store.operator_password(ada.id).await.expect("read"), None);
        store.close().await;
    }

    async fn tries_are_counted_in_a_window_and_success_is_forgiven(db) {
        let store = db.open().await;
        let limits = || vec![
            Limit { subject: "account:ada".into(), failures: 3, within: HOUR / 4 },
            Limit { subject: "address:::1".into(), failures: 5, within: HOUR / 4 },
        ];
        for _ in 0..3 {
            assert_eq!(store.count_try(limits()).await.expect("stored"), Tries::Left);
        }
        db.clock.advance(HOUR / 8);
        let spent = store.count_try(limits()).await.expect("stored");
        assert_eq!(spent, Tries::Spent(HOUR / 8), "the window began with the first");
        store.forgive_try(&limits()).await.expect("stored");
        store.forgive_try(&limits()).await.expect("stored");
        assert_eq!(store.count_try(limits()).await.expect("stored"), Tries::Left);
        db.clock.advance(HOUR / 8);
        for _ in 0..3 {
            assert_eq!(store.count_try(limits()).await.expect("stored"), Tries::Left, "a new window");
        }
        assert!(!String::from_utf8_lossy(&db.bytes().await.concat()).contains("account:ada"), "kept as a hash");
        store.close().await;
    }
}
