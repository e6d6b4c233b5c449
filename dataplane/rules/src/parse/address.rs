//! The header's addresses: hosts, networks, ranges, lists, negation, variables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lists::{Collect, Group, ListError, resolve};
use super::ranges::{difference, is_everything, union};
use super::text::shown;
use crate::signature::AddressSet;

const ALL_V4: (u32, u32) = (0, u32::MAX);
const ALL_V6: (u128, u128) = (0, u128::MAX);

/// Ranges of both families.
#[derive(Default)]
struct Families {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Collect for Families {
    fn add(&mut self, item: &str) -> Result<(), String> {
        add(item, self)
    }

    fn append(&mut self, mut other: Self) {
        self.v4.append(&mut other.v4);
        self.v6.append(&mut other.v6);
    }

    fn without(mut self, other: Self) -> Self {
        if self.v4.is_empty() && !other.v4.is_empty() {
            self.v4.push(ALL_V4);
        }
        if self.v6.is_empty() && !other.v6.is_empty() {
            self.v6.push(ALL_V6);
        }
        Self {
            v4: difference(&union(self.v4), &union(other.v4)),
            v6: difference(&union(self.v6), &union(other.v6)),
        }
    }
}

/// Resolves a header's address field.
///
/// As in Suricata a family that has only negated items is the whole family without them, and a
/// family that has no items at all is empty: `!192.0.2.1` matches no IPv6 address.
pub(crate) fn address_set(text: &str, group: &Group) -> Result<AddressSet, ListError> {
    let (Families { v4, v6 }, negated) = resolve(text, group)?;
    if v4.is_empty() && v6.is_empty() {
        return Err(format!("no address is left in `{}`", shown(text)).into());
    }
    if is_everything(&v4) && is_everything(&v6) {
        return Ok(AddressSet { any: true, negated, ..AddressSet::default() });
    }
    Ok(AddressSet { any: false, v4: v4.into(), v6: v6.into(), negated })
}

/// Adds one item's ranges.
fn add(item: &str, to: &mut Families) -> Result<(), String> {
    if item.eq_ignore_ascii_case("any") {
        to.v4.push(ALL_V4);
        to.v6.push(ALL_V6);
        return Ok(());
    }
    let wrong = || format!("`{}` is not an address", shown(item));
    if let Some((address, mask)) = item.split_once('/') {
        match address.trim().parse().map_err(|_| wrong())? {
            IpAddr::V4(address) => to.v4.push(network_v4(address, mask).ok_or_else(wrong)?),
            IpAddr::V6(address) => to.v6.push(network_v6(address, mask).ok_or_else(wrong)?),
        }
        return Ok(());
    }
    let (low, high) = match item.split_once('-') {
        Some((low, high)) => (low.trim(), high.trim()),
        None => (item, item),
    };
    match (low.parse().map_err(|_| wrong())?, high.parse().map_err(|_| wrong())?) {
        (IpAddr::V4(low), IpAddr::V4(high)) if low <= high => to.v4.push((low.into(), high.into())),
        (IpAddr::V6(low), IpAddr::V6(high)) if low <= high => to.v6.push((low.into(), high.into())),
        _ => return Err(format!("`{}` is not a range of addresses", shown(item))),
    }
    Ok(())
}

/// `address/length` or `address/mask`.
fn network_v4(address: Ipv4Addr, mask: &str) -> Option<(u32, u32)> {
    let mask: u32 = if mask.contains('.') {
        let mask = u32::from(mask.trim().parse::<Ipv4Addr>().ok()?);
        // Only masks whose ones stand first make one range.
        (mask.leading_ones() + mask.trailing_zeros() >= u32::BITS).then_some(mask)?
    } else {
        let length = prefix(mask, u32::BITS)?;
        u32::MAX.checked_shl(u32::BITS - length).unwrap_or(0)
    };
    let low = u32::from(address) & mask;
    Some((low, low | !mask))
}

/// `address/length`.
fn network_v6(address: Ipv6Addr, mask: &str) -> Option<(u128, u128)> {
    let length = prefix(mask, u128::BITS)?;
    let mask = u128::MAX.checked_shl(u128::BITS - length).unwrap_or(0);
    let low = u128::from(address) & mask;
    Some((low, low | !mask))
}

/// A prefix length.
fn prefix(text: &str, longest: u32) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|&length| length <= longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<AddressSet, String> {
        let group = Group::from([
            ("HOME_NET".to_owned(), "[192.168.0.0/16,10.0.0.0/8]".to_owned()),
            ("EXTERNAL_NET".to_owned(), "!$HOME_NET".to_owned()),
        ]);
        Ok(address_set(text, &group)?)
    }

