//! The API's documentation: an OpenAPI 3.1 document made from the route table, and a page that shows it.
//!
//! Nothing is written by hand beside the table, so nothing can be out of date. The page is made here and asks nobody for
//! anything: no script, one style, both named by their hashes in its policy.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::route::{Access, Payload, Refusal, Route, Table, Verb};

/// `GET /openapi.json` and `GET /docs`, about the routes of this table and about themselves.
pub fn routes(table: &Table) -> [Route; 2] {
    let build = |document: Bytes, page: String| {
        [
            Route::get("/openapi.json", Access::Public, "This API as an OpenAPI 3.1 document", async move || {
                ([(header::CONTENT_TYPE, "application/json")], document).into_response()
            })
            .gives(200, "The document", json!({ "type": "object" })),
            Route::get("/docs", Access::Public, "This API for people", async move || shown(page)).page(),
        ]
    };
    let bare = build(Bytes::new(), String::new());
    let all: Vec<&Route> = table.iter().chain(&bare).collect();
    let (document, page) = (document(&all), page(&all));
    build(document.to_string().into(), page)
}

fn document(routes: &[&Route]) -> Value {
    let mut paths = Map::new();
    for route in routes.iter().filter(|route| !route.page) {
        let path = route.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        let verbs: &[&str] = match route.verb {
            // OpenAPI has no word for all of them.
            Verb::Any => &["delete", "get", "patch", "post", "put"],
            Verb::Delete => &["delete"],
            Verb::Get => &["get"],
            Verb::Patch => &["patch"],
            Verb::Post => &["post"],
            Verb::Put => &["put"],
        };
        for verb in verbs {
            item[*verb] = operation(route, verb);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "stanch",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The leak-response service of a token issuer",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
                "basic": { "type": "http", "scheme": "basic", "description": "`__token__` and a token" },
                "bearer": { "type": "http", "scheme": "bearer" },
                "signature": { "type": "apiKey", "in": "header", "name": "GitHub-Public-Key-Signature" },
            },
            "schemas": { "Problem": {
                "type": "object",
                "description": "RFC 9457",
                "required": ["type", "title", "status"],
                "properties": {
                    "type": { "const": "about:blank" },
                    "title": { "type": "string" },
                    "status": { "type": "integer", "minimum": 400, "maximum": 599 },
                    "detail": { "type": "string" },
                },
            } },
        },
    })
}

