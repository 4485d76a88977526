//! `stanch audit`: the trail of what was done, by whom, and the proof that nothing was changed in it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::out::Colour;
use super::table::Table;
use super::{Context, operator, out, ready, when};
use crate::clock::Timestamp;
use crate::id::IncidentId;
use crate::incident::EventKind;
use crate::redact::{inert, inert_json};
use crate::store::{AuditFilter, ChainReport, Cursor, PageRequest, StoredEvent};

#[derive(Subcommand)]
pub enum Command {
    /// Write the whole trail to standard output, one JSON object a line, newest first
    Export(Export),
    /// List events, newest first
    List(List),
    /// Check that every event is there as it was written; exits 1 if not
    #[command(
        after_help = "Keep the head it prints somewhere else, and give it back with `--through`: that proves that \
                            nothing was cut off at the end since."
    )]
    Verify(Verify),
}

#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    filter: Filter,
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    filter: Filter,
    /// Continue where a page ended, with what was said then
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// Most events to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Verify {
    /// A head that was printed before, `BLOCK:HASH`, through which the chain must lead
    #[arg(long, value_name = "HEAD", value_parser = head)]
    through: Option<(i64, String)>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Filter {
    /// Only events of this kind; may be given more than once
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only what this actor did: `operator:ada`, `worker:host-1`
    #[arg(long)]
    actor: Option<String>,
    /// Only what people did
    #[arg(long)]
    operators: bool,
    /// Only about this incident
    #[arg(long, value_name = "ID")]
    incident: Option<IncidentId>,
    /// Only at or after this instant
    #[arg(long, value_name = "INSTANT", value_parser = when::instant)]
    since: Option<Timestamp>,
    /// Only before this instant
    #[arg(long, value_name = "INSTANT", value_parser = when::instant)]
    until: Option<Timestamp>,
}

impl Filter {
    fn ready(self) -> AuditFilter {
        AuditFilter {
            kinds: self.kind,
            actor: self.actor,
            operators_only: self.operators,
            incident_id: self.incident,
            from: self.since,
            before: self.until,
        }
    }
}

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Export(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Verify(command) => command.run(context).await,
        }
    }
}

impl Export {
    async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let filter = self.filter.ready();
        let mut request = PageRequest::first(1_000);
        let mut written = Ok(());
        // What is taken out of the service is on the trail before the first byte leaves.
        let detail = json!({ "what": "audit trail", "format": "jsonl" });
        store.note(operator(context), EventKind::Exported, detail).await?;
        while written.is_ok() {
            let page = store.audit_events(&filter, &request).await?;
            written = page.items.iter().try_for_each(|event| out::data(shown(event).to_string()));
            let Some(next) = page.next else { break };
            request.after = Some(next);
        }
        store.close().await;
        written?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let page =
            store.audit_events(&self.filter.ready(), &PageRequest { after: self.after, limit: self.limit }).await;
        store.close().await;
        let page = page?;
        if let Some(next) = &page.next {
            out::talk(format!("there are more: continue with `--after {next}`"));
        }
        if self.json {
            let events: Vec<Value> = page.items.iter().map(shown).collect();
            out::data(serde_json::to_string_pretty(&events)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if page.items.is_empty() {
            out::talk("no event");
            return Ok(ExitCode::SUCCESS);
        }
        let mut table =
            Table::new(Colour::of(&context.environment), &["when", "what", "by whom", "incident", "detail"]);
        for event in &page.items {
            let detail = if event.detail.is_null() { String::new() } else { inert(&event.detail.to_string(), 120) };
            let incident = event.incident_id.map(|id| id.to_string()).unwrap_or_default();
            table.row([when::absolute(event.at), event.kind.clone(), inert(&event.actor, 80), incident, detail]);
        }
        table.lines().iter().try_for_each(out::data)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let through = self.through.as_ref().map(|(block, hash)| (*block, hash.as_str()));
        let report = store.verify_audit(through).await;
        store.close().await;
        let report = report?;
        if self.json {
            out::data(serde_json::to_string_pretty(&report)?)?;
        } else {
            lines(&report).iter().try_for_each(out::data)?;
        }
        Ok(if report.is_intact() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn lines(report: &ChainReport) -> Vec<String> {
    let mut lines = vec![format!("{} events in {} blocks are sealed", report.events, report.blocks)];
    lines.extend(report.sealed_at.map(|at| format!("the last was sealed {}", when::absolute(at))));
    if report.unsealed > 0 {
        lines.push(format!("{} events wait to be sealed, as those of the last second do", report.unsealed));
    }
    lines.extend(report.head.as_ref().map(|(block, hash)| format!("head {block}:{hash}")));
    if report.is_intact() {
        lines.push("intact: every event is there as it was written".into());
    } else {
        lines.push(format!(
            "NOT INTACT: {} {}",
            report.faults.len(),
            if report.faults.len() == 1 { "fault" } else { "faults" }
        ));
        lines.extend(report.faults.iter().map(|fault| format!("  {}", json!(fault))));
    }
    lines
}

/// An event as it is shown to a program.
fn shown(event: &StoredEvent) -> Value {
    json!({
        "position": event.position,
        "id": event.id,
        "at": event.at,
        "actor": inert(&event.actor, 200),
        "kind": event.kind,
        "incident_id": event.incident_id,
        "detail": inert_json(&event.detail),
    })
}

fn head(text: &str) -> Result<(i64, String), String> {
    let read = text.split_once(':').and_then(|(block, hash)| Some((block.parse().ok()?, hash)));
    let (block, hash) = read.ok_or("give it as `stanch audit verify` printed it: `BLOCK:HASH`")?;
    if hash.len() == 64 { Ok((block, hash.to_owned())) } else { Err("its hash is 64 hexadecimal digits".into()) }
}
