//! Commits and tags: what they name, who wrote them and when.

use super::{ObjectId, ObjectKind};

/// The head of a commit.
#[derive(Debug, PartialEq, Eq)]
pub struct Commit {
    pub tree: ObjectId,
    pub parents: Vec<ObjectId>,
    /// When it was committed, in seconds since 1970.
    pub committed_at: i64,
}

/// Who wrote a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    pub name: String,
    pub email: String,
    /// In seconds since 1970.
    pub wrote_at: i64,
}

impl Commit {
    /// Reads the head of a commit.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = text.split(|byte| *byte == b'\n');
        let tree = ObjectId::from_hex(lines.next()?.strip_prefix(b"tree ")?)?;
        let mut commit = Self { tree, parents: Vec::new(), committed_at: 0 };
        for line in lines.take_while(|line| !line.is_empty()) {
            if let Some(hex) = line.strip_prefix(b"parent ") {
                commit.parents.push(ObjectId::from_hex(hex)?);
            } else if let Some(person) = line.strip_prefix(b"committer ") {
                commit.committed_at = seconds(person);
                break;
            }
        }
        Some(commit)
    }
}

impl Author {
    /// Reads the author of a commit, or the tagger of a tag.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut head = text.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
        let line = head.find_map(|line| line.strip_prefix(b"author ").or_else(|| line.strip_prefix(b"tagger ")))?;
        let open = memchr::memchr(b'<', line)?;
        let close = open + memchr::memchr(b'>', &line[open..])?;
        Some(Self {
            name: String::from_utf8_lossy(&line[..open]).trim().to_owned(),
            email: String::from_utf8_lossy(&line[open + 1..close]).into_owned(),
            wrote_at: seconds(line),
        })
    }
}

/// What a tag names.
pub fn tagged(text: &[u8]) -> Option<(ObjectId, ObjectKind)> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let id = ObjectId::from_hex(lines.next()?.strip_prefix(b"object ")?)?;
    let kind = std::str::from_utf8(lines.next()?.strip_prefix(b"type ")?).ok()?;
    Some((id, ObjectKind::named(kind)?))
}

/// The time in `Name <mail> seconds zone`; 0 if there is none.
fn seconds(person: &[u8]) -> i64 {
    let after = memchr::memrchr(b'>', person).map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&person[after..]);
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> String {
        let (a, b) = ("a1".repeat(20), "b2".repeat(20));
        format!(
            "tree {a}\nparent {b}\nparent {a}\nauthor A U <a@u.example> 1700000000 +0100\n\
             committer C <c@u.example> 1700000001 +0000\ngpgsig x\n\nparent of all\n"
        )
    }

    #[test]
    fn a_commit_names_tree_parents_and_people() {
        let commit = Commit::parse(text().as_bytes()).unwrap();
        assert_eq!((commit.parents.len(), commit.committed_at), (2, 1_700_000_001));
        let author = Author::parse(text().as_bytes()).unwrap();
        assert_eq!((author.name.as_str(), author.email.as_str()), ("A U", "a@u.example"));
        assert_eq!(author.wrote_at, 1_700_000_000);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_commit_panic(bytes: Vec<u8>, cut in 0_usize..300) {
            let mut mixed = text().into_bytes();
            mixed.truncate(cut);
            mixed.extend(bytes);
            let _ = (Commit::parse(&mixed), Author::parse(&mixed), tagged(&mixed));
        }
    }
}
