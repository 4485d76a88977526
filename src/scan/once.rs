//! Once: a token is told once for each path, however many versions of the file it stands in.

use std::collections::{HashMap, HashSet};

use super::finding::Finding;
use super::provenance::Commit;
use crate::token::FindingId;

/// A finding in an object, and whether a comment there suppresses it.
pub struct Past {
    pub finding: Finding,
    pub is_suppressed: bool,
}

/// Puts the findings of the past to those of the files: each token once for each path.
pub fn tell_once(findings: &mut Vec<Finding>, past: Vec<Past>, inline: &mut u64) {
    let mut files: HashMap<(FindingId, String), Vec<usize>> = HashMap::new();
    for (at, finding) in findings.iter().enumerate() {
        files.entry((finding.id.clone(), finding.provenance.shown())).or_default().push(at);
    }
    let mut told = HashSet::new();
    // The oldest first, as the repository was read.
    for Past { finding, is_suppressed } in past {
        let key = (finding.id.clone(), finding.provenance.shown());
        // What has no path is told for each object that has it.
        let is_path = |commit: &Commit| matches!(&*commit.object_kind, "blob" | "tree") && !commit.id.is_empty();
        let object = finding.provenance.commit().filter(|commit| !is_path(commit));
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
