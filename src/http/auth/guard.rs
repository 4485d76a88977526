//! The guard before every route: lets through whom the route declared, and nobody else.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::warn;

use super::{
    Authentication, By, Caller, Client, Manager, Operator, Refused, Scheme, Seen, Shown, Status, client, of_client,
    session, shown, shown_or_bare,
};
use crate::http::App;
use crate::http::route::{Access, scope};
use crate::mint::{self, Authenticated, Reason, Refusal};
use crate::operator::Role;
use crate::store::OwnTokenKind;
use crate::token::Secret;

/// One route's guard.
#[derive(Clone)]
pub struct Guard {
    pub app: App,
    pub access: Access,
    /// Whether the route shows a page, so that nobody is sent to sign in rather than refused.
    pub page: bool,
}

/// Most bytes of a form that comes by a session.
const MAX_FORM: usize = 64 * 1_024;

/// Checks a request and hands it on, or refuses it; what was seen of its credential is left for the log.
pub async fn pass(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let mut seen = Seen::default();
    let mut response = match guard.admit(&mut request, &mut seen).await {
        Ok(()) => next.run(request).await,
        Err(Refused::Missing) if guard.page && is_safe(request.method()) => session::to_sign_in(request.uri()),
        Err(refused) => {
            if matches!(refused, Refused::Invalid(_) | Refused::Unclear) {
                seen.status = Status::Bad;
            }
            refused.response(guard.access)
        }
    };
    // A handler that reads a credential itself has said what it saw.
    if response.extensions().get::<Seen>().is_none() {
        response.extensions_mut().insert(seen);
    }
    response
}

impl Guard {
    async fn admit(&self, request: &mut Request, seen: &mut Seen) -> Result<(), Refused> {
        let changes = !is_safe(request.method());
        if changes {
            refuse_other_sites(request.headers(), self.access)?;
        }
        match self.access {
            // What these take, their handlers prove over the body.
            Access::Form | Access::Holder | Access::Public | Access::Signed | Access::Upload => Ok(()),
            Access::ApiKey => self.caller(request, seen, &OwnTokenKind::ALL, None).await,
            Access::Client => self.caller(request, seen, DIRECT, Some(scope::INTROSPECT)).await,
            Access::Magic => self.caller(request, seen, &[OwnTokenKind::Magic], None).await,
            Access::Mint if self.app.is_minting_open() && self.credential(request)?.is_none() => Ok(()),
            Access::Manage | Access::Mint => self.manager(request, seen, changes).await,
            Access::Operator(role) => self.operator(request, seen, role, changes).await,
            Access::OptionalKey => self.optional(request, seen).await,
            Access::Reporter => self.caller(request, seen, DIRECT, Some(scope::REPORT)).await,
            Access::Token { kinds, scope } => self.caller(request, seen, kinds, scope).await,
        }
    }

    fn credential(&self, request: &Request) -> Result<Option<Shown>, Refused> {
        let shown = match self.access {
            Access::Magic | Access::Reporter => shown_or_bare(request.headers()),
            _ => shown(request.headers()),
        };
        shown.map_err(|_| Refused::Unclear)
    }

    async fn caller(
        &self,
        request: &mut Request,
        seen: &mut Seen,
        kinds: &[OwnTokenKind],
        scope: Option<&'static str>,
    ) -> Result<(), Refused> {
        let mut shown = self.credential(request)?;
        if self.access == Access::Client
            && let Some(in_form) = of_client(&form_of(request).await?)
        {
            // A client that shows itself in two ways may mean either (RFC 6749 section 2.3).
            if shown.is_some() {
                return Err(Refused::Unclear);
            }
            shown = Some(in_form);
        }
        let Some(shown) = shown else {
            return if self.is_open(request)? { Ok(()) } else { Err(Refused::Missing) };
        };
        let scheme = shown.scheme;
        let found = self.look_up(Asked::of(&self.app, request), &shown, seen).await?;
        if !kinds.contains(&found.kind()) {
            return Err(Refused::WrongKind);
        }
        if let Some(scope) = scope.filter(|scope| !found.has_scope(scope)) {
            return Err(Refused::Forbidden { scope });
        }
        let secret = (self.access == Access::Magic).then(|| Arc::new(shown.secret));
        request.extensions_mut().insert(Caller { shown: found, scheme, secret });
        Ok(())
    }

    /// Whoever shows a good key is known, everybody else is not, and nobody is refused.
    async fn optional(&self, request: &mut Request, seen: &mut Seen) -> Result<(), Refused> {
        match self.caller(request, seen, &OwnTokenKind::ALL, None).await {
            Err(Refused::Invalid(_) | Refused::Unclear) => {
                seen.status = Status::Bad;
                Ok(())
            }
            Err(Refused::Missing | Refused::Restricted) => Ok(()),
            other => other,
        }
    }

