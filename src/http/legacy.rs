//! `POST /legacy/`: a package index that keeps nothing, to try clients and tokens against.
//!
//! It speaks PyPI's upload contract (<https://docs.pypi.org/api/upload/>): a multipart form of two protocol versions ago,
//! `__token__` as the user, and 403 with the reason where the token is not good for this. Real twine works with it
//! unchanged; the reason stands in the status line, which is where twine looks.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::auth::{Client, NotKnown, Seen, Status, check, shown};
use super::input::Whole;
use super::{Access, App, Problem, Route, schema};
use crate::mint::{self, Authenticated};
use crate::store::OwnTokenKind;
use crate::token::caveat::{Project, is_project_name, normalized};

pub fn route() -> Route {
    let form = serde_json::json!({ "type": "object", "required": [":action", "protocol_version", "name", "content"] });
    Route::post("/legacy/", Access::Upload, "Takes a package as PyPI does, checks the token, keeps nothing", upload)
        .takes_media("multipart/form-data", form)
        .answers(200, "It would have been taken")
        .gives_media(403, "The token is not good for this; the reason says why", "text/plain", schema::text())
        .gives_media(400, "No registry would take it; the reason says why", "text/plain", schema::text())
}

/// The scope without which a token that is no macaroon uploads nothing.
const UPLOAD: &str = "upload";

async fn upload(State(app): State<App>, request: Request) -> Response {
    let client = Client::of(&app, request.extensions(), request.headers());
    let headers = request.headers().clone();
    let mut seen = Seen::default();
    let answer = taken(&app, client, &headers, request, &mut seen).await;
    let mut response = answer.map_or_else(Refused::into_response, IntoResponse::into_response);
    response.extensions_mut().insert(seen);
    response
}

async fn taken(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    request: Request,
    seen: &mut Seen,
) -> Result<StatusCode, Refused> {
    let shown = shown(headers).map_err(|_| refused(StatusCode::BAD_REQUEST, "Two different credentials"))?;
    let Some(shown) = shown else {
        return Err(refused(StatusCode::FORBIDDEN, "Invalid or non-existent authentication information"));
    };
    if shown.user.is_some() {
        let reason = "Username/Password authentication is no longer supported. Migrate to API Tokens instead";
        return Err(refused(StatusCode::FORBIDDEN, reason));
    }
    let boundary = boundary_of(headers).ok_or_else(|| refused(StatusCode::BAD_REQUEST, "Not a multipart form"))?;
    let Whole(body) =
        <Whole as axum::extract::FromRequest<App>>::from_request(request, app).await.map_err(Refused::Problem)?;
    let form = Form::read(&body, &boundary).ok_or_else(|| refused(StatusCode::BAD_REQUEST, "Not a multipart form"))?;
    // Whose project it is decides whether the token is good for it, so the name is read first.
    let name = form.text("name").unwrap_or_default();
    let id = app.settings().upload_projects.get(&normalized(name)).map(String::as_str);
    let project = (!name.is_empty()).then_some(Project { name, id });
    let asked = mint::Request {
        project,
        method: Some("POST"),
        path: Some("/legacy/"),
        address: Some(client.address),
        ..mint::Request::default()
    };
    let found = match check(app, client, &shown.secret, &asked).await {
        Ok(found) => found,
        Err(NotKnown::Invalid(reason)) => {
            seen.status = Status::Bad;
            return Err(refused(StatusCode::FORBIDDEN, &format!("Invalid API Token: {}", reason.text())));
        }
        Err(NotKnown::Throttled { retry_after }) => {
            return Err(Refused::Problem(Problem::new(StatusCode::TOO_MANY_REQUESTS).retry_after(retry_after)));
        }
        Err(NotKnown::Unavailable) => {
            let soon = std::time::Duration::from_secs(5);
            return Err(Refused::Problem(Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(soon)));
        }
    };
    *seen = Seen { status: Status::Ok, token_id: Some(found.token().id) };
    if !may_upload(&found) {
        return Err(refused(StatusCode::FORBIDDEN, "Invalid API Token: token is not for uploads"));
    }
    form.check().map_err(|reason| refused(StatusCode::BAD_REQUEST, reason))?;
    Ok(StatusCode::OK)
}

/// A macaroon is for uploads and for nothing else; any other token says so by its scope.
fn may_upload(found: &Authenticated) -> bool {
    match found.kind() {
        OwnTokenKind::Macaroon => true,
        OwnTokenKind::Key | OwnTokenKind::Pat => found.has_scope(UPLOAD),
        OwnTokenKind::Magic => false,
    }
}

/// Why a package is not taken.
enum Refused {
    Problem(Problem),
    /// With its reason in the status line and in the body.
    Said(StatusCode, String),
}

fn refused(status: StatusCode, reason: &str) -> Refused {
    // Nothing that could end the line, whatever the reason quotes.
    let visible = |letter: char| if letter.is_ascii_graphic() { letter } else { ' ' };
    Refused::Said(status, reason.chars().map(visible).collect())
}

