//! Credentials of ours: read from a file or from the environment, never from the configuration itself.
//!
//! A file that everybody on the machine can read is refused, as is an empty one: both are mistakes that nobody would
//! notice until it is too late.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::environment::Environment;
use super::problem::{Place, Problem};
use crate::token::Secret;

/// No credential is longer; what is, is the wrong file.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads the credential that the file or the variable holds; none if neither is named.
pub(super) fn read(file: Option<&Path>, variable: Option<&str>, env: &Environment) -> Result<Option<Secret>, Problem> {
    match (file, variable) {
        (Some(path), _) => {
            let mut bytes = read_private(path)?;
            while bytes.last().is_some_and(u8::is_ascii_whitespace) {
                bytes.pop();
            }
            if bytes.is_empty() {
                return Err(Problem::new(
                    Place::Named(path.to_owned()),
                    "the file is empty",
                    "put the credential into it",
                ));
            }
            Ok(Some(Secret::new(std::mem::take(&mut *bytes))))
        }
        (None, Some(name)) => env.get(name).map(|value| Some(Secret::new(value.trim().into()))).ok_or_else(|| {
            let hint = format!("export `{name}`, or name a file instead");
            Problem::new(Place::Environment(name.into()), "the configuration names it, but it is not set", hint)
        }),
        (None, None) => Ok(None),
    }
}

/// Reads a small file that anybody may read: certificates.
pub(super) fn read_public(path: &Path) -> Result<Vec<u8>, Problem> {
    fs::read(path).map_err(|error| {
        let message = format!("the file cannot be read ({})", error.kind());
        Problem::new(Place::Named(path.to_owned()), message, "check the path and who owns the file")
    })
}

/// Reads a small file that only we and our group may read.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let refused = |message: String, hint: String| Problem::new(Place::Named(path.to_owned()), message, hint);
    let unreadable = |error: &std::io::Error| {
        refused(format!("the file cannot be read ({})", error.kind()), "check the path and who owns the file".into())
    };
    let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    // Of the opened file, not of the path: nothing can be swapped in between.
    let about = file.metadata().map_err(|error| unreadable(&error))?;
    let mode = about.permissions().mode() & 0o777;
    if about.is_file() && mode & 0o027 != 0 {
        let what = if mode & 0o005 == 0 { "write" } else { "read or write" };
        let message = format!("others can {what} the file (mode {mode:04o})");
        return Err(refused(
            message,
            format!("run `chmod 600 {}`, and renew what it holds if it may have been read", path.display()),
        ));
    }
    // The buffer never grows, so no copy of the secret is left behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_BYTES).unwrap_or_default() + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refused(
            "the file is longer than 64 KiB".into(),
            "check the path: no credential is this long".into(),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), content).expect("writable");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).expect("ours");
        file
    }

    fn message(result: Result<Option<Secret>, Problem>) -> String {
        result.err().map(|problem| problem.message).expect("refused")
    }

    #[test]
    fn a_private_file_or_a_variable_gives_the_credential_without_its_newline() {
        let env = Environment::from_iter([("PW", "hunter2")]);
        for mode in [0o600, 0o400, 0o440] {
            let secret = read(Some(file("hunter2\n", mode).path()), None, &env).expect("private").expect("named");
            assert_eq!(secret.len(), 7);
        }
        assert_eq!(read(None, Some("PW"), &env).expect("set").expect("named").len(), 7);
        assert!(read(None, None, &env).expect("fine").is_none());
    }

    #[test]
    fn a_readable_empty_missing_or_unset_credential_is_refused() {
        let env = Environment::default();
        assert_eq!(
            message(read(Some(file("x", 0o644).path()), None, &env)),
            "others can read or write the file (mode 0644)"
        );
        assert_eq!(message(read(Some(file("x", 0o620).path()), None, &env)), "others can write the file (mode 0620)");
        assert_eq!(message(read(Some(file(" \n", 0o600).path()), None, &env)), "the file is empty");
        assert_eq!(
            message(read(Some(Path::new("/nowhere")), None, &env)),
            "the file cannot be read (entity not found)"
        );
        assert_eq!(message(read(None, Some("PW"), &env)), "the configuration names it, but it is not set");
    }
}
