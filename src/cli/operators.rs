//! `stanch operator`: who may sign in to the dashboard.
//!
//! Nobody types somebody else's password: `add` and `reset` print a link with which the operator chooses it.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::out::Colour;
use super::table::Table;
use super::{Context, HintExt as _, operator, out, ready, when};
use crate::config::Config;
use crate::http::auth::{LINK_LASTS, Link};
use crate::http::operator_view;
use crate::operator::Role;
use crate::store::{Operator, OperatorChange, OperatorName, Store};

#[derive(Subcommand)]
pub enum Command {
    /// Let somebody in; prints the link with which they choose a password
    #[command(after_help = "Example:\n  stanch operator add ada --role responder")]
    Add(Add),
    /// Keep an operator out at once; all sessions are over
    Disable(Named),
    /// Let a disabled operator in again
    Enable(Named),
    /// List the operators
    List(List),
    /// Take password and sessions away; prints the link for a new password
    Reset(Named),
    /// Change what an operator may do
    Role(SetRole),
}

#[derive(Args)]
pub struct Add {
    /// What they sign in with
    name: OperatorName,
    /// viewer looks, responder decides about incidents, admin also manages tokens and operators
    #[arg(long, default_value = "viewer")]
    role: Role,
    /// What was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Named {
    /// What they sign in with
    name: OperatorName,
    /// What was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct SetRole {
    /// What they sign in with
    name: OperatorName,
    /// viewer, responder or admin
    role: Role,
    /// What was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct List {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let store = ready::open_store(&config, &context.clock).await?;
        let done = self.run_on(context, &config, &store).await;
        store.close().await;
        done.map(|()| ExitCode::SUCCESS)
    }

    async fn run_on(self, context: &Context, config: &Config, store: &Store) -> anyhow::Result<()> {
        let actor = operator(context);
        let end = context.clock.now().plus(LINK_LASTS);
        match self {
            Self::Add(Add { name, role, json }) => {
                let link = Link::new()?;
                check(store.add_operator(&name, role, (link.sha256, end), actor).await?, &name)?;
                let url = link.url(&base(config, config.server.listen.0));
                if json {
                    return told(
                        &json!({ "name": name.as_str(), "role": role.word(), "link": url, "link_ends_at": end }),
                    );
                }
                out::talk(format!("added {name} as {role}; the link below works once, for {} days", days()));
                Ok(out::data(url)?)
            }
            Self::Reset(Named { name, json }) => {
                let link = Link::new()?;
                check(store.reset_operator(&name, (link.sha256, end), actor).await?, &name)?;
                let url = link.url(&base(config, config.server.listen.0));
                if json {
                    return told(&json!({ "name": name.as_str(), "link": url, "link_ends_at": end }));
                }
                out::talk(format!("{name} is signed out; the link below works once, for {} days", days()));
                Ok(out::data(url)?)
            }
            Self::Disable(Named { name, json }) => {
                check(store.disable_operator(&name, actor).await?, &name)?;
                done(json, format!("disabled {name}"), &json!({ "name": name.as_str(), "disabled": true }))
            }
            Self::Enable(Named { name, json }) => {
                check(store.enable_operator(&name, actor).await?, &name)?;
                done(json, format!("enabled {name}"), &json!({ "name": name.as_str(), "disabled": false }))
            }
            Self::Role(SetRole { name, role, json }) => {
                check(store.set_operator_role(&name, role, actor).await?, &name)?;
                done(json, format!("{name} is {role} now"), &json!({ "name": name.as_str(), "role": role.word() }))
            }
            Self::List(list) => list.run(context, &store.operators().await?),
        }
    }
}

impl List {
    fn run(&self, context: &Context, operators: &[Operator]) -> anyhow::Result<()> {
        let now = context.clock.now();
        if self.json {
            let entries: Vec<_> = operators.iter().map(operator_view).collect();
            return Ok(out::data(serde_json::to_string_pretty(&entries)?)?);
        }
        if operators.is_empty() {
            out::talk("nobody; `stanch serve` prints a link that makes the first admin");
            return Ok(());
        }
        let mut table = Table::new(Colour::of(&context.environment), &["name", "role", "state", "signed in"]);
        for operator in operators {
            let signed_in = operator.signed_in_at.map_or("never".into(), |at| when::relative(at, now));
            table.row([operator.name.to_string(), operator.role.to_string(), state(operator).into(), signed_in]);
        }
        Ok(table.lines().iter().try_for_each(out::data)?)
    }
}

fn told(shown: &serde_json::Value) -> anyhow::Result<()> {
    Ok(out::data(serde_json::to_string_pretty(shown)?)?)
}

fn done(json: bool, said: String, shown: &serde_json::Value) -> anyhow::Result<()> {
    if json {
        return told(shown);
    }
    out::talk(said);
    Ok(())
}

fn state(operator: &Operator) -> &'static str {
    match (operator.disabled_at, operator.has_password) {
        (Some(_), _) => "disabled",
        (None, true) => "active",
        (None, false) => "invited",
    }
}

fn check(changed: OperatorChange, name: &OperatorName) -> anyhow::Result<()> {
    match changed {
        OperatorChange::Done => Ok(()),
        OperatorChange::LastAdmin => Err(anyhow!("{name} is the last admin who can sign in"))
            .hint("make another one first: `stanch operator add NAME --role admin`"),
        OperatorChange::NameTaken => bail!("there is an operator called {name} already"),
        OperatorChange::Unknown => {
            Err(anyhow!("there is no operator called {name}")).hint("see `stanch operator list`")
        }
    }
}

/// Where operators find the dashboard: as it is configured, or at the listening address.
pub fn base(config: &Config, addr: SocketAddr) -> String {
    config.dashboard.base().unwrap_or_else(|| format!("http://{addr}"))
}

fn days() -> u64 {
    LINK_LASTS.as_secs() / 86_400
}
