//! Facts: what a token says about itself, beyond its kind, without being asked of anyone.
//!
//! Nothing said here opens a door: an identifier, a location and a caveat are what their issuer shows its users. The
//! secret parts (a signature, random characters) are never among them.

use std::borrow::Cow;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::Timestamp;
use crate::redact;
use crate::token::catalogue::Kind;
use crate::token::{Confidence, checksum, encoding, jwt, macaroon};

/// One thing that a token says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    pub name: Cow<'static, str>,
    pub value: String,
}

/// What the token's own arithmetic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The rule of its kind is not proved, and it does not fit: most likely no real token.
    Bad,
    Good,
    /// The kind has none.
    None,
}

impl Checksum {
    pub fn of(kind: &Kind, token: &[u8], confidence: Confidence) -> Self {
        match (kind.check, confidence) {
            (None, _) => Self::None,
            (Some(check), _) if !check.algorithm.covers(token) => Self::None,
            (Some(_), Confidence::Shape) => Self::Bad,
            (Some(_), _) => Self::Good,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
            Self::None => "none",
        }
    }
}

/// Longest value that is shown.
const MAX_VALUE: usize = 200;

/// What the token says.
pub fn of(kind: &Kind, token: &[u8], now: Timestamp) -> Vec<Fact> {
    let mut facts = Facts { all: Vec::new(), now };
    if kind.macaroon().is_some() {
        facts.macaroon(token);
    } else if kind.id.starts_with("aws-") && token.is_ascii() {
        facts.aws(token);
    } else if kind.id == "nuget-api-key-v5" {
        facts.nuget(token);
    } else if kind.issuer == "GitLab" && kind.id.contains("routable") {
        facts.gitlab(token);
    } else if kind.issuer == "GitHub" {
        facts.github(kind, token);
    } else if token.windows(3).any(|three| three == b"eyJ" || three == b"ewo") {
        facts.jwt(token);
    }
    facts.all
}

struct Facts {
    all: Vec<Fact>,
    now: Timestamp,
}

impl Facts {
    fn say(&mut self, name: &'static str, value: &str) {
        self.all.push(Fact { name: name.into(), value: redact::inert(value, MAX_VALUE) });
    }

    fn say_expiry(&mut self, seconds: i64) {
        let over = seconds <= self.now.as_millis().div_euclid(1000);
        let note = if over { " (over)" } else { "" };
        self.say("expires", &format!("{}{note}", date(seconds)));
    }

    fn macaroon(&mut self, token: &[u8]) {
        let Some(found) = macaroon::find(token) else { return };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some(location) = &found.macaroon.location {
            self.say("location", &text(location));
        }
        self.say("identifier", &text(&found.macaroon.identifier));
        let caveats: Vec<Caveat> = found.macaroon.caveats.iter().map(|caveat| Caveat::read(&caveat.id)).collect();
        for caveat in &caveats {
            match caveat {
                Caveat::Expiry(seconds) => self.say_expiry(*seconds),
                other => self.say("caveat", &other.words()),
            }
        }
        let attenuated = if is_as_issued(&caveats) { "no" } else { "yes" };
        self.say("attenuated", attenuated);
    }

    fn aws(&mut self, token: &[u8]) {
        // Some kinds are the id and the secret in one match; the id comes first.
        if let Some(account) = token.get(..20).and_then(checksum::aws_account) {
            self.say("account", &format!("{account:012}"));
        }
    }

    /// The place is that of the issuer's `ApiKeyV5`: 52 random characters, `JQQJ99`, year and month, then its own part.
    ///
    /// Of the two alphabets in it, that of the date begins with `A`, that of the numbers with `0`.
    fn nuget(&mut self, token: &[u8]) {
        let (Some(date), Some(platform)) = (token.get(58..60), token.get(60..76)) else { return };
        let environment = match platform[2] {
            b'P' => "production",
            b'I' => "integration",
            b'D' => "development",
            b'L' => "local",
            _ => "not production",
        };
        self.say("environment", environment);
        if let Some(owner) = base62(&platform[3..9]) {
            self.say("owner", &format!("user {owner}"));
        }
        self.say("type", if platform[12] == b'S' { "short-lived" } else { "long-lived" });
        let Some(issued) = nuget_issued(date, &platform[9..12]) else { return };
        self.say("issued", &self::date(issued));
        if let Some(units) = base62(&platform[13..16]).and_then(|units| i64::try_from(units).ok()) {
            self.say_expiry(issued + units * 300);
        }
    }

