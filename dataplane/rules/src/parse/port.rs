//! The header's ports: numbers, ranges, lists, negation, variables.

use super::lists::{Collect, Group, ListError, resolve};
use super::ranges::{difference, is_everything, union};
use super::text::shown;
use crate::signature::PortSet;

const ALL: (u16, u16) = (0, u16::MAX);

/// Ranges of ports.
#[derive(Default)]
struct Ports(Vec<(u16, u16)>);

impl Collect for Ports {
    fn add(&mut self, item: &str) -> Result<(), String> {
        self.0.push(range(item)?);
        Ok(())
    }

    fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    fn without(mut self, other: Self) -> Self {
        if self.0.is_empty() && !other.0.is_empty() {
            self.0.push(ALL);
        }
        Self(difference(&union(self.0), &union(other.0)))
    }
}

/// Resolves a header's port field.
pub(crate) fn port_set(text: &str, group: &Group) -> Result<PortSet, ListError> {
    let (Ports(ranges), _) = resolve(text, group)?;
    if ranges.is_empty() {
        return Err(format!("no port is left in `{}`", shown(text)).into());
    }
    if is_everything(&ranges) {
        return Ok(PortSet { any: true, ..PortSet::default() });
    }
    Ok(PortSet { any: false, ranges: ranges.into() })
}

/// `any`, `n`, `a:b`, `a:`, `:b` or `:`.
fn range(item: &str) -> Result<(u16, u16), String> {
    if item.eq_ignore_ascii_case("any") {
        return Ok(ALL);
    }
    let wrong = || format!("`{}` is not a port", shown(item));
    let number = |text: &str| {
        let text = text.trim();
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten().ok_or_else(wrong)
    };
    let (low, high) = match item.split_once(':') {
        None => {
            let port = number(item)?;
            (port, port)
        }
        Some((low, high)) => (
            if low.trim().is_empty() { 0 } else { number(low)? },
            if high.trim().is_empty() { u16::MAX } else { number(high)? },
        ),
    };
    if low > high {
        return Err(format!("`{}` is not a range of ports", shown(item)));
    }
    Ok((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<PortSet, String> {
        let group = Group::from([("WEB".to_owned(), "[80,8000:8010]".to_owned())]);
        Ok(port_set(text, &group)?)
    }

    #[track_caller]
    fn check(text: &str, ranges: &[(u16, u16)]) {
        assert_eq!(&*set(text).expect(text).ranges, ranges, "{text}");
    }

    #[test]
    fn ports_ranges_and_lists_become_sorted_ranges() {
        check("80", &[(80, 80)]);
        check("[443, 80]", &[(80, 80), (443, 443)]);
        check("[80,81,82:90]", &[(80, 90)]);
        check(":90", &[(0, 90)]);
        check("90:", &[(90, u16::MAX)]);
        check("!80", &[(0, 79), (81, u16::MAX)]);
        check("[1:1024,!80]", &[(1, 79), (81, 1024)]);
        check("![80:90,!81]", &[(0, 79), (81, 81), (91, u16::MAX)]);
        check("[1:1024,![80,443]]", &[(1, 79), (81, 442), (444, 1024)]);
        check("[$WEB,443]", &[(80, 80), (443, 443), (8000, 8010)]);
        check("!$WEB", &[(0, 79), (81, 7999), (8011, u16::MAX)]);
        check("80,443", &[(80, 80), (443, 443)]);
    }

    #[test]
    fn any_is_every_port() {
        for text in ["any", "ANY", ":", "0:65535", "[any]", "[:80,81:]"] {
            assert!(set(text).expect(text).any, "{text}");
        }
    }

    #[test]
    fn empty_sets_and_malformed_ports_are_errors() {
        for text in [
            "!any", "[]", "[80,!80]", "!0:65535", "!:", "90:80", "65536", "-80", "abc", "$NO", "",
            "+80",
        ] {
            assert!(set(text).is_err(), "{text}");
        }
    }
}
