//! Promise 2, "at least once, effectively once", among several processes: who loses its lease changes nothing, and what
//! it left is done by another.

use std::time::Instant;

use crate::issuer::{Asked, Mood};
use crate::process::{Installation, Kind, Process, acme_token, eventually, record};

on_both_databases! {
    the_job_of_a_killed_worker_runs_again_within_fifteen_seconds: a_killed_workers_job_runs_again();
}

/// With the lease and the poll interval that hold when nothing is said.
async fn a_killed_workers_job_runs_again(kind: Kind) {
    let world = Installation::new(kind).await;
    world.configure("lease = \"3s\"\npoll_every = \"100ms\"\n", "");
    world.issuer.issue(&acme_token(1), "t1", "grace@example.org");
    let doomed = world.serve_until("work.after_claim");
    assert_eq!(world.deliver(doomed.addr(), &[record(&acme_token(1), "")]).await.expect("an answer").status, 200);
    doomed.crashed().await;
    let killed = Instant::now();
    let next = world.serve();
    eventually("the token is revoked", async || !world.issuer.is_live(&acme_token(1))).await;
    let took = killed.elapsed();
    assert!(took.as_secs() < 15, "{took:?} after the death");
    world.settle(&next, 1).await;
    let waited = world.db.number("SELECT verified_at - received_at FROM incidents").await;
    assert!(waited >= 10_000, "after {waited} ms the lease still held");
    assert_eq!(world.issuer.revocations_of("t1"), 1);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_through_its_lease_changes_nothing() {
    let world = Installation::new(Kind::Postgres).await;
    world.issuer.issue(&acme_token(1), "t1", "grace@example.org");
    world.issuer.behave_when_revoking(Some(Mood::StaysSilent));
    let first = world.serve();
    assert_eq!(world.deliver(first.addr(), &[record(&acme_token(1), "")]).await.expect("an answer").status, 200);
    eventually("the revocation is under way", async || world.issuer.calls().len() == 2).await;
    first.signal("STOP");
    world.issuer.behave_when_revoking(None);

    let second = world.start(&["work"], None);
    world.settle(&second, 1).await;
    let facts = async || {
        let events = "SELECT count(*) FROM events";
        let version = "SELECT sum(version)::bigint FROM incidents";
        (world.db.numbers(&[events, version]).await, world.issuer.revocations_of("t1"), world.mails())
    };
    let before = facts().await;

    first.signal("CONT");
    eventually("it notices", async || first.said("INFO", "was lost; another worker has it")).await;
    // Whatever it still had in hand is over when it has stopped.
    first.stop().await;
    assert_eq!(facts().await, before);
    assert_eq!(before.1, 1, "one revocation");
    assert_eq!(before.2["grace@example.org"].values().sum::<usize>(), 1, "one mail");
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_share_the_load_and_do_every_job_once() {
    const DELIVERIES: u32 = 40;
    let world = Installation::new(Kind::Postgres).await;
    let server = world.start(&["serve", "--no-work"], None);
    let workers = ["one", "two"].map(|name| {
        let mut command = world.command();
        command.arg("work").env("STANCH_NODE", name);
        Process::start(command)
    });
    // Two tokens a delivery, each delivery of another owner.
    for number in 0..DELIVERIES {
        let tokens = [2 * number, 2 * number + 1];
        let records = tokens.map(|token| {
            world.issuer.issue(&acme_token(token), &format!("t{token}"), &format!("owner{number}@example.org"));
            record(&acme_token(token), "")
        });
        assert_eq!(world.deliver(server.addr(), &records).await.expect("an answer").status, 200);
    }
    world.settle(&workers[0], i64::from(2 * DELIVERIES)).await;

    let asked = world.issuer.asked();
    for number in 0..2 * DELIVERIES {
        let count = |wanted: Asked| asked.iter().filter(|asked| **asked == wanted).count();
        assert_eq!(count(Asked::Verify(acme_token(number))), 2, "once to verify, once to read back");
        assert_eq!(count(Asked::Revoke(format!("t{number}"))), 1);
    }
    let twice = "SELECT count(*) FROM (SELECT 1 FROM events WHERE incident_id IS NOT NULL \
                 GROUP BY incident_id, kind HAVING count(*) > 1) AS twice";
    let nodes = "SELECT count(DISTINCT actor) FROM events WHERE actor LIKE 'worker:%'";
    assert_eq!(world.db.numbers(&[twice, nodes]).await, [0, 2], "steps done twice, and workers that did any");
    let mails = world.mails();
    assert_eq!(mails.len(), usize::try_from(DELIVERIES).expect("few"));
    assert!(mails.values().all(|by_id| by_id.values().sum::<usize>() == 1), "{mails:?}");
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
    for process in workers.into_iter().chain([server]) {
        process.stop().await;
    }
}
