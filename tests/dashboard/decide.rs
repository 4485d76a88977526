//! What a person can have done about one incident beyond letting it go on: mail its owner again, ask its issuer again,
//! kill the leaked copy alone. And the fire drill, watched.

use std::process::Stdio;

use crate::browser::{DESKTOP, Driver, PHONE, Script};
use crate::house::{House, PASSWORD, picture};
use crate::process::{PATIENCE, acme_token, record, within};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_told_again_an_issuer_asked_again_and_a_copy_dies_alone() {
    let house = House::open().await;
    let driver = Driver::start();
    let browser = driver.browser(DESKTOP, Script::On).await;
    house.set_up(&browser).await;
    house.report_all(1).await;
    let mails = || house.installation.mails().get("owner@example.org").map_or(0, std::collections::BTreeMap::len);
    assert_eq!(mails(), 1);

    // The mail is looked at, and sent again from there.
    let closed = house.incident_of("token-0");
    browser.open(&format!("{}/dashboard/incidents/{closed}", house.base)).await;
    browser.follow("a[href$='/mail']").await;
    assert!(browser.text("main pre").await.contains("already revoked"), "{}", browser.text("main pre").await);
    browser.fill("form[action$='/resend'] input[name=reason]", "lost at the owner's side").await;
    browser.follow("form[action$='/resend'] button").await;
    assert!(browser.text(".told").await.contains("on its way again"), "{}", browser.text("main").await);
    assert!(within(PATIENCE, async || mails() == 2).await, "a second mail, under an id of its own");
    let told = async || browser.text("[data-live=timeline]").await.contains("Owner to be told again");
    assert!(within(PATIENCE, told).await, "{}", browser.text("main").await);

    // A paused issuer leaves the incident open; the copy that leaked dies, the token it was made of lives.
    let macaroon = house.installation.create(&[
        "--owner",
        "owner@example.org",
        "--owner-name",
        "Ada",
        "--name",
        "uploads",
        "--no-mail",
        "--kind",
        "macaroon",
    ]);
    let narrowed = house
        .installation
        .command()
        .args(["token", "restrict", "--audience", "upload"])
        .env("STANCH_TOKEN", &macaroon)
        .stderr(Stdio::null())
        .output();
    let narrowed = String::from_utf8(narrowed.expect("it runs").stdout).expect("text").trim().to_owned();
    assert!(!narrowed.is_empty() && narrowed != macaroon, "a copy was made");
    assert!(house.installation.stanch(&["issuer", "pause", "builtin", "--reason", "a test"]).status.success());
    let to = house.process.addr.expect("it listens");
    let answer = house.installation.deliver(to, &[record(&narrowed, "https://github.com/ada/engine")]).await;
    assert!(answer.expect("an answer").status.is_success());
    let open = "SELECT count(*) FROM incidents WHERE issuer = 'builtin'";
    assert!(within(PATIENCE, async || house.installation.db.number(open).await == 1).await);
    let incident = house.newest_incident();
    browser.open(&format!("{}/dashboard/incidents/{incident}", house.base)).await;
    browser.picture(&picture("incident-copy-desktop")).await;
    browser.click("details:has(form[action$='/branch']) summary").await;
    browser.fill("form[action$='/branch'] input[name=reason]", "only the upload copy leaked").await;
    browser.follow("form[action$='/branch'] button").await;
    assert!(browser.text(".told").await.contains("The leaked copy is dead"), "{}", browser.text("main").await);
    assert!(house.installation.stanch(&["issuer", "resume", "builtin", "--reason", "a test"]).status.success());
    let over = "SELECT count(*) FROM incidents WHERE issuer = 'builtin' AND state = 'closed'";
    assert!(within(PATIENCE, async || house.installation.db.number(over).await == 1).await, "confirmed and told");
    let check = |token: &str| {
        let mut command = house.installation.command();
        command.args(["token", "check", "--audience", "upload"]).env("STANCH_TOKEN", token);
        command.output().expect("it runs").status.success()
    };
    assert!(!check(&narrowed) && check(&macaroon), "the copy alone");
    assert_eq!(house.blocked().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_asked_about_again() {
    let house = House::with("[brake]\nper_issuer = 1\n").await;
    let driver = Driver::start();
    let browser = driver.browser(DESKTOP, Script::On).await;
    house.set_up(&browser).await;
    let mut records = Vec::new();
    for seed in 0..3 {
        house.installation.issuer.issue(&acme_token(seed), &format!("token-{seed}"), "owner@example.org");
        records.push(record(&acme_token(seed), "https://github.com/ada/engine"));
    }
    let to = house.process.addr.expect("it listens");
    assert!(house.installation.deliver(to, &records).await.expect("an answer").status.is_success());
    let held = "SELECT count(*) FROM incidents WHERE state = 'held'";
    assert!(within(PATIENCE, async || house.installation.db.number(held).await == 2).await, "two are held");

    // One by one: it lives, so it stays held.
    let incident = house.incident_in("held");
    browser.open(&format!("{}/dashboard/incidents/{incident}", house.base)).await;
    browser.follow("form[action$='/recheck'] button").await;
    assert!(browser.text(".told").await.contains("The issuer is asked again about 1 incident"));
    let stays = async || browser.text("[data-live=state]").await.contains("held");
    assert!(within(PATIENCE, stays).await, "{}", browser.text("main").await);
    let asked = "SELECT count(*) FROM events WHERE kind = 'rechecked'";
    assert_eq!(house.installation.db.number(asked).await, 1);

    // Together: their owners revoked them meanwhile, so nothing is left to hold.
    for seed in 0..3 {
        house.installation.issuer.kill(&acme_token(seed));
    }
    assert!(within(PATIENCE, async || house.installation.db.number(held).await == 2).await, "asked, and held again");
    browser.open(&format!("{}/dashboard/incidents/together?state=held", house.base)).await;
    let offered = browser.text("main").await;
    assert!(offered.contains("Ask about 2 incidents"), "{offered}");
    browser.follow("form:has(input[value=recheck]) button").await;
    assert!(browser.text(".told").await.contains("about 2 incidents"), "{}", browser.text("main").await);
    let over = "SELECT count(*) FROM incidents WHERE state = 'closed'";
    assert!(within(PATIENCE, async || house.installation.db.number(over).await == 3).await, "nothing is left to hold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fire_drill_is_begun_and_watched_with_and_without_a_script() {
    let house = House::with("[dashboard]\nconfirmed = \"0s\"\n").await;
    let driver = Driver::start();
    let browser = driver.browser(DESKTOP, Script::On).await;
    house.set_up(&browser).await;
    browser.open(&format!("{}/dashboard/drill", house.base)).await;
    assert!(browser.text("main").await.contains("None was made yet"));
    browser.picture(&picture("drill-empty-desktop")).await;
    browser.fill("main input[name=password]", PASSWORD).await;
    browser.follow("main form button").await;
    browser.run("window.kept = true").await;
    let passed = async || {
        let told = browser.text("[data-live=drill]").await;
        told.contains("passed") || told.contains("slow")
    };
    assert!(within(PATIENCE, passed).await, "live, to its end: {}", browser.text("main").await);
    assert_eq!(browser.run("return window.kept").await, serde_json::json!(true), "the page was not loaded again");
    let told = browser.text("main").await;
    for stage in
        ["A token was made and is accepted", "It is refused at its next use", "What was sealed of it is erased"]
    {
        assert!(told.contains(stage), "{told}");
    }
    browser.picture(&picture("drill-run-desktop")).await;

    let phone = driver.browser(PHONE, Script::Off).await;
    phone.open(&format!("{}/dashboard/sign-in?next=/dashboard/drill", house.base)).await;
    phone.fill("input[name=name]", "ada").await;
    phone.fill("input[name=password]", PASSWORD).await;
    phone.follow("form button").await;
    phone.fill("main input[name=password]", PASSWORD).await;
    phone.follow("main form button").await;
    let passed = async || {
        let source = phone.source().await;
        source.contains(">passed<") || source.contains(">slow<")
    };
    assert!(within(PATIENCE, passed).await, "the page loads itself again until it is over");
    phone.picture(&picture("drill-run-phone")).await;
    phone.open(&format!("{}/dashboard/drill", house.base)).await;
    assert_eq!(phone.text("tbody").await.matches("operator ada").count(), 2, "{}", phone.text("main").await);
    phone.picture(&picture("drills-phone")).await;
    assert_eq!(house.blocked().await, 0);
}
