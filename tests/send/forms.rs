//! Every form is what its name says, and a strict receiver tells each from a good delivery.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use stanch::send::{Corruption, Expected, Generator, Group, Limits, Material, Message};

use crate::receiver::{Receiver, signer, verify};

const SMALL: Limits = Limits { body_bytes: 200_000, records: 20 };

fn material(seed: u64) -> Material {
    let mut rng = StdRng::seed_from_u64(seed);
    let records = Generator::new("acme", "acme_pat", StdRng::seed_from_u64(seed)).records(2);
    Material::new(signer(), records, SMALL, &mut rng).expect("material")
}

fn forged(name: &str, material: &mut Material) -> Message {
    let form = Corruption::named(name).unwrap_or_else(|| panic!("no form {name}"));
    form.forge(material).expect("forged").remove(0)
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).expect("there").to_str().expect("text").to_owned()
}

fn signature_text(message: &Message) -> String {
    text(&message.headers, "github-public-key-signature")
}

fn der(message: &Message) -> Vec<u8> {
    STANDARD.decode(signature_text(message)).expect("strict base64")
}

fn public_key() -> VerifyingKey {
    VerifyingKey::from_public_key_pem(signer().current().public_pem()).expect("a key")
}

/// The two integers of a DER signature, their signs dropped, however they are written.
fn loose_integers(der: &[u8]) -> [Vec<u8>; 2] {
    let at = if der[1] == 0x81 { 3 } else { 2 };
    let r_len = usize::from(der[at + 1]);
    let (r, rest) = der[at + 2..].split_at(r_len);
    let s = &rest[2..2 + usize::from(rest[1])];
    [r, s].map(|digits| digits.iter().copied().skip_while(|digit| *digit == 0).collect())
}

/// The good signature behind loosely written integers, if it is one.
fn holds_loosely(integers: &[Vec<u8>; 2], body: &[u8]) -> bool {
    let [r, s] = integers.each_ref().map(|digits| {
        let mut wide = [0; 32];
        wide[32 - digits.len()..].copy_from_slice(digits);
        wide
    });
    Signature::from_scalars(r, s).is_ok_and(|signature| public_key().verify(body, &signature).is_ok())
}

#[tokio::test]
async fn a_strict_receiver_answers_every_form_as_expected() {
    let mut material = material(1);
    let receiver = Receiver::start(material.key_list(), SMALL).await;
    let courier = receiver.courier();
    assert_eq!(courier.post(material.good()).await.map(|answer| answer.status.as_u16()), Ok(204));
    let mut good = 1;
    for form in Corruption::all() {
        let mut answers = Vec::new();
        for message in form.forge(&mut material).expect("forged") {
            answers.push(courier.post(message).await);
        }
        let got: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|answer| answer.status.as_u16())).collect();
        assert!(form.expected().allows(&answers), "{}: wanted {}, got {got:?}", form.name(), form.expected().text());
        good += if form.group() == Group::Odd { answers.len() as u64 } else { 0 };
    }
    assert_eq!(receiver.accepted(), good);
    assert!(receiver.records() > 2 * good, "the neighbours of bad records count too");
}

#[test]
fn no_bad_signature_verifies_and_every_other_form_does() {
    for seed in 0..3 {
        let mut material = material(seed);
        let keys = material.key_list();
        for form in Corruption::all() {
            for message in form.forge(&mut material).expect("forged") {
                let holds = verify(&keys, &message.headers, &message.body).is_some();
                let should = !matches!(form.expected(), Expected::BadSignature | Expected::Unsigned);
                assert_eq!(holds, should, "{}", form.name());
            }
        }
    }
}

#[test]
fn the_good_message_and_the_odd_ones_are_not_the_same_message() {
    for form in Corruption::all() {
        let mut material = material(4);
        let good = material.good();
        for message in form.forge(&mut material).expect("forged") {
            let same = message.method == good.method && message.headers == good.headers && message.body == good.body;
            // A good signature may happen to be low or high itself.
            assert!(!same || ["high-s", "low-s"].contains(&form.name()), "{} is not spoilt", form.name());
        }
    }
}

