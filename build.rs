//! Turns the catalogue of token kinds into constant tables.
//!
//! Wrong data end the build with a message that names the file and the kind, and what is wrong there.

#[path = "src/token/charset.rs"]
#[expect(dead_code, reason = "the crate uses what the build script does not")]
mod charset;
#[path = "src/token/shape.rs"]
#[expect(dead_code, reason = "the crate uses what the build script does not")]
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, process};

use serde::Deserialize;
use shape::{Part, Role};

const GROUPS: [(&str, &str); 6] = [
    ("registry", "Registry"),
    ("dev_platform", "DevPlatform"),
    ("cloud", "Cloud"),
    ("saas", "Saas"),
    ("ai", "Ai"),
    ("generic", "Generic"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: Vec<Kind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    id: String,
    issuer: String,
    name: String,
    #[serde(default)]
    github_type: String,
    #[serde(default)]
    github_alerts: Vec<String>,
    evidence: String,
    severity: String,
    shape: Option<String>,
    #[serde(default)]
    begin: Vec<String>,
    #[serde(default)]
    end: Vec<String>,
    #[serde(default)]
    context: Vec<String>,
    #[serde(default)]
    case: String,
    checksum: Option<Checksum>,
    #[serde(default)]
    verify: String,
    #[serde(default)]
    revoke_self: String,
    #[serde(default)]
    revoke_issuer: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    structure: String,
    #[serde(default)]
    notes: String,
    sources: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checksum {
    alg: String,
    #[serde(default)]
    seeds: Vec<String>,
    #[serde(default)]
    claims: BTreeMap<String, String>,
    #[serde(default)]
    identifier: String,
    proved: bool,
    why: String,
}

fn main() {
    println!("cargo::rerun-if-changed=src/token/catalogue");
    println!("cargo::rerun-if-changed=src/token/charset.rs");
    println!("cargo::rerun-if-changed=src/token/shape.rs");
    if let Err(wrong) = run() {
        println!("cargo::error={wrong}");
        process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let mut code = String::from("static KINDS: &[Kind] = &[\n");
    let mut known = BTreeSet::new();
    for (group, variant) in GROUPS {
        let path = format!("src/token/catalogue/{group}.toml");
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let file: File = toml::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        for kind in &file.kind {
            if !known.insert(kind.id.clone()) {
                return Err(format!("{path}: kind `{}`: the id is taken", kind.id));
            }
            code.push_str(&entry(kind, variant).map_err(|wrong| format!("{path}: kind `{}`: {wrong}", kind.id))?);
        }
    }
    code.push_str("];\n");
    #[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script where to write")]
    let out = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    let out = Path::new(&out).join("catalogue.rs");
    fs::write(&out, code).map_err(|error| format!("{}: {error}", out.display()))
}

fn entry(kind: &Kind, group: &str) -> Result<String, String> {
    if !kind.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err("an id is made of lower-case letters, digits and `-`".into());
    }
    if kind.sources.is_empty() {
        return Err("it has no source".into());
    }
    if let Some(word) = kind.context.iter().find(|word| word.len() < 2 || !word.is_ascii()) {
        return Err(format!("context word `{word}` is too short or not ASCII"));
    }
    let evidence = match kind.evidence.as_str() {
        "documented" => "Documented",
        "issuer-code" => "IssuerCode",
        "one-scanner" => "OneScanner",
        "several-scanners" => "SeveralScanners",
        other => return Err(format!("`{other}` is no evidence; a guess stays out of the catalogue")),
    };
    let severity = match kind.severity.as_str() {
        "info" => "Info",
        "low" => "Low",
        "medium" => "Medium",
        "high" => "High",
        "critical" => "Critical",
        other => return Err(format!("`{other}` is no severity")),
    };
    let case = match kind.case.as_str() {
        "" => "Kept",
        "folded" => "Folded",
        other => return Err(format!("`{other}` says nothing about case")),
    };
    let form = form(kind)?;
    let check = kind.checksum.as_ref().map_or_else(|| Ok("None".to_owned()), |checksum| check(checksum, kind))?;
    let mut code = String::new();
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(code, "        {name}: {value},");
    };
    field("id", &format!("Cow::Borrowed({:?})", kind.id));
    field("issuer", &format!("Cow::Borrowed({:?})", kind.issuer));
    field("name", &format!("Cow::Borrowed({:?})", kind.name));
    field("group", &format!("Group::{group}"));
    field("github_type", &format!("{:?}", kind.github_type));
    field("github_alerts", &format!("&{:?}", kind.github_alerts));
    field("evidence", &format!("Evidence::{evidence}"));
    field("severity", &format!("Severity::{severity}"));
    field("form", &form);
    field("context", &format!("&{:?}", kind.context));
    field("case", &format!("Case::{case}"));
    field("check", &check);
    field("verify", &format!("{:?}", kind.verify));
    field("revoke_self", &format!("{:?}", kind.revoke_self));
    field("revoke_issuer", &format!("{:?}", kind.revoke_issuer));
    field("owner", &format!("{:?}", kind.owner));
    field("structure", &format!("{:?}", kind.structure));
    field("notes", &format!("{:?}", kind.notes));
    field("sources", &format!("&{:?}", kind.sources));
    Ok(format!("    Kind {{\n{code}    }},\n"))
}

fn form(kind: &Kind) -> Result<String, String> {
    let Some(text) = &kind.shape else {
        if kind.begin.is_empty() || kind.begin.len() != kind.end.len() {
            return Err("a kind has a `shape`, or as many `begin` as `end` markers".into());
        }
        return Ok(format!("Form::Block {{ begin: &{:?}, end: &{:?} }}", kind.begin, kind.end));
    };
    if !kind.begin.is_empty() || !kind.end.is_empty() {
        return Err("a shape has no markers".into());
    }
    let parts = shape::parse(text).map_err(|bad| bad.0)?;
    let mut code = String::from("Form::Shape(Cow::Borrowed(&[");
    for part in &parts {
        match part {
            Part::Literal(text) => {
                let _ = write!(code, "Part::Literal(Cow::Borrowed({text:?})), ");
            }
            Part::OneOf(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| format!("Cow::Borrowed({text:?})")).collect();
                let _ = write!(code, "Part::OneOf(Cow::Borrowed(&[{}])), ", texts.join(", "));
            }
            Part::Run { set, min, max, role } => {
                let role = match role {
                    Role::Checksum => "Checksum",
                    Role::Field => "Field",
                    Role::Random => "Random",
                };
                let set = set.index();
                let _ =
                    write!(code, "Part::Run {{ set: Set::at({set}), min: {min}, max: {max}, role: Role::{role} }}, ");
            }
        }
    }
    code.push_str("]))");
    Ok(code)
}

