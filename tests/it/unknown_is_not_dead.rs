//! Promise 3, "unknown is not dead": whatever the issuer does instead of answering, the incident stays open, nothing is
//! called revoked, and everything ends well once the issuer answers.

use std::time::Duration;

use axum::http::StatusCode;

use crate::issuer::Mood;
use crate::process::{Installation, Kind, PATIENCE, Process, acme_token, eventually, record, within};

const ADA: &str = "ada@example.org";
const GRACE: &str = "grace@example.org";

on_both_databases! {
    nothing_ends_while_the_issuer_is_silent:
        nothing_ends_while_the_issuer(Mood::StaysSilent, "did not answer in time");
    nothing_ends_while_the_issuer_answers_byte_by_byte:
        nothing_ends_while_the_issuer(Mood::Drips, "did not answer in time");
    nothing_ends_while_the_issuer_never_stops_answering:
        nothing_ends_while_the_issuer(Mood::Floods, "longer than any answer");
    nothing_ends_while_the_issuer_fails:
        nothing_ends_while_the_issuer(Mood::Fails(StatusCode::INTERNAL_SERVER_ERROR), "failed (500)");
    nothing_ends_while_the_issuer_shows_a_page:
        nothing_ends_while_the_issuer(Mood::ShowsAPage(StatusCode::OK), "");
    nothing_ends_while_a_gateway_says_that_there_is_nothing:
        nothing_ends_while_the_issuer(Mood::ShowsAPage(StatusCode::NOT_FOUND), "");
    nothing_ends_while_the_issuer_sends_us_elsewhere:
        nothing_ends_while_the_issuer(Mood::Redirects("/elsewhere".into()), "redirects (307)");
    nothing_ends_while_nobody_listens: nothing_ends_while_nobody_listens();
    an_issuer_that_asks_for_a_pause_gets_it_and_the_others_go_on:
        an_issuer_that_asks_for_a_pause_gets_it_and_the_others_go_on();
    jobs_wait_for_a_credential_that_the_issuer_refuses: jobs_wait_for_a_credential_that_the_issuer_refuses();
    an_issuer_that_lies_about_revoking_is_shown_to_a_person:
        an_issuer_that_lies_about_revoking_is_shown_to_a_person(["retry", "retry"]);
    what_a_person_has_asked_about_again_is_still_known_to_be_revoked:
        an_issuer_that_lies_about_revoking_is_shown_to_a_person(["recheck", "recheck"]);
    a_revocation_that_was_not_confirmed_is_still_told_to_its_owner:
        a_revocation_that_was_not_confirmed_is_still_told_to_its_owner();
    a_revocation_whose_read_back_must_wait_is_still_told_to_its_owner:
        a_revocation_whose_read_back_must_wait_is_still_told_to_its_owner();
}

/// An installation whose issuer elsewhere has issued `count` tokens to Grace, and the records that leak them.
async fn given(kind: Kind, count: u32) -> (Installation, Vec<serde_json::Value>) {
    let world = Installation::new(kind).await;
    world.configure("allow_private = true", "allow_private = true\ntimeout = \"1s\"");
    let records = (1..=count).map(|number| {
        world.issuer.issue(&acme_token(number), &format!("t{number}"), GRACE);
        record(&acme_token(number), "https://github.com/example/a/blob/1/.env")
    });
    let records = records.collect();
    (world, records)
}

/// First the question whether the token lives is not answered, then the revocation.
async fn nothing_ends_while_the_issuer(kind: Kind, mood: Mood, why: &str) {
    let (world, mut records) = given(kind, 1).await;
    records.push(record(&world.mint("ci", ADA), ""));
    world.issuer.behave(mood.clone());
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    asked_in_vain(&world, &process, "verify", why).await;
    eventually("the other issuer's token is dealt with", async || {
        world.db.number("SELECT count(*) FROM incidents WHERE issuer = 'builtin' AND state = 'closed'").await == 1
    })
    .await;
    assert_nothing_ended(&world, "open").await;

    world.issuer.behave_when_revoking(Some(mood));
    world.issuer.behave(Mood::Answers);
    asked_in_vain(&world, &process, "revoke", why).await;
    assert_nothing_ended(&world, "live").await;

    world.issuer.behave_when_revoking(None);
    world.settle(&process, 2).await;
    assert_all_well(&world, &["t1"], &[ADA, GRACE]).await;
    process.stop().await;
}

