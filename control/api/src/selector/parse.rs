//! The parser: one loop over operands and what may follow them, open parentheses on a stack of
//! its own, nodes in an arena.

use super::cursor::Cursor;
use super::error::SelectorError;
use super::program::{Leaf, Node, Program, Shape, Span, TRUE, Test};

/// An open parenthesis, or the whole text.
struct Group {
    /// Where the parenthesis stands, for the message when it is never closed.
    offset: usize,
    /// Whether an odd number of `!` stands before it.
    negated: bool,
    /// Where this group's or-list begins in [`Parser::open`].
    or_start: usize,
    /// Where its current and-list begins there.
    and_start: usize,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    program: Program,
    /// Finished nodes that have no parent yet.
    open: Vec<u32>,
}

/// Parses `text` and links the result for evaluation.
pub(super) fn parse(text: &str) -> Result<Program, SelectorError> {
    // Spans and node numbers are 32 bits, and two jump targets are taken.
    if text.len() >= (u32::MAX / 2) as usize {
        return Err(SelectorError::at(text, 0, "selector of 2 GiB or more"));
    }
    let program = Program {
        source: text.into(),
        leaves: Vec::new(),
        sets: Vec::new(),
        nodes: Vec::new(),
        children: Vec::new(),
    };
    let mut parser = Parser { cursor: Cursor::new(text), program, open: Vec::new() };
    parser.selector()?;
    let mut program = parser.program;
    program.link();
    Ok(program)
}

