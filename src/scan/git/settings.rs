//! Settings: git's configuration files, read as data.
//!
//! A few words of a repository's own file are looked up: the formats it is in, where its hooks are, which branch follows
//! which. Nothing that a file names is ever run, and no other file that it includes is read. The
//! [syntax](https://git-scm.com/docs/git-config#_syntax) is git's, in so far as a value fits on its lines.

/// What is set in one file, in the order in which it stands there.
#[derive(Debug, Default)]
pub struct Settings(Vec<Setting>);

#[derive(Debug, PartialEq, Eq)]
struct Setting {
    /// In lower case.
    section: String,
    /// What stands in quotes behind the section, as it is written.
    part: String,
    /// In lower case.
    name: String,
    value: String,
}

impl Setting {
    fn is(&self, section: &str, part: &str, name: &str) -> bool {
        self.section == section && self.part == part && self.name == name
    }
}

impl Settings {
    pub fn parse(text: &str) -> Self {
        let mut all = Vec::new();
        let (mut section, mut part) = (String::new(), String::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut rest = line.trim();
            if let Some(header) = rest.strip_prefix('[') {
                let Some((name, quoted, behind)) = head(header) else { continue };
                (section, part) = (name, quoted);
                rest = behind.trim_start();
            }
            if rest.is_empty() || rest.starts_with(['#', ';']) {
                continue;
            }
            let name_len = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
            let (name, mut behind) = rest.split_at(name_len.unwrap_or(rest.len()));
            behind = behind.trim_start();
            // A name alone means yes.
            let mut value = String::from("true");
            if let Some(text) = behind.strip_prefix('=') {
                value = String::new();
                let mut line = text;
                // A backslash at the end joins the next line to it.
                while !read_value(line, &mut value) {
                    let Some(next) = lines.next() else { break };
                    line = next;
                }
            }
            if !name.is_empty() {
                let name = name.to_ascii_lowercase();
                all.push(Setting { section: section.clone(), part: part.clone(), name, value });
            }
        }
        Self(all)
    }

    /// The last value, which is the one that counts. Section and name in lower case.
    pub fn last(&self, section: &str, part: &str, name: &str) -> Option<&str> {
        self.0.iter().rfind(|one| one.is(section, part, name)).map(|one| one.value.as_str())
    }

    /// All values, of a name that may have many.
    pub fn all<'s>(&'s self, section: &str, part: &str, name: &str) -> Vec<&'s str> {
        self.0.iter().filter(|one| one.is(section, part, name)).map(|one| one.value.as_str()).collect()
    }
}

/// Section, part and what stands behind the bracket.
fn head(text: &str) -> Option<(String, String, &str)> {
    let mut part = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => {
                part.push(letter);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => {
                let name = text[..at].split('"').next()?.trim().to_ascii_lowercase();
                // The old form: `[section.part]`, in which the part is in lower case.
                return Some(match name.split_once('.') {
                    Some((section, old)) if part.is_empty() => (section.to_owned(), old.to_owned(), &text[at + 1..]),
                    _ => (name, part, &text[at + 1..]),
                });
            }
            _ if quoted => part.push(letter),
            _ => {}
        }
    }
    None
}

/// Adds a line to a value. `false` if the value goes on in the next one.
fn read_value(line: &str, value: &mut String) -> bool {
    let mut quoted = false;
    // Spaces count only if something follows them.
    let mut spaces = String::new();
    let mut letters = if value.is_empty() { line.trim_start() } else { line }.chars();
    while let Some(letter) = letters.next() {
        let plain = match letter {
            '\\' => match letters.next() {
                None => {
                    value.push_str(&spaces);
                    return false;
                }
                Some('n') => '\n',
                Some('t') => '\t',
                Some('b') => '\u{8}',
                Some(other) => other,
            },
            '"' => {
                quoted = !quoted;
                value.push_str(&std::mem::take(&mut spaces));
                continue;
            }
            '#' | ';' if !quoted => break,
            space if space.is_whitespace() && !quoted => {
                spaces.push(space);
                continue;
            }
            plain => plain,
        };
        value.push_str(&std::mem::take(&mut spaces));
        value.push(plain);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_read_as_git_reads_them() {
        let settings = Settings::parse(
            "[core]\n\tobjectformat = md5\n[Extensions]\n\tObjectFormat = SHA256 ; why not\n[extensions \"x\"]\nobjectformat=q\n\
             [branch \"a \\\"b\\\\]\"] merge = refs/heads/x\n remote = \"  o#r \" # comment\n[user]\n name = one \\\n two\n\
             [Branch.old]\nMerge=m\n[core]\nbare\nhooksPath = \n",
        );
        for (section, part, name, value) in [
            ("extensions", "", "objectformat", Some("SHA256")),
            ("extensions", "x", "objectformat", Some("q")),
            ("branch", "a \"b\\]", "merge", Some("refs/heads/x")),
            ("branch", "a \"b\\]", "remote", Some("  o#r ")),
            ("user", "", "name", Some("one  two")),
            ("branch", "old", "merge", Some("m")),
            ("core", "", "bare", Some("true")),
            ("core", "", "hookspath", Some("")),
            ("core", "", "none", None),
        ] {
            assert_eq!(settings.last(section, part, name), value, "{section} {part} {name}");
        }
        assert_eq!(Settings::parse("objectformat = x").last("extensions", "", "objectformat"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\[|\\]|\"|\\\\|=|#|\n| |[a-z.]|ä){0,60}") {
            Settings::parse(&text);
        }
    }
}
