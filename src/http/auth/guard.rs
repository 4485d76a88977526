//! The guard before every route: lets through whom the route declared, and nobody else.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use tracing::warn;

use super::{By, Caller, Operator, Refused, Scheme, Seen, Shown, Status, session, shown};
use crate::http::App;
use crate::http::route::{Access, scope};
use crate::mint::{self, Refusal};
use crate::operator::Role;
use crate::store::OwnToken;

/// One route's guard.
#[derive(Clone)]
pub struct Guard {
    pub app: App,
    pub access: Access,
    /// Whether the route shows a page, so that nobody is sent to sign in rather than refused.
    pub page: bool,
}

/// What a token may be bound to of a request.
struct Asked {
    method: Method,
    path: String,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self { method: request.method().clone(), path: request.uri().path().to_owned() }
    }
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
            if matches!(refused, Refused::Invalid(_) | Refused::Forbidden { .. } | Refused::Unclear) {
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
            Access::ApiKey => self.caller(request, seen, None).await,
            Access::Client => self.caller(request, seen, Some(scope::INTROSPECT)).await,
            Access::Token { scope } => self.caller(request, seen, scope).await,
            Access::Operator(role) => self.operator(request, seen, role, changes).await,
        }
    }

    async fn caller(&self, request: &mut Request, seen: &mut Seen, scope: Option<&'static str>) -> Result<(), Refused> {
        let shown = shown(request.headers()).map_err(|_| Refused::Unclear)?.ok_or(Refused::Missing)?;
        let scheme = shown.scheme;
        let token = self.look_up(Asked::of(request), &shown, seen).await?;
        if let Some(scope) = scope.filter(|scope| !token.scopes.iter().any(|held| held == scope)) {
            return Err(Refused::Forbidden { scope });
        }
        request.extensions_mut().insert(Caller { token: Arc::new(token), scheme });
        Ok(())
    }

    async fn operator(
        &self,
        request: &mut Request,
        seen: &mut Seen,
        needed: Role,
        changes: bool,
    ) -> Result<(), Refused> {
        let found = match shown(request.headers()).map_err(|_| Refused::Unclear)? {
            Some(shown) => {
                let token = self.look_up(Asked::of(request), &shown, seen).await?;
                let role = Role::of_scopes(&token.scopes).ok_or(Refused::Forbidden { scope: needed.scope() })?;
                Operator { name: token.owner_name, role, by: By::Token(token.id) }
            }
            None => session::operator(&self.app, request.headers()).await?.ok_or(Refused::Missing)?,
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
        seen.status = Status::Ok;
        request.extensions_mut().insert(found);
        Ok(())
    }

    async fn look_up(&self, asked: Asked, shown: &Shown, seen: &mut Seen) -> Result<OwnToken, Refused> {
        let scheme = shown.scheme;
        // Another user than `__token__` is a password of somebody; only a client's id may stand there.
        if shown.user.is_some() && self.access != Access::Client {
            return Err(Refused::Invalid(Scheme::Basic));
        }
        let Asked { method, path } = asked;
        let asked = mint::Request { method: Some(method.as_str()), path: Some(&path), ..mint::Request::default() };
        match self.app.authenticator.authenticate(&shown.secret, &asked).await {
            Ok(authenticated) => {
                let token = authenticated.token().clone();
                *seen = Seen { status: Status::Ok, token_id: Some(token.id) };
                let is_itself = |user: &String| *user == token.id.to_string();
                if shown.user.as_ref().is_some_and(|user| !is_itself(user)) {
                    return Err(Refused::Invalid(scheme));
                }
                Ok(token)
            }
            Err(Refusal::Absent | Refusal::Invalid(_)) => Err(Refused::Invalid(scheme)),
            Err(Refusal::Unavailable(failure)) => {
                let failure: &(dyn std::error::Error + 'static) = &failure;
                warn!(failure, "could not look up a token that was shown");
                Err(Refused::Unavailable)
            }
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
