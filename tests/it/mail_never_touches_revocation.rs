//! Promise 5, "revoke first, then talk": whatever the mail server does, tokens are revoked in time, and every owner gets
//! one mail in the end, or a person is shown why not.

use std::net::SocketAddr;

use crate::issuer::reserve;
use crate::process::{Installation, Kind, PATIENCE, Process, acme_token, eventually, record, within};

const ADA: &str = "ada@example.org";
const GRACE: &str = "grace@example.org";

/// What becomes of a mail that the server did not confirm.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    One,
    /// The server kept it and did not say so: it is sent again under the same Message-ID.
    Repeated,
}

on_both_databases! {
    mail_waits_for_a_server_that_is_too_busy: mail_waits_while_the_server("greeting 421 4.3.2 later", Copies::One);
    mail_waits_for_a_server_that_is_silent: mail_waits_while_the_server("mail silent", Copies::One);
    mail_waits_for_a_server_that_delays_the_recipient:
        mail_waits_while_the_server("rcpt 450 4.2.0 greylisted", Copies::One);
    mail_waits_for_a_server_that_is_full: mail_waits_while_the_server("message 452 4.3.1 full", Copies::One);
    mail_waits_for_a_server_that_hangs_up: mail_waits_while_the_server("data hangup", Copies::One);
    mail_that_was_taken_without_a_word_is_repeated_under_its_id:
        mail_waits_while_the_server("message drop", Copies::Repeated);
    mail_waits_for_a_server_that_is_down: mail_waits_while_nobody_listens();
    an_address_that_is_refused_is_shown_to_a_person_and_tried_again_by_one: a_refused_address_waits_for_a_person();
    each_owner_of_a_token_is_told_and_none_for_another_twice: each_owner_is_told();
    a_token_whose_owner_has_no_address_is_revoked_and_shown_to_a_person: an_owner_without_address_waits_for_a_person();
}

/// Two tokens of Ada, issued here, and one of Grace, issued elsewhere, leak in one delivery.
async fn leaked(kind: Kind) -> (Installation, Vec<serde_json::Value>) {
    let world = Installation::new(kind).await;
    world.configure("encryption = \"none\"", "encryption = \"none\"\ntimeout = \"1s\"");
    world.issuer.issue(&acme_token(1), "t1", GRACE);
    let records = vec![
        record(&world.mint("ci-upload", ADA), "https://github.com/example/a/blob/1/.env"),
        record(&world.mint("deploy", ADA), ""),
        record(&acme_token(1), "https://github.com/example/b/issues/2"),
    ];
    (world, records)
}

async fn mail_waits_while_the_server(kind: Kind, fault: &str, copies: Copies) {
    let (world, records) = leaked(kind).await;
    world.smtp.misbehave(fault);
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    revoked_in_time_and_untold(&world, &process, 3).await;
    assert_eq!(world.smtp.mails().is_empty(), copies == Copies::One);
    world.smtp.behave();
    all_told_once(&world, &process, copies).await;
    process.stop().await;
}

async fn mail_waits_while_nobody_listens(kind: Kind) {
    let (mut world, records) = leaked(kind).await;
    world.smtp.go_away();
    let address = reserve(SocketAddr::from(([127, 0, 0, 1], world.smtp.port())));
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    revoked_in_time_and_untold(&world, &process, 3).await;
    world.smtp.come_back(&["--security", "none"]);
    drop(address);
    all_told_once(&world, &process, Copies::One).await;
    process.stop().await;
}

async fn a_refused_address_waits_for_a_person(kind: Kind) {
    let world = Installation::new(kind).await;
    let token = world.mint("ci-upload", ADA);
    world.smtp.misbehave("rcpt 550 5.1.1 no such mailbox");
    let process = world.serve();
    assert_eq!(world.deliver(process.addr(), &[record(&token, "")]).await.expect("an answer").status, 200);
    eventually("a person is asked to look", async || !world.incidents_in("stuck").is_empty()).await;
    let stuck = world.incidents_in("stuck").remove(0);
    let note = stuck["note"].as_str().expect("a reason");
    assert!(note.starts_with("notify: ") && note.contains("550 (5.1.1)"), "{note}");
    assert!(!stuck["revoked_at"].is_null(), "revoked all the same");
    assert!(world.mails().is_empty());

    world.smtp.behave();
    assert!(world.stanch(&["incident", "retry", stuck["id"].as_str().expect("an id")]).status.success());
    world.settle(&process, 1).await;
    let mails = world.mails();
    assert_eq!(mails.keys().collect::<Vec<_>>(), [ADA]);
    assert_eq!(mails[ADA].values().sum::<usize>(), 1);
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
    process.stop().await;
}