#[test]
fn forms_about_the_body_leave_the_headers_alone_and_the_other_way_round() {
    let mut material = material(5);
    let good = material.good();
    for name in ["bit-flip-body", "added-newline", "added-crlf", "bom", "reserialized"] {
        let message = forged(name, &mut material);
        assert_eq!(message.headers, good.headers, "{name}");
        assert_ne!(message.body, good.body, "{name}");
    }
    let signature_forms = Corruption::all().filter(|form| form.group() == Group::Signature);
    let about_headers: Vec<_> = signature_forms
        .filter(|form| !["bit-flip-body", "added-newline", "added-crlf", "bom", "reserialized"].contains(&form.name()))
        .filter(|form| !form.name().starts_with("other-curve"))
        .collect();
    assert!(about_headers.len() > 20);
    for form in about_headers {
        let message = forged(form.name(), &mut material);
        assert_eq!(message.body, good.body, "{}", form.name());
        assert_ne!(message.headers, good.headers, "{}", form.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_body_form_differs_in_the_named_way(seed in any::<u64>()) {
        let mut material = material(seed);
        let good = material.good().body;
        let flipped = forged("bit-flip-body", &mut material).body;
        let bits: u32 = good.iter().zip(&flipped).map(|(a, b)| (a ^ b).count_ones()).sum();
        prop_assert_eq!((good.len(), bits), (flipped.len(), 1));
        prop_assert_eq!(forged("added-newline", &mut material).body, [&good[..], b"\n"].concat());
        prop_assert_eq!(forged("added-crlf", &mut material).body, [&good[..], b"\r\n"].concat());
        prop_assert_eq!(forged("bom", &mut material).body, [b"\xef\xbb\xbf", &good[..]].concat());
        let again = forged("reserialized", &mut material).body;
        prop_assert_ne!(&again, &good);
        let parse = |body: &Bytes| serde_json::from_slice::<serde_json::Value>(body).expect("JSON");
        prop_assert_eq!(parse(&again), parse(&good));
    }

    #[test]
    fn each_number_form_differs_in_the_named_way(seed in any::<u64>()) {
        let mut material = material(seed);
        let good = material.good();
        let [r, s] = loose_integers(&der(&good));
        let bits = |a: &[u8], b: &[u8]| -> u32 { a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum() };

        let [flipped, same] = loose_integers(&der(&forged("bit-flip-r", &mut material)));
        prop_assert_eq!((bits(&r, &flipped), flipped.len(), &same), (1, r.len(), &s));
        let [same, flipped] = loose_integers(&der(&forged("bit-flip-s", &mut material)));
        prop_assert_eq!((bits(&s, &flipped), flipped.len(), &same), (1, s.len(), &r));
        prop_assert_eq!(loose_integers(&der(&forged("swapped-r-s", &mut material))), [s.clone(), r.clone()]);
        prop_assert_eq!(loose_integers(&der(&forged("zero-r", &mut material))), [vec![], s.clone()]);
        prop_assert_eq!(loose_integers(&der(&forged("zero-s", &mut material))), [r.clone(), vec![]]);
        for (name, index) in [("r-ge-n", 0), ("s-ge-n", 1)] {
            let grown = loose_integers(&der(&forged(name, &mut material)));
            prop_assert!(grown[index].as_slice() >= ORDER.as_slice() || grown[index].len() > 32);
            let mut reduced = grown.clone();
            reduced[index] = minus_order(&grown[index]);
            prop_assert!(holds_loosely(&reduced, &good.body), "{} is not the good number plus n", name);
        }
    }

    #[test]
    fn each_der_form_hides_the_good_signature_behind_the_named_fault(seed in any::<u64>()) {
        let mut material = material(seed);
        let good = material.good();
        let right = der(&good);
        for name in ["non-minimal-der", "ber-length", "negative-integer"] {
            let message = forged(name, &mut material);
            prop_assert!(Signature::from_der(&der(&message)).is_err(), "{} is DER", name);
            prop_assert!(holds_loosely(&loose_integers(&der(&message)), &good.body), "{} hides nothing", name);
        }
        let negative = der(&forged("negative-integer", &mut material));
        prop_assert!(negative[4] & 0x80 != 0, "r does not read as negative");
        prop_assert_eq!(der(&forged("trailing-der", &mut material)), [&right[..], &[0]].concat());
        prop_assert_eq!(der(&forged("truncated-der", &mut material)), &right[..right.len() - 1]);
        let p1363 = der(&forged("p1363", &mut material));
        prop_assert_eq!(p1363.len(), 64);
        let raw = Signature::from_slice(&p1363).expect("two numbers");
        prop_assert!(public_key().verify(&good.body, &raw).is_ok());
    }

    #[test]
    fn each_base64_form_hides_the_good_signature_behind_the_named_fault(seed in any::<u64>()) {
        let mut material = material(seed);
        let body = material.good().body;
        let holds = |der: &[u8]| {
            Signature::from_der(der).is_ok_and(|signature| public_key().verify(&body, &signature).is_ok())
        };
        let lenient = base64::engine::GeneralPurpose::new(
            &base64::alphabet::STANDARD,
            base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
        );
        let url_safe = signature_text(&forged("url-safe-base64", &mut material));
        prop_assert!(STANDARD.decode(&url_safe).is_err() && holds(&URL_SAFE.decode(&url_safe).expect("url-safe")));
        let unpadded = signature_text(&forged("unpadded-base64", &mut material));
        prop_assert!(STANDARD.decode(&unpadded).is_err() && holds(&STANDARD_NO_PAD.decode(&unpadded).expect("bare")));
        let loose = signature_text(&forged("loose-base64", &mut material));
        prop_assert!(STANDARD.decode(&loose).is_err() && holds(&lenient.decode(&loose).expect("loose")));
        let wrapped = signature_text(&forged("wrapped-base64", &mut material));
        let joined = wrapped.replace(' ', "");
        prop_assert!(STANDARD.decode(&wrapped).is_err() && holds(&STANDARD.decode(joined).expect("joined")));
    }

    #[test]
    fn each_odd_signature_is_odd_in_the_named_way(seed in any::<u64>()) {
        let mut material = material(seed);
        let read = |message: &Message| Signature::from_der(&der(message)).expect("DER");
        let high = read(&forged("high-s", &mut material));
        prop_assert_ne!(high.normalize_s(), high);
        let low = read(&forged("low-s", &mut material));
        prop_assert_eq!(low.normalize_s(), low);
        let short = loose_integers(&der(&forged("short-integer", &mut material)));
        prop_assert!(short.iter().any(|digits| digits.len() < 32));
    }
}

#[test]
fn replay_is_one_body_under_two_signatures() {
    let messages = Corruption::named("replay").expect("a form").forge(&mut material(6)).expect("forged");
    let [one, two] = messages.as_slice() else { panic!("two messages") };
    assert_eq!(one.body, two.body);
    assert_ne!(signature_text(one), signature_text(two));
}

#[test]
fn oversized_forms_are_one_over_and_otherwise_good() {
    let mut material = material(7);
    for name in ["huge-body", "huge-chunked"] {
        let message = forged(name, &mut material);
        assert_eq!(message.body.len(), SMALL.body_bytes + 1);
        let records: Vec<serde_json::Value> = serde_json::from_slice(&message.body).expect("still JSON");
        assert_eq!(records.len(), 2);
    }
    let message = forged("many-records", &mut material);
    assert!(message.body.len() < SMALL.body_bytes);
    let records: Vec<serde_json::Value> = serde_json::from_slice(&message.body).expect("JSON");
    assert_eq!(records.len(), SMALL.records + 1);
}

#[test]
fn other_curves_are_rightly_signed_and_listed() {
    let mut material = material(8);
    for (name, curve) in [("other-curve-p384", "1.3.132.0.34"), ("other-curve-secp256k1", "1.3.132.0.10")] {
        let message = forged(name, &mut material);
        let id = text(&message.headers, "github-public-key-identifier");
        let list = material.key_list();
        let listed = list.public_keys.iter().find(|key| key.key_identifier == id).expect("listed");
        let (_, document) = p256::pkcs8::Document::from_pem(&listed.key).expect("pem");
        let info = p256::pkcs8::SubjectPublicKeyInfoRef::try_from(document.as_bytes()).expect("a public key");
        assert_eq!(info.algorithm.parameters_oid().expect("a curve").to_string(), curve);
    }
}

#[test]
fn forging_never_takes_long() {
    let began = std::time::Instant::now();
    let mut material = material(9);
    for form in Corruption::all() {
        form.forge(&mut material).expect("forged");
    }
    assert!(began.elapsed() < Duration::from_mins(1));
}

const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// `digits` - n, for numbers of at most 33 bytes that are at least n.
fn minus_order(digits: &[u8]) -> Vec<u8> {
    let mut wide = [0; 33];
    wide[33 - digits.len()..].copy_from_slice(digits);
    let mut borrow = 0;
    for (at, digit) in wide.iter_mut().enumerate().rev() {
        let take = at.checked_sub(1).map_or(0, |at| i16::from(ORDER[at])) + borrow;
        let rest = i16::from(*digit) - take;
        borrow = i16::from(rest < 0);
        *digit = u8::try_from(rest.rem_euclid(256)).expect("a byte");
    }
    wide.iter().copied().skip_while(|digit| *digit == 0).collect()
}
