//! What expressions match, interpreted and as machine code.

use std::ops::Range;

use pcre2::{Flags, MatchError, MatchOptions, Matcher, Regex};
use proptest::prelude::*;

const PLAIN: MatchOptions = MatchOptions { anchored: false, not_empty_at_start: false };

/// The expression, interpreted and as machine code.
fn both(pattern: &[u8], flags: Flags) -> [Regex; 2] {
    let interpreted = Regex::compile(pattern, flags).unwrap();
    let mut machine = Regex::compile(pattern, flags).unwrap();
    machine.compile_jit().unwrap();
    assert!(!interpreted.has_jit() && machine.has_jit());
    assert!(machine.size() > interpreted.size());
    [interpreted, machine]
}

fn find_with(pattern: &[u8], flags: Flags, subject: &[u8], start: usize) -> Option<Range<usize>> {
    let mut matcher = Matcher::new().unwrap();
    let [first, second] = both(pattern, flags)
        .map(|regex| regex.find_at(&mut matcher, subject, start, PLAIN).unwrap());
    assert_eq!(first, second);
    first
}

fn find(pattern: &str, subject: &[u8]) -> Option<Range<usize>> {
    find_with(pattern.as_bytes(), Flags::default(), subject, 0)
}

#[test]
fn each_flag_changes_what_matches() {
    let none = Flags::default();
    let found = |pattern: &str, flags, subject: &str| {
        find_with(pattern.as_bytes(), flags, subject.as_bytes(), 0)
    };
    assert_eq!(found("evil", none, "an EviL"), None);
    assert_eq!(found("evil", Flags { caseless: true, ..none }, "an EviL"), Some(3..7));
    assert_eq!(found("a.b", none, "a\nb"), None);
    assert_eq!(found("a.b", Flags { dotall: true, ..none }, "a\nb"), Some(0..3));
    assert_eq!(found("^b$", none, "a\nb\nc"), None);
    assert_eq!(found("^b$", Flags { multiline: true, ..none }, "a\nb\nc"), Some(2..3));
    assert_eq!(found("b", Flags { anchored: true, ..none }, "ab"), None);
    assert_eq!(found("a", Flags { anchored: true, ..none }, "ab"), Some(0..1));
    assert_eq!(found("b$", none, "b\n"), Some(0..1));
    assert_eq!(found("b$", Flags { dollar_endonly: true, ..none }, "b\n"), None);
    assert_eq!(found("a b # c", none, "ab"), None);
    assert_eq!(found("a b # c", Flags { extended: true, ..none }, "ab"), Some(0..2));
    assert_eq!(found("a+", none, "aaa"), Some(0..3));
    assert_eq!(found("a+", Flags { ungreedy: true, ..none }, "aaa"), Some(0..1));
}

#[test]
fn lookaround_and_back_references_work() {
    assert_eq!(find("foo(?=bar)", b"foobaz foobar"), Some(7..10));
    assert_eq!(find("foo(?!bar)", b"foobar foobaz"), Some(7..10));
    assert_eq!(find("(?<=user=)\\w+", b"id=3&user=eve"), Some(10..13));
    assert_eq!(find("(?<!x)y", b"xy zy"), Some(4..5));
    assert_eq!(find(r"(\w)(\w)\2\1", b"an abba"), Some(3..7));
    assert_eq!(find(r"(?<q>['\x22])[^'\x22]*\k<q>", b"a='b\" c'd'"), Some(7..10));
}

#[test]
fn a_lookbehind_sees_what_lies_before_the_start() {
    let subject = b"user=eve";
    assert_eq!(find_with(b"(?<=user=)eve", Flags::default(), subject, 5), Some(5..8));
    assert_eq!(find_with(br"\beve", Flags::default(), b"steve", 2), None);
    assert_eq!(find_with(b"^eve", Flags::default(), subject, 5), None);
    assert_eq!(find_with(br"\Geve", Flags::default(), subject, 5), Some(5..8));
    assert_eq!(find_with(br"\Geve", Flags::default(), subject, 4), None);
    let [regex, _] = both(b"(?<=user=)eve", Flags::default());
    assert_eq!((regex.max_lookbehind(), regex.min_length()), (5, 3));
}

