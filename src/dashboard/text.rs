//! Values as a page shows them: instants, spans, states, and what strangers wrote.
//!
//! The templates escape every value; what is made here is inert beyond that: no control, no writing direction, nothing
//! hidden, bounded. An address is text. It is a link only if it is plain https to a host that the operator trusts.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::redact;

/// Longest text of a stranger that is shown whole.
const LONGEST: usize = 300;

/// An instant: for machines, in full, and as a person would say it.
pub struct When {
    pub iso: String,
    pub full: String,
    pub ago: String,
    /// `11-24 15:04:05`, with the year if it is not this one.
    pub short: String,
    /// `15:04:05`.
    pub clock: String,
}

impl When {
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        let iso = at.to_string();
        let full = iso.get(..19).map_or_else(|| iso.clone(), |text| format!("{} UTC", text.replace('T', " ")));
        let clock = iso.get(11..19).unwrap_or_default().to_owned();
        let same_year = iso.get(..4) == now.to_string().get(..4);
        let short = iso.get(if same_year { 5..19 } else { 0..19 }).unwrap_or_default().replace('T', " ");
        let (past, future) = (now.since(at), at.since(now));
        let ago = match (past.as_secs(), future.as_secs()) {
            (0, 0) => "now".into(),
            (_, 0) => format!("{} ago", coarse(past)),
            _ => format!("in {}", coarse(future)),
        };
        Self { iso, full, ago, short, clock }
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

/// A measured span, three digits at most.
pub fn measured(span: Duration) -> String {
    match span.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        1_000..10_000 => format!("{:.2} s", span.as_secs_f64()),
        10_000..60_000 => format!("{:.1} s", span.as_secs_f64()),
        _ if span.as_secs() < 3_600 => format!("{} min {} s", span.as_secs() / 60, span.as_secs() % 60),
        _ => coarse(span),
    }
}

/// What a stranger wrote, on one line.
pub fn line(text: &str) -> String {
    redact::inert(text, LONGEST)
}

/// `1 incident`, `3 incidents`.
pub fn count(number: i64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(number)) }
}

/// `12 345`, with a narrow blank that does not break.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + 4);
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A word with the tone it is shown in; the colour is never all that tells.
pub struct Badge {
    pub word: String,
    pub tone: &'static str,
}

impl Badge {
    pub fn new(word: &str, tone: &'static str) -> Self {
        Self { word: word.replace('_', " "), tone }
    }

    /// An incident's state.
    pub fn of_state(word: &str) -> Self {
        let tone = match word {
            "stuck" => "bad",
            "held" => "warn",
            "open" | "live" => "busy",
            "revoked" | "notified" => "good",
            _ => "done",
        };
        Self::new(word, tone)
    }
}

/// Where a list goes on.
pub struct Pager {
    /// Back to the beginning; none if this is it.
    pub first: Option<String>,
    pub next: Option<String>,
}

impl Pager {
    pub fn new(path: &str, query: &str, is_later: bool, next: Option<&impl ToString>) -> Self {
        let joint = if query.is_empty() { "" } else { "&" };
        let next = next.map(|next| format!("{path}?{query}{joint}after={}", escaped(&next.to_string())));
        let first = is_later.then(|| if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") });
        Self { first, next }
    }

    pub fn is_used(&self) -> bool {
        self.first.is_some() || self.next.is_some()
    }
}

/// The text as a link, if it is plain https to one of these hosts: no user, no port, nothing but visible ASCII.
pub fn link(url: &str, hosts: &[String]) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let visible = url.len() <= 2_000 && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\`".contains(&byte));
    (visible && hosts.iter().any(|known| known == host)).then(|| url.to_owned())
}

/// Escapes a value of a query.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            use std::fmt::Write as _;
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_link_only_to_a_host_that_is_trusted() {
        let hosts = vec!["github.com".to_owned()];
        assert!(link("https://github.com/ada/engine/blob/main/a.yml#L3", &hosts).is_some());
        for text in [
            "javascript:alert(1)//https://github.com/",
            "data:text/html,<script>",
            "http://github.com/",
            "https://github.com@evil.example/",
            "https://github.com.evil.example/",
            "https://github.com:8443/",
            "https://github.com\\@evil.example/",
            "https://github.com/\u{202e}gpj",
            "https://GITHUB.com/",
            "https://gıthub.com/",
            " https://github.com/",
            "https://github.com/\"onmouseover=alert(1)",
            "",
        ] {
            assert_eq!(link(text, &hosts), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        let told: Vec<_> = [0, 999, 1_000, 1_234_567, -1_000].map(grouped).into();
        assert_eq!(told, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567", "-1\u{202f}000"]);
        assert_eq!((count(1, "token", "tokens"), count(0, "token", "tokens")), ("1 token".into(), "0 tokens".into()));
    }
}
