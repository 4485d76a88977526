//! What was dealt with stays dealt with, whatever git does to the commits and paths that it was found in.

use super::repo::Repo;
use super::support::{found, token};

/// A repository with a token on a branch of three commits, `main` behind it.
fn branched() -> Repo {
    let repo = Repo::new();
    repo.commit("readme", Some("one\n"));
    repo.git(&["checkout", "-q", "-b", "work"]);
    repo.commit("src/app.py", Some("a = 1\n"));
    repo.commit("src/app.py", Some(&format!("a = 1\nkey = \"{}\"\n", token("npm-access-token", 31))));
    repo.commit("src/app.py", Some(&format!("# said\n\n\na = 1\nkey = \"{}\"\n", token("npm-access-token", 31))));
    repo
}

type Fate = (&'static str, fn(&Repo));

/// What people do next, each with its name.
const FATES: &[Fate] = &[
    ("squash", |repo| {
        repo.git(&["checkout", "-q", "main"]);
        repo.git(&["merge", "-q", "--squash", "work"]);
        repo.save("Squashed");
        repo.git(&["branch", "-q", "-D", "work"]);
        repo.git(&["reflog", "expire", "--expire=now", "--all"]);
        repo.git(&["gc", "-q", "--prune=now"]);
    }),
    ("rename", |repo| {
        repo.git(&["mv", "src/app.py", "renamed.py"]);
        repo.save("Move");
    }),
    ("merge", |repo| {
        repo.git(&["checkout", "-q", "main"]);
        repo.commit("readme", Some("two\n"));
        repo.git(&["merge", "-q", "--no-ff", "-m", "Merge", "work"]);
    }),
    ("rebase", |repo| {
        repo.git(&["checkout", "-q", "main"]);
        repo.commit("readme", Some("three\n"));
        repo.git(&["checkout", "-q", "work"]);
        repo.git(&["rebase", "-q", "main"]);
    }),
    ("squash, rename and merge", |repo| {
        repo.git(&["reset", "-q", "--soft", "main"]);
        repo.save("All at once");
        repo.git(&["mv", "src/app.py", "lib.py"]);
        repo.save("Move");
        repo.git(&["checkout", "-q", "main"]);
        repo.commit("other", Some("x"));
        repo.git(&["merge", "-q", "--no-ff", "-m", "Merge", "work"]);
        repo.git(&["reflog", "expire", "--expire=now", "--all"]);
        repo.git(&["gc", "-q", "--prune=now"]);
    }),
];

#[test]
fn an_ignored_and_a_baselined_finding_stay_so_over_squash_rename_merge_and_rebase() {
    for (name, fate) in FATES {
        let repo = branched();
        let report = repo.folder.scan(&[]);
        let id = report["findings"][0]["id"].as_str().expect("the token is found").to_owned();
        let outside = super::support::Folder::new();
        let baseline = outside.path().join("known").display().to_string();
        let ignore = outside.path().join("ignore").display().to_string();
        assert_eq!(repo.folder.run(&["scan", "--update-baseline", &baseline]).code(), 0);
        std::fs::write(&ignore, format!("{id}\n")).expect("the folder is ours");
        fate(&repo);
        let again = repo.folder.scan(&[]);
        assert!(!found(&again).is_empty(), "{name}: the token is still there");
        assert!(again["findings"].as_array().is_some_and(|all| all.iter().all(|one| one["id"] == *id)), "{name}");
        for known in [["-b", &baseline], ["--ignore-file", &ignore]] {
            let ran = repo.folder.run(&["scan", known[0], known[1]]);
            assert_eq!(ran.code(), 0, "{name}, {}: {}", known[0], ran.out());
        }
        // Nothing else is hidden by it.
        repo.commit("new.env", Some(&token("npm-access-token", 32)));
        let ran = repo.folder.run(&["scan", "--json", "-b", &baseline, "--ignore-file", &ignore]);
        assert_eq!(found(&ran.json()), [("npm-access-token".into(), "new.env".into())], "{name}");
    }
}
