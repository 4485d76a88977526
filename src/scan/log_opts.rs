//! What people say to `git log` to name some commits, and what it means here.
//!
//! The part of it that chooses commits is understood; options that only shape git's own output are passed over; anything
//! else is refused by name, because a range that is read otherwise than it was meant hides what is in it.

use super::git::{BadRevision, DirectReader, Places, Range, References, merge_bases, shallow};
use crate::clock::Timestamp;

/// Commits, as they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    words: Vec<Word>,
    since: Option<Time>,
    until: Option<Time>,
    no_merges: bool,
    first_parent: bool,
    most: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// All references whose names begin so.
    References {
        prefix: String,
        is_wanted: bool,
    },
    Revision {
        name: String,
        is_wanted: bool,
    },
    /// What leads up to one of two and not to both.
    Symmetric {
        one: String,
        two: String,
        is_wanted: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    /// Seconds before now.
    Ago(i64),
    /// Seconds since 1970.
    At(i64),
}

/// A word that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWanted {
    #[error("`{0}` is no time that is understood; write 2026-01-31, 2026-01-31T12:00:00Z, @1700000000 or `3 days ago`")]
    Time(String),
    #[error(
        "`{0}` is not understood here; of `git log`, revisions, `A..B`, `A...B`, `^A`, `--not`, `--all`, `--branches`, \
             `--tags`, `--remotes`, `--since`, `--until`, `-n`, `--no-merges` and `--first-parent` are"
    )]
    Word(String),
}

/// Options that shape what `git log` writes, and do not choose commits.
const PASSED_OVER: &[&str] = &[
    "-p",
    "-u",
    "--patch",
    "-U0",
    "--unified=0",
    "--full-history",
    "--no-color",
    "--oneline",
    "--date-order",
    "--topo-order",
    "--reverse",
    "--diff-filter=tuxdb",
    "-m",
    "-c",
    "--cc",
];

impl Wanted {
    /// Everything behind `since`, on the branch, or on `HEAD`.
    pub fn between(since: Option<&str>, branch: Option<&str>, most: Option<usize>) -> Self {
        let tip = Word::Revision { name: branch.unwrap_or("HEAD").to_owned(), is_wanted: true };
        let since = since.map(|name| Word::Revision { name: name.to_owned(), is_wanted: false });
        Self { words: std::iter::once(tip).chain(since).collect(), most, ..Self::default() }
    }

    /// Reads words as `git log` would.
    pub fn of_log_opts(text: &str) -> Result<Self, BadWanted> {
        let mut wanted = Self::default();
        let mut sign = true;
        let mut words = split(text).into_iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            let references = |prefix: &str| {
                let prefix = value.map_or_else(|| prefix.to_owned(), |value| format!("{prefix}{value}/"));
                Word::References { prefix, is_wanted: sign }
            };
            let mut value = || value.map(str::to_owned).or_else(|| words.next()).ok_or(BadWanted::Word(word.clone()));
            match name {
                "--all" if word == name => {
                    wanted.words.push(references("refs/"));
                    wanted.words.push(Word::Revision { name: "HEAD".into(), is_wanted: sign });
                }
                "--branches" => wanted.words.push(references("refs/heads/")),
                "--remotes" => wanted.words.push(references("refs/remotes/")),
                "--tags" => wanted.words.push(references("refs/tags/")),
                "--not" => sign = !sign,
                "--since" | "--after" => wanted.since = Some(time(&value()?)?),
                "--until" | "--before" => wanted.until = Some(time(&value()?)?),
                "--max-count" | "-n" => wanted.most = Some(count(&value()?, &word)?),
                "--no-merges" => wanted.no_merges = true,
                "--first-parent" => wanted.first_parent = true,
                _ if PASSED_OVER.contains(&word.as_str()) => {}
                _ if word.starts_with('-') => {
                    let number = word.trim_start_matches("-n").trim_start_matches('-');
                    wanted.most = Some(count(number, &word)?);
                }
                _ => wanted.revision(&word, sign),
            }
        }
        let starts = |word: &Word| {
            let (Word::References { is_wanted, .. }
            | Word::Revision { is_wanted, .. }
            | Word::Symmetric { is_wanted, .. }) = word;
            *is_wanted
        };
        if !wanted.words.iter().any(starts) {
            wanted.words.push(Word::Revision { name: "HEAD".into(), is_wanted: true });
        }
        Ok(wanted)
    }

    fn revision(&mut self, word: &str, sign: bool) {
        let named = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
        if let Some((one, two)) = word.split_once("...") {
            self.words.push(Word::Symmetric { one: named(one), two: named(two), is_wanted: sign });
        } else if let Some((from, to)) = word.split_once("..") {
            self.words.push(Word::Revision { name: named(from), is_wanted: !sign });
            self.words.push(Word::Revision { name: named(to), is_wanted: sign });
        } else if let Some(name) = word.strip_prefix('^') {
            self.words.push(Word::Revision { name: name.to_owned(), is_wanted: !sign });
        } else {
            self.words.push(Word::Revision { name: word.to_owned(), is_wanted: sign });
        }
    }

    /// So many of the newest commits.
    #[must_use]
    pub fn at_most(self, most: Option<usize>) -> Self {
        Self { most: most.or(self.most), ..self }
    }

    /// The commits in a repository.
    pub fn range(&self, places: &Places, reader: &mut DirectReader<'_>, now: Timestamp) -> Result<Range, BadRevision> {
        let references = References::read(places);
        let now = now.as_millis() / 1000;
        let seconds = |time: Time| match time {
            Time::Ago(seconds) => now - seconds,
            Time::At(seconds) => seconds,
        };
        let mut range = Range {
            since: self.since.map(seconds),
            until: self.until.map(seconds),
            no_merges: self.no_merges,
            first_parent: self.first_parent,
            most: self.most,
            ..Range::default()
        };
        for word in &self.words {
            let (ids, is_wanted) = match word {
                Word::References { prefix, is_wanted } => {
                    // A reference may name a blob, which no commit is.
                    let all = references.beginning_with(prefix).into_iter();
                    (all.filter_map(|(_, id)| references.commit(&id.to_string(), reader).ok()).collect(), *is_wanted)
                }
                Word::Revision { name, is_wanted } => (vec![references.commit(name, reader)?], *is_wanted),
                Word::Symmetric { one, two, is_wanted } => {
                    let (one, two) = (references.commit(one, reader)?, references.commit(two, reader)?);
                    let cut = shallow(places).into_iter().collect();
                    let bases = merge_bases(one, two, reader, &cut);
                    let other = if *is_wanted { &mut range.without } else { &mut range.tips };
                    other.extend(bases);
                    (vec![one, two], *is_wanted)
                }
            };
            if is_wanted { range.tips.extend(ids) } else { range.without.extend(ids) }
        }
        Ok(range)
    }
}

