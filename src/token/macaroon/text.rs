//! The one spelling of a macaroon: what we write, and all that is read where a token is to open something.
//!
//! A leaked macaroon is read in every spelling ([`find`](super::find)); one that is shown to get in has exactly one:
//! `<prefix>-`, the URL alphabet of base64 without padding and without stray bits, version 2, lengths in their shortest
//! form, nothing after the signature, no caveat of a third party. Whoever writes it otherwise is told that it is
//! malformed, so that what is counted, cached and denied by its text or its points is never the same token twice.

use zeroize::Zeroizing;

use super::chain::Chain;
use super::{Caveat, END, IDENTIFIER, LOCATION, Macaroon, SIGNATURE, parse_v2};
use crate::token::Secret;
use crate::token::encoding::{self, Alphabet, to_base64};

/// Caveats of a token that is to open something.
pub const MAX_STRICT_CAVEATS: usize = 64;
/// Bytes of one of them.
pub const MAX_STRICT_CAVEAT: usize = 4 * 1024;
/// Characters of the whole.
pub const MAX_STRICT_TEXT: usize = 16 * 1024;

impl Macaroon {
    /// A macaroon without caveats, signed with a root key.
    pub fn mint(root_key: &Secret, identifier: &[u8], location: &[u8]) -> Self {
        Self {
            location: Some(Zeroizing::new(location.to_vec())),
            identifier: Zeroizing::new(identifier.to_vec()),
            caveats: Vec::new(),
            signature: Zeroizing::new(*Chain::start(root_key, identifier).signature()),
        }
    }

    /// Adds a caveat, as every bearer can. Takes nothing but power away.
    pub fn add(&mut self, caveat: &[u8]) {
        let mut chain = Chain::from_signature(&self.signature);
        chain.extend(caveat);
        self.caveats.push(Caveat { id: Zeroizing::new(caveat.to_vec()), verification: None });
        self.signature = Zeroizing::new(*chain.signature());
    }

    /// The text behind a prefix.
    pub fn text(&self, prefix: &str) -> Secret {
        let body = Zeroizing::new(to_base64(&self.bytes(), Alphabet::Url));
        let mut text = Vec::with_capacity(prefix.len() + 1 + body.len());
        text.extend_from_slice(prefix.as_bytes());
        text.push(b'-');
        text.extend_from_slice(&body);
        Secret::new(text)
    }

    /// The binary form, version 2.
    pub fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(256));
        out.push(2);
        if let Some(location) = &self.location {
            field(&mut out, LOCATION, location);
        }
        field(&mut out, IDENTIFIER, &self.identifier);
        out.push(0);
        for caveat in &self.caveats {
            field(&mut out, IDENTIFIER, &caveat.id);
            out.push(0);
        }
        out.push(0);
        field(&mut out, SIGNATURE, self.signature.as_slice());
        out
    }
}

/// Reads the one spelling. `None` for any other, and for what is no macaroon of this prefix.
pub fn read(prefix: &str, text: &[u8]) -> Option<Macaroon> {
    if text.len() > MAX_STRICT_TEXT {
        return None;
    }
    let body = text.strip_prefix(prefix.as_bytes())?.strip_prefix(b"-")?;
    // No padding and no standard alphabet; stray bits show when it is written again.
    let url = body.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let bytes = encoding::base64(body).filter(|bytes| url && bytes.first() == Some(&2))?;
    let (macaroon, used) = parse_v2(&bytes)?;
    let plain = |caveat: &Caveat| caveat.verification.is_none() && caveat.id.len() <= MAX_STRICT_CAVEAT;
    let small = macaroon.caveats.len() <= MAX_STRICT_CAVEATS && macaroon.caveats.iter().all(plain);
    if used != bytes.len() || !small || *macaroon.bytes() != *bytes {
        return None;
    }
    let again = Zeroizing::new(to_base64(&bytes, Alphabet::Url));
    (again.as_slice() == body).then_some(macaroon)
}

