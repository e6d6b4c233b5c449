//! Evaluates a signature's tests on one buffer, with Suricata's meaning of relative matches:
//! where a later test depends on a match's place, every place of the match is tried.

use memchr::memmem;
use pcre2::{MatchOptions, Matcher};
use rules::signature::{Content, MAX_VARIABLES, Number, Pcre, Test};

use super::{asn1, base64, numbers};

/// How many steps the verification of one signature on one buffer may take.
pub const STEP_BUDGET: u32 = 3000;

/// What an evaluation needs besides the buffer; owned by a core and used again and again.
#[derive(Debug)]
pub struct Verifier {
    matcher: Matcher,
    variables: [u64; MAX_VARIABLES],
    /// What `base64_decode` yields.
    decoded: Vec<u8>,
    steps: u32,
    /// Evaluations given up since the last [`Verifier::take_exceeded`].
    exceeded: u64,
}

/// A buffer as the tests see it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// Where they stand in the stream: `depth` is measured from the stream's start.
    pub stream_offset: u64,
    /// A match must reach beyond this index: what lies before was inspected already.
    pub new_from: usize,
}

impl<'a> View<'a> {
    /// A buffer that stands for itself.
    pub fn whole(data: &'a [u8]) -> Self {
        Self { data, stream_offset: 0, new_from: 0 }
    }
}

/// How one branch of the evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// All tests hold.
    Yes,
    /// They do not from here; another place of an earlier match might do.
    No,
    /// They never will, whatever place an earlier match takes.
    Never,
}

/// Where the evaluation stands.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    /// End of the last match.
    at: usize,
    /// The furthest byte that any match reached.
    reach: usize,
}

impl Verifier {
    /// A verifier with Suricata's limits for expressions.
    pub fn new() -> Result<Self, pcre2::OutOfMemory> {
        Ok(Self {
            matcher: Matcher::new()?,
            variables: [0; MAX_VARIABLES],
            decoded: Vec::new(),
            steps: 0,
            exceeded: 0,
        })
    }

    /// Forgets the last signature's variables.
    pub fn begin(&mut self) {
        self.variables = [0; MAX_VARIABLES];
    }

    /// How many evaluations ran out of their budget since the last call.
    pub fn take_exceeded(&mut self) -> u64 {
        std::mem::take(&mut self.exceeded)
    }

    /// How many evaluations ran out of their budget since the last [`Self::take_exceeded`].
    #[inline]
    pub fn exceeded(&self) -> u64 {
        self.exceeded
    }

    /// Do all tests hold on this buffer?
    pub fn holds(&mut self, tests: &[Test], view: View<'_>) -> bool {
        self.steps = STEP_BUDGET;
        let found = self.run(tests, view, Cursor::default());
        if self.steps == 0 {
            self.exceeded += 1;
        }
        found == Found::Yes
    }

    /// Recursion is bounded by the number of tests of a rule, never by input.
    fn run(&mut self, tests: &[Test], view: View<'_>, mut cursor: Cursor) -> Found {
        for (i, test) in tests.iter().enumerate() {
            if self.steps == 0 {
                return Found::Never;
            }
            self.steps -= 1;
            let rest = tests.get(i + 1..).unwrap_or(&[]);
            match test {
                Test::Content(content) if content.negated => {
                    if !self.absent(content, view, cursor) {
                        return if content.is_relative() { Found::No } else { Found::Never };
                    }
                }
                Test::Content(content) if content.relative_next => {
                    return self.each_place(content, rest, view, cursor);
                }
                Test::Content(content) => match self.first_place(content, view, cursor) {
                    Some(end) => cursor.advance(end),
                    None if content.is_relative() => return Found::No,
                    None => return Found::Never,
                },
                Test::Pcre(pcre) if !pcre.negated && pcre.relative_next => {
                    return self.each_expression(pcre, rest, view, cursor);
                }
                Test::Pcre(pcre) => {
                    let found = self.expression(pcre, view, cursor, 0);
                    match (found, pcre.negated) {
                        (Some((_, end)), false) => cursor.advance(end),
                        (None, true) => {}
                        _ if pcre.relative => return Found::No,
                        _ => return Found::Never,
                    }
                }
                Test::ByteTest(t) => {
                    match numbers::byte_test(t, view.data, cursor.at, &self.variables) {
                        true => {}
                        false if t.relative => return Found::No,
                        false => return Found::Never,
                    }
                }
                Test::ByteJump(t) => {
                    match numbers::byte_jump(t, view.data, cursor.at, &self.variables) {
                        Some(at) => cursor.at = at,
                        None if t.relative => return Found::No,
                        None => return Found::Never,
                    }
                }
                Test::ByteExtract(t) => match numbers::byte_extract(t, view.data, cursor.at) {
                    Some((value, end)) => {
                        if let Some(slot) = self.variables.get_mut(usize::from(t.slot)) {
                            *slot = value;
                        }
                        cursor.advance(end);
                    }
                    None if t.relative => return Found::No,
                    None => return Found::Never,
                },
                Test::ByteMath(t) => {
                    match numbers::byte_math(t, view.data, cursor.at, &self.variables) {
                        Some((value, end)) => {
                            if let Some(slot) = self.variables.get_mut(usize::from(t.slot)) {
                                *slot = value;
                            }
                            cursor.advance(end);
                        }
                        None if t.relative => return Found::No,
                        None => return Found::Never,
                    }
                }
                Test::Base64(t) => {
                    let mut decoded = std::mem::take(&mut self.decoded);
                    let end = base64::decode(t, view.data, cursor.at, &mut decoded);
                    let holds = end.is_some()
                        && !t.tests.is_empty()
                        && self.run(&t.tests, View::whole(&decoded), Cursor::default())
                            == Found::Yes;
                    self.decoded = decoded;
                    let Some(end) = end.filter(|_| holds) else {
                        return if t.relative { Found::No } else { Found::Never };
                    };
                    // Nothing behind it is looked at.
                    let reach = cursor.reach.max(end);
                    let new = view.new_from == 0 || reach > view.new_from;
                    return if new { Found::Yes } else { Found::No };
                }
                Test::IsDataAt(t) => {
                    let distance = self.number(t.offset);
                    let there = if t.relative {
                        cursor.at as i64 + distance <= view.data.len() as i64
                    } else {
                        distance < view.data.len() as i64
                    };
                    if there == t.negated {
                        return if t.relative { Found::No } else { Found::Never };
                    }
                }
                Test::Asn1(t) => {
                    if !asn1::holds(t, view.data, cursor.at) {
                        return Found::Never;
                    }
                }
                Test::Data(t) => {
                    if !t.holds(view.data) {
                        return Found::Never;
                    }
                }
                // looked at file by file
                Test::FileHash(_) => return Found::Never,
                Test::Size(compare) => {
                    if !compare.holds(view.stream_offset + view.data.len() as u64) {
                        return Found::Never;
                    }
                }
            }
        }
        // With nothing that has a place (a size, an absence) the whole buffer is what matched.
        let reach = if cursor.reach == 0 { view.data.len() } else { cursor.reach };
        if view.new_from == 0 || reach > view.new_from { Found::Yes } else { Found::No }
    }

