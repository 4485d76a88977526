//! One incident: every step with its time, where the token was seen, the mail to its owner, and what may be done.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::happened::Happened;
use super::row::{note, owner, state};
use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, go, page};
use crate::dashboard::menu::Page;
use crate::dashboard::text::{Badge, When, count, line, link, measured};
use crate::dashboard::visit::{Shell, Visit};
use crate::http::{Letter, NoBranch, NoLetter, Route, letter, revoke_branch, try_now};
use crate::id::IncidentId;
use crate::incident::brake::ReleaseBy;
use crate::incident::{Incident, Occurrence, Outcome, State, Step as Work};
use crate::operator::Role;
use crate::store::{Change, Changed, IncidentDetail, Order, Selection, StoredEvent};
use crate::token::macaroon;

pub fn routes(door: &Door) -> Vec<Route> {
    vec![
        door.get("/dashboard/incidents/{id}", "an incident", show),
        door.post("/dashboard/incidents/{id}/retry", Role::Responder, "lets a stuck incident go on", retry),
        door.post("/dashboard/incidents/{id}/again", Role::Responder, "tries the next step now", again),
        door.post("/dashboard/incidents/{id}/release", Role::Responder, "releases a held revocation", release),
        door.post("/dashboard/incidents/{id}/dismiss", Role::Responder, "dismisses an incident", dismiss),
        door.post("/dashboard/incidents/{id}/recheck", Role::Responder, "has the issuer asked again", recheck),
        door.post("/dashboard/incidents/{id}/branch", Role::Responder, "revokes the leaked copy alone", branch),
        door.post("/dashboard/incidents/{id}/resend", Role::Responder, "has the owner mailed again", resend),
        door.get("/dashboard/incidents/{id}/mail", "the mail to the owner", mail),
    ]
}