    async fn manager(&self, request: &mut Request, seen: &mut Seen, changes: bool) -> Result<(), Refused> {
        if let Some(shown) = self.credential(request)? {
            let found = self.look_up(Asked::of(&self.app, request), &shown, seen).await?;
            if !DIRECT.contains(&found.kind()) {
                return Err(Refused::WrongKind);
            }
            if !Role::of_scopes(&found.token().scopes).is_some_and(|role| role.allows(Role::Admin)) {
                if !found.has_scope(mint::WRITE) {
                    return Err(Refused::Forbidden { scope: mint::WRITE });
                }
                let owner_id = Some(found.token().owner_id);
                let by = mint::By::Token(Box::new(found));
                request.extensions_mut().insert(Manager { by, owner_id, operator: None });
                return Ok(());
            }
        }
        self.operator(request, seen, Role::Admin, changes).await?;
        let operator = request.extensions().get::<Operator>().cloned().ok_or(Refused::Missing)?;
        let by = mint::By::Operator(operator.name.clone());
        request.extensions_mut().insert(Manager { by, owner_id: None, operator: Some(operator) });
        Ok(())
    }

    async fn operator(
        &self,
        request: &mut Request,
        seen: &mut Seen,
        needed: Role,
        changes: bool,
    ) -> Result<(), Refused> {
        let found = match self.credential(request)? {
            Some(shown) => {
                let found = self.look_up(Asked::of(&self.app, request), &shown, seen).await?;
                if !DIRECT.contains(&found.kind()) {
                    return Err(Refused::WrongKind);
                }
                let token = found.token();
                let role = Role::of_scopes(&token.scopes).ok_or(Refused::Forbidden { scope: needed.scope() })?;
                Operator { name: token.owner_name.clone(), role, by: By::Token(token.id) }
            }
            None => match session::operator(&self.app, request.headers()).await? {
                Some(operator) => operator,
                None if self.is_open(request)? => {
                    Operator { name: "nobody".into(), role: Role::Admin, by: By::Nothing }
                }
                None => return Err(Refused::Missing),
            },
        };
        if !found.role.allows(needed) {
            return Err(Refused::Forbidden { scope: needed.scope() });
        }
        if let (By::Session(session), true) = (&found.by, changes) {
            require_same_site(request.headers())?;
            let form = form_of(request).await?;
            if !session::is_meant(session, request.headers(), &form) {
                return Err(Refused::NotMeant);
            }
        }
        if !matches!(found.by, By::Nothing) {
            seen.status = Status::Ok;
        }
        request.extensions_mut().insert(found);
        Ok(())
    }

    /// Whether nobody has to show anything here: in development, on this machine, and by its name. Any page that a
    /// browser shows could otherwise reach us by a name of its own that leads here (DNS rebinding).
    fn is_open(&self, request: &Request) -> Result<bool, Refused> {
        if self.app.settings().authentication == Authentication::Required {
            return Ok(false);
        }
        let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let fine = client::is_loopback(host) || self.app.settings().open_to_everybody;
        if fine { Ok(true) } else { Err(Refused::CrossSite) }
    }

    async fn look_up(&self, asked: Asked, shown: &Shown, seen: &mut Seen) -> Result<Authenticated, Refused> {
        let scheme = shown.scheme;
        let Asked { method, path, client, organisation } = asked;
        // Another user than `__token__` is a password of somebody; only a client's id may stand there.
        if shown.user.is_some() && self.access != Access::Client {
            return Err(Refused::Invalid(Scheme::Basic));
        }
        let asked = mint::Request {
            method: Some(method.as_str()),
            path: Some(&path),
            address: Some(client.address),
            organisation: organisation.as_deref(),
            ..mint::Request::default()
        };
        let found = check(&self.app, client, &shown.secret, &asked).await;
        match found {
            Ok(found) => {
                *seen = Seen { status: Status::Ok, token_id: Some(found.token().id) };
                let is_itself = |user: &String| *user == found.token().id.to_string();
                if shown.user.as_ref().is_some_and(|user| !is_itself(user)) {
                    return Err(Refused::Invalid(scheme));
                }
                Ok(found)
            }
            Err(NotKnown::Invalid(reason)) if reason.is_about_the_request() => Err(Refused::Restricted),
            Err(NotKnown::Invalid(_)) => Err(Refused::Invalid(scheme)),
            Err(NotKnown::Throttled { retry_after }) => Err(Refused::Throttled { retry_after }),
            Err(NotKnown::Unavailable) => Err(Refused::Unavailable),
        }
    }
}

/// What a token may be bound to of a request.
struct Asked {
    method: Method,
    path: String,
    client: Client,
    /// For whom, if the caller says so: a token of several organisations is asked for one of them.
    organisation: Option<String>,
}

