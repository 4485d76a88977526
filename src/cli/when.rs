//! Instants and spans for people: absolute, so that they can be quoted, and relative, so that they can be judged.

use std::time::Duration;

use crate::clock::Timestamp;

/// `2026-11-23 01:00:04Z`.
pub fn absolute(at: Timestamp) -> String {
    let text = at.to_string();
    // The first 19 characters are the date and the time to the second (RFC 3339).
    text.get(..19).map_or(text.clone(), |seconds| format!("{}Z", seconds.replace('T', " ")))
}

/// `3 min ago`, `in 2 h`, `now`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let (past, future) = (now.since(at), at.since(now));
    match (past.as_secs(), future.as_secs()) {
        (0, 0) => "now".into(),
        (_, 0) => format!("{} ago", coarse(past)),
        _ => format!("in {}", coarse(future)),
    }
}

/// `2026-11-23 01:00:04Z, 3 min ago`.
pub fn both(at: Timestamp, now: Timestamp) -> String {
    format!("{}, {}", absolute(at), relative(at, now))
}

/// A measured span, with three digits at most: `31 ms`, `2.05 s`, `4 min 10 s`.
pub fn measured(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..10_000 => format!("{:.2} s", span.as_secs_f64()),
        10_000..60_000 => format!("{:.1} s", span.as_secs_f64()),
        _ => {
            let (minutes, seconds) = (span.as_secs() / 60, span.as_secs() % 60);
            if minutes < 60 { format!("{minutes} min {seconds} s") } else { coarse(span) }
        }
    }
}

/// The largest unit that is at least one.
pub fn coarse(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An instant on the command line.
pub fn instant(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text).ok_or("an instant is as 2026-11-24T10:00:00Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_absolutely_and_relatively() {
        let now = Timestamp::from_millis(1_795_395_604_123);
        let ago = |seconds| now.minus(Duration::from_secs(seconds));
        assert_eq!(both(ago(0), now), "2026-11-23 01:00:04Z, now");
        assert_eq!(both(ago(200), now), "2026-11-23 00:56:44Z, 3 min ago");
        let told: Vec<_> = [59, 3_599, 86_400, 172_800].map(|seconds| relative(ago(seconds), now)).into();
        assert_eq!(told, ["59 s ago", "59 min ago", "24 h ago", "2 days ago"]);
        assert_eq!(relative(now.plus(Duration::from_hours(2)), now), "in 2 h");
    }

    #[test]
    fn measured_spans_keep_what_matters() {
        let told: Vec<_> = [31, 2_050, 12_345, 250_000, 7_200_000].map(|ms| measured(Duration::from_millis(ms))).into();
        assert_eq!(told, ["31 ms", "2.05 s", "12.3 s", "4 min 10 s", "2 h"]);
    }
}
