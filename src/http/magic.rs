//! The magic proxy over HTTP: `POST /__magictoken` makes a token, `/proxy/{upstream}/…` is what it opens.
//!
//! What is allowed, and what goes where, is [`crate::proxy`]'s to say; here a request is taken apart and an answer put
//! together.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use super::auth::{Caller, Client, Manager};
use super::input::{Json, Path};
use super::tokens::{end_by_default, magic_order, problem_of};
use super::{Access, App, Problem, Route, Verb, schema};
use crate::incident::EmailAddress;
use crate::mint::{By, Expires, Order};
use crate::proxy::{self, Answer, AnswerBody, Asked, Limited, Pass, Refused, Upstream};
use crate::store::{NewOwner, OwnTokenKind};

/// The routes beside those of the API; none if the proxy has a listener of its own.
pub fn routes(app: &App) -> Vec<Route> {
    if app.upstreams.is_empty() || app.settings.proxy_listen.is_some() { Vec::new() } else { routes_of(app) }
}

fn routes_of(app: &App) -> Vec<Route> {
    if app.upstreams.is_empty() {
        return Vec::new();
    }
    let wanted = json!({ "type": "object", "required": ["token"], "properties": {
        "token": { "type": "string", "minLength": 1, "description": "the upstream's own credential" },
        "allowed": schema::maybe(schema::list(schema::text())),
        "scope": schema::maybe(schema::text()),
        "scopes": { "oneOf": [schema::list(schema::text()), schema::text(), { "type": "null" }] },
        "upstream": schema::maybe(schema::text()),
        "name": schema::maybe(schema::text()),
        "expires_in_days": { "type": ["integer", "null"], "minimum": 1 },
    } });
    let made = schema::object(json!({ "token": schema::text(), "id": schema::text(),
        "expires_at": schema::maybe(schema::time()) }));
    let summary = "Sends a request on to an upstream, if the magic token opens it";
    vec![
        Route::get("/__magictoken", Access::Public, "Which APIs stand behind the proxy", banner).gives_media(
            200,
            "Their names and addresses",
            "text/plain",
            schema::text(),
        ),
        Route::post("/__magictoken", Access::Mint, "Makes a magic token of an upstream's credential", mint)
            .takes(wanted)
            .gives_media(200, "The token, as text; as JSON if that is asked for", "text/plain", schema::text())
            .gives(200, "The token, as text; as JSON if that is asked for", made)
            .refuses(409, "The owner has a living token of this name, or too many"),
        Route::new(Verb::Any, "/proxy/{upstream}", Access::Magic, summary, forward_root),
        Route::new(Verb::Any, "/proxy/{upstream}/", Access::Magic, summary, forward_root),
        Route::new(Verb::Any, "/proxy/{upstream}/{*rest}", Access::Magic, summary, forward),
    ]
}

/// The routes of the proxy's own listener: the same, and perhaps an upstream in place of everything else, as its clients
/// know it from magic-api-proxy.
pub fn apart(app: &App) -> Vec<Route> {
    let mut routes = routes_of(app);
    if app.settings.proxy_mount.is_some() {
        let summary = "Sends a request on to the upstream that is mounted here, if the magic token opens it";
        routes.push(Route::new(Verb::Any, "/", Access::Magic, summary, forward_mounted));
        routes.push(Route::new(Verb::Any, "/{*rest}", Access::Magic, summary, forward_mounted));
    }
    routes
}

async fn banner(State(app): State<App>) -> String {
    let of = |upstream: &Arc<Upstream>| format!("{} ({})", upstream.name, upstream.root);
    let names: Vec<String> = app.upstreams.values().map(of).collect();
    format!("stanch {} proxies {}\n", env!("CARGO_PKG_VERSION"), names.join(", "))
}

#[derive(Deserialize)]
struct Wanted {
    token: Option<Value>,
    allowed: Option<Value>,
    scope: Option<Value>,
    scopes: Option<Value>,
    upstream: Option<String>,
    name: Option<String>,
    expires_in_days: Option<u32>,
}

