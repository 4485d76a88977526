//! `stanch keys`.

use crate::stanch::Folder;

#[test]
fn keys_are_listed_without_their_bytes() {
    let folder = Folder::set_up();
    let said = folder.run(&["keys", "list"]).expect_code(0);
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", said.out);
    assert!(lines[0].starts_with("ROLE ") && lines[1].starts_with("fingerprint "), "{}", said.out);
    assert!(lines[1].contains("current") && lines[2].contains("current"), "{}", said.out);
    let json = folder.run(&["keys", "list", "--json"]).expect_code(0);
    assert_eq!(json.json()[0]["role"], "fingerprint");
    for role in ["seal-", "fingerprint-"] {
        let key = folder.read(&folder.key_file(role));
        assert_eq!(key.trim().len(), 64);
        assert!(!said.out.contains(key.trim()) && !json.out.contains(key.trim()));
    }
}

#[test]
fn a_rotated_key_is_current_and_the_older_one_stays() {
    let folder = Folder::set_up();
    // As if it had been made earlier: a new key sorts after it.
    let old = folder.key_file("seal-");
    std::fs::rename(folder.path(&old), folder.path("stanch-data/keys/seal-20200101t000000.key")).expect("ours");
    let said = folder.run(&["keys", "rotate", "seal"]).expect_code(0);
    assert!(said.err.contains("the current seal key") && said.err.contains("stanch keys rewrap"), "{}", said.err);
    let listed = folder.run(&["keys", "list", "--json"]).expect_code(0).json();
    let seals: Vec<_> = listed.as_array().expect("a list").iter().filter(|key| key["role"] == "seal").collect();
    assert_eq!(seals.len(), 2);
    assert_eq!((&seals[0]["status"], &seals[1]["status"]), (&"current".into(), &"older".into()));
    assert_eq!(seals[1]["id"], "20200101t000000");
    folder.run(&["keys", "rewrap"]).expect_code(0);
    folder.run(&["keys", "check"]).expect_code(0);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = Folder::set_up();
    let key = folder.key_file("seal-");
    folder.chmod(&key, 0o604);
    let said = folder.run(&["keys", "check"]).expect_code(2);
    assert!(said.err.contains(&format!("error: {key}: others can read or write the file (mode 0604)")), "{}", said.err);
    assert!(said.err.contains("hint: run `chmod 600 "), "{}", said.err);
}

#[test]
fn a_wrong_key_is_refused_before_anything_happens() {
    let folder = Folder::set_up();
    folder.run(&["keys", "check"]).expect_code(0);
    for role in ["seal-", "fingerprint-"] {
        let file = folder.key_file(role);
        let right = folder.read(&file);
        folder.write(&file, &format!("{}\n", "5a".repeat(32)));
        let said = folder.run(&["incident", "list"]).expect_code(1);
        assert!(said.err.contains("error: the database cannot be used"), "{}", said.err);
        assert!(said.err.contains("is not the one this database was"), "{}", said.err);
        folder.write(&file, &right);
    }
    folder.run(&["incident", "list"]).expect_code(0);
}

#[test]
fn without_keys_nothing_starts_and_init_is_named() {
    let said = Folder::new().run(&["incident", "list"]).expect_code(2);
    assert!(said.err.contains("there is no seal key") && said.err.contains("`stanch init`"), "{}", said.err);
}

#[test]
fn the_first_start_makes_the_keys_and_no_later_one_does() {
    let folder = Folder::new();
    folder.configure("[server]\nlisten = \"127.0.0.1:0\"\n");
    let said = folder.run_until("listening on", &["serve"]).expect_code(0);
    assert_eq!(said.err.matches("wrote stanch-data/keys/").count(), 2, "{}", said.err);
    assert_eq!(folder.mode(&folder.key_file("seal-")), 0o600);
    folder.run(&["keys", "check"]).expect_code(0);
    folder.run_until("listening on", &["serve"]).expect_code(0);
    folder.key_file("seal-");

    std::fs::rename(folder.path("stanch-data/keys"), folder.path("elsewhere")).expect("ours");
    let said = folder.run(&["serve"]).expect_code(2);
    assert!(said.err.contains("there is no seal key") && said.err.contains("its backup"), "{}", said.err);
    assert!(!folder.path("stanch-data/keys").exists(), "nothing is made beside a database that has keys");
}
