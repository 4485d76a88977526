//! `stanch demo`: one delivery's life on this machine, told as it happens.
//!
//! Nothing is acted: the same service as `stanch serve` runs on a throwaway folder, a stand-in for GitHub signs and posts
//! to it over HTTP, and what is printed is read back from the answers, the database and the mail that was written.

mod cast;
mod story;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::service::{Halves, Service, signalled};
use super::{Context, keys};
use crate::config::{Config, Sources};
use crate::telemetry::{self, LogFormat, LogSettings};

/// Arguments of `stanch demo`.
#[derive(Args)]
#[command(after_help = "Everything stays on this machine and goes away at the end.\n\n\
                        Examples:\n  stanch demo\n  stanch demo --exit")]
pub struct Demo {
    /// End after the story instead of serving on
    #[arg(long)]
    exit: bool,
}

impl Demo {
    /// Tells the story; serves on until a signal comes, unless asked to end.
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        // The story is the log here; what goes wrong is told all the same.
        telemetry::start_log(&LogSettings { format: LogFormat::Text, filter: "warn".into() })?;
        let folder = tempfile::Builder::new().prefix("stanch-demo-").tempdir().context("no room for a demo")?;
        let github = cast::GitHub::start().await?;
        let config = configure(folder.path(), &github.key_url(), context)?;
        let service = Service::start(&config, &context.clock, Halves::IntakeAndWork).await?;
        let told = story::tell(&service, &github, &config, folder.path(), context).await;
        if told.is_ok() && !self.exit {
            story::tell_where_to_look(&service, folder.path());
            service.run_until(signalled()).await;
        } else {
            service.run_until(std::future::ready(())).await;
        }
        told.map(|()| ExitCode::SUCCESS)
    }
}

/// The configuration of the demo, as an operator would write it.
fn configure(folder: &std::path::Path, key_url: &str, context: &Context) -> anyhow::Result<Config> {
    let file = folder.join("stanch.toml");
    let text = format!(
        "data = \"data\"\n\n\
         [server]\nlisten = \"127.0.0.1:0\"\nlame_duck = \"0s\"\n\n\
         [origin.github]\nkey_url = \"{key_url}\"\nfeedback = \"hash\"\n\n\
         [mail]\nproduct = \"Example Registry\"\nfrom = \"Example Registry <security@registry.example>\"\n\
         contact = \"security@registry.example\"\ntokens_url = \"https://registry.example/settings/tokens\"\n"
    );
    std::fs::write(&file, text).context("the demo's configuration cannot be written")?;
    let config = Config::load(Sources { file: Some(file), ..Sources::default() })?;
    keys::generate_missing(context, &config.keys.folder())?;
    Ok(config)
}
