//! Signing in: cookies, limits, links, and the end of sessions.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::house::{House, PASSWORD, client};

async fn try_in(house: &House, name: &str, password: &str) -> reqwest::Response {
    let form = [("name", name), ("password", password)];
    let request = client().post(format!("{}/dashboard/sign-in", house.base)).form(&form);
    request.header("sec-fetch-site", "same-origin").send().await.expect("an answer")
}

async fn start_page(house: &House, cookie: &str) -> StatusCode {
    let request = client().get(format!("{}/dashboard", house.base)).header("cookie", cookie);
    request.send().await.expect("an answer").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_a_cookie_that_nobody_else_reads_and_that_ends() {
    let house = House::open().await;
    house.operator("ada", "admin").await;
    let answer = try_in(&house, "ADA", PASSWORD).await;
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.starts_with("stanch=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");

    // Behind a proxy, and everywhere else but here, the cookie is one that no plain connection sees.
    let form = [("name", "ada"), ("password", PASSWORD)];
    let request = client().post(format!("{}/dashboard/sign-in", house.base)).form(&form);
    let request = request.header("sec-fetch-site", "same-origin").header("x-forwarded-proto", "https");
    let answer = request.header("x-forwarded-for", "192.0.2.1").send().await.expect("an answer");
    let secure = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(secure.starts_with("__Host-stanch=") && secure.ends_with("; SameSite=Lax; Secure"), "{secure}");

    let (cookie, csrf) = house.sign_in("ada").await;
    assert_eq!(start_page(&house, &cookie).await, StatusCode::OK);
    let stored = house.installation.db.bytes().await.concat();
    let value = cookie.split('=').nth(1).expect("a value");
    assert!(!stored.windows(value.len()).any(|window| window == value.as_bytes()), "kept as a hash alone");

    let (second, _) = house.sign_in("ada").await;
    let request = client().post(format!("{}/dashboard/sign-out", house.base)).header("cookie", &cookie);
    let request = request.header("sec-fetch-site", "same-origin").form(&[("csrf", &csrf)]);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::SEE_OTHER);
    assert_eq!(start_page(&house, &cookie).await, StatusCode::SEE_OTHER, "signed out");
    assert_eq!(start_page(&house, &second).await, StatusCode::OK, "another browser stays in");

    house.operator("eve", "admin").await;
    let disabled = house.installation.stanch(&["operator", "disable", "ada"]);
    assert!(disabled.status.success());
    assert_eq!(start_page(&house, &second).await, StatusCode::SEE_OTHER, "disabled at once");
    assert_eq!(try_in(&house, "ada", PASSWORD).await.status(), StatusCode::FORBIDDEN);
    let last = house.installation.stanch(&["operator", "disable", "eve"]);
    assert!(!last.status.success() && String::from_utf8_lossy(&last.stderr).contains("last admin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slow_and_a_wrong_name_looks_like_a_wrong_password() {
    let house = House::open().await;
    house.operator("ada", "viewer").await;
    let text = async |response: reqwest::Response| (response.status(), response.text().await.expect("text"));
    let wrong = text(try_in(&house, "ada", "not the password at all").await).await;
    let unknown = text(try_in(&house, "bob", "not the password at all").await).await;
    assert_eq!(wrong.0, StatusCode::FORBIDDEN);
    assert_eq!(wrong.1.replace("\"ada\"", "\"\""), unknown.1.replace("\"bob\"", "\"\""), "the same words");
    for _ in 0..4 {
        try_in(&house, "ada", "not the password at all").await;
    }
    let right = try_in(&house, "ada", PASSWORD).await;
    assert_eq!(right.status(), StatusCode::TOO_MANY_REQUESTS, "even the right one has to wait");
    // From elsewhere, as a proxy on this machine tells, the operator gets in: nobody is locked out by a stranger.
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
    headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
    let form = [("name", "ada"), ("password", PASSWORD)];
    let request = client().post(format!("{}/dashboard/sign-in", house.base)).headers(headers).form(&form);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::SEE_OTHER);
}
