//! Mail over SMTP, against a server that is another process.

use std::time::Duration;

use stanch::notice::{SendError, SmtpEncryption};

use crate::sample::{in_directory, mailer, notice, send, send_to, smtp, with_login};
use crate::smtp::SmtpServer;

#[tokio::test]
async fn the_mail_server_gets_the_whole_mail() {
    let server = SmtpServer::start(&[]);
    send(&mailer(smtp(&server, SmtpEncryption::None)), 1).await.expect("taken");

    let directory = tempfile::TempDir::new().expect("a directory");
    send(&in_directory(directory.path().to_owned()), 1).await.expect("written");
    let written = std::fs::read_to_string(directory.path().join(format!("{}.eml", notice(1)))).expect("there");

    let [mail] = server.mails().try_into().expect("one mail");
    assert_eq!(mail.raw.trim_end(), written.trim_end(), "both transports carry the same bytes");
    assert_eq!(mail.from, "no-reply@registry.example");
    assert_eq!(mail.to, ["ada@example.org"]);
    assert_eq!(mail.header("Message-ID"), Some(format!("<{}@registry.example>", notice(1)).as_str()));
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(mail.header("Reply-To"), Some("security@registry.example"));
    assert_eq!(mail.subject, "Your Example Registry token \"ci-upload\" was leaked and is revoked");
    assert!(mail.text.starts_with("Your Example Registry token \"ci-upload\" was leaked and is already revoked\n"));
    assert!(mail.html.starts_with("<!doctype html>") && mail.html.trim_end().ends_with("</html>"));
    assert!(!mail.tls);
}

