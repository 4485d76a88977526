//! Every page in a real browser: whole, readable and inert for everybody; every action; live; without a script.

use std::path::Path;

use serde_json::{Value, json};

use crate::browser::{Browser, DESKTOP, Driver, Look, PHONE, Script};
use crate::house::{HOSTILE, House, PASSWORD, client, picture};
use crate::process::{PATIENCE, acme_token, record, within};

const PAGES: &[(&str, &str)] = &[
    ("needs", "/dashboard"),
    ("incidents", "/dashboard/incidents"),
    ("incidents-filtered", "/dashboard/incidents?state=stuck&owner=javascript%3Aalert(1)&text=%3Cb%3E"),
    ("revoked", "/dashboard/revoked"),
    ("issuers", "/dashboard/issuers"),
    ("reporters", "/dashboard/reporters"),
    ("queue", "/dashboard/queue"),
    ("times", "/dashboard/times"),
    ("tokens", "/dashboard/tokens"),
    ("audit", "/dashboard/audit"),
    ("audit-filtered", "/dashboard/audit?actor=%3Cb%3E&kind=%22x&incident="),
    ("drill", "/dashboard/drill"),
    ("operators", "/dashboard/operators"),
    ("settings", "/dashboard/settings"),
    ("together", "/dashboard/incidents/together?state=stuck"),
];

const LOOKS: &[(&str, Look)] = &[
    ("desktop", DESKTOP),
    ("desktop-dark", Look { dark: true, ..DESKTOP }),
    ("phone", PHONE),
    ("phone-dark", Look { dark: true, ..PHONE }),
];

const AXE_LOOKS: &[&str] = &["desktop", "phone-dark"];

/// What is wrong with the page, by our own checks.
async fn wrong(browser: &Browser<'_>) -> Vec<String> {
    let told = browser.run(include_str!("checks.js")).await;
    told.as_array().expect("a list").iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// What axe says is wrong with the page, where it is installed.
async fn wrong_for_axe(browser: &Browser<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/node_modules/axe-core/axe.min.js");
    if let Ok(script) = std::fs::read_to_string(axe) {
        browser.run(&format!("{script};window.axe = axe;")).await;
        let tags = json!(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]);
        let ask = format!(
            "const done = arguments[arguments.length - 1];\
             axe.run(document, {{ runOnly: {{ type: 'tag', values: {tags} }} }})\
               .then((found) => done(found.violations.map((it) => `axe ${{it.id}}: ${{it.nodes[0].html}}`.slice(0, 240))))\
               .catch((error) => done([`axe: ${{error}}`]));"
        );
        let found: Value = browser.run_async(&ask).await;
        wrong.extend(found.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)));
    }
    wrong
}

async fn inspect(browser: &Browser<'_>, name: &str, found: &mut Vec<String>) {
    for (look_name, look) in LOOKS {
        browser.look(*look).await;
        browser.picture(&picture(&format!("{name}-{look_name}"))).await;
        let mut told = wrong(browser).await;
        // It takes longer than all the rest. Two looks have both widths and both colours in them.
        if AXE_LOOKS.contains(look_name) {
            told.extend(wrong_for_axe(browser).await);
        }
        found.extend(told.into_iter().map(|text| format!("{name}, {look_name}: {text}")));
    }
    browser.look(DESKTOP).await;
}