    #[track_caller]
    fn check(text: &str, inside: &[&str], outside: &[&str]) {
        let set = set(text).expect(text);
        for address in inside {
            assert!(set.contains(address.parse().expect("address")), "{address} in {text}");
        }
        for address in outside {
            assert!(!set.contains(address.parse().expect("address")), "{address} not in {text}");
        }
    }

    #[test]
    fn hosts_networks_and_ranges_hold_what_they_say() {
        check("1.2.3.4", &["1.2.3.4"], &["1.2.3.5", "::1"]);
        check("1.2.3.4/24", &["1.2.3.0", "1.2.3.255"], &["1.2.4.0", "1.2.2.255"]);
        check("1.2.3.4/255.255.255.0", &["1.2.3.255"], &["1.2.4.0"]);
        check("1.2.3.4-1.2.3.9", &["1.2.3.4", "1.2.3.9"], &["1.2.3.10"]);
        check(
            "[2001:db8::/32, 10.0.0.0/8]",
            &["2001:db8:1::1", "10.9.9.9"],
            &["2001:db9::", "11.0.0.0"],
        );
        check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::"]);
    }

    #[test]
    fn any_is_every_address_of_both_families() {
        for text in ["any", "ANY", "[0.0.0.0/0,::/0]", "[any,1.2.3.4]"] {
            assert!(set(text).expect(text).any, "{text}");
        }
    }

    #[test]
    fn negation_takes_away_within_its_family() {
        check("!1.2.3.4", &["1.2.3.5"], &["1.2.3.4", "2001:db8::1"]);
        check("[1.2.3.0/24,!1.2.3.4]", &["1.2.3.5"], &["1.2.3.4", "9.9.9.9"]);
        check("[1.2.3.4,!2001:db8::/32]", &["1.2.3.4", "::1"], &["2001:db8::1", "1.2.3.5"]);
        check("[any,!1.2.3.4]", &["1.2.3.5", "::1"], &["1.2.3.4"]);
        check("$EXTERNAL_NET", &["8.8.8.8"], &["10.1.1.1", "192.168.3.4", "::1"]);
        check("!$EXTERNAL_NET", &["10.1.1.1"], &["8.8.8.8"]);
        check("![1.2.3.0/24,!1.2.3.4]", &["1.2.3.4", "9.9.9.9"], &["1.2.3.5"]);
        check("[1.2.3.0/24,[8.8.8.8,!1.2.3.4]]", &["1.2.3.5", "8.8.8.8"], &["1.2.3.4"]);
        assert!(set("$EXTERNAL_NET").expect("set").negated);
        assert!(!set("$HOME_NET").expect("set").negated);
    }

    #[test]
    fn empty_sets_and_malformed_addresses_are_errors() {
        for text in [
            "!any",
            "[!any]",
            "[]",
            "[1.2.3.4,!1.2.3.4]",
            "[0.0.0.0/0,!0.0.0.0/0]",
            "1.2.3",
            "1.2.3.256",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/+8",
            "1.2.3.4/255.0.255.0",
            "::/129",
            "1.2.3.9-1.2.3.4",
            "1.2.3.4-::1",
            "$NONE",
            "[1.2.3.4,,5.6.7.8]",
            "host",
            "",
        ] {
            assert!(set(text).is_err(), "{text}");
        }
    }
}
