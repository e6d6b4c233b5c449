//! How often a rule's matches become alerts: `threshold` and `detection_filter`, and what
//! `threshold.config` says.

use std::net::IpAddr;

use super::net::AddressSet;

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Track {
    /// `by_src`
    Source,
    /// `by_dst`
    Destination,
    /// `by_both`
    Both,
    /// `by_rule`
    Rule,
    /// `by_flow`
    Flow,
}

/// `threshold`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// limit, threshold, both, backoff
    pub kind: ThresholdKind,
    /// Who is counted.
    pub track: Track,
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub seconds: u32,
}

/// `threshold: type …`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThresholdKind {
    /// At most `count` alerts in `seconds`.
    Limit,
    /// An alert every `count` matches.
    Threshold,
    /// One alert per `seconds`, after `count` matches.
    Both,
}

/// `detection_filter`: alerts once more than `count` matches in `seconds` were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetectionFilter {
    /// `by_src`, `by_dst` (or by rule, both, flow where written).
    pub track: Track,
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub seconds: u32,
}

/// What is said of a rule's alerts beside the rules, in `threshold.config`.
#[derive(Debug, Clone, Default)]
pub struct AlertFilters {
    /// `suppress`
    pub suppressions: Vec<Suppression>,
    /// `rate_filter`
    pub rate: Option<RateFilter>,
}

/// `suppress`: alerts of these addresses are not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Which address.
    pub track: SuppressTrack,
    /// Which ones.
    pub addresses: AddressSet,
}

impl Suppression {
    /// Is an alert between these addresses held back?
    pub fn holds(&self, src: IpAddr, dst: IpAddr) -> bool {
        match self.track {
            SuppressTrack::All => true,
            SuppressTrack::Source => self.addresses.contains(src),
            SuppressTrack::Destination => self.addresses.contains(dst),
            SuppressTrack::Either => self.addresses.contains(src) || self.addresses.contains(dst),
        }
    }
}

/// Which address of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppressTrack {
    /// Every alert.
    All,
    /// `by_src`
    Source,
    /// `by_dst`
    Destination,
    /// `by_either`
    Either,
}

/// `rate_filter`: after more than `count` matches in `seconds` another action, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateFilter {
    /// Who is counted.
    pub track: Track,
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub seconds: u32,
    /// What then.
    pub action: NewAction,
    /// For how many seconds.
    pub timeout: u32,
}

/// `new_action`. Of a sensor that listens only `pass` changes anything: it tells no alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewAction {
    /// `alert`
    Alert,
    /// `drop`
    Drop,
    /// `reject`
    Reject,
    /// `pass`
    Pass,
}