fn check(checksum: &Checksum, kind: &Kind) -> Result<String, String> {
    if checksum.why.is_empty() {
        return Err("a checksum rule says why it is trusted, or why not".into());
    }
    if checksum.seeds.is_empty() == (checksum.alg == "marvin32-tail") {
        return Err("`seeds` belong to marvin32-tail, which needs them".into());
    }
    let algorithm = match checksum.alg.as_str() {
        "ado-crc32" => "AdoCrc32".to_owned(),
        "aws-account-decode" => "AwsAccount".to_owned(),
        "bech32" => "Bech32".to_owned(),
        "cask-marvin32" => "CaskMarvin32".to_owned(),
        "crc24" => "Crc24".to_owned(),
        "crc32-base36-over-all-before" => "Crc32Base36Before".to_owned(),
        "crc32-base62-over-prefix-and-random" => "Crc32Base62PrefixRandom".to_owned(),
        "crc32-base62-over-random" => "Crc32Base62Random".to_owned(),
        "crc32-base64-le-over-random" => "Crc32Base64LeRandom".to_owned(),
        "crc32-hex-le-over-prefix-and-random" => "Crc32HexLePrefixRandom".to_owned(),
        "crc32-hex-over-prefix-and-random" => "Crc32HexPrefixRandom".to_owned(),
        "crc32-hex-over-random" => "Crc32HexRandom".to_owned(),
        "jwt" => {
            let claims: Vec<_> = checksum.claims.iter().collect();
            format!("Jwt {{ claims: &{claims:?} }}")
        }
        "macaroon-v2" => match checksum.identifier.as_str() {
            "" => "MacaroonV2 { identifier: Identifier::Any }".to_owned(),
            "uuid" => "MacaroonV2 { identifier: Identifier::Uuid }".to_owned(),
            other => return Err(format!("`{other}` is no form of an identifier")),
        },
        "marvin32-aad" => "Marvin32Aad".to_owned(),
        "marvin32-tail" => {
            let seeds = checksum.seeds.iter().map(|seed| seed_literal(seed)).collect::<Result<Vec<_>, _>>()?;
            format!("Marvin32Tail {{ seeds: &[{}] }}", seeds.join(", "))
        }
        "xor-alnum" => "XorAlnum".to_owned(),
        other => return Err(format!("no checksum algorithm is named `{other}`")),
    };
    // These look at the whole token; the others need to be told where the checksum is.
    let whole = ["ado-crc32", "aws-account-decode", "bech32", "crc24", "jwt", "macaroon-v2"];
    let marked = kind.shape.as_ref().is_some_and(|shape| shape.contains(":checksum}"));
    if marked == whole.contains(&checksum.alg.as_str()) {
        return Err(format!("`{}` and the shape disagree on whether a part is the checksum", checksum.alg));
    }
    let proof = if checksum.proved { "Proved" } else { "Unproved" };
    Ok(format!("Some(Check {{ algorithm: Algorithm::{algorithm}, proof: Proof::{proof} }})"))
}

/// `0x` and 16 hexadecimal digits, written the way the lints like it.
fn seed_literal(seed: &str) -> Result<String, String> {
    let digits = seed.strip_prefix("0x").filter(|digits| digits.len() == 16);
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let number = number.ok_or_else(|| format!("seed `{seed}` is not `0x` and 16 hexadecimal digits"))?;
    let group = |shift: u32| number >> shift & 0xffff;
    Ok(format!("0x{:04x}_{:04x}_{:04x}_{:04x}", group(48), group(32), group(16), group(0)))
}
