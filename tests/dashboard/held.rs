//! What the brake holds, decided in a browser: asked for by one person, approved by another, each with the password;
//! withdrawn; dismissed. And a dry run, which every page tells.

use crate::browser::{Browser, DESKTOP, Driver, PHONE, Script};
use crate::house::{House, PASSWORD, picture};
use crate::process::{Installation, Kind, PATIENCE, acme_token, record, within};

const CONFIG: &str = "[brake]\nper_issuer = 1\nsecond_person = true\n[dashboard]\nconfirmed = \"0s\"\n";

async fn report(house: &House, seeds: std::ops::Range<u32>) {
    let mut records = Vec::new();
    for seed in seeds {
        house.installation.issuer.issue(&acme_token(seed), &format!("token-{seed}"), "owner@example.org");
        records.push(record(&acme_token(seed), "https://github.com/ada/engine/blob/main/ci.yml#L3"));
    }
    let to = house.process.addr.expect("it listens");
    assert!(house.installation.deliver(to, &records).await.expect("an answer").status.is_success());
}

async fn hold(house: &House, held: i64) {
    let sql = "SELECT count(*) FROM incidents WHERE state = 'held'";
    assert!(within(PATIENCE, async || house.installation.db.number(sql).await == held).await, "{held} are held");
}

/// How many of these tokens live.
fn live(house: &House, seeds: std::ops::Range<u32>) -> usize {
    seeds.filter(|seed| house.installation.issuer.is_live(&acme_token(*seed))).count()
}

async fn sign_in(browser: &Browser<'_>, house: &House, name: &str) {
    browser.open(&format!("{}/dashboard/sign-in", house.base)).await;
    browser.fill("input[name=name]", name).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.follow("form button").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_takes_two_people_and_both_passwords() {
    let house = House::with(CONFIG).await;
    let driver = Driver::start();
    let ada = driver.browser(DESKTOP, Script::On).await;
    house.set_up(&ada).await;
    house.operator("eve", "responder").await;
    house.operator("vic", "viewer").await;
    report(&house, 0..4).await;
    hold(&house, 3).await;

    // The start page says what is held, and that the brake is on.
    ada.open(&format!("{}/dashboard", house.base)).await;
    let told = ada.text("main").await;
    assert!(told.contains("Held by the brake") && told.contains("3 incidents at acme"), "{told}");
    assert!(ada.text(".strip").await.contains("on\nholds tokens: acme"), "{}", ada.text(".strip").await);
    ada.picture(&picture("held-desktop")).await;
    ada.follow(".tasks a.button").await;
    assert!(ada.url().await.ends_with("/dashboard/incidents?state=held&issuer=acme"), "{}", ada.url().await);
    ada.follow("main header a.button").await;
    let preview = ada.text("main").await;
    assert!(
        preview.contains("Decide about 3 incidents together") && preview.contains("Two people are needed"),
        "{preview}"
    );

    // One asks, with the password; a wrong one changes nothing.
    let release = "input[value=release] ~ label input";
    ada.fill(&format!("{release}[name=reason]"), "a backup was published <b>").await;
    ada.fill(&format!("{release}[name=password]"), "not the password at all").await;
    ada.follow("form:has(input[value=release]) button").await;
    assert!(ada.text("main").await.contains("Not without your password"));
    assert_eq!(live(&house, 0..4), 3);
    ada.open(&format!("{}/dashboard/incidents/together?state=held&issuer=acme", house.base)).await;
    ada.fill(&format!("{release}[name=reason]"), "a backup was published <b>").await;
    ada.fill(&format!("{release}[name=password]"), PASSWORD).await;
    ada.follow("form:has(input[value=release]) button").await;
    assert!(ada.text(".told").await.contains("Proposed the release of 3 incidents"));
    assert_eq!(live(&house, 0..4), 3, "one person alone releases nothing");
    ada.open(&format!("{}/dashboard", house.base)).await;
    let told = ada.text("main").await;
    assert!(told.contains("Waiting for a second person") && told.contains("a backup was published <b>"), "{told}");
    assert!(!ada.has("form[action$='/approve']").await, "nobody approves their own");
    ada.picture(&picture("second-person-desktop")).await;

    // A viewer sees it and decides nothing; another responder approves.
    let other = driver.browser(PHONE, Script::Off).await;
    sign_in(&other, &house, "vic").await;
    assert!(other.text("main").await.contains("Waiting for a second person"));
    assert!(!other.has("form[action*='/releases/']").await, "a viewer looks");
    other.click(".phone summary").await;
    other.follow(".phone .who button").await;
    sign_in(&other, &house, "eve").await;
    other.picture(&picture("second-person-phone")).await;
    other.fill("form[action$='/approve'] input[name=password]", PASSWORD).await;
    other.follow("form[action$='/approve'] button").await;
    assert!(other.text(".told").await.contains("Released 3 incidents"), "{}", other.text("main").await);
    assert!(within(PATIENCE, async || live(&house, 0..4) == 0).await, "all are revoked");

    // A release lets the brake go, so one of the next two passes. From the other's own page: asked for, withdrawn, and dismissed.
    report(&house, 10..12).await;
    hold(&house, 1).await;
    let held = house.incident_in("held");
    ada.open(&format!("{}/dashboard/incidents/{held}", house.base)).await;
    ada.picture(&picture("incident-held-desktop")).await;
    ada.fill("form[action$='/release'] input[name=password]", PASSWORD).await;
    ada.follow("form[action$='/release'] button").await;
    assert!(ada.text(".told").await.contains("Proposed"));
    ada.open(&format!("{}/dashboard", house.base)).await;
    ada.follow("form[action$='/withdraw'] button").await;
    assert!(ada.text(".told").await.contains("withdrawn"));
    assert!(!ada.text("main").await.contains("Waiting for a second person"));
    ada.open(&format!("{}/dashboard/incidents/{held}", house.base)).await;
    ada.click("details:has(form[action$='/dismiss']) summary").await;
    ada.fill("form[action$='/dismiss'] input[name=reason]", "our own test token").await;
    ada.follow("form[action$='/dismiss'] button").await;
    assert!(ada.text(".told").await.contains("Dismissed"));
    assert_eq!(live(&house, 10..12), 1, "dismissed, so it lives");
    assert_eq!(house.blocked().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_told_on_every_page() {
    let installation = Installation::with(Kind::Sqlite, "").await;
    installation.may_leave_work("a dry run holds what lives");
    let process = installation.start_with(&["serve"], &[("STANCH_DRY_RUN", "true")]);
    let base = format!("http://{}", process.addr());
    let house = House { installation, process, base };
    let driver = Driver::start();
    let browser = driver.browser(DESKTOP, Script::On).await;
    house.set_up(&browser).await;
    report(&house, 0..2).await;
    hold(&house, 2).await;
    let held = house.incident_in("held");
    let incident = format!("/incidents/{held}");
    for path in ["", "/incidents", &incident, "/revoked", "/issuers", "/audit", "/settings"] {
        browser.open(&format!("{}/dashboard{path}", house.base)).await;
        assert!(browser.text(".banner").await.contains("Dry run: no token is revoked"), "{path}");
    }
    browser.open(&format!("{}/dashboard", house.base)).await;
    assert!(browser.text(".strip").await.contains("dry run"), "{}", browser.text(".strip").await);
    browser.picture(&picture("dry-run-desktop")).await;
    assert_eq!(live(&house, 0..2), 2);
}
