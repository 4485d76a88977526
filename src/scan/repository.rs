//! The repository that some targets are in, where a part of it is to be read: what is staged, or a range of commits.
//!
//! It is looked for from the target upwards, as git does: whoever types a command in a folder means the repository that
//! the folder is in.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::git::{Gaps, ObjectId, Places, shallow, work_tree_above};
use super::plan::{Plan, Target};
use super::read::slashed;
use super::run::Error;

/// A repository and the parts of it that were named.
pub struct Chosen {
    pub places: Places,
    /// What stands before the paths of its files in a report.
    pub prefix: PathBuf,
    /// Paths that were named, with `/`; all of it if there is none.
    parts: Vec<String>,
}

impl Chosen {
    /// The repositories of the plan's targets, each once.
    pub fn of(plan: &Plan) -> Result<Vec<Self>, Error> {
        let mut chosen: Vec<(PathBuf, Self)> = Vec::new();
        for target in &plan.targets {
            let path = match target {
                Target::Path(path) => path,
                Target::Repository { path, name } => {
                    let none = |_| Error::NoRepository(path.clone());
                    let places = plan.places(path, &mut Gaps::default()).map_err(none)?;
                    chosen.push((path.clone(), Self::whole(places, Path::new(name))));
                    continue;
                }
                Target::Stdin => return Err(Error::NoRepository(PathBuf::from("-"))),
            };
            let none = || Error::NoRepository(path.clone());
            let whole = path.canonicalize().map_err(|error| Error::Unreadable(path.clone(), error))?;
            let root = work_tree_above(&whole).ok_or_else(none)?;
            // The folder that one is in means all of the repository.
            let part = match whole.strip_prefix(&root) {
                Ok(part) if path != Path::new(".") => slashed(part),
                _ => String::new(),
            };
            if let Some((_, known)) = chosen.iter_mut().find(|(known, _)| *known == root) {
                known.add(part);
                continue;
            }
            let places = plan.places(&root, &mut Gaps::default()).map_err(|_| none())?;
            let is_named = part.is_empty() && path != Path::new(".");
            let prefix = if is_named { path.clone() } else { PathBuf::new() };
            let parts = Vec::from_iter(Some(part).filter(|part| !part.is_empty()));
            chosen.push((root, Self { places, prefix, parts }));
        }
        Ok(chosen.into_iter().map(|(_, one)| one).collect())
    }

    /// All of a repository.
    pub fn whole(places: Places, prefix: &Path) -> Self {
        Self { places, prefix: prefix.to_owned(), parts: Vec::new() }
    }

    fn add(&mut self, part: String) {
        if part.is_empty() {
            self.parts.clear();
        } else if !self.parts.is_empty() {
            self.parts.push(part);
        }
    }

    pub fn shallow(&self) -> HashSet<ObjectId> {
        shallow(&self.places).into_iter().collect()
    }

    /// How a path of the repository is told; `None` if it was not asked for.
    pub fn told(&self, path: &[u8], plan: &Plan) -> Option<String> {
        let path = String::from_utf8_lossy(path);
        let is_in = |part: &String| {
            path.strip_prefix(part.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !self.parts.is_empty() && !self.parts.iter().any(is_in) {
            return None;
        }
        let told = self.prefix.join(path.as_ref());
        (!super::changes::is_excluded(plan, &told)).then(|| slashed(&told))
    }
}
