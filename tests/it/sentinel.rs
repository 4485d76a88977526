//! The sentinel: looks for secrets in whatever it is given, in every spelling in which they could have got there.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Looks for a fixed set of secrets.
pub struct Sentinel {
    automaton: AhoCorasick,
    /// What each pattern is: which secret, in which form.
    patterns: Vec<(usize, &'static str)>,
}

impl Sentinel {
    /// `secrets` are the random parts: what gives the token away.
    pub fn new(secrets: &[String]) -> Self {
        let (mut texts, mut patterns) = (Vec::new(), Vec::new());
        for (index, secret) in secrets.iter().enumerate() {
            assert!(secret.len() >= 16 && secret.is_ascii(), "long enough not to be found by chance");
            for (form, text) in forms(secret) {
                texts.push(text);
                patterns.push((index, form));
            }
        }
        let automaton = AhoCorasick::new(texts).expect("few and short patterns");
        Self { automaton, patterns }
    }

    /// What is found in these bytes, each with its place; empty if nothing is.
    pub fn found_in(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let told = |hit: aho_corasick::Match| {
            let (secret, form) = self.patterns[hit.pattern().as_usize()];
            format!("{place} at byte {}: secret {secret}, {form}", hit.start())
        };
        self.automaton.find_iter(bytes).map(told).collect()
    }

    /// What is found in all files below a folder.
    pub fn found_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let Ok(entries) = fs::read_dir(folder) else { return found };
        for entry in entries {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                found.extend(self.found_below(&path));
                continue;
            }
            match fs::read(&path) {
                Ok(bytes) => found.extend(self.found_in(&path.display().to_string(), &bytes)),
                // A running database removes files of its own.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
        found
    }
}

/// Every spelling of a secret.
pub fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let (first, second) = secret.split_at(secret.len() / 2);
    let spelled = |spell: fn(u8) -> String| secret.bytes().map(spell).collect::<Vec<_>>().concat();
    let hex = spelled(|byte| format!("{byte:02x}"));
    let reversed: String = secret.chars().rev().collect();
    let percent = spelled(|byte| format!("%{byte:02X}"));
    let escaped = spelled(|byte| format!("\\u{byte:04x}"));
    let mut forms = vec![
        ("its first half", first.as_bytes().to_vec()),
        ("its second half", second.as_bytes().to_vec()),
        ("in lower case", secret.to_ascii_lowercase().into_bytes()),
        ("in upper case", secret.to_ascii_uppercase().into_bytes()),
        ("reversed", reversed.into_bytes()),
        ("in upper hexadecimal", hex.to_ascii_uppercase().into_bytes()),
        ("in hexadecimal", hex.into_bytes()),
        ("URL-encoded in lower case", percent.to_ascii_lowercase().into_bytes()),
        ("URL-encoded", percent.into_bytes()),
        ("escaped as in JSON", escaped.into_bytes()),
        ("in UTF-16, little end first", secret.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("in UTF-16, big end first", secret.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ];
    for (before, name) in ["in base64", "in base64, a byte later", "in base64, two bytes later"].into_iter().enumerate()
    {
        let text = STANDARD_NO_PAD.encode([vec![0; before], secret.as_bytes().to_vec()].concat());
        // The characters at both ends depend on what stands next to the secret.
        let (start, end) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
        let text = text[start..end].to_owned();
        forms.push((name, text.replace('+', "-").replace('/', "_").into_bytes()));
        forms.push((name, text.into_bytes()));
    }
    forms
}

#[test]
fn the_sentinel_finds_a_secret_in_every_form_and_nothing_in_its_absence() {
    let secret = "Kq7Zx0Pw3Lm9Rt5VbN2c".to_owned();
    let sentinel = Sentinel::new(std::slice::from_ref(&secret));
    for (form, text) in forms(&secret) {
        let around = [&b"before "[..], &text, b" after"].concat();
        assert!(!sentinel.found_in("here", &around).is_empty(), "{form}");
    }
    for before in ["", "a", "ab", "abc"] {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{before}:{secret}:after"));
        assert!(!sentinel.found_in("here", text.as_bytes()).is_empty(), "in base64 after {before:?}");
    }
    assert!(sentinel.found_in("here", b"Kq7Zx0Pw3 and nothing else, stanch_pat_, [token withheld]").is_empty());
}
