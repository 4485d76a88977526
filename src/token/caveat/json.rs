//! JSON as a caveat may hold it: nothing in it has two meanings.
//!
//! Numbers are whole and fit into 64 bits, no key stands twice, nothing follows the value. What another reader would
//! round, overwrite or skip is not read at all.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value without second meanings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    Bool(bool),
    Int(i64),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
    Null,
    Text(String),
}

impl Json {
    /// `None` for what is no JSON, or JSON that could be read in two ways.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list of texts alone.
    pub fn texts(&self) -> Option<Vec<String>> {
        match self {
            Self::List(items) => items.iter().map(|item| item.text().map(str::to_owned)).collect(),
            _ => None,
        }
    }

    /// The values of exactly these keys, in any order of theirs.
    pub fn fields<const N: usize>(&self, names: [&str; N]) -> Option<[&Json; N]> {
        let Self::Map(entries) = self else { return None };
        if entries.len() != N {
            return None;
        }
        let found: Vec<&Json> = names
            .iter()
            .map(|name| entries.iter().find(|(key, _)| key == name).map(|(_, value)| value))
            .collect::<Option<_>>()?;
        found.try_into().ok()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON that has one meaning")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        i64::try_from(value).map(Json::Int).map_err(|_| E::custom("a number beyond 64 bits"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Err(E::custom("a number that is not written as a whole one"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut entries: Vec<(String, Json)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            // A caveat has a handful of keys, so a list is searched as fast as a table.
            if entries.len() == 16 || entries.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom("a key that stands twice, or more keys than any caveat has"));
            }
            entries.push((key, value));
        }
        Ok(Json::Map(entries))
    }
}
