//! What the types promise: no reads past the slack, no scan with a scratch that is too
//! small, no damaged database, no crash by a hostile pattern.

use hyperscan::{
    CompileError, Database, DeserializeError, MatchQueue, Padded, PaddedBuf, Pattern, RegexFlags,
    SLACK, ScanError, Scratch,
};
use proptest::prelude::*;

fn literals(count: u32) -> Vec<Pattern> {
    (0..count).map(|id| Pattern::literal(id, format!("pat{id:03}tern"))).collect()
}

fn padded(bytes: &[u8]) -> PaddedBuf {
    let mut buffer = PaddedBuf::new();
    buffer.extend_from_slice(bytes);
    buffer
}

fn count(database: &Database, scratch: &mut Scratch, data: &PaddedBuf) -> Result<usize, ScanError> {
    let mut queue = MatchQueue::with_limit(1000);
    database.scan(data.as_padded(), scratch, &mut queue).map(|()| queue.len())
}

/// Two pages of which the second may not be touched.
struct GuardedPage {
    start: *mut u8,
    page: usize,
}

impl GuardedPage {
    fn new() -> Self {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        // SAFETY: a fresh private mapping at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                page * 2,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        let start = start.cast::<u8>();
        // SAFETY: the second page belongs to the mapping above and nothing points to it.
        let done = unsafe { libc::mprotect(start.add(page).cast(), page, libc::PROT_NONE) };
        assert_eq!(done, 0);
        Self { start, page }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the first page is mapped, zeroed, writable and borrowed through `self`.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.page) }
    }
}

impl Drop for GuardedPage {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what was mapped; no borrow outlives `self`.
        unsafe { libc::munmap(self.start.cast(), self.page * 2) };
    }
}

/// Literals of 2 to 10 random letters, always the same ones: of many such sets, those of 5
/// to 80 literals make libhyperscan 5.4.0 read up to three bytes too far.
fn random_literals(count: u32) -> Vec<Pattern> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(count);
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    (0..count)
        .map(|id| {
            let letters: Vec<u8> = (0..2 + next(9)).map(|_| b'a' + next(26) as u8).collect();
            Pattern::literal(id, letters).nocase(next(2) == 0)
        })
        .collect()
}

#[test]
fn no_scan_reads_past_the_slack_at_a_pages_edge() {
    let mut guarded = GuardedPage::new();
    for count in [1, 5, 6, 8, 15, 20, 30, 50, 60, 79, 80, 81, 200] {
        let patterns = random_literals(count);
        let database = Database::compile(&patterns).unwrap();
        let mut scratch = Scratch::for_databases([&database]).unwrap();
        for len in (0..140).chain([500, 1400, 4000]) {
            // A literal at the very end, behind letters that begin others.
            for (pattern, fill) in patterns.iter().take(8).flat_map(|p| [(p, b'a'), (p, b'z')]) {
                let page = guarded.bytes();
                let (start, end) = (page.len() - SLACK - len, page.len() - SLACK);
                page.fill(fill);
                let fits = pattern.bytes.len() <= len;
                if fits {
                    page[end - pattern.bytes.len()..end].copy_from_slice(&pattern.bytes);
                }
                let data = Padded::new(page, start..end).unwrap();
                let mut queue = MatchQueue::with_limit(database.pattern_count());
                database.scan(data, &mut scratch, &mut queue).unwrap();
                let found = queue.as_slice().iter().any(|found| found.id == pattern.id);
                assert!(found || !fits, "{count} patterns, {len} bytes");
            }
        }
    }
}

#[test]
fn no_regex_scan_reads_past_the_slack_at_a_pages_edge() {
    let mut guarded = GuardedPage::new();
    let patterns: Vec<_> = (0..50)
        .map(|id| {
            let source = format!(r"k{id:02}\d{{1,4}}=[^&\n]{{3,9}}v");
            Pattern::regex(id, source, RegexFlags::default())
        })
        .collect();
    let database = Database::compile(&patterns).unwrap();
    let mut scratch = Scratch::for_databases([&database]).unwrap();
    for len in (12..140).chain([500, 1400, 4000]) {
        let page = guarded.bytes();
        let start = page.len() - SLACK - len;
        page.fill(b'k');
        page[start + len - 12..start + len].copy_from_slice(b"k07123=abcdv");
        let data = Padded::new(page, start..start + len).unwrap();
        let mut queue = MatchQueue::with_limit(database.pattern_count());
        database.scan(data, &mut scratch, &mut queue).unwrap();
        assert_eq!(queue.as_slice().iter().map(|m| m.id).collect::<Vec<_>>(), [7], "{len}");
    }
}

