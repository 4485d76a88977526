//! A remote issuer on loopback: it knows tokens, kills them, counts who asked what, and misbehaves when told to.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post};
use axum::{Json, Router};
use hyper::body::Frame;
use serde_json::{Value, json};
use stanch::incident::IssuerName;
use stanch::issuer::http::{self, Credential, Fields, Limits, Pointer, Reach, RevokeAnswers, Settings, VerifyAnswers};
use stanch::token::Secret;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::AbortHandle;

/// What we show the issuer so that it talks to us.
pub const CREDENTIAL: &str = "what-we-are-known-by";

/// How the issuer behaves, to whatever it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    Answers,
    /// 429 with this `Retry-After`.
    AsksToWait(String),
    /// 429 with this `Retry-After` to whoever asks about a token that is dead.
    AsksToWaitOnceDead(String),
    /// One byte of its answer at a time, for ever.
    Drips,
    /// Fails in turn by a status, a redirect, a refusal and nonsense, and quotes the question in headers and body.
    EchoesInItsErrors,
    Fails(StatusCode),
    /// Kills the token, and then fails to say so.
    FailsAfterRevoking,
    /// An answer without end, as fast as it can.
    Floods,
    /// Says that it revoked, and does not.
    LiesAboutRevoking,
    /// Answers about another token than it was asked about, once the token is dead.
    NamesAnotherToken,
    /// Gives the token itself where it should tell its name.
    NamesTheTokenByItsText,
    Redirects(String),
    /// A web page with this status, as a proxy in front of the issuer would show.
    ShowsAPage(StatusCode),
    StaysSilent,
}

/// One token of the issuer.
#[derive(Clone, Debug)]
pub struct Known {
    pub id: String,
    pub owner_email: String,
    pub live: bool,
}

/// What somebody asked, by token (verify) or by id (revoke).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Revoke(String),
    Verify(String),
}

/// The running issuer. It stops when it is dropped.
pub struct FakeIssuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
    /// Holds the address while nobody listens on it.
    reserved: Option<TcpSocket>,
}

struct Shared {
    mood: Mutex<Mood>,
    /// Its mood for revocations, if that is another one.
    revoking_mood: Mutex<Option<Mood>>,
    /// When each request came, those that were made to fail included.
    calls: Mutex<Vec<Instant>>,
    tokens: Mutex<HashMap<String, Known>>,
    asked: Mutex<Vec<Asked>>,
    /// `Authorization` that it accepts.
    accepts: Mutex<String>,
}

impl FakeIssuer {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::Answers),
            revoking_mood: Mutex::default(),
            calls: Mutex::default(),
            tokens: Mutex::default(),
            asked: Mutex::default(),
            accepts: Mutex::new(format!("Bearer {CREDENTIAL}")),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = serve(listener, &shared);
        Self { address, shared, server, reserved: None }
    }

    /// Nobody listens any more. For an issuer that was not called yet: open connections would go on.
    pub fn go_away(&mut self) {
        self.server.abort();
        self.reserved = Some(reserve(self.address));
    }

    /// It listens again.
    pub fn come_back(&mut self) {
        let socket = self.reserved.take().expect("it went away");
        self.server = serve(socket.listen(64).expect("the address is ours"), &self.shared);
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn behave(&self, mood: Mood) {
        *lock(&self.shared.mood) = mood;
    }

    /// As [`FakeIssuer::behave`], to revocations alone; `None`: as to everything else.
    pub fn behave_when_revoking(&self, mood: Option<Mood>) {
        *lock(&self.shared.revoking_mood) = mood;
    }

    /// When each request came, whatever became of it.
    pub fn calls(&self) -> Vec<Instant> {
        lock(&self.shared.calls).clone()
    }

    /// The credential that we have is good again.
    pub fn know_us(&self) {
        *lock(&self.shared.accepts) = format!("Bearer {CREDENTIAL}");
    }

    /// From now on another credential is wanted than the one we have.
    pub fn forget_us(&self) {
        *lock(&self.shared.accepts) = "Bearer somebody-else".into();
    }

    /// Adds a live token of `owner_email`, or of several owners joined by commas; its id is `id`.
    pub fn issue(&self, token: &str, id: &str, owner_email: &str) {
        let known = Known { id: id.into(), owner_email: owner_email.into(), live: true };
        lock(&self.shared.tokens).insert(token.into(), known);
    }

    /// The owner kills the token.
    pub fn kill(&self, token: &str) {
        self.shared.kill(|text, _| text == token);
    }

    pub fn is_live(&self, token: &str) -> bool {
        lock(&self.shared.tokens).get(token).is_some_and(|known| known.live)
    }

    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// How many revocations of the token with this id arrived.
    pub fn revocations_of(&self, id: &str) -> usize {
        self.asked().iter().filter(|asked| **asked == Asked::Revoke(id.into())).count()
    }

    /// The issuer as an operator would declare it: JSON in, JSON out, `DELETE` to revoke.
    pub fn declared(&self, name: &str) -> Settings {
        let at = |pointer: &str| Some(pointer.parse::<Pointer>().expect("a pointer"));
        Settings {
            name: IssuerName::new(name),
            base_url: format!("http://{}/api/", self.address),
            credential: Credential::Bearer(Secret::new(CREDENTIAL.into())),
            verify: http::Request {
                method: "POST".parse().expect("a method"),
                path: "/verify".into(),
                headers: vec![],
                body: http::Body::Json(json!({"token": "{token}"})),
            },
            verify_answers: VerifyAnswers {
                fields: Fields {
                    token_id: at("/token/id"),
                    token_name: at("/token/name"),
                    owner_id: at("/owner/id"),
                    owner_name: at("/owner/name"),
                    owner_email: at("/owner/email"),
                    created_at: at("/token/created_at"),
                    last_used_at: at("/token/last_used_at"),
                    expires_at: at("/token/expires_at"),
                    scopes: at("/token/scopes"),
                },
                ..VerifyAnswers::default()
            },
            revoke: http::Request {
                method: "DELETE".parse().expect("a method"),
                path: "/tokens/{id}".into(),
                headers: vec![("idempotency-key".into(), "{incident_id}".into())],
                body: http::Body::None,
            },
            revoke_answers: RevokeAnswers::default(),
            limits: Limits::default(),
            reach: Reach { allow_http: true, allow_private: true, certificates: None },
        }
    }

    /// The issuer as an OAuth server with introspection and revocation.
    pub fn oauth(&self, name: &str) -> Settings {
        let base_url = format!("http://{}/oauth", self.address);
        let credential = Credential::Bearer(Secret::new(CREDENTIAL.into()));
        let reach = Reach { allow_http: true, allow_private: true, certificates: None };
        let settings = Settings::oauth(IssuerName::new(name), base_url, "/introspect", "/revoke", credential);
        Settings { reach, ..settings }
    }
}