/// What is wrong with the way of a keyboard through the page.
async fn tab_through(browser: &Browser<'_>) -> Vec<String> {
    let stops = browser.run(include_str!("tabs.js")).await.as_u64().expect("a number");
    // Some more than there are stops: a field for a day has several.
    browser.press(&"\u{e004}".repeat(usize::try_from(stops).expect("few") + 12)).await;
    let told = browser.run("return window.told()").await;
    told.as_array().expect("a list").iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_whole_and_inert_with_whatever_strangers_write() {
    let house = House::open().await;
    let driver = Driver::start();
    let browser = driver.browser(DESKTOP, Script::On).await;
    let mut found = Vec::new();
    browser.open(&house.bootstrap_link().await).await;
    inspect(&browser, "welcome", &mut found).await;
    house.set_up(&browser).await;
    assert!(browser.text("main").await.contains("Nothing needs you"), "empty is good, and says so");
    inspect(&browser, "empty-needs", &mut found).await;
    for (name, path) in [("empty-incidents", "/dashboard/incidents"), ("empty-times", "/dashboard/times")] {
        browser.open(&format!("{}{path}", house.base)).await;
        inspect(&browser, name, &mut found).await;
    }

    house.report_all(12).await;
    let owner = "a very long name of an owner that goes on ".repeat(5);
    for name in [HOSTILE[2], HOSTILE[4]] {
        let arguments = ["token", "create", "--owner-email", "o@example.org", "--owner-name", &owner, "--name", name];
        assert!(house.installation.stanch(&arguments).status.success());
    }
    house.make_hostile().await;
    let (stuck, closed) = (house.incident_in("stuck"), house.incident_in("closed"));
    let mut pages: Vec<(String, String)> =
        PAGES.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
    pages.push(("incident-stuck".into(), format!("/dashboard/incidents/{stuck}")));
    pages.push(("incident-closed".into(), format!("/dashboard/incidents/{closed}")));
    pages.push(("mail".into(), format!("/dashboard/incidents/{closed}/mail")));
    pages.push(("not-found".into(), "/dashboard/incidents/inc_x".into()));
    for (name, path) in &pages {
        browser.open(&format!("{}{path}", house.base)).await;
        inspect(&browser, name, &mut found).await;
        found.extend(tab_through(&browser).await.into_iter().map(|text| format!("{name}, keyboard: {text}")));
        let links = browser.run("return [...document.links].map((link) => link.href)").await;
        for link in links.as_array().expect("a list").iter().filter_map(Value::as_str) {
            let fine = link.starts_with(&house.base) || link.starts_with("https://github.com/");
            assert!(fine && !link.contains('@'), "{name}: {link}");
        }
        let hidden = browser.run("return [...document.body.innerText].filter((c) => /[\\u202a-\\u202e\\u2066-\\u2069\\u0000-\\u0008]/.test(c)).length").await;
        assert_eq!(hidden, 0, "{name} shows characters that hide or turn");
    }
    browser.open(&format!("{}/dashboard/sign-in", house.base)).await;
    inspect(&browser, "sign-in", &mut found).await;
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    assert_eq!(house.blocked().await, 0, "no page has anything that its policy forbids");

    // The report endpoint hears what a browser blocks: the zero above says something.
    browser.open(&format!("{}/dashboard", house.base)).await;
    browser.run("const it = document.createElement('img'); it.src = 'https://evil.example/x.png'; document.body.append(it);").await;
    assert!(within(PATIENCE, async || house.blocked().await > 0).await, "a blocked picture is reported");
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_decided_and_pages_keep_current() {
    let house = House::open().await;
    let driver = Driver::start();
    let browser = driver.browser(DESKTOP, Script::On).await;
    house.set_up(&browser).await;

    // Live: the start page changes while somebody looks at it.
    browser.run("window.kept = true").await;
    house.report_all(1).await;
    let shown = async || browser.text("[data-live=needs]").await.contains("Owners who could not be told");
    assert!(within(PATIENCE, shown).await, "it is shown without a reload: {}", browser.text("main").await);
    assert_eq!(browser.run("return window.kept").await, json!(true), "the page was not loaded again");
    assert!(browser.text(".rail nav").await.contains('1'), "the menu counts it");

    // A viewer's way to it is a keyboard's way too.
    browser.press("\u{e004}").await;
    assert_eq!(browser.run("return document.activeElement.className").await, json!("skip"), "first of all: skip");
    browser.press("\u{e007}").await;
    assert_eq!(browser.run("return location.hash").await, json!("#main"));

    browser.follow(".tasks a.button").await;
    assert!(browser.text("main").await.contains("Stuck: a person must look"), "{}", browser.text("main").await);
    browser.follow("form[action$='/retry'] button").await;
    assert!(browser.text(".told").await.contains("Retried 1 incident"));
    let again = async || browser.text("[data-live=state]").await.contains("notify");
    assert!(within(PATIENCE, again).await, "it is stuck again, and the page says so: {}", browser.text("main").await);
    assert!(
        within(PATIENCE, async || browser.has("form[action$='/dismiss']").await).await,
        "what may be done is current"
    );
    browser.click("main details summary").await;
    browser.fill("form[action$='/dismiss'] input[name=reason]", "the owner has left <b>").await;
    browser.follow("form[action$='/dismiss'] button").await;
    assert!(browser.text(".told").await.contains("Dismissed"));
    browser.open(&format!("{}/dashboard", house.base)).await;
    assert!(browser.text("main").await.contains("Nothing needs you"));

    // Was this token revoked?
    let secret = acme_token(0);
    browser.open(&format!("{}/dashboard/incidents", house.base)).await;
    browser.fill("input[type=search]", &format!("  \"{secret}\" ")).await;
    browser.follow(".search button").await;
    let answer = browser.text("main").await;
    assert!(answer.contains("acme-token") && answer.contains("revoked"), "{answer}");
    assert!(!browser.url().await.contains("acme_") && !browser.source().await.contains(&secret), "shown nowhere");
    browser.open(&format!("{}/dashboard/incidents", house.base)).await;
    browser.fill("input[type=search]", "token-0").await;
    browser.follow(".search button").await;
    assert!(browser.url().await.ends_with("?text=token-0"), "a name is part of the address");
    assert!(browser.text("main").await.contains("1 incident"), "{}", browser.text("main").await);

    // The brake's big red button.
    browser.open(&format!("{}/dashboard/issuers", house.base)).await;
    browser.click("main details summary").await;
    browser.fill("main details[open] input[name=reason]", "the upstream reports nonsense").await;
    browser.follow("main details[open] button").await;
    assert!(browser.text(".banner").await.contains("Everything is paused"));
    browser.picture(&picture("paused-desktop")).await;
    house.installation.issuer.issue(&acme_token(77), "token-77", "owner@example.org");
    let to = house.process.addr.expect("it listens");
    house.installation.deliver(to, &[record(&acme_token(77), "https://github.com/a")]).await.expect("taken in");
    browser.follow("form[action$='/resume'] button").await;
    assert!(!browser.has(".banner").await, "resumed");
    let dead = async || !house.installation.issuer.is_live(&acme_token(77));
    assert!(within(PATIENCE, dead).await, "what waited is revoked");

    // A token of our own: shown once, then known by its hash.
    browser.open(&format!("{}/dashboard/tokens", house.base)).await;
    for (field, text) in [("name", "deploy"), ("owner_name", "Ada"), ("owner_email", "ada@example.org")] {
        browser.fill(&format!("main form[method=post] input[name={field}]"), text).await;
    }
    browser.follow("main form[method=post] button.primary").await;
    let fresh = browser.text("#fresh").await;
    assert!(fresh.starts_with("stanch_pat_"), "{fresh}");
    browser.picture(&picture("token-made-desktop")).await;
    browser.open(&format!("{}/dashboard/incidents", house.base)).await;
    browser.fill("input[type=search]", &fresh).await;
    browser.follow(".search button").await;
    assert!(browser.text("main").await.contains("Nobody ever reported it"));
    browser.follow("main h2 a").await;
    browser.follow("form[action$='/revoke'] button").await;
    assert!(browser.text(".told").await.contains("revoked"));
    assert!(!browser.source().await.contains(&fresh));

    // Let somebody in, and sign out.
    browser.open(&format!("{}/dashboard/operators", house.base)).await;
    browser.fill("main form[action$='/operators'] input[name=name]", "eve").await;
    browser.follow("main form[action$='/operators'] button").await;
    assert!(browser.text("#link").await.contains("/dashboard/welcome/"));
    browser.follow(".who button").await;
    assert!(browser.url().await.ends_with("/dashboard/sign-in"));
    browser.open(&format!("{}/dashboard/incidents?state=stuck", house.base)).await;
    browser.fill("input[name=name]", "ada").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.follow("form button").await;
    assert!(browser.url().await.ends_with("/dashboard/incidents?state=stuck"), "back to where one wanted to go");
    assert_eq!(house.blocked().await, 0);
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_without_a_script_and_asks_again_before_what_cannot_be_undone() {
    let house = House::with("[dashboard]\nconfirmed = \"0s\"\n").await;
    let driver = Driver::start();
    let browser = driver.browser(PHONE, Script::Off).await;
    house.set_up(&browser).await;
    house.report_all(2).await;
    browser.open(&format!("{}/dashboard", house.base)).await;
    assert!(browser.text("main").await.contains("Owners who could not be told"));
    browser.picture(&picture("no-script-phone")).await;
    browser.click(".phone summary").await;
    browser.follow(".phone a[href='/dashboard/revoked']").await;
    assert!(browser.text("main").await.contains("token-0") || browser.text("main").await.contains("ci upload"));

    // An export asks for the password, and gives nothing for a wrong one.
    let (cookie, csrf) = house.sign_in("ada").await;
    let export = async |password: &str, format: &str| {
        let form = [("csrf", csrf.as_str()), ("format", format), ("password", password)];
        let request = client().post(format!("{}/dashboard/revoked/export", house.base)).form(&form);
        request.header("cookie", &cookie).header("sec-fetch-site", "same-origin").send().await.expect("an answer")
    };
    assert_eq!(export("", "csv").await.status(), 403);
    assert_eq!(export("wrong", "csv").await.status(), 403);
    let csv = export(PASSWORD, "csv").await;
    assert_eq!(csv.status(), 200);
    assert!(csv.headers().contains_key("set-cookie"), "the session goes on under another cookie");
    let text = csv.text().await.expect("text");
    // The stuck one was revoked too.
    assert_eq!(text.lines().count(), 4, "{text}");
    let audit = "SELECT count(*) FROM events WHERE kind = 'exported'";
    assert_eq!(house.installation.db.number(audit).await, 1, "in the audit trail, once");

    let stuck = house.incident_in("stuck");
    browser.open(&format!("{}/dashboard/incidents/{stuck}", house.base)).await;
    browser.follow("form[action$='/retry'] button").await;
    assert!(browser.text(".told").await.contains("Retried 1 incident"));
    browser.click(".phone summary").await;
    browser.follow(".phone .who button").await;
    assert!(browser.url().await.ends_with("/dashboard/sign-in"));
    browser.quit().await;
}