#[test]
fn one_scratch_serves_all_databases_that_it_was_made_for() {
    let small = Database::compile(&literals(1)).unwrap();
    let large = Database::compile(&literals(500)).unwrap();
    let regex = Database::compile(&[Pattern::regex(
        1,
        "a[^b]{40,90}b.*c{3,}",
        RegexFlags { dotall: true, ..RegexFlags::default() },
    )])
    .unwrap();
    let mut scratch = Scratch::for_databases([&small, &regex, &large]).unwrap();
    let mut clone = scratch.try_clone().unwrap();
    assert!(scratch.size() > 0 && clone.size() > 0);
    let data = padded(b"pat000tern pat499tern");
    for _ in 0..3 {
        for scratch in [&mut scratch, &mut clone] {
            assert_eq!(count(&small, scratch, &data), Ok(1));
            assert_eq!(count(&large, scratch, &data), Ok(2));
            assert_eq!(count(&regex, scratch, &data), Ok(0));
        }
    }
}

#[test]
fn a_scratch_made_for_other_databases_is_refused() {
    let known = Database::compile(&literals(50)).unwrap();
    let foreign = Database::compile(&literals(50)).unwrap();
    let data = padded(b"pat001tern");
    let mut scratch = Scratch::for_databases([&known]).unwrap();
    assert!(scratch.covers(&known) && !scratch.covers(&foreign));
    assert_eq!(count(&foreign, &mut scratch, &data), Err(ScanError::ForeignScratch));
    let mut clone = scratch.try_clone().unwrap();
    assert_eq!(count(&foreign, &mut clone, &data), Err(ScanError::ForeignScratch));
    assert_eq!(count(&known, &mut clone, &data), Ok(1));

    let mut none = Scratch::for_databases([]).unwrap();
    assert_eq!(none.size(), 0);
    assert_eq!(count(&known, &mut none, &data), Err(ScanError::ForeignScratch));
    assert_eq!(
        count(&known, &mut none.try_clone().unwrap(), &data),
        Err(ScanError::ForeignScratch)
    );
}

#[test]
fn a_scratch_outlives_its_databases() {
    let kept = Database::compile(&literals(5)).unwrap();
    let dropped = Database::compile(&literals(80)).unwrap();
    let mut scratch = Scratch::for_databases([&dropped, &kept]).unwrap();
    let data = padded(b"pat001tern");
    assert_eq!(count(&dropped, &mut scratch, &data), Ok(1));
    drop(dropped);
    assert_eq!(count(&kept, &mut scratch, &data), Ok(1));
    // A database that may well lie where the dropped one lay is not mistaken for it.
    let next = Database::compile(&literals(80)).unwrap();
    assert_eq!(count(&next, &mut scratch, &data), Err(ScanError::ForeignScratch));
}

#[test]
fn threads_share_a_database_each_with_its_own_scratch() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Database>();
    sync::<Database>();
    send::<Scratch>();
    send::<MatchQueue>();

    let database = Database::compile(&literals(80)).unwrap();
    let first = Scratch::for_databases([&database]).unwrap();
    std::thread::scope(|scope| {
        for id in 0..4 {
            let mut scratch = first.try_clone().unwrap();
            let database = &database;
            scope.spawn(move || {
                let data = padded(format!("{id} pat{id:03}tern").as_bytes());
                for _ in 0..1000 {
                    assert_eq!(count(database, &mut scratch, &data), Ok(1));
                }
            });
        }
    });
}

#[test]
fn a_serialized_database_comes_back_the_same() {
    let mut patterns = literals(80);
    patterns.push(Pattern::literal(900, "eviL").nocase(true).offsets(Some(20), Some(40)));
    let original = Database::compile(&patterns).unwrap();
    let bytes = original.serialize().unwrap();
    let copy = Database::deserialize(&bytes).unwrap();
    assert_eq!(copy.pattern_count(), 81);
    assert_eq!(copy.size(), original.size());
    assert_eq!(copy.serialize().unwrap(), bytes);
    drop(original);

    let mut scratch = Scratch::for_databases([&copy]).unwrap();
    assert_eq!(count(&copy, &mut scratch, &padded(b"EVIL pat007tern")), Ok(1));
    assert_eq!(count(&copy, &mut scratch, &padded(b"pat007tern pat008tern.EVIL")), Ok(3));
}