fn serve(listener: TcpListener, shared: &Arc<Shared>) -> AbortHandle {
    let routes = Router::new()
        .route("/api/verify", post(verify))
        .route("/api/tokens/{id}", delete(revoke))
        .route("/oauth/introspect", post(introspect))
        .route("/oauth/revoke", post(revoke_by_text))
        .layer(from_fn_with_state(Arc::clone(shared), misbehave))
        .with_state(Arc::clone(shared));
    let server = tokio::spawn(async move {
        axum::serve(listener, routes).await.expect("the listener is ours");
    });
    server.abort_handle()
}

/// Takes an address without listening on it, so that connections to it are refused and nobody else gets it.
pub fn reserve(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket of ours");
    let end = Instant::now() + Duration::from_secs(5);
    // A listener that was just given up may be closed a moment later.
    while let Err(error) = socket.bind(address) {
        assert!(Instant::now() < end, "{address} is still taken: {error}");
        std::thread::yield_now();
    }
    socket
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn mood(&self) -> Mood {
        lock(&self.mood).clone()
    }

    fn revoking_mood(&self) -> Mood {
        lock(&self.revoking_mood).clone().unwrap_or_else(|| self.mood())
    }

    /// Kills what fits; says whether anything that fits is known, and whether it lived.
    fn kill(&self, fits: impl Fn(&str, &Known) -> bool) -> Option<bool> {
        let mut tokens = lock(&self.tokens);
        let (_, known) = tokens.iter_mut().find(|(text, known)| fits(text, known))?;
        if self.revoking_mood() == Mood::LiesAboutRevoking {
            return Some(true);
        }
        Some(std::mem::replace(&mut known.live, false))
    }

    fn note(&self, asked: Asked) {
        lock(&self.asked).push(asked);
    }
}

async fn misbehave(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    lock(&shared.calls).push(Instant::now());
    let revoking = if request.method() == Method::DELETE { lock(&shared.revoking_mood).clone() } else { None };
    match revoking.unwrap_or_else(|| shared.mood()) {
        Mood::AsksToWait(wait) => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait)]).into_response(),
        Mood::Drips => endless(Some(Duration::from_millis(1))),
        Mood::EchoesInItsErrors => echo(&shared, request).await,
        Mood::Fails(status) => status.into_response(),
        Mood::Floods => endless(None),
        Mood::Redirects(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Mood::ShowsAPage(status) => (status, [(header::CONTENT_TYPE, "text/html")], "<h1>Welcome</h1>").into_response(),
        Mood::StaysSilent => std::future::pending().await,
        Mood::Answers
        | Mood::AsksToWaitOnceDead(_)
        | Mood::FailsAfterRevoking
        | Mood::LiesAboutRevoking
        | Mood::NamesAnotherToken
        | Mood::NamesTheTokenByItsText => {
            if request.headers().get(header::AUTHORIZATION).is_none_or(|shown| *shown != *lock(&shared.accepts)) {
                return (StatusCode::UNAUTHORIZED, Json(json!({"error": "who are you"}))).into_response();
            }
            next.run(request).await
        }
    }
}

