//! What an answer says about a token.
//!
//! Only a status that was declared is an answer, and a web page never is: a proxy's or a web server's "404 Not Found"
//! in HTML would otherwise read as "never issued" and end the incident of a live token.

use serde_json::Value;

use super::Pointer;
use super::client::{Answer, Media, unavailable};
use super::settings::{Evidence, Inactive, RevokeAnswers, VerifyAnswers};
use crate::clock::Timestamp;
use crate::incident::{EmailAddress, IssuedToken, Owner, Unknown, Verdict};

/// Longest name that is kept; longer ones are cut.
const NAME_CHARS: usize = 256;
/// Longest id that is believed to be one. Ids are never cut: two tokens must not come to share one.
const ID_CHARS: usize = 512;
/// Most owners of one token who are told.
const MOST_ADDRESSES: usize = 50;

/// What an issuer answered to "kill it", before it is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Done,
    Gone,
}

impl RevokeAnswers {
    pub(super) fn read(&self, answer: &Answer) -> Result<Heard, Unknown> {
        if self.misconfigured.contains(&answer.status) {
            return Err(answer.refuses_us());
        }
        not_a_page(answer)?;
        if self.done.contains(&answer.status) {
            Ok(Heard::Done)
        } else if self.gone.contains(&answer.status) {
            Ok(Heard::Gone)
        } else {
            Err(answer.unexpected())
        }
    }
}

impl VerifyAnswers {
    /// `unnamed` is the id of a token for which the issuer gives none.
    pub(super) fn read(&self, answer: &Answer, unnamed: &str) -> Verdict {
        self.judge(answer, unnamed).unwrap_or_else(Verdict::Unknown)
    }

    fn judge(&self, answer: &Answer, unnamed: &str) -> Result<Verdict, Unknown> {
        if self.misconfigured.contains(&answer.status) {
            return Err(answer.refuses_us());
        }
        not_a_page(answer)?;
        if self.not_ours.contains(&answer.status) {
            self.evidence(answer)?;
            return Ok(Verdict::NotOurs);
        }
        if self.dead.contains(&answer.status) {
            // What a dead token was called is welcome, but not worth doubting its death.
            let token = self.evidence(answer)?.and_then(|json| self.token(&json, unnamed).ok());
            return Ok(Verdict::Dead(token.filter(|token| token.id != unnamed)));
        }
        if !self.live.contains(&answer.status) {
            return Err(answer.unexpected());
        }
        if self.active.is_none() && self.fields.are_none() {
            return Ok(Verdict::Live(nameless(unnamed)));
        }
        let json = answer.json()?;
        let active = match &self.active {
            None => true,
            Some(pointer) => pointer
                .find(&json)
                .and_then(Value::as_bool)
                .ok_or_else(|| unavailable("the answer does not say whether the token is active"))?,
        };
        let token = self.token(&json, unnamed)?;
        Ok(match (active, self.inactive) {
            (true, _) => Verdict::Live(token),
            (false, Inactive::Dead) => Verdict::Dead(Some(token).filter(|token| token.id != unnamed)),
            (false, Inactive::NotOurs) => Verdict::NotOurs,
        })
    }

    fn evidence(&self, answer: &Answer) -> Result<Option<Value>, Unknown> {
        match self.evidence {
            Evidence::Json => answer.json().map(Some),
            Evidence::Status => Ok(answer.json().ok()),
        }
    }

    fn token(&self, json: &Value, unnamed: &str) -> Result<IssuedToken, Unknown> {
        let fields = &self.fields;
        let find = |pointer: &Option<Pointer>| pointer.as_ref().and_then(|pointer| pointer.find(json));
        let name = |pointer: &Option<Pointer>| find(pointer).and_then(text).map(|text| cut(&text));
        let time = |pointer: &Option<Pointer>| find(pointer).and_then(instant);
        let mut told = find(&fields.owner_email).map(addresses).unwrap_or_default().into_iter();
        let owner = Owner {
            id: name(&fields.owner_id),
            name: name(&fields.owner_name),
            email: told.next(),
            others: told.collect(),
        };
        let known = owner.id.is_some() || owner.name.is_some() || owner.email.is_some();
        Ok(IssuedToken {
            id: match find(&fields.token_id) {
                None | Some(Value::Null) => unnamed.to_owned(),
                Some(value) => text(value)
                    .filter(|id| id.chars().count() <= ID_CHARS)
                    .ok_or_else(|| unavailable("the answer names the token by something that is no id"))?,
            },
            name: name(&fields.token_name),
            owner: known.then_some(owner),
            created_at: time(&fields.created_at),
            last_used_at: time(&fields.last_used_at),
            last_used_from: None,
            expires_at: time(&fields.expires_at),
            scopes: find(&fields.scopes).map(scopes).unwrap_or_default(),
        })
    }
}

