//! The four kinds of the built-in issuer, from the order to the leak, on a real database.

use std::time::Duration;

use stanch::clock::Clock;
use stanch::id::{IncidentId, OwnerId};
use stanch::incident::{EmailAddress, IssuedToken, Verdict};
use stanch::issuer::builtin::{Builtin, ForgedMacaroon, LeakedChild, Policy};
use stanch::issuer::{Issuer, Question, Revocation};
use stanch::mint::{
    self, Authenticator, By, Expires, Issued, Limits, Magic, Mint, Order, Reason, Refusal, Refused, Request, WRITE,
};
use stanch::store::{Changing, Narrowing, NewOwner, OwnTokenKind, SealKey, SealRing, Settings, Store};
use stanch::token::caveat::{Caveat, Project};
use stanch::token::macaroon::{self, Macaroon};
use stanch::token::pat::Mark;
use stanch::token::{KindId, Secret};
use tempfile::TempDir;

use crate::{OWNER, clock};

/// A database of its own with everything that works on it.
struct House {
    clock: Clock,
    store: Store,
    mint: Mint,
    door: Authenticator,
    owner: OwnerId,
    dir: TempDir,
}

impl House {
    async fn new() -> Self {
        Self::with(mint::Settings::default()).await
    }

    async fn with(settings: mint::Settings) -> Self {
        let (dir, clock) = (tempfile::tempdir().expect("a place for the database"), clock());
        let store = open(&dir, &clock).await;
        let email = EmailAddress::parse(OWNER).expect("an address");
        let owner = store.ensure_owner(NewOwner { name: "Ada".into(), email }).await.expect("stored");
        let mint = Mint::new(store.clone(), settings.clone(), clock.clone());
        let door = Authenticator::new(store.clone(), settings, clock.clone());
        Self { clock, store, mint, door, owner, dir }
    }

    fn order(&self, kind: OwnTokenKind, name: &str) -> Order {
        let magic = (kind == OwnTokenKind::Magic).then(|| Magic {
            upstream: "dns".into(),
            policy: serde_json::json!({ "allow": ["GET /zones/*"] }),
            credential: Secret::new(
                b"the upstream's own credential, longer than a sealed box of RSA would hold".to_vec(),
            ),
        });
        Order { magic, ..Order::new(kind, self.owner, name.into()) }
    }

    async fn create(&self, order: Order) -> Issued {
        self.mint.create(order, &operator()).await.expect("handed out")
    }

    async fn one_of_each(&self) -> Vec<Issued> {
        let mut all = Vec::new();
        for kind in OwnTokenKind::ALL {
            all.push(self.create(self.order(kind, kind.word())).await);
        }
        all
    }

    async fn knock(&self, secret: &Secret) -> Result<(), Refusal> {
        self.knock_for(secret, &Request::default()).await
    }

    async fn knock_for(&self, secret: &Secret, request: &Request<'_>) -> Result<(), Refusal> {
        self.door.authenticate(secret, request).await.map(drop)
    }

