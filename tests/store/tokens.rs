//! The built-in issuer's tokens.

use std::time::Duration;

use sha2::Digest as _;
use stanch::clock::Timestamp;
use stanch::id::{IncidentId, OwnerId, TokenId};
use stanch::incident::{EmailAddress, Verdict};
use stanch::mint;
use stanch::store::{
    AuditFilter, Branch, Changing, Error, Insertion, Narrowing, NewOwnToken, NewOwner, OwnTokenFilter, OwnTokenKind,
    OwnTokenState, OwnTokenStatus, PageRequest, Revoking, Rotation, Store, TokenOccasion, Use,
};
use stanch::token::Secret;

use crate::given::{delivery, issued, opened};
use crate::on_both_databases;

fn minted(owner_id: OwnerId, name: &str, byte: u8, now: Timestamp) -> NewOwnToken {
    NewOwnToken {
        hint: "wxyz".into(),
        scopes: vec!["upload".into(), "read \"all\"".into()],
        ..NewOwnToken::new(TokenId::generate(now), OwnTokenKind::Pat, owner_id, name.into(), [byte; 32])
    }
}

fn revoking(reason: &str) -> Revoking {
    Revoking { by: "operator:root".into(), reason: reason.into(), incident_id: None }
}

fn of(owner_email: EmailAddress) -> OwnTokenFilter {
    OwnTokenFilter { owner_email: Some(owner_email), ..OwnTokenFilter::default() }
}

fn by() -> Changing {
    Changing { by: "operator:root".into() }
}

async fn all(store: &Store) -> Result<Vec<stanch::store::OwnToken>, Error> {
    store.own_tokens(&OwnTokenFilter::default()).await
}

