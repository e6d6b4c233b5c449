//! Hostile expressions and subjects end in an error, not in a stall or a crash.

use std::time::{Duration, Instant};

use pcre2::{Flags, Limits, MatchError, MatchOptions, Matcher, Regex};

const PLAIN: MatchOptions = MatchOptions { anchored: false, not_empty_at_start: false };

fn both(pattern: &[u8]) -> [Regex; 2] {
    let interpreted = Regex::compile(pattern, Flags::default()).unwrap();
    let mut machine = Regex::compile(pattern, Flags::default()).unwrap();
    machine.compile_jit().unwrap();
    [interpreted, machine]
}

#[test]
fn catastrophic_backtracking_ends_at_the_limit() {
    let subject = [vec![b'a'; 5000], b"!".to_vec()].concat();
    let mut matcher = Matcher::new().unwrap();
    for pattern in ["^(a+)+$", "^(a|a)*$", "(.*a){12}$", r"^(\w|aa)*$"] {
        for regex in both(pattern.as_bytes()) {
            let start = Instant::now();
            let result = regex.find_at(&mut matcher, &subject, 0, PLAIN);
            assert_eq!(result, Err(MatchError::Limit), "{pattern}");
            assert!(start.elapsed() < Duration::from_secs(1), "{pattern}");
            assert_eq!(matcher.group(0), None);
        }
    }
    // The matcher goes on to work.
    for regex in both(b"a!") {
        assert_eq!(regex.find_at(&mut matcher, &subject, 0, PLAIN), Ok(Some(4999..5001)));
    }
}

#[test]
fn a_higher_limit_lets_a_costly_search_finish() {
    let subject = [vec![b'a'; 16], b"!".to_vec()].concat();
    let strict = Limits { matches: 100, ..Limits::default() };
    let lenient = Limits { matches: 10_000_000, depth: 10_000_000, ..Limits::default() };
    let mut matcher = Matcher::with_limits(strict, 1).unwrap();
    for regex in both(b"^(a+)+$") {
        matcher.set_limits(strict);
        assert_eq!(regex.find_at(&mut matcher, &subject, 0, PLAIN), Err(MatchError::Limit));
        matcher.set_limits(lenient);
        assert_eq!(regex.find_at(&mut matcher, &subject, 0, PLAIN), Ok(None));
    }
}

#[test]
fn nested_attempts_end_at_the_depth_limit_and_the_heap_limit() {
    let many = Limits { matches: u32::MAX, ..Limits::default() };
    let shallow = Limits { depth: 100, ..many };
    let little_heap = Limits { depth: u32::MAX, heap_kib: 30, ..many };
    let ample = Limits { depth: u32::MAX, heap_kib: 64 * 1024, ..many };
    let [interpreted, _] = both(b"^(?:a|b)*c");
    let subject = [vec![b'a'; 5000], b"c".to_vec()].concat();
    let find = |limits| {
        let mut matcher = Matcher::with_limits(limits, 1).unwrap();
        interpreted.find_at(&mut matcher, &subject, 0, PLAIN)
    };
    assert_eq!(find(shallow), Err(MatchError::Limit));
    assert_eq!(find(little_heap), Err(MatchError::Limit));
    assert_eq!(find(ample), Ok(Some(0..5001)));
}

#[test]
fn machine_code_ends_at_its_own_stack() {
    let subject = [vec![b'a'; 200_000], b"c".to_vec()].concat();
    let [_, machine] = both(b"^(?:(a)|b)*c");
    let find = |jit_stack_kib| {
        let limits = Limits { matches: u32::MAX, jit_stack_kib, ..Limits::default() };
        let mut matcher = Matcher::with_limits(limits, 1).unwrap();
        machine.find_at(&mut matcher, &subject, 0, PLAIN)
    };
    assert_eq!(find(0), Err(MatchError::Limit));
    assert_eq!(find(64), Err(MatchError::Limit));
    assert_eq!(find(64 * 1024), Ok(Some(0..200_001)));
}

#[test]
fn an_expression_can_lower_the_limits_but_not_raise_them() {
    let subject = [vec![b'a'; 14], b"!".to_vec()].concat();
    let mut matcher = Matcher::new().unwrap();
    for (pattern, limits) in [
        ("(*LIMIT_MATCH=50)^(a+)+$", Limits { matches: 1_000_000, ..Limits::default() }),
        ("(*LIMIT_MATCH=1000000)^(a+)+$", Limits { matches: 50, ..Limits::default() }),
    ] {
        matcher.set_limits(limits);
        for regex in both(pattern.as_bytes()) {
            assert_eq!(regex.find_at(&mut matcher, &subject, 0, PLAIN), Err(MatchError::Limit));
        }
    }
}

#[test]
fn endless_recursion_is_an_error() {
    let mut matcher = Matcher::new().unwrap();
    for regex in both(b"^(a?(?1)b|c)") {
        assert!(regex.find_at(&mut matcher, b"aaaaaaaaab", 0, PLAIN).is_err());
    }
}

#[test]
fn hostile_expressions_compile_or_are_refused_in_little_time_and_stack() {
    let start = Instant::now();
    let groups = [
        ("(", ")"),
        ("(?:a", ")+"),
        ("(?=", ")"),
        ("(?<=", ")"),
        ("(?:", "){3}"),
        ("(?:", "){1,9}"),
        ("(?:a|(?:", ")+)*b"),
        ("(?<=a|(?:", "))b"),
        ("(?(?=a)", "|b)"),
        ("[", ""),
        ("(?#", ""),
    ];
    for (open, close) in groups {
        for depth in [5, 20, 100, 249, 250, 1000, 20_000] {
            let source = format!("{}b{}", open.repeat(depth), close.repeat(depth));
            if let Ok(mut regex) = Regex::compile(source.as_bytes(), Flags::default()) {
                // Whether it can be translated or matched is not the question here.
                let _ = regex.compile_jit();
                let mut matcher = Matcher::new().unwrap();
                let _ = regex.find_at(&mut matcher, &[b'a'; 300], 0, PLAIN);
            }
        }
    }
    let deep = format!("{}a{}", "(".repeat(251), ")".repeat(251));
    assert!(Regex::compile(deep.as_bytes(), Flags::default()).is_err());
    let large = Regex::compile(b"((((a{1000}){1000}){1000}){1000})", Flags::default());
    assert!(large.unwrap_err().message.contains("too large"));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}
