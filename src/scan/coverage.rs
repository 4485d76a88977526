//! Coverage: what a scan has read, and every reason why something was not.
//!
//! A scan that did not read something and says nothing about it is worse than none. Whatever is left out on the way is
//! counted here under its reason, with a few examples; an outcome with a gap is not complete.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::absent::Absent;
use super::git;
use super::lfs::Lfs;
use super::plan::{Plan, Submodules};
use crate::redact::inert;

/// What was read, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub files: u64,
    /// Files inside of archives.
    pub members: u64,
    pub archives: u64,
    /// Objects of repositories.
    pub objects: u64,
    /// Bytes of text that were looked at, after decompression.
    pub bytes: u64,
    pub gaps: Gaps,
    /// Left out because the command said so, or because it holds no text: no reason to doubt the result.
    pub skipped: Gaps,
    /// What of the gaps could be fetched.
    pub absent: Absent,
}

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    ArchiveDamaged,
    ArchiveDepth,
    ArchiveFormat,
    ArchiveLimit,
    Decoding,
    Encrypted,
    Excluded,
    /// The commits of a git repository, beside the files of its work tree.
    History,
    /// What lies in the place of an LFS file is not what its pointer names.
    LfsDamaged,
    /// Files of which git holds a pointer only, that were not asked for.
    LfsPointer,
    Link,
    NotRegular,
    /// A history of which an earlier scan has read all but what is new.
    ReadBefore,
    /// Another repository's commit, in a repository of which a part was read.
    Submodule,
    TimeOut,
    TooLarge,
    /// A token in an object that no reference leads to: seen, and not told unless asked.
    Unreachable,
    Unreadable,
    /// Another scanner's report, which says nothing about it.
    Untold,
}

impl Gap {
    pub fn name(self) -> &'static str {
        match self {
            Self::ArchiveDamaged => "damaged archive",
            Self::ArchiveDepth => "archive nested too deep",
            Self::ArchiveFormat => "archive format not read",
            Self::ArchiveLimit => "archive over its limit",
            Self::Decoding => "too many encodings in each other",
            Self::Encrypted => "encrypted archive member",
            Self::Excluded => "excluded",
            Self::History => "git history not read",
            Self::LfsDamaged => "LFS content that is not what its pointer names",
            Self::LfsPointer => "LFS pointer, its content not asked for",
            Self::Link => "symbolic link not followed",
            Self::NotRegular => "not a regular file",
            Self::ReadBefore => "git history read before, of which only what is new was read",
            Self::Submodule => "commit of a submodule",
            Self::TimeOut => "out of time",
            Self::TooLarge => "larger than the limit",
            Self::Unreachable => "tokens in unreachable objects, which --unreachable tells",
            Self::Unreadable => "not readable",
            Self::Untold => "report that does not say what was read",
        }
    }
}

/// Reasons, each with a count and examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps(BTreeMap<Cow<'static, str>, GapCount>);

/// How often a reason applied, and a few of the places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GapCount {
    pub count: u64,
    /// The first few in the order of the alphabet, so that they do not depend on which thread came first.
    pub examples: Vec<String>,
}

const MAX_EXAMPLES: usize = 5;

impl Gaps {
    pub fn add(&mut self, gap: Gap, example: &str) {
        self.add_many(gap.name(), 1, [example.to_owned()]);
    }

    pub fn add_many(
        &mut self,
        reason: impl Into<Cow<'static, str>>,
        count: u64,
        examples: impl IntoIterator<Item = String>,
    ) {
        if count == 0 {
            return;
        }
        let entry = self.0.entry(reason.into()).or_default();
        entry.count += count;
        entry.examples.extend(examples);
        entry.examples.sort_unstable();
        entry.examples.truncate(MAX_EXAMPLES);
    }

    fn merge(&mut self, other: Self) {
        for (reason, more) in other.0 {
            self.add_many(reason, more.count, more.examples);
        }
    }

    /// Changes all examples.
    pub fn reword(&mut self, mut change: impl FnMut(&str) -> String) {
        for count in self.0.values_mut() {
            count.examples.iter_mut().for_each(|example| *example = change(example));
            count.examples.sort_unstable();
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &GapCount)> {
        self.0.iter().map(|(reason, count)| (&**reason, count))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Coverage {
    /// Whether nothing was left out that should have been read.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Adds what was not read of a repository.
    pub fn add_git(&mut self, gaps: &git::Gaps, plan: &Plan) {
        for (gap, count) in gaps.iter() {
            let is_wanted = match gap {
                git::Gap::LfsPointer => plan.lfs == Lfs::Content,
                git::Gap::Submodule => plan.submodules == Submodules::Required,
                _ => true,
            };
            let examples = count.examples.iter().map(|example| inert(example, 300));
            let told = if is_wanted { &mut self.gaps } else { &mut self.skipped };
            told.add_many(gap.name(), count.count, examples);
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.members += other.members;
        self.archives += other.archives;
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.gaps.merge(other.gaps);
        self.skipped.merge(other.skipped);
        self.absent.merge(other.absent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_do_not_depend_on_the_order() {
        let names: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        let mut one = Gaps::default();
        for name in &names {
            one.add(Gap::Unreadable, name);
        }
        let mut two = Gaps::default();
        for name in names.iter().rev() {
            two.add(Gap::Unreadable, name);
        }
        assert_eq!(one, two);
        assert_eq!(one.iter().next().map(|(_, count)| count.count), Some(9));
    }
}