    /// What the prefix says is documented; a stateless installation token names its app and carries a JWT.
    fn github(&mut self, kind: &Kind, token: &[u8]) {
        let kind = match kind.id.as_ref() {
            "github-fine-grained-pat" => "personal access token, fine-grained",
            "github-installation-token" => "installation of a GitHub App",
            "github-installation-token-stateless" => {
                self.app(token);
                "installation of a GitHub App"
            }
            "github-oauth-token" => "OAuth app",
            "github-pat-classic" => "personal access token, classic",
            "github-refresh-token" | "github-refresh-token-short" => "refresh token of a GitHub App",
            "github-user-to-server-token" => "GitHub App on behalf of a user",
            _ => return,
        };
        self.say("type", kind);
        if token.starts_with(b"ghs_") {
            self.jwt(token);
        }
    }

    fn app(&mut self, token: &[u8]) {
        let digits = token.get(4..).and_then(|rest| rest.split(|byte| *byte == b'_').next()).unwrap_or_default();
        if digits.iter().all(u8::is_ascii_digit) && (1..=10).contains(&digits.len()) {
            self.say("app", &String::from_utf8_lossy(digits));
        }
    }

    /// `o`, `g`, `p`, `u` and `c` in base 36, one a line, behind 16 random bytes and in front of one byte of length.
    fn gitlab(&mut self, token: &[u8]) {
        let Some(body) = token.split(|byte| *byte == b'.').next() else { return };
        let start = body.iter().position(|byte| *byte == b'-').map_or(0, |dash| dash + 1);
        let body = body.get(start..).map(|rest| rest.strip_prefix(b"t1_").unwrap_or(rest)).unwrap_or_default();
        let Some(bytes) = encoding::base64(body) else { return };
        let Some((_, routing)) = bytes.split_last().and_then(|(_, rest)| rest.split_at_checked(16)) else { return };
        let Ok(routing) = std::str::from_utf8(routing) else { return };
        for line in routing.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let Ok(number) = u64::from_str_radix(value, 36) else { continue };
            let name = match key {
                "c" => "cell",
                "g" => "group",
                "o" => "organization",
                "p" => "project",
                "u" => "user",
                _ => continue,
            };
            self.say(name, &number.to_string());
        }
    }

    fn jwt(&mut self, token: &[u8]) {
        let Some(jwt) = jwt::parse(token) else { return };
        if let Some(algorithm) = jwt.algorithm() {
            self.say("algorithm", algorithm);
        }
        if let Some(issuer) = jwt.issuer() {
            self.say("issuer", issuer);
        }
        if let Some(subject) = jwt.subject() {
            self.say("subject", subject_kind(subject));
        }
        if let Some(audience) = jwt.audience() {
            self.say("audience", audience);
        }
        if let Some(issued) = jwt.issued() {
            self.say("issued", &date(issued));
        }
        if let Some(expires) = jwt.expires() {
            self.say_expiry(expires);
        }
    }
}

/// A caveat as registries of `PyPI`'s kind write it, in either generation of its forms.
enum Caveat {
    Expiry(i64),
    Other(String),
    ProjectIds(Vec<String>),
    Projects(Vec<String>),
    Publisher,
    User,
}