#[test]
fn bytes_are_bytes_and_never_utf8() {
    assert_eq!(find(r"\xff\x00.", b"a\xff\x00\xfe"), Some(1..4));
    assert_eq!(find(r"^.{4}$", "€x".as_bytes()), Some(0..4));
    assert_eq!(find(r"[\x80-\xff]+", b"abc\x80\xc0\xffd"), Some(3..6));
    assert_eq!(find_with(b"\xe9\0", Flags::default(), b"caf\xe9\0", 0), Some(3..5));
    // A caseless search folds ASCII letters and nothing else.
    let caseless = Flags { caseless: true, ..Flags::default() };
    assert_eq!(find_with(b"\xe9", caseless, b"\xc9", 0), None);
    for asks_for_utf in ["(*UTF)a", "(*UTF8)a", "(*UCP)a"] {
        assert!(Regex::compile(asks_for_utf.as_bytes(), Flags::default()).is_err());
    }
}

#[test]
fn newline_is_a_line_feed_whatever_the_library_was_built_for() {
    assert_eq!(find("a.b", b"a\rb"), Some(0..3));
    assert_eq!(find("a.b", b"a\nb"), None);
}

#[test]
fn empty_matches_are_found_and_stepped_over() {
    assert_eq!(find("a*", b"baa"), Some(0..0));
    assert_eq!(find("", b""), Some(0..0));
    assert_eq!(find("$", b"ab"), Some(2..2));
    let mut matcher = Matcher::new().unwrap();
    let step = MatchOptions { not_empty_at_start: true, ..PLAIN };
    for regex in both(b"a*", Flags::default()) {
        assert_eq!(regex.find_at(&mut matcher, b"baa", 0, step), Ok(Some(1..3)));
        assert_eq!(regex.find_at(&mut matcher, b"baa", 3, PLAIN), Ok(Some(3..3)));
        assert_eq!(regex.find_at(&mut matcher, b"baa", 3, step), Ok(None));
    }
}

#[test]
fn an_anchored_search_looks_at_the_start_only() {
    let mut matcher = Matcher::new().unwrap();
    let anchored = MatchOptions { anchored: true, ..PLAIN };
    for regex in both(b"b", Flags::default()) {
        assert_eq!(regex.find_at(&mut matcher, b"abb", 0, anchored), Ok(None));
        assert_eq!(regex.find_at(&mut matcher, b"abb", 1, anchored), Ok(Some(1..2)));
    }
}

#[test]
fn a_start_beyond_the_end_is_an_error() {
    let mut matcher = Matcher::new().unwrap();
    for regex in both(b"a", Flags::default()) {
        assert_eq!(regex.find_at(&mut matcher, b"a", 1, PLAIN), Ok(None));
        for start in [2, usize::MAX] {
            let result = regex.find_at(&mut matcher, b"a", start, PLAIN);
            assert_eq!(result, Err(MatchError::StartBeyondEnd));
        }
    }
}

#[test]
fn groups_tell_where_they_matched_in_the_last_search() {
    let mut matcher = Matcher::new().unwrap();
    for regex in both(b"(a)|(?<b>b)(x)?(y)", Flags::default()) {
        assert_eq!(regex.capture_count(), 4);
        assert_eq!(regex.find_at(&mut matcher, b"..by", 0, PLAIN), Ok(Some(2..4)));
        assert_eq!(matcher.group(0), Some(2..4));
        assert_eq!(matcher.group(1), None);
        assert_eq!(matcher.group(2), Some(2..3));
        assert_eq!(matcher.group(3), None);
        assert_eq!(matcher.group(4), Some(3..4));
        assert_eq!(matcher.group(5), None);
        assert_eq!(matcher.group(usize::MAX), None);

        assert_eq!(regex.find_at(&mut matcher, b"a", 0, PLAIN), Ok(Some(0..1)));
        assert_eq!(matcher.group(1), Some(0..1));
        assert_eq!((matcher.group(2), matcher.group(4)), (None, None));

        assert_eq!(regex.find_at(&mut matcher, b"zz", 0, PLAIN), Ok(None));
        assert_eq!((matcher.group(0), matcher.group(1)), (None, None));
    }
}

#[test]
fn group_names_have_numbers() {
    let regex =
        Regex::compile(b"(?<user>\\w+)(@)(?P<host>[a-z.]+)(?'p'\\d)?", Flags::default()).unwrap();
    assert_eq!(regex.capture_index("user"), Some(1));
    assert_eq!(regex.capture_index("host"), Some(3));
    assert_eq!(regex.capture_index("p"), Some(4));
    assert_eq!(regex.capture_index("hos"), None);
    let names: Vec<_> = regex.capture_names().collect();
    assert_eq!(names, [("host", 3), ("p", 4), ("user", 1)]);
    assert_eq!(Regex::compile(b"(a)", Flags::default()).unwrap().capture_names().count(), 0);
}

