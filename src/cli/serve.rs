//! `stanch serve`: takes deliveries, and works on them.

use std::process::ExitCode;

use clap::Args;

use super::Context;
use super::service::{Halves, Service, signalled};
use crate::config::{Flags, Listen};
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
        let flags = Flags { listen: self.listen, admin_listen: self.admin_listen, ..Flags::default() };
        let config = context.config_with(&flags)?;
        telemetry::start_log(&config.log.settings())?;
        let halves = if self.no_work { Halves::Intake } else { Halves::IntakeAndWork };
        Service::start(&config, &context.clock, halves).await?.run_until(signalled()).await;
        Ok(ExitCode::SUCCESS)
    }
}
