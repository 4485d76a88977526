//! One token of a notice: which it is, and where it was seen.
//!
//! Everything here comes from an owner, an issuer or a reporter, and is made [inert] on the way. Of the
//! token itself only the end of its checksum is told.

use super::settings::House;
use super::{inert, words};
use crate::incident::{Incident, IssuedToken, Occurrence};

/// Places told for each token.
const MOST_PLACES: usize = 20;
const MOST_SCOPES: usize = 20;
/// Columns of a name, so that it fits on a line with its label.
const NAME_COLUMNS: usize = 60;

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

impl Card {
    pub(super) fn write(house: &House, incident: &Incident, occurrences: &[Occurrence]) -> Self {
        let beyond = occurrences.len().saturating_sub(MOST_PLACES);
        Self {
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
    facts.push(("Last used", last_use(token)));
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
    // Compared only where the issuer notes who uses a token: asking others whether it lives counts as a use of it.
    match incident.used_after_report() {
        Some(true) => facts.push(("Exposure", "USED AFTER IT WAS REPORTED; look at what was done with it".into())),
        Some(false) => facts.push(("Exposure", "no use on record since it was reported".into())),
        None => {}
    }
    facts.push(("Incident", incident.id.to_string()));
    facts
}

fn last_use(token: Option<&IssuedToken>) -> String {
    let Some(at) = token.and_then(|token| token.last_used_at) else { return "we cannot tell".into() };
    match token.and_then(|token| token.last_used_from.as_deref()) {
        Some(network) => format!("{}, from {}", words::instant(at), inert::line(network, NAME_COLUMNS)),
        None => words::instant(at),
    }
}

pub(super) fn name(incident: &Incident) -> Option<String> {
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
