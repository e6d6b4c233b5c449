//! A rule and a payload: whatever the rule asks, its verification ends within its budget.
//!
//! The input is the rule's options as text, a NUL, and the payload.
#![no_main]

use engine::inspect::content::{Verifier, View};
use libfuzzer_sys::fuzz_target;
use rules::parse::{Context, Names, parse_rules};

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|&byte| byte == 0).unwrap_or(input.len());
    let (options, payload) = input.split_at(end);
    let payload = payload.get(1..).unwrap_or(&[]);
    let mut text = b"alert ip any any -> any any (sid:1; ".to_vec();
    text.extend_from_slice(options);
    text.extend_from_slice(b")");
    let parsed = parse_rules("fuzz.rules", &text, &Context::default(), &mut Names::default());
    let Some(signature) = parsed.signatures.first() else { return };
    let Ok(mut verifier) = Verifier::new() else { return };
    verifier.begin();
    for tests in &signature.buffers {
        let whole = verifier.holds(&tests.tests, View::whole(payload));
        // The same bytes at the same place give the same answer.
        assert_eq!(whole, verifier.holds(&tests.tests, View::whole(payload)));
        let half = payload.len() / 2;
        verifier.holds(&tests.tests, View { data: payload, stream_offset: 1000, new_from: half });
    }
});
