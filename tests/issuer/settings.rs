//! A declaration that could not work is refused before anything is asked.

use serde_json::json;
use stanch::issuer::http::{Body, Credential, HttpIssuer, Settings};
use stanch::token::Secret;

use crate::clock;
use crate::fake::FakeIssuer;

type Change = fn(&mut Settings);

#[tokio::test]
async fn a_declaration_that_cannot_work_names_the_wrong_setting() {
    let fake = FakeIssuer::start().await;
    let cases: &[(&str, Change)] = &[
        ("base_url", |s| s.base_url = "registry.example".into()),
        ("base_url", |s| s.base_url = "ftp://registry.example".into()),
        ("base_url", |s| s.base_url = "https://us:secret@registry.example".into()),
        ("base_url", |s| s.base_url = "https://registry.example/?a=b".into()),
        ("base_url", |s| s.reach.allow_http = false),
        ("certificates", |s| s.reach.certificates = Some(b"-----BEGIN CERTIFICATE-----\n!\n".to_vec())),
        ("credential", |s| s.credential = Credential::Bearer(Secret::new(b"two\nlines".to_vec()))),
        ("credential", |s| {
            s.credential = Credential::Header { name: "a b".into(), value: Secret::new(b"x".to_vec()) };
        }),
        ("verify", |s| s.verify.path = "verify".into()),
        ("verify", |s| s.verify.path = "/verify/{tokn}".into()),
        ("verify", |s| s.verify.path = "/verify/{id}".into()),
        ("verify", |s| s.verify.path = "/verify/../../{token}".into()),
        ("verify", |s| s.verify.headers = vec![("a b".into(), "x".into())]),
        ("verify", |s| s.verify.headers = vec![("x".into(), "{incident_id}".into())]),
        ("verify", |s| s.verify.headers = vec![("x".into(), "line\nbreak".into())]),
        ("verify", |s| s.verify.body = Body::Json(json!({"a": ["{tokn}"]}))),
        ("verify_answers", |s| s.verify_answers.live = vec![]),
        ("verify_answers", |s| s.verify_answers.dead = vec![404]),
        ("verify_answers", |s| s.verify_answers.dead = vec![500]),
        ("verify_answers", |s| s.verify_answers.not_ours = vec![302]),
        ("revoke_answers", |s| s.revoke_answers.done = vec![]),
        ("revoke_answers", |s| s.revoke_answers.done = vec![429]),
        ("revoke", |s| s.verify_answers.fields.token_id = None),
    ];
    for (number, (key, change)) in cases.iter().enumerate() {
        let mut settings = fake.declared("registry");
        change(&mut settings);
        let refused = HttpIssuer::new(settings, clock()).err().unwrap_or_else(|| panic!("case {number} was accepted"));
        assert_eq!(refused.key, *key, "case {number}: {refused}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
    assert!(HttpIssuer::new(fake.declared("registry"), clock()).is_ok());
}
