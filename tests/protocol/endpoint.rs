//! A key list endpoint that says whatever it is told to say, byte for byte. For well-formed lists and the usual faults
//! there is `stanch::send::KeyServer`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use reqwest::Url;
use tokio::task::AbortHandle;

pub struct Endpoint {
    url: Url,
    said: Arc<Said>,
    server: AbortHandle,
}

struct Said {
    answer: Mutex<(StatusCode, String)>,
    requests: AtomicU64,
}

impl Endpoint {
    pub async fn saying(text: &str) -> Self {
        let said =
            Arc::new(Said { answer: Mutex::new((StatusCode::OK, text.to_owned())), requests: AtomicU64::new(0) });
        let routes = Router::new().route("/keys", get(answer)).with_state(Arc::clone(&said));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/keys", listener.local_addr().expect("bound")).parse().expect("a URL");
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.expect("served") });
        Self { url, said, server: server.abort_handle() }
    }

    pub fn url(&self) -> Url {
        self.url.clone()
    }

    pub fn say(&self, text: &str) {
        *self.said.answer.lock().unwrap_or_else(PoisonError::into_inner) = (StatusCode::OK, text.to_owned());
    }

    pub fn requests(&self) -> u64 {
        self.said.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(said): State<Arc<Said>>) -> (StatusCode, String) {
    said.requests.fetch_add(1, Ordering::SeqCst);
    said.answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
