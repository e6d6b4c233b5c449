//! Any text as a rule file: every rule loads or is refused with its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::parse::{Context, Names, parse_rules};

fuzz_target!(|text: &[u8]| {
    let parsed = parse_rules("fuzz.rules", text, &Context::default(), &mut Names::default());
    for rejection in &parsed.rejections {
        assert!(rejection.origin.line >= 1 && rejection.column >= 1);
        assert!(!rejection.reason.is_empty());
    }
});
