//! Any text as a selector: it parses or says where it does not; its canonical text means the same, and is its own
//! but for negations of negations, which only parentheses keep.
#![no_main]

use std::collections::BTreeMap;

use api::Selector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let selector = match Selector::parse(text) {
        Ok(selector) => selector,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let canonical = selector.canonical();
    let again = Selector::parse(&canonical).expect("canonical text parses");
    let settled = Selector::parse(&again.canonical()).expect("canonical text parses");
    assert_eq!(settled.canonical(), again.canonical());
    assert!(again.canonical() == canonical || canonical.contains("!!"), "{canonical}");
    assert_eq!(again.uid() == selector.uid(), again.canonical() == canonical);
    for labels in [&[][..], &[("a", "b")], &[("app", "web"), ("role", ""), ("x", "y")]] {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        assert_eq!(selector.matches(&labels), again.matches(&labels));
        assert_eq!(selector.matches_namespaced(&labels), again.matches_namespaced(&labels));
    }
});
