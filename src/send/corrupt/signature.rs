//! Signatures that do not hold: wrong numbers, wrong bytes around them, wrong text around those.

#![expect(clippy::unnecessary_wraps, reason = "every form is made by a function of one type")]

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use p256::ecdsa::Signature;

use super::super::der;
use super::{Corruption, Expected, Forge, Group, Material};
use crate::send::{ListedKey, Message, SendError, key_id};

const fn form(name: &'static str, about: &'static str, forge: Forge) -> Corruption {
    Corruption { name, about, group: Group::Signature, expected: Expected::BadSignature, forge }
}

pub(super) const FORMS: &[Corruption] = &[
    form("bit-flip-body", "one bit of the body changed after signing", |m| m.with_body(|body| flip_middle_bit(body))),
    form("bit-flip-r", "lowest bit of r changed", |m| m.with_numbers(|r, _| flip_lowest_bit(r))),
    form("bit-flip-s", "lowest bit of s changed", |m| m.with_numbers(|_, s| flip_lowest_bit(s))),
    form("swapped-r-s", "r and s exchanged", |m| m.with_numbers(std::mem::swap)),
    form("zero-r", "r = 0", |m| m.with_numbers(|r, _| r.fill(0))),
    form("zero-s", "s = 0", |m| m.with_numbers(|_, s| s.fill(0))),
    form("r-ge-n", "r + n, which verifies where numbers are reduced first", |m| m.with_numbers(|r, _| add_order(r))),
    form("s-ge-n", "s + n, which verifies where numbers are reduced first", |m| m.with_numbers(|_, s| add_order(s))),
    form("wrong-key", "signed by another key than the one named", wrong_key),
    form("unknown-key-id", "rightly signed by a key that is not listed", unknown_key_id),
    form("other-curve-p384", "rightly signed by a listed P-384 key", |m| Ok(m.other_curve(&P384))),
    form("other-curve-secp256k1", "rightly signed by a listed secp256k1 key", |m| Ok(m.other_curve(&SECP256K1))),
    form("added-newline", "a newline after the body that was signed", |m| m.with_body(|body| body.push(b'\n'))),
    form("added-crlf", "CR LF after the body that was signed", |m| m.with_body(|body| body.extend(b"\r\n"))),
    form("bom", "a byte order mark before the body that was signed", |m| {
        m.with_body(|body| drop(body.splice(..0, *b"\xef\xbb\xbf")))
    }),
    form("reserialized", "the same JSON, spaced otherwise than it was signed", |m| {
        m.with_body(|body| body.insert(1, b' '))
    }),
    form("p1363", "r and s as 64 raw bytes, not DER", |m| m.with_der(|signature| signature.to_bytes().to_vec())),
    form("non-minimal-der", "an integer with a zero byte too many", |m| {
        m.with_der(|signature| {
            let (r, s) = signature.split_bytes();
            let padded = [&[0], der::integer(&s).get(2..).unwrap_or_default()].concat();
            der::sequence(&der::integer(&r), &der::integer_of(&padded))
        })
    }),
    form("ber-length", "a length in the long form where DER wants the short one", |m| {
        m.with_der(|signature| {
            let mut bytes = signature.to_der().as_bytes().to_vec();
            bytes.insert(1, 0x81);
            bytes
        })
    }),
    form("negative-integer", "an integer whose sign byte is left out", negative_integer),
    form("trailing-der", "a byte after the DER", |m| {
        m.with_der(|signature| [signature.to_der().as_bytes(), &[0]].concat())
    }),
    form("truncated-der", "the last byte of the DER missing", |m| {
        m.with_der(|signature| {
            let mut bytes = signature.to_der().as_bytes().to_vec();
            bytes.pop();
            bytes
        })
    }),
    form("not-der", "base64 of something that is no signature", |m| m.with_der(|_| b"bad signature".to_vec())),
    form("not-base64", "a signature that is not base64", |m| Ok(m.with_text("bad signature"))),
    form("url-safe-base64", "the URL-safe alphabet", |m| {
        m.with_encoding(|text| text.contains(['+', '/']), |der| URL_SAFE.encode(der))
    }),
    form("unpadded-base64", "the `=` at the end left out", |m| {
        m.with_encoding(|text| text.ends_with('='), |der| STANDARD_NO_PAD.encode(der))
    }),
    form("loose-base64", "bits set where base64 has none", |m| {
        m.with_encoding(|text| text.ends_with('='), |der| set_spare_bit(&STANDARD.encode(der)))
    }),
    form("wrapped-base64", "folded after 60 characters, as line-wrapping encoders do", |m| {
        // HTTP hands a folded header line on with spaces in the place of the line end (RFC 9112 section 5.2).
        m.with_encoding(
            |text| text.len() > 60,
            |der| {
                let mut text = STANDARD.encode(der);
                text.insert(60, ' ');
                text
            },
        )
    }),
    form("long-signature", "2 KiB of base64", |m| Ok(m.with_text(&"QUJD".repeat(512)))),
    form("long-key-id", "a key id of 300 characters", |m| Ok(m.with_key_id(&"a".repeat(300)))),
    form("odd-key-id", "a key id that looks like a path", |m| Ok(m.with_key_id("../../meta/public_keys?x=%00"))),
];

