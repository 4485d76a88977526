//! What is accepted, what is refused, and in which words.

use std::fs;

use super::*;

/// Loads `text` as the file `stanch.toml` of a folder of its own, under these variables.
fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Refused> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("stanch.toml");
    fs::write(&file, text).expect("writable");
    let environment = environment.iter().copied().collect();
    Config::load(Sources { file: Some(file), environment, flags: Flags::default() })
}

/// What is said about a configuration that is refused, without the folder's name.
fn told(text: &str, environment: &[(&str, &str)]) -> String {
    let refused = load(text, environment).err().expect("refused");
    let told = |problem: &Problem| {
        let problem_text = problem.to_string();
        let start = problem_text.find("stanch.toml").unwrap_or(0);
        format!("{}\n  hint: {}", &problem_text[start..], problem.hint)
    };
    refused.problems().iter().map(told).collect::<Vec<_>>().join("\n")
}

/// Put together here, so that no scanner of this source cries wolf.
fn with_password(password: &str) -> String {
    format!("postgres://u:{password}@db/stanch")
}

fn smtp(rest: &str) -> String {
    format!(
        "[mail]\nfrom = \"leaks@example.org\"\ncontact = \"help@example.org\"\n[mail.smtp]\nhost = \"mail.example.org\"\n{rest}\n"
    )
}

fn issuer(rest: &str) -> String {
    format!(
        "[issuer.acme]\nkinds = [\"npm-access-token\"]\n[issuer.acme.http]\nbase_url = \"https://acme.example\"\n{rest}\n"
    )
}

#[test]
fn without_a_word_everything_has_a_sensible_value() {
    let config = Config::load(Sources { file: None, ..Sources::default() }).expect("the defaults are right");
    assert!(config.file().is_none());
    insta::assert_snapshot!(config.show());
}

