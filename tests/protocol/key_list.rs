//! Key lists: checklist lines 16 to 35. Time is moved by hand; only a fetch that hangs takes real time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde_json::json;
use stanch::intake::{KeyId, PublicKey};
use stanch::send::{Fault, HeaderNames, KeyList, KeyServer, Message, Signer};
use tokio::task::JoinSet;

use crate::door::{Door, KEY_ID, key, other_origin, report, token, until};
use crate::endpoint::Endpoint;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const WEEK: Duration = Duration::from_hours(7 * 24);
const TICK: Duration = Duration::from_millis(1);

/// The last instant before a span is over.
fn just_under(span: Duration) -> Duration {
    span.saturating_sub(TICK)
}

/// A delivery that names a key nobody lists.
fn unknown(door: &Door, id: &str) -> Message {
    let mut message = door.signer.message(report(&token(1)).into());
    message.headers.insert(KEY_ID, HeaderValue::try_from(id).expect("a value"));
    message
}

async fn status(door: &Door) -> StatusCode {
    door.deliver(report(&token(1))).await.status()
}

/// The list as this signer publishes it, as JSON.
fn list_of(signer: &Signer) -> String {
    serde_json::to_string(&signer.key_list()).expect("plain data")
}

#[tokio::test]
async fn the_first_delivery_fetches_the_list_and_the_next_ones_do_not() {
    let door = Door::open().await;
    for _ in 0..5 {
        assert_eq!(status(&door).await, StatusCode::OK);
    }
    assert_eq!(door.keys.requests(), 1);
    assert!(door.metric("stanch_key_lookups_total", &[("origin", "github"), ("outcome", "hit")]) >= 4.0);
    assert!(door.metric("stanch_key_lookups_total", &[("origin", "github"), ("outcome", "miss")]) >= 1.0);
}

