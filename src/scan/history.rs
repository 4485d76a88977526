//! History: what was committed to the repositories of a tree, by itself and together with the files.
//!
//! `git` reads the objects and `engine` finds tokens in them; here their hits become findings. A token that stands in
//! many versions of a file is told once for that path, with the first commit that had it; if the file in the work tree
//! still has it, the finding of the file is the one that is told, with that commit.
//!
//! Two things must stay true. A repository whose history was not read is a gap, unless the plan leaves it out. And a
//! tree leads nowhere: a `.git` file, and an alternate out of the tree, is followed to another repository only from the
//! folder that was named.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::authorship;
use super::blobs::Blobs;
use super::changes::is_excluded;
use super::coverage::{Coverage, Gap};
use super::engine::{Found, Texts};
use super::finding::Finding;
use super::git::{self, Places, Reader, Store};
use super::incremental::Visit;
use super::lines::{Lines, Position};
use super::once::{Past, tell_once};
use super::plan::{History, Plan, Unreachable};
use super::provenance::{Commit, Provenance, Source};
use super::read::{Harvest, Shared, slashed};
use super::text::{self, Sighting};
use super::time_out::until;
use super::tree::Repository;
use crate::redact::inert;

/// Scans the repositories that were met in the tree at `root`.
pub fn scan(root: &Path, repositories: &[Repository], shared: &Shared<'_>, harvest: &mut Harvest) {
    let mut read = HashMap::new();
    let mut past = Vec::new();
    let mut submodules = BTreeMap::new();
    for repository in repositories {
        let shown = match repository {
            Repository::Here(path) | Repository::Elsewhere(path) => inert(&slashed(path), 300),
        };
        if shared.plan.history == History::None {
            harvest.coverage.skipped.add(Gap::History, &shown);
            continue;
        }
        match open(root, repository) {
            Ok(Some(opened)) if !read.contains_key(&opened.objects) => {
                match opened.visit(shared, harvest, &mut past) {
                    Ok(named) => submodules.extend(named),
                    Err(_) => harvest.coverage.gaps.add(Gap::History, &shown),
                }
                read.insert(opened.objects.clone(), opened);
            }
            Ok(_) => {}
            Err(_) => harvest.coverage.gaps.add(Gap::History, &shown),
        }
    }
    note_unread(submodules, read.values(), shared.plan, &mut harvest.coverage);
    tell_once(&mut harvest.findings, past, &mut harvest.inline);
}

/// Scans a bare repository that was fetched to be read under a name.
pub fn scan_fetched(path: &Path, name: &str, shared: &Shared<'_>, harvest: &mut Harvest) {
    let opened = Places::find(path, &mut git::Gaps::default()).ok().and_then(|places| {
        let objects = places.objects.first().cloned()?;
        Some(Opened { path: path.to_owned(), prefix: PathBuf::from(name), own: name.to_owned(), objects, within: None })
    });
    let mut past = Vec::new();
    match opened.map(|opened| opened.visit(shared, harvest, &mut past)) {
        Some(Ok(submodules)) => note_unread(submodules, [].into_iter(), shared.plan, &mut harvest.coverage),
        _ => harvest.coverage.gaps.add(Gap::History, &inert(name, 300)),
    }
    tell_once(&mut harvest.findings, past, &mut harvest.inline);
}

/// Submodules are read if a repository that was read has their commits: the checked-out submodule of a work tree.
fn note_unread<'o>(
    mut submodules: BTreeMap<git::ObjectId, String>,
    read: impl Iterator<Item = &'o Opened>,
    plan: &Plan,
    coverage: &mut Coverage,
) {
    for repository in read {
        if submodules.is_empty() {
            return;
        }
        let mut known = git::Gaps::default();
        let store = repository.places(plan, &mut known).and_then(|places| Store::open(&places, &mut known));
        if let Ok(store) = store {
            submodules.retain(|id, _| store.slot(id.as_bytes()).is_none());
        }
    }
    let mut gaps = git::Gaps::default();
    for name in names(&submodules) {
        gaps.add(git::Gap::Submodule, || name.clone());
    }
    coverage.add_git(&gaps, plan);
}

