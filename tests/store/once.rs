//! Requests that may be sent twice.

use std::time::Duration;

use stanch::store::{Begun, Once, Running, Store};
use stanch::token::Secret;

use crate::on_both_databases;

const DAY: Duration = Duration::from_hours(24);

fn once(key: u8, request: u8) -> Once {
    Once { key: [key; 32], request: [request; 32] }
}

async fn word(store: &Store, once: Once) -> String {
    match store.begin_once(once).await.expect("asked") {
        Begun::Answered { status, body } => format!("{status} {}", String::from_utf8_lossy(&body)),
        Begun::Forgotten => "forgotten".into(),
        Begun::Other => "other".into(),
        Begun::Running => "running".into(),
        Begun::Started(_) => "started".into(),
    }
}

async fn started(store: &Store, once: Once) -> Running {
    match store.begin_once(once).await.expect("asked") {
        Begun::Started(running) => running,
        _ => panic!("it was not new"),
    }
}

on_both_databases! {
    async fn a_request_is_carried_out_once_and_answered_again(db) {
        let store = db.open().await;
        let running = started(&store, once(1, 1)).await;
        assert_eq!(word(&store, once(1, 1)).await, "running");
        assert_eq!(word(&store, once(1, 2)).await, "other");
        store.answer_once(running, 201, Secret::new(b"marked answer".to_vec()), DAY).await.expect("kept");
        assert_eq!(word(&store, once(1, 1)).await, "201 marked answer");
        assert_eq!(word(&store, once(1, 2)).await, "other");
        assert_eq!(word(&store, once(2, 1)).await, "started", "another key");
        db.clock.advance(DAY);
        store.sweep().await.expect("swept");
        assert_eq!(word(&store, once(1, 2)).await, "started", "its time is over");
        store.close().await;
        for bytes in db.bytes().await {
            assert!(!String::from_utf8_lossy(&bytes).contains("marked answer"), "an answer may show a secret");
        }
    }

    async fn what_was_given_up_or_died_may_be_tried_again(db) {
        let store = db.open().await;
        let running = started(&store, once(1, 1)).await;
        store.give_up_once(running).await.expect("given up");
        let died = started(&store, once(1, 1)).await;
        db.clock.advance(Duration::from_secs(61));
        let second = started(&store, once(1, 1)).await;
        // The first one was not dead after all: it has lost its right to answer, and to give up.
        store.answer_once(died, 200, Secret::new(b"late".to_vec()), DAY).await.expect("ignored");
        assert_eq!(word(&store, once(1, 1)).await, "running");
        store.answer_once(second, 200, Secret::new(b"done".to_vec()), DAY).await.expect("kept");
        assert_eq!(word(&store, once(1, 1)).await, "200 done");
    }

    async fn of_two_at_once_one_is_carried_out(db) {
        let store = db.open().await;
        let each = (0..8).map(|_| { let store = store.clone(); tokio::spawn(async move { word(&store, once(1, 1)).await }) });
        let mut words = Vec::new();
        for each in each.collect::<Vec<_>>() {
            words.push(each.await.expect("ran"));
        }
        words.sort();
        assert_eq!((words.remove(7), words.iter().all(|word| word == "running")), ("started".into(), true));
    }
}
