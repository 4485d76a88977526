//! A stop in good order: every delivery that was sent is answered, nothing accepted is lost, and what was not finished
//! is handed to the next process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::issuer::Mood;
use crate::process::{Installation, Kind, acme_token, eventually, record};

/// Longest time from the signal to the end.
const END: Duration = Duration::from_secs(20);

on_both_databases! {
    a_stop_under_load_answers_everything_and_loses_nothing: a_stop_under_load();
    unfinished_jobs_are_handed_to_the_next_process_at_once: unfinished_jobs_are_handed_back();
}

/// What a load balancer sees: it sends until the process is not ready any more.
async fn a_stop_under_load(kind: Kind) {
    let world = Installation::new(kind).await;
    world.configure("lame_duck = \"0s\"", "lame_duck = \"2s\"");
    let process = world.serve();
    eventually("it is ready", async || process.get("/readyz").await.0 == 200).await;
    let (world, next, unready) = (Arc::new(world), Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let mut senders = JoinSet::new();
    for _ in 0..4 {
        let (world, next, unready) = (Arc::clone(&world), Arc::clone(&next), Arc::clone(&unready));
        let to = process.addr();
        senders.spawn(async move {
            let mut statuses = Vec::new();
            while !unready.load(Ordering::SeqCst) {
                let number = next.fetch_add(1, Ordering::SeqCst);
                let token = acme_token(number);
                if number % 4 == 0 {
                    world.issuer.issue(&token, &format!("t{number}"), &format!("owner{number}@example.org"));
                }
                let answer = world.deliver(to, &[record(&token, "")]).await;
                statuses.push(answer.map(|answer| answer.status.as_u16()));
            }
            statuses
        });
    }
    eventually("the load has begun", async || next.load(Ordering::SeqCst) > 40).await;
    let stopped = Instant::now();
    process.signal("TERM");
    eventually("it says that it goes", async || {
        let (status, page) = process.get("/readyz").await;
        status == 503 && page.contains("draining")
    })
    .await;
    assert_eq!(process.get("/livez").await.0, 200, "nobody is to kill it now");
    unready.store(true, Ordering::SeqCst);
    let answers: Vec<_> = senders.join_all().await.into_iter().flatten().collect();
    process.ended_well().await;
    assert!(stopped.elapsed() < END, "{:?}", stopped.elapsed());

    assert!(answers.iter().all(|answer| matches!(answer, Ok(200 | 503))), "{answers:?}");
    let accepted = answers.iter().filter(|answer| **answer == Ok(200)).count();
    let incidents = world.db.number("SELECT count(*) FROM incidents").await;
    assert!(incidents >= i64::try_from(accepted).expect("few"), "{accepted} accepted, {incidents} stored");
    assert_eq!(world.db.number("SELECT count(*) FROM jobs WHERE lease_token IS NOT NULL").await, 0, "leases kept");
    let next = world.serve();
    world.settle(&next, incidents).await;
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");
    next.stop().await;
}

/// The issuer is silent for longer than a process may take to stop, and a lease would last for minutes.
async fn unfinished_jobs_are_handed_back(kind: Kind) {
    let world = Installation::new(kind).await;
    world.configure("lease = \"3s\"", "lease = \"5m\"");
    world.configure("allow_private = true", "allow_private = true\ntimeout = \"60s\"");
    for number in 0..3 {
        world.issuer.issue(&acme_token(number), &format!("t{number}"), "grace@example.org");
    }
    world.issuer.behave(Mood::StaysSilent);
    let process = world.serve();
    let records = [0, 1, 2].map(|number| record(&acme_token(number), ""));
    assert_eq!(world.deliver(process.addr(), &records).await.expect("an answer").status, 200);
    eventually("all three are asked about", async || world.issuer.calls().len() == 3).await;
    let stopped = Instant::now();
    let log = process.stop().await;
    assert!(stopped.elapsed() < END, "{:?}", stopped.elapsed());
    assert!(log.iter().any(|line| line.contains("handed 3 unfinished jobs back")), "{}", log.join("\n"));
    assert_eq!(world.db.number("SELECT count(*) FROM jobs WHERE lease_token IS NULL").await, 3);

    world.issuer.behave(Mood::Answers);
    let next = world.serve();
    world.settle(&next, 3).await;
    for number in 0..3 {
        assert_eq!(world.issuer.revocations_of(&format!("t{number}")), 1);
    }
    assert_eq!(world.mails()["grace@example.org"].values().sum::<usize>(), 1);
    next.stop().await;
}
