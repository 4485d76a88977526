//! The service's own door, from outside: over HTTP, like everybody.

use std::time::Duration;

use reqwest::{Client, StatusCode, Url};

use super::signer::{KEY_ID, Signer};

/// The headers that the origin of drills signs with.
const KEY_ID_HEADER: &str = "stanch-drill-key-identifier";
const SIGNATURE_HEADER: &str = "stanch-drill-key-signature";

/// The reporter's patience.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Door {
    client: Client,
    to: Url,
}

/// What became of a token that was shown.
pub(super) enum Seen {
    Accepted,
    Refused(StatusCode),
}

impl Door {
    pub(super) fn new(to: Url) -> Result<Self, reqwest::Error> {
        // Refused if one was installed before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("stanch-drill/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            .build()?;
        Ok(Self { client, to })
    }

    /// Shows a token to our own API, which every token may ask what it is.
    pub(super) async fn show(&self, token: &str) -> Result<Seen, String> {
        let answer = self.client.get(self.at("/api/v1/self")).bearer_auth(token).send().await;
        match answer.map_err(|error| self.silent(&error))?.status() {
            status if status.is_success() => Ok(Seen::Accepted),
            status if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Ok(Seen::Refused(status)),
            status => Err(format!("a token that was shown was answered {status}")),
        }
    }

    /// Sends a signed body.
    pub(super) async fn deliver(&self, signer: &Signer, body: &[u8]) -> Result<StatusCode, String> {
        let request = self
            .client
            .post(self.at("/webhooks/github"))
            .header("content-type", "application/json")
            .header(KEY_ID_HEADER, KEY_ID)
            .header(SIGNATURE_HEADER, signer.sign(body))
            .body(body.to_vec());
        Ok(request.send().await.map_err(|error| self.silent(&error))?.status())
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.to.clone();
        url.set_path(&format!("{}{path}", self.to.path().trim_end_matches('/')));
        url
    }

    /// Why there was no answer. The address is told without what may be secret in it.
    fn silent(&self, error: &reqwest::Error) -> String {
        let host = self.to.host_str().unwrap_or_default();
        let port = self.to.port_or_known_default().unwrap_or_default();
        let why = if error.is_timeout() {
            "does not answer in time"
        } else if error.is_connect() {
            "cannot be reached: does `stanch serve` run there?"
        } else {
            "broke the connection off"
        };
        format!("{}://{host}:{port} {why}", self.to.scheme())
    }
}
