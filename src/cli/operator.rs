//! Who is at the keyboard, for the audit trail.

use super::Context;
use crate::incident::Actor;
use crate::redact::inert;

/// The person behind `sudo`, or the account.
pub fn operator(context: &Context) -> Actor {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| context.environment.get(name));
    Actor::Operator(inert(name.unwrap_or("unknown"), 64))
}
