//! Operators: who may come in, as what, and the links that let new ones in.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::Door;
use super::super::answer::{Failure, go, page};
use super::super::menu::Page;
use super::super::text::When;
use super::super::visit::{Shell, Visit};
use crate::http::auth::{LINK_LASTS, Link};
use crate::http::{Access, Route, Verb};
use crate::operator::Role;
use crate::store::{OperatorChange, OperatorName};

pub fn routes(door: &Door) -> Vec<Route> {
    let admin = Access::Operator(Role::Admin);
    vec![
        door.route(Verb::Get, "/dashboard/operators", admin, "the operators", show),
        door.post("/dashboard/operators", Role::Admin, "adds an operator", add),
        door.post("/dashboard/operators/{name}/role", Role::Admin, "changes an operator's role", set_role),
        door.post("/dashboard/operators/{name}/reset", Role::Admin, "makes a link for a new password", reset),
        door.post("/dashboard/operators/{name}/disable", Role::Admin, "keeps an operator out", disable),
        door.post("/dashboard/operators/{name}/enable", Role::Admin, "lets an operator in again", enable),
    ]
}

#[derive(Template)]
#[template(path = "operators.html", config = "src/dashboard/askama.toml")]
struct OperatorsPage {
    shell: Shell,
    operators: Vec<Row>,
    /// A link that was just made, shown once, and for whom.
    link: Option<(String, String)>,
    wrong: Option<&'static str>,
    lasts: &'static str,
}

struct Row {
    name: String,
    role: &'static str,
    state: super::super::text::Badge,
    disabled: bool,
    is_me: bool,
    signed_in: Option<When>,
}

#[derive(Deserialize)]
pub struct New {
    name: String,
    role: String,
    password: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
pub struct Given {
    #[serde(default)]
    role: String,
    password: Option<Zeroizing<String>>,
}

async fn show(visit: Visit) -> Result<Response, Failure> {
    view(&visit, None, None).await
}

async fn view(visit: &Visit, link: Option<(String, String)>, wrong: Option<&'static str>) -> Result<Response, Failure> {
    let operators = visit.app.store.operators().await?;
    let row = |operator: &crate::store::Operator| Row {
        name: operator.name.to_string(),
        role: operator.role.word(),
        state: match (operator.disabled_at, operator.has_password) {
            (Some(_), _) => super::super::text::Badge::new("disabled", "done"),
            (None, true) => super::super::text::Badge::new("active", "good"),
            (None, false) => super::super::text::Badge::new("has a link", "busy"),
        },
        disabled: operator.disabled_at.is_some(),
        is_me: operator.name.as_str() == visit.operator.name,
        signed_in: operator.signed_in_at.map(|at| When::new(at, visit.now)),
    };
    let operators = operators.iter().map(row).collect();
    let shell = visit.shell(Page::Operators).await?;
    Ok(visit.finish(page(&OperatorsPage { shell, operators, link, wrong, lasts: "3 days" })))
}

async fn add(mut visit: Visit, Form(new): Form<New>) -> Result<Response, Failure> {
    let Ok(name) = new.name.parse::<OperatorName>() else {
        return view(&visit, None, Some("A name is letters, digits and . _ - @ +, a letter or digit first.")).await;
    };
    let role = new.role.parse::<Role>().map_err(|_| Failure::Bad("no such role"))?;
    visit.confirm(new.password).await?;
    let (link, end) = (Link::new().map_err(|_| Failure::Unavailable)?, visit.now.plus(LINK_LASTS));
    match visit.app.store.add_operator(&name, role, (link.sha256, end), visit.actor()).await? {
        OperatorChange::Done => view(&visit, Some((name.to_string(), link.url(&visit.base()))), None).await,
        _ => view(&visit, None, Some("Somebody has this name already.")).await,
    }
}

async fn reset(mut visit: Visit, Path(name): Path<String>, Form(given): Form<Given>) -> Result<Response, Failure> {
    let name = named(&name)?;
    visit.confirm(given.password).await?;
    let (link, end) = (Link::new().map_err(|_| Failure::Unavailable)?, visit.now.plus(LINK_LASTS));
    match visit.app.store.reset_operator(&name, (link.sha256, end), visit.actor()).await? {
        OperatorChange::Done => view(&visit, Some((name.to_string(), link.url(&visit.base()))), None).await,
        OperatorChange::LastAdmin => Ok(visit.finish(go("/dashboard/operators?done=last_admin"))),
        OperatorChange::NameTaken | OperatorChange::Unknown => Err(Failure::NotFound),
    }
}

async fn set_role(mut visit: Visit, Path(name): Path<String>, Form(given): Form<Given>) -> Result<Response, Failure> {
    let (name, role) = (named(&name)?, given.role.parse::<Role>().map_err(|_| Failure::Bad("no such role"))?);
    visit.confirm(given.password).await?;
    let changed = visit.app.store.set_operator_role(&name, role, visit.actor()).await?;
    tell(&visit, changed, "role")
}

async fn disable(mut visit: Visit, Path(name): Path<String>, Form(given): Form<Given>) -> Result<Response, Failure> {
    let name = named(&name)?;
    visit.confirm(given.password).await?;
    let changed = visit.app.store.disable_operator(&name, visit.actor()).await?;
    tell(&visit, changed, "disabled")
}

async fn enable(mut visit: Visit, Path(name): Path<String>, Form(given): Form<Given>) -> Result<Response, Failure> {
    let name = named(&name)?;
    visit.confirm(given.password).await?;
    let changed = visit.app.store.enable_operator(&name, visit.actor()).await?;
    tell(&visit, changed, "enabled")
}

fn named(name: &str) -> Result<OperatorName, Failure> {
    name.parse().map_err(|_| Failure::NotFound)
}

fn tell(visit: &Visit, changed: OperatorChange, done: &str) -> Result<Response, Failure> {
    let done = match changed {
        OperatorChange::Done => done,
        OperatorChange::LastAdmin => "last_admin",
        OperatorChange::NameTaken | OperatorChange::Unknown => return Err(Failure::NotFound),
    };
    Ok(visit.finish(go(&format!("/dashboard/operators?done={done}"))))
}
