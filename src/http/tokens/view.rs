//! A token's record as the API shows it: everything but what would open something.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::store::OwnToken;

/// What an owner or an operator sees.
pub fn token(token: &OwnToken, now: Timestamp) -> Value {
    let mut view = about(token, now);
    if let Some(view) = view.as_object_mut() {
        let owner = json!({ "id": token.owner_id, "name": token.owner_name, "email": token.owner_email.as_str() });
        view.insert("owner".into(), owner);
        view.insert("created_by".into(), token.created_by.as_str().into());
        view.insert("updated_at".into(), json!(token.updated_at));
        view.insert("updated_by".into(), json!(token.updated_by));
        view.insert("revoked_by".into(), json!(token.revoked_by));
        view.insert("incident_id".into(), json!(token.incident_id));
        view.insert("canary".into(), token.canary.into());
        view.insert("additional".into(), token.additional.clone());
    }
    view
}

/// What whoever holds the token sees: no address, for a finder may ask as well.
pub fn about(token: &OwnToken, now: Timestamp) -> Value {
    json!({
        "id": token.id,
        "kind": token.kind.word(),
        "name": token.name,
        "prefix": token.prefix,
        "hint": token.hint,
        "status": token.state(now).word(),
        "scopes": token.scopes,
        "projects": token.projects,
        "organisations": token.organisations,
        "caveats": token.caveats,
        "upstream": token.upstream,
        "policy": token.policy,
        "created_at": token.created_at,
        "not_before": token.not_before,
        "expires_at": token.expires_at,
        "first_used_at": token.first_used_at,
        "last_used_at": token.last_used_at,
        "last_used_from": token.last_used_from,
        "uses": token.uses,
        "suspended_at": token.suspended_at,
        "revoked_at": token.revoked_at,
        "revoked_reason": token.revoked_reason,
        "family_id": token.family_id,
        "replaced_by": token.replaced_by,
    })
}

/// The schema of [`token`], for the API's documentation.
pub fn schema() -> Value {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": ["string", "null"], "format": "date-time" });
    let words = || json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "required": ["id", "kind", "name", "status", "created_at"],
        "properties": {
            "id": text(),
            "kind": { "enum": ["key", "macaroon", "magic", "pat"] },
            "name": text(),
            "hint": text(),
            "status": { "enum": ["active", "expired", "not_yet", "revoked", "suspended"] },
            "scopes": words(),
            "projects": words(),
            "organisations": words(),
            "caveats": words(),
            "created_at": { "type": "string", "format": "date-time" },
            "not_before": time(),
            "expires_at": time(),
            "last_used_at": time(),
            "revoked_at": time(),
        },
    })
}
