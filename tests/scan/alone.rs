//! The build that only scans says what it cannot do.

use super::support::{Folder, token};

#[test]
fn the_scan_only_build_refuses_to_ask_and_to_tell() {
    let folder = Folder::new().with("a", token("npm-access-token", 1));
    for args in [
        &["--verify"][..],
        &["--revoke", "--yes"],
        &["--submit", "https://stanch.example/hook", "--submit-key", "key.pem"],
        &["--only-verified"],
        &["--results", "live"],
        &["--min-confidence", "verified"],
        &["--issuers", "stanch.toml"],
    ] {
        let ran = folder.run(&[&["scan"], args].concat());
        assert_eq!((ran.code(), ran.out().as_str()), (2, ""), "{args:?}");
        assert!(ran.err().contains("this build of stanch only scans"), "{args:?}: {}", ran.err());
        assert!(ran.err().contains("hint: "), "{args:?}: {}", ran.err());
    }
}