impl Caveat {
    fn read(bytes: &[u8]) -> Self {
        let value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
        Self::current(&value)
            .or_else(|| Self::legacy(&value))
            .unwrap_or_else(|| Self::Other(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn current(value: &Value) -> Option<Self> {
        let fields = value.as_array()?;
        let first = fields.get(1)?;
        match fields.first()?.as_u64()? {
            0 => Some(Self::Expiry(first.as_i64()?)),
            1 => Some(Self::Projects(texts(first)?)),
            2 => Some(Self::ProjectIds(texts(first)?)),
            3 => Some(Self::User),
            4 => Some(Self::Publisher),
            _ => None,
        }
    }

    fn legacy(value: &Value) -> Option<Self> {
        if let Some(permissions) = value.get("permissions") {
            return match permissions.get("projects") {
                Some(projects) => Some(Self::Projects(texts(projects)?)),
                None => (permissions == "user").then_some(Self::User),
            };
        }
        if let Some(ids) = value.get("project_ids") {
            return Some(Self::ProjectIds(texts(ids)?));
        }
        Some(Self::Expiry(value.get("exp")?.as_i64()?))
    }

    fn words(&self) -> String {
        match self {
            Self::Expiry(seconds) => format!("until {}", date(*seconds)),
            Self::Other(text) => text.clone(),
            Self::ProjectIds(ids) => format!("project id {}", ids.join(", ")),
            Self::Projects(names) => format!("project {}", names.join(", ")),
            Self::Publisher => "trusted publisher".into(),
            Self::User => "whole account".into(),
        }
    }
}

/// Whether the caveats are those that an issuer writes itself: one user, or a project by name and id, or a publisher.
fn is_as_issued(caveats: &[Caveat]) -> bool {
    use Caveat::{Expiry, ProjectIds, Projects, Publisher, User};
    matches!(caveats, [] | [User | Projects(_)] | [Projects(_), ProjectIds(_)] | [Publisher, ProjectIds(_), Expiry(_)])
}

/// What a subject is, not who: it may name a person.
fn subject_kind(subject: &str) -> &'static str {
    let is_uuid = subject.len() == 36
        && subject.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    match subject {
        "" => "empty",
        _ if is_uuid => "a UUID",
        _ if subject.bytes().all(|byte| byte.is_ascii_digit()) => "a number",
        _ if subject.contains("://") => "a URL",
        _ if subject.contains('@') => "an address",
        _ if subject.starts_with("system:serviceaccount:") => "a service account",
        _ if subject.contains(':') || subject.contains('|') || subject.contains('/') => "a name with parts",
        _ => "a name",
    }
}

/// Seconds since the epoch of the minute in which a NuGet key was made.
fn nuget_issued(year_and_month: &[u8], rest: &[u8]) -> Option<i64> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        _ => None,
    };
    let ([year, month], [day, hour, minute]) = (year_and_month, rest) else { return None };
    let month = time::Month::try_from(1 + digit(*month)?).ok()?;
    let day = time::Date::from_calendar_date(2024 + i32::from(digit(*year)?), month, 1 + digit(*day)?).ok()?;
    let moment = day.with_hms(digit(*hour)?, digit(*minute)?, 0).ok()?;
    Some(moment.assume_utc().unix_timestamp())
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|each| each.as_str().map(str::to_owned)).collect()
}

fn date(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("second {seconds}"))
}

