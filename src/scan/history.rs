//! History: what was committed to the repositories of a tree, by itself and together with the files.
//!
//! `git` reads the objects and `engine` finds tokens in them; here their hits become findings. A token that stands in
//! many versions of a file is told once for that path, with the first commit that had it; if the file in the work tree
//! still has it, the finding of the file is the one that is told, with that commit.
//!
//! Two things must stay true. A repository whose history was not read is a gap, unless the plan leaves it out. And a
//! tree leads nowhere: a `.git` file is followed to another repository only from the folder that was named.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use zeroize::Zeroizing;

use super::coverage::{Coverage, Gap};
use super::engine::{Found, Texts};
use super::finding::Finding;
use super::git::{self, Places, Reader, Store};
use super::incremental::Visit;
use super::lines::Lines;
use super::plan::{History, Plan, Unreachable};
use super::provenance::{Commit, Provenance, Source};
use super::read::{Harvest, Shared, slashed};
use super::text::{self, Sighting};
use super::tree::Repository;
use crate::recognize::Scratch;
use crate::redact::inert;
use crate::token::FindingId;

/// Scans the repositories that were met in the tree at `root`.
pub fn scan(root: &Path, repositories: &[Repository], shared: &Shared<'_>, harvest: &mut Harvest) {
    let mut read = HashSet::new();
    let mut past = Vec::new();
    for repository in repositories {
        let shown = match repository {
            Repository::Here(path) | Repository::Elsewhere(path) => inert(&slashed(path), 300),
        };
        if shared.plan.history == History::None {
            harvest.coverage.skipped.add(Gap::History, &shown);
            continue;
        }
        match open(root, repository) {
            Ok(Some(opened)) if read.insert(opened.objects.clone()) => {
                if opened.visit(shared, harvest, &mut past).is_err() {
                    harvest.coverage.gaps.add(Gap::History, &shown);
                }
            }
            Ok(_) => {}
            Err(_) => harvest.coverage.gaps.add(Gap::History, &shown),
        }
    }
    tell_once(&mut harvest.findings, past, &mut harvest.inline);
}

/// Scans a bare repository that was fetched to be read under a name.
pub fn scan_fetched(path: &Path, name: &str, shared: &Shared<'_>, harvest: &mut Harvest) {
    let opened = Places::find(path, &mut git::Gaps::default()).ok().and_then(|places| {
        let objects = places.objects.first().cloned()?;
        Some(Opened { path: path.to_owned(), prefix: PathBuf::from(name), own: name.to_owned(), objects })
    });
    let mut past = Vec::new();
    if opened.is_none_or(|opened| opened.visit(shared, harvest, &mut past).is_err()) {
        harvest.coverage.gaps.add(Gap::History, &inert(name, 300));
    }
    tell_once(&mut harvest.findings, past, &mut harvest.inline);
}

