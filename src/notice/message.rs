//! The message: the letter in MIME, ready to be handed over.
//!
//! Headers are built from values, never pasted: nothing that came with a report or from an owner can begin a header of
//! its own (RFC 5322 section 2.2). Two renderings of one notice differ in nothing but their `Date`, and share the
//! Message-ID, so that a mail sent twice folds into one. Nobody answers a machine: RFC 3834 and Exchange are told so.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, Message};

use super::letter::Letter;
use super::settings::{Contact, House};
use super::{Content, SendError, html, text};
use crate::clock::Timestamp;

pub(super) fn compose(house: &House, content: &Content<'_>, now: Timestamp) -> Result<Message, SendError> {
    let to: Address = content.to.as_str().parse().map_err(|_| undeliverable("the owner's address cannot be mailed"))?;
    let letter = Letter::write(house, content);
    let (Ok(text), Ok(html)) = (text::render(&letter), html::render(&letter)) else {
        return Err(undeliverable("the notice could not be rendered"));
    };
    // The owner's own name stays out of the header: it is not ours to vouch for.
    let mut message = Message::builder()
        .from(house.from.clone())
        .to(Mailbox::new(None, to))
        .subject(header_text(&letter.subject))
        .date(UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0)))
        .message_id(Some(format!("<{}@{}>", content.notice_id, house.message_id_domain)))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"));
    if let Contact::Address(address) = &house.contact
        && let Ok(address) = address.as_str().parse()
    {
        message = message.reply_to(Mailbox::new(None, address));
    }
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(format!("part-of-{}", content.notice_id))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html));
    message.multipart(parts).map_err(|_| undeliverable("the notice does not fit into a mail"))
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
    use insta::assert_snapshot;

    use crate::notice::sample::{incident, mail, seen};

    #[test]
    fn one_token_is_told_in_full() {
        let token = incident(1, Some("ci-upload"));
        let places = vec![
            seen(&token, "commit", "https://github.com/ada/engine/blob/0a1b2c3d/.github/workflows/release.yml#L31"),
            seen(&token, "Issue_comment", "https://github.com/ada/engine/issues/7#issuecomment-1234"),
        ];
        assert_snapshot!(mail(&[(token, places)]));
    }
}
