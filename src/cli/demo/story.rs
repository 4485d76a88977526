//! The story: what is done, what came of it, and how long it really took.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::cast::{ADA, GRACE, GitHub, Person, Token, mint};
use crate::cli::Context;
use crate::cli::out::{self, Colour, Ink};
use crate::cli::service::Service;
use crate::clock::Timestamp;
use crate::config::{Config, Environment};
use crate::incident::{Incident, State};
use crate::send::{Generator, Record};
use crate::store::{IncidentFilter, PageRequest, Revoking};

/// Longest time the story waits for its end.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn tell(
    service: &Service,
    github: &GitHub,
    config: &Config,
    folder: &Path,
    context: &Context,
) -> anyhow::Result<()> {
    let (store, clock) = (&service.store, &context.clock);
    title("stanch demo: from GitHub's signed alert to a dead token and a mail");
    line(format!("  stanch serves on        http://{}", service.addr));
    line(format!("  \"GitHub\" lists keys at  {}", github.key_url()));
    line(format!("  everything else is in   {}", folder.display()));

    title("1. Two people get tokens from the built-in issuer");
    let ada = mint(store, config, clock, &ADA, "ci-upload").await?;
    let grace = mint(store, config, clock, &GRACE, "laptop").await?;
    let old = mint(store, config, clock, &GRACE, "last-year").await?;
    let rotated = Revoking { by: "demo".into(), reason: "rotated by its owner".into(), incident_id: None };
    store.revoke_own_token(old.id, rotated).await?;
    for (token, remark) in [(&ada, ""), (&grace, ""), (&old, "  revoked long ago")] {
        let named = format!("\"{}\"", token.name);
        line(format!("  {:<6}{:<13}{}{remark}", token.owner.name, named, token.masked()));
    }

    title("2. Ada's token works");
    show_use(service, &ada).await?;

    title("3. It turns up in public, and GitHub posts one signed delivery");
    let records = records(&ada, &grace, &old, config);
    for (number, (_, said)) in records.iter().enumerate() {
        line(format!("  {}. {said}", number + 1));
    }
    let body = serde_json::to_vec(&records.iter().map(|(record, _)| record).collect::<Vec<_>>())?;
    let answer = github.deliver(service.addr, body.into()).await?;
    let took = answer.took;
    let posted_at = clock.now().minus(took);
    line(String::new());
    line(format!("  POST /webhooks/github  ->  {} in {}", answer.status, span(took)));
    line("  GitHub is told, by the SHA-256 of what it sent (nothing about what we cannot judge):".to_owned());
    for label in serde_json::from_slice::<Vec<Value>>(&answer.body).context("the answer is no list")? {
        let text = |key: &str| label[key].as_str().unwrap_or_default().to_owned();
        line(format!("    {}…  {:<15}{}", &text("token_hash")[..16], text("label"), text("token_type")));
    }

    title("4. What happened, from the audit trail");
    let incidents = closed(service).await?;
    for incident in &incidents {
        tell_incident(service, incident, posted_at).await?;
    }

    title("5. The mail that Ada got");
    show_mail(folder, &ADA)?;

    title("6. Ada's token, tried again");
    show_use(service, &ada).await?;
    show_use(service, &grace).await?;
    line(String::new());
    let slowest = incidents.iter().filter_map(|it| it.revoked_at).map(|at| at.since(posted_at)).max();
    line(format!(
        "From the post to the last revocation: {}. Nothing of any token is left in {}.",
        span(slowest.context("two tokens were live")?),
        folder.display()
    ));
    Ok(())
}

pub fn tell_where_to_look(service: &Service, folder: &Path) {
    let config = format!("--config {}", folder.join("stanch.toml").display());
    line(String::new());
    line("Still serving; Ctrl-C ends it and removes everything. In another terminal:".to_owned());
    line(format!("  stanch {config} incident list"));
    line(format!("  stanch {config} token list"));
    line(format!("  curl http://{}/readyz", service.addr));
    line(format!("  curl http://{}/metrics", service.addr));
    line(format!("  ls {}", folder.join("data/mail").display()));
}

/// The six records, each with what is remarkable about it.
fn records(ada: &Token, grace: &Token, old: &Token, config: &Config) -> Vec<(Value, &'static str)> {
    let kind = "example_registry_token";
    let record =
        |token: &str, url: &str, source: &str| json!({ "token": token, "type": kind, "url": url, "source": source });
    let commit = "https://github.com/example/site/blob/3f2a9c1/.github/workflows/release.yml";
    let issue = "https://github.com/example/site/issues/41";
    #[expect(clippy::disallowed_methods, reason = "the program's edge, where randomness comes from")]
    let Record { token: unissued, .. } = Generator::new(&config.issuer.builtin.prefix, kind, rand::rng()).record();
    vec![
        (record(&ada.text(), commit, "content"), "Ada's live token, in a workflow file"),
        (record(&ada.text(), issue, "issue_comment"), "the same token at another URL"),
        (record(&old.text(), commit, "content"), "Grace's token that is dead already"),
        (record(&unissued, commit, "content"), "a well-formed token that nobody issued"),
        (json!({ "type": kind, "url": issue }), "a malformed record, without a token"),
        (record(&grace.text(), "", "npm"), "Grace's live token, with an empty url"),
    ]
}