/// A repository, ready to be read.
struct Opened {
    /// What the engine is given: the work tree, or the bare repository.
    path: PathBuf,
    /// What stands before paths of its files.
    prefix: PathBuf,
    /// The folder of the repository itself, the place of what has no path.
    own: String,
    objects: PathBuf,
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
    Ok(Some(Opened { prefix: path.clone(), path, own: slashed(own), objects }))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl Opened {
    /// Reads the history, or what is new in it.
    fn visit(&self, shared: &Shared<'_>, harvest: &mut Harvest, past: &mut Vec<Past>) -> Result<(), git::Error> {
        let Some(state) = &shared.plan.state else { return self.scan(shared, &mut harvest.coverage, past) };
        let places = Places::find(&self.path, &mut git::Gaps::default())?;
        let visit = Visit::begin(&places);
        let from = past.len();
        let mut coverage = Coverage::default();
        if let Some(mut new) = visit.read_new(state, places, &self.prefix, shared) {
            let found = std::mem::take(&mut new.findings);
            past.extend(found.into_iter().map(|finding| Past { finding, is_suppressed: false }));
            coverage = std::mem::take(&mut new.coverage);
            harvest.merge(new);
        } else {
            self.scan(shared, &mut coverage, past)?;
        }
        let told = past[from..].iter().filter(|one| !one.is_suppressed).map(|one| &one.finding.id);
        harvest.pending.push(visit.end(&coverage.gaps, told));
        harvest.coverage.merge(coverage);
        Ok(())
    }

    fn scan(&self, shared: &Shared<'_>, coverage: &mut Coverage, past: &mut Vec<Past>) -> Result<(), git::Error> {
        let plan = shared.plan;
        let options = git::Options {
            max_object_bytes: plan.max_object(),
            threads: plan.workers(),
            selection: match plan.unreachable {
                Unreachable::Counted => git::Selection::Reachable,
                Unreachable::Told => git::Selection::All,
            },
            progress: Arc::clone(&plan.progress),
        };
        let detector = Texts::new(shared.scanner);
        let mut hits = Vec::new();
        let read = until(shared.until, |stop| {
            git::scan_repository(&self.path, &detector, &options, stop, &mut |hit| hits.push(hit))
        })?;
        add(coverage, &read, plan, &self.own);
        if hits.is_empty() {
            return Ok(());
        }
        let mut known = git::Gaps::default();
        let store = Store::open(&Places::find(&self.path, &mut known)?, &mut known)?;
        let mut teller = Teller { repository: self, shared, reader: Reader::new(&store, options.max_object_bytes) };
        for hits in hits.chunk_by(|one, two| one.object == two.object) {
            match teller.findings(hits) {
                Ok(told) => past.extend(told),
                Err(gap) => coverage.gaps.add_many(gap.name(), 1, [hits[0].object.to_string()]),
            }
        }
        Ok(())
    }

    fn is_excluded(&self, path: &Path, plan: &Plan) -> bool {
        let path = self.prefix.join(path);
        let path = path.strip_prefix(".").unwrap_or(&path);
        let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        plan.paths.matched(path, false).is_ignore()
            || folders.into_iter().any(|folder| plan.paths.matched(folder, true).is_ignore())
    }
}

/// A finding in an object, and whether a comment there suppresses it.
struct Past {
    finding: Finding,
    is_suppressed: bool,
}

/// Makes findings of hits.
struct Teller<'r, 's> {
    repository: &'r Opened,
    shared: &'r Shared<'r>,
    reader: Reader<'s>,
}

impl Teller<'_, '_> {
    /// The findings of one object.
    fn findings(&mut self, hits: &[git::Finding<Found>]) -> Result<Vec<Past>, git::Gap> {
        let plan = self.shared.plan;
        let Some(first) = hits.first() else { return Ok(Vec::new()) };
        let path = first.provenance.as_ref().and_then(|first| first.path.as_deref());
        if path.is_some_and(|path| self.repository.is_excluded(Path::new(path), plan)) {
            return Ok(Vec::new());
        }
        let object = self.reader.read(&first.object)?;
        let mut sightings = hits.iter().map(|hit| sighting(hit, &object.text)).collect::<Option<Vec<_>>>();
        let sightings = sightings.as_mut().ok_or(git::Gap::Damaged)?;
        text::settle(sightings);
        let provenance = Provenance {
            path: path.map_or_else(|| self.repository.own.clone(), |path| slashed(&self.repository.prefix.join(path))),
            members: Vec::new(),
            source: Source::Git(Box::new(self.commit(first))),
        };
        let mut lines = Lines::default();
        let mut past = Vec::new();
        for sighting in sightings.iter().filter(|sighting| sighting.confidence >= plan.min_confidence) {
            let (start, end) = (sighting.range.start, sighting.range.end);
            let finding = Finding::new(
                sighting,
                start as u64,
                lines.position(&object.text, start),
                provenance.clone(),
                plan.secrets,
                &plan.recognizer,
                self.shared.now,
            );
            let is_suppressed = plan.inline.suppresses(&object.text, start, end);
            past.extend(finding.map(|finding| Past { finding, is_suppressed }));
        }
        Ok(past)
    }

