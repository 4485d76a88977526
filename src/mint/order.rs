//! Orders: what is asked for, by whom, and whether it may be handed out.

use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::{Authenticated, Limits};
use crate::clock::Timestamp;
use crate::id::{OwnerId, TokenId};
use crate::store::{self, OwnToken, OwnTokenKind};
use crate::token::Secret;
use crate::token::caveat::{Caveat, Unwritable, is_project_name, normalized};

/// The scope without which a token makes, changes and lists no token.
pub const WRITE: &str = "tokens:write";

/// Who asks for something to be done.
#[derive(Clone)]
pub enum By {
    /// A person at the command line or the dashboard, by the name they go by.
    Operator(String),
    /// The owner, signed in as a person.
    Owner(OwnerId),
    /// A token, through the API.
    Token(Box<Authenticated>),
}

/// A token that is asked for.
pub struct Order {
    pub kind: OwnTokenKind,
    pub owner_id: OwnerId,
    /// 1 to 100 characters, unique among the owner's living tokens.
    pub name: String,
    pub scopes: Vec<String>,
    /// In any spelling; kept normalized. Empty: whatever its owner may.
    pub projects: Vec<String>,
    /// Of a macaroon: ids of the projects, so that another project of the same name is not meant.
    pub project_ids: Vec<String>,
    pub organisations: Vec<String>,
    /// Of a macaroon: more restrictions.
    pub caveats: Vec<Caveat>,
    pub not_before: Option<Timestamp>,
    pub expires: Expires,
    /// Never accepted, and an alarm when it is shown.
    pub canary: bool,
    /// Of a magic token.
    pub magic: Option<Magic>,
    /// Whether its owner is told by mail that it was made.
    pub tell_owner: bool,
    /// Small facts about its making.
    pub additional: Json,
}

/// What a magic token stands for.
pub struct Magic {
    pub upstream: String,
    pub policy: Json,
    /// The upstream's own credential: sealed at once.
    pub credential: Secret,
}

/// When a token that is asked for is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    At(Timestamp),
    /// As the configuration says.
    ByDefault,
    Never,
}

/// A fresh token. The secret is shown to whoever asked, once, and kept nowhere.
pub struct Issued {
    pub token: OwnToken,
    pub secret: Secret,
}

/// Why no token was handed out, or none was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    BadOrder(String),
    #[error("the token is revoked or expired")]
    Dead,
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("the owner has a living token of this name")]
    NameTaken,
    #[error("no such token")]
    NotFound,
    /// It was rotated before: its secret may be in two hands.
    #[error("the token was rotated before, into {0}")]
    RotatedBefore(TokenId),
    #[error("the owner has as many living tokens as one may have")]
    TooMany,
    #[error("tokens cannot be handed out now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Issued {
    /// The secret as the text that is shown, once.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(self.secret.expose()).into_owned())
    }
}

impl By {
    /// How the record names them: `operator:root`, `owner:own_…`, `token:tok_…`.
    pub fn text(&self) -> String {
        match self {
            Self::Operator(name) => format!("operator:{name}"),
            Self::Owner(id) => format!("owner:{id}"),
            Self::Token(token) => format!("token:{}", token.token().id),
        }
    }

    /// Whether they may touch this token at all.
    pub(super) fn may_change(&self, token: &OwnToken) -> Result<(), Refused> {
        match self {
            // Somebody else's token is not even there.
            Self::Owner(id) if *id != token.owner_id => Err(Refused::NotFound),
            Self::Token(by) if by.token().owner_id != token.owner_id => Err(Refused::NotFound),
            Self::Token(by) if by.token().id != token.id => writes(by),
            Self::Operator(_) | Self::Owner(_) | Self::Token(_) => Ok(()),
        }
    }
}

impl Order {
    /// An order without limits; what is wanted is filled in.
    pub fn new(kind: OwnTokenKind, owner_id: OwnerId, name: String) -> Self {
        Self {
            kind,
            owner_id,
            name,
            scopes: Vec::new(),
            projects: Vec::new(),
            project_ids: Vec::new(),
            organisations: Vec::new(),
            caveats: Vec::new(),
            not_before: None,
            expires: Expires::ByDefault,
            canary: false,
            magic: None,
            tell_owner: true,
            additional: json!({}),
        }
    }

