//! Examples: texts that have the form of a token and open no door.
//!
//! Documentation, tests and templates are full of them: `ghp_xxxxxxxxxxxx`, a password that is `password`, the keys that
//! vendors print in their manuals, a private key's markers around nothing. Whoever searches a folder does not want to hear
//! of them. What must stay true: a token that fits a checksum is never taken for one of them, for filler does not fit by
//! chance; and each rule is so unlikely to hit random characters (below one in a million) that no real token is lost to it.
//!
//! Only a search in text asks this. What a reporter sends is put to its issuer, whatever it looks like.

mod filler;
mod password;
mod pem;
mod published;

pub use password::is_nobodys as is_nobodys_host;

use super::Confidence;
use super::catalogue::{Form, Kind};
use super::checksum::Algorithm;
use super::jwt;
use super::shape::Part;

/// Whether a text that was found as a token of the kind stands for none.
pub fn is_example(kind: &Kind, text: &[u8], confidence: Confidence) -> bool {
    if published::has(text) {
        return true;
    }
    if let Form::Block { .. } = kind.form {
        return match kind.id.as_ref() {
            "openssh-private-key" => !pem::holds_openssh_key(text),
            "pem-private-key" => !pem::holds_key(text),
            _ => false,
        };
    }
    match kind.check.map(|check| check.algorithm) {
        Some(Algorithm::Jwt { .. }) => jwt::parse(text).is_some_and(|jwt| jwt.is_sample()),
        Some(Algorithm::MacaroonV2 { .. }) => false,
        Some(_) if confidence > Confidence::Shape => false,
        _ if password::is_kind(kind) => password::is_example(text),
        _ => filler::is_filler(after_literals(kind, text)),
    }
}

/// The text behind what every token of the kind begins with.
fn after_literals<'t>(kind: &Kind, text: &'t [u8]) -> &'t [u8] {
    let fixed = kind.parts().iter().take_while(|part| !matches!(part, Part::Run { .. })).map(Part::min_len).sum();
    text.get(fixed..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::catalogue;
    use crate::token::generate;

    #[test]
    fn no_made_up_token_of_random_characters_is_taken_for_an_example() {
        let mut seed = 5_u64;
        let mut random = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        };
        // What people choose is judged by other rules than chance.
        for kind in catalogue::builtin().iter().filter(|kind| !password::is_kind(kind)) {
            for _ in 0..40 {
                let token = generate(kind, &mut random).expect("every kind can be made up");
                let shown = String::from_utf8_lossy(&token);
                assert!(!is_example(kind, &token, Confidence::Shape), "{}: {shown}", kind.id);
            }
        }
    }
}
