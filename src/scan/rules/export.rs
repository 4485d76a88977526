//! Kinds as rules of other tools: what an issuer hands to those who search for its tokens.
//!
//! A shape becomes a regular expression of the plain subset that all of them read: literals, classes, bounded
//! repetition and alternatives.

use std::fmt::Write as _;

use crate::token::catalogue::{Form as KindForm, Kind};
use crate::token::charset::Set;
use crate::token::shape::Part;

/// Whose rules are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One regular expression a line, as GitHub's partner form asks for.
    Github,
    Gitleaks,
    Kingfisher,
    Trufflehog,
}

/// The kinds as rules. A kind that is a block between markers is written as one.
pub fn export<'k>(kinds: impl IntoIterator<Item = &'k Kind>, form: Form) -> String {
    let mut text = String::new();
    match form {
        Form::Github => {}
        Form::Gitleaks => text.push_str("title = \"stanch\"\n"),
        Form::Kingfisher => text.push_str("rules:\n"),
        Form::Trufflehog => text.push_str("detectors:\n"),
    }
    for kind in kinds {
        let regex = regex(kind);
        let words = keywords(kind);
        // Writing to a string cannot fail.
        let _ = match form {
            Form::Github => writeln!(text, "{}\t{regex}", kind.id),
            Form::Gitleaks => {
                let words: Vec<_> = words.iter().map(|word| quoted(&word.to_ascii_lowercase())).collect();
                writeln!(
                    text,
                    "\n[[rules]]\nid = {}\ndescription = {}\nregex = '''{}'''\nkeywords = [{}]",
                    quoted(&kind.id),
                    quoted(&format!("{}: {}", kind.issuer, kind.name)),
                    bounded(kind, &regex),
                    words.join(", ")
                )
            }
            Form::Kingfisher => writeln!(
                text,
                "  - name: {}\n    id: {}\n    pattern: |\n      (?x)\n      {}\n    min_entropy: 0\n    confidence: medium",
                quoted(&format!("{} {}", kind.issuer, kind.name)),
                quoted(&format!("stanch.{}", kind.id)),
                bounded(kind, &regex).replace('#', "\\#").replace(' ', "\\ ")
            ),
            Form::Trufflehog => {
                let words: Vec<_> = words.iter().map(|word| format!("      - {}", quoted(word))).collect();
                writeln!(
                    text,
                    "  - name: {}\n    keywords:\n{}\n    regex:\n      token: {}",
                    quoted(&kind.id),
                    words.join("\n"),
                    quoted(&bounded(kind, &regex))
                )
            }
        };
    }
    text
}

/// The regular expression of a kind's tokens, without what may stand around them.
pub fn regex(kind: &Kind) -> String {
    let parts = match &kind.form {
        KindForm::Block { begin, end } => {
            let any = |list: &[&str]| list.iter().map(|text| escaped(text)).collect::<Vec<_>>().join("|");
            return format!("(?:{})[\\s\\S]+?(?:{})", any(begin), any(end));
        }
        KindForm::Pattern(regex) => return regex.to_string(),
        KindForm::Shape(parts) => parts,
    };
    let mut regex = String::new();
    for part in parts.iter() {
        match part {
            Part::Literal(text) => regex.push_str(&escaped(text)),
            Part::OneOf(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| escaped(text)).collect();
                let _ = write!(regex, "(?:{})", texts.join("|"));
            }
            Part::Run { set, min, max, .. } => {
                regex.push_str(&class(*set));
                let _ = if min == max { write!(regex, "{{{min}}}") } else { write!(regex, "{{{min},{max}}}") };
            }
        }
    }
    regex
}

/// With a word boundary on the sides where the token has a character of a word: most of these tools know no other.
fn bounded(kind: &Kind, regex: &str) -> String {
    let first_is_word = kind.parts().first().is_some_and(|part| part.is_within(word()));
    let last_is_word = kind.parts().last().is_some_and(|part| part.is_within(word()));
    let boundary = |is_word: bool| if is_word { "\\b" } else { "" };
    format!("{}({regex}){}", boundary(first_is_word), boundary(last_is_word))
}

fn word() -> Set {
    Set::named("word").expect("the alphabets of the catalogue have one of words")
}

/// Texts of which one is in every token, or near it.
fn keywords(kind: &Kind) -> Vec<String> {
    if let KindForm::Block { begin, .. } = &kind.form {
        return begin.iter().map(|text| (*text).to_owned()).collect();
    }
    let longest = kind
        .parts()
        .iter()
        .filter_map(|part| match part {
            Part::Literal(text) => Some(vec![text.to_string()]),
            Part::OneOf(texts) => Some(texts.iter().map(ToString::to_string).collect()),
            Part::Run { .. } => None,
        })
        .max_by_key(|texts| texts.iter().map(String::len).min());
    let near = || kind.context.iter().map(|text| (*text).to_owned()).collect();
    longest.filter(|texts| texts.iter().all(|text| text.len() > 1)).unwrap_or_else(near)
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if "\\.+*?()|[]{}^$/".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A character class, ranges written as such.
fn class(set: Set) -> String {
    let mut members = set.members().to_vec();
    members.sort_unstable();
    let mut out = String::from("[");
    let mut dash = false;
    let mut at = 0;
    while at < members.len() {
        let mut end = at;
        while end + 1 < members.len() && members[end + 1] == members[end] + 1 {
            end += 1;
        }
        match (members[at], end - at) {
            (b'-', 0) => dash = true,
            (first, 0..=1) => (at..=end).for_each(|each| push_member(&mut out, members[each].max(first))),
            (first, _) => {
                push_member(&mut out, first);
                out.push('-');
                push_member(&mut out, members[end]);
            }
        }
        at = end + 1;
    }
    // At the end it is no range, in every dialect.
    if dash {
        out.push('-');
    }
    out.push(']');
    out
}

fn push_member(out: &mut String, member: u8) {
    if b"\\]^[/-".contains(&member) {
        out.push('\\');
    }
    out.push(char::from(member));
}

/// A string as TOML and YAML read it alike.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use regex_automata::meta::Regex;

    use super::*;
    use crate::token::catalogue;

    #[test]
    fn the_expression_of_every_kind_matches_a_made_up_token() {
        for kind in catalogue::builtin() {
            let regex =
                Regex::new(&format!("^(?:{})$", regex(kind))).unwrap_or_else(|error| panic!("{}: {error}", kind.id));
            let mut seed = 7_u64;
            let mut random = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                seed >> 11
            };
            let token = crate::token::generate(kind, &mut random).expect("every kind can be made up");
            assert!(regex.is_match(&token), "{}: {}", kind.id, String::from_utf8_lossy(&token));
        }
    }

    #[test]
    fn the_file_for_gitleaks_is_toml() {
        let text = export(catalogue::builtin(), Form::Gitleaks);
        let file: toml::Table = toml::from_str(&text).expect("it is TOML");
        assert_eq!(file["rules"].as_array().map(Vec::len), Some(catalogue::builtin().len()));
    }
}
