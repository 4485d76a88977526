//! Revisions: from what people call a commit to its id.
//!
//! A part of [what git reads](https://git-scm.com/docs/gitrevisions): ids and their beginnings, names of references
//! in the order in which git looks for them, `@{upstream}`, `~n`, `^n` and `^{commit}`. What is left out is refused by
//! name rather than taken for something else.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::commit::{Commit, tagged};
use super::direct::DirectReader;
use super::discover::{Places, settings, small_file};
use super::loose::regular_file;
use super::reftable::{Reftable, Target, Unreadable};
use super::{Gap, ObjectId, ObjectKind};

/// Why a revision is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRevision {
    #[error("`{0}` begins the ids of more than one object")]
    Ambiguous(String),
    #[error("`{0}` does not lead to a commit")]
    NoCommit(String),
    #[error("no commit, branch or tag is named `{0}`")]
    NotFound(String),
    #[error("`{0}` follows no other branch here, or one that was never fetched")]
    NoUpstream(String),
    #[error("`{name}` cannot be followed: {why}")]
    Unreadable { name: String, why: &'static str },
    #[error("`{0}` is not understood here; name a branch, a tag or an id, with `@{{u}}`, `~n` or `^n` behind it")]
    Unsupported(String),
}

/// The references of a repository, by name.
pub struct References<'p> {
    places: &'p Places,
    packed: BTreeMap<String, ObjectId>,
    /// In their place, if the repository has them.
    tables: Option<Result<BTreeMap<String, Target>, Unreadable>>,
}

/// What `name@{…}` may say of a branch: the branch that it follows.
const UPSTREAM: &[&str] = &["@{u}", "@{upstream}"];

/// They are files even where references are in tables.
const FILES: &[&str] = &["FETCH_HEAD", "MERGE_HEAD"];

/// Where git looks for a name.
const PLACES: &[(&str, &str)] = &[
    ("", ""),
    ("refs/", ""),
    ("refs/tags/", ""),
    ("refs/heads/", ""),
    ("refs/remotes/", ""),
    ("refs/remotes/", "/HEAD"),
];

/// A reference may name another one, so many times.
const MAX_SYMBOLIC: usize = 5;
const MAX_TAGS: usize = 64;
const MAX_DEPTH: usize = 32;
const MAX_PACKED: u64 = 1 << 30;

/// Fewer digits are not taken for an id.
const MIN_DIGITS: usize = 4;
const MAX_CANDIDATES: usize = 64;

impl<'p> References<'p> {
    pub fn read(places: &'p Places) -> Self {
        let mut packed = BTreeMap::new();
        let mut bytes = Vec::new();
        if let Ok(file) = regular_file(&places.common_dir.join("packed-refs"))
            && file.take(MAX_PACKED).read_to_end(&mut bytes).is_ok()
        {
            for line in String::from_utf8_lossy(&bytes).lines() {
                if let Some((id, name)) = line.split_once(' ')
                    && let Some(id) = ObjectId::from_hex(id.as_bytes())
                {
                    packed.insert(name.to_owned(), id);
                }
            }
        }
        let tables = places.has_reftable.then(|| {
            let mut all = Reftable::read(&places.common_dir, places.hash)?.references;
            if places.git_dir != places.common_dir {
                // Those that a worktree has of its own, instead of the first one's.
                all.retain(|name, _| name.starts_with("refs/"));
                all.extend(Reftable::read(&places.git_dir, places.hash)?.references);
            }
            Ok(all)
        });
        Self { places, packed, tables }
    }

    /// What the reference of this full name leads to: `HEAD`, `refs/heads/main`.
    pub fn find(&self, name: &str) -> Option<ObjectId> {
        let mut name = name.to_owned();
        for _ in 0..=MAX_SYMBOLIC {
            match self.target(&name)? {
                Target::Id(id) => return Some(id),
                Target::Name(next) => name = next,
            }
        }
        None
    }

    fn target(&self, name: &str) -> Option<Target> {
        if !is_plain(name) {
            return None;
        }
        if let Some(tables) = self.tables.as_ref().filter(|_| !FILES.contains(&name)) {
            return tables.as_ref().ok()?.get(name).cloned();
        }
        let own = small_file(&self.places.git_dir.join(name));
        let Some(text) = own.or_else(|| small_file(&self.places.common_dir.join(name))) else {
            return self.packed.get(name).copied().map(Target::Id);
        };
        match text.strip_prefix("ref:") {
            Some(next) => Some(Target::Name(next.trim().to_owned())),
            None => ObjectId::from_hex(text.split_whitespace().next()?.as_bytes()).map(Target::Id),
        }
    }

