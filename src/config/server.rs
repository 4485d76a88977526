//! `[server]`: where stanch listens and how much it takes in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::environment::Variable;
use super::human::{Listen, Size, Span};
use super::layers::{Layers, Section};
use crate::http;
use crate::token::caveat::{is_project_name, normalized};

/// The address for reporters and for the API. Default: `127.0.0.1:8080`. Effect: `server.listen`.
pub const LISTEN: Variable = Variable { name: "STANCH_LISTEN", key: "server.listen" };

/// An address of its own for health and metrics. Default: none, they share the first. Effect: `server.admin_listen`.
pub const ADMIN_LISTEN: Variable = Variable { name: "STANCH_ADMIN_LISTEN", key: "server.admin_listen" };

/// Where stanch listens and how much it takes in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub listen: Listen,
    /// Health and metrics only, kept away from the reporters' address.
    pub admin_listen: Option<Listen>,
    /// Longest body of a delivery.
    pub max_body: Size,
    /// Most records in a delivery.
    pub max_records: u32,
    /// Longest time for a body to arrive.
    pub body_timeout: Span,
    /// Longest time to an answer.
    pub answer_timeout: Span,
    /// Most deliveries whose signature is not yet checked, at one time.
    pub max_unverified: u32,
    /// Most bytes of their bodies, together.
    pub max_unverified_bytes: Size,
    /// How long new connections are taken after the signal to stop.
    pub lame_duck: Span,
    /// Longest time from the signal to stop to the end.
    pub drain: Span,
    pub authentication: Authentication,
    /// Permits `authentication = "disabled"` at an address that others can reach.
    pub insecure_no_auth: bool,
    /// Proxies that are believed about whom a request is from.
    pub trusted_proxies: Vec<IpAddr>,
    /// Takes packages as a registry does, checks the token, and keeps nothing.
    pub upload_sink: bool,
    /// Ids of the projects it takes packages for, by name.
    pub upload_projects: BTreeMap<String, String>,
}

/// Whether credentials are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    Disabled,
    #[default]
    Required,
}

impl Default for Server {
    fn default() -> Self {
        let settings = http::Settings::default();
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            listen: Listen(settings.listen),
            admin_listen: settings.admin_listen.map(Listen),
            max_body: Size(settings.max_body_bytes as u64),
            max_records: small(settings.max_records),
            body_timeout: Span(settings.body_timeout),
            answer_timeout: Span(settings.answer_timeout),
            max_unverified: small(settings.max_unverified),
            max_unverified_bytes: Size(settings.max_unverified_bytes as u64),
            lame_duck: Span(settings.lame_duck_for),
            drain: Span(settings.drain_for),
            authentication: Authentication::Required,
            insecure_no_auth: false,
            trusted_proxies: Vec::new(),
            upload_sink: false,
            upload_projects: BTreeMap::new(),
        }
    }
}

impl Server {
    pub fn settings(&self) -> http::Settings {
        let bytes = |size: Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        http::Settings {
            listen: self.listen.0,
            admin_listen: self.admin_listen.map(|listen| listen.0),
            max_body_bytes: bytes(self.max_body),
            max_records: count(self.max_records),
            body_timeout: self.body_timeout.0,
            answer_timeout: self.answer_timeout.0,
            max_unverified: count(self.max_unverified),
            max_unverified_bytes: bytes(self.max_unverified_bytes),
            lame_duck_for: self.lame_duck.0,
            drain_for: self.drain.0,
            trusted_proxies: self.trusted_proxies.clone(),
            authentication: match self.authentication {
                Authentication::Disabled => http::Authentication::Disabled,
                Authentication::Required => http::Authentication::Required,
            },
            open_to_everybody: self.insecure_no_auth,
            upload_sink: self.upload_sink,
            upload_projects: self.upload_projects.iter().map(|(name, id)| (normalized(name), id.clone())).collect(),
            ..http::Settings::default()
        }
    }
}

impl Section for Server {
    fn rebase(&mut self, _folder: &Path) {}

    fn read_environment(&mut self, layers: &mut Layers) {
        layers.set(&LISTEN, &mut self.listen);
        layers.set_some(&ADMIN_LISTEN, &mut self.admin_listen);
    }

    fn check(&self, layers: &mut Layers) {
        // Port 0 asks for any free port, so two of them are not the same address.
        if self.admin_listen == Some(self.listen) && self.listen.0.port() != 0 {
            let hint = "give it a port of its own, or leave it out to serve both at one address";
            layers.refuse("server.admin_listen", "this is the address of `server.listen` already", hint);
        }
        let open = self.authentication == Authentication::Disabled;
        if open && !self.listen.0.ip().is_loopback() && !self.insecure_no_auth {
            let hint = "listen on 127.0.0.1, or say `insecure_no_auth = true` and mean it";
            layers.refuse("server.authentication", "anybody who reaches this address could do everything", hint);
        }
        if self.insecure_no_auth && !open {
            let hint = "drop it, or choose `authentication = \"disabled\"`";
            layers.refuse("server.insecure_no_auth", "set though credentials are asked for", hint);
        }
        for (name, id) in &self.upload_projects {
            if !is_project_name(&normalized(name)) || id.is_empty() {
                let hint = "write `upload_projects = { my-project = \"7c9e6679-…\" }`";
                layers.refuse("server.upload_projects", "not a project's name and its id", hint);
            }
        }
        if !(1 << 10..=1 << 30).contains(&self.max_body.0) {
            layers.refuse("server.max_body", "not between 1KiB and 1GiB", "GitHub's deliveries fit into 8MiB");
        }
        if !(1..=1_000_000).contains(&self.max_records) {
            layers.refuse("server.max_records", "not between 1 and 1000000", "GitHub's deliveries fit into 10000");
        }
        if self.max_unverified == 0 {
            layers.refuse("server.max_unverified", "zero would take in nothing", "1024 are enough for most");
        }
        if self.max_unverified_bytes < self.max_body {
            let hint = "give it room for several bodies of `max_body`";
            layers.refuse("server.max_unverified_bytes", "no room for a single delivery", hint);
        }
        for (key, span, least, most) in [
            ("server.body_timeout", self.body_timeout, Span::seconds(1), Span::seconds(60)),
            ("server.answer_timeout", self.answer_timeout, Span::seconds(1), Span::seconds(60)),
            ("server.lame_duck", self.lame_duck, Span::seconds(0), Span::seconds(60)),
            ("server.drain", self.drain, Span::seconds(1), Span::seconds(300)),
        ] {
            layers.check_span(key, span, least, most);
        }
        if self.body_timeout > self.answer_timeout {
            layers.refuse("server.body_timeout", "longer than `answer_timeout`, of which it is a part", "shorten it");
        }
    }
}
