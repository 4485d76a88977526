//! The letter: every word of a notice, once, before it is laid out as text and as HTML.
//!
//! A worried maintainer must understand it in ten seconds, so the order is: what happened and that it is already over,
//! which token, what to do, and only then the background. Whatever a stranger or an owner wrote was made
//! [inert](super::inert) before it gets here, so the layouts cannot forget it.

use std::collections::HashSet;

use super::card::{self, Card};
use super::settings::{Contact, House};
use super::{Content, words};

/// Tokens told one by one; the rest is a number. A mail of thousands of tokens would be cut by the reader's program.
const MOST_TOKENS: usize = 200;

/// A notice in words. All of it is inert except the links, which are the operator's.
pub(super) struct Letter {
    pub subject: String,
    pub headline: String,
    pub lead: Vec<String>,
    /// With several tokens, what to do comes first: their list may be long.
    pub before_tokens: Vec<Section>,
    pub tokens: Vec<Card>,
    /// What is to be said about the tokens as a whole: those not listed, and how addresses are written.
    pub notes: Vec<String>,
    pub after_tokens: Vec<Section>,
}

pub(super) struct Section {
    pub title: &'static str,
    pub paragraphs: Vec<String>,
    pub steps: Vec<String>,
    pub links: Vec<Link>,
}

/// A page of the operator's settings.
pub(super) struct Link {
    pub label: &'static str,
    pub url: String,
}

impl Letter {
    pub(super) fn write(house: &House, content: &Content<'_>) -> Self {
        let tokens: Vec<Card> = content
            .items
            .iter()
            .take(MOST_TOKENS)
            .map(|(incident, occurrences)| Card::write(house, incident, occurrences))
            .collect();
        let number = Number::of(content);
        let (subject, headline) = headings(house, content);
        let mut before_tokens = vec![what_to_do(house, content)];
        let mut after_tokens =
            vec![why_deleting_is_not_enough(number), if_it_was_intended(number), how_to_know(house, content)];
        if let Number::One = number {
            after_tokens.splice(0..0, before_tokens.drain(..));
        }
        let notes = notes(content, &tokens);
        Self { subject, headline, lead: lead(content), before_tokens, tokens, notes, after_tokens }
    }
}

/// Whether the words speak of one token or of several.
#[derive(Clone, Copy)]
enum Number {
    One,
    Several,
}

impl Number {
    fn of(content: &Content<'_>) -> Self {
        if content.items.len() == 1 { Self::One } else { Self::Several }
    }

    fn pick(self, one: &'static str, several: &'static str) -> &'static str {
        match self {
            Self::One => one,
            Self::Several => several,
        }
    }
}

fn headings(house: &House, content: &Content<'_>) -> (String, String) {
    let product = &house.product;
    match content.items.as_slice() {
        [(incident, _)] => {
            let whose = match card::name(incident) {
                Some(name) => format!("Your {product} token \"{name}\""),
                None => format!("One of your {product} tokens"),
            };
            (format!("{whose} was leaked and is revoked"), format!("{whose} was leaked and is already revoked"))
        }
        several => {
            let whose = format!("{} of your {product} tokens were leaked and are", several.len());
            (format!("{whose} revoked"), format!("{whose} already revoked"))
        }
    }
}

fn lead(content: &Content<'_>) -> Vec<String> {
    let number = Number::of(content);
    let them = number.pick("it", "them");
    let mut known = HashSet::new();
    let reporters: Vec<String> = content
        .items
        .iter()
        .map(|(incident, _)| words::reporter(&incident.origin))
        .filter(|reporter| known.insert(reporter.clone()))
        .collect();
    let found = format!(
        "{} found {them} where others can read {them} and told us.",
        words::sentence_start(&words::list(&reporters)),
    );
    let revoked = match (content.items.as_slice(), content.items.iter().filter_map(|(one, _)| one.revoked_at).max()) {
        ([(incident, _)], Some(at)) => {
            format!("We revoked it {} later, at {}.", words::span(at.since(incident.received_at)), words::instant(at))
        }
        ([_], None) => "We have revoked it.".into(),
        (_, Some(at)) => format!("We revoked all of them, the last one at {}.", words::instant(at)),
        (_, None) => "We have revoked all of them.".into(),
    };
    let works = number.pick("It no longer works for anyone", "They no longer work for anyone");
    vec![
        format!("{found} {revoked}"),
        format!(
            "{works}, and whatever used {them} has stopped working until you give it a new token. \
             Somebody may have used {them} before we were told, so please read on."
        ),
    ]
}

