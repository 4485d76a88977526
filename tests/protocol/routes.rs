//! The matrices that the route table makes: every route against every caller it must not have.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::SysRng;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use stanch::http::{self, Access, Rate, Route, Verb};
use stanch::id::TokenId;
use stanch::incident::EmailAddress;
use stanch::mint::pat::{Prefix, mint};
use stanch::operator::Role;
use stanch::store::{Insertion, NewOwnToken, NewOwner, OwnTokenKind};

use crate::door::Door;

fn method(route: &Route) -> Method {
    match route.verb {
        Verb::Any | Verb::Post => Method::POST,
        Verb::Delete => Method::DELETE,
        Verb::Get => Method::GET,
        Verb::Patch => Method::PATCH,
        Verb::Put => Method::PUT,
    }
}

/// The route's path with every parameter filled in.
fn path(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn call(door: &Door, route: &Route, headers: &[(&'static str, &str)]) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).expect("a value"));
    }
    door.request(method(route), &path(route), map).await
}

fn routes(door: &Door) -> Vec<Route> {
    let table = http::table(&door.app).with_document();
    table.check().expect("a table that may be served");
    table.iter().cloned().collect()
}

/// `Bearer …` of a fresh token with this scope.
pub async fn bearer(door: &Door, scope: &str) -> String {
    let owner = NewOwner { name: "Ada".into(), email: EmailAddress::parse("ada@example.org").expect("an address") };
    let owner_id = door.store.ensure_owner(owner).await.expect("stored");
    let minted = mint(&Prefix::default(), &mut SysRng).expect("randomness");
    let id = TokenId::generate(door.clock.now());
    let name = format!("{scope} {}", minted.hint);
    let token = NewOwnToken {
        hint: minted.hint,
        scopes: vec![scope.into()],
        expires_at: Some(door.clock.now().plus(Duration::from_hours(1))),
        ..NewOwnToken::new(id, OwnTokenKind::Pat, owner_id, name, minted.sha256)
    };
    let stored = door.store.insert_own_token(token, u32::MAX, None).await.expect("stored");
    assert_eq!(stored, Insertion::Stored);
    format!("Bearer {}", String::from_utf8_lossy(minted.secret.expose()))
}

#[tokio::test]
async fn every_route_says_what_it_is_for_and_who_may_come() {
    let door = Door::open().await;
    let routes = routes(&door);
    assert!(routes.len() >= 6, "the table has the routes: {routes:?}");
    for route in &routes {
        assert!(route.summary.len() > 8 && !route.summary.ends_with('.'), "{route:?}");
    }
}

/// The verbs that a documented operation has, each with its path as the document spells it.
type Operations = BTreeSet<(String, String)>;

#[tokio::test]
async fn the_document_has_every_route_of_the_api_and_no_other() {
    let (upstreams, owners) = crate::magic::upstreams("https://upstream.invalid", "");
    let door = Door::open_with(move |plan| {
        plan.settings.upload_sink = true;
        plan.upstreams = (upstreams, owners);
    })
    .await;
    let document: Value = door.get("/openapi.json").await.json().await.expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let verbs = |(path, item): (&String, &Value)| {
        let verbs = item.as_object().expect("operations").keys();
        verbs.map(|verb| (verb.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    let documented: Operations = paths.iter().flat_map(verbs).collect();
    let mut routed = Operations::new();
    for route in routes(&door).iter().filter(|route| !route.page) {
        let path = route.path.replace("{*", "{");
        match route.verb {
            Verb::Any => {
                for verb in ["DELETE", "GET", "PATCH", "POST", "PUT"] {
                    routed.insert((verb.to_owned(), path.clone()));
                }
            }
            verb => {
                routed.insert((verb.word().to_owned(), path));
            }
        }
    }
    assert_eq!(documented, routed);
    assert!(documented.len() > 80, "{}", documented.len());

    // And so does the router itself: what is documented has a handler, and no other method of its path has.
    let mut ids = BTreeSet::new();
    for (path, item) in paths {
        let asked =
            path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/");
        for verb in ["DELETE", "GET", "PATCH", "POST", "PUT"] {
            let operation = &item[verb.to_lowercase()];
            let method = Method::from_bytes(verb.as_bytes()).expect("a method");
            let status = door.request(method, &asked, HeaderMap::new()).await.status();
            let refused = status == StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(refused, operation.is_null(), "{verb} {path}: {status}");
            if operation.is_null() {
                continue;
            }
            assert!(ids.insert(operation["operationId"].as_str().expect("an id").to_owned()), "{verb} {path}");
            // Every answer is one that is told of, and every refusal is a problem.
            let told = &operation["responses"][status.as_str()];
            assert!(told.is_object(), "{verb} {path}: {status} is not documented");
        }
    }
}

#[tokio::test]
async fn no_change_is_taken_from_another_site() {
    let door = Door::open().await;
    let good = bearer(&door, "operator:admin").await;
    let changes = |route: &&Route| !route.verb.is_safe() && route.access != Access::Signed;
    for route in routes(&door).iter().filter(changes) {
        for site in ["cross-site", "same-site"] {
            let headers = [("sec-fetch-site", site), ("authorization", good.as_str())];
            let response = call(&door, route, &headers).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{route:?} from {site}");
        }
    }
}

#[tokio::test]
async fn no_route_that_asks_for_a_credential_opens_without_one() {
    let many = Rate { burst: 10_000, per: Duration::from_mins(1) };
    let door = Door::open_with(|plan| plan.settings.rates.failures = many).await;
    for route in &routes(&door) {
        // A fresh one each: some routes end the token that is shown.
        let nobody = bearer(&door, "none").await;
        let missing = call(&door, route, &[]).await;
        let unknown = call(&door, route, &[("authorization", "Bearer nonsense")]).await;
        let weak = call(&door, route, &[("authorization", &nobody)]).await;
        match route.access {
            Access::Form | Access::Holder | Access::OptionalKey | Access::Public | Access::Signed | Access::Upload => {
                continue;
            }
            Access::ApiKey => {
                assert_eq!(missing.status(), StatusCode::UNAUTHORIZED, "{route:?}");
                continue;
            }
            Access::Token { scope: None, .. } => {}
            Access::Client
            | Access::Magic
            | Access::Manage
            | Access::Mint
            | Access::Operator(_)
            | Access::Reporter
            | Access::Token { scope: Some(_), .. } => {
                assert_eq!(weak.status(), StatusCode::FORBIDDEN, "{route:?}");
            }
        }
        assert!(route.page || missing.status() == StatusCode::UNAUTHORIZED, "{route:?}: {}", missing.status());
        assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED, "{route:?}");
        let two = call(&door, route, &[("authorization", &nobody), ("x-api-key", "another")]).await;
        assert_eq!(two.status(), StatusCode::BAD_REQUEST, "{route:?}");
    }
}

#[tokio::test]
async fn every_role_opens_what_is_its_own_and_nothing_above() {
    let door = Door::open().await;
    for role in Role::ALL {
        let shown = bearer(&door, role.scope()).await;
        for route in &routes(&door) {
            let Access::Operator(needed) = route.access else { continue };
            let status = call(&door, route, &[("authorization", &shown)]).await.status();
            let refused = status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED;
            assert_eq!(refused, !role.allows(needed), "{role} at {route:?}: {status}");
        }
    }
}

#[tokio::test]
async fn two_credentials_are_unclear_and_the_same_one_twice_is_not() {
    let door = Door::open().await;
    let shown = bearer(&door, "none").await;
    let secret = shown.trim_start_matches("Bearer ");
    let ask = async |pairs: &[(&'static str, &str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        door.request(Method::GET, "/api/v1/self", headers).await
    };
    assert_eq!(ask(&[("authorization", &shown), ("x-api-key", secret)]).await.status(), StatusCode::OK);
    let two = ask(&[("authorization", &shown), ("authorization", "token other")]).await;
    assert_eq!(two.status(), StatusCode::BAD_REQUEST);
    assert_eq!(two.headers()["www-authenticate"], "Bearer error=\"invalid_request\"");
}
