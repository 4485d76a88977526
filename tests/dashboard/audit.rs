//! The audit trail in a browser: found, proved, and proved to be broken when it is.

use serde_json::json;

use crate::browser::{DESKTOP, Driver, Script};
use crate::house::{House, client, picture};
use crate::process::{PATIENCE, within};

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_filtered_proved_and_exported() {
    let house = House::open().await;
    let driver = Driver::start();
    let browser = driver.browser(DESKTOP, Script::On).await;
    house.set_up(&browser).await;
    house.report_all(12).await;

    // All of it, page by page, no event twice and none left out.
    browser.open(&format!("{}/dashboard/audit", house.base)).await;
    let count = "return document.querySelectorAll('tbody tr').length";
    assert_eq!(browser.run(count).await, json!(50));
    let all = house.installation.db.number("SELECT count(*) FROM events").await;
    assert!((51..100).contains(&all), "two pages: {all}");
    browser.follow("a[rel=next]").await;
    assert!(within(PATIENCE, async || browser.run(count).await == json!(all - 50)).await, "the rest of {all}");
    assert!(browser.text(".pager").await.contains("The end of the list"));

    // By kind, by person, by incident: the filter stands in the address.
    browser.choose("select[name=kind]", "revoked").await;
    browser.follow("form[method=get] button").await;
    assert!(browser.url().await.contains("kind=revoked"));
    assert_eq!(browser.run(count).await, json!(13), "{}", browser.text("main").await);
    browser.follow("td[data-label=Incident] a").await;
    assert!(browser.text("main").await.contains("Revoked, and read back"));
    browser.open(&format!("{}/dashboard/audit", house.base)).await;
    browser.fill("input[name=actor]", "ada").await;
    browser.follow("form[method=get] button").await;
    let mine = browser.text("main table").await;
    assert!(mine.contains("operator ada") && !mine.contains("worker"), "{mine}");
    browser.follow("main header a.button").await;
    assert!(browser.url().await.ends_with("?actor=people"));
    browser.open(&format!("{}/dashboard/audit?from=2001-01-01&to=2001-01-31", house.base)).await;
    assert!(browser.text("main").await.contains("Nothing matches these filters"));
    browser.open(&format!("{}/dashboard/audit?from=yesterday", house.base)).await;
    assert!(browser.text("main").await.contains("write a day as"));

    // Verified: it holds, and leads through a head that was kept.
    let sealed = "SELECT (SELECT count(*) FROM audit_blocks)";
    assert!(within(PATIENCE, async || house.installation.db.number(sealed).await > 0).await, "a block is sealed");
    browser.open(&format!("{}/dashboard/audit", house.base)).await;
    browser.click("main .split summary").await;
    browser.follow("form[action$='/verify'] button").await;
    assert!(browser.text("main").await.contains("The chain holds"), "{}", browser.text("main").await);
    let head = browser.text("#head").await;
    browser.picture(&picture("audit-verified-desktop")).await;
    browser.open(&format!("{}/dashboard/audit", house.base)).await;
    browser.click("main .split summary").await;
    browser.fill("input[name=through]", &head).await;
    browser.follow("form[action$='/verify'] button").await;
    assert!(browser.text("main").await.contains("leads through the head that you kept"));

    // Exported with the filter, after the password, as the command does it; and the export is in the trail.
    let (cookie, csrf) = house.sign_in("ada").await;
    let form = [("csrf", csrf.as_str()), ("kind", "revoked")];
    let request = client().post(format!("{}/dashboard/audit/export", house.base)).form(&form);
    let answer = request.header("cookie", &cookie).header("sec-fetch-site", "same-origin").send().await;
    let text = answer.expect("an answer").text().await.expect("text");
    let by_command = house.installation.stanch(&["audit", "export", "--kind", "revoked"]);
    assert_eq!(text, String::from_utf8(by_command.stdout).expect("text"), "the same as the command's");
    assert_eq!(text.lines().count(), 13);
    let exported = "SELECT count(*) FROM events WHERE kind = 'exported' AND actor = 'operator:ada'";
    assert_eq!(house.installation.db.number(exported).await, 1);

    // Somebody with the database's password changes who did what: the page names the event.
    for statement in house.installation.db.triggers() {
        house.installation.db.run(statement).await;
    }
    house.installation.db.run("UPDATE events SET actor = 'operator:eve' WHERE position = 5").await;
    house.installation.db.run("DELETE FROM events WHERE position = 9").await;
    browser.open(&format!("{}/dashboard/audit", house.base)).await;
    browser.click("main .split summary").await;
    browser.follow("form[action$='/verify'] button").await;
    let told = browser.text("main").await;
    assert!(told.contains("The chain is broken") && told.contains("Event 9 is missing"), "{told}");
    assert!(told.contains("Event 5 is not what was written"), "{told}");
    browser.picture(&picture("audit-broken-desktop")).await;
    assert_eq!(house.blocked().await, 0);
    browser.quit().await;
}