#[test]
fn damaged_databases_are_refused_with_the_reason() {
    let bytes = Database::compile(&literals(5)).unwrap().serialize().unwrap();
    let refused = |bytes: &[u8]| Database::deserialize(bytes).unwrap_err();

    assert_eq!(refused(b""), DeserializeError::NotADatabase);
    assert_eq!(refused(&bytes[..83]), DeserializeError::NotADatabase);
    assert!(matches!(refused(&bytes[..84]), DeserializeError::Length { found: 0, .. }));
    assert!(matches!(refused(&bytes[..bytes.len() - 1]), DeserializeError::Length { .. }));
    let longer = [&bytes[..], b"\0"].concat();
    assert!(matches!(refused(&longer), DeserializeError::Length { .. }));

    let mut other_version = bytes.clone();
    other_version[8] ^= 1;
    assert_eq!(refused(&other_version), DeserializeError::OtherLibrary);
    let mut other_count = bytes.clone();
    other_count[40] ^= 1;
    assert_eq!(refused(&other_count), DeserializeError::Checksum);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn one_flipped_bit_anywhere_is_noticed(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        static BYTES: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            Database::compile(&literals(20)).unwrap().serialize().unwrap()
        });
        let mut bytes = BYTES.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        prop_assert!(Database::deserialize(&bytes).is_err());
    }

    #[test]
    fn garbage_is_not_a_database(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Database::deserialize(&bytes).is_err());
    }

    #[test]
    fn any_bytes_as_an_expression_compile_or_are_refused(
        source in proptest::collection::vec(proptest::sample::select(
            br"ab(?:<=!)[]{}|*+.^$\dx01,-QEpLPiC#&".as_slice()), 0..24),
        prefilter in any::<bool>(),
    ) {
        let flags = RegexFlags { prefilter, allow_empty: true, ..RegexFlags::default() };
        if let Ok(database) = Database::compile(&[Pattern::regex(1, source, flags)]) {
            let mut scratch = Scratch::for_databases([&database]).unwrap();
            let found = count(&database, &mut scratch, &padded(b"abba 0x1 {}")).unwrap();
            prop_assert!(found <= 1);
        }
    }
}

#[test]
fn a_compile_error_names_the_pattern() {
    let fails = |patterns: &[Pattern]| Database::compile(patterns).unwrap_err();
    let good = Pattern::literal(1, "good");
    let regex = |source: &str| Pattern::regex(2, source, RegexFlags::default());

    let CompileError { pattern, message } = fails(&[good.clone(), regex("a(b")]);
    assert_eq!(pattern, Some(1));
    assert!(message.contains("parenthes"), "{message}");
    assert_eq!(fails(&[good.clone(), good.clone(), regex("(*UTF8)a")]).pattern, Some(2));
    assert_eq!(fails(&[regex("a(?=b)"), good.clone()]).pattern, Some(0));
    assert_eq!(fails(&[Pattern::literal(1, "")]).pattern, Some(0));
    assert_eq!(fails(&[Pattern::literal(1, "long").offsets(None, Some(3))]).pattern, Some(0));
    assert_eq!(fails(&[good.clone(), good.single_match(false)]).pattern, Some(1));
    assert_eq!(fails(&[]).pattern, None);
    assert_eq!(
        fails(&[regex("[")]).to_string().split(':').next(),
        Some("pattern 0 does not compile")
    );
}

#[test]
fn a_nested_expression_exhausts_neither_stack_nor_patience() {
    let start = std::time::Instant::now();
    let groups = [
        ("(", ")"),
        ("(?:a", ")+"),
        ("(?:a|", ")?b"),
        ("(?=", ")a"),
        ("(?:", "){3}"),
        ("(?:", "){1,9}"),
        ("(?:a|(?:", ")+)*b"),
        ("(?:[)]", ")*c"),
        (r"(?:\c\", ")*c"),
        ("(?#[)(?:", "[]])*c"),
        (r"(?:\Q)\E", ")*c"),
    ];
    for (open, close) in groups {
        for depth in [5, 10, 20, 50, 100, 250, 1000, 4000] {
            let source = format!("{}b{}y", open.repeat(depth), close.repeat(depth));
            let flags = RegexFlags { prefilter: true, ..RegexFlags::default() };
            // Whether it compiles is Hyperscan's business; that it returns is ours.
            let _ = Database::compile(&[Pattern::regex(1, source, flags)]);
        }
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
}
