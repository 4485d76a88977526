//! `stanch issuer`: who is asked, how they are, and the switch that keeps them from being called.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::out::Colour;
use super::table::Table;
use super::{Context, HintExt as _, Usage, operator, out, ready, when};
use crate::incident::IssuerName;
use crate::issuer::Locality;
use crate::redact::inert;
use crate::store::{Order, Pause as Stored, Paused};

#[derive(Subcommand)]
pub enum Command {
    /// List the issuers, with what is paused
    List(List),
    /// Call an issuer no more; its incidents wait, and reports are still accepted
    Pause(Switch),
    /// Call it again
    Resume(Switch),
    /// Show one of them: what waits for it, and how each process finds it
    Show(Show),
}

#[derive(Args)]
pub struct List {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Show {
    /// The issuer's name
    #[arg(value_name = "NAME")]
    name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(
    after_help = "Every worker on every machine honours it at its next look at the queue, within a second or two; \
                        calls that are under way are ended."
)]
pub struct Switch {
    /// The issuer's name
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NAME")]
    name: Option<String>,
    /// All issuers, and the mail to owners
    #[arg(long)]
    all: bool,
    /// Why; kept in the audit trail, so without secrets in it
    #[arg(long)]
    reason: String,
    /// What is so now, as JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(command) => command.run(context).await,
            Self::Pause(command) => command.run(context, true).await,
            Self::Resume(command) => command.run(context, false).await,
            Self::Show(command) => command.run(context).await,
        }
    }
}

