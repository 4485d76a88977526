//! Rules of gitleaks and betterleaks, as far as they can be kept.
//!
//! A rule that is kept in part finds something else than its author meant, and one that is dropped finds nothing: both are
//! told by name, never done silently. What cannot be kept of an exception makes the rule find more, which is the
//! side to err on; what cannot be kept of a condition makes the whole rule go.
//!
//! Nothing in the file is run, and no other file that it names is read.

use std::collections::{BTreeMap, BTreeSet};

use regex_automata::meta::Regex;
use toml::{Table, Value};

use super::own::BadRules;
use crate::recognize::{Allowed, Pattern, PatternTarget, compile};
use crate::token::KindId;
use crate::token::catalogue::{self, Kind};

/// What a file of rules says, in our words.
#[derive(Default)]
pub struct Rules {
    /// Kinds by their shapes.
    pub kinds: Vec<Kind>,
    /// Kinds by regular expressions.
    pub patterns: Vec<(Kind, Pattern)>,
    pub paths: RulePaths,
    /// What could not be kept, a sentence each.
    pub not_kept: Vec<String>,
}

/// Where rules apply, by path.
#[derive(Clone, Default)]
pub struct RulePaths {
    only: BTreeMap<KindId, Regex>,
    except: BTreeMap<KindId, Vec<Regex>>,
    never: Vec<Regex>,
}

/// Whether a rule applies to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// An exception says that it does not.
    Excepted,
    /// It was written for other paths.
    No,
    Yes,
}

impl RulePaths {
    pub fn apply(&self, kind: &KindId, path: &str) -> Applies {
        if self.only.get(kind).is_some_and(|only| !only.is_match(path)) {
            return Applies::No;
        }
        let except = self.except.get(kind).into_iter().flatten().chain(&self.never);
        if except.into_iter().any(|regex| regex.is_match(path)) { Applies::Excepted } else { Applies::Yes }
    }
}

/// Words by which a file shows that it is theirs.
const THEIRS: &[&str] = &["allowlist", "allowlists", "extend", "rules"];

/// What of a rule, of an exception, and of the file is understood, or says nothing about what is found.
const OF_RULE: &[&str] = &[
    "allowlist",
    "allowlists",
    "confidence",
    "description",
    "entropy",
    "id",
    "keywords",
    "path",
    "regex",
    "secretGroup",
    "tags",
];
const OF_ALLOWLIST: &[&str] =
    &["condition", "description", "paths", "regexTarget", "regexes", "stopwords", "targetRules"];
const OF_FILE: &[&str] = &["allowlist", "allowlists", "description", "extend", "minVersion", "rules", "title"];

pub fn is_theirs(file: &Table) -> bool {
    THEIRS.iter().any(|word| file.contains_key(*word))
}

/// Reads a file of theirs.
pub fn import(file: &Table) -> Result<Rules, BadRules> {
    let mut rules = Rules::default();
    for name in file.keys().filter(|name| !OF_FILE.contains(&name.as_str())) {
        rules.not_kept.push(format!("`{name}` of the file is not known, and was not kept"));
    }
    rules.extend_of(file);
    let mut exceptions = Vec::new();
    for (list, targets) in allowlists(file) {
        let told = "an exception of the file".to_owned();
        exceptions.push((rules.exception(list, &told), targets));
    }
    for (exception, targets) in &exceptions {
        if targets.is_empty() {
            rules.paths.never.extend(exception.paths.iter().cloned());
        }
    }
    let list = match file.get("rules") {
        None => &Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(BadRules::Syntax("`rules` is no list".into())),
    };
    let mut ids = BTreeSet::new();
    for (number, rule) in list.iter().enumerate() {
        let Value::Table(rule) = rule else { return Err(BadRules::Syntax("a rule is no table".into())) };
        rules.rule(rule, number + 1, &exceptions, &mut ids);
    }
    Ok(rules)
}

/// An exception, with its paths apart: whoever looks at a text does not know where it is from.
#[derive(Default)]
struct Exception {
    regexes: Vec<String>,
    target: PatternTarget,
    stopwords: Vec<String>,
    all: bool,
    paths: Vec<Regex>,
}

impl Exception {
    fn allowed(&self) -> Option<Allowed> {
        let regexes = self.regexes.iter().filter_map(|regex| compile(regex).ok()).collect::<Vec<_>>();
        (!regexes.is_empty() || !self.stopwords.is_empty()).then(|| Allowed {
            regexes,
            target: self.target,
            stopwords: self.stopwords.clone(),
            all: self.all,
        })
    }
}

