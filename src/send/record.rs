//! What is reported: records from a file, from arguments, or made up.

use std::fmt;

use axum::body::Bytes;
use rand::distr::{Alphanumeric, SampleString as _};
use rand::{CryptoRng, RngExt as _};
use serde::{Deserialize, Serialize};

use super::SendError;
use crate::token::pat;

/// One object of the array a delivery carries.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub token: String,
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Neither the token nor where it lies.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The body GitHub would send for `records`: one compact JSON array, no newline at its end.
pub fn body_of(records: &[Record]) -> Bytes {
    // Strings and options of strings always serialize.
    serde_json::to_vec(records).unwrap_or_default().into()
}

/// Reads either the protocol's own JSON array or one token per line; `like` gives the lines all that is not the token.
pub fn parse_records(text: &str, like: &Record) -> Result<Vec<Record>, SendError> {
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('[') {
        return serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(SendError::Records);
    }
    let tokens = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(tokens.map(|token| Record { token: token.to_owned(), ..like.clone() }).collect())
}

/// Makes well-formed tokens of the built-in kind that nobody issued, each at its own address.
///
/// Their checksum is right, so a receiver has to go all the way to the issuer to learn that it does not know them.
pub struct Generator<R> {
    prefix: String,
    kind: String,
    rng: R,
    made: u64,
}

impl<R: CryptoRng> Generator<R> {
    /// `prefix` as the issuer is configured with it, `stanch` in `stanch_pat_…`; `kind` is sent as the record's `type`.
    pub fn new(prefix: &str, kind: &str, rng: R) -> Self {
        Self { prefix: prefix.to_owned(), kind: kind.to_owned(), rng, made: 0 }
    }

    pub fn record(&mut self) -> Record {
        self.made += 1;
        // The commit id makes the address, and so the body, differ from delivery to delivery and from run to run.
        let commit: u64 = self.rng.random();
        Record {
            token: self.token(),
            kind: self.kind.clone(),
            url: format!("https://github.com/example/leak-{}/blob/{commit:016x}/.env#L1", self.made),
            source: Some("content".to_owned()),
        }
    }

    pub fn records(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.record()).collect()
    }

    fn token(&mut self) -> String {
        let random = Alphanumeric.sample_string(&mut self.rng, pat::RANDOM_LEN);
        let mut token = format!("{}_pat_{random}", self.prefix);
        token.extend(pat::checksum(token.as_bytes()).map(char::from));
        token
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn like() -> Record {
        Record { token: String::new(), kind: "k".into(), url: "https://example.com/".into(), source: None }
    }

    #[test]
    fn an_array_is_read_as_the_protocol_has_it() {
        let text = "\u{feff} [{\"token\":\"a\",\"type\":\"x\",\"url\":\"\",\"source\":\"commit\"},{\"token\":\"b\"}]\n";
        let records = parse_records(text, &like()).expect("two records");
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].source.as_deref(), Some("commit"));
        assert_eq!(records[1].kind, "", "what the array leaves out is not filled in");
        assert!(parse_records("[{\"token\":1}]", &like()).is_err());
    }

    #[test]
    fn lines_are_tokens_and_blank_lines_are_not() {
        let records = parse_records("one\n\n  two \r\n", &like()).expect("two records");
        let tokens: Vec<_> = records.iter().map(|record| record.token.as_str()).collect();
        assert_eq!(tokens, ["one", "two"]);
        assert_eq!(records[1].url, "https://example.com/");
    }

    #[test]
    fn a_body_is_compact_and_ends_with_its_bracket() {
        let record = Record { token: "t".into(), source: None, ..like() };
        assert_eq!(&body_of(&[record])[..], br#"[{"token":"t","type":"k","url":"https://example.com/"}]"#);
    }

    #[test]
    fn generated_tokens_are_well_formed_and_never_twice_the_same() {
        let mut generator = Generator::new("acme", "acme_pat", StdRng::seed_from_u64(1));
        let records = generator.records(100);
        let mut seen = std::collections::HashSet::new();
        for record in &records {
            assert!(pat::check("acme", record.token.as_bytes()));
            assert!(seen.insert(record.token.as_str()) && seen.insert(&record.url));
        }
    }

    #[test]
    fn a_record_printed_for_debugging_does_not_show_its_token() {
        let record = Record { token: "marked".into(), ..like() };
        assert!(!format!("{record:?}").contains("marked"));
    }
}