fn base62(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        Some(number * 62 + u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::catalogue;
    use crate::token::encoding::{Alphabet, to_base64};

    fn facts(kind: &str, token: &[u8]) -> Vec<String> {
        let kind = catalogue::builtin().iter().find(|each| each.id == kind).expect("the kind is in the catalogue");
        of(kind, token, Timestamp::from_millis(2_000_000_000_000))
            .into_iter()
            .map(|fact| format!("{} {}", fact.name, fact.value))
            .collect()
    }

    /// A version 2 macaroon; the signature is of no interest here.
    fn macaroon(caveats: &[&str]) -> Vec<u8> {
        let mut bytes = vec![2, 1, 8];
        bytes.extend(b"registry");
        bytes.extend([2, 36]);
        bytes.extend(b"0f0e0d0c-0b0a-0908-0706-050403020100");
        bytes.push(0);
        for caveat in caveats {
            bytes.extend([2, u8::try_from(caveat.len()).expect("short")]);
            bytes.extend(caveat.as_bytes());
            bytes.push(0);
        }
        bytes.extend([0, 6, 32]);
        bytes.extend([7; 32]);
        [b"pypi-".as_slice(), &to_base64(&bytes, Alphabet::Url)].concat()
    }

    #[test]
    fn a_macaroon_tells_its_location_identifier_and_caveats() {
        assert_eq!(
            facts("pypi-api-token", &macaroon(&["[3,\"u\"]"])),
            [
                "location registry",
                "identifier 0f0e0d0c-0b0a-0908-0706-050403020100",
                "caveat whole account",
                "attenuated no"
            ]
        );
        assert_eq!(
            facts("pypi-api-token", &macaroon(&["[1,[\"a\",\"b\"]]", "[2,[\"i\"]]", "[0,1900000000,0]"]))[2..],
            ["caveat project a, b", "caveat project id i", "expires 2030-03-17T17:46:40Z (over)", "attenuated yes"]
        );
        assert_eq!(
            facts("pypi-api-token", &macaroon(&["{\"version\":1,\"permissions\":{\"projects\":[\"a\"]}}"]))[2..],
            ["caveat project a", "attenuated no"]
        );
        assert_eq!(
            facts("pypi-api-token", &macaroon(&["ho\u{1b}[2J"]))[2..],
            ["caveat ho\\u{1b}[2J", "attenuated yes"]
        );
    }

    #[test]
    fn a_routable_token_tells_its_owner() {
        let payload = [[9; 16].as_slice(), b"o:1\nu:zz", &[8]].concat();
        let token = [b"glpat-".as_slice(), &to_base64(&payload, Alphabet::Url), b".01.120000000"].concat();
        assert_eq!(facts("gitlab-pat-routable", &token), ["organization 1", "user 1295"]);
    }

    #[test]
    fn a_nuget_key_tells_its_owner_and_both_its_dates() {
        // The example of the issuer's source: made in December 2024 for user 1337, and good for fifteen minutes.
        let token = [&[b'a'; 52], b"JQQJ99ALN5Z0000LZENeS003".as_slice(), b"NUGT3OrW"].concat();
        assert_eq!(
            facts("nuget-api-key-v5", &token),
            [
                "environment not production",
                "owner user 1337",
                "type short-lived",
                "issued 2024-12-05T13:30:00Z",
                "expires 2024-12-05T13:45:00Z (over)"
            ]
        );
    }

    fn jwt(payload: &str) -> Vec<u8> {
        let part = |text: &str| to_base64(text.as_bytes(), Alphabet::Url);
        [part(r#"{"alg":"RS256"}"#), part(payload), b"c2lnbmF0dXJl".to_vec()].join(&b'.')
    }

    #[test]
    fn a_jwt_tells_who_issued_it_and_until_when_and_not_for_whom() {
        assert_eq!(
            facts(
                "jwt",
                &jwt(
                    r#"{"iss":"https://id.vendor.io","sub":"ada@example.org","aud":["api","x"],"iat":1900000000,"exp":2100000000.5}"#
                )
            ),
            [
                "algorithm RS256",
                "issuer https://id.vendor.io",
                "subject an address",
                "audience api",
                "issued 2030-03-17T17:46:40Z",
                "expires 2036-07-18T13:20:00Z"
            ]
        );
        for (subject, kind) in [
            ("17", "a number"),
            ("0f0e0d0c-0b0a-0908-0706-050403020100", "a UUID"),
            ("system:serviceaccount:a:b", "a service account"),
            ("repo:o/r:ref:refs/heads/main", "a name with parts"),
            ("ada", "a name"),
        ] {
            assert_eq!(facts("jwt", &jwt(&format!(r#"{{"sub":"{subject}"}}"#)))[1], format!("subject {kind}"));
        }
    }

    #[test]
    fn a_github_token_tells_its_type_and_a_stateless_one_its_app() {
        assert_eq!(facts("github-pat-classic", b"ghp_x"), ["type personal access token, classic"]);
        assert_eq!(facts("github-fine-grained-pat", b"github_pat_x"), ["type personal access token, fine-grained"]);
        let stateless = [b"ghs_12345_".as_slice(), &jwt(r#"{"exp":1900000000}"#)].concat();
        assert_eq!(
            facts("github-installation-token-stateless", &stateless),
            [
                "app 12345",
                "type installation of a GitHub App",
                "algorithm RS256",
                "expires 2030-03-17T17:46:40Z (over)"
            ]
        );
    }

    #[test]
    fn an_aws_key_id_tells_its_account() {
        // The published example of the arithmetic: the account stands in the id itself, in base32.
        assert_eq!(
            facts("aws-access-key-id", concat!("ASIAQNZ", "GKIQY56JQ7WML").as_bytes()),
            ["account 029608264753"]
        );
    }
}
