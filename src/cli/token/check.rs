//! `stanch token check`: whether a token is accepted for a request.
//!
//! With the root key at hand nobody is asked; otherwise the record decides, as it would for a request. Asking is no use:
//! nothing is noted and no nonce is used up.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::MALFORMED;
use super::source::Source;
use super::until::time;
use crate::cli::failure::Usage;
use crate::cli::{Context, out, ready};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::mint::macaroon as own;
use crate::mint::{Authenticator, Reason, Refusal, Request};
use crate::store::Store;
use crate::token::caveat::{self, Project, violations};
use crate::token::{Secret, macaroon};

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 accepted, 1 refused, 2 malformed.\n\nExample:\n  stanch token check --project engine < token.txt"
)]
pub struct Check {
    #[command(flatten)]
    source: Source,
    /// The project it is shown for
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// That project's id
    #[arg(long, value_name = "UUID", requires = "project")]
    project_id: Option<String>,
    /// The organisation it is shown for
    #[arg(long, alias = "org", value_name = "NAME")]
    organisation: Option<String>,
    /// The method of the request
    #[arg(long)]
    method: Option<String>,
    /// The path of the request
    #[arg(long)]
    path: Option<String>,
    /// Where the request comes from
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// The service that is asked
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// As if it were this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<Timestamp>,
    /// Offline, with the root key of a macaroon in this file: its bytes as they are
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Offline: the user that the macaroon acts for
    #[arg(long, value_name = "UUID", requires = "key_file")]
    user: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn is_offline(&self) -> bool {
        self.key_file.is_some()
    }

    pub fn run_offline(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Some(path) = &self.key_file else { bail!(Usage("`--key-file` is missing".into())) };
        let key = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let shown = self.source.read(context)?;
        let text = shown.expose();
        let prefix = text.iter().position(|byte| *byte == b'-').and_then(|at| std::str::from_utf8(&text[..at]).ok());
        let Some(read) = prefix.and_then(|prefix| macaroon::read_strictly(prefix, text)) else {
            return self.said(&Err(Reason::Malformed));
        };
        let Some(verified) = own::verify(&Secret::new(key), &read) else { return self.said(&Err(Reason::Signature)) };
        let about = caveat::Context {
            user: self.user.as_deref(),
            project: self.project(),
            method: self.method.as_deref(),
            path: self.path.as_deref(),
            address: self.address,
            audience: self.audience.as_deref(),
            ..caveat::Context::at(self.now.unwrap_or_else(|| context.clock.now()))
        };
        let judged = violations(&verified.caveats, &about).map(drop);
        self.said(&judged.map_err(|violation| Reason::Caveats(violation.to_string())))
    }

    pub async fn run(self, context: &Context, config: &Config, store: &Store) -> anyhow::Result<ExitCode> {
        let shown = self.source.read(context)?;
        let clock = self.now.map_or_else(|| context.clock.clone(), Clock::manual);
        let door = Authenticator::new(store.clone(), ready::mint_settings(config)?, clock);
        let request = Request {
            project: self.project(),
            organisation: self.organisation.as_deref(),
            method: self.method.as_deref(),
            path: self.path.as_deref(),
            address: self.address,
            audience: self.audience.as_deref(),
            ..Request::default()
        };
        match door.inspect(&shown, &request).await {
            Ok(found) => {
                out::talk(format!("{} {}", found.kind(), found.token().id));
                self.said(&Ok(()))
            }
            Err(Refusal::Absent) => self.said(&Err(Reason::Malformed)),
            Err(Refusal::Invalid(reason)) => self.said(&Err(reason)),
            Err(Refusal::Unavailable(failure)) => Err(failure.into()),
        }
    }

    fn project(&self) -> Option<Project<'_>> {
        self.project.as_deref().map(|name| Project { name, id: self.project_id.as_deref() })
    }

    fn said(&self, judged: &Result<(), Reason>) -> anyhow::Result<ExitCode> {
        let (accepted, reason) = match judged {
            Ok(()) => (true, None),
            Err(reason) => (false, Some(reason.text())),
        };
        if self.json {
            out::data(json!({ "accepted": accepted, "reason": reason }))?;
        } else {
            out::data(reason.map_or_else(|| "accepted".to_owned(), |why| format!("refused: {why}")))?;
        }
        Ok(match judged {
            Ok(()) => ExitCode::SUCCESS,
            Err(Reason::Malformed) => ExitCode::from(MALFORMED),
            Err(_) => ExitCode::FAILURE,
        })
    }
}
