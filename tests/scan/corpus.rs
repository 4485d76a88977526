//! How many planted tokens are named, and how many decoys: the project's bars, on a corpus that is the same every time.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use stanch::token::catalogue;

use super::planted::{Plant, Planter};
use super::repo::Repo;
use super::support::{Folder, found};

const SEED: u64 = 20_261_124;

/// The least share of each group that must be named, of a hundred.
const BARS: [(&str, usize); 4] = [("plain", 95), ("encoded", 95), ("archive", 90), ("history", 95)];
/// The largest share of decoys that may be told at all.
const DECOYS: usize = 3;

fn issuer(id: &str) -> Option<&str> {
    catalogue::builtin().iter().find(|kind| kind.id == id).map(|kind| kind.issuer.as_ref())
}

/// Whether a report names the token: at its place, as a kind of its issuer.
fn is_named(plant: &Plant, told: &BTreeMap<String, Vec<String>>) -> bool {
    let place = plant.commit.as_ref().unwrap_or(&plant.path);
    told.get(place).is_some_and(|kinds| kinds.iter().any(|kind| issuer(kind) == Some(plant.kind.issuer.as_ref())))
}

/// The kinds that were told, by file or commit.
fn told(report: &Value, by_commit: bool) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((kind, place), finding) in found(report).into_iter().zip(report["findings"].as_array().expect("a list")) {
        let place = place.split("!/").next().unwrap_or_default().to_owned();
        if by_commit && let Some(commit) = finding["commit"]["id"].as_str() {
            all.entry(commit.to_owned()).or_default().push(kind.clone());
        }
        all.entry(place).or_default().push(kind);
    }
    all
}

#[test]
fn the_tokens_of_a_planted_corpus_are_named_and_its_decoys_are_not() {
    let (files, repo) = (Folder::new(), Repo::new());
    let mut planter = Planter::new(files.path(), SEED);
    planter.files();
    planter.decoys();
    planter.history(&repo);
    let past = told(&repo.folder.scan(&[]), true);
    let report = files.scan(&[]);
    let present = told(&report, false);

    let mut tally: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for plant in &planter.plants {
        let is_hit = match plant.group {
            "history" => is_named(plant, &past),
            "decoy" => present.contains_key(&plant.path),
            _ => is_named(plant, &present),
        };
        for context in [plant.context, ""] {
            let (hits, all) = tally.entry((plant.group, context)).or_default();
            *hits += usize::from(is_hit);
            *all += 1;
        }
    }
    let shown: Vec<_> =
        tally.iter().map(|((group, context), (hits, all))| format!("{group} {context}: {hits} of {all}")).collect();
    for (group, bar) in BARS {
        let (hits, all) = tally[&(group, "")];
        assert!(hits * 100 >= all * bar, "{group}: {hits} of {all}\n{}", shown.join("\n"));
    }
    let (flagged, all) = tally[&("decoy", "")];
    let told: Vec<_> = present.iter().filter(|(path, _)| path.starts_with("decoy/")).collect();
    assert!(flagged * 100 <= all * DECOYS, "decoys: {flagged} of {all}\n{told:?}\n{}", shown.join("\n"));
    let wrong = report["findings"].as_array().expect("a list").iter().filter(|one| {
        one["path"].as_str().is_some_and(|path| path.starts_with("decoy/checksum/")) && one["checksum"] == "good"
    });
    assert_eq!(wrong.count(), 0, "a wrong checksum is told as good");
    assert_eq!(report["complete"], true, "{}", report["coverage"]);

    // For `tests/bench-detect`, which has others search the same.
    if let Some(folder) = std::env::var_os("STANCH_PLANT_INTO").map(PathBuf::from) {
        fs::create_dir_all(&folder).expect("the folder can be made");
        fs::write(folder.join("manifest.json"), planter.manifest().to_string()).expect("the folder is ours");
        for (from, to) in [(files.path(), "files"), (repo.folder.path(), "repo")] {
            let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(folder.join(to)).status();
            assert!(copied.expect("coreutils are there").success());
        }
    }
}
