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
