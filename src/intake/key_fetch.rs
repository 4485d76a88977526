//! Fetching a key list: one bounded request to an address from the configuration.
//!
//! No redirect is followed, no proxy of the environment used, nothing decompressed; the whole exchange has one time
//! limit and the answer one size limit. The answer is data from outside: it is parsed by [`KeyList::parse`] alone.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, ETAG, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::{Client, StatusCode, redirect};
use sha2::{Digest as _, Sha256};

use super::key_list::{KeyList, NotAKeyList};
use super::origin::KeyEndpoint;
use crate::clock::Timestamp;

/// An endpoint that is ready to be asked.
pub struct KeyFetcher {
    client: Client,
    endpoint: KeyEndpoint,
    authorization: Option<HeaderValue>,
}

/// What the endpoint answered.
#[derive(Debug)]
pub enum Fetched {
    /// A list, and how many of its entries cannot be used.
    List(KeyList, usize),
    /// The list we have is still the list.
    NotModified,
}

/// No list could be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the endpoint could not be reached")]
    Network,
    #[error(transparent)]
    NotAKeyList(#[from] NotAKeyList),
    #[error("the endpoint answered with a redirect, which is not followed")]
    Redirect,
    #[error("the endpoint answered with status {0}")]
    Status(u16),
    #[error("the endpoint asks us to wait")]
    Throttled(Option<Duration>),
    #[error("the endpoint took too long")]
    TimedOut,
    #[error("the answer is larger than any key list")]
    TooLarge,
}

/// The endpoint's client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    #[error("the HTTP client for key lists cannot be built")]
    Client(#[source] reqwest::Error),
    #[error("the token for the key endpoint of `{origin}` cannot stand in a header")]
    Token { origin: String },
}

impl FetchError {
    /// The word used as a metric's label.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::NotAKeyList(NotAKeyList::Form) => "format",
            Self::NotAKeyList(NotAKeyList::Json) => "json",
            Self::Redirect => "redirect",
            Self::Status(_) => "status",
            Self::Throttled(_) => "throttled",
            Self::TimedOut => "timeout",
            Self::TooLarge => "too_large",
        }
    }
}

impl KeyFetcher {
    /// Largest answer that is read.
    const MAX_BYTES: usize = 64 * 1_024;

    /// One client for all endpoints.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client() -> Result<Client, SetUpError> {
        Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(3))
            // GitHub's API refuses requests that do not say who asks.
            .user_agent(concat!("stanch/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SetUpError::Client)
    }

    /// # Errors
    /// When the endpoint's token cannot stand in a header.
    pub fn new(client: Client, origin: &str, endpoint: KeyEndpoint) -> Result<Self, SetUpError> {
        let authorization = match &endpoint.token {
            Some(token) => {
                let bytes = [b"Bearer ", token.expose()].concat();
                let value = HeaderValue::from_bytes(&bytes);
                let mut value = value.map_err(|_| SetUpError::Token { origin: origin.to_owned() })?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self { client, endpoint, authorization })
    }

    /// Names the endpoint without repeating its address, which may hold a credential.
    pub fn source(&self) -> String {
        Sha256::digest(self.endpoint.url.as_str()).iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    pub fn timeout(&self) -> Duration {
        self.endpoint.timeout
    }

    /// Asks for the list, or whether the one with this `etag` is still the list.
    ///
    /// # Errors
    /// When there is no answer, or none that could be used.
    pub async fn fetch(&self, etag: Option<&str>, now: Timestamp) -> Result<Fetched, FetchError> {
        let mut request = self.client.get(self.endpoint.url.clone()).timeout(self.endpoint.timeout);
        request = request.header(ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(Fetched::NotModified),
            // GitHub answers 403 as well as 429 when its rate limit is used up.
            StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN => {
                let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                return Err(FetchError::Throttled(seconds.map(Duration::from_secs)));
            }
            status if status.is_redirection() => return Err(FetchError::Redirect),
            status => return Err(FetchError::Status(status.as_u16())),
        }
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
        let etag = etag.filter(|etag| etag.len() <= 256).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if bytes.len() + chunk.len() > Self::MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        let (list, rejected) = KeyList::parse(&bytes, etag, now)?;
        Ok(Fetched::List(list, rejected))
    }
}

// The source is dropped on purpose: its text holds addresses, and nobody acts on the difference.
fn unreachable(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() { FetchError::TimedOut } else { FetchError::Network }
}