fn operation(route: &Route, verb: &str) -> Value {
    let mut parameters: Vec<Value> = parameters_of(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(route.queries.iter().map(
        |query| json!({ "name": query.name, "in": "query", "description": query.description, "schema": query.schema }),
    ));
    if route.once {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "schema": { "type": "string", "pattern": "^[!#-~]{1,255}$" },
            "description": "A word of the client's: sent again with the same, it does not happen again",
        }));
    }
    let content = |payload: &Payload| {
        let mut content = Map::new();
        content.insert(payload.media.to_owned(), json!({ "schema": payload.schema }));
        content
    };
    let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
    for answer in &route.answers {
        let response = responses.entry(answer.status).or_insert_with(|| json!({ "description": answer.description }));
        if let Some(payload) = &answer.payload {
            response["content"][payload.media] = json!({ "schema": payload.schema });
        }
    }
    for Refusal { status, description } in refusals(route) {
        let response = responses.entry(status).or_insert_with(|| json!({ "description": description }));
        response["content"]["application/problem+json"] =
            json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        if is_in_other_words(route.access, status) {
            response["content"]["application/json"] = json!({ "schema": { "type": "object" } });
        }
    }
    let responses: Map<String, Value> =
        responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect();
    let mut operation = json!({
        "operationId": operation_id(route.path, verb),
        "summary": route.summary,
        "tags": [tag(route.path)],
        "security": security(route.access),
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &route.body {
        operation["requestBody"] = json!({ "required": true, "content": content(body) });
    }
    operation
}

/// What may be refused: what the route says itself, and what follows from who may come and what is taken.
fn refusals(route: &Route) -> Vec<Refusal> {
    let mut refusals = route.refusals.clone();
    let mut add = |status, description| refusals.push(Refusal { status, description });
    if parameters_of(route.path).next().is_some() {
        add(404, "There is none");
    }
    if takes_credential(route.access) {
        add(400, "It shows two different credentials");
        add(401, "No credential is shown, or one that is not accepted");
        add(403, "The credential does not allow it");
        add(429, "Too many credentials of this address were refused");
        add(503, "The credential cannot be looked up now");
    }
    if route.access == Access::OptionalKey {
        add(429, "Too many credentials of this address were refused");
    }
    if !route.queries.is_empty() {
        add(400, "A parameter of the query is not known, or cannot be read");
    }
    if !route.verb.is_safe() {
        add(403, "A browser sends it because another site told it to");
        add(429, "Too often; `Retry-After` says when it may be sent again");
    }
    if route.body.is_some() {
        add(400, "The body is not what this route takes");
        add(408, "The body did not arrive in time");
        add(413, "The body is too large");
        add(415, "The body is of another kind, or compressed");
    }
    if route.access == Access::Signed {
        add(401, "The signature does not hold");
    }
    if route.once {
        add(409, "A request with this `Idempotency-Key` is being carried out, or its answer is gone");
        add(422, "This `Idempotency-Key` was used for another request");
    }
    if asks_the_database(route) {
        add(503, "The service cannot tell now; `Retry-After` says when to ask again");
    }
    if route.access == Access::Magic {
        add(400, "The path could be read in two ways, or holds the token");
        add(413, "The body is too large");
        add(502, "The upstream cannot be reached, or its answer was held back");
        add(504, "The upstream is too slow");
    }
    refusals
}

fn takes_credential(access: Access) -> bool {
    match access {
        Access::Form | Access::Holder | Access::OptionalKey | Access::Public | Access::Signed => false,
        Access::ApiKey
        | Access::Client
        | Access::Magic
        | Access::Manage
        | Access::Mint
        | Access::Operator(_)
        | Access::Reporter
        | Access::Token { .. }
        | Access::Upload => true,
    }
}

/// Everything does but what anybody may read.
fn asks_the_database(route: &Route) -> bool {
    route.access != Access::Public
}

/// A wrong `X-API-Key`, and a wrong client, are refused in the words that their own clients know.
fn is_in_other_words(access: Access, status: u16) -> bool {
    takes_credential(access) && (status == 403 || (status == 401 && matches!(access, Access::ApiKey | Access::Client)))
}

/// The names in the braces of a path.
fn parameters_of(path: &str) -> impl Iterator<Item = &str> {
    let braces = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    braces.map(|name| name.trim_start_matches('*'))
}

fn operation_id(path: &str, verb: &str) -> String {
    let words: String = path.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    format!("{verb}{words}")
}

fn tag(path: &str) -> &str {
    let rest = path.strip_prefix("/api/v1/").unwrap_or(path.trim_start_matches('/'));
    // Where a path is another system's, its first word says nothing.
    match rest.split('/').next().unwrap_or_default() {
        "" => "service",
        "_" | "v1" => "webhooks",
        "__magictoken" => "proxy",
        "api" => "api-keys",
        word => word,
    }
}

fn security(access: Access) -> Value {
    let any = || json!([{ "bearer": [] }, { "apiKey": [] }, { "basic": [] }]);
    match access {
        Access::Form | Access::Holder | Access::Public => json!([]),
        Access::OptionalKey | Access::Mint => json!([{}, { "bearer": [] }, { "apiKey": [] }]),
        Access::Signed => json!([{ "signature": [] }]),
        Access::Magic | Access::Reporter => json!([{ "bearer": [] }]),
        Access::Upload => json!([{ "basic": [] }, { "bearer": [] }]),
        Access::ApiKey | Access::Client | Access::Manage | Access::Operator(_) | Access::Token { .. } => any(),
    }
}

/// Who may come, for people.
fn who(access: Access) -> String {
    match access {
        Access::ApiKey => "an API key".into(),
        Access::Client => "a client with the scope `introspect`".into(),
        Access::Form => "a page of ours".into(),
        Access::Holder => "whoever holds a token".into(),
        Access::Magic => "a magic token".into(),
        Access::Manage => "an admin, or a token with `tokens:write`".into(),
        Access::Mint => "a token with `tokens:write`, or the holder of a credential where that is configured".into(),
        Access::Operator(role) => format!("an operator: {role}"),
        Access::OptionalKey | Access::Public => "anybody".into(),
        Access::Reporter => "a token with the scope `report`".into(),
        Access::Signed => "a reporter's signature".into(),
        Access::Token { scope: None, .. } => "any token".into(),
        Access::Token { scope: Some(scope), .. } => format!("a token with the scope `{scope}`"),
        Access::Upload => "a token for uploads".into(),
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h2{margin-top:2.5rem;border-bottom:1px solid #8884}\
details{margin:.5rem 0;border:1px solid #8884;border-radius:.4rem;padding:.5rem .8rem}\
summary{cursor:pointer}\
code,pre{font:14px/1.45 ui-monospace,monospace}\
pre{overflow:auto;background:#8881;padding:.6rem;border-radius:.3rem}\
.verb{display:inline-block;min-width:4.5rem;font-weight:600}\
.who{opacity:.75}\
nav a{margin-right:.6rem}";

fn page(routes: &[&Route]) -> String {
    let mut routes: Vec<&&Route> = routes.iter().filter(|route| !route.page).collect();
    routes.sort_by_key(|route| (tag(route.path), route.path, route.verb));
    let mut tags: Vec<&str> = routes.iter().map(|route| tag(route.path)).collect();
    tags.dedup();
    let mut body = String::from("<nav>");
    for tag in tags {
        let _ = write!(body, "<a href=\"#{0}\">{0}</a> ", escaped(tag));
    }
    body.push_str("</nav>");
    let mut under = "";
    for route in routes {
        if tag(route.path) != under {
            under = tag(route.path);
            let _ = write!(body, "<h2 id=\"{0}\">{0}</h2>", escaped(under));
        }
        let (verb, path) = (route.verb.word(), escaped(route.path));
        let _ = write!(
            body,
            "<details><summary><span class=\"verb\">{verb}</span> <code>{path}</code> — {}</summary><p class=\"who\">Open to {}.</p>",
            escaped(route.summary),
            escaped(&who(route.access)),
        );
        if !route.queries.is_empty() {
            body.push_str("<ul>");
            for query in &route.queries {
                let _ = write!(body, "<li><code>{}</code>: {}</li>", escaped(query.name), escaped(query.description));
            }
            body.push_str("</ul>");
        }
        if route.once {
            body.push_str("<p>Takes an <code>Idempotency-Key</code></p>");
        }
        if let Some(payload) = &route.body {
            let schema = serde_json::to_string_pretty(&payload.schema).unwrap_or_default();
            let _ = write!(body, "<p>Takes <code>{}</code></p><pre>{}</pre>", escaped(payload.media), escaped(&schema));
        }
        let answers = route.answers.iter().map(|answer| (answer.status, answer.description));
        let mut told: Vec<(u16, &str)> = answers.collect();
        told.extend(refusals(route).iter().map(|refusal| (refusal.status, refusal.description)));
        told.sort_by_key(|(status, _)| *status);
        told.dedup_by_key(|(status, _)| *status);
        for (status, description) in told {
            let _ = write!(body, "<p><code>{status}</code> {}</p>", escaped(description));
        }
        body.push_str("</details>");
    }
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>The API of stanch</title>\
         <style>{STYLE}</style></head><body><main><h1>The API of stanch {version}</h1>\
         <p>The same for machines: <a href=\"/openapi.json\">openapi.json</a>. A refusal is a \
         <code>application/problem+json</code> document (RFC 9457).</p>{body}</main></body></html>"
    )
}

fn shown(page: String) -> Response {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = Html(page).into_response();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