async fn nothing_ends_while_nobody_listens(kind: Kind) {
    let (mut world, records) = given(kind, 1).await;
    world.issuer.go_away();
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    asked_in_vain(&world, &process, "verify", "cannot be reached").await;
    assert_nothing_ended(&world, "open").await;
    world.issuer.come_back();
    world.settle(&process, 1).await;
    assert_all_well(&world, &["t1"], &[GRACE]).await;
    process.stop().await;
}

async fn an_issuer_that_asks_for_a_pause_gets_it_and_the_others_go_on(kind: Kind) {
    let (world, mut records) = given(kind, 1).await;
    records.push(record(&world.mint("ci", ADA), ""));
    world.issuer.behave(Mood::AsksToWait("4".into()));
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    asked_in_vain(&world, &process, "verify", "slow down (429)").await;
    assert_eq!(
        world.db.number("SELECT count(*) FROM jobs WHERE tries > 0").await,
        0,
        "being asked to wait is no failed try"
    );
    assert_nothing_ended(&world, "open").await;
    world.issuer.behave(Mood::Answers);
    world.settle(&process, 2).await;

    let calls = world.issuer.calls();
    let pause = calls[1].duration_since(calls[0]);
    assert!(pause >= Duration::from_secs(4), "asked for 4 s, and called after {pause:?}");
    let told = "SELECT max(revoked_at - received_at) FROM incidents WHERE issuer =";
    let here = world.db.number(&format!("{told} 'builtin'")).await;
    let elsewhere = world.db.number(&format!("{told} 'acme'")).await;
    assert!(here < 2_000 && elsewhere >= 4_000, "revoked here after {here} ms, elsewhere after {elsewhere} ms");
    assert_all_well(&world, &["t1"], &[ADA, GRACE]).await;
    process.stop().await;
}

async fn jobs_wait_for_a_credential_that_the_issuer_refuses(kind: Kind) {
    let (world, records) = given(kind, 8).await;
    // One call at a time: the others of the claim meet an issuer that is known to refuse us.
    world.configure("[issuer.acme]\n", "[issuer.acme]\nconcurrency = 1\n");
    world.issuer.forget_us();
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    eventually("an error that names the trouble", async || {
        process.said("ERROR", "issuer acme must be put right by a person")
            && process.said("ERROR", "the issuer refuses our credential (401)")
    })
    .await;
    eventually("every job is kept", async || {
        world.db.number("SELECT count(*) FROM jobs WHERE last_error IS NOT NULL AND lease_token IS NULL").await >= 1
    })
    .await;
    let kept = world.db.numbers(&["SELECT count(*) FROM jobs", "SELECT count(*) FROM jobs WHERE tries > 0"]).await;
    assert_eq!(kept, [8, 0], "being refused is no failed try");
    assert_nothing_ended(&world, "open").await;
    assert!(world.issuer.calls().len() < 8, "an issuer that refuses us is left alone");
    process.stop().await;

    // A new credential is read at the start.
    world.issuer.know_us();
    let next = world.serve();
    world.settle(&next, 8).await;
    assert_all_well(&world, &["t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"], &[GRACE]).await;
    next.stop().await;
}

async fn an_issuer_that_lies_about_revoking_is_shown_to_a_person(kind: Kind, changes: [&str; 2]) {
    let (world, records) = given(kind, 2).await;
    world.configure("backoff_cap = \"2s\"", "backoff_cap = \"1s\"");
    world.issuer.behave(Mood::LiesAboutRevoking);
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    asked_in_vain(&world, &process, "revoke", "accepted the revocation but the token still lives").await;
    assert_nothing_ended(&world, "live").await;
    eventually("a person is asked to look", async || world.incidents_in("stuck").len() == 2).await;
    let stuck = world.incidents_in("stuck");
    for incident in &stuck {
        assert_eq!(incident["note"], "revoke: accepted the revocation but the token still lives");
        assert!(incident["revoked_at"].is_null());
    }
    assert_eq!(world.issuer.revocations_of("t1"), 10, "as often as it is believed to be a mistake");
    assert!(world.mails().is_empty(), "nobody is told what is not so");

    // The issuer is mended, and what it had accepted for one of the two has come true by itself.
    world.issuer.behave(Mood::Answers);
    world.issuer.kill(&acme_token(2));
    for (incident, change) in stuck.iter().zip(changes) {
        let id = incident["id"].as_str().expect("an id");
        assert!(world.stanch(&["incident", change, id]).status.success());
    }
    world.settle(&process, 2).await;
    assert!(!world.issuer.is_live(&acme_token(1)));
    let notes: Vec<_> = world.incidents().iter().map(|incident| incident["note"].clone()).collect();
    assert_eq!(notes, ["revoked", "revoked"], "found dead after we had it killed is killed by us");
    assert_eq!(world.mails().keys().collect::<Vec<_>>(), [GRACE]);
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
    process.stop().await;
}

