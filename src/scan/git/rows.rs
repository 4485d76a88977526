//! Rows: what each tree names, told by what its base names.
//!
//! Lineage wants to know of every tree what it names, and a tree of a thousand rows is stored a thousand times, each time
//! with one row changed. To read them all once more costs as much as reading them did; to keep their rows costs more
//! memory than the pack has bytes. So a walk keeps of a tree what its delta says, in rows:
//!
//! ```text
//!   base    r0 r1 r2 r3 r4 r5
//!   tree    |copied|new|copied|      0..2, the object that `r2` is now, 3..6
//! ```
//!
//! A tree that is nobody's base is not even put together: a row that begins where one of the base's begins, and is copied
//! to its end, is that row, so that only the rows around inserted bytes are read.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::store::NO_SLOT;
use super::tree::{self, Row};
use super::walk::on_threads;
use crate::scan::engine::{Edit, From};

/// What is remembered of a tree for trees made from it.
#[derive(Default)]
pub struct Rows {
    slot: u32,
    /// Where each row begins, and where the last one ends.
    starts: Vec<u32>,
    /// Where rows begin whose names have something in them.
    pub telling: Vec<u32>,
}

/// One or more rows of a tree.
#[derive(Clone, Copy)]
enum Step {
    /// So many of the base, from this one on.
    Copied(u32, u32),
    /// One that names this object.
    New(u32),
}

/// A tree in the log.
#[derive(Clone, Copy)]
struct Logged {
    slot: u32,
    base: u32,
    /// Where its steps end; they begin where those of the tree before end.
    end: usize,
    counts: bool,
}

/// What the trees that a worker has met name.
#[derive(Default)]
pub struct RowLog {
    trees: Vec<Logged>,
    steps: Vec<Step>,
}

/// The bytes are not a tree, or go on as none.
#[derive(Debug)]
pub struct NoTree;

impl Rows {
    fn of(slot: u32) -> Self {
        Self { slot, starts: vec![0], telling: Vec::new() }
    }

    /// The row that begins at `at`. They are asked for in rising order, so `near` is nearly always it.
    fn beginning_at(&self, at: usize, near: usize) -> Option<usize> {
        let at = u32::try_from(at).ok()?;
        if self.starts.get(near) == Some(&at) {
            return Some(near);
        }
        let row = self.starts.partition_point(|start| *start < at);
        (self.starts.get(row) == Some(&at)).then_some(row)
    }

    /// The first row of those from `first` on that does not end by `end`.
    fn beyond(&self, first: usize, end: usize) -> usize {
        first + self.starts[first + 1..].partition_point(|start| *start as usize <= end)
    }
}

/// How a tree is made from its base.
pub struct MadeTree<'a> {
    pub base: &'a [u8],
    pub rows: &'a Rows,
    pub edit: &'a Edit,
    pub inserted: &'a [u8],
    /// Whether something is made from it.
    pub is_base: bool,
}

