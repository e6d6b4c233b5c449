//! `flowbits` and `flowint`: what rules remember of a flow.

use rules::signature::{
    BitId, BitOperation, FlowbitSet, FlowbitTest, FlowintSet, FlowintTest, IntCondition, IntId,
    IntOperation, IntOperator, IntValue,
};

/// The most bits, and the most integers, that a flow remembers. Rule sets use a handful; the
/// bound keeps a hostile one from eating a core's memory.
const CAPACITY: usize = 256;

/// A flow's memory; empty for nearly every flow.
#[derive(Debug, Default, Clone)]
pub struct FlowVars {
    bits: Vec<BitId>,
    ints: Vec<(IntId, u32)>,
}

impl FlowVars {
    /// Is the bit set?
    pub fn is_set(&self, bit: BitId) -> bool {
        self.bits.binary_search(&bit).is_ok()
    }

    /// The bits that are set.
    pub fn bits(&self) -> impl Iterator<Item = BitId> {
        self.bits.iter().copied()
    }

    /// The integers that were set.
    pub fn ints(&self) -> impl Iterator<Item = (IntId, u32)> {
        self.ints.iter().copied()
    }

    /// Is nothing remembered?
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty() && self.ints.is_empty()
    }

    /// Does the test hold?
    pub fn bit_holds(&self, test: &FlowbitTest) -> bool {
        let any = test.any_of.iter().any(|&bit| self.is_set(bit));
        any != test.negated
    }

    /// Changes a bit.
    pub fn apply_bit(&mut self, change: FlowbitSet) {
        match (self.bits.binary_search(&change.bit), change.operation) {
            (Err(at), BitOperation::Set | BitOperation::Toggle) if self.bits.len() < CAPACITY => {
                self.bits.insert(at, change.bit);
            }
            (Ok(at), BitOperation::Unset | BitOperation::Toggle) => {
                self.bits.remove(at);
            }
            _ => {}
        }
    }

    fn int(&self, variable: IntId) -> Option<u32> {
        let at = self.ints.binary_search_by_key(&variable, |&(id, _)| id).ok()?;
        self.ints.get(at).map(|&(_, value)| value)
    }

    fn value(&self, value: IntValue) -> Option<u32> {
        match value {
            IntValue::Literal(n) => Some(n),
            IntValue::Variable(id) => self.int(id),
        }
    }

    /// Does the test hold? A variable that was never set fits no comparison.
    pub fn int_holds(&self, test: &FlowintTest) -> bool {
        let have = self.int(test.variable);
        match &test.condition {
            IntCondition::IsSet => have.is_some(),
            IntCondition::NotSet => have.is_none(),
            IntCondition::Compare(operator, with) => {
                let (Some(have), Some(with)) = (have, self.value(*with)) else { return false };
                match operator {
                    IntOperator::Less => have < with,
                    IntOperator::LessEqual => have <= with,
                    IntOperator::Equal => have == with,
                    IntOperator::NotEqual => have != with,
                    IntOperator::GreaterEqual => have >= with,
                    IntOperator::Greater => have > with,
                }
            }
        }
    }

    /// Changes a variable. Adding to one that was never set starts at zero.
    pub fn apply_int(&mut self, change: FlowintSet) {
        let Some(with) = self.value(change.value) else { return };
        let have = self.int(change.variable).unwrap_or(0);
        let value = match change.operation {
            IntOperation::Set => with,
            IntOperation::Add => have.saturating_add(with),
            IntOperation::Subtract => have.saturating_sub(with),
        };
        match self.ints.binary_search_by_key(&change.variable, |&(id, _)| id) {
            Ok(at) => {
                if let Some(slot) = self.ints.get_mut(at) {
                    slot.1 = value;
                }
            }
            Err(at) if self.ints.len() < CAPACITY => {
                self.ints.insert(at, (change.variable, value));
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_toggled_and_tested_in_alternatives() {
        let mut vars = FlowVars::default();
        vars.apply_bit(FlowbitSet { bit: 3, operation: BitOperation::Set });
        vars.apply_bit(FlowbitSet { bit: 1, operation: BitOperation::Toggle });
        vars.apply_bit(FlowbitSet { bit: 3, operation: BitOperation::Toggle });
        assert!(vars.bit_holds(&FlowbitTest { any_of: vec![1, 3], negated: false }));
        assert!(!vars.bit_holds(&FlowbitTest { any_of: vec![3], negated: false }));
        assert!(vars.bit_holds(&FlowbitTest { any_of: vec![3], negated: true }));
    }

    #[test]
    fn an_integer_counts_and_compares_only_once_it_is_set() {
        let mut vars = FlowVars::default();
        let at_least_one = FlowintTest {
            variable: 9,
            condition: IntCondition::Compare(IntOperator::GreaterEqual, IntValue::Literal(1)),
        };
        assert!(!vars.int_holds(&at_least_one));
        vars.apply_int(FlowintSet {
            variable: 9,
            operation: IntOperation::Add,
            value: IntValue::Literal(1),
        });
        assert!(vars.int_holds(&at_least_one));
    }

    #[test]
    fn a_flow_remembers_a_bounded_number_of_bits() {
        let mut vars = FlowVars::default();
        for bit in 0..10_000 {
            vars.apply_bit(FlowbitSet { bit, operation: BitOperation::Set });
        }
        assert_eq!(vars.bits.len(), CAPACITY);
    }
}
