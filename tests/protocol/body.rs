//! Bodies: checklist lines 53 to 68, and what is answered about them.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use stanch::incident::{Outcome, State};
use stanch::intake::{Feedback, TokenForm};

use crate::door::{Door, labels, report, sha256_hex, token, tokens};
use crate::issuer::Mood;

fn record(token: &str) -> Value {
    json!({ "token": token, "type": "stanch_pat", "url": "https://example.com/", "source": "commit" })
}

fn true_positive(token: &str) -> (String, String) {
    (sha256_hex(token), "true_positive".into())
}

fn false_positive(token: &str) -> (String, String) {
    (sha256_hex(token), "false_positive".into())
}

#[tokio::test]
async fn what_is_no_array_of_records_is_400() {
    let door = Door::open().await;
    for body in ["{}", "null", "\"text\"", "7", "[", "[1,]", "[{}] [{}]", "[]", " ", "\u{feff}[{}]"] {
        assert_eq!(door.deliver(body).await.status(), StatusCode::BAD_REQUEST, "{body:?}");
    }
    door.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_bad_record_costs_only_itself() {
    let door = Door::open().await;
    let good = token(1);
    door.issuer.knows_live(&good);
    let body = json!([
        null, 7, "text", [], {}, { "type": "t", "url": "u" }, { "token": null }, { "token": 7, "type": 7 }, { "token": "" },
        { "token": "x".repeat(20_000), "type": "t" }, record(&good)
    ]);
    let answered = labels(door.deliver(body.to_string()).await).await;
    assert_eq!(answered, [true_positive(&good)]);
    assert_eq!(door.incidents().await.len(), 1);
}

#[tokio::test]
async fn only_the_token_is_needed_and_unknown_fields_are_ignored() {
    let all = tokens(2, 4);
    let door = Door::open().await;
    let body = json!([
        { "token": all[0] },
        { "token": all[1], "type": "t", "url": null, "source": null },
        { "token": all[2], "type": null, "url": "", "extra": { "a": [1] } },
        { "token": all[3], "type": 7, "url": {}, "source": [] },
    ]);
    let answered = labels_without_types(&door, body).await;
    assert_eq!(answered.len(), 4);
    assert_eq!(door.incidents().await.len(), 4);
}

async fn labels_without_types(door: &Door, body: Value) -> Vec<Value> {
    let response = door.deliver(body.to_string()).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.expect("labels")
}

#[tokio::test]
async fn the_token_says_what_it_is_whatever_the_type_says() {
    let door = Door::open().await;
    for (number, sent_type) in
        ["unheard_of", "STANCH_PAT", "acme_STANCH_PAT", "pypi_api_token", ""].into_iter().enumerate()
    {
        let token = token(10 + number as u64);
        door.issuer.knows_live(&token);
        let body = json!([{ "token": token, "type": sent_type, "url": "u", "source": "commit" }]);
        let answered = labels_without_types(&door, body).await;
        let expected = json!([{ "token_hash": sha256_hex(&token), "token_type": sent_type, "label": "true_positive" }]);
        assert_eq!(Value::from(answered), expected);
    }
    assert!(door.incidents().await.iter().all(|incident| incident.kind.as_str() == "stanch-pat"));
}

#[tokio::test]
async fn a_token_of_no_known_kind_is_stored_and_left_out_of_the_answer() {
    let door = Door::open().await;
    let response = door.deliver(json!([{ "token": "some_token", "type": "some_type", "url": "u" }]).to_string()).await;
    assert_eq!(labels(response).await, []);
    assert!(door.metric("stanch_reports_total", &[("kind", "none"), ("outcome", "unrecognized")]) >= 1.0);
}

#[tokio::test]
async fn places_are_kept_as_they_were_sent() {
    let door = Door::open().await;
    let long = format!("https://example.com/{}", "a".repeat(4_096));
    let urls = ["", " https://example.com/leading", "javascript:alert(1)", "ftp://x", "\u{202e}txt.exe", &long];
    let one = token(1);
    let records: Vec<_> =
        urls.iter().map(|url| json!({ "token": one, "type": "T", "url": url, "source": "Brand_New_Source" })).collect();
    assert_eq!(door.deliver(Value::from(records).to_string()).await.status(), StatusCode::OK);
    let incidents = door.incidents().await;
    assert_eq!(incidents.len(), 1);
    let occurrences = door.store.occurrences(incidents[0].id).await.expect("readable");
    let mut kept: Vec<_> = occurrences.iter().filter_map(|occurrence| occurrence.place.as_ref()).collect();
    kept.sort_by_key(|place| urls.iter().position(|url| *url == place.url));
    assert_eq!(kept.iter().map(|place| place.url.as_str()).collect::<Vec<_>>(), urls);
    assert!(kept.iter().all(|place| place.source == "Brand_New_Source" && place.sent_type == "T"));
}

#[tokio::test]
async fn junk_around_a_token_is_taken_off_and_the_feedback_names_what_was_sent() {
    use base64::Engine as _;
    let all = tokens(3, 5);
    let door = Door::open().await;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("__token__:{}", all[4]));
    let sent = [
        format!("  {}\n", all[0]),
        format!("\"{}\"", all[1]),
        format!("Bearer {}", all[2]),
        format!("token {}", all[3]),
        format!("Basic {basic}"),
    ];
    for token in &all {
        door.issuer.knows_live(token);
    }
    let body = Value::from(sent.iter().map(|text| record(text)).collect::<Vec<_>>());
    let answered = labels(door.deliver(body.to_string()).await).await;
    assert_eq!(answered, sent.each_ref().map(|text| true_positive(text)));
    assert_eq!(door.incidents().await.len(), 5);
}

