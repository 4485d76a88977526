//! `POST /api/v1/tokens`: a new token.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::view;
use super::{problem_of, secret_answer};
use crate::clock::Timestamp;
use crate::http::auth::Manager;
use crate::http::input::Json;
use crate::http::{Access, App, Problem, Route, schema};
use crate::incident::EmailAddress;
use crate::mint::{By, Expires, Issued, Magic, Order};
use crate::store::{NewOwner, OwnTokenKind};
use crate::token::Secret;
use crate::token::caveat::Caveat;

pub fn routes() -> [Route; 1] {
    let (text, instant) = (|| schema::maybe(schema::text()), || schema::maybe(schema::instant()));
    let words = || schema::list(schema::text());
    let owner = schema::body(&["email"], json!({ "name": text(), "email": schema::text() }));
    let wanted = schema::body(
        &["name"],
        json!({
            "name": { "type": "string", "minLength": 1, "maxLength": 100 },
            "kind": { "enum": ["key", "macaroon", "magic", "pat", null], "default": "pat" },
            "owner": schema::maybe(owner),
            "scopes": words(),
            "projects": words(),
            "project_ids": words(),
            "organisations": words(),
            "caveats": words(),
            "not_before": instant(),
            "expires_at": instant(),
            "expires_in_days": { "type": ["integer", "null"], "minimum": 1 },
            "never_expires": schema::flag(),
            "canary": schema::flag(),
            "upstream": text(),
            "policy": { "type": ["object", "null"] },
            "credential": text(),
        }),
    );
    let given = schema::object(json!({ "token": view::schema(), "secret": schema::text() }));
    [Route::post("/api/v1/tokens", Access::Manage, "Makes a token and shows its secret, once", create)
        .once()
        .takes(wanted)
        .gives(201, "The token and its secret", given)
        .refuses(409, "The owner has a living token of this name, or too many")]
}

/// A token that is asked for, as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    kind: Option<String>,
    owner: Option<WantedOwner>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    projects: Vec<String>,
    #[serde(default)]
    project_ids: Vec<String>,
    #[serde(default)]
    organisations: Vec<String>,
    /// Of a macaroon: more caveats, each as its JSON text.
    #[serde(default)]
    caveats: Vec<String>,
    not_before: Option<String>,
    expires_at: Option<String>,
    expires_in_days: Option<u32>,
    #[serde(default)]
    never_expires: bool,
    #[serde(default)]
    canary: bool,
    upstream: Option<String>,
    policy: Option<Value>,
    credential: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedOwner {
    name: Option<String>,
    email: String,
}

async fn create(State(app): State<App>, manager: Manager, Json(wanted): Json<Wanted>) -> Result<Response, Problem> {
    app.limits.creation(&manager)?;
    let order = order(&app, &manager, wanted).await?;
    let issued = app.mint.create(order, &manager.by).await.map_err(problem_of)?;
    Ok(secret_answer(StatusCode::CREATED, &shown(&issued, app.clock.now())))
}

/// A fresh token with its secret, as it is shown once.
pub(super) fn shown(issued: &Issued, now: Timestamp) -> Value {
    json!({ "token": view::token(&issued.token, now), "secret": issued.text().as_str() })
}

/// When a token ends for which nobody said when: as the configuration has it, and not after the one that makes it.
pub fn end_by_default(app: &App, manager: Option<&Manager>, kind: OwnTokenKind) -> Expires {
    let maker = manager.and_then(|manager| match &manager.by {
        By::Token(token) => token.token().expires_at,
        By::Operator(_) | By::Owner(_) => None,
    });
    let Some(end) = maker else { return Expires::ByDefault };
    let limits = &app.mint.settings().limits;
    let default = match kind {
        OwnTokenKind::Magic => Some(limits.default_magic_life),
        OwnTokenKind::Key | OwnTokenKind::Macaroon | OwnTokenKind::Pat => limits.default_life,
    };
    Expires::At(default.map_or(end, |span| app.clock.now().plus(span).min(end)))
}

async fn order(app: &App, manager: &Manager, wanted: Wanted) -> Result<Order, Problem> {
    let kind = wanted.kind.as_deref().unwrap_or("pat").parse::<OwnTokenKind>();
    let kind = kind.map_err(|_| bad("`kind` is `key`, `macaroon`, `magic` or `pat`"))?;
    let owner_id = match (manager.owner_id, wanted.owner) {
        (Some(owner_id), None) => owner_id,
        (Some(_), Some(_)) => return Err(bad("a token makes tokens for its own owner: leave `owner` out")),
        (None, None) => return Err(bad("`owner` is missing: whose token is it to be?")),
        (None, Some(owner)) => {
            let email = EmailAddress::parse(&owner.email).map_err(|_| bad("`owner.email` is not an address"))?;
            let name = owner.name.unwrap_or_else(|| email.as_str().to_owned());
            app.store.ensure_owner(NewOwner { name, email }).await.map_err(|error| problem_of(error.into()))?
        }
    };
    let caveats = wanted.caveats.iter().map(|text| Caveat::read(text.as_bytes()));
    let caveats = caveats.collect::<Result<_, _>>().map_err(|_| bad("a caveat cannot be read"))?;
    let time = |text: Option<String>| {
        text.map(|text| Timestamp::parse(&text).ok_or(bad("a time is written as RFC 3339 has it")))
    };
    let (not_before, expires_at) = (time(wanted.not_before).transpose()?, time(wanted.expires_at).transpose()?);
    let expires = match (expires_at, wanted.expires_in_days, wanted.never_expires) {
        (None, None, false) => end_by_default(app, Some(manager), kind),
        (None, None, true) => Expires::Never,
        (Some(at), None, false) => Expires::At(at),
        (None, Some(0), false) => return Err(bad("`expires_in_days` is 1 or more")),
        (None, Some(days), false) => Expires::At(app.clock.now().plus(Duration::from_hours(24) * days.min(36_500))),
        _ => return Err(bad("say when it ends once: `expires_at`, `expires_in_days` or `never_expires`")),
    };
    let magic = match (kind, wanted.upstream, wanted.credential) {
        (OwnTokenKind::Magic, Some(upstream), Some(credential)) => {
            let policy = wanted.policy.unwrap_or(Value::Null);
            Some(magic(app, upstream, policy, credential)?)
        }
        (OwnTokenKind::Magic, ..) => return Err(bad("a magic token has an `upstream`, a `policy` and a `credential`")),
        (_, None, None) if wanted.policy.is_none() => None,
        _ => return Err(bad("only a magic token has an `upstream`, a `policy` and a `credential`")),
    };
    Ok(Order {
        scopes: wanted.scopes,
        projects: wanted.projects,
        project_ids: wanted.project_ids,
        organisations: wanted.organisations,
        caveats,
        not_before,
        expires,
        canary: wanted.canary,
        magic,
        ..Order::new(kind, owner_id, wanted.name.trim().to_owned())
    })
}

/// What a magic token stands for, if its upstream is configured and takes the policy.
pub fn magic(app: &App, upstream: String, policy: Value, credential: String) -> Result<Magic, Problem> {
    let credential = Secret::new(credential.into_bytes());
    let known = app.upstreams.get(&upstream).ok_or(bad("no upstream of that name is configured"))?;
    known
        .new_policy(&policy)
        .map_err(|bad| Problem::new(StatusCode::BAD_REQUEST).told(format!("the policy is refused: {bad}")))?;
    if credential.is_empty() || !known.takes(&credential) {
        return Err(bad("the credential cannot stand in a header"));
    }
    Ok(Magic { upstream, policy, credential })
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail(detail)
}
