//! Feedback: what a reporter is told about its records.
//!
//! The rule, from what receivers learned: a token that one of our issuers issued is a true positive, dead or alive; one
//! that its issuer says it never issued is a false positive; everything else is left out. Left out are records that are
//! malformed, tokens of no known kind or of a kind without an issuer, and tokens whose issuer has not answered in time:
//! nobody was asked about them, and a wrong `false_positive` teaches the reporter to look away.
//!
//! A label names the token as it was sent, with the type as it was sent, whatever the recognizer made of both; only a
//! token that stands in the type is withheld.

use std::fmt::Write as _;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::origin::TokenForm;
use super::payload::Record;
use crate::incident::{Label, Verdict};

/// One label, as it goes over the wire.
pub struct Feedback {
    token: NamedToken,
    sent_type: Option<String>,
    label: Label,
}

enum NamedToken {
    Hash(String),
    Raw(Zeroizing<String>),
}

/// The label that a verdict means.
pub fn label_of(verdict: &Verdict) -> Option<Label> {
    match verdict {
        Verdict::Dead(_) | Verdict::Live(_) => Some(Label::TruePositive),
        Verdict::Forged(_) | Verdict::NotOurs => Some(Label::FalsePositive),
        Verdict::Unknown(_) => None,
    }
}

/// The feedback on each record that has a label, in the order of the records.
pub fn feedback(records: Vec<Record>, labels: &[Option<Label>], form: TokenForm) -> Vec<Feedback> {
    let decided = records.into_iter().zip(labels).filter_map(|(record, label)| Some((record, (*label)?)));
    decided
        .filter_map(|(record, label)| {
            let token = record.token.ok()?;
            let token = match form {
                TokenForm::Hash => NamedToken::Hash(sha256_hex(token.as_bytes())),
                TokenForm::Raw => NamedToken::Raw(token),
            };
            Some(Feedback { token, sent_type: record.sent_type, label })
        })
        .collect()
}

impl Serialize for Feedback {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        match &self.token {
            NamedToken::Hash(hash) => object.serialize_entry("token_hash", hash)?,
            NamedToken::Raw(token) => object.serialize_entry("token_raw", token.as_str())?,
        }
        // An origin that sends no types gets none back.
        if let Some(sent_type) = &self.sent_type {
            object.serialize_entry("token_type", sent_type)?;
        }
        object.serialize_entry("label", self.label.word())?;
        object.end()
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::payload;
    use super::*;

    fn json(body: &str, labels: &[Option<Label>], form: TokenForm) -> String {
        let records = payload::parse(body.as_bytes(), 10).expect("an array of records");
        serde_json::to_string(&feedback(records, labels, form)).expect("plain data")
    }

    #[test]
    fn a_token_is_named_by_the_sha_256_of_what_was_sent() {
        let body = r#"[{"token":"some_token","type":"some_type","url":"u"}]"#;
        let hash = "9a45520a1213f15016d2d768b5fb3d904492a44ee274b44d4de8803e00fb536a";
        let expected = format!(r#"[{{"token_hash":"{hash}","token_type":"some_type","label":"false_positive"}}]"#);
        assert_eq!(json(body, &[Some(Label::FalsePositive)], TokenForm::Hash), expected);
    }

    #[test]
    fn a_token_goes_back_raw_only_when_asked_for() {
        let body = r#"[{"token":"some_token","type":"some_type"}]"#;
        let expected = r#"[{"token_raw":"some_token","token_type":"some_type","label":"true_positive"}]"#;
        assert_eq!(json(body, &[Some(Label::TruePositive)], TokenForm::Raw), expected);
    }

    #[test]
    fn white_space_around_a_token_is_part_of_what_was_sent() {
        let bare = json(r#"[{"token":"t"}]"#, &[Some(Label::TruePositive)], TokenForm::Hash);
        let padded = json(r#"[{"token":" t"}]"#, &[Some(Label::TruePositive)], TokenForm::Hash);
        assert_ne!(bare, padded);
    }

    #[test]
    fn an_undecided_record_is_left_out_and_repeated_ones_are_repeated() {
        let body = r#"[{"token":"a"},{"token":"b"},{"token":"a"},7]"#;
        let labels = [Some(Label::TruePositive), None, Some(Label::TruePositive), Some(Label::FalsePositive)];
        let all: Vec<serde_json::Value> =
            serde_json::from_str(&json(body, &labels, TokenForm::Raw)).expect("what was written");
        assert_eq!(all.len(), 2, "the undecided one and the malformed one are left out");
        assert!(all.iter().all(|one| one["token_raw"] == "a" && one.get("token_type").is_none()));
    }

    #[test]
    fn live_and_dead_are_true_and_unknown_is_nothing() {
        use crate::incident::Unknown;
        assert_eq!(label_of(&Verdict::Dead(None)), Some(Label::TruePositive));
        assert_eq!(label_of(&Verdict::NotOurs), Some(Label::FalsePositive));
        assert_eq!(label_of(&Verdict::Unknown(Unknown::Unavailable { why: "timed out".into() })), None);
    }
}
