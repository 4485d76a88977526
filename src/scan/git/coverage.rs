//! Coverage: what was read, and each reason why something was not.

use std::collections::{BTreeMap, BTreeSet};

use super::{ObjectId, ObjectKind};

/// What a scan of a repository has read.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    pub blobs: Tally,
    pub commits: Tally,
    pub tags: Tally,
    /// Read to see that what they name is there; the names in them are not searched for tokens.
    pub trees: Tally,
    /// How many bytes the detector was given: less than what was read, where objects share their text.
    pub detector_bytes: u64,
    /// Those of them in texts that were handed over from end to end; the rest is windows around changes.
    pub whole_bytes: u64,
    /// Hits in objects that no reference leads to; they are reported on demand only.
    pub unreachable_hits: u64,
    /// Commits of other repositories that stand in trees, and under which name: not read, unless those are read too.
    pub submodules: BTreeMap<ObjectId, String>,
    pub gaps: Gaps,
}

/// Objects of a kind, and their size together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub objects: u64,
    pub bytes: u64,
}

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// An alternate object directory that is not there, is a link, or is one too many.
    Alternate,
    /// The object, or one it is stored as a difference from, is damaged.
    Damaged,
    /// So full of encodings of encodings that it was left at some point.
    Decoding,
    /// A directory or a file that could not be read, or is not one.
    File,
    /// The file's content is kept by LFS; the object only points to it.
    LfsPointer,
    /// A link in the object store, which is not followed.
    Link,
    /// Named by another object, but not in the store.
    Missing,
    /// A pack, or its index, that could not be read.
    Pack,
    /// Not in the store because the clone is partial: it could be fetched, and is not.
    Promised,
    /// References are in a table that cannot be read, so that every object counts as reachable.
    Reftable,
    /// History before it was left out when the repository was cloned.
    Shallow,
    /// The scan was stopped before.
    Stopped,
    /// Another repository's commit.
    Submodule,
    /// Larger than the limit.
    TooLarge,
}

impl Gap {
    pub fn name(self) -> &'static str {
        match self {
            Self::Alternate => "alternate not read",
            Self::Damaged => "damaged",
            Self::Decoding => "too many encodings in each other",
            Self::File => "file not read",
            Self::LfsPointer => "LFS pointer",
            Self::Link => "link not followed",
            Self::Missing => "missing object",
            Self::Pack => "pack not read",
            Self::Promised => "object of a partial clone not fetched",
            Self::Reftable => "reftable not read",
            Self::Shallow => "shallow history",
            Self::Stopped => "stopped",
            Self::Submodule => "submodule not scanned",
            Self::TooLarge => "too large",
        }
    }
}

/// The gaps of a scan, by reason.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    by_reason: BTreeMap<Gap, GapCount>,
    /// Every object that a partial clone could fetch.
    promised: BTreeSet<ObjectId>,
}

/// How often a reason applied, with some examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GapCount {
    pub count: u64,
    /// Object ids or file names, a few of them.
    pub examples: Vec<String>,
}

const MAX_EXAMPLES: usize = 5;

impl Gaps {
    pub fn add(&mut self, gap: Gap, example: impl FnOnce() -> String) {
        self.add_many(gap, 1, example);
    }

    pub fn add_many(&mut self, gap: Gap, count: u64, example: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        let entry = self.by_reason.entry(gap).or_default();
        entry.count += count;
        if gap == Gap::Promised {
            let id = example();
            self.promised.extend(ObjectId::from_hex(id.as_bytes()));
            entry.examples.push(id);
            entry.examples.sort_unstable();
            entry.examples.truncate(MAX_EXAMPLES);
        } else if entry.examples.len() < MAX_EXAMPLES {
            entry.examples.push(example());
            entry.examples.sort_unstable();
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.promised.extend(other.promised);
        for (gap, more) in other.by_reason {
            let entry = self.by_reason.entry(gap).or_default();
            entry.count += more.count;
            entry.examples.extend(more.examples);
            entry.examples.sort_unstable();
            entry.examples.truncate(MAX_EXAMPLES);
        }
    }

    /// The objects that were named with [`Gap::Promised`].
    pub fn promised(&self) -> impl Iterator<Item = ObjectId> {
        self.promised.iter().copied()
    }

    pub fn count(&self, gap: Gap) -> u64 {
        self.by_reason.get(&gap).map_or(0, |entry| entry.count)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Gap, &GapCount)> {
        self.by_reason.iter().map(|(gap, count)| (*gap, count))
    }

    pub fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }
}

impl Coverage {
    pub fn tally(&mut self, kind: ObjectKind) -> &mut Tally {
        match kind {
            ObjectKind::Blob => &mut self.blobs,
            ObjectKind::Commit => &mut self.commits,
            ObjectKind::Tag => &mut self.tags,
            ObjectKind::Tree => &mut self.trees,
        }
    }

    /// Whether nothing was left out.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (own, more) in [
            (&mut self.blobs, other.blobs),
            (&mut self.commits, other.commits),
            (&mut self.tags, other.tags),
            (&mut self.trees, other.trees),
        ] {
            own.objects += more.objects;
            own.bytes += more.bytes;
        }
        self.detector_bytes += other.detector_bytes;
        self.whole_bytes += other.whole_bytes;
        self.unreachable_hits += other.unreachable_hits;
        self.gaps.merge(other.gaps);
    }
}
