//! Ranges: what some commits brought, and nothing from before.
//!
//! A commit is compared with its parents, folder by folder, and only blobs that none of them has at that path are read,
//! with the commit's own message. Each blob is read once, for the first commit that brought it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::authorship::describe;
use super::changes::{self, Item, Reading};
use super::finding::Finding;
use super::git::{Change, Changes, Differ, Gaps, Gone, ObjectId, ObjectKind, Range, RangeNode};
use super::log_opts::Wanted;
use super::provenance::{Commit, Provenance, Source};
use super::read::{Harvest, Shared};
use super::repository::Chosen;
use super::run::Error;

/// Reads the commits that are wanted, in the repositories of the plan's targets.
pub fn scan(wanted: &Wanted, shared: &Shared<'_>) -> Result<Harvest, Error> {
    let mut all = Harvest::default();
    for chosen in Chosen::of(shared.plan)? {
        let mut gaps = Gaps::default();
        let reading = Reading::open(&chosen, shared, &mut gaps);
        let mut reader = reading.reader();
        let range = wanted.range(&chosen.places, &mut reader, shared.now).map_err(Error::Revision)?;
        drop(reader);
        all.merge(scan_range(&range, &[], &chosen, &reading, gaps));
    }
    Ok(all)
}

/// Something that a reference names by itself: a tag, or what else is no commit.
pub struct Extra {
    pub id: ObjectId,
    pub kind: ObjectKind,
}

/// What is read, and for which of the commits.
enum Job<'e> {
    Blob { node: usize, path: String, blob: Change },
    Extra(&'e Extra),
    Message { node: usize },
}

/// Reads the commits of a range.
pub fn scan_range(range: &Range, extra: &[Extra], chosen: &Chosen, reading: &Reading<'_>, mut gaps: Gaps) -> Harvest {
    let plan = reading.shared.plan;
    let mut reader = reading.reader();
    let shallow = chosen.shallow();
    let nodes = range.walk(&mut reader, &shallow, &mut gaps);
    let mut gone: Vec<Vec<Gone>> = Vec::with_capacity(nodes.len());
    let mut jobs: Vec<_> = extra.iter().map(Job::Extra).collect();
    let mut read: HashSet<ObjectId> = HashSet::new();
    let mut submodules = BTreeSet::new();
    drop(reader);
    for (at, changes) in differences(&nodes, reading, &mut gaps).into_iter().enumerate() {
        jobs.push(Job::Message { node: at });
        let blobs = changes.blobs.into_iter().filter_map(|blob| {
            let path = chosen.told(&blob.path, plan)?;
            read.insert(blob.id).then_some(Job::Blob { node: at, path, blob })
        });
        jobs.extend(blobs);
        submodules.extend(changes.submodules);
        gone.push(changes.gone);
    }
    // Not in the order of the commits: the versions of a file are packed side by side, and each is made from another.
    jobs.sort_by_cached_key(|job| {
        reading.place(&match job {
            Job::Blob { blob, .. } => blob.id,
            Job::Extra(extra) => extra.id,
            Job::Message { node } => nodes[*node].id,
        })
    });
    let own = super::read::slashed(&chosen.prefix.join(".git"));
    let mut harvest = changes::scan(
        reading,
        &jobs,
        |job| item(job, &nodes, &gone, &own),
        |finding, job, reader| {
            let Source::Git(commit) = &mut finding.provenance.source else { return };
            let named_by = match job {
                Job::Blob { node, .. } | Job::Message { node } => nodes[*node].id,
                Job::Extra(extra) => extra.id,
            };
            if let Ok(object) = reader.read(&named_by)
                && object.kind != ObjectKind::Blob
            {
                describe(commit, &object.text, &plan.recognizer);
            }
        },
    );
    // They were counted as files on the way.
    harvest.coverage.objects += std::mem::take(&mut harvest.coverage.files);
    tell_once(&mut harvest, &nodes);
    for path in &submodules {
        gaps.add(super::git::Gap::Submodule, || String::from_utf8_lossy(path).into_owned());
    }
    harvest.coverage.add_git(&gaps, plan);
    harvest.coverage.absent.objects(&chosen.places.common_dir, gaps.promised());
    harvest
}

