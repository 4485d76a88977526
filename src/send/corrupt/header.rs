//! Headers that are missing or say something else than the message is.

#![expect(clippy::unnecessary_wraps, reason = "every form is made by a function of one type")]

use axum::body::Bytes;
use axum::http::{HeaderValue, Method, header};

use super::{Corruption, Expected, Forge, Group, Material};
use crate::send::{Message, SendError, Signer};

const fn form(name: &'static str, expected: Expected, about: &'static str, forge: Forge) -> Corruption {
    Corruption { name, about, group: Group::Header, expected, forge }
}

pub(super) const FORMS: &[Corruption] = &[
    form("no-headers", Expected::Unsigned, "neither key id nor signature", |m| {
        m.with_headers(|message, signer| {
            message.headers.remove(&signer.headers().key_id);
            message.headers.remove(&signer.headers().signature);
        })
    }),
    form("missing-key-id", Expected::Unsigned, "a signature without a key id", |m| {
        m.with_headers(|message, signer| drop(message.headers.remove(&signer.headers().key_id)))
    }),
    form("missing-signature", Expected::Unsigned, "a key id without a signature", |m| {
        m.with_headers(|message, signer| drop(message.headers.remove(&signer.headers().signature)))
    }),
    form("blank-key-id", Expected::Unsigned, "an empty key id", |m| {
        m.with_headers(|message, signer| {
            message.headers.insert(signer.headers().key_id.clone(), HeaderValue::from_static(""));
        })
    }),
    form("blank-signature", Expected::Unsigned, "an empty signature", |m| {
        m.with_headers(|message, signer| {
            message.headers.insert(signer.headers().signature.clone(), HeaderValue::from_static(""));
        })
    }),
    form("method-get", Expected::NotAllowed, "GET instead of POST", |m| {
        m.with_headers(|message, _| message.method = Method::GET)
    }),
    form("method-put", Expected::NotAllowed, "PUT instead of POST", |m| {
        m.with_headers(|message, _| message.method = Method::PUT)
    }),
    form("wrong-content-type", Expected::UnsupportedMedia, "`text/plain`", |m| {
        m.with_headers(|message, _| {
            message.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        })
    }),
    form("gzip", Expected::UnsupportedMedia, "a compressed body, signed as it is sent", |m| {
        let mut message = m.signer.message(gzip(&m.body()));
        message.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        Ok(vec![message])
    }),
];

impl Material {
    /// The good message, changed in all but its body.
    fn with_headers(&mut self, change: fn(&mut Message, &Signer)) -> Result<Vec<Message>, SendError> {
        let mut message = self.good();
        change(&mut message, &self.signer);
        Ok(vec![message])
    }
}

/// A gzip member of stored blocks, which hold the bytes uncompressed (RFC 1952, RFC 1951 section 3.2.4).
fn gzip(bytes: &[u8]) -> Bytes {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend(crc32fast::hash(bytes).to_le_bytes());
    // The length is kept modulo 2^32, as the format has it.
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gzip_body_holds_the_bytes_as_a_stored_block() {
        let packed = gzip(b"[]");
        assert_eq!(&packed[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        assert_eq!(&packed[10..17], [1, 2, 0, 0xfd, 0xff, b'[', b']']);
        assert_eq!(&packed[17..21], crc32fast::hash(b"[]").to_le_bytes());
        assert_eq!(&packed[21..], [2, 0, 0, 0]);
    }
}
