//! The commands of the service.

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

use super::{
    Context, audit, config, demo, doctor, drill, export, incident, init, issuer, keys, operators, queue, reporter,
    send, serve, statistics, token, work,
};

/// What stanch was asked to do.
#[derive(Subcommand)]
pub enum Command {
    /// Read the audit trail, and prove that nothing was changed in it
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check the configuration, or show what is in effect
    #[command(subcommand)]
    Config(config::Command),
    /// Check configuration, keys, database, mail, reporters and issuers, and say what is wrong
    Doctor(doctor::Doctor),
    /// See it all work on this machine: a signed alert, a dead token, a mail
    Demo(demo::Demo),
    /// Send a honey token through the whole path of the running service, and see that it dies
    Drill(drill::Drill),
    /// Write records to standard output, for spreadsheets and programs
    #[command(subcommand)]
    Export(export::Command),
    /// Look at leaked tokens, and decide about those that wait for a person
    #[command(subcommand)]
    Incident(incident::Command),
    /// Write a commented configuration and the keys; overwrites nothing
    Init(init::Init),
    /// See who says whether tokens live, and pause or resume calling them
    #[command(subcommand)]
    Issuer(issuer::Command),
    /// List, make, rotate and check the keys that seal tokens and name them
    #[command(subcommand)]
    Keys(keys::Command),
    /// Let people in to the dashboard, and keep them out
    #[command(subcommand)]
    Operator(operators::Command),
    /// See what waits to be done, where, and for how long
    Queue(queue::Queue),
    /// See who reports, with which keys, and how it went
    #[command(subcommand)]
    Reporter(reporter::Command),
    #[cfg(feature = "scan")]
    #[command(flatten)]
    Search(super::scan::Command),
    /// Play the reporter: sign and post leaked-token reports, well-formed or not
    Send(Box<send::SendArgs>),
    /// See how much leaked, what became of it, and how fast
    Statistics(statistics::Statistics),
    /// Make, narrow, check, list, rotate and revoke tokens of the built-in issuer
    #[command(subcommand)]
    Token(token::Command),
    /// Take deliveries and work on them
    Serve(serve::Serve),
    /// Work on what other processes took in
    Work(work::Work),
}

impl Command {
    pub fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Audit(command) => wait_for(command.run(context)),
            Self::Config(command) => command.run(context),
            Self::Doctor(command) => wait_for(command.run(context)),
            Self::Demo(command) => wait_for(command.run(context)),
            Self::Drill(command) => wait_for(command.run(context)),
            Self::Export(command) => wait_for(command.run(context)),
            Self::Incident(command) => wait_for(command.run(context)),
            Self::Init(command) => command.run(context),
            Self::Issuer(command) => wait_for(command.run(context)),
            Self::Keys(command) => wait_for(command.run(context)),
            Self::Operator(command) => wait_for(command.run(context)),
            Self::Queue(command) => wait_for(command.run(context)),
            Self::Reporter(command) => wait_for(command.run(context)),
            #[cfg(feature = "scan")]
            Self::Search(command) => command.run(context),
            Self::Send(args) => wait_for(send::run(*args, context)),
            Self::Statistics(command) => wait_for(command.run(context)),
            Self::Token(command) => wait_for(command.run(context)),
            Self::Serve(command) => wait_for(command.run(context)),
            Self::Work(command) => wait_for(command.run(context)),
        }
    }
}

/// Runs a command to its end. One runtime per process: the database's background tasks live in it.
pub(super) fn wait_for<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("no threads can be started")?.block_on(command)
}