impl RowLog {
    /// Reads a whole tree. `look_up` says which object a row names, and whether something is in its name.
    pub fn whole(
        &mut self,
        (slot, counts): (u32, bool),
        text: &[u8],
        hash_len: usize,
        mut look_up: impl FnMut(Row<'_>) -> (u32, bool),
    ) -> (Rows, Result<(), NoTree>) {
        let mut rows = Rows::of(slot);
        let mut at = 0;
        let mut read = Ok(());
        while at < text.len() {
            let (Some(row), Ok(start)) = (tree::row(&text[at..], hash_len), u32::try_from(at)) else {
                read = Err(NoTree);
                break;
            };
            let (named, is_telling) = look_up(row);
            self.steps.push(Step::New(named));
            rows.telling.extend(is_telling.then_some(start));
            at += row.len;
            rows.starts.extend(u32::try_from(at));
        }
        self.trees.push(Logged { slot, base: NO_SLOT, end: self.steps.len(), counts });
        (rows, read)
    }

    /// Reads a tree where it differs from its base. If it is no base of others, its rows are told without their places.
    pub fn edited(
        &mut self,
        (slot, counts): (u32, bool),
        made: &MadeTree<'_>,
        hash_len: usize,
        mut look_up: impl FnMut(Row<'_>) -> (u32, bool),
    ) -> (Rows, Result<(), NoTree>) {
        let mut rows = Rows::of(slot);
        let read = self.differing(made, &mut rows, hash_len, &mut look_up);
        self.trees.push(Logged { slot, base: made.rows.slot, end: self.steps.len(), counts });
        (rows, read)
    }

    fn differing(
        &mut self,
        made: &MadeTree<'_>,
        rows: &mut Rows,
        hash_len: usize,
        look_up: &mut impl FnMut(Row<'_>) -> (u32, bool),
    ) -> Result<(), NoTree> {
        let MadeTree { base, rows: known, edit, inserted, is_base } = *made;
        u32::try_from(edit.len()).map_err(|_| NoTree)?;
        let (mut at, mut nth, mut near) = (0, 0, 0);
        let mut joined = Vec::new();
        while at < edit.len() {
            while edit.parts()[nth].at + edit.parts()[nth].len <= at {
                nth += 1;
            }
            let part = &edit.parts()[nth];
            let skip = at - part.at;
            if let From::Base(start) = part.from
                && let Some(first) = known.beginning_at(start + skip, near)
            {
                near = known.beyond(first, start + part.len);
                if near > first {
                    self.steps.push(Step::Copied(number(first)?, number(near - first)?));
                    // Both are less than the length of a text, and so is what they make.
                    let moved = |place: &u32| {
                        place.wrapping_sub(number(start).unwrap_or(0)).wrapping_add(number(part.at).unwrap_or(0))
                    };
                    let copied = known.starts[first]..known.starts[near];
                    rows.telling.extend(known.telling.iter().filter(|row| copied.contains(row)).map(moved));
                    if is_base {
                        rows.starts.extend(known.starts[first + 1..=near].iter().map(moved));
                    }
                    at = known.starts[near] as usize - start + part.at;
                    continue;
                }
            }
            let row = match tree::row(&part.bytes(base, inserted)[skip..], hash_len) {
                Some(row) => row,
                None => joined_row(made, at, hash_len, &mut joined).ok_or(NoTree)?,
            };
            let (named, is_telling) = look_up(row);
            self.steps.push(Step::New(named));
            if is_telling {
                rows.telling.push(number(at)?);
            }
            at += row.len;
            if is_base {
                rows.starts.push(number(at)?);
            }
        }
        Ok(())
    }
}

fn number(place: usize) -> Result<u32, NoTree> {
    u32::try_from(place).map_err(|_| NoTree)
}

/// A row that lies in more than one part.
fn joined_row<'j>(made: &MadeTree<'_>, at: usize, hash_len: usize, joined: &'j mut Vec<u8>) -> Option<Row<'j>> {
    let mut room = 128;
    loop {
        let end = made.edit.len().min(at + room);
        joined.clear();
        made.edit.copy_range(made.base, made.inserted, at, end, joined);
        if end == made.edit.len() || tree::row(joined, hash_len).is_some() {
            return tree::row(joined, hash_len);
        }
        room *= 2;
    }
}

/// Calls back with every tree that counts and the objects that its rows name, in the order of the rows, on so many threads,
/// each with what it gathers. `slots` is more than any slot.
pub fn replay<T: Default + Send>(
    logs: impl IntoIterator<Item = RowLog>,
    (slots, threads): (u32, usize),
    each: impl Fn(&mut T, u32, &[u32]) + Sync,
) -> Vec<T> {
    let mut all = RowLog::default();
    for log in logs {
        let by = all.steps.len();
        all.trees.extend(log.trees.into_iter().map(|tree| Logged { end: tree.end + by, ..tree }));
        all.steps.extend(log.steps);
    }
    let descent = Descent::of(&all.trees, slots);
    let next = AtomicUsize::new(0);
    on_threads(threads, || {
        let mut gathered = T::default();
        let mut spare = Vec::new();
        while let Some(root) = descent.roots.get(next.fetch_add(1, Ordering::Relaxed)) {
            all.replay_from(*root, &descent, &mut spare, &mut |tree, rows| each(&mut gathered, tree, rows));
        }
        gathered
    })
}

impl RowLog {
    /// The trees in the log.
    pub fn slots(&self) -> impl Iterator<Item = u32> {
        self.trees.iter().map(|tree| tree.slot)
    }

    fn replay_from(&self, root: u32, descent: &Descent, spare: &mut Vec<Vec<u32>>, each: &mut impl FnMut(u32, &[u32])) {
        let mut stack: Vec<(Vec<u32>, Range<usize>)> = Vec::new();
        let mut next = Some(root);
        while let Some(tree) = next {
            let mut rows = spare.pop().unwrap_or_default();
            let base = stack.last().map_or(&[][..], |(base, _)| base);
            self.expand(tree as usize, base, &mut rows);
            let Logged { slot, counts, .. } = self.trees[tree as usize];
            if counts {
                each(slot, &rows);
            }
            // A base is given up before the last tree made from it is entered: see `forest`.
            let is_done = |(_, left): &mut (Vec<u32>, Range<usize>)| left.start == left.end;
            spare.extend(stack.pop_if(is_done).map(|(base, _)| base));
            stack.push((rows, descent.made_from(tree)));
            while let Some((rows, _)) = stack.pop_if(is_done) {
                spare.push(rows);
            }
            next = stack.last_mut().and_then(|(_, left)| left.next()).map(|nth| descent.made[nth]);
        }
    }

    fn expand(&self, tree: usize, base: &[u32], rows: &mut Vec<u32>) {
        rows.clear();
        let start = tree.checked_sub(1).map_or(0, |before| self.trees[before].end);
        for step in &self.steps[start..self.trees[tree].end] {
            match *step {
                Step::Copied(from, len) => {
                    let from = from as usize;
                    rows.extend_from_slice(base.get(from..from + len as usize).unwrap_or_default());
                }
                Step::New(slot) => rows.push(slot),
            }
        }
    }
}

/// Which trees are made from which, by their numbers in the log.
struct Descent {
    roots: Vec<u32>,
    /// Those made from the tree `n` are `made[starts[n]..starts[n + 1]]`, the one that most others are made from last.
    starts: Vec<u32>,
    made: Vec<u32>,
}

impl Descent {
    fn of(trees: &[Logged], slots: u32) -> Self {
        let mut by_slot = vec![NO_SLOT; slots as usize];
        for (number, tree) in (0..).zip(trees) {
            by_slot[tree.slot as usize] = number;
        }
        let base = |tree: &Logged| by_slot.get(tree.base as usize).copied().unwrap_or(NO_SLOT);
        let mut descent = Self { roots: Vec::new(), starts: vec![0; trees.len() + 1], made: Vec::new() };
        for tree in trees {
            if let Some(start) = descent.starts.get_mut((base(tree) as usize).saturating_add(1)) {
                *start += 1;
            }
        }
        for at in 1..descent.starts.len() {
            descent.starts[at] += descent.starts[at - 1];
        }
        let mut next = descent.starts.clone();
        descent.made = vec![0; descent.starts[trees.len()] as usize];
        for (number, tree) in (0..).zip(trees) {
            match next.get_mut(base(tree) as usize).filter(|_| base(tree) != NO_SLOT) {
                Some(place) => {
                    descent.made[*place as usize] = number;
                    *place += 1;
                }
                None => descent.roots.push(number),
            }
        }
        descent.put_heavy_last();
        descent
    }

    fn made_from(&self, tree: u32) -> Range<usize> {
        self.starts[tree as usize] as usize..self.starts[tree as usize + 1] as usize
    }

    fn put_heavy_last(&mut self) {
        let mut order = self.roots.clone();
        let mut at = 0;
        while let Some(tree) = order.get(at).copied() {
            order.extend_from_slice(&self.made[self.made_from(tree)]);
            at += 1;
        }
        let mut weights = vec![1_u32; self.starts.len()];
        for tree in order.into_iter().rev() {
            let made = self.made_from(tree);
            weights[tree as usize] += self.made[made.clone()].iter().map(|tree| weights[*tree as usize]).sum::<u32>();
            let heaviest = made.clone().max_by_key(|at| weights[self.made[*at] as usize]);
            if let Some(heaviest) = heaviest {
                self.made.swap(heaviest, made.end - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: usize = 20;

    /// A row whose id says the slot it names.
    fn row(name: &str, slot: u8) -> Vec<u8> {
        [b"100644 ", name.as_bytes(), &[0], &[slot; ID]].concat()
    }

    fn slot(row: Row<'_>) -> (u32, bool) {
        (row.id[0].into(), row.name.ends_with(b"!"))
    }

    fn told(logs: impl IntoIterator<Item = RowLog>, slots: u32) -> Vec<(u32, Vec<u32>)> {
        let each = |told: &mut Vec<(u32, Vec<u32>)>, slot, rows: &[u32]| told.push((slot, rows.to_vec()));
        replay(logs, (slots, 2), each).concat()
    }

    fn rows_of(text: &[u8]) -> (Vec<u32>, Vec<u32>) {
        let (mut at, mut all, mut telling) = (0, Vec::new(), Vec::new());
        while let Some(row) = tree::row(&text[at..], ID) {
            let (named, is_telling) = slot(row);
            all.push(named);
            telling.extend(is_telling.then(|| u32::try_from(at).expect("it is short")));
            at += row.len;
        }
        (all, telling)
    }

    /// Takes pieces of the base and of something else in turn, wherever they are cut.
    fn edit(base: &[u8], other: &[u8], cuts: &[(prop::sample::Index, prop::sample::Index)]) -> Edit {
        let mut edit = Edit::default();
        for (nth, (one, two)) in cuts.iter().enumerate() {
            let text = if nth % 2 == 0 { base } else { other };
            let (one, two) = (one.index(text.len() + 1), two.index(text.len() + 1));
            let (from, len) = (one.min(two), one.abs_diff(two));
            edit.push(if nth % 2 == 0 { From::Base(from) } else { From::Inserted(from) }, len);
        }
        edit
    }

    proptest! {
        #[test]
        fn rows_told_by_a_base_are_those_that_stand_there(
            names in proptest::collection::vec(("[a-c]{1,3}!?", 0_u8..200), 0..8),
            others in proptest::collection::vec(("[a-c]{1,3}!?", 0_u8..200), 0..4),
            cuts in proptest::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..6),
            is_base: bool,
        ) {
            let text = |rows: &[(String, u8)]| rows.iter().flat_map(|(name, slot)| row(name, *slot)).collect::<Vec<u8>>();
            let (base, other) = (text(&names), text(&others));
            let mut log = RowLog::default();
            let (rows, read) = log.whole((300, true), &base, ID, slot);
            prop_assert!(read.is_ok());
            let edit = edit(&base, &other, &cuts);
            let mut made = Vec::new();
            edit.apply(&base, &other, &mut made);
            let tree = MadeTree { base: &base, rows: &rows, edit: &edit, inserted: &other, is_base };
            let (edited, read) = log.edited((301, true), &tree, ID, slot);
            let (expected, telling) = rows_of(&made);
            prop_assert_eq!(read.is_ok(), made.len() == whole_len(&made));
            prop_assert_eq!(&edited.telling, &telling);
            // One that is made from it once more, without a change.
            let mut same = Edit::default();
            same.push(From::Base(0), made.len());
            if is_base && read.is_ok() {
                let again = MadeTree { base: &made, rows: &edited, edit: &same, inserted: &[], is_base: false };
                let (again, _) = log.edited((302, true), &again, ID, |_| unreachable!("no row is new"));
                prop_assert_eq!(&again.telling, &telling);
            }
            for (slot, rows) in told([log], 400) {
                prop_assert_eq!(&rows, if slot == 300 { &names.iter().map(|(_, slot)| u32::from(*slot)).collect::<Vec<_>>() } else { &expected });
            }
        }
    }

    fn whole_len(text: &[u8]) -> usize {
        let mut at = 0;
        while let Some(row) = tree::row(&text[at..], ID) {
            at += row.len;
        }
        at
    }

    #[test]
    fn a_tree_is_told_by_a_base_of_another_worker() {
        let base = [row("a", 1), row("b", 2), row("c", 3)].concat();
        let (mut one, mut two) = (RowLog::default(), RowLog::default());
        let (rows, _) = one.whole((5, false), &base, ID, slot);
        let changed = [row("b", 9), row("d", 4)].concat();
        let mut edit = Edit::default();
        let third = base.len() / 3;
        for (from, len) in [(From::Base(0), third), (From::Inserted(0), changed.len()), (From::Base(2 * third), third)]
        {
            edit.push(from, len);
        }
        let made = MadeTree { base: &base, rows: &rows, edit: &edit, inserted: &changed, is_base: false };
        let (_, read) = two.edited((3, true), &made, ID, slot);
        assert!(read.is_ok());
        assert_eq!(told([two, one], 6), [(3, vec![1, 9, 4, 3])]);
    }
}
