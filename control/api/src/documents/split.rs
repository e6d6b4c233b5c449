//! Cuts a YAML stream into its documents, so that a broken one leaves the others whole.
//! Lines that begin with `---` or `...` end a document wherever they stand (YAML 1.2.2, 9.1.2:
//! no scalar may hold one), so no parsing is needed.

/// The text of one document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// The text, with its `---` line if it has one.
    pub(super) text: &'a str,
    /// How many lines of the stream stand before it.
    pub(super) lines_before: usize,
    /// Which line of the stream is the document's first with content, 1-based.
    pub(super) first_line: usize,
    /// Which document of the stream it is, 1-based; empty documents count.
    pub(super) number: usize,
}

/// The documents that have content.
pub(super) fn documents(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut open = Open::default();
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let starts = is_marker(line, "---");
        let ends = is_marker(line, "...");
        // What stands before the first `---` is no document of its own unless it has content.
        if ends || (starts && (open.explicit || open.first_line.is_some())) {
            open.close(text, offset, &mut chunks);
        }
        let after = offset + line.len();
        if ends || starts {
            open = Open { number: open.number, ..Open::default() };
            open.start = if starts { offset } else { after };
            open.lines_before = if starts { index } else { index + 1 };
            open.explicit = starts;
        }
        let content = if starts { line.get(3..).unwrap_or_default() } else { line };
        if !ends && open.first_line.is_none() && has_content(content, open.explicit) {
            open.first_line = Some(index + 1);
        }
        offset = after;
    }
    open.close(text, offset, &mut chunks);
    chunks
}

/// The document being read.
#[derive(Default)]
struct Open {
    start: usize,
    lines_before: usize,
    first_line: Option<usize>,
    /// Begun by `---`.
    explicit: bool,
    /// How many documents were closed before.
    number: usize,
}

impl Open {
    fn close<'a>(&mut self, text: &'a str, end: usize, chunks: &mut Vec<Chunk<'a>>) {
        if self.explicit || self.first_line.is_some() {
            self.number += 1;
        }
        if let (Some(first_line), Some(text)) = (self.first_line, text.get(self.start..end)) {
            let lines_before = self.lines_before;
            chunks.push(Chunk { text, lines_before, first_line, number: self.number });
        }
    }
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// Comments, blank lines and, before a `---`, directives are none.
fn has_content(line: &str, explicit: bool) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && (explicit || !line.starts_with('%'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(text: &str) -> Vec<(&str, usize, usize)> {
        documents(text).into_iter().map(|c| (c.text, c.first_line, c.number)).collect()
    }

    #[test]
    fn documents_end_at_markers_only() {
        assert_eq!(
            shape("a: 1\n--- # two\nb: 2\n...\nc: |\n  ---\n"),
            [("a: 1\n", 1, 1), ("--- # two\nb: 2\n", 3, 2), ("c: |\n  ---\n", 5, 3),]
        );
        assert_eq!(shape("a: 1\n---b: 2\n"), [("a: 1\n---b: 2\n", 1, 1)]);
        assert_eq!(
            shape("--- {a: 1}\r\n---\r\nb: 2"),
            [("--- {a: 1}\r\n", 1, 1), ("---\r\nb: 2", 3, 2)]
        );
    }

    #[test]
    fn empty_documents_are_counted_but_not_returned() {
        assert_eq!(shape("# header\n---\n---\n# nothing\n---\na: 1\n"), [("---\na: 1\n", 6, 3)]);
        assert_eq!(shape("%YAML 1.2\n---\na: 1\n"), [("---\na: 1\n", 3, 1)]);
        assert_eq!(shape(""), []);
        assert_eq!(shape("\n# only\n...\n"), []);
    }

    proptest! {
        #[test]
        fn chunks_are_disjoint_pieces_in_order(
            lines in prop::collection::vec(
                prop::sample::select(vec!["---", "...", "--- x", "a: 1", "", "# c", "%T"]), 0..20)
        ) {
            let text = lines.join("\n");
            let mut after = 0;
            for chunk in documents(&text) {
                let start = chunk.text.as_ptr() as usize - text.as_ptr() as usize;
                prop_assert!(start >= after);
                after = start + chunk.text.len();
                prop_assert_eq!(text[..start].matches('\n').count(), chunk.lines_before);
                prop_assert!(chunk.first_line > chunk.lines_before);
            }
        }
    }
}
