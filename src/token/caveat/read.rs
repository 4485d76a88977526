//! Reading caveats strictly: what is not understood to the last character is refused.

use super::Caveat;
use super::json::Json;
use crate::token::network::Network;
use crate::token::route::Route;

/// Why a caveat fails whatever the request is, in PyPI's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCaveat {
    #[error("caveat array cannot be empty")]
    EmptyArray,
    #[error("invalid values for fields")]
    Fields,
    #[error("caveat must be an array")]
    NotAnArray,
    /// Not JSON, or JSON that two readers would read differently.
    #[error("unknown error")]
    NotJson,
    #[error("caveat has unknown tag: {0}")]
    UnknownTag(String),
}

impl Caveat {
    /// Reads a caveat as its bearer wrote it.
    ///
    /// # Errors
    /// [`BadCaveat`], and then the token that carries it opens nothing.
    pub fn read(bytes: &[u8]) -> Result<Self, BadCaveat> {
        match Json::read(bytes).ok_or(BadCaveat::NotJson)? {
            Json::List(fields) => by_tag(&fields),
            object @ Json::Map(_) => legacy(&object).ok_or(BadCaveat::NotAnArray),
            _ => Err(BadCaveat::NotAnArray),
        }
    }
}

fn by_tag(fields: &[Json]) -> Result<Caveat, BadCaveat> {
    let (tag, fields) = fields.split_first().ok_or(BadCaveat::EmptyArray)?;
    // A tag is a whole number: `true` and `1.0`, which some readers take for 1, are none.
    let tag = match tag {
        Json::Int(tag) => *tag,
        Json::Bool(tag) => return Err(BadCaveat::UnknownTag(if *tag { "True" } else { "False" }.into())),
        _ => return Err(BadCaveat::UnknownTag("not a number".into())),
    };
    let read = match (tag, fields) {
        (0, [expires_at, not_before]) => {
            let window = expires_at.int().zip(not_before.int());
            window.map(|(expires_at, not_before)| Caveat::Expiration { expires_at, not_before })
        }
        (1, [names]) => names.texts().map(Caveat::ProjectNames),
        (2, [ids]) => ids.texts().map(Caveat::ProjectIds),
        (3, [id]) => id.text().map(|id| Caveat::RequestUser(id.to_owned())),
        (4, [id]) => id.text().map(|id| Caveat::Publisher(id.to_owned())),
        (100, [routes]) => parsed::<Route>(routes).map(Caveat::Routes),
        (101, [networks]) => parsed::<Network>(networks).map(Caveat::Networks),
        (102, [nonce]) => {
            nonce.text().filter(|nonce| super::is_nonce(nonce)).map(|nonce| Caveat::Once(nonce.to_owned()))
        }
        (103, [names]) => names.texts().map(Caveat::Audience),
        // Known, with a field too few, or with one that may restrict in a way we do not understand.
        (0..=4 | 100..=103, _) => None,
        (unknown, _) => return Err(BadCaveat::UnknownTag(unknown.to_string())),
    };
    read.ok_or(BadCaveat::Fields)
}

/// The object forms that came before tags; in the order in which PyPI tries them.
fn legacy(object: &Json) -> Option<Caveat> {
    if let Some([version, permissions]) = object.fields(["version", "permissions"]) {
        if *version != Json::Int(1) {
            return None;
        }
        if permissions.text() == Some("user") {
            return Some(Caveat::Owner);
        }
        let [projects] = permissions.fields(["projects"])?;
        return projects.texts().map(Caveat::ProjectNames);
    }
    if let Some([exp, nbf]) = object.fields(["exp", "nbf"]) {
        return exp.int().zip(nbf.int()).map(|(expires_at, not_before)| Caveat::Expiration { expires_at, not_before });
    }
    let [ids] = object.fields(["project_ids"])?;
    ids.texts().map(Caveat::ProjectIds)
}

