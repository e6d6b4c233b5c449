//! What a scan reports, compared with a naive search.

use std::collections::{BTreeMap, BTreeSet};

use hyperscan::{Database, Match, MatchQueue, PaddedBuf, Pattern, RegexFlags, ScanError, Scratch};
use proptest::prelude::*;

fn padded(bytes: &[u8]) -> PaddedBuf {
    let mut buffer = PaddedBuf::with_capacity(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer
}

fn matches(patterns: &[Pattern], data: &[u8]) -> Vec<Match> {
    let database = Database::compile(patterns).unwrap();
    let mut scratch = Scratch::for_databases([&database]).unwrap();
    let mut queue = MatchQueue::growing(8, 1 << 20);
    database.scan(padded(data).as_padded(), &mut scratch, &mut queue).unwrap();
    queue.as_slice().to_vec()
}

fn ids(patterns: &[Pattern], data: &[u8]) -> BTreeSet<u32> {
    matches(patterns, data).into_iter().map(|found| found.id).collect()
}

/// Every end offset of a literal in `data` that its pattern allows.
fn naive_ends(pattern: &Pattern, data: &[u8]) -> BTreeSet<u32> {
    let same = |window: &[u8]| {
        if pattern.nocase {
            window.eq_ignore_ascii_case(&pattern.bytes)
        } else {
            window == pattern.bytes
        }
    };
    let (min, max) = (pattern.min_offset.unwrap_or(0), pattern.max_offset.unwrap_or(u64::MAX));
    data.windows(pattern.bytes.len())
        .enumerate()
        .filter(|(_, window)| same(window))
        .map(|(start, _)| start + pattern.bytes.len())
        .filter(|&end| (min..=max).contains(&(end as u64)))
        .map(|end| end as u32)
        .collect()
}

/// Few letters, both cases, NUL and a high byte: matches happen often.
fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(b"aAbB.\0\xff".as_slice()), len)
}

fn literal() -> impl Strategy<Value = Pattern> {
    (bytes(1..7), any::<bool>(), proptest::option::of(0u64..40), proptest::option::of(0u64..40))
        .prop_map(|(bytes, nocase, min, max)| {
            let max = max.map(|max| max + min.unwrap_or(0) + bytes.len() as u64);
            Pattern::literal(0, bytes).nocase(nocase).offsets(min, max)
        })
}