    /// The order with its defaults, within the bounds.
    pub(super) fn checked(mut self, limits: &Limits, now: Timestamp) -> Result<Self, Refused> {
        let order = &mut self;
        named(&order.name)?;
        let bad = |why: &str| Err(Refused::BadOrder(why.to_owned()));
        order.projects = order.projects.iter().map(|name| normalized(name)).collect();
        if let Some(name) = order.projects.iter().find(|name| !is_project_name(name)) {
            return Err(Refused::BadOrder(format!("`{name}` is no project's name")));
        }
        let words = order.scopes.iter().chain(&order.organisations);
        if words.clone().any(|word| !is_word(word)) {
            return bad("scopes and organisations have 1 to 100 visible ASCII characters");
        }
        let default = match order.kind {
            OwnTokenKind::Magic => Some(limits.default_magic_life),
            OwnTokenKind::Key | OwnTokenKind::Macaroon | OwnTokenKind::Pat => limits.default_life,
        };
        order.expires = match (order.expires, default.or(limits.max_life)) {
            (Expires::ByDefault, Some(span)) => {
                Expires::At(now.plus(limits.max_life.map_or(span, |max| span.min(max))))
            }
            (Expires::ByDefault, None) => Expires::Never,
            (said, _) => said,
        };
        match (order.expires, limits.max_life) {
            (Expires::At(at), _) if at <= now => return bad("the end lies in the past"),
            (Expires::At(at), Some(max)) if at > now.plus(max) => {
                return bad("the end is later than tokens may live here");
            }
            (Expires::Never, Some(_)) => return bad("tokens do not live for ever here: say when it ends"),
            (Expires::At(at), _) if order.not_before.is_some_and(|start| start >= at) => {
                return bad("it would end before it begins");
            }
            _ => {}
        }
        if order.kind != OwnTokenKind::Macaroon && !(order.caveats.is_empty() && order.project_ids.is_empty()) {
            return bad("only a macaroon has caveats and project ids");
        }
        match (order.kind, order.magic.as_ref()) {
            (OwnTokenKind::Magic, None) => {
                return bad("a magic token stands for an upstream's credential: none was given");
            }
            (OwnTokenKind::Magic, Some(magic)) if magic.credential.is_empty() => return bad("the credential is empty"),
            (OwnTokenKind::Magic, Some(_)) | (_, None) => {}
            (_, Some(_)) => return bad("only a magic token stands for an upstream's credential"),
        }
        Ok(self)
    }
}

pub(super) fn named(name: &str) -> Result<(), Refused> {
    let fits = !name.trim().is_empty() && name.chars().count() <= 100 && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Refused::BadOrder("a token's name has 1 to 100 characters".into())) }
}

fn is_word(word: &str) -> bool {
    (1..=100).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic())
}

fn writes(token: &Authenticated) -> Result<(), Refused> {
    if token.has_scope(WRITE) { Ok(()) } else { Err(Refused::Forbidden("the token may not make or change tokens")) }
}

/// Whether what a token asks for stays within its own power.
pub(super) fn within(by: &Authenticated, order: &Order) -> Result<(), Refused> {
    writes(by)?;
    let own = by.token();
    let forbidden = |why| Err(Refused::Forbidden(why));
    if own.kind == OwnTokenKind::Macaroon {
        return forbidden("a macaroon narrows itself and makes no token");
    }
    if order.owner_id != own.owner_id {
        return forbidden("a token makes tokens for its own owner only");
    }
    if order.scopes.iter().any(|scope| scope == WRITE) {
        return forbidden("a token makes no token that makes tokens");
    }
    let fewer = |has: &[String], wanted: &[String], empty_is_all: bool| {
        (empty_is_all && has.is_empty())
            || ((!empty_is_all || !wanted.is_empty()) && wanted.iter().all(|each| has.contains(each)))
    };
    if !fewer(&own.scopes, &order.scopes, false) {
        return forbidden("a token gives no scope that it does not have");
    }
    if !fewer(&own.projects, &order.projects, true) || !fewer(&own.organisations, &order.organisations, true) {
        return forbidden("a token reaches no further than the one that makes it");
    }
    let longer = match (own.expires_at, order.expires) {
        (Some(own), Expires::At(at)) => at > own,
        (Some(_), Expires::ByDefault | Expires::Never) => true,
        (None, _) => false,
    };
    if longer { forbidden("a token lives no longer than the one that makes it") } else { Ok(()) }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotChanged(why) => Self::BadOrder(why.to_string()),
            store::Error::NotFound { .. } => Self::NotFound,
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

impl From<Unwritable> for Refused {
    fn from(error: Unwritable) -> Self {
        Self::BadOrder(error.to_string())
    }
}

impl From<rand::rngs::SysError> for Refused {
    fn from(error: rand::rngs::SysError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
