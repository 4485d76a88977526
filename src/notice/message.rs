//! The message: the letter in MIME, ready to be handed over.
//!
//! Headers are built from values, never pasted: nothing that came with a report or from an owner can begin a header of
//! its own (RFC 5322 section 2.2). Two renderings of one notice differ in nothing but their `Date`, and share the
//! Message-ID, so that a mail sent twice folds into one. Nobody answers a machine: RFC 3834 and Exchange are told so.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, Message};
use sha2::{Digest, Sha256};

use super::letter::Letter;
use super::settings::{Contact, House};
use super::{Content, Preview, SendError, html, text};
use crate::clock::Timestamp;
use crate::incident::EmailAddress;

pub(super) fn compose(house: &House, content: &Content<'_>, now: Timestamp) -> Result<Message, SendError> {
    wrap(house, &Letter::write(house, content), content.to, &id(content), now)
}

/// What the mail is known by: the notice, and for each owner after the first something of the address, so that two
/// different mails never share a Message-ID and the same mail always does.
pub(super) fn id(content: &Content<'_>) -> String {
    let owner = content.items.first().and_then(|(incident, _)| incident.token.as_ref()?.owner.as_ref());
    if owner.is_some_and(|owner| owner.others.contains(content.to)) {
        let digest = Sha256::digest(content.to.as_str().as_bytes());
        format!("{}.{:02x}{:02x}{:02x}{:02x}", content.notice_id, digest[0], digest[1], digest[2], digest[3])
    } else {
        content.notice_id.to_string()
    }
}

/// Lays a letter out twice and puts it into an envelope.
pub(super) fn wrap(
    house: &House,
    letter: &Letter,
    to: &EmailAddress,
    id: &str,
    now: Timestamp,
) -> Result<Message, SendError> {
    let to: Address = to.as_str().parse().map_err(|_| undeliverable("the owner's address cannot be mailed"))?;
    let (Ok(text), Ok(html)) = (text::render(letter), html::render(letter)) else {
        return Err(undeliverable("the notice could not be laid out"));
    };
    // The owner's own name stays out of the header: it is not ours to vouch for.
    let mut message = Message::builder()
        .from(house.from.clone())
        .to(Mailbox::new(None, to))
        .subject(header_text(&letter.subject))
        .date(UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0)))
        .message_id(Some(format!("<{id}@{}>", house.message_id_domain)))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"));
    if let Contact::Address(address) = &house.contact
        && let Ok(address) = address.as_str().parse()
    {
        message = message.reply_to(Mailbox::new(None, address));
    }
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(format!("part-of-{id}"))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html));
    message.multipart(parts).map_err(|_| undeliverable("the notice does not fit into a mail"))
}

pub(super) fn preview(house: &House, content: &Content<'_>) -> Result<Preview, SendError> {
    let letter = Letter::write(house, content);
    let text = text::render(&letter).map_err(|_| undeliverable("the notice could not be laid out"))?;
    Ok(Preview { subject: header_text(&letter.subject), text })
}

