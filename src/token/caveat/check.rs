//! Whether a caveat holds for a request.

use std::collections::HashSet;
use std::net::IpAddr;

use super::{BadCaveat, Caveat, normalized};
use crate::clock::Timestamp;

/// What a request is about. A caveat that asks for something that is not said here does not hold.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// The id of the user that the token acts for.
    pub user: Option<&'a str>,
    pub project: Option<Project<'a>>,
    /// The trusted publisher that makes the request.
    pub publisher: Option<Publisher<'a>>,
    pub method: Option<&'a str>,
    /// Without query, in the one spelling that the program itself acts on.
    pub path: Option<&'a str>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// The service that is asked.
    pub audience: Option<&'a str>,
}

/// The project that a request is about.
#[derive(Clone, Copy, Debug)]
pub struct Project<'a> {
    /// In any spelling.
    pub name: &'a str,
    pub id: Option<&'a str>,
}

/// A trusted publisher.
#[derive(Clone, Copy, Debug)]
pub struct Publisher<'a> {
    pub id: &'a str,
    /// Whether it publishes the project that the request is about.
    pub publishes_project: bool,
}

/// Why a caveat does not hold, in PyPI's words where PyPI has some. Fit to be shown to the bearer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl Context<'_> {
    /// A request of which nothing is known but its time.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            user: None,
            project: None,
            publisher: None,
            method: None,
            path: None,
            address: None,
            audience: None,
        }
    }
}

impl Caveat {
    /// # Errors
    /// When it does not hold. One-time caveats always do: whoever accepts the token uses their nonce up, and refuses
    /// it if that was done before.
    pub fn check(&self, context: &Context<'_>) -> Result<(), Violation> {
        match self {
            Self::Expiration { expires_at, not_before } => {
                let now = i128::from(context.now.as_millis());
                let begun = i128::from(*not_before) * 1_000 <= now;
                holds(begun && now < i128::from(*expires_at) * 1_000, || "token is expired".into())
            }
            Self::ProjectNames(names) => {
                let project = context.project.ok_or_else(no_project)?;
                let name = normalized(project.name);
                holds(names.contains(&name), || wrong_project(&name))
            }
            Self::ProjectIds(ids) => {
                let project = context.project.ok_or_else(no_project)?;
                let named = project.id.is_some_and(|id| ids.iter().any(|each| each == id));
                holds(named, || wrong_project(&normalized(project.name)))
            }
            Self::RequestUser(id) => match context.user {
                None => Err(Violation("token with user restriction without a user".into())),
                Some(user) => holds(user == id, || "current user does not match user restriction in token".into()),
            },
            Self::Owner => holds(context.user.is_some(), || "token with user restriction without a user".into()),
            Self::Publisher(id) => match &context.publisher {
                None => Err(Violation("OIDC scoped token used outside of an OIDC identified request".into())),
                Some(publisher) if publisher.id != id => {
                    Err(Violation("current OIDC publisher does not match publisher restriction in token".into()))
                }
                Some(publisher) => {
                    let project = context.project.ok_or_else(no_project)?;
                    holds(publisher.publishes_project, || wrong_project(&normalized(project.name)))
                }
            },
            Self::Routes(routes) => {
                let (Some(method), Some(path)) = (context.method, context.path) else {
                    return Err(Violation("token is bound to routes and used outside of a request".into()));
                };
                let allowed = routes.iter().any(|route| route.allows(method, path));
                holds(allowed, || "token is not valid for this method and path".into())
            }
            Self::Networks(networks) => {
                let from =
                    context.address.ok_or_else(|| Violation("token is bound to networks and used from none".into()))?;
                holds(networks.iter().any(|each| each.contains(from)), || "token is not valid for this network".into())
            }
            Self::Audience(names) => {
                let meant = context.audience.is_some_and(|name| names.iter().any(|each| each == name));
                holds(meant, || "token is not valid for this service".into())
            }
            Self::Once(_) => Ok(()),
        }
    }
}

