//! `stanch incident show`.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;

use super::super::out::{Colour, Ink};
use super::super::table::Table;
use super::super::{Context, HintExt as _, out, ready, when};
use super::view::{Moment, Seen, View};
use crate::clock::Timestamp;
use crate::id::IncidentId;
use crate::store::Store;

#[derive(Args)]
#[command(
    after_help = "Places where a token was seen were chosen by strangers: they are shown as they were sent, made \
                        inert, and are not to be opened without care."
)]
pub struct Show {
    /// The incident's id
    #[arg(value_name = "ID")]
    id: IncidentId,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// All that is known about one incident.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    incident: View,
    occurrences: Vec<Seen>,
    timeline: Vec<Moment>,
}

impl Show {
    pub async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let config = context.config()?;
        let store = ready::open_store(&config, &context.clock).await?;
        let whole = read(&store, self.id).await;
        store.close().await;
        let whole = whole?
            .ok_or_else(|| anyhow!("there is no incident {}", self.id))
            .hint("`stanch incident list` shows those that there are")?;
        if self.json {
            out::data(serde_json::to_string_pretty(&whole)?)?;
        } else {
            whole.lines(context.clock.now(), Colour::of(&context.environment)).iter().try_for_each(out::data)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn read(store: &Store, id: IncidentId) -> Result<Option<Whole>, crate::store::Error> {
    let Some(incident) = store.incident(id).await? else { return Ok(None) };
    let occurrences = store.occurrences(id).await?.iter().map(Seen::of).collect();
    let received_at = incident.received_at;
    let timeline = store.timeline(id).await?.iter().map(|event| Moment::of(event, received_at)).collect();
    Ok(Some(Whole { incident: View::of(&incident), occurrences, timeline }))
}

impl Whole {
    fn lines(&self, now: Timestamp, colour: Colour) -> Vec<String> {
        let mut lines = self.facts(now);
        lines.push(String::new());
        lines.push(colour.paint(Ink::Bold, "SEEN AT"));
        lines.extend(self.occurrences.iter().flat_map(|seen| place_lines(seen, now)));
        lines.push(String::new());
        let mut table = Table::new(colour, &["when", "after", "what", "by whom", "detail"]);
        for moment in &self.timeline {
            let detail = if moment.detail.is_null() { String::new() } else { moment.detail.to_string() };
            let after = when::measured(moment.at.since(self.incident.received_at));
            table.row([when::absolute(moment.at), after, moment.kind.clone(), moment.actor.clone(), detail]);
        }
        lines.extend(table.lines());
        lines
    }

    fn facts(&self, now: Timestamp) -> Vec<String> {
        let view = &self.incident;
        let note = view.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let mut facts = vec![
            ("incident", view.id.clone()),
            ("state", format!("{}{note}", view.state)),
            ("kind", format!("{}, by {}", view.kind, view.confidence)),
            ("issuer", view.issuer.clone().unwrap_or_else(|| "none is configured for this kind".into())),
        ];
        if let Some(token) = &view.token {
            let name = token.name.as_ref().map(|name| format!("`{name}`, ")).unwrap_or_default();
            let hint = if token.hint.is_empty() { String::new() } else { format!(", ends in {}", token.hint) };
            facts.push(("token", format!("{name}id {}{hint}", token.id)));
            facts.extend(token.owner.clone().map(|owner| ("owner", owner)));
            facts.extend((!token.scopes.is_empty()).then(|| ("scopes", token.scopes.join(" "))));
            let times =
                [("created", token.created_at), ("last used", token.last_used_at), ("expires", token.expires_at)];
            facts.extend(times.into_iter().filter_map(|(name, at)| Some((name, when::both(at?, now)))));
            facts.extend(token.last_used_from.clone().map(|network| ("used from", network)));
            facts.extend(token.used_after_report.map(|used| {
                (
                    "exposure",
                    if used { "used after it was reported" } else { "no use on record since the report" }.into(),
                )
            }));
        }
        facts.push(("reported", format!("{}, by {}", when::both(view.received_at, now), view.origin)));
        facts.push(("delivery", view.delivery_id.clone()));
        facts.extend(view.latencies().into_iter().map(|(name, span)| (name, format!("after {span}"))));
        facts.extend(view.notice_id.clone().map(|id| ("notice", id)));
        facts.extend(view.closed_at.map(|at| ("closed", when::both(at, now))));
        facts.into_iter().map(|(name, value)| format!("{name:<10} {value}")).collect()
    }
}

fn place_lines(seen: &Seen, now: Timestamp) -> Vec<String> {
    let times = if seen.reports == 1 { "once".into() } else { format!("{} times, last", seen.reports) };
    let reported = format!("reported {times} {} by {}", when::both(seen.last_reported_at, now), seen.origin);
    let Some(place) = &seen.place else {
        return vec!["  (what the reporter sent was purged on its date)".into(), format!("    {reported}")];
    };
    let url = if place.url.is_empty() { "(no address was sent)" } else { &place.url };
    let source = if place.source.is_empty() { String::new() } else { format!("{}, ", place.source) };
    vec![format!("  {url}"), format!("    {source}{reported}, as `{}`", place.sent_type)]
}