impl Rules {
    fn rule(
        &mut self,
        rule: &Table,
        number: usize,
        exceptions: &[(Exception, Vec<String>)],
        ids: &mut BTreeSet<String>,
    ) {
        let named = text(rule, "id").unwrap_or_default();
        let told = if named.is_empty() { format!("rule {number}") } else { format!("rule `{named}`") };
        for name in rule.keys().filter(|name| !OF_RULE.contains(&name.as_str())) {
            self.not_kept.push(match name.as_str() {
                "required" | "filter" | "prefilter" => {
                    return self
                        .not_kept
                        .push(format!("{told} was not kept: it has `{name}`, which is not understood"));
                }
                _ => format!("{told}: `{name}` is not known, and was not kept"),
            });
        }
        let Some(expression) = text(rule, "regex").filter(|regex| !regex.is_empty()) else {
            return self.not_kept.push(format!("{told} was not kept: it has no regular expression"));
        };
        let group = rule.get("secretGroup").and_then(Value::as_integer).filter(|group| *group != 0);
        let group = group.map(|group| usize::try_from(group).unwrap_or(usize::MAX));
        let pattern = match Pattern::new(expression, group) {
            Ok(pattern) => pattern,
            Err(bad) => return self.not_kept.push(format!("{told} was not kept: of its regular expression, {bad}")),
        };
        let only = match text(rule, "path").map(compile) {
            None => None,
            Some(Ok(only)) => Some(only),
            Some(Err(_)) => return self.not_kept.push(format!("{told} was not kept: its path is not understood")),
        };
        let entropy = rule.get("entropy").and_then(|value| {
            #[expect(clippy::cast_precision_loss, reason = "nobody writes an entropy of so many digits")]
            value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
        });
        let mut allowed = Vec::new();
        let mut except = Vec::new();
        for (list, _) in allowlists(rule) {
            let exception = self.exception(list, &format!("an exception of {told}"));
            allowed.extend(exception.allowed());
            except.extend(exception.paths);
        }
        for (exception, targets) in exceptions {
            if targets.is_empty() || targets.iter().any(|target| target == named) {
                allowed.extend(exception.allowed());
            }
            if targets.iter().any(|target| target == named) {
                except.extend(exception.paths.iter().cloned());
            }
        }
        let id = free_id(named, number, ids);
        let name = text(rule, "description").filter(|words| !words.is_empty()).unwrap_or(&id);
        let key = KindId::new(&id);
        self.paths.only.extend(only.map(|only| (key.clone(), only)));
        if !except.is_empty() {
            self.paths.except.insert(key, except);
        }
        let pattern = pattern.with_keywords(texts(rule, "keywords")).with_entropy(entropy.filter(|bits| *bits > 0.0));
        self.patterns.push((Kind::pattern(&id, "imported rule", name, expression), pattern.with_allowed(allowed)));
    }

    fn exception(&mut self, list: &Table, told: &str) -> Exception {
        for name in list.keys().filter(|name| !OF_ALLOWLIST.contains(&name.as_str())) {
            self.not_kept.push(format!("{told}: `{name}` was not kept, so that more may be found"));
        }
        let mut fine = |name: &str| {
            let (fine, bad): (Vec<_>, Vec<_>) = texts(list, name).into_iter().partition(|regex| compile(regex).is_ok());
            for regex in bad {
                self.not_kept.push(format!("{told}: `{}` is not understood, so that more may be found", inert(&regex)));
            }
            fine
        };
        let mut exception = Exception {
            regexes: fine("regexes"),
            paths: fine("paths").iter().filter_map(|path| compile(path).ok()).collect(),
            target: match text(list, "regexTarget") {
                Some("line") => PatternTarget::Line,
                Some("match") => PatternTarget::Match,
                _ => PatternTarget::Token,
            },
            stopwords: texts(list, "stopwords").iter().map(|word| word.to_ascii_lowercase()).collect(),
            all: text(list, "condition").is_some_and(|word| word.eq_ignore_ascii_case("and") || word == "&&"),
        };
        let has_other = !exception.regexes.is_empty() || !exception.stopwords.is_empty();
        if exception.all && list.contains_key("commits") || exception.all && has_other && !exception.paths.is_empty() {
            self.not_kept.push(format!(
                "{told}: conditions on paths together with others were not kept, so that more may be found"
            ));
            exception = Exception::default();
        }
        exception
    }

