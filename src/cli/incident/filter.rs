//! Which incidents a command is about, as it is typed.

use std::str::FromStr;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::clock::Timestamp;
use crate::config::Span;
use crate::incident::State;
use crate::store::IncidentFilter;

/// Filters of `list` and of the commands that change many incidents.
#[derive(Args, Clone, Debug)]
pub struct Filter {
    /// Only those in this state; may be given more than once
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = PossibleValuesParser::new(State::WORDS))]
    state: Vec<String>,
    /// Only those of this issuer
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Only tokens of this kind
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// Only those that this origin reported first
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    /// Only those whose owner's address or name begins so
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Only those whose id, delivery, notice, fingerprint, token id, token name, last characters or owner this names
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only those received since: `2h`, `7d`, or an instant like `2026-11-24T10:00:00Z`
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Only those received before: the same
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
}

/// An instant, or how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Ago(Span),
    At(Timestamp),
}

impl When {
    pub fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.minus(span.0),
            Self::At(at) => at,
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Seconds since 1970 are an instant to the parser, and a slip of the finger here.
        let instant = text.contains('T').then(|| Timestamp::parse(text)).flatten();
        match (text.parse::<Span>(), instant) {
            (Ok(span), _) => Ok(Self::Ago(span)),
            (Err(_), Some(at)) => Ok(Self::At(at)),
            (Err(_), None) => {
                Err("say how long ago, like `2h` or `7d`, or an instant like `2026-11-24T10:00:00Z`".into())
            }
        }
    }
}

impl Filter {
    pub fn ready(&self, now: Timestamp) -> IncidentFilter {
        IncidentFilter {
            states: self.state.clone(),
            issuer: self.issuer.clone(),
            kind: self.kind.clone(),
            origin: self.origin.clone(),
            owner: self.owner.clone(),
            text: self.text.clone(),
            received_from: self.since.map(|when| when.instant(now)),
            received_before: self.until.map(|when| when.instant(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_instant_is_told_from_a_span_and_from_nothing() {
        let now = Timestamp::from_millis(10_000_000);
        let read = |text: &str| text.parse::<When>().map(|when| when.instant(now).as_millis());
        assert_eq!(read("2h"), Ok(now.minus(Duration::from_hours(2)).as_millis()));
        assert_eq!(read("2026-11-23T01:00:04.123Z"), Ok(1_795_395_604_123));
        assert!(read("yesterday").is_err() && read("1795395604").is_err() && read("").is_err());
    }
}
