//! The route table: every route of the program as data.
//!
//! The router is built from the table and from nothing else, so there is no route that has not declared who may come.
//! From the same table come the matrices of the tests (every change against every wrong caller) and the OpenAPI
//! document.

use std::collections::BTreeSet;
use std::fmt;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{self, MethodFilter, MethodRouter};
use serde_json::Value;

use super::auth::{Guard, pass};
use super::{App, edge, once, openapi, schema};
use crate::operator::Role;
use crate::store::OwnTokenKind;

/// Who may come to a route. The guard makes it true before the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever shows one of our tokens, refused in the words of `X-API-Key` if none is shown.
    ApiKey,
    /// A resource server that shows a token with the scope [`scope::INTROSPECT`].
    Client,
    /// Anybody, from a page of ours: signing in.
    Form,
    /// Whoever holds a token and shows it in the body; the handler proves it.
    Holder,
    /// Whoever shows a magic token, with or without `Bearer`.
    Magic,
    /// An operator for everybody's tokens, or a token with `tokens:write` for its owner's.
    Manage,
    /// As [`Access::Manage`]; and where an upstream says so, whoever holds its credential.
    Mint,
    /// An operator with this role or a higher one, by token or by session.
    Operator(Role),
    /// Anybody; whoever shows one of our tokens is known.
    OptionalKey,
    /// Anybody. For reading alone.
    Public,
    /// A GitLab that shows a token with the scope [`scope::REPORT`], with or without `Bearer`.
    Reporter,
    /// A reporter, by the signature over the body; intake proves it.
    Signed,
    /// Whoever shows one of our tokens, of these kinds, with this scope if there is one.
    Token { kinds: &'static [OwnTokenKind], scope: Option<&'static str> },
    /// A package's uploader: the handler checks the token against what is uploaded, in the words of `PyPI`.
    Upload,
}

/// Scopes that routes ask for.
pub mod scope {
    /// Asking about other tokens (RFC 7662).
    pub const INTROSPECT: &str = "introspect";
    /// Reporting leaked tokens as a GitLab.
    pub const REPORT: &str = "report";
}

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Every method there is.
    Any,
    Delete,
    /// `HEAD` comes with it.
    Get,
    Patch,
    Post,
    Put,
}

impl Verb {
    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    /// Whether nothing is changed by it.
    pub fn is_safe(self) -> bool {
        self == Self::Get
    }

    fn filter(self) -> Option<MethodFilter> {
        match self {
            Self::Any => None,
            Self::Delete => Some(MethodFilter::DELETE),
            Self::Get => Some(MethodFilter::GET),
            Self::Patch => Some(MethodFilter::PATCH),
            Self::Post => Some(MethodFilter::POST),
            Self::Put => Some(MethodFilter::PUT),
        }
    }
}

/// One route.
#[derive(Clone)]
pub struct Route {
    pub verb: Verb,
    /// As axum has it: `/api/v1/tokens/{id}`.
    pub path: &'static str,
    pub access: Access,
    /// One line for the API's documentation; a page has none there.
    pub summary: &'static str,
    /// A page for people: not in the API's documentation, and nobody is sent to sign in.
    pub page: bool,
    /// Whether it takes an `Idempotency-Key`.
    pub once: bool,
    pub queries: Vec<Query>,
    pub body: Option<Payload>,
    pub answers: Vec<Given>,
    pub refusals: Vec<Refusal>,
    handler: MethodRouter<App>,
}

/// A parameter in the query.
#[derive(Clone, Debug)]
pub struct Query {
    pub name: &'static str,
    pub description: &'static str,
    /// JSON Schema 2020-12.
    pub schema: Value,
}

/// A body as the API's documentation has it.
#[derive(Clone, Debug)]
pub struct Payload {
    pub media: &'static str,
    /// JSON Schema 2020-12.
    pub schema: Value,
}

/// An answer as the API's documentation has it.
#[derive(Clone, Debug)]
pub struct Given {
    pub status: u16,
    pub description: &'static str,
    pub payload: Option<Payload>,
}

/// A refusal as the API's documentation has it: a problem.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    pub status: u16,
    pub description: &'static str,
}

