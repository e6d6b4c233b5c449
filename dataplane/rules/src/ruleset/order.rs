//! The order in which signatures are evaluated, as Suricata 7 sorts them: `pass` first, those
//! that set a flowbit before those that ask for it, then priority, then signature id.

use crate::signature::{Action, Signature};

/// Sorts into evaluation order; signatures that are equal in every respect keep their order.
pub(crate) fn sort(signatures: &mut [Signature]) {
    signatures.sort_by_key(rank);
}

fn rank(signature: &Signature) -> (u8, u8, u8, u8, u32) {
    let action = match signature.action {
        Action::Pass => 0,
        Action::Drop => 1,
        Action::Reject => 2,
        Action::Alert => 3,
    };
    let flowbits = state(!signature.flowbit_sets.is_empty(), !signature.flowbit_tests.is_empty());
    let flowint = state(!signature.flowint_sets.is_empty(), !signature.flowint_tests.is_empty());
    (action, flowbits, flowint, signature.priority, signature.sid)
}

/// Writers, then those that ask and write, then those that only ask, then the rest.
fn state(writes: bool, reads: bool) -> u8 {
    match (writes, reads) {
        (true, false) => 0,
        (true, true) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}
