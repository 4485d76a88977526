//! `GET /api/v1/self`: what the token that was shown is, to whoever holds it.
//!
//! The smallest route that a token opens, so that its owner can see whether it lives. It names the token and its scopes,
//! never an address: whoever found the token can ask as well.

use axum::Json;
use serde_json::{Value, json};

use super::auth::Caller;
use super::{Access, Route};

pub fn routes() -> [Route; 1] {
    [Route::get("/api/v1/self", Access::Token { scope: None }, "What the token that is shown is", show)]
}

async fn show(caller: Caller) -> Json<Value> {
    let token = &caller.token;
    Json(json!({
        "token": {
            "id": token.id,
            "name": token.name,
            "scopes": token.scopes,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        },
        "owner": { "id": token.owner_id, "name": token.owner_name },
    }))
}
