//! Leaks that are reported without a signature: by whoever holds the token, and by a GitLab.
//!
//! `POST /credentials/revoke` takes up to 1000 tokens from anybody and says 202 whatever they are. What was never issued
//! leaves nothing behind, and no answer tells whether a token lives: they are all alike, and leave on a beat, so that how
//! long one took is not seen. GitLab's Token Revocation API is the other way in: 204 says that
//! everything is stored, 400 that it need not be sent again, 429 and 503 that it should.
//! (<https://docs.gitlab.com/development/sec/token_revocation_api/>)

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::debug;
use zeroize::Zeroizing;

use super::auth::{Caller, Client};
use super::input::Json;
use super::{Access, App, Problem, Route, schema};
use crate::intake::{Refusal, Reporter};

pub fn routes() -> [Route; 3] {
    let some = |item| json!({ "type": "array", "minItems": 1, "maxItems": MAX, "items": item });
    let credentials = schema::body(&["credentials"], json!({ "credentials": some(schema::text()) }));
    // GitLab says more of a leak than is read here.
    let maybe = || schema::maybe(schema::text());
    let leaks = some(json!({ "type": "object", "required": ["token"], "properties": {
        "type": maybe(), "token": schema::text(), "location": maybe(), "url": maybe(),
    } }));
    let types = schema::object(json!({ "types": schema::list(schema::text()) }));
    [
        Route::post("/credentials/revoke", Access::Holder, "Takes leaked tokens from whoever holds them", from_holder)
            .takes(credentials)
            .answers(202, "Stored; what is ours and lives will be revoked")
            .refuses(422, "Not a list of 1 to 1000 texts"),
        Route::get(
            "/v1/revocable_token_types",
            Access::Reporter,
            "The types of token that GitLab may report",
            types_of,
        )
        .gives(200, "The types", types),
        Route::post("/v1/revoke_tokens", Access::Reporter, "Takes leaked tokens from a GitLab", from_gitlab)
            .takes(leaks)
            .answers(204, "Stored; what is ours and lives will be revoked"),
    ]
}

const MAX: usize = 1_000;
/// What GitLab calls the rule `x` that found a token.
const GITLAB_TYPE: &str = "gitleaks_rule_id_";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    credentials: Vec<String>,
}

#[derive(Deserialize)]
struct Leak {
    token: String,
    #[serde(rename = "type")]
    sent_type: Option<String>,
    /// Where it was found; `url` is what the receivers of GitLab's own partners get.
    #[serde(alias = "url")]
    location: Option<String>,
}

async fn from_holder(
    State(app): State<App>,
    client: Client,
    Json(sent): Json<Credentials>,
) -> Result<StatusCode, Problem> {
    if sent.credentials.is_empty() || sent.credentials.len() > MAX {
        return Err(
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail("`credentials` is a list of 1 to 1000 tokens")
        );
    }
    app.limits.report(client.address)?;
    let began = Instant::now();
    let records = sent.credentials.iter().map(|token| json!({ "token": token, "type": "", "source": "holder" }));
    let stored = from_anybody(&app, body_of(records)).await;
    tokio::time::sleep(until_the_beat(began.elapsed())).await;
    stored.map(|()| StatusCode::ACCEPTED)
}

/// Answers about tokens that anybody may send leave at whole beats after they were asked for.
const BEAT: Duration = Duration::from_millis(250);

fn until_the_beat(spent: Duration) -> Duration {
    let into = spent.as_nanos() % BEAT.as_nanos();
    BEAT.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or_default()))
}

async fn from_anybody(app: &App, body: Zeroizing<Vec<u8>>) -> Result<(), Problem> {
    let held = app.intake.hold(body).await.map_err(|refusal| refused(&refusal))?;
    // Only an issuer elsewhere could tell whether these were issued, and each is a question to it.
    app.limits.elsewhere(held.elsewhere())?;
    app.intake.store_held(held).await.map_err(|refusal| refused(&refusal))
}

async fn types_of(State(app): State<App>) -> axum::Json<Value> {
    let types: Vec<String> = app.intake.claimed_kinds().iter().map(|kind| format!("{GITLAB_TYPE}{kind}")).collect();
    axum::Json(json!({ "types": types }))
}

async fn from_gitlab(
    State(app): State<App>,
    caller: Option<Caller>,
    Json(leaks): Json<Vec<Leak>>,
) -> Result<StatusCode, Problem> {
    if leaks.is_empty() || leaks.len() > MAX {
        return Err(Problem::new(StatusCode::BAD_REQUEST).detail("the list has 1 to 1000 tokens"));
    }
    let token_id = caller.map_or_else(|| "none".to_owned(), |caller| caller.token().id.to_string());
    app.limits.delivery(&token_id)?;
    let records = leaks
        .iter()
        .map(|leak| json!({ "token": leak.token, "type": leak.sent_type, "url": leak.location, "source": "gitlab" }));
    report(&app, Reporter::GitLab { token_id: &token_id }, records).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn report(app: &App, reporter: Reporter<'_>, records: impl Iterator<Item = Value>) -> Result<(), Problem> {
    let replay = app.intake.report(reporter, body_of(records)).await.map_err(|refusal| refused(&refusal))?;
    debug!("stored a report of origin {}: {replay:?}", reporter.origin());
    Ok(())
}

fn body_of(records: impl Iterator<Item = Value>) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(vec![b'[']);
    for (index, record) in records.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        let text = Zeroizing::new(record.to_string());
        body.extend_from_slice(text.as_bytes());
    }
    body.push(b']');
    body
}

fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::Unavailable { retry_after } => Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(*retry_after),
        Refusal::NoOrigin | Refusal::Payload(_) | Refusal::Unsigned => {
            Problem::new(StatusCode::BAD_REQUEST).detail("the list has too many tokens")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_on_a_beat_however_long_they_took() {
        for spent in [0, 1, 249, 250, 251, 999, 12_345] {
            let spent = Duration::from_millis(spent);
            let whole = spent + until_the_beat(spent);
            assert_eq!(whole.as_millis() % BEAT.as_millis(), 0, "{spent:?}");
            assert!(whole > spent && whole <= spent + BEAT, "{spent:?}");
        }
    }
}
