//! References: where history begins.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::discover::{Places, small_file};
use super::loose::regular_file;
use super::reftable::Reftable;
use super::{Gap, Gaps, ObjectId};

/// Directories of references are not followed any deeper.
const MAX_DEPTH: usize = 32;

/// The largest file of packed references that is read.
const MAX_PACKED: u64 = 1 << 30;

/// All ids that references name: branches, tags, notes, stashes, the heads of worktrees.
pub fn tips(places: &Places, gaps: &mut Gaps) -> Vec<ObjectId> {
    let mut tips = Vec::new();
    packed(&places.common_dir.join("packed-refs"), &mut tips, gaps);
    loose(&places.common_dir.join("refs"), 0, &mut tips, gaps);
    if places.git_dir != places.common_dir {
        loose(&places.git_dir.join("refs"), 0, &mut tips, gaps);
    }
    let worktrees = fs::read_dir(places.common_dir.join("worktrees")).into_iter().flatten().flatten();
    let own = Some(places.git_dir.clone()).filter(|own| *own != places.common_dir);
    let dirs = worktrees.map(|entry| entry.path()).chain([places.common_dir.clone()]).chain(own);
    for dir in dirs {
        if places.has_reftable {
            match Reftable::read(&dir, places.hash) {
                Ok(table) => tips.extend(table.ids()),
                Err(_) => gaps.add(Gap::Reftable, || "reftable".to_owned()),
            }
        }
        for head in ["HEAD", "ORIG_HEAD", "MERGE_HEAD", "FETCH_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD"] {
            let text = small_file(&dir.join(head)).unwrap_or_default();
            tips.extend(text.lines().filter_map(first_id));
        }
    }
    // Only the newest stash is a reference; the older ones are in its log.
    let stashes = small_file(&places.common_dir.join("logs/refs/stash")).unwrap_or_default();
    tips.extend(stashes.lines().filter_map(|line| first_id(line.split(' ').nth(1)?)));
    tips.sort_unstable();
    tips.dedup();
    tips
}

/// The commits whose parents were left out of a shallow clone.
pub fn shallow(places: &Places) -> Vec<ObjectId> {
    let text = small_file(&places.common_dir.join("shallow")).unwrap_or_default();
    text.lines().filter_map(first_id).collect()
}

fn packed(path: &Path, tips: &mut Vec<ObjectId>, gaps: &mut Gaps) {
    let Ok(file) = regular_file(path) else { return };
    let mut bytes = Vec::new();
    if file.take(MAX_PACKED).read_to_end(&mut bytes).is_err() {
        return gaps.add(Gap::File, || "packed-refs".to_owned());
    }
    // A line is an id and a name, or `^` and what the tag above comes down to.
    let ids = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_prefix(b"^").unwrap_or(line);
        ObjectId::from_hex(line.split(|byte| *byte == b' ').next()?)
    });
    tips.extend(ids);
}

fn loose(dir: &Path, depth: usize, tips: &mut Vec<ObjectId>, gaps: &mut Gaps) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => loose(&path, depth + 1, tips, gaps),
            Ok(kind) if kind.is_file() => tips.extend(small_file(&path).and_then(|text| first_id(&text))),
            _ => gaps.add(Gap::File, || entry.file_name().to_string_lossy().into_owned()),
        }
    }
}

fn first_id(line: &str) -> Option<ObjectId> {
    ObjectId::from_hex(line.split_whitespace().next()?.as_bytes())
}