/// Keys of other curves for the list.
pub(super) fn other_curve_keys() -> impl Iterator<Item = ListedKey> {
    [&P384, &SECP256K1].into_iter().map(|curve| ListedKey {
        key_identifier: key_id(curve.public_pem),
        key: curve.public_pem.to_owned(),
        is_current: true,
    })
}

impl Material {
    /// The good message with its body changed after signing.
    fn with_body(&mut self, change: fn(&mut Vec<u8>)) -> Result<Vec<Message>, SendError> {
        let mut message = self.good();
        let mut body = message.body.to_vec();
        change(&mut body);
        message.body = body.into();
        Ok(vec![message])
    }

    /// The good message with the numbers of its signature changed and put into proper DER again. There is a zero byte
    /// before each, so that a number may grow.
    fn with_numbers(&mut self, change: fn(&mut [u8; 33], &mut [u8; 33])) -> Result<Vec<Message>, SendError> {
        self.with_der(|signature| {
            let (mut r, mut s) = numbers(signature);
            change(&mut r, &mut s);
            der::sequence(&der::integer(&r), &der::integer(&s))
        })
    }

    /// The good message with other bytes in the place of its signature's DER.
    fn with_der(&mut self, encode: impl Fn(&Signature) -> Vec<u8>) -> Result<Vec<Message>, SendError> {
        let body = self.body();
        let signature = self.signer.current().sign(&body);
        let text = STANDARD.encode(encode(&signature));
        Ok(vec![self.signer.labelled(body, self.signer.current().id(), &text)])
    }

    /// The good message with a signature whose right base64 text is `apt`, encoded in another way.
    fn with_encoding(&mut self, apt: fn(&str) -> bool, encode: fn(&[u8]) -> String) -> Result<Vec<Message>, SendError> {
        let signature = self.signature_where(|signature| apt(&STANDARD.encode(signature.to_der().as_bytes())))?;
        let text = encode(signature.to_der().as_bytes());
        Ok(vec![self.signer.labelled(self.body(), self.signer.current().id(), &text)])
    }

    /// The good message with this text in the place of the signature.
    fn with_text(&mut self, text: &str) -> Vec<Message> {
        vec![self.signer.labelled(self.body(), self.signer.current().id(), text)]
    }

    /// The good message with another key id.
    fn with_key_id(&mut self, id: &str) -> Vec<Message> {
        let mut message = self.good();
        let value = id.parse().expect("the ids above are printable ASCII");
        message.headers.insert(self.signer.headers().key_id.clone(), value);
        vec![message]
    }

    fn other_curve(&self, curve: &OtherCurve) -> Vec<Message> {
        let body = Bytes::from_static(OTHER_CURVE_BODY.as_bytes());
        vec![self.signer.labelled(body, &key_id(curve.public_pem), curve.signature)]
    }
}

fn wrong_key(material: &mut Material) -> Result<Vec<Message>, SendError> {
    let signature = material.stranger.sign(&material.body());
    Ok(vec![material.signer.stamped(material.body(), material.signer.current(), &signature)])
}

