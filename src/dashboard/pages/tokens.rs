//! Our own tokens: those of the built-in issuer. A fresh one is shown once, to whoever had it made, and kept nowhere.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, go, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{Badge, Pager, When, escaped, line};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::id::TokenId;
use crate::incident::EmailAddress;
use crate::mint::{By, Expires, Issued, Mint, Order, Refused};
use crate::operator::Role;
use crate::store::{Narrowing, NewOwner, OwnToken, OwnTokenFilter, OwnTokenKind, OwnTokenState, OwnTokenStatus};

pub fn routes(door: &Door) -> Vec<Route> {
    vec![
        door.get("/dashboard/tokens", "the built-in issuer's tokens", show),
        door.post("/dashboard/tokens", Role::Admin, "makes a token", create),
        door.get("/dashboard/tokens/{id}", "a token of the built-in issuer", one),
        door.post("/dashboard/tokens/{id}/restrict", Role::Admin, "restricts a token", restrict),
        door.post("/dashboard/tokens/{id}/rotate", Role::Admin, "puts a new token in its place", rotate),
        door.post("/dashboard/tokens/{id}/revoke", Role::Admin, "revokes a token", revoke),
    ]
}

#[derive(Clone, Default, Deserialize)]
pub struct Filter {
    #[serde(default)]
    search: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "tokens.html", config = "src/dashboard/askama.toml")]
struct TokensPage {
    shell: Shell,
    enabled: bool,
    filter: Filter,
    filtered: bool,
    rows: Vec<Row>,
    pager: Pager,
    fresh: Option<Fresh>,
    wrong: Option<String>,
}

/// A token that was just made.
struct Fresh {
    id: String,
    name: String,
    text: Zeroizing<String>,
}

struct Row {
    id: String,
    name: String,
    owner: String,
    kind: &'static str,
    hint: String,
    state: Badge,
    created: When,
    used: Option<When>,
    expires: Option<When>,
}

