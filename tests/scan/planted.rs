//! A planted corpus, the same from the same seed: tokens nobody issued, each in a file of its own, written as people have
//! them; and decoys that only look like tokens.
//!
//! `tests/bench-detect` writes it to a folder (`STANCH_PLANT_INTO`) and has other scanners search it as well.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stanch::token::catalogue::{self, Group, Kind, Proof};
use stanch::token::checksum::Algorithm;
use stanch::token::encoding::{Alphabet, to_base64};
use stanch::token::generate;

use super::archives::{gz, tar, zip};
use super::repo::Repo;
use super::support::random;

/// What is planted in one place.
pub struct Plant {
    /// Plain, encoded, archive, history or decoy.
    pub group: &'static str,
    pub context: &'static str,
    pub kind: &'static Kind,
    /// Relative to the corpus; in an archive up to the archive.
    pub path: String,
    /// The commit whose message it is in, in place of a path.
    pub commit: Option<String>,
}

/// Kinds of registries and development platforms that need no word nearby, and whose tokens are one line.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    catalogue::builtin()
        .iter()
        .filter(|kind| matches!(kind.group, Group::Registry | Group::DevPlatform) && !kind.needs_context())
        .filter(|kind| !kind.parts().is_empty())
}

/// Writes the corpus and says what is in it.
pub struct Planter<'p> {
    root: &'p Path,
    random: Box<dyn FnMut() -> u64>,
    pub plants: Vec<Plant>,
}

type Written = (&'static str, &'static str, Vec<u8>);

impl<'p> Planter<'p> {
    pub fn new(root: &'p Path, seed: u64) -> Self {
        Self { root, random: Box::new(random(seed)), plants: Vec::new() }
    }

    /// A new token of the kind.
    fn token(&mut self, kind: &Kind) -> String {
        let token = generate(kind, &mut *self.random).expect("every kind can be made up");
        String::from_utf8(token).expect("tokens are ASCII")
    }

    fn write(&mut self, group: &'static str, context: &'static str, kind: &'static Kind, name: &str, bytes: &[u8]) {
        let path = format!("{group}/{context}/{}/{name}", kind.id);
        let file = self.root.join(&path);
        fs::create_dir_all(file.parent().expect("it has one")).expect("the folder is ours");
        fs::write(file, bytes).expect("the folder is ours");
        self.plants.push(Plant { group, context, kind, path, commit: None });
    }

    pub fn files(&mut self) {
        for kind in kinds() {
            for context in 0..PLAIN {
                let token = self.token(kind);
                let (way, name, bytes) = plain(&token).swap_remove(context);
                self.write("plain", way, kind, name, &bytes);
            }
            for context in 0..ENCODED {
                let token = self.token(kind);
                let (way, name, bytes) = encoded(&token).swap_remove(context);
                self.write("encoded", way, kind, name, &bytes);
            }
            for context in 0..ARCHIVES {
                let token = self.token(kind);
                let (way, name, bytes) = archived(&token).swap_remove(context);
                self.write("archive", way, kind, name, &bytes);
            }
        }
    }

    pub fn decoys(&mut self) {
        for kind in kinds() {
            let token = self.token(kind);
            let decoys = [
                ("longer-run", format!("x = aaaaaaaaaaaaaaaa{token}aaaaaaaaaaaaaaaa\n")),
                ("cut", format!("TOKEN={}\n", &token[..token.len() / 2])),
                ("filler", format!("TOKEN={}\n", filler(kind, &token, 'x'))),
                ("filler-upper", format!("TOKEN={}\n", filler(kind, &token, 'X'))),
            ];
            for (way, text) in decoys.into_iter().filter(|(way, _)| !is_token_all_the_same(way, kind)) {
                self.write("decoy", way, kind, "app.env", text.as_bytes());
            }
            if covers_all(kind) {
                let mut wrong = token.into_bytes();
                // Not the last character: in base32 some of its bits may mean nothing.
                let at = wrong.len() - 2;
                wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
                self.write("decoy", "checksum", kind, "app.env", &[b"TOKEN=", wrong.as_slice(), b"\n"].concat());
            }
        }
        for kind in kinds().take(20) {
            let mut hex = |len: usize| {
                let digits = (0..4).map(|_| format!("{:016x}", (self.random)())).collect::<Vec<_>>().concat();
                digits[..len].to_owned()
            };
            let (sha1, sha256) = (hex(40), hex(64));
            let issuer = kind.issuer.to_lowercase();
            let decoys = [
                ("digest", format!("{issuer} = {{ hash = \"sha256:{sha256}\" }}\n")),
                ("revision", format!("uses: {issuer}/action@{sha1}\n")),
                ("manual", format!("https://user:password@{issuer}.example.com/ or https://me:{sha1}@localhost/\n")),
            ];
            for (way, text) in decoys {
                self.write("decoy", way, kind, "notes.yml", text.as_bytes());
            }
        }
    }