impl Asked {
    fn of(app: &App, request: &Request) -> Self {
        let client = Client::of(app, request.extensions(), request.headers());
        let organisation =
            request.headers().get(ORGANISATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Self { method: request.method().clone(), path: request.uri().path().to_owned(), client, organisation }
    }
}

/// The header that names the organisation a request is for, as rushomon's clients send it.
pub const ORGANISATION: &str = "x-org-id";

/// The kinds that people and services show to us directly. What is made to be handed on opens nothing of ours.
const DIRECT: &[OwnTokenKind] = &[OwnTokenKind::Key, OwnTokenKind::Pat];

/// A token was shown and is of no use.
pub enum NotKnown {
    Invalid(Reason),
    /// The address has shown too many that were not.
    Throttled {
        retry_after: Duration,
    },
    Unavailable,
}

/// Checks a token that was shown, wherever it was shown. Failures of one address are counted, and too many of them end
/// its tries before anything is looked up.
pub async fn check(
    app: &App,
    client: Client,
    secret: &Secret,
    asked: &mint::Request<'_>,
) -> Result<Authenticated, NotKnown> {
    app.limits.may_try(client.address).map_err(|retry_after| NotKnown::Throttled { retry_after })?;
    match app.authenticator.authenticate(secret, asked).await {
        Ok(found) => Ok(found),
        Err(Refusal::Absent) => Err(NotKnown::Invalid(Reason::Malformed)),
        Err(Refusal::Invalid(reason)) => {
            if !reason.is_about_the_request() {
                app.limits.failed(client.address);
            }
            Err(NotKnown::Invalid(reason))
        }
        Err(Refusal::Unavailable(failure)) => {
            let failure: &(dyn std::error::Error + 'static) = &failure;
            warn!(failure, "could not look up a token that was shown");
            Err(NotKnown::Unavailable)
        }
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A browser that sends a change because another site told it to is never right, whatever the route; only a signature, which no browser makes, says more.
/// Programs send no such header (Fetch Metadata, <https://www.w3.org/TR/fetch-metadata/>).
fn refuse_other_sites(headers: &HeaderMap, access: Access) -> Result<(), Refused> {
    match access {
        Access::Form => return require_same_site(headers),
        // No browser can make the signature, and whoever has made it is not asked for more.
        Access::Signed => return Ok(()),
        _ => {}
    }
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Refused::CrossSite),
    }
}

/// What only a browser sends must show that it comes from a page of ours: by `Sec-Fetch-Site`, or in a browser too old
/// for it by `Origin`.
fn require_same_site(headers: &HeaderMap) -> Result<(), Refused> {
    if let Some(site) = headers.get("sec-fetch-site") {
        return if site == "same-origin" { Ok(()) } else { Err(Refused::CrossSite) };
    }
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let from = origin.and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    if from.is_some() && from == host { Ok(()) } else { Err(Refused::CrossSite) }
}

/// The body if it is a form, put back for the handler.
async fn form_of(request: &mut Request) -> Result<Bytes, Refused> {
    let is_form = request.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    if !is_form {
        return Ok(Bytes::new());
    }
    let body = std::mem::replace(request.body_mut(), Body::empty());
    let form = to_bytes(body, MAX_FORM).await.map_err(|_| Refused::NotMeant)?;
    *request.body_mut() = Body::from(form.clone());
    Ok(form)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn programs_pass_and_other_sites_do_not() {
        for site in ["cross-site", "same-site", "anything"] {
            let headers = headers(&[("sec-fetch-site", site)]);
            assert_eq!(refuse_other_sites(&headers, Access::Public), Err(Refused::CrossSite), "{site}");
        }
        for site in ["none", "same-origin"] {
            assert_eq!(refuse_other_sites(&headers(&[("sec-fetch-site", site)]), Access::Holder), Ok(()));
        }
        assert_eq!(refuse_other_sites(&HeaderMap::new(), Access::Holder), Ok(()));
        let signed = headers(&[("sec-fetch-site", "cross-site")]);
        assert_eq!(refuse_other_sites(&signed, Access::Signed), Ok(()), "the signature says enough");
    }

    #[test]
    fn what_only_a_browser_sends_must_come_from_here() {
        let fine = [
            headers(&[("sec-fetch-site", "same-origin")]),
            headers(&[("origin", "https://stanch.example:8443"), ("host", "stanch.example:8443")]),
        ];
        for headers in fine {
            assert_eq!(require_same_site(&headers), Ok(()), "{headers:?}");
        }
        let refused = [
            headers(&[]),
            headers(&[("sec-fetch-site", "none")]),
            headers(&[("origin", "null"), ("host", "stanch.example")]),
            headers(&[("origin", "https://evil.example"), ("host", "stanch.example")]),
            headers(&[("sec-fetch-site", "cross-site"), ("origin", "https://a.example"), ("host", "a.example")]),
        ];
        for headers in refused {
            assert_eq!(require_same_site(&headers), Err(Refused::CrossSite), "{headers:?}");
        }
    }
}
