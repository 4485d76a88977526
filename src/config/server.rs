//! `[server]`: where stanch listens and how much it takes in.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::environment::Variable;
use super::human::{Listen, Size};
use super::layers::{Layers, Section};

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
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Listen(([127, 0, 0, 1], 8080).into()),
            admin_listen: None,
            max_body: Size(8 << 20),
            max_records: 10_000,
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
        if !(1 << 10..=1 << 30).contains(&self.max_body.0) {
            layers.refuse("server.max_body", "not between 1KiB and 1GiB", "GitHub's deliveries fit into 8MiB");
        }
        if !(1..=1_000_000).contains(&self.max_records) {
            layers.refuse("server.max_records", "not between 1 and 1000000", "GitHub's deliveries fit into 10000");
        }
    }
}
