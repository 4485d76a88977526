//! `stanch token`.

use crate::stanch::{Folder, Said};

fn create(folder: &Folder, name: &str, rest: &[&str]) -> Said {
    let args = ["token", "create", "--owner-email", "ada@example.org", "--owner-name", "Ada", "--name", name];
    folder.run(&[&args, rest].concat())
}

#[test]
fn the_token_alone_goes_to_standard_output() {
    let folder = Folder::set_up();
    let said = create(&folder, "ci", &["--expires", "90d", "--scope", "upload"]).expect_code(0);
    let token = said.out.strip_suffix('\n').expect("one line");
    assert!(token.starts_with("stanch_pat_") && token.len() == 49, "its form");
    assert!(!said.err.contains(token) && said.err.contains("in 90 days"), "{}", said.err);
    let listed = folder.run(&["token", "list", "--json"]).expect_code(0);
    assert!(!listed.out.contains(token) && !listed.out.contains("ada@example.org"));
    let entry = &listed.json()[0];
    assert_eq!(
        (&entry["name"], &entry["state"], &entry["scopes"][0]),
        (&"ci".into(), &"active".into(), &"upload".into())
    );
}

#[test]
fn a_name_is_used_once_until_its_token_is_revoked() {
    let folder = Folder::set_up();
    create(&folder, "ci", &[]).expect_code(0);
    let again = create(&folder, "ci", &[]).expect_code(1);
    assert!(again.out.is_empty() && again.err.contains("has a token called `ci` already"), "{}", again.err);
    let id = folder.run(&["token", "list", "--json"]).json()[0]["id"].as_str().expect("an id").to_owned();
    assert!(folder.run(&["token", "revoke", &id]).expect_code(0).err.contains("revoked token"));
    assert!(folder.run(&["token", "revoke", &id]).expect_code(0).err.contains("was dead already"));
    create(&folder, "ci", &[]).expect_code(0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = Folder::set_up();
    create(&folder, "ci", &["--expires", "2020-01-01T00:00:00Z"]).expect_code(1);
    create(&folder, "ci", &["--expires", "tomorrow"]).expect_code(2);
    create(&folder, " ", &[]).expect_code(1);
    let said =
        folder.run(&["token", "create", "--owner-email", "nobody", "--owner-name", "A", "--name", "n"]).expect_code(1);
    assert!(!said.err.contains("nobody"), "addresses are personal: {}", said.err);
    folder.run(&["token", "revoke", "inc_01h455vb4pex5vsknk084sn02q"]).expect_code(2);
    folder.configure("[issuer.builtin]\nenabled = false\n");
    let off = folder.run(&["token", "list"]).expect_code(1);
    assert!(off.err.contains("the built-in issuer is switched off"), "{}", off.err);
}

/// A token that can be given to `run_with`.
fn token_of(said: &Said) -> String {
    said.out.trim_end().to_owned()
}

#[test]
fn a_macaroon_is_narrowed_offline_inspected_and_checked() {
    let folder = Folder::set_up();
    let made = create(&folder, "up", &["--kind", "macaroon", "--project", "Engine"]).expect_code(0);
    let token = token_of(&made);
    let with = |token: &str, args: &[&str]| folder.run_with(args, &[("STANCH_TOKEN", token)]);
    let narrowed = with(&token, &["token", "restrict", "--expires-in", "15m", "--cidr", "192.0.2.0/24"]).expect_code(0);
    let child = token_of(&narrowed);
    assert!(child.starts_with("stanch-") && child != token && narrowed.err.contains("added [0,"), "{}", narrowed.err);
    // What is printed for a ticket holds nothing of the secret.
    let inspected = with(&child, &["token", "inspect", "--json"]).expect_code(0);
    assert!(!inspected.out.contains(&child[child.len() - 20..]));
    let facts = inspected.json();
    assert_eq!((&facts["kind"], &facts["macaroon"]["one_spelling"]), (&"stanch-macaroon".into(), &true.into()));
    assert_eq!(facts["macaroon"]["caveats"].as_array().map(Vec::len), Some(3), "{facts}");
    let told = with(&child, &["token", "inspect"]).expect_code(0).out;
    assert!(told.contains("[1,[\"engine\"]]"), "{told}");
    let check = |token: &str, rest: &[&str]| with(token, &[&["token", "check"], rest].concat());
    let from = ["--project", "engine", "--address", "192.0.2.9"];
    assert_eq!(check(&child, &from).expect_code(0).out, "accepted\n");
    let refused = check(&child, &["--project", "other", "--address", "192.0.2.9"]).expect_code(1).out;
    assert!(refused.contains("not valid for project: 'other'"), "{refused}");
    check(&child, &[&from[..], &["--now", "2099-01-01T00:00:00Z"]].concat()).expect_code(1);
    check("stanch-nonsense", &from).expect_code(2);
    assert_eq!(check(&token, &["--project", "engine", "--json"]).expect_code(0).json()["accepted"], true);
    // Nothing that no reader would understand, nor half a window, nor nothing at all.
    for bad in [&["--project", "A_b"][..], &["--not-before", "2026-01-01T00:00:00Z"], &[], &["--user", "nope"]] {
        with(&token, &[&["token", "restrict"], bad].concat()).expect_code(2);
    }
    let pypi =
        with(&token.replacen("stanch-", "pypi-", 1), &["token", "restrict", "--cidr", "192.0.2.0/24"]).expect_code(2);
    assert!(pypi.err.contains("PyPI knows no such restriction"), "{}", pypi.err);
    with("neither a token nor anything else", &["token", "inspect"]).expect_code(2);
}

#[test]
fn a_narrowed_copy_is_revoked_alone_and_then_all_of_it() {
    let folder = Folder::set_up();
    let token = token_of(&create(&folder, "up", &["--kind", "macaroon"]).expect_code(0));
    let with = |token: &str, args: &[&str]| folder.run_with(args, &[("STANCH_TOKEN", token)]);
    let child = token_of(&with(&token, &["token", "restrict", "--audience", "upload"]).expect_code(0));
    let id = folder.run(&["token", "list", "--json"]).json()[0]["id"].as_str().expect("an id").to_owned();
    folder.write("child.txt", &format!("  {child}\n"));
    let said = folder.run_fed(&["token", "revoke", "--branch", "-"], &child).expect_code(0);
    assert!(said.err.contains("the token itself lives on"), "{}", said.err);
    with(&child, &["token", "check", "--audience", "upload"]).expect_code(1);
    with(&token, &["token", "check"]).expect_code(0);
    folder.run_fed(&["token", "revoke", "--branch", "-"], &token).expect_code(1);
    let said = folder.run_fed(&["token", "revoke", "-"], &format!("Authorization: Bearer {token}\n")).expect_code(0);
    assert!(said.err.contains(&id), "{}", said.err);
    with(&token, &["token", "check"]).expect_code(1);
    folder.run_fed(&["token", "revoke", "-"], "no token at all").expect_code(1);
}

#[test]
fn a_rotated_token_is_listed_with_what_it_replaced() {
    let folder = Folder::set_up();
    create(&folder, "ci", &["--expires", "90d"]).expect_code(0);
    let id = folder.run(&["token", "list", "--json"]).json()[0]["id"].as_str().expect("an id").to_owned();
    let rotated = folder.run(&["token", "rotate", &id, "--overlap", "2h", "--json"]).expect_code(0).json();
    assert_eq!((&rotated["family_id"], &rotated["name"]), (&id.as_str().into(), &"ci".into()));
    assert!(rotated["token"].as_str().is_some_and(|token| token.starts_with("stanch_pat_")));
    assert_eq!(folder.run(&["token", "list", "--expiring", "3h", "--json"]).json().as_array().map(Vec::len), Some(1));
    assert_eq!(folder.run(&["token", "list", "--unused-for", "0s", "--json"]).json().as_array().map(Vec::len), Some(2));
    assert!(folder.run(&["token", "rotate", &id]).expect_code(1).err.contains("rotated before"));
    folder.run(&["token", "suspend", rotated["id"].as_str().expect("an id")]).expect_code(0);
    assert_eq!(folder.run(&["token", "list", "--status", "suspended", "--json"]).json()[0]["id"], rotated["id"]);
    folder.run(&["token", "resume", rotated["id"].as_str().expect("an id")]).expect_code(0);
}

#[test]
fn a_token_of_another_program_is_taken_over_by_its_hash() {
    let folder = Folder::set_up();
    // SHA-256 of a made-up token in the form that another program mints.
    let sha256 = "fa4668d84157c13643afd7e098cbdab4cb9e7c0d8654066b38e24e5ed9825ba3";
    let import = ["token", "import", "--owner", "ada@example.org", "--name", "old", "--sha256", sha256];
    folder.run(&import).expect_code(0);
    folder.run(&import).expect_code(1);
    folder.run(&["token", "import", "--owner", "ada@example.org", "--name", "x", "--sha256", "abc"]).expect_code(2);
    let text = format!("ro_pat_{}", ('0'..='9').chain('A'..='V').collect::<String>());
    folder.run_with(&["token", "check"], &[("STANCH_TOKEN", &text)]).expect_code(0);
}
