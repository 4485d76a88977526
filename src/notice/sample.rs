//! Incidents and mails for the tests of this module.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::letter::Letter;
use super::settings::House;
use super::{Content, Settings, Transport, html, message, text};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, IncidentId, NoticeId, OccurrenceId};
use crate::incident::{EmailAddress, Incident, IssuedToken, IssuerName, Occurrence, Place, State};
use crate::token::{Confidence, Fingerprint, KindId};

/// 2026-11-23 01:00:04.123 UTC.
pub const REPORTED: i64 = 1_795_395_604_123;

pub fn settings() -> Settings {
    Settings {
        transport: Transport::Directory(PathBuf::from("unused")),
        from: "Example Registry <no-reply@registry.example>".into(),
        product: "Example Registry".into(),
        contact: "https://registry.example/security/contact".into(),
        message_id_domain: None,
        tokens_url: Some("https://registry.example/me/tokens".into()),
        kind_names: BTreeMap::from([("example-pat".into(), "Example Registry personal access token".into())]),
    }
}

pub fn incident(number: u8, name: Option<&str>) -> Incident {
    let at = |after| Timestamp::from_millis(REPORTED + after);
    Incident {
        id: format!("inc_01kaqnsg2v0000000000000{number:03}").parse::<IncidentId>().expect("26 letters"),
        delivery_id: DeliveryId::generate(at(0)),
        origin: "github".into(),
        kind: KindId::new("example-pat"),
        fingerprint: Fingerprint::from_stored("f1:00".into()),
        confidence: Confidence::Verified,
        hint: "w9Xz".into(),
        issuer: Some(IssuerName::new("builtin")),
        state: State::Revoked,
        verdict: Some("live"),
        token: Some(IssuedToken {
            id: format!("t{number}"),
            name: name.map(str::to_owned),
            owner: None,
            created_at: Timestamp::parse("2025-02-03T09:30:00Z"),
            last_used_at: Timestamp::parse("2026-11-22T17:05:41Z"),
            last_used_from: Some("203.0.113.0/24".into()),
            expires_at: Timestamp::parse("2027-02-03T09:30:00Z"),
            scopes: vec!["upload".into(), "read:packages".into()],
        }),
        notice_id: None,
        received_at: at(0),
        verified_at: Some(at(340)),
        revoked_at: Some(at(1_210)),
        notified_at: None,
        closed_at: None,
        revoke_tried: false,
        version: 3,
    }
}

pub fn seen(incident: &Incident, source: &str, url: &str) -> Occurrence {
    Occurrence {
        id: OccurrenceId::generate(incident.received_at),
        incident_id: incident.id,
        origin: incident.origin.clone(),
        place: Some(Place { sent_type: "example_pat".into(), url: url.into(), source: source.into() }),
        reports: 1,
        first_reported_at: incident.received_at,
        last_reported_at: incident.received_at,
    }
}

/// A mail in its pieces: the head as it would leave, the parts before their transfer encoding.
pub struct Sample {
    pub headers: String,
    pub text: String,
    pub html: String,
}

impl Sample {
    pub fn shown(&self) -> String {
        format!("{}\n=== text\n\n{}\n=== html\n\n{}", self.headers.replace("\r\n", "\n"), self.text, self.html)
    }
}

pub fn write(items: &[(Incident, Vec<Occurrence>)]) -> Sample {
    write_with(&settings(), items)
}

pub fn write_with(settings: &Settings, items: &[(Incident, Vec<Occurrence>)]) -> Sample {
    let house = House::new(settings).expect("well formed");
    let to = EmailAddress::parse("ada@example.org").expect("well formed");
    let content = Content {
        notice_id: "ntc_01kaqnsg2v0000000000000001".parse::<NoticeId>().expect("26 letters"),
        to: &to,
        created_at: Timestamp::from_millis(REPORTED),
        items: items.iter().map(|(incident, occurrences)| (incident, occurrences.as_slice())).collect(),
    };
    let message = message::compose(&house, &content, Timestamp::from_millis(REPORTED + 2_000)).expect("can be mailed");
    let raw = String::from_utf8(message.formatted()).expect("mail is ASCII");
    let letter = Letter::write(&house, &content);
    Sample {
        headers: raw.split_once("\r\n\r\n").expect("a head and a body").0.to_owned() + "\r\n",
        text: text::render(&letter).expect("laid out"),
        html: html::render(&letter).expect("laid out"),
    }
}
