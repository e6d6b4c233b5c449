//! How often a rule's matches become alerts: `threshold` and `detection_filter`.

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
