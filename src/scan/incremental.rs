//! Incremental scans: what was read of a history once is not read again.
//!
//! A history only grows at its tips, so the tips of the last scan say all that was read by it. Three things must stay
//! true, or a scan would call clean what nobody looked at:
//!
//! - Only a history that was read to its end, and of which no token was told, is remembered. One with findings is read again
//!   until they are dealt with.
//! - Whatever decides what is found (kinds, limits, what is known already) is part of what is remembered; if it
//!   changes, everything is read.
//! - What a remembered history cannot show, such as LFS pointers, is told again each time.
//!
//! The state holds ids of commits, a digest of the settings and counts: no path, and nothing of a token.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::changes::Reading;
use super::coverage::Gap;
use super::git::{self, Gaps, ObjectId, ObjectKind, Places, Range, References};
use super::plan::Plan;
use super::range::{self, Extra};
use super::read::{Harvest, Shared};
use super::repository::Chosen;
use crate::token::FindingId;

/// The form of the state; one of another form is not read.
const VERSION: u32 = 1;

/// What earlier scans have read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What decides about findings in this scan.
    settings: String,
    repositories: BTreeMap<String, Record>,
}

/// What was read of one repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    settings: String,
    tips: BTreeSet<String>,
    #[serde(default)]
    gaps: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    repositories: BTreeMap<String, Record>,
}

/// The file is not a state, or one of another version.
#[derive(Debug, thiserror::Error)]
#[error("it is no state of this version")]
pub struct BadState;

/// What this scan has read of a repository, to be remembered if nothing was found.
#[derive(Debug)]
pub struct Pending {
    repository: String,
    tips: BTreeSet<String>,
    gaps: BTreeMap<String, u64>,
    found: BTreeSet<FindingId>,
}

/// What cannot be shown by reading it again.
const LASTING: &[git::Gap] = &[git::Gap::LfsPointer, git::Gap::Submodule];

impl State {
    /// `typed` is what was asked for beside the plan's own values.
    pub fn new(plan: &Plan, typed: &str) -> Self {
        let mut text = String::from(env!("CARGO_PKG_VERSION"));
        for kind in plan.recognizer.kinds() {
            let _ = write!(text, "\n{kind:?}");
        }
        let _ = write!(
            text,
            "\n{:?} {} {:?} {:?} {:?} {:?} {:?} {}\n{}\n{typed}",
            plan.min_confidence,
            plan.decode_depth,
            plan.archives,
            plan.max_file_size,
            plan.inline,
            plan.lfs,
            plan.submodules,
            plan.max_object(),
            plan.baseline,
        );
        Self { settings: hex(text.as_bytes()), repositories: BTreeMap::new() }
    }

    /// The same settings, with what the text of a state remembers.
    pub fn with(self, text: &str) -> Result<Self, BadState> {
        let file: File = serde_json::from_str(text).map_err(|_| BadState)?;
        let is_id = |tip: &String| ObjectId::from_hex(tip.as_bytes()).is_some();
        let is_right =
            file.version == VERSION && file.repositories.values().all(|record| record.tips.iter().all(is_id));
        if is_right { Ok(Self { repositories: file.repositories, ..self }) } else { Err(BadState) }
    }

    /// What is remembered after a scan.
    pub fn after(&self, pending: Vec<Pending>, told: &BTreeSet<&FindingId>) -> Self {
        let mut next = self.clone();
        for one in pending {
            let lasts = |gap: &String| LASTING.iter().any(|lasting| lasting.name() == gap);
            let is_clean = one.gaps.keys().all(lasts) && !one.found.iter().any(|id| told.contains(id));
            if is_clean {
                let record = Record { settings: self.settings.clone(), tips: one.tips, gaps: one.gaps };
                next.repositories.insert(one.repository, record);
            } else {
                next.repositories.remove(&one.repository);
            }
        }
        next
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = File { version: VERSION, repositories: self.repositories.clone() };
        let text = serde_json::to_string_pretty(&file).map_err(|_| fmt::Error)?;
        writeln!(f, "{text}")
    }
}

/// A repository whose history is about to be read.
pub struct Visit {
    repository: String,
    tips: BTreeSet<ObjectId>,
    /// Whether those are all.
    is_known: bool,
}

