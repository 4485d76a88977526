//! Real twine, unchanged, against `/legacy/`: a full token, one for a project, and one that its bearer narrowed with
//! pypitoken, as users of PyPI do.

use std::path::{Path, PathBuf};
use std::process::Output;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::door::Door;
use crate::routes::bearer;

/// Writes a source distribution as build tools make them.
const PACKAGE: &str = r#"
import io, sys, tarfile
folder, name = sys.argv[1:]
text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: a sample\n".encode()
path = f"{folder}/{name}-1.0.tar.gz"
with tarfile.open(path, "w:gz") as archive:
    for file, content in ("PKG-INFO", text), ("pyproject.toml", b"[project]\n"):
        info = tarfile.TarInfo(f"{name}-1.0/{file}")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
print(path)
"#;

/// Narrows a token without asking anybody.
const RESTRICT: &str = r"
import sys, pypitoken
token = pypitoken.Token.load(sys.stdin.read())
token.restrict(project_names=[sys.argv[1]])
print(token.dump())
";

fn python() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(path.exists(), "twine is not installed; run `tests/run protocol`");
    path
}

async fn run(arguments: &[&str], input: &str) -> Output {
    use tokio::io::AsyncWriteExt as _;
    let mut command = Command::new(python());
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").env("COLUMNS", "200");
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("python starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).await.expect("written");
    child.wait_with_output().await.expect("it ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether twine uploaded the package, and everything it said.
async fn twine(door: &Door, user: &str, token: &str, package: &str) -> (bool, String) {
    let url = door.url("/legacy/").to_string();
    let arguments = [
        "-m",
        "twine",
        "upload",
        "--non-interactive",
        "--disable-progress-bar",
        "--repository-url",
        &url,
        "-u",
        user,
        "-p",
        token,
        package,
    ];
    let output = run(&arguments, "").await;
    let said = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

async fn made(door: &Door, name: &str, wanted: Value) -> String {
    let admin = bearer(door, "operator:admin").await;
    let headers = HeaderMap::from_iter([(
        HeaderName::from_static("authorization"),
        HeaderValue::from_str(&admin).expect("a value"),
    )]);
    let mut wanted = wanted;
    wanted["name"] = name.into();
    wanted["owner"] = json!({ "email": "ada@example.org" });
    let response = door.json(Method::POST, "/api/v1/tokens", headers, Some(wanted)).await;
    let status = response.status();
    let text = response.text().await.expect("text");
    assert_eq!(status, StatusCode::CREATED, "{text}");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    body["secret"].as_str().expect("a secret").to_owned()
}

#[tokio::test]
async fn twine_uploads_with_a_token_that_is_good_for_the_project_and_says_why_not_otherwise() {
    let id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    let door = Door::open_with(|plan| {
        plan.settings.upload_sink = true;
        plan.settings.upload_projects.insert("sample-project".into(), id.into());
    })
    .await;
    let package =
        async |name: &str| stdout(&run(&["-c", PACKAGE, door.folder.path().to_str().expect("text"), name], "").await);
    let (sample, other) = (package("sample-project").await, package("other").await);
    let full = made(&door, "full", json!({ "kind": "macaroon" })).await;
    let scoped = made(&door, "scoped", json!({ "kind": "macaroon", "projects": ["Sample.Project"] })).await;
    let both = json!({ "kind": "macaroon", "projects": ["sample-project"], "project_ids": [id] });
    let with_id = made(&door, "with its id", both).await;
    let gone = json!({ "kind": "macaroon", "projects": ["sample-project"], "project_ids": [id.replace('7', "8")] });
    let registered_again = made(&door, "of the project before", gone).await;
    let narrowed = stdout(&run(&["-c", RESTRICT, "sample-project"], &full).await);
    assert_ne!(narrowed, "");
    let (pat, mute) = (
        made(&door, "pat", json!({ "kind": "pat", "scopes": ["upload"] })).await,
        made(&door, "mute", json!({ "kind": "pat", "scopes": ["read"] })).await,
    );
    let wrong = "project-scoped token is not valid for project: 'other'";
    for (what, token, package, reason) in [
        ("full", full.as_str(), &sample, None),
        ("full", &full, &other, None),
        ("scoped", &scoped, &sample, None),
        ("scoped", &scoped, &other, Some(wrong)),
        ("with its id", &with_id, &sample, None),
        ("of the project before", &registered_again, &sample, Some("not valid for project: 'sample-project'")),
        ("narrowed", &narrowed, &sample, None),
        ("narrowed", &narrowed, &other, Some(wrong)),
        ("a personal token", &pat, &sample, None),
        ("a token for other things", &mute, &sample, Some("token is not for uploads")),
        ("no token", "nonsense", &sample, Some("Invalid API Token")),
    ] {
        let (uploaded, said) = twine(&door, "__token__", token, package).await;
        assert_eq!(uploaded, reason.is_none(), "{what}: {said}");
        assert!(reason.is_none_or(|reason| said.contains(reason)), "{what}: {said}");
        assert!(!said.contains(&token[token.len() - 8..]) || token == "nonsense", "{what}: {said}");
    }
    let (uploaded, said) = twine(&door, "ada", &full, &sample).await;
    assert!(!uploaded && said.contains("Username/Password authentication is no longer supported"), "{said}");
}