    async fn reason(&self, secret: &Secret, request: &Request<'_>) -> Reason {
        match self.knock_for(secret, request).await {
            Err(Refusal::Invalid(reason)) => reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn issuer(&self, policy: Policy) -> Builtin {
        Builtin::new(self.store.clone(), self.clock.clone()).with_policy(policy)
    }
}

async fn open(dir: &TempDir, clock: &Clock) -> Store {
    let settings = Settings {
        url: format!("sqlite:{}", dir.path().join("stanch.db").display()),
        max_connections: 2,
        keep_reports_for: Duration::from_hours(29 * 24),
    };
    let seal = SealRing { current: SealKey::new("s1".into(), [7; 32]), older: Vec::new() };
    Store::open(&settings, seal, clock.clone()).await.expect("a fresh database")
}

fn operator() -> By {
    By::Operator("root".into())
}

fn kind_of(kind: OwnTokenKind) -> KindId {
    KindId::new(match kind {
        OwnTokenKind::Key => Mark::Key.kind_id(),
        OwnTokenKind::Macaroon => macaroon::KIND,
        OwnTokenKind::Magic => Mark::Magic.kind_id(),
        OwnTokenKind::Pat => Mark::Pat.kind_id(),
    })
}

async fn verify(issuer: &Builtin, kind: OwnTokenKind, secret: &Secret) -> Verdict {
    let kind = kind_of(kind);
    issuer.verify(&[Question { incident_id: None, kind: &kind, secret, token: None }]).await.remove(0)
}

async fn revoke(issuer: &Builtin, kind: OwnTokenKind, secret: &Secret, incident_id: IncidentId) -> Revocation {
    let kind = kind_of(kind);
    issuer.revoke(Question { incident_id: Some(incident_id), kind: &kind, secret, token: None }).await
}

fn live(verdict: Verdict) -> IssuedToken {
    match verdict {
        Verdict::Live(issued) => issued,
        other => panic!("not live: {other:?}"),
    }
}

/// The token narrowed by a bearer, offline.
fn narrowed(secret: &Secret, caveat: &str) -> Secret {
    let mut found = macaroon::find(secret.expose()).expect("a macaroon").macaroon;
    found.add(caveat.as_bytes());
    found.text("stanch")
}

#[tokio::test]
async fn every_kind_opens_the_door_leaks_and_is_dead_at_once() {
    let house = House::new().await;
    let issuer = house.issuer(Policy::default());
    for Issued { token, secret } in house.one_of_each().await {
        house.knock(&secret).await.expect("it lives");
        house.knock(&secret).await.expect("it lives, and is known");
        let named = live(verify(&issuer, token.kind, &secret).await);
        assert_eq!((named.id, named.name.as_deref()), (token.id.to_string(), Some(token.kind.word())));
        let incident = IncidentId::generate(house.clock.now());
        assert_eq!(revoke(&issuer, token.kind, &secret, incident).await, Revocation::Confirmed);
        // What the door knew a moment ago is not believed after a change made here.
        assert_eq!(house.reason(&secret, &Request::default()).await, Reason::Revoked, "{}", token.kind);
        assert_eq!(revoke(&issuer, token.kind, &secret, incident).await, Revocation::Confirmed, "our own work");
        let other = IncidentId::generate(house.clock.now());
        assert_eq!(revoke(&issuer, token.kind, &secret, other).await, Revocation::AlreadyDead);
        assert!(matches!(verify(&issuer, token.kind, &secret).await, Verdict::Dead(Some(_))));
        let stored = house.mint.get(token.id).await.expect("a tombstone");
        assert_eq!(stored.revoked_by, Some(format!("incident:{incident}")));
    }
}

#[tokio::test]
async fn a_dump_of_the_database_yields_no_usable_token() {
    let house = House::new().await;
    let issued = house.one_of_each().await;
    let keys: Vec<Secret> = issued.iter().filter_map(|each| house.store.open_own(&each.token).ok()).collect();
    assert_eq!(keys.len(), 2, "a root key and an upstream's credential are kept");
    house.store.close().await;
    let mut dump = Vec::new();
    for file in std::fs::read_dir(house.dir.path()).expect("the folder") {
        dump.extend(std::fs::read(file.expect("a file").path()).expect("readable"));
    }
    let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(holds(issued[0].token.id.to_string().as_bytes()), "the dump is one");
    for secret in issued.iter().map(|each| &each.secret).chain(&keys) {
        assert!(!holds(secret.expose()), "a secret in clear");
        let tail = &secret.expose()[secret.len() - 20..];
        assert!(!holds(tail), "the better half of a secret in clear");
    }
    // Whoever has the record and not the sealing key signs nothing that is believed.
    let again = open(&house.dir, &house.clock).await;
    let settings = mint::Settings { cache_for: Duration::ZERO, ..mint::Settings::default() };
    let door = Authenticator::new(again.clone(), settings, house.clock.clone());
    let macaroon = issued.iter().find(|each| each.token.kind == OwnTokenKind::Macaroon).expect("one of each");
    let identifier = mint::macaroon::identifier(macaroon.token.id);
    let forged = Macaroon::mint(&Secret::new(vec![0; 32]), identifier.as_bytes(), b"stanch").text("stanch");
    let refusal = door.authenticate(&forged, &Request::default()).await.err();
    assert!(matches!(refusal, Some(Refusal::Invalid(Reason::Signature))), "{refusal:?}");
    assert!(door.authenticate(&macaroon.secret, &Request::default()).await.is_ok());
}

#[tokio::test]
async fn a_macaroon_is_good_for_its_project_and_a_narrowed_one_for_less() {
    let house = House::new().await;
    let order =
        Order { projects: vec!["My.Engine".into(), "tool".into()], ..house.order(OwnTokenKind::Macaroon, "ci") };
    let Issued { token, secret } = house.create(order).await;
    assert_eq!(token.projects, ["my-engine", "tool"]);
    let for_project = |name: &'static str| Request { project: Some(Project { name, id: None }), ..Request::default() };
    house.knock_for(&secret, &for_project("my_engine")).await.expect("one of its projects");
    let why = house.reason(&secret, &for_project("other")).await;
    assert_eq!(why.text(), "project-scoped token is not valid for project: 'other'");
    assert_eq!(
        house.reason(&secret, &Request::default()).await.text(),
        "project-scoped token used outside of a project context"
    );
    let child = narrowed(&secret, r#"[1,["tool"]]"#);
    house.knock_for(&child, &for_project("tool")).await.expect("what is left");
    assert!(house.reason(&child, &for_project("my-engine")).await.is_about_the_request());
    let seen = house.door.authenticate(&child, &for_project("tool")).await.expect("it lives");
    assert!(seen.is_attenuated());
    assert!(!house.door.authenticate(&secret, &for_project("tool")).await.expect("it lives").is_attenuated());
    // The issuer narrows it too, without a word to its bearer: what is in the record holds.
    let narrowing = Narrowing { caveats: vec![r#"[103,["upload"]]"#.into()], ..Narrowing::default() };
    house.mint.narrow(token.id, narrowing, &operator()).await.expect("narrower");
    assert_eq!(house.reason(&child, &for_project("tool")).await.text(), "token is not valid for this service");
}

#[tokio::test]
async fn a_macaroon_without_restrictions_is_its_owners_at_least() {
    let house = House::new().await;
    let Issued { token, secret } = house.create(house.order(OwnTokenKind::Macaroon, "all")).await;
    let user = house.owner.uuid().hyphenated().to_string();
    assert_eq!(token.caveats, [format!(r#"[3,"{user}"]"#)]);
    house.knock(&secret).await.expect("its owner's");
    house.store.suspend_owner(house.owner, true, Changing { by: "operator:root".into() }).await.expect("set aside");
    assert_eq!(house.reason(&secret, &Request::default()).await, Reason::Suspended);
}

#[tokio::test]
async fn other_spellings_open_nothing_and_are_found_when_they_leak() {
    let house = House::new().await;
    let issuer = house.issuer(Policy::default());
    let Issued { token, secret } = house.create(house.order(OwnTokenKind::Macaroon, "ci")).await;
    let text = String::from_utf8(secret.expose().to_vec()).expect("ASCII");
    let (_, body) = text.split_once('-').expect("a prefix");
    let mut moved = macaroon::find(secret.expose()).expect("a macaroon").macaroon;
    moved.location = Some(b"elsewhere.example".to_vec().into());
    let moved = String::from_utf8(moved.text("stanch").expose().to_vec()).expect("ASCII");
    for spelling in [format!("stanch-{body}=="), format!("stanch:{body}"), format!("stanch-{body}AAAA"), moved] {
        let spelling = Secret::new(spelling.into_bytes());
        assert!(matches!(house.knock(&spelling).await, Err(Refusal::Invalid(_))));
        assert_eq!(live(verify(&issuer, OwnTokenKind::Macaroon, &spelling).await).id, token.id.to_string());
    }
}

#[tokio::test]
async fn a_forged_macaroon_revokes_nothing_unless_the_policy_says_so() {
    let house = House::new().await;
    let Issued { token, secret } = house.create(house.order(OwnTokenKind::Macaroon, "ci")).await;
    let identifier = mint::macaroon::identifier(token.id);
    let forged =
        Macaroon::mint(&Secret::new(b"somebody's guess".to_vec()), identifier.as_bytes(), b"stanch").text("stanch");
    let incident = IncidentId::generate(house.clock.now());
    let careful = house.issuer(Policy::default());
    match verify(&careful, OwnTokenKind::Macaroon, &forged).await {
        Verdict::Forged(named) => assert_eq!(named.id, token.id.to_string(), "whose name it is is told"),
        other => panic!("{other:?}"),
    }
    assert_eq!(revoke(&careful, OwnTokenKind::Macaroon, &forged, incident).await, Revocation::NotOurs);
    house.knock(&secret).await.expect("nothing happened to it");
    let trusting = house.issuer(Policy { forged: ForgedMacaroon::Revoke, ..Policy::default() });
    assert_eq!(revoke(&trusting, OwnTokenKind::Macaroon, &forged, incident).await, Revocation::Confirmed);
    assert_eq!(house.reason(&secret, &Request::default()).await, Reason::Revoked);
}

#[tokio::test]
async fn a_leaked_child_can_die_alone() {
    let house = House::new().await;
    let issuer = house.issuer(Policy { leaked_child: LeakedChild::Branch, ..Policy::default() });
    let Issued { token, secret } = house.create(house.order(OwnTokenKind::Macaroon, "ci")).await;
    let child = narrowed(&secret, r#"[103,["upload"]]"#);
    let grandchild = narrowed(&child, "[0,4102444800,0]");
    let sibling = narrowed(&secret, r#"[103,["upload","read"]]"#);
    let upload = Request { audience: Some("upload"), ..Request::default() };
    for alive in [&secret, &child, &grandchild, &sibling] {
        house.knock_for(alive, &upload).await.expect("alive");
    }
    let incident = IncidentId::generate(house.clock.now());
    let named = live(verify(&issuer, OwnTokenKind::Macaroon, &child).await);
    assert!(named.id.starts_with(&format!("{}/", token.id)), "a token of its own: {}", named.id);
    assert_eq!(revoke(&issuer, OwnTokenKind::Macaroon, &child, incident).await, Revocation::Confirmed);
    assert_eq!(revoke(&issuer, OwnTokenKind::Macaroon, &child, incident).await, Revocation::Confirmed, "our own work");
    for dead in [&child, &grandchild] {
        assert_eq!(house.reason(dead, &upload).await, Reason::Denied);
        assert!(matches!(verify(&issuer, OwnTokenKind::Macaroon, dead).await, Verdict::Dead(Some(_))));
    }
    for alive in [&secret, &sibling] {
        house.knock_for(alive, &upload).await.expect("its parent and its sibling live");
    }
    // The token as it was issued has no branch to be cut off: it dies with all that is left of it.
    assert_eq!(live(verify(&issuer, OwnTokenKind::Macaroon, &secret).await).id, token.id.to_string());
    assert_eq!(revoke(&issuer, OwnTokenKind::Macaroon, &secret, incident).await, Revocation::Confirmed);
    assert_eq!(house.reason(&sibling, &upload).await, Reason::Revoked);
}

#[tokio::test]
async fn a_child_that_leaks_after_its_own_end_is_dead_and_its_parent_is_not_touched() {
    let house = House::new().await;
    let issuer = house.issuer(Policy::default());
    let Issued { secret, .. } = house.create(house.order(OwnTokenKind::Macaroon, "ci")).await;
    let now = house.clock.now().as_millis() / 1_000;
    let child = narrowed(&secret, &format!("[0,{},0]", now + 900));
    live(verify(&issuer, OwnTokenKind::Macaroon, &child).await);
    house.clock.advance(Duration::from_mins(15));
    assert!(matches!(verify(&issuer, OwnTokenKind::Macaroon, &child).await, Verdict::Dead(Some(_))));
    house.knock(&secret).await.expect("its parent lives");
}

#[tokio::test]
async fn a_one_time_token_is_used_once() {
    let house = House::new().await;
    let Issued { secret, .. } = house.create(house.order(OwnTokenKind::Macaroon, "ci")).await;
    let once = narrowed(&secret, r#"[102,"0123456789abcdef"]"#);
    assert!(house.door.inspect(&once, &Request::default()).await.is_ok(), "looking is no use");
    house.knock(&once).await.expect("the first time");
    assert_eq!(house.reason(&once, &Request::default()).await.text(), "one-time token was used before");
    house.knock(&secret).await.expect("its parent may");
}

#[tokio::test]
async fn a_canary_is_never_accepted_and_sets_off_an_alarm() {
    let house = House::new().await;
    let order = Order { canary: true, tell_owner: false, ..house.order(OwnTokenKind::Pat, "trap") };
    let Issued { token, secret } = house.create(order).await;
    let request = Request { address: Some("198.51.100.7".parse().expect("an address")), ..Request::default() };
    for _ in 0..3 {
        assert_eq!(house.reason(&secret, &request).await, Reason::Unknown, "as if it were none");
    }
    house.door.close().await;
    let alarms = house.store.claim_token_notices(9, Duration::from_secs(10)).await.expect("read");
    assert_eq!(alarms.len(), 1, "one alarm, however often it is tried");
    assert_eq!(alarms[0].notice.detail["address"], "198.51.100.7");
    assert_eq!(house.mint.get(token.id).await.expect("stored").uses, 3);
}

#[tokio::test]
async fn a_token_makes_no_token_and_never_more_than_it_is() {
    let limits = Limits { max_life: Some(Duration::from_hours(24 * 365)), ..Limits::default() };
    let house = House::with(mint::Settings { limits, ..mint::Settings::default() }).await;
    let in_hours = |hours| Expires::At(house.clock.now().plus(Duration::from_hours(hours)));
    let scopes = |list: &[&str]| list.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
    let plain = Order { scopes: scopes(&["upload"]), expires: in_hours(10), ..house.order(OwnTokenKind::Pat, "plain") };
    let writer = Order {
        scopes: scopes(&["upload", WRITE]),
        projects: vec!["engine".into()],
        expires: in_hours(10),
        ..house.order(OwnTokenKind::Pat, "writer")
    };
    let by = async |issued: &Issued| {
        let request = Request { project: Some(Project { name: "engine", id: None }), ..Request::default() };
        By::Token(Box::new(house.door.authenticate(&issued.secret, &request).await.expect("it lives")))
    };
    let (plain, writer) = (house.create(plain).await, house.create(writer).await);
    let child = |name: &str| Order {
        scopes: scopes(&["upload"]),
        projects: vec!["engine".into()],
        expires: in_hours(9),
        ..house.order(OwnTokenKind::Pat, name)
    };
    let refused = house.mint.create(child("c"), &by(&plain).await).await.err();
    assert!(matches!(refused, Some(Refused::Forbidden(_))), "a token makes no token");
    let writer_by = by(&writer).await;
    house.mint.create(child("c"), &writer_by).await.expect("less than itself");
    let other = house
        .store
        .ensure_owner(NewOwner { name: "Bob".into(), email: EmailAddress::parse("bob@example.org").expect("one") });
    let other = other.await.expect("stored");
    let wider = [
        Order { scopes: scopes(&["upload", WRITE]), ..child("w1") },
        Order { scopes: scopes(&["admin"]), ..child("w2") },
        Order { projects: Vec::new(), ..child("w3") },
        Order { projects: vec!["other".into()], ..child("w4") },
        Order { expires: in_hours(11), ..child("w5") },
        Order { owner_id: other, ..child("w6") },
    ];
    for order in wider {
        let name = order.name.clone();
        let refused = house.mint.create(order, &writer_by).await.err();
        assert!(matches!(refused, Some(Refused::Forbidden(_))), "{name}: {refused:?}");
    }
    let refused = house.mint.rotate(plain.token.id, Duration::ZERO, &By::Owner(other)).await.err();
    assert!(matches!(refused, Some(Refused::NotFound)), "somebody else's token is not even there");
    let unbounded = Order { expires: Expires::Never, ..house.order(OwnTokenKind::Pat, "for ever") };
    assert!(matches!(house.mint.create(unbounded, &operator()).await, Err(Refused::BadOrder(_))));
    let defaulted = house.create(house.order(OwnTokenKind::Magic, "proxy")).await;
    assert_eq!(defaulted.token.expires_at, Some(house.clock.now().plus(Duration::from_hours(30 * 24))));
}

#[tokio::test]
async fn a_rotated_token_has_the_same_power_and_the_old_one_an_end() {
    let house = House::new().await;
    let until = Expires::At(house.clock.now().plus(Duration::from_hours(48)));
    let macaroon =
        Order { projects: vec!["engine".into()], expires: until, ..house.order(OwnTokenKind::Macaroon, "ci") };
    let engine = Request { project: Some(Project { name: "engine", id: None }), ..Request::default() };
    for order in [macaroon, house.order(OwnTokenKind::Magic, "proxy"), house.order(OwnTokenKind::Pat, "pat")] {
        let old = house.create(order).await;
        house.clock.advance(Duration::from_hours(1));
        let new = house.mint.rotate(old.token.id, Duration::from_hours(24), &operator()).await.expect("rotated");
        assert_eq!((&new.token.name, &new.token.projects), (&old.token.name, &old.token.projects));
        assert_eq!((new.token.family_id, &new.token.policy), (Some(old.token.id), &old.token.policy));
        for secret in [&old.secret, &new.secret] {
            house.knock_for(secret, &engine).await.expect("both live during the overlap");
        }
        if new.token.kind == OwnTokenKind::Magic {
            let opened =
                [&old.token, &new.token].map(|token| house.store.open_own(token).expect("opens").expose().to_vec());
            assert_eq!(opened[0], opened[1], "the same credential");
        }
        let again = house.mint.rotate(old.token.id, Duration::ZERO, &operator()).await.err();
        assert!(matches!(again, Some(Refused::RotatedBefore(id)) if id == new.token.id), "{again:?}");
        house.clock.advance(Duration::from_hours(24));
        assert_eq!(house.reason(&old.secret, &engine).await, Reason::Expired);
        house.knock_for(&new.secret, &engine).await.expect("the successor lives on");
    }
}

#[tokio::test]
async fn a_key_that_is_brought_along_goes_with_its_configuration_and_dies_for_ever() {
    let (one, two) = (Secret::new(vec![b'k'; 40]), Secret::new(vec![b'l'; 40]));
    let configured = |keys: &[&Secret]| mint::Settings {
        configured_keys: keys.iter().map(|key| mint::text_sha256(key)).collect(),
        ..mint::Settings::default()
    };
    let house = House::with(configured(&[&one, &two])).await;
    let owner = || NewOwner { name: "Ops".into(), email: EmailAddress::parse("ops@example.org").expect("an address") };
    let brought =
        |secret: &[u8]| mint::BroughtKey { secret: Secret::new(secret.to_vec()), place: "STANCH_API_KEYS".into() };
    let keys = [brought(one.expose()), brought(two.expose())];
    for _ in 0..2 {
        house.mint.register_keys(&keys, owner()).await.expect("registered, once");
    }
    house.knock(&one).await.expect("configured");
    let without = Authenticator::new(house.store.clone(), configured(&[&two]), house.clock.clone());
    assert!(without.authenticate(&one, &Request::default()).await.is_err(), "no longer configured");
    let issuer = house.issuer(Policy::default());
    let incident = IncidentId::generate(house.clock.now());
    assert_eq!(revoke(&issuer, OwnTokenKind::Key, &two, incident).await, Revocation::Confirmed);
    house.mint.register_keys(&keys, owner()).await.expect("answered");
    assert_eq!(house.reason(&two, &Request::default()).await, Reason::Revoked, "whatever the configuration says");
    let short = house.mint.register_keys(&[brought(b"short")], owner()).await;
    assert!(matches!(short, Err(Refused::BadOrder(_))));
}

#[tokio::test]
async fn an_organisation_bounds_where_a_token_is_good() {
    let house = House::new().await;
    let order = Order { organisations: vec!["acme".into()], ..house.order(OwnTokenKind::Pat, "org") };
    let Issued { secret, .. } = house.create(order).await;
    let within = |organisation| Request { organisation: Some(organisation), ..Request::default() };
    house.knock_for(&secret, &within("acme")).await.expect("its organisation");
    assert_eq!(house.reason(&secret, &within("other")).await.text(), "token is not valid for this organisation");
}

#[tokio::test]
async fn only_a_macaroon_is_ordered_with_caveats_and_only_a_magic_token_with_a_credential() {
    let house = House::new().await;
    let bad = [
        Order { caveats: vec![Caveat::Once("0123456789abcdef".into())], ..house.order(OwnTokenKind::Pat, "a") },
        Order { magic: None, ..house.order(OwnTokenKind::Magic, "b") },
        Order { magic: house.order(OwnTokenKind::Magic, "x").magic, ..house.order(OwnTokenKind::Key, "c") },
        house.order(OwnTokenKind::Pat, " "),
        house.order(OwnTokenKind::Pat, &"x".repeat(101)),
        Order { expires: Expires::At(house.clock.now()), ..house.order(OwnTokenKind::Pat, "d") },
        Order { projects: vec!["é".into()], ..house.order(OwnTokenKind::Macaroon, "e") },
        Order { project_ids: vec!["nope".into()], ..house.order(OwnTokenKind::Macaroon, "f") },
        Order { scopes: vec!["a b".into()], ..house.order(OwnTokenKind::Pat, "g") },
    ];
    for order in bad {
        let name = order.name.clone();
        assert!(matches!(house.mint.create(order, &operator()).await, Err(Refused::BadOrder(_))), "{name}");
    }
}
