//! Crash points: named places where a test makes the process die as by `kill -9`.
//!
//! Nothing is lost if the process dies anywhere; the tests prove it at each of these names. A release build contains
//! none of this.

/// Kills the process here if `STANCH_CRASH_AT` names this point. Does nothing in a release build.
#[inline]
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    debug::point(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod debug {
    use std::sync::LazyLock;

    #[expect(clippy::disallowed_methods, reason = "not a setting: exists in test builds only")]
    static CRASH_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("STANCH_CRASH_AT").ok());

    pub fn point(name: &str) {
        if CRASH_AT.as_deref() != Some(name) {
            return;
        }
        // No destructor, no flush, no signal handler: what a power cut leaves is what the test wants to see.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}