impl super::settings::Fields {
    fn are_none(&self) -> bool {
        [
            &self.token_id,
            &self.token_name,
            &self.owner_id,
            &self.owner_name,
            &self.owner_email,
            &self.created_at,
            &self.last_used_at,
            &self.expires_at,
            &self.scopes,
        ]
        .into_iter()
        .all(Option::is_none)
    }
}

/// Whom to tell: one address, or the owners of an organization as a list of addresses or of objects with an `email`.
/// What is no address, and what stands there twice, is left out.
fn addresses(value: &Value) -> Vec<EmailAddress> {
    let one =
        |value: &Value| text(value.get("email").unwrap_or(value)).and_then(|text| EmailAddress::parse(&text).ok());
    let Value::Array(list) = value else { return one(value).into_iter().collect() };
    let mut known = Vec::new();
    for address in list.iter().filter_map(one) {
        if !known.contains(&address) && known.len() < MOST_ADDRESSES {
            known.push(address);
        }
    }
    known
}

fn not_a_page(answer: &Answer) -> Result<(), Unknown> {
    if answer.media == Media::Html { Err(unavailable("the answer is a web page, not an answer")) } else { Ok(()) }
}

fn nameless(unnamed: &str) -> IssuedToken {
    IssuedToken {
        id: unnamed.to_owned(),
        name: None,
        owner: None,
        created_at: None,
        last_used_at: None,
        last_used_from: None,
        expires_at: None,
        scopes: vec![],
    }
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

fn cut(text: &str) -> String {
    text.chars().take(NAME_CHARS).collect()
}

fn instant(value: &Value) -> Option<Timestamp> {
    match value {
        // RFC 7662 takes its times from RFC 7519, where NumericDate may carry a fraction.
        Value::Number(number) => {
            let whole = number.to_string();
            Timestamp::parse(whole.split('.').next().unwrap_or_default())
        }
        Value::String(text) => Timestamp::parse(text),
        _ => None,
    }
}

fn scopes(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).map(|scope| cut(&scope)).collect(),
        Value::String(text) => text.split_ascii_whitespace().map(cut).collect(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use zeroize::Zeroizing;

    use super::*;

    fn answer(status: u16, media: Media, body: &str) -> Answer {
        Answer { status, media, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    fn introspect(body: &Value) -> Verdict {
        VerifyAnswers::introspection().read(&answer(200, Media::Json, &body.to_string()), "unnamed:1")
    }

    #[test]
    fn an_active_token_is_live_with_all_that_is_known() {
        let verdict = introspect(&json!({
            "active": true, "jti": 7, "sub": "u1", "username": "ada", "email": "ada@example.org",
            "iat": 1_795_395_604.5, "exp": 1_795_399_204, "scope": "read  upload",
        }));
        let Verdict::Live(token) = verdict else { panic!("{verdict:?}") };
        assert_eq!(token.id, "7");
        assert_eq!(token.scopes, ["read", "upload"]);
        assert_eq!(token.created_at, Timestamp::parse("1795395604"));
        assert_eq!(token.expires_at, Timestamp::parse("1795399204"));
        let owner = token.owner.expect("the answer names one");
        assert_eq!((owner.id.as_deref(), owner.name.as_deref()), (Some("u1"), Some("ada")));
        assert_eq!(owner.email.expect("the answer names one").as_str(), "ada@example.org");
    }

    #[test]
    fn several_owners_are_a_list_and_each_is_told_once() {
        let told = |email: Value| -> Vec<String> {
            let verdict = introspect(&json!({ "active": true, "jti": 7, "sub": "u1", "email": email }));
            let Verdict::Live(token) = verdict else { panic!("{verdict:?}") };
            token.owner.iter().flat_map(Owner::addresses).map(|address| address.as_str().to_owned()).collect()
        };
        let list =
            json!(["ada@example.org", "no address", null, { "email": "bob@example.org" }, "ada@example.org", {}]);
        assert_eq!(told(list), ["ada@example.org", "bob@example.org"]);
        assert_eq!(told(json!({ "email": "ada@example.org" })), ["ada@example.org"]);
        let many: Vec<String> = (0..60).map(|number| format!("a{number}@example.org")).collect();
        assert_eq!(told(json!(many)), many[..MOST_ADDRESSES]);
        for nobody in [json!([]), json!("x"), json!({}), json!([[]]), Value::Null] {
            assert_eq!(told(nobody), Vec::<String>::new());
        }
    }

    #[test]
    fn an_inactive_token_is_dead_unless_the_issuer_is_said_to_mean_never_issued() {
        let body = json!({"active": false});
        assert_eq!(introspect(&body), Verdict::Dead(None));
        let strict = VerifyAnswers { inactive: Inactive::NotOurs, ..VerifyAnswers::introspection() };
        assert_eq!(strict.read(&answer(200, Media::Json, &body.to_string()), "u"), Verdict::NotOurs);
    }

    #[test]
    fn an_answer_that_does_not_say_it_is_no_answer() {
        for body in [json!({}), json!({"active": "true"}), json!({"active": 1}), json!({"active": null}), json!([true])]
        {
            assert!(matches!(introspect(&body), Verdict::Unknown(Unknown::Unavailable { .. })), "{body}");
        }
        let answers = VerifyAnswers::introspection();
        for answer in [
            answer(200, Media::Json, "{\"active\": tr"),
            answer(200, Media::Json, ""),
            answer(200, Media::Other, "{\"active\": true}"),
            answer(200, Media::Html, "{\"active\": true}"),
        ] {
            assert!(matches!(answers.read(&answer, "u"), Verdict::Unknown(Unknown::Unavailable { .. })));
        }
        let refused = answers.read(&answer(418, Media::Json, "{\"active\": true}"), "u");
        assert!(matches!(refused, Verdict::Unknown(Unknown::Undeclared { .. })), "{refused:?}");
    }

    #[test]
    fn a_web_page_never_ends_an_incident() {
        let page = |status| answer(status, Media::Html, "<h1>Not Found</h1>");
        for status in [200, 404, 410] {
            let verdict = VerifyAnswers::default().read(&page(status), "u");
            assert!(matches!(verdict, Verdict::Unknown(Unknown::Unavailable { .. })), "{status}");
            assert!(RevokeAnswers::default().read(&page(status)).is_err(), "{status}");
        }
        // A gateway that refuses us does so with a page as well, and that is for a person to see.
        let refused = VerifyAnswers::default().read(&page(403), "u");
        assert!(matches!(refused, Verdict::Unknown(Unknown::Misconfigured { .. })));
    }

    #[test]
    fn a_gateway_without_a_route_does_not_say_never_issued() {
        for (media, body) in [(Media::Other, ""), (Media::Other, "404 page not found"), (Media::Json, "")] {
            for status in [404, 410] {
                let verdict = VerifyAnswers::default().read(&answer(status, media, body), "u");
                assert!(matches!(verdict, Verdict::Unknown(Unknown::Unavailable { .. })), "{status} {body:?}");
            }
        }
        assert_eq!(VerifyAnswers::default().read(&answer(404, Media::Json, "{}"), "u"), Verdict::NotOurs);
    }

    #[test]
    fn statuses_alone_can_decide() {
        let answers = VerifyAnswers { evidence: Evidence::Status, ..VerifyAnswers::default() };
        let read = |status| answers.read(&answer(status, Media::Other, ""), "unnamed:1");
        assert!(matches!(read(200), Verdict::Live(token) if token.id == "unnamed:1"));
        assert_eq!(read(404), Verdict::NotOurs);
        assert_eq!(read(410), Verdict::Dead(None));
        assert!(matches!(read(401), Verdict::Unknown(Unknown::Misconfigured { .. })));
        assert!(matches!(read(400), Verdict::Unknown(Unknown::Undeclared { .. })));
        assert!(matches!(read(299), Verdict::Unknown(Unknown::Unavailable { .. })));
    }

    #[test]
    fn an_id_is_believed_or_refused_but_never_cut() {
        let live = |id: Value| introspect(&json!({"active": true, "jti": id}));
        assert!(matches!(live(json!(null)), Verdict::Live(token) if token.id == "unnamed:1"));
        for id in [json!(""), json!({}), json!(true), json!("x".repeat(ID_CHARS + 1))] {
            assert!(matches!(live(id), Verdict::Unknown(Unknown::Unavailable { .. })));
        }
    }

    #[test]
    fn an_owner_without_a_usable_address_is_still_an_owner() {
        let verdict = introspect(&json!({"active": true, "username": "ada", "email": "ada\r\nBcc: x@y"}));
        let Verdict::Live(token) = verdict else { panic!("{verdict:?}") };
        assert_eq!(token.owner.expect("a name is known").email, None);
    }

    proptest! {
        #[test]
        fn no_body_is_read_as_dead_or_never_issued(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let answer = Answer { status: 200, media: Media::Json, body: Zeroizing::new(body) };
            let verdict = VerifyAnswers::introspection().read(&answer, "u");
            prop_assert!(matches!(verdict, Verdict::Unknown(_)), "random bytes do not spell an introspection answer");
        }
    }
}
