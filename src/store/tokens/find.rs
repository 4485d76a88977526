//! Finding tokens: by what they are looked up by, by id, by what a person asks for.

use std::collections::HashMap;

use super::super::sql::{Statement, Value, binds, hex};
use super::super::{Error, Store};
use super::{OwnToken, OwnTokenKind, read};
use crate::clock::Timestamp;
use crate::id::{OwnerId, TokenId};
use crate::incident::EmailAddress;

/// Which tokens to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct OwnTokenFilter {
    pub owner_email: Option<EmailAddress>,
    pub owner_id: Option<OwnerId>,
    pub kind: Option<OwnTokenKind>,
    pub status: Option<OwnTokenStatus>,
    /// Part of the name, of the owner's name or of the address; upper and lower case are alike.
    pub search: Option<String>,
    pub organisation: Option<String>,
    pub family_id: Option<TokenId>,
    /// Made before this time, and not used since.
    pub unused_since: Option<Timestamp>,
    /// Ends after now and until then.
    pub expiring_until: Option<Timestamp>,
    /// Continue after this token.
    pub before: Option<TokenId>,
    /// At most so many; 0 for all.
    pub limit: u32,
}

/// What a list can be asked for. Suspended and not yet begun tokens are living ones that are not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTokenStatus {
    Active,
    Expired,
    Revoked,
    Suspended,
}

impl OwnTokenStatus {
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
        }
    }
}

impl std::str::FromStr for OwnTokenStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Active, Self::Expired, Self::Revoked, Self::Suspended];
        let found = all.into_iter().find(|status| status.word() == text);
        found.ok_or_else(|| "use `active`, `expired`, `revoked` or `suspended`".into())
    }
}

/// Sorts behind every id in any collation.
const AFTER_ALL: &str = "tok_zzzzzzzzzzzzzzzzzzzzzzzzzz";

static BY_HASH: Statement = Statement::new(
    "-- tokens.by_hash
     SELECT {token}
     FROM tokens
     JOIN owners ON owners.id = tokens.owner_id
     WHERE tokens.sha256 {in $1}",
);

static BY_ID: Statement = Statement::new(
    "-- tokens.by_id
     SELECT {token}
     FROM tokens
     JOIN owners ON owners.id = tokens.owner_id
     WHERE tokens.id = $1",
);

static LIST: Statement = Statement::new(
    "-- tokens.list
     SELECT {token}
     FROM tokens
     JOIN owners ON owners.id = tokens.owner_id
     WHERE tokens.id < $1
       AND ($3 = '' OR owners.email = $3)
       AND ($4 = '' OR tokens.owner_id = $4)
       AND ($5 = '' OR tokens.kind = $5)
       AND ($6 = ''
            OR ($6 = 'revoked' AND tokens.revoked_at IS NOT NULL)
            OR ($6 = 'expired' AND tokens.revoked_at IS NULL AND tokens.expires_at <= $12)
            OR ($6 = 'suspended' AND tokens.revoked_at IS NULL
                AND (tokens.suspended_at IS NOT NULL OR owners.suspended_at IS NOT NULL)
                AND (tokens.expires_at IS NULL OR tokens.expires_at > $12))
            OR ($6 = 'active' AND tokens.revoked_at IS NULL AND tokens.suspended_at IS NULL
                AND owners.suspended_at IS NULL AND (tokens.not_before IS NULL OR tokens.not_before <= $12)
                AND (tokens.expires_at IS NULL OR tokens.expires_at > $12)))
       AND ($7 = '' OR LOWER(tokens.name) LIKE $7 ESCAPE '!' OR LOWER(owners.name) LIKE $7 ESCAPE '!'
            OR LOWER(owners.email) LIKE $7 ESCAPE '!')
       AND ($8 = '' OR tokens.organisations LIKE $8 ESCAPE '!')
       AND ($9 = '' OR tokens.family_id = $9 OR tokens.id = $9)
       AND ($10 < 0 OR (tokens.created_at < $10 AND (tokens.last_used_at IS NULL OR tokens.last_used_at < $10)
                        AND tokens.revoked_at IS NULL AND (tokens.expires_at IS NULL OR tokens.expires_at > $12)))
       AND ($11 < 0 OR (tokens.expires_at <= $11 AND tokens.expires_at > $12 AND tokens.revoked_at IS NULL))
     ORDER BY tokens.id DESC
     LIMIT $2",
);

impl Store {
    /// Finds tokens by SHA-256; one entry per hash, in order. Reading does not touch `last_used_at`.
    pub async fn own_tokens_by_hash(&self, hashes: &[[u8; 32]]) -> Result<Vec<Option<OwnToken>>, Error> {
        let hashes: Vec<String> = hashes.iter().map(|hash| hex(hash)).collect();
        let rows = self.read().await?.all(&BY_HASH, vec![Value::list(&hashes)]).await?;
        let found = rows.iter().map(|row| Ok((row.text("sha256")?, read(row)?)));
        let found: HashMap<String, OwnToken> = found.collect::<Result<_, Error>>()?;
        Ok(hashes.iter().map(|hash| found.get(hash).cloned()).collect())
    }

    pub async fn own_token(&self, id: TokenId) -> Result<Option<OwnToken>, Error> {
        self.read().await?.optional(&BY_ID, binds![id]).await?.as_ref().map(read).transpose()
    }

    /// The tokens that fit, newest first.
    pub async fn own_tokens(&self, filter: &OwnTokenFilter) -> Result<Vec<OwnToken>, Error> {
        let id = |id: Option<TokenId>| id.map(|id| id.to_string()).unwrap_or_default();
        let time = |at: Option<Timestamp>| at.map_or(-1, Timestamp::as_millis);
        // One statement for the first page and those after it; a limit of nothing is no limit.
        let limit = if filter.limit == 0 { i64::from(u32::MAX) } else { filter.limit.into() };
        let organisation = filter.organisation.as_ref().map(|name| serde_json::Value::from(name.as_str()).to_string());
        let binds = binds![
            filter.before.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string()),
            limit,
            filter.owner_email.as_ref().map_or("", EmailAddress::as_str),
            filter.owner_id.map(|id| id.to_string()).unwrap_or_default(),
            filter.kind.map_or("", OwnTokenKind::word),
            filter.status.map_or("", OwnTokenStatus::word),
            filter.search.as_deref().map(|text| contains(&text.to_lowercase())).unwrap_or_default(),
            organisation.map(|text| contains(&text)).unwrap_or_default(),
            id(filter.family_id),
            time(filter.unused_since),
            time(filter.expiring_until),
            self.clock.now(),
        ];
        self.read().await?.all(&LIST, binds).await?.iter().map(read).collect()
    }
}

/// A pattern for `LIKE` that takes the text as it is.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
