//! What a sender sent is in no log line. Alone in its process: it listens to everything that any part of it logs.

#[path = "../protocol/door.rs"]
#[expect(dead_code, reason = "made for the protocol's tests, of which this is one")]
mod door;
#[path = "../protocol/issuer.rs"]
#[expect(dead_code, reason = "made for the protocol's tests, of which this is one")]
mod issuer;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rand::TryRng as _;
use rand::rngs::SysRng;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tracing_subscriber::fmt::MakeWriter;

use door::{Door, KEY_ID, SIGNATURE, token};

/// Everything that any part of the process logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn log() -> Log {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).expect("the first one");
    log
}

#[tokio::test]
async fn no_log_line_at_any_level_holds_what_a_sender_sent() {
    let log = log();
    let mut seed = [0; 8];
    SysRng.try_fill_bytes(&mut seed).expect("randomness");
    let marked = token(u64::from_le_bytes(seed));
    let door = Door::open().await;
    door.issuer.knows_live(&marked);
    let body =
        serde_json::json!([{ "token": marked, "type": "marked-type", "url": "marked-url", "source": "marked-source" }]);
    let good = door.signer.message(body.to_string().into());
    let signature = good.headers[SIGNATURE].to_str().expect("text").to_owned();
    assert_eq!(door.send(good.clone()).await.status(), StatusCode::OK);
    assert_eq!(door.send(good.clone()).await.status(), StatusCode::OK, "the replay");

    let mut unsigned = good.clone();
    unsigned.body = format!("{} ", String::from_utf8_lossy(&good.body)).into();
    assert_eq!(door.send(unsigned).await.status(), StatusCode::UNAUTHORIZED);
    let mut unknown = good.clone();
    unknown.headers.insert(KEY_ID, HeaderValue::from_static("marked-key"));
    unknown.headers.insert("x-request-id", HeaderValue::try_from(marked.as_str()).expect("a value"));
    unknown.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer marked-credential"));
    assert_eq!(door.send(unknown).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(door.deliver(format!("{{\"{marked}\":")).await.status(), StatusCode::BAD_REQUEST);
    door.get(&format!("/{marked}?marked-query={marked}")).await;
    door.store.close().await;
    let body = serde_json::json!([{ "token": marked, "type": "another" }]).to_string();
    assert_eq!(door.deliver(body).await.status(), StatusCode::SERVICE_UNAVAILABLE);

    let text = log.text();
    assert!(text.contains("accepted delivery dlv_"), "the log is there:\n{text}");
    assert!(text.contains("could not store delivery"));
    let (start, end) = marked.split_at(marked.len() / 2);
    for secret in [&marked, start, end, "marked-", &signature, &signature[..40]] {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "logged: {line:?}");
    }
}
