//! Bodies: read under a cap, in bounded time and in bounded memory, before anybody has proved anything.
//!
//! The memory of all bodies whose signature is not checked yet comes out of one budget, taken as the bytes arrive: a
//! slow sender holds what it has sent and no more. The bytes are wiped when the body is dropped, and the smaller copies
//! that a growing buffer leaves behind are wiped as well.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use super::{Problem, Settings};

/// What all unverified bodies together may take.
#[derive(Clone)]
pub struct Budget {
    requests: Arc<Semaphore>,
    /// In units of [`UNIT`] bytes.
    memory: Arc<Semaphore>,
    max_body_bytes: usize,
    body_timeout: Duration,
}

impl NoBody {
    /// As it is told.
    pub fn problem(self) -> Problem {
        match self {
            Self::Broken => Problem::new(StatusCode::BAD_REQUEST),
            Self::Busy => Problem::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(Duration::from_secs(5)),
            Self::Slow => Problem::new(StatusCode::REQUEST_TIMEOUT),
            Self::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE),
        }
    }
}

/// A body that was read, with its share of the budget.
pub struct Unverified {
    pub bytes: Zeroizing<Vec<u8>>,
    pub share: Share,
}

/// A request's share of the budget. Dropping it gives it back.
pub struct Share {
    _request: OwnedSemaphorePermit,
    memory: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBody {
    #[error("the connection broke, or what came is not HTTP")]
    Broken,
    #[error("too many deliveries wait for their check")]
    Busy,
    #[error("the body did not arrive in time")]
    Slow,
    #[error("the body is larger than any delivery may be")]
    TooLarge,
}

const UNIT: usize = 1_024;
/// Longest wait for a share while others hold all of it.
const PATIENCE: Duration = Duration::from_secs(2);

impl Budget {
    pub fn new(settings: &Settings) -> Self {
        // One body of the largest size always fits, whatever the settings say.
        let memory = settings.max_unverified_bytes.max(settings.max_body_bytes).div_ceil(UNIT);
        Self {
            requests: Arc::new(Semaphore::new(settings.max_unverified.max(1))),
            memory: Arc::new(Semaphore::new(memory.min(Semaphore::MAX_PERMITS))),
            max_body_bytes: settings.max_body_bytes,
            body_timeout: settings.body_timeout,
        }
    }

    /// Reads a whole body.
    ///
    /// # Errors
    /// When it is too large, too slow or broken, or when too much waits already.
    pub async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Unverified, NoBody> {
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.max_body_bytes) {
            // Whoever asked to continue has sent nothing, and what is far too large is not worth its reading.
            let is_lost =
                headers.contains_key(header::EXPECT) || announced > Some(self.max_body_bytes.saturating_mul(2));
            if !is_lost && let Ok(_request) = Arc::clone(&self.requests).try_acquire_owned() {
                self.let_pass(body).await;
            }
            return Err(NoBody::TooLarge);
        }
        let request = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| NoBody::Busy)?;
        let share = Share { _request: request, memory: None };
        match tokio::time::timeout(self.body_timeout, self.collect(share, body)).await {
            Ok(read) => read,
            Err(_) => Err(NoBody::Slow),
        }
    }

    /// Reads what nobody wants, and keeps none of it. An answer that comes while the sender still writes is lost to it:
    /// the connection is reset before the answer is read.
    async fn let_pass(&self, mut body: Body) {
        let passed =
            async { while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {} };
        let _ = tokio::time::timeout(self.body_timeout, passed).await;
    }

    async fn collect(&self, mut share: Share, mut body: Body) -> Result<Unverified, NoBody> {
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            // Trailers are of no interest.
            let Ok(chunk) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
            let length = bytes.len() + chunk.len();
            if length > self.max_body_bytes {
                return Err(NoBody::TooLarge);
            }
            self.widen(&mut share, length).await?;
            append(&mut bytes, &chunk, self.max_body_bytes);
        }
        Ok(Unverified { bytes, share })
    }

    /// Brings a share to what `length` bytes need.
    async fn widen(&self, share: &mut Share, length: usize) -> Result<(), NoBody> {
        let held = share.memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = length.div_ceil(UNIT).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_| NoBody::TooLarge)?;
        let more = Arc::clone(&self.memory).acquire_many_owned(missing);
        let Ok(Ok(more)) = tokio::time::timeout(PATIENCE, more).await else { return Err(NoBody::Busy) };
        match &mut share.memory {
            Some(memory) => memory.merge(more),
            None => share.memory = Some(more),
        }
        Ok(())
    }
}

/// Like `extend_from_slice`, but a buffer that became too small is wiped.
fn append(bytes: &mut Zeroizing<Vec<u8>>, chunk: &[u8], max: usize) {
    let length = bytes.len() + chunk.len();
    if length > bytes.capacity() {
        let capacity = (bytes.capacity() * 2).min(max).max(length);
        let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(chunk);
}
