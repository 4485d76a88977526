//! Audit events in words: what happened, in which tone, and the small facts of it. The timeline of an incident and the
//! page of the whole trail say the same of the same event.

use std::time::Duration;

use serde_json::Value as Json;

use crate::dashboard::text::{line, measured};
use crate::store::StoredEvent;

/// An event as a person reads it.
pub struct Happened {
    pub title: String,
    pub tone: &'static str,
    /// `operator ada`.
    pub by: String,
    pub facts: String,
}

/// A kind of event: its word, what it is called, the tone, and under which heading it is chosen.
pub struct Kind {
    pub word: &'static str,
    pub title: &'static str,
    tone: &'static str,
    pub group: &'static str,
}

const INCIDENTS: &str = "Incidents";
const BRAKE: &str = "Brake and issuers";
const PEOPLE: &str = "People";
const TOKENS: &str = "Own tokens";

const fn kind(word: &'static str, title: &'static str, tone: &'static str, group: &'static str) -> Kind {
    Kind { word, title, tone, group }
}

/// Every kind of event that stanch writes. A test holds it against the domain.
pub const KINDS: &[Kind] = &[
    kind("opened", "Reported and stored", "", INCIDENTS),
    kind("reported", "Reported again", "", INCIDENTS),
    kind("verified", "Asked the issuer", "", INCIDENTS),
    kind("revoked", "Revoked, and read back", "good", INCIDENTS),
    kind("notified", "Owner told by mail", "good", INCIDENTS),
    kind("closed", "Closed, and the token erased", "", INCIDENTS),
    kind("purged", "Reporter's data purged", "", INCIDENTS),
    kind("stuck", "Stuck: a person must look", "bad", INCIDENTS),
    kind("retried", "Let go on", "", INCIDENTS),
    kind("rechecked", "Issuer to be asked again", "", INCIDENTS),
    kind("mail_requested", "Owner to be told again", "", INCIDENTS),
    kind("branch_revoked", "Only the leaked copy revoked", "warn", INCIDENTS),
    kind("dismissed", "Dismissed", "warn", INCIDENTS),
    kind("reopened", "Reported after its end: asked about again", "warn", INCIDENTS),
    kind("held", "Held by the brake", "warn", BRAKE),
    kind("released", "Released", "", BRAKE),
    kind("release_requested", "Release asked for", "warn", BRAKE),
    kind("release_approved", "Release approved", "", BRAKE),
    kind("release_withdrawn", "Release withdrawn", "", BRAKE),
    kind("brake_on", "The brake went on", "bad", BRAKE),
    kind("brake_off", "The brake went off", "good", BRAKE),
    kind("paused", "Paused", "warn", BRAKE),
    kind("resumed", "Resumed", "good", BRAKE),
    kind("drilled", "Fire drill", "", BRAKE),
    kind("exported", "Exported", "warn", PEOPLE),
    kind("signed_in", "Signed in", "", PEOPLE),
    kind("signed_out", "Signed out", "", PEOPLE),
    kind("password_chosen", "Password chosen", "", PEOPLE),
    kind("operator_added", "Operator added", "warn", PEOPLE),
    kind("operator_disabled", "Operator disabled", "warn", PEOPLE),
    kind("operator_enabled", "Operator enabled again", "warn", PEOPLE),
    kind("operator_reset", "Link for a new password made", "warn", PEOPLE),
    kind("operator_role_changed", "Role changed", "warn", PEOPLE),
    kind("token_created", "Token made", "", TOKENS),
    kind("token_narrowed", "Token renamed or narrowed", "", TOKENS),
    kind("token_rotated", "Token rotated", "", TOKENS),
    kind("owner_suspended", "Owner set aside", "warn", TOKENS),
    kind("owner_resumed", "Owner taken back", "warn", TOKENS),
    kind("token_suspended", "Token set aside", "warn", TOKENS),
    kind("token_resumed", "Token taken back", "warn", TOKENS),
    kind("token_revoked", "Token revoked by hand", "warn", TOKENS),
];

impl Happened {
    pub fn of(event: &StoredEvent) -> Self {
        let known = KINDS.iter().find(|kind| kind.word == event.kind);
        let verdict = event.detail.get("verdict").and_then(Json::as_str);
        let (title, tone) = match (known, verdict) {
            (Some(Kind { word: "verified", title, .. }), Some(verdict)) => {
                (format!("{title}: {}", spaced(verdict)), if verdict == "live" { "warn" } else { "" })
            }
            (Some(kind), _) => (kind.title.to_owned(), kind.tone),
            (None, _) => (spaced(&event.kind), ""),
        };
        let facts = event.detail.as_object().into_iter().flatten().filter(|(key, _)| *key != "verdict");
        Self {
            title,
            tone,
            by: line(&event.actor).replacen(':', " ", 1),
            facts: facts.filter_map(fact).collect::<Vec<_>>().join(" · "),
        }
    }
}

fn fact((key, value): (&String, &Json)) -> Option<String> {
    let key = line(key);
    let text = match (key.strip_suffix("_ms"), value) {
        (_, Json::Null) => return None,
        // The usual needs no words.
        _ if matches!(key.as_str(), "claims" | "tries") && value.as_i64() == Some(1) => return None,
        (Some(name), Json::Number(ms)) => {
            let span = measured(Duration::from_millis(ms.as_u64().unwrap_or_default()));
            if name == "duration" { format!("took {span}") } else { format!("{} {span}", spaced(name)) }
        }
        (_, Json::String(text)) => format!("{} {}", spaced(&key), line(text)),
        (_, other) => format!("{} {}", spaced(&key), line(&other.to_string())),
    };
    Some(text)
}

fn spaced(word: &str) -> String {
    line(word).replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::EventId;

    fn told(kind: &str, detail: Json) -> Happened {
        let (at, actor) = (Timestamp::EPOCH, "operator:ada".to_owned());
        let id = EventId::generate(at);
        Happened::of(&StoredEvent { position: 1, id, at, actor, kind: kind.into(), incident_id: None, detail })
    }

    #[test]
    fn every_kind_of_event_has_words() {
        let source = include_str!("../../incident/event.rs");
        let words = source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split("=> \"").nth(1));
        let words: Vec<&str> = words.filter_map(|rest| rest.split('"').next()).collect();
        assert!(words.len() > 25, "{words:?}");
        for word in words {
            assert!(KINDS.iter().any(|kind| kind.word == word), "`{word}` has no words");
        }
    }

    #[test]
    fn facts_are_told_with_their_units_and_what_is_hidden_in_them_is_shown() {
        let it = told("verified", json!({ "verdict": "not_ours", "duration_ms": 1_250, "tries": 2, "reason": null }));
        assert_eq!((it.title.as_str(), it.by.as_str()), ("Asked the issuer: not ours", "operator ada"));
        assert_eq!(it.facts, "took 1.25 s · tries 2");
        let it = told("dis\u{202e}missed", json!({ "reason": "a\u{7}b" }));
        assert!(!it.title.contains('\u{202e}') && it.facts == "reason a\\u{7}b", "{} {}", it.title, it.facts);
    }
}
