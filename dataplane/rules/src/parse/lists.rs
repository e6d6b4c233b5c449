//! The header's lists, `[a,!b,[c,$D]]`: flattened into signed items, variables resolved, without
//! recursion and within a bound.

use std::collections::BTreeMap;

use super::text::shown;

/// Named lists, by the name without its `$`.
pub(crate) type Group = BTreeMap<String, String>;

/// Items that one list may come to; nested variables could grow it without end.
const MOST_ITEMS: usize = 1 << 18;
/// Brackets within brackets.
const DEEPEST: usize = 64;

/// One thing still to be looked at.
struct Pending<'t> {
    text: &'t str,
    negated: bool,
    depth: usize,
    /// The innermost variable that it came from: index into the trail.
    from: Option<usize>,
}

/// What a list came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flat<'t> {
    /// Items and whether they are negated; two negations cancel out.
    pub(crate) items: Vec<(&'t str, bool)>,
    /// There was a `!` anywhere.
    pub(crate) negation: bool,
}

/// Why a list cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListError {
    /// The variable is not defined.
    Unknown(String),
    /// Anything else.
    Other(String),
}

impl From<String> for ListError {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}

impl From<&str> for ListError {
    fn from(reason: &str) -> Self {
        Self::Other(reason.to_owned())
    }
}

impl From<ListError> for String {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Unknown(name) => format!("variable `${name}` is not defined"),
            ListError::Other(reason) => reason,
        }
    }
}

/// Flattens a list.
pub(crate) fn flatten<'t>(text: &'t str, group: &'t Group) -> Result<Flat<'t>, ListError> {
    let mut flat = Flat { items: Vec::new(), negation: false };
    let mut trail: Vec<(&str, Option<usize>)> = Vec::new();
    let mut pending = Vec::new();
    let mut steps = 0usize;
    split(text, false, 0, None, &mut pending)?;
    if pending.is_empty() {
        return Err("empty list".into());
    }
    while let Some(Pending { text, mut negated, depth, from }) = pending.pop() {
        steps += 1;
        if steps > MOST_ITEMS {
            return Err(format!("list comes to more than {MOST_ITEMS} items").into());
        }
        let mut text = text;
        while let Some(rest) = text.strip_prefix('!') {
            negated = !negated;
            flat.negation = true;
            text = rest.trim_start();
        }
        if depth > DEEPEST {
            return Err(format!("lists are nested more than {DEEPEST} deep").into());
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or("brackets do not match")?;
            split(inner, negated, depth + 1, from, &mut pending)?;
        } else if let Some(name) = text.strip_prefix('$') {
            let (name, value) =
                group.get_key_value(name).ok_or_else(|| ListError::Unknown(name.to_owned()))?;
            let mut above = from;
            while let Some((outer, further)) = above.and_then(|at| trail.get(at)) {
                if *outer == name {
                    return Err(format!("variable `${name}` refers to itself").into());
                }
                above = *further;
            }
            trail.push((name, from));
            split(value, negated, depth, Some(trail.len() - 1), &mut pending)?;
        } else if text.is_empty() {
            return Err("empty item in a list".into());
        } else {
            flat.items.push((text, negated));
        }
    }
    Ok(flat)
}

/// Cuts a list's inside at its own commas; one comma may stand at the end.
fn split<'t>(
    text: &'t str,
    negated: bool,
    depth: usize,
    from: Option<usize>,
    pending: &mut Vec<Pending<'t>>,
) -> Result<(), String> {
    let mut open = 0usize;
    let mut start = 0;
    let mut add = |text: &'t str| pending.push(Pending { text: text.trim(), negated, depth, from });
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => open += 1,
            b']' => {
                open = open
                    .checked_sub(1)
                    .ok_or_else(|| format!("brackets do not match in `{}`", shown(text)))?;
            }
            b',' if open == 0 => {
                add(text.get(start..at).unwrap_or(""));
                start = at + 1;
            }
            _ => {}
        }
    }
    if open != 0 {
        return Err(format!("brackets do not match in `{}`", shown(text)));
    }
    let last = text.get(start..).unwrap_or("");
    if !last.trim().is_empty() {
        add(last);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(pairs: &[(&str, &str)]) -> Group {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn sorted<'t>(text: &'t str, group: &'t Group) -> Result<Vec<(&'t str, bool)>, String> {
        let mut items = flatten(text, group)?.items;
        items.sort_unstable();
        Ok(items)
    }

    #[test]
    fn nested_lists_and_variables_become_signed_items() {
        let group = group(&[("A", "[a, !b]"), ("NOT_A", "!$A")]);
        assert_eq!(
            sorted("[x,[y,!z],]", &group),
            Ok(vec![("x", false), ("y", false), ("z", true)])
        );
        assert_eq!(sorted("!$A", &group), Ok(vec![("a", true), ("b", false)]));
        assert_eq!(sorted("!$NOT_A", &group), Ok(vec![("a", false), ("b", true)]));
        assert_eq!(sorted("a,b", &group), Ok(vec![("a", false), ("b", false)]));
        assert_eq!(flatten("!!a", &group).map(|f| f.negation), Ok(true));
        assert_eq!(sorted("[]", &group), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_resolved_is_an_error() {
        let cyclic = group(&[("A", "$B"), ("B", "[x,$A]"), ("C", "$C")]);
        for text in
            ["", "[a", "a]", "[a]]", "a[b]c[", "[a,,b]", "$NONE", "$A", "[!$C]", "!", "[a]b"]
        {
            let result = flatten(text, &cyclic);
            if text == "[a]b" {
                assert!(result.is_err(), "{text}: {result:?}");
            } else {
                assert!(result.is_err(), "{text}");
            }
        }
    }

    #[test]
    fn a_variable_may_be_used_twice_but_growth_has_a_bound() {
        let mut twice = group(&[("A", "a"), ("B", "[$A,$A]")]);
        assert_eq!(sorted("$B", &twice), Ok(vec![("a", false), ("a", false)]));
        for level in 0..60 {
            let next = format!("[$L{},$L{}]", level + 1, level + 1);
            twice.insert(format!("L{level}"), next);
        }
        twice.insert("L60".to_owned(), "a".to_owned());
        assert!(flatten("$L0", &twice).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_rather_than_followed() {
        let deep = format!("{}a{}", "[".repeat(5000), "]".repeat(5000));
        assert!(flatten(&deep, &Group::new()).is_err());
    }
}