fn field(out: &mut Vec<u8>, kind: u64, value: &[u8]) {
    varint(out, kind);
    varint(out, u64::try_from(value.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(value);
}

/// Unsigned LEB128 in its shortest form.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    const _: () = assert!(END == 0, "a section ends with a zero byte, which is written as one");
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::macaroon::find;

    // Made with pymacaroons and pypitoken: location example.com, identifier 123foo, a public test key.
    const T0: &str = "AgELZXhhbXBsZS5jb20CBjEyM2ZvbwAABiCK4TytWvy17_Up7TvhdVDhFx8cjU_ne_6wtOqxPUZmxw";
    const NAMES: &str =
        "AgELZXhhbXBsZS5jb20CBjEyM2ZvbwACDVsxLFsiYSIsImIiXV0AAAYgJoPaAdviPzxvR3IwHCj9eMCTgg_CMcFj3VB_YbWjGEo";

    fn root() -> Secret {
        Secret::new(b"ohsosecret".to_vec())
    }

    fn written(macaroon: &Macaroon) -> String {
        String::from_utf8(macaroon.text("pre").expose().to_vec()).expect("ASCII")
    }

    #[test]
    fn what_is_minted_is_what_another_implementation_writes() {
        let mut macaroon = Macaroon::mint(&root(), b"123foo", b"example.com");
        assert_eq!(written(&macaroon), format!("pre-{T0}"));
        macaroon.add(br#"[1,["a","b"]]"#);
        assert_eq!(written(&macaroon), format!("pre-{NAMES}"));
        let read = read("pre", format!("pre-{NAMES}").as_bytes()).expect("its own spelling");
        assert_eq!((read.caveats.len(), *read.bytes() == *macaroon.bytes()), (1, true));
    }

    #[test]
    fn one_spelling_is_read_and_no_other() {
        assert!(read("pre", format!("pre-{NAMES}").as_bytes()).is_some());
        let spellings = [
            format!("pre:{NAMES}"),
            format!("pypi-{NAMES}"),
            NAMES.to_owned(),
            format!("pre-{}p", NAMES.strip_suffix('o').expect("it ends so")),
            format!("pre-{NAMES}="),
            format!(" pre-{NAMES}"),
            format!("pre-{NAMES}\n"),
            format!("pre-{}", NAMES.replace('_', "/")),
            format!("pre-{NAMES}AAAA"),
            format!("pre-{}", &NAMES[..NAMES.len() - 1]),
            "pre-".to_owned(),
            "pre-baz".to_owned(),
            String::new(),
        ];
        for text in spellings {
            assert!(read("pre", text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_longer_spelling_of_a_length_and_a_caveat_of_a_third_party_are_refused() {
        let of = |bytes: &[u8]| [b"pre-".to_vec(), to_base64(bytes, Alphabet::Url)].concat();
        let end = [&[0, 6, 32][..], &[7; 32]].concat();
        let plain = [&[2, 2, 1, b'i', 0, 2, 1, b'c', 0][..], &end].concat();
        assert!(read("pre", &of(&plain)).is_some());
        let long = [&[2, 2, 0x81, 0, b'i', 0][..], &end].concat();
        assert!(read("pre", &of(&long)).is_none() && find(&of(&long)).is_some());
        let third = [&[2, 2, 1, b'i', 0, 1, 1, b'l', 2, 1, b'c', 4, 1, b'v', 0][..], &end].concat();
        assert!(read("pre", &of(&third)).is_none() && find(&of(&third)).is_some());
    }

    #[test]
    fn the_caps_of_the_strict_reader_hold() {
        let with = |count: usize, len: usize| {
            let mut macaroon = Macaroon::mint(&root(), b"i", b"l");
            (0..count).for_each(|_| macaroon.add(&vec![b'c'; len]));
            macaroon.text("pre")
        };
        let is_read = |text: &Secret| read("pre", text.expose()).is_some();
        assert!(is_read(&with(MAX_STRICT_CAVEATS, 9)) && !is_read(&with(MAX_STRICT_CAVEATS + 1, 9)));
        assert!(is_read(&with(1, MAX_STRICT_CAVEAT)) && !is_read(&with(1, MAX_STRICT_CAVEAT + 1)));
        assert!(!is_read(&with(4, MAX_STRICT_CAVEAT)), "longer than any token");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_by_both_readers(
            identifier in proptest::collection::vec(any::<u8>(), 0..200),
            location in proptest::collection::vec(any::<u8>(), 0..200),
            caveats in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..5),
        ) {
            let mut macaroon = Macaroon::mint(&root(), &identifier, &location);
            for caveat in &caveats {
                macaroon.add(caveat);
            }
            let text = macaroon.text("pre");
            let strict = read("pre", text.expose()).expect("our own spelling");
            let lenient = find(text.expose()).expect("any spelling").macaroon;
            prop_assert_eq!(strict.canonical(), lenient.canonical());
            let mut chain = Chain::start(&root(), &strict.identifier);
            for caveat in &strict.caveats {
                chain.extend(&caveat.id);
            }
            prop_assert!(chain.ends_in(&strict.signature));
        }

        #[test]
        fn no_changed_character_is_read_as_the_same_token(
            caveats in proptest::collection::vec("[a-z]{0,20}", 0..3), at in any::<prop::sample::Index>(), to in 0_usize..64,
        ) {
            const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let mut macaroon = Macaroon::mint(&root(), b"123foo", b"example.com");
            for caveat in &caveats {
                macaroon.add(caveat.as_bytes());
            }
            let text = macaroon.text("pre").expose().to_vec();
            let mut changed = text.clone();
            let at = 4 + at.index(text.len() - 4);
            changed[at] = ALPHABET[to];
            if changed != text && let Some(other) = read("pre", &changed) {
                let mut chain = Chain::start(&root(), &other.identifier);
                for caveat in &other.caveats {
                    chain.extend(&caveat.id);
                }
                // The location is not signed; whoever checks a token compares it.
                let moved = other.location != macaroon.location;
                prop_assert!(!chain.ends_in(&other.signature) || moved);
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read("pre", &bytes);
            let _ = read("pre", &[b"pre-Ag".to_vec(), to_base64(&bytes, Alphabet::Url)].concat());
        }
    }
}
