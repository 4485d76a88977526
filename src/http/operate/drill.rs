//! `/api/v1/drill`: a honey token through the whole path, and what earlier ones told.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, problem_of};
use crate::clock::Timestamp;
use crate::drill::NotBegun;
use crate::http::auth::Operator;
use crate::http::input::{Json, Path};
use crate::http::{Access, App, Problem, Route, schema};
use crate::id::DrillId;
use crate::incident::drill::Drill;
use crate::incident::{Actor, EmailAddress};
use crate::operator::Role;

pub fn routes() -> [Route; 3] {
    let stage = || {
        schema::object(json!({ "stage": schema::text(), "result": schema::text(), "goal_ms": schema::count(),
            "took_ms": { "type": ["integer", "null"] }, "note": schema::text() }))
    };
    let drill = || {
        schema::object(json!({ "id": schema::text(), "verdict": schema::word(&["failed", "passed", "running", "slow"]),
            "reach": schema::word(&["intake_and_mail", "whole"]), "incident_id": schema::maybe(schema::text()),
            "started_by": schema::text(), "started_at": schema::time(), "finished_at": schema::maybe(schema::time()),
            "stages": schema::list(stage()) }))
    };
    let listed = schema::object(json!({ "drills": schema::list(drill()) }));
    let address = "Whom the mail goes to; by default the configuration's contact";
    [
        Route::post(
            "/api/v1/drill",
            Access::Operator(Role::Responder),
            "Begins a fire drill: makes a token, has it reported, and watches what becomes of it",
            begin,
        )
        .takes(schema::body(&[], json!({ "address": { "type": ["string", "null"], "description": address } })))
        .gives(202, "It runs; ask for it by its id", drill())
        .refuses(409, "Another one runs, or nobody can be mailed"),
        Route::get("/api/v1/drill", Access::Operator(Role::Viewer), "Lists the latest fire drills", list).gives(
            200,
            "The latest, newest first",
            listed,
        ),
        Route::get("/api/v1/drill/{id}", Access::Operator(Role::Viewer), "Shows how a fire drill stands", show).gives(
            200,
            "Each stage with its result and its time",
            drill(),
        ),
    ]
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    address: Option<String>,
}

async fn begin(State(app): State<App>, operator: Operator, Json(wanted): Json<Wanted>) -> Result<Response, Problem> {
    let address = wanted.address.map(|text| EmailAddress::parse(&text)).transpose();
    let address = address.map_err(|_| bad("`address` is none"))?;
    let drill = app.begin_drill(Actor::Operator(operator.name), address).await.map_err(|error| match error {
        NotBegun::Store(error) => problem_of(error),
        other => Problem::new(StatusCode::CONFLICT).told(other.to_string()),
    })?;
    Ok((StatusCode::ACCEPTED, Answer(shown(&drill, app.clock.now()))).into_response())
}

impl App {
    /// Begins a drill, which goes on by itself; [`Store::drill`](crate::store::Store::drill) tells how it stands.
    ///
    /// # Errors
    /// When another one runs, or nobody can be mailed.
    pub async fn begin_drill(&self, actor: Actor, address: Option<EmailAddress>) -> Result<Drill, NotBegun> {
        let drills = Arc::clone(self.drills().ok_or(NotBegun::Nowhere)?);
        let begun = drills.begin(actor, address).await?;
        let drill = begun.drill.clone();
        tokio::spawn(async move { drills.run(begun, |_| {}).await });
        Ok(drill)
    }
}

async fn list(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let (drills, now) = (app.store.drills(20).await.map_err(problem_of)?, app.clock.now());
    Ok(Answer(json!({ "drills": drills.iter().map(|drill| shown(drill, now)).collect::<Vec<_>>() })))
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Value>, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND);
    let id: DrillId = id.parse().map_err(|_| missing())?;
    let drill = app.store.drill(id).await.map_err(problem_of)?.ok_or_else(missing)?;
    Ok(Answer(shown(&drill, app.clock.now())))
}

fn shown(drill: &Drill, now: Timestamp) -> Value {
    let mut shown = json!(drill);
    shown["verdict"] = json!(drill.verdict(now).word());
    shown
}
