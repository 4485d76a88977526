//! `stanch init`.

use crate::stanch::{Folder, names_in};

#[test]
fn init_writes_a_configuration_and_private_keys() {
    let folder = Folder::new();
    let said = folder.run(&["init"]).expect_code(0);
    assert!(said.out.is_empty(), "there is no data to show");
    assert!(said.err.contains("wrote stanch.toml") && said.err.contains("next:"), "{}", said.err);
    assert_eq!(folder.mode("stanch-data/keys"), 0o700);
    assert_eq!(folder.mode("stanch-data"), 0o700);
    for role in ["seal-", "fingerprint-"] {
        assert_eq!(folder.mode(&folder.key_file(role)), 0o600);
    }
    folder.run(&["config", "check"]).expect_code(0);
}

#[test]
fn init_again_overwrites_nothing_and_names_what_it_left() {
    let folder = Folder::set_up();
    let keys = names_in(&folder.path("stanch-data/keys"));
    let before: Vec<_> = keys.iter().map(|name| folder.read(&format!("stanch-data/keys/{name}"))).collect();
    let configuration = folder.read("stanch.toml");
    let said = folder.run(&["init"]).expect_code(0);
    assert_eq!(said.err.matches("exists and was left as it is").count(), 3, "{}", said.err);
    assert!(!said.err.contains("wrote"), "{}", said.err);
    assert_eq!(names_in(&folder.path("stanch-data/keys")), keys);
    let after: Vec<_> = keys.iter().map(|name| folder.read(&format!("stanch-data/keys/{name}"))).collect();
    assert_eq!((after, folder.read("stanch.toml")), (before, configuration));
}

#[test]
fn init_writes_into_another_folder_and_says_how_to_go_on() {
    let folder = Folder::new();
    let said = folder.run(&["init", "--dir", "etc/stanch"]).expect_code(0);
    assert!(said.err.contains("stanch serve --config etc/stanch/stanch.toml"), "{}", said.err);
    let shown = folder.run(&["config", "show", "--config", "etc/stanch/stanch.toml"]).expect_code(0);
    assert!(shown.out.contains("folder = \"etc/stanch/stanch-data/keys\""), "relative to the file: {}", shown.out);
    assert_eq!(names_in(&folder.path("etc/stanch/stanch-data/keys")).len(), 2);
}

#[test]
fn init_adds_the_key_that_is_missing_and_only_that() {
    let folder = Folder::set_up();
    let seal = folder.key_file("seal-");
    let before = folder.read(&seal);
    std::fs::remove_file(folder.path(&folder.key_file("fingerprint-"))).expect("it is there");
    let said = folder.run(&["init"]).expect_code(0);
    assert_eq!(said.err.matches("wrote").count(), 1, "{}", said.err);
    assert_eq!(folder.read(&seal), before);
    folder.run(&["keys", "check"]).expect_code(0);
}
