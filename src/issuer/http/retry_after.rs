//! `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.

use std::time::Duration;

use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::clock::Timestamp;

/// However long an issuer asks us to wait, it is asked again after this: a live token is waiting.
const LONGEST: Duration = Duration::from_hours(1);

/// IMF-fixdate, the one form of a date that senders may write (RFC 9110 section 5.6.7).
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// How long to wait from `now`, at least a second and at most [`LONGEST`]. None if the value makes no sense.
pub(super) fn parse(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a u64 is a long time, not nonsense.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = PrimitiveDateTime::parse(text, HTTP_DATE).ok()?.assume_utc().unix_timestamp();
        Timestamp::from_millis(at.saturating_mul(1_000)).since(now)
    };
    Some(wait.clamp(Duration::from_secs(1), LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The instant of the RFC's examples of dates.
    fn example() -> Timestamp {
        Timestamp::parse("1994-11-06T08:49:37Z").expect("well formed")
    }

    fn seconds_at(value: &str, now: Timestamp) -> Option<u64> {
        parse(value.as_bytes(), now).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_both_read() {
        assert_eq!(seconds_at("120", example()), Some(120));
        let a_minute_before = example().minus(Duration::from_mins(1));
        assert_eq!(seconds_at("Sun, 06 Nov 1994 08:49:37 GMT", a_minute_before), Some(60));
    }

    #[test]
    fn no_wait_is_shorter_than_a_second_or_longer_than_an_hour() {
        assert_eq!(seconds_at("0", example()), Some(1));
        assert_eq!(seconds_at("Sun, 06 Nov 1994 08:49:37 GMT", example().plus(Duration::from_secs(9))), Some(1));
        assert_eq!(seconds_at("99999999999999999999999", example()), Some(3600));
    }

    #[test]
    fn nonsense_is_not_a_wait() {
        for value in ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994", "1994-11-06T08:49:37Z"] {
            assert_eq!(seconds_at(value, example()), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_a_bounded_wait_or_nothing(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(wait) = parse(&value, example()) {
                prop_assert!(wait >= Duration::from_secs(1) && wait <= LONGEST);
            }
        }
    }
}
