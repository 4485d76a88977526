//! Text that strangers chose, made safe to show.
//!
//! Two things must stay true. Text that passed [`inert`] moves no cursor, turns no writing direction, hides nothing and
//! is bounded. A [`SafeUrl`] shows where a URL points and nothing that could be a credential. Neither is HTML: pages and
//! mails escape for their own grammar as well.

use std::fmt;

use serde_json::Value;

/// Makes every character visible and bounds the length: controls, writing-direction marks and invisible characters are
/// written as `\n` or `\u{202e}`, and after `max_chars` characters the rest is replaced by `…`.
///
/// What such characters can do is told in "Trojan Source" (CVE-2021-42574).
pub fn inert(text: &str, max_chars: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max_chars));
    let mut room = max_chars;
    for letter in text.chars() {
        let width = if is_hidden(letter) { letter.escape_default().count() } else { 1 };
        let Some(left) = room.checked_sub(width) else {
            shown.push('…');
            break;
        };
        room = left;
        if width == 1 {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_default());
        }
    }
    shown
}

/// As [`inert`], for every text in a JSON value, the names of fields included.
pub fn inert_json(value: &Value) -> Value {
    const TEXT: usize = 2_000;
    match value {
        Value::String(text) => inert(text, TEXT).into(),
        Value::Array(items) => items.iter().map(inert_json).collect::<Vec<_>>().into(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (inert(name, TEXT), inert_json(value)));
            fields.collect::<serde_json::Map<_, _>>().into()
        }
        Value::Bool(_) | Value::Null | Value::Number(_) => value.clone(),
    }
}

/// Controls, format characters (Unicode general category Cf), line and paragraph separators, fillers without a glyph,
/// variation selectors and private use: whatever a reader cannot see or a terminal may obey.
fn is_hidden(letter: char) -> bool {
    const HIDDEN: &[(u32, u32)] = &[
        (0x00AD, 0x00AD),
        (0x034F, 0x034F),
        (0x0600, 0x0605),
        (0x061C, 0x061C),
        (0x06DD, 0x06DD),
        (0x070F, 0x070F),
        (0x0890, 0x0891),
        (0x08E2, 0x08E2),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x200B, 0x200F),
        (0x2028, 0x202E),
        (0x2060, 0x206F),
        (0x3164, 0x3164),
        (0xE000, 0xF8FF),
        (0xFE00, 0xFE0F),
        (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0),
        (0xFFF0, 0xFFFB),
        (0x110BD, 0x110CD),
        (0x13430, 0x1345F),
        (0x1BCA0, 0x1BCA3),
        (0x1D173, 0x1D17A),
        (0xE0000, 0x10_FFFF),
    ];
    let code = u32::from(letter);
    letter.is_control() || HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&code))
}

/// A URL as it may stand in a log line or an error: scheme, host, port and path, inert. User name, password, query and
/// fragment are dropped, since each may be a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeUrl(String);

/// The text is not an absolute URL with an authority; the text itself is withheld.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute URL")]
pub struct NotAUrl;

impl SafeUrl {
    /// # Errors
    /// When the text is not `scheme://host…`, so that nothing in it is known to be safe to show.
    pub fn parse(text: &str) -> Result<Self, NotAUrl> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(NotAUrl)?;
        let mut letters = scheme.chars();
        let well_formed = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
        if !well_formed {
            return Err(NotAUrl);
        }
        let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        // `user:pa/ss@host` splits inside the password: a port that is no number gives it away.
        if !is_address(address) {
            return Err(NotAUrl);
        }
        // The same with a password like `12/34`, which does look like a port: no path with an `@` is shown.
        let path = if path.contains('@') { "/…" } else { path };
        Ok(Self(inert(&format!("{}://{address}{path}", scheme.to_ascii_lowercase()), 512)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_address(address: &str) -> bool {
    let bracket = address.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match address[bracket..].split_once(':') {
        Some((host, port)) => (&address[..bracket + host.len()], port),
        None => (address, ""),
    };
    !host.is_empty() && !host.contains(char::is_whitespace) && port.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_is_shown_as_it_is() {
        assert_eq!(inert("https://example.org/ä/漢字", 64), "https://example.org/ä/漢字");
    }

    #[test]
    fn what_a_reader_cannot_see_is_written_out() {
        assert_eq!(inert("a\r\nb\u{1b}[31m", 64), r"a\r\nb\u{1b}[31m");
        assert_eq!(inert("gpj.\u{202e}exe", 64), r"gpj.\u{202e}exe");
        assert_eq!(inert("pay\u{200b}pal\u{e0041}", 64), r"pay\u{200b}pal\u{e0041}");
        assert_eq!(inert("nul\0", 64), r"nul\u{0}");
    }

    #[test]
    fn json_is_inert_at_every_depth() {
        let hostile = serde_json::json!({ "a\u{202e}": [1, null, { "b": "x\u{1b}[2J" }] });
        assert_eq!(inert_json(&hostile).to_string(), r#"{"a\\u{202e}":[1,null,{"b":"x\\u{1b}[2J"}]}"#);
    }

    #[test]
    fn text_is_cut_after_the_limit_and_says_so() {
        assert_eq!(inert("abcdef", 6), "abcdef");
        assert_eq!(inert("abcdefg", 6), "abcdef…");
        assert_eq!(inert("abcd\u{202e}", 6), "abcd…", "an escape is never cut in the middle");
    }

    #[test]
    fn a_safe_url_shows_no_credential() {
        let shown = |text| SafeUrl::parse(text).map(|url| url.to_string());
        assert_eq!(
            shown("postgres://ada:s3cret@db.example:5432/stanch?password=x"),
            Ok("postgres://db.example:5432/stanch".into())
        );
        assert_eq!(shown("HTTPS://example.org/a?token=b#c"), Ok("https://example.org/a".into()));
        assert_eq!(shown("https://a@b@c.example/"), Ok("https://c.example/".into()));
        assert_eq!(shown("http://[::1]:8080/x"), Ok("http://[::1]:8080/x".into()));
        assert_eq!(shown("https://example.org?token=b"), Ok("https://example.org".into()));
    }

    #[test]
    fn a_password_with_a_slash_is_not_taken_for_a_path() {
        assert_eq!(SafeUrl::parse("postgres://ada:pa/ss@db.example/stanch"), Err(NotAUrl));
        assert_eq!(
            SafeUrl::parse("postgres://ada:12/34@db.example/x").map(|url| url.to_string()),
            Ok("postgres://ada:12/…".into())
        );
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_repeated() {
        for text in ["", "example.org", "://x", "1a://x", "https://", "https:///path", "https://a b/"] {
            assert_eq!(SafeUrl::parse(text), Err(NotAUrl), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn inert_text_is_bounded_and_visible(text in any::<String>(), max in 0_usize..80) {
            let shown = inert(&text, max);
            prop_assert!(shown.chars().count() <= max + 1);
            prop_assert!(!shown.chars().any(is_hidden));
        }

        #[test]
        fn no_text_makes_the_url_parser_panic(text in any::<String>()) {
            if let Ok(url) = SafeUrl::parse(&text) {
                prop_assert!(!url.as_str().contains(['?', '#', '@']));
            }
        }
    }
}
