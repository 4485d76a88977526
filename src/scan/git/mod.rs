//! Git repositories, read in process.
//!
//! Nothing here runs git, asks the network, or does what a file in the repository says. Objects are read from packs,
//! loose files and alternates; every length and offset in them is taken for a lie until it is checked; and whatever cannot
//! be read is counted in the [`Coverage`] with its reason while the rest goes on.
//!
//! | file | what |
//! |---|---|
//! | `discover` `settings` | which directories a repository consists of, and what its configuration says of them |
//! | `index` `pack` `loose` `inflate` `deflate` `delta` | the formats |
//! | `store` | all objects of a repository, by id and by number |
//! | `reader` | single objects |
//! | `forest` `walk` `queue` `worker` | all objects once, a base before its deltas, on all cores |
//! | `tree` `commit` `refs` `reftable` | what objects and references say of each other |
//! | `rows` | what trees name, told by their bases |
//! | `objects` | what is done with each object: scan it, see whether what it names is there |
//! | `aside` | archives, and what is larger than a walk may hold |
//! | `lineage` | after the scan: the first commit and the path of objects with findings |
//! | `direct` | single reads without opening everything, for what looks at a small part |
//! | `index_file` `split_index` | what is staged |
//! | `rev` `range` `changes` | what people call commits, which of them a range has, and what each of them brought |

mod aside;
mod changes;
mod commit;
mod coverage;
mod deflate;
mod delta;
mod direct;
mod discover;
mod forest;
mod history;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod hostile;
mod index;
mod index_file;
mod inflate;
mod lineage;
mod loose;
mod objects;
mod oid;
mod pack;
mod pack_files;
mod queue;
mod range;
mod reader;
mod recent;
mod refs;
mod reftable;
mod rev;
mod rows;
mod settings;
mod split_index;
mod store;
mod tree;
mod walk;
mod worker;

pub use aside::{Closed, Content, Opened, Opener};
pub(super) use changes::{Change, Changes, Differ, Gone, rows};
pub(super) use commit::{Author, Commit};
pub use coverage::{Coverage, Gap, GapCount, Gaps, Tally};
pub use direct::{Direct, DirectReader, Large};
pub(super) use discover::{Places, hooks_path, settings, work_tree_above};
pub use history::{Finding, Options, Provenance, Scanned, Selection, scan_repository};
pub use index_file::{BadIndex, IndexFile};
pub(super) use loose::regular_file;
pub use oid::{HashKind, ObjectId};
pub(super) use range::{Node as RangeNode, Range, merge_bases};
pub use reader::Reader;
pub(super) use refs::{shallow, tips};
pub use reftable::{Reftable, Target};
pub use rev::BadRevision;
pub(super) use rev::References;
pub use store::Store;
pub(super) use tree::name_around;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    Blob,
    Commit,
    Tag,
    Tree,
}

impl ObjectKind {
    /// From the word that loose objects and tags use.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "blob" => Some(Self::Blob),
            "commit" => Some(Self::Commit),
            "tag" => Some(Self::Tag),
            "tree" => Some(Self::Tree),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Commit => "commit",
            Self::Tag => "tag",
            Self::Tree => "tree",
        }
    }
}

/// Why a repository cannot be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a symbolic link stands where the repository should be")]
    Link,
    #[error("this is not a git repository")]
    NotARepository,
    #[error("the repository has more objects than can be counted")]
    TooMany,
    #[error("the repository's object format is not known")]
    UnknownFormat,
}