impl Refused {
    fn into_response(self) -> Response {
        let (status, reason) = match self {
            Self::Problem(problem) => return problem.into_response(),
            Self::Said(status, reason) => (status, reason),
        };
        let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let mut response = (status, text, reason.clone()).into_response();
        if let Ok(reason) = ReasonPhrase::try_from(reason) {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// `multipart/form-data; boundary=…` (RFC 7578).
fn boundary_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (media, parameters) = text.split_once(';')?;
    let value = parameters.split(';').find_map(|pair| pair.trim().strip_prefix("boundary="))?;
    let boundary = value.trim_matches('"');
    let fine = media.trim().eq_ignore_ascii_case("multipart/form-data") && (1..=70).contains(&boundary.len());
    fine.then(|| boundary.to_owned())
}

/// The fields of a form, by name; of those that come more than once, all.
struct Form<'b> {
    fields: Vec<(String, &'b [u8])>,
}

impl<'b> Form<'b> {
    /// None if it is not one. Lenient as PyPI's clients need it: what stands before the first boundary is skipped.
    fn read(body: &'b Zeroizing<Vec<u8>>, boundary: &str) -> Option<Self> {
        let delimiter = format!("--{boundary}");
        let mut fields = Vec::new();
        let mut rest = after(body, delimiter.as_bytes())?;
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let end = find(part, format!("\r\n{delimiter}").as_bytes())?;
            let (part, next) = part.split_at(end);
            let head_end = find(part, b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(part.get(..head_end)?).into_owned();
            let name = head.lines().find_map(name_of)?;
            fields.push((name, part.get(head_end + 4..)?));
            rest = next.get(2 + delimiter.len()..)?;
        }
        rest.starts_with(b"--").then_some(Self { fields })
    }

    fn bytes(&self, name: &str) -> Option<&'b [u8]> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Option<&'b str> {
        str::from_utf8(self.bytes(name)?).ok().map(str::trim)
    }

    /// Whether a registry would take it, as far as that can be said without one.
    fn check(&self) -> Result<(), &'static str> {
        if self.text(":action") != Some("file_upload") {
            return Err("Invalid value for :action. Only file_upload is supported");
        }
        if self.text("protocol_version") != Some("1") {
            return Err("Invalid value for protocol_version");
        }
        let name = self.text("name").unwrap_or_default();
        if !is_project_name(&normalized(name)) {
            return Err("Invalid value for name");
        }
        for (field, missing) in [
            ("version", "Missing value for version"),
            ("metadata_version", "Missing value for metadata_version"),
            ("filetype", "Missing value for filetype"),
        ] {
            if self.text(field).is_none_or(str::is_empty) {
                return Err(missing);
            }
        }
        let content = self.bytes("content").ok_or("Upload payload does not have a file")?;
        let digests = ["sha256_digest", "md5_digest", "blake2_256_digest"];
        if !digests.iter().any(|digest| self.text(digest).is_some_and(|text| !text.is_empty())) {
            return Err("Include at least one message digest");
        }
        if let Some(expected) = self.text("sha256_digest").filter(|text| !text.is_empty()) {
            let digest: [u8; 32] = Sha256::digest(content).into();
            if !is_hex_of(expected, &digest) {
                return Err("The digest supplied does not match a digest calculated from the uploaded file");
            }
        }
        Ok(())
    }
}

fn is_hex_of(text: &str, digest: &[u8; 32]) -> bool {
    let pairs = (0..32).map(|at| text.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()));
    text.len() == 64 && pairs.zip(digest).all(|(read, byte)| read == Some(*byte))
}

/// The name in `Content-Disposition: form-data; name="…"`.
fn name_of(line: &str) -> Option<String> {
    let (header, value) = line.split_once(':')?;
    if !header.trim().eq_ignore_ascii_case("content-disposition") {
        return None;
    }
    let name = value.split(';').find_map(|pair| pair.trim().strip_prefix("name="))?;
    Some(name.trim_matches('"').to_owned())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

fn after<'t>(text: &'t [u8], what: &[u8]) -> Option<&'t [u8]> {
    text.get(find(text, what)? + what.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Vec<(String, String)>> {
        let body = Zeroizing::new(body.replace('\n', "\r\n").into_bytes());
        let form = Form::read(&body, "b")?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Some(form.fields.into_iter().map(|(name, value)| (name, text(value))).collect())
    }

    #[test]
    fn a_form_is_read_field_by_field() {
        let body = "--b\nContent-Disposition: form-data; name=\"name\"\n\nsample\n--b\n\
                    content-disposition: form-data; name=\"content\"; filename=\"a.whl\"\nContent-Type: x/y\n\n\
                    one\n--\ntwo\n--b--\n";
        let fields = read(body).expect("a form");
        assert_eq!(fields[0], ("name".into(), "sample".into()));
        assert_eq!(fields[1], ("content".into(), "one\r\n--\r\ntwo".into()));
    }

    #[test]
    fn what_breaks_off_is_no_form() {
        for body in ["", "--b", "--b\n", "--b\nContent-Disposition: form-data; name=\"a\"\n\nx", "--b\n\nx\n--b--\n"] {
            assert_eq!(read(body), None, "{body:?}");
        }
    }
}
