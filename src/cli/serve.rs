//! `stanch serve`: takes deliveries, and works on them.
//!
//! Started where nothing is yet, it makes the keys of a new installation itself; where anything is, a missing key is a
//! lost one, and a new key beside it would hide that.

use std::pin::pin;
use std::process::ExitCode;

use clap::Args;

use super::service::{Halves, Service, signalled};
use super::{Context, keys, operators, out, ready};
use crate::config::{Config, Flags, Listen};
use crate::dashboard::BOOTSTRAP_LASTS;
use crate::http::auth::Link;
use crate::telemetry;

/// Arguments of `stanch serve`.
#[derive(Args)]
pub struct Serve {
    /// Address and port to take deliveries on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<Listen>,
    /// Address and port for health and metrics alone
    #[arg(long, value_name = "ADDR:PORT")]
    admin_listen: Option<Listen>,
    /// Take deliveries only; `stanch work` on other machines does the rest (PostgreSQL)
    #[arg(long)]
    no_work: bool,
}

impl Serve {
    /// Serves until a signal comes.
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let flags = Flags { listen: self.listen, admin_listen: self.admin_listen, ..context.flags() };
        let config = context.config_with(&flags)?;
        telemetry::start_log(&config.log.settings())?;
        make_first_keys(&config, context)?;
        let halves = if self.no_work { Halves::Intake } else { Halves::IntakeAndWork };
        // Listened for from here on: whoever reads that it listens may ask it to stop at once.
        let mut stop = pin!(signalled());
        let service = tokio::select! {
            started = Service::start(&config, &context.clock, halves) => started?,
            () = &mut stop => return Ok(ExitCode::SUCCESS),
        };
        if config.dashboard.enabled {
            invite_first_admin(&config, context, &service).await?;
        }
        service.run_until(stop).await;
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes the keys if there are none, and no database that could need older ones. Of a server's database nobody knows
/// before it is opened, and it is opened with keys.
fn make_first_keys(config: &Config, context: &Context) -> anyhow::Result<()> {
    let folder = config.keys.folder();
    let is_new =
        config.keys.files.is_empty() && ready::has_database(config)? == Some(false) && folder.files()?.is_empty();
    if is_new {
        keys::tell(&keys::generate_missing(context, &folder)?);
        out::talk(format!(
            "a new installation; back up {}: whoever loses a key loses what it sealed",
            folder.path().display()
        ));
    }
    Ok(())
}

/// As long as nobody can let others in, each start gives a link that makes the first admin. On standard error and not in
/// the log: a log goes many ways.
async fn invite_first_admin(config: &Config, context: &Context, service: &Service) -> anyhow::Result<()> {
    let link = Link::new()?;
    if service.store.bootstrap((link.sha256, context.clock.now().plus(BOOTSTRAP_LASTS))).await? {
        let url = link.url(&operators::base(config, service.addr));
        out::talk(format!(
            "nobody can sign in to the dashboard yet; this link makes the first admin, once, within an hour:\n  {url}"
        ));
    }
    Ok(())
}
