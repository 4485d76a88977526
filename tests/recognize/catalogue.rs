//! Every synthetic token of the catalogue's test data is recognized, and every near miss is not.
//!
//! The data are in `fixtures/catalogue/`, written backwards with a dot after every eighth character, so that no
//! scanner, ours included, takes them for leaks.

use std::collections::BTreeMap;

use serde::Deserialize;
use stanch::recognize::Recognizer;
use stanch::token::catalogue::{Kind, Proof};
use stanch::token::{Confidence, KindId, is_example};

use crate::found;

#[derive(Deserialize)]
struct Samples {
    positives: Vec<String>,
    positive_line: Option<String>,
    negatives: Vec<Negative>,
}

#[derive(Deserialize)]
struct Negative {
    text: String,
    why: String,
    /// Why it is recognized all the same.
    stays: Option<String>,
}

const FIXTURES: [&str; 6] = [
    include_str!("../../fixtures/catalogue/registry.toml"),
    include_str!("../../fixtures/catalogue/dev_platform.toml"),
    include_str!("../../fixtures/catalogue/cloud.toml"),
    include_str!("../../fixtures/catalogue/saas.toml"),
    include_str!("../../fixtures/catalogue/ai.toml"),
    include_str!("../../fixtures/catalogue/generic.toml"),
];

fn samples() -> BTreeMap<String, Samples> {
    let mut all = BTreeMap::new();
    for text in FIXTURES {
        let file: BTreeMap<String, Samples> = toml::from_str(text).expect("the fixtures are TOML");
        for (id, mut samples) in file {
            samples.positives.iter_mut().for_each(|text| *text = reveal(text));
            samples.positive_line = samples.positive_line.map(|text| reveal(&text));
            samples.negatives.iter_mut().for_each(|negative| negative.text = reveal(&negative.text));
            all.insert(id, samples);
        }
    }
    all
}

fn reveal(hidden: &str) -> String {
    hidden.chars().rev().filter(|char| *char != '·').collect()
}

fn only(kind: &Kind) -> Recognizer {
    Recognizer::builder().only(&[KindId::new(&kind.id)]).build().expect("one kind of the catalogue is enough")
}

#[test]
fn every_kind_has_test_data_and_all_test_data_have_a_kind() {
    let recognizer = Recognizer::builtin();
    let kinds: Vec<_> = recognizer.kinds().map(|kind| kind.id.to_string()).collect();
    let samples = samples();
    for kind in &kinds {
        assert!(samples.contains_key(kind), "{kind} has no test data");
    }
    for id in samples.keys() {
        assert!(kinds.contains(id), "{id} has no kind");
    }
}

#[test]
fn every_positive_is_found_in_running_text_as_its_own_kind() {
    let recognizer = Recognizer::builtin();
    let samples = samples();
    let mut wrong = Vec::new();
    for kind in recognizer.kinds() {
        for positive in &samples[&*kind.id].positives {
            let line = match &samples[&*kind.id].positive_line {
                Some(line) if line.contains(positive.as_str()) => line.clone(),
                Some(_) => continue,
                None => format!("value = \"{positive}\"\n"),
            };
            let found = found(&recognizer, &line);
            if !found.iter().any(|(id, _, text)| *id == kind.id && (text == positive || kind.parts().is_empty())) {
                wrong.push(format!("{}: {found:?}", kind.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_negative_is_refused_or_graded_down_where_the_rule_is_not_proved() {
    let samples = samples();
    let mut wrong = Vec::new();
    for kind in Recognizer::builtin().kinds() {
        let recognizer = only(kind);
        let unproved = kind.check.is_some_and(|check| check.proof == Proof::Unproved);
        for negative in &samples[&*kind.id].negatives {
            let line = match (&samples[&*kind.id].positive_line, samples[&*kind.id].positives.first()) {
                (Some(line), Some(positive)) => line.replace(positive.as_str(), &negative.text),
                _ => format!("value = \"{}\"\n", negative.text),
            };
            let found = found(&recognizer, &line);
            let graded = unproved && negative.why.contains("checksum fails");
            let right = match (&negative.stays, graded) {
                (Some(_), _) => !found.is_empty(),
                // Filler that does not fit its checksum is an example.
                (None, true) if is_example(kind, negative.text.as_bytes(), Confidence::Shape) => found.is_empty(),
                (None, true) => found.len() == 1 && found[0].1 == Confidence::Shape,
                (None, false) => found.is_empty(),
            };
            if !right {
                wrong.push(format!("{} ({}): {found:?}", kind.id, negative.why));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
