//! What people type by habit: the commands of other scanners, put into words of ours before they are read.
//!
//! `docs/scanning.md` has the table. Only the first word and options whose form differs are changed; options that mean
//! the same have hidden names of their own in `scan`.

use std::ffi::{OsStr, OsString};

/// The commands of others, and what they are here.
const COMMANDS: &[(&str, &[&str])] = &[
    ("detect", &["scan"]),
    ("dir", &["scan", "--history", "none"]),
    ("directory", &["scan", "--history", "none"]),
    ("file", &["scan", "--history", "none"]),
    ("filesystem", &["scan", "--history", "none"]),
    ("fs", &["scan", "--history", "none"]),
    ("git", &["scan"]),
    ("protect", &["scan", "--pre-commit"]),
    ("stdin", &["scan", "-"]),
];

/// The values of `--fail`; elsewhere it has none.
const FAIL: &[&str] = &["any", "checksum", "never", "verified"];

/// Puts the arguments of the process into our words.
pub fn expand(typed: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut typed = typed.into_iter().peekable();
    let mut words: Vec<OsString> = typed.next().into_iter().collect();
    if let Some(first) = typed.peek()
        && let Some((_, ours)) = COMMANDS.iter().find(|(name, _)| first == name)
    {
        typed.next();
        words.extend(ours.iter().map(OsString::from));
    }
    let is_scan = words.get(1).or(typed.peek()).is_some_and(|command| command == "scan");
    let mut is_option = is_scan;
    while let Some(word) = typed.next() {
        is_option &= word != "--";
        let needs_value = |next: Option<&OsString>| !next.is_some_and(|next| FAIL.iter().any(|value| next == value));
        if is_option && word == OsStr::new("--fail") && needs_value(typed.peek()) {
            words.push("--fail=any".into());
        } else {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_others_are_understood() {
        let expanded = |typed: &str| {
            let words = expand(typed.split(' ').map(OsString::from));
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        for (typed, ours) in [
            ("stanch detect --no-git", "stanch scan --no-git"),
            ("stanch git -v .", "stanch scan -v ."),
            ("stanch dir a b", "stanch scan --history none a b"),
            ("stanch protect --verbose", "stanch scan --pre-commit --verbose"),
            ("stanch stdin", "stanch scan -"),
            ("stanch scan git", "stanch scan git"),
            ("stanch scan --fail .", "stanch scan --fail=any ."),
            ("stanch scan --fail never .", "stanch scan --fail never ."),
            ("stanch scan -- --fail", "stanch scan -- --fail"),
            ("stanch rules list", "stanch rules list"),
            ("stanch", "stanch"),
        ] {
            assert_eq!(expanded(typed), ours);
        }
    }
}
