//! Mails about tokens that did not leak: one was made, one is about to end, a canary was tried.
//!
//! Whoever did not make the token that a mail speaks of must be able to act on it at once, so what to do comes before
//! the facts. As in every notice, what an owner wrote is made [inert], and nothing of the token is told but the end of
//! its checksum.

use super::card::Card;
use super::letter::{Letter, Link, Section};
use super::settings::{Contact, House};
use super::{inert, words};
use crate::clock::Timestamp;
use crate::id::NoticeId;
use crate::incident::EmailAddress;

/// What one mail about one token says.
#[derive(Clone, Debug)]
pub struct TokenContent<'a> {
    pub notice_id: NoticeId,
    pub to: &'a EmailAddress,
    pub occasion: Occasion<'a>,
    pub token_id: String,
    pub name: &'a str,
    /// A kind's word: `pat`.
    pub kind: &'a str,
    pub hint: &'a str,
    pub scopes: &'a [String],
    pub projects: &'a [String],
    pub created_at: Timestamp,
    /// `operator:…`, `token:…`, `owner:…`.
    pub created_by: &'a str,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

/// Why the mail is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// A token that nobody may use was shown.
    CanaryUsed {
        at: Timestamp,
        from: Option<&'a str>,
    },
    Created,
    /// It ends soon.
    Expires,
}

const NAME_COLUMNS: usize = 60;
const MOST_WORDS: usize = 20;

pub(super) fn write(house: &House, content: &TokenContent<'_>, now: Timestamp) -> Letter {
    let product = &house.product;
    let name = inert::line(content.name, NAME_COLUMNS);
    let (fact, lead) = match content.occasion {
        Occasion::CanaryUsed { at, from } => {
            let from = from.map(|from| format!(" from {}", inert::line(from, NAME_COLUMNS))).unwrap_or_default();
            let lead = format!(
                "It is a canary: nobody has a reason to use it, and it opens nothing. It was shown at {}{from}. Whoever \
                 did that has read the place where you put it.",
                words::instant(at)
            );
            ("was tried", lead)
        }
        Occasion::Created => {
            ("was made", format!("A new token of yours works since {}.", words::instant(content.created_at)))
        }
        Occasion::Expires => {
            let end = content.expires_at.unwrap_or(now);
            let lead = format!(
                "It ends in {}, at {}. What uses it stops working then.",
                words::span(end.since(now)),
                words::instant(end)
            );
            ("expires soon", lead)
        }
    };
    let whose = format!("Your {product} token \"{name}\"");
    Letter {
        subject: format!("{whose} {fact}"),
        headline: format!("{whose} {fact}"),
        lead: vec![lead],
        before_tokens: vec![what_to_do(house, content)],
        tokens: vec![Card { title: name, facts: facts(content), places: Vec::new(), more_places: None }],
        notes: Vec::new(),
        after_tokens: vec![how_to_know(house, content)],
    }
}

fn what_to_do(house: &House, content: &TokenContent<'_>) -> Section {
    let (title, steps): (_, &[&str]) = match content.occasion {
        Occasion::CanaryUsed { .. } => (
            "What to do now",
            &[
                "Take it that everything kept in the same place is known to a stranger: revoke and renew it.",
                "Find out who could read that place at the time above, and close the way in.",
                "Put a new canary there: this one has done its work and tells you nothing more.",
            ],
        ),
        Occasion::Created => (
            "If this was not you",
            &[
                "Revoke the token: whoever made it can act in your name.",
                "Look for other tokens that you did not make, and revoke them too.",
                "Change your password and end your other sessions: that is how it was made.",
            ],
        ),
        Occasion::Expires => (
            "What to do now",
            &[
                "If it is still needed, rotate it: you get a new one, and the old one lives on until you have put the \
                 new one in its place.",
                "If it is not needed, there is nothing to do.",
            ],
        ),
    };
    Section {
        title,
        paragraphs: Vec::new(),
        steps: steps.iter().map(|step| (*step).to_owned()).collect(),
        links: house
            .tokens_page
            .iter()
            .map(|page| Link { label: "Your tokens", url: page.as_str().to_owned() })
            .collect(),
    }
}

