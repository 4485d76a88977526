//! `stanch audit`, on a database that a person has worked with.

use serde_json::Value;

use crate::stanch::Folder;

/// An installation in which somebody paused an issuer and let it go on.
fn used() -> Folder {
    let folder = Folder::set_up();
    folder.run(&["issuer", "pause", "builtin", "--reason", "a look\u{1b}[31m"]).expect_code(0);
    folder.run(&["issuer", "resume", "builtin", "--reason", "looked"]).expect_code(0);
    folder
}

#[test]
fn what_people_did_is_listed_page_by_page_and_inert() {
    let folder = used();
    let page = folder.run(&["audit", "list", "--operators", "--limit", "1"]).expect_code(0);
    assert!(page.out.contains("operator:tester") && page.out.contains("looked"), "{}", page.out);
    let cursor = page.err.split("--after ").nth(1).and_then(|rest| rest.split('`').next()).expect("there is more");
    let rest = folder.run(&["audit", "list", "--operators", "--after", cursor]).expect_code(0);
    assert!(
        rest.out.contains("a look") && !rest.out.contains('\u{1b}') && !rest.out.contains("looked"),
        "{}",
        rest.out
    );
    let events = folder.run(&["audit", "list", "--actor", "operator:tester", "--json"]).expect_code(0).json();
    assert_eq!(events.as_array().map(Vec::len), Some(2), "{events}");
    let none = folder.run(&["audit", "list", "--actor", "operator:nobody"]).expect_code(0);
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", "no event\n"));
    folder.run(&["audit", "list", "--after", "x"]).expect_code(2);
}

#[test]
fn the_whole_trail_is_exported_one_object_a_line() {
    let said = used().run(&["audit", "export", "--operators"]).expect_code(0);
    let events: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events.len(), 3, "{}", said.out);
    assert_eq!(events[0]["kind"], "exported", "that it was taken out is on the trail: {}", said.out);
    assert!(events[0]["position"].as_i64() > events[1]["position"].as_i64(), "newest first: {}", said.out);
}

#[test]
fn a_trail_is_proved_and_a_head_it_never_had_is_noticed() {
    let folder = used();
    let said = folder.run(&["audit", "verify"]).expect_code(0);
    assert!(said.out.ends_with("intact: every event is there as it was written\n"), "{}", said.out);
    assert!(folder.run(&["audit", "verify", "--json"]).expect_code(0).json()["faults"].as_array().is_some());
    let cut = format!("7:{}", "ab".repeat(32));
    let said = folder.run(&["audit", "verify", "--through", &cut]).expect_code(1);
    assert!(said.out.contains("NOT INTACT: 1 fault"), "{}", said.out);
    folder.run(&["audit", "verify", "--through", "7:ab"]).expect_code(2);
}