    /// All references whose names begin so.
    pub fn beginning_with(&self, prefix: &str) -> Vec<(String, ObjectId)> {
        if let Some(tables) = &self.tables {
            let names = tables.iter().flat_map(BTreeMap::keys).filter(|name| name.starts_with(prefix));
            return names.filter_map(|name| Some((name.clone(), self.find(name)?))).collect();
        }
        let mut all = self.packed.clone();
        self.loose(&self.places.common_dir.join("refs"), "refs", 0, &mut all);
        all.retain(|name, _| name.starts_with(prefix));
        all.into_iter().collect()
    }

    fn loose(&self, dir: &Path, name: &str, depth: usize, all: &mut BTreeMap<String, ObjectId>) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => self.loose(&entry.path(), &name, depth + 1, all),
                Ok(kind) if kind.is_file() => all.extend(self.find(&name).map(|id| (name, id))),
                _ => {}
            }
        }
    }

    /// The commit that `HEAD` leads to; `None` before the first one.
    pub fn head(&self, reader: &mut DirectReader<'_>) -> Result<Option<ObjectId>, BadRevision> {
        match self.find("HEAD") {
            Some(id) => peel(&id, "HEAD", reader).map(Some),
            None if self.has_lost_tables() => Err(reftable("HEAD")),
            None => Ok(None),
        }
    }

    /// The commit that a person means.
    pub fn commit(&self, typed: &str, reader: &mut DirectReader<'_>) -> Result<ObjectId, BadRevision> {
        let unsupported = || BadRevision::Unsupported(typed.to_owned());
        let end = typed.find(['~', '^']).unwrap_or(typed.len());
        let is_said = |text: &str| text.contains("@{") || text.contains(':') || text.contains("..");
        if is_said(without_upstream(&typed[..end]).unwrap_or(&typed[..end])) || is_said(&typed[end..]) {
            return Err(unsupported());
        }
        let (name, mut steps) = typed.split_at(end);
        let mut id = peel(&self.object(name, reader)?, name, reader)?;
        while let Some(kind) = steps.chars().next() {
            steps = &steps[1..];
            if let Some(rest) = steps.strip_prefix("{commit}").or_else(|| steps.strip_prefix("{}"))
                && kind == '^'
            {
                steps = rest;
                continue;
            }
            let digits = steps.bytes().take_while(u8::is_ascii_digit).count();
            let number = if digits == 0 { 1 } else { steps[..digits].parse().map_err(|_| unsupported())? };
            steps = &steps[digits..];
            id = match kind {
                '~' => ancestor(id, number, typed, reader)?,
                '^' if number == 0 => id,
                '^' => parent(&id, number - 1, typed, reader)?,
                _ => return Err(unsupported()),
            };
        }
        Ok(id)
    }

    fn object(&self, name: &str, reader: &mut DirectReader<'_>) -> Result<ObjectId, BadRevision> {
        if let Some(branch) = without_upstream(name) {
            let upstream = self.upstream(branch).and_then(|name| self.find(&name));
            return upstream.ok_or_else(|| self.lost(name).unwrap_or_else(|| BadRevision::NoUpstream(name.to_owned())));
        }
        let name = if name == "@" { "HEAD" } else { name };
        if let Some(id) = ObjectId::from_hex(name.as_bytes()).filter(|id| id.kind() == reader.direct.hash) {
            return if reader.direct.has(&id) { Ok(id) } else { Err(BadRevision::NotFound(name.to_owned())) };
        }
        for (before, behind) in PLACES {
            // Beside `HEAD` and its like, the folder holds files that are no references.
            let may_be = !before.is_empty() || name.starts_with("refs/") || is_pseudo(name);
            if let Some(id) = self.find(&format!("{before}{name}{behind}")).filter(|_| may_be) {
                return Ok(id);
            }
        }
        if name.len() >= MIN_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let mut ids = reader.direct.beginning_with(name, MAX_CANDIDATES);
            if ids.len() > 1 {
                // As git does where a commit is wanted.
                let leads = |kind| matches!(kind, ObjectKind::Commit | ObjectKind::Tag);
                ids.retain(|id| reader.read(id).is_ok_and(|object| leads(object.kind)));
            }
            match ids.as_slice() {
                [] => {}
                [only] => return Ok(*only),
                _ => return Err(BadRevision::Ambiguous(name.to_owned())),
            }
        }
        Err(self.lost(name).unwrap_or_else(|| BadRevision::NotFound(name.to_owned())))
    }

    fn has_lost_tables(&self) -> bool {
        matches!(self.tables, Some(Err(Unreadable)))
    }

    fn lost(&self, name: &str) -> Option<BadRevision> {
        self.has_lost_tables().then(|| reftable(name))
    }

    /// The full name of what a branch follows, as the repository's own settings say; without a name, the one that is
    /// checked out.
    fn upstream(&self, branch: &str) -> Option<String> {
        let mut branch = branch.to_owned();
        if matches!(&*branch, "" | "@" | "HEAD") {
            let Some(Target::Name(name)) = self.target("HEAD") else { return None };
            branch = name;
        }
        let branch = branch.strip_prefix("refs/heads/").unwrap_or(&branch);
        let settings = settings(&self.places.common_dir);
        let remote = settings.last("branch", branch, "remote")?;
        let theirs = settings.last("branch", branch, "merge")?;
        if remote == "." {
            return Some(theirs.to_owned());
        }
        settings.all("remote", remote, "fetch").into_iter().find_map(|rule| {
            let (from, to) = rule.strip_prefix('+').unwrap_or(rule).split_once(':')?;
            match (from.split_once('*'), to.split_once('*')) {
                (Some((before, behind)), Some((start, end))) => {
                    let middle = theirs.strip_prefix(before)?.strip_suffix(behind)?;
                    Some(format!("{start}{middle}{end}"))
                }
                (None, None) if from == theirs => Some(to.to_owned()),
                _ => None,
            }
        })
    }
}