fn count(text: &str, word: &str) -> Result<usize, BadWanted> {
    text.parse().map_err(|_| BadWanted::Word(word.to_owned()))
}

/// Words, of which those in quotes may have spaces.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut quote, mut is_open) = (None, false);
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                if !is_open {
                    words.push(String::new());
                    is_open = true;
                }
            }
            (None, space) if space.is_whitespace() => is_open = false,
            (_, letter) => {
                if !is_open {
                    words.push(String::new());
                    is_open = true;
                }
                words.last_mut().unwrap_or(&mut String::new()).push(letter);
            }
        }
    }
    words
}

/// The times that people write most; git reads more.
fn time(text: &str) -> Result<Time, BadWanted> {
    let bad = || BadWanted::Time(text.to_owned());
    if let Some(seconds) = text.strip_prefix('@') {
        return Ok(Time::At(seconds.parse().map_err(|_| bad())?));
    }
    let words: Vec<_> = text.split(['.', ' ']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["yesterday"] => return Ok(Time::Ago(86_400)),
        [number, unit, "ago"] => {
            let number: i64 = number.parse().map_err(|_| bad())?;
            let unit = match unit.trim_end_matches('s') {
                "second" | "sec" => 1,
                "minute" | "min" => 60,
                "hour" => 3600,
                "day" => 86_400,
                "week" => 7 * 86_400,
                "month" => 30 * 86_400,
                "year" => 365 * 86_400,
                _ => return Err(bad()),
            };
            return number.checked_mul(unit).filter(|seconds| *seconds >= 0).map(Time::Ago).ok_or_else(bad);
        }
        _ => {}
    }
    let day = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.replacen(' ', "T", 1) };
    let day = if day.ends_with('Z') || day.get(19..).is_some_and(|zone| !zone.is_empty()) { day } else { day + "Z" };
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(&day, format).map(|time| Time::At(time.unix_timestamp())).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_mean_to_git() {
        let plus = |name: &str| Word::Revision { name: name.into(), is_wanted: true };
        let minus = |name: &str| Word::Revision { name: name.into(), is_wanted: false };
        for (text, words) in [
            ("a..b", vec![minus("a"), plus("b")]),
            ("a..", vec![minus("a"), plus("HEAD")]),
            ("^a b --not c", vec![minus("a"), plus("b"), minus("c")]),
            ("--not a", vec![minus("a"), plus("HEAD")]),
            ("", vec![plus("HEAD")]),
            ("a...", vec![Word::Symmetric { one: "a".into(), two: "HEAD".into(), is_wanted: true }]),
            (
                "b --not --remotes=origin",
                vec![plus("b"), Word::References { prefix: "refs/remotes/origin/".into(), is_wanted: false }],
            ),
        ] {
            assert_eq!(Wanted::of_log_opts(text).expect("it is understood").words, words, "{text}");
        }
        for bad in ["--author=x", "-S", "--since", "--since=soon", "-n x", "--", "--graph=1"] {
            assert!(Wanted::of_log_opts(bad).is_err(), "{bad}");
        }
        let some = Wanted::of_log_opts("-p -U0 --full-history -n 5 --no-merges HEAD").expect("it is understood");
        assert_eq!((some.most, some.no_merges), (Some(5), true));
        assert_eq!(Wanted::of_log_opts("-3").expect("it is understood").most, Some(3));
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, wanted) in [
            ("2023-11-14", Time::At(1_699_920_000)),
            ("2023-11-14 22:13:20", Time::At(1_700_000_000)),
            ("2023-11-14T22:13:20Z", Time::At(1_700_000_000)),
            ("2023-11-14T23:13:20+01:00", Time::At(1_700_000_000)),
            ("@1700000000", Time::At(1_700_000_000)),
            ("2.weeks.ago", Time::Ago(1_209_600)),
            ("3 days ago", Time::Ago(259_200)),
        ] {
            assert_eq!(time(text), Ok(wanted), "{text}");
        }
        assert!(time("next tuesday").is_err());
    }
}
