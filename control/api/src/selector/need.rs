//! What labels an endpoint must have for a selector to match it: enough to leave most endpoints
//! unasked. The strongest single requirement is found; whoever has it is asked the whole selector.

use super::program::{Node, Program, Shape, Span, Test};

/// A set of values longer than this is taken for "any value": it would narrow little.
const MAX_VALUES: usize = 64;

/// What must be so for a selector to match the labels of a namespaced endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need<'a> {
    /// It never matches.
    Never,
    /// A label must have one of these values.
    Values(&'a str, Vec<&'a str>),
    /// A label must be there.
    Present(&'a str),
    /// Nothing in particular.
    Anything,
}

/// [`Need`] in spans of the source.
#[derive(Debug, Clone)]
enum Ask {
    Never,
    Values(Span, Vec<Span>),
    Present(Span),
    Anything,
}

impl Ask {
    /// The smaller, the fewer endpoints fulfil it.
    fn rank(&self) -> usize {
        match self {
            Ask::Never => 0,
            Ask::Values(_, values) => values.len(),
            Ask::Present(_) => MAX_VALUES + 1,
            Ask::Anything => MAX_VALUES + 2,
        }
    }
}

impl Program {
    /// The strongest requirement of the whole selector.
    pub(super) fn need(&self) -> Need<'_> {
        // By node: what must be so for it to be true, and for it to be false.
        let mut asks: Vec<(Ask, Ask)> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let ask = self.ask_of(node, &asks);
            asks.push(ask);
        }
        match asks.pop().map(|(is_true, _)| is_true) {
            Some(Ask::Never) => Need::Never,
            Some(Ask::Values(label, values)) => Need::Values(
                self.text(label),
                values.into_iter().map(|value| self.text(value)).collect(),
            ),
            Some(Ask::Present(label)) => Need::Present(self.text(label)),
            Some(Ask::Anything) | None => Need::Anything,
        }
    }

    fn ask_of(&self, node: &Node, asks: &[(Ask, Ask)]) -> (Ask, Ask) {
        let child = |at: u32| asks.get(at as usize);
        match node.shape {
            Shape::Leaf(leaf) => match self.leaves.get(leaf as usize) {
                Some(leaf) => self.leaf_asks(leaf.test, leaf.label, leaf.operand),
                None => (Ask::Anything, Ask::Anything),
            },
            Shape::Not(of) => match child(of) {
                Some((is_true, is_false)) => (is_false.clone(), is_true.clone()),
                None => (Ask::Anything, Ask::Anything),
            },
            Shape::And(start, end) => {
                let all = || self.children_of(start, end).iter().filter_map(|&at| child(at));
                (best(all().map(|ask| &ask.0)), self.either(all().map(|ask| &ask.1)))
            }
            Shape::Or(start, end) => {
                let all = || self.children_of(start, end).iter().filter_map(|&at| child(at));
                (self.either(all().map(|ask| &ask.0)), best(all().map(|ask| &ask.1)))
            }
        }
    }

    fn leaf_asks(&self, test: Test, label: Span, operand: Span) -> (Ask, Ask) {
        let one = || Ask::Values(label, vec![operand]);
        let set = || match self.set(operand) {
            [] => Ask::Never,
            values if values.len() <= MAX_VALUES => Ask::Values(label, values.to_vec()),
            _ => Ask::Present(label),
        };
        match test {
            Test::All => (Ask::Anything, Ask::Never),
            Test::Global => (Ask::Never, Ask::Anything),
            Test::Has | Test::Contains | Test::StartsWith | Test::EndsWith => {
                (Ask::Present(label), Ask::Anything)
            }
            Test::Equal => (one(), Ask::Anything),
            Test::NotEqual => (Ask::Anything, one()),
            Test::In => (set(), Ask::Anything),
            Test::NotIn => (Ask::Anything, set()),
        }
    }

    /// What must be so where any of these must be: something only if all are about one label.
    fn either<'a>(&self, asks: impl Iterator<Item = &'a Ask>) -> Ask {
        let mut sum = Ask::Never;
        for ask in asks {
            sum = match (sum, ask) {
                (Ask::Never, other) => other.clone(),
                (sum, Ask::Never) => sum,
                (Ask::Values(label, mut values), Ask::Values(other, more))
                    if self.text(label) == self.text(*other) =>
                {
                    for value in more {
                        if !values.iter().any(|known| self.text(*known) == self.text(*value)) {
                            values.push(*value);
                        }
                    }
                    match values.len() <= MAX_VALUES {
                        true => Ask::Values(label, values),
                        false => Ask::Present(label),
                    }
                }
                (
                    Ask::Values(label, _) | Ask::Present(label),
                    Ask::Values(other, _) | Ask::Present(other),
                ) if self.text(label) == self.text(*other) => Ask::Present(label),
                _ => return Ask::Anything,
            };
        }
        sum
    }
}

/// The strongest of requirements that all must be met.
fn best<'a>(asks: impl Iterator<Item = &'a Ask>) -> Ask {
    asks.min_by_key(|ask| ask.rank()).cloned().unwrap_or(Ask::Anything)
}

#[cfg(test)]
mod tests {
    use super::super::Selector;
    use super::Need;

    fn need(text: &str) -> String {
        match Selector::parse(text).expect("valid").need() {
            Need::Never => "never".to_owned(),
            Need::Anything => "anything".to_owned(),
            Need::Present(label) => format!("has {label}"),
            Need::Values(label, values) => format!("{label} {}", values.join(",")),
        }
    }

    #[test]
    fn the_strongest_requirement_is_found() {
        for (selector, expected) in [
            ("", "anything"),
            ("!all()", "never"),
            ("global()", "never"),
            ("!global()", "anything"),
            ("a == 'x'", "a x"),
            ("a != 'x'", "anything"),
            ("!(a != 'x')", "a x"),
            ("has(a) && b in {'x', 'y'}", "b x,y"),
            ("b in {'x', 'y'} && c == 'z'", "c z"),
            ("a == 'x' || a == 'y' || a in {'x', 'z'}", "a x,y,z"),
            ("a == 'x' || a starts with 'y'", "has a"),
            ("a == 'x' || b == 'x'", "anything"),
            ("a == 'x' || global()", "a x"),
            ("a in {}", "never"),
            ("!(a not in {'x'} || !has(b))", "a x"),
            ("has(a) && !has(b)", "has a"),
        ] {
            assert_eq!(need(selector), expected, "{selector}");
        }
        let many: Vec<String> = (0..100).map(|n| format!("'{n}'")).collect();
        assert_eq!(need(&format!("a in {{{}}}", many.join(","))), "has a");
    }

    #[test]
    fn deep_nesting_is_no_matter() {
        let text = format!("{}a == 'x'{}", "!(".repeat(20_000), ")".repeat(20_000));
        assert_eq!(need(&text), "a x");
    }
}
