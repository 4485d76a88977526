//! Key lists: what an origin publishes about its signing keys.
//!
//! `{"public_keys": [{"key_identifier", "key", "is_current"}]}`, where `key` is PEM. One entry that cannot be used does
//! not disable its neighbours; a list without a single usable entry is no list, so that a mishap at the origin cannot
//! empty the ring.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::signature::{KeyId, PublicKey};
use crate::clock::Timestamp;
use crate::store;

/// The usable keys of an origin, as of some instant.
#[derive(Clone, Debug)]
pub struct KeyList {
    keys: HashMap<KeyId, ListedKey>,
    pub etag: Option<String>,
    pub fetched_at: Timestamp,
}

/// One usable key.
#[derive(Clone, Debug)]
struct ListedKey {
    key: PublicKey,
    /// When we first saw it listed as no longer current.
    noncurrent_since: Option<Timestamp>,
}

/// What a list says about one key id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    No,
    /// Listed, but no longer current for longer than the grace.
    Retired,
    Yes(PublicKey),
}

/// What was fetched is not a key list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAKeyList {
    #[error("the answer is no list of public keys")]
    Form,
    #[error("the answer is not JSON")]
    Json,
}

impl KeyList {
    /// Reads a list as it was fetched; also says how many of its entries cannot be used.
    ///
    /// # Errors
    /// When it is not JSON, not of the documented form, or has no usable key.
    pub fn parse(bytes: &[u8], etag: Option<String>, fetched_at: Timestamp) -> Result<(Self, usize), NotAKeyList> {
        let document: Value = serde_json::from_slice(bytes).map_err(|_| NotAKeyList::Json)?;
        let entries = document.get("public_keys").and_then(Value::as_array).ok_or(NotAKeyList::Form)?;
        let mut keys = HashMap::new();
        let mut rejected = 0;
        for entry in entries {
            match read_entry(entry, fetched_at) {
                // Two keys under one id: the second would make what the first signed a matter of order.
                Some((id, _)) if keys.contains_key(&id) => rejected += 1,
                Some((id, key)) => drop(keys.insert(id, key)),
                None => rejected += 1,
            }
        }
        if keys.is_empty() {
            return Err(NotAKeyList::Form);
        }
        Ok((Self { keys, etag, fetched_at }, rejected))
    }

    /// Keeps what only `earlier` knows: since when a key has not been current.
    pub fn after(mut self, earlier: &Self) -> Self {
        for (id, listed) in &mut self.keys {
            let since = earlier.keys.get(id).and_then(|before| before.noncurrent_since);
            if listed.noncurrent_since.is_some() && since.is_some() {
                listed.noncurrent_since = since;
            }
        }
        self
    }

    /// The same list, confirmed at `now` (HTTP 304).
    pub fn confirmed(&self, now: Timestamp) -> Self {
        Self { fetched_at: now, ..self.clone() }
    }