async fn a_revocation_that_was_not_confirmed_is_still_told_to_its_owner(kind: Kind) {
    let (world, records) = given(kind, 1).await;
    world.issuer.behave(Mood::FailsAfterRevoking);
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    asked_in_vain(&world, &process, "revoke", "failed (500)").await;
    assert!(!world.issuer.is_live(&acme_token(1)), "it is dead, and nobody said so");
    assert_eq!(world.db.number("SELECT count(*) FROM incidents WHERE state = 'live'").await, 1);
    assert!(world.mails().is_empty());
    world.issuer.behave(Mood::Answers);
    world.settle(&process, 1).await;
    assert_eq!(world.incidents()[0]["note"], "revoked", "our call killed it, though a later one confirmed it");
    assert_one_mail_each(&world, &[GRACE]);
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
    process.stop().await;
}

/// The issuer kills the token and says so, and then it asks for a pause instead of an answer to the question whether it
/// is dead. To the next revocation it says that there is nothing to kill.
async fn a_revocation_whose_read_back_must_wait_is_still_told_to_its_owner(kind: Kind) {
    let (world, records) = given(kind, 1).await;
    world.issuer.behave(Mood::AsksToWaitOnceDead("1".into()));
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    asked_in_vain(&world, &process, "revoke", "slow down (429)").await;
    assert!(!world.issuer.is_live(&acme_token(1)), "it is dead, and that is not confirmed");
    assert!(world.mails().is_empty());
    world.issuer.behave(Mood::Answers);
    world.settle(&process, 1).await;
    assert_eq!(world.incidents()[0]["note"], "revoked", "our call killed it");
    assert_one_mail_each(&world, &[GRACE]);
    process.stop().await;
}

/// Waits until this step was tried and put off for this reason.
async fn asked_in_vain(world: &Installation, process: &Process, step: &str, why: &str) {
    let tried = format!("SELECT count(*) FROM jobs WHERE step = '{step}' AND last_error LIKE '%{why}%'");
    let tried = within(PATIENCE, async || world.db.number(&tried).await > 0).await;
    assert!(tried, "step {step} is put off for `{why}`:\n{}", process.log().join("\n"));
}

/// The incidents of the issuer elsewhere are all in this state, and nothing is said to their owner.
async fn assert_nothing_ended(world: &Installation, state: &str) {
    let others = format!("SELECT count(*) FROM incidents WHERE issuer = 'acme' AND state <> '{state}'");
    let revoked = "SELECT count(*) FROM incidents WHERE issuer = 'acme' AND revoked_at IS NOT NULL";
    assert_eq!(world.db.numbers(&[&others, revoked]).await, [0, 0], "{:#?}", world.incidents());
    assert!(world.issuer.is_live(&acme_token(1)));
    assert!(!world.mails().contains_key(GRACE));
}

/// Everything is revoked once and told once, and nothing is left.
async fn assert_all_well(world: &Installation, ids: &[&str], owners: &[&str]) {
    for (id, number) in ids.iter().zip(1..) {
        assert_eq!(world.issuer.revocations_of(id), 1, "revocations of {id}");
        assert!(!world.issuer.is_live(&acme_token(number)));
    }
    let notes: Vec<_> = world.incidents().iter().map(|incident| incident["note"].clone()).collect();
    assert!(notes.iter().all(|note| note == "revoked"), "{notes:?}");
    assert_one_mail_each(world, owners);
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
}

fn assert_one_mail_each(world: &Installation, owners: &[&str]) {
    let mails = world.mails();
    assert_eq!(mails.keys().collect::<Vec<_>>(), owners);
    assert!(mails.values().all(|by_id| by_id.values().sum::<usize>() == 1), "{mails:?}");
}
