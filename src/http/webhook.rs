//! The webhook: one signed delivery in, one answer out.
//!
//! One handler serves every origin, told apart by the headers. The order is fixed: headers, cap, signature, records,
//! commit, answer. Whatever the reason, a signature that does not hold gets one and the same answer.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use serde_json::{Value, json};

use super::answers::Given;
use super::body::{NoBody, Unverified};
use super::{Access, App, Problem, Route, schema};
use crate::intake::{Answer, BadPayload, Claim, Refusal, Replay};
use crate::telemetry::metric;

/// Deliveries of every configured origin; the alias is the path that `PyPI` has.
pub fn routes() -> [Route; 2] {
    const SUMMARY: &str = "Takes a signed delivery of leaked tokens";
    ["/webhooks/github", "/_/secrets/disclose-token"].map(|path| {
        Route::post(path, Access::Signed, SUMMARY, receive)
            .takes(json!({ "type": "array", "items": {
                "type": "object",
                "required": ["token"],
                "properties": {
                    "token": { "type": "string" },
                    "type": { "type": "string" },
                    "url": { "type": "string" },
                    "source": { "type": "string" },
                },
            }}))
            .answers(204, "Every record is stored")
            .gives(200, "Every record is stored; what could be decided is labelled", schema::list(label()))
            .refuses(404, "No reporter of this kind is known")
    })
}

/// The schema of a label.
fn label() -> Value {
    json!({ "type": "object", "required": ["label"], "properties": {
        "label": schema::word(&["false_positive", "true_positive"]), "token_hash": schema::text(),
        "token_raw": schema::text(), "token_type": schema::text() } })
}

async fn receive(State(app): State<App>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let (origin, result) = match app.intake.claim(&parts.headers) {
        Ok(claim) => {
            let origin = claim.origin().to_owned();
            let work = deliver(&app, claim, &parts.headers, body);
            let result = tokio::time::timeout(app.settings.answer_timeout, work).await;
            let result = result.unwrap_or(Err(Refused::TimedOut));
            let rejected = matches!(result, Err(Refused::Intake(Refusal::Unsigned)));
            let given = if rejected { Given::Rejected } else { Given::After(started.elapsed()) };
            app.answers.note(&origin, app.clock.now(), given);
            (origin, result)
        }
        Err(refusal) => ("none".to_owned(), Err(Refused::Intake(refusal))),
    };
    let outcome = match &result {
        Ok(answer) => match answer.replay() {
            Replay::First => "accepted",
            Replay::Repeated => "replayed",
        },
        Err(refused) => refused.word(),
    };
    histogram!(metric::DELIVERY_DURATION_SECONDS, "origin" => origin.clone()).record(started.elapsed().as_secs_f64());
    counter!(metric::DELIVERIES_TOTAL, "origin" => origin, "outcome" => outcome).increment(1);
    match result {
        Ok(Answer::Acknowledged { .. }) => StatusCode::NO_CONTENT.into_response(),
        Ok(Answer::Feedback { labels, .. }) => Json(labels).into_response(),
        Err(refused) => refused.problem().into_response(),
    }
}

async fn deliver(app: &App, claim: Claim, headers: &HeaderMap, body: Body) -> Result<Answer, Refused> {
    require_plain_json(headers)?;
    let Unverified { bytes, share } = app.budget.read(headers, body).await?;
    let signed = app.intake.verify(claim, bytes).await?;
    // What is signed is not counted any more: genuine traffic is never turned away.
    drop(share);
    Ok(app.intake.accept(signed).await?)
}

/// JSON by any of its names, with any parameters, or unnamed; and never compressed: nobody inflates a stranger's bytes.
fn require_plain_json(headers: &HeaderMap) -> Result<(), Refused> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Refused::Encoded);
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_json = matches!(essence, "application/json" | "text/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json { Ok(()) } else { Err(Refused::NotJson) }
}

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the body is compressed")]
    Encoded,
    #[error(transparent)]
    Intake(#[from] Refusal),
    #[error(transparent)]
    NoBody(#[from] NoBody),
    #[error("the body is not called JSON")]
    NotJson,
    #[error("the answer took too long")]
    TimedOut,
}

impl Refused {
    /// The word used as a metric's label.
    fn word(&self) -> &'static str {
        match self {
            Self::Encoded => "encoded",
            Self::Intake(Refusal::NoOrigin) => "no_origin",
            Self::Intake(Refusal::Payload(BadPayload::TooManyRecords(_))) | Self::NoBody(NoBody::TooLarge) => {
                "too_large"
            }
            Self::Intake(Refusal::Payload(_)) => "not_records",
            Self::Intake(Refusal::Unavailable { .. }) => "unavailable",
            Self::Intake(Refusal::Unsigned) => "unsigned",
            Self::NoBody(NoBody::Broken) => "broken",
            Self::NoBody(NoBody::Busy) => "busy",
            Self::NoBody(NoBody::Slow) => "slow",
            Self::NotJson => "not_json",
            Self::TimedOut => "timed_out",
        }
    }

    fn problem(&self) -> Problem {
        const SOON: Duration = Duration::from_secs(5);
        let problem = |status: StatusCode| Problem::new(status);
        match self {
            Self::Encoded => problem(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail("send the body uncompressed"),
            Self::NotJson => problem(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail("send application/json"),
            Self::Intake(Refusal::NoOrigin) => problem(StatusCode::NOT_FOUND),
            Self::Intake(Refusal::Payload(BadPayload::Empty)) => {
                problem(StatusCode::BAD_REQUEST).detail("the array of records is empty")
            }
            Self::Intake(Refusal::Payload(BadPayload::NotAnArray)) => {
                problem(StatusCode::BAD_REQUEST).detail("the body is not a JSON array of records")
            }
            Self::Intake(Refusal::Payload(BadPayload::TooManyRecords(_))) => {
                problem(StatusCode::PAYLOAD_TOO_LARGE).detail("the array has too many records")
            }
            Self::Intake(Refusal::Unavailable { retry_after }) => {
                problem(StatusCode::SERVICE_UNAVAILABLE).retry_after(*retry_after)
            }
            Self::Intake(Refusal::Unsigned) => problem(StatusCode::UNAUTHORIZED),
            Self::NoBody(no_body) => no_body.problem(),
            Self::TimedOut => problem(StatusCode::SERVICE_UNAVAILABLE).retry_after(SOON),
        }
    }
}
