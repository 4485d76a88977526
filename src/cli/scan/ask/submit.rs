//! Submitting: the findings as signed deliveries to a receiver, in the form in which GitHub reports leaked tokens.
//!
//! The receiver does the rest: it verifies, revokes, tells the owner and writes down what it did. The same findings make
//! the same bodies, so that a report that is sent again is one delivery. A token leaves this machine under TLS, or not at
//! all unless that was said.
//!
//! The form: <https://docs.github.com/en/code-security/tutorials/secret-scanning-partner-program>.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use reqwest::Url;
use reqwest::header::HeaderName;
use serde_json::Value;
use tokio::time::sleep;

use super::link::{self, Forges};
use super::tokens::Tokens;
use super::{Answered, AskArgs};
use crate::cli::{HintExt as _, Usage, out};
use crate::redact::SafeUrl;
use crate::scan::{Outcome, Plan};
use crate::send::{Answer, Courier, Failure, HeaderNames, Record, Signer, body_of};

/// Far below what receivers take (`stanch serve`: 10,000 records and 8 MiB).
const MAX_RECORDS: usize = 1_000;
const MAX_BYTES: usize = 1 << 20;

/// GitHub waits as long for a receiver.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Whom to tell, and with which key.
pub struct Submission {
    courier: Courier,
    signer: Signer,
    /// The address as it may be shown.
    shown: String,
    patience: Duration,
}

/// What a receiver made of the records.
#[derive(Default)]
struct Told {
    records: usize,
    deliveries: usize,
    /// How many got which label, from receivers that answer with labels.
    labels: BTreeMap<String, usize>,
}

/// Why a batch was not taken.
enum Refusal {
    /// The receiver may take it later.
    Silent(String),
    Status(StatusCode),
}

impl Submission {
    /// `None` if nobody is to be told.
    pub fn ready(args: &AskArgs) -> anyhow::Result<Option<Self>> {
        let (Some(url), Some(file)) = (&args.submit, &args.submit_key) else { return Ok(None) };
        let url: Url = url.parse().map_err(|error| Usage(format!("`--submit` is not an address: {error}")))?;
        if !["http", "https"].contains(&url.scheme()) || !url.username().is_empty() || url.password().is_some() {
            return Err(Usage("`--submit` takes an address of http or https without credentials".into()).into());
        }
        let is_plain = url.scheme() == "http";
        let shown = SafeUrl::parse(url.as_str()).map_or_else(|_| "the receiver".to_owned(), |url| url.to_string());
        let courier = Courier::new(url, ANSWER_WITHIN)?;
        if is_plain && !courier.is_local() && !args.submit_over_http {
            let why = "the report holds live tokens and would leave this machine without TLS";
            return Err(Usage(why.into())).hint("use an `https` address, or say `--submit-over-http`");
        }
        let key = crate::cli::send::read_key(file)?;
        let signer = Signer::new(key).with_headers(headers(&args.submit_headers)?);
        let patience = Duration::from_secs(args.submit_timeout);
        Ok(Some(Self { courier, signer, shown, patience }))
    }

    /// Tells the receiver about every finding, and the person what the receiver said.
    pub async fn tell(&self, outcome: &Outcome, tokens: &Tokens, plan: &Plan) -> anyhow::Result<Answered> {
        let records = records(outcome, tokens, plan);
        if records.is_empty() {
            return Ok(Answered::All);
        }
        let all = records.len();
        let mut told = Told::default();
        let mut waiting = batches(records);
        waiting.reverse();
        while let Some(batch) = waiting.pop() {
            match self.deliver(&batch).await {
                Ok(answer) => told.count(&batch, &answer),
                Err(Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE)) if batch.len() > 1 => {
                    let mut first = batch;
                    let second = first.split_off(first.len() / 2);
                    waiting.extend([second, first]);
                }
                Err(refusal) => {
                    let left = all - told.records;
                    out::talk(format!("{left} of {all} records were not taken by {}: {}", self.shown, refusal.told()));
                    out::talk(format!("hint: {}", refusal.hint()));
                    return Ok(Answered::Some);
                }
            }
        }
        out::talk(format!("Reported to {}: {}", self.shown, told.in_words()));
        Ok(Answered::All)
    }

    /// Posts one batch until it is taken, refused, or patience is over.
    async fn deliver(&self, batch: &[Record]) -> Result<Answer, Refusal> {
        let body = body_of(batch);
        let began = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let (refusal, asked_for) = match self.courier.post(self.signer.message(body.clone())).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) if is_passing(answer.status) => (Refusal::Status(answer.status), answer.retry_after),
                Ok(answer) => return Err(Refusal::Status(answer.status)),
                Err(failure) => (Refusal::of(failure), None),
            };
            let pause = asked_for.unwrap_or(wait);
            if began.elapsed() + pause > self.patience {
                return Err(refusal);
            }
            sleep(pause).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// Whether the receiver may take the same delivery later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