fn unknown_key_id(material: &mut Material) -> Result<Vec<Message>, SendError> {
    let signature = material.stranger.sign(&material.body());
    Ok(vec![material.signer.stamped(material.body(), &material.stranger, &signature)])
}

/// Without its leading zero the number reads as negative in DER, and as itself where the sign is not looked at.
fn negative_integer(material: &mut Material) -> Result<Vec<Message>, SendError> {
    let signature = material.signature_where(|signature| signature.split_bytes().0[0] & 0x80 != 0)?;
    let (r, s) = signature.split_bytes();
    let text = STANDARD.encode(der::sequence(&der::integer_of(&r), &der::integer(&s)));
    Ok(material.with_text(&text))
}

fn numbers(signature: &Signature) -> ([u8; 33], [u8; 33]) {
    let (mut r, mut s) = ([0; 33], [0; 33]);
    let (from_r, from_s) = signature.split_bytes();
    r[1..].copy_from_slice(&from_r);
    s[1..].copy_from_slice(&from_s);
    (r, s)
}

fn flip_middle_bit(body: &mut [u8]) {
    let middle = body.len() / 2;
    if let Some(byte) = body.get_mut(middle) {
        *byte ^= 1;
    }
}

fn flip_lowest_bit(number: &mut [u8; 33]) {
    number[32] ^= 1;
}

/// Adds the order of P-256's group (SP 800-186 section 3.2.1.3).
fn add_order(number: &mut [u8; 33]) {
    const ORDER: [u8; 33] = [
        0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut carry = 0;
    for (digit, add) in number.iter_mut().zip(ORDER).rev() {
        let sum = u16::from(*digit) + u16::from(add) + carry;
        [_, *digit] = sum.to_be_bytes();
        carry = sum >> 8;
    }
}

/// Sets the lowest bit of the last character before the padding, which carries no data.
fn set_spare_bit(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let data = text.trim_end_matches('=');
    let (kept, last) = data.split_at(data.len() - 1);
    let value = ALPHABET.iter().position(|digit| last.as_bytes() == [*digit]).unwrap_or_default();
    let spoilt = char::from(ALPHABET[value | 1]);
    format!("{kept}{spoilt}{}", &text[data.len()..])
}

/// A key of another curve, and its right signature (SHA-256) of [`OTHER_CURVE_BODY`]. Made once for this purpose with
/// `openssl`; the private keys were thrown away, which is also why the body is fixed.
struct OtherCurve {
    public_pem: &'static str,
    signature: &'static str,
}

const OTHER_CURVE_BODY: &str =
    r#"[{"token":"not-a-token","type":"other-curve","url":"https://example.com/","source":"content"}]"#;

const P384: OtherCurve = OtherCurve {
    public_pem: "-----BEGIN PUBLIC KEY-----\n\
                 MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEfkDotkf6Cd4pSSA1sG4JYT22IRIXNe8A\n\
                 L0t2rWnF8U3faPeaaqzn8//ClHrYkErPxo99EezBslMEesSYaHg+a64Q17gCnpnm\n\
                 ZjM0v0tEWhtD9xUu8HBZ+ex+pzI1JpfT\n\
                 -----END PUBLIC KEY-----\n",
    signature: "MGUCMQDHUmCh61ZmtOHSIio3JjQlqnkORkfEgxUKjNi7zpupkrrmr02QNHnU+z3xO592Ca4CMFzI+KQKdBDAAM1nKM3ld9kQEfi67\
                0P/HfL1n8hL1XjDZBQM0kJvfE7PvS+TPcoTTg==",
};

const SECP256K1: OtherCurve = OtherCurve {
    public_pem: "-----BEGIN PUBLIC KEY-----\n\
                 MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE/8hLFZdJVXDBGgKrW8NrJVPwL/kLOE43\n\
                 HlkJCcj+iYT8Sz1vbyGnQ2+p8JMT7MRDatX3bH+rbqnY2AEgNCjk1A==\n\
                 -----END PUBLIC KEY-----\n",
    signature: "MEUCIQDwdEOraVt4ADh9ZvVEogZff5e6qWZTDyrdiuo1cN8ZEgIgI9UvKe3JoYY9Wi+4nUhuCiu2AMp61z8xoRJytsrJlbk=",
};
