//! Fire drill: a token that is made to be reported goes the whole way of a leaked one, while somebody watches.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, go, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{Badge, When, line, measured};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;
use crate::id::DrillId;
use crate::incident::drill::{Drill, DrillStage, DrillVerdict, Reach, StageResult};
use crate::operator::Role;

pub fn routes(door: &Door) -> Vec<Route> {
    vec![
        door.get("/dashboard/drill", "fire drills", show),
        door.post("/dashboard/drill", Role::Admin, "begins a fire drill", begin),
        door.get("/dashboard/drill/{id}", "a fire drill", one),
    ]
}

#[derive(Template)]
#[template(path = "drills.html", config = "src/dashboard/askama.toml")]
struct DrillsPage {
    shell: Shell,
    whole: bool,
    /// Whether a drill can be made here at all.
    possible: bool,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    verdict: Badge,
    at: When,
    by: String,
    took: String,
    /// What did not go as it should.
    trouble: String,
}

#[derive(Template)]
#[template(path = "drill.html", config = "src/dashboard/askama.toml")]
struct DrillPage {
    shell: Shell,
    verdict: Badge,
    says: &'static str,
    running: bool,
    at: When,
    by: String,
    incident: Option<String>,
    stages: Vec<Stage>,
}

struct Stage {
    title: &'static str,
    tone: &'static str,
    result: &'static str,
    took: String,
    goal: String,
    note: String,
}

const LISTED: u32 = 20;

async fn show(visit: Visit) -> Result<Response, Failure> {
    let drills = visit.app.store.drills(LISTED).await?;
    let reach = visit.app.drills().map(|drills| drills.reach());
    Ok(page(&DrillsPage {
        shell: visit.shell(Page::Drill).await?,
        whole: reach == Some(Reach::Whole),
        possible: reach.is_some(),
        rows: drills.iter().map(|drill| row(&visit, drill)).collect(),
    }))
}

fn row(visit: &Visit, drill: &Drill) -> Row {
    let off = |stage: &&DrillStage| matches!(stage.result, StageResult::Failed | StageResult::Slow);
    let took = drill.finished_at.map(|at| measured(at.since(drill.started_at))).unwrap_or_default();
    let trouble = drill.stages.iter().find(off).map(|stage| {
        let how = if stage.result == StageResult::Slow { "too slow" } else { "failed" };
        format!("{}: {how}", stage.stage.title())
    });
    Row {
        id: drill.id.to_string(),
        verdict: verdict(drill, visit),
        at: When::new(drill.started_at, visit.now),
        by: line(&drill.started_by).replacen(':', " ", 1),
        took,
        trouble: trouble.unwrap_or_default(),
    }
}

fn verdict(drill: &Drill, visit: &Visit) -> Badge {
    let verdict = drill.verdict(visit.now);
    let tone = match verdict {
        DrillVerdict::Failed => "bad",
        DrillVerdict::Passed => "good",
        DrillVerdict::Running => "busy",
        DrillVerdict::Slow => "warn",
    };
    Badge::new(verdict.word(), tone)
}

#[derive(Deserialize)]
pub struct Word {
    password: Option<Zeroizing<String>>,
}

async fn begin(mut visit: Visit, Form(word): Form<Word>) -> Result<Response, Failure> {
    visit.confirm(word.password).await?;
    let begun = visit.app.begin_drill(visit.actor(), None).await;
    let drill = begun.map_err(|not| Failure::Refused(format!("No drill was begun: {not}.")))?;
    Ok(visit.finish(go(&format!("/dashboard/drill/{}", drill.id))))
}

async fn one(visit: Visit, Path(id): Path<String>) -> Result<Response, Failure> {
    let id: DrillId = id.parse().map_err(|_| Failure::NotFound)?;
    let drill = visit.app.store.drill(id).await?.ok_or(Failure::NotFound)?;
    let says = match drill.verdict(visit.now) {
        DrillVerdict::Failed => "It did not go through. Mend what is named below, and drill again.",
        DrillVerdict::Passed => "A leaked token dies here, today, and its owner hears of it.",
        DrillVerdict::Running => "It is under way, and takes some seconds.",
        DrillVerdict::Slow => "It went through, and something took longer than it should.",
    };
    Ok(page(&DrillPage {
        shell: visit.shell(Page::Drill).await?,
        verdict: verdict(&drill, &visit),
        says,
        running: drill.verdict(visit.now) == DrillVerdict::Running,
        at: When::new(drill.started_at, visit.now),
        by: line(&drill.started_by).replacen(':', " ", 1),
        incident: drill.incident_id.map(|id| id.to_string()),
        stages: drill.stages.iter().map(stage).collect(),
    }))
}

fn stage(stage: &DrillStage) -> Stage {
    let (tone, result) = match stage.result {
        StageResult::Failed => ("bad", "failed"),
        StageResult::Passed => ("good", "done"),
        StageResult::Skipped => ("", "not reached"),
        StageResult::Slow => ("warn", "too slow"),
        StageResult::Waiting => ("next", "to come"),
    };
    let span = |millis: i64| measured(Duration::from_millis(millis.unsigned_abs()));
    Stage {
        title: stage.stage.title(),
        tone,
        result,
        took: stage.took_ms.map(span).unwrap_or_default(),
        goal: span(stage.goal_ms).replace(".00", "").replace(".0", ""),
        note: line(&stage.note),
    }
}