#[derive(Template)]
#[template(path = "token.html", config = "src/dashboard/askama.toml")]
struct TokenPage {
    shell: Shell,
    row: Row,
    facts: Vec<(&'static str, String)>,
    scopes: Vec<String>,
    dead: bool,
    incident: Option<String>,
}

const ROWS: u32 = 50;

async fn show(visit: Visit, Query(filter): Query<Filter>) -> Result<Response, Failure> {
    view(&visit, filter, None, None).await
}

async fn view(visit: &Visit, filter: Filter, fresh: Option<Fresh>, wrong: Option<String>) -> Result<Response, Failure> {
    let asked = OwnTokenFilter {
        search: Some(filter.search.trim().to_owned()).filter(|text| !text.is_empty()),
        status: filter.status.parse::<OwnTokenStatus>().ok(),
        before: filter.after.parse().ok(),
        limit: ROWS,
        ..OwnTokenFilter::default()
    };
    let tokens = visit.app.store.own_tokens(&asked).await?;
    let pairs = [("search", &filter.search), ("status", &filter.status)];
    let set = pairs.iter().filter(|(_, value)| !value.trim().is_empty());
    let query = set.map(|(name, value)| format!("{name}={}", escaped(value.trim()))).collect::<Vec<_>>().join("&");
    let full = tokens.len() == usize::try_from(ROWS).unwrap_or(usize::MAX);
    let next = tokens.last().filter(|_| full).map(|token| token.id);
    let shown = TokensPage {
        shell: visit.shell(Page::Tokens).await?,
        enabled: visit.desk.mint().is_some(),
        rows: tokens.iter().map(|token| row(visit, token)).collect(),
        pager: Pager::new("/dashboard/tokens", &query, !filter.after.is_empty(), next.as_ref()),
        filtered: !query.is_empty(),
        filter,
        fresh,
        wrong,
    };
    Ok(visit.finish(page(&shown)))
}

fn row(visit: &Visit, token: &OwnToken) -> Row {
    Row {
        id: token.id.to_string(),
        name: line(&token.name),
        owner: line(&token.owner_name),
        kind: token.kind.word(),
        hint: token.hint.clone(),
        state: state(token.state(visit.now)),
        created: When::new(token.created_at, visit.now),
        used: token.last_used_at.map(|at| When::new(at, visit.now)),
        expires: token.expires_at.map(|at| When::new(at, visit.now)),
    }
}

pub fn state(state: OwnTokenState) -> Badge {
    let tone = match state.word() {
        "active" => "good",
        "revoked" => "done",
        _ => "warn",
    };
    Badge::new(state.word(), tone)
}

async fn one(visit: Visit, Path(id): Path<String>) -> Result<Response, Failure> {
    let token = visit.app.store.own_token(read(&id)?).await?.ok_or(Failure::NotFound)?;
    let told = |at: Option<_>, none: &str| {
        at.map_or_else(
            || none.to_owned(),
            |at| {
                let when = When::new(at, visit.now);
                format!("{}, {}", when.full, when.ago)
            },
        )
    };
    let mut facts = vec![
        ("Owner", format!("{}, {:?}", line(&token.owner_name), token.owner_email)),
        ("Kind", token.kind.word().to_owned()),
        ("Begins with", line(&token.prefix)),
        ("Ends in", line(&token.hint)),
        ("Made", format!("{}, by {}", told(Some(token.created_at), ""), line(&token.created_by))),
        ("Last used", told(token.last_used_at, "never")),
        ("Uses", token.uses.to_string()),
        ("Expires", told(token.expires_at, "never")),
    ];
    if let Some(at) = token.revoked_at {
        facts.push((
            "Revoked",
            format!("{}, by {}", told(Some(at), ""), line(token.revoked_by.as_deref().unwrap_or("?"))),
        ));
        facts.push(("Why", line(token.revoked_reason.as_deref().unwrap_or_default())));
    }
    Ok(page(&TokenPage {
        shell: visit.shell(Page::Tokens).await?,
        row: row(&visit, &token),
        facts,
        scopes: token.scopes.iter().map(|scope| line(scope)).collect(),
        dead: token.is_dead(visit.now),
        incident: token.incident_id.map(|id| id.to_string()),
    }))
}

#[derive(Deserialize)]
pub struct New {
    name: String,
    owner_name: String,
    owner_email: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    scopes: String,
    #[serde(default)]
    days: String,
    password: Option<Zeroizing<String>>,
}

async fn create(mut visit: Visit, Form(new): Form<New>) -> Result<Response, Failure> {
    let mint = mint(&visit)?;
    let wrong = async |visit: &Visit, text: &str| view(visit, Filter::default(), None, Some(text.into())).await;
    let Ok(email) = EmailAddress::parse(&new.owner_email) else {
        return wrong(&visit, "The owner's address is not one that mail can be sent to.").await;
    };
    if new.owner_name.trim().is_empty() {
        return wrong(&visit, "The owner has a name.").await;
    }
    let Ok(days) = new.days.trim().parse::<u64>() else {
        return wrong(&visit, "Say in how many days it ends.").await;
    };
    let kind = match new.kind.as_str() {
        "macaroon" => OwnTokenKind::Macaroon,
        "key" => OwnTokenKind::Key,
        _ => OwnTokenKind::Pat,
    };
    visit.confirm(new.password).await?;
    let owner = NewOwner { name: new.owner_name.trim().to_owned(), email };
    let owner_id = visit.app.store.ensure_owner(owner).await?;
    let order = Order {
        scopes: words(&new.scopes),
        expires: in_days(&visit, days).map_or(Expires::Never, Expires::At),
        ..Order::new(kind, owner_id, new.name.trim().to_owned())
    };
    match mint.create(order, &by(&visit)).await {
        Ok(issued) => view(&visit, Filter::default(), Some(fresh(&issued)), None).await,
        Err(refused) => match failure(&refused) {
            Failure::Refused(text) => wrong(&visit, &text).await,
            other => Err(other),
        },
    }
}

/// The one page that shows a token: to whoever asked for it to be made.
fn fresh(issued: &Issued) -> Fresh {
    let text = Zeroizing::new(String::from_utf8_lossy(issued.secret.expose()).into_owned());
    Fresh { id: issued.token.id.to_string(), name: line(&issued.token.name), text }
}

#[derive(Deserialize)]
pub struct Change {
    #[serde(default)]
    scopes: String,
    #[serde(default)]
    days: String,
    #[serde(default)]
    hours: String,
    #[serde(default)]
    reason: String,
    password: Option<Zeroizing<String>>,
}

async fn restrict(mut visit: Visit, Path(id): Path<String>, Form(change): Form<Change>) -> Result<Response, Failure> {
    let (id, mint) = (read(&id)?, mint(&visit)?);
    visit.confirm(change.password).await?;
    let narrowing = Narrowing {
        scopes: Some(words(&change.scopes)),
        expires_at: change.days.trim().parse().ok().and_then(|days| in_days(&visit, days)),
        ..Narrowing::default()
    };
    mint.narrow(id, narrowing, &by(&visit)).await.map_err(|refused| failure(&refused))?;
    Ok(visit.finish(go(&format!("/dashboard/tokens/{id}?done=restricted"))))
}

async fn rotate(mut visit: Visit, Path(id): Path<String>, Form(change): Form<Change>) -> Result<Response, Failure> {
    let (id, mint) = (read(&id)?, mint(&visit)?);
    let hours = change.hours.trim().parse::<u64>().map_err(|_| Failure::Bad("say for how many hours both live"))?;
    visit.confirm(change.password).await?;
    let overlap = Duration::from_hours(hours.min(24 * 90));
    let issued = mint.rotate(id, overlap, &by(&visit)).await.map_err(|refused| failure(&refused))?;
    view(&visit, Filter::default(), Some(fresh(&issued)), None).await
}

async fn revoke(mut visit: Visit, Path(id): Path<String>, Form(change): Form<Change>) -> Result<Response, Failure> {
    let (id, mint) = (read(&id)?, mint(&visit)?);
    visit.confirm(change.password).await?;
    let reason = line(change.reason.trim());
    let reason = if reason.is_empty() { "revoked by an operator" } else { &reason };
    let changed = mint.revoke(id, reason, &by(&visit)).await.map_err(|refused| failure(&refused))?;
    Ok(visit.finish(go(&format!("/dashboard/tokens/{id}?done={}", if changed { "revoked" } else { "unchanged" }))))
}

fn mint(visit: &Visit) -> Result<Mint, Failure> {
    visit.desk.mint().cloned().ok_or_else(|| Failure::Refused("The built-in issuer is switched off.".into()))
}

fn by(visit: &Visit) -> By {
    By::Operator(visit.operator.name.clone())
}

fn failure(refused: &Refused) -> Failure {
    match refused {
        Refused::NotFound => Failure::NotFound,
        Refused::Unavailable(_) => Failure::Unavailable,
        other => Failure::Refused(format!("Not done: {other}.")),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// None for zero days: never.
fn in_days(visit: &Visit, days: u64) -> Option<crate::clock::Timestamp> {
    (days > 0).then(|| visit.now.plus(Duration::from_hours(24 * days.min(36_500))))
}

fn read(id: &str) -> Result<TokenId, Failure> {
    id.parse().map_err(|_| Failure::NotFound)
}
