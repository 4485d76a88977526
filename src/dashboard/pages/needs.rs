//! Needs a human: the start page, and the only list that must be read. Empty is good, and says so.

use askama::Template;
use axum::response::Response;

use super::strip::{Tile, tiles};
use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{When, count, escaped, line};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::incident::Step;
use crate::store::{IssuerHealth, ReleaseRequest, Reporter, WaitingIncidents};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![door.get("/dashboard", "what needs a human", show)]
}

#[derive(Template)]
#[template(path = "needs.html", config = "src/dashboard/askama.toml")]
struct NeedsPage {
    shell: Shell,
    tiles: Vec<Tile>,
    releases: Vec<Release>,
    sections: Vec<Section>,
    say: String,
}

struct Section {
    title: &'static str,
    /// What it means, and what to do.
    advice: &'static str,
    tone: &'static str,
    items: Vec<Item>,
}

/// A release that waits for a second person.
struct Release {
    id: String,
    title: String,
    by: String,
    reason: String,
    since: When,
    /// Whoever asked for it does not approve it.
    mine: bool,
}

struct Item {
    title: String,
    reason: String,
    since: Option<When>,
    link: String,
    action: &'static str,
}

async fn show(visit: Visit) -> Result<Response, Failure> {
    let store = &visit.app.store;
    let needs = store.needs_human().await?;
    let group = |group: &WaitingIncidents, state: &str| item(&visit, group, state);
    let is_mail = |group: &&WaitingIncidents| group.step == Some(Step::Notify);
    let (health, reporters) = (store.issuer_health().await?, store.reporters(visit.week_ago()).await?);
    let releases = store.held().await?.requests;
    let mine = visit.actor().text();
    let release = |request: &ReleaseRequest| Release {
        id: request.id.to_string(),
        title: format!("Release of {}", count(request.incidents, "incident", "incidents")),
        by: line(&request.requested_by).replacen(':', " ", 1),
        reason: line(&request.reason),
        since: When::new(request.requested_at, visit.now),
        mine: request.requested_by == mine,
    };
    let mut sections = vec![
        Section {
            title: "Held by the brake",
            advice: "These tokens are alive and were found in public. Look at a few, then release or dismiss them.",
            tone: "warn",
            items: needs.held.iter().map(|it| group(it, "held")).collect(),
        },
        Section {
            title: "Stuck",
            advice: "A step gave up. Mend what the reason names, then retry; nothing is lost meanwhile.",
            tone: "bad",
            items: needs.stuck.iter().filter(|it| !is_mail(it)).map(|it| group(it, "stuck")).collect(),
        },
        Section {
            title: "Owners who could not be told",
            advice: "The tokens are revoked. Find another way to the owner, or mend the mail and retry.",
            tone: "warn",
            items: needs.stuck.iter().filter(is_mail).map(|it| group(it, "stuck")).collect(),
        },
        Section {
            title: "Issuers",
            advice: "While an issuer is not called, its leaked tokens stay alive.",
            tone: "bad",
            items: health.iter().filter(|it| it.breaker != "closed").map(|it| issuer(&visit, it)).collect(),
        },
        Section {
            title: "Reporters",
            advice: "Reports that are never ours mean a wrong expression at the reporter or a missing kind here.",
            tone: "warn",
            items: reporters.iter().filter(|it| it.is_never_valid(visit.now)).map(reporter).collect(),
        },
    ];
    if needs.overdue_purges > 0 {
        sections.push(Section {
            title: "Overdue purges",
            advice: "The reporter's agreement sets a date. The sweep of a running worker erases what is due.",
            tone: "bad",
            items: vec![Item {
                title: count(needs.overdue_purges, "place is kept too long", "places are kept too long"),
                reason: String::new(),
                since: None,
                link: "/dashboard/queue".into(),
                action: "Look",
            }],
        });
    }
    sections.retain(|section| !section.items.is_empty());
    let shell = visit.shell(Page::Needs).await?;
    let tiles = tiles(&visit, &health, &reporters).await?;
    let releases: Vec<_> = releases.iter().map(release).collect();
    let say = match shell.waiting {
        0 => "Nothing needs you".into(),
        waiting => format!("{} a human", count(waiting, "incident needs", "incidents need")),
    };
    Ok(page(&NeedsPage { shell, tiles, releases, sections, say }))
}

fn item(visit: &Visit, group: &WaitingIncidents, state: &str) -> Item {
    let issuer = group.issuer.as_ref().map(ToString::to_string);
    let at = issuer.as_ref().map_or_else(|| "without an issuer".into(), |name| format!("at {}", line(name)));
    let step = group.step.map(|step| format!(", step {step}")).unwrap_or_default();
    let link = match (&issuer, group.incidents) {
        (_, 1) => format!("/dashboard/incidents/{}", group.example),
        (Some(name), _) => format!("/dashboard/incidents?state={state}&issuer={}", escaped(name)),
        (None, _) => format!("/dashboard/incidents?state={state}"),
    };
    Item {
        title: format!("{} {at}{step}", count(group.incidents, "incident", "incidents")),
        reason: line(&group.reason),
        since: Some(When::new(group.oldest_received_at, visit.now)),
        link,
        action: "Look and decide",
    }
}

fn issuer(visit: &Visit, health: &IssuerHealth) -> Item {
    let word = match health.breaker.as_str() {
        "misconfigured" => "refuses us",
        "open" => "is not called",
        _ => "is tried with one call at a time",
    };
    Item {
        title: format!("{} {word}, says {}", line(health.issuer.as_str()), line(&health.node)),
        reason: line(health.reason.as_deref().unwrap_or_default()),
        since: Some(When::new(health.updated_at, visit.now)),
        link: "/dashboard/issuers".into(),
        action: "Look",
    }
}

fn reporter(reporter: &Reporter) -> Item {
    Item {
        title: format!("{} reports, and nothing was ever ours", line(&reporter.origin)),
        reason: String::new(),
        since: None,
        link: "/dashboard/reporters".into(),
        action: "Look",
    }
}