fn item<'i>(job: &Job<'_>, nodes: &[RangeNode], gone: &'i [Vec<Gone>], own: &str) -> Item<'i> {
    let item = |path: &str, commit: Option<ObjectId>, object: ObjectId, kind: ObjectKind| Item {
        id: object,
        provenance: Provenance {
            path: path.to_owned(),
            members: Vec::new(),
            source: Source::Git(Box::new(Commit {
                id: commit.map(|id| id.to_string()).unwrap_or_default(),
                object: object.to_string(),
                object_kind: kind.name().into(),
                ..Commit::default()
            })),
        },
        before: Vec::new(),
        gone: &[],
    };
    match job {
        Job::Blob { node, path, blob } => Item {
            before: blob.before.clone(),
            gone: &gone[*node],
            ..item(path, Some(nodes[*node].id), blob.id, ObjectKind::Blob)
        },
        Job::Extra(extra) => item(own, None, extra.id, extra.kind),
        Job::Message { node } => item(own, Some(nodes[*node].id), nodes[*node].id, ObjectKind::Commit),
    }
}

/// Tells each token once for a path, at the first commit that brought it there; in messages once for each.
fn tell_once(harvest: &mut Harvest, nodes: &[RangeNode]) {
    let order: HashMap<String, usize> = nodes.iter().enumerate().map(|(at, node)| (node.id.to_string(), at)).collect();
    let place = |finding: &Finding| finding.provenance.commit().and_then(|commit| order.get(&commit.id)).copied();
    harvest.findings.sort_by_key(place);
    let mut told = HashSet::new();
    harvest.findings.retain(|finding| {
        let message = finding.provenance.commit().filter(|commit| commit.object_kind != "blob");
        let message = message.map(|commit| commit.object.clone());
        told.insert((finding.id.clone(), finding.provenance.shown(), message))
    });
}

/// What each of the commits brought, in their order.
fn differences(nodes: &[RangeNode], reading: &Reading<'_>, gaps: &mut Gaps) -> Vec<Changes> {
    let trees: HashMap<ObjectId, ObjectId> = nodes.iter().map(|node| (node.id, node.tree)).collect();
    let part = |nodes: &[RangeNode]| {
        let mut reader = reading.reader();
        let mut gaps = Gaps::default();
        let mut all = Vec::with_capacity(nodes.len());
        for node in nodes {
            let tree_of = |id| trees.get(id).copied().or_else(|| tree_of(id, &mut reader));
            let parents: Vec<ObjectId> = node.parents.iter().filter_map(tree_of).collect();
            let mut differ = Differ::new(&mut reader, &mut gaps);
            differ.trees(&node.tree, &parents);
            all.push(differ.changes);
        }
        (all, gaps)
    };
    // Neighbours have most of their trees in common, so each thread takes a stretch.
    let stretch = nodes.len().div_ceil(reading.shared.plan.workers()).max(MIN_STRETCH);
    let parts: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = nodes.chunks(stretch).map(|nodes| scope.spawn(|| part(nodes))).collect();
        running.into_iter().map(|part| part.join().expect("comparing does not panic")).collect()
    });
    let mut all = Vec::with_capacity(nodes.len());
    for (changes, found) in parts {
        all.extend(changes);
        gaps.merge(found);
    }
    all
}

/// Fewer commits are not worth a thread of their own.
const MIN_STRETCH: usize = 64;

fn tree_of(id: &ObjectId, reader: &mut super::git::DirectReader<'_>) -> Option<ObjectId> {
    super::git::Commit::parse(&reader.read(id).ok()?.text).map(|commit| commit.tree)
}
