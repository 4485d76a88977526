//! Posts messages and says what came back.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use reqwest::Url;

use super::stream::Repeat;
use super::{Framing, Message, SendError};

/// Keeps connections to one receiver and posts to it.
#[derive(Clone)]
pub struct Courier {
    client: reqwest::Client,
    url: Url,
}

impl Courier {
    /// `answer_within` covers all of one exchange, connecting included; GitHub waits 30 s for a receiver that answers
    /// with labels.
    pub fn new(url: Url, answer_within: Duration) -> Result<Self, SendError> {
        // Refused if one was installed before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("stanch-send/", env!("CARGO_PKG_VERSION")))
            .timeout(answer_within)
            .pool_max_idle_per_host(usize::MAX)
            .tcp_nodelay(true)
            .build()
            .map_err(SendError::Http)?;
        Ok(Self { client, url })
    }

    /// Whether the receiver is this machine, by its name alone: nothing is resolved.
    pub fn is_local(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// # Errors
    /// A [`Failure`] when there was no answer at all; every status is an [`Answer`].
    pub async fn post(&self, message: Message) -> Result<Answer, Failure> {
        let began = Instant::now();
        let body = match message.framing {
            Framing::Chunked => reqwest::Body::wrap(Repeat::fast(message.body, 1)),
            Framing::Length => message.body.into(),
        };
        let request = self.client.request(message.method, self.url.clone()).headers(message.headers).body(body);
        let mut response = request.send().await.map_err(|error| Failure::of(&error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Failure::of(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(Failure::TooLong);
            }
        }
        Ok(Answer { status, body: body.into(), retry_after, took: began.elapsed() })
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Labels for 10,000 records are 1.5 MiB; a receiver that says more has lost its way.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What a receiver said. It may repeat tokens, so its body is never logged.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    /// How long the receiver wants to be left alone (RFC 9110 section 10.2.3), where it says so in seconds.
    pub retry_after: Option<Duration>,
    pub took: Duration,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Failure {
    #[error("connection closed")]
    Closed,
    #[error("not reachable")]
    Connect,
    #[error("no answer in time")]
    TimedOut,
    #[error("answer too long")]
    TooLong,
}

impl Failure {
    fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_connect() {
            Self::Connect
        } else {
            Self::Closed
        }
    }
}
