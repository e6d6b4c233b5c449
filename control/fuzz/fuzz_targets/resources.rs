//! Any text as resources, YAML or JSON: what cannot be read becomes a problem, the rest a scope.
#![no_main]

use api::{Documents, Inventory, ScopeTable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parsed = Documents::parse("fuzz.yaml", text);
    for problem in &parsed.problems {
        assert!(!problem.to_string().is_empty());
    }
    let read = parsed.documents.len();
    let inventory = Inventory::from_parsed([parsed]);
    assert!(inventory.len() <= read);
    let (endpoints, _) = inventory.endpoints();
    let _scope = ScopeTable::build(&inventory.resources(), &endpoints);
});
