//! Payloads: the records of a delivery, judged one by one.
//!
//! The body is a JSON array of objects with `token`, `type`, `url` and `source`. A record that cannot be used costs
//! itself only; a body that is no array of records costs the delivery. Text is taken as it was sent: unknown fields,
//! `null`, a repeated key (the last counts) and halves of surrogate pairs are nobody's fault here. Nothing recurses, so
//! depth is bounded by the size of the body alone. An empty array is refused: it can only be a mistake, and an answer
//! of success would hide it.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::incident::Place;

/// One record, as far as it could be read.
pub struct Record {
    /// The token exactly as it was sent, or why there is none.
    pub token: Result<Zeroizing<String>, Malformed>,
    /// The reporter's name for the kind of token, exactly as it was sent.
    pub sent_type: Option<String>,
    url: String,
    source: String,
}

/// Why a record has no usable token. The words are ours, for metrics and people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    NoToken,
    NotAnObject,
    NotText,
    NotUnicode,
    TooLong,
}

/// The body as a whole is not a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPayload {
    #[error("the array has no record")]
    Empty,
    #[error("the body is not a JSON array")]
    NotAnArray,
    #[error("the array has more than {0} records")]
    TooManyRecords(usize),
}

impl Malformed {
    pub fn word(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::NotAnObject => "not_an_object",
            Self::NotText => "token_not_text",
            Self::NotUnicode => "token_not_unicode",
            Self::TooLong => "token_too_long",
        }
    }
}

impl Record {
    /// Most bytes that are kept of a URL.
    const MAX_URL: usize = 16 * 1_024;
    /// Most bytes that are kept of a type or a source.
    const MAX_WORD: usize = 1_024;

    /// Takes tokens out of what is said about the token. Comes before anything is cut, which would hide a token and keep
    /// its half.
    pub fn withhold(&mut self, mut from: impl FnMut(&str) -> String) {
        self.sent_type = self.sent_type.take().map(|sent_type| from(&sent_type));
        self.url = from(&self.url);
        self.source = from(&self.source);
    }

    /// Where the token was found, in the reporter's words and in bounded length.
    pub fn place(&self) -> Place {
        Place {
            sent_type: kept(self.sent_type.as_deref().unwrap_or_default(), Self::MAX_WORD),
            url: kept(&self.url, Self::MAX_URL),
            source: kept(&self.source, Self::MAX_WORD),
        }
    }

    fn without_token(reason: Malformed) -> Self {
        Self { token: Err(reason), sent_type: None, url: String::new(), source: String::new() }
    }
}

/// Cut at a character, and without NUL, which a PostgreSQL text cannot hold.
fn kept(text: &str, max_bytes: usize) -> String {
    let text = &text[..text.floor_char_boundary(max_bytes)];
    text.replace('\0', "\u{fffd}")
}

/// Reads the records of a body, at most `max_records`.
///
/// # Errors
/// When the body is not an array of at least one and at most `max_records` values.
pub fn parse(body: &[u8], max_records: usize) -> Result<Vec<Record>, BadPayload> {
    // JSON is UTF-8 (RFC 8259 section 8.1), and the digest was over these bytes: nothing is repaired.
    let text = str::from_utf8(body).map_err(|_| BadPayload::NotAnArray)?;
    let mut limit_hit = false;
    let mut json = serde_json::Deserializer::from_str(text);
    let records = Records { max: max_records, limit_hit: &mut limit_hit }.deserialize(&mut json);
    let records = match records {
        Ok(records) => records,
        Err(_) if limit_hit => return Err(BadPayload::TooManyRecords(max_records)),
        Err(_) => return Err(BadPayload::NotAnArray),
    };
    json.end().map_err(|_| BadPayload::NotAnArray)?;
    if records.is_empty() { Err(BadPayload::Empty) } else { Ok(records) }
}

fn read_record(raw: &RawValue) -> Record {
    if !raw.get().starts_with('{') {
        return Record::without_token(Malformed::NotAnObject);
    }
    let mut json = serde_json::Deserializer::from_str(raw.get());
    let Ok(fields) = json.deserialize_map(FieldsVisitor) else {
        return Record::without_token(Malformed::NotAnObject);
    };
    let plain = |raw: Option<&RawValue>| raw.and_then(text_of);
    Record {
        token: fields.token.map_or(Err(Malformed::NoToken), read_token),
        sent_type: plain(fields.sent_type),
        url: plain(fields.url).unwrap_or_default(),
        source: plain(fields.source).unwrap_or_default(),
    }
}

