//! Signing in at an identity provider: in a browser, by its groups, and against every answer that does not hold.

use reqwest::StatusCode;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::{Value, json};

use crate::browser::{DESKTOP, Driver, Script};
use crate::house::{House, client, picture};
use crate::process::{Installation, Kind, PATIENCE, within};
use crate::provider::{CLIENT, Provider, SECRET};

async fn house(provider: &Provider, roles: &str) -> House {
    let extra = format!(
        "[oidc]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nclient_secret_env = \"OIDC_SECRET\"\nname = \"Example SSO\"\n{roles}\n",
        provider.base
    );
    let installation = Installation::with(Kind::Sqlite, &extra).await;
    let process = installation.start_with(&["serve"], &[("OIDC_SECRET", SECRET)]);
    let base = format!("http://{}", process.addr());
    House { installation, process, base }
}

/// What a browser's way to the provider and back gave.
struct Walked {
    status: StatusCode,
    text: String,
    /// Of the session, if one was opened.
    cookie: Option<String>,
}

async fn walk(house: &House) -> Walked {
    let (back, cookie) = set_out(house).await;
    come_back(&back, &cookie).await
}

/// To the provider; gives where it sends the browser back, and the browser's cookie.
async fn set_out(house: &House) -> (String, String) {
    let start = client().get(format!("{}/dashboard/sign-in/provider?next=/dashboard/queue", house.base)).send().await;
    let start = start.expect("an answer");
    assert_eq!(start.status(), StatusCode::SEE_OTHER);
    let cookie = start.headers()[SET_COOKIE].to_str().expect("text").to_owned();
    assert!(
        cookie.starts_with("stanch-provider=") && cookie.ends_with("; HttpOnly; SameSite=Lax; Max-Age=600"),
        "{cookie}"
    );
    let at = client().get(start.headers()[LOCATION].to_str().expect("text")).send().await.expect("an answer");
    let back = at.headers()[LOCATION].to_str().expect("text").to_owned();
    (back, cookie.split(';').next().expect("a pair").to_owned())
}

