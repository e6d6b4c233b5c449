//! `threshold.config`: which alerts are held back, and how often the others are told of, said beside
//! the rules (docs.suricata.io, "Global-Thresholds").

use std::sync::Arc;

use super::address::address_set;
use super::number::decimal;
use super::text::{shown, word_and_rest};
use super::threshold::{kind, track};
use super::variables::Variables;
use crate::signature::{
    AlertFilters, NewAction, RateFilter, Signature, SuppressTrack, Suppression, Threshold,
};

/// Lines that one file may have.
const MOST_LINES: usize = 1 << 18;

/// What a line does.
#[derive(Debug, Clone)]
enum Does {
    Threshold(Threshold),
    RateFilter(RateFilter),
    Suppress(Suppression),
}

/// A line: which rules, and what.
#[derive(Debug, Clone)]
struct Entry {
    line: u32,
    /// 0: every one.
    gid: u32,
    /// 0: every one.
    sid: u32,
    does: Does,
}

impl Entry {
    fn is_of(&self, signature: &Signature) -> bool {
        (self.gid == 0 || self.gid == signature.gid) && (self.sid == 0 || self.sid == signature.sid)
    }
}

/// A file that was read.
#[derive(Debug, Clone, Default)]
pub struct ThresholdFile {
    entries: Vec<Entry>,
}

impl ThresholdFile {
    /// Reads a file's text. Lines that say something else come back with their number.
    pub fn parse(text: &str, variables: &Variables) -> (Self, Vec<(u32, String)>) {
        let mut file = Self::default();
        let mut faults = Vec::new();
        let mut joined = String::new();
        let mut first = 0;
        for (number, line) in (1u32..).zip(text.lines().take(MOST_LINES)) {
            let line = line.trim();
            if joined.is_empty() {
                first = number;
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
            }
            if let Some(more) = line.strip_suffix('\\') {
                joined.push_str(more);
                joined.push(' ');
                continue;
            }
            joined.push_str(line);
            match entry(first, &joined, variables) {
                Ok(entry) => file.entries.push(entry),
                Err(reason) => faults.push((first, reason)),
            }
            joined.clear();
        }
        (file, faults)
    }

    /// Is nothing said?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives rules what the file says of them. A line for one rule takes the place of the rule's own
    /// threshold; a line for many leaves rules alone that have one. Returns lines that concern no
    /// rule.
    pub fn apply(&self, signatures: &mut [Signature]) -> Vec<(u32, String)> {
        let mut idle = Vec::new();
        for entry in &self.entries {
            let mut used = false;
            // Rules that had the same filters share the new ones.
            let mut last: Option<(Option<Arc<AlertFilters>>, Arc<AlertFilters>)> = None;
            for signature in signatures.iter_mut().filter(|signature| entry.is_of(signature)) {
                used = true;
                let own = signature.threshold.is_some() || signature.detection_filter.is_some();
                match &entry.does {
                    Does::Threshold(threshold) => {
                        if entry.sid != 0 || !own {
                            signature.threshold = Some(*threshold);
                            signature.detection_filter = None;
                        }
                        continue;
                    }
                    Does::RateFilter(_) if entry.sid == 0 && own => continue,
                    _ => {}
                }
                let same = |old: &Option<Arc<AlertFilters>>| match (old, &signature.filters) {
                    (None, None) => true,
                    (Some(old), Some(now)) => Arc::ptr_eq(old, now),
                    _ => false,
                };
                let next = match &last {
                    Some((old, next)) if same(old) => Arc::clone(next),
                    _ => {
                        let old = signature.filters.clone();
                        let mut filters = old.as_deref().cloned().unwrap_or_default();
                        match &entry.does {
                            Does::Suppress(suppression) => {
                                filters.suppressions.push(suppression.clone());
                            }
                            Does::RateFilter(filter) => filters.rate = Some(*filter),
                            Does::Threshold(_) => {}
                        }
                        let next = Arc::new(filters);
                        last = Some((old, Arc::clone(&next)));
                        next
                    }
                };
                signature.filters = Some(next);
            }
            if !used && entry.sid != 0 {
                let reason = format!("no rule has gen_id {} and sig_id {}", entry.gid, entry.sid);
                idle.push((entry.line, reason));
            }
        }
        idle
    }
}

