//! An estimate of what an expression costs to compile, so that a hostile one is refused
//! before Hyperscan's compiler, which cannot be interrupted, spends hours on it.
//!
//! The compiler copies the body of a repeated group: twice for `*` and `+`, `n` times for
//! `{n}`. Nested, the copies multiply: `(?:(?:(?:a)+)+)+` doubles with every level, and
//! fifty levels never end. The estimate is the number of syntax characters after all
//! copying. Measured with libhyperscan 5.4.0: about 10 ms for a million of them; the
//! costliest of some 12,000 published expressions stays far below the limit.

/// The largest estimate that is compiled.
const LIMIT: u64 = 1 << 22;

/// The deepest nesting of groups, which the compiler walks by recursion. PCRE2's default.
const MAX_DEPTH: usize = 250;

/// Refuses an expression that would take too long to compile. An expression with wrong
/// syntax may pass: the compiler will say what is wrong with it.
pub(crate) fn check(source: &[u8]) -> Result<(), &'static str> {
    match estimate(source)? {
        cost if cost > LIMIT => Err("too costly to compile: nested repeated groups"),
        _ => Ok(()),
    }
}

/// Characters after the copying of repeated groups.
fn estimate(source: &[u8]) -> Result<u64, &'static str> {
    // One element for each open group and one for the whole: the cost so far.
    let mut open = vec![0u64];
    let mut extended = false;
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        let rest = &source[at..];
        let mut cost = 1;
        at += match byte {
            b'\\' => escape_len(rest),
            b'[' => class_len(rest),
            b'#' if extended => return Err("comments in extended mode are not supported"),
            b'(' if rest.starts_with(b"(?#") => through(rest, b")"),
            b'(' => {
                if open.len() > MAX_DEPTH {
                    return Err("groups are nested too deeply");
                }
                extended |= switches_extended(rest);
                open.push(0);
                // Counted with the group's end.
                cost = 0;
                1
            }
            b')' if open.len() > 1 => {
                let body = open.pop().unwrap_or(0);
                cost = body.saturating_add(2).saturating_mul(copies(&rest[1..]));
                1
            }
            _ => 1,
        };
        if let Some(inner) = open.last_mut() {
            *inner = inner.saturating_add(cost);
        }
    }
    Ok(open.into_iter().fold(0, u64::saturating_add))
}

/// Length of the escape that `rest` starts with; a quotation `\Q…\E` is one escape.
fn escape_len(rest: &[u8]) -> usize {
    match rest.get(1) {
        Some(b'Q') => through(rest, br"\E"),
        Some(b'c') => 3,
        _ => 2,
    }
}

/// Length of the character class that `rest` starts with.
fn class_len(rest: &[u8]) -> usize {
    let mut at = if rest.starts_with(b"[^") { 2 } else { 1 };
    // A closing bracket in the first place is a member.
    if rest.get(at) == Some(&b']') {
        at += 1;
    }
    while let Some(&byte) = rest.get(at) {
        at += match byte {
            b']' => return at + 1,
            b'\\' => escape_len(&rest[at..]),
            b'[' => posix_class_len(&rest[at..]).unwrap_or(1),
            _ => 1,
        };
    }
    rest.len()
}

/// Length of a named class such as `[:alpha:]` within a class, if `rest` starts with one.
fn posix_class_len(rest: &[u8]) -> Option<usize> {
    let name = rest.strip_prefix(b"[:")?;
    let len = name.iter().position(|byte| !byte.is_ascii_alphabetic() && *byte != b'^')?;
    name[len..].starts_with(b":]").then_some(len + 4)
}

/// Length up to and with the first `end` in `rest`, or of all of it.
fn through(rest: &[u8], end: &[u8]) -> usize {
    let at = rest.windows(end.len()).skip(2).position(|window| window == end);
    at.map_or(rest.len(), |at| at + 2 + end.len())
}

/// Whether a group such as `(?ix)` or `(?x:` turns on a mode in which `#` hides what
/// follows.
fn switches_extended(rest: &[u8]) -> bool {
    rest.strip_prefix(b"(?").is_some_and(|options| {
        options
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'^'))
            .any(|&byte| byte == b'x')
    })
}

/// How often the compiler writes a group that is followed by `rest`.
fn copies(rest: &[u8]) -> u64 {
    let rest = rest.trim_ascii_start();
    match rest.first() {
        Some(b'*' | b'+') => 2,
        Some(b'{') => rest[1..]
            .split(|byte| !byte.is_ascii_digit())
            .take(2)
            .map(|digits| {
                digits
                    .iter()
                    .fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')))
            })
            .fold(2, u64::max),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(source: &str) -> u64 {
        estimate(source.as_bytes()).unwrap()
    }

    #[test]
    fn repetition_multiplies_the_group_and_what_it_holds() {
        assert_eq!(cost("abc"), 3);
        assert_eq!(cost("(abc)"), 5);
        assert_eq!(cost("(abc)?"), 6);
        assert_eq!(cost("(abc)+"), 11);
        assert_eq!(cost("(abc) +"), 12);
        assert_eq!(cost("(abc){7}"), 5 * 7 + 3);
        assert_eq!(cost("(abc){2,9}"), 5 * 9 + 5);
        assert_eq!(cost("(abc){3,}"), 5 * 3 + 4);
        assert_eq!(cost("((a)+)+"), 2 * (2 * 3 + 1 + 2) + 1);
    }

    #[test]
    fn nested_repetition_is_refused_and_ordinary_expressions_are_not() {
        let nested = |depth: usize| format!("{}a{}", "(?:".repeat(depth), ")+".repeat(depth));
        assert!(check(nested(10).as_bytes()).is_ok());
        assert!(check(nested(50).as_bytes()).is_err());
        assert!(check(nested(240).as_bytes()).is_err());
        let deep = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(check(deep(250).as_bytes()).is_ok());
        assert!(check(deep(251).as_bytes()).is_err());
        assert!(check("(((a){1000}){1000}){1000}".as_bytes()).is_err());
        assert!(check(r"^(?:[a-z0-9]{1,63}\.){1,126}(?:com|net)$".as_bytes()).is_ok());
        assert!(check("(a){99999999999999999999999}".as_bytes()).is_err());
    }

    #[test]
    fn parentheses_that_open_or_close_nothing_are_not_counted() {
        // In each a group of four characters is repeated twice; what precedes it hides
        // nothing, though it looks like a bracket, a group's end or an escape.
        for before in [
            r"\(",
            r"\)",
            r"\\",
            r"\c\",
            r"\c(",
            "[(]",
            "[)]",
            "[])]",
            "[^])]",
            r"[\])]",
            "[[:alpha:])]",
            "[[)]",
            r"\Q)[\E",
            r"\Q\\E",
            r"[\Q]\E)]",
            "(?#[)",
            r"(?#\)",
        ] {
            let alone = cost(before);
            assert_eq!(cost(&format!("{before}(a{before}b)+")), alone + 2 * (alone + 4) + 1);
        }
    }

    #[test]
    fn comments_that_could_hide_a_bracket_are_refused() {
        assert!(check(b"(?x)a # )\n").is_err());
        assert!(check(b"(?i-s:a#b)").is_ok());
        assert!(check(b"a # b").is_ok());
    }

    #[test]
    fn unfinished_expressions_end() {
        for source in ["(", "((", ")", "[", "[^", "[]", "[[:", r"\", r"\c", r"\Q", "(?#", "(a){"] {
            assert!(check(source.as_bytes()).is_ok(), "{source}");
        }
    }
}
