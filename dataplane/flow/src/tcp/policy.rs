//! Whose bytes count where segments overlap with different data: it depends on who receives them.

/// How the receiving system resolves overlapping segments (Suricata's `host-os-policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// BSD, and with it Windows, IRIX, HP-UX 10 and macOS: the new segment's bytes count where it
    /// begins before the old one. Suricata's default.
    #[default]
    Bsd,
    /// As [`Self::Bsd`] for overlaps, but with the timestamp and reset rules of Windows.
    Windows,
    /// Linux: as BSD, and also where both begin alike and the new one is longer.
    Linux,
    /// Linux before 2.4: as Linux, and also where both cover the same bytes.
    OldLinux,
    /// Solaris and HP-UX 11: the new bytes count where the new segment begins before the old one
    /// and reaches its end, begins with it and reaches its end, or begins within and goes beyond.
    Solaris,
    /// The first bytes always count.
    First,
    /// The last bytes always count.
    Last,
}

/// A segment's place in its stream: sequence of its first byte and of the first byte after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Policy {
    /// Whether the bytes of `new` count where it overlaps `old`.
    #[inline]
    pub(crate) fn new_wins(self, new: Extent, old: Extent) -> bool {
        let begins_before = new.start < old.start;
        match self {
            Self::Bsd | Self::Windows => begins_before,
            Self::Linux => begins_before || (new.start == old.start && new.end > old.end),
            Self::OldLinux => begins_before || (new.start == old.start && new.end >= old.end),
            Self::Solaris => {
                if new.start <= old.start {
                    new.end >= old.end
                } else {
                    new.end > old.end
                }
            }
            Self::First => false,
            Self::Last => true,
        }
    }

    /// Whether a timestamp may be one less than the one before.
    pub(crate) fn timestamp_slack(self) -> u32 {
        matches!(self, Self::Linux | Self::OldLinux | Self::Windows) as u32
    }

    /// Whether a reset counts anywhere in the window, not only at the next expected sequence.
    pub(crate) fn reset_in_window(self) -> bool {
        matches!(self, Self::Linux | Self::OldLinux | Self::Solaris)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Extent = Extent { start: 10, end: 20 };
    const NEW: [Extent; 6] = [
        Extent { start: 5, end: 15 },
        Extent { start: 5, end: 25 },
        Extent { start: 10, end: 20 },
        Extent { start: 10, end: 25 },
        Extent { start: 12, end: 18 },
        Extent { start: 15, end: 25 },
    ];

    #[test]
    fn every_policy_decides_the_six_kinds_of_overlap_in_its_way() {
        let wins = |policy: Policy| NEW.map(|new| policy.new_wins(new, OLD));
        assert_eq!(wins(Policy::Bsd), [true, true, false, false, false, false]);
        assert_eq!(wins(Policy::Windows), wins(Policy::Bsd));
        assert_eq!(wins(Policy::Linux), [true, true, false, true, false, false]);
        assert_eq!(wins(Policy::Solaris), [false, true, true, true, false, true]);
        assert_eq!(wins(Policy::First), [false; 6]);
        assert_eq!(wins(Policy::Last), [true; 6]);
    }
}
