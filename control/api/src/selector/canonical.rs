//! The canonical text of a selector, as Calico writes it: double quotes unless the value holds
//! one, sets sorted, every and/or list in parentheses, NOT a bare `!`.

use super::program::{Leaf, Program, Shape, Span, Test};

/// What is still to be written, last first.
enum Rest {
    Node(u32),
    Text(&'static str),
}

/// Writes the expression from its root with an explicit stack.
pub(super) fn text(program: &Program) -> String {
    let mut out = String::with_capacity(program.source.len() + 16);
    let Some(root) = program.nodes.len().checked_sub(1) else { return out };
    let mut rest = vec![Rest::Node(root as u32)];
    while let Some(next) = rest.pop() {
        let node = match next {
            Rest::Text(text) => {
                out.push_str(text);
                continue;
            }
            Rest::Node(node) => node,
        };
        match program.nodes[node as usize].shape {
            Shape::Leaf(index) => leaf(program, &program.leaves[index as usize], &mut out),
            Shape::Not(child) => {
                out.push('!');
                rest.push(Rest::Node(child));
            }
            Shape::And(start, end) => list(program, start, end, " && ", &mut out, &mut rest),
            Shape::Or(start, end) => list(program, start, end, " || ", &mut out, &mut rest),
        }
    }
    out
}

fn list(
    program: &Program,
    start: u32,
    end: u32,
    between: &'static str,
    out: &mut String,
    rest: &mut Vec<Rest>,
) {
    out.push('(');
    rest.push(Rest::Text(")"));
    for (at, &child) in program.children_of(start, end).iter().enumerate().rev() {
        rest.push(Rest::Node(child));
        if at > 0 {
            rest.push(Rest::Text(between));
        }
    }
}

fn leaf(program: &Program, leaf: &Leaf, out: &mut String) {
    let label = program.text(leaf.label);
    let operator = match leaf.test {
        Test::All => return out.push_str("all()"),
        Test::Global => return out.push_str("global()"),
        Test::Has => {
            out.push_str("has(");
            out.push_str(label);
            return out.push(')');
        }
        Test::Equal => " == ",
        Test::NotEqual => " != ",
        Test::Contains => " contains ",
        Test::StartsWith => " starts with ",
        Test::EndsWith => " ends with ",
        Test::In => " in ",
        Test::NotIn => " not in ",
    };
    out.push_str(label);
    out.push_str(operator);
    if matches!(leaf.test, Test::In | Test::NotIn) {
        out.push('{');
        for (at, &member) in program.set(leaf.operand).iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            quoted(program, member, out);
        }
        out.push('}');
    } else {
        quoted(program, leaf.operand, out);
    }
}

/// No value holds both kinds of quotes: strings have no escapes, so none could be written.
fn quoted(program: &Program, value: Span, out: &mut String) {
    let value = program.text(value);
    let quote = if value.contains('"') { '\'' } else { '"' };
    out.push(quote);
    out.push_str(value);
    out.push(quote);
}
