//! The fuzz targets' checks, run on made-up inputs, so that they hold where no fuzzer is at hand.

#[path = "../../fuzz/src/checks.rs"]
mod checks;

use proptest::prelude::*;

/// Text with the pieces that tokens are made of, and noise.
fn token_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "npm_|ghp_|pypi-AgE|eyJ|glpat-|AgE|AKIA|acme_pat_|-----BEGIN PGP PRIVATE KEY BLOCK-----|JQQJ99|\\+ASt|8Q~|Basic |://"
            .prop_map(String::into_bytes),
        "[A-Za-z0-9]{1,80}".prop_map(String::into_bytes),
        "[0-9a-f]{8,64}".prop_map(String::into_bytes),
        "[ -~\n]{0,20}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn edits_of_any_bytes_find_what_whole_texts_have(bytes in token_like(), split: u8, steps in token_like()) {
        let mut all = vec![0, split];
        all.extend(bytes);
        all.extend(steps);
        checks::edit(&all);
    }

    #[test]
    fn a_repository_of_any_bytes_is_read_to_its_end(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        checks::history(&bytes);
    }

    #[test]
    fn an_archive_of_the_past_of_any_bytes_ends(
        head in prop_oneof![
            Just(b"PK\x03\x04".to_vec()), Just(vec![0x1f, 0x8b, 8, 0]), Just(b"!<arch>\n".to_vec()), Just(b"BZh9".to_vec()),
            Just(vec![0xfd, b'7', b'z', b'X', b'Z', 0]), Just(vec![0x28, 0xb5, 0x2f, 0xfd]), Just(Vec::new()),
        ],
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        checks::past_archive(&[head, bytes].concat());
    }

    #[test]
    fn a_reftable_of_any_bytes_is_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        checks::reftable(&bytes);
    }

    #[test]
    fn a_reftable_of_a_block_of_any_records_is_refused_or_read(
        size in any::<u8>(), logs in any::<u8>(), kind in prop_oneof![Just(b'r'), Just(b'g')],
        records in proptest::collection::vec((0_u8..3, 0_u8..6, 0_u8..4, any::<[u8; 48]>()), 0..6),
    ) {
        let mut block = Vec::new();
        for (shared, len, value, filler) in records {
            block.extend([shared, len << 3 | value]);
            block.extend(&filler[..usize::from(len)]);
            block.push(0);
            block.extend(&filler[..match value { 1 => 20, 2 => 40, 3 => 1, _ => 0 }]);
        }
        // One place of a whole name.
        block.extend([0, 0, 28, 0, 1]);
        let len = u8::try_from((block.len() + 28).min(255)).unwrap_or(u8::MAX);
        let table = [&[size, logs, kind, 0, 0, len][..], &block].concat();
        checks::reftable(&table);
    }

    #[test]
    fn recognizing_any_bytes_keeps_its_promises(bytes in token_like()) {
        checks::recognize(&bytes);
    }

    #[test]
    fn identifying_any_text_keeps_its_promises(bytes in token_like()) {
        checks::identify(&bytes);
    }

    #[test]
    fn viewing_any_report_keeps_its_promises(
        form in 0..4_usize,
        secret in token_like(),
        words in "(\\PC|\n|\u{1b}){0,40}",
        number: u64,
        noise in "(\\{|\\}|\\[|\\]|\"|:|,|findings|RuleID|schema|1){0,30}",
    ) {
        let secret = String::from_utf8_lossy(&secret);
        let report = match form {
            0 => serde_json::json!([{ "RuleID": words, "Secret": secret, "File": words, "StartLine": number,
                "StartColumn": number, "Commit": words, "Author": words, "Date": words, "Message": secret }]),
            1 => serde_json::json!({ "SourceMetadata": { "Data": { "Git": { "commit": words, "file": secret,
                "timestamp": words, "line": number, "email": words } } }, "DetectorName": words, "Raw": secret,
                "VerificationError": words }),
            2 => serde_json::json!({ "findings": [{ "rule": { "id": words, "name": words }, "finding": {
                "snippet": secret, "path": words, "line": number, "column_start": number,
                "validation": { "status": words } } }] }),
            _ => serde_json::json!({ "version": "2.1.0", "runs": [{ "results": [{ "ruleId": words, "level": words,
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": words }, "region": {
                    "startLine": number, "snippet": { "text": secret } } } }] }] }] }),
        };
        checks::view(report.to_string().as_bytes());
        checks::view(noise.as_bytes());
    }

    #[test]
    fn importing_any_rules_keeps_its_promises(
        regex in "(acme_|[a-z]|\\(|\\)|\\[0-9a-f\\]|\\{[0-9]{1,3}\\}|\\+|\\*|\\||\\.|\\(\\?i\\)|\\$|\\^){0,12}",
        other in "\\PC{0,60}",
        entropy in -2.0..9.0_f64,
        group in -1..4_i64,
        word in "[a-z_]{0,5}",
    ) {
        let file = format!(
            "[[rules]]\nid = \"{word}\"\nregex = '{regex}'\nsecretGroup = {group}\nentropy = {entropy:.1}\nkeywords = ['{word}']\n\
             [[rules.allowlists]]\nregexes = ['{regex}x']\nstopwords = ['{word}']\nregexTarget = 'line'\n# acme_0af {word}\n"
        );
        checks::import(file.as_bytes());
        checks::import(other.as_bytes());
    }

    #[test]
    fn reading_any_macaroon_keeps_its_promises(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), tail in any::<u8>()) {
        checks::macaroon(&bytes);
        // Nearly one: version, identifier, signature.
        let mut nearly = vec![2, 2, tail % 40];
        nearly.append(&mut bytes);
        checks::macaroon(&nearly);
    }

    #[test]
    fn reading_any_caveat_keeps_its_promises(text in "[\\[\\]{}\",:0-9a-z. /-]{0,40}") {
        checks::caveat(text.as_bytes());
        checks::caveat(format!("[{text}]").as_bytes());
    }

    #[test]
    fn no_checksum_rule_panics(bytes in token_like()) {
        checks::checksum(&bytes);
    }

    #[test]
    fn decoding_any_bytes_keeps_its_promises(bytes in token_like()) {
        checks::decode(&bytes);
    }

    #[test]
    fn no_archive_goes_beyond_its_limits(head in 0_usize..8, bytes in token_like()) {
        let heads: [&[u8]; 8] = [
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"\x1f\x8b\x08\0\0\0\0\0\0\xff",
            b"\xfd7zXZ\0\0\x04",
            b"\x28\xb5\x2f\xfd\x20",
            b"BZh91AY&SY",
            b"!<arch>\n",
            b"",
        ];
        checks::archive(&[heads[head], &bytes].concat());
    }

    #[test]
    fn no_shape_panics(text in "[a-z{}:=|0-9-]{0,60}|\\PC{0,40}|(\\{(b62|hexl|uuid|=a|=b):?[0-9]{0,6}(-[0-9]{1,6})?(:checksum)?\\}){0,30}") {
        checks::shape(text.as_bytes());
    }
}
