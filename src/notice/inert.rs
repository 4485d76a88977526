//! Inert text: what strangers wrote, made harmless before it enters a mail.
//!
//! Escaping is not enough. Mail programs turn anything that looks like an address into a link, in both parts and
//! whatever the markup says, and invisible characters can make one text look like another. So a stranger's text loses
//! its control, bidirectional and invisible characters, and its addresses are written the way incident responders do:
//! `hxxps://example[.]org`. Invisible break characters would be prettier and worse: they survive copying, so the owner
//! would paste an address that does not work, and some programs link across them anyway. The visible form is the same
//! in text and HTML, can be read at a glance, and says that it must not be followed lightly.

/// A name, a scope, a word: one line of at most `columns` columns.
pub(super) fn line(text: &str, columns: usize) -> String {
    bound(&defang(&clean(text), Dots::BeforeLetters), columns)
}

/// Where a token was seen. Only characters of an address are left: everything else is percent-encoded (RFC 3986 section
/// 2.1), so that a look-alike letter shows as what it is.
pub(super) fn url(text: &str) -> String {
    const LONGEST: usize = 400;
    let text = text.trim();
    let mut encoded = String::with_capacity(text.len().min(LONGEST) + 2);
    for byte in text.bytes() {
        if encoded.len() >= LONGEST {
            break;
        }
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    let cut = text.len() > encoded.len();
    let mut shown = defang(&encoded, Dots::BeforeAny);
    // A scheme that is not http has lost nothing yet: `javascript:`, `data:`, `tel:`.
    if let Some((scheme, _)) = shown.split_once(':')
        && !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte))
        && !["hxxp", "hxxps"].contains(&scheme.to_ascii_lowercase().as_str())
    {
        shown.replace_range(scheme.len()..=scheme.len(), "[:]");
    }
    if cut {
        shown.push('…');
    }
    shown
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Columns a text takes on a terminal. Counts every character beyond the simple alphabets as two, which is never too few.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    // The few wide-looking characters below are punctuation we write ourselves.
    if c < '\u{1100}' || ('\u{2010}'..='\u{2027}').contains(&c) { 1 } else { 2 }
}

/// Control characters and runs of white space become one blank; invisible characters go.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len().min(1024));
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() {
            if !cleaned.is_empty() && !cleaned.ends_with(' ') {
                cleaned.push(' ');
            }
        } else if c == '"' {
            // Names stand in double quotes; one inside could end them early.
            cleaned.push('\'');
        } else if !is_invisible(c) {
            cleaned.push(c);
        }
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// Format characters (Unicode `Cf`), fillers and joiners: they show nothing and change what is shown.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

/// Which dots a mail program could take for those of a host name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dots {
    /// In an address every dot inside a word counts.
    BeforeAny,
    /// In a name `v1.2` may stay: no top-level domain begins with a digit.
    BeforeLetters,
}

fn defang(text: &str, dots: Dots) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str();
        let next = after.chars().next();
        match c {
            // The other three are full stops to an internationalized host name (UTS 46).
            '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}'
                if next.is_some_and(|next| next.is_alphabetic() || (dots == Dots::BeforeAny && next.is_numeric()))
                    && ends_in_word(&safe) =>
            {
                safe.push_str("[.]");
            }
            '@' if next.is_some() && ends_in_word(&safe) => {
                safe.push_str("[@]");
            }
            ':' if after.starts_with("//") && !disarm_scheme(&mut safe) => safe.push_str("[:]"),
            _ => safe.push(c),
        }
    }
    safe
}

/// False where no host name or mailbox could end: `.github`, `@scope/pkg`, `a/.cargo`.
fn ends_in_word(text: &str) -> bool {
    text.ends_with(|before: char| !before.is_whitespace() && before != '/')
}