async fn echo(shared: &Shared, request: Request) -> Response {
    let uri = request.uri().to_string();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a small question");
    let quoted = String::from_utf8_lossy(&body).into_owned();
    let token = serde_json::from_slice::<Value>(&body).map_or(uri.clone(), |json| json["token"].to_string());
    let turn = lock(&shared.asked).len();
    shared.note(Asked::Verify(token.clone()));
    let token = token.trim_matches('"').to_owned();
    let headers = [(header::LOCATION.as_str(), format!("/login?for={token}")), ("x-asked", token.clone())];
    let text = format!("cannot answer {quoted} at {uri}");
    match turn % 4 {
        0 => (StatusCode::INTERNAL_SERVER_ERROR, headers, text).into_response(),
        1 => (StatusCode::FOUND, headers, text).into_response(),
        2 => (StatusCode::IM_A_TEAPOT, headers, Json(json!({"error": text}))).into_response(),
        _ => (StatusCode::OK, headers, Json(json!({"token": {"id": {"of": token}, "name": text}}))).into_response(),
    }
}

async fn verify(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    let token = body["token"].as_str().unwrap_or_default();
    shared.note(Asked::Verify(token.into()));
    let Some(known) = lock(&shared.tokens).get(token).cloned() else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "unknown token"}))).into_response();
    };
    if let (Mood::AsksToWaitOnceDead(wait), false) = (shared.mood(), known.live) {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait)]).into_response();
    }
    let status = if known.live { StatusCode::OK } else { StatusCode::GONE };
    let another = shared.mood() == Mood::NamesAnotherToken && !known.live;
    let answer = json!({
        "token": {
            "id": if another { "another" } else { &known.id },
            "name": if shared.mood() == Mood::NamesTheTokenByItsText { token } else { "ci upload" },
            "created_at": "2026-01-02T03:04:05Z",
            "last_used_at": null,
            "expires_at": 1_900_000_000,
            "scopes": ["upload"],
        },
        "owner": {"id": 17, "name": "Ada", "email": addresses(&known.owner_email)},
    });
    (status, Json(answer)).into_response()
}

async fn revoke(State(shared): State<Arc<Shared>>, Path(id): Path<String>, headers: HeaderMap) -> StatusCode {
    shared.note(Asked::Revoke(id.clone()));
    if !headers.contains_key("idempotency-key") {
        return StatusCode::BAD_REQUEST;
    }
    match shared.kill(|_, known| known.id == id) {
        _ if shared.revoking_mood() == Mood::FailsAfterRevoking => StatusCode::INTERNAL_SERVER_ERROR,
        None => StatusCode::NOT_FOUND,
        Some(false) => StatusCode::GONE,
        Some(true) => StatusCode::NO_CONTENT,
    }
}

async fn introspect(State(shared): State<Arc<Shared>>, body: String) -> Json<Value> {
    let token = field(&body, "token");
    shared.note(Asked::Verify(token.clone()));
    let known = lock(&shared.tokens).get(&token).cloned().filter(|known| known.live);
    Json(known.map_or(json!({"active": false}), |known| {
        json!({"active": true, "jti": known.id, "username": "ada", "email": known.owner_email, "scope": "upload"})
    }))
}

async fn revoke_by_text(State(shared): State<Arc<Shared>>, body: String) -> StatusCode {
    let token = field(&body, "token");
    let id = lock(&shared.tokens).get(&token).map(|known| known.id.clone());
    shared.note(Asked::Revoke(id.unwrap_or_default()));
    shared.kill(|text, _| text == token);
    StatusCode::OK
}

/// One field of a form.
fn field(form: &str, name: &str) -> String {
    let url = reqwest::Url::parse(&format!("form:?{form}")).expect("a form is a query");
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// White space for ever, as JSON permits it before a value.
fn endless(every: Option<Duration>) -> Response {
    let body = Body::new(Endless(every.map(tokio::time::interval)));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

struct Endless(Option<tokio::time::Interval>);

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(interval) = &mut self.0 else {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 4096])))));
        };
        ready!(interval.poll_tick(context));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no handler panics under a lock")
}

/// One address as a text, several as a list.
fn addresses(owners: &str) -> serde_json::Value {
    if owners.contains(',') { owners.split(',').collect() } else { owners.into() }
}
