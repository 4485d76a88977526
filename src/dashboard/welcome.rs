//! Links with which a password is chosen: the bootstrap link, and those that admins make.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::{Extension, Form};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::{Failure, go, page_with};
use super::assets::{ASSETS, Assets};
use super::{Desk, password, sign_in, text};
use crate::http::App;
use crate::http::auth::Link;
use crate::store::{OperatorName, Redeemed, SignedInBy};

#[derive(Template)]
#[template(path = "welcome.html", config = "src/dashboard/askama.toml")]
struct WelcomePage {
    assets: &'static Assets,
    /// Whose password; none for the first admin.
    known: Option<String>,
    path: String,
    name: String,
    wrong: Option<String>,
}

#[derive(Deserialize)]
pub struct Chosen {
    #[serde(default)]
    name: String,
    password: Zeroizing<String>,
    again: Zeroizing<String>,
}

const OVER: &str = "This link was used before, or its time is over. Ask for another one.";

/// `GET /dashboard/welcome/{link}`. Looking at a link does not use it.
pub async fn show(State(app): State<App>, Path(link): Path<String>) -> Result<Response, Failure> {
    let invitation =
        app.store.invitation(Link::sha256_of(&link)).await?.ok_or_else(|| Failure::Refused(OVER.into()))?;
    let known = invitation.operator.map(|operator| operator.name.to_string());
    Ok(answer(StatusCode::OK, &link, known, String::new(), None))
}

/// `POST /dashboard/welcome/{link}`.
pub async fn choose(
    State(app): State<App>,
    Extension(desk): Extension<Desk>,
    Path(link): Path<String>,
    headers: HeaderMap,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Failure> {
    let sha256 = Link::sha256_of(&link);
    let invitation = app.store.invitation(sha256).await?.ok_or_else(|| Failure::Refused(OVER.into()))?;
    let known = invitation.operator.map(|operator| operator.name);
    let shown = text::line(&chosen.name).chars().take(64).collect::<String>();
    let again = |wrong: String| {
        let known = known.as_ref().map(ToString::to_string);
        Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &link, known, shown.clone(), Some(wrong)))
    };
    let name = match &known {
        Some(name) => name.clone(),
        None => match chosen.name.parse::<OperatorName>() {
            Ok(name) => name,
            Err(invalid) => return again(format!("Another name, please: {invalid}.")),
        },
    };
    if *chosen.password != *chosen.again {
        return again("The two passwords are not the same.".into());
    }
    if let Err(weak) = password::check(&chosen.password, name.as_str()) {
        return again(format!("Another password, please: {weak}."));
    }
    let password = desk.passwords.hash(chosen.password).await.map_err(|_| Failure::Unavailable)?;
    let first_admin = known.is_none().then(|| name.clone());
    match app.store.redeem(sha256, first_admin, password).await? {
        Redeemed::Done(id) => {
            let cookie = sign_in::open(&app, id, (SignedInBy::Password, app.clock.now()), &headers)
                .await?
                .ok_or(Failure::Unavailable)?;
            let mut response = go("/dashboard");
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Redeemed::Invalid => Err(Failure::Refused(OVER.into())),
        Redeemed::NameTaken => again("Somebody has this name already.".into()),
    }
}

fn answer(status: StatusCode, link: &str, known: Option<String>, name: String, wrong: Option<String>) -> Response {
    let path = format!("/dashboard/welcome/{}", text::escaped(link));
    page_with(status, &WelcomePage { assets: &ASSETS, known, path, name, wrong })
}
