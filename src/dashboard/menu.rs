//! The menu, its counts, and the banners above every page.

use super::answer::Failure;
use super::text::line;
use super::visit::Visit;
use crate::incident::brake::Mode;
use crate::operator::Role;
use crate::store::{Paused, Store};

/// A page of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Needs,
    Incidents,
    Revoked,
    Issuers,
    Reporters,
    Queue,
    Times,
    Tokens,
    Audit,
    Drill,
    Operators,
    Settings,
}

pub struct Group {
    pub title: Option<&'static str>,
    pub items: Vec<Item>,
}

pub struct Item {
    pub path: &'static str,
    pub name: &'static str,
    pub current: bool,
    pub count: Option<i64>,
}

/// A line above every page.
pub struct Banner {
    pub text: String,
    pub bad: bool,
    pub link: Option<&'static str>,
}

type Entry = (Page, &'static str, &'static str, Role);

const GROUPS: &[(Option<&str>, &[Entry])] = &[
    (
        None,
        &[
            (Page::Needs, "/dashboard", "Needs a human", Role::Viewer),
            (Page::Incidents, "/dashboard/incidents", "Incidents", Role::Viewer),
            (Page::Revoked, "/dashboard/revoked", "Revoked tokens", Role::Viewer),
        ],
    ),
    (
        Some("Flow"),
        &[
            (Page::Issuers, "/dashboard/issuers", "Issuers", Role::Viewer),
            (Page::Reporters, "/dashboard/reporters", "Reporters", Role::Viewer),
            (Page::Queue, "/dashboard/queue", "Queue", Role::Viewer),
            (Page::Times, "/dashboard/times", "Response times", Role::Viewer),
        ],
    ),
    (
        Some("House"),
        &[
            (Page::Tokens, "/dashboard/tokens", "Our own tokens", Role::Viewer),
            (Page::Audit, "/dashboard/audit", "Audit trail", Role::Viewer),
            (Page::Drill, "/dashboard/drill", "Fire drill", Role::Viewer),
            (Page::Operators, "/dashboard/operators", "Operators", Role::Admin),
            (Page::Settings, "/dashboard/settings", "Settings", Role::Viewer),
        ],
    ),
];

pub fn menu(current: Page, waiting: i64, role: Role) -> Vec<Group> {
    let item = |(page, path, name, _): &Entry| Item {
        path,
        name,
        current: *page == current,
        count: (*page == Page::Needs && waiting > 0).then_some(waiting),
    };
    let group = |(title, entries): &(Option<&'static str>, &[Entry])| Group {
        title: *title,
        items: entries.iter().filter(|(.., needed)| role.allows(*needed)).map(item).collect(),
    };
    GROUPS.iter().map(group).collect()
}

/// How many incidents need a human.
pub async fn waiting(store: &Store) -> Result<i64, Failure> {
    let needs = store.needs_human().await?;
    Ok(needs.held.iter().chain(&needs.stuck).map(|group| group.incidents).sum())
}

/// What everybody must know, whatever page they are on.
pub async fn banners(visit: &Visit) -> Result<Vec<Banner>, Failure> {
    let mut banners = Vec::new();
    if visit.app.store.brake().mode == Mode::DryRun {
        let text = "Dry run: no token is revoked and no owner is mailed. Live tokens are held.".into();
        banners.push(Banner { text, bad: false, link: None });
    }
    let pauses = visit.app.store.pauses().await?;
    let issuers: Vec<String> = pauses
        .iter()
        .filter_map(|pause| match &pause.what {
            Paused::Everything => None,
            Paused::Issuer(name) => Some(line(name.as_str())),
        })
        .collect();
    if issuers.len() < pauses.len() {
        let text = "Everything is paused: leaked tokens stay alive.".into();
        banners.push(Banner { text, bad: true, link: Some("/dashboard/issuers") });
    } else if !issuers.is_empty() {
        let text = format!("Paused: {}. Its leaked tokens stay alive.", issuers.join(", "));
        banners.push(Banner { text, bad: true, link: Some("/dashboard/issuers") });
    }
    Ok(banners)
}
