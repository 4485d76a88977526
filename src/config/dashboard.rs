//! `[dashboard]`: the pages for operators, and how long they stay signed in.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::environment::Variable;
use super::human::Span;
use super::layers::{Layers, Section};
use crate::http::auth::client::is_loopback;
use crate::http::auth::session::{Cookie, Settings};

/// Where operators find the dashboard. Default: as the browser calls it. Effect: `dashboard.url`.
pub const URL: Variable = Variable { name: "STANCH_DASHBOARD_URL", key: "dashboard.url" };

/// The pages for operators.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dashboard {
    pub enabled: bool,
    /// `https://stanch.example`, as the proxy in front answers to.
    pub url: Option<String>,
    /// A session that is not used for so long is over.
    pub idle: Span,
    /// However busy, it is over after this.
    pub lasts: Span,
    /// For so long after the password was typed it is not asked for again.
    pub confirmed: Span,
    /// Hosts that an address in a report may link to.
    pub link_hosts: Vec<String>,
}

impl Default for Dashboard {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            enabled: true,
            url: None,
            idle: Span(settings.idle_for),
            lasts: Span(settings.lasts_for),
            confirmed: Span(settings.confirmed_for),
            link_hosts: ["github.com", "gist.github.com", "gitlab.com"].map(str::to_owned).into(),
        }
    }
}

impl Dashboard {
    pub fn sessions(&self) -> Settings {
        Settings {
            idle_for: self.idle.0,
            lasts_for: self.lasts.0,
            confirmed_for: self.confirmed.0,
            cookie: match self.url.as_deref() {
                None => Cookie::Judged,
                Some(url) if url.starts_with("http://") => Cookie::Plain,
                Some(_) => Cookie::Secure,
            },
        }
    }

    /// Where operators find it, without a slash at its end.
    pub fn base(&self) -> Option<String> {
        self.url.as_ref().map(|url| url.trim_end_matches('/').to_owned())
    }
}

impl Section for Dashboard {
    fn rebase(&mut self, _folder: &Path) {}

    fn read_environment(&mut self, layers: &mut Layers) {
        layers.set_some(&URL, &mut self.url);
    }

    fn check(&self, layers: &mut Layers) {
        if let Some(url) = &self.url {
            let origin = |rest: &str| {
                let host = rest.trim_end_matches('/');
                !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
            };
            let fine = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
                (Some(rest), _) => origin(rest),
                // The cookie would travel in clear.
                (_, Some(rest)) => origin(rest) && is_loopback(rest.trim_end_matches('/')),
                (None, None) => false,
            };
            if !fine {
                let hint = "write `https://` and the host, such as `https://stanch.example`; plain `http://` is for \
                            loopback alone";
                layers.refuse("dashboard.url", "not the address of a dashboard", hint);
            }
        }
        for (key, span, least, most) in [
            ("dashboard.idle", self.idle, Span::seconds(60), Span::days(1)),
            ("dashboard.lasts", self.lasts, Span::seconds(300), Span::days(7)),
            ("dashboard.confirmed", self.confirmed, Span::seconds(0), Span::seconds(3_600)),
        ] {
            layers.check_span(key, span, least, most);
        }
        if let Some(bad) = self.link_hosts.iter().find(|host| host.is_empty() || host.contains(['/', ':', ' ', '@'])) {
            layers.refuse("dashboard.link_hosts", format!("`{bad}` is not a host"), "write hosts alone: `github.com`");
        }
    }
}