/// The branch in `branch@{upstream}`.
fn without_upstream(name: &str) -> Option<&str> {
    UPSTREAM.iter().find_map(|ending| {
        let at = name.len().checked_sub(ending.len())?;
        name.get(at..)?.eq_ignore_ascii_case(ending).then(|| &name[..at])
    })
}

/// So many steps back, by the first parents.
fn ancestor(
    mut id: ObjectId,
    steps: usize,
    typed: &str,
    reader: &mut DirectReader<'_>,
) -> Result<ObjectId, BadRevision> {
    for _ in 0..steps {
        id = parent(&id, 0, typed, reader)?;
    }
    Ok(id)
}

fn parent(id: &ObjectId, nth: usize, typed: &str, reader: &mut DirectReader<'_>) -> Result<ObjectId, BadRevision> {
    let object = reader.read(id).map_err(|gap| unreadable(typed, gap))?;
    let commit = Commit::parse(&object.text).ok_or_else(|| unreadable(typed, Gap::Damaged))?;
    commit.parents.get(nth).copied().ok_or_else(|| BadRevision::NotFound(typed.to_owned()))
}

/// The commit that a tag, or a tag of a tag, leads to.
fn peel(id: &ObjectId, name: &str, reader: &mut DirectReader<'_>) -> Result<ObjectId, BadRevision> {
    let mut id = *id;
    for _ in 0..MAX_TAGS {
        let object = reader.read(&id).map_err(|gap| unreadable(name, gap))?;
        match object.kind {
            ObjectKind::Commit => return Ok(id),
            ObjectKind::Tag => {
                (id, _) = tagged(&object.text).ok_or_else(|| unreadable(name, Gap::Damaged))?;
            }
            ObjectKind::Blob | ObjectKind::Tree => break,
        }
    }
    Err(BadRevision::NoCommit(name.to_owned()))
}

fn unreadable(name: &str, gap: Gap) -> BadRevision {
    BadRevision::Unreadable { name: name.to_owned(), why: gap.name() }
}

fn reftable(name: &str) -> BadRevision {
    BadRevision::Unreadable { name: name.to_owned(), why: "the table of the references is damaged" }
}

/// Whether a name stays in the folder of references.
fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.as_bytes().ends_with(b".lock");
    name.split('/').all(is_part) && !name.contains(['\\', '\0', '~', '^', ':', '?', '*', '[', ' '])
}

fn is_pseudo(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_lead_out_of_the_references() {
        for good in ["HEAD", "refs/heads/a.b", "refs/heads/feature/x-1"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "../x", "refs/../../etc/passwd", "/etc/passwd", "a//b", "refs/heads/.hidden", "a\\..\\b"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
