//! An identity provider on loopback, with keys of its own: what stanch signs operators in with, played by the book, and
//! against it where a test says so.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub const CLIENT: &str = "stanch";
pub const SECRET: &str = "a secret: of the client+";

/// A running provider.
#[derive(Clone)]
pub struct Provider {
    pub base: String,
    state: Arc<Mutex<Desk>>,
    rsa: Arc<KeyPair>,
}

#[derive(Default)]
struct Desk {
    person: Value,
    /// How long ago the person typed a password here, in seconds.
    signed_in_for: i64,
    /// Claims that are set otherwise than they should be.
    wrong: Value,
    /// Header fields of the token, likewise.
    header: Value,
    spoilt: bool,
    rotated: bool,
    codes: BTreeMap<String, Value>,
    asked: Vec<BTreeMap<String, String>>,
}

impl Provider {
    pub async fn start() -> Self {
        let key = Command::new("openssl").args(["genpkey", "-algorithm", "RSA", "-outform", "DER"]).output();
        // In one form or the other, as the version of openssl has it.
        let key = key.expect("openssl is installed").stdout;
        let rsa = KeyPair::from_pkcs8(&key).or_else(|_| KeyPair::from_der(&key)).expect("an RSA key");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}/realms/staff", listener.local_addr().expect("an address"));
        let provider = Self { base, state: Arc::default(), rsa: Arc::new(rsa) };
        let router = Router::new()
            .route("/realms/staff/.well-known/openid-configuration", get(metadata))
            .route("/realms/staff/keys", get(keys))
            .route("/realms/staff/authorize", get(authorize))
            .route("/realms/staff/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    /// Who sits in front of the browser.
    pub fn person(&self, subject: &str, name: &str, groups: &[&str]) {
        let person = json!({ "sub": subject, "preferred_username": name, "groups": groups });
        let mut desk = self.desk();
        (desk.person, desk.signed_in_for) = (person, 0);
    }

    pub fn signed_in_for(&self, seconds: i64) {
        self.desk().signed_in_for = seconds;
    }

    /// From now on, tokens have these claims and header fields, and a changed signature if `spoilt`.
    pub fn cheat(&self, claims: Value, header: Value, spoilt: bool) {
        let mut desk = self.desk();
        (desk.wrong, desk.header, desk.spoilt) = (claims, header, spoilt);
    }

    /// Signs with another key of another kind, which stands in the list in place of the first.
    pub fn rotate(&self) {
        self.desk().rotated = true;
    }

    /// The parameters of the last sign-in that was asked for.
    pub fn asked(&self) -> BTreeMap<String, String> {
        self.desk().asked.last().cloned().unwrap_or_default()
    }

    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.state.lock().expect("no test panicked in it")
    }

    fn sign(&self, claims: &Value) -> String {
        let desk = self.desk();
        let mut header = if desk.rotated {
            json!({ "alg": "ES256", "kid": "second" })
        } else {
            json!({ "alg": "RS256", "kid": "first" })
        };
        for (name, value) in desk.header.as_object().into_iter().flatten() {
            header[name] = value.clone();
        }
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let mut signature = if desk.rotated {
            let signature: Signature = elliptic().sign(signed.as_bytes());
            signature.to_bytes().to_vec()
        } else {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("signed");
            signature
        };
        signature[0] ^= u8::from(desk.spoilt);
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

fn elliptic() -> SigningKey {
    SigningKey::from_slice(&[9; 32]).expect("a key")
}

async fn metadata(State(provider): State<Provider>) -> Json<Value> {
    let base = &provider.base;
    Json(json!({
        "issuer": base, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"), "response_types_supported": ["code"],
    }))
}

async fn keys(State(provider): State<Provider>) -> Json<Value> {
    let odd = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "odd", "x": "AAAA" });
    let key = if provider.desk().rotated {
        let point = elliptic().verifying_key().to_sec1_point(false);
        let part = |range: std::ops::Range<usize>| BASE64.encode(&point.as_bytes()[range]);
        json!({ "kty": "EC", "crv": "P-256", "kid": "second", "use": "sig", "x": part(1..33), "y": part(33..65) })
    } else {
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(provider.rsa.public_key());
        json!({ "kty": "RSA", "kid": "first", "use": "sig", "alg": "RS256", "n": BASE64.encode(n), "e": BASE64.encode(e) })
    };
    Json(json!({ "keys": [odd, 7, key] }))
}

/// Lets the person in who sits there, without a page of its own.
async fn authorize(State(provider): State<Provider>, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let text = |name: &str| asked.get(name).cloned().unwrap_or_default();
    assert_eq!((text("client_id").as_str(), text("response_type").as_str()), (CLIENT, "code"));
    assert_eq!(text("code_challenge_method"), "S256");
    let mut desk = provider.desk();
    if text("prompt") == "login" {
        desk.signed_in_for = 0;
    }
    let code = format!("code-{}", desk.codes.len());
    let kept = json!({ "nonce": text("nonce"), "challenge": text("code_challenge"), "redirect": text("redirect_uri") });
    desk.codes.insert(code.clone(), kept);
    desk.asked.push(asked.clone());
    Redirect::to(&format!("{}?code={code}&state={}", text("redirect_uri"), text("state"))).into_response()
}

async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    let text = |name: &str| form.get(name).cloned().unwrap_or_default();
    // RFC 6749 section 2.3.1: both are form-encoded before they are put together.
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:a%20secret%3A%20of%20the%20client%2B")));
    if headers.get(header::AUTHORIZATION).is_none_or(|given| given != expected.as_str()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // A code is good once.
    let Some(kept) = provider.desk().codes.remove(&text("code")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let challenge = BASE64.encode(Sha256::digest(text("code_verifier")));
    if kept["challenge"] != challenge.as_str() || kept["redirect"] != text("redirect_uri").as_str() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let now = stanch::clock::Clock::system().now().as_millis() / 1_000;
    let mut claims = {
        let desk = provider.desk();
        let mut claims = json!({
            "iss": provider.base, "aud": [CLIENT], "exp": now + 300, "iat": now, "nonce": kept["nonce"],
            "auth_time": now - desk.signed_in_for,
        });
        for (name, value) in [&desk.person, &desk.wrong].into_iter().filter_map(Value::as_object).flatten() {
            claims[name] = value.clone();
        }
        claims
    };
    if claims["exp"] == "past" {
        claims["exp"] = json!(now - 120);
    }
    let id_token = provider.sign(&claims);
    Json(json!({ "access_token": "unused", "token_type": "Bearer", "id_token": id_token })).into_response()
}
