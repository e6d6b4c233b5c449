//! Whose bytes count where fragments overlap: it depends on who puts them together.

/// How the receiving system resolves overlapping fragments (Novak, "Target-Based Fragmentation
/// Reassembly", 2005; Suricata's `host-os-policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FragmentPolicy {
    /// What came first, unless the new fragment begins before it. Suricata's default.
    #[default]
    Bsd,
    /// What came last, unless it begins before what came first.
    BsdRight,
    /// What came first, unless the new fragment begins before it or with it.
    Linux,
    /// What came first, unless the new fragment begins before it and ends after it.
    Windows,
    /// What came first, unless the new fragment begins before it and reaches its end.
    Solaris,
    /// What came first.
    First,
    /// What came last.
    Last,
}

impl FragmentPolicy {
    /// Whether the bytes of `new` count where it overlaps `old`; both are start and end.
    #[inline]
    pub(crate) fn new_wins(self, new: (u32, u32), old: (u32, u32)) -> bool {
        match self {
            Self::Bsd => new.0 < old.0,
            Self::BsdRight => new.0 >= old.0,
            Self::Linux => new.0 <= old.0,
            Self::Windows => new.0 < old.0 && new.1 > old.1,
            Self::Solaris => new.0 < old.0 && new.1 >= old.1,
            Self::First => false,
            Self::Last => true,
        }
    }
}