impl Route {
    pub fn new<H, T>(verb: Verb, path: &'static str, access: Access, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let handler = match verb.filter() {
            Some(filter) => routing::on(filter, handler),
            None => routing::any(handler),
        };
        Self {
            verb,
            path,
            access,
            summary,
            page: false,
            once: false,
            queries: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            handler,
        }
    }

    pub fn get<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Verb::Get, path, access, summary, handler)
    }

    pub fn post<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Verb::Post, path, access, summary, handler)
    }

    pub fn patch<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Verb::Patch, path, access, summary, handler)
    }

    pub fn put<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Verb::Put, path, access, summary, handler)
    }

    pub fn delete<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        access: Access,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Verb::Delete, path, access, summary, handler)
    }

    /// Calls it a page for people.
    pub fn page(mut self) -> Self {
        self.page = true;
        self
    }

    /// Lets whoever asks send it again without its happening twice (draft-ietf-httpapi-idempotency-key-header).
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// A text in the query.
    pub fn query(self, name: &'static str, description: &'static str) -> Self {
        self.query_of(name, description, schema::text())
    }

    pub fn query_of(mut self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.queries.push(Query { name, description, schema });
        self
    }

    /// The JSON body it takes.
    pub fn takes(self, schema: Value) -> Self {
        self.takes_media("application/json", schema)
    }

    pub fn takes_media(mut self, media: &'static str, schema: Value) -> Self {
        self.body = Some(Payload { media, schema });
        self
    }

    /// An answer without a body.
    pub fn answers(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push(Given { status, description, payload: None });
        self
    }

    /// A refusal that this route knows beside those that follow from who may come and what it takes.
    pub fn refuses(mut self, status: u16, description: &'static str) -> Self {
        self.refusals.push(Refusal { status, description });
        self
    }

    /// An answer in JSON.
    pub fn gives(self, status: u16, description: &'static str, schema: Value) -> Self {
        self.gives_media(status, description, "application/json", schema)
    }

    /// An answer in another form; a status may have several.
    pub fn gives_media(mut self, status: u16, description: &'static str, media: &'static str, schema: Value) -> Self {
        let payload = Some(Payload { media, schema });
        self.answers.push(Given { status, description, payload });
        self
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} for {:?}", self.verb.word(), self.path, self.access)
    }
}

/// The routes of a listener.
#[derive(Clone, Debug, Default)]
pub struct Table(Vec<Route>);

/// The table is not one that may be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTable {
    #[error("{0} is declared without a summary")]
    Mute(String),
    #[error("{0} changes something and is open to anybody")]
    OpenChange(String),
    #[error("{0} is declared twice")]
    Twice(String),
}

impl Table {
    /// Puts the routes of another module beside these.
    pub fn and(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.0.extend(routes);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// Adds the document that describes these routes, and the page that shows it.
    pub fn with_document(self) -> Self {
        let routes = openapi::routes(&self);
        self.and(routes)
    }

    /// Checks what a table must hold to; done once before anything is served.
    ///
    /// # Errors
    /// Names the first route that breaks a rule.
    pub fn check(&self) -> Result<(), BadTable> {
        let mut known = BTreeSet::new();
        for route in &self.0 {
            let name = format!("{} {}", route.verb.word(), route.path);
            if route.summary.trim().is_empty() {
                return Err(BadTable::Mute(name));
            }
            if route.access == Access::Public && !route.verb.is_safe() {
                return Err(BadTable::OpenChange(name));
            }
            if !known.insert((route.path, route.verb)) {
                return Err(BadTable::Twice(name));
            }
        }
        Ok(())
    }

    /// The router: each handler behind its guard, all of them behind the edge.
    pub fn router(self, app: &App) -> Router {
        let mut router = Router::new();
        for Route { verb, path, access, page, once, handler, .. } in self.0 {
            let guard = Guard { app: app.clone(), access, page };
            let guarded = from_fn_with_state(guard, pass);
            // Within the guard, for a key belongs to whoever showed the credential.
            let handler = if once { handler.route_layer(from_fn_with_state(app.clone(), once::pass)) } else { handler };
            // A handler of every method leaves none to be refused before the guard.
            let handler = if verb == Verb::Any { handler.layer(guarded) } else { handler.route_layer(guarded) };
            router = router.route(path, handler);
        }
        edge::wrap(router, app)
    }
}

impl FromIterator<Route> for Table {
    fn from_iter<I: IntoIterator<Item = Route>>(routes: I) -> Self {
        Self(routes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing() {}

    #[test]
    fn a_table_that_breaks_a_rule_is_not_served() {
        let table = |routes: &[Route]| Table::default().and(routes.to_vec()).check();
        let fine = Route::get("/a", Access::Public, "reads", nothing);
        assert_eq!(table(&[fine.clone(), Route::post("/a", Access::Signed, "writes", nothing)]), Ok(()));
        assert_eq!(table(&[fine.clone(), fine.clone()]), Err(BadTable::Twice("GET /a".into())));
        let open = Route::delete("/a", Access::Public, "kills", nothing);
        assert_eq!(table(&[open]), Err(BadTable::OpenChange("DELETE /a".into())));
        let mute = Route::get("/b", Access::Public, " ", nothing);
        assert_eq!(table(&[mute]), Err(BadTable::Mute("GET /b".into())));
    }
}
