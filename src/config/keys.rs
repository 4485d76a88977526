//! `[keys]`: where the sealing and the fingerprint keys are.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::environment::Variable;
use super::keyring::{KeyFolder, Keyring};
use super::layers::{Layers, Section, rebase};
use super::problem::Problem;

/// The folder of the key files. Default: `keys` in the data folder. Effect: `keys.folder`.
pub const FOLDER: Variable = Variable { name: "STANCH_KEYS", key: "keys.folder" };

/// Where the keys are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    pub folder: Option<PathBuf>,
    /// The key files themselves, where they are not in one folder. If set, no folder is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
}

impl Keys {
    /// The folder that new keys are written into.
    pub fn folder(&self) -> KeyFolder {
        KeyFolder::new(self.folder.clone().unwrap_or_else(|| PathBuf::from("keys")))
    }

    /// Opens every key.
    ///
    /// # Errors
    /// When a key is missing, cannot be read, or can be read by too many.
    pub fn open(&self) -> Result<Keyring, Problem> {
        let folder = self.folder();
        let files = if self.files.is_empty() { folder.files()? } else { self.files.clone() };
        Keyring::open(&files, folder.path())
    }
}

impl Section for Keys {
    fn rebase(&mut self, folder: &Path) {
        rebase(self.folder.as_mut(), folder);
        self.files.iter_mut().for_each(|file| rebase(Some(file), folder));
    }

    fn read_environment(&mut self, layers: &mut Layers) {
        if layers.set_some(&FOLDER, &mut self.folder) {
            self.files.clear();
        }
    }

    fn check(&self, _layers: &mut Layers) {}
}
