//! A whole receiver on loopback: real HTTP, real key endpoint, SQLite in a folder that goes away, a clock moved by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;
use stanch::clock::{Clock, Timestamp};
use stanch::http::{self, App};
use stanch::incident::{EmailAddress, Incident};
use stanch::intake::{Feedback, Intake, KeyEndpoint, Origin, Parts, TokenForm};
use stanch::issuer::Issuers;
use stanch::mint::{self, Authenticator};
use stanch::proxy::Upstream;
use stanch::recognize::Recognizer;
use stanch::send::{Generator, KeyPair, KeyServer, Message, Signer};
use stanch::store::{self, IncidentFilter, PageRequest, SealKey, SealRing, Store};
use stanch::telemetry::Metrics;
use stanch::token::{FingerprintKey, FingerprintRing, KindId};
use tempfile::TempDir;
use tokio::task::AbortHandle;

use crate::issuer::LocalIssuer;

pub const KEY_ID: &str = "github-public-key-identifier";
pub const SIGNATURE: &str = "github-public-key-signature";
pub const ROUTE: &str = "/webhooks/github";

/// A running receiver with one origin, GitHub's, unless told otherwise.
pub struct Door {
    pub keys: KeyServer,
    pub signer: Signer,
    pub clock: Clock,
    pub store: Store,
    pub issuer: Arc<LocalIssuer>,
    pub app: App,
    pub address: std::net::SocketAddr,
    client: reqwest::Client,
    server: AbortHandle,
    pub folder: Arc<TempDir>,
}

/// What a test wants to be different.
pub struct Plan {
    pub origins: Vec<Origin>,
    pub settings: http::Settings,
    pub clock: Clock,
    pub folder: Arc<TempDir>,
    pub max_records: usize,
    /// What stands behind the proxy, and whom openly made magic tokens belong to.
    pub upstreams: (Vec<Upstream>, BTreeMap<String, EmailAddress>),
}

impl Door {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// Opens after `change` has had its way with GitHub's origin and the settings.
    pub async fn open_with(change: impl FnOnce(&mut Plan)) -> Self {
        let signer = Signer::new(key(1));
        let keys = KeyServer::start(([127, 0, 0, 1], 0).into(), &signer.key_list()).await.expect("a free port");
        Self::open_at(keys, signer, change).await
    }

