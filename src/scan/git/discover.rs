//! Discovery: which directories hold a repository's objects and references.
//!
//! The repository is data here, never a configuration: nothing in it makes anything run, and of its `config` two words
//! are read here, the format of ids and of references. Links are not followed; `.git` files, `commondir` and alternates are, since
//! without them a worktree would look empty, each of them so many times and no more.

use std::fs;
use std::path::{Path, PathBuf};

use super::loose::regular_file;
use super::oid::HashKind;
use super::settings::Settings;
use super::{Error, Gap, Gaps};
use crate::scan::absent::Lent;

/// The places of a repository.
#[derive(Debug)]
pub struct Places {
    /// Where `HEAD` is.
    pub git_dir: PathBuf,
    /// Where references and objects are: another directory than `git_dir` for a worktree.
    pub common_dir: PathBuf,
    /// Object directories: the repository's own first, then its alternates.
    pub objects: Vec<PathBuf>,
    pub hash: HashKind,
    /// Whether references are in a `reftable`.
    pub has_reftable: bool,
}

/// Alternates of alternates are followed as far as git follows them.
const MAX_ALTERNATE_DEPTH: usize = 5;
const MAX_ALTERNATES: usize = 64;

/// The longest small file that is read: `.git`, `commondir`, `config`, `alternates`.
const MAX_SMALL: u64 = 1 << 20;

impl Places {
    /// Finds the repository at `path`: a work tree, a worktree, or a bare repository.
    pub fn find(path: &Path, gaps: &mut Gaps) -> Result<Self, Error> {
        let git_dir = git_dir(path)?;
        let common_dir = match small_file(&git_dir.join("commondir")) {
            Some(text) => plain_dir(&git_dir.join(first_line(&text)))?,
            None => git_dir.clone(),
        };
        let settings = settings(&common_dir);
        let extension = |name| settings.last("extensions", "", name).map(str::to_ascii_lowercase);
        let hash = match extension("objectformat").as_deref() {
            None | Some("sha1") => HashKind::Sha1,
            Some("sha256") => HashKind::Sha256,
            Some(_) => return Err(Error::UnknownFormat),
        };
        let has_reftable = extension("refstorage").is_some_and(|storage| storage == "reftable");
        let own = plain_dir(&common_dir.join("objects"))?;
        let objects = with_alternates(own, gaps);
        Ok(Self { git_dir, common_dir, objects, hash, has_reftable })
    }
}

impl Places {
    /// Leaves out alternates that are not in this folder.
    pub fn keep_within(&mut self, folder: &Path, gaps: &mut Gaps) {
        self.objects.retain(|objects| {
            let is_inside = objects.starts_with(folder);
            if !is_inside {
                gaps.add(Gap::Alternate, || objects.display().to_string());
            }
            is_inside
        });
    }

    /// Adds the objects of repositories that are lent to this one.
    pub fn borrow(&mut self, lent: &[Lent]) {
        let mine = lent.iter().filter(|lent| lent.to == self.common_dir);
        self.objects.extend(mine.map(|lent| lent.from.join("objects")));
    }
}

/// The repository's own settings.
pub fn settings(common_dir: &Path) -> Settings {
    Settings::parse(&small_file(&common_dir.join("config")).unwrap_or_default())
}

/// The work tree or bare repository that a path is in, which is canonical.
pub fn work_tree_above(path: &Path) -> Option<PathBuf> {
    let is_repository = |folder: &Path| {
        folder.join(".git").symlink_metadata().is_ok()
            || (folder.join("HEAD").is_file() && folder.join("objects").is_dir() && folder.join("refs").is_dir())
    };
    let found = path.ancestors().find(|folder| is_repository(folder))?;
    // In a `.git` one is in the repository it belongs to.
    let outer = found.parent().filter(|outer| found.ends_with(".git") && outer.join(".git") == *found);
    Some(outer.unwrap_or(found).to_owned())
}

fn git_dir(path: &Path) -> Result<PathBuf, Error> {
    let path = path.canonicalize().map_err(|_| Error::NotARepository)?;
    let dot_git = path.join(".git");
    match dot_git.symlink_metadata() {
        Ok(meta) if meta.is_dir() => return Ok(dot_git),
        Ok(meta) if meta.is_file() => {
            let text = small_file(&dot_git).ok_or(Error::NotARepository)?;
            let target = first_line(&text).strip_prefix("gitdir:").ok_or(Error::NotARepository)?.trim().to_owned();
            return plain_dir(&path.join(target));
        }
        Ok(_) => return Err(Error::Link),
        Err(_) => {}
    }
    let is_bare = path.join("HEAD").symlink_metadata().is_ok() && path.join("objects").symlink_metadata().is_ok();
    if is_bare { Ok(path) } else { Err(Error::NotARepository) }
}

/// The directory itself, not one that a link puts in its place.
fn plain_dir(path: &Path) -> Result<PathBuf, Error> {
    let meta = path.symlink_metadata().map_err(|_| Error::NotARepository)?;
    if meta.is_symlink() {
        return Err(Error::Link);
    }
    if !meta.is_dir() {
        return Err(Error::NotARepository);
    }
    path.canonicalize().map_err(|_| Error::NotARepository)
}

fn with_alternates(own: PathBuf, gaps: &mut Gaps) -> Vec<PathBuf> {
    let mut known = vec![own];
    let (mut next, mut depth) = (0, 0);
    while next < known.len() {
        let generation = known.len();
        for at in next..generation {
            let list = small_file(&known[at].join("info/alternates")).unwrap_or_default();
            for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                match plain_dir(&known[at].join(line)) {
                    Ok(objects) if known.contains(&objects) => {}
                    Ok(objects) if depth < MAX_ALTERNATE_DEPTH && known.len() < MAX_ALTERNATES => known.push(objects),
                    Ok(_) | Err(_) => gaps.add(Gap::Alternate, || line.to_owned()),
                }
            }
        }
        next = generation;
        depth += 1;
    }
    known
}

/// The text of a small file; `None` if there is none, or it is not a file, or not small.
pub fn small_file(path: &Path) -> Option<String> {
    use std::io::Read as _;

    let file = regular_file(path).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_SMALL + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_SMALL).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end()
}

/// The `core.hooksPath` of a configuration file.
pub fn hooks_path(file: &Path) -> Option<String> {
    let settings = Settings::parse(&small_file(file)?);
    settings.last("core", "", "hookspath").filter(|path| !path.is_empty()).map(str::to_owned)
}

/// Files of a directory that end so, in the order of their names.
pub fn files_ending(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .collect();
    files.sort_unstable();
    files
}