/// Checks all caveats of a token. `Ok` with the nonces that accepting it uses up.
///
/// # Errors
/// Every reason for which one does not hold or is not understood, joined by commas.
pub fn violations<'c>(
    caveats: impl IntoIterator<Item = &'c Result<Caveat, BadCaveat>>,
    context: &Context<'_>,
) -> Result<Vec<&'c str>, Violation> {
    let mut nonces = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for caveat in caveats {
        match caveat {
            Ok(Caveat::Once(nonce)) => nonces.push(nonce.as_str()),
            Ok(caveat) => reasons.extend(caveat.check(context).err().map(|violation| violation.0)),
            Err(bad) => reasons.push(bad.to_string()),
        }
    }
    // What the token carries and its issuer adds again says nothing new.
    let mut told = HashSet::new();
    reasons.retain(|reason| told.insert(reason.clone()));
    if reasons.is_empty() { Ok(nonces) } else { Err(Violation(reasons.join(", "))) }
}

fn holds(it: bool, otherwise: impl FnOnce() -> String) -> Result<(), Violation> {
    if it { Ok(()) } else { Err(Violation(otherwise())) }
}

fn no_project() -> Violation {
    Violation("project-scoped token used outside of a project context".into())
}

fn wrong_project(name: &str) -> String {
    let name: String = name.chars().filter(|letter| !letter.is_control() && *letter != '\'').take(100).collect();
    format!("project-scoped token is not valid for project: '{name}'")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000000";

    fn at(seconds: i64) -> Context<'static> {
        Context::at(Timestamp::from_millis(seconds * 1_000))
    }

    fn check(text: &str, context: &Context<'_>) -> Result<(), String> {
        violations([&Caveat::read(text.as_bytes())], context).map(drop).map_err(|violation| violation.0)
    }

    fn project(name: &'static str, id: Option<&'static str>) -> Context<'static> {
        Context { project: Some(Project { name, id }), ..at(0) }
    }

    #[test]
    fn a_window_includes_its_start_and_not_its_end() {
        let text = "[0,1234567900,1234567890]";
        for (now, ok) in [(1_234_567_889, false), (1_234_567_890, true), (1_234_567_899, true), (1_234_567_900, false)]
        {
            assert_eq!(check(text, &at(now)).is_ok(), ok, "{now}");
        }
        assert_eq!(check(text, &at(0)).expect_err("too early"), "token is expired");
        let last = Context::at(Timestamp::from_millis(1_234_567_899_999));
        assert!(check(text, &last).is_ok(), "the last millisecond");
    }

    #[test]
    fn a_project_is_known_by_its_normalized_name_and_by_its_id() {
        for (name, ok) in [("a", true), ("B", true), ("c", false)] {
            assert_eq!(check(r#"[1,["a","b"]]"#, &project(name, None)).is_ok(), ok, "{name}");
        }
        assert_eq!(
            check(r#"[1,["a"]]"#, &project("c", None)),
            Err("project-scoped token is not valid for project: 'c'".into())
        );
        assert_eq!(check(r#"[1,["a"]]"#, &at(0)), Err("project-scoped token used outside of a project context".into()));
        assert!(check(r#"[1,["A"]]"#, &project("a", None)).is_err(), "what is not normalized matches nothing");
        assert!(check("[1,[]]", &project("a", None)).is_err());
        let ids = format!(r#"[2,["{ID}"]]"#);
        assert!(check(&ids, &project("a", Some(ID))).is_ok() && check(&ids, &project("a", None)).is_err());
    }

    #[test]
    fn a_user_and_a_publisher_are_who_they_are() {
        let text = format!(r#"[3,"{ID}"]"#);
        let user = |user| Context { user, ..at(0) };
        assert!(check(&text, &user(Some(ID))).is_ok());
        assert_eq!(check(&text, &user(None)), Err("token with user restriction without a user".into()));
        assert_eq!(check(&text, &user(Some("x"))), Err("current user does not match user restriction in token".into()));
        let owner = r#"{"version": 1, "permissions": "user"}"#;
        assert!(check(owner, &user(Some("x"))).is_ok() && check(owner, &user(None)).is_err());
        let text = format!(r#"[4,"{ID}"]"#);
        let by = |id, publishes_project| Context {
            publisher: Some(Publisher { id, publishes_project }),
            ..project("a", None)
        };
        assert!(check(&text, &by(ID, true)).is_ok());
        assert!(check(&text, &by(ID, false)).is_err() && check(&text, &by("x", true)).is_err());
        assert!(check(&text, &project("a", None)).is_err());
    }

    #[test]
    fn our_own_caveats_need_a_request() {
        let request = Context {
            method: Some("GET"),
            path: Some("/projects/a"),
            address: Some("192.0.2.9".parse().expect("an address")),
            audience: Some("upload"),
            ..at(0)
        };
        for text in [r#"[100,["GET /projects/*"]]"#, r#"[101,["192.0.2.0/24"]]"#, r#"[103,["upload"]]"#] {
            assert!(check(text, &request).is_ok(), "{text}");
            assert!(check(text, &at(0)).is_err(), "{text} without a request");
        }
        for text in [r#"[100,["PUT /projects/*"]]"#, r#"[101,["198.51.100.0/24"]]"#, r#"[103,["read"]]"#, "[100,[]]"] {
            assert!(check(text, &request).is_err(), "{text}");
        }
    }

    #[test]
    fn every_reason_is_told() {
        let caveats = [Caveat::read(b"[0,5,1]"), Caveat::read(br#"[1,["a"]]"#), Caveat::read(b"[]")];
        let why = violations(&caveats, &project("b", None)).expect_err("three do not hold");
        let expected =
            "token is expired, project-scoped token is not valid for project: 'b', caveat array cannot be empty";
        assert_eq!(why.to_string(), expected);
    }

    fn caveat() -> impl Strategy<Value = Caveat> {
        let names = || proptest::collection::vec("[a-c]", 0..3);
        prop_oneof![
            (0..100_i64, 0..100_i64).prop_map(|(expires_at, not_before)| Caveat::Expiration { expires_at, not_before }),
            names().prop_map(Caveat::ProjectNames),
            names().prop_map(Caveat::ProjectIds),
            "[a-c]".prop_map(Caveat::RequestUser),
            names().prop_map(Caveat::Audience),
            Just(Caveat::Owner),
            prop_oneof![Just("GET /a"), Just("* /**"), Just("GET /*/b")]
                .prop_map(|text| Caveat::Routes(vec![text.parse().expect("a route")])),
        ]
    }

    proptest! {
        #[test]
        fn a_chain_holds_if_and_only_if_every_caveat_does_and_narrowing_never_widens(
            caveats in proptest::collection::vec(caveat(), 0..5), more in caveat(),
            now in 0..100_i64, name in "[a-c]", id in "[a-c]", user in proptest::option::of("[a-c]"),
            audience in proptest::option::of("[a-c]"), path in prop_oneof![Just("/a"), Just("/a/b"), Just("/c")],
        ) {
            let context = Context {
                user: user.as_deref(),
                project: Some(Project { name: &name, id: Some(&id) }),
                audience: audience.as_deref(),
                method: Some("GET"),
                path: Some(path),
                ..at(now)
            };
            let mut chain: Vec<Result<Caveat, BadCaveat>> = caveats.iter().cloned().map(Ok).collect();
            let each = caveats.iter().all(|caveat| caveat.check(&context).is_ok());
            let before = violations(&chain, &context).is_ok();
            prop_assert_eq!(before, each);
            chain.push(Ok(more));
            prop_assert!(before || violations(&chain, &context).is_err());
        }
    }
}