#[tokio::test]
async fn a_list_of_exactly_its_time_to_live_is_expired() {
    let door = Door::open().await;
    assert_eq!(status(&door).await, StatusCode::OK);
    door.clock.advance(just_under(HOUR));
    assert_eq!(status(&door).await, StatusCode::OK);
    assert_eq!(door.keys.requests(), 1);
    door.clock.advance(TICK);
    assert_eq!(status(&door).await, StatusCode::OK);
    assert_eq!(door.keys.requests(), 2);
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again_and_counts_as_fresh() {
    let door = Door::open().await;
    assert_eq!(status(&door).await, StatusCode::OK);
    for round in 1..=3 {
        door.clock.advance(HOUR);
        assert_eq!(status(&door).await, StatusCode::OK);
        assert_eq!(status(&door).await, StatusCode::OK);
        assert_eq!((door.keys.requests(), door.keys.not_modified()), (round + 1, round));
    }
}

#[tokio::test]
async fn a_failing_endpoint_is_503_and_each_failure_has_its_own_name() {
    let faults = [
        (Fault::Status(StatusCode::IM_A_TEAPOT), "status"),
        (Fault::Status(StatusCode::TOO_MANY_REQUESTS), "throttled"),
        (Fault::Status(StatusCode::FORBIDDEN), "throttled"),
        (Fault::NotJson, "json"),
        (Fault::Redirect, "redirect"),
        (Fault::Huge, "too_large"),
        (Fault::Hang, "timeout"),
        (Fault::Drip, "timeout"),
    ];
    for (number, (fault, word)) in faults.into_iter().enumerate() {
        let name = format!("failing{number}");
        let door = Door::open_with(|plan| {
            plan.origins[0].name = name.clone();
            plan.origins[0].key_endpoint.as_mut().expect("has one").timeout = Duration::from_millis(300);
        })
        .await;
        door.keys.fail(fault);
        let response = door.deliver(report(&token(1))).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{fault:?}");
        assert!(response.headers().contains_key("retry-after"), "{fault:?}");
        let count = door.metric("stanch_key_list_fetches_total", &[("origin", &name), ("outcome", word)]);
        assert!((count - 1.0).abs() < f64::EPSILON, "{fault:?}: {count}");
        assert_eq!(door.keys.requests(), 1, "no redirect is followed, nothing is tried twice");
        door.assert_nothing_stored().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_503() {
    let door = Door::open_with(|plan| {
        plan.origins[0].name = "absent".into();
        plan.origins[0].key_endpoint.as_mut().expect("has one").url = "http://127.0.0.1:1/".parse().expect("a URL");
    })
    .await;
    assert_eq!(status(&door).await, StatusCode::SERVICE_UNAVAILABLE);
    let count = door.metric("stanch_key_list_fetches_total", &[("origin", "absent"), ("outcome", "network")]);
    assert!((count - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn what_is_no_key_list_leaves_the_keys_as_they_are() {
    let signer = Signer::new(key(1));
    let endpoint = Endpoint::saying(&list_of(&signer)).await;
    let door =
        Door::open_with(|plan| plan.origins[0].key_endpoint.as_mut().expect("has one").url = endpoint.url()).await;
    assert_eq!(status(&door).await, StatusCode::OK);
    let pem = signer.current().public_pem();
    let shapes = [
        String::new(),
        "[]".into(),
        "{}".into(),
        "null".into(),
        "7".into(),
        json!({ "public_keys": {} }).to_string(),
        json!({ "public_keys": null }).to_string(),
        json!({ "public_keys": [] }).to_string(),
        json!({ "public_keys": ["text", 7, null, []] }).to_string(),
        json!({ "public_keys": [{ "key": pem }] }).to_string(),
        json!({ "public_keys": [{ "key_identifier": "x" }] }).to_string(),
        json!({ "public_keys": [{ "key_identifier": "x", "key": "" }] }).to_string(),
        json!({ "public_keys": [{ "key_identifier": "", "key": pem }] }).to_string(),
        json!({ "public_keys": [{ "key_identifier": 1, "key": 2, "is_current": 3 }] }).to_string(),
    ];
    for shape in &shapes {
        endpoint.say(shape);
        door.clock.advance(HOUR);
        let before = endpoint.requests();
        assert_eq!(status(&door).await, StatusCode::OK, "{shape}");
        assert_eq!(endpoint.requests(), before + 1, "{shape}: it was asked");
        assert_eq!(door.send(unknown(&door, "x")).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{shape}");
    }
}

#[tokio::test]
async fn a_list_without_a_usable_key_is_503_not_401() {
    for list in ["{}", r#"{"public_keys":{}}"#, r#"{"public_keys":[]}"#] {
        let endpoint = Endpoint::saying(list).await;
        let door =
            Door::open_with(|plan| plan.origins[0].key_endpoint.as_mut().expect("has one").url = endpoint.url()).await;
        assert_eq!(status(&door).await, StatusCode::SERVICE_UNAVAILABLE, "{list}");
    }
}

#[tokio::test]
async fn entries_that_cannot_be_used_do_not_disable_the_good_ones() {
    let door = Door::open().await;
    door.keys.fail(Fault::Malformed);
    assert_eq!(status(&door).await, StatusCode::OK);
}

#[tokio::test]
async fn of_two_keys_under_one_id_the_first_counts() {
    let (signer, second) = (Signer::new(key(1)), Signer::new(key(2)));
    let mut list = signer.key_list();
    let mut twin = second.key_list().public_keys.remove(0);
    twin.key_identifier = signer.current().id().to_owned();
    list.public_keys.push(twin);
    let keys = KeyServer::start(([127, 0, 0, 1], 0).into(), &list).await.expect("a free port");
    let door = Door::open_at(keys, signer, |_| {}).await;
    assert_eq!(status(&door).await, StatusCode::OK);
    let mut forged = second.message(report(&token(1)).into());
    forged.headers.insert(KEY_ID, HeaderValue::try_from(door.signer.current().id()).expect("a value"));
    assert_eq!(door.send(forged).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_unknown_id_causes_one_refetch_and_is_then_refused() {
    let door = Door::open().await;
    assert_eq!(status(&door).await, StatusCode::OK);
    assert_eq!(door.send(unknown(&door, "nobody")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(door.keys.requests(), 2);
    assert_eq!(door.send(unknown(&door, "nobody")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(door.keys.requests(), 2);
    assert_eq!(status(&door).await, StatusCode::OK, "the keys that are known are not forgotten");
}

#[tokio::test]
async fn many_at_once_with_an_unknown_id_cause_one_request() {
    let door = Arc::new(Door::open().await);
    assert_eq!(status(&door).await, StatusCode::OK);
    let mut senders = JoinSet::new();
    for number in 0..50 {
        let door = Arc::clone(&door);
        senders.spawn(async move { door.send(unknown(&door, &format!("nobody{number}"))).await.status() });
    }
    let statuses = senders.join_all().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::UNAUTHORIZED), "{statuses:?}");
    assert_eq!(door.keys.requests(), 2);
}

#[tokio::test]
async fn many_at_once_with_a_new_key_are_all_accepted_after_one_request() {
    let mut door = Door::open().await;
    assert_eq!(status(&door).await, StatusCode::OK);
    door.signer.rotate(key(2));
    door.keys.publish(&door.signer.key_list());
    let door = Arc::new(door);
    let mut senders = JoinSet::new();
    for _ in 0..20 {
        let door = Arc::clone(&door);
        senders.spawn(async move { status(&door).await });
    }
    let statuses = senders.join_all().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!(door.keys.requests(), 2);
}

#[tokio::test]
async fn a_thousand_made_up_ids_in_a_minute_cause_two_requests() {
    let door = Door::open().await;
    for number in 0..1_000 {
        let status = door.send(unknown(&door, &format!("nobody{number}"))).await.status();
        // Ten seconds after the refresh that the second caused, one of them may be a key that is newer than the list.
        let sure = if number <= 170 { StatusCode::UNAUTHORIZED } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!(status, sure, "{number}");
        door.clock.advance(Duration::from_millis(59));
    }
    assert_eq!(door.keys.requests(), 2, "the first list, and one forced refresh");
}

#[tokio::test]
async fn a_rotation_is_noticed_at_the_end_of_the_minute_at_the_latest() {
    let mut door = Door::open().await;
    assert_eq!(status(&door).await, StatusCode::OK);
    let coming = Signer::new(key(2));
    let early = coming.message(report(&token(1)).into());
    assert_eq!(door.send(early.clone()).await.status(), StatusCode::UNAUTHORIZED, "not listed yet");
    door.signer.rotate(key(2));
    door.keys.publish(&door.signer.key_list());
    door.clock.advance(just_under(MINUTE));
    // Refusing it for good would lose what a genuine key signed; the fetch of this minute is used up.
    let later = door.send(early.clone()).await;
    assert_eq!(later.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(later.headers()["retry-after"], "1");
    assert_eq!(door.keys.requests(), 2);
    door.clock.advance(TICK);
    assert_eq!(door.send(early).await.status(), StatusCode::OK, "nothing is remembered about the id itself");
    assert_eq!(door.keys.requests(), 3);
}

#[tokio::test]
async fn an_unknown_id_does_not_stand_in_the_way_of_others() {
    let mut door = Door::open().await;
    assert_eq!(status(&door).await, StatusCode::OK);
    door.clock.advance(MINUTE);
    door.signer.rotate(key(2));
    door.keys.publish(&door.signer.key_list());
    // The refetch for a made-up id brings the new key as well.
    assert_eq!(door.send(unknown(&door, "nobody")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(status(&door).await, StatusCode::OK);
    assert_eq!(door.keys.requests(), 2);
}

#[tokio::test]
async fn each_origin_has_its_own_keys_and_its_own_refreshes() {
    let names = HeaderNames {
        key_id: "gosst-public-key-identifier".parse().expect("a name"),
        signature: "gosst-public-key-signature".parse().expect("a name"),
    };
    let other = Signer::new(key(2)).with_headers(names);
    let other_keys = KeyServer::start(([127, 0, 0, 1], 0).into(), &other.key_list()).await.expect("a free port");
    let door = Door::open_with(|plan| plan.origins.push(other_origin("depsdev", &other_keys.url()))).await;
    assert_eq!(status(&door).await, StatusCode::OK);
    assert_eq!(door.send(other.message(report(&token(2)).into())).await.status(), StatusCode::OK);
    assert_eq!(status(&door).await, StatusCode::OK, "the other origin's list has not replaced this one's");
    assert_eq!((door.keys.requests(), other_keys.requests()), (1, 1));
    assert_eq!(door.send(unknown(&door, "nobody")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!((door.keys.requests(), other_keys.requests()), (2, 1));
}

#[tokio::test]
async fn a_key_that_is_no_longer_listed_stops_with_the_list_that_had_it() {
    let mut door = Door::open().await;
    let old = door.signer.clone();
    assert_eq!(status(&door).await, StatusCode::OK);
    door.signer.rotate(key(2));
    door.signer.retire_older();
    door.keys.publish(&door.signer.key_list());
    assert_eq!(door.send(old.message(report(&token(1)).into())).await.status(), StatusCode::OK, "still believed");
    door.clock.advance(HOUR);
    assert_eq!(door.send(old.message(report(&token(1)).into())).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(status(&door).await, StatusCode::OK);
}

#[tokio::test]
async fn a_key_that_is_no_longer_current_has_a_day_of_grace() {
    let mut door = Door::open().await;
    let old = door.signer.clone();
    let send_old = async |door: &Door| door.send(old.message(report(&token(1)).into())).await.status();
    assert_eq!(status(&door).await, StatusCode::OK);
    door.signer.rotate(key(2));
    door.keys.publish(&door.signer.key_list());
    door.clock.advance(HOUR);
    assert_eq!(send_old(&door).await, StatusCode::OK, "the grace begins when it is first seen not to be current");
    for _ in 0..23 {
        door.clock.advance(HOUR);
        assert_eq!(send_old(&door).await, StatusCode::OK);
    }
    door.clock.advance(HOUR);
    assert_eq!(send_old(&door).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&door).await, StatusCode::OK);
    assert!(door.metric("stanch_signature_failures_total", &[("reason", "retired_key")]) >= 1.0);
}

#[tokio::test]
async fn known_keys_serve_through_an_outage_of_seven_days_and_unknown_ones_wait() {
    let door = Door::open_with(|plan| plan.origins[0].name = "outage".into()).await;
    assert_eq!(status(&door).await, StatusCode::OK);
    door.keys.fail(Fault::Status(StatusCode::BAD_GATEWAY));
    door.clock.advance(HOUR);
    assert_eq!(status(&door).await, StatusCode::OK);
    let response = door.send(unknown(&door, "nobody")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "nobody can tell");
    assert!(response.headers().contains_key("retry-after"));
    assert!(door.metric("stanch_key_lookups_total", &[("origin", "outage"), ("outcome", "stale")]) >= 1.0);
    door.clock.advance(just_under(WEEK.saturating_sub(HOUR)));
    assert_eq!(status(&door).await, StatusCode::OK);
    door.clock.advance(TICK);
    assert_eq!(status(&door).await, StatusCode::SERVICE_UNAVAILABLE, "too old to be believed");
    door.keys.recover();
    door.clock.advance(MINUTE);
    assert_eq!(status(&door).await, StatusCode::OK);
}

#[tokio::test]
async fn an_unknown_id_against_a_fresh_list_waits_when_the_refetch_fails() {
    let door = Door::open().await;
    assert_eq!(status(&door).await, StatusCode::OK);
    door.keys.fail(Fault::Status(StatusCode::BAD_GATEWAY));
    for _ in 0..3 {
        assert_eq!(door.send(unknown(&door, "nobody")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(door.keys.requests(), 2);
    assert_eq!(status(&door).await, StatusCode::OK);
}

#[tokio::test]
async fn a_failed_fetch_is_remembered_for_ten_seconds() {
    let door = Door::open().await;
    door.keys.fail(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    for _ in 0..5 {
        assert_eq!(status(&door).await, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(door.keys.requests(), 1);
    door.keys.recover();
    door.clock.advance(just_under(Duration::from_secs(10)));
    assert_eq!(status(&door).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(door.keys.requests(), 1);
    door.clock.advance(TICK);
    assert_eq!(status(&door).await, StatusCode::OK);
}

#[tokio::test]
async fn known_keys_are_accepted_at_once_while_the_endpoint_hangs() {
    let door = Arc::new(
        Door::open_with(|plan| {
            plan.origins[0].key_endpoint.as_mut().expect("has one").timeout = Duration::from_secs(5);
        })
        .await,
    );
    assert_eq!(status(&door).await, StatusCode::OK);
    door.keys.fail(Fault::Hang);
    door.clock.advance(HOUR);
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..10 {
        let door = Arc::clone(&door);
        senders.spawn(async move { status(&door).await });
    }
    let statuses = senders.join_all().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(door.keys.requests(), 2, "one request hangs, and nobody starts a second");
}

#[tokio::test]
async fn a_restart_during_an_outage_still_has_the_keys() {
    let first = Door::open().await;
    assert_eq!(status(&first).await, StatusCode::OK);
    // The list is stored behind the answer.
    until(async || first.store.key_list("github").await.expect("readable").is_some()).await;
    let (folder, clock) = (Arc::clone(&first.folder), first.clock.clone());
    // The same endpoint: a list of another one would not be trusted.
    let endpoint = first.keys.addr();
    first.store.close().await;
    drop(first);
    clock.advance(5 * 24 * HOUR);
    let signer = Signer::new(key(1));
    // The port is free once the first server's task is gone.
    let mut started = None;
    until(async || {
        started = KeyServer::start(endpoint, &KeyList::default()).await.ok();
        started.is_some()
    })
    .await;
    let keys = started.expect("it became so");
    keys.fail(Fault::Status(StatusCode::SERVICE_UNAVAILABLE));
    let second = Door::open_at(keys, signer, |plan| {
        plan.folder = folder;
        plan.clock = clock;
    })
    .await;
    assert_eq!(status(&second).await, StatusCode::OK);
    assert_eq!(second.keys.requests(), 1, "it was asked for a newer list");
}

#[tokio::test]
async fn a_key_from_the_configuration_needs_no_endpoint() {
    let signer = Signer::new(key(5));
    let door = Door::open_with(|plan| {
        let pem = signer.current().public_pem();
        let id = KeyId::parse(signer.current().id()).expect("an id");
        plan.origins[0].static_keys = vec![(id, PublicKey::from_pem(pem).expect("a key"))];
        plan.origins[0].key_endpoint = None;
    })
    .await;
    assert_eq!(door.send(signer.message(report(&token(1)).into())).await.status(), StatusCode::OK);
    assert_eq!(status(&door).await, StatusCode::UNAUTHORIZED, "the key nobody handed over");
    assert_eq!(door.keys.requests(), 0);
}
