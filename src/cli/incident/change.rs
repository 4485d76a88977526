//! `stanch incident dismiss`, `recheck`, `release`, `resend` and `retry`: moves that only a person makes, one by one or by a filter.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, value_parser};
use serde_json::{Value, json};

use super::super::{Context, HintExt as _, Usage, operator, out, ready};
use crate::id::{IncidentId, ReleaseId};
use crate::incident::Step;
use crate::incident::brake::Cause;
use crate::redact::inert;
use crate::store::{Change, ChangeFilter, Changed, MOST, Moved, Order, Selection, Store};

#[derive(Args)]
#[command(after_help = "A dismissed token stays as alive as it was. Say why: it is kept in the audit trail.\n\
                        With `--all` it is about held and stuck incidents: without `--yes` it only tells how many.")]
pub struct Dismiss {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
#[command(
    after_help = "Its token must still be sealed: an incident that is over has nothing left to ask with. A token \
                        that is reported again is asked about anyway."
)]
pub struct Recheck {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
#[command(
    after_help = "The first mail stays the one that counts in the figures. Nobody is mailed once the address was \
                        erased on its date."
)]
pub struct Resend {
    /// The incidents' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<IncidentId>,
    /// Why; kept in the audit trail, so without secrets in it
    #[arg(long)]
    reason: Option<String>,
    /// What was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = "Where a release takes two people, this asks for it, and another operator approves it:\n  \
                        stanch incident approve rel_…\n\n\
                        Examples:\n  stanch incident release inc_… --reason \"looked at it\"\n  \
                        stanch incident release --all --issuer acme --limit 100 --reason \"a real leak\" --yes")]
pub struct Release {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  stanch incident retry inc_…\n  \
                        stanch incident retry --all --issuer acme --step revoke --reason \"its credential is mended\" --yes")]
pub struct Retry {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
pub struct Decide {
    /// The id of the release, as `stanch incident held` shows it
    #[arg(value_name = "ID")]
    id: ReleaseId,
    /// Why; kept in the audit trail, so without secrets in it
    #[arg(long)]
    reason: Option<String>,
    /// What was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Which {
    /// The incidents' ids
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    ids: Vec<IncidentId>,
    /// Why; kept in the audit trail, so without secrets in it
    #[arg(long, required_unless_present = "ids")]
    reason: Option<String>,
    /// All that can be changed so, the oldest first
    #[arg(long)]
    all: bool,
    /// Of them: only those of this issuer
    #[arg(long, value_name = "NAME", requires = "all")]
    issuer: Option<String>,
    /// Only tokens of this kind
    #[arg(long, value_name = "NAME", requires = "all")]
    kind: Option<String>,
    /// Only those that this origin reported first
    #[arg(long, value_name = "NAME", requires = "all")]
    origin: Option<String>,
    /// Only those that are held for this cause
    #[arg(long, requires = "all", value_parser = PossibleValuesParser::new(Cause::ALL.iter().map(|cause| cause.word())))]
    cause: Option<String>,
    /// Only those that are stuck at this step
    #[arg(long, requires = "all", value_parser = PossibleValuesParser::new(Step::ALL.iter().map(|step| step.word())))]
    step: Option<String>,
    /// Most of them at once
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=i64::from(MOST)))]
    limit: u32,
    /// Do it, instead of telling how many it would be
    #[arg(long, requires = "all")]
    yes: bool,
    /// What was done, or would be, as JSON
    #[arg(long)]
    json: bool,
}

impl Dismiss {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        change(context, Change::Dismiss, self.which).await
    }
}

impl Recheck {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        change(context, Change::Recheck, self.which).await
    }
}

impl Resend {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let order = order(context, self.reason);
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let done = by_id(&store, Change::Resend, &self.ids, &order, self.json).await;
        store.close().await;
        done
    }
}

impl Release {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        change(context, Change::Release, self.which).await
    }
}

impl Retry {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        change(context, Change::Retry, self.which).await
    }
}

impl Decide {
    /// The second person's word.
    pub async fn approve(self, context: &Context) -> anyhow::Result<ExitCode> {
        let (id, json, order) = (self.id, self.json, order(context, self.reason));
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let approved = store.approve_release(id, &order).await;
        store.close().await;
        let moved = approved.hint("`stanch incident held` shows the releases that wait")?;
        if json {
            return told(&json!({ "release_id": id, "changed": moved.moved, "refused": refusals(&moved) }), &moved);
        }
        out::talk(format!("approved release {id}: {} incidents go on", moved.moved.len()));
        Ok(refused(&moved))
    }

    pub async fn withdraw(self, context: &Context) -> anyhow::Result<ExitCode> {
        let (id, json, order) = (self.id, self.json, order(context, self.reason));
        let store = ready::open_store(&context.config()?, &context.clock).await?;
        let withdrawn = store.withdraw_release(id, &order).await;
        store.close().await;
        withdrawn.hint("`stanch incident held` shows the releases that wait")?;
        if json {
            return told(&json!({ "withdrawn": id }), &Moved::default());
        }
        out::talk(format!("withdrew release {id}; its incidents stay held"));
        Ok(ExitCode::SUCCESS)
    }
}

