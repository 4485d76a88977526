//! `/api/v1/issuers`: who is asked, how they are, and the switch that keeps them from being called.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Why, order_with_reason, problem_of};
use crate::http::auth::Operator;
use crate::http::input::{Json, Path};
use crate::http::{Access, App, Problem, Route, schema};
use crate::incident::IssuerName;
use crate::operator::Role;
use crate::redact::inert;
use crate::store::{Pause, Paused};

pub fn routes() -> [Route; 5] {
    let (look, act, all) = (Role::Viewer, Role::Responder, Role::Admin);
    let changed = |route: Route| {
        route.takes(schema::good_reason()).gives(
            200,
            "Whether it changed anything",
            schema::object(json!({ "paused": schema::flag(), "changed": schema::flag() })),
        )
    };
    let paused = || {
        schema::maybe(schema::object(json!({ "by": schema::text(), "reason": schema::text(), "at": schema::time() })))
    };
    let node = schema::object(json!({ "node": schema::text(), "reason": schema::maybe(schema::text()),
        "breaker": schema::word(&["closed", "half_open", "misconfigured", "open"]),
        "resting_until": schema::maybe(schema::time()), "updated_at": schema::time() }));
    let issuer = schema::object(json!({ "name": schema::text(), "live": schema::count(), "held": schema::count(),
        "paused": paused(), "nodes": schema::list(node) }));
    let post = |path, role, summary| (path, Access::Operator(role), summary);
    let (path, access, summary) = post("/api/v1/issuers/{name}/pause", act, "Calls an issuer no more; incidents wait");
    let pause = Route::post(path, access, summary, pause_one);
    let (path, access, summary) = post("/api/v1/issuers/{name}/resume", act, "Calls an issuer again");
    let resume = Route::post(path, access, summary, resume_one);
    let (path, access, summary) = post("/api/v1/pause", all, "Calls no issuer and mails nobody; incidents wait");
    let pause_all = Route::post(path, access, summary, pause_everything);
    let (path, access, summary) = post("/api/v1/resume", all, "Calls the issuers again that are not paused by name");
    let resume_all = Route::post(path, access, summary, resume_everything);
    [
        Route::get("/api/v1/issuers", Access::Operator(look), "Lists the issuers and how they are", list).gives(
            200,
            "The issuers, with what is paused",
            schema::object(json!({ "everything_paused": paused(), "issuers": schema::list(issuer) })),
        ),
        changed(pause),
        changed(resume),
        changed(pause_all),
        changed(resume_all),
    ]
}

async fn list(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let pauses = app.store.pauses().await.map_err(problem_of)?;
    let waiting = app.store.waiting().await.map_err(problem_of)?;
    let health = app.store.issuer_health().await.map_err(problem_of)?;
    let told = |what: &Paused| pauses.iter().find(|pause| pause.what == *what).map(told);
    let issuers = app.intake.issuer_names().into_iter().map(|name| {
        let count = |counts: &[(String, i64)]| {
            counts.iter().find(|(counted, _)| counted == name.as_str()).map_or(0, |(_, count)| *count)
        };
        let nodes = health.iter().filter(|found| found.issuer == name).map(|found| {
            json!({ "node": inert(&found.node, 64), "breaker": found.breaker,
                    "reason": found.reason.as_deref().map(|reason| inert(reason, 300)),
                    "resting_until": found.resting_until, "updated_at": found.updated_at })
        });
        json!({ "name": name.as_str(), "live": count(&waiting.live), "held": count(&waiting.held),
                "paused": told(&Paused::Issuer(name.clone())), "nodes": nodes.collect::<Vec<_>>() })
    });
    let issuers: Vec<Value> = issuers.collect();
    Ok(Answer(json!({ "everything_paused": told(&Paused::Everything), "issuers": issuers })))
}

fn told(pause: &Pause) -> Value {
    json!({ "by": inert(&pause.actor, 80), "reason": inert(&pause.reason, 500), "at": pause.paused_at })
}

async fn pause_one(
    State(app): State<App>,
    operator: Operator,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Result<Answer<Value>, Problem> {
    let name = IssuerName::new(&name);
    if !app.intake.issuer_names().contains(&name) {
        return Err(Problem::new(StatusCode::NOT_FOUND));
    }
    switch(&app, &operator, &Paused::Issuer(name), why, true).await
}

/// A pause that outlived its issuer can still be taken away.
async fn resume_one(
    State(app): State<App>,
    operator: Operator,
    Path(name): Path<String>,
    Json(why): Json<Why>,
) -> Result<Answer<Value>, Problem> {
    switch(&app, &operator, &Paused::Issuer(IssuerName::new(&name)), why, false).await
}

async fn pause_everything(
    State(app): State<App>,
    operator: Operator,
    Json(why): Json<Why>,
) -> Result<Answer<Value>, Problem> {
    switch(&app, &operator, &Paused::Everything, why, true).await
}

async fn resume_everything(
    State(app): State<App>,
    operator: Operator,
    Json(why): Json<Why>,
) -> Result<Answer<Value>, Problem> {
    switch(&app, &operator, &Paused::Everything, why, false).await
}

async fn switch(
    app: &App,
    operator: &Operator,
    what: &Paused,
    why: Why,
    pause: bool,
) -> Result<Answer<Value>, Problem> {
    let order = order_with_reason(operator, why.reason)?;
    let changed = if pause { app.store.pause(what, &order).await } else { app.store.resume(what, &order).await };
    Ok(Answer(json!({ "paused": pause, "changed": changed.map_err(problem_of)? })))
}
