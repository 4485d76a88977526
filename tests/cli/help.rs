//! What is shown to somebody who asks.

use crate::stanch::Folder;

#[test]
fn the_first_page_groups_the_commands_and_shows_examples() {
    let said = Folder::new().run(&["--help"]).expect_code(0);
    insta::assert_snapshot!(said.out);
}

#[test]
fn nothing_typed_is_answered_with_help_and_two() {
    let said = Folder::new().run(&[]).expect_code(2);
    assert!(said.err.contains("Usage: stanch") && said.out.is_empty());
}

#[test]
fn the_version_is_one_line() {
    let said = Folder::new().run(&["--version"]).expect_code(0);
    assert_eq!(said.out, format!("stanch {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn operators_commands_have_help_that_reads_well() {
    let pages = [&["incident", "list"][..], &["incident", "dismiss"], &["keys"], &["token", "create"], &["init"]];
    let pages = pages.map(|command| Folder::new().run(&[command, &["--help"]].concat()).expect_code(0).out);
    insta::assert_snapshot!(pages.join("\n=====\n"));
}

#[test]
fn a_mistyped_command_is_wrong_usage() {
    let said = Folder::new().run(&["incidnt"]).expect_code(2);
    assert!(said.err.contains("incident"), "{}", said.err);
}
