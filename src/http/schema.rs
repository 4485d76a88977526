//! Schemas of what is taken and given, as the API's documentation has them (JSON Schema 2020-12).
//!
//! They are written beside the routes and held to by a fuzzer, which sends what they forbid and reads every answer by
//! them.

use serde_json::{Map, Value, json};

/// An answer's object: every field is always there.
pub fn object(fields: Value) -> Value {
    let required: Vec<&String> = fields.as_object().map(|fields| fields.keys().collect()).unwrap_or_default();
    let mut schema = json!({ "type": "object", "required": required });
    schema["properties"] = fields;
    schema
}

/// A body's object: a field that nobody knows is refused, and only these must be there.
pub fn body(required: &[&str], fields: Value) -> Value {
    let mut schema = json!({ "type": "object", "additionalProperties": false });
    schema["properties"] = fields;
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A body that is no more than a reason, given or not.
pub fn reason() -> Value {
    body(&[], json!({ "reason": maybe(text()) }))
}

/// A body that says why, in words.
pub fn good_reason() -> Value {
    body(&["reason"], json!({ "reason": { "type": "string", "pattern": "\\S" } }))
}

/// A page of a list, and where the next one begins.
pub fn page(name: &str, item: Value) -> Value {
    let mut fields = Map::new();
    fields.insert(name.to_owned(), list(item));
    fields.insert("next".to_owned(), maybe(text()));
    object(fields.into())
}

/// The same, or null.
pub fn maybe(mut schema: Value) -> Value {
    match schema["type"].take() {
        Value::String(word) => schema["type"] = json!([word, "null"]),
        // A choice of words.
        _ => schema = json!({ "oneOf": [without_type(schema), { "type": "null" }] }),
    }
    schema
}

fn without_type(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("type");
    }
    schema
}

pub fn list(item: Value) -> Value {
    let mut schema = json!({ "type": "array" });
    schema["items"] = item;
    schema
}

pub fn text() -> Value {
    json!({ "type": "string" })
}

pub fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// A count, or milliseconds.
pub fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// An instant (RFC 3339).
pub fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// An instant as it is sent: of RFC 3339, or seconds since 1970.
pub fn instant() -> Value {
    json!({ "type": "string", "anyOf": [{ "format": "date-time" }, { "pattern": "^[+-]?[0-9]{1,16}$" }] })
}

/// One of these words.
pub fn word(words: &[&str]) -> Value {
    json!({ "enum": words })
}

/// How many entries a page has at most, in a query.
pub fn limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_null_says_so() {
        assert_eq!(maybe(text()), json!({ "type": ["string", "null"] }));
        assert_eq!(maybe(word(&["a"])), json!({ "oneOf": [{ "enum": ["a"] }, { "type": "null" }] }));
        assert_eq!(object(json!({ "a": flag() }))["required"], json!(["a"]));
        assert_eq!(body(&[], json!({}))["additionalProperties"], false);
    }
}