async fn mint(
    State(app): State<App>,
    manager: Option<Manager>,
    client: Client,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Problem> {
    let upstream = chosen(&app, wanted.upstream.as_deref())?;
    let credential = wanted.token.as_ref().and_then(Value::as_str).filter(|text| !text.is_empty());
    let credential = credential.ok_or(bad("`token` is missing: the upstream's own credential"))?.to_owned();
    let policy = policy_of(&wanted)?;
    let (by, owner_id) = if let Some(manager) = &manager {
        app.limits.creation(manager)?;
        (manager.by.clone(), manager.owner_id)
    } else {
        app.limits.minting(client.address)?;
        (By::Operator(format!("open minting at {}", upstream.name)), None)
    };
    let owner_id = match (owner_id, app.minting_owner(&upstream.name)) {
        (Some(owner_id), _) => owner_id,
        (None, Some(email)) => owner_of(&app, email).await?,
        (None, None) => return Err(Problem::new(StatusCode::FORBIDDEN).detail("show a token with `tokens:write`")),
    };
    let now = app.clock.now();
    // Names are unique, and whoever makes tokens by this route gives them none.
    let name = wanted.name.unwrap_or_else(|| format!("{} {}", upstream.name, crate::id::RequestId::generate(now)));
    let expires = match wanted.expires_in_days {
        None => end_by_default(&app, manager.as_ref(), OwnTokenKind::Magic),
        Some(0) => return Err(bad("`expires_in_days` is 1 or more")),
        Some(days) => Expires::At(now.plus(std::time::Duration::from_hours(24) * days.min(36_500))),
    };
    let magic = magic_order(&app, upstream.name.clone(), policy, credential)?;
    let order = Order { expires, magic: Some(magic), ..Order::new(OwnTokenKind::Magic, owner_id, name) };
    let issued = app.mint.create(order, &by).await.map_err(problem_of)?;
    let wants_json = headers.get(header::ACCEPT).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let text = issued.text();
    let mut response = if wants_json {
        let body = json!({ "token": text.as_str(), "id": issued.token.id, "expires_at": issued.token.expires_at });
        axum::Json(body).into_response()
    } else {
        text.as_str().to_owned().into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `allowed`, or `scope`, or `scopes`: one of them, and of the right type.
fn policy_of(wanted: &Wanted) -> Result<Value, Problem> {
    let scopes = match (&wanted.scope, &wanted.scopes) {
        (Some(_), Some(_)) => return Err(bad("`scope` and `scopes` say the same thing: send one of them")),
        (Some(Value::String(scope)), None) | (None, Some(Value::String(scope))) => Some(json!([scope])),
        (Some(_), None) => return Err(bad("`scope` is the name of a scope")),
        (None, Some(Value::Array(scopes))) if scopes.iter().all(Value::is_string) => Some(json!(scopes)),
        (None, Some(_)) => return Err(bad("`scopes` is a list of names")),
        (None, None) => None,
    };
    match (&wanted.allowed, scopes) {
        (Some(_), Some(_)) => Err(bad("send `allowed` or scopes, not both")),
        (None, None) => Err(bad("neither `allowed` nor a scope: the token would open nothing")),
        (None, Some(scopes)) => Ok(json!({ "scopes": scopes })),
        (Some(Value::Array(allowed)), None) if allowed.iter().all(Value::is_string) => Ok(json!({ "allow": allowed })),
        (Some(_), None) => Err(bad("`allowed` is a list of texts such as `GET /user`")),
    }
}

fn chosen<'a>(app: &'a App, name: Option<&str>) -> Result<&'a Arc<Upstream>, Problem> {
    let mut all = app.upstreams.values();
    match (name, all.next(), all.next()) {
        (Some(name), ..) => app.upstreams.get(name).ok_or(bad("no upstream of that name is configured")),
        (None, Some(only), None) => Ok(only),
        (None, ..) => Err(bad("`upstream` is missing: there are several")),
    }
}

async fn owner_of(app: &App, email: &EmailAddress) -> Result<crate::id::OwnerId, Problem> {
    let owner = NewOwner { name: email.as_str().to_owned(), email: email.clone() };
    app.store.ensure_owner(owner).await.map_err(|error| problem_of(error.into()))
}

async fn forward_root(
    State(app): State<App>,
    Path(upstream): Path<String>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    send_on(&app, &upstream, Place::Named, &caller, request).await
}

async fn forward(
    State(app): State<App>,
    Path((upstream, _)): Path<(String, String)>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    send_on(&app, &upstream, Place::Named, &caller, request).await
}

async fn forward_mounted(State(app): State<App>, caller: Caller, request: Request) -> Result<Response, Problem> {
    let name = app.settings.proxy_mount.clone().unwrap_or_default();
    send_on(&app, &name, Place::Mounted, &caller, request).await
}

/// Where an upstream stands.
#[derive(Clone, Copy)]
enum Place {
    /// In place of the whole listener.
    Mounted,
    /// Under its name.
    Named,
}

async fn send_on(app: &App, name: &str, place: Place, caller: &Caller, request: Request) -> Result<Response, Problem> {
    let denied = || Problem::new(StatusCode::FORBIDDEN).detail("the token does not allow this request");
    let token = caller.token();
    // A name that is not configured and one that is another token's look alike.
    let upstream = app.upstreams.get(name).filter(|_| token.upstream.as_deref() == Some(name)).ok_or_else(denied)?;
    let policy = token.policy.as_ref().ok_or_else(denied)?;
    let policy = upstream.policy(policy).map_err(|_| denied())?;
    let credential = app.store.open_own(token).map_err(|error| problem_of(error.into()))?;
    let pass = Pass { token_id: token.id, policy, credential };

    let (parts, body) = request.into_parts();
    // The path as it was sent: the router's own reading of it is not the proxy's.
    let sent = parts.uri.path();
    let here = match place {
        Place::Mounted => "",
        Place::Named => &upstream.here,
    };
    let path = sent.strip_prefix(here).ok_or_else(denied)?;
    let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
    let query = parts.uri.query().map(str::to_owned);
    let mut headers = parts.headers;
    if carries(caller, query.as_deref().unwrap_or_default()) {
        return Err(bad("the token stands in the query, which would be sent on"));
    }
    // Whatever header it stands in, the token stays here.
    let with_it = headers.iter().filter(|(_, value)| carries(caller, value.to_str().unwrap_or_default()));
    let with_it: Vec<_> = with_it.map(|(name, _)| name.clone()).collect();
    for name in &with_it {
        headers.remove(name);
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > upstream.limits.max_request_bytes) {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let too_large = Arc::new(AtomicBool::new(false));
    let body = (!body.is_end_stream()).then(|| {
        let limited = Limited::new(body, upstream.limits.max_request_bytes, Arc::clone(&too_large));
        reqwest::Body::wrap_stream(Body::new(limited).into_data_stream())
    });
    let asked = Asked { method: parts.method, here: here.to_owned(), path, query, headers, body, too_large };
    match proxy::forward(upstream, &pass, asked, &app.store, &app.clock).await {
        Ok(answer) => Ok(given(answer)),
        Err(refused) => Err(told(&refused, name)),
    }
}

fn carries(caller: &Caller, text: &str) -> bool {
    caller.secret.as_ref().is_some_and(|secret| secret.is_in(text))
}

fn given(answer: Answer) -> Response {
    let body = match answer.body {
        AnswerBody::Streamed(body) => Body::new(body),
        AnswerBody::Whole(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

fn told(refused: &Refused, upstream: &str) -> Problem {
    let detail = match refused {
        Refused::Ambiguous(_) => return bad("the path could be read in two ways"),
        Refused::Denied => {
            return Problem::new(StatusCode::FORBIDDEN).detail("the token does not allow this request");
        }
        Refused::TooLarge => return Problem::new(StatusCode::PAYLOAD_TOO_LARGE),
        Refused::Slow => return Problem::new(StatusCode::GATEWAY_TIMEOUT),
        Refused::NotStored(failure) | Refused::Unavailable(failure) => {
            let failure: &(dyn std::error::Error + 'static) = failure;
            warn!(upstream, failure, "the grants of upstream {upstream} are not available");
            let soon = std::time::Duration::from_secs(5);
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(soon);
        }
        Refused::Echo => "the answer holds the upstream's credential and was held back",
        Refused::Encoded => "the upstream encoded its answer, which cannot be checked then",
        Refused::Misfit | Refused::NotPublic | Refused::Unreachable => "the upstream cannot be reached",
    };
    warn!(upstream, "no answer of upstream {upstream}: {refused}");
    Problem::new(StatusCode::BAD_GATEWAY).detail(detail)
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail(detail)
}