fn literals(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Pattern>> {
    proptest::collection::vec(literal(), count).prop_map(|mut patterns| {
        for (id, pattern) in patterns.iter_mut().enumerate() {
            // Scattered ids, so that an index is not mistaken for one.
            pattern.id = id as u32 * 1000 + 17;
        }
        patterns
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_match_of_5_to_80_literals_is_reported_and_nothing_else(
        patterns in literals(5..81),
        data in bytes(0..200),
    ) {
        let patterns: Vec<_> = patterns.into_iter().map(|p| p.single_match(false)).collect();
        let expected: BTreeSet<Match> = patterns
            .iter()
            .flat_map(|p| naive_ends(p, &data).into_iter().map(|end| Match { id: p.id, end }))
            .collect();
        let found: BTreeSet<Match> = matches(&patterns, &data).into_iter().collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn single_match_reports_each_id_once_with_its_first_end(
        patterns in literals(1..81),
        data in bytes(0..200),
    ) {
        let expected: BTreeMap<u32, u32> = patterns
            .iter()
            .filter_map(|p| Some((p.id, *naive_ends(p, &data).first()?)))
            .collect();
        let found = matches(&patterns, &data);
        prop_assert_eq!(found.len(), expected.len());
        prop_assert_eq!(found.into_iter().map(|m| (m.id, m.end)).collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn any_literal_of_any_bytes_is_found_where_it_was_put(
        literal in proptest::collection::vec(any::<u8>(), 1..64),
        before in proptest::collection::vec(any::<u8>(), 0..50),
        after in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let end = (before.len() + literal.len()) as u32;
        let data = [&before[..], &literal, &after].concat();
        let found = matches(&[Pattern::literal(3, literal).single_match(false)], &data);
        prop_assert!(found.iter().any(|found| found.end == end));
    }
}

#[test]
fn a_pattern_found_a_thousand_times_is_reported_once_by_default() {
    let data = b"evil".repeat(1000);
    let once = Pattern::literal(1, "evil");
    assert_eq!(matches(std::slice::from_ref(&once), &data), [Match { id: 1, end: 4 }]);
    assert_eq!(matches(&[once.single_match(false)], &data).len(), 1000);
}

#[test]
fn single_match_starts_anew_with_every_scan() {
    let database = Database::compile(&[Pattern::literal(1, "evil")]).unwrap();
    let mut scratch = Scratch::for_databases([&database]).unwrap();
    let mut queue = MatchQueue::with_limit(10);
    let data = padded(b"an evil thing");
    for _ in 0..3 {
        database.scan(data.as_padded(), &mut scratch, &mut queue).unwrap();
    }
    assert_eq!(queue.as_slice(), [Match { id: 1, end: 7 }; 3]);
}

#[test]
fn nocase_is_per_pattern() {
    let patterns = [Pattern::literal(1, "EviL").nocase(true), Pattern::literal(2, "EviL")];
    assert_eq!(ids(&patterns, b"..eVIl.."), BTreeSet::from([1]));
    assert_eq!(ids(&patterns, b"..EviL.."), BTreeSet::from([1, 2]));
}

#[test]
fn literals_that_begin_with_or_are_nothing_but_nul_match() {
    let patterns = [
        Pattern::literal(1, b"\0\0SMB".as_slice()),
        Pattern::literal(2, b"\0".as_slice()),
        Pattern::literal(3, b"\0\0\0\0".as_slice()),
    ];
    assert_eq!(ids(&patterns, b"x\0\0SMBx"), BTreeSet::from([1, 2]));
    assert_eq!(ids(&patterns, b"x\0\0\0\0"), BTreeSet::from([2, 3]));
    assert_eq!(ids(&patterns, b"SMB"), BTreeSet::new());
}

#[test]
fn metacharacters_in_a_literal_mean_themselves() {
    for literal in [r"\d", ".*", "[a-z]", "(a|b)", "^a$", "a{2}", r"\x41", "(?i)a", "#", r"\Q"] {
        let pattern = [Pattern::literal(1, literal)];
        assert_eq!(ids(&pattern, format!("--{literal}--").as_bytes()).len(), 1, "{literal}");
        assert_eq!(ids(&pattern, b"aab7 A zz").len(), 0, "{literal}");
    }
}

#[test]
fn the_slack_is_never_matched() {
    let mut data = padded(b"abcdef");
    data.truncate(3);
    let whole = b"abcdef0123456789012345";
    let part = hyperscan::Padded::prefix(whole, 3).unwrap();
    let database = Database::compile(&[
        Pattern::literal(1, "cd"),
        Pattern::literal(2, "bc"),
        Pattern::literal(3, b"\0".as_slice()),
    ])
    .unwrap();
    let mut scratch = Scratch::for_databases([&database]).unwrap();
    for data in [data.as_padded(), part] {
        let mut queue = MatchQueue::with_limit(10);
        database.scan(data, &mut scratch, &mut queue).unwrap();
        assert_eq!(queue.as_slice(), [Match { id: 2, end: 3 }]);
    }
}

#[test]
fn regex_flags_change_what_matches() {
    let with = |flags| [Pattern::regex(1, "^b.c$", flags)];
    let found = |flags, data: &[u8]| !ids(&with(flags), data).is_empty();
    let (plain, dotall, multiline) = (
        RegexFlags::default(),
        RegexFlags { dotall: true, ..RegexFlags::default() },
        RegexFlags { multiline: true, ..RegexFlags::default() },
    );
    assert!(found(plain, b"bxc") && !found(plain, b"b\nc") && !found(plain, b"a\nbxc\nd"));
    assert!(found(dotall, b"b\nc"));
    assert!(found(multiline, b"a\nbxc\nd"));
    let nocase = [Pattern::regex(1, "^b.c$", plain).nocase(true)];
    assert_eq!(ids(&nocase, b"BxC").len(), 1);
}

#[test]
fn a_prefilter_accepts_what_hyperscan_cannot_express_and_misses_nothing() {
    let source = r"(\w+)=evil(?!x)\1";
    assert!(Database::compile(&[Pattern::regex(1, source, RegexFlags::default())]).is_err());
    let prefilter = RegexFlags { prefilter: true, ..RegexFlags::default() };
    let patterns = [Pattern::regex(1, source, prefilter)];
    assert_eq!(ids(&patterns, b"q: ab=evilab"), BTreeSet::from([1]));
    assert_eq!(ids(&patterns, b"q: ab=good"), BTreeSet::new());
}

#[test]
fn an_expression_that_matches_nothing_at_all_needs_to_be_allowed() {
    let flags = RegexFlags::default();
    assert!(Database::compile(&[Pattern::regex(1, "a*", flags)]).is_err());
    let flags = RegexFlags { allow_empty: true, ..flags };
    assert_eq!(ids(&[Pattern::regex(1, "a*", flags)], b"zzz"), BTreeSet::from([1]));
    assert_eq!(ids(&[Pattern::regex(1, "a*", flags)], b""), BTreeSet::from([1]));
}

#[test]
fn a_full_queue_stops_the_scan_and_says_so() {
    let patterns: Vec<_> = (0..20).map(|id| Pattern::literal(id, vec![b'a' + id as u8])).collect();
    let database = Database::compile(&patterns).unwrap();
    assert_eq!(database.pattern_count(), 20);
    let mut scratch = Scratch::for_databases([&database]).unwrap();
    let data = padded(b"abcdefghijklmnopqrst");

    let mut queue = MatchQueue::with_limit(7);
    let result = database.scan(data.as_padded(), &mut scratch, &mut queue);
    assert_eq!(result, Err(ScanError::QueueFull));
    assert!(queue.overflowed());
    assert_eq!(queue.len(), 7);

    // The scratch is not left marked as in use by the scan that stopped.
    let mut queue = MatchQueue::with_limit(database.pattern_count());
    database.scan(data.as_padded(), &mut scratch, &mut queue).unwrap();
    assert_eq!(queue.len(), 20);
}