    /// Tries every place of a content whose place matters to the next test.
    fn each_place(
        &mut self,
        content: &Content,
        rest: &[Test],
        view: View<'_>,
        cursor: Cursor,
    ) -> Found {
        let mut from = None;
        loop {
            if self.steps == 0 {
                return Found::Never;
            }
            self.steps -= 1;
            let Some(end) = self.place(content, view, cursor, from) else {
                return if from.is_none() && !content.is_relative() {
                    Found::Never
                } else {
                    Found::No
                };
            };
            let mut next = cursor;
            next.advance(end);
            match self.run(rest, view, next) {
                Found::No => {}
                decided => return decided,
            }
            from = Some(end + 1 - content.pattern.len());
        }
    }

    fn each_expression(
        &mut self,
        pcre: &Pcre,
        rest: &[Test],
        view: View<'_>,
        cursor: Cursor,
    ) -> Found {
        let mut skip = 0;
        loop {
            if self.steps == 0 {
                return Found::Never;
            }
            self.steps -= 1;
            let Some((start, end)) = self.expression(pcre, view, cursor, skip) else {
                return if skip == 0 && !pcre.relative { Found::Never } else { Found::No };
            };
            let mut next = cursor;
            next.advance(end);
            match self.run(rest, view, next) {
                Found::No => {}
                decided => return decided,
            }
            let origin = if pcre.relative { cursor.at } else { 0 };
            skip = start + 1 - origin;
        }
    }

    fn first_place(&self, content: &Content, view: View<'_>, cursor: Cursor) -> Option<usize> {
        self.place(content, view, cursor, None)
    }

    /// A negated content holds where its pattern is not in its window (or, with `endswith`, not
    /// at the buffer's end).
    fn absent(&self, content: &Content, view: View<'_>, cursor: Cursor) -> bool {
        self.place(content, view, cursor, None).is_none()
    }

    /// The end of the content's first match at or after `from` within its window.
    fn place(
        &self,
        content: &Content,
        view: View<'_>,
        cursor: Cursor,
        from: Option<usize>,
    ) -> Option<usize> {
        let (low, high) = self.window(content, view, cursor)?;
        let low = from.map_or(low, |from| from.max(low));
        let length = content.pattern.len();
        if length == 0 || high.checked_sub(low)? < length {
            return None;
        }
        if content.ends_with {
            // Only one place can end the buffer.
            let start = view.data.len().checked_sub(length)?;
            return (start >= low
                && view.data.len() <= high
                && same(view.data.get(start..)?, &content.pattern, content.nocase))
            .then_some(view.data.len());
        }
        let window = view.data.get(low..high)?;
        find(window, content).map(|at| low + at + length)
    }