/// Whether it was stored.
async fn insert(store: &Store, token: NewOwnToken) -> Result<bool, Error> {
    store.insert_own_token(token, u32::MAX, None).await.map(|inserted| inserted == Insertion::Stored)
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
        insert(&store, minted(first, "ci", 1, db.clock.now())).await.expect("stored");
        assert_eq!(all(&store).await.expect("read")[0].owner_name, "Ada L.");
    }

    async fn no_check_waits_for_the_writing_of_uses(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let secret = Secret::new(b"any text of thirty-two characters".to_vec());
        let sha256 = sha2::Sha256::digest(secret.expose()).into();
        let id = TokenId::generate(db.clock.now());
        let token = NewOwnToken::new(id, OwnTokenKind::Key, owner, "ci".into(), sha256);
        assert!(insert(&store, token).await.expect("stored"));
        let settings = mint::Settings { cache_for: Duration::ZERO, ..mint::Settings::default() };
        let door = mint::Authenticator::new(store.clone(), settings, db.clock.clone());
        let (held, request) = (db.hold_tokens().await, mint::Request::default());
        for _ in 0..100 {
            // Each reads the record, and the first use is to be written at once.
            let checked = door.authenticate(&secret, &request);
            tokio::time::timeout(Duration::from_millis(500), checked).await.expect("at once").expect("accepted");
        }
        let uses = async || store.own_token(id).await.expect("read").expect("stored").uses;
        assert_eq!(uses().await, 0, "they cannot be written");
        held.give_back().await;
        door.close().await;
        assert_eq!(uses().await, 100, "none is lost");
    }

    async fn a_token_is_found_by_its_hash_and_dies_once(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = minted(owner, "ci", 1, db.clock.now());
        let (id, scopes) = (token.id, token.scopes.clone());
        assert!(insert(&store, token).await.expect("stored"));
        let found = store.own_tokens_by_hash(&[[9; 32], [1; 32], [1; 32]]).await.expect("read");
        assert!(found[0].is_none());
        let token = found[2].clone().expect("found");
        assert_eq!((token.id, token.scopes.clone(), token.state(db.clock.now())), (id, scopes, OwnTokenState::Active));
        assert!(store.revoke_own_token(id, revoking("leaked")).await.expect("killed"));
        assert!(!store.revoke_own_token(id, revoking("again")).await.expect("dead already"));
        let token = store.own_tokens_by_hash(&[[1; 32]]).await.expect("read").remove(0).expect("a tombstone");
        assert_eq!((token.state(db.clock.now()), token.revoked_reason.as_deref()), (OwnTokenState::Revoked, Some("leaked")));
        let unknown = store.revoke_own_token(TokenId::generate(db.clock.now()), revoking("leaked")).await;
        assert!(matches!(unknown, Err(Error::NotFound { .. })), "{unknown:?}");
    }

    async fn a_name_is_used_once_among_tokens_that_are_accepted(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let first = NewOwnToken { expires_at: Some(now.plus(Duration::from_mins(1))), ..minted(owner, "ci", 1, now) };
        assert!(insert(&store, first).await.expect("stored"));
        assert!(!insert(&store, minted(owner, "ci", 2, now)).await.expect("refused"));
        db.clock.advance(Duration::from_mins(1));
        let second = minted(owner, "ci", 3, now);
        let id = second.id;
        assert!(insert(&store, second).await.expect("the first expired"));
        store.revoke_own_token(id, revoking("rotated")).await.expect("killed");
        assert!(insert(&store, minted(owner, "ci", 4, now)).await.expect("the second is dead"));
        let nobody = insert(&store, minted(OwnerId::generate(now), "ci", 5, now)).await;
        assert!(matches!(nobody, Err(Error::NotFound { .. })), "{nobody:?}");
        let other = EmailAddress::parse("bob@owner.example").expect("an address");
        assert_eq!(store.own_tokens(&of(ada().email)).await.expect("read").len(), 3);
        assert!(store.own_tokens(&of(other)).await.expect("read").is_empty());
    }

    async fn the_last_use_never_moves_backwards(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = minted(owner, "ci", 1, db.clock.now());
        let id = token.id;
        insert(&store, token).await.expect("stored");
        for at in [2_000, 5_000, 3_000] {
            let at = Timestamp::from_millis(at);
            let used = Use { token_id: id, at, first_at: at, from: Some(format!("{at}")), count: 2 };
            store.record_uses(vec![used]).await.expect("stored");
        }
        let token = all(&store).await.expect("read").remove(0);
        let at = Timestamp::from_millis;
        assert_eq!((token.first_used_at, token.last_used_at, token.uses), (Some(at(2_000)), Some(at(5_000)), 6));
        assert_eq!(token.last_used_from, Some(at(5_000).to_string()));
    }

    async fn nobody_has_more_living_tokens_than_allowed(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        for (name, byte, expected) in [("a", 1, Insertion::Stored), ("b", 2, Insertion::Stored), ("c", 3, Insertion::TooMany)] {
            let token = minted(owner, name, byte, db.clock.now());
            assert_eq!(store.insert_own_token(token, 2, None).await.expect("answered"), expected, "{name}");
        }
    }

    async fn what_is_sealed_opens_for_its_row_alone_and_is_no_part_of_the_database(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let root_key = || Secret::new(vec![0x5a; 32]);
        for (name, kind, byte) in [("m", OwnTokenKind::Macaroon, 1), ("x", OwnTokenKind::Magic, 2)] {
            let token = NewOwnToken { kind, sealed: Some(root_key()), ..minted(owner, name, byte, db.clock.now()) };
            assert!(insert(&store, token).await.expect("stored"));
        }
        let tokens = all(&store).await.expect("read");
        for token in &tokens {
            assert_eq!(store.open_own(token).expect("opens").expose(), root_key().expose());
            let mut moved = token.clone();
            moved.id = TokenId::generate(db.clock.now());
            assert!(matches!(store.open_own(&moved), Err(Error::Corrupt { .. })), "another row");
            moved = token.clone();
            moved.kind = if token.kind == OwnTokenKind::Magic { OwnTokenKind::Macaroon } else { OwnTokenKind::Magic };
            assert!(matches!(store.open_own(&moved), Err(Error::Corrupt { .. })), "another column");
            assert!(!format!("{token:?}").contains("90, 90"), "what is sealed is not even shown sealed");
        }
        // A dead magic token keeps nothing of the upstream's.
        let magic = tokens.iter().find(|token| token.kind == OwnTokenKind::Magic).expect("stored");
        store.revoke_own_token(magic.id, revoking("leaked")).await.expect("killed");
        let magic = store.own_token(magic.id).await.expect("read").expect("a tombstone");
        assert!(matches!(store.open_own(&magic), Err(Error::NotFound { .. })));
    }

    async fn a_rotation_keeps_the_family_and_ends_the_old_token_after_its_overlap(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let first = minted(owner, "ci", 1, now);
        let first_id = first.id;
        insert(&store, first).await.expect("stored");
        let ends_at = now.plus(Duration::from_hours(24));
        let mut before = first_id;
        for byte in [2, 3] {
            let next = minted(owner, "ci", byte, now);
            let next_id = next.id;
            let done = store.rotate_own_token(before, ends_at, next, Some(TokenOccasion::Created)).await.expect("answered");
            assert_eq!(done, Rotation::Done);
            let old = store.own_token(before).await.expect("read").expect("stored");
            assert_eq!((old.replaced_by, old.expires_at, old.state(now)), (Some(next_id), Some(ends_at), OwnTokenState::Active));
            let again = store.rotate_own_token(before, ends_at, minted(owner, "ci", 9, now), None).await.expect("answered");
            assert_eq!(again, Rotation::Already(next_id));
            before = next_id;
        }
        let family = OwnTokenFilter { family_id: Some(first_id), ..OwnTokenFilter::default() };
        assert_eq!(store.own_tokens(&family).await.expect("read").len(), 3);
        store.revoke_own_token(before, revoking("over")).await.expect("killed");
        let dead = store.rotate_own_token(before, ends_at, minted(owner, "ci", 10, now), None).await.expect("answered");
        assert_eq!(dead, Rotation::Dead);
        db.clock.advance(Duration::from_hours(24));
        let old = store.own_token(first_id).await.expect("read").expect("stored");
        assert_eq!(old.state(db.clock.now()), OwnTokenState::Expired);
        assert_eq!(store.claim_token_notices(10, Duration::from_secs(10)).await.expect("claimed").len(), 2);
    }

    async fn a_token_is_only_ever_given_less(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = NewOwnToken {
            projects: vec!["a".into(), "b".into()],
            organisations: vec!["o1".into(), "o2".into()],
            expires_at: Some(now.plus(Duration::from_hours(2))),
            ..minted(owner, "ci", 1, now)
        };
        let id = token.id;
        insert(&store, token).await.expect("stored");
        insert(&store, minted(owner, "other", 2, now)).await.expect("stored");
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let wider = [
            Narrowing { scopes: list(&["upload", "admin"]), ..Narrowing::default() },
            Narrowing { projects: list(&["a", "c"]), ..Narrowing::default() },
            Narrowing { projects: list(&[]), ..Narrowing::default() },
            Narrowing { organisations: list(&[]), ..Narrowing::default() },
            Narrowing { expires_at: Some(now.plus(Duration::from_hours(3))), ..Narrowing::default() },
            Narrowing { name: Some("other".into()), ..Narrowing::default() },
        ];
        for narrowing in wider {
            let refused = store.narrow_own_token(id, narrowing.clone(), by()).await;
            assert!(matches!(refused, Err(Error::NotChanged(_))), "{narrowing:?}: {refused:?}");
        }
        let narrowing = Narrowing {
            name: Some("ci-2".into()),
            scopes: list(&[]),
            projects: list(&["b"]),
            caveats: vec!["[1,[\"b\"]]".into()],
            expires_at: Some(now.plus(Duration::from_hours(1))),
            ..Narrowing::default()
        };
        let token = store.narrow_own_token(id, narrowing, by()).await.expect("narrower");
        assert_eq!((token.name.as_str(), token.scopes.len(), token.projects.as_slice()), ("ci-2", 0, &["b".to_owned()][..]));
        assert_eq!(token.updated_by.as_deref(), Some("operator:root"));
        // The owner leaves both organisations, one after the other.
        assert_eq!(store.leave_organisation(owner, "o1", by()).await.expect("left"), [id]);
        assert_eq!(store.own_token(id).await.expect("read").expect("stored").organisations, ["o2"]);
        assert_eq!(store.leave_organisation(owner, "o2", by()).await.expect("left"), [id]);
        let token = store.own_token(id).await.expect("read").expect("stored");
        assert_eq!((token.state(now), token.revoked_by.as_deref()), (OwnTokenState::Revoked, Some("system")));
        let dead = store.narrow_own_token(id, Narrowing::default(), by()).await;
        assert!(matches!(dead, Err(Error::NotChanged(_))), "{dead:?}");
    }

    async fn a_suspended_token_or_owner_comes_back_and_a_revoked_one_never(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = minted(owner, "ci", 1, now);
        let id = token.id;
        insert(&store, token).await.expect("stored");
        let state = async || store.own_token(id).await.expect("read").expect("stored").state(now);
        for (suspended, expected) in [(true, OwnTokenState::Suspended), (false, OwnTokenState::Active)] {
            assert!(store.suspend_own_token(id, suspended, by()).await.expect("changed"));
            assert_eq!(state().await, expected);
        }
        for (suspended, expected) in [(true, OwnTokenState::Suspended), (false, OwnTokenState::Active)] {
            store.suspend_owner(owner, suspended, by()).await.expect("changed");
            assert_eq!(state().await, expected, "with all its tokens");
        }
        store.revoke_own_token(id, revoking("over")).await.expect("killed");
        assert!(!store.suspend_own_token(id, false, by()).await.expect("answered"));
        assert_eq!(state().await, OwnTokenState::Revoked);
    }

    async fn every_change_of_a_token_is_in_the_audit_trail_with_it(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = NewOwnToken { created_by: "operator:root".into(), ..minted(owner, "ci", 1, now) };
        let id = token.id;
        assert!(insert(&store, token).await.expect("stored"));
        assert!(!insert(&store, minted(owner, "ci", 2, now)).await.expect("the name is taken"));
        store.narrow_own_token(id, Narrowing { scopes: Some(Vec::new()), ..Narrowing::default() }, by()).await.expect("narrower");
        for suspended in [true, false] {
            store.suspend_own_token(id, suspended, by()).await.expect("changed");
        }
        let next = NewOwnToken { created_by: "token:tok_x".into(), ..minted(owner, "ci", 3, now) };
        let next_id = next.id;
        store.rotate_own_token(id, now.plus(Duration::from_mins(1)), next, None).await.expect("rotated");
        let branch = Branch { sha256: [7; 32], token_id: next_id, by: "operator:root".into(), reason: "lost".into(), incident_id: None };
        for _ in 0..2 {
            store.deny_branch(branch.clone()).await.expect("denied");
            store.revoke_own_token(id, revoking("over")).await.expect("killed");
        }
        // What a leak does is told by its incident.
        let leaked = Revoking { incident_id: Some(IncidentId::generate(now)), ..revoking("leaked") };
        store.revoke_own_token(next_id, leaked).await.expect("killed");
        let page = store.audit_events(&AuditFilter::default(), &PageRequest::first(50)).await.expect("read");
        let mut told: Vec<_> = page.items.into_iter().map(|event| (event.actor, event.kind, event.detail)).collect();
        told.reverse();
        let words: Vec<_> = told.iter().map(|(actor, kind, _)| (actor.as_str(), kind.as_str())).collect();
        let root = "operator:root";
        assert_eq!(words, [
            (root, "token_created"), (root, "token_narrowed"), (root, "token_suspended"), (root, "token_resumed"),
            ("token:tok_x", "token_rotated"), (root, "token_revoked"), (root, "token_revoked"),
        ]);
        assert_eq!(told[4].2["successor"], next_id.to_string());
        assert_eq!((&told[5].2["token"], &told[6].2["reason"]), (&serde_json::json!(next_id), &serde_json::json!("over")));
        assert!(told.iter().all(|(_, _, detail)| !detail.to_string().contains("\"ci\"")), "its name is its owner's");
    }

    async fn a_use_after_the_report_is_told_with_the_incident(db) {
        let store = db.open().await;
        let reported_at = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = minted(owner, "ci", 1, reported_at);
        let id = token.id;
        insert(&store, token).await.expect("stored");
        let mut delivery = delivery(&["a"], reported_at);
        delivery.tokens[0].verdict = Some(Verdict::Live(issued(&id.to_string(), Some("ada@owner.example"))));
        let incident_id = opened(&store, delivery).await.remove(0);
        let seen = async || {
            let incident = store.incident_detail(incident_id).await.expect("read").expect("stored").incident;
            (incident.used_after_report(), incident.token.expect("named").last_used_from)
        };
        assert_eq!(seen().await, (Some(false), None), "never used");
        for (after, used) in [(Duration::ZERO, false), (Duration::from_secs(5), true)] {
            let at = reported_at.plus(after);
            let used_then = Use { token_id: id, at, first_at: at, from: Some("192.0.2.0/24".into()), count: 1 };
            store.record_uses(vec![used_then]).await.expect("stored");
            assert_eq!(seen().await, (Some(used), Some("192.0.2.0/24".into())), "{after:?} after the report");
        }
    }

    async fn a_list_is_asked_by_what_people_look_for(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let soon = NewOwnToken { expires_at: Some(now.plus(Duration::from_hours(1))), ..minted(owner, "Soon_100%", 1, now) };
        let bound = NewOwnToken { organisations: vec!["o_1".into()], ..minted(owner, "bound", 2, now) };
        let used = minted(owner, "used", 3, now);
        let used_id = used.id;
        for token in [soon, bound, used] {
            insert(&store, token).await.expect("stored");
        }
        db.clock.advance(Duration::from_mins(30));
        let at = db.clock.now();
        let use_now = Use { token_id: used_id, at, first_at: at, from: None, count: 1 };
        store.record_uses(vec![use_now]).await.expect("stored");
        let names = async |filter: OwnTokenFilter| -> Vec<String> {
            let tokens = store.own_tokens(&filter).await.expect("read");
            // Made in one millisecond, so their ids say nothing about their order.
            tokens.into_iter().map(|token| token.name).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
        };
        let all = OwnTokenFilter::default;
        assert_eq!(names(OwnTokenFilter { search: Some("OON_100%".into()), ..all() }).await, ["Soon_100%"]);
        assert_eq!(names(OwnTokenFilter { search: Some("oon_200".into()), ..all() }).await, [""; 0]);
        assert_eq!(names(OwnTokenFilter { organisation: Some("o_1".into()), ..all() }).await, ["bound"]);
        assert_eq!(names(OwnTokenFilter { organisation: Some("o11".into()), ..all() }).await, [""; 0]);
        assert_eq!(names(OwnTokenFilter { unused_since: Some(at), ..all() }).await, ["Soon_100%", "bound"]);
        assert_eq!(names(OwnTokenFilter { expiring_until: Some(at.plus(Duration::from_hours(1))), ..all() }).await, ["Soon_100%"]);
        db.clock.advance(Duration::from_hours(1));
        let status = |status| OwnTokenFilter { status: Some(status), ..OwnTokenFilter::default() };
        assert_eq!(names(status(OwnTokenStatus::Expired)).await, ["Soon_100%"]);
        assert_eq!(names(status(OwnTokenStatus::Active)).await, ["bound", "used"]);
        assert_eq!(names(status(OwnTokenStatus::Revoked)).await, [""; 0]);
        let first = OwnTokenFilter { limit: 1, ..all() };
        let page = store.own_tokens(&first).await.expect("read");
        let rest = store.own_tokens(&OwnTokenFilter { before: Some(page[0].id), ..all() }).await.expect("read");
        assert!(rest.len() == 2 && rest.iter().all(|token| token.id < page[0].id), "newest first, and each once");
    }

    async fn a_branch_is_denied_once_and_a_nonce_is_used_once(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = minted(owner, "ci", 1, db.clock.now());
        let token_id = token.id;
        insert(&store, token).await.expect("stored");
        let branch = Branch { sha256: [7; 32], token_id, by: "operator:root".into(), reason: "leaked".into(), incident_id: None };
        assert!(store.deny_branch(branch.clone()).await.expect("denied"));
        assert!(!store.deny_branch(branch).await.expect("denied before"));
        let denied = store.denied_branches(&[[6; 32], [7; 32]]).await.expect("read");
        assert_eq!((denied.len(), denied[0].token_id, denied[0].reason.as_str()), (1, token_id, "leaked"));
        assert_eq!(store.denied_branches_of(token_id).await.expect("read").len(), 1);
        assert!(store.use_nonce(token_id, [1; 32]).await.expect("used"));
        assert!(!store.use_nonce(token_id, [1; 32]).await.expect("used before"));
    }

    async fn owners_are_warned_once_of_an_end_that_comes_near(db) {
        let store = db.open().await;
        let now = db.clock.now();
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let days = |days: u64| Duration::from_hours(24 * days);
        let long = NewOwnToken { expires_at: Some(now.plus(days(30))), ..minted(owner, "long", 1, now) };
        let short = NewOwnToken { expires_at: Some(now.plus(days(2))), ..minted(owner, "short", 2, now) };
        for token in [long, short] {
            insert(&store, token).await.expect("stored");
        }
        let mails = async || {
            store.warn_of_expiry().await.expect("queued");
            let claimed = store.claim_token_notices(10, Duration::from_secs(10)).await.expect("claimed");
            assert!(store.claim_token_notices(10, Duration::from_secs(10)).await.expect("claimed").is_empty(), "under lease");
            let mut told = Vec::new();
            for each in claimed {
                told.push((each.notice.token.name.clone(), each.notice.occasion));
                store.settle_token_notice(&each, true).await.expect("stored");
            }
            told
        };
        assert_eq!(mails().await, []);
        db.clock.advance(days(1) + Duration::from_hours(1));
        assert_eq!(mails().await, [("short".to_owned(), TokenOccasion::ExpiresIn1Day)]);
        db.clock.advance(days(22));
        assert_eq!(mails().await, [("long".to_owned(), TokenOccasion::ExpiresIn7Days)]);
        assert_eq!(mails().await, []);
        db.clock.advance(days(6));
        assert_eq!(mails().await, [("long".to_owned(), TokenOccasion::ExpiresIn1Day)]);
    }

    async fn a_mail_that_was_not_taken_waits_and_a_lost_lease_changes_nothing(db) {
        let store = db.open().await;
        let owner = store.ensure_owner(ada()).await.expect("stored");
        let token = minted(owner, "ci", 1, db.clock.now());
        store.insert_own_token(token, 9, Some(TokenOccasion::Created)).await.expect("stored");
        let lease = Duration::from_secs(10);
        let first = store.claim_token_notices(10, lease).await.expect("claimed").remove(0);
        db.clock.advance(lease);
        let second = store.claim_token_notices(10, lease).await.expect("the lease ran out").remove(0);
        assert_eq!(first.notice.id, second.notice.id);
        store.settle_token_notice(&first, true).await.expect("answered");
        store.postpone_token_notice(&second, db.clock.now().plus(lease), "the server was away").await.expect("stored");
        assert!(store.claim_token_notices(10, lease).await.expect("claimed").is_empty());
        db.clock.advance(lease);
        let third = store.claim_token_notices(10, lease).await.expect("claimed").remove(0);
        assert_eq!(third.notice.tries, 1);
        store.abandon_token_notice(&third, "no such mailbox").await.expect("stored");
        db.clock.advance(Duration::from_hours(24));
        assert!(store.claim_token_notices(10, lease).await.expect("claimed").is_empty());
    }
}