#[tokio::test]
async fn odd_text_in_a_token_harms_nobody() {
    let door = Door::open().await;
    let good = token(1);
    door.issuer.knows_live(&good);
    let body = format!(
        r#"[{{"token":"\ud800"}},{{"token":"a\u0000b"}},{{"token":"\uD83D\uDE00"}},{{"token":"{good}","url":"\udfff\u0000"}}]"#
    );
    assert_eq!(door.deliver(body).await.status(), StatusCode::OK);
    assert_eq!(door.incidents().await.len(), 1);
    let not_json = b"[{\"token\":\"\xff\xfe\"}]";
    assert_eq!(door.deliver(not_json.to_vec()).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn one_record_a_thousand_or_ten_thousand_are_answered_in_time() {
    for count in [1, 1_000, 10_000] {
        let door = Door::open().await;
        let all = tokens(4, count);
        door.issuer.knows_live(&all[0]);
        let body = Value::from(all.iter().map(|token| record(token)).collect::<Vec<_>>()).to_string();
        let began = Instant::now();
        let answered = labels(door.deliver(body).await).await;
        assert!(began.elapsed() < Duration::from_secs(15), "{count}: {:?}", began.elapsed());
        assert_eq!(answered.len(), count);
        assert_eq!(answered[0], true_positive(&all[0]));
        assert!(answered[1..].iter().zip(&all[1..]).all(|(label, token)| *label == false_positive(token)));
        assert_eq!(door.issuer.asked(), 1, "many tokens are one question");
    }
}

#[tokio::test]
async fn too_many_records_are_413_and_nothing_is_half_done() {
    let door = Door::open_with(|plan| plan.max_records = 3).await;
    let body = Value::from(tokens(5, 4).iter().map(|token| record(token)).collect::<Vec<_>>()).to_string();
    assert_eq!(door.deliver(body).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    door.assert_nothing_stored().await;
    assert_eq!(door.issuer.asked(), 0);
}

#[tokio::test]
async fn a_repeated_token_is_one_incident_and_is_answered_each_time() {
    let door = Door::open().await;
    let one = token(1);
    door.issuer.knows_live(&one);
    let elsewhere =
        json!({ "token": one, "type": "stanch_pat", "url": "https://example.com/elsewhere", "source": "commit" });
    let body = json!([record(&one), record(&one), elsewhere, record(&format!(" {one} "))]);
    let answered = labels(door.deliver(body.to_string()).await).await;
    let padded = true_positive(&format!(" {one} "));
    assert_eq!(answered, [true_positive(&one), true_positive(&one), true_positive(&one), padded]);
    let incidents = door.incidents().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(door.store.occurrences(incidents[0].id).await.expect("readable").len(), 2, "two places");
}

#[tokio::test]
async fn dead_and_live_tokens_are_true_and_unknown_ones_false() {
    let door = Door::open().await;
    let all = tokens(6, 3);
    door.issuer.knows_live(&all[0]);
    door.issuer.knows_dead(&all[1]);
    let body = Value::from(all.iter().map(|token| record(token)).collect::<Vec<_>>());
    let answered = labels(door.deliver(body.to_string()).await).await;
    assert_eq!(answered, [true_positive(&all[0]), true_positive(&all[1]), false_positive(&all[2])]);
    let states: Vec<_> = door.incidents().await.into_iter().map(|incident| incident.state).collect();
    for state in [State::Live, State::Closed(Outcome::AlreadyDead), State::Closed(Outcome::NotOurs)] {
        assert!(states.contains(&state), "{states:?}");
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_in_time_delays_nobody_and_decides_nothing() {
    for mood in [Mood::Hangs, Mood::Fails] {
        let door = Door::open_with(|plan| plan.origins[0].decide_budget = Duration::from_millis(50)).await;
        door.issuer.behave(mood);
        let one = token(1);
        door.issuer.knows_live(&one);
        assert_eq!(labels(door.deliver(report(&one)).await).await, [], "{mood:?}");
        let incidents = door.incidents().await;
        assert_eq!(incidents.len(), 1);
        assert_eq!(incidents[0].state, State::Open, "unknown is not dead");
    }
}

#[tokio::test]
async fn without_feedback_the_issuer_is_asked_all_the_same_and_nothing_is_disclosed() {
    let door = Door::open_with(|plan| plan.origins[0].feedback = Feedback::Off).await;
    let one = token(1);
    door.issuer.knows_live(&one);
    for _ in 0..2 {
        let response = door.deliver(report(&one)).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert!(response.bytes().await.expect("read").is_empty());
    }
    assert_eq!(door.incidents().await[0].state, State::Live);
}

#[tokio::test]
async fn a_raw_token_goes_back_only_to_an_origin_that_asked_for_it() {
    let door = Door::open_with(|plan| plan.origins[0].feedback = Feedback::On(TokenForm::Raw)).await;
    let one = token(1);
    door.issuer.knows_live(&one);
    let answered: Value = door.deliver(report(&one)).await.json().await.expect("labels");
    assert_eq!(answered, json!([{ "token_raw": one, "token_type": "stanch_pat", "label": "true_positive" }]));
}

#[tokio::test]
async fn the_same_body_gets_the_same_answer_even_when_the_issuer_has_changed_its_mind() {
    let door = Door::open().await;
    let one = token(1);
    let first = labels(door.deliver(report(&one)).await).await;
    assert_eq!(first, [false_positive(&one)]);
    door.issuer.knows_live(&one);
    assert_eq!(labels(door.deliver(report(&one)).await).await, first);
    assert_eq!(door.incidents().await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged() {
    let door = Door::open().await;
    assert_eq!(door.deliver(report(&token(1))).await.status(), StatusCode::OK);
    door.store.close().await;
    let response = door.deliver(report(&token(2))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
}