/// Turns a trailing `http` or `https` into `hxxp` or `hxxps`; false if something else stands there.
fn disarm_scheme(text: &mut String) -> bool {
    for scheme in ["https", "http"] {
        let Some(start) = text.len().checked_sub(scheme.len()) else { continue };
        if text.get(start..).is_some_and(|tail| tail.eq_ignore_ascii_case(scheme)) {
            text.replace_range(start + 1..start + 3, "xx");
            return true;
        }
    }
    false
}

fn bound(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut short = String::with_capacity(most);
    let mut used = 1;
    for c in text.chars() {
        used += columns_of(c);
        if used > most {
            break;
        }
        short.push(c);
    }
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_as_their_owner_wrote_them() {
        for name in
            ["ci-upload", "Release bot (v1.2)", "@scope/pkg", "déploiement", "read:packages", ".env", "日本語 CI"]
        {
            assert_eq!(line(name, 60), name);
        }
    }

    #[test]
    fn what_a_mail_program_would_link_is_disarmed() {
        for (text, shown) in [
            ("evil.example/login", "evil[.]example/login"),
            ("https://evil.example", "hxxps://evil[.]example"),
            ("HTTP://x", "HxxP://x"),
            ("ftp://evil.example", "ftp[:]//evil[.]example"),
            ("me@evil.example", "me[@]evil[.]example"),
            ("www.evil.example", "www[.]evil[.]example"),
            ("evil\u{3002}example", "evil[.]example"),
        ] {
            assert_eq!(line(text, 60), shown);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_gone() {
        assert_eq!(line("a\r\nBcc: x\0y\tz", 60), "a Bcc: x y z");
        assert_eq!(line("safe\u{202e}txt\u{2066}\u{200b}\u{feff}\u{e0041}", 60), "safetxt");
        assert_eq!(line("say \"hi\"", 60), "say 'hi'");
        assert_eq!(line(" \u{2028} \n", 60), "");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(line(&"x".repeat(2_000), 10), format!("{}…", "x".repeat(9)));
        assert_eq!(columns(&line(&"語".repeat(2_000), 10)), 9);
        assert!(url(&format!("https://a.example/{}", "y".repeat(10_240))).ends_with("y…"));
    }

    #[test]
    fn an_address_can_be_read_and_not_followed() {
        for (text, shown) in [
            ("https://github.com/ada/x/blob/0a1b/setup.py#L3", "hxxps://github[.]com/ada/x/blob/0a1b/setup[.]py#L3"),
            ("http://10.0.0.1:8080/", "hxxp://10[.]0[.]0[.]1:8080/"),
            ("javascript:alert(1)", "javascript[:]alert(1)"),
            ("data:text/html,x", "data[:]text/html,x"),
            ("https://user@evil.example/", "hxxps://user[@]evil[.]example/"),
            ("https://a.example/\"><script>", "hxxps://a[.]example/%22%3E%3Cscript%3E"),
            ("https://g\u{131}thub.com/", "hxxps://g%C4%B1thub[.]com/"),
            ("https://a.example/\u{202e}x\r\ny z", "hxxps://a[.]example/%E2%80%AEx%0D%0Ay%20z"),
            ("https://a.example/?to=https://b.example", "hxxps://a[.]example/?to=hxxps://b[.]example"),
        ] {
            assert_eq!(url(text), shown);
        }
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_control_character_or_an_address(text in "\\PC{0,40}|[a-z.:/@ \\x00-\\x1f\u{200b}\u{202e}]{0,60}") {
            for shown in [line(&text, 60), url(&text)] {
                prop_assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)), "{shown:?}");
                prop_assert!(!shown.to_ascii_lowercase().contains("http://"), "{shown:?}");
                prop_assert!(!shown.to_ascii_lowercase().contains("https://"), "{shown:?}");
                let letters: Vec<char> = shown.chars().collect();
                let host = |run: &[char]| run[0].is_alphanumeric() && run[1] == '.' && run[2].is_alphabetic();
                prop_assert!(!letters.windows(3).any(host), "{shown:?}");
            }
            prop_assert!(columns(&line(&text, 20)) <= 20);
        }
    }
}
