//! Progress for a person at a terminal: one line on standard error, gone before the report.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::scan::{Moment, Progress};

/// A line that is drawn until it is dropped.
pub struct Line {
    stop: Option<Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

/// Whether a line may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// If standard error is a terminal.
    Auto,
    Never,
}

/// A scan that is over by then needs no line.
const PATIENCE: Duration = Duration::from_millis(400);
const EVERY: Duration = Duration::from_millis(100);

/// Back to the start of the line, and nothing on it.
const CLEAR: &str = "\r\u{1b}[K";

impl Line {
    pub fn start(shown: Shown, progress: &Arc<Progress>) -> Self {
        if shown == Shown::Never || !io::stderr().is_terminal() {
            return Self { stop: None, drawing: None };
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let progress = Arc::clone(progress);
        let drawing = std::thread::spawn(move || {
            let began = Instant::now();
            let mut wait = PATIENCE;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let line = line(progress.now(), began.elapsed());
                let mut stderr = io::stderr().lock();
                let _ = write!(stderr, "{CLEAR}{line}").and_then(|()| stderr.flush());
                wait = EVERY;
            }
            if wait == EVERY {
                let mut stderr = io::stderr().lock();
                let _ = write!(stderr, "{CLEAR}").and_then(|()| stderr.flush());
            }
        });
        Self { stop: Some(stop), drawing: Some(drawing) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
    }
}

/// What is said at one moment, in less than eighty characters.
fn line(now: Moment, took: Duration) -> String {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = now.bytes.saturating_mul(1000) / millis;
    let mut line = format!("Searching: {} files, {} MB, {} MB/s", now.files, now.bytes / 1_000_000, rate / 1_000_000);
    if now.objects > 0 || now.all_objects > 0 {
        let _ = write!(line, "; {}", now.objects);
        if now.all_objects >= now.objects {
            let _ = write!(line, " of {}", now.all_objects);
        }
        line.push_str(" objects");
    }
    let left = now.all_objects.saturating_sub(now.objects);
    // Before a twentieth is read, nobody knows.
    if left > 0 && now.objects > now.all_objects / 20 {
        let seconds = left.saturating_mul(millis) / now.objects / 1000;
        let _ = write!(line, ", {} s left", seconds + 1);
    }
    line.truncate(79);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_fits() {
        let took = Duration::from_secs(2);
        let now = Moment { files: 12, bytes: 90_000_000, objects: 0, all_objects: 0 };
        assert_eq!(line(now, took), "Searching: 12 files, 90 MB, 45 MB/s");
        let now = Moment { objects: 1000, all_objects: 4000, ..now };
        assert_eq!(line(now, took), "Searching: 12 files, 90 MB, 45 MB/s; 1000 of 4000 objects, 7 s left");
        let most = u64::MAX / 2;
        assert!(line(Moment { files: most, bytes: most, objects: most, all_objects: most }, took).len() < 80);
    }
}