fn names(submodules: &Submodules) -> BTreeSet<&String> {
    submodules.values().collect()
}

/// Commits of other repositories, and their names.
type Submodules = BTreeMap<git::ObjectId, String>;

/// A repository, ready to be read.
struct Opened {
    /// What the engine is given: the work tree, or the bare repository.
    path: PathBuf,
    /// What stands before paths of its files.
    prefix: PathBuf,
    /// The folder of the repository itself, the place of what has no path.
    own: String,
    objects: PathBuf,
    /// The folder out of which its alternates must not lead.
    within: Option<PathBuf>,
}

/// Finds out where a repository is. `None` if the walk of the tree meets it elsewhere.
fn open(root: &Path, repository: &Repository) -> Result<Option<Opened>, git::Error> {
    let (path, own) = match repository {
        Repository::Here(folder) if folder.ends_with(".git") => (parent(folder), folder),
        // A `.git` in a bare repository would be read in its stead.
        Repository::Here(folder) if folder.join(".git").symlink_metadata().is_ok() => return Err(git::Error::Link),
        Repository::Here(folder) => (folder.clone(), folder),
        Repository::Elsewhere(file) if file.ends_with(".git") => (parent(file), file),
        Repository::Elsewhere(_) => return Err(git::Error::Link),
    };
    let mut unread = git::Gaps::default();
    let places = Places::find(&path, &mut unread)?;
    let Some(objects) = places.objects.first().cloned() else { return Err(git::Error::NotARepository) };
    if let Repository::Elsewhere(_) = repository
        && path != root
    {
        let inside = root.canonicalize().is_ok_and(|root| objects.starts_with(root));
        return if inside { Ok(None) } else { Err(git::Error::Link) };
    }
    // Whoever names a repository means what it is made of, wherever that lies; what is met in a tree leads nowhere.
    let within = if path == root { None } else { root.canonicalize().ok() };
    Ok(Some(Opened { prefix: path.clone(), path, own: slashed(own), objects, within }))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl Opened {
    /// Where its objects are, as far as they may be read.
    fn places(&self, plan: &Plan, gaps: &mut git::Gaps) -> Result<Places, git::Error> {
        let mut places = Places::find(&self.path, gaps)?;
        if let Some(folder) = &self.within {
            places.keep_within(folder, gaps);
        }
        places.borrow(&plan.lent);
        Ok(places)
    }

    /// Reads the history, or what is new in it.
    fn visit(
        &self,
        shared: &Shared<'_>,
        harvest: &mut Harvest,
        past: &mut Vec<Past>,
    ) -> Result<Submodules, git::Error> {
        let Some(state) = &shared.plan.state else { return self.scan(shared, harvest, past) };
        let places = self.places(shared.plan, &mut git::Gaps::default())?;
        let visit = Visit::begin(&places);
        let from = past.len();
        let mut submodules = Submodules::new();
        let coverage;
        if let Some(mut new) = visit.read_new(state, places, &self.prefix, shared) {
            let found = std::mem::take(&mut new.findings);
            past.extend(found.into_iter().map(|finding| Past { finding, is_suppressed: false }));
            coverage = std::mem::take(&mut new.coverage);
            harvest.merge(new);
        } else {
            let mut all = Harvest::default();
            submodules = self.scan(shared, &mut all, past)?;
            coverage = std::mem::take(&mut all.coverage);
            harvest.merge(all);
        }
        let told = past[from..].iter().filter(|one| !one.is_suppressed).map(|one| &one.finding.id);
        // The next scan does not see them again, and must not forget them.
        let mut lasting = coverage.gaps.clone();
        lasting.add_many(git::Gap::Submodule.name(), names(&submodules).len() as u64, None);
        harvest.pending.push(visit.end(&lasting, told));
        harvest.coverage.merge(coverage);
        Ok(submodules)
    }

    fn scan(&self, shared: &Shared<'_>, harvest: &mut Harvest, past: &mut Vec<Past>) -> Result<Submodules, git::Error> {
        let Harvest { findings, coverage, inline, .. } = harvest;
        let plan = shared.plan;
        let options = git::Options {
            max_object_bytes: plan.max_file_size.unwrap_or(u64::MAX),
            held_bytes: plan.max_object(),
            threads: plan.workers(),
            selection: match plan.unreachable {
                Unreachable::Counted => git::Selection::Reachable,
                Unreachable::Told => git::Selection::All,
            },
            progress: Arc::clone(&plan.progress),
            lent: plan.lent.clone(),
            within: self.within.clone(),
        };
        let detector = match plan.archives.depth {
            0 => Texts::new(shared.scanner),
            _ => Texts::beside_archives(shared.scanner),
        };
        let common_dir = self.objects.parent().unwrap_or(&self.objects);
        let blobs = Blobs::new(shared, common_dir);
        let read = until(shared.until, |stop| git::scan_repository(&self.path, &detector, &blobs, &options, stop))?;
        let git::Scanned { findings: hits, opened, coverage: read } = read;
        add(coverage, &read, plan, &self.own);
        coverage.absent.objects(common_dir, read.gaps.promised());
        let rest = blobs.finish(Path::new(&self.own));
        coverage.merge(rest.coverage);
        *inline += rest.inline;
        findings.extend(rest.findings);
        if hits.is_empty() && opened.is_empty() {
            return Ok(read.submodules);
        }
        let mut known = git::Gaps::default();
        let store = Store::open(&self.places(plan, &mut known)?, &mut known)?;
        let mut teller = Teller { repository: self, shared, reader: Reader::new(&store, MAX_SHOWN), inline: 0 };
        for hits in hits.chunk_by(|one, two| one.object == two.object) {
            match teller.findings(hits) {
                Ok(told) => past.extend(told),
                Err(gap) => coverage.gaps.add_many(gap.name(), 1, [hits[0].object.to_string()]),
            }
        }
        for blob in opened {
            teller.open(blob, coverage, past);
        }
        *inline += teller.inline;
        Ok(read.submodules)
    }

    fn excludes(&self, path: impl AsRef<Path>, plan: &Plan) -> bool {
        is_excluded(plan, &self.prefix.join(path))
    }
}

/// Makes findings of hits.
struct Teller<'r, 's> {
    repository: &'r Opened,
    shared: &'r Shared<'r>,
    reader: Reader<'s>,
    /// Findings that a comment inside of an archive suppressed.
    inline: u64,
}

/// Larger objects are read as streams, and have no hits of their own.
const MAX_SHOWN: u64 = 1 << 30;

impl Teller<'_, '_> {
    /// The findings of one object.
    fn findings(&mut self, hits: &[git::Finding<Found>]) -> Result<Vec<Past>, git::Gap> {
        let plan = self.shared.plan;
        let Some(first) = hits.first() else { return Ok(Vec::new()) };
        let path = first.provenance.as_ref().and_then(|first| first.path.as_deref());
        if path.is_some_and(|path| self.repository.excludes(path, plan)) {
            return Ok(Vec::new());
        }
        let object = self.reader.read(&first.object)?;
        let mut sightings = hits.iter().map(|hit| sighting(hit, &object.text)).collect::<Option<Vec<_>>>();
        let sightings = sightings.as_mut().ok_or(git::Gap::Damaged)?;
        text::settle(sightings);
        let provenance = self.provenance(&first.object, first.kind, first.provenance.as_ref());
        let mut lines = Lines::default();
        let mut past = Vec::new();
        for sighting in sightings.iter().filter(|sighting| sighting.confidence >= plan.min_confidence) {
            let (start, end) = (sighting.range.start, sighting.range.end);
            let (mut provenance, offset) = (provenance.clone(), start as u64);
            let position = match first.kind {
                git::ObjectKind::Tree => {
                    let name = git::name_around(&object.text, start, &first.object).ok_or(git::Gap::Damaged)?;
                    let folder = path.unwrap_or_default();
                    let whole = self.repository.prefix.join(folder).join(&*String::from_utf8_lossy(name));
                    if self.repository.excludes(Path::new(folder).join(&*String::from_utf8_lossy(name)), plan) {
                        continue;
                    }
                    provenance.path = slashed(&whole);
                    Position { line: 1, column: 1 }
                }
                _ => lines.position(&object.text, start),
            };
            let finding =
                Finding::new(sighting, offset, position, provenance, plan.secrets, &plan.recognizer, self.shared.now);
            let finding = if first.kind == git::ObjectKind::Tree { finding.map(Finding::in_name) } else { finding };
            let is_suppressed = plan.inline.suppresses(&object.text, start, end);
            past.extend(finding.map(|finding| Past { finding, is_suppressed }));
        }
        Ok(past)
    }

    /// The findings and gaps of a blob that was opened.
    fn open(&mut self, blob: git::Opened<Harvest>, coverage: &mut Coverage, past: &mut Vec<Past>) {
        let git::Opened { object, mut told, provenance } = blob;
        let path = provenance.as_ref().and_then(|first| first.path.as_deref());
        if path.is_some_and(|path| self.repository.excludes(path, self.shared.plan)) {
            return;
        }
        let place = self.provenance(&object, git::ObjectKind::Blob, provenance.as_ref());
        told.place_at(&object, &place);
        coverage.merge(told.coverage);
        let is_told = provenance.is_some() || self.shared.plan.unreachable == Unreachable::Told;
        if !is_told {
            let unreachable = Gap::Unreachable.name();
            let own = inert(&self.repository.own, 300);
            coverage.skipped.add_many(unreachable, told.findings.len() as u64, [own]);
            return;
        }
        past.extend(told.findings.into_iter().map(|finding| Past { finding, is_suppressed: false }));
        self.inline += told.inline;
    }

    fn provenance(
        &mut self,
        object: &git::ObjectId,
        kind: git::ObjectKind,
        first: Option<&git::Provenance>,
    ) -> Provenance {
        let path = first.and_then(|first| first.path.as_deref());
        Provenance {
            path: path.map_or_else(|| self.repository.own.clone(), |path| slashed(&self.repository.prefix.join(path))),
            members: Vec::new(),
            source: Source::Git(Box::new(self.commit(object, kind, first))),
        }
    }

    fn commit(&mut self, object: &git::ObjectId, kind: git::ObjectKind, first: Option<&git::Provenance>) -> Commit {
        let mut commit = Commit { object: object.to_string(), object_kind: kind.name().into(), ..Commit::default() };
        let Some(first) = first else { return commit };
        commit.id = first.commit.map(|id| id.to_string()).unwrap_or_default();
        commit.authored_at = first.author.as_ref().map(|author| author.wrote_at);
        // What a tag names by itself is in no commit; a tag says who made it.
        let Ok(named_by) = self.reader.read(&first.commit.unwrap_or(*object)) else { return commit };
        if named_by.kind == git::ObjectKind::Blob {
            return commit;
        }
        authorship::describe(&mut commit, &named_by.text, &self.shared.plan.recognizer);
        commit
    }
}

/// A hit with its token. `None` if it is not in the text.
fn sighting(hit: &git::Finding<Found>, text: &[u8]) -> Option<Sighting> {
    let stands = text.get(hit.start..hit.end)?;
    let token = hit.found.decoded.as_ref().map_or(stands, |decoded| decoded.as_slice());
    Some(Sighting {
        kind: hit.found.kind.clone(),
        confidence: hit.found.confidence,
        range: hit.start..hit.end,
        encodings: hit.found.encodings.clone(),
        text: Zeroizing::new(token.to_vec()),
    })
}

/// Adds what was read of a repository, and what was not.
fn add(coverage: &mut Coverage, read: &git::Coverage, plan: &Plan, own: &str) {
    for tally in [read.blobs, read.commits, read.tags, read.trees] {
        coverage.objects += tally.objects;
    }
    coverage.bytes += read.blobs.bytes + read.commits.bytes + read.tags.bytes;
    coverage.add_git(&read.gaps, plan);
    let unreachable = Gap::Unreachable.name();
    coverage.skipped.add_many(unreachable, read.unreachable_hits, [inert(own, 300)]);
}
