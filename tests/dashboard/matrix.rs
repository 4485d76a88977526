//! The matrices of the dashboard's routes, made from the table: every change from another site, every route for every
//! role. A new route is in them by being declared.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use stanch::dashboard::{Desk, Parts, Settings};
use stanch::http::{Access, Route, Verb};
use stanch::operator::Role;
use stanch::recognize::Recognizer;
use stanch::token::{FingerprintKey, FingerprintRing};

use crate::house::{House, client};

fn routes() -> Vec<Route> {
    let settings = Settings { url: None, effective: String::new(), link_hosts: Vec::new(), issuers: Vec::new() };
    let fingerprints = FingerprintRing::new(FingerprintKey::new("f1".into(), [1; 32]), Vec::new());
    let recognizer = Recognizer::builder().build().expect("the catalogue is sound");
    let parts = Parts {
        settings,
        recognizer: Arc::new(recognizer),
        fingerprints: Arc::new(fingerprints),
        mint: None,
        mailer: None,
        provider: None,
    };
    Desk::new(parts).expect("randomness").routes()
}

/// The route's path with every parameter filled in, with what is not there.
fn path(route: &Route) -> String {
    let part = |part: &str| if part.starts_with('{') { "x".to_owned() } else { part.to_owned() };
    route.path.split('/').map(part).collect::<Vec<_>>().join("/")
}

async fn call(house: &House, route: &Route, cookie: &str, site: Option<&str>, csrf: Option<&str>) -> StatusCode {
    let method = if route.verb == Verb::Get { Method::GET } else { Method::POST };
    let mut request = client().request(method, format!("{}{}", house.base, path(route))).header("cookie", cookie);
    if let Some(site) = site {
        request = request.header("sec-fetch-site", site);
    }
    if route.verb != Verb::Get {
        let form: Vec<(&str, &str)> = csrf.map(|csrf| ("csrf", csrf)).into_iter().collect();
        request = request.form(&form);
    }
    request.send().await.expect("an answer").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_meant_and_every_role_opens_what_is_its_own() {
    let house = House::open().await;
    house.operator("root", "admin").await;
    let routes = routes();
    assert!(routes.len() > 30, "{}", routes.len());
    let (admin, csrf) = house.sign_in("root").await;
    let changes = || routes.iter().filter(|route| !route.verb.is_safe());
    let by_session = |route: &&Route| matches!(route.access, Access::Operator(_));

    for route in changes() {
        for site in ["cross-site", "same-site", "none"] {
            let status = call(&house, route, &admin, Some(site), Some(&csrf)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{route:?} from {site}");
        }
        let silent = call(&house, route, &admin, None, Some(&csrf)).await;
        assert_eq!(silent, StatusCode::FORBIDDEN, "{route:?} without a word about its origin");
    }
    for route in changes().filter(by_session) {
        for token in [None, Some("AAAA"), Some("")] {
            let status = call(&house, route, &admin, Some("same-origin"), token).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{route:?} with the token {token:?}");
        }
    }
    for route in routes.iter().filter(by_session) {
        let status = call(&house, route, "stanch=nobody", Some("same-origin"), Some(&csrf)).await;
        let expected = if route.verb == Verb::Get { StatusCode::SEE_OTHER } else { StatusCode::UNAUTHORIZED };
        assert_eq!(status, expected, "{route:?} for nobody");
    }

    for role in [Role::Viewer, Role::Responder, Role::Admin] {
        let name = format!("a-{role}");
        house.operator(&name, role.word()).await;
        let (cookie, csrf) = house.sign_in(&name).await;
        for route in routes.iter().filter(by_session).filter(|route| !route.path.ends_with("/sign-out")) {
            let Access::Operator(needed) = route.access else { continue };
            let status = call(&house, route, &cookie, Some("same-origin"), Some(&csrf)).await;
            let refused = status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED;
            assert_eq!(refused, !role.allows(needed), "{role} at {route:?}: {status}");
            assert!(!status.is_server_error(), "{role} at {route:?}: {status}");
        }
    }
}