    pub async fn open_at(keys: KeyServer, signer: Signer, change: impl FnOnce(&mut Plan)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut plan = Plan {
            origins: vec![origin("github", &keys.url())],
            settings: http::Settings::default(),
            clock: Clock::manual(Timestamp::from_millis(1_795_395_604_000)),
            folder: Arc::new(tempfile::tempdir().expect("a folder")),
            max_records: 10_000,
            upstreams: (Vec::new(), BTreeMap::new()),
        };
        change(&mut plan);
        let Plan { origins, settings, clock, folder, max_records, upstreams } = plan;

        let store = open_store(&folder, clock.clone()).await;
        let issuer = Arc::new(LocalIssuer::new());
        let mut issuers = Issuers::default();
        issuers.add(issuer.clone(), [KindId::new(stanch::token::pat::KIND)]);
        let recognizer = Recognizer::builder().with_pat_prefix("stanch").build().expect("a recognizer");
        let intake = Intake::new(
            origins,
            Parts {
                recognizer: Arc::new(recognizer),
                fingerprints: Arc::new(FingerprintRing::new(FingerprintKey::new("f1".into(), [1; 32]), Vec::new())),
                issuers,
                store: store.clone(),
                clock: clock.clone(),
                max_records,
            },
        );
        let intake = Arc::new(intake.expect("the endpoints can be set up"));
        intake.restore_keys().await;
        let parts = http::Parts {
            intake,
            store: store.clone(),
            clock: clock.clone(),
            authenticator: Authenticator::new(store.clone(), mint::Settings::default(), clock.clone()),
            metrics: Metrics::install().expect("a recorder"),
        };
        let app = App::new(settings, parts).with_upstreams(upstreams.0, upstreams.1);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let routes = http::router(&app);
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.expect("served") });
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.timeout(Duration::from_secs(20)).build().expect("a client");
        Self { keys, signer, clock, store, issuer, app, address, client, server: server.abort_handle(), folder }
    }

    pub fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().expect("a URL")
    }

    /// Sends a body signed with the current key.
    pub async fn deliver(&self, body: impl Into<Bytes>) -> Response {
        self.send(self.signer.message(body.into())).await
    }

    pub async fn send(&self, message: Message) -> Response {
        self.send_to(ROUTE, message).await
    }

    pub async fn send_to(&self, path: &str, message: Message) -> Response {
        let request = self.client.request(message.method, self.url(path)).headers(message.headers).body(message.body);
        request.send().await.expect("an answer")
    }

    pub async fn request(&self, method: Method, path: &str, headers: HeaderMap) -> Response {
        self.client.request(method, self.url(path)).headers(headers).send().await.expect("an answer")
    }

    pub async fn json(&self, method: Method, path: &str, headers: HeaderMap, body: Option<Value>) -> Response {
        let request = self.client.request(method, self.url(path)).headers(headers);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.expect("an answer")
    }

    pub async fn form(&self, path: &str, authorization: &str, form: String) -> Response {
        let mut request = self.client.post(self.url(path)).body(form);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        request.send().await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path, HeaderMap::new()).await
    }

    /// All incidents, however many deliveries opened them.
    pub async fn incidents(&self) -> Vec<Incident> {
        let page = self.store.incidents(&IncidentFilter::default(), &PageRequest::first(1_000)).await;
        page.expect("readable").items
    }

    pub async fn assert_nothing_stored(&self) {
        assert!(self.incidents().await.is_empty(), "an incident was opened");
    }

    /// The value of a metric's line whose labels contain all of `labels`; zero if there is none.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let text = self.app.metrics.render();
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let fitting = lines.filter(|line| labels.iter().all(|label| line.contains(label.as_str())));
        fitting.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub async fn open_store(folder: &TempDir, clock: Clock) -> Store {
    let settings = store::Settings {
        url: format!("sqlite:{}", folder.path().join("stanch.db").display()),
        max_connections: 2,
        keep_reports_for: Duration::from_hours(24),
    };
    let seal = SealRing { current: SealKey::new("s1".into(), [7; 32]), older: Vec::new() };
    Store::open(&settings, seal, clock).await.expect("a fresh database")
}

/// Asks until it is so, for what no event tells us about. Gives up after a while.
pub async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect("it never became so");
}

/// GitHub's origin with labels switched on, under another name if wanted, with its keys at `url`.
pub fn origin(name: &str, url: &str) -> Origin {
    let mut endpoint = KeyEndpoint::new(url.parse().expect("a URL"));
    endpoint.timeout = Duration::from_secs(2);
    Origin {
        name: name.to_owned(),
        key_endpoint: Some(endpoint),
        feedback: Feedback::On(TokenForm::Hash),
        ..Origin::github()
    }
}

/// An origin with headers of its own.
pub fn other_origin(name: &str, url: &str) -> Origin {
    Origin {
        key_id_header: HeaderName::from_static("gosst-public-key-identifier"),
        signature_header: HeaderName::from_static("gosst-public-key-signature"),
        ..origin(name, url)
    }
}

/// A key that is the same in every run.
pub fn key(seed: u64) -> KeyPair {
    KeyPair::generate(&mut StdRng::seed_from_u64(seed)).expect("a key")
}

/// Well-formed tokens of the built-in kind, the same for the same seed.
pub fn tokens(seed: u64, count: usize) -> Vec<String> {
    let mut generator = Generator::new("stanch", "stanch_pat", StdRng::seed_from_u64(seed));
    generator.records(count).into_iter().map(|record| record.token).collect()
}

pub fn token(seed: u64) -> String {
    tokens(seed, 1).remove(0)
}

/// A delivery of one record.
pub fn report(token: &str) -> String {
    serde_json::json!([{ "token": token, "type": "stanch_pat", "url": "https://example.com/", "source": "content" }])
        .to_string()
}

/// The labels of an answer, each with its token's hash.
pub async fn labels(response: Response) -> Vec<(String, String)> {
    assert_eq!(response.status(), StatusCode::OK);
    let all: Vec<Value> = response.json().await.expect("labels");
    let text = |one: &Value, name: &str| one[name].as_str().expect("text").to_owned();
    all.iter().map(|one| (text(one, "token_hash"), text(one, "label"))).collect()
}

pub fn sha256_hex(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