/// A token of an organization: one owner's mail is delayed, one's refused, and that is nothing to the third.
async fn each_owner_is_told(kind: Kind) {
    let world = Installation::new(kind).await;
    world.issuer.issue(&acme_token(1), "t1", &[ADA, "gone@example.org", GRACE].join(","));
    world
        .smtp
        .misbehave("rcpt<ada@example.org> 450 4.2.0 greylisted\nrcpt<gone@example.org> 550 5.1.1 no such mailbox");
    let process = world.serve();
    let records = [record(&acme_token(1), "")];
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    eventually("the third owner has a mail", async || !world.mails().is_empty()).await;
    eventually("the first owner's is tried again", async || {
        world.db.number("SELECT count(*) FROM jobs WHERE step = 'notify' AND tries > 1").await == 1
    })
    .await;
    assert_eq!(world.mails().keys().collect::<Vec<_>>(), [GRACE]);

    world.smtp.behave();
    world.settle(&process, 1).await;
    let mails = world.mails();
    assert_eq!(mails.keys().collect::<Vec<_>>(), [ADA, GRACE]);
    let copies: Vec<usize> = mails.values().flat_map(|by_id| by_id.values().copied()).collect();
    assert_eq!(copies, [1, 1], "one mail each, under an id of its own");
    assert!(mails[ADA].keys().ne(mails[GRACE].keys()));
    for mail in world.smtp.mails() {
        let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("one of the 3 owners"), "each knows that the others were told: {text}");
    }
    let id = world.incidents()[0]["id"].as_str().expect("an id").to_owned();
    let shown = world.stanch(&["incident", "show", &id, "--json"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(r#""untold":1"#) || shown.contains(r#""untold": 1"#), "{shown}");
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
    process.stop().await;
}

async fn an_owner_without_address_waits_for_a_person(kind: Kind) {
    let world = Installation::new(kind).await;
    world.issuer.issue(&acme_token(1), "t1", "");
    let process = world.serve();
    let records = [record(&acme_token(1), "")];
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    eventually("a person is asked to look", async || !world.incidents_in("stuck").is_empty()).await;
    let stuck = world.incidents_in("stuck").remove(0);
    assert_eq!(stuck["note"], "notify: the issuer named no e-mail address for the owner");
    assert!(!stuck["revoked_at"].is_null() && !world.issuer.is_live(&acme_token(1)));
    assert_eq!(world.issuer.revocations_of("t1"), 1);
    assert!(world.mails().is_empty());
    process.stop().await;
}

/// All tokens are revoked at once; their mails are tried, one for each owner, and not taken.
async fn revoked_in_time_and_untold(world: &Installation, process: &Process, count: i64) {
    let waiting = "SELECT count(*) FROM jobs WHERE step = 'notify' AND tries > 0";
    let states = "SELECT count(*) FROM incidents WHERE state = 'revoked'";
    let tried = within(PATIENCE, async || world.db.numbers(&[waiting, states]).await == [2, count]).await;
    assert!(tried, "two mails are tried again:\n{:#?}\n{}", world.incidents(), process.log().join("\n"));
    let slowest = world.db.number("SELECT max(revoked_at - received_at) FROM incidents").await;
    assert!(slowest < 5_000, "revoked after {slowest} ms");
    assert_eq!(world.db.number("SELECT count(*) FROM notices WHERE state = 'pending'").await, 2);
}

async fn all_told_once(world: &Installation, process: &Process, copies: Copies) {
    world.settle(process, 3).await;
    let mails = world.mails();
    assert_eq!(mails.keys().collect::<Vec<_>>(), [ADA, GRACE]);
    for (owner, by_id) in &mails {
        assert_eq!(by_id.len(), 1, "{owner} got one mail");
        let sent: usize = by_id.values().sum();
        assert_eq!(sent == 1, copies == Copies::One, "{owner}: {sent} copies");
    }
    let to_ada = world.smtp.mails().into_iter().find(|mail| mail.to == [ADA]).expect("she has one");
    assert!(to_ada.text.contains("ci-upload") && to_ada.text.contains("deploy"), "{}", to_ada.text);
    assert_eq!(world.issuer.revocations_of("t1"), 1);
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
}
