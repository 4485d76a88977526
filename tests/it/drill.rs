//! Fire drills against the real program: what passes, what fails and says why, and that nothing of a drill is left over
//! or counted.

use serde_json::Value;

use crate::process::{Installation, Kind};

on_both_databases! {
    a_drill_goes_the_whole_way_and_counts_nowhere: whole();
}

fn stage<'d>(drill: &'d Value, name: &str) -> &'d Value {
    let stages = drill["stages"].as_array().expect("a list");
    stages.iter().find(|stage| stage["stage"] == name).unwrap_or_else(|| panic!("no stage {name} in {drill:#}"))
}

fn drill(world: &Installation, more: &[&str]) -> (bool, Value) {
    let done = world.stanch(&[&["drill", "--json"], more].concat());
    let told = serde_json::from_slice(&done.stdout);
    let told = told.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr)));
    (done.status.success(), told)
}

async fn whole(kind: Kind) {
    // A budget of nothing but what one token needs: a drill must not spend it.
    let world = Installation::with(kind, "[brake]\nper_issuer = 1\nall = 1\nhigh_impact = 1\npeak_factor = 0\n").await;
    let serving = world.serve();
    let to = format!("http://{}", serving.addr());
    for _ in 0..2 {
        let (passed, told) = drill(&world, &["--to", &to]);
        assert!(passed, "{told:#}");
        for name in ["mint", "report", "verify", "revoke", "refuse", "notify", "close"] {
            assert!(["passed", "slow"].contains(&stage(&told, name)["result"].as_str().expect("a word")), "{told:#}");
            assert!(stage(&told, name)["took_ms"].as_i64().is_some_and(|took| took >= 0), "{told:#}");
        }
    }
    let incidents = world.incidents();
    assert!(incidents.iter().all(|it| it["origin"] == "drill" && it["state"] == "closed"), "{incidents:#?}");
    // Whoever is mailed reads in the subject that it was a drill.
    let mails = world.smtp.mails();
    assert_eq!(mails.len(), 2);
    assert!(mails[0].subject.contains("fire drill drl_"), "{}", mails[0].subject);
    assert_eq!(world.db.number("SELECT count(*) FROM brake_spent").await, 0, "no budget is spent");

    let metrics = serving.get("/metrics").await.1;
    assert!(!metrics.contains("stanch_time_to_revoke_seconds_count{issuer=\"builtin\"}"), "no figure of anybody");
    // The budget is still there for the token that really leaks.
    let token = world.mint("ci", "ada@example.org");
    let record = crate::process::record(&token, "https://example.org/1");
    assert!(world.deliver(serving.addr(), &[record]).await.expect("an answer").status.is_success());
    world.settle(&serving, 3).await;
    assert!(world.incident_of("ci")["revoked_at"].is_string());

    // Now it is spent and the brake goes on, which is told, and nothing of the drill waits for a person.
    let held = world.mint("second", "ada@example.org");
    let record = crate::process::record(&held, "https://example.org/2");
    assert!(world.deliver(serving.addr(), &[record]).await.expect("an answer").status.is_success());
    let (passed, told) = drill(&world, &["--to", &to]);
    assert!(!passed && told["verdict"] == "failed", "{told:#}");
    assert_eq!(stage(&told, "revoke")["result"], "failed");
    assert!(stage(&told, "revoke")["note"].as_str().expect("text").contains("the brake holds it"), "{told:#}");
    assert_eq!(stage(&told, "notify")["result"], "skipped");
    world.settle_but(&serving, "held", 1).await;

    let drills = "SELECT count(*) FROM events WHERE kind = 'drilled'";
    assert_eq!(world.db.number(drills).await, 3);
    assert_eq!(world.db.number("SELECT count(*) FROM tokens WHERE revoked_at IS NULL").await, 1, "the held one");
    let verified = world.stanch(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_says_what_is_wrong() {
    let world = Installation::new(Kind::Sqlite).await;
    let (passed, told) = drill(&world, &["--to", "http://127.0.0.1:9"]);
    assert!(!passed);
    assert!(
        stage(&told, "mint")["note"].as_str().expect("text").contains("does `stanch serve` run there?"),
        "{told:#}"
    );
    assert_eq!(stage(&told, "report")["result"], "skipped");
    assert_eq!(world.db.number("SELECT count(*) FROM tokens WHERE revoked_at IS NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_tokens_are_issued_elsewhere_a_drill_proves_the_door_and_the_mail() {
    let world = Installation::with(Kind::Sqlite, "[issuer.builtin]\nenabled = false\n").await;
    let serving = world.serve();
    let (passed, told) = drill(&world, &["--to", &serving.url(""), "--mail-to", "oncall@example.org"]);
    assert!(passed, "{told:#}");
    assert_eq!((&told["reach"], told["stages"].as_array().map(Vec::len)), (&"intake_and_mail".into(), Some(2)));
    assert_eq!(world.mails().into_keys().collect::<Vec<_>>(), ["oncall@example.org"]);
    assert!(world.incidents().is_empty(), "nothing leaked");
    serving.stop().await;
}