fn notes(content: &Content<'_>, shown: &[Card]) -> Vec<String> {
    let mut notes = Vec::new();
    if content.items.len() > shown.len() {
        notes.push(format!(
            "And {} more, revoked as well. Your list of tokens shows which still work.",
            words::count(content.items.len() - shown.len(), "token", "tokens"),
        ));
    }
    if shown.iter().flat_map(|card| &card.places).any(|seen| seen.url.is_some()) {
        notes.push(
            "Addresses are written with hxxp and [.] so that they cannot be clicked by mistake. They came with the \
             report and we have not opened them: write http and a plain dot instead, and look before you go there."
                .into(),
        );
    }
    notes
}

fn what_to_do(house: &House, content: &Content<'_>) -> Section {
    let number = Number::of(content);
    let reported = content.items.iter().map(|(incident, _)| incident.received_at).min().unwrap_or(content.created_at);
    Section {
        title: "What to do now",
        paragraphs: Vec::new(),
        steps: vec![
            format!(
                "Make {}, with only the scopes the work needs and with an expiry date.",
                number.pick("a new token", "a new token for each of them")
            ),
            "Put it where the old one was used: CI secrets, deployment settings, other machines. Never into a file \
             that is committed."
                .into(),
            format!(
                "Review every release, upload and change made with your account since the token became public. When \
                 that was we cannot tell: the date of the place where it was seen says more than the report, which \
                 reached us at {}. If you find something that is not yours, write to us at once.",
                words::instant(reported),
            ),
            "Look for other secrets in the same file, log or comment, and revoke them too. Whoever read one read all."
                .into(),
        ],
        links: house
            .tokens_page
            .iter()
            .map(|page| Link { label: "Your tokens", url: page.as_str().to_owned() })
            .collect(),
    }
}

fn why_deleting_is_not_enough(number: Number) -> Section {
    Section {
        title: "Why deleting it is not enough",
        paragraphs: vec![
            format!(
                "Removing the commit, the file or the comment does not make {} secret again. Clones, forks, caches and \
                 archives keep copies, and strangers collect new tokens from public places within a minute. That is \
                 why we did not wait for you.",
                number.pick("the token", "the tokens")
            ),
            "To keep the next one safe: let CI obtain short-lived tokens instead of storing one, if your registry and \
             your CI offer that (trusted publishing, OpenID Connect); give every token an expiry date; and turn on a \
             check that refuses a push with a secret in it."
                .into(),
        ],
        steps: Vec::new(),
        links: Vec::new(),
    }
}

fn if_it_was_intended(number: Number) -> Section {
    Section {
        title: "If this was intended, or is wrong",
        paragraphs: vec![format!(
            "A revocation cannot be undone. If you published {} on purpose, as an example or a trap, there is nothing \
             more to do. If you believe that we are wrong, tell us the incident and we will look into it.",
            number.pick("the token", "the tokens")
        )],
        steps: Vec::new(),
        links: Vec::new(),
    }
}

/// An organization's owners should know that the others were told too. Who they are is not ours to say.
fn owners(content: &Content<'_>) -> String {
    let owner = content.items.first().and_then(|(incident, _)| incident.token.as_ref()?.owner.as_ref());
    match owner.map_or(1, |owner| owner.addresses().count()) {
        0 | 1 => "the owner".into(),
        many => format!("one of the {many} owners, who each get a mail,"),
    }
}

fn how_to_know(house: &House, content: &Content<'_>) -> Section {
    let number = Number::of(content);
    let product = &house.product;
    let reference = match content.items.as_slice() {
        [(incident, _)] => format!("name the incident, {}", incident.id),
        _ => format!("name the incident of the token, or this mail, {}", content.notice_id),
    };
    let (ask, links) = match &house.contact {
        Contact::Address(address) => (format!("write to {} and {reference}", address.as_str()), Vec::new()),
        Contact::Page(page) => (
            format!("ask us on the page below and {reference}"),
            vec![Link { label: "Contact", url: page.as_str().to_owned() }],
        ),
    };
    Section {
        title: "How you know that this mail is genuine",
        paragraphs: vec![
            format!(
                "You get it because {product} knows this address as that of {} of {}. You need not trust it: \
                 open {product} the way you always do, and you will find that {} no longer {}. We never ask for a \
                 token or a password, and you need not click anything here.",
                owners(content),
                number.pick("the token", "the tokens"),
                number.pick("the token", "the tokens"),
                number.pick("works", "work"),
            ),
            format!("If you have a question, {ask}."),
        ],
        steps: Vec::new(),
        links,
    }
}
