//! The `stanch` program: hardens its own process, then does what it was asked to.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "server")]
    harden();
    stanch::cli::run()
}

/// Tokens pass through this memory: nobody gets a copy of it, neither as a core file nor through `ptrace`.
#[cfg(feature = "server")]
fn harden() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    // Fails only if another one was installed first, and nothing ran before this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Both may be refused by a sandbox, which then does not leave core files about either.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
