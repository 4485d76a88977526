//! Keys: one small file each, whose name says what it is for.
//!
//! `seal-<id>.key` and `fingerprint-<id>.key` hold 32 random bytes as 64 hexadecimal digits or as base64. The id that
//! sorts last is the current one: generated ids begin with their time, so that the newest wins on every machine,
//! whatever the file times of its copies say. A key file is created, never overwritten: whoever loses a key loses what it
//! sealed.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::problem::{Place, Problem};
use super::secret;
use crate::clock::Timestamp;
use crate::store::{SealKey, SealRing};
use crate::token::{FingerprintKey, FingerprintRing};

const KEY_BYTES: usize = 32;
const EXTENSION: &str = "key";

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Names tokens in the database.
    Fingerprint,
    /// Seals tokens at rest.
    Seal,
}

impl Role {
    pub const ALL: [Self; 2] = [Self::Seal, Self::Fingerprint];

    pub fn word(self) -> &'static str {
        match self {
            Self::Fingerprint => "fingerprint",
            Self::Seal => "seal",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A key's file and what its name says. Not the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyFile {
    pub role: Role,
    pub id: String,
    pub path: PathBuf,
}

impl KeyFile {
    /// When a generated key was made; none for an id that somebody chose.
    pub fn made_at(&self) -> Option<Timestamp> {
        let (date, clock) = self.id.split_once('t').filter(|(date, clock)| (date.len(), clock.len()) == (8, 6))?;
        let part = |text: &'_ str, from: usize| text.get(from..from + 2).map(str::to_owned);
        let (year, month, day) = (date.get(..4)?, part(date, 4)?, part(date, 6)?);
        let (hour, minute, second) = (part(clock, 0)?, part(clock, 2)?, part(clock, 4)?);
        Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
    }

    /// What the name of a file says; none if it is not the name of a key.
    pub fn of(path: &Path) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(".key")?;
        let (role, id) = Role::ALL.into_iter().find_map(|role| {
            let id = stem.strip_prefix(role.word())?.strip_prefix('-')?;
            Some((role, id))
        })?;
        // The id stands in front of fingerprints, before a colon, and in sealed rows.
        let plain = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (plain && (1..=32).contains(&id.len())).then(|| Self { role, id: id.to_owned(), path: path.to_owned() })
    }

    fn open(&self) -> Result<Zeroizing<[u8; KEY_BYTES]>, Problem> {
        let text = secret::read_private(&self.path)?;
        decode(&text).ok_or_else(|| {
            let message = format!("not a key: {KEY_BYTES} bytes as 64 hexadecimal digits or as base64 are expected");
            Problem::new(
                Place::Named(self.path.clone()),
                message,
                "restore the file from its backup; do not make a new one under this name",
            )
        })
    }
}

/// The folder that generated keys are written into.
#[derive(Clone, Debug)]
pub struct KeyFolder(PathBuf);

impl KeyFolder {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The key files in the folder; none if there is no folder.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds a `.key` file whose name says nothing.
    pub fn files(&self) -> Result<Vec<PathBuf>, Problem> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.unusable("read", &error)),
            Ok(entries) => entries,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| self.unusable("read", &error))?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Writes a new key, which is the current one from then on. `key` is 32 random bytes.
    ///
    /// # Errors
    /// When the folder or the file cannot be written, or the file exists.
    pub fn generate(&self, role: Role, key: &Zeroizing<[u8; KEY_BYTES]>, now: Timestamp) -> Result<KeyFile, Problem> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(|error| self.unusable("made", &error))?;
        // `2026-11-23T01:00:04.000Z` becomes `20261123t010004`.
        let id: String = now.to_string().to_lowercase().chars().take(19).filter(|c| !"-:".contains(*c)).collect();
        let path = self.0.join(format!("{role}-{id}.{EXTENSION}"));
        let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES * 2 + 1));
        for byte in key.iter() {
            text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()));
        }
        text.push('\n');
        let unwritable = |error: std::io::Error| {
            let (message, hint) = if error.kind() == std::io::ErrorKind::AlreadyExists {
                ("a key file of this name exists, and none is ever overwritten".into(), "try again in a second")
            } else {
                let message = format!("the key file cannot be written ({})", error.kind());
                (message, "check who owns the folder and how much room is left")
            };
            Problem::new(Place::Named(path.clone()), message, hint)
        };
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(unwritable)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(unwritable)?;
        // The name must be durable too, before anything is sealed with the key.
        fs::File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(unwritable)?;
        Ok(KeyFile { role, id, path })
    }

    fn unusable(&self, done: &str, error: &std::io::Error) -> Problem {
        let message = format!("the key folder cannot be {done} ({})", error.kind());
        Problem::new(Place::Named(self.0.clone()), message, "check the path and who owns the folder")
    }
}

/// Every key, opened.
pub struct Keyring {
    pub fingerprint: FingerprintRing,
    pub seal: SealRing,
    /// Current keys first.
    pub files: Vec<KeyFile>,
}

impl Keyring {
    pub(super) fn open(paths: &[PathBuf], folder: &Path) -> Result<Self, Problem> {
        let files = sorted(paths)?;
        let mut seal = Vec::new();
        let mut fingerprint = Vec::new();
        for file in &files {
            let bytes = file.open()?;
            match file.role {
                Role::Fingerprint => fingerprint.push(FingerprintKey::new(file.id.clone(), *bytes)),
                Role::Seal => seal.push(SealKey { id: file.id.clone(), bytes }),
            }
        }
        let missing = |role: Role| {
            let hint = "run `stanch init` for a new installation; restore the key of an old one from its backup";
            Problem::new(Place::Named(folder.to_owned()), format!("there is no {role} key"), hint)
        };
        let (mut seal, mut fingerprint) = (seal.into_iter(), fingerprint.into_iter());
        let current_seal = seal.next().ok_or_else(|| missing(Role::Seal))?;
        let current_fingerprint = fingerprint.next().ok_or_else(|| missing(Role::Fingerprint))?;
        Ok(Self {
            fingerprint: FingerprintRing::new(current_fingerprint, fingerprint.collect()),
            seal: SealRing { current: current_seal, older: seal.collect() },
            files,
        })
    }
}

