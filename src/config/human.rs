//! Spans of time, sizes and addresses as people write them.
//!
//! A number without a unit is refused: nobody remembers whether `lease = 10` means seconds.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// A span of time: `250ms`, `10s`, `5m`, `2h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes: `512B`, `64KiB`, `8MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// An address to listen on: `127.0.0.1:8080`, `[::]:8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

/// The text is not a value of the kind it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct Unreadable {
    text: String,
    expected: &'static str,
}

const SPAN: &str = "a span of time such as `10s`, `5m` or `30d`";
const SIZE: &str = "a size such as `64KiB` or `8MiB`";
const LISTEN: &str = "an address with a port such as `127.0.0.1:8080` or `[::]:8080`";

/// Largest unit last, so that a value is shown in the largest unit that holds it without a rest.
const SPAN_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl Span {
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    pub const fn days(count: u64) -> Self {
        Self(Duration::from_secs(count * 86_400))
    }
}

impl FromStr for Span {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        amount(text, &SPAN_UNITS)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| unreadable(text, SPAN))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        show(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &SPAN_UNITS)
    }
}

impl FromStr for Size {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        amount(text, &SIZE_UNITS).map(Self).ok_or_else(|| unreadable(text, SIZE))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, &SIZE_UNITS)
    }
}

impl FromStr for Listen {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        text.trim().parse().map(Self).map_err(|_| unreadable(text, LISTEN))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    count.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let exact = units.iter().rev().find(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
    let (unit, factor) = exact.unwrap_or(&units[0]);
    write!(f, "{}{unit}", value / factor)
}

fn unreadable(text: &str, expected: &'static str) -> Unreadable {
    Unreadable { text: text.chars().take(64).collect(), expected }
}

/// Reads and writes a type in TOML as its text, and says what was expected when it is something else.
macro_rules! as_text {
    ($type:ident, $expected:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    };
}

as_text!(Span, SPAN);
as_text!(Size, SIZE);
as_text!(Listen, LISTEN);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_and_sizes_are_read_with_their_unit_only() {
        for (text, millis) in
            [("250ms", 250), ("10s", 10_000), ("5 m", 300_000), (" 2h ", 7_200_000), ("30d", 2_592_000_000)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        for bad in
            ["", "10", "s", "-1s", "1.5s", "10 seconds", "1w", "1h30m", "99999999999999999999s", "300000000000000000d"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert_eq!("8MiB".parse(), Ok(Size(8 << 20)));
        for bad in ["8", "8MB", "8mib", "MiB", "8 M iB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_value_says_what_it_should_look_like() {
        assert_eq!(
            "10".parse::<Span>().expect_err("no unit").to_string(),
            "`10` is not a span of time such as `10s`, `5m` or `30d`"
        );
        assert_eq!(
            "localhost".parse::<Listen>().expect_err("no port").to_string(),
            "`localhost` is not an address with a port such as `127.0.0.1:8080` or `[::]:8080`"
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(count in any::<u64>()) {
            prop_assert_eq!(Size(count).to_string().parse(), Ok(Size(count)));
            let span = Span(Duration::from_millis(count));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn no_text_breaks_the_readers(text in ".{0,40}") {
            let _ = text.parse::<Span>();
            let _ = text.parse::<Size>();
            let _ = text.parse::<Listen>();
        }
    }
}
