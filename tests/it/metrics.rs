//! Every metric that is declared is shown by the real program, and those of what waits are right.

use serde_json::Value;
use stanch::telemetry::metric;

use crate::process::{Installation, Kind, PATIENCE, acme_token, eventually, record, within};

on_both_databases! {
    every_declared_metric_is_shown_with_a_right_value: every_metric();
}

/// The token, narrowed offline by its bearer.
fn restricted(world: &Installation, token: &str) -> String {
    let mut command = world.command();
    command.args(["token", "restrict", "--expires-in", "15m"]).env("STANCH_TOKEN", token);
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

async fn every_metric(kind: Kind) {
    let world = Installation::with(kind, "[brake]\nper_issuer = 1\n").await;
    let here = [world.mint("one", "ada@example.org"), world.mint("two", "ada@example.org")];
    let elsewhere = acme_token(70_000);
    world.issuer.issue(&elsewhere, "t1", "grace@example.org");
    let macaroon = world.create(&["--kind", "macaroon", "--owner", "eve@example.org", "--name", "ci", "--no-mail"]);
    let narrowed = restricted(&world, &macaroon);
    let serving = world.serve();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for token in [&macaroon, &narrowed] {
        let asked = client.get(serving.url("/api/v1/tokens/self")).bearer_auth(token).send().await;
        assert_eq!(asked.expect("an answer").status(), 200);
    }
    let records: Vec<Value> = here.iter().chain([&elsewhere]).map(|token| record(token, "https://x.example")).collect();
    world.deliver(serving.addr(), &records).await.expect("an answer");
    let done = async || {
        world.db.number("SELECT count(*) FROM incidents WHERE state = 'closed'").await == 2
            && world.db.number("SELECT count(*) FROM jobs").await == 0
    };
    eventually("one of ours is revoked, the other held, the one elsewhere revoked", done).await;
    let forged = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
        .post(serving.url("/webhooks/github"))
        .header("Github-Public-Key-Identifier", "nobody")
        .header("Github-Public-Key-Signature", "AAAA")
        .body("[]");
    assert_eq!(forged.send().await.expect("an answer").status(), 401);
    // As a fault would leave it: one incident at its mail, one place that nobody purged. The next sweep is a minute away.
    let stuck = "UPDATE incidents SET state = 'stuck', stuck_step = 'notify', reason = 'the address is gone' \
                 WHERE state = 'closed' AND issuer = 'acme'";
    world.db.run(stuck).await;
    world.db.run("UPDATE occurrences SET purge_at = 1 WHERE incident_id IN (SELECT incident_id FROM holds)").await;
    let mute = "INSERT INTO reporter_hours (origin, hour, deliveries, reports, tokens, unrecognized, malformed) \
                VALUES ('mute', HOUR, 12, 12, 0, 12, 0)";
    let hour = stanch::clock::Clock::system().now().as_millis() / 3_600_000 * 3_600_000 - 7_200_000;
    world.db.run(&mute.replace("HOUR", &hour.to_string())).await;
    let expected = [
        "stanch_brake_budget_remaining{issuer=\"acme\"} 0",
        "stanch_brake_budget_remaining{issuer=\"builtin\"} 0",
        "stanch_brake_budget_remaining{issuer=\"all\"} 198",
        "stanch_brake_on{issuer=\"acme\"} 0",
        "stanch_brake_on{issuer=\"builtin\"} 1",
        "stanch_brake_trips_total{issuer=\"builtin\",cause=\"issuer\"} 1",
        "stanch_held_tokens{issuer=\"builtin\"} 1",
        "stanch_holds_overdue 0",
        "stanch_live_unrevoked_tokens{issuer=\"acme\"} 0",
        "stanch_live_unrevoked_tokens{issuer=\"builtin\"} 1",
        "stanch_purge_overdue_rows 1",
        "stanch_stuck_incidents{step=\"notify\"} 1",
        "stanch_stuck_incidents{step=\"revoke\"} 0",
        "stanch_incidents{state=\"held\"} 1",
        "stanch_issuer_paused{issuer=\"acme\"} 0",
        "stanch_dry_run 0",
        "stanch_macaroons_accepted_total{attenuated=\"false\"} 1",
        "stanch_macaroons_accepted_total{attenuated=\"true\"} 1",
        "stanch_added_caveats_total{caveat=\"expiration\"} 1",
        "stanch_slow_answer_days_month{origin=\"github\"} 0",
        "stanch_reporter_never_valid{origin=\"github\"} 0",
        "stanch_reporter_never_valid{origin=\"mute\"} 1",
    ];
    let shown = async || {
        let text = serving.get("/metrics").await.1;
        expected.iter().all(|line| text.lines().any(|shown| shown == *line))
    };
    let right = within(PATIENCE, shown).await;
    let text = serving.get("/metrics").await.1;
    assert!(right, "not all of {expected:#?} are in\n{text}");
    for (_, name, _) in metric::ALL {
        let is_shown = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']));
        assert!(text.lines().any(is_shown), "{name} is declared and not shown in\n{text}");
    }
    serving.stop().await;
}
