//! `stanch incident lookup`: what became of a token.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::super::token::Source;
use super::super::{Context, out, ready, when};
use super::view::View;
use crate::recognize::Identified;
use crate::redact::inert;

#[derive(Args)]
#[command(
    after_help = "The token comes by standard input, a file or STANCH_TOKEN, never as an argument: those are seen by \
                        others and kept in histories. It is named by its fingerprint, and neither stored nor logged.\n\n\
                        Exit code 0 if it has an incident, 1 if it has none.\n\n\
                        Example:\n  stanch incident lookup -    # paste it, then Ctrl-D"
)]
pub struct Lookup {
    #[command(flatten)]
    source: Source,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Lookup {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let secret = self.source.read(context)?;
        let (recognizer, ring) = (ready::recognizer(&config)?, ready::fingerprint_ring(&config)?);
        let text = std::str::from_utf8(secret.expose()).context("that is no text, so no token")?;
        let found = match recognizer.identify(text) {
            Identified::Recognized(found) => Some(found),
            Identified::TooLong | Identified::Unrecognized => None,
        };
        let incidents = match &found {
            Some(found) => {
                let store = ready::open_store(&config, &context.clock).await?;
                let incidents = store.incidents_by_fingerprint(&ring.all(&found.kind, &found.canonical)).await;
                store.close().await;
                incidents?
            }
            None => Vec::new(),
        };
        let views: Vec<View> = incidents.iter().map(View::of).collect();
        let kind = found.as_ref().map(|found| found.kind.to_string());
        if self.json {
            out::data(serde_json::to_string_pretty(&json!({ "kind": kind, "incidents": views }))?)?;
        } else {
            match &kind {
                None => out::talk("it is no token of a kind that is known here"),
                Some(kind) if views.is_empty() => out::talk(format!("no report ever named this {kind}")),
                Some(_) => {}
            }
            let now = context.clock.now();
            for view in &views {
                let revoked = view
                    .revoked_at
                    .map_or_else(|| "not revoked".to_owned(), |at| format!("revoked {}", when::both(at, now)));
                let note = inert(view.note.as_deref().unwrap_or_default(), 80);
                let told = format!(
                    "{}  {}  {}  reported {}  {revoked}  {note}",
                    view.id,
                    view.state,
                    view.kind,
                    when::both(view.received_at, now)
                );
                out::data(told.trim_end())?;
            }
        }
        Ok(if views.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