/// The files by role, the id that sorts last first.
fn sorted(paths: &[PathBuf]) -> Result<Vec<KeyFile>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        let file = KeyFile::of(path).ok_or_else(|| {
            let hint =
                "call it `seal-<id>.key` or `fingerprint-<id>.key`; an id is up to 32 small letters, digits and `-`";
            Problem::new(Place::Named(path.clone()), "the name does not say which key this is", hint)
        })?;
        files.push(file);
    }
    files.sort_by(|one, other| (one.role, &other.id, &one.path).cmp(&(other.role, &one.id, &other.path)));
    if let Some(twice) = files.windows(2).find(|pair| (pair[0].role, &pair[0].id) == (pair[1].role, &pair[1].id)) {
        let message = format!("two files hold the {} key `{}`", twice[0].role, twice[0].id);
        return Err(Problem::new(Place::Named(twice[1].path.clone()), message, "keep one of them in `keys.files`"));
    }
    Ok(files)
}

fn decode(text: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let text = text.trim_ascii();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if text.len() == 2 * KEY_BYTES {
        for (byte, digits) in key.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        return Some(key);
    }
    let engine = if text.ends_with(b"=") { STANDARD } else { STANDARD_NO_PAD };
    let decoded = Zeroizing::new(engine.decode(text).ok()?);
    (decoded.len() == KEY_BYTES).then(|| key.copy_from_slice(&decoded))?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_795_395_600_000 + second * 1_000)
    }

    fn folder() -> (tempfile::TempDir, KeyFolder) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = KeyFolder::new(dir.path().join("deep/keys"));
        (dir, folder)
    }

    fn generate(folder: &KeyFolder, role: Role, second: i64) -> Result<KeyFile, Problem> {
        folder.generate(role, &Zeroizing::new([7; 32]), at(second))
    }

    fn open(folder: &KeyFolder) -> Result<Keyring, Problem> {
        Keyring::open(&folder.files()?, folder.path())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_generated_key_is_private_and_never_overwritten() {
        let (_dir, folder) = folder();
        let file = generate(&folder, Role::Seal, 4).expect("a new folder");
        assert_eq!((mode(folder.path()), mode(&file.path)), (0o700, 0o600));
        assert_eq!((file.id.as_str(), file.made_at()), ("20261123t010004", Some(at(4))));
        let before = fs::read(&file.path).expect("written");
        let again = generate(&folder, Role::Seal, 4).expect_err("it exists");
        assert_eq!(again.message, "a key file of this name exists, and none is ever overwritten");
        assert_eq!(fs::read(&file.path).expect("still there"), before);
    }

    #[test]
    fn the_newest_key_is_current() {
        let (_dir, folder) = folder();
        for second in [9, 1, 5] {
            generate(&folder, Role::Seal, second).expect("a new name");
        }
        generate(&folder, Role::Fingerprint, 3).expect("a new name");
        let ring = open(&folder).expect("complete");
        assert_eq!(ring.seal.current.id, "20261123t010009");
        let older: Vec<_> = ring.seal.older.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(older, ["20261123t010005", "20261123t010001"]);
        assert_eq!(*ring.seal.current.bytes, [7; 32]);
    }

    #[test]
    fn a_missing_readable_misnamed_or_broken_key_is_refused() {
        let (_dir, folder) = folder();
        let message = || open(&folder).err().map(|problem| problem.message).expect("refused");
        assert_eq!(message(), "there is no seal key");
        let seal = generate(&folder, Role::Seal, 1).expect("a new name");
        assert_eq!(message(), "there is no fingerprint key");
        generate(&folder, Role::Fingerprint, 1).expect("a new name");
        fs::set_permissions(&seal.path, fs::Permissions::from_mode(0o644)).expect("ours");
        assert_eq!(message(), "others can read or write the file (mode 0644)");
        fs::set_permissions(&seal.path, fs::Permissions::from_mode(0o600)).expect("ours");
        fs::write(&seal.path, "too short").expect("ours");
        assert_eq!(message(), "not a key: 32 bytes as 64 hexadecimal digits or as base64 are expected");
        fs::write(folder.path().join("seal_2.key"), "").expect("ours");
        assert_eq!(message(), "the name does not say which key this is");
    }

    #[test]
    fn a_key_is_read_as_digits_or_as_base64() {
        let key: [u8; 32] = std::array::from_fn(|index| u8::try_from(index * 7 + 3).unwrap_or(0));
        let digits = key.map(|byte| format!("{byte:02X}")).concat();
        for text in [format!("{digits}\n"), STANDARD.encode(key), format!(" {} ", STANDARD_NO_PAD.encode(key))] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(&key), "{text}");
        }
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &STANDARD.encode([1; 31])] {
            assert!(decode(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_generated_ids_tell_their_age() {
        for id in ["main", "20261123", "20261399t999999", "t", "tttttttttt"] {
            let file = KeyFile { role: Role::Seal, id: id.into(), path: PathBuf::new() };
            assert_eq!(file.made_at(), None, "{id}");
        }
    }
}
