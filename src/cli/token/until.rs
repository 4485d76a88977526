//! Ends of tokens as they are typed: a span, a time, or never.

use std::str::FromStr;

use crate::clock::Timestamp;
use crate::config::Span;
use crate::mint::Expires;

/// When a token ends.
#[derive(Clone, Copy)]
pub enum Until {
    After(Span),
    At(Timestamp),
    Never,
}

impl Until {
    pub fn expires(self, now: Timestamp) -> Expires {
        self.at(now).map_or(Expires::Never, Expires::At)
    }

    pub fn at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::After(span) => Some(now.plus(span.0)),
            Self::At(at) => Some(at),
            Self::Never => None,
        }
    }
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        text.parse().map(Self::After).or_else(|_| time(text).map(Self::At)).map_err(|_: String| {
            "neither a span such as `90d`, nor a time such as `2027-01-31T00:00:00Z`, nor `never`".into()
        })
    }
}

/// A time as it is typed.
pub fn time(text: &str) -> Result<Timestamp, String> {
    // A number alone would be read as seconds since 1970; nobody types that.
    let at = Timestamp::parse(text).filter(|_| text.contains('T'));
    at.ok_or_else(|| "not a time such as `2027-01-31T00:00:00Z`".into())
}
