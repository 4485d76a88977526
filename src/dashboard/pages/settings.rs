//! Settings: the effective configuration, to look at. It holds no credential: files and variables are named, not read.

use askama::Template;
use axum::response::Response;

use crate::dashboard::Door;
use crate::dashboard::answer::{Failure, page};
use crate::dashboard::menu::Page;
use crate::dashboard::visit::{Shell, Visit};
use crate::http::Route;

pub fn routes(door: &Door) -> Vec<Route> {
    vec![door.get("/dashboard/settings", "the effective configuration", show)]
}

#[derive(Template)]
#[template(path = "settings.html", config = "src/dashboard/askama.toml")]
struct SettingsPage {
    shell: Shell,
    version: &'static str,
    text: String,
}

async fn show(visit: Visit) -> Result<Response, Failure> {
    Ok(page(&SettingsPage {
        shell: visit.shell(Page::Settings).await?,
        version: env!("CARGO_PKG_VERSION"),
        text: visit.desk.settings().effective.trim().to_owned(),
    }))
}
