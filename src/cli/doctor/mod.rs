//! `stanch doctor`: looks at everything the service will need, and says in words what is wrong with it.
//!
//! It opens what `serve` opens, in the same way: a new database is made, an older one brought up to date. It revokes
//! nothing and mails nobody.

mod finding;
mod local;
mod remote;

use std::process::ExitCode;

use clap::Args;

use self::finding::{Finding, Health};
use super::out::Colour;
use super::{Context, out, ready};
use crate::config::Config;

#[derive(Args)]
#[command(after_help = "Exit code 0 if nothing is wrong, 1 if something is. A warning is not wrong yet.")]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let findings = match context.config() {
            Ok(config) => examine(&config, context).await,
            Err(refused) => refused.problems().iter().map(|problem| Finding::of("configuration", problem)).collect(),
        };
        if self.json {
            out::data(serde_json::to_string_pretty(&findings)?)?;
        } else {
            let colour = Colour::of(&context.environment);
            findings.iter().flat_map(|finding| finding.lines(colour)).try_for_each(out::data)?;
            out::talk(summary(&findings));
        }
        let failed = findings.iter().any(|finding| finding.health == Health::Fail);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

async fn examine(config: &Config, context: &Context) -> Vec<Finding> {
    let now = context.clock.now();
    let mut findings = local::configuration(config);
    findings.extend(local::clock(now));
    findings.extend(local::folders(config));
    findings.extend(local::keys(config, now));
    findings.extend(local::old_keys(config));
    findings.extend(local::listening(config));
    let store = ready::open_store(config, &context.clock).await;
    findings.extend(local::database(config, &store, now).await);
    findings.extend(remote::mail(config).await);
    findings.extend(remote::origins(config, store.as_ref().ok(), &context.clock).await);
    findings.extend(remote::issuers(config, store.as_ref().ok(), &context.clock).await);
    if let Ok(store) = store {
        store.close().await;
    }
    findings
}

fn summary(findings: &[Finding]) -> String {
    let count = |health| findings.iter().filter(|finding| finding.health == health).count();
    match (count(Health::Fail), count(Health::Warn)) {
        (0, 0) => "nothing is wrong".into(),
        (0, warnings) => format!("nothing is wrong; warnings: {warnings}"),
        (failures, warnings) => format!("wrong: {failures}, warnings: {warnings}"),
    }
}
