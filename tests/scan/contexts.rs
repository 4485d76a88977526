//! Tokens as people write them: in every kind of file, and in every encoding.

use stanch::recognize::Recognizer;
use stanch::scan::{Encoding, TextScanner};
use stanch::token::encoding::{Alphabet, to_base64};

use super::support::token;

/// Kinds that need no word nearby, of different shapes and alphabets.
const KINDS: &[&str] = &[
    "pypi-api-token",
    "npm-access-token",
    "rubygems-api-key",
    "cratesio-api-token",
    "github-pat-classic",
    "gitlab-pat-routable",
];

fn scanner() -> TextScanner {
    TextScanner::new(Recognizer::builtin().into(), 3)
}

fn named(scanner: &TextScanner, text: &[u8]) -> Vec<(String, Vec<Encoding>, String)> {
    let mut scratch = scanner.scratch();
    let (sightings, _) = scanner.scan(text, &mut scratch);
    let all = sightings.iter().map(|one| {
        let written = String::from_utf8_lossy(&text[one.range.clone()]).into_owned();
        (one.kind.to_string(), one.encodings.clone(), written)
    });
    all.collect()
}

fn wrapped(text: &[u8], width: usize, line_break: &str) -> String {
    let lines: Vec<_> = text.chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.join(line_break)
}

#[test]
fn a_token_is_found_in_every_kind_of_file() {
    let scanner = scanner();
    for (seed, kind) in KINDS.iter().enumerate() {
        let t = token(kind, seed as u64);
        for text in [
            format!("TOKEN={t}\n"),
            format!("[section]\r\ntoken = \"{t}\"\r\n"),
            format!("env:\n  - name: TOKEN\n    value: {t}\n"),
            format!("{{\"cells\":[{{\"source\":[\"x = '{t}'\\n\",\"print(x)\"]}}]}}"),
            format!("2024-01-01 12:00:00 \u{1b}[32mINFO\u{1b}[0m using {t}\u{1b}[0m for upload"),
            format!("a{{b:c}}var t=\"{t}\",u=1;function(){{return t}}"),
            format!("https://host.example/path?token={t}&next=1"),
            format!("https://user:{t}@host.example/"),
            format!("<password>{t}</password>"),
            format!("one,{t},two"),
            format!("See ({t})."),
            format!("`{t}`"),
            format!("curl -H 'Authorization: Bearer {t}'"),
        ] {
            let all = named(&scanner, text.as_bytes());
            assert!(all.iter().any(|(name, _, written)| name == kind && *written == t), "{kind} in {text:?}: {all:?}");
        }
    }
}

#[test]
fn an_encoded_token_is_found_once_and_in_its_place() {
    let scanner = scanner();
    for (seed, kind) in KINDS.iter().enumerate() {
        let t = token(kind, seed as u64);
        let base64 = |text: &str| String::from_utf8(to_base64(text.as_bytes(), Alphabet::Standard)).expect("ASCII");
        let hex = t.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let unicode = t.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect::<Vec<_>>().concat();
        let percent = t.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        let html = t.bytes().map(|byte| format!("&#{byte};")).collect::<Vec<_>>().concat();
        let secret = format!("{{\"auths\":{{\"host\":{{\"password\":\"{t}\"}}}}}}");
        let wide: Vec<u8> = format!("$token = \"{t}\"\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wide64 = String::from_utf8(to_base64(&wide, Alphabet::Standard)).expect("ASCII");
        for (text, encodings) in [
            (format!("data: {}=", base64(&t)), vec![Encoding::Base64]),
            (format!("Authorization: Basic {}", base64(&format!("__token__:{t}"))), vec![Encoding::Base64]),
            (format!("  .dockerconfigjson: {}", base64(&secret)), vec![Encoding::Base64]),
            (
                format!("x: |\n  {}\ny: 1", wrapped(base64(&secret.repeat(2)).as_bytes(), 76, "\n  ")),
                vec![Encoding::Base64],
            ),
            (format!("\"{}\"", wrapped(base64(&secret).as_bytes(), 76, "\\n")), vec![Encoding::Base64]),
            (format!("t = b'{hex}'"), vec![Encoding::Hex]),
            (format!("t = '{unicode}'"), vec![Encoding::Escape]),
            (format!("?t={percent}&u"), vec![Encoding::Percent]),
            (format!("<a title=\"{html}\">"), vec![Encoding::Escape]),
            (format!("-EncodedCommand {wide64}"), vec![Encoding::Base64, Encoding::Utf16]),
            (format!("a: {}", base64(&base64(&format!("token: {t}")))), vec![Encoding::Base64, Encoding::Base64]),
        ] {
            let all = named(&scanner, text.as_bytes());
            let of_kind: Vec<_> = all.iter().filter(|(name, ..)| name == kind).collect();
            assert!(
                of_kind.iter().any(|(_, found, _)| *found == encodings),
                "{kind} {encodings:?} in {text:?}: {all:?}"
            );
        }
    }
}

#[test]
fn a_file_of_wide_characters_is_read_with_and_without_a_mark() {
    let scanner = scanner();
    let t = token("npm-access-token", 3);
    let text = format!("; für später\r\n//host/:_authToken={t}\r\n");
    for mark in ["", "\u{feff}"] {
        let text = format!("{mark}{text}");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big] {
            let all = named(&scanner, &bytes);
            assert!(all.iter().any(|(kind, by, _)| kind == "npm-access-token" && by == &[Encoding::Utf16]), "{all:?}");
        }
    }
}

#[test]
fn what_is_found_in_clear_is_not_told_again() {
    let scanner = scanner();
    let t = token("npm-access-token", 4);
    let all = named(&scanner, format!("url = \"https:\\/\\/a\\u002db\\/?t={t}&x=%3d%41\"").as_bytes());
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].1.is_empty());
}
