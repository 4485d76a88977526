//! `stanch incident dismiss`, `release` and `retry`: moves that only a person makes.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::{Context, out, ready};
use crate::clock::Timestamp;
use crate::id::IncidentId;
use crate::incident::{Actor, Event, EventKind, IllegalMove, Incident};
use crate::redact::inert;

#[derive(Args)]
#[command(after_help = "A dismissed token stays as alive as it was. Say why: it is kept in the audit trail.")]
pub struct Dismiss {
    #[command(flatten)]
    ids: Ids,
    /// Why; kept in the audit trail, so without secrets in it
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Args)]
pub struct Release {
    #[command(flatten)]
    ids: Ids,
}

#[derive(Args)]
pub struct Retry {
    #[command(flatten)]
    ids: Ids,
}

#[derive(Args)]
struct Ids {
    /// The incidents' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<IncidentId>,
}

impl Dismiss {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let detail = self.reason.map_or(serde_json::Value::Null, |reason| json!({ "reason": inert(&reason, 500) }));
        let change = move |incident: &mut Incident, event: Event| {
            incident.dismiss()?;
            Ok(vec![event.with(detail.clone())])
        };
        change_all(context, self.ids.ids, EventKind::Dismissed, change).await
    }
}

impl Release {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let change = |incident: &mut Incident, event: Event| {
            incident.release()?;
            Ok(vec![event])
        };
        change_all(context, self.ids.ids, EventKind::Released, change).await
    }
}

impl Retry {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let change = |incident: &mut Incident, event: Event| {
            let step = incident.retry()?;
            Ok(vec![event.with(json!({ "step": step.word() }))])
        };
        change_all(context, self.ids.ids, EventKind::Retried, change).await
    }
}

/// Changes one incident after the other. One that cannot be changed does not keep the others from it.
async fn change_all<C>(context: &Context, ids: Vec<IncidentId>, kind: EventKind, change: C) -> anyhow::Result<ExitCode>
where
    C: Fn(&mut Incident, Event) -> Result<Vec<Event>, IllegalMove> + Clone + Send + 'static,
{
    let config = context.config()?;
    let store = ready::open_store(&config, &context.clock).await?;
    let actor = Actor::Operator(operator(context));
    let now: Timestamp = context.clock.now();
    let mut code = ExitCode::SUCCESS;
    for id in ids {
        let event = Event::new(now, actor.clone(), kind.clone(), Some(id));
        let change = change.clone();
        match store.intervene(id, actor.clone(), move |incident| change(incident, event)).await {
            Ok(incident) => out::talk(format!("{} incident {id}; it is {} now", kind.word(), incident.state.word())),
            Err(error) => {
                out::talk(format!("error: incident {id}: {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    store.close().await;
    Ok(code)
}

/// Who is at the keyboard, for the audit trail: the person behind `sudo`, or the account.
fn operator(context: &Context) -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| context.environment.get(name));
    inert(name.unwrap_or("unknown"), 64)
}
