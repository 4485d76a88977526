//! The mail to an owner as it reads: all the tokens that one mail tells about, from what is known now.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::incidents::id_of;
use super::problem_of;
use crate::clock::{Clock, Timestamp};
use crate::http::input::Path;
use crate::http::{Access, App, Problem, Route, schema};
use crate::id::{IncidentId, NoticeId};
use crate::incident::Incident;
use crate::notice::{Content, Mailer, Preview};
use crate::operator::Role;
use crate::store::{Error, Store};

pub fn routes() -> [Route; 1] {
    let letter = schema::object(json!({ "subject": schema::text(), "text": schema::text(),
        "incidents": schema::count(), "sent_at": schema::maybe(schema::time()) }));
    let (path, access) = ("/api/v1/incidents/{id}/mail", Access::Operator(Role::Viewer));
    [Route::get(path, access, "Shows the mail to the owner, as it was or would be written", show)
        .gives(200, "Its subject and its text", letter)
        .refuses(409, "The issuer named nobody to mail, or the address was erased on its date")]
}

/// A mail as its owner reads it.
pub struct Letter {
    pub incident: Incident,
    pub preview: Preview,
    /// Incidents that it tells about.
    pub incidents: usize,
    pub sent_at: Option<Timestamp>,
}

/// Why there is no letter.
#[derive(Debug, thiserror::Error)]
pub enum NoLetter {
    #[error("the issuer named nobody to mail, or the address was erased on its date")]
    Nobody,
    #[error("there is no such incident")]
    NotThere,
    #[error(transparent)]
    Store(#[from] Error),
    #[error("the mail cannot be laid out")]
    Unwritable(#[source] crate::notice::SendError),
}

/// Writes the mail about an incident, with whatever else the same mail tells about.
///
/// # Errors
/// When there is nobody to write to.
pub async fn letter(store: &Store, mailer: &Mailer, clock: &Clock, id: IncidentId) -> Result<Letter, NoLetter> {
    let incident = store.incident(id).await?.ok_or(NoLetter::NotThere)?;
    let to = incident.token.as_ref().and_then(|token| token.owner.as_ref()?.email.clone()).ok_or(NoLetter::Nobody)?;
    let (created_at, items) = store.told_with(&incident).await?;
    let notice_id = incident.notice_id.unwrap_or_else(|| NoticeId::generate(clock.now()));
    let items: Vec<_> = items.iter().map(|item| (&item.incident, item.occurrences.as_slice())).collect();
    let incidents = items.len();
    let content = Content { notice_id, to: &to, created_at: created_at.unwrap_or_else(|| clock.now()), items };
    let preview = mailer.preview(&content).map_err(NoLetter::Unwritable)?;
    Ok(Letter { sent_at: incident.notified_at, incident, preview, incidents })
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Value>, Problem> {
    let nowhere = || Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(super::SOON);
    let mailer = app.configured().mailer.clone().ok_or_else(nowhere)?;
    let letter = letter(&app.store, &mailer, &app.clock, id_of(&id)?).await.map_err(|error| match error {
        NoLetter::NotThere => Problem::new(StatusCode::NOT_FOUND),
        NoLetter::Store(error) => problem_of(error),
        NoLetter::Nobody | NoLetter::Unwritable(_) => Problem::new(StatusCode::CONFLICT).told(error.to_string()),
    })?;
    Ok(Answer(json!({ "subject": letter.preview.subject, "text": letter.preview.text,
                      "incidents": letter.incidents, "sent_at": letter.sent_at })))
}