#[derive(Template)]
#[template(path = "incident.html", config = "src/dashboard/askama.toml")]
#[expect(clippy::struct_excessive_bools, reason = "what a template shows or leaves out")]
struct IncidentPage {
    shell: Shell,
    id: String,
    title: String,
    state: Badge,
    note: String,
    steps: Vec<Step>,
    facts: Vec<(&'static str, String)>,
    token: Vec<(&'static str, String)>,
    places: Vec<Place>,
    mail: Option<(Badge, Option<When>, i64)>,
    revoked_by: Option<String>,
    retries: bool,
    tries_now: bool,
    rechecks: bool,
    branches: bool,
    releases: bool,
    /// Whether a release takes two people.
    two: bool,
    dismisses: bool,
    say: String,
}

/// One line of the timeline.
struct Step {
    title: String,
    tone: &'static str,
    by: String,
    after: String,
    at: When,
    more: String,
}

struct Place {
    what: String,
    address: String,
    link: Option<String>,
    purged: bool,
    origin: String,
    reports: String,
    first: When,
}

#[derive(Template)]
#[template(path = "mail.html", config = "src/dashboard/askama.toml")]
struct MailPage {
    shell: Shell,
    id: String,
    subject: String,
    text: String,
    /// Of this owner, in the same mail.
    others: Option<String>,
    /// Whether it went out already.
    sent: Option<When>,
    resends: bool,
}

async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Failure> {
    let detail = visit.app.store.incident_detail(read(&id)?).await?.ok_or(Failure::NotFound)?;
    let IncidentDetail { incident, occurrences, notice, job, timeline, revoked_by } = &detail;
    let mut steps: Vec<Step> = timeline.iter().map(|event| step(&visit, incident, event)).collect();
    if let Some(job) = job {
        let waits = match &job.leased {
            Some((node, _)) => format!("{} runs on {}", job.step, line(node)),
            None => format!("{} is next", job.step),
        };
        let tries = (job.tries > 0).then(|| count(job.tries, "failed try", "failed tries"));
        let parts = [tries, job.last_error.as_deref().map(line)];
        steps.push(Step {
            title: waits,
            tone: "next",
            by: String::new(),
            after: String::new(),
            at: When::new(job.due_at, visit.now),
            more: parts.into_iter().flatten().collect::<Vec<_>>().join(": "),
        });
    }
    let may = visit.may(Role::Responder);
    let waits = matches!(incident.state, State::Open | State::Live | State::Revoked) && job.is_some();
    let name = incident.token.as_ref().map(|token| line(token.name.as_deref().unwrap_or(&token.id)));
    let shown = state(&incident.state);
    let say = format!("This incident is {} now", shown.word);
    Ok(page(&IncidentPage {
        shell: visit.shell(Page::Incidents).await?,
        id: incident.id.to_string(),
        title: name.unwrap_or_else(|| line(incident.kind.as_str())),
        state: shown,
        note: note(&incident.state),
        steps,
        facts: facts(incident),
        token: token_facts(&visit, incident),
        places: occurrences.iter().map(|it| place(&visit, it)).collect(),
        mail: notice.as_ref().map(|notice| {
            let tone = match notice.state.as_str() {
                "sent" => "good",
                "undeliverable" => "bad",
                _ => "busy",
            };
            (Badge::new(&notice.state, tone), notice.sent_at.map(|at| When::new(at, visit.now)), notice.incidents)
        }),
        revoked_by: revoked_by.map(|id| id.to_string()),
        retries: may && matches!(incident.state, State::Stuck { .. }),
        tries_now: may && waits,
        rechecks: may && asks_again(&incident.state),
        branches: may && incident.needs_secret() && is_macaroon_of_ours(incident),
        two: visit.app.store.brake().release_by == ReleaseBy::TwoPersons,
        releases: may && matches!(incident.state, State::Held { .. }),
        dismisses: may
            && matches!(incident.state, State::Held { .. } | State::Stuck { .. } | State::Open | State::Live),
        say,
    }))
}

fn facts(incident: &Incident) -> Vec<(&'static str, String)> {
    vec![
        ("Kind", line(incident.kind.as_str())),
        ("Issuer", incident.issuer.as_ref().map_or_else(|| "none is configured".into(), |name| line(name.as_str()))),
        ("Reported by", line(&incident.origin)),
        ("Verdict", incident.verdict.unwrap_or("not asked yet").replace('_', " ")),
        ("Delivery", incident.delivery_id.to_string()),
        ("Fingerprint", incident.fingerprint.to_string()),
    ]
}

fn token_facts(visit: &Visit, incident: &Incident) -> Vec<(&'static str, String)> {
    let Some(token) = &incident.token else { return Vec::new() };
    let instant = |at: Option<_>, none: &str| {
        at.map_or_else(
            || none.to_owned(),
            |at| {
                let when = When::new(at, visit.now);
                format!("{}, {}", when.full, when.ago)
            },
        )
    };
    let owner = owner(incident);
    let mut facts = vec![("Issuer's id", line(&token.id))];
    if !incident.hint.is_empty() {
        facts.push(("Ends in", line(&incident.hint)));
    }
    facts.push(("Owner", if owner.is_empty() { "not told, or erased".into() } else { owner }));
    if !token.scopes.is_empty() {
        let scopes: Vec<String> = token.scopes.iter().take(20).map(|scope| line(scope)).collect();
        facts.push(("Scopes", scopes.join(", ")));
    }
    facts.push(("Created", instant(token.created_at, "not told")));
    let from = token.last_used_from.as_deref().map(|network| format!(", from {}", line(network))).unwrap_or_default();
    facts.push(("Last used", format!("{}{from}", instant(token.last_used_at, "not told"))));
    match incident.used_after_report() {
        Some(true) => facts.push(("Exposure", "used after it was reported".into())),
        Some(false) => facts.push(("Exposure", "no use on record since it was reported".into())),
        None => {}
    }
    facts.push(("Expires", instant(token.expires_at, "no date known")));
    facts
}

fn place(visit: &Visit, occurrence: &Occurrence) -> Place {
    let (what, address, href) = match &occurrence.place {
        Some(place) => {
            let what = if place.source.is_empty() {
                "a place of unknown kind".into()
            } else {
                line(&place.source).replace('_', " ")
            };
            (what, line(&place.url), link(&place.url, &visit.desk.settings().link_hosts))
        }
        None => (String::new(), String::new(), None),
    };
    Place {
        what,
        address,
        link: href,
        purged: occurrence.place.is_none(),
        origin: line(&occurrence.origin),
        reports: count(occurrence.reports, "report", "reports"),
        first: When::new(occurrence.first_reported_at, visit.now),
    }
}

fn step(visit: &Visit, incident: &Incident, event: &StoredEvent) -> Step {
    let Happened { title, tone, by, facts } = Happened::of(event);
    let after = event.at.since(incident.received_at);
    Step {
        title,
        tone,
        by,
        after: if event.at <= incident.received_at { String::new() } else { format!("+{}", measured(after)) },
        at: When::new(event.at, visit.now),
        more: facts,
    }
}

#[derive(Deserialize)]
pub struct Decision {
    #[serde(default)]
    reason: String,
    password: Option<Zeroizing<String>>,
}

async fn retry(visit: Visit, Path(id): Path<String>, Form(decision): Form<Decision>) -> Result<Response, Failure> {
    change(&visit, Change::Retry, &id, &decision.reason).await
}

async fn release(
    mut visit: Visit,
    Path(id): Path<String>,
    Form(decision): Form<Decision>,
) -> Result<Response, Failure> {
    visit.confirm(decision.password).await?;
    change(&visit, Change::Release, &id, &decision.reason).await
}

async fn dismiss(visit: Visit, Path(id): Path<String>, Form(decision): Form<Decision>) -> Result<Response, Failure> {
    if decision.reason.trim().is_empty() {
        return Err(Failure::Bad("say why: it is kept in the audit trail"));
    }
    change(&visit, Change::Dismiss, &id, &decision.reason).await
}

async fn change(visit: &Visit, change: Change, id: &str, reason: &str) -> Result<Response, Failure> {
    let selection = Selection::Ids(vec![read(id)?]);
    let changed = visit.app.store.change(change, &selection, &visit.order(reason)).await?;
    if let Changed::Done(moved) = &changed
        && let Some((_, why)) = moved.refused.first()
    {
        return Err(Failure::Refused(format!("Not done: {}.", line(why))));
    }
    Ok(visit.finish(go(&format!("/dashboard/incidents/{id}?done={}", done(change, &changed).0))))
}

/// What is told of a change, and of how many incidents.
pub fn done(change: Change, changed: &Changed) -> (&'static str, usize) {
    match (changed, change) {
        (Changed::Requested { incidents, .. }, _) => ("proposed", usize::try_from(*incidents).unwrap_or(usize::MAX)),
        (Changed::Done(moved), _) if moved.moved.is_empty() => ("nothing", 0),
        (Changed::Done(moved), Change::Dismiss) => ("dismissed", moved.moved.len()),
        (Changed::Done(moved), Change::Recheck) => ("rechecked", moved.moved.len()),
        (Changed::Done(moved), Change::Release) => ("released", moved.moved.len()),
        (Changed::Done(moved), Change::Resend) => ("resent", moved.moved.len()),
        (Changed::Done(moved), Change::Retry) => ("retried", moved.moved.len()),
    }
}

async fn recheck(visit: Visit, Path(id): Path<String>, Form(decision): Form<Decision>) -> Result<Response, Failure> {
    change(&visit, Change::Recheck, &id, &decision.reason).await
}

/// The mail was looked at before: its page is where this comes from.
async fn resend(visit: Visit, Path(id): Path<String>, Form(decision): Form<Decision>) -> Result<Response, Failure> {
    change(&visit, Change::Resend, &id, &decision.reason).await
}

async fn branch(mut visit: Visit, Path(id): Path<String>, Form(decision): Form<Decision>) -> Result<Response, Failure> {
    if decision.reason.trim().is_empty() {
        return Err(Failure::Bad("say why: it is kept in the audit trail"));
    }
    visit.confirm(decision.password).await?;
    let revoked = revoke_branch(&visit.app.store, &visit.app.clock, read(&id)?, visit.order(&decision.reason)).await;
    revoked.map_err(|error| match error {
        NoBranch::NotThere => Failure::NotFound,
        NoBranch::Store(error) => Failure::Store(error),
        NoBranch::NoCopy(why) => Failure::Refused(format!("Not done: {why}.")),
    })?;
    Ok(visit.finish(go(&format!("/dashboard/incidents/{id}?done=branch"))))
}

fn asks_again(state: &State) -> bool {
    matches!(state, State::Held { .. } | State::Stuck { step: Work::Revoke | Work::Verify, .. })
}

/// Only of such a token there are copies that can die alone.
fn is_macaroon_of_ours(incident: &Incident) -> bool {
    incident.issuer.as_ref().is_some_and(|issuer| issuer.as_str() == "builtin")
        && incident.kind.as_str() == macaroon::KIND
}

/// Tries the next step now instead of at its time.
async fn again(visit: Visit, Path(id): Path<String>) -> Result<Response, Failure> {
    let id = read(&id)?;
    try_now(&visit.app.store, &visit.app.clock, id, visit.order("")).await?;
    Ok(go(&format!("/dashboard/incidents/{id}?done=retried")))
}

async fn mail(visit: Visit, Path(id): Path<String>) -> Result<Response, Failure> {
    let mailer = visit.desk.mailer().ok_or(Failure::Unavailable)?;
    let letter = letter(&visit.app.store, mailer, &visit.app.clock, read(&id)?).await.map_err(|error| match error {
        NoLetter::Nobody => {
            Failure::Refused("The issuer named nobody to mail, or the address was erased on its date.".into())
        }
        NoLetter::NotThere => Failure::NotFound,
        NoLetter::Store(error) => Failure::Store(error),
        NoLetter::Unwritable(_) => Failure::Unavailable,
    })?;
    let Letter { incident, preview, incidents, sent_at } = letter;
    let others = i64::try_from(incidents.saturating_sub(1)).unwrap_or(i64::MAX);
    Ok(page(&MailPage {
        shell: visit.shell(Page::Incidents).await?,
        id: incident.id.to_string(),
        subject: preview.subject,
        text: preview.text,
        others: (others > 0).then(|| count(others, "other token", "other tokens")),
        sent: sent_at.map(|at| When::new(at, visit.now)),
        resends: visit.may(Role::Responder)
            && matches!(incident.state, State::Closed(Outcome::Revoked) | State::Notified),
    }))
}

pub fn read(id: &str) -> Result<IncidentId, Failure> {
    id.parse().map_err(|_| Failure::NotFound)
}

impl Visit {
    /// Who decides, and why.
    pub fn order(&self, reason: &str) -> Order {
        let reason = line(reason.trim());
        Order { actor: self.actor(), reason: (!reason.is_empty()).then_some(reason) }
    }
}
