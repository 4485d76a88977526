//! Unusual deliveries that GitHub does send, and that receivers have been seen to refuse.

#![expect(clippy::unnecessary_wraps, reason = "every form is made by a function of one type")]

use axum::http::{HeaderValue, header};
use p256::ecdsa::Signature;

use super::{Corruption, Expected, Forge, Group, Material};
use crate::send::{Message, SendError};

const fn form(name: &'static str, about: &'static str, forge: Forge) -> Corruption {
    Corruption { name, about, group: Group::Odd, expected: Expected::Accepted, forge }
}

pub(super) const FORMS: &[Corruption] = &[
    form("high-s", "s in the upper half, as in half of GitHub's signatures", |m| {
        m.with_signature(|signature| signature.normalize_s() != *signature)
    }),
    form("low-s", "s in the lower half", |m| m.with_signature(|signature| signature.normalize_s() == *signature)),
    form("short-integer", "r or s of 31 bytes or fewer", |m| {
        m.with_signature(|signature| {
            let (r, s) = signature.split_bytes();
            [r, s].iter().any(|number| number[0] == 0 && number[1] < 0x80)
        })
    }),
    form("charset", "`application/json; charset=utf-8`", |m| {
        let mut message = m.good();
        message.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        Ok(vec![message])
    }),
    Corruption {
        name: "replay",
        about: "the same body twice, each time with a new signature",
        group: Group::Odd,
        expected: Expected::AcceptedAlike,
        forge: |m| {
            let body = m.body();
            Ok([(); 2].map(|()| m.signer.message_anew(body.clone(), &mut m.rng)).into())
        },
    },
    form("spaced-json", "spaces and line ends in the JSON, signed as they are", |m| {
        m.with_json(|records| serde_json::to_string_pretty(records).unwrap_or_default())
    }),
    form("bad-neighbour", "records that are null, a number or without token beside good ones", |m| {
        m.with_json(|records| {
            let mut records = records.to_vec();
            let bad = serde_json::json!([null, 7, [], {}, {"type": "t", "url": ""}, {"token": 7, "type": 7, "url": 7}]);
            records.splice(..0, bad.as_array().cloned().unwrap_or_default());
            serde_json::Value::from(records).to_string()
        })
    }),
    form("lone-surrogate", "a record whose token is half a character, beside good ones", |m| {
        m.with_json(|records| {
            let good = serde_json::Value::from(records).to_string();
            format!(r#"[{{"token":"\ud800","type":"t","url":""}},{}"#, good.trim_start_matches('['))
        })
    }),
    form("nul", "a record whose token has a NUL in it, beside good ones", |m| {
        m.with_json(|records| {
            let good = serde_json::Value::from(records).to_string();
            format!(r#"[{{"token":"nul\u0000nul","type":"t","url":""}},{}"#, good.trim_start_matches('['))
        })
    }),
    form("no-source", "records without `source`, as before 2022", |m| {
        m.with_records(|record| drop(record.remove("source")))
    }),
    form("empty-url", "records whose `url` is empty", |m| {
        m.with_records(|record| drop(record.insert("url".to_owned(), "".into())))
    }),
    form("unknown-field", "records with a field nobody has heard of", |m| {
        m.with_records(|record| drop(record.insert("seen_by".to_owned(), serde_json::json!({"robots": 2}))))
    }),
    form("unknown-type", "records of a type nobody agreed on", |m| {
        m.with_records(|record| drop(record.insert("type".to_owned(), "SOME_COMPANY_TOKEN".into())))
    }),
    form("duplicate-records", "every record twice in one body", |m| {
        m.with_json(|records| serde_json::Value::from([records, records].concat()).to_string())
    }),
];

impl Material {
    /// The good body with a signature that is `wanted`.
    fn with_signature(&mut self, wanted: fn(&Signature) -> bool) -> Result<Vec<Message>, SendError> {
        let signature = self.signature_where(wanted)?;
        Ok(vec![self.signer.stamped(self.body(), self.signer.current(), &signature)])
    }

    /// The records written in another way, and signed so.
    fn with_json(&mut self, write: fn(&[serde_json::Value]) -> String) -> Result<Vec<Message>, SendError> {
        let records: Vec<_> = self.records.iter().map(|record| serde_json::json!(record)).collect();
        Ok(vec![self.signer.message(write(&records).into())])
    }

    /// Each record changed, then signed.
    fn with_records(
        &mut self,
        change: fn(&mut serde_json::Map<String, serde_json::Value>),
    ) -> Result<Vec<Message>, SendError> {
        let mut records: Vec<_> = self.records.iter().map(|record| serde_json::json!(record)).collect();
        records.iter_mut().filter_map(serde_json::Value::as_object_mut).for_each(change);
        Ok(vec![self.signer.message(serde_json::Value::from(records).to_string().into())])
    }
}