#[test]
fn a_later_layer_wins_and_says_so() {
    let file = "data = \"here\"\n[server]\nlisten = \"127.0.0.1:1\"\nmax_records = 7\n";
    let config = load(file, &[("STANCH_LISTEN", "127.0.0.1:2"), ("STANCH_DATA", "")]).expect("right");
    assert_eq!(config.server.settings().listen.port(), 2);
    assert_eq!(config.server.max_records, 7);
    assert!(config.data.ends_with("here") && config.data.is_absolute(), "relative to the file");
    let shown = config.show();
    for line in ["listen = \"127.0.0.1:2\"", "max_records = 7"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(shown.contains("# STANCH_LISTEN") && shown.contains("# line 4"), "{shown}");

    let flags = Flags { listen: Some("127.0.0.1:3".parse().expect("an address")), ..Flags::default() };
    let environment = [("STANCH_LISTEN", "127.0.0.1:2")].into_iter().collect();
    let config = Config::load(Sources { file: None, environment, flags }).expect("right");
    assert_eq!(config.server.settings().listen.port(), 3);
}

#[test]
fn the_whole_configuration_shown_is_read_back_as_the_same() {
    let file = format!(
        "{}{}",
        smtp("username = \"u\"\npassword_env = \"PW\""),
        issuer("preset = \"oauth\"\nauthentication = \"bearer\"\ncredential_env = \"T\"")
    );
    let config = load(&file, &[]).expect("right");
    let again = load(&config.show(), &[]).expect("what was shown is a configuration");
    let plain = |config: &Config| -> Vec<String> {
        config.show().lines().map(|line| line.split(" # ").next().unwrap_or(line).trim().to_owned()).collect()
    };
    assert_eq!(plain(&config), plain(&again));
}

#[test]
fn a_file_that_is_not_there_is_refused_if_it_was_asked_for() {
    let sources = Sources { file: Some("/nowhere/stanch.toml".into()), ..Sources::default() };
    let refused = Config::load(sources).err().expect("refused");
    assert_eq!(
        refused.problems()[0].to_string(),
        "/nowhere/stanch.toml: the configuration file cannot be read (entity not found)"
    );
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line_and_the_next_thing_to_do() {
    let cases = [
        "[server\nlisten = 1",
        "[server]\nlsten = \"127.0.0.1:1\"",
        "[sever]\n",
        "[server]\nlisten = \"localhost\"",
        "[server]\nlisten = 8080",
        "[server]\nmax_body = \"8MB\"",
        "[server]\nmax_body = \"1B\"\nmax_records = 0\nbody_timeout = \"15s\"",
        "[server]\nlisten = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:1\"",
        "[work]\nlease = 10",
        "[work]\nlease = \"10\"",
        "[work]\nlease = \"1s\"\nkeep_reports = \"31d\"\nnode = \"a b\"",
        "[log]\nformat = \"xml\"",
        "[log]\nlevel = \"stanch=loud\"",
        "[keys]\nfolders = \"x\"",
    ];
    insta::assert_snapshot!(cases.map(|case| format!("{case}\n---\n{}", told(case, &[]))).join("\n\n"));
}

#[test]
fn a_credential_in_the_file_is_refused_and_not_repeated() {
    let cases = [
        smtp("username = \"u\"\npassword = \"hunter2\""),
        format!("[database]\nurl = \"{}\"", with_password("hunter2")),
        "[origin.github]\ntoken = \"hunter2\"".into(),
        issuer("authentication = \"bearer\"\ncredential = \"hunter2\"\npreset = \"oauth\""),
        issuer("authentication = \"hunter2\""),
        "[work]\nconcurrency = \"hunter2\"".into(),
        issuer("preset = \"oauth\"\n[issuer.acme.http.verify]\nheaders = { Authorization = \"Bearer hunter2\" }"),
    ];
    let told = cases.map(|case| told(&case, &[]));
    assert!(told.iter().all(|told| !told.contains("hunter2")), "{told:?}");
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn half_an_option_is_refused() {
    let cases = [
        smtp("username = \"u\""),
        smtp("password_env = \"PW\""),
        smtp("username = \"u\"\npassword_env = \"PW\"\npassword_file = \"pw\""),
        smtp("username = \"u\"\npassword_env = \"PW\"\nencryption = \"none\""),
        "[mail.smtp]\nhost = \"mail.example.org\"".into(),
        "[mail.smtp]\n".into(),
        "[mail]\ndirectory = \"d\"\n[mail.smtp]\nhost = \"localhost\"".into(),
        "[mail]\nfrom = \"nobody\"\ncontact = \"http://x\"\ntokens_url = \"http://x\"\nproduct = \" \"".into(),
        "[database]\nurl = \"sqlite:a\"\nurl_file = \"b\"".into(),
        "[database]\nurl = \"mysql://a\"\nmax_connections = 0".into(),
        "[origin.depsdev]\nkey_id_header = \"X-Id\"".into(),
        "[origin.Bad]\nkey_id_header = \"a b\"\nsignature_header = \"X-S\"\nkey_url = \"http://keys.example\"".into(),
        "[origin.twin]\nkey_id_header = \"github-public-key-identifier\"\nsignature_header = \"GITHUB-PUBLIC-KEY-SIGNATURE\"\nkey_url = \"https://k.example\"".into(),
        "[origin.github]\nfeedback = \"on\"".into(),
    ];
    insta::assert_snapshot!(cases.map(|case| format!("{case}\n---\n{}", told(&case, &[]))).join("\n\n"));
}

#[test]
fn an_issuer_that_could_not_work_is_refused() {
    let cases = [
        "[issuer.acme]\n".into(),
        "[issuer.acme]\nkinds = [\"npm-acces-token\"]\n".into(),
        "[issuer.acme]\nkinds = [\"of-our-own\"]\n".into(),
        "[issuer.builtin]\nprefix = \"Bad_\"".into(),
        issuer(""),
        issuer("preset = \"oauth\"\nauthentication = \"basic\"\ncredential_env = \"T\""),
        issuer("preset = \"oauth\"\nusername = \"u\""),
        issuer("preset = \"oauth\"\n[issuer.acme.http.verify]\nactive = \"active\""),
        issuer("preset = \"oauth\"\n[issuer.acme.http.verify]\nform = { a = \"b\" }\njson = { a = 1 }"),
        format!(
            "{}[issuer.other]\nkinds = [\"npm-access-token\"]\n[issuer.other.http]\nbase_url = \"https://o.example\"\npreset = \"oauth\"",
            issuer("preset = \"oauth\"")
        ),
        "[kind.pypi-api-token]\nname = \"x\"\nshape = \"x_{b62:20}\"".into(),
        "[kind.acme]\nshape = \"acme_{b62\"".into(),
    ];
    insta::assert_snapshot!(cases.map(|case: String| format!("{case}\n---\n{}", told(&case, &[]))).join("\n\n"));
}

#[test]
fn a_variable_that_cannot_be_is_refused_by_its_name() {
    let cases = [
        ("", [("STANCH_LISTEN", "here")]),
        ("", [("STANCH_SMTP_PASSWORD", "hunter2")]),
        ("", [("STANCH_DATABASE_URL", "hunter2")]),
        ("", [("STANCH_GITHUB_FEEDBACK", "yes")]),
        ("", [("STANCH_TOKEN_PREFIX", "A")]),
    ];
    let told = cases.map(|(file, environment)| told(file, &environment)).join("\n");
    assert!(!told.contains("hunter2"));
    insta::assert_snapshot!(told);
}

#[test]
fn a_variable_replaces_what_the_file_says_in_another_way() {
    let file =
        "[database]\nurl_file = \"nowhere\"\n[mail]\ndirectory = \"d\"\n[origin.github]\ntoken_file = \"nowhere\"\n";
    let url = with_password("hunter2");
    let environment = [
        ("STANCH_DATABASE_URL", url.as_str()),
        ("STANCH_SMTP_HOST", "localhost"),
        ("STANCH_SMTP_USERNAME", "u"),
        ("STANCH_SMTP_PASSWORD", "hunter2"),
        ("STANCH_GITHUB_TOKEN", "hunter2"),
        ("STANCH_LISTNE", "x"),
    ];
    let config = load(file, &environment).expect("right");
    assert!(config.database.settings(std::time::Duration::ZERO).expect("no file is read").url.contains("hunter2"));
    let mail = config.mail.settings(config.environment(), std::collections::BTreeMap::new()).expect("no file is read");
    assert!(matches!(mail.transport, crate::notice::Transport::Smtp(_)));
    let origins = config.origin.settings(config.environment()).expect("no file is read");
    assert!(origins[0].key_endpoint.as_ref().is_some_and(|endpoint| endpoint.token.is_some()));
    let shown = config.show();
    assert!(!shown.contains("hunter2") && shown.contains("postgres://u:***@db/stanch"), "{shown}");
    assert_eq!(config.unread_variables(), ["STANCH_LISTNE"]);
}

#[test]
fn origins_and_issuers_become_what_their_parts_take() {
    let file = format!(
        "[origin.github]\nfeedback = \"hash\"\ndecide_within = \"1s\"\n\
         [origin.depsdev]\nenabled = false\nkey_id_header = \"A\"\nsignature_header = \"B\"\nkey_url = \"https://k.example\"\n{}",
        issuer(
            "authentication = \"bearer\"\ncredential_env = \"T\"\nallow_private = true\n\
             [issuer.acme.http.verify]\nmethod = \"GET\"\npath = \"/t/{token_sha256}\"\nnot_ours = [404, 400]\n\
             fields = { token_id = \"/id\", owner_email = \"/owner/email\" }\n\
             [issuer.acme.http.revoke]\nmethod = \"DELETE\"\npath = \"/t/{id}\"\nheaders = { X-Reason = \"leak {incident_id}\" }"
        )
    );
    let config = load(&file, &[("T", "secret")]).expect("right");
    let origins = config.origin.settings(config.environment()).expect("readable");
    assert_eq!(origins.len(), 1, "a disabled origin is not heard");
    assert_eq!(origins[0].feedback, crate::intake::Feedback::On(crate::intake::TokenForm::Hash));
    assert_eq!(origins[0].decide_budget, std::time::Duration::from_secs(1));
    let http = config.issuer.elsewhere["acme"].http.as_ref().expect("declared");
    let settings = http.settings("acme", config.environment()).expect("readable");
    assert_eq!(settings.verify_answers.not_ours, [404, 400]);
    assert_eq!(settings.verify_answers.live, [200], "what is not said stays");
    assert!(settings.verify_answers.fields.owner_email.is_some() && settings.reach.allow_private);
    assert_eq!(settings.revoke.method, reqwest::Method::DELETE);
    assert!(settings.revoke.headers.iter().any(|(name, _)| name == "X-Reason"));
    let missing = http.settings("acme", &Environment::default()).err().expect("the variable is not set");
    assert_eq!(missing.to_string(), "environment variable `T`: the configuration names it, but it is not set");
}

#[test]
fn kinds_of_ones_own_are_recognized_and_can_be_claimed() {
    let file = "[kind.acme-token]\nname = \"Acme API token\"\nissuer = \"Acme\"\nshape = \"acme_{b62:20}{b62:6:checksum}\"\n\
                checksum = \"crc32-base62-over-prefix-and-random\"\n\
                [issuer.acme]\nkinds = [\"acme-token\"]\n[issuer.acme.http]\nbase_url = \"https://acme.example\"\npreset = \"oauth\"\n";
    let config = load(file, &[]).expect("right");
    let kinds: Vec<_> = config.kind.all().map(|kind| kind.id.to_string()).collect();
    assert_eq!(kinds, ["acme-token"]);
}
