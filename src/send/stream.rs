//! A body that repeats one chunk, all at once or slowly: too large without being held in memory, or never done.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use tokio::time::Interval;

/// Gives `chunk` again and again, `left` times.
pub(super) struct Repeat {
    chunk: Bytes,
    left: usize,
    pace: Option<Interval>,
}

impl Repeat {
    /// As fast as the other side reads.
    pub(super) fn fast(chunk: Bytes, times: usize) -> Self {
        Self { chunk, left: times, pace: None }
    }

    /// One chunk per tick of `pace`.
    pub(super) fn slow(chunk: Bytes, times: usize, pace: Interval) -> Self {
        Self { chunk, left: times, pace: Some(pace) }
    }
}

impl Body for Repeat {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if let Some(pace) = &mut self.pace {
            std::task::ready!(pace.poll_tick(cx));
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}
