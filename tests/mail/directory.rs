//! Mail into a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use stanch::notice::SendError;
use tempfile::TempDir;

use crate::sample::{in_directory, notice, send};

#[tokio::test]
async fn a_notice_is_one_file_that_a_repeat_replaces() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("mail");
    let mailer = in_directory(path.clone());
    send(&mailer, 1).await.expect("written");
    let first = fs::read(path.join(format!("{}.eml", notice(1)))).expect("named by its notice");
    send(&mailer, 1).await.expect("written again");
    send(&mailer, 2).await.expect("written");

    let mut names: Vec<String> = fs::read_dir(&path)
        .expect("a directory")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("our own names"))
        .collect();
    names.sort();
    assert_eq!(names, [format!("{}.eml", notice(1)), format!("{}.eml", notice(2))], "and no temporary file is left");
    assert_eq!(fs::read(path.join(&names[0])).expect("readable"), first, "a repeat is the same mail");
}

#[tokio::test]
async fn a_written_mail_is_for_its_user_alone() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("made/by/us");
    send(&in_directory(path.clone()), 1).await.expect("written");
    let mode = |path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(path.join(format!("{}.eml", notice(1)))), 0o600);
    assert_eq!(mode(path), 0o700);
}

#[tokio::test]
async fn a_directory_that_is_gone_needs_a_person() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("mail");
    let mailer = in_directory(path.clone());
    assert!(mailer.check().await.expect("writable").contains("mail"));
    assert_eq!(fs::read_dir(&path).expect("there").count(), 0, "a check leaves nothing behind");
    fs::remove_dir(&path).expect("empty");
    assert!(matches!(send(&mailer, 1).await, Err(SendError::Misconfigured { .. })));
    assert!(mailer.check().await.is_err());
}
