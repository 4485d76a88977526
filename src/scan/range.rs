//! Ranges: what some commits brought, and nothing from before.
//!
//! A commit is compared with its parents, folder by folder, and only blobs that none of them has at that path are read,
//! with the commit's own message. Each blob is read once, for the first commit that brought it.

use std::collections::{HashMap, HashSet};

use super::authorship::describe;
use super::changes::{self, Item, Reading};
use super::finding::Finding;
use super::git::{Change, Differ, Gaps, Gone, ObjectId, Range, RangeNode};
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
        all.merge(scan_range(&range, &chosen, &reading, gaps));
    }
    Ok(all)
}

/// A blob to be read, or the commit itself.
struct Job {
    node: usize,
    blob: Option<(String, Change)>,
}

/// Reads the commits of a range.
pub fn scan_range(range: &Range, chosen: &Chosen, reading: &Reading<'_>, mut gaps: Gaps) -> Harvest {
    let plan = reading.shared.plan;
    let mut reader = reading.reader();
    let shallow = chosen.shallow();
    let nodes = range.walk(&mut reader, &shallow, &mut gaps);
    let mut gone: Vec<Vec<Gone>> = Vec::with_capacity(nodes.len());
    let mut jobs = Vec::new();
    let mut read: HashSet<ObjectId> = HashSet::new();
    let mut submodules = HashSet::new();
    for (at, node) in nodes.iter().enumerate() {
        let parents: Vec<ObjectId> = node.parents.iter().filter_map(|id| tree_of(id, &mut reader)).collect();
        let mut differ = Differ::new(&mut reader, &mut gaps);
        differ.trees(&node.tree, &parents);
        let changes = differ.changes;
        jobs.push(Job { node: at, blob: None });
        let blobs = changes.blobs.into_iter().filter_map(|blob| {
            let path = chosen.told(&blob.path, plan)?;
            read.insert(blob.id).then_some(Job { node: at, blob: Some((path, blob)) })
        });
        jobs.extend(blobs);
        submodules.extend(changes.submodules);
        gone.push(changes.gone);
    }
    drop(reader);
    let own = super::read::slashed(&chosen.prefix.join(".git"));
    let mut harvest = changes::scan(
        reading,
        &jobs,
        |job| item(job, &nodes[job.node], &gone[job.node], &own),
        |finding, job, reader| {
            let Source::Git(commit) = &mut finding.provenance.source else { return };
            if let Ok(object) = reader.read(&nodes[job.node].id) {
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
    harvest.coverage.add_git(&gaps);
    harvest
}

fn item<'i>(job: &Job, node: &RangeNode, gone: &'i [Gone], own: &str) -> Item<'i> {
    let commit = |object: ObjectId, kind: &str| {
        Source::Git(Box::new(Commit {
            id: node.id.to_string(),
            object: object.to_string(),
            object_kind: kind.into(),
            ..Commit::default()
        }))
    };
    match &job.blob {
        Some((path, blob)) => Item {
            id: blob.id,
            provenance: Provenance { path: path.clone(), members: Vec::new(), source: commit(blob.id, "blob") },
            before: blob.before.clone(),
            gone,
        },
        None => Item {
            id: node.id,
            provenance: Provenance { path: own.to_owned(), members: Vec::new(), source: commit(node.id, "commit") },
            before: Vec::new(),
            gone: &[],
        },
    }
}

/// Tells each token once for a path, at the first commit that brought it there; in messages once for each.
fn tell_once(harvest: &mut Harvest, nodes: &[RangeNode]) {
    let order: HashMap<String, usize> = nodes.iter().enumerate().map(|(at, node)| (node.id.to_string(), at)).collect();
    let place = |finding: &Finding| finding.provenance.commit().and_then(|commit| order.get(&commit.id)).copied();
    harvest.findings.sort_by_key(place);
    let mut told = HashSet::new();
    harvest.findings.retain(|finding| {
        let message = finding.provenance.commit().filter(|commit| commit.object_kind == "commit");
        let message = message.map(|commit| commit.id.clone());
        told.insert((finding.id.clone(), finding.provenance.shown(), message))
    });
}

fn tree_of(id: &ObjectId, reader: &mut super::git::DirectReader<'_>) -> Option<ObjectId> {
    super::git::Commit::parse(&reader.read(id).ok()?.text).map(|commit| commit.tree)
}
