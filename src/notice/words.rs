//! Words for things the mail names: reporters, places, instants, spans, lists.

use std::time::Duration;

use super::inert;
use crate::clock::Timestamp;

/// Who reported, in words that fit into the middle of a sentence.
pub(super) fn reporter(origin: &str) -> String {
    match origin {
        "depsdev" | "deps.dev" | "deps_dev" => "the deps.dev project".into(),
        "github" => "GitHub secret scanning".into(),
        "gitlab" => "GitLab secret detection".into(),
        "manual" | "person" => "a person".into(),
        "scan" => "our own scan".into(),
        other => inert::line(other, 40),
    }
}

/// What kind of place that is. GitHub's words are compared without regard to case: its samples and its documentation
/// disagree. The list grows, so an unknown word is shown, not refused.
pub(super) fn place(source: &str) -> String {
    let words = match source.to_ascii_lowercase().as_str() {
        "commit" => "a commit",
        "commit_comment" => "a comment on a commit",
        "content" => "a file",
        "discussion_body" => "the text of a discussion",
        "discussion_comment" => "a comment on a discussion",
        "discussion_title" => "the title of a discussion",
        "gist_comment" => "a comment on a gist",
        "gist_content" => "a gist",
        "issue_comment" => "an issue comment",
        "issue_description" => "the description of an issue",
        "issue_title" => "the title of an issue",
        "manual_submission" => "a report made by hand",
        "npm" => "an npm package",
        "pull_request_comment" => "a pull request comment",
        "pull_request_description" => "the description of a pull request",
        "pull_request_title" => "the title of a pull request",
        "wiki_commit" => "a commit to a wiki",
        "wiki_content" => "a wiki page",
        "" | "unknown" => "a place of unknown kind",
        _ => return format!("\"{}\"", inert::line(source, 40)),
    };
    words.into()
}

/// `2026-11-23 01:00:04 UTC`.
pub(super) fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    match text.get(..19) {
        Some(seconds) => format!("{} UTC", seconds.replacen('T', " ", 1)),
        None => text,
    }
}

/// A span to the precision a person wants: `0.4 seconds`, `12 seconds`, `3 minutes`, `5 hours`, `2 days`.
pub(super) fn span(length: Duration) -> String {
    let millis = length.as_millis();
    let seconds = length.as_secs();
    match seconds {
        _ if millis < 100 => "less than 0.1 seconds".to_owned(),
        0..10 => format!("{}.{} seconds", millis / 1_000, millis % 1_000 / 100),
        10..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `1 place`, `3 places`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The same words at the beginning of a sentence.
pub(super) fn sentence_start(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_a_report_is_read_in_any_case() {
        assert_eq!(place("Issue_comment"), "an issue comment");
        assert_eq!(place("commit"), "a commit");
        assert_eq!(place("pastebin.example\r\n"), "\"pastebin[.]example\"");
    }

    #[test]
    fn spans_are_told_as_a_person_would() {
        for (millis, words) in [
            (0, "less than 0.1 seconds"),
            (100, "0.1 seconds"),
            (1_234, "1.2 seconds"),
            (9_999, "9.9 seconds"),
            (119_000, "119 seconds"),
            (120_000, "2 minutes"),
            (7_200_000, "2 hours"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), words);
        }
    }

    #[test]
    fn instants_are_utc_to_the_second() {
        assert_eq!(instant(Timestamp::from_millis(1_795_395_604_123)), "2026-11-23 01:00:04 UTC");
        assert_eq!(instant(Timestamp::from_millis(i64::MAX)), "out of range");
    }

    #[test]
    fn lists_read_as_sentences() {
        let items = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!(list(&items), "a, b and c");
        assert_eq!(list(&items[..2]), "a and b");
        assert_eq!(sentence_start("our own scan"), "Our own scan");
    }
}
