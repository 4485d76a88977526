//! Promise 1, "accepted is durable", and promise 2, "at least once, effectively once": the real process is killed with
//! `kill -9` at every step of an alert's life, on both databases, and started again.

use std::collections::BTreeMap;

use crate::process::{Installation, Kind, acme_token, record};

/// Every place where the process can die between two things that the world sees.
macro_rules! kill_at {
    ($($name:ident: $point:literal;)*) => {
        /// Proves that the list here and the points in the source are the same.
        #[test]
        fn every_crash_point_of_the_source_is_tried() {
            let tried = [$($point),*];
            let mut found = std::collections::BTreeSet::new();
            for path in ["src/intake", "src/store", "src/work"] {
                collect(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path), &mut found);
            }
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), {
                let mut tried = tried.to_vec();
                tried.sort_unstable();
                tried
            });
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::nothing_is_lost_if_killed_at($point, super::Kind::Sqlite).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::nothing_is_lost_if_killed_at($point, super::Kind::Postgres).await;
            })*
        }
    };
}

kill_at! {
    nothing_is_lost_before_anything_is_stored: "accept.before_store";
    nothing_is_lost_before_the_commit: "accept.before_commit";
    nothing_is_lost_after_the_brake_has_counted: "brake.after_count";
    nothing_is_lost_between_commit_and_answer: "accept.after_commit";
    nothing_is_lost_after_a_claim: "work.after_claim";
    nothing_is_lost_after_the_issuer_gave_its_verdict: "verify.after_call";
    nothing_is_lost_before_the_verdict_is_stored: "verify.before_settle";
    nothing_is_lost_after_the_verdict_is_stored: "verify.after_settle";
    nothing_is_lost_before_the_revocation: "revoke.before_call";
    nothing_is_lost_after_the_revocation: "revoke.after_call";
    nothing_is_lost_before_the_revocation_is_stored: "revoke.before_settle";
    nothing_is_lost_after_the_revocation_is_stored: "revoke.after_settle";
    nothing_is_lost_before_the_mail: "notify.before_send";
    nothing_is_lost_after_the_mail: "notify.after_send";
    nothing_is_lost_after_the_mail_is_noted: "notify.after_settle";
    nothing_is_lost_before_the_end_is_stored: "close.before_settle";
    nothing_is_lost_after_the_end_is_stored: "close.after_settle";
}

async fn nothing_is_lost_if_killed_at(point: &str, kind: Kind) {
    let world = Installation::new(kind).await;
    let (here, elsewhere, dead) = (world.mint("ci-upload", "ada@example.org"), acme_token(1), acme_token(2));
    world.issuer.issue(&elsewhere, "t1", "grace@example.org");
    world.issuer.issue(&dead, "t2", "grace@example.org");
    world.issuer.kill(&dead);
    let records = [
        record(&here, "https://github.com/example/a/blob/1/.env"),
        record(&here, "https://github.com/example/b/issues/2"),
        record(&elsewhere, ""),
        record(&dead, "https://github.com/example/a/blob/1/.env"),
        record(&acme_token(3), "https://github.com/example/a/blob/1/.env"),
    ];

    let doomed = world.serve_until(point);
    let first = world.deliver(doomed.addr(), &records).await;
    doomed.crashed().await;
    let accepted = first.is_ok_and(|answer| answer.status.is_success());
    // One of the tokens is judged at the door, and counted there.
    let at_the_door = ["accept.", "brake."].iter().any(|step| point.starts_with(step));
    assert_eq!(accepted, !at_the_door, "an answer is given after the commit, and only then");

    let next = world.serve();
    if !accepted {
        // The reporter saw a broken connection and sends the same body again.
        let again = world.deliver(next.addr(), &records).await.expect("an answer");
        assert_eq!(again.status, 200);
    }
    world.settle(&next, 4).await;

    let outcomes: BTreeMap<String, usize> = world.incidents().iter().fold(BTreeMap::new(), |mut outcomes, incident| {
        *outcomes.entry(incident["note"].as_str().unwrap_or("none").to_owned()).or_default() += 1;
        outcomes
    });
    let expected = [("already dead", 1), ("not ours", 1), ("revoked", 2)];
    assert_eq!(outcomes, expected.map(|(word, count)| (word.to_owned(), count)).into());
    assert_eq!(world.left().await, (0, 0), "jobs and secrets that are left");

    // One revocation; repeated only if the process died between the call and its commit.
    assert!(!world.issuer.is_live(&elsewhere));
    let calls = world.issuer.revocations_of("t1");
    let repeatable = ["revoke.after_call", "revoke.before_settle"].contains(&point);
    assert!(calls == 1 || (repeatable && calls == 2), "{calls} revocations");
    assert_eq!(world.issuer.revocations_of("t2"), 0, "a dead token is left alone");
    let deliveries = world.db.number("SELECT count(*) FROM deliveries").await;
    assert_eq!(deliveries, 1, "the same body is the same delivery");

    // One mail an owner; twice, and with the same Message-ID, only in the window after the mail server took it.
    let mails = world.mails();
    assert_eq!(mails.keys().collect::<Vec<_>>(), ["ada@example.org", "grace@example.org"]);
    for (owner, by_id) in &mails {
        assert_eq!(by_id.len(), 1, "{owner} got one mail");
        let copies: usize = by_id.values().sum();
        assert!(copies == 1 || (point == "notify.after_send" && copies == 2), "{owner}: {copies} copies");
    }
    next.stop().await;
}

fn collect(folder: &std::path::Path, found: &mut std::collections::BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("part of the project") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        // A point's name is a text of two words with a dot; each stands in a call or in a table right below one.
        for part in text.split('"').skip(1).step_by(2) {
            let named = part.split_once('.').is_some_and(|(step, place)| {
                ["accept", "brake", "close", "notify", "revoke", "verify", "work"].contains(&step)
                    && ["after_", "before_"].iter().any(|when| place.starts_with(when))
            });
            if named {
                found.insert(part.to_owned());
            }
        }
    }
}
