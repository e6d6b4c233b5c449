//! A parsed selector as flat arrays: leaves with two jumps each for evaluation, nodes for text.
//! Both are walked by loops, so neither evaluating nor dropping depends on the stack.

use super::labels::Labels;

/// A piece of the source text, in bytes; offsets fit because longer sources are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) const EMPTY: Span = Span { start: 0, end: 0 };
}

/// What a leaf asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    All,
    Global,
    Has,
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    In,
    NotIn,
}

/// One test, and the leaf to go to next by its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    pub(super) test: Test,
    /// The label's name; empty for `all()` and `global()`.
    pub(super) label: Span,
    /// The value in the source, or for `in` and `not in` a range of [`Program::sets`].
    pub(super) operand: Span,
    /// A later leaf, or [`TRUE`] or [`FALSE`].
    pub(super) if_true: u32,
    pub(super) if_false: u32,
}

/// Jump target: the selector matches.
pub(super) const TRUE: u32 = u32::MAX;
/// Jump target: the selector does not match.
pub(super) const FALSE: u32 = u32::MAX - 1;

/// The shape of the expression, for its canonical text and for placing the jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) shape: Shape,
    /// The leaf that evaluation of this node begins with.
    pub(super) first_leaf: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Index into [`Program::leaves`].
    Leaf(u32),
    /// Index into [`Program::nodes`].
    Not(u32),
    /// Range of [`Program::children`], at least two.
    And(u32, u32),
    /// Range of [`Program::children`], at least two.
    Or(u32, u32),
}

/// The whole selector.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) source: Box<str>,
    /// In the order of the source; evaluation starts at the first and only jumps forward.
    pub(super) leaves: Vec<Leaf>,
    /// The values of all sets, each set sorted bytewise and without repetitions.
    pub(super) sets: Vec<Span>,
    /// Children before their parents; the last one is the root.
    pub(super) nodes: Vec<Node>,
    pub(super) children: Vec<u32>,
}

impl Program {
    /// The text of a span.
    pub(super) fn text(&self, span: Span) -> &str {
        self.source.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The values of a set, by the operand of its leaf.
    pub(super) fn set(&self, operand: Span) -> &[Span] {
        self.sets.get(operand.start as usize..operand.end as usize).unwrap_or_default()
    }

    /// The children of an and-list or an or-list.
    pub(super) fn children_of(&self, start: u32, end: u32) -> &[u32] {
        self.children.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Gives every leaf its two jumps. Each node inherits where to go when true and when false:
    /// a NOT swaps them, a list sends its children on to their next sibling.
    pub(super) fn link(&mut self) {
        let Some(root) = self.nodes.len().checked_sub(1) else { return };
        let mut work = vec![(root as u32, TRUE, FALSE)];
        while let Some((node, if_true, if_false)) = work.pop() {
            match self.nodes[node as usize].shape {
                Shape::Leaf(index) => {
                    let leaf = &mut self.leaves[index as usize];
                    leaf.if_true = if_true;
                    leaf.if_false = if_false;
                }
                Shape::Not(child) => work.push((child, if_false, if_true)),
                Shape::And(start, end) => {
                    let children = self.children_of(start, end);
                    for (at, &child) in children.iter().enumerate() {
                        let next = children.get(at + 1).map(|&n| self.nodes[n as usize].first_leaf);
                        work.push((child, next.unwrap_or(if_true), if_false));
                    }
                }
                Shape::Or(start, end) => {
                    let children = self.children_of(start, end);
                    for (at, &child) in children.iter().enumerate() {
                        let next = children.get(at + 1).map(|&n| self.nodes[n as usize].first_leaf);
                        work.push((child, if_true, next.unwrap_or(if_false)));
                    }
                }
            }
        }
    }

    /// Runs the tests from the first leaf until one jumps out. `global` is what `global()` says.
    pub(super) fn evaluate(&self, labels: &(impl Labels + ?Sized), global: bool) -> bool {
        let mut at = 0;
        while let Some(leaf) = self.leaves.get(at as usize) {
            at = if self.ask(leaf, labels, global) { leaf.if_true } else { leaf.if_false };
        }
        at == TRUE
    }

    fn ask(&self, leaf: &Leaf, labels: &(impl Labels + ?Sized), global: bool) -> bool {
        match leaf.test {
            Test::All => return true,
            Test::Global => return global,
            _ => {}
        }
        let Some(value) = labels.get(self.text(leaf.label)) else {
            return matches!(leaf.test, Test::NotEqual | Test::NotIn);
        };
        match leaf.test {
            Test::All | Test::Has => true,
            Test::Global => global,
            Test::Equal => value == self.text(leaf.operand),
            Test::NotEqual => value != self.text(leaf.operand),
            Test::Contains => value.contains(self.text(leaf.operand)),
            Test::StartsWith => value.starts_with(self.text(leaf.operand)),
            Test::EndsWith => value.ends_with(self.text(leaf.operand)),
            Test::In => self.is_in(value, leaf.operand),
            Test::NotIn => !self.is_in(value, leaf.operand),
        }
    }

    fn is_in(&self, value: &str, operand: Span) -> bool {
        self.set(operand).binary_search_by(|&member| self.text(member).cmp(value)).is_ok()
    }
}
