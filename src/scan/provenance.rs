//! Provenance: where a finding was made.

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Provenance {
    /// The path as it was named on the command line and walked from there, with `/` on every system.
    pub path: String,
    /// The way through archives: `["pkg.whl", …]` names what was opened inside of `path`.
    pub members: Vec<String>,
    pub source: Source,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file of a tree, or one that was named.
    File,
    /// An object of a repository.
    Git(Box<Commit>),
    /// What is about to be committed.
    Staged,
    Stdin,
}

/// The first commit that brought an object in.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commit {
    /// Empty if no reference leads to the object.
    pub id: String,
    /// The object the token is in.
    pub object: String,
    pub object_kind: String,
    pub author: String,
    pub email: String,
    /// Seconds since the Unix epoch.
    pub authored_at: Option<i64>,
    pub summary: String,
}

impl Provenance {
    pub fn file(path: String) -> Self {
        Self { path, members: Vec::new(), source: Source::File }
    }

    pub fn stdin() -> Self {
        Self { path: "stdin".into(), members: Vec::new(), source: Source::Stdin }
    }

    /// The same, one archive deeper.
    pub fn member(&self, name: String) -> Self {
        let mut deeper = self.clone();
        deeper.members.push(name);
        deeper
    }

    /// The path with the way through archives, as a person reads it.
    pub fn shown(&self) -> String {
        let mut shown = self.path.clone();
        for member in &self.members {
            shown.push_str("!/");
            shown.push_str(member);
        }
        shown
    }

    pub fn commit(&self) -> Option<&Commit> {
        match &self.source {
            Source::Git(commit) => Some(commit),
            _ => None,
        }
    }
}