fn parsed<T: std::str::FromStr>(list: &Json) -> Option<Vec<T>> {
    list.texts()?.iter().map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Caveat, BadCaveat> {
        Caveat::read(text.as_bytes())
    }

    #[test]
    fn white_space_and_the_order_of_keys_change_nothing() {
        let names = Caveat::ProjectNames(vec!["a".into(), "b".into()]);
        for text in [
            r#"[1,["a","b"]]"#,
            r#"[1, ["a", "b"]]"#,
            r#"{"version": 1, "permissions": {"projects": ["a", "b"]}}"#,
            r#"{"permissions": {"projects": ["a", "b"]}, "version": 1}"#,
        ] {
            assert_eq!(read(text), Ok(names.clone()), "{text}");
        }
        let window = Caveat::Expiration { expires_at: 50, not_before: 10 };
        assert_eq!(read(r#"{"nbf": 10, "exp": 50}"#), Ok(window));
        assert_eq!(read(r#"{"project_ids": []}"#), Ok(Caveat::ProjectIds(Vec::new())));
        assert_eq!(read(r#"{"version": 1, "permissions": "user"}"#), Ok(Caveat::Owner));
    }

    // The table of differences between the field's readers, and then some: all of these fail.
    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let refused = [
            "[0,50,10,99]",
            "[0,50.0,10]",
            "[0,5e1,10]",
            "[0,true,10]",
            "[0,50]",
            "[0]",
            r#"[0,"50","10"]"#,
            "[0,9223372036854775808,10]",
            "[0,-0,10]",
            r#"[true,["a"]]"#,
            "[false,50,10]",
            r#"[1.0,["a"]]"#,
            r#"["1",["a"]]"#,
            r#"[1,"a"]"#,
            r#"[1,["a"],["b"]]"#,
            "[1,[1]]",
            "[1]",
            "[1,null]",
            r#"[2,"x"]"#,
            "[3]",
            "[3,1]",
            r#"[3,"a","b"]"#,
            r#"[4,"a",{}]"#,
            "[4]",
            "[]",
            "[null]",
            "null",
            "true",
            "7",
            r#""text""#,
            "{}",
            r#"{"version":2,"exp":50,"nbf":10}"#,
            r#"{"version":true,"permissions":"user"}"#,
            r#"{"version":1.0,"permissions":"user"}"#,
            r#"{"version":1,"permissions":"user","x":1}"#,
            r#"{"version":1,"permissions":{"projects":["a"],"x":1}}"#,
            r#"{"version":1,"permissions":{"projects":"a"}}"#,
            r#"{"version":1,"permissions":"admin"}"#,
            r#"{"version":1}"#,
            r#"{"permissions":"user"}"#,
            r#"{"exp":50,"nbf":10,"x":1}"#,
            r#"{"exp":50}"#,
            r#"{"exp":50,"exp":60,"nbf":10}"#,
            r#"{"project_ids":["a"],"project_ids":["b"]}"#,
            "[99,\"x\"]",
            "[-1]",
            "[0,50,10] x",
            "[0,50,10",
            "time < 5",
            "",
            "\u{feff}[0,50,10]",
            "[0,NaN,1]",
            "[100,[\"get /a\"]]",
            "[101,[\"192.0.2.1/24\"]]",
            "[102,\"short\"]",
            "[103,1]",
            "[100]",
        ];
        for text in refused {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Caveat::read(b"[1,[\"\xff\"]]").is_err());
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(read(&deep).is_err());
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_pypi() {
        for (text, words) in [
            (r#"[99,"x"]"#, "caveat has unknown tag: 99"),
            ("[]", "caveat array cannot be empty"),
            (r#""x""#, "caveat must be an array"),
            ("[1,7]", "invalid values for fields"),
            ("time < 5", "unknown error"),
        ] {
            assert_eq!(read(text).expect_err(text).to_string(), words);
        }
    }

    #[test]
    fn names_and_ids_that_nothing_matches_are_read_all_the_same() {
        for text in [r#"[1,["A"]]"#, r#"[1,["a.b"]]"#, r#"[2,["nope"]]"#, r#"[3,"x"]"#, r#"[4,"x"]"#, "[1,[]]"] {
            assert!(read(text).is_ok(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), inside in "[\\[\\]{}\",:0-9a-z. -]{0,40}") {
            let _ = Caveat::read(&bytes);
            let _ = Caveat::read(format!("[{inside}]").as_bytes());
        }
    }
}