    fn commit(&mut self, hit: &git::Finding<Found>) -> Commit {
        let mut commit =
            Commit { object: hit.object.to_string(), object_kind: hit.kind.name().into(), ..Commit::default() };
        let Some(first) = &hit.provenance else { return commit };
        commit.id = first.commit.map(|id| id.to_string()).unwrap_or_default();
        commit.authored_at = first.author.as_ref().map(|author| author.wrote_at);
        // What a tag names by itself is in no commit; a tag says who made it.
        let Ok(named_by) = self.reader.read(&first.commit.unwrap_or(hit.object)) else { return commit };
        if named_by.kind == git::ObjectKind::Blob {
            return commit;
        }
        let (head, message) = parts(&named_by.text);
        // A report tells no token, nor what may be a part of one.
        if let Some(author) = first.author.as_ref().filter(|_| !self.holds_token(head)) {
            commit.author.clone_from(&author.name);
            commit.email.clone_from(&author.email);
        }
        let subject = message.split(|byte| *byte == b'\n').next().unwrap_or_default();
        commit.summary = if self.holds_token(message) {
            "(holds a token)".into()
        } else {
            String::from_utf8_lossy(subject).into_owned()
        };
        commit
    }

    fn holds_token(&self, text: &[u8]) -> bool {
        let mut holds = false;
        self.shared.plan.recognizer.scan(text, &mut Scratch::new(), |_| holds = true);
        holds
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

/// The head of a commit or a tag, and its message.
fn parts(text: &[u8]) -> (&[u8], &[u8]) {
    let head = memchr::memmem::find(text, b"\n\n").unwrap_or(text.len());
    (&text[..head], text.get(head + 2..).unwrap_or_default())
}

/// Adds what was read of a repository, and what was not.
fn add(coverage: &mut Coverage, read: &git::Coverage, plan: &Plan, own: &str) {
    for tally in [read.blobs, read.commits, read.tags, read.trees] {
        coverage.objects += tally.objects;
    }
    coverage.bytes += read.blobs.bytes + read.commits.bytes + read.tags.bytes;
    coverage.add_git(&read.gaps, plan);
    coverage.skipped.add(Gap::HistoryAsText, &inert(own, 300));
    let unreachable = Gap::Unreachable.name();
    coverage.skipped.add_many(unreachable, read.unreachable_hits, [inert(own, 300)]);
}

/// Puts the findings of the past to those of the files: each token once for each path.
fn tell_once(findings: &mut Vec<Finding>, past: Vec<Past>, inline: &mut u64) {
    let mut files: HashMap<(FindingId, String), Vec<usize>> = HashMap::new();
    for (at, finding) in findings.iter().enumerate().filter(|(_, finding)| finding.provenance.members.is_empty()) {
        files.entry((finding.id.clone(), finding.provenance.path.clone())).or_default().push(at);
    }
    let mut told = HashSet::new();
    // The oldest first, as the repository was read.
    for Past { finding, is_suppressed } in past {
        let key = (finding.id.clone(), finding.provenance.path.clone());
        // What has no path is told for each object that has it.
        let object = finding.provenance.commit().filter(|commit| commit.object_kind != "blob" || commit.id.is_empty());
        let object = object.map(|commit| commit.object.clone());
        if is_suppressed {
            *inline += 1;
            continue;
        }
        if !told.insert((key.clone(), object)) {
            continue;
        }
        match files.get(&key) {
            Some(same) => {
                for at in same {
                    findings[*at].first_seen = finding.provenance.commit().cloned().map(Box::new);
                }
            }
            None => findings.push(finding),
        }
    }
}

/// Works until it is done or the time is over.
fn until<T>(end: Option<Instant>, work: impl FnOnce(&AtomicBool) -> T) -> T {
    let stop = AtomicBool::new(false);
    let Some(end) = end else { return work(&stop) };
    thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        let stop = &stop;
        scope.spawn(move || {
            let left = end.saturating_duration_since(Instant::now());
            if waiting.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        let result = work(stop);
        drop(done);
        result
    })
}