fn facts(content: &TokenContent<'_>) -> Vec<(&'static str, String)> {
    let kind = match content.kind {
        "key" => "API key".to_owned(),
        "macaroon" => "API token (macaroon)".to_owned(),
        "magic" => "proxy token".to_owned(),
        "pat" => "personal access token".to_owned(),
        other => inert::line(other, NAME_COLUMNS),
    };
    let mut facts = vec![("Kind", kind)];
    if !content.hint.is_empty() {
        let hint = inert::line(content.hint, 4);
        facts.push(("Ends in", format!("{hint} (the last characters of its checksum)")));
    }
    if !content.scopes.is_empty() {
        facts.push(("Scopes", listed(content.scopes)));
    }
    let projects = if content.projects.is_empty() { "all of yours".into() } else { listed(content.projects) };
    facts.push(("Projects", projects));
    let by = match content.created_by.split_once(':') {
        Some(("operator", _)) => "by an operator",
        Some(("owner", _)) => "by you",
        Some(("token", _)) => "by another token of yours",
        _ => "by the service",
    };
    facts.push(("Created", format!("{}, {by}", words::instant(content.created_at))));
    facts.push(("Last used", content.last_used_at.map_or_else(|| "never".into(), words::instant)));
    facts.push(("Expires", content.expires_at.map_or_else(|| "never".into(), words::instant)));
    facts.push(("Token", inert::line(&content.token_id, NAME_COLUMNS)));
    facts
}

fn listed(items: &[String]) -> String {
    let mut shown: Vec<String> = items.iter().take(MOST_WORDS).map(|item| inert::line(item, NAME_COLUMNS)).collect();
    if items.len() > MOST_WORDS {
        shown.push(format!("and {} more", items.len() - MOST_WORDS));
    }
    shown.join(", ")
}

fn how_to_know(house: &House, content: &TokenContent<'_>) -> Section {
    let product = &house.product;
    let (ask, links) = match &house.contact {
        Contact::Address(address) => (format!("write to {}", address.as_str()), Vec::new()),
        Contact::Page(page) => {
            ("ask us on the page below".to_owned(), vec![Link { label: "Contact", url: page.as_str().to_owned() }])
        }
    };
    Section {
        title: "How you know that this mail is genuine",
        paragraphs: vec![
            format!(
                "You get it because {product} knows this address as that of the owner of the token. You need not trust \
                 it: open {product} the way you always do and look at your tokens. We never ask for a token or a \
                 password, and you need not click anything here."
            ),
            format!(
                "If you have a question, {ask} and name the token, {}.",
                inert::line(&content.token_id, NAME_COLUMNS)
            ),
        ],
        steps: Vec::new(),
        links,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::notice::sample::settings;

    const HOUR: i64 = 3_600_000;

    fn letter(occasion: Occasion<'_>, name: &str) -> String {
        let house = House::new(&settings()).expect("settings that work");
        let to = EmailAddress::parse("ada@example.org").expect("an address");
        let at = |hours: i64| Timestamp::from_millis(1_795_395_604_123 + hours * HOUR);
        let content = TokenContent {
            notice_id: NoticeId::generate(at(0)),
            to: &to,
            occasion,
            token_id: "tok_01k".into(),
            name,
            kind: "macaroon",
            hint: "",
            scopes: &["upload".into()],
            projects: &["engine".into()],
            created_at: at(-24 * 83),
            created_by: "operator:root",
            expires_at: Some(at(24 * 7)),
            last_used_at: None,
        };
        crate::notice::text::render(&write(&house, &content, at(1))).expect("laid out")
    }

    #[test]
    fn an_end_that_comes_near_is_told_with_what_to_do() {
        assert_snapshot!(letter(Occasion::Expires, "ci-upload"));
    }

    #[test]
    fn a_token_that_was_made_is_told_to_whoever_did_not_make_it() {
        assert_snapshot!(letter(Occasion::Created, "x\r\nBcc: all@evil.example"));
    }

    #[test]
    fn a_canary_says_where_it_was_tried_from() {
        let at = Timestamp::from_millis(1_795_395_604_123);
        assert_snapshot!(letter(Occasion::CanaryUsed { at, from: Some("198.51.100.7") }, "trap in the wiki"));
    }
}