/// Cuts at commas that are not within brackets.
fn fields(text: &str) -> Vec<&str> {
    let mut open = 0i32;
    let cut = |c: char| {
        match c {
            '[' => open += 1,
            ']' => open -= 1,
            _ => {}
        }
        c == ',' && open <= 0
    };
    text.split(cut).map(str::trim).collect()
}

/// The parts of a line.
#[derive(Default)]
struct Parts<'t> {
    gid: Option<u32>,
    sid: Option<u32>,
    kind: Option<&'t str>,
    track: Option<&'t str>,
    ip: Option<&'t str>,
    count: Option<u32>,
    seconds: Option<u32>,
    new_action: Option<&'t str>,
    timeout: Option<u32>,
}

fn parts(text: &str) -> Result<Parts<'_>, String> {
    let mut parts = Parts::default();
    for field in fields(text) {
        let (name, argument) = word_and_rest(field);
        let number = || -> Result<u32, String> {
            Ok(u32::try_from(decimal(argument, u64::from(u32::MAX))?).unwrap_or(u32::MAX))
        };
        let twice = match name {
            "gen_id" => parts.gid.replace(number()?).is_some(),
            "sig_id" => parts.sid.replace(number()?).is_some(),
            "type" => parts.kind.replace(argument).is_some(),
            "track" => parts.track.replace(argument).is_some(),
            "ip" => parts.ip.replace(argument).is_some(),
            "count" => parts.count.replace(number()?).is_some(),
            "seconds" => parts.seconds.replace(number()?).is_some(),
            "new_action" => parts.new_action.replace(argument).is_some(),
            "timeout" => parts.timeout.replace(number()?).is_some(),
            _ => return Err(format!("`{}` is not known", shown(name))),
        };
        if twice {
            return Err(format!("{name} stands there twice"));
        }
    }
    Ok(parts)
}