impl Which {
    fn filter(&self) -> anyhow::Result<ChangeFilter> {
        let word = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
        Ok(ChangeFilter {
            issuer: word(&self.issuer),
            kind: word(&self.kind),
            origin: word(&self.origin),
            cause: self.cause.as_deref().map(str::parse).transpose()?,
            step: self.step.as_deref().map(str::parse).transpose()?,
            before: None,
        })
    }
}

async fn change(context: &Context, change: Change, which: Which) -> anyhow::Result<ExitCode> {
    let config = context.config()?;
    let order = order(context, which.reason.clone());
    if change == Change::Release && config.brake.second_person && order.reason.is_none() {
        return Err(Usage("say why with `--reason`: the second person wants to know".into()).into());
    }
    let store = ready::open_store(&config, &context.clock).await?;
    let done = if which.all {
        by_filter(&store, change, &which, &order).await
    } else {
        by_id(&store, change, &which.ids, &order, which.json).await
    };
    store.close().await;
    done
}

/// One line for each incident. One that cannot be changed does not keep the others from it.
async fn by_id(
    store: &Store,
    change: Change,
    ids: &[IncidentId],
    order: &Order,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let moved = match store.change(change, &Selection::Ids(ids.to_vec()), order).await? {
        Changed::Done(moved) => moved,
        Changed::Requested { id, incidents } => return requested(id, incidents, json),
    };
    if json {
        return told(&json!({ "changed": moved.moved, "refused": refusals(&moved) }), &moved);
    }
    for id in &moved.moved {
        // It may have gone on meanwhile, and then that is the truth.
        let state = store.incident(*id).await?.map_or("gone", |incident| incident.state.word());
        out::talk(format!("{} incident {id}; it is {state} now", done(change)));
    }
    Ok(refused(&moved))
}

async fn by_filter(store: &Store, change: Change, which: &Which, order: &Order) -> anyhow::Result<ExitCode> {
    let (filter, limit) = (which.filter()?, which.limit);
    if !which.yes {
        let preview = store.preview(change, &filter).await?;
        let most = preview.incidents.min(i64::from(limit));
        if which.json {
            let shown = json!({ "would_change": most, "matching": preview.incidents, "sample": preview.sample });
            return told(&shown, &Moved::default());
        }
        out::talk(format!("{most} of {} incidents would be {}", preview.incidents, done(change)));
        preview.sample.iter().try_for_each(out::data)?;
        out::talk("hint: say `--yes` to do it; `stanch incident show ID` tells more about each");
        return Ok(ExitCode::SUCCESS);
    }
    match store.change(change, &Selection::Matching { filter: filter.clone(), limit }, order).await? {
        Changed::Requested { id, incidents } => requested(id, incidents, which.json),
        Changed::Done(moved) => {
            let left = store.preview(change, &filter).await?.incidents;
            if which.json {
                let shown = json!({ "changed": moved.moved, "left": left, "refused": refusals(&moved) });
                return told(&shown, &moved);
            }
            out::talk(format!("{} {} incidents; {left} are left", done(change), moved.moved.len()));
            Ok(refused(&moved))
        }
    }
}

fn requested(id: ReleaseId, incidents: u64, json: bool) -> anyhow::Result<ExitCode> {
    if incidents == 0 {
        out::talk("nothing is held that is not asked for already");
        return Ok(ExitCode::FAILURE);
    }
    if json {
        return told(&json!({ "release_id": id, "incidents": incidents }), &Moved::default());
    }
    out::talk(format!("asked for the release of {incidents} incidents; another operator must approve it:"));
    out::talk(format!("  stanch incident approve {id}"));
    Ok(ExitCode::SUCCESS)
}

/// As JSON; what was refused is a failure either way.
fn told(shown: &Value, moved: &Moved) -> anyhow::Result<ExitCode> {
    out::data(serde_json::to_string_pretty(shown)?)?;
    Ok(if moved.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn refusals(moved: &Moved) -> Vec<Value> {
    moved.refused.iter().map(|(id, why)| json!({ "id": id, "reason": why })).collect()
}

fn refused(moved: &Moved) -> ExitCode {
    for (id, why) in &moved.refused {
        out::talk(format!("error: incident {id}: {why}"));
    }
    if moved.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn order(context: &Context, reason: Option<String>) -> Order {
    let reason = reason.map(|reason| inert(reason.trim(), 500)).filter(|reason| !reason.is_empty());
    Order { actor: operator(context), reason }
}

fn done(change: Change) -> &'static str {
    match change {
        Change::Dismiss => "dismissed",
        Change::Recheck => "rechecked",
        Change::Release => "released",
        Change::Resend => "resent the mail of",
        Change::Retry => "retried",
    }
}