impl Visit {
    /// Notes where the history ends now, before it is read: what is committed meanwhile is left to the next scan.
    pub fn begin(places: &Places) -> Self {
        let folder = places.objects.first().map(|folder| folder.as_os_str().as_encoded_bytes()).unwrap_or_default();
        let mut gaps = Gaps::default();
        let tips = git::tips(places, &mut gaps).into_iter().collect();
        Self { repository: hex(folder), tips, is_known: gaps.count(git::Gap::Reftable) == 0 }
    }

    /// Reads what is new since the last scan; `None` if everything has to be read.
    pub fn read_new(&self, state: &State, places: Places, prefix: &Path, shared: &Shared<'_>) -> Option<Harvest> {
        let record = state.repositories.get(&self.repository)?;
        // Without references nobody knows what is new.
        if record.settings != state.settings || !self.is_known {
            return None;
        }
        let known = record.tips.iter().filter_map(|tip| ObjectId::from_hex(tip.as_bytes()));
        let known: BTreeSet<ObjectId> = known.collect();
        let chosen = Chosen::whole(places, prefix);
        let mut gaps = Gaps::default();
        let reading = Reading::open(&chosen, shared, &mut gaps);
        let mut reader = reading.reader();
        let references = References::read(&chosen.places);
        let mut range = Range::default();
        let mut extra = Vec::new();
        for tip in &self.tips {
            let commit = references.commit(&tip.to_string(), &mut reader).ok();
            range.tips.extend(commit);
            if !known.contains(tip)
                && let Ok(object) = reader.read(tip)
                && object.kind != ObjectKind::Commit
            {
                extra.push(Extra { id: *tip, kind: object.kind });
            }
        }
        range.without.extend(known.iter().filter_map(|tip| references.commit(&tip.to_string(), &mut reader).ok()));
        drop(reader);
        let mut harvest = range::scan_range(&range, &extra, &chosen, &reading, gaps);
        for lasting in LASTING {
            let count = record.gaps.get(lasting.name()).copied().unwrap_or_default();
            harvest.coverage.gaps.add_many(lasting.name(), count, None);
        }
        let own = super::read::slashed(&chosen.prefix.join(".git"));
        harvest.coverage.skipped.add(Gap::ReadBefore, &crate::redact::inert(&own, 300));
        Some(harvest)
    }

    /// What was read, with its gaps and what was found in it.
    pub fn end<'f>(self, gaps: &super::coverage::Gaps, found: impl Iterator<Item = &'f FindingId>) -> Pending {
        Pending {
            repository: self.repository,
            tips: self.tips.iter().map(ToString::to_string).collect(),
            gaps: gaps.iter().map(|(reason, count)| (reason.to_owned(), count.count)).collect(),
            found: found.cloned().collect(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::recognize::Recognizer;

    #[test]
    fn a_state_is_read_as_it_was_written_and_nonsense_is_refused() {
        let plan = Plan::new(Vec::new(), Arc::new(Recognizer::builtin()), Clock::system());
        let empty = State::new(&plan, "x");
        assert_ne!(empty, State::new(&plan, "y"));
        let pending = |gap: &str, found: &[&FindingId]| Pending {
            repository: "r".into(),
            tips: BTreeSet::from(["ab".repeat(20)]),
            gaps: BTreeMap::from([(gap.to_owned(), 2)]),
            found: found.iter().copied().cloned().collect(),
        };
        let state = empty.after(vec![pending("LFS pointer", &[])], &BTreeSet::new());
        assert_eq!(state.repositories.len(), 1);
        assert_eq!(empty.clone().with(&state.to_string()).expect("it was written"), state);
        // One that is damaged, or in which something was told, is forgotten.
        assert_eq!(state.after(vec![pending("damaged", &[])], &BTreeSet::new()), empty);
        let id = FindingId::parse("st1:npm:0123456789abcdef0123").expect("it is one");
        assert_eq!(state.after(vec![pending("LFS pointer", &[&id])], &BTreeSet::from([&id])), empty);
        for bad in ["", "{}", "{\"version\":2,\"repositories\":{}}", &state.to_string().replace("ab", "zz")] {
            assert!(empty.clone().with(bad).is_err(), "{bad}");
        }
    }
}