fn entry(line: u32, text: &str, variables: &Variables) -> Result<Entry, String> {
    let (word, rest) = word_and_rest(text);
    let word = word.trim_end_matches(':');
    let parts = parts(rest)?;
    let (Some(gid), Some(sid)) = (parts.gid, parts.sid) else {
        return Err("gen_id and sig_id are missing".to_owned());
    };
    if gid == 0 && sid != 0 {
        return Err("gen_id 0 means every rule, sig_id must be 0 as well".to_owned());
    }
    let counted = || match (parts.track, parts.count, parts.seconds) {
        (Some(by), Some(count), Some(seconds)) if count > 0 => Ok((track(by)?, count, seconds)),
        (Some(_), Some(0), Some(_)) => Err("count must be above 0".to_owned()),
        _ => Err("track, count and seconds are missing".to_owned()),
    };
    let does = match word {
        "threshold" | "event_filter" => {
            let kind = kind(parts.kind.ok_or("type is missing")?)?;
            let (track, count, seconds) = counted()?;
            Does::Threshold(Threshold { kind, track, count, seconds })
        }
        "rate_filter" => {
            let (track, count, seconds) = counted()?;
            let action = match parts.new_action.unwrap_or("") {
                "alert" => NewAction::Alert,
                "drop" => NewAction::Drop,
                "reject" => NewAction::Reject,
                "pass" => NewAction::Pass,
                other => return Err(format!("new_action `{}` is not known", shown(other))),
            };
            let timeout = parts.timeout.ok_or("timeout is missing")?;
            Does::RateFilter(RateFilter { track, count, seconds, action, timeout })
        }
        "suppress" => {
            let (track, addresses) = match (parts.track, parts.ip) {
                (None, None) => (SuppressTrack::All, "any"),
                (Some("by_src"), Some(ip)) => (SuppressTrack::Source, ip),
                (Some("by_dst"), Some(ip)) => (SuppressTrack::Destination, ip),
                (Some("by_either"), Some(ip)) => (SuppressTrack::Either, ip),
                _ => {
                    return Err(
                        "suppress takes track by_src, by_dst or by_either, and ip".to_owned()
                    );
                }
            };
            let addresses =
                address_set(addresses, &variables.address_groups).map_err(String::from)?;
            Does::Suppress(Suppression { track, addresses })
        }
        _ => {
            return Err(format!(
                "`{}` is not threshold, event_filter, rate_filter or suppress",
                shown(word)
            ));
        }
    };
    Ok(Entry { line, gid, sid, does })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Context, Names, parse_rules};
    use crate::signature::{ThresholdKind, Track};

    fn rules() -> Vec<Signature> {
        let text = "alert udp any any -> any any (sid:1;)\n\
            alert udp any any -> any any (threshold: type limit, track by_src, count 1, seconds 60; sid:2;)\n\
            alert udp any any -> any any (sid:3; gid:7;)\n";
        let (context, mut names) = (Context::default(), Names::default());
        parse_rules("r", text.as_bytes(), &context, &mut names).signatures
    }

    fn applied(text: &str) -> (Vec<Signature>, Vec<(u32, String)>) {
        let (file, mut faults) = ThresholdFile::parse(text, &Variables::default());
        let mut rules = rules();
        faults.extend(file.apply(&mut rules));
        (rules, faults)
    }

    #[test]
    fn a_line_for_one_rule_takes_its_thresholds_place_and_one_for_many_does_not() {
        let (rules, faults) = applied(
            "# all\nthreshold gen_id 0, sig_id 0, type both, track by_dst, count 5, seconds 6\n",
        );
        assert!(faults.is_empty());
        let kinds: Vec<_> = rules.iter().map(|s| s.threshold.map(|t| t.kind)).collect();
        let (both, limit) = (Some(ThresholdKind::Both), Some(ThresholdKind::Limit));
        assert_eq!(kinds, [both, limit, both]);
        let (rules, _) = applied(
            "event_filter gen_id 1, sig_id 2, type threshold, \\\n track by_both,count 9,seconds 60",
        );
        let own = rules[1].threshold.expect("a threshold");
        assert_eq!((own.kind, own.track, own.count), (ThresholdKind::Threshold, Track::Both, 9));
        assert!(rules[0].threshold.is_none());
    }

    #[test]
    fn suppressions_and_rates_are_kept_beside_rules_and_shared() {
        let (rules, faults) = applied(
            "suppress gen_id 0, sig_id 0, track by_either, ip [10.0.0.0/8,!10.1.0.0/16]\n\
             suppress gen_id 7, sig_id 3\n\
             rate_filter gen_id 1, sig_id 1, track by_rule, count 2, seconds 3, new_action pass, timeout 4\n\
             suppress gen_id 1, sig_id 99\n",
        );
        assert_eq!(faults, [(4, "no rule has gen_id 1 and sig_id 99".to_owned())]);
        let of = |at: usize| rules[at].filters.as_ref().expect("filters");
        assert_eq!(
            (of(0).suppressions.len(), of(1).suppressions.len(), of(2).suppressions.len()),
            (1, 1, 2)
        );
        let rate = of(0).rate.expect("a rate filter");
        assert_eq!((rate.timeout, rate.action), (4, NewAction::Pass));
        assert!(of(1).rate.is_none());
        let set = &of(1).suppressions[0].addresses;
        assert!(set.contains([10, 2, 0, 1].into()) && !set.contains([10, 1, 0, 1].into()));
    }

    #[test]
    fn lines_that_say_something_else_are_named() {
        for line in [
            "foo gen_id 1, sig_id 1",
            "suppress sig_id 1",
            "suppress gen_id 0, sig_id 1",
            "suppress gen_id 1, sig_id 1, track by_src",
            "suppress gen_id 1, sig_id 1, track by_src, ip foo",
            "threshold gen_id 1, sig_id 1, type limit, track by_src, count 0, seconds 6",
            "threshold gen_id 1, sig_id 1, type backoff, track by_src, count 1, seconds 6",
            "threshold gen_id 1, sig_id 1, track by_src, count 1, seconds 6",
            "rate_filter gen_id 1, sig_id 1, track by_src, count 1, seconds 6, new_action foo, timeout 1",
        ] {
            let (_, faults) = ThresholdFile::parse(line, &Variables::default());
            assert_eq!(faults.len(), 1, "{line}");
        }
    }
}
