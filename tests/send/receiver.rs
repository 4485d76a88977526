//! A small receiver: the checks of the protocol, in its order, and nothing else.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use reqwest::Url;
use stanch::send::{Courier, KeyList, KeyPair, Limits, Signer};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// A key that is the same in every run.
pub fn key(seed: u64) -> KeyPair {
    KeyPair::generate(&mut StdRng::seed_from_u64(seed)).expect("a key")
}

pub fn signer() -> Signer {
    Signer::new(key(0xface))
}

pub struct Receiver {
    addr: SocketAddr,
    seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub async fn start(keys: KeyList, limits: Limits) -> Self {
        Self::start_as(Manner::Answers, keys, limits).await
    }

    /// Takes requests and never answers.
    pub async fn silent() -> Self {
        Self::start_as(Manner::IsSilent, KeyList::default(), Limits::default()).await
    }

    async fn start_as(manner: Manner, keys: KeyList, limits: Limits) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let seen = Arc::new(Seen {
            keys,
            limits,
            manner,
            accepted: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bodies: Mutex::default(),
        });
        let routes = Router::new()
            .route("/hook", post(receive))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&seen));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.expect("served") });
        Self { addr, seen, task }
    }

    pub fn url(&self) -> Url {
        format!("http://{}/hook", self.addr).parse().expect("a url")
    }

    pub fn courier(&self) -> Courier {
        Courier::new(self.url(), Duration::from_secs(30)).expect("a courier")
    }

    pub fn accepted(&self) -> u64 {
        self.seen.accepted.load(Ordering::SeqCst)
    }

    pub fn records(&self) -> u64 {
        self.seen.records.load(Ordering::SeqCst)
    }

    pub fn distinct_bodies(&self) -> usize {
        self.seen.bodies.lock().expect("no panic here").len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Manner {
    Answers,
    IsSilent,
}

struct Seen {
    keys: KeyList,
    limits: Limits,
    manner: Manner,
    accepted: AtomicU64,
    records: AtomicU64,
    bodies: Mutex<HashSet<Bytes>>,
}

async fn receive(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Body) -> Result<StatusCode, StatusCode> {
    if matches!(seen.manner, Manner::IsSilent) {
        std::future::pending::<()>().await;
    }
    let body = axum::body::to_bytes(body, seen.limits.body_bytes).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    verify(&seen.keys, &headers, &body).ok_or(StatusCode::UNAUTHORIZED)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if headers.contains_key(header::CONTENT_ENCODING) || !content_type.starts_with("application/json") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let records: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    if records.is_empty() {
        return Err(StatusCode::BAD_REQUEST);
    }
    if records.len() > seen.limits.records {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    seen.bodies.lock().expect("no panic here").insert(body.clone());
    seen.accepted.fetch_add(1, Ordering::SeqCst);
    seen.records.fetch_add(records.len() as u64, Ordering::SeqCst);
    Ok(StatusCode::NO_CONTENT)
}

/// Only a P-256 key that is listed under the id, only strict base64, only strict DER.
pub fn verify(keys: &KeyList, headers: &HeaderMap, body: &Bytes) -> Option<()> {
    let id = headers.get("github-public-key-identifier")?.to_str().ok()?;
    let text = headers.get("github-public-key-signature")?.to_str().ok()?;
    let listed = keys.public_keys.iter().find(|key| key.key_identifier == id)?;
    let key = VerifyingKey::from_public_key_pem(&listed.key).ok()?;
    let signature = Signature::from_der(&STANDARD.decode(text).ok()?).ok()?;
    key.verify(body, &signature).ok()
}
