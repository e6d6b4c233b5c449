//! The order in which signatures are evaluated, as Suricata 7 sorts them: `pass` first, those
//! that set a flowbit before those that ask for it, then priority, then signature id.

use crate::signature::{Action, Signature};

/// Sorts into evaluation order; signatures that are equal in every respect keep their order.
pub(crate) fn sort(signatures: &mut [Signature]) {
    signatures.sort_by_key(rank);
}

fn rank(signature: &Signature) -> (u8, u8, u8, u8, u32, u32) {
    let action = match signature.action {
        Action::Pass => 0,
        Action::Drop => 1,
        Action::Reject => 2,
        Action::Alert | Action::Config => 3,
    };
    let flowbits = state(!signature.flowbit_sets.is_empty(), !signature.flowbit_tests.is_empty());
    let flowint = state(!signature.flowint_sets.is_empty(), !signature.flowint_tests.is_empty());
    let extra = signature.extra.as_deref();
    let hostbits = state(
        extra.is_some_and(|extra| !extra.host_bit_sets.is_empty()),
        extra.is_some_and(|extra| !extra.host_bit_tests.is_empty()),
    );
    (action, flowbits, flowint, hostbits, signature.priority, signature.sid)
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

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;
    use crate::signature::{
        BitOperation, FlowbitSet, FlowbitTest, FlowintSet, FlowintTest, IntCondition, IntOperation,
        IntValue,
    };

    fn sets(s: &mut Signature) {
        s.flowbit_sets.push(FlowbitSet { bit: 1, operation: BitOperation::Set });
    }

    fn asks(s: &mut Signature) {
        s.flowbit_tests.push(FlowbitTest { any_of: vec![1], negated: false });
    }

    fn counts(s: &mut Signature) {
        let (operation, value) = (IntOperation::Add, IntValue::Literal(1));
        s.flowint_sets.push(FlowintSet { variable: 1, operation, value });
    }

    fn compares(s: &mut Signature) {
        s.flowint_tests.push(FlowintTest { variable: 1, condition: IntCondition::IsSet });
    }

    fn order(mut signatures: Vec<Signature>) -> Vec<u32> {
        sort(&mut signatures);
        signatures.iter().map(|s| s.sid).collect()
    }

    #[test]
    fn pass_comes_first_whatever_else_it_says() {
        let act = |sid, action| rule("tcp", sid).with(|s| s.action = action);
        let pass = act(4, Action::Pass).with(|s| s.priority = 9);
        let rules = vec![act(1, Action::Alert), act(2, Action::Reject), act(3, Action::Drop), pass];
        assert_eq!(order(rules), [4, 3, 2, 1]);
    }

    #[test]
    fn who_sets_a_flowbit_comes_before_who_asks_for_it() {
        let rules = vec![
            rule("tcp", 1).with(|s| s.priority = 1),
            rule("tcp", 2).with(asks),
            rule("tcp", 3).with(asks).with(sets),
            rule("tcp", 4).with(sets).with(|s| s.priority = 9),
        ];
        assert_eq!(order(rules), [4, 3, 2, 1]);
    }

    #[test]
    fn flowints_decide_among_equal_flowbits() {
        let rules = vec![
            rule("tcp", 1).with(compares),
            rule("tcp", 2).with(compares).with(counts),
            rule("tcp", 3).with(counts),
            rule("tcp", 4).with(compares).with(sets),
        ];
        assert_eq!(order(rules), [4, 3, 2, 1]);
    }

    #[test]
    fn priority_then_sid_then_place_decide_the_rest() {
        let first = rule("tcp", 5).with(|s| s.gid = 9);
        let second = rule("tcp", 5).with(|s| s.gid = 2);
        let mut rules = vec![
            rule("tcp", 8),
            first,
            second,
            rule("tcp", 9).with(|s| s.priority = 1),
            rule("tcp", 7).with(|s| s.priority = 4),
        ];
        assert_eq!(order(rules.clone()), [9, 5, 5, 8, 7]);
        sort(&mut rules);
        assert_eq!(rules.iter().map(|s| s.gid).collect::<Vec<_>>()[1..3], [9, 2]);
    }
}
