//! Who plays in the demo: a stand-in for GitHub, and two people who hold tokens.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Bytes;
use rand::rngs::SysRng;
use rand::{SeedableRng as _, rngs::StdRng};
use reqwest::Url;

use crate::clock::Clock;
use crate::config::Config;
use crate::id::TokenId;
use crate::incident::EmailAddress;
use crate::mint::pat::{self, Prefix};
use crate::send::{Answer, Courier, KeyPair, KeyServer, Signer};
use crate::store::{Insertion, NewOwnToken, NewOwner, OwnTokenKind, Store};
use crate::token::Secret;

/// What GitHub does towards a receiver: a key of its own, the list that it publishes, signed deliveries.
pub struct GitHub {
    signer: Signer,
    keys: KeyServer,
}

impl GitHub {
    pub async fn start() -> anyhow::Result<Self> {
        let mut rng = StdRng::try_from_rng(&mut SysRng).context("the system gives no randomness")?;
        let signer = Signer::new(KeyPair::generate(&mut rng)?);
        let keys = KeyServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), &signer.key_list()).await?;
        Ok(Self { signer, keys })
    }

    /// Where its public keys are listed.
    pub fn key_url(&self) -> String {
        self.keys.url()
    }

    /// Signs `body` and posts it.
    pub async fn deliver(&self, to: SocketAddr, body: Bytes) -> anyhow::Result<Answer> {
        let url = Url::parse(&format!("http://{to}/webhooks/github"))?;
        let courier = Courier::new(url, Duration::from_secs(30))?;
        Ok(courier.post(self.signer.message(body)).await?)
    }
}

/// A person at the registry.
pub struct Person {
    pub name: &'static str,
    pub email: &'static str,
}

pub const ADA: Person = Person { name: "Ada", email: "ada@example.org" };
pub const GRACE: Person = Person { name: "Grace", email: "grace@example.org" };

/// A freshly minted token and what the issuer calls it.
pub struct Token {
    pub id: TokenId,
    pub name: &'static str,
    pub owner: &'static Person,
    pub secret: Secret,
}

impl Token {
    /// As its owner pastes it somewhere: the demo's whole point is that this happens.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.secret.expose()).into_owned()
    }

    /// Enough to know it again, too little to use it.
    pub fn masked(&self) -> String {
        let text = self.text();
        let (prefix, _) = text.split_at(text.find("pat_").map_or(0, |at| at + 4));
        format!("{prefix}…{}", &text[text.len() - 4..])
    }
}

/// Mints a token as `stanch token create` does.
pub async fn mint(
    store: &Store,
    config: &Config,
    clock: &Clock,
    owner: &'static Person,
    name: &'static str,
) -> anyhow::Result<Token> {
    let prefix: Prefix = config.issuer.builtin.prefix.parse()?;
    let minted = pat::mint(&prefix, &mut SysRng).context("the system gives no randomness")?;
    let email = EmailAddress::parse(owner.email)?;
    let owner_id = store.ensure_owner(NewOwner { name: owner.name.to_owned(), email }).await?;
    let id = TokenId::generate(clock.now());
    let token = NewOwnToken {
        hint: minted.hint,
        scopes: vec!["upload".into()],
        created_by: "demo".into(),
        ..NewOwnToken::new(id, OwnTokenKind::Pat, owner_id, name.to_owned(), minted.sha256)
    };
    let inserted = store.insert_own_token(token, u32::MAX, None).await?;
    anyhow::ensure!(inserted == Insertion::Stored, "the owner has a token of this name already");
    Ok(Token { id, name, owner, secret: minted.secret })
}