    fn extend_of(&mut self, file: &Table) {
        let Some(Value::Table(extend)) = file.get("extend") else { return };
        for (name, value) in extend {
            let told = match name.as_str() {
                "useDefault" if value.as_bool() == Some(true) => {
                    "the default rules of the other scanner are not read; the catalogue stands in their place (`stanch rules list`)"
                }
                "useDefault" => continue,
                "path" | "url" => "the file that this one extends was not read; name it with --config by itself",
                "disabledRules" => "`disabledRules` was not kept; --exclude-rule leaves out kinds",
                _ => "a word of `extend` is not known, and was not kept",
            };
            self.not_kept.push(told.to_owned());
        }
    }
}

fn inert(text: &str) -> String {
    crate::redact::inert(text, 80)
}

fn text<'t>(table: &'t Table, name: &str) -> Option<&'t str> {
    table.get(name).and_then(Value::as_str)
}

fn texts(table: &Table, name: &str) -> Vec<String> {
    let list = table.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// The exceptions of a rule or of the file, in the form of today and in that of before, and the rules each is for.
fn allowlists(table: &Table) -> Vec<(&Table, Vec<String>)> {
    let old = table.get("allowlist").and_then(Value::as_table);
    let new = table.get("allowlists").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table);
    old.into_iter().chain(new).map(|list| (list, texts(list, "targetRules"))).collect()
}

/// An id in our letters that nobody has yet.
fn free_id(named: &str, number: usize, ids: &mut BTreeSet<String>) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let plain: String = named.chars().take(80).map(letter).collect();
    let mut id = if plain.trim_matches('-').is_empty() { format!("rule-{number}") } else { plain };
    while catalogue::builtin().iter().any(|kind| kind.id == id) || !ids.insert(id.clone()) {
        id.push_str("-rule");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        import(&toml::from_str(text).expect("it is TOML")).expect("it is a file of rules")
    }

    #[test]
    fn what_cannot_be_kept_is_told_for_each_rule() {
        let rules = rules(
            r#"
            title = "ours"
            odd = 1
            extend = { useDefault = true, path = "other.toml" }
            [[rules]]
            id = "good"
            regex = "acme_([a-z]{20})"
            keywords = ["acme_"]
            report = true
            [[rules]]
            id = "look"
            regex = "(?=x)y"
            [[rules]]
            id = "file"
            path = "id_rsa$"
            [[rules]]
            id = "npm-access-token"
            regex = "npm_x[a-z]+"
            [[rules.allowlists]]
            commits = ["abc"]
            regexes = ["(?<=a)b", "fine"]
            [[rules]]
            id = "composite"
            regex = "x+"
            [[rules.required]]
            id = "good"
            "#,
        );
        let ids: Vec<_> = rules.patterns.iter().map(|(kind, _)| kind.id.to_string()).collect();
        assert_eq!(ids, ["good", "npm-access-token-rule"]);
        let told = rules.not_kept.join("\n");
        for words in [
            "`odd` of the file",
            "default rules",
            "extends was not read",
            "rule `good`: `report` is not known",
            "rule `look` was not kept",
            "rule `file` was not kept: it has no regular expression",
            "an exception of rule `npm-access-token`: `commits` was not kept",
            "`(?<=a)b` is not understood",
            "rule `composite` was not kept: it has `required`",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert_eq!(rules.not_kept.len(), 9, "{told}");
    }

    #[test]
    fn paths_decide_where_a_rule_applies() {
        let rules = rules(
            r#"
            [allowlist]
            paths = ["^vendor/"]
            [[rules]]
            id = "a"
            regex = "a+b"
            path = "\\.env$"
            [[rules.allowlists]]
            paths = ["example"]
            "#,
        );
        let applies = |path: &str| rules.paths.apply(&KindId::new("a"), path);
        assert_eq!(applies("x/.env"), Applies::Yes);
        assert_eq!(applies("x/other"), Applies::No);
        assert_eq!(applies("example/.env"), Applies::Excepted);
        assert_eq!(applies("vendor/.env"), Applies::Excepted);
        assert_eq!(rules.paths.apply(&KindId::new("b"), "vendor/x"), Applies::Excepted);
    }
}
