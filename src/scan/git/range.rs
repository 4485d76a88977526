//! Ranges: the commits that some revisions lead to and others do not.
//!
//! Commits are gone through from the newest to the oldest, those that are wanted and those that are not, until only the
//! latter are left: a small range costs little, however long the history before it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::commit::Commit;
use super::direct::DirectReader;
use super::{Gap, Gaps, ObjectId, ObjectKind};

/// Which commits are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub tips: Vec<ObjectId>,
    /// These and all that lead up to them are left out.
    pub without: Vec<ObjectId>,
    /// Seconds since 1970: commits from before are left out, and what led up to them.
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// Merges are left out.
    pub no_merges: bool,
    pub first_parent: bool,
    /// So many of the newest.
    pub most: Option<usize>,
}

/// A commit of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: ObjectId,
    pub tree: ObjectId,
    pub parents: Vec<ObjectId>,
}

struct Met {
    commit: Option<Commit>,
    is_wanted: bool,
}

/// Clocks of committers are wrong now and then: so many commits are looked at after the last that seems to matter.
const SLOP: usize = 16;

impl Range {
    /// The commits, each after its parents as far as their dates are right. `shallow` are those whose parents were cut off.
    pub fn walk(&self, reader: &mut DirectReader<'_>, shallow: &HashSet<ObjectId>, gaps: &mut Gaps) -> Vec<Node> {
        let mut met: HashMap<ObjectId, Met> = HashMap::new();
        let mut queue = BinaryHeap::new();
        let mut wanted_in_queue = 0_usize;
        for (ids, is_wanted) in [(&self.without, false), (&self.tips, true)] {
            for id in ids {
                if let Some(date) = meet(*id, is_wanted, reader, &mut met, gaps) {
                    wanted_in_queue += usize::from(is_wanted);
                    queue.push((date, Reverse(*id), is_wanted));
                }
            }
        }
        let mut order = Vec::new();
        let mut oldest = i64::MAX;
        let mut slop = SLOP;
        while let Some((date, Reverse(id), was_wanted)) = queue.pop() {
            wanted_in_queue -= usize::from(was_wanted);
            let Some(Met { commit: Some(commit), is_wanted }) = met.get(&id) else { continue };
            let is_wanted = *is_wanted;
            if is_wanted && self.since.is_some_and(|since| date < since) {
                continue;
            }
            if is_wanted {
                order.push(id);
                oldest = oldest.min(date);
            } else if wanted_in_queue == 0 {
                slop = if date >= oldest { SLOP } else { slop - 1 };
                if slop == 0 || order.is_empty() {
                    break;
                }
            }
            let parents = match commit.parents.as_slice() {
                _ if shallow.contains(&id) => {
                    if is_wanted {
                        gaps.add(Gap::Shallow, || id.to_string());
                    }
                    Vec::new()
                }
                [first, ..] if self.first_parent && is_wanted => vec![*first],
                parents => parents.to_vec(),
            };
            for parent in parents {
                if let Some(date) = meet(parent, is_wanted, reader, &mut met, gaps) {
                    wanted_in_queue += usize::from(is_wanted);
                    queue.push((date, Reverse(parent), is_wanted));
                }
            }
        }
        self.choose(&order, &met, shallow)
    }

    fn choose(&self, order: &[ObjectId], met: &HashMap<ObjectId, Met>, shallow: &HashSet<ObjectId>) -> Vec<Node> {
        let wanted = order.iter().filter_map(|id| {
            let Met { commit: Some(commit), is_wanted: true } = met.get(id)? else { return None };
            let is_late = self.until.is_some_and(|until| commit.committed_at > until);
            let is_merge = self.no_merges && commit.parents.len() > 1;
            let parents = if shallow.contains(id) { Vec::new() } else { commit.parents.clone() };
            (!is_late && !is_merge).then_some(Node { id: *id, tree: commit.tree, parents })
        });
        let mut nodes: Vec<_> = wanted.take(self.most.unwrap_or(usize::MAX)).collect();
        nodes.reverse();
        nodes
    }
}

/// The youngest commits that lead up to both: what `A...B` leaves out. With wrong dates there may be older ones among
/// them, which leave out nothing more.
pub fn merge_bases(
    one: ObjectId,
    two: ObjectId,
    reader: &mut DirectReader<'_>,
    shallow: &HashSet<ObjectId>,
) -> Vec<ObjectId> {
    const BOTH: u8 = 3;
    /// It leads up to a base that is known already.
    const STALE: u8 = 4;
    let mut flags: HashMap<ObjectId, u8> = HashMap::new();
    let mut queue = BinaryHeap::new();
    let mut bases = Vec::new();
    // How many in the queue may still lead to a base.
    let mut open = 0_usize;
    for (id, side) in [(one, 1), (two, 2)] {
        let known = flags.entry(id).or_default();
        *known |= side;
        if let Some(commit) = commit(&id, reader) {
            open += 1;
            queue.push((commit.committed_at, Reverse(id), false));
        }
    }
    while open > 0
        && let Some((_, Reverse(id), was_stale)) = queue.pop()
    {
        open -= usize::from(!was_stale);
        let mut mine = flags.get(&id).copied().unwrap_or_default();
        if mine == BOTH {
            bases.push(id);
            mine |= STALE;
            flags.insert(id, mine);
        }
        let parents = commit(&id, reader).filter(|_| !shallow.contains(&id)).map(|commit| commit.parents);
        for parent in parents.unwrap_or_default() {
            let known = flags.entry(parent).or_default();
            if *known & mine == mine {
                continue;
            }
            *known |= mine;
            let is_stale = *known & STALE != 0;
            if let Some(commit) = commit(&parent, reader) {
                open += usize::from(!is_stale);
                queue.push((commit.committed_at, Reverse(parent), is_stale));
            }
        }
    }
    bases
}

fn commit(id: &ObjectId, reader: &mut DirectReader<'_>) -> Option<Commit> {
    let object = reader.read(id).ok().filter(|object| object.kind == ObjectKind::Commit)?;
    Commit::parse(&object.text)
}

/// Notes a commit. Its date, if it has to be gone through: it is new, or it was wanted and no longer is.
fn meet(
    id: ObjectId,
    is_wanted: bool,
    reader: &mut DirectReader<'_>,
    met: &mut HashMap<ObjectId, Met>,
    gaps: &mut Gaps,
) -> Option<i64> {
    if let Some(known) = met.get_mut(&id) {
        let changes = known.is_wanted && !is_wanted;
        known.is_wanted &= is_wanted;
        return known.commit.as_ref().filter(|_| changes).map(|commit| commit.committed_at);
    }
    let commit = match reader.read(&id) {
        Ok(object) if object.kind == ObjectKind::Commit => Commit::parse(&object.text).ok_or(Gap::Damaged),
        Ok(_) => Err(Gap::Damaged),
        Err(gap) => Err(gap),
    };
    // What is not wanted need not be there: whoever pushed it may have it alone.
    if let Err(gap) = &commit
        && is_wanted
    {
        gaps.add(*gap, || id.to_string());
    }
    let commit = commit.ok();
    let date = commit.as_ref().map(|commit| commit.committed_at);
    met.insert(id, Met { commit, is_wanted });
    date
}