/// A text that is already an encoded word (RFC 2047) would be decoded by the reader into something nobody cleaned.
fn header_text(text: &str) -> String {
    text.replace("=?", "= ?")
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn undeliverable(why: &str) -> SendError {
    SendError::Undeliverable { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use insta::assert_snapshot;
    use proptest::prelude::*;

    use crate::clock::Timestamp;
    use crate::incident::{Incident, Occurrence};
    use crate::notice::inert::columns;
    use crate::notice::sample::{Sample, incident, seen, settings, write, write_with};
    use crate::token::KindId;

    #[test]
    fn one_token_is_told_in_full() {
        let token = incident(1, Some("ci-upload"));
        let mut again = seen(&token, "Issue_comment", "https://github.com/ada/engine/issues/7#issuecomment-1234");
        again.origin = "depsdev".into();
        again.reports = 3;
        let places = vec![
            seen(&token, "commit", "https://github.com/ada/engine/blob/0a1b2c3d/.github/workflows/release.yml#L31"),
            again,
        ];
        assert_snapshot!(write(&[(token, places)]).shown());
    }

    #[test]
    fn several_tokens_of_one_owner_are_one_mail() {
        let items: Vec<_> = [Some("ci-upload"), Some("laptop"), None]
            .into_iter()
            .zip(1..)
            .map(|(name, number)| {
                let token = incident(number, name);
                let place = seen(&token, "content", &format!("https://github.com/ada/engine/blob/main/.env#L{number}"));
                (token, vec![place])
            })
            .collect();
        let mut settings = settings();
        settings.contact = "security@registry.example".into();
        assert_snapshot!(write_with(&settings, &items).shown());
    }

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        let mut token = incident(1, None);
        token.kind = KindId::new("some-token");
        token.token = None;
        token.hint = String::new();
        token.origin = "person".into();
        let nowhere = seen(&token, "", "");
        let mut purged = seen(&token, "commit", "");
        purged.place = None;
        let mut settings = settings();
        settings.tokens_url = None;
        assert_snapshot!(write_with(&settings, &[(token, vec![nowhere, purged])]).shown());
    }

    #[test]
    fn hostile_values_are_inert() {
        let mut token = incident(1, Some("x\r\nBcc: all@evil.example\r\n\r\n<script>alert(1)</script>"));
        let issued = token.token.as_mut().expect("a sample");
        issued.scopes = vec!["=?utf-8?q?=0D=0ABcc:_x?=".into(), "a\"b\u{202e}cod".into(), "x".repeat(2_000)];
        token.origin = "https://evil.example/<b>".into();
        token.kind = KindId::new("<img src=x onerror=alert(1)>");
        token.hint = "the-whole-secret-by-mistake".into();
        let places = [
            ("commit", "javascript:alert(document.cookie)"),
            ("<a href='https://evil.example'>here</a>", "https://evil.example/\"><script>alert(1)</script>"),
            ("commit\r\n\r\nClick https://evil.example", "data:text/html;base64,PHNjcmlwdD4="),
            (
                "content",
                "https://github.com@evil.example/\u{202e}gpj.exe\u{0}\r\n\r\nyou must log in at www.evil.example",
            ),
            ("gist_content", "https://xn--gthub-cta.com/g\u{131}thub.com"),
        ];
        let mut places: Vec<_> = places.iter().map(|(source, url)| seen(&token, source, url)).collect();
        places.push(seen(&token, "wiki_content", &format!("https://a.example/{}", "a/".repeat(5_120))));
        assert_snapshot!(write(&[(token, places)]).shown());
    }

    #[test]
    fn an_encoded_word_in_a_name_is_not_decoded_by_the_reader() {
        let token = incident(1, Some("=?utf-8?q?=E2=80=AEevil?="));
        let sample = write(&[(token, Vec::new())]);
        assert!(sample.headers.contains("\"= ?utf-8?q?"), "{}", sample.headers);
        let token = incident(1, Some(&"na\u{ef}ve ".repeat(400)));
        let sample = write(&[(token, Vec::new())]);
        assert!(sample.headers.lines().all(|line| line.is_ascii() && line.len() <= 78), "{}", sample.headers);
    }

    #[test]
    fn long_lists_are_cut_and_say_by_how_much() {
        let token = incident(1, Some("busy"));
        let places: Vec<_> = (0..33).map(|n| seen(&token, "commit", &format!("https://a.example/{n}"))).collect();
        let text = write(&[(token, places)]).text;
        assert_eq!(text.matches("hxxps://").count(), 20);
        assert!(text.contains("\n    And 13 more.\n"), "{text}");

        let many: Vec<_> = (0..203).map(|n| (incident(1, Some(&format!("token-{n}"))), Vec::new())).collect();
        let sample = write(&many);
        assert!(sample.headers.contains("Subject: 203 of your Example Registry tokens were leaked and are revoked"));
        assert!(sample.text.contains("\ntoken-199\n") && !sample.text.contains("token-200"));
        assert!(sample.text.contains("And 3 tokens more, revoked as well."));
        assert!(sample.text.find("What to do now") < sample.text.find("token-0"), "advice is not buried by the list");
    }

    #[test]
    fn only_the_end_of_the_checksum_leaves_the_house() {
        let mut token = incident(1, Some("ci"));
        token.hint = "abcdefgh".into();
        let sample = write(&[(token, Vec::new())]);
        assert!(sample.text.contains("  Ends in:    efgh "), "{}", sample.text);
        assert!(!sample.text.contains("defgh") && !sample.html.contains("defgh"));
    }

    #[test]
    fn a_mail_asks_no_machine_for_an_answer_and_tracks_nobody() {
        let token = incident(1, Some("ci"));
        let place = seen(&token, "commit", "https://a.example/");
        let sample = write(&[(token, vec![place])]);
        assert!(sample.headers.contains("\r\nAuto-Submitted: auto-generated\r\n"));
        assert!(!sample.headers.contains("List-Unsubscribe"));
        for loaded in ["<img", "src=", "url(", "@import", "<link", "<script", "<style", "<form", "<iframe"] {
            assert!(!sample.html.contains(loaded), "{loaded}");
        }
    }

    /// Text such as strangers send: ordinary, and made of the pieces that break mails.
    fn hostile() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\0",
            "\t",
            " ",
            "Bcc: x@evil.example",
            "=?utf-8?q?=0A?=",
            "<a href=\"https://evil.example\">",
            "</td>",
            "<!--",
            "\"",
            "'",
            "&",
            "https://",
            "http://",
            "javascript:",
            "www.",
            "evil.example",
            "\u{202e}",
            "\u{200b}",
            "\u{2028}",
            "\u{feff}",
            "x",
            "ci-upload",
            "{{ letter }}",
            "{%",
            "a".repeat(120).leak(),
            "語",
            "\u{e9}",
            ".",
            "..",
            "@",
            ":",
            "/",
            "%0D%0A",
        ]);
        prop_oneof![prop::collection::vec(pieces, 0..14).prop_map(|pieces| pieces.concat()), any::<String>(),]
    }

    fn items() -> impl Strategy<Value = Vec<(Incident, Vec<Occurrence>)>> {
        let place = (hostile(), hostile());
        let token = (
            prop::option::of(hostile()),
            prop::collection::vec(hostile(), 0..4),
            (hostile(), hostile(), hostile()),
            prop::collection::vec(place, 0..4),
        );
        prop::collection::vec(token, 1..4).prop_map(|tokens| {
            tokens
                .into_iter()
                .map(|(name, scopes, (origin, kind, hint), places)| {
                    let mut token = incident(1, name.as_deref());
                    token.token.as_mut().expect("a sample").scopes = scopes;
                    (token.origin, token.kind, token.hint) = (origin, KindId::new(&kind), hint);
                    token.received_at = Timestamp::from_millis(token.received_at.as_millis());
                    let places = places.iter().map(|(source, url)| seen(&token, source, url)).collect();
                    (token, places)
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(192))]

        #[test]
        fn no_value_begins_a_header(items in items()) {
            let known = HashSet::from([
                "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version",
                "Content-Type",
            ]);
            let Sample { headers, .. } = write(&items);
            let mut names = BTreeSet::new();
            for line in headers.split("\r\n").filter(|line| !line.is_empty()) {
                prop_assert!(!line.contains(['\r', '\n', '\0']) && line.is_ascii() && line.len() <= 998, "{line:?}");
                if !line.starts_with(' ') {
                    let name = line.split(':').next().unwrap_or_default();
                    prop_assert!(known.contains(name), "{line:?}");
                    prop_assert!(names.insert(name.to_owned()), "{name} stands there twice");
                }
            }
        }

        #[test]
        fn nothing_but_the_configured_pages_can_be_clicked(items in items()) {
            let Sample { text, html, .. } = write(&items);
            let pages = ["https://registry.example/me/tokens", "https://registry.example/security/contact"];
            for link in html.split("href=\"").skip(1) {
                let target = link.split('"').next().unwrap_or_default();
                prop_assert!(pages.contains(&target), "{target:?}");
            }
            for part in [&text, &html] {
                for address in part.to_ascii_lowercase().split("http").skip(1).filter(|rest| rest.starts_with("s://") || rest.starts_with("://")) {
                    prop_assert!(pages.iter().any(|page| format!("http{address}").starts_with(page)), "{address:?}");
                }
            }
            // The template's own tags and no others.
            let tags: BTreeSet<&str> = html
                .split('<')
                .skip(1)
                .map(|tag| tag.split(|c: char| !c.is_ascii_alphanumeric() && !"/!".contains(c)).next().unwrap_or_default())
                .collect();
            let own = BTreeSet::from([
                "!doctype", "html", "/html", "head", "/head", "meta", "title", "/title", "body", "/body", "div", "/div", "h1", "/h1",
                "h2", "/h2", "h3", "/h3", "p", "/p", "table", "/table", "tr", "/tr", "th", "/th", "td", "/td", "ul", "/ul", "ol", "/ol",
                "li", "/li", "br", "code", "/code", "a", "/a",
            ]);
            prop_assert!(tags.is_subset(&own), "{:?}", tags.difference(&own));
        }

        #[test]
        fn lines_of_the_text_fit_eighty_columns_unless_one_word_does_not(items in items()) {
            for line in write(&items).text.lines() {
                let one_word = line.split_whitespace().count() <= 1;
                prop_assert!(columns(line) <= 80 || one_word, "{line:?}");
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }

        #[test]
        fn text_and_html_say_the_same(items in items()) {
            let Sample { text, html, .. } = write(&items);
            prop_assert_eq!(words(&text), words(&visible(&html)));
        }
    }

    /// What a browser would show of the body.
    fn visible(html: &str) -> String {
        let body = html.split("</head>").nth(1).expect("the template has one");
        let mut shown: String = body
            .split('<')
            .map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text).to_owned() + " ")
            .collect();
        for (entity, letter) in [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")] {
            shown = shown.replace(entity, letter);
        }
        shown
    }

    /// The words without what only the text part needs: rules, list marks and the colons after labels.
    fn words(text: &str) -> Vec<String> {
        text.split_whitespace()
            .filter(|word| !word.chars().all(|c| c == '-') && !["1.", "2.", "3.", "4."].contains(word))
            .map(|word| word.trim_end_matches(':').to_owned())
            .filter(|word| !word.is_empty())
            .collect()
    }
}
