//! Bodies on their way through: counted in one direction, counted and searched in the other.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tracing::warn;

use super::echo::Forbidden;

/// A body was cut off, for a reason of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    #[error("the connection broke off")]
    Broken,
    #[error("the answer holds the credential")]
    Echo,
    #[error("the body is larger than it may be")]
    TooLarge,
}

/// A body that ends with an error when it grows too large.
pub struct Limited<B> {
    inner: B,
    left: u64,
    exceeded: Arc<AtomicBool>,
}

/// An answer's body that is cut off before the credential in it.
pub struct Sifted<B> {
    inner: Option<B>,
    forbidden: Option<Arc<Forbidden>>,
    held: Vec<u8>,
    left: u64,
    /// The upstream's name, for the log.
    upstream: String,
}

impl<B> Limited<B> {
    /// At most `max` bytes; `exceeded` tells afterwards whether there were more.
    pub fn new(inner: B, max: u64, exceeded: Arc<AtomicBool>) -> Self {
        Self { inner, left: max, exceeded }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Limited<B> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(context)) else { return Poll::Ready(None) };
        let Ok(frame) = frame else { return Poll::Ready(Some(Err(Cut::Broken))) };
        if let Some(data) = frame.data_ref() {
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                self.exceeded.store(true, Ordering::SeqCst);
                return Poll::Ready(Some(Err(Cut::TooLarge)));
            };
            self.left = left;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Sifted<B> {
    pub(super) fn new(inner: B, forbidden: Option<Arc<Forbidden>>, max: u64, upstream: String) -> Self {
        Self { inner: Some(inner), forbidden, held: Vec::new(), left: max, upstream }
    }

    fn take(&mut self, data: &Bytes) -> Result<Bytes, Cut> {
        self.left = self.left.checked_sub(data.len() as u64).ok_or(Cut::TooLarge)?;
        let Some(forbidden) = &self.forbidden else { return Ok(data.clone()) };
        forbidden.sift(&mut self.held, data).map(Bytes::from).map_err(|_| Cut::Echo)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sifted<B> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(inner).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => {
                    self.inner = None;
                    return Poll::Ready(Some(Err(Cut::Broken)));
                }
                None => {
                    self.inner = None;
                    // What waited was not the beginning of it after all.
                    let held = std::mem::take(&mut self.held);
                    return Poll::Ready((!held.is_empty()).then(|| Ok(Frame::data(Bytes::from(held)))));
                }
            };
            // Trailers could hold anything, and no client of an API asks for them.
            let Ok(data) = frame.into_data() else { continue };
            match self.take(&data) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(cut) => {
                    self.inner = None;
                    let upstream = &self.upstream;
                    warn!(upstream, "cut off an answer of upstream {upstream}: {cut}");
                    return Poll::Ready(Some(Err(cut)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none()
    }
}