impl Parser<'_> {
    fn selector(&mut self) -> Result<(), SelectorError> {
        self.cursor.skip_blanks();
        if self.cursor.at_end() {
            self.leaf(Test::All, Span::EMPTY, Span::EMPTY, false);
            return Ok(());
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut group = Group { offset: 0, negated: false, or_start: 0, and_start: 0 };
        loop {
            let negated = self.negations();
            let offset = self.cursor.offset();
            if self.cursor.eat("(") {
                let start = self.open.len();
                let inner = Group { offset, negated, or_start: start, and_start: start };
                groups.push(std::mem::replace(&mut group, inner));
                continue;
            }
            self.operand(negated)?;
            // Any number of `)` may follow, then `&&`, `||` or the end.
            loop {
                self.cursor.skip_blanks();
                if self.cursor.eat("&&") {
                    break;
                }
                if self.cursor.eat("||") {
                    self.close_and(&mut group);
                    break;
                }
                if self.cursor.at_end() {
                    if !groups.is_empty() {
                        let message = format!(
                            "expected ) for the ( at column {}, found the end",
                            self.cursor.error_at(group.offset, "").column
                        );
                        return Err(self.cursor.error_at(self.cursor.offset(), message));
                    }
                    self.close_or(&mut group);
                    return Ok(());
                }
                if groups.is_empty() {
                    return Err(self.cursor.expected("&&, || or the end"));
                }
                if !self.cursor.eat(")") {
                    return Err(self.cursor.expected("&&, || or )"));
                }
                self.close_or(&mut group);
                let negated = group.negated;
                if let Some(outer) = groups.pop() {
                    group = outer;
                }
                if negated {
                    self.negate();
                }
            }
        }
    }

    /// Reads a run of `!` and says whether it negates.
    fn negations(&mut self) -> bool {
        let mut negated = false;
        loop {
            self.cursor.skip_blanks();
            if !self.cursor.eat("!") {
                return negated;
            }
            negated = !negated;
        }
    }

    /// One test: `has(x)`, `all()`, `global()` or a label with its match.
    fn operand(&mut self, negated: bool) -> Result<(), SelectorError> {
        let Some(label) = self.cursor.identifier()? else {
            return Err(self.cursor.expected("a label, has(…), all(), global(), ! or ("));
        };
        // These are keywords only with the parenthesis right behind them.
        match self.cursor.text(label) {
            "has" if self.cursor.eat("(") => {
                self.cursor.skip_blanks();
                let Some(label) = self.cursor.identifier()? else {
                    return Err(self.cursor.expected("a label inside has( )"));
                };
                self.close_call("has(")?;
                self.leaf(Test::Has, label, Span::EMPTY, negated);
            }
            "all" if self.cursor.eat("(") => {
                self.close_call("all(")?;
                self.leaf(Test::All, Span::EMPTY, Span::EMPTY, negated);
            }
            "global" if self.cursor.eat("(") => {
                self.close_call("global(")?;
                self.leaf(Test::Global, Span::EMPTY, Span::EMPTY, negated);
            }
            _ => self.label_match(label, negated)?,
        }
        Ok(())
    }

    fn close_call(&mut self, call: &str) -> Result<(), SelectorError> {
        self.cursor.skip_blanks();
        if self.cursor.eat(")") {
            return Ok(());
        }
        Err(self.cursor.expected(format_args!("the closing ) of {call}")))
    }

    fn label_match(&mut self, label: Span, negated: bool) -> Result<(), SelectorError> {
        let test = self.operator(label)?;
        self.cursor.skip_blanks();
        let operand = match test {
            Test::In | Test::NotIn => self.set()?,
            _ => match self.cursor.string()? {
                Some(value) => value,
                None => return Err(self.cursor.expected("a string in quotes")),
            },
        };
        self.leaf(test, label, operand, negated);
        Ok(())
    }

    /// The operator after a label. Words end at a word boundary, and the two halves of a
    /// two-word operator may stand together or apart.
    fn operator(&mut self, label: Span) -> Result<Test, SelectorError> {
        self.cursor.skip_blanks();
        if self.cursor.eat("==") {
            return Ok(Test::Equal);
        }
        if self.cursor.eat("!=") {
            return Ok(Test::NotEqual);
        }
        let here = self.cursor.offset();
        if self.cursor.eat("=") {
            return Err(self.cursor.error_at(here, "expected ==, found a single ="));
        }
        let missing = self.cursor.expected(format_args!(
            "an operator (==, !=, in, not in, contains, starts with, ends with) after label `{}`",
            shorten(self.cursor.text(label)),
        ));
        let (test, second) = match self.cursor.word() {
            "in" => return Ok(Test::In),
            "notin" => return Ok(Test::NotIn),
            "contains" => return Ok(Test::Contains),
            "startswith" => return Ok(Test::StartsWith),
            "endswith" => return Ok(Test::EndsWith),
            "not" => (Test::NotIn, "in"),
            "starts" => (Test::StartsWith, "with"),
            "ends" => (Test::EndsWith, "with"),
            _ => return Err(missing),
        };
        self.cursor.skip_blanks();
        if self.cursor.word() == second { Ok(test) } else { Err(missing) }
    }

    /// A set of strings; the result is its range in [`Program::sets`].
    fn set(&mut self) -> Result<Span, SelectorError> {
        if !self.cursor.eat("{") {
            return Err(self.cursor.expected("a set in braces, as in {\"a\", \"b\"}"));
        }
        let start = self.program.sets.len();
        loop {
            self.cursor.skip_blanks();
            let Some(value) = self.cursor.string()? else { break };
            self.program.sets.push(value);
            self.cursor.skip_blanks();
            if !self.cursor.eat(",") {
                break;
            }
        }
        if !self.cursor.eat("}") {
            return Err(self.cursor.expected("a string in quotes, a comma or } in the set"));
        }
        let mut members = self.program.sets.split_off(start);
        members.sort_unstable_by_key(|&member| self.cursor.text(member));
        members.dedup_by_key(|member| self.cursor.text(*member));
        self.program.sets.append(&mut members);
        Ok(Span { start: start as u32, end: self.program.sets.len() as u32 })
    }

    fn leaf(&mut self, test: Test, label: Span, operand: Span, negated: bool) {
        let index = self.program.leaves.len() as u32;
        self.program.leaves.push(Leaf { test, label, operand, if_true: TRUE, if_false: TRUE });
        self.node(Shape::Leaf(index), index);
        if negated {
            self.negate();
        }
    }

    fn node(&mut self, shape: Shape, first_leaf: u32) {
        self.open.push(self.program.nodes.len() as u32);
        self.program.nodes.push(Node { shape, first_leaf });
    }

    /// Puts a NOT over the node finished last.
    fn negate(&mut self) {
        if let Some(child) = self.open.pop() {
            let first_leaf = self.program.nodes[child as usize].first_leaf;
            self.node(Shape::Not(child), first_leaf);
        }
    }

    fn close_and(&mut self, group: &mut Group) {
        self.close_list(group.and_start, Shape::And);
        group.and_start = self.open.len();
    }

    fn close_or(&mut self, group: &mut Group) {
        self.close_and(group);
        self.close_list(group.or_start, Shape::Or);
    }

    /// Makes one node of the open nodes from `start` on; a single one stays as it is, which is
    /// how redundant parentheses vanish.
    fn close_list(&mut self, start: usize, shape: fn(u32, u32) -> Shape) {
        if self.open.len() <= start + 1 {
            return;
        }
        let first = self.program.children.len() as u32;
        self.program.children.extend(self.open.drain(start..));
        let last = self.program.children.len() as u32;
        let first_child = self.program.children[first as usize];
        let first_leaf = self.program.nodes[first_child as usize].first_leaf;
        self.node(shape(first, last), first_leaf);
    }
}

/// A label in a message; a name may be 512 bytes long.
fn shorten(label: &str) -> String {
    match label.get(..48) {
        Some(start) if label.len() > 48 => format!("{start}…"),
        _ => label.to_owned(),
    }
}
