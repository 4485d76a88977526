//! Authorship: what is said of the commit or tag that brought a token.

use super::git::Author;
use super::provenance::Commit;
use crate::recognize::{Recognizer, Scratch};

/// Adds author, time and subject from the text of a commit or a tag. A report tells no token, nor what may be a part of one.
pub fn describe(commit: &mut Commit, text: &[u8], recognizer: &Recognizer) {
    let holds_token = |text: &[u8]| {
        let mut holds = false;
        recognizer.scan(text, &mut Scratch::new(), |_| holds = true);
        holds
    };
    let at = memchr::memmem::find(text, b"\n\n").unwrap_or(text.len());
    let (head, message) = (&text[..at], text.get(at + 2..).unwrap_or_default());
    if let Some(author) = Author::parse(text) {
        commit.authored_at = Some(author.wrote_at);
        if !holds_token(head) {
            (commit.author, commit.email) = (author.name, author.email);
        }
    }
    let subject = message.split(|byte| *byte == b'\n').next().unwrap_or_default();
    commit.summary =
        if holds_token(message) { "(holds a token)".into() } else { String::from_utf8_lossy(subject).into_owned() };
}
