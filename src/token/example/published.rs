//! Published examples: tokens that their issuer prints in its manuals, or that every copy of a program has.
//!
//! Named by their SHA-256, so that this list is no leak itself. What vendors mark as an example in the token's own text
//! (`EXAMPLE` in the keys of AWS's documentation) needs no entry.

use sha2::{Digest, Sha256};

struct Published {
    sha256: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader, and a test demands it"))]
    what: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader, and a test demands it"))]
    source: &'static str,
}

const PUBLISHED: &[Published] = &[
    Published {
        sha256: "0011cc25eb4320717494d2703e8cba85743e71b500283c21c8b88147992f9059",
        what: "the account key of Azure's storage emulator",
        source: "Microsoft Learn: Use the Azurite emulator for local Azure Storage development",
    },
    Published {
        sha256: "aa6547439583c3a275d4542a0df6c1ad6a863971be9f2a2220f027cc02aef615",
        what: "the account key of the Cosmos DB emulator",
        source: "Microsoft Learn: Azure Cosmos DB emulator, authentication",
    },
    Published {
        sha256: "4b8cbd96c8530f054ac66e320aa1ed728a7ff66ca5f588456cc5dd9a842e03da",
        what: "the test key of Stripe's documentation",
        source: "Stripe API reference: authentication",
    },
    Published {
        sha256: "f2d6ca16515033e5dce14eba840b979d27b5cbae24bb3e5bf484339667f86397",
        what: "the test key of Stripe's earlier documentation",
        source: "Stripe API reference: authentication (until 2019)",
    },
];

/// Whether the text is one of them.
pub fn has(text: &[u8]) -> bool {
    let digest = Sha256::digest(text);
    PUBLISHED.iter().any(|known| {
        let digits = known.sha256.as_bytes().chunks(2);
        digits.zip(digest.iter()).all(|(digits, byte)| {
            std::str::from_utf8(digits)
                .is_ok_and(|digits| u8::from_str_radix(digits, 16).is_ok_and(|value| value == *byte))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_a_digest_with_a_name_and_a_source() {
        for known in PUBLISHED {
            assert!(known.sha256.len() == 64 && known.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(!known.what.is_empty() && !known.source.is_empty());
        }
        // In two pieces: nothing is to take this file for a leak.
        assert!(has(concat!("sk_test_4eC39Hq", "LyjWDarjtT1zdP7dc").as_bytes()) && !has(b"") && !has(b"sk_test_"));
    }
}