    /// A repository in which nothing of this stands any more, or never stood in a file.
    pub fn history(&mut self, repo: &Repo) {
        let chosen: Vec<_> = kinds().step_by(2).collect();
        for kind in &chosen {
            let (first, second, wide) = (self.token(kind), self.token(kind), self.token(kind));
            let packed = archived(&second).swap_remove(0).2;
            let wide: Vec<u8> =
                format!("\u{feff}token = {wide}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
            for (context, name, bytes) in [
                ("removed", "app.env", format!("A=1\nTOKEN={first}\n").into_bytes()),
                ("archive", "pkg.whl", packed),
                ("utf16", "app.ini", wide),
            ] {
                let path = format!("{context}/{}/{name}", kind.id);
                let file = repo.path(&path);
                fs::create_dir_all(file.parent().expect("it has one")).expect("the folder is ours");
                fs::write(file, bytes).expect("the folder is ours");
                self.plants.push(Plant { group: "history", context, kind, path, commit: None });
            }
        }
        repo.save("Add settings");
        for folder in ["removed", "archive", "utf16"] {
            fs::remove_dir_all(repo.path(folder)).expect("it was written");
        }
        repo.write("readme", Some("nothing\n"));
        repo.save("Take them away");
        for kind in chosen.iter().step_by(2) {
            let token = self.token(kind);
            let commit = repo.save(&format!("Rotate\n\nIt was {token} before."));
            self.plants.push(Plant {
                group: "history",
                context: "message",
                kind,
                path: String::new(),
                commit: Some(commit),
            });
        }
    }

    /// What is planted, for other programs.
    pub fn manifest(&self) -> Value {
        let plant = |plant: &Plant| {
            json!({
                "group": plant.group, "context": plant.context, "kind": plant.kind.id, "issuer": plant.kind.issuer,
                "path": plant.path, "commit": plant.commit,
            })
        };
        self.plants.iter().map(plant).collect()
    }
}

const PLAIN: usize = 22;
const ENCODED: usize = 11;
const ARCHIVES: usize = 7;

/// The ways in which people have tokens in files.
fn plain(t: &str) -> Vec<Written> {
    let text = |context, name, text: String| (context, name, text.into_bytes());
    vec![
        text("env", "app.env", format!("A=1\nTOKEN={t}\nB=2\n")),
        text("shell", "deploy.sh", format!("#!/bin/sh\nexport TOKEN='{t}'\n")),
        text("ini-crlf", "app.ini", format!("[registry]\r\ntoken = \"{t}\"\r\n")),
        text("toml", "app.toml", format!("[registry]\ntoken = \"{t}\"\n")),
        text("yaml", "app.yml", format!("env:\n  - name: TOKEN\n    value: {t}\n")),
        text("json", "app.json", format!("{{\"token\":\"{t}\",\"n\":1}}\n")),
        text("notebook", "a.ipynb", format!("{{\"cells\":[{{\"source\":[\"t = '{t}'\\n\",\"print(t)\"]}}]}}\n")),
        text(
            "log-colour",
            "ci.log",
            format!("2026-01-01T00:00:00Z \u{1b}[33mWARN\u{1b}[0m sent \u{1b}[32m{t}\u{1b}[0m, retrying\n"),
        ),
        text(
            "minified",
            "app.min.js",
            format!("!function(){{var a=1,t=\"{t}\",b={{c:t}};f(b)}}();{}\n", "x=1;".repeat(3000)),
        ),
        text("xml", "settings.xml", format!("<servers><password>{t}</password></servers>\n")),
        text("csv", "keys.csv", format!("name,token,note\nci,{t},old\n")),
        text("prose", "notes.md", format!("The key (we use {t}). It is old.\n")),
        text("markdown", "readme.md", format!("Run `login {t}` first\n")),
        text("query", "links.txt", format!("https://a.registry.io/api?token={t}&x=1\n")),
        text("userinfo", "pip.conf", format!("index-url = https://__token__:{t}@a.registry.io/simple\n")),
        text("netrc", ".netrc", format!("machine a.registry.io login ci password {t}\n")),
        text("npmrc", ".npmrc", format!("//a.registry.io/:_authToken={t}\n")),
        text("pypirc", ".pypirc", format!("[pypi]\nusername = __token__\npassword = {t}\n")),
        text("header", "call.sh", format!("curl -H 'Authorization: Bearer {t}' https://a.registry.io\n")),
        text("dockerfile", "Dockerfile", format!("FROM x\nENV TOKEN={t}\nRUN y\n")),
        text("python", "upload.py", format!("upload(token=\"{t}\", dry=False)  # todo\n")),
        text("escaped", "body.json", format!("{{\"body\":\"token: \\\"{t}\\\"\\nmore\"}}\n")),
    ]
}

fn base64(text: &str, alphabet: Alphabet) -> String {
    String::from_utf8(to_base64(text.as_bytes(), alphabet)).expect("base64 is ASCII")
}

fn encoded(t: &str) -> Vec<Written> {
    let text = |context, name, text: String| (context, name, text.into_bytes());
    let wide = |mark: &str| format!("{mark}[registry]\r\ntoken = {t}\r\n").encode_utf16().collect::<Vec<_>>();
    let little = |units: Vec<u16>| units.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let long = base64(
        &format!("[registry]\nurl = https://a.registry.io/simple\nusername = __token__\npassword = {t}\n"),
        Alphabet::Standard,
    );
    let wrapped: Vec<_> = long.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    vec![
        text("base64", "secret.yml", format!("data:\n  token: {}\n", base64(t, Alphabet::Standard))),
        text(
            "base64-wrapped-76",
            "mail.txt",
            format!("Content-Transfer-Encoding: base64\r\n\r\n{}\r\n", wrapped.join("\r\n")),
        ),
        text("base64-url", "state.txt", format!("state={}\n", base64(&format!("{{\"t\":\"{t}\"}}"), Alphabet::Url))),
        text(
            "docker-config",
            "config.json",
            format!(
                "{{\"auths\":{{\"a.registry.io\":{{\"auth\":\"{}\"}}}}}}\n",
                base64(&format!("ci:{t}"), Alphabet::Standard)
            ),
        ),
        text(
            "basic-header",
            "trace.txt",
            format!("Authorization: Basic {}\n", base64(&format!("__token__:{t}"), Alphabet::Standard)),
        ),
        text(
            "hex",
            "dump.txt",
            format!("payload: {}\n", t.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()),
        ),
        text(
            "percent",
            "form.txt",
            format!("token={}&x=1\n", t.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()),
        ),
        text(
            "unicode",
            "strings.json",
            format!(
                "{{\"t\":\"{}\"}}\n",
                t.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect::<Vec<_>>().concat()
            ),
        ),
        ("utf16-le-mark", "a.reg", little(wide("\u{feff}"))),
        ("utf16-le", "b.txt", little(wide(""))),
        ("utf16-be-mark", "c.txt", wide("\u{feff}").into_iter().flat_map(u16::to_be_bytes).collect()),
    ]
}

fn archived(t: &str) -> Vec<Written> {
    let content = format!("TOKEN={t}\n").into_bytes();
    vec![
        ("wheel", "a.whl", zip(&[("p/x", b"x"), ("p/app.env", &content)])),
        ("crate", "a.crate", gz(&tar(&[("p/.env", &content)]))),
        ("gem", "a.gem", tar(&[("metadata.gz", &gz(b"x")), ("data.tar.gz", &gz(&tar(&[("lib/app.env", &content)])))])),
        ("sdist", "a.tar.gz", gz(&tar(&[("p/setup.cfg", &content)]))),
        ("zip", "a.zip", zip(&[("app.env", &content)])),
        ("nested", "b.tar", tar(&[("in/a.zip", &zip(&[("app.env", &content)]))])),
        ("gz", "log.gz", gz(&content)),
    ]
}

/// What is made as a decoy and is a token all the same.
fn is_token_all_the_same(way: &str, kind: &Kind) -> bool {
    match way {
        // Half of one is a JWT with a shorter signature; half of the other has the length of a kind of the same issuer.
        "cut" => matches!(kind.id.as_ref(), "jfrog-access-token" | "github-refresh-token"),
        // Made by GitHub to be found, with filler in it.
        "filler" | "filler-upper" => kind.id == "github-test-token",
        _ => false,
    }
}

/// Whether the kind has a checksum, and not only a structure that a changed signature leaves as it is.
fn covers_all(kind: &Kind) -> bool {
    kind.check.is_some_and(|check| {
        check.proof == Proof::Proved && !matches!(check.algorithm, Algorithm::Jwt { .. } | Algorithm::MacaroonV2 { .. })
    })
}

/// The token with this letter in place of what is secret in it.
fn filler(kind: &Kind, token: &str, letter: char) -> String {
    use stanch::token::shape::Part;
    let fixed =
        kind.parts().iter().take_while(|part| !matches!(part, Part::Run { .. })).map(Part::min_len).sum::<usize>();
    token
        .chars()
        .enumerate()
        .map(|(at, own)| if at < fixed || !own.is_ascii_alphanumeric() { own } else { letter })
        .collect()
}
