//! Bodies that are rightly signed and still not a delivery.

#![expect(clippy::unnecessary_wraps, reason = "every form is made by a function of one type")]

use axum::body::Bytes;

use super::{Corruption, Expected, Forge, Group, Material};
use crate::send::{Framing, Generator, Message, SendError, body_of};

const fn form(name: &'static str, expected: Expected, about: &'static str, forge: Forge) -> Corruption {
    Corruption { name, about, group: Group::Body, expected, forge }
}

pub(super) const FORMS: &[Corruption] = &[
    form("empty-body", Expected::BadBody, "no byte at all", |m| m.with_bytes(b"")),
    form("not-json", Expected::BadBody, "JSON that stops after its first bracket", |m| m.with_bytes(b"[")),
    form("not-array", Expected::BadBody, "an object", |m| m.with_bytes(b"{}")),
    form("null-body", Expected::BadBody, "`null`", |m| m.with_bytes(b"null")),
    form("string-body", Expected::BadBody, "a string", |m| m.with_bytes(b"\"some_token\"")),
    form("empty-array", Expected::BadBody, "an array of nothing", |m| m.with_bytes(b"[]")),
    form("invalid-utf8", Expected::Handled, "a byte that no UTF-8 text has", |m| {
        m.with_bytes(b"[{\"token\":\"\xff\",\"type\":\"t\",\"url\":\"\"}]")
    }),
    form("deep-json", Expected::BadBody, "100,000 arrays, each in the other", |m| m.with_bytes(&[b'['; 100_000])),
    form("huge-body", Expected::TooLarge, "one byte more than the receiver takes", |m| {
        Ok(vec![m.huge(Framing::Length)])
    }),
    form("huge-chunked", Expected::TooLarge, "the same, its length not said beforehand", |m| {
        Ok(vec![m.huge(Framing::Chunked)])
    }),
    form("many-records", Expected::TooLarge, "one record more than the receiver takes", |m| {
        let count = m.limits.records.saturating_add(1);
        let records = Generator::new("stanch", "many-records", &mut m.rng).records(count);
        Ok(vec![m.signer.message(body_of(&records))])
    }),
];

impl Material {
    fn with_bytes(&mut self, body: &[u8]) -> Result<Vec<Message>, SendError> {
        Ok(vec![self.signer.message(Bytes::copy_from_slice(body))])
    }

    /// The good records with so many spaces behind them that the body is one byte too long, and still JSON.
    fn huge(&self, framing: Framing) -> Message {
        let mut body = self.body().to_vec();
        let spaces = self.limits.body_bytes.saturating_add(1).saturating_sub(body.len());
        let end = body.len().saturating_sub(1);
        body.splice(end..end, std::iter::repeat_n(b' ', spaces));
        let mut message = self.signer.message(body.into());
        message.framing = framing;
        message
    }
}