#[test]
fn more_groups_than_there_is_room_for_do_no_harm() {
    let mut matcher = Matcher::with_limits(pcre2::Limits::default(), 2).unwrap();
    for regex in both(br"(a)(b)(c)(d)\4", Flags::default()) {
        assert_eq!(regex.find_at(&mut matcher, b"-abcdd", 0, PLAIN), Ok(Some(1..6)));
        assert_eq!(matcher.group(2), Some(2..3));
        assert_eq!(matcher.group(3), None);
    }
    let mut none = Matcher::with_limits(pcre2::Limits::default(), 0).unwrap();
    let [regex, _] = both(b"(a)b", Flags::default());
    assert_eq!(regex.find_at(&mut none, b"ab", 0, PLAIN), Ok(Some(0..2)));
    assert_eq!((none.group(0), none.group(1)), (Some(0..2), None));
}

#[test]
fn a_matcher_serves_many_expressions_and_outlives_them() {
    let mut matcher = Matcher::new().unwrap();
    for n in 0..50usize {
        for regex in both(format!("x{{{n}}}(y)").as_bytes(), Flags::default()) {
            let subject = [vec![b'x'; n], b"y".to_vec()].concat();
            assert_eq!(regex.find_at(&mut matcher, &subject, 0, PLAIN), Ok(Some(0..n + 1)));
        }
        assert_eq!(matcher.group(1), Some(n..n + 1));
    }
}

#[test]
fn threads_share_an_expression_each_with_its_own_matcher() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Regex>();
    sync::<Regex>();
    send::<Matcher>();

    let regexes = both(b"(\\d+)-\\1", Flags::default());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let mut matcher = Matcher::new().unwrap();
            let regexes = &regexes;
            scope.spawn(move || {
                let subject = format!("{thread}: 12-13 {thread}{thread}-{thread}{thread}");
                for regex in regexes.iter().cycle().take(2000) {
                    let found = regex.find_at(&mut matcher, subject.as_bytes(), 0, PLAIN);
                    assert_eq!(found, Ok(Some(9..14)));
                }
            });
        }
    });
}

#[test]
fn a_compile_error_says_what_and_where() {
    let error = Regex::compile(b"ab(cd", Flags::default()).unwrap_err();
    assert_eq!(error.offset, 5);
    assert!(error.message.contains("closing parenthesis"), "{error}");
    assert!(Regex::compile(b"a[z-a]", Flags::default()).is_err());
    assert!(Regex::compile(br"\", Flags::default()).is_err());
}

proptest! {
    #[test]
    fn a_quoted_literal_is_found_where_a_naive_search_finds_it(
        literal in proptest::collection::vec(any::<u8>(), 1..6),
        subject in proptest::collection::vec(any::<u8>(), 0..60),
        put in any::<proptest::sample::Index>(),
        start in any::<proptest::sample::Index>(),
    ) {
        let mut subject = subject;
        let at = put.index(subject.len() + 1);
        subject.splice(at..at, literal.iter().copied());
        let start = start.index(subject.len() + 1);
        let pattern: String = literal.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let expected = subject[start..]
            .windows(literal.len())
            .position(|window| window == literal)
            .map(|at| start + at..start + at + literal.len());
        let found = find_with(pattern.as_bytes(), Flags::default(), &subject, start);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn machine_code_agrees_with_the_interpreter_and_ranges_lie_within_the_subject(
        pattern in proptest::collection::vec(
            proptest::sample::select(br"ab(?:<=!)[]|*+.^$\dKG{2}".as_slice()), 0..16),
        subject in proptest::collection::vec(
            proptest::sample::select(b"ab\n2.".as_slice()), 0..30),
    ) {
        let Ok(interpreted) = Regex::compile(&pattern, Flags::default()) else { return Ok(()) };
        let mut machine = Regex::compile(&pattern, Flags::default()).unwrap();
        let mut matcher = Matcher::new().unwrap();
        let expected = interpreted.find_at(&mut matcher, &subject, 0, PLAIN);
        if let Ok(Some(range)) = &expected {
            prop_assert!(range.start <= range.end && range.end <= subject.len());
        }
        if machine.compile_jit().is_ok() {
            let found = machine.find_at(&mut matcher, &subject, 0, PLAIN);
            // Limits are counted differently.
            if expected != Err(MatchError::Limit) && found != Err(MatchError::Limit) {
                prop_assert_eq!(found, expected);
            }
        }
    }
}