async fn come_back(back: &str, cookie: &str) -> Walked {
    let answer = client().get(back).header(COOKIE, cookie).send().await.expect("an answer");
    let status = answer.status();
    let cookies = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let session = cookies.filter_map(|cookie| cookie.split(';').next()).find(|pair| pair.starts_with("stanch="));
    let cookie = session.map(str::to_owned);
    Walked { status, cookie, text: answer.text().await.expect("text") }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_the_providers_groups_let_in_comes_in_with_their_role() {
    let provider = Provider::start().await;
    let house = house(&provider, "roles = { staff = \"viewer\", registry-admins = \"admin\" }").await;
    let driver = Driver::start();
    let browser = driver.browser(DESKTOP, Script::On).await;
    provider.person("u-1", "Ada", &["staff", "registry-admins"]);
    provider.signed_in_for(3_600);

    // To a page, by way of the provider, and back to it.
    browser.open(&format!("{}/dashboard/audit?kind=signed_in", house.base)).await;
    browser.picture(&picture("sign-in-provider-desktop")).await;
    browser.follow("a.button").await;
    assert!(browser.url().await.ends_with("/dashboard/audit?kind=signed_in"), "{}", browser.url().await);
    assert!(browser.text(".who").await.starts_with("ada\nadmin"), "{}", browser.text(".who").await);
    assert!(browser.text("main table").await.contains("operator ada"));

    // What cannot be undone asks the provider to ask again.
    browser.click("main .split details:nth-of-type(2) summary").await;
    assert!(!browser.has("input[type=password]").await, "there is no password here");
    browser.follow("main .told a").await;
    assert!(browser.url().await.ends_with("/dashboard/audit?kind=signed_in"));
    let asked = provider.asked();
    assert_eq!((asked["prompt"].as_str(), asked["max_age"].as_str()), ("login", "0"));
    assert!(!browser.has("main .split .told").await, "confirmed");
    assert_eq!(house.blocked().await, 0);
    browser.quit().await;

    // Roles follow the groups at each sign-in; without a group nobody comes in.
    provider.person("u-1", "ada.lovelace", &["staff"]);
    let walked = walk(&house).await;
    assert_eq!(walked.status, StatusCode::SEE_OTHER);
    let page =
        client().get(format!("{}/dashboard/queue", house.base)).header(COOKIE, walked.cookie.expect("a session"));
    let page = page.send().await.expect("an answer").text().await.expect("text");
    assert!(page.contains("<p>ada<span>viewer</span></p>"), "known by the account, not by a new name");
    provider.person("u-1", "ada", &["another"]);
    let walked = walk(&house).await;
    assert!(walked.status == StatusCode::FORBIDDEN && walked.cookie.is_none(), "{}", walked.status);
    assert!(walked.text.contains("None of your groups may come in"), "{}", walked.text);
    let changed = "SELECT count(*) FROM events WHERE kind IN ('operator_added', 'operator_role_changed')";
    assert_eq!(house.installation.db.number(changed).await, 2, "in the audit trail");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_hold_opens_nothing() {
    let provider = Provider::start().await;
    let house = house(&provider, "").await;
    provider.person("u-1", "ada", &["staff"]);

    // Without groups, only who was added here comes in, and under one name one account.
    let walked = walk(&house).await;
    assert!(walked.status == StatusCode::FORBIDDEN && walked.text.contains("Nobody has let you in here yet"));
    assert!(house.installation.stanch(&["operator", "add", "ada", "--role", "responder"]).status.success());
    let walked = walk(&house).await;
    assert_eq!((walked.status, walked.cookie.is_some()), (StatusCode::SEE_OTHER, true), "{}", walked.text);
    provider.person("u-2", "ada", &[]);
    assert!(walk(&house).await.text.contains("belongs to another account"));
    provider.person("u-3", "<script>", &[]);
    assert!(walk(&house).await.text.contains("no name that can be used here"));

    provider.person("u-1", "ada", &[]);
    let own = provider.base.clone();
    let cheats: [(Value, Value, bool); 8] = [
        (json!({ "nonce": "another" }), json!({}), false),
        (json!({ "aud": "another" }), json!({}), false),
        (json!({ "aud": [CLIENT, "another"] }), json!({}), false),
        (json!({ "iss": format!("{own}/") }), json!({}), false),
        (json!({ "exp": "past" }), json!({}), false),
        (json!({}), json!({ "alg": "none" }), false),
        (json!({}), json!({ "kid": "odd" }), false),
        (json!({}), json!({}), true),
    ];
    for (claims, header, spoilt) in cheats {
        provider.cheat(claims.clone(), header.clone(), spoilt);
        let walked = walk(&house).await;
        assert_eq!(walked.status, StatusCode::FORBIDDEN, "{claims} {header} {spoilt}");
        assert!(walked.cookie.is_none() && walked.text.contains("does not hold"), "{claims} {header} {spoilt}");
    }
    provider.cheat(json!({}), json!({}), false);

    // An answer is good for the browser that asked, once.
    let (back, cookie) = set_out(&house).await;
    let (_, other) = set_out(&house).await;
    for cookie in [other.as_str(), "stanch-provider=x", ""] {
        let walked = come_back(&back, cookie).await;
        assert!(walked.status == StatusCode::FORBIDDEN && walked.cookie.is_none(), "{cookie}");
    }
    assert_eq!(come_back(&back, &cookie).await.status, StatusCode::SEE_OTHER);
    assert_eq!(come_back(&back, &cookie).await.status, StatusCode::FORBIDDEN, "the code was used");

    // A new key of another kind is taken as soon as the provider lists it.
    provider.rotate();
    let taken = async || walk(&house).await.status == StatusCode::SEE_OTHER;
    assert!(within(PATIENCE, taken).await, "the list is fetched again for a key that is new");

    // Reset here, the account may be another one; disabled, nobody comes in.
    assert!(house.installation.stanch(&["operator", "reset", "ada"]).status.success());
    provider.person("u-2", "ada", &[]);
    assert_eq!(walk(&house).await.status, StatusCode::SEE_OTHER);
    assert!(house.installation.stanch(&["operator", "disable", "ada"]).status.success());
    assert_eq!(walk(&house).await.status, StatusCode::FORBIDDEN);
}
