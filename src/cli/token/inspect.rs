//! `stanch token inspect`: what a token is, offline and without showing it.
//!
//! Of an opaque token no character but its prefix and the end of its checksum is shown; of a macaroon its caveats, which
//! whoever holds it may know, and never its signature, without which they open nothing.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value as Json, json};

use super::MALFORMED;
use super::source::Source;
use crate::cli::{Context, out, ready};
use crate::mint::macaroon::token_id;
use crate::recognize::{Identified, Recognizer};
use crate::redact::inert;
use crate::token::caveat::Caveat;
use crate::token::{Secret, macaroon};

#[derive(Args)]
#[command(
    after_help = "What it prints is safe to paste into a ticket. Exit codes: 0 it is a token, 2 it is none that is known.\n\n\
    Example:\n  stanch token inspect < token.txt"
)]
pub struct Inspect {
    #[command(flatten)]
    source: Source,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let shown = self.source.read(context)?;
        // Without a configuration the catalogue alone knows enough.
        let recognizer = match context.config() {
            Ok(config) => ready::recognizer(&config)?,
            Err(_) => Recognizer::builtin(),
        };
        let facts = facts(&shown, &recognizer);
        let known = facts["kind"] != Json::Null || facts["macaroon"] != Json::Null;
        if self.json {
            out::data(serde_json::to_string_pretty(&facts)?)?;
        } else {
            tell(&facts)?;
        }
        Ok(if known { ExitCode::SUCCESS } else { ExitCode::from(MALFORMED) })
    }
}

fn facts(shown: &Secret, recognizer: &Recognizer) -> Json {
    let text = String::from_utf8_lossy(shown.expose()).into_owned();
    let mut facts = json!({ "kind": null, "length": shown.len(), "macaroon": null });
    if let Identified::Recognized(found) = recognizer.identify(&text) {
        let kind = recognizer.kind(&found.kind);
        facts["kind"] = json!(found.kind.as_str());
        facts["name"] = json!(kind.map(|kind| kind.name.as_ref()));
        facts["issuer"] = json!(kind.map(|kind| kind.issuer.as_ref()));
        facts["confidence"] = json!(format!("{:?}", found.confidence).to_lowercase());
        facts["ends_in"] = json!(found.hint);
        facts["exact"] = json!(found.secret.len() == shown.len());
    }
    if let Some(found) = macaroon::find(shown.expose()) {
        let shown_text = |bytes: &[u8]| inert(&String::from_utf8_lossy(bytes), 200);
        let caveats = found.macaroon.caveats.iter().map(|caveat| {
            let read = Caveat::read(&caveat.id);
            json!({
                "text": inert(&String::from_utf8_lossy(&caveat.id), 1_000),
                "third_party": caveat.verification.is_some(),
                "understood": read.as_ref().map(|caveat| format!("{caveat:?}")).ok(),
                "refused": read.err().map(|bad| bad.to_string()),
            })
        });
        let prefix = shown.expose().get(..found.prefix_len.saturating_sub(1)).unwrap_or_default();
        let strict =
            std::str::from_utf8(prefix).is_ok_and(|prefix| macaroon::read_strictly(prefix, shown.expose()).is_some());
        facts["macaroon"] = json!({
            "prefix": shown_text(prefix),
            "location": found.macaroon.location.as_ref().map(|location| shown_text(location)),
            "identifier": shown_text(&found.macaroon.identifier),
            "token_id": token_id(&found.macaroon.identifier),
            "caveats": caveats.collect::<Vec<_>>(),
            "one_spelling": strict,
        });
    }
    facts
}

fn tell(facts: &Json) -> std::io::Result<()> {
    let line = |label: &str, value: &Json| match value {
        Json::Null => Ok(()),
        Json::String(text) if text.is_empty() => Ok(()),
        Json::String(text) => out::data(format!("{label:<13}{text}")),
        other => out::data(format!("{label:<13}{other}")),
    };
    if facts["kind"].is_null() && facts["macaroon"].is_null() {
        out::data("no token of any kind that is known here")?;
    }
    for (label, key) in [
        ("kind", "name"),
        ("issuer", "issuer"),
        ("known by", "confidence"),
        ("ends in", "ends_in"),
        ("length", "length"),
    ] {
        line(label, &facts[key])?;
    }
    let macaroon = &facts["macaroon"];
    if macaroon.is_null() {
        return Ok(());
    }
    for (label, key) in
        [("prefix", "prefix"), ("location", "location"), ("identifier", "identifier"), ("token", "token_id")]
    {
        line(label, &macaroon[key])?;
    }
    let caveats = macaroon["caveats"].as_array().map_or(&[][..], Vec::as_slice);
    if caveats.is_empty() {
        out::data("caveats      none: whatever its owner may")?;
    }
    for caveat in caveats {
        line("caveat", &caveat["text"])?;
        if let Some(why) = caveat["refused"].as_str() {
            out::data(format!("             opens nothing: {why}"))?;
        }
    }
    if macaroon["one_spelling"] == false {
        out::data("spelling     not the one that opens a door; the same token to whoever looks for leaks")?;
    }
    Ok(())
}
