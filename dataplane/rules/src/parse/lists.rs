//! The header's lists, `[a,!b,[c,$D]]`: resolved into sets, variables included, without recursion
//! and within a bound.
//!
//! A list is what its items hold less what its negated items hold. A list within a list adds its
//! items to the outer one, negated ones as such; a negated list takes away what it is as a whole,
//! so that `!$EXTERNAL_NET` is the home network where that is `!$HOME_NET`. Suricata does so.

use std::collections::BTreeMap;

use super::text::shown;

/// Named lists, by the name without its `$`.
pub(crate) type Group = BTreeMap<String, String>;

/// What items are collected in.
pub(crate) trait Collect: Default {
    /// Adds an item that is neither list nor variable.
    fn add(&mut self, item: &str) -> Result<(), String>;
    /// Adds all of another collection.
    fn append(&mut self, other: Self);
    /// What is in this collection and not in the other. Where only the other has anything, all
    /// there can be takes the place of this one.
    fn without(self, other: Self) -> Self;
}

/// Items that one list may come to; nested variables could grow it without end.
const MOST_ITEMS: usize = 1 << 18;
/// Brackets and variables within each other.
const DEEPEST: usize = 64;

/// One thing still to be done.
enum Task<'t> {
    /// Look at an item.
    Item {
        text: &'t str,
        depth: usize,
        /// The innermost variable that it came from: index into the trail.
        from: Option<usize>,
    },
    /// The innermost negated list is complete.
    Close,
}

/// A list while it is resolved.
#[derive(Default)]
struct Frame<S> {
    included: S,
    excluded: S,
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

/// Resolves a list; tells too whether there was a `!` anywhere.
pub(crate) fn resolve<S: Collect>(text: &str, group: &Group) -> Result<(S, bool), ListError> {
    let mut negation = false;
    let mut outermost = Frame::<S>::default();
    let mut inner: Vec<Frame<S>> = Vec::new();
    let mut trail: Vec<(&str, Option<usize>)> = Vec::new();
    let mut tasks = Vec::new();
    let mut steps = 0usize;
    split(text, 0, None, &mut tasks)?;
    if tasks.is_empty() {
        return Err("empty list".into());
    }
    while let Some(task) = tasks.pop() {
        steps += 1;
        if steps > MOST_ITEMS {
            return Err(format!("list comes to more than {MOST_ITEMS} items").into());
        }
        let Task::Item { text, depth, from } = task else {
            if let Some(done) = inner.pop() {
                let set = done.included.without(done.excluded);
                inner.last_mut().unwrap_or(&mut outermost).excluded.append(set);
            }
            continue;
        };
        let body = text.trim_start_matches(|c: char| c == '!' || c.is_ascii_whitespace());
        // `!!` is one negation, as in Suricata.
        let negated = body.len() < text.len();
        negation |= negated;
        if depth > DEEPEST {
            return Err(format!("lists are nested more than {DEEPEST} deep").into());
        }
        let (list, from) = if let Some(list) = body.strip_prefix('[') {
            (list.strip_suffix(']').ok_or("brackets do not match")?, from)
        } else if let Some(name) = body.strip_prefix('$') {
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
            (value.as_str(), Some(trail.len() - 1))
        } else if body.is_empty() {
            return Err("empty item in a list".into());
        } else {
            let frame = inner.last_mut().unwrap_or(&mut outermost);
            let side = if negated { &mut frame.excluded } else { &mut frame.included };
            side.add(body)?;
            continue;
        };
        if negated {
            inner.push(Frame::default());
            tasks.push(Task::Close);
        }
        split(list, depth + 1, from, &mut tasks)?;
    }
    Ok((outermost.included.without(outermost.excluded), negation))
}

/// Cuts a list's inside at its own commas; one comma may stand at the end.
fn split<'t>(
    text: &'t str,
    depth: usize,
    from: Option<usize>,
    tasks: &mut Vec<Task<'t>>,
) -> Result<(), String> {
    let mut open = 0usize;
    let mut start = 0;
    let mut add = |text: &'t str| {
        tasks.push(Task::Item { text: text.trim(), depth, from });
    };
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
    use std::collections::BTreeSet;

    use super::*;

    /// Letters, of which there are ten.
    #[derive(Debug, Default, PartialEq)]
    struct Letters(BTreeSet<char>);

    impl Collect for Letters {
        fn add(&mut self, item: &str) -> Result<(), String> {
            let letter = item.chars().next().filter(|c| item.len() == 1 && ('a'..='j').contains(c));
            self.0.insert(letter.ok_or("not a letter")?);
            Ok(())
        }

        fn append(&mut self, mut other: Self) {
            self.0.append(&mut other.0);
        }

        fn without(self, other: Self) -> Self {
            let all = if self.0.is_empty() && !other.0.is_empty() {
                ('a'..='j').collect()
            } else {
                self.0
            };
            Self(all.difference(&other.0).copied().collect())
        }
    }

    fn group(pairs: &[(&str, &str)]) -> Group {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn letters(text: &str, group: &Group) -> Result<String, String> {
        let (letters, _) = resolve::<Letters>(text, group)?;
        Ok(letters.0.iter().collect())
    }

    #[test]
    fn nested_lists_and_variables_are_resolved() {
        let group = group(&[("AB", "[a,b]"), ("NOT_AB", "!$AB"), ("C_NOT_A", "[c,!a]")]);
        for (text, wanted) in [
            ("a", "a"),
            ("a,b", "ab"),
            ("[a,[b,c],]", "abc"),
            ("[a,b,!b]", "a"),
            ("!$AB", "cdefghij"),
            ("!$NOT_AB", "ab"),
            ("[$AB,!$NOT_AB]", "ab"),
            ("[$AB,$C_NOT_A]", "bc"),
            ("![a,b,!b]", "bcdefghij"),
            ("![![a]]", "a"),
            ("!!a", "bcdefghij"),
            ("! a", "bcdefghij"),
            ("[]", ""),
        ] {
            assert_eq!(letters(text, &group), Ok(wanted.to_owned()), "{text}");
        }
        assert_eq!(resolve::<Letters>("$NOT_AB", &group).map(|(_, negation)| negation), Ok(true));
        assert_eq!(resolve::<Letters>("$AB", &group).map(|(_, negation)| negation), Ok(false));
    }

    #[test]
    fn what_cannot_be_resolved_is_an_error() {
        let cyclic = group(&[("A", "$B"), ("B", "[a,$A]"), ("C", "$C")]);
        for text in
            ["", "[a", "a]", "[a]]", "a[b]c[", "[a,,b]", "$NONE", "$A", "[!$C]", "!", "[a]b", "z"]
        {
            assert!(letters(text, &cyclic).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_may_be_used_twice_but_growth_has_a_bound() {
        let mut twice = group(&[("A", "a"), ("B", "[$A,$A]")]);
        assert_eq!(letters("$B", &twice), Ok("a".to_owned()));
        for level in 0..60 {
            let next = format!("[$L{},$L{}]", level + 1, level + 1);
            twice.insert(format!("L{level}"), next);
        }
        twice.insert("L60".to_owned(), "a".to_owned());
        assert!(letters("$L0", &twice).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_rather_than_followed() {
        let deep = format!("{}a{}", "[".repeat(5000), "]".repeat(5000));
        assert!(letters(&deep, &Group::new()).is_err());
    }
}
