//! `threshold` and `detection_filter`: one owner for all cores, fed in packet-time order, so that
//! the result does not depend on the number of workers.

use std::collections::HashMap;
use std::net::IpAddr;

use rules::signature::{
    DetectionFilter, NewAction, RateFilter, Signature, Threshold, ThresholdKind, Track,
};
use wire::Nanos;

use crate::alert::Alert;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    One(IpAddr),
    Pair(IpAddr, IpAddr),
    Flow(u64),
    Rule,
}

/// What of a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counts {
    Threshold,
    DetectionFilter,
    RateFilter,
    /// A rate filter's other action is in force until the window's end.
    NewAction,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    gid: u32,
    sid: u32,
    counts: Counts,
    who: Who,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    end: Nanos,
    count: u32,
}

/// What became of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is written.
    Write,
    /// The rule's own threshold, or what is said of it beside the rules, holds it back: it is no
    /// alert.
    Hold,
}

/// All counts of all rules.
#[derive(Debug)]
pub struct Thresholds {
    windows: HashMap<Key, Window>,
    capacity: usize,
    /// Counts forgotten because there were more than the capacity.
    pub forgotten: u64,
}

impl Thresholds {
    /// Keeps at most `capacity` counts.
    pub fn new(capacity: usize) -> Self {
        Self { windows: HashMap::new(), capacity: capacity.max(1), forgotten: 0 }
    }

    /// How many counts are kept.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Is nothing counted?
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Counts the match and decides. Alerts must come in the order of their keys.
    pub fn decide(&mut self, alert: &Alert, signature: &Signature) -> Decision {
        if let Some(filters) = &signature.filters {
            let suppressed = |it: &rules::signature::Suppression| it.holds(alert.src, alert.dst);
            if filters.suppressions.iter().any(suppressed) {
                return Decision::Hold;
            }
        }
        if let Some(filter) = signature.detection_filter
            && !self.filter_lets(alert, signature, filter)
        {
            return Decision::Hold;
        }
        match signature.threshold {
            Some(threshold) if !self.threshold_lets(alert, signature, threshold) => {
                return Decision::Hold;
            }
            _ => {}
        }
        match signature.filters.as_ref().and_then(|filters| filters.rate) {
            Some(rate) if self.new_action(alert, signature, rate) == Some(NewAction::Pass) => {
                Decision::Hold
            }
            _ => Decision::Write,
        }
    }

    /// The action that a rate filter puts in the place of the rule's.
    fn new_action(&mut self, alert: &Alert, s: &Signature, rate: RateFilter) -> Option<NewAction> {
        let now = alert.timestamp;
        let (track, seconds) = (rate.track, rate.seconds);
        let key = Self::key(alert, s, track, Counts::NewAction);
        if let Some(window) = self.windows.get(&key) {
            if now <= window.end {
                return Some(rate.action);
            }
            // Counting begins anew.
            self.windows.remove(&key);
            let counted = Self::key(alert, s, track, Counts::RateFilter);
            self.windows.remove(&counted);
        }
        let window = self.window(alert, s, track, Counts::RateFilter, seconds);
        window.advance(now, seconds);
        if window.count <= rate.count {
            return None;
        }
        self.window(alert, s, track, Counts::NewAction, rate.timeout);
        Some(rate.action)
    }

    fn filter_lets(&mut self, alert: &Alert, s: &Signature, filter: DetectionFilter) -> bool {
        let now = alert.timestamp;
        let window = self.window(alert, s, filter.track, Counts::DetectionFilter, filter.seconds);
        window.advance(now, filter.seconds);
        window.count > filter.count
    }

    fn threshold_lets(&mut self, alert: &Alert, s: &Signature, threshold: Threshold) -> bool {
        let now = alert.timestamp;
        let window = self.window(alert, s, threshold.track, Counts::Threshold, threshold.seconds);
        window.advance(now, threshold.seconds);
        match threshold.kind {
            ThresholdKind::Limit => window.count <= threshold.count,
            ThresholdKind::Both => window.count == threshold.count,
            ThresholdKind::Threshold => {
                let reached = window.count >= threshold.count;
                if reached {
                    window.count = 0;
                }
                reached
            }
        }
    }

    fn window(
        &mut self,
        alert: &Alert,
        signature: &Signature,
        track: Track,
        counts: Counts,
        seconds: u32,
    ) -> &mut Window {
        let key = Self::key(alert, signature, track, counts);
        if self.windows.len() >= self.capacity && !self.windows.contains_key(&key) {
            self.make_room(alert.timestamp);
        }
        let end = alert.timestamp.saturating_add(u64::from(seconds) * SECOND);
        self.windows.entry(key).or_insert(Window { end, count: 0 })
    }

    fn key(alert: &Alert, signature: &Signature, track: Track, counts: Counts) -> Key {
        let who = match track {
            Track::Source => Who::One(alert.src),
            Track::Destination => Who::One(alert.dst),
            Track::Both => Who::Pair(alert.src.min(alert.dst), alert.src.max(alert.dst)),
            Track::Rule => Who::Rule,
            Track::Flow => alert.flow.as_ref().map_or(Who::Rule, |flow| Who::Flow(flow.id)),
        };
        Key { gid: signature.gid, sid: signature.sid, counts, who }
    }

    /// Forgets what has run out; if that is not enough, the half that would run out first.
    fn make_room(&mut self, now: Nanos) {
        self.windows.retain(|_, window| window.end >= now);
        if self.windows.len() < self.capacity {
            return;
        }
        let mut ends: Vec<_> = self.windows.values().map(|window| window.end).collect();
        let middle = ends.len() / 2;
        let (_, &mut cut, _) = ends.select_nth_unstable(middle);
        let before = self.windows.len();
        self.windows.retain(|_, window| window.end > cut);
        self.forgotten += (before - self.windows.len()) as u64;
    }
}

impl Window {
    fn advance(&mut self, now: Nanos, seconds: u32) {
        if now > self.end {
            self.end = now.saturating_add(u64::from(seconds) * SECOND);
            self.count = 1;
        } else {
            self.count = self.count.saturating_add(1);
        }
    }
}
