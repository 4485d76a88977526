//! `stanch export`: records as files.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, operator, out, ready, when};
use crate::clock::Timestamp;
use crate::http::export::Format;
use crate::incident::EventKind;
use crate::store::{Error, PageRequest, RevokedFilter, Store};

#[derive(Subcommand)]
pub enum Command {
    /// Write the record of revoked tokens to standard output, newest first
    Revoked(Revoked),
}

#[derive(Args)]
#[command(
    after_help = "No cell is a formula of a spreadsheet, and what was purged is empty in it. The export is on the \
                        audit trail.\n\nExamples:\n  stanch export revoked > revoked.csv\n  \
                        stanch export revoked --format jsonl --since 2026-11-01T00:00:00Z"
)]
pub struct Revoked {
    /// How it is written
    #[arg(long, default_value = "csv", value_parser = ["csv", "jsonl"])]
    format: String,
    /// Only tokens of this issuer
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Revoked at or after this instant
    #[arg(long, value_name = "INSTANT", value_parser = when::instant)]
    since: Option<Timestamp>,
    /// Revoked before this instant
    #[arg(long, value_name = "INSTANT", value_parser = when::instant)]
    until: Option<Timestamp>,
}

const BATCH: u32 = 500;

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self::Revoked(Revoked { format, issuer, since, until }) = self;
        let format: Format = format.parse()?;
        let filter = RevokedFilter { issuer, revoked_from: since, revoked_before: until };
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let detail = json!({ "what": "revoked tokens", "format": format.word() });
        let noted = store.note(operator(context), EventKind::Exported, detail).await;
        let written = match noted {
            Ok(()) => write(&store, &filter, format).await,
            Err(error) => Err(error.into()),
        };
        store.close().await;
        let count = written?;
        out::talk(format!("{count} revoked tokens"));
        Ok(ExitCode::SUCCESS)
    }
}

/// Page after page, so that it takes the memory of one.
async fn write(store: &Store, filter: &RevokedFilter, format: Format) -> anyhow::Result<usize> {
    let (mut request, mut count) = (PageRequest::first(BATCH), 0);
    std::io::stdout().lock().write_all(format.head().as_bytes())?;
    loop {
        let page = store.revoked_tokens(filter, &request).await.map_err(|error: Error| anyhow::anyhow!(error))?;
        count += page.items.len();
        let text: String = page.items.iter().map(|token| format.row(token)).collect();
        std::io::stdout().lock().write_all(text.as_bytes())?;
        let Some(next) = page.next else { return Ok(count) };
        request.after = Some(next);
    }
}
