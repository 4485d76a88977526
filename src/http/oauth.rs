//! `POST /oauth/introspect` (RFC 7662) and `POST /oauth/revoke` (RFC 7009): our tokens for resource servers that speak
//! OAuth.
//!
//! A client is one of our tokens with the scope `introspect`, shown as Bearer, as the password of Basic, or in the form. Whatever is not
//! accepted, for whatever reason, is `{"active": false}` and nothing else; asking is no use of a token.
//!
//! A macaroon may be bound to a project, a route, a network. Whether it is accepted then depends on what it is shown for,
//! so a resource server says that too (RFC 7662 section 2.1 lets a server take parameters that give more context).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use super::auth::Caller;
use super::input::Form;
use super::tokens::problem_of;
use super::{Access, App, Problem, Route, schema};
use crate::clock::Timestamp;
use crate::mint::{Authenticated, By, Refusal, Request};
use crate::store::OwnTokenKind;
use crate::token::Secret;
use crate::token::caveat::{Project, Publisher};

pub fn routes() -> [Route; 2] {
    const FORM: &str = "application/x-www-form-urlencoded";
    let asked = || {
        json!({ "type": "object", "required": ["token"], "properties": {
        "token": schema::text(), "token_type_hint": schema::text(),
    } })
    };
    let asked_about = || {
        let mut schema = asked();
        for (name, description) in CONTEXT {
            schema["properties"][name] = json!({ "type": "string", "description": description });
        }
        schema
    };
    let told = json!({ "type": "object", "required": ["active"], "properties": { "active": { "type": "boolean" } } });
    [
        Route::post("/oauth/introspect", Access::Client, "Says whether a token is accepted (RFC 7662)", introspect)
            .takes_media(FORM, asked_about())
            .gives(200, "What the token is, or that it is not active", told),
        Route::post("/oauth/revoke", Access::Holder, "Revokes a token by showing it (RFC 7009)", revoke)
            .takes_media(FORM, asked())
            .answers(200, "It is not accepted any more, or never was"),
    ]
}

#[derive(Deserialize)]
struct Shown {
    token: String,
    // Tokens tell by themselves what they are.
    #[serde(rename = "token_type_hint")]
    _hint: Option<String>,
}

/// What a resource server may say about the request that a token was shown for.
const CONTEXT: [(&str, &str); 10] = [
    ("client_id", "With `client_secret`, in place of a header: the client's token by its id"),
    ("client_secret", "The client's token"),
    ("project", "Name of the project that the request is about"),
    ("project_id", "That project's id, so that another project of the same name is not meant"),
    ("organisation", "The organisation that the request is for"),
    ("publisher", "Id of the trusted publisher that makes the request, if it publishes the project"),
    ("method", "The request's method"),
    ("path", "Its path without the query, in the spelling that the server acts on"),
    ("address", "The address it came from"),
    ("audience", "What the server calls itself"),
];

#[derive(Deserialize)]
struct About {
    token: String,
    project: Option<String>,
    project_id: Option<String>,
    organisation: Option<String>,
    publisher: Option<String>,
    method: Option<String>,
    path: Option<String>,
    address: Option<String>,
    audience: Option<String>,
}

impl About {
    fn request(&self) -> Result<Request<'_>, Problem> {
        let bad = |detail| Problem::new(StatusCode::BAD_REQUEST).detail(detail);
        let project = self.project.as_deref().map(|name| Project { name, id: self.project_id.as_deref() });
        if project.is_none() && self.project_id.is_some() {
            return Err(bad("`project_id` without the `project` it belongs to"));
        }
        let address = self.address.as_deref().map(str::parse).transpose().map_err(|_| bad("`address` is none"))?;
        Ok(Request {
            project,
            organisation: self.organisation.as_deref(),
            publisher: self.publisher.as_deref().map(|id| Publisher { id, publishes_project: true }),
            method: self.method.as_deref(),
            path: self.path.as_deref(),
            address,
            audience: self.audience.as_deref(),
        })
    }
}

async fn introspect(
    State(app): State<App>,
    _client: Option<Caller>,
    Form(mut about_it): Form<About>,
) -> Result<Response, Problem> {
    let secret = Secret::new(std::mem::take(&mut about_it.token).into_bytes());
    // A restriction that speaks of something that was not said does not hold.
    match app.authenticator.inspect(&secret, &about_it.request()?).await {
        Ok(token) => Ok(axum::Json(about(&token)).into_response()),
        Err(Refusal::Absent | Refusal::Invalid(_)) => Ok(axum::Json(json!({ "active": false })).into_response()),
        Err(Refusal::Unavailable(failure)) => Err(unavailable(&failure)),
    }
}

fn about(token: &Authenticated) -> Value {
    let seconds = |at: Timestamp| at.as_millis().div_euclid(1_000);
    let record = token.token();
    let mut about = json!({
        "active": true,
        "scope": record.scopes.join(" "),
        "client_id": record.owner_id,
        "username": record.owner_name,
        "sub": record.owner_id,
        "token_type": match record.kind {
            OwnTokenKind::Key => "ApiKey",
            OwnTokenKind::Macaroon | OwnTokenKind::Magic | OwnTokenKind::Pat => "Bearer",
        },
        "iat": seconds(record.created_at),
        "jti": record.id,
        "iss": "stanch",
        "kind": record.kind.word(),
        "projects": record.projects,
        "organisations": record.organisations,
    });
    for (name, at) in [("exp", record.expires_at), ("nbf", record.not_before)] {
        if let Some(at) = at {
            about[name] = seconds(at).into();
        }
    }
    about
}

/// Whoever holds a token may end it: holding it is the proof. So an unknown token and a dead one look alike.
async fn revoke(State(app): State<App>, Form(shown): Form<Shown>) -> Result<Response, Problem> {
    let secret = Secret::new(shown.token.into_bytes());
    match app.authenticator.inspect(&secret, &Request::default()).await {
        Ok(token) => {
            let (id, by) = (token.token().id, By::Token(Box::new(token.clone())));
            let point = token.point().filter(|_| token.is_attenuated());
            let reason = "revoked by its bearer (RFC 7009)";
            match point {
                Some(point) => app.mint.revoke_branch(id, point, reason, &by).await.map_err(problem_of)?,
                None => app.mint.revoke(id, reason, &by).await.map_err(problem_of)?,
            };
            Ok(StatusCode::OK.into_response())
        }
        // A restriction that does not hold here does not make the token less its bearer's.
        Err(Refusal::Invalid(reason)) if reason.is_about_the_request() => Err(Problem::new(StatusCode::BAD_REQUEST)
            .detail("a restricted token is revoked with its parent, or reported at /credentials/revoke")),
        Err(Refusal::Absent | Refusal::Invalid(_)) => Ok(StatusCode::OK.into_response()),
        Err(Refusal::Unavailable(failure)) => Err(unavailable(&failure)),
    }
}

fn unavailable(failure: &crate::store::Error) -> Problem {
    let failure: &(dyn std::error::Error + 'static) = failure;
    warn!(failure, "could not look up a token that was shown");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(std::time::Duration::from_secs(5))
}
