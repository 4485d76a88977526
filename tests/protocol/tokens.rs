//! The token API, OAuth's two routes, leaks that are reported without a signature, and the routes of other systems.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stanch::http::{Authentication, Rate};
use stanch::incident::EmailAddress;
use stanch::store::NewOwner;

use crate::door::{Door, token};
use crate::routes::bearer;

async fn call(door: &Door, method: Method, path: &str, shown: &str, body: Option<Value>) -> Response {
    let mut headers = HeaderMap::new();
    if !shown.is_empty() {
        headers.insert("authorization", HeaderValue::from_str(shown).expect("a value"));
    }
    door.json(method, path, headers, body).await
}

async fn json_of(response: Response, status: u16) -> Value {
    let (got, text) = (response.status().as_u16(), response.text().await.expect("text"));
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// Makes a token as `shown` may, and gives its id and `Bearer …`.
async fn made(door: &Door, shown: &str, wanted: Value) -> (String, String) {
    let response = call(door, Method::POST, "/api/v1/tokens", shown, Some(wanted)).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = json_of(response, 201).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (text(&body["token"]["id"]), format!("Bearer {}", text(&body["secret"])))
}

#[tokio::test]
async fn a_token_is_made_listed_narrowed_rotated_and_revoked() {
    let door = Door::open().await;
    let admin = bearer(&door, "operator:admin").await;
    let owner = json!({ "name": "Bob", "email": "bob@example.org" });
    let wanted = json!({ "name": "ci", "kind": "pat", "owner": owner, "scopes": ["upload", "tokens:write"], "expires_in_days": 7 });
    let (id, bob) = made(&door, &admin, wanted.clone()).await;
    let again = call(&door, Method::POST, "/api/v1/tokens", &admin, Some(wanted)).await;
    assert_eq!(again.status(), StatusCode::CONFLICT, "a name is unique");

    let own = json_of(call(&door, Method::GET, "/api/v1/tokens/self", &bob, None).await, 200).await;
    assert_eq!(own["token"]["id"], id.as_str());
    assert!(!own.to_string().contains("bob@"), "a finder may ask as well");
    // The clock stands still by itself, and ids of one millisecond have no order.
    door.clock.advance(Duration::from_millis(1));
    let (child, child_shown) = made(&door, &bob, json!({ "name": "child", "scopes": ["upload"] })).await;
    let list = json_of(call(&door, Method::GET, "/api/v1/tokens?limit=1", &bob, None).await, 200).await;
    assert_eq!(list["tokens"][0]["id"], child.as_str(), "newest first, and Bob's own only");
    let next = format!("/api/v1/tokens?limit=1&cursor={}", list["next"].as_str().expect("a second page"));
    let list = json_of(call(&door, Method::GET, &next, &bob, None).await, 200).await;
    assert_eq!((list["tokens"][0]["id"].as_str(), list["next"].is_null()), (Some(id.as_str()), true));
    assert!(!list.to_string().contains(bob.trim_start_matches("Bearer ")), "no secret in a list");

    // A token cannot widen itself, nor make one that reaches further, nor touch somebody else's.
    let wider = json!({ "name": "wider", "scopes": ["operator:admin"] });
    assert_eq!(call(&door, Method::POST, "/api/v1/tokens", &bob, Some(wider)).await.status(), StatusCode::FORBIDDEN);
    let path = format!("/api/v1/tokens/{child}");
    let wider = json!({ "scopes": ["upload", "more"] });
    assert!(call(&door, Method::PATCH, &path, &bob, Some(wider)).await.status().is_client_error());
    let admins = json_of(call(&door, Method::GET, "/api/v1/self", &admin, None).await, 200).await;
    let admins = format!("/api/v1/tokens/{}", admins["token"]["id"].as_str().expect("an id"));
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(call(&door, method, &admins, &bob, None).await.status(), StatusCode::NOT_FOUND);
    }
    let narrowed = json!({ "name": "renamed", "scopes": [] });
    let narrowed = json_of(call(&door, Method::PATCH, &path, &bob, Some(narrowed)).await, 200).await;
    assert_eq!((narrowed["token"]["name"].as_str(), &narrowed["token"]["scopes"]), (Some("renamed"), &json!([])));

    let rotate = format!("{path}/rotate");
    let rotated = call(&door, Method::POST, &rotate, &bob, Some(json!({ "overlap_seconds": 60 }))).await;
    let rotated = json_of(rotated, 201).await;
    let successor = format!("Bearer {}", rotated["secret"].as_str().expect("a secret"));
    for shown in [&child_shown, &successor] {
        assert_eq!(call(&door, Method::GET, "/api/v1/self", shown, None).await.status(), StatusCode::OK, "both live");
    }
    door.clock.advance(Duration::from_secs(61));
    let status = call(&door, Method::GET, "/api/v1/self", &child_shown, None).await.status();
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the overlap is over");

    let path = format!("/api/v1/tokens/{}", rotated["token"]["id"].as_str().expect("an id"));
    for _ in 0..2 {
        assert_eq!(call(&door, Method::DELETE, &path, &admin, None).await.status(), StatusCode::NO_CONTENT);
    }
    let shown = json_of(call(&door, Method::GET, &path, &bob, None).await, 200).await;
    assert_eq!(shown["token"]["status"], "revoked", "a tombstone, not a gap");
    assert_eq!(call(&door, Method::GET, "/api/v1/self", &successor, None).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoever_holds_a_token_may_replace_it_once_and_end_it() {
    let door = Door::open().await;
    let first = bearer(&door, "anything").await;
    let body = Some(json!({ "overlap_seconds": 3600 }));
    let rotated = call(&door, Method::POST, "/api/v1/tokens/self/rotate", &first, body.clone()).await;
    let second = format!("Bearer {}", json_of(rotated, 201).await["secret"].as_str().expect("a secret"));
    let status = async |shown: &str| call(&door, Method::GET, "/api/v1/self", shown, None).await.status();
    assert_eq!((status(&first).await, status(&second).await), (StatusCode::OK, StatusCode::OK));
    // The first one again: it is in two hands, and nobody knows whose the second is.
    let again = call(&door, Method::POST, "/api/v1/tokens/self/rotate", &first, body).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    let dead = StatusCode::UNAUTHORIZED;
    assert_eq!((status(&first).await, status(&second).await), (dead, dead), "the whole line is dead");

    let other = bearer(&door, "another").await;
    assert_eq!(call(&door, Method::DELETE, "/api/v1/tokens/self", &other, None).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(status(&other).await, dead);
}

#[tokio::test]
async fn introspection_tells_a_client_and_nobody_else() {
    let door = Door::open().await;
    let (client, good) = (bearer(&door, "introspect").await, bearer(&door, "upload").await);
    let good = good.trim_start_matches("Bearer ");
    let ask = async |shown: &str, form: String| door.form("/oauth/introspect", shown, form).await;
    assert_eq!(ask("", format!("token={good}")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&format!("Bearer {good}"), format!("token={good}")).await.status(), StatusCode::FORBIDDEN);
    let told = json_of(ask(&client, format!("token={good}&token_type_hint=access_token")).await, 200).await;
    assert_eq!((told["active"].as_bool(), told["scope"].as_str()), (Some(true), Some("upload")));
    assert!(told["exp"].is_i64() && told["iat"].is_i64() && told["jti"].is_string());
    assert!(!told.to_string().contains('@'));
    for unknown in [token(1), "nonsense".into(), "%00".into()] {
        let told = json_of(ask(&client, format!("token={unknown}")).await, 200).await;
        assert_eq!(told, json!({ "active": false }), "and not a word more");
    }
    assert_eq!(ask(&client, "tokens=x".into()).await.status(), StatusCode::BAD_REQUEST);

    // A client may show itself in the form, by its token's id, and in one way only.
    let secret = client.trim_start_matches("Bearer ");
    let own = json_of(call(&door, Method::GET, "/api/v1/self", &client, None).await, 200).await;
    let id = own["token"]["id"].as_str().expect("an id").to_owned();
    let by_form = |id: &str, secret: &str| format!("token={good}&client_id={id}&client_secret={secret}");
    assert_eq!(json_of(ask("", by_form(&id, secret)).await, 200).await["active"], true);
    for (id, secret) in [(id.as_str(), "nonsense"), ("", secret), ("somebody", secret), (&id, good)] {
        let refused = ask("", by_form(id, secret)).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{id}");
        assert_eq!(refused.text().await.expect("text"), r#"{"error":"invalid_client"}"#, "{id}");
    }
    assert_eq!(ask(&client, by_form(&id, secret)).await.status(), StatusCode::BAD_REQUEST);

    let revoke = async |form: String| door.form("/oauth/revoke", "", form).await.status();
    assert_eq!(revoke(format!("token={}", token(1))).await, StatusCode::OK, "unknown looks like revoked");
    assert_eq!(revoke(format!("token={good}")).await, StatusCode::OK);
    let told = json_of(ask(&client, format!("token={good}")).await, 200).await;
    assert_eq!(told, json!({ "active": false }));
}

#[tokio::test]
async fn a_holders_report_opens_incidents_and_tells_nothing() {
    let door = Door::open().await;
    let (live, dead) = (token(1), token(2));
    door.issuer.knows_live(&live);
    let report = async |credentials: Value| {
        call(&door, Method::POST, "/credentials/revoke", "", Some(json!({ "credentials": credentials }))).await
    };
    let mut answers = Vec::new();
    for credentials in [json!([live]), json!([dead]), json!(["nonsense"])] {
        let response = report(credentials).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        answers.push(response.text().await.expect("text"));
    }
    assert!(answers.iter().all(String::is_empty), "no oracle");
    let incidents = door.incidents().await;
    assert_eq!(incidents.len(), 1, "made-up tokens leave nothing behind");
    assert!(incidents.iter().all(|incident| incident.origin == "holder"));
    let many: Vec<String> = (100..1_000).map(token).collect();
    let body = json!(many.iter().chain([&live]).collect::<Vec<_>>());
    assert_eq!(report(body).await.status(), StatusCode::ACCEPTED);
    assert_eq!(door.incidents().await.len(), 1, "however many are sent");
    assert_eq!(report(json!([])).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(report(json!(vec!["x"; 1_001])).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_gitlab_reports_as_it_does_everywhere() {
    let door = Door::open().await;
    let shown = bearer(&door, "report").await;
    // GitLab sends the token as the whole value, with no scheme before it.
    let bare = shown.trim_start_matches("Bearer ").to_owned();
    let types = json_of(call(&door, Method::GET, "/v1/revocable_token_types", &bare, None).await, 200).await;
    assert_eq!(types, json!({ "types": ["gitleaks_rule_id_stanch-pat"] }));
    let leaks =
        json!([{ "type": "gitleaks_rule_id_stanch-pat", "token": token(1), "location": "https://gitlab.example/a" }]);
    for _ in 0..2 {
        let response = call(&door, Method::POST, "/v1/revoke_tokens", &bare, Some(leaks.clone())).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }
    let incidents = door.incidents().await;
    assert_eq!((incidents.len(), incidents[0].origin.as_str()), (1, "gitlab"), "the same report is one report");
    let response = call(&door, Method::POST, "/v1/revoke_tokens", &bare, Some(json!({ "token": "x" }))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let none = bearer(&door, "none").await;
    for (shown, status) in [("", 401), ("nonsense", 401), (none.as_str(), 403)] {
        let response = call(&door, Method::POST, "/v1/revoke_tokens", shown, Some(leaks.clone())).await;
        assert_eq!(response.status().as_u16(), status, "{status}");
    }
}

#[tokio::test]
async fn an_api_key_is_answered_in_the_words_of_its_clients() {
    let door = Door::open().await;
    let key = bearer(&door, "packages").await.trim_start_matches("Bearer ").to_owned();
    let ask = async |path: &str, key: Option<&str>| {
        let pairs = key.map(|key| (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key).expect("a value")));
        door.request(Method::GET, path, pairs.into_iter().collect()).await
    };
    let response = ask("/auth/key", None).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["www-authenticate"]),
        (401, &HeaderValue::from_static("ApiKey"))
    );
    assert_eq!(response.text().await.expect("text"), r#"{"detail":"Missing API key. Provide X-API-Key header."}"#);
    let response = ask("/auth/key", Some("wrong")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.text().await.expect("text"), r#"{"detail":"Invalid API key"}"#);
    let response = ask("/auth/key", Some(&key)).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-stanch-scopes"]),
        (204, &HeaderValue::from_static("packages"))
    );
    for (key, known) in [(None, false), (Some("wrong"), false), (Some(key.as_str()), true)] {
        let response = ask("/auth/optional-key", key).await;
        assert_eq!((response.status().as_u16(), response.headers().contains_key("x-stanch-token")), (204, known));
    }
    let about = json_of(ask("/", None).await, 200).await;
    assert_eq!((about["name"].as_str(), about["authentication"].as_str()), (Some("stanch"), Some("enabled")));
}

#[tokio::test]
async fn the_keys_of_rushomon_work_under_their_own_names() {
    let door = Door::open().await;
    let admin = bearer(&door, "operator:admin").await;
    let owner = json!({ "email": "bob@example.org" });
    let wanted = json!({ "name": "maker", "owner": owner, "scopes": ["tokens:write"] });
    let (_, shown) = made(&door, &admin, wanted).await;
    let path = "/api/settings/api-keys";
    let blank = call(&door, Method::POST, path, &shown, Some(json!({ "name": " " }))).await;
    assert_eq!(blank.status(), StatusCode::BAD_REQUEST);
    for days in [0, -1, 1_000_000] {
        let body = json!({ "name": "x", "expires_in_days": days });
        assert_eq!(
            call(&door, Method::POST, path, &shown, Some(body)).await.status(),
            StatusCode::BAD_REQUEST,
            "{days}"
        );
    }
    let body = json!({ "name": "laptop", "expires_in_days": 1 });
    let made = json_of(call(&door, Method::POST, path, &shown, Some(body)).await, 200).await;
    let (id, raw) = (made["id"].as_str().expect("an id"), made["raw_token"].as_str().expect("the token"));
    assert!(made["hint"].as_str().expect("a hint").ends_with(&raw[raw.len() - 4..]));
    assert_eq!(made["expires_at"].as_i64().expect("seconds") - made["created_at"].as_i64().expect("seconds"), 86_400);
    let list = json_of(call(&door, Method::GET, path, &shown, None).await, 200).await;
    assert!(list.as_array().expect("a list").iter().all(|key| key.get("raw_token").is_none()));
    let raw = format!("Bearer {raw}");
    assert_eq!(call(&door, Method::GET, "/api/v1/self", &raw, None).await.status(), StatusCode::OK);
    let mint = call(&door, Method::POST, path, &raw, Some(json!({ "name": "child" }))).await;
    assert_eq!(mint.status(), StatusCode::FORBIDDEN, "a key makes no key");
    for path in [format!("{path}/{id}"), format!("{path}/{id}"), format!("{path}/nothing")] {
        assert_eq!(call(&door, Method::DELETE, &path, &shown, None).await.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(call(&door, Method::GET, "/api/v1/self", &raw, None).await.status(), StatusCode::UNAUTHORIZED);
    let reactivate = format!("/api/admin/api-keys/{id}/reactivate");
    assert_eq!(
        call(&door, Method::POST, &reactivate, &admin, None).await.status(),
        StatusCode::CONFLICT,
        "dead is dead"
    );
    let all =
        json_of(call(&door, Method::GET, "/api/admin/api-keys?search=laptop&status=revoked", &admin, None).await, 200)
            .await;
    assert_eq!(all["keys"][0]["id"], id, "an operator still sees it");
}

#[tokio::test]
async fn a_macaroon_is_judged_for_what_a_resource_server_says_it_is_shown_for() {
    let door = Door::open().await;
    let admin = bearer(&door, "operator:admin").await;
    let client = bearer(&door, "introspect").await;
    let (engine, other) = ("7c9e6679-7425-40de-944b-e07fc1f90ae7", "7c9e6679-7425-40de-944b-e07fc1f90ae8");
    let wanted = json!({
        "name": "ci", "kind": "macaroon", "owner": { "email": "ada@example.org" },
        "projects": ["My.Engine"], "project_ids": [engine],
    });
    let (_, shown) = made(&door, &admin, wanted).await;
    let token = shown.trim_start_matches("Bearer ");
    let active = async |context: String| {
        let told = json_of(door.form("/oauth/introspect", &client, format!("token={token}{context}")).await, 200).await;
        told["active"].as_bool().expect("a word")
    };
    assert!(!active(String::new()).await, "nobody said for which project");
    assert!(active(format!("&project=my_engine&project_id={engine}")).await);
    assert!(!active("&project=my-engine".into()).await, "a project of that name, and nobody knows which");
    assert!(!active(format!("&project=my-engine&project_id={other}")).await, "another one under the old name");
    assert!(!active(format!("&project=other&project_id={engine}")).await);
    for bad in [format!("&project_id={engine}"), "&address=here".into()] {
        let asked = door.form("/oauth/introspect", &client, format!("token={token}{bad}")).await;
        assert_eq!(asked.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_key_of_several_organisations_says_for_which_one_it_is_shown() {
    let door = Door::open().await;
    let admin = bearer(&door, "operator:admin").await;
    let wanted = json!({
        "name": "maker", "owner": { "email": "bob@example.org" }, "scopes": ["tokens:write"],
        "organisations": ["red", "blue"],
    });
    let (_, shown) = made(&door, &admin, wanted).await;
    let list = async |organisation: Option<&'static str>| {
        let mut headers = HeaderMap::from_iter([(
            HeaderName::from_static("authorization"),
            HeaderValue::from_str(&shown).expect("a value"),
        )]);
        headers.extend(organisation.map(|name| (HeaderName::from_static("x-org-id"), HeaderValue::from_static(name))));
        door.request(Method::GET, "/api/settings/api-keys", headers).await.status().as_u16()
    };
    assert_eq!((list(None).await, list(Some("red")).await, list(Some("green")).await), (401, 200, 403));
}

#[tokio::test]
async fn who_leaves_an_organisation_or_is_set_aside_takes_the_tokens_along() {
    let door = Door::open().await;
    let admin = bearer(&door, "operator:admin").await;
    let make = async |name: &str, organisations: &[&str]| {
        let owner = json!({ "email": "bob@example.org" });
        made(&door, &admin, json!({ "name": name, "owner": owner, "organisations": organisations })).await.1
    };
    let (both, one, none) =
        (make("both", &["red", "blue"]).await, make("one", &["red"]).await, make("none", &[]).await);
    let post = async |path: &str, body: Value| call(&door, Method::POST, path, &admin, Some(body)).await;
    let opens = async |shown: &str| call(&door, Method::GET, "/api/v1/self", shown, None).await.status().is_success();
    let leaving = json!({ "owner": "bob@example.org", "organisation": "red" });
    let left = json_of(post("/api/v1/owners/leave", leaving.clone()).await, 200).await;
    assert_eq!(left, json!({ "narrowed": 1, "revoked": 1 }));
    assert_eq!(json_of(post("/api/v1/owners/leave", leaving).await, 200).await, json!({ "narrowed": 0, "revoked": 0 }));
    assert_eq!([opens(&both).await, opens(&one).await, opens(&none).await], [true, false, true]);
    let whom = json!({ "owner": "bob@example.org" });
    for (path, open) in [("suspend", false), ("resume", true)] {
        assert_eq!(post(&format!("/api/v1/owners/{path}"), whom.clone()).await.status(), StatusCode::NO_CONTENT);
        assert_eq!([opens(&both).await, opens(&none).await], [open, open], "{path}");
    }
    let nobody = post("/api/v1/owners/suspend", json!({ "owner": "nobody@example.org" })).await;
    assert_eq!(nobody.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_fails_too_often_waits_before_anything_is_looked_up() {
    let rate = Rate { burst: 3, per: Duration::from_mins(1) };
    let door = Door::open_with(|plan| plan.settings.rates.failures = rate).await;
    let good = bearer(&door, "none").await;
    for _ in 0..3 {
        assert_eq!(
            call(&door, Method::GET, "/api/v1/self", "Bearer nonsense", None).await.status(),
            StatusCode::UNAUTHORIZED
        );
    }
    let response = call(&door, Method::GET, "/api/v1/self", &good, None).await;
    assert_eq!(
        (response.status().as_u16(), response.headers()["retry-after"].to_str().expect("a number")),
        (429, "20")
    );
    let headers = HeaderMap::from_iter([
        (HeaderName::from_static("authorization"), HeaderValue::from_str(&good).expect("a value")),
        (HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static("192.0.2.1")),
    ]);
    assert_eq!(door.request(Method::GET, "/api/v1/self", headers).await.status(), StatusCode::OK, "another address");
    door.clock.advance(Duration::from_secs(20));
    assert_eq!(call(&door, Method::GET, "/api/v1/self", &good, None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn creation_and_reports_have_their_limits() {
    let door = Door::open_with(|plan| {
        plan.settings.rates.creations = Rate { burst: 1, per: Duration::from_hours(1) };
        plan.settings.rates.reports = Rate { burst: 1, per: Duration::from_hours(1) };
    })
    .await;
    let shown = bearer(&door, "tokens:write").await;
    for (name, status) in [("one", 201), ("two", 429)] {
        let response = call(&door, Method::POST, "/api/v1/tokens", &shown, Some(json!({ "name": name }))).await;
        assert_eq!(response.status().as_u16(), status, "{name}");
    }
    for status in [202, 429] {
        let body = json!({ "credentials": [token(1)] });
        let response = call(&door, Method::POST, "/credentials/revoke", "", Some(body)).await;
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test]
async fn without_authentication_this_machine_may_do_everything_by_its_own_name() {
    let door = Door::open_with(|plan| plan.settings.authentication = Authentication::Disabled).await;
    let owner = NewOwner { name: "Ada".into(), email: EmailAddress::parse("ada@example.org").expect("an address") };
    door.store.ensure_owner(owner).await.expect("stored");
    assert_eq!(call(&door, Method::GET, "/api/v1/tokens", "", None).await.status(), StatusCode::OK);
    let about = json_of(call(&door, Method::GET, "/", "", None).await, 200).await;
    assert_eq!(about["authentication"], "disabled");
    let bad = call(&door, Method::GET, "/api/v1/tokens", "Bearer nonsense", None).await;
    assert_eq!(bad.status(), StatusCode::UNAUTHORIZED, "what is shown is checked all the same");
    let rebound = HeaderMap::from_iter([(HeaderName::from_static("host"), HeaderValue::from_static("evil.example"))]);
    assert_eq!(door.request(Method::GET, "/api/v1/tokens", rebound).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_document_describes_every_route_and_the_page_needs_nobody() {
    let door = Door::open().await;
    let document = json_of(door.get("/openapi.json").await, 200).await;
    assert_eq!(document["openapi"], "3.1.0");
    for route in stanch::http::table(&door.app).with_document().iter().filter(|route| !route.page) {
        let path = route.path.replace("{*", "{");
        assert!(document["paths"][&path].is_object(), "{route:?}");
    }
    let page = door.get("/docs").await;
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    let page = page.text().await.expect("text");
    assert!(page.contains("/credentials/revoke") && !page.contains("<script") && !page.contains("https://"));
}
