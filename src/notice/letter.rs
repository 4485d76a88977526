//! The letter: every word of a notice, once, before it is laid out as text and as HTML.
//!
//! A worried maintainer must understand it in ten seconds, so the order is: what happened and that it is already over,
//! which token, what to do, and only then the background. Whatever a stranger or an owner wrote passes through
//! [`inert`] here, so the layouts cannot forget it. Of the token itself only the end of its checksum is told.

use std::collections::HashSet;

use super::settings::{Contact, House};
use super::{Content, inert, words};
use crate::incident::{Incident, IssuedToken, Occurrence};

/// Tokens told one by one; the rest is a number. A mail of thousands of tokens would be cut by the reader's program.
const MOST_TOKENS: usize = 200;
/// Places told for each token.
const MOST_PLACES: usize = 20;
const MOST_SCOPES: usize = 20;
/// Columns of a name, so that it fits on a line with its label.
const NAME_COLUMNS: usize = 60;

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

/// One token.
pub(super) struct Card {
    pub title: String,
    pub facts: Vec<(&'static str, String)>,
    pub places: Vec<Seen>,
    pub more_places: Option<String>,
}

/// One place where the token was seen.
pub(super) struct Seen {
    pub what: String,
    /// Disarmed; never a link.
    pub url: Option<String>,
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
            .map(|(incident, occurrences)| card(house, incident, occurrences))
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
            let whose = match name(incident) {
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

fn card(house: &House, incident: &Incident, occurrences: &[Occurrence]) -> Card {
    let beyond = occurrences.len().saturating_sub(MOST_PLACES);
    Card {
        title: name(incident).unwrap_or_else(|| "A token without a name".into()),
        facts: facts(house, incident),
        places: occurrences.iter().take(MOST_PLACES).map(|occurrence| seen(incident, occurrence)).collect(),
        more_places: match (occurrences.len(), beyond) {
            (0, _) => Some("No place was reported.".into()),
            (_, 0) => None,
            (_, beyond) => Some(format!("And {beyond} more.")),
        },
    }
}

fn facts(house: &House, incident: &Incident) -> Vec<(&'static str, String)> {
    let kind = house.kind_names.get(incident.kind.as_str());
    let kind = kind.cloned().unwrap_or_else(|| inert::line(incident.kind.as_str(), NAME_COLUMNS));
    let mut facts = vec![("Kind", kind)];
    let hint = last_characters(&incident.hint);
    if !hint.is_empty() {
        facts.push(("Ends in", format!("{hint} (the last characters of its checksum)")));
    }
    let token = incident.token.as_ref();
    let tell = |at: Option<_>, unknown: &str| at.map_or_else(|| unknown.to_owned(), words::instant);
    facts.push(("Scopes", scopes(token)));
    facts.push(("Created", tell(token.and_then(|token| token.created_at), "we cannot tell")));
    // Not compared with the time of the report: asking some issuers whether a token lives counts as a use of it.
    facts.push(("Last used", tell(token.and_then(|token| token.last_used_at), "we cannot tell")));
    facts.push(("Expires", tell(token.and_then(|token| token.expires_at), "no date known")));
    let by = words::reporter(&incident.origin);
    facts.push(("Reported", format!("{}, by {by}", words::instant(incident.received_at))));
    if let Some(at) = incident.verified_at {
        facts.push(("Checked", format!("{}, and found to work", words::instant(at))));
    }
    if let Some(at) = incident.revoked_at {
        let after = words::span(at.since(incident.received_at));
        facts.push(("Revoked", format!("{}, {after} after the report", words::instant(at))));
    }
    facts.push(("Incident", incident.id.to_string()));
    facts
}

fn name(incident: &Incident) -> Option<String> {
    let name = incident.token.as_ref()?.name.as_deref()?;
    Some(inert::line(name, NAME_COLUMNS)).filter(|name| !name.is_empty())
}

/// At most four, whatever was stored: this is the one place where a piece of the token leaves the house.
fn last_characters(hint: &str) -> String {
    let hint = inert::line(hint, NAME_COLUMNS);
    let surplus = hint.chars().count().saturating_sub(4);
    hint.chars().skip(surplus).collect()
}

fn scopes(token: Option<&IssuedToken>) -> String {
    let all = token.map_or(&[][..], |token| token.scopes.as_slice());
    if all.is_empty() {
        return "we cannot tell".into();
    }
    let mut shown: Vec<String> = all.iter().take(MOST_SCOPES).map(|scope| inert::line(scope, NAME_COLUMNS)).collect();
    if all.len() > MOST_SCOPES {
        shown.push(format!("and {} more", all.len() - MOST_SCOPES));
    }
    shown.join(", ")
}

fn seen(incident: &Incident, occurrence: &Occurrence) -> Seen {
    let mut when = format!("reported {}", words::instant(occurrence.first_reported_at));
    if occurrence.origin != incident.origin {
        when = format!("{when} by {}", words::reporter(&occurrence.origin));
    }
    if occurrence.reports > 1 {
        when = format!("{when} and {} after that", times(occurrence.reports - 1));
    }
    let Some(place) = &occurrence.place else {
        return Seen { what: format!("A place that is no longer on record, {when}"), url: None };
    };
    let what = words::sentence_start(&words::place(&place.source));
    let url = inert::url(&place.url);
    if url.is_empty() {
        return Seen { what: format!("{what}, {when}, without an address"), url: None };
    }
    Seen { what: format!("{what}, {when}"), url: Some(url) }
}

fn times(number: i64) -> String {
    match number {
        1 => "once".into(),
        2 => "twice".into(),
        more => format!("{more} times"),
    }
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
                "You get it because {product} knows this address as that of the owner of {}. You need not trust it: \
                 open {product} the way you always do, and you will find that {} no longer {}. We never ask for a \
                 token or a password, and you need not click anything here.",
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