fn headers(named: &[String]) -> anyhow::Result<HeaderNames> {
    let header = |name: &String| {
        name.trim().parse::<HeaderName>().map_err(|_| Usage(format!("`{name}` cannot be the name of a header")))
    };
    match named {
        [] => Ok(HeaderNames::GITHUB),
        [key_id, signature] => Ok(HeaderNames { key_id: header(key_id)?, signature: header(signature)? }),
        _ => Err(Usage("`--submit-headers` takes two names with a comma between".into()).into()),
    }
}

/// One record for each place, in the order of the report.
fn records(outcome: &Outcome, tokens: &Tokens, plan: &Plan) -> Vec<Record> {
    let forges = Forges::of(&plan.targets);
    let record = |finding: &crate::scan::Finding| {
        let token = tokens.get(&finding.id)?;
        let kind = plan.recognizer.kind(&finding.kind)?;
        let named = if kind.github_type.is_empty() { kind.id.replace('-', "_") } else { kind.github_type.to_owned() };
        Some(Record {
            // Tokens of every kind are ASCII; a key's block may hold anything and is sent as far as it is text.
            token: String::from_utf8_lossy(token.secret.expose()).into_owned(),
            kind: named,
            url: forges.link(finding),
            source: Some(link::source(finding).to_owned()),
        })
    };
    outcome.findings.iter().filter_map(record).collect()
}

/// Bodies that a receiver takes.
fn batches(records: Vec<Record>) -> Vec<Vec<Record>> {
    const QUOTES: usize = 64;
    let mut all: Vec<Vec<Record>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let size = record.token.len() + record.kind.len() + record.url.len() + QUOTES;
        let open = all.last_mut().filter(|batch| batch.len() < MAX_RECORDS && bytes + size <= MAX_BYTES);
        if let Some(batch) = open {
            batch.push(record);
            bytes += size;
        } else {
            all.push(vec![record]);
            bytes = size;
        }
    }
    all
}

impl Told {
    fn count(&mut self, batch: &[Record], answer: &Answer) {
        self.records += batch.len();
        self.deliveries += 1;
        let Ok(Value::Array(said)) = serde_json::from_slice(&answer.body) else { return };
        for label in said.iter().filter_map(|one| one["label"].as_str()).filter(|label| label.len() <= 40) {
            *self.labels.entry(crate::redact::inert(label, 40)).or_default() += 1;
        }
    }

    fn in_words(&self) -> String {
        let records = if self.records == 1 { "record" } else { "records" };
        let deliveries = if self.deliveries == 1 { "delivery" } else { "deliveries" };
        let mut words = vec![format!("{} {records} in {} {deliveries}", self.records, self.deliveries)];
        words.extend(self.labels.iter().map(|(label, count)| format!("{count} {}", label.replace('_', " "))));
        words.join(", ")
    }
}

impl Refusal {
    fn of(failure: Failure) -> Self {
        Self::Silent(failure.to_string())
    }

    fn told(&self) -> String {
        match self {
            Self::Silent(why) => why.clone(),
            Self::Status(status) => status.to_string(),
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Silent(_) => "check the address and that the receiver is running; what was taken is not taken twice",
            Self::Status(StatusCode::UNAUTHORIZED) => {
                "the receiver does not know this key: give it what `stanch send key list` prints"
            }
            Self::Status(StatusCode::NOT_FOUND) => {
                "check the path (`stanch serve` listens at `/webhooks/github`) and the header names"
            }
            Self::Status(_) => "send the report again later: what was taken is not taken twice",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(len: usize) -> Record {
        Record { token: "x".repeat(len), kind: "k".into(), url: "u".into(), source: None }
    }

    #[test]
    fn a_batch_is_no_larger_than_receivers_take() {
        let sizes = |records: Vec<Record>| batches(records).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes((0..2_500).map(|_| record(40)).collect()), [1_000, 1_000, 500]);
        assert_eq!(sizes((0..3).map(|_| record(600_000)).collect()), [1, 1, 1]);
        assert!(sizes(Vec::new()).is_empty());
        for batch in batches((0..3_000).map(|at| record(at % 2_000)).collect()) {
            assert!(body_of(&batch).len() <= MAX_BYTES);
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_a_refusal_is_not() {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY] {
            assert!(is_passing(status), "{status}");
        }
        for status in [StatusCode::UNAUTHORIZED, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::FOUND] {
            assert!(!is_passing(status), "{status}");
        }
    }
}
