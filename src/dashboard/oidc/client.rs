//! Speaking to the provider: its metadata, its keys, and a code for an ID token. Bounded in time and size, no redirect
//! followed, https unless it is on this machine.

use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::id_token::{Claims, Expected, Key, Refused, verify};
use crate::dashboard::provider::ProviderSettings;
use crate::http::auth::client::is_loopback;

/// Speaks to one provider.
pub struct Speaker {
    client: Client,
    settings: ProviderSettings,
    known: Mutex<Option<Known>>,
}

/// What was learned of the provider.
#[derive(Clone)]
struct Known {
    metadata: Metadata,
    keys: Vec<Key>,
    at: Instant,
}

/// What is needed of the metadata (OIDC Discovery 1.0 section 3).
#[derive(Clone, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct KeyList {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Granted {
    id_token: String,
}

/// Why the provider's word could not be had. Never holds any of what it said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the provider's metadata is of another issuer, or names an address that is not https")]
    Metadata,
    #[error("the provider's token is not taken: {0}")]
    Refused(#[from] Refused),
    #[error("the provider refused our question with status {0}")]
    Status(u16),
    #[error("the provider cannot be reached or understood")]
    Unreachable,
}

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 * 1_024;
const KNOWN_FOR: Duration = Duration::from_hours(1);
/// So often at most are the keys fetched again for one that is not known.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Speaker {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: ProviderSettings) -> Result<Self, reqwest::Error> {
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(TIMEOUT);
        let client = client.user_agent(concat!("stanch/", env!("CARGO_PKG_VERSION"))).build()?;
        Ok(Self { client, settings, known: Mutex::default() })
    }

    pub fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Where a browser is sent.
    pub async fn authorization_endpoint(&self) -> Result<Url, Error> {
        address(&self.known(KNOWN_FOR).await?.metadata.authorization_endpoint)
    }

    /// Gives a code for the ID token that it stands for, and checks that (RFC 6749 section 4.1.3, RFC 7636).
    pub async fn redeem(
        &self,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
        expected: &Expected<'_>,
    ) -> Result<Claims, Error> {
        let known = self.known(KNOWN_FOR).await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("client_id", &self.settings.client_id),
            ("code_verifier", verifier),
        ];
        let mut request = self.client.post(address(&known.metadata.token_endpoint)?);
        let secret = match &self.settings.client_secret {
            Some(secret) => Some(std::str::from_utf8(secret.expose()).map_err(|_| Error::Unreachable)?),
            None => None,
        };
        let methods = &known.metadata.token_endpoint_auth_methods_supported;
        // Basic is the default (Discovery section 3), and what every provider must take (RFC 6749 section 2.3.1).
        let basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        match secret {
            Some(secret) if basic => {
                let escaped = crate::dashboard::text::escaped;
                request = request.basic_auth(escaped(&self.settings.client_id), Some(escaped(secret)));
            }
            Some(secret) => form.push(("client_secret", secret)),
            None => {}
        }
        let granted: Granted = answer(request.form(&form)).await?;
        match verify(&granted.id_token, &known.keys, expected) {
            Err(Refused::UnknownKey) => {
                // It may be newer than our list.
                let known = self.known(AGAIN_AFTER).await?;
                Ok(verify(&granted.id_token, &known.keys, expected)?)
            }
            other => Ok(other?),
        }
    }

    /// What is known, fetched again if it is older than this. One fetch at a time.
    async fn known(&self, at_most: Duration) -> Result<Known, Error> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < at_most) {
            return Ok(known.clone());
        }
        let place = format!("{}/.well-known/openid-configuration", self.settings.issuer.trim_end_matches('/'));
        let metadata: Metadata = answer(self.client.get(address(&place)?)).await?;
        if metadata.issuer != self.settings.issuer {
            return Err(Error::Metadata);
        }
        let list: KeyList = answer(self.client.get(address(&metadata.jwks_uri)?)).await?;
        // A key of a form that we do not know does not spoil the others.
        let keys = list.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        Ok(known.insert(Known { metadata, keys, at: Instant::now() }).clone())
    }
}

/// An address of the provider: https, or http on this machine.
pub fn address(text: &str) -> Result<Url, Error> {
    let url: Url = text.parse().map_err(|_| Error::Metadata)?;
    let fine = url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_loopback));
    if fine && url.username().is_empty() && url.password().is_none() { Ok(url) } else { Err(Error::Metadata) }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Error> {
    let request = request.header(ACCEPT, "application/json");
    let mut response = request.send().await.map_err(|_| Error::Unreachable)?;
    if !response.status().is_success() {
        return Err(Error::Status(response.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Error::Unreachable)? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(Error::Unreachable);
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|_| Error::Unreachable)
}