fn read_token(raw: &RawValue) -> Result<Zeroizing<String>, Malformed> {
    match raw.get().as_bytes().first() {
        Some(b'"') => {}
        Some(b'n') => return Err(Malformed::NoToken),
        _ => return Err(Malformed::NotText),
    }
    // Half a surrogate pair has no bytes: what was sent cannot be what leaked.
    let token = serde_json::from_str::<String>(raw.get()).map(Zeroizing::new).map_err(|_| Malformed::NotUnicode)?;
    if token.is_empty() { Err(Malformed::NoToken) } else { Ok(token) }
}

/// The text of a JSON string; halves of surrogate pairs become replacement characters. None for any other value.
fn text_of(raw: &RawValue) -> Option<String> {
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str::<String>(raw.get()).ok().or_else(|| {
        let bytes = serde_json::Deserializer::from_str(raw.get()).deserialize_bytes(BytesVisitor).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// The fields of a record, still as JSON.
#[derive(Default)]
struct Fields<'de> {
    token: Option<&'de RawValue>,
    sent_type: Option<&'de RawValue>,
    url: Option<&'de RawValue>,
    source: Option<&'de RawValue>,
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<&RawValue>()? {
            let value = map.next_value::<&RawValue>()?;
            match text_of(name).as_deref() {
                Some("token") => fields.token = Some(value),
                Some("type") => fields.sent_type = Some(value),
                Some("url") => fields.url = Some(value),
                Some("source") => fields.source = Some(value),
                _ => {}
            }
        }
        Ok(fields)
    }
}

struct Records<'a> {
    max: usize,
    limit_hit: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = Vec<Record>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<Record>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = Vec<Record>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<Record>, A::Error> {
        let mut records = Vec::new();
        while let Some(raw) = array.next_element::<&RawValue>()? {
            if records.len() == self.max {
                *self.limit_hit = true;
                return Err(de::Error::custom("too many records"));
            }
            records.push(read_record(raw));
        }
        Ok(records)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(record: &str) -> Record {
        let body = format!("[{record}]");
        let mut records = parse(body.as_bytes(), 10).expect("an array of records");
        assert_eq!(records.len(), 1);
        records.pop().expect("one")
    }

    fn token(record: &Record) -> Result<&str, Malformed> {
        record.token.as_ref().map(|token| token.as_str()).map_err(|reason| *reason)
    }

    #[test]
    fn a_record_is_read_with_its_four_fields() {
        let record = one(r#"{"token":"t","type":"some_type","url":"https://example.com/","source":"commit"}"#);
        assert_eq!(token(&record), Ok("t"));
        assert_eq!(record.sent_type.as_deref(), Some("some_type"));
        let place =
            Place { sent_type: "some_type".into(), url: "https://example.com/".into(), source: "commit".into() };
        assert_eq!(record.place(), place);
    }

    #[test]
    fn what_is_no_array_of_records_is_refused() {
        for body in
            ["", " ", "{}", "null", "\"text\"", "7", "[", "[1,]", "[{}", "[{}] x", "[{}][{}]", "\u{feff}[{}]", "nul"]
        {
            assert_eq!(parse(body.as_bytes(), 10).err(), Some(BadPayload::NotAnArray), "{body:?}");
        }
    }

    #[test]
    fn an_empty_array_is_refused() {
        assert_eq!(parse(b"[]", 10).err(), Some(BadPayload::Empty));
        assert_eq!(parse(b" [ ] ", 10).err(), Some(BadPayload::Empty));
    }

    #[test]
    fn one_record_more_than_the_limit_is_too_many() {
        assert_eq!(parse(b"[{},{},{}]", 3).map(|records| records.len()).ok(), Some(3));
        assert_eq!(parse(b"[{},{},{},{}]", 3).err(), Some(BadPayload::TooManyRecords(3)));
    }

    #[test]
    fn a_bad_record_costs_only_itself() {
        let body = br#"[null, 7, "text", [], {}, {"token":null}, {"token":7}, {"token":""}, {"token":{"a":1}}, {"token":"good"}]"#;
        let records = parse(body, 100).expect("an array");
        let read: Vec<_> = records.iter().map(token).collect();
        let expected = [
            Err(Malformed::NotAnObject),
            Err(Malformed::NotAnObject),
            Err(Malformed::NotAnObject),
            Err(Malformed::NotAnObject),
            Err(Malformed::NoToken),
            Err(Malformed::NoToken),
            Err(Malformed::NotText),
            Err(Malformed::NoToken),
            Err(Malformed::NotText),
            Ok("good"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn everything_but_the_token_may_be_missing_null_or_nonsense() {
        for rest in ["", r#","type":null,"url":null,"source":null"#, r#","type":7,"url":[],"source":{},"extra":[[[]]]"#]
        {
            let record = one(&format!(r#"{{"token":"t"{rest}}}"#));
            assert_eq!(token(&record), Ok("t"));
            assert_eq!(record.place(), Place::default());
        }
    }

    #[test]
    fn of_a_repeated_key_the_last_counts_and_an_escaped_key_is_the_same_key() {
        assert_eq!(token(&one(r#"{"token":"first","token":"last"}"#)), Ok("last"));
        assert_eq!(token(&one(r#"{"\u0074oken":"t"}"#)), Ok("t"));
    }

    #[test]
    fn half_a_surrogate_pair_spoils_a_token_but_not_an_url() {
        let record = one(r#"{"token":"t","url":"https://example.com/\ud800x","\udc00":1}"#);
        assert_eq!(token(&record), Ok("t"));
        assert!(record.place().url.starts_with("https://example.com/\u{fffd}"));
        assert_eq!(token(&one(r#"{"token":"t\ud800"}"#)), Err(Malformed::NotUnicode));
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_no_json() {
        assert_eq!(parse(b"[{\"token\":\"a\xff\"}]", 10).err(), Some(BadPayload::NotAnArray));
    }

    #[test]
    fn nul_is_part_of_a_token_and_replaced_in_a_place() {
        let record = one(r#"{"token":"t\u0000","url":"u\u0000"}"#);
        assert_eq!(token(&record), Ok("t\0"));
        assert_eq!(record.place().url, "u\u{fffd}");
    }

    #[test]
    fn a_place_is_kept_as_sent_up_to_a_bound() {
        let long = "ä".repeat(20_000);
        let record = one(&format!(r#"{{"token":"t","url":"{long}","type":"{long}"}}"#));
        assert_eq!(record.place().url.len(), Record::MAX_URL);
        assert_eq!(record.place().sent_type.len(), Record::MAX_WORD);
        assert_eq!(record.sent_type.as_deref(), Some(long.as_str()), "feedback echoes all of it");
        assert_eq!(one(r#"{"token":"t","url":" javascript:alert(1)"}"#).place().url, " javascript:alert(1)");
    }

    #[test]
    fn depth_is_no_danger() {
        let open = "[".repeat(1_000_000);
        assert_eq!(parse(open.as_bytes(), 10).err(), Some(BadPayload::NotAnArray));
        let deep = format!(
            r#"{{"token":"t","url":{}{},"x":{}{}}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000),
            "[".repeat(9),
            "]".repeat(9)
        );
        assert_eq!(token(&one(&deep)), Ok("t"));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body, 10);
        }

        #[test]
        fn nothing_inside_an_array_makes_the_parser_panic(inside in r#"[\[\]{}",:\\u0-9a-f \x00-\x7fdtoken]{0,80}"#) {
            let _ = parse(format!("[{{\"token\":\"{inside}\"}}]").as_bytes(), 10);
            let _ = parse(format!("[{inside}]").as_bytes(), 10);
        }

        #[test]
        fn any_text_comes_through_as_it_was_sent(text in any::<String>()) {
            prop_assume!(!text.is_empty());
            let body = serde_json::json!([{ "token": text, "type": text }]).to_string();
            let records = parse(body.as_bytes(), 10).expect("an array");
            prop_assert_eq!(token(&records[0]), Ok(text.as_str()));
            prop_assert_eq!(records[0].sent_type.as_deref(), Some(text.as_str()));
        }
    }
}