/// Calls the API with the token, as its holder would.
async fn show_use(service: &Service, token: &Token) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
    let url = format!("http://{}/api/v1/self", service.addr);
    let answer = client.get(url).bearer_auth(token.text()).send().await?;
    let status = answer.status();
    let body: Value = answer.json().await?;
    let said = match (body["token"]["name"].as_str(), body["detail"].as_str()) {
        (Some(name), _) => format!("this is \"{name}\""),
        (None, detail) => detail.unwrap_or_default().to_owned(),
    };
    line(format!("  GET /api/v1/self with {}  ->  {status}  {said}", token.masked()));
    Ok(())
}

/// Waits until all incidents are over.
async fn closed(service: &Service) -> anyhow::Result<Vec<Incident>> {
    let page = PageRequest::first(100);
    let end = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < end {
        let mut incidents = service.store.incidents(&IncidentFilter::default(), &page).await?.items;
        if !incidents.is_empty() && incidents.iter().all(|it| matches!(it.state, State::Closed(_))) {
            // Ids of one millisecond are in no order; what was revoked is what the story is about.
            incidents.sort_by_key(|it| (it.revoked_at.is_none(), it.verdict, name_of(it).to_owned()));
            return Ok(incidents);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("the incidents did not end within {} s", PATIENCE.as_secs())
}

async fn tell_incident(service: &Service, incident: &Incident, posted_at: Timestamp) -> anyhow::Result<()> {
    let outcome = match incident.state {
        State::Closed(outcome) => outcome.word().replace('_', " "),
        _ => incident.state.word().to_owned(),
    };
    let whose = name_of(incident);
    let places = service.store.occurrences(incident.id).await?.len();
    let seen = if places == 1 { "1 place".to_owned() } else { format!("{places} places") };
    line(format!("  {}  {whose}, seen in {seen}: {outcome}", incident.id));
    let mut steps = String::from("     ");
    for event in service.store.timeline(incident.id).await? {
        let verdict = event.detail["verdict"].as_str().map(|word| format!(" {}", word.replace('_', " ")));
        let word = format!("{}{}", event.kind, verdict.unwrap_or_default());
        write!(steps, " {word} +{}  ", span(event.at.since(posted_at)))?;
    }
    line(steps.trim_end());
    Ok(())
}

fn name_of(incident: &Incident) -> &str {
    incident.token.as_ref().and_then(|token| token.name.as_deref()).unwrap_or("nobody's")
}

fn show_mail(folder: &Path, to: &Person) -> anyhow::Result<()> {
    let folder = folder.join("data/mail");
    for entry in std::fs::read_dir(&folder).with_context(|| format!("no mail in {}", folder.display()))? {
        let text = std::fs::read_to_string(entry?.path())?;
        if text.lines().any(|line| line == format!("To: {}", to.email)) {
            for row in readable(&text).lines() {
                line(format!("  | {row}").trim_end());
            }
            return Ok(());
        }
    }
    bail!("no mail to {} was written", to.email)
}

/// The headers that a reader sees, and the text part.
fn readable(mail: &str) -> String {
    let (headers, body) = mail.split_once("\r\n\r\n").unwrap_or((mail, ""));
    let shown = ["From:", "To:", "Subject:", "Date:", "Message-ID:"];
    let headers = headers.lines().filter(|line| shown.iter().any(|name| line.starts_with(name)));
    // The boundary is the first line of the body; a line of dashes in the text is not one.
    let boundary = body.lines().find(|line| line.starts_with("--")).unwrap_or("--");
    let text = body.split("Content-Type: text/plain").nth(1).and_then(|part| part.split_once("\r\n\r\n"));
    let text = text.map_or("", |(_, rest)| rest.split(boundary).next().unwrap_or(rest));
    let mut shown: String = headers.flat_map(|line| [line, "\n"]).collect();
    shown.push('\n');
    shown.push_str(text.replace("=\r\n", "").replace("\r\n", "\n").trim_end());
    shown
}

/// A reader who went away does not stop the story: what it shows has happened all the same.
fn line(text: impl std::fmt::Display) {
    let _ = out::data(text);
}

fn title(text: &str) {
    line(String::new());
    let colour = Colour::of(&Environment::of_process());
    line(colour.paint(Ink::Bold, text));
}

/// `840 µs`, `12 ms`, `5.2 s`: as measured.
fn span(span: Duration) -> String {
    match span.as_micros() {
        0..1_000 if span.as_micros() > 0 => format!("{} µs", span.as_micros()),
        0..1_000_000 => format!("{} ms", span.as_millis()),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}