    /// First and last (exclusive) index that the content may cover; None: nowhere.
    fn window(&self, content: &Content, view: View<'_>, cursor: Cursor) -> Option<(usize, usize)> {
        let length = view.data.len() as i64;
        let at = cursor.at as i64;
        let (mut low, mut high);
        if content.is_relative() {
            let distance = content.distance.map_or(0, |n| self.number(n));
            low = (at + distance).max(0);
            high = length;
            if let Some(within) = content.within {
                high = high.min(at + distance + self.number(within));
            }
            if let Some(depth) = content.depth {
                high = high.min(at + self.number(depth));
            }
            if let Some(offset) = content.offset {
                low = low.max(self.number(offset));
            }
        } else {
            low = content.offset.map_or(0, |n| self.number(n));
            high = length;
            if let Some(depth) = content.depth {
                let depth = low.saturating_add(self.number(depth));
                let before = i64::try_from(view.stream_offset).unwrap_or(i64::MAX);
                if before != 0 && depth <= before {
                    return None;
                }
                high = high.min(depth - before);
            }
        }
        if low < 0 || low > length || high <= low {
            return None;
        }
        Some((usize::try_from(low).ok()?, usize::try_from(high).ok()?))
    }

    /// Start and end of the expression's match; `skip` bytes of its subject are passed over.
    fn expression(
        &mut self,
        pcre: &Pcre,
        view: View<'_>,
        cursor: Cursor,
        skip: usize,
    ) -> Option<(usize, usize)> {
        let origin = if pcre.relative { cursor.at } else { 0 };
        let subject = view.data.get(origin..)?;
        if skip > subject.len() {
            return None;
        }
        match pcre.regex.find_at(&mut self.matcher, subject, skip, MatchOptions::default()) {
            Ok(found) => found.map(|range| (origin + range.start, origin + range.end)),
            Err(_) => {
                self.exceeded += 1;
                None
            }
        }
    }

    fn number(&self, number: Number) -> i64 {
        numbers::value(number, &self.variables)
    }
}

impl Cursor {
    fn advance(&mut self, end: usize) {
        self.at = end;
        self.reach = self.reach.max(end);
    }
}

fn same(bytes: &[u8], pattern: &[u8], nocase: bool) -> bool {
    if nocase { bytes.eq_ignore_ascii_case(pattern) } else { bytes == pattern }
}

/// Places of a pattern's rarest byte that are looked at before the search goes on by a searcher made for the pattern:
/// to make one takes as long as to look at some of them, but it does not slow down on bytes that are chosen for that.
const BYTES_BEFORE_SEARCHER: u32 = 32;

/// First place of the content's pattern; with `nocase` that is lower case already. Looks for its rarest byte, then
/// compares.
fn find(window: &[u8], content: &Content) -> Option<usize> {
    let pattern = &*content.pattern;
    let last_start = window.len().checked_sub(pattern.len())?;
    let (before, &rarest) = match pattern.get(usize::from(content.rarest)) {
        Some(byte) => (usize::from(content.rarest), byte),
        None => (0, pattern.first()?),
    };
    // Where the rarest byte may stand.
    let places = window.get(before..=before + last_start)?;
    let (lower, upper) = (rarest, rarest.to_ascii_uppercase());
    let two_cases = content.nocase && lower != upper;
    let mut from = 0;
    for looked_at in 0.. {
        if looked_at == BYTES_BEFORE_SEARCHER && !content.nocase {
            return memmem::find(window.get(from..)?, pattern).map(|at| from + at);
        }
        let rest = places.get(from..)?;
        let at = from
            + if two_cases {
                memchr::memchr2(lower, upper, rest)?
            } else {
                memchr::memchr(rarest, rest)?
            };
        if same(window.get(at..at + pattern.len())?, pattern, content.nocase) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod find_tests {
    use proptest::prelude::*;

    use super::*;

    /// A content of the pattern, searched by the byte at `rarest`.
    fn content(pattern: &[u8], nocase: bool, rarest: u8) -> Content {
        Content { nocase, rarest, ..Content::new(pattern.into()) }
    }

    /// What is to be found, said in the plainest way.
    fn first(window: &[u8], pattern: &[u8], nocase: bool) -> Option<usize> {
        window.windows(pattern.len()).position(|bytes| same(bytes, pattern, nocase))
    }

    proptest! {
        #[test]
        fn a_pattern_is_found_at_its_first_place_by_any_of_its_bytes(
            window in "[abAB]{0,200}",
            pattern in "[ab]{1,9}",
            (nocase, rarest) in any::<(bool, u8)>(),
        ) {
            let (window, pattern) = (window.as_bytes(), pattern.as_bytes());
            let searched = content(pattern, nocase, rarest % 12);
            prop_assert_eq!(find(window, &searched), first(window, pattern, nocase));
        }
    }

    #[test]
    fn the_search_goes_on_behind_many_places_of_the_byte_it_looks_for() {
        let mut window = b"ab".repeat(500);
        assert_eq!(find(&window, &content(b"ac", false, 0)), None);
        assert_eq!(find(&window, &content(b"ac", true, 0)), None);
        window.extend(b"xac");
        assert_eq!(find(&window, &content(b"ac", false, 0)), Some(1001));
        assert_eq!(find(&window, &content(b"ac", true, 0)), Some(1001));
    }
}
