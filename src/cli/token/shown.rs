//! Records of tokens as they are shown: never a secret, never an address.

use serde_json::{Value as Json, json};

use crate::clock::Timestamp;
use crate::redact::inert;
use crate::store::OwnToken;

pub fn as_json(token: &OwnToken, now: Timestamp) -> Json {
    json!({
        "id": token.id,
        "kind": token.kind.word(),
        "state": token.state(now).word(),
        "name": inert(&token.name, 200),
        "owner_id": token.owner_id,
        "owner_name": inert(&token.owner_name, 200),
        "prefix": token.prefix,
        "hint": token.hint,
        "scopes": token.scopes,
        "projects": token.projects,
        "organisations": token.organisations,
        "caveats": token.caveats,
        "created_at": token.created_at,
        "created_by": token.created_by,
        "not_before": token.not_before,
        "expires_at": token.expires_at,
        "suspended_at": token.suspended_at,
        "first_used_at": token.first_used_at,
        "last_used_at": token.last_used_at,
        "last_used_from": token.last_used_from,
        "uses": token.uses,
        "canary": token.canary,
        "upstream": token.upstream,
        "policy": token.policy,
        "family_id": token.family_id,
        "replaced_by": token.replaced_by,
        "revoked_at": token.revoked_at,
        "revoked_by": token.revoked_by,
        "revoked_reason": token.revoked_reason,
        "incident_id": token.incident_id,
    })
}
