//! `stanch queue`: what waits to be done, where, and for how long.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::out::Colour;
use super::table::Table;
use super::{Context, out, ready, when};

#[derive(Args)]
#[command(
    after_help = "DUE could be taken now, RUNNING is worked on, FAILING has a last try that failed. If the oldest \
                        grows old, no worker runs, an issuer is away, or somebody paused it: `stanch issuer list`."
)]
pub struct Queue {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Queue {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let now = context.clock.now();
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let parts = store.queue().await;
        store.close().await;
        let parts = parts?;
        if self.json {
            let parts = parts.iter().map(|part| {
                json!({ "step": part.step.word(), "issuer": part.issuer.as_ref().map(ToString::to_string),
                        "jobs": part.jobs, "due": part.due, "leased": part.leased, "failing": part.failing,
                        "oldest_due_at": part.oldest_due_at })
            });
            out::data(serde_json::to_string_pretty(&parts.collect::<Vec<_>>())?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if parts.is_empty() {
            out::talk("nothing waits");
            return Ok(ExitCode::SUCCESS);
        }
        let headings = ["step", "issuer", "jobs", "due", "running", "failing", "oldest"];
        let mut table = Table::new(Colour::of(&context.environment), &headings);
        for part in &parts {
            let issuer = part.issuer.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            let oldest = part.oldest_due_at.map_or_else(|| "not due yet".to_owned(), |at| when::relative(at, now));
            let [jobs, due, leased, failing] =
                [part.jobs, part.due, part.leased, part.failing].map(|count| count.to_string());
            table.row([part.step.word().to_owned(), issuer, jobs, due, leased, failing, oldest]);
        }
        table.lines().iter().try_for_each(out::data)?;
        Ok(ExitCode::SUCCESS)
    }
}