    pub fn look_up(&self, id: &KeyId, now: Timestamp, noncurrent_grace: Duration) -> Listed {
        match self.keys.get(id) {
            None => Listed::No,
            Some(ListedKey { noncurrent_since: Some(since), .. }) if now.since(*since) >= noncurrent_grace => {
                Listed::Retired
            }
            Some(listed) => Listed::Yes(listed.key.clone()),
        }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// As it is stored; `source` is where it was fetched.
    pub fn to_stored(&self, source: &str) -> store::KeyList {
        let keys = self.keys.iter().map(|(id, listed)| StoredKey {
            id: id.as_str().to_owned(),
            spki: BASE64_STANDARD.encode(listed.key.to_spki()),
            noncurrent_since: listed.noncurrent_since.map(Timestamp::as_millis),
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        let json = serde_json::to_string(&StoredKeys { source: Some(source.to_owned()), keys }).unwrap_or_default();
        store::KeyList { json, etag: self.etag.clone(), fetched_at: self.fetched_at }
    }

    /// Takes back a stored list; none if another version wrote it, or if it was fetched elsewhere than at `source`: the
    /// keys of an endpoint that was replaced prove nothing any more.
    pub fn from_stored(stored: &store::KeyList, source: &str) -> Option<Self> {
        let document: StoredKeys = serde_json::from_str(&stored.json).ok()?;
        // Earlier versions did not say.
        if document.source.is_some_and(|stored| stored != source) {
            return None;
        }
        let mut keys = HashMap::new();
        for StoredKey { id, spki, noncurrent_since } in document.keys {
            let key = PublicKey::from_spki(&BASE64_STANDARD.decode(spki).ok()?).ok()?;
            let noncurrent_since = noncurrent_since.map(Timestamp::from_millis);
            keys.insert(KeyId::parse(&id).ok()?, ListedKey { key, noncurrent_since });
        }
        Some(Self { keys, etag: stored.etag.clone(), fetched_at: stored.fetched_at })
    }
}

fn read_entry(entry: &Value, fetched_at: Timestamp) -> Option<(KeyId, ListedKey)> {
    let id = KeyId::parse(entry.get("key_identifier")?.as_str()?).ok()?;
    let key = PublicKey::from_pem(entry.get("key")?.as_str()?).ok()?;
    // Only a plain `false` retires a key: an origin that does not know the field has current keys.
    let noncurrent_since = (entry.get("is_current") == Some(&Value::Bool(false))).then_some(fetched_at);
    Some((id, ListedKey { key, noncurrent_since }))
}

#[derive(Serialize, Deserialize)]
struct StoredKeys {
    #[serde(default)]
    source: Option<String>,
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    id: String,
    /// Base64 of the DER form.
    spki: String,
    #[serde(default)]
    noncurrent_since: Option<i64>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GRACE: Duration = Duration::from_hours(24);

    fn at(hours: u64) -> Timestamp {
        Timestamp::EPOCH.plus(Duration::from_hours(hours))
    }

    /// A list with one key under the id `k`, fetched at this hour.
    fn list(is_current: &Value, hour: u64) -> KeyList {
        let pem = "-----BEGIN PUBLIC KEY-----\n\
                   MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n\
                   kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n\
                   -----END PUBLIC KEY-----\n";
        let entry = json!({ "key_identifier": "k", "key": pem, "is_current": is_current });
        let text = json!({ "public_keys": [entry] }).to_string();
        KeyList::parse(text.as_bytes(), Some("\"e\"".into()), at(hour)).expect("a list").0
    }

    fn is_accepted(list: &KeyList, hour: u64) -> bool {
        matches!(list.look_up(&KeyId::parse("k").expect("an id"), at(hour), GRACE), Listed::Yes(_))
    }

    #[test]
    fn the_grace_begins_once_however_often_the_list_is_fetched() {
        let first = list(&json!(false), 0);
        let later = list(&json!(false), 20).after(&first);
        assert!(is_accepted(&later, 23));
        assert!(!is_accepted(&later, 24));
        assert!(!is_accepted(&later.confirmed(at(25)), 25));
    }

    #[test]
    fn a_key_that_becomes_current_again_has_no_end() {
        let back = list(&json!(true), 20).after(&list(&json!(false), 0));
        assert!(is_accepted(&back, 1_000));
        let gone = list(&json!(false), 40).after(&back);
        assert!(is_accepted(&gone, 63) && !is_accepted(&gone, 64), "a new grace for a new end");
    }

    #[test]
    fn only_a_plain_false_retires_a_key() {
        for value in [json!(true), json!(null), json!("false"), json!(0)] {
            assert!(is_accepted(&list(&value, 0), 1_000), "{value}");
        }
    }

    #[test]
    fn a_list_survives_the_database_with_its_grace() {
        let before = list(&json!(false), 3);
        let stored = before.to_stored("here");
        assert_eq!((stored.etag.as_deref(), stored.fetched_at), (Some("\"e\""), at(3)));
        let after = KeyList::from_stored(&stored, "here").expect("what was written");
        assert!(is_accepted(&after, 26) && !is_accepted(&after, 27));
        assert_eq!(after.to_stored("here"), stored);
    }

    #[test]
    fn a_list_that_was_fetched_elsewhere_is_no_list() {
        let stored = list(&json!(true), 3).to_stored("here");
        assert!(KeyList::from_stored(&stored, "elsewhere").is_none());
        let earlier = store::KeyList { json: stored.json.replace(r#""source":"here","#, ""), ..stored };
        assert!(KeyList::from_stored(&earlier, "anywhere").is_some(), "an earlier version did not say");
    }

    #[test]
    fn a_stored_list_of_another_form_is_no_list() {
        let stored = |json: &str| store::KeyList { json: json.into(), etag: None, fetched_at: at(0) };
        for text in ["", "{}", "[]", r#"{"keys":[{"id":"k","spki":"AAAA"}]}"#, r#"{"keys":[{"id":"","spki":""}]}"#] {
            assert!(KeyList::from_stored(&stored(text), "here").is_none(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = KeyList::parse(&bytes, None, at(0));
        }
    }
}