#[tokio::test]
async fn starttls_and_tls_protect_the_mail_and_the_password() {
    for (encryption, security) in [(SmtpEncryption::StartTls, "starttls"), (SmtpEncryption::Tls, "tls")] {
        let server = SmtpServer::start(&["--security", security, "--login", "stanch:pass word"]);
        let mailer = mailer(with_login(smtp(&server, encryption), "stanch", "pass word"));
        assert!(mailer.check().await.expect("a good server").contains("takes our log-in"));
        send(&mailer, 1).await.expect("taken");
        send(&mailer, 2).await.expect("taken on the same connection");
        let mails = server.mails();
        assert_eq!(mails.len(), 2);
        assert!(mails.iter().all(|mail| mail.tls && mail.login.as_deref() == Some("stanch")), "{security}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_encrypt_gets_no_mail() {
    let server = SmtpServer::start(&[]);
    let mut settings = smtp(&server, SmtpEncryption::StartTls);
    settings.ca_file = None;
    assert_eq!(
        send(&mailer(settings), 1).await,
        Err(SendError::Misconfigured { why: "the mail server does not offer STARTTLS".into() })
    );
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_certificate_nobody_vouched_for_is_refused() {
    for (encryption, security) in [(SmtpEncryption::StartTls, "starttls"), (SmtpEncryption::Tls, "tls")] {
        let server = SmtpServer::start(&["--security", security]);
        let mut settings = smtp(&server, encryption);
        settings.ca_file = None;
        let mailer = mailer(settings);
        let why = "the mail server's certificate is not trusted".to_owned();
        assert_eq!(send(&mailer, 1).await, Err(SendError::Misconfigured { why: why.clone() }), "{security}");
        assert!(mailer.check().await.expect_err("refused").contains(&why));
        assert!(server.mails().is_empty());
    }
}

/// What each answer of the server means for the work that is left.
#[tokio::test]
async fn an_answer_is_judged_by_whom_it_concerns() {
    enum Meaning {
        Misconfigured,
        Retry,
        Undeliverable,
    }
    use Meaning::{Misconfigured, Retry, Undeliverable};

    let server = SmtpServer::start(&[]);
    for (control, meaning, code) in [
        ("greeting 421 4.3.2 later", Retry, "421 (4.3.2)"),
        ("greeting 554 5.7.1 not you", Misconfigured, "554 (5.7.1)"),
        ("ehlo 550 5.7.1 not you", Misconfigured, "550 (5.7.1)"),
        ("mail 451 4.3.0 later", Retry, "451 (4.3.0)"),
        ("mail 550 5.1.8 bad sender", Misconfigured, "550 (5.1.8)"),
        ("mail 530 log in first", Misconfigured, "530"),
        ("mail 552 5.3.4 too big", Undeliverable, "552 (5.3.4)"),
        ("rcpt 450 4.2.0 ada@example.org is greylisted", Retry, "450 (4.2.0)"),
        ("rcpt 550 5.1.1 ada@example.org is unknown", Undeliverable, "550 (5.1.1)"),
        ("rcpt 553 ada@example.org", Undeliverable, "553"),
        ("rcpt 530 5.7.0 log in first", Misconfigured, "530 (5.7.0)"),
        ("data 452 4.3.1 full", Retry, "452 (4.3.1)"),
        ("message 452 4.3.1 full", Retry, "452 (4.3.1)"),
        ("message 554 5.6.0 we do not like it, ada@example.org", Undeliverable, "554 (5.6.0)"),
        ("ehlo hangup", Retry, ""),
        ("mail hangup", Retry, ""),
        ("rcpt hangup", Retry, ""),
        ("message hangup", Retry, ""),
    ] {
        server.misbehave(control);
        let error = send(&mailer(smtp(&server, SmtpEncryption::None)), 1).await.expect_err(control);
        let (right, why) = match (&error, meaning) {
            (SendError::Misconfigured { why }, Misconfigured)
            | (SendError::Retry { why }, Retry)
            | (SendError::Undeliverable { why }, Undeliverable) => (true, why),
            (_, _) => (false, &String::new()),
        };
        assert!(right, "{control}: {error}");
        assert!(why.contains(code), "{control}: {why}");
        assert!(!why.contains('@') && !why.contains("like it"), "the server's words stay out: {why}");
    }
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_refused_log_in_stops_every_mail_and_says_so() {
    let server = SmtpServer::start(&["--security", "tls", "--login", "stanch:right"]);
    let wrong = mailer(with_login(smtp(&server, SmtpEncryption::Tls), "stanch", "wrong"));
    let refused = send(&wrong, 1).await.expect_err("refused");
    assert!(matches!(&refused, SendError::Misconfigured { why } if why.contains("535")), "{refused}");
    assert!(wrong.check().await.expect_err("refused").contains("to our log-in"));

    let without = mailer(smtp(&server, SmtpEncryption::Tls));
    assert!(matches!(send(&without, 1).await, Err(SendError::Misconfigured { .. })));

    let open = SmtpServer::start(&[]);
    let unasked = mailer(with_login(smtp(&open, SmtpEncryption::None), "stanch", "right"));
    assert!(matches!(send(&unasked, 1).await, Err(SendError::Misconfigured { .. })), "no way to log in is offered");
}

#[tokio::test]
async fn a_mail_taken_without_an_answer_is_sent_again_under_the_same_id() {
    let server = SmtpServer::start(&[]);
    let mailer = mailer(smtp(&server, SmtpEncryption::None));
    server.misbehave("message drop");
    assert!(matches!(send(&mailer, 1).await, Err(SendError::Retry { .. })));
    server.behave();
    send(&mailer, 1).await.expect("taken");
    let [first, second] = server.mails().try_into().expect("two mails");
    assert_eq!(first.header("Message-ID"), second.header("Message-ID"));
    assert_eq!(first.raw, second.raw);
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_its_connection_never_used_again() {
    let server = SmtpServer::start(&[]);
    let mut settings = smtp(&server, SmtpEncryption::None);
    settings.timeout = Duration::from_secs(1);
    settings.pool_size = 1;
    let mailer = mailer(settings);
    for command in ["ehlo", "rcpt", "message"] {
        server.misbehave(&format!("{command} silent"));
        let given_up = send(&mailer, 1).await.expect_err("no answer");
        assert!(matches!(given_up, SendError::Retry { .. }), "{command}");
        assert!(given_up.to_string().contains("too long"), "{command}: {given_up}");
    }
    server.behave();
    send(&mailer, 1).await.expect("on a fresh connection");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_parked_connection_that_the_server_closed_is_replaced() {
    let server = SmtpServer::start(&[]);
    let settings = smtp(&server, SmtpEncryption::None);
    let port = settings.port.to_string();
    let mailer = mailer(settings);
    send(&mailer, 1).await.expect("taken");
    drop(server);
    assert!(matches!(send(&mailer, 2).await, Err(SendError::Retry { .. })), "nobody is there");
    assert!(mailer.check().await.expect_err("nobody is there").contains("cannot be reached"));
    let server = SmtpServer::start(&["--port", &port]);
    send(&mailer, 2).await.expect("taken");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn many_mails_share_a_few_connections() {
    let server = SmtpServer::start(&[]);
    let mailer = std::sync::Arc::new(mailer(smtp(&server, SmtpEncryption::None)));
    let mut sending = tokio::task::JoinSet::new();
    for number in 0..20 {
        let mailer = mailer.clone();
        sending.spawn(async move { send(&mailer, number).await });
    }
    while let Some(sent) = sending.join_next().await {
        sent.expect("no panic").expect("taken");
    }
    assert_eq!(server.mails().len(), 20);
    assert!(server.connections() <= 2, "{} connections were opened", server.connections());
}

#[tokio::test]
async fn an_address_the_server_cannot_spell_is_refused_before_it_is_sent() {
    let server = SmtpServer::start(&["--ascii-only"]);
    let mailer = mailer(smtp(&server, SmtpEncryption::None));
    let refused = send_to(&mailer, 1, "żaneta@example.org").await.expect_err("no SMTPUTF8");
    assert!(matches!(refused, SendError::Undeliverable { .. }));
    send(&mailer, 2).await.expect("others are served");
}
