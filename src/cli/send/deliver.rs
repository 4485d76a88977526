//! One delivery, and what the receiver said.

use std::process::ExitCode;

use axum::http::StatusCode;

use super::records::Reported;
use crate::cli::{HintExt as _, out};
use crate::send::{Answer, Courier, Signer, body_of};

/// Posts one signed delivery. The answer's body goes to standard output as it came.
pub(super) async fn once(
    courier: &Courier,
    signer: &Signer,
    mut reported: Reported,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let records = reported.one();
    let answer = courier
        .post(signer.message(body_of(&records)))
        .await
        .hint("check the address, and that the receiver is running")?;
    let millis = answer.took.as_secs_f64() * 1_000.0;
    if json {
        let said = serde_json::from_slice::<serde_json::Value>(&answer.body)
            .unwrap_or_else(|_| String::from_utf8_lossy(&answer.body).into());
        let told = serde_json::json!({
            "status": answer.status.as_u16(), "took_ms": millis, "records": records.len(), "answer": said,
        });
        out::data(told)?;
    } else {
        let (status, count) = (answer.status, records.len());
        out::talk(format!("{count} {}: {status} in {millis:.1} ms", if count == 1 { "record" } else { "records" }));
        if !answer.body.is_empty() {
            out::data(String::from_utf8_lossy(&answer.body).trim_end())?;
        }
    }
    if answer.status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(hint) = hint(&answer) {
        out::talk(format!("hint: {hint}"));
    }
    Ok(ExitCode::FAILURE)
}

fn hint(answer: &Answer) -> Option<&'static str> {
    match answer.status {
        StatusCode::UNAUTHORIZED => Some("the receiver does not know this key: does it use this key list?"),
        StatusCode::NOT_FOUND => Some("check the path; `stanch serve` listens at `/webhooks/github`"),
        StatusCode::SERVICE_UNAVAILABLE => {
            Some("the receiver could not check the signature: can it reach the key list?")
        }
        _ => None,
    }
}
