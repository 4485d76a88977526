//! Asking an origin's key endpoint once, for a person who wants to know whether it can be reached.

use super::key_fetch::{Fetched, KeyFetcher};
use super::origin::Origin;
use crate::clock::Timestamp;

/// What the key endpoint of an origin published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    pub keys: usize,
    /// Entries of the list that cannot be used.
    pub rejected: usize,
}

impl Origin {
    /// Fetches the key list as a running service would; none if the origin has no endpoint. Stores nothing.
    ///
    /// # Errors
    /// A sentence for a person, without an address in it.
    pub async fn fetch_keys(&mut self, now: Timestamp) -> Result<Option<Published>, String> {
        let Some(endpoint) = self.key_endpoint.take() else { return Ok(None) };
        let client = KeyFetcher::client().map_err(|error| error.to_string())?;
        let fetcher = KeyFetcher::new(client, &self.name, endpoint).map_err(|error| error.to_string())?;
        match fetcher.fetch(None, now).await {
            Ok(Fetched::List(list, rejected)) => Ok(Some(Published { keys: list.len(), rejected })),
            Ok(Fetched::NotModified) => Err("the endpoint answered a question that was not asked".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}
