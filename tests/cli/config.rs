//! `stanch config`, and how a refused configuration is told.

use crate::stanch::Folder;

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_right_name() {
    let folder = Folder::new();
    folder.write("stanch.toml", "[server]\nlsten = \"127.0.0.1:1\"\n");
    let said = folder.run(&["config", "check"]).expect_code(2);
    assert_eq!(
        said.err,
        "error: stanch.toml:2: `server.lsten`: nothing is called `lsten` here\nhint: did you mean `listen`?\n"
    );
    assert!(said.out.is_empty());
}

#[test]
fn a_configuration_that_was_named_must_be_there() {
    let said = Folder::new().run(&["config", "check", "--config", "other.toml"]).expect_code(2);
    assert!(said.err.starts_with("error: other.toml: the configuration file cannot be read"), "{}", said.err);
    assert!(said.err.contains("hint: check the path, or run `stanch init` to write one"), "{}", said.err);
}

#[test]
fn what_is_shown_masks_credentials_and_says_where_values_come_from() {
    let folder = Folder::set_up();
    let url = format!("postgres://stanch:{}@db.example/stanch", "hunter2");
    let environment = [("STANCH_DATABASE_URL", url.as_str()), ("STANCH_LOG", "debug"), ("STANCH_LOGS", "x")];
    let said = folder.run_with(&["config", "show", "--data", "elsewhere"], &environment).expect_code(0);
    assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"));
    let lines: Vec<String> =
        said.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "url = \"postgres://stanch:***@db.example/stanch\" # STANCH_DATABASE_URL",
        "level = \"debug\" # STANCH_LOG",
        "data = \"elsewhere\" # --data",
        "max_records = 10000 # default",
        "enabled = false # line 2",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "no `{line}` in\n{}", said.out);
    }
    assert_eq!(said.err, "warning: nothing reads the environment variable `STANCH_LOGS`\n");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let folder = Folder::set_up();
    folder.write("password", "hunter2");
    folder.chmod("password", 0o644);
    folder.chmod(&folder.key_file("seal-"), 0o640);
    folder.chmod(&folder.key_file("fingerprint-"), 0o604);
    folder.configure(
        "[mail]\nfrom = \"a@example.org\"\ncontact = \"a@example.org\"\n\
         [mail.smtp]\nhost = \"localhost\"\nusername = \"u\"\npassword_file = \"password\"\n",
    );
    let said = folder.run(&["config", "check"]).expect_code(2);
    assert_eq!(said.err.matches("error: ").count(), 2, "{}", said.err);
    assert!(said.err.contains("others can read or write the file (mode 0604)"), "{}", said.err);
    assert!(said.err.contains("error: password: others can read or write the file (mode 0644)"), "{}", said.err);
    assert!(!said.err.contains("hunter2"));
}
