//! The tokens of a scan, each once, taken out of its findings.

use std::collections::BTreeMap;

use crate::incident::{IssuedToken, Verdict};
use crate::scan::{Fact, Outcome};
use crate::token::{FindingId, KindId, Secret};

/// A found token, wherever it stands.
pub struct Token {
    pub kind: KindId,
    pub secret: Secret,
    /// How many findings are of it.
    pub places: usize,
}

/// The tokens by the id of their findings, which is the order in which they are asked about.
#[derive(Default)]
pub struct Tokens(BTreeMap<FindingId, std::sync::Arc<Token>>);

impl Tokens {
    /// Takes the tokens out of the findings. Of several spellings of one token the first is kept.
    pub fn take(outcome: &mut Outcome) -> Self {
        let mut all: BTreeMap<FindingId, Token> = BTreeMap::new();
        for finding in &mut outcome.findings {
            let Some(secret) = finding.secret.take() else { continue };
            let token = all.entry(finding.id.clone()).or_insert_with(|| Token {
                kind: finding.kind.clone(),
                secret,
                places: 0,
            });
            token.places += 1;
        }
        Self(all.into_iter().map(|(id, token)| (id, std::sync::Arc::new(token))).collect())
    }

    pub fn get(&self, id: &FindingId) -> Option<&Token> {
        self.0.get(id).map(AsRef::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&FindingId, &std::sync::Arc<Token>)> {
        self.0.iter()
    }
}

/// What the issuer said about the token that may stand in a report: nothing that names a person.
pub fn facts(verdict: &Verdict) -> Vec<Fact> {
    let issued: &IssuedToken = match verdict {
        Verdict::Live(issued) | Verdict::Dead(Some(issued)) => issued,
        Verdict::Dead(None) | Verdict::Forged(_) | Verdict::NotOurs | Verdict::Unknown(_) => return Vec::new(),
    };
    let owner = issued.owner.as_ref().and_then(|owner| owner.id.as_deref());
    let scopes = issued.scopes.join(", ");
    let said = [
        ("token id", Some(issued.id.as_str())),
        ("token name", issued.name.as_deref()),
        ("owner id", owner),
        ("scopes", Some(scopes.as_str())),
    ];
    let said = said.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    said.map(|(name, value)| Fact { name: name.into(), value: crate::redact::inert(value, 200) }).collect()
}