impl List {
    async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let store = ready::open_store(&config, &context.clock).await?;
        let issuers = ready::issuers(&config, &store, &context.clock)?;
        let read = async { Ok::<_, crate::store::Error>((store.pauses().await?, store.waiting().await?)) };
        let read = read.await;
        store.close().await;
        let (pauses, waiting) = read?;
        let pause_of = |name: &IssuerName| pauses.iter().find(|pause| pause.what == Paused::Issuer(name.clone()));
        let everything = pauses.iter().find(|pause| pause.what == Paused::Everything);
        let count = |counts: &[(String, i64)], name: &IssuerName| {
            counts.iter().find(|(counted, _)| counted == name.as_str()).map_or(0, |(_, count)| *count)
        };
        let where_is = |locality| if locality == Locality::Local { "here" } else { "elsewhere" };
        if self.json {
            let listed = issuers.iter().map(|issuer| {
                json!({ "name": issuer.name().as_str(), "where": where_is(issuer.locality()),
                        "live": count(&waiting.live, issuer.name()), "held": count(&waiting.held, issuer.name()),
                        "paused": pause_of(issuer.name()).map(told) })
            });
            let shown = json!({ "everything_paused": everything.map(told), "issuers": listed.collect::<Vec<_>>() });
            out::data(serde_json::to_string_pretty(&shown)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(pause) = everything {
            out::talk(format!("everything is paused {}", words(pause, context)));
        }
        let mut table = Table::new(Colour::of(&context.environment), &["name", "where", "live", "held", "paused"]);
        for issuer in issuers.iter() {
            let name = issuer.name();
            let stopped = pause_of(name).map_or_else(|| "no".into(), |pause| words(pause, context));
            let counts = [&waiting.live, &waiting.held].map(|counts| count(counts, name).to_string());
            let [live, held] = counts;
            table.row([name.to_string(), where_is(issuer.locality()).into(), live, held, stopped]);
        }
        table.lines().iter().try_for_each(out::data)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let (config, now) = (context.config()?, context.clock.now());
        let store = ready::open_store(&config, &context.clock).await?;
        let issuers = ready::issuers(&config, &store, &context.clock)?;
        let read = async {
            Ok::<_, crate::store::Error>((store.pauses().await?, store.waiting().await?, store.issuer_health().await?))
        };
        let read = read.await;
        store.close().await;
        let name = IssuerName::new(&self.name);
        let Some(issuer) = issuers.named(&name) else {
            let known: Vec<String> = issuers.iter().map(|issuer| issuer.name().to_string()).collect();
            return Err(Usage(format!("no issuer is called `{}`", inert(&self.name, 64))))
                .hint(format!("configured are {}", known.join(", ")));
        };
        let (pauses, waiting, health) = read?;
        let pause = pauses.iter().find(|pause| pause.what == Paused::Issuer(name.clone()));
        let nodes: Vec<_> = health.iter().filter(|found| found.issuer == name).collect();
        let count = |counts: &[(String, i64)]| {
            counts.iter().find(|(counted, _)| counted == name.as_str()).map_or(0, |(_, count)| *count)
        };
        if self.json {
            let nodes = nodes.iter().map(|found| {
                json!({ "node": inert(&found.node, 64), "breaker": found.breaker, "resting_until": found.resting_until,
                        "reason": found.reason.as_deref().map(|why| inert(why, 300)), "updated_at": found.updated_at })
            });
            let shown = json!({ "name": name.as_str(), "live": count(&waiting.live), "held": count(&waiting.held),
                "paused": pause.map(told), "nodes": nodes.collect::<Vec<_>>() });
            out::data(serde_json::to_string_pretty(&shown)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let place = if issuer.locality() == Locality::Local { "in our own database" } else { "elsewhere" };
        out::data(format!("{name}: keeps its tokens {place}"))?;
        out::data(format!("  live and not yet revoked  {}", count(&waiting.live)))?;
        out::data(format!("  held by the brake         {}", count(&waiting.held)))?;
        out::data(format!(
            "  paused                    {}",
            pause.map_or_else(|| "no".into(), |it| words(it, context))
        ))?;
        for found in nodes {
            let why = found.reason.as_deref().map(|why| format!(": {}", inert(why, 200))).unwrap_or_default();
            let ago = when::relative(found.updated_at, now);
            out::data(format!(
                "  {} finds it {}{why} ({ago})",
                inert(&found.node, 64),
                found.breaker.replace('_', " ")
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Switch {
    async fn run(self, context: &Context, pause: bool) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let reason = inert(self.reason.trim(), 500);
        if reason.is_empty() {
            return Err(Usage("say why with `--reason`".into()).into());
        }
        let order = Order { actor: operator(context), reason: Some(reason) };
        let store = ready::open_store(&config, &context.clock).await?;
        let issuers = ready::issuers(&config, &store, &context.clock)?;
        let what = self.name.as_deref().map_or(Paused::Everything, |name| Paused::Issuer(IssuerName::new(name)));
        // A pause that outlived its issuer can still be taken away.
        if let (Paused::Issuer(name), true) = (&what, pause)
            && issuers.named(name).is_none()
        {
            store.close().await;
            let known: Vec<String> = issuers.iter().map(|issuer| issuer.name().to_string()).collect();
            return Err(Usage(format!("no issuer is called `{}`", inert(name.as_str(), 64))))
                .hint(format!("configured are {}", known.join(", ")));
        }
        let changed = if pause { store.pause(&what, &order).await } else { store.resume(&what, &order).await };
        store.close().await;
        let named = match &what {
            Paused::Everything => "everything".to_owned(),
            Paused::Issuer(name) => format!("issuer {name}"),
        };
        let (did, is) = if pause { ("paused", "paused already") } else { ("resumed", "not paused") };
        let changed = changed?;
        if self.json {
            let name = self.name.as_deref().map(|name| inert(name, 64));
            out::data(json!({ "issuer": name, "paused": pause, "changed": changed }).to_string())?;
            return Ok(ExitCode::SUCCESS);
        }
        out::talk(if changed { format!("{did} {named}") } else { format!("{named} is {is}") });
        Ok(ExitCode::SUCCESS)
    }
}

fn told(pause: &Stored) -> serde_json::Value {
    json!({ "by": inert(&pause.actor, 80), "reason": inert(&pause.reason, 500), "at": pause.paused_at })
}

fn words(pause: &Stored, context: &Context) -> String {
    let (by, ago) = (inert(&pause.actor, 64), when::relative(pause.paused_at, context.clock.now()));
    format!("by {by} {ago}: {}", inert(&pause.reason, 60))
}
